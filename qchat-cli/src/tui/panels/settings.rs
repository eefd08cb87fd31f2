//! Settings that can be changed on the screen; they are written to the configuration file.

use super::{super::app::App, Does, PanelRow, heading, sentences};
use crate::tui::{
    keymap::Preset,
    prefs::{Change, Notifications, Notifier},
    theme::Look,
};

/// The one after, and after the last the first.
fn next<T: Copy + PartialEq>(all: &[T], now: T) -> T {
    let at = all.iter().position(|one| *one == now).unwrap_or(0);
    all[(at + 1) % all.len()]
}

pub(super) fn rows(app: &App, width: usize) -> Vec<PanelRow> {
    let prefs = &app.prefs;
    let on = |on: bool| if on { "on" } else { "off" };
    let mut rows = Vec::new();
    heading(&mut rows, "Settings", app);
    for (name, value, change) in [
        ("theme", prefs.look.name(), Change::Look(next(&Look::ALL, prefs.look))),
        ("keymap", prefs.keymap.name(), Change::Keymap(next(&Preset::ALL, prefs.keymap))),
        (
            "notifications",
            prefs.notifications.name(),
            Change::Notifications(next(&Notifications::ALL, prefs.notifications)),
        ),
        ("notifier", prefs.notifier.name(), Change::Notifier(next(&Notifier::ALL, prefs.notifier))),
        ("bell", on(prefs.bell), Change::Bell(!prefs.bell)),
        ("receipts", on(prefs.receipts), Change::Receipts(!prefs.receipts)),
    ] {
        rows.push(PanelRow::fact(name, value).doing(Does::Set(change)));
    }
    rows.push(PanelRow::blank());
    let words = "Enter goes to the next value and writes it to the configuration file. Notifications say nothing, that there is a \
                 message, its room and sender, or its text too; others may see the desktop. The terminal shows them, or the desktop, which \
                 may keep them. Receipts hold from the next start on. \
                 Keys of your own go into the table [keys] of that file.";
    rows.extend(sentences(words, width, app.theme.quiet()));
    rows
}
