//! The help: the keymap, printed.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::super::{
    app::App,
    keymap::{Binding, KEYMAP, Scope},
    text,
};

/// Draws the help from line `scrolled` on; the last page stays full.
pub(super) fn help(app: &App, scrolled: usize, frame: &mut Frame, area: Rect) {
    let lines = lines(app, area.width.into());
    let [body, foot] = area.layout(&Layout::vertical([Constraint::Min(0), Constraint::Length(1)]));
    let height = usize::from(body.height);
    let first = scrolled.min(lines.len().saturating_sub(height));
    let more = if first + height < lines.len() { "  PgDn: more" } else { "" };
    let shown: Vec<_> = lines.into_iter().skip(first).take(height).collect();
    frame.render_widget(Paragraph::new(shown), body);
    frame.render_widget(Line::styled(format!(" Esc: close{more}"), app.theme.chosen()), foot);
}

/// How far the help can be scrolled on this screen.
pub(in super::super) fn furthest(app: &App) -> usize {
    let body = usize::from(app.size.height.saturating_sub(1));
    lines(app, app.size.width.into()).len().saturating_sub(body)
}

fn lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let chords =
        |binding: &Binding| binding.chords.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let column = KEYMAP.iter().map(|binding| chords(binding).len()).max().unwrap_or(0) + 2;
    let mut lines = Vec::new();
    for (scope, heading) in Scope::ALL {
        lines.push(Line::styled(heading, Style::new().add_modifier(Modifier::BOLD)));
        for binding in KEYMAP.iter().filter(|binding| binding.scope == scope) {
            let keys = format!("  {:<column$}", chords(binding));
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
