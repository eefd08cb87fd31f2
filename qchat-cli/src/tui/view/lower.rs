//! What stands below the timeline: reports, the composer or a prompt in its place, and the status line.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    super::{
        app::{App, Overlay, Prompt, Question, Report},
        composer::Composer,
        lines, text,
    },
    areas::Areas,
};
use crate::engine::types::{Connection, Link, RoomStatus};

/// Draws the lower part.
pub(super) fn draw(app: &App, frame: &mut Frame, areas: &Areas) {
    if let Some((words, style)) = report(app) {
        let columns = usize::from(areas.report.width).max(1);
        let rows = text::wrap(&words, columns, columns).into_iter().map(|row| Line::styled(row, style));
        frame.render_widget(Paragraph::new(rows.collect::<Vec<_>>()), areas.report);
    }
    let (title, style) = title(app);
    frame.render_widget(lines::rule(&title, areas.rule.width.into(), style), areas.rule);
    match &app.overlay {
        Overlay::Prompt { input, .. } => field(input, frame, areas.composer),
        Overlay::Question(question) => {
            let keys = match question {
                Question::Link(_) => "Ctrl-y: yes   Esc: no",
                Question::Join(_) | Question::Decline(_) => "y: yes   n: no",
            };
            frame.render_widget(Line::styled(keys, Style::new()), areas.composer);
        }
        Overlay::None | Overlay::Help { .. } => match app.current().map(|room| room.status) {
            Some(RoomStatus::Joined) => field(&app.composer, frame, areas.composer),
            status => {
                let rows = no_composer(status, areas.composer.width).into_iter();
                let rows: Vec<_> = rows.map(|row| Line::styled(row, app.theme.quiet())).collect();
                frame.render_widget(Paragraph::new(rows), areas.composer);
            }
        },
    }
    status(app, frame, areas.status);
}

/// What is reported.
pub(super) fn report(app: &App) -> Option<(String, Style)> {
    Some(match app.report.as_ref()? {
        Report::Info(words) => (text::clean_line(words), app.theme.notice()),
        Report::Trouble(words) => (format!("! {}  (Esc)", text::clean_line(words)), app.theme.failure()),
    })
}

/// How many messages have arrived below the window.
fn below(app: &App) -> usize {
    let Some(open) = app.open.as_ref().filter(|open| !open.timeline.follows()) else { return 0 };
    open.read_to.map_or(0, |row| open.timeline.count_after(row))
}

fn title(app: &App) -> (String, Style) {
    let room = |id| text::clean_line(app.summary(id).map_or("the room", |room| &room.name));
    match &app.overlay {
        Overlay::Prompt { what: Prompt::RoomName, .. } => {
            ("Name of the new room (Enter creates it, Esc cancels)".to_owned(), app.theme.unread())
        }
        Overlay::Prompt { what: Prompt::Invitees(id), .. } => {
            (format!("Whom to invite to {}? (names; Esc cancels)", room(*id)), app.theme.unread())
        }
        Overlay::Question(Question::Join(id)) => (format!("Join {}?", room(*id)), app.theme.unread()),
        Overlay::Question(Question::Decline(id)) => {
            (format!("Decline the invitation to {}?", room(*id)), app.theme.unread())
        }
        Overlay::Question(Question::Link(_)) => {
            ("Do both devices show the same?".to_owned(), app.theme.unread())
        }
        Overlay::None | Overlay::Help { .. } => match app.current() {
            Some(current) => match (text::clean_line(&current.name), below(app)) {
                (name, 0) => (name, app.theme.quiet()),
                (name, below) => (format!("{name} · ↓ {below} new below (Ctrl+End)"), app.theme.unread()),
            },
            None => ("qchat".to_owned(), app.theme.quiet()),
        },
    }
}

fn field(input: &Composer, frame: &mut Frame, area: Rect) {
    frame.render_widget(Line::raw(">"), Rect { height: 1, ..area });
    let area = Rect { x: area.x + 2, width: area.width.saturating_sub(2), ..area };
    frame.render_widget(input.area(), area);
    // The terminal's own cursor: input methods put their windows there.
    let cursor = input.area().screen_cursor();
    let (top, left) = input.area().scroll_offset();
    let x = area.x.saturating_add(u16::try_from(cursor.col).unwrap_or(u16::MAX).saturating_sub(left));
    let y = area.y.saturating_add(u16::try_from(cursor.row).unwrap_or(u16::MAX).saturating_sub(top));
    frame.set_cursor_position(Position::new(x.min(area.right().saturating_sub(1)), y.min(area.bottom() - 1)));
}

/// What stands where nothing can be written.
pub(super) fn no_composer(status: Option<RoomStatus>, columns: u16) -> Vec<String> {
    let words = match status {
        Some(RoomStatus::Invited) => "j: join   d: decline",
        Some(RoomStatus::Removed) => "You were removed from this room; what was said before stays readable.",
        Some(RoomStatus::Stuck) => {
            "This device cannot follow the room any more; a member has to add it again."
        }
        Some(RoomStatus::Left) => "You left this room.",
        Some(RoomStatus::Joined) | None => "Ctrl+N creates a room.",
    };
    text::wrap(words, columns.into(), columns.into())
}

fn status(app: &App, frame: &mut Frame, area: Rect) {
    let theme = app.theme;
    let (word, style) = match &app.connection {
        Connection::Online(Link::Local) => ("online".to_owned(), theme.good()),
        Connection::Online(Link::Tls { key_exchange, post_quantum: true, .. }) => {
            (format!("online ({key_exchange})"), theme.good())
        }
        Connection::Online(Link::Tls { key_exchange, .. }) => {
            (format!("online ({key_exchange}, not post-quantum)"), theme.unread())
        }
        Connection::Connecting => ("connecting…".to_owned(), theme.unread()),
        Connection::Offline(why) => (format!("offline: {}", text::clean_line(why)), theme.warning()),
    };
    let help = "F1 help ";
    let width = usize::from(area.width);
    let rest = facts(app);
    let word = text::truncate(&format!(" {word}"), width / 2);
    let rest = text::truncate(&rest, width.saturating_sub(text::width(&word) + help.len() + 1));
    let gap = width.saturating_sub(text::width(&word) + text::width(&rest) + help.len());
    let line = Line::from(vec![
        Span::styled(word, style),
        Span::styled(rest, Style::new()),
        Span::raw(" ".repeat(gap)),
        Span::styled(help, theme.quiet()),
    ]);
    frame.render_widget(line.patch_style(theme.chosen()), area);
}

/// Who, where, and what waits, for the status line.
fn facts(app: &App) -> String {
    let mut facts = vec![text::clean_line(&app.me)];
    if let (Some(room), Some(details)) =
        (app.current(), app.open.as_ref().and_then(|open| open.details.as_ref()))
    {
        let members = details.members.iter().filter(|member| !member.invited).count();
        let plural = if members == 1 { "" } else { "s" };
        facts.push(text::clean_line(&room.name));
        facts.push(match details.members.len() - members {
            0 => format!("{members} member{plural}"),
            invited => format!("{members} member{plural}, {invited} invited"),
        });
        facts.push(format!("epoch {}", details.epoch));
        if details.waiting > 0 {
            facts.push(format!("{} to send", details.waiting));
        }
    }
    let open = app.open.as_ref().map(|open| open.id);
    let elsewhere: u64 =
        app.rooms().iter().filter(|room| Some(room.id) != open).map(|room| room.unread).sum();
    if elsewhere > 0 {
        facts.push(format!("{elsewhere} unread elsewhere"));
    }
    facts.iter().flat_map(|fact| [" · ", fact]).collect()
}
