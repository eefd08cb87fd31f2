//! The account's identity, its devices, its backups, and the keys of the open room.

use ratatui::text::{Line, Span};
use time::macros::format_description;

use super::{
    super::app::{App, Question},
    Does, Panel, PanelRow, heading, sentences,
};
use crate::{
    engine::types::OwnDevice,
    tui::{msg::Command, text},
};

fn date(app: &App, at: time::OffsetDateTime) -> String {
    app.zone.show(at).format(format_description!("[year]-[month]-[day] [hour]:[minute]")).unwrap_or_default()
}

pub(super) fn rows(panel: &Panel, app: &App, width: usize) -> Vec<PanelRow> {
    let App { theme, words, .. } = *app;
    let mut rows = Vec::new();
    heading(&mut rows, words.identity_heading(&app.me), app);
    match &panel.keys {
        Some(keys) => {
            rows.extend(fingerprint(&keys.fingerprint, width).map(|row| PanelRow::words(row, theme.good())));
        }
        None => rows.extend(sentences(words.reading(), app, width, theme.quiet())),
    }

    heading(&mut rows, words.devices_heading(), app);
    match &panel.devices {
        Some(devices) => rows.extend(devices.iter().map(|device| own_device(device, app))),
        None => rows.extend(sentences(words.asking_server(), app, width, theme.quiet())),
    }
    rows.extend(sentences(words.devices_hint(), app, width, theme.quiet()));

    if let Some((open, details)) = app.open.as_ref().and_then(|open| Some((open, open.details.as_ref()?))) {
        heading(&mut rows, words.room_keys_heading(&details.summary.name), app);
        rows.push(PanelRow::fact(words.fact_suite(), super::super::preview::SUITE));
        rows.push(PanelRow::fact(words.fact_epoch(), details.epoch.to_string()));
        let renewed = details.keys_renewed.map_or_else(|| words.not_yet(), |at| date(app, at));
        rows.push(PanelRow::fact(words.fact_last_update(), renewed));
        if let Some(mixed) = &details.mixed_key {
            let since = words.mixed_since(format!("{:?}", mixed.kind), mixed.since);
            rows.push(PanelRow::fact(words.fact_mixed(), since));
        }
        rows.push(
            PanelRow::words(words.update_keys(), theme.good()).doing(Does::Run(Command::UpdateKeys(open.id))),
        );
    }

    heading(&mut rows, words.backups_heading(), app);
    match panel.keys.as_ref().map(|keys| &keys.backups) {
        None => rows.extend(sentences(words.asking_server(), app, width, theme.quiet())),
        Some(Err(why)) => rows.extend(sentences(why, app, width, theme.warning())),
        Some(Ok(backups)) if backups.is_empty() => {
            rows.extend(sentences(words.backups_none(), app, width, theme.warning()));
        }
        Some(Ok(backups)) => rows.extend(backups.iter().map(|backup| {
            let when = backup.created_at.map_or_else(|| words.unknown_time(), |at| date(app, at));
            let whose = if backup.me { words.this_device() } else { backup.device.to_string() };
            let size = words.size(backup.bytes);
            PanelRow::words(words.backup_line(when, backup.messages, size, whose), theme.quiet())
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
    let App { theme, words, .. } = *app;
    let name = device.name.as_deref().map_or_else(|| words.device_no_name(), text::clean_line);
    let seen = device.last_seen.map(|at| words.device_seen(date(app, at)));
    let me = device.me.then(|| words.device_this());
    let facts = [Some(words.device_since(date(app, device.added_at))), seen, me];
    let facts = facts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let line = Line::from(vec![
        Span::styled(format!("{name}  "), theme.heading()),
        Span::raw(format!("{facts}  ")),
        Span::styled(device.device.to_string(), theme.quiet()),
    ]);
    let row = PanelRow { line, ..PanelRow::default() };
    if device.me { row } else { row.or(Does::Ask(Question::Revoke(device.device, name))) }
}
