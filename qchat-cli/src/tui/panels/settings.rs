//! Settings that can be changed on the screen; they are written to the configuration file.

use super::{super::app::App, Does, PanelRow, heading, sentences};
use crate::tui::{
    graphics::Graphics,
    keymap::Preset,
    prefs::{Change, Notifications, Notifier},
    theme::Look,
    words::Language,
};

/// The one after, and after the last the first.
fn next<T: Copy + PartialEq>(all: &[T], now: T) -> T {
    let at = all.iter().position(|one| *one == now).unwrap_or(0);
    all[(at + 1) % all.len()]
}

pub(super) fn rows(app: &App, width: usize) -> Vec<PanelRow> {
    let (prefs, words) = (&app.prefs, app.words);
    // As the file has them; but for what is either on or off, in whichever way the file says so.
    let named = |value: &str| value.to_owned();
    let switch = |on: bool| if on { words.on() } else { words.off() };
    let mut rows = Vec::new();
    heading(&mut rows, words.panel_settings(), app);
    for (name, value, change) in [
        (words.setting_theme(), named(prefs.look.name()), Change::Look(next(&Look::ALL, prefs.look))),
        (
            words.setting_keymap(),
            named(prefs.keymap.name()),
            Change::Keymap(next(&Preset::ALL, prefs.keymap)),
        ),
        (
            words.setting_language(),
            named(prefs.language.name()),
            Change::Language(next(&Language::ALL, prefs.language)),
        ),
        (
            words.setting_graphics(),
            named(prefs.graphics.name()),
            Change::Graphics(next(&Graphics::ALL, prefs.graphics)),
        ),
        (
            words.setting_notifications(),
            named(prefs.notifications.name()),
            Change::Notifications(next(&Notifications::ALL, prefs.notifications)),
        ),
        (
            words.setting_notifier(),
            named(prefs.notifier.name()),
            Change::Notifier(next(&Notifier::ALL, prefs.notifier)),
        ),
        (words.setting_bell(), switch(prefs.bell), Change::Bell(!prefs.bell)),
        (words.setting_receipts(), switch(prefs.receipts), Change::Receipts(!prefs.receipts)),
    ] {
        rows.push(PanelRow::fact(name, value).doing(Does::Set(change)));
    }
    rows.push(PanelRow::blank());
    rows.extend(sentences(words.settings_about(), app, width, app.theme.quiet()));
    rows
}
