//! What the daemon has noted about the account, newest first.

use super::{
    super::{app::App, keymap::Action},
    Panel, PanelRow, sentences,
};

pub(super) fn rows(panel: &Panel, app: &App, width: usize) -> Vec<PanelRow> {
    let theme = app.theme;
    let key = app.keymap.any_key(Action::Keys);
    let words = format!(
        "The server's words about who signed in, and what was tried. What you do not recognise: take the device out ({key})."
    );
    let mut rows = sentences(&words, width, theme.quiet());
    rows.push(PanelRow::blank());
    match &panel.log {
        None => rows.extend(sentences("Asking the server…", width, theme.quiet())),
        Some(entries) if entries.is_empty() => rows.extend(sentences("Nothing yet.", width, theme.quiet())),
        Some(entries) => {
            for entry in entries {
                let style = if entry.good { ratatui::style::Style::new() } else { theme.warning() };
                rows.extend(sentences(&entry.words, width, style));
            }
        }
    }
    rows
}
