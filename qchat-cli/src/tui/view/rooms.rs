//! The list of rooms.

use qchat_proto::ids::RoomId;
use ratatui::{
    Frame,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph},
};

use super::super::{app::App, text, theme::Theme};
use crate::engine::types::{RoomStatus, RoomSummary};

/// Draws the list; the open room is always among those shown.
pub(super) fn draw(app: &App, frame: &mut Frame, area: Rect) {
    let border = Block::new().borders(Borders::RIGHT).border_style(app.theme.quiet());
    let inner = border.inner(area);
    frame.render_widget(border, area);
    let width = usize::from(inner.width);
    let mut lines = vec![Line::styled("Rooms", Style::new().add_modifier(Modifier::BOLD))];
    let open = app.open.as_ref().map(|open| open.id);
    lines.extend(
        app.rooms()
            .iter()
            .skip(first_shown(app, area))
            .map(|room| entry(room, Some(room.id) == open, width, app.theme)),
    );
    frame.render_widget(Paragraph::new(lines), inner);
}

/// The room in this row of the screen.
pub(in super::super) fn room_at(app: &App, area: Rect, row: u16) -> Option<RoomId> {
    let line = usize::from(row.checked_sub(area.y + 1)?);
    app.rooms().get(first_shown(app, area) + line).map(|room| room.id)
}

fn first_shown(app: &App, area: Rect) -> usize {
    let height = usize::from(area.height.saturating_sub(1));
    let open = app.open.as_ref().and_then(|open| app.rooms().iter().position(|room| room.id == open.id));
    open.map_or(0, |at| (at + 1).saturating_sub(height))
}

fn entry(room: &RoomSummary, open: bool, width: usize, theme: Theme) -> Line<'static> {
    let (mark, tail, style) = match room.status {
        RoomStatus::Invited => ("?", "invited".to_owned(), theme.unread()),
        RoomStatus::Removed => ("×", "removed".to_owned(), theme.quiet()),
        RoomStatus::Stuck => ("!", "stuck".to_owned(), theme.warning()),
        RoomStatus::Left => ("×", "left".to_owned(), theme.quiet()),
        RoomStatus::Joined if room.blocked_by.is_some() => ("!", "blocked".to_owned(), theme.warning()),
        RoomStatus::Joined if room.unread > 999 => ("•", "999+".to_owned(), theme.unread()),
        RoomStatus::Joined if room.unread > 0 => ("•", room.unread.to_string(), theme.unread()),
        RoomStatus::Joined => (" ", String::new(), Style::new()),
    };
    let cells = width.saturating_sub(text::width(&tail) + 4);
    let name = text::truncate(&text::clean_line(&room.name), cells);
    let gap = " ".repeat(cells.saturating_sub(text::width(&name)));
    let pointer = if open { ">" } else { " " };
    let line = Line::from(vec![
        Span::styled(format!("{pointer}{mark}"), style),
        Span::styled(name, if room.unread > 0 { style } else { Style::new() }),
        Span::styled(format!("{gap} {tail} "), style),
    ]);
    if open { line.patch_style(theme.chosen()) } else { line }
}
