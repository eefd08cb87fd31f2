//! The list of rooms.

use qchat_proto::ids::RoomId;
use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph},
};

use super::{
    super::{app::App, bidi, text, words::Words},
    people,
};
use crate::engine::types::{RoomMarks, RoomStatus, RoomSummary};

/// Draws the list; the open room, or the one that is chosen, is always among those shown.
pub(super) fn draw(app: &App, frame: &mut Frame, area: Rect) {
    let border = Block::new().borders(Borders::RIGHT).border_style(app.theme.quiet());
    let inner = border.inner(area);
    frame.render_widget(border, area);
    let width = usize::from(inner.width);
    let mut lines = vec![heading(app, width)];
    let chosen = chosen(app);
    let listed = app.listed();
    let shown = listed.iter().enumerate().skip(first_shown(app, area));
    lines.extend(shown.map(|(at, room)| entry(app, room, Some(at) == chosen, width)));
    frame.render_widget(Paragraph::new(lines), inner);
}

fn heading(app: &App, width: usize) -> Line<'static> {
    let line = match &app.filter {
        Some(filter) => {
            let typed = text::clean_line(&filter.input.text());
            Line::styled(text::truncate(&app.words.rooms_find(typed), width), app.theme.unread())
        }
        None => Line::styled(app.words.rooms_title(), app.theme.heading()),
    };
    app.words.line(line)
}

/// The place in the list of the room that is open; while one is looked for, of the one that Enter opens.
fn chosen(app: &App) -> Option<usize> {
    if let Some(filter) = &app.filter {
        return Some(filter.at);
    }
    let open = app.open.as_ref()?;
    app.listed().iter().position(|room| room.id == open.id)
}

/// The room in this row of the screen.
pub(in super::super) fn room_at(app: &App, area: Rect, row: u16) -> Option<RoomId> {
    let line = usize::from(row.checked_sub(area.y + 1)?);
    app.listed().get(first_shown(app, area) + line).map(|room| room.id)
}

fn first_shown(app: &App, area: Rect) -> usize {
    let height = usize::from(area.height.saturating_sub(1));
    chosen(app).map_or(0, |at| (at + 1).saturating_sub(height))
}

/// What stands behind a room's name: what is unread, how much of it speaks to the user, and what they have noted of it.
fn tail(room: &RoomSummary, words: Words) -> String {
    let count = |count: u64| if count > 999 { "999+".to_owned() } else { count.to_string() };
    let mut tail = match (room.mentions, room.unread) {
        (0, 0) => vec![],
        (0, unread) => vec![count(unread)],
        (mentions, unread) => vec![format!("@{} {}", count(mentions), count(unread))],
    };
    let RoomMarks { archived, muted, favourite } = room.marks;
    let marks = [(favourite, "★".to_owned()), (muted, "⊘".to_owned()), (archived, words.room_archived())];
    tail.extend(marks.into_iter().filter(|(is, _)| *is).map(|(_, mark)| mark));
    tail.join(" ")
}

fn entry(app: &App, room: &RoomSummary, chosen: bool, width: usize) -> Line<'static> {
    let App { theme, words, .. } = *app;
    let (mark, tail, style) = match room.status {
        RoomStatus::Invited => ("?", words.room_invited(), theme.unread()),
        RoomStatus::Removed => ("×", words.room_removed(), theme.quiet()),
        RoomStatus::Stuck => ("!", words.room_stuck(), theme.warning()),
        RoomStatus::Left => ("×", words.room_left(), theme.quiet()),
        RoomStatus::Joined if room.blocked_by.is_some() => ("!", words.room_blocked(), theme.warning()),
        // What the user does not want to be told of does not call.
        RoomStatus::Joined if !room.marks.is_loud() => (" ", tail(room, words), theme.quiet()),
        RoomStatus::Joined if room.mentions > 0 => ("@", tail(room, words), theme.mention()),
        RoomStatus::Joined if room.unread > 0 => ("•", tail(room, words), theme.unread()),
        RoomStatus::Joined => (" ", tail(room, words), Style::new()),
    };
    let there = people::partner(app, room).and_then(people::mark);
    let there = there.map_or_else(String::new, |mark| format!(" {mark}"));
    let cells = width.saturating_sub(text::width(&tail) + text::width(&there) + 4);
    let name = text::truncate(&text::clean_line(&room.name), cells);
    let gap = " ".repeat(cells.saturating_sub(text::width(&name)));
    let named = if room.unread > 0 || !room.marks.is_loud() { style } else { Style::new() };
    let pointer = if chosen { ">" } else { " " };
    let line = Line::from(vec![
        Span::styled(format!("{pointer}{mark}"), style),
        Span::styled(bidi::visual(&name), named),
        Span::styled(there, theme.good()),
        Span::styled(format!("{gap} {} ", words.visual(&tail)), style),
    ]);
    if chosen { line.patch_style(theme.chosen()) } else { line }
}
