//! What lies over a room: the help, which is the keymap printed, and a device that wants to belong to the account.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::super::{
    app::App,
    keymap::{Binding, Scope},
    text,
};
use crate::engine::types::LinkRequest;

/// Draws the help from line `scrolled` on; the last page stays full.
pub(super) fn help(app: &App, scrolled: usize, frame: &mut Frame, area: Rect) {
    let lines = lines(app, area.width.into());
    let [body, foot] = area.layout(&Layout::vertical([Constraint::Min(0), Constraint::Length(1)]));
    let height = usize::from(body.height);
    let first = scrolled.min(lines.len().saturating_sub(height));
    let mut keys = format!(" {}", app.words.help_close());
    if first + height < lines.len() {
        keys.extend(["  ", &app.words.help_more()]);
    }
    let shown: Vec<_> = lines.into_iter().skip(first).take(height).collect();
    frame.render_widget(Paragraph::new(shown), body);
    frame.render_widget(app.words.line(Line::styled(keys, app.theme.bar())), foot);
}

/// A device that wants to belong to the account, and what it has to show: the pictures with their names below them where there
/// is room, and the digits for who cannot see them.
pub(super) fn link(app: &App, request: &LinkRequest, area: Rect) -> Vec<Line<'static>> {
    let width = usize::from(area.width.saturating_sub(4)).max(1);
    let emoji = request.code.emoji();
    let asked = app.zone.show(request.asked_at);
    let at = format!("{:02}:{:02}", asked.hour(), asked.minute());
    let words = app.words.link_request(text::clean_line(&request.name), at);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut lines = app.words.paragraph(&words, width, Style::new());
    lines.push(Line::default());
    let names = emoji.map(|emoji| emoji.name).join(" ");
    let mut code = vec![Line::styled(emoji.map(|emoji| emoji.picture).join("  "), bold)];
    code.extend(text::wrap(&names, width, width).into_iter().map(|row| Line::styled(row, app.theme.quiet())));
    code.push(Line::styled(request.code.digits(), bold));
    // Where there is no room for both, what is to be compared is what stays.
    lines.truncate(usize::from(area.height).saturating_sub(code.len()));
    lines.extend(code);
    let above = usize::from(area.height).saturating_sub(lines.len()) / 2;
    let blank = std::iter::repeat_n(Line::default(), above);
    blank.chain(lines.into_iter().map(Line::centered)).collect()
}

/// How far the help can be scrolled on this screen.
pub(in super::super) fn furthest(app: &App) -> usize {
    let body = usize::from(app.size.height.saturating_sub(1));
    lines(app, app.size.width.into()).len().saturating_sub(body)
}

fn lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let chords =
        |binding: &Binding| binding.chords.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let shown = |scope| app.keymap.within(scope).filter(|binding| !binding.chords.is_empty());
    let all = Scope::ALL.iter().flat_map(|scope| shown(*scope));
    let column = all.map(|binding| chords(binding).len()).max().unwrap_or(0).min(24) + 2;
    let mut lines = Vec::new();
    for &scope in Scope::ALL {
        lines.push(app.words.line(Line::styled(app.words.scope(scope), app.theme.heading())));
        for binding in shown(scope) {
            let keys = format!("  {:<column$}", text::truncate(&chords(binding), column - 1));
            let taken = text::width(&keys);
            let room = width.saturating_sub(taken + 1).max(8);
            let help = app.words.action(binding.action);
            for (index, row) in text::wrap(&help, room, room).into_iter().enumerate() {
                let keys = if index == 0 { keys.clone() } else { " ".repeat(taken) };
                let line = Line::from(vec![Span::styled(keys, app.theme.good()), Span::raw(row)]);
                lines.push(app.words.line(line));
            }
        }
        lines.push(Line::default());
    }
    lines.pop();
    lines
}
