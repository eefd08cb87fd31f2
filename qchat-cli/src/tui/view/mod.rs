//! `view`: draws the state. It changes nothing and decides nothing.

pub(super) mod areas;
mod lower;
pub(super) mod overlay;
pub(super) mod rooms;

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::Line,
    widgets::{Paragraph, Wrap},
};

use self::areas::Areas;
use super::{
    app::{App, Overlay, Question},
    lines::Pane,
    lock::Lock,
    text,
};
use crate::engine::types::RoomStatus;

/// The smallest terminal that rooms are drawn on.
const SMALLEST: (u16, u16) = (30, 8);

/// What stands below an invitation.
const ASKING: &str = "j or Enter joins, d declines. Nothing is sent before you decide.";

/// Draws the screen.
pub fn view(app: &App, frame: &mut Frame) {
    let whole = frame.area();
    if whole.width < SMALLEST.0 || whole.height < SMALLEST.1 {
        let (columns, rows) = SMALLEST;
        let words = format!("The terminal is too small: qchat needs {columns} columns and {rows} rows.");
        frame.render_widget(Paragraph::new(words).wrap(Wrap { trim: true }), whole);
    } else if let Some(lock) = &app.lock {
        locked(lock, frame, whole);
    } else if let Overlay::Help { scrolled } = app.overlay {
        overlay::help(app, scrolled, frame, whole);
    } else {
        let areas = Areas::within(app, whole);
        if let Some(side) = areas.side {
            rooms::draw(app, frame, side);
        }
        timeline(app, frame, areas.timeline);
        lower::draw(app, frame, &areas);
    }
    defend(frame);
}

/// A locked screen: nothing of what lies behind it.
fn locked(lock: &Lock, frame: &mut Frame, area: Rect) {
    let below = match (&lock.refused, lock.trying) {
        (_, true) => "Trying…".to_owned(),
        (Some(why), false) => text::clean_line(why),
        (None, false) => String::new(),
    };
    let stars = "•".repeat(lock.length().min(usize::from(area.width) / 2));
    let words = format!(
        "Locked: nobody has pressed a key for a while.\n\nPassphrase: {stars}\n\n{below}\n\nCtrl+Q quits."
    );
    frame.render_widget(Paragraph::new(centred(&words, area, Style::new())), area);
}

fn timeline(app: &App, frame: &mut Frame, area: Rect) {
    let pane =
        Pane { width: area.width.into(), height: area.height.into(), theme: app.theme, zone: &app.zone };
    let quiet = |words: &str| centred(words, area, app.theme.quiet());
    if let (Overlay::Question(Question::Link(_)), Some(request)) = (&app.overlay, app.asking()) {
        let lines = overlay::link(app, request, area);
        frame.render_widget(Paragraph::new(lines), area);
        return;
    }
    let lines = match (&app.open, app.current().map(|room| (room.status, room))) {
        (_, Some((RoomStatus::Invited, room))) => {
            let who = text::clean_line(room.invited_by.as_deref().unwrap_or("Somebody"));
            let name = text::clean_line(&room.name);
            centred(&format!("{who} invites you to “{name}”.\n\n{ASKING}"), area, Style::new())
        }
        (Some(open), _) if !open.timeline.is_empty() => open.timeline.window(pane),
        (Some(open), _) if open.timeline.older_exist() => quiet("Reading…"),
        (Some(_), _) => quiet("Nothing has been said here yet."),
        (None, _) if app.rooms.is_none() => quiet("Reading…"),
        (None, _) => {
            quiet("No rooms yet.\n\nCtrl+N creates one; invitations from others appear by themselves.")
        }
    };
    // The newest line stands at the bottom.
    let height = u16::try_from(lines.len()).unwrap_or(area.height).min(area.height);
    let bottom = Rect { y: area.bottom() - height, height, ..area };
    frame.render_widget(Paragraph::new(lines), bottom);
}

fn centred(words: &str, area: Rect, style: Style) -> Vec<Line<'static>> {
    let width = usize::from(area.width.saturating_sub(4)).max(1);
    let lines = text::wrap(words, width, width);
    let below = usize::from(area.height).saturating_sub(lines.len()) / 2;
    lines
        .into_iter()
        .map(|line| Line::styled(line, style).centered())
        .chain(std::iter::repeat_n(Line::default(), below))
        .collect()
}

/// The last step before the terminal: whatever slipped through, no cell holds anything that steers it.
fn defend(frame: &mut Frame) {
    for cell in &mut frame.buffer_mut().content {
        if cell.symbol().chars().any(text::is_harmful) {
            cell.set_symbol("?");
        }
    }
}
