//! What the daemon has noted about the own account.

use std::time::Duration;

use qchat_proto::wire::api::ActivityEntry;
use url::Url;

use super::{
    error::EngineError,
    parts::{Parts, parts},
};
use crate::{net::tls::Choice, store::Profile};

/// Entries of one request; the daemon gives no more.
const PAGE: u32 = 200;

/// The newest `limit` entries, newest first. They are the daemon's words, and may be anything.
///
/// # Errors
/// Why the daemon does not say.
pub async fn activity(
    profile: &Profile,
    limit: usize,
    server: Option<Url>,
    tls: Choice,
    timeout: Duration,
) -> Result<Vec<ActivityEntry>, EngineError> {
    let Parts { access, rest, .. } = parts(profile, server, tls, timeout).await?;
    let mut entries: Vec<ActivityEntry> = Vec::new();
    let mut before = None;
    while entries.len() < limit {
        let wanted = u32::try_from(limit - entries.len()).map_or(PAGE, |left| left.min(PAGE));
        let rest = &rest;
        let page = access.ask(|token| async move { rest.activity(&token, before, wanted).await }).await?;
        let Some(last) = page.entries.last().map(|entry| entry.seq) else { break };
        // What does not go back would be asked for without end.
        if before.is_some_and(|before| last >= before) {
            break;
        }
        entries.extend(page.entries);
        before = page.before.map(|_| last);
        if before.is_none() {
            break;
        }
    }
    entries.truncate(limit);
    Ok(entries)
}
