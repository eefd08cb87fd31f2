//! What the daemon has noted about the account, newest first.

use super::{
    super::{app::App, keymap::Action},
    Panel, PanelRow, sentences,
};

pub(super) fn rows(panel: &Panel, app: &App, width: usize) -> Vec<PanelRow> {
    let App { theme, words, .. } = *app;
    let intro = words.log_intro(words.key_of(&app.keymap, Action::Keys));
    let mut rows = sentences(intro, app, width, theme.quiet());
    rows.push(PanelRow::blank());
    match &panel.log {
        None => rows.extend(sentences(words.asking_server(), app, width, theme.quiet())),
        Some(entries) if entries.is_empty() => {
            rows.extend(sentences(words.nothing_yet(), app, width, theme.quiet()));
        }
        Some(entries) => {
            for entry in entries {
                let style = if entry.good { ratatui::style::Style::new() } else { theme.warning() };
                rows.extend(sentences(&entry.words, app, width, style));
            }
        }
    }
    rows
}
