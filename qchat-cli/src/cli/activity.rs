//! The command that shows what the server has noted about the account.

use serde::Serialize;

use super::{Context, failure::Outcome, json, open, progress};
use crate::engine::{self, activity_moment as moment, activity_words as words};

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
