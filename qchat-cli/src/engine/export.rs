//! What the daemon holds about the own account, as it comes, line by line.

use std::{io, time::Duration};

use qchat_proto::{identity::Deed, wire::api::ExportAccount};
use serde::Deserialize;
use url::Url;

use super::{
    error::EngineError,
    parts::{Parts, parts},
};
use crate::{
    net::{NetError, tls::Choice},
    store::Profile,
};

/// Longest line that is taken, bytes: an envelope of the largest size.
const LONGEST: usize = 16 * 1024 * 1024;

/// What a line says about itself.
#[derive(Deserialize)]
struct Head {
    kind: String,
    /// Of the last line: how many came before.
    #[serde(default)]
    lines: Option<u64>,
}

/// Fetches everything, and gives each line, without its end, with its kind to `take`. Returns how many there were. The kinds are
/// the daemon's words, and may be anything.
///
/// # Errors
/// Why the daemon does not give it, that it ended before its end, and what `take` says.
pub async fn export(
    profile: &Profile,
    server: Option<Url>,
    tls: Choice,
    timeout: Duration,
    mut take: impl FnMut(&str, &[u8]) -> io::Result<()>,
) -> Result<u64, EngineError> {
    let Parts { access, rest, .. } = parts(profile, server, tls, timeout).await?;
    let request = ExportAccount { proof: access.account_proof(Deed::Export).await? };
    let (rest, request) = (&rest, &request);
    let mut answer = access.ask(|token| async move { rest.export(&token, request).await }).await?;
    let cut = || EngineError::Net(NetError::Closed("the export ended before its end; try again".into()));
    let (mut pending, mut lines, mut ended) = (Vec::new(), 0_u64, false);
    while let Some(part) = rest.next_part(&mut answer).await? {
        let mut part = &part[..];
        while let Some(end) = part.iter().position(|&byte| byte == b'\n') {
            pending.extend_from_slice(&part[..end]);
            part = &part[end + 1..];
            let head: Head = serde_json::from_slice(&pending).map_err(|_| {
                NetError::Protocol("the server's answer is not what the protocol says".into())
            })?;
            if head.kind == "end" {
                ended = head.lines == Some(lines);
            } else {
                take(&head.kind, &pending).map_err(|error| EngineError::Output(error.to_string()))?;
                lines += 1;
            }
            pending.clear();
        }
        pending.extend_from_slice(part);
        if pending.len() > LONGEST {
            return Err(NetError::Protocol("the server's answer is too large".into()).into());
        }
    }
    if ended { Ok(lines) } else { Err(cut()) }
}
