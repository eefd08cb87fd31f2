//! Keys, pastes and the mouse.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use qchat_proto::content::MAX_TEXT;
use ratatui::layout::Position;

use super::{
    super::{
        app::{App, Overlay, Prompt, Question, Report},
        composer::Composer,
        keymap::{self, Action, Scope},
        msg::Command,
        view::{areas::Areas, overlay::furthest, rooms::room_at},
    },
    prompts,
    rooms::{self, Step},
};
use crate::engine::types::RoomStatus;

/// Lines that one notch of the wheel moves.
const WHEEL: usize = 3;

/// A key was pressed.
pub(super) fn key(app: &mut App, event: KeyEvent) -> Vec<Command> {
    if event.kind == KeyEventKind::Release {
        return Vec::new();
    }
    if matches!(app.report, Some(Report::Info(_))) {
        app.report = None;
    }
    if let Some(action) = keymap::action(event, &scopes(app)) {
        return act(app, action, event);
    }
    type_in(app, event);
    Vec::new()
}

/// Text was pasted.
pub(super) fn paste(app: &mut App, pasted: &str) -> Vec<Command> {
    let can_write = app.can_write();
    match &mut app.overlay {
        Overlay::Prompt { input, .. } => input.paste_line(pasted),
        Overlay::None if can_write => app.composer.paste(pasted),
        Overlay::None | Overlay::Help { .. } | Overlay::Question(_) => {}
    }
    Vec::new()
}

/// The mouse did something.
pub(super) fn mouse(app: &mut App, event: MouseEvent) -> Vec<Command> {
    if matches!(app.overlay, Overlay::Help { .. }) {
        match event.kind {
            MouseEventKind::ScrollUp => scroll_help(app, Action::PageUp, WHEEL),
            MouseEventKind::ScrollDown => scroll_help(app, Action::PageDown, WHEEL),
            _ => {}
        }
        return Vec::new();
    }
    match event.kind {
        MouseEventKind::ScrollUp => rooms::scroll(app, |timeline, pane| timeline.scroll_up(WHEEL, pane)),
        MouseEventKind::ScrollDown => rooms::scroll(app, |timeline, pane| {
            timeline.scroll_down(WHEEL, pane);
            false
        }),
        MouseEventKind::Down(MouseButton::Left) if matches!(app.overlay, Overlay::None) => {
            let at = Position::new(event.column, event.row);
            let side = Areas::of(app).side.filter(|side| side.contains(at));
            let room = side.and_then(|side| room_at(app, side, at.y));
            room.map_or_else(Vec::new, |room| rooms::open(app, room))
        }
        _ => Vec::new(),
    }
}

fn scopes(app: &App) -> Vec<Scope> {
    match &app.overlay {
        Overlay::Help { .. } => vec![Scope::Help, Scope::Everywhere],
        Overlay::Prompt { .. } => vec![Scope::Prompt, Scope::Everywhere],
        Overlay::Question(Question::Link(_)) => vec![Scope::Device, Scope::Everywhere],
        Overlay::Question(_) => vec![Scope::Question, Scope::Everywhere],
        Overlay::None => {
            let mut scopes = vec![Scope::Everywhere, Scope::Rooms];
            match app.current().map(|room| room.status) {
                Some(RoomStatus::Joined) => scopes.push(Scope::Composer),
                Some(RoomStatus::Invited) => scopes.push(Scope::Invitation),
                Some(RoomStatus::Left | RoomStatus::Removed | RoomStatus::Stuck) | None => {}
            }
            if !app.can_write() || app.composer.is_empty() {
                scopes.push(Scope::Blank);
            }
            scopes
        }
    }
}

fn type_in(app: &mut App, event: KeyEvent) {
    let can_write = app.can_write();
    match &mut app.overlay {
        Overlay::Prompt { input, .. } => input.key(event),
        Overlay::None if can_write => app.composer.key(event),
        // The key that asked for help, pressed again, was meant as a character.
        Overlay::Help { .. } if event.code == KeyCode::Char('?') => {
            app.overlay = Overlay::None;
            if can_write {
                app.composer.key(event);
            }
        }
        Overlay::None | Overlay::Help { .. } | Overlay::Question(_) => {}
    }
}

fn act(app: &mut App, action: Action, event: KeyEvent) -> Vec<Command> {
    let page = usize::from(Areas::of(app).timeline.height).saturating_sub(1).max(1);
    match action {
        Action::Quit => return vec![Command::Quit],
        Action::Send => return send(app),
        Action::Newline => app.composer.newline(),
        Action::NextRoom => return rooms::step(app, Step::Next),
        Action::PreviousRoom => return rooms::step(app, Step::Previous),
        Action::NextUnread => return rooms::step(app, Step::NextUnread),
        Action::CreateRoom => return prompts::ask(app, Prompt::RoomName),
        Action::Invite => {
            if let Some(room) = app.open.as_ref().map(|open| open.id) {
                return prompts::ask(app, Prompt::Invitees(room));
            }
        }
        Action::Accept => return prompts::question(app, Question::Join),
        Action::Decline => return prompts::question(app, Question::Decline),
        Action::Submit => return prompts::submit(app),
        Action::Confirm => return prompts::confirm(app),
        Action::Refuse => return prompts::refuse(app),
        Action::Help => {
            app.overlay = match app.overlay {
                Overlay::Help { .. } => Overlay::None,
                _ => Overlay::Help { scrolled: 0 },
            }
        }
        Action::Dismiss => match app.overlay {
            Overlay::None => app.report = None,
            _ => app.overlay = Overlay::None,
        },
        Action::PageUp | Action::PageDown if matches!(app.overlay, Overlay::Help { .. }) => {
            let line_by_line = matches!(event.code, KeyCode::Up | KeyCode::Down);
            scroll_help(app, action, if line_by_line { 1 } else { usize::from(app.size.height / 2) });
        }
        Action::PageUp => return rooms::scroll(app, |timeline, pane| timeline.scroll_up(page, pane)),
        Action::ToOldest => {
            return rooms::scroll(app, |timeline, pane| timeline.scroll_up(usize::MAX / 2, pane));
        }
        Action::PageDown => {
            return rooms::scroll(app, |timeline, pane| {
                timeline.scroll_down(page, pane);
                false
            });
        }
        Action::ToNewest => {
            return rooms::scroll(app, |timeline, _| {
                timeline.scroll_to_newest();
                false
            });
        }
    }
    Vec::new()
}

fn scroll_help(app: &mut App, action: Action, by: usize) {
    let furthest = furthest(app);
    if let Overlay::Help { scrolled } = &mut app.overlay {
        *scrolled = match action {
            Action::PageUp => scrolled.saturating_sub(by),
            _ => scrolled.saturating_add(by).min(furthest),
        };
    }
}

fn send(app: &mut App) -> Vec<Command> {
    let text = app.composer.text();
    let text = text.trim_end();
    let Some(open) = &mut app.open else { return Vec::new() };
    if text.trim().is_empty() {
        return Vec::new();
    }
    if text.len() > MAX_TEXT {
        let size = text.len();
        app.report = Some(Report::Trouble(format!(
            "The text has {size} bytes and at most {MAX_TEXT} fit into one message; send it in parts."
        )));
        return Vec::new();
    }
    let command = Command::Send { room: open.id, text: text.to_owned() };
    open.timeline.mark_all_read();
    open.timeline.scroll_to_newest();
    app.composer = Composer::new("");
    vec![command]
}
