//! What the daemon has noted about the own account.

use std::time::Duration;

use qchat_proto::{sanitize, session::ledger::KeyLife, wire::api::ActivityEntry};
use time::{OffsetDateTime, macros::format_description};
use url::Url;

use super::{
    access::Access,
    error::EngineError,
    handle::Handle,
    parts::{Parts, parts},
};
use crate::{
    net::{rest::Client, tls::Choice},
    store::Profile,
    zone::Zone,
};

/// Entries of one request; the daemon gives no more.
const PAGE: u32 = 200;
/// Characters of one of the daemon's words that are shown.
const MOST: usize = 64;

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
    let Parts { access, rest, .. } = parts(profile, server, tls, timeout, KeyLife::default()).await?;
    pages(&access, &rest, limit).await
}

impl Handle {
    /// [`activity`], by an engine that runs.
    ///
    /// # Errors
    /// As there.
    pub async fn activity(&self, limit: usize) -> Result<Vec<ActivityEntry>, EngineError> {
        pages(&self.0.access, &self.0.rest, limit).await
    }
}

async fn pages(access: &Access, rest: &Client, limit: usize) -> Result<Vec<ActivityEntry>, EngineError> {
    let mut entries: Vec<ActivityEntry> = Vec::new();
    let mut before = None;
    while entries.len() < limit {
        let wanted = u32::try_from(limit - entries.len()).map_or(PAGE, |left| left.min(PAGE));
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

/// An entry for people. Every word of it is the server's.
pub fn activity_words(entry: &ActivityEntry, this_device: bool, zone: &Zone) -> String {
    let word = |text: &str| sanitize::name(&text.replace('_', " "), MOST);
    let mut line = format!("{}  {}", clock(entry.first_at, zone), word(&entry.act));
    if entry.outcome != "done" {
        line.extend([": ", &word(&entry.outcome)]);
    }
    match (entry.actor.as_str(), entry.device_id) {
        ("account", Some(_)) if this_device => line.push_str(", by this device"),
        ("account", Some(device)) => line.extend([", by device ", &device.to_string()]),
        ("account", None) => {}
        (actor, device) => {
            line.extend([", by ", &word(actor)]);
            if let Some(device) = device {
                line.extend([", about device ", &device.to_string()]);
            }
        }
    }
    if let Some(from) = &entry.from {
        line.extend([", from ", &sanitize::name(from, MOST)]);
    }
    if entry.times > 1 {
        line.extend([", ", &entry.times.to_string(), " times until ", &clock(entry.last_at, zone)]);
    }
    line
}

fn clock(seconds: u64, zone: &Zone) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    zone.show(activity_moment(seconds)).format(format).unwrap_or_default()
}

/// What lies outside the calendar (the server may say anything) is shown as the epoch.
pub fn activity_moment(seconds: u64) -> OffsetDateTime {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_is_fit_for_a_terminal() {
        let entry = ActivityEntry {
            seq: u64::MAX,
            first_at: u64::MAX,
            last_at: 60,
            times: 37,
            act: "sign_in\u{1b}[2J".to_owned(),
            outcome: "wrong_proof\n".to_owned(),
            actor: "unknown\u{202e}".to_owned(),
            device_id: Some("0123456789abcdef0123456789abcdef".parse().unwrap()),
            from: Some(format!("203.0.113.0/24\r{}", "x".repeat(1000))),
        };
        let shown = activity_words(&entry, false, &Zone::utc());
        assert!(!shown.contains(['\u{1b}', '\n', '\r', '\u{202e}']), "{shown}");
        assert!(shown.starts_with("1970-01-01 00:00:00  sign in"), "{shown}");
        assert!(shown.ends_with(", 37 times until 1970-01-01 00:01:00"), "{shown}");
        assert!(shown.len() < 400, "{shown}");
        let entry = ActivityEntry {
            first_at: 0,
            times: 1,
            act: "sign_in".to_owned(),
            outcome: "done".to_owned(),
            actor: "account".to_owned(),
            from: None,
            ..entry
        };
        assert_eq!(
            activity_words(&entry, true, &Zone::utc()),
            "1970-01-01 00:00:00  sign in, by this device"
        );
    }
}
