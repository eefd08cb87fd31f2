//! The command that shows what the server has noted about the account.

use qchat_proto::{sanitize, wire::api::ActivityEntry};
use serde::Serialize;
use time::{OffsetDateTime, macros::format_description};

use super::{Context, failure::Outcome, json, open, progress};
use crate::{engine, zone::Zone};

/// Characters of one of the server's words that are shown.
const MOST: usize = 64;

/// An entry for scripts.
#[derive(Serialize)]
struct Entry<'a> {
    v: u8,
    seq: u64,
    first_at: String,
    last_at: String,
    times: u64,
    act: &'a str,
    outcome: &'a str,
    actor: &'a str,
    device: Option<String>,
    this_device: bool,
    from: Option<&'a str>,
}

pub(super) async fn activity(context: &Context, limit: usize) -> Outcome {
    let settings = &context.settings;
    let profile = open::profile(context).await?;
    let asking = engine::activity(&profile, limit, settings.server.clone(), settings.tls, settings.timeout);
    let entries = progress::during(settings, "Asking the server", asking).await?;
    let own = engine::whoami(&profile).await?;
    for entry in entries.iter().rev() {
        let this_device = entry.device_id == Some(own.device);
        let object = Entry {
            v: 1,
            seq: entry.seq,
            first_at: json::rfc3339(moment(entry.first_at)),
            last_at: json::rfc3339(moment(entry.last_at)),
            times: entry.times,
            act: &entry.act,
            outcome: &entry.outcome,
            actor: &entry.actor,
            device: entry.device_id.map(|device| device.to_string()),
            this_device,
            from: entry.from.as_deref(),
        };
        context.output.result(&object, || words(entry, this_device, &context.zone))?;
    }
    Ok(())
}

/// An entry for people. Every word of it is the server's.
fn words(entry: &ActivityEntry, this_device: bool, zone: &Zone) -> String {
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
    zone.show(moment(seconds)).format(format).unwrap_or_default()
}

/// What lies outside the calendar (the server may say anything) is shown as the epoch.
fn moment(seconds: u64) -> OffsetDateTime {
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
        let shown = words(&entry, false, &Zone::utc());
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
        assert_eq!(words(&entry, true, &Zone::utc()), "1970-01-01 00:00:00  sign in, by this device");
    }
}
