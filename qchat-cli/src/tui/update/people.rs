//! Who is there and who writes: what others say of themselves, and what they are told of whoever sits here.

use qchat_proto::ids::{RoomId, UserName};

use super::super::{app::App, msg::Command};
use crate::engine::Presence;

/// After so many changes of the text it is said again that somebody writes; the engine says it seldom enough.
const AGAIN: u32 = 16;

/// Reads who is there, where the user is shown that.
pub(super) fn read_present(app: &mut App) -> Vec<Command> {
    if app.prefs.presence && app.loading_present.ask() { vec![Command::LoadPresence] } else { Vec::new() }
}

/// Reads who writes in a room, if it is the open one and the user is shown that.
pub(super) fn read_writers(app: &App, room: RoomId) -> Vec<Command> {
    let open = app.open.as_ref().is_some_and(|open| open.id == room);
    if app.prefs.typing && open { vec![Command::LoadWriters(room)] } else { Vec::new() }
}

pub(super) fn show_present(app: &mut App, all: Vec<Presence>) -> Vec<Command> {
    app.present = all.into_iter().map(|presence| (presence.account, presence)).collect();
    if app.loading_present.ended() { read_present(app) } else { Vec::new() }
}

pub(super) fn show_writers(app: &mut App, room: RoomId, users: Vec<UserName>) {
    if let Some(open) = app.opened(room) {
        open.writers = users;
    }
}

/// What is being written, and where, if others are told that something is.
pub(super) fn written(app: &App) -> Option<(RoomId, String)> {
    let told = app.prefs.typing && app.can_write() && !app.is_locked();
    told.then(|| Some((app.open.as_ref()?.id, app.composer.text()))).flatten()
}

/// Tells the members of the open room that something is written there, or is not any more. `before`: what was written before a key was
/// pressed; nothing else is writing.
pub(super) fn tell(app: &mut App, before: Option<(RoomId, String)>) -> Option<Command> {
    let now = written(app);
    if let Some((room, _)) = app.told_writing
        && !now.as_ref().is_some_and(|(here, text)| *here == room && is_said(text))
    {
        app.told_writing = None;
        return Some(Command::TellWriting { room, writing: false });
    }
    let ((room, text), (was_in, was)) = (now?, before?);
    if room != was_in || text == was || !is_said(&text) {
        return None;
    }
    match &mut app.told_writing {
        Some((_, changes)) if *changes < AGAIN => {
            *changes += 1;
            None
        }
        told => {
            *told = Some((room, 0));
            Some(Command::TellWriting { room, writing: true })
        }
    }
}

/// Whoever goes on after a pause says so again.
pub(super) fn pause(app: &mut App) {
    if let Some((_, changes)) = &mut app.told_writing {
        *changes = AGAIN;
    }
}

/// Whether a text becomes a message, and not a command.
fn is_said(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && (!text.starts_with('/') || text.starts_with("//"))
}
