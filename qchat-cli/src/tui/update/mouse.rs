//! The mouse: what is clicked is chosen, and what is chosen and clicked again is done.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::{
    super::{
        app::{App, Focus, Overlay},
        msg::Command,
        view::{areas::Areas, footer, list, rooms::room_at},
    },
    input, lists, message, panels, rooms,
};

/// Lines that one notch of the wheel moves.
const WHEEL: usize = 3;

/// The mouse did something.
pub(super) fn mouse(app: &mut App, event: MouseEvent) -> Vec<Command> {
    let at = Position::new(event.column, event.row);
    match event.kind {
        MouseEventKind::ScrollUp => wheel(app, true),
        MouseEventKind::ScrollDown => wheel(app, false),
        MouseEventKind::Down(MouseButton::Left) => click(app, at),
        _ => Vec::new(),
    }
}

fn wheel(app: &mut App, up: bool) -> Vec<Command> {
    match app.overlay {
        Overlay::Help { .. } => {
            input::scroll_help(app, up, WHEEL);
            Vec::new()
        }
        Overlay::Picker(_) | Overlay::Search(_) | Overlay::Panel(_) => {
            lists::go(app, if up { -1 } else { 1 })
        }
        Overlay::Picture(_) => Vec::new(),
        _ if up => rooms::scroll(app, |timeline, pane| timeline.scroll_up(WHEEL, pane)),
        _ => rooms::scroll(app, |timeline, pane| {
            timeline.scroll_down(WHEEL, pane);
            false
        }),
    }
}

fn click(app: &mut App, at: Position) -> Vec<Command> {
    if let Some(action) = footer::action_at(app, at) {
        // No key was pressed that would tell one number from another.
        return input::act(app, action, KeyEvent::new(KeyCode::Null, KeyModifiers::NONE));
    }
    if let Some(row) = list::row_at(app, at) {
        return match &mut app.overlay {
            Overlay::Picker(picker) => {
                picker.at = row;
                lists::choose(app)
            }
            Overlay::Search(search) => {
                search.at = row.min(search.hits.len().saturating_sub(1));
                lists::choose(app)
            }
            Overlay::Panel(panel) if panel.at == row => panels::choose(app, false),
            Overlay::Panel(panel) => {
                panel.at = row;
                Vec::new()
            }
            _ => Vec::new(),
        };
    }
    if !matches!(app.overlay, Overlay::None) {
        return Vec::new();
    }
    let areas = Areas::of(app);
    if let Some(room) = areas.side.filter(|side| side.contains(at)).and_then(|side| room_at(app, side, at.y))
    {
        app.filter = None;
        return rooms::open(app, room);
    }
    if areas.timeline.contains(at) {
        return message::click(app, areas.timeline, at.y);
    }
    if areas.composer.contains(at) && app.focus == Focus::Timeline {
        message::back_to_text(app);
    }
    Vec::new()
}
