//! The command that says which server this is, and how the way to it is protected.

use serde::Serialize;

use super::{Context, account::fingerprint, failure::Outcome, open, progress};
use crate::{
    engine::{self, Link, ServerReport, Trust},
    vault,
};

#[derive(Serialize)]
struct ServerObject<'a> {
    v: u8,
    server: &'a str,
    server_id: String,
    tls: Option<TlsObject<'a>>,
    directory_key: Option<String>,
    directory_key_changed: bool,
}

#[derive(Serialize)]
struct TlsObject<'a> {
    version: &'static str,
    key_exchange: &'a str,
    post_quantum: bool,
    key: String,
    known_by: &'static str,
}

pub(super) async fn show(context: &Context) -> Outcome {
    let settings = &context.settings;
    let profile =
        if vault::exists(&settings.profile_dir()) { Some(open::profile(context).await?) } else { None };
    let asking = engine::server(profile.as_ref(), settings.server.clone(), settings.tls, settings.timeout);
    let report = progress::during(settings, "Asking the server", asking).await?;
    let tls = match &report.link {
        Link::Local => None,
        Link::Tls { key_exchange, post_quantum, key } => Some(TlsObject {
            version: "1.3",
            key_exchange,
            post_quantum: *post_quantum,
            key: key.to_string(),
            known_by: match report.trust {
                Trust::Roots => "roots",
                Trust::Key(_) => "key",
            },
        }),
    };
    let object = ServerObject {
        v: 1,
        server: report.url.as_str(),
        server_id: report.id.to_string(),
        tls,
        directory_key: report.directory_key.as_ref().map(fingerprint),
        directory_key_changed: report.other_directory,
    };
    Ok(context.output.result(&object, || words(&report))?)
}

fn words(report: &ServerReport) -> String {
    let mut lines = vec![report.url.to_string(), format!("  id            {}", report.id)];
    match &report.link {
        Link::Local => {
            lines.push("  protected by  nothing: the way to it does not leave this machine".to_owned());
        }
        Link::Tls { key_exchange, post_quantum, key } => {
            let strength = if *post_quantum { "post-quantum" } else { "NOT post-quantum" };
            let known = match report.trust {
                Trust::Roots => "its certificate, by the system's roots",
                Trust::Key(_) => "its key",
            };
            lines.push("  protected by  TLS 1.3".to_owned());
            lines.push(format!("  key exchange  {key_exchange} ({strength})"));
            lines.push(format!("  key           {key}"));
            lines.push(format!("  known by      {known}"));
        }
    }
    let key = report.directory_key.as_ref();
    let note = if report.other_directory { " (NOT the one that was seen first)" } else { "" };
    lines.push(format!(
        "  directory     {}{note}",
        key.map_or_else(|| "none: nobody notices false keys".to_owned(), fingerprint)
    ));
    lines.join("\n")
}
