//! The account's identity, its devices, its backups, and the keys of the open room.

use ratatui::text::{Line, Span};
use time::macros::format_description;

use super::{
    super::app::{App, Question},
    Does, Panel, PanelRow, heading, sentences,
};
use crate::{
    engine::types::{OwnDevice, size},
    tui::{msg::Command, text},
};

fn date(app: &App, at: time::OffsetDateTime) -> String {
    app.zone.show(at).format(format_description!("[year]-[month]-[day] [hour]:[minute]")).unwrap_or_default()
}

pub(super) fn rows(panel: &Panel, app: &App, width: usize) -> Vec<PanelRow> {
    let theme = app.theme;
    let mut rows = Vec::new();
    heading(&mut rows, &format!("{}'s identity key (SHA-384)", app.me), app);
    match &panel.keys {
        Some(keys) => {
            rows.extend(fingerprint(&keys.fingerprint, width).map(|row| PanelRow::words(row, theme.good())));
        }
        None => rows.extend(sentences("Reading…", width, theme.quiet())),
    }

    heading(&mut rows, "Devices of the account", app);
    match &panel.devices {
        Some(devices) => rows.extend(devices.iter().map(|device| own_device(device, app))),
        None => rows.extend(sentences("Asking the server…", width, theme.quiet())),
    }
    rows.extend(sentences("x takes a device out of the account.", width, theme.quiet()));

    if let Some((open, details)) = app.open.as_ref().and_then(|open| Some((open, open.details.as_ref()?))) {
        heading(&mut rows, &format!("Keys of {}", details.summary.name), app);
        rows.push(PanelRow::fact("suite", super::super::preview::SUITE));
        rows.push(PanelRow::fact("epoch", details.epoch.to_string()));
        let renewed = details.keys_renewed.map_or_else(|| "not yet".to_owned(), |at| date(app, at));
        rows.push(PanelRow::fact("last update", renewed));
        if let Some(mixed) = &details.mixed_key {
            rows.push(PanelRow::fact("mixed in", format!("{:?} since epoch {}", mixed.kind, mixed.since)));
        }
        rows.push(
            PanelRow::words("Update the keys now", theme.good())
                .doing(Does::Run(Command::UpdateKeys(open.id))),
        );
    }

    heading(&mut rows, "Backups at the server", app);
    match panel.keys.as_ref().map(|keys| &keys.backups) {
        None => rows.extend(sentences("Asking the server…", width, theme.quiet())),
        Some(Err(why)) => rows.extend(sentences(why, width, theme.warning())),
        Some(Ok(backups)) if backups.is_empty() => rows.extend(sentences(
            "There is none: who loses all devices loses the history. `qchat backup create` makes one.",
            width,
            theme.warning(),
        )),
        Some(Ok(backups)) => rows.extend(backups.iter().map(|backup| {
            let when = backup.created_at.map_or_else(|| "at an unknown time".to_owned(), |at| date(app, at));
            let whose = if backup.me { "this device".to_owned() } else { backup.device.to_string() };
            PanelRow::words(
                format!("{when}  {} messages, {}, of {whose}", backup.messages, size(backup.bytes)),
                theme.quiet(),
            )
        })),
    }
    rows
}

/// A fingerprint in groups, in as many lines as it takes.
pub(super) fn fingerprint(hex: &str, width: usize) -> impl Iterator<Item = String> {
    let groups: Vec<&str> =
        hex.as_bytes().chunks(8).map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    let row = (width / 9).clamp(1, 4);
    groups.chunks(row).map(|groups| groups.join(" ")).collect::<Vec<_>>().into_iter()
}

fn own_device(device: &OwnDevice, app: &App) -> PanelRow {
    let theme = app.theme;
    let name = device.name.as_deref().map_or_else(|| "(no name)".to_owned(), text::clean_line);
    let seen = device.last_seen.map_or_else(String::new, |at| format!(", seen {}", date(app, at)));
    let me = if device.me { ", this one" } else { "" };
    let line = Line::from(vec![
        Span::styled(format!("{name}  "), theme.heading()),
        Span::raw(format!("since {}{seen}{me}  ", date(app, device.added_at))),
        Span::styled(device.device.to_string(), theme.quiet()),
    ]);
    let row = PanelRow { line, ..PanelRow::default() };
    if device.me { row } else { row.or(Does::Ask(Question::Revoke(device.device, name))) }
}
