//! The help: the keymap, printed.

use ratatui::{
    Frame,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::super::{
    app::App,
    keymap::{KEYMAP, Scope},
    text,
};

/// Draws the help from line `scrolled` on; the last page stays full.
pub(super) fn help(app: &App, scrolled: usize, frame: &mut Frame, area: Rect) {
    let lines = lines(app, area.width.into());
    let [body, foot] = area.layout(&ratatui::layout::Layout::vertical([
        ratatui::layout::Constraint::Min(0),
        ratatui::layout::Constraint::Length(1),
    ]));
    let height = usize::from(body.height);
    let first = scrolled.min(lines.len().saturating_sub(height));
    let more = if first + height < lines.len() { "  PgDn: more" } else { "" };
    let shown: Vec<_> = lines.into_iter().skip(first).take(height).collect();
    frame.render_widget(Paragraph::new(shown), body);
    frame.render_widget(Line::styled(format!(" Esc: close{more}"), app.theme.chosen()), foot);
}

fn lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (scope, heading) in Scope::ALL {
        lines.push(Line::styled(heading, Style::new().add_modifier(Modifier::BOLD)));
        for binding in KEYMAP.iter().filter(|binding| binding.scope == scope) {
            let chords: Vec<_> = binding.chords.iter().map(ToString::to_string).collect();
            let keys = format!("  {:<30}", chords.join(", "));
            let room = width.saturating_sub(keys.len() + 1).max(8);
            for (index, row) in text::wrap(binding.help, room, room).into_iter().enumerate() {
                let keys = if index == 0 { keys.clone() } else { " ".repeat(keys.len()) };
                lines.push(Line::from(vec![Span::styled(keys, app.theme.good()), Span::raw(row)]));
            }
        }
        lines.push(Line::default());
    }
    lines.pop();
    lines
}
