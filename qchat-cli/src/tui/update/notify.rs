//! Telling somebody who looks elsewhere that there is a message: as much as they want told, for others may see the desktop; and of a
//! room in which much is said not with every message.

use qchat_proto::ids::RoomId;

use super::super::{
    app::{App, Report},
    emit::Emission,
    msg::Command,
    prefs::{Notifications, Notifier},
    text,
};
use crate::engine::types::{Body, Message, RoomStatus, RoomSummary};

/// What is to be told of rooms that have more that is unread than before. Of the room that somebody looks at nothing is.
pub(super) fn of_rooms(app: &mut App, before: &[RoomSummary]) -> Vec<Command> {
    if app.prefs.notifications == Notifications::Off && !app.prefs.bell {
        return Vec::new();
    }
    let seen = seen(app);
    let grew = |room: &&RoomSummary| {
        let known = before.iter().find(|known| known.id == room.id);
        match (known, room.status) {
            (None, RoomStatus::Invited) => true,
            (Some(known), _) => room.unread > known.unread && room.marks.is_loud(),
            (None, _) => false,
        }
    };
    let new = app.rooms().iter().filter(|room| Some(room.id) != seen).filter(grew);
    let mut new: Vec<RoomSummary> = new.cloned().collect();
    // What was told of a moment ago has its turn when that is over.
    new.retain(|room| match app.told.get_mut(&room.id) {
        Some(more) => {
            *more = true;
            false
        }
        None => true,
    });
    tell(app, &new)
}

/// A room has been quiet, or too loud, for long enough: what has come meanwhile is told of at once.
pub(super) fn rested(app: &mut App, room: RoomId) -> Vec<Command> {
    let more = app.told.remove(&room).unwrap_or_default();
    let unread = |found: &&RoomSummary| found.unread > 0 && found.marks.is_loud() && Some(room) != seen(app);
    let room = app.summary(room).filter(|_| more).filter(unread).cloned();
    tell(app, room.as_slice())
}

/// The room that somebody looks at.
fn seen(app: &App) -> Option<RoomId> {
    app.open.as_ref().filter(|open| app.focused && open.timeline.follows()).map(|open| open.id)
}

fn tell(app: &mut App, new: &[RoomSummary]) -> Vec<Command> {
    if new.is_empty() {
        return Vec::new();
    }
    let mut commands: Vec<Command> = new.iter().map(|room| Command::Rest(room.id)).collect();
    app.told.extend(new.iter().map(|room| (room.id, false)));
    if app.prefs.bell {
        commands.push(Command::Emit(Emission::Bell));
    }
    match app.prefs.notifications {
        Notifications::Off => {}
        Notifications::Hidden => {
            commands.push(notification(app, "qchat".to_owned(), app.words.notify_message()));
        }
        // Whose it is, and what it says, is not in the list.
        Notifications::Sender | Notifications::Full => {
            commands.extend(new.iter().map(|room| match room.status {
                RoomStatus::Invited => {
                    let who = room.invited_by.as_deref();
                    let who = who.map_or_else(|| app.words.somebody(), text::clean_line);
                    notification(app, text::clean_line(&room.name), app.words.notify_invitation(who))
                }
                _ => Command::Peek(room.id),
            }));
        }
    }
    commands
}

/// What is told of the newest message of a room.
pub(super) fn of_message(app: &App, room: RoomId, message: Option<&Message>) -> Vec<Command> {
    let name = app.summary(room).map_or_else(|| "qchat".to_owned(), |room| text::clean_line(&room.name));
    let Some((message, sender)) = message.and_then(|message| Some((message, message.sender.as_ref()?)))
    else {
        return Vec::new();
    };
    if sender.me || app.is_locked() && app.prefs.notifications == Notifications::Full {
        // Behind a lock nothing that was said is told.
        return if sender.me {
            Vec::new()
        } else {
            vec![notification(app, name, text::clean_line(&sender.name))]
        };
    }
    let who = text::clean_line(&sender.name);
    let body = match (&message.body, app.prefs.notifications) {
        (Body::Text(said), Notifications::Full) => format!("{who}: {}", text::clean_line(said)),
        (Body::File(file), Notifications::Full) => format!("{who}: [{}]", text::clean_line(&file.name)),
        _ => who,
    };
    vec![notification(app, name, body)]
}

fn notification(app: &App, title: String, body: String) -> Command {
    match app.prefs.notifier {
        Notifier::Desktop if app.no_desktop.is_none() => Command::Notify { title, body },
        _ => by_terminal(title, body),
    }
}

fn by_terminal(title: String, body: String) -> Command {
    Command::Emit(Emission::Notify { title, body })
}

/// The desktop does not show what it was to show: the terminal does, from now on.
pub(super) fn without_desktop(app: &mut App, title: String, body: String, why: String) -> Vec<Command> {
    // Several may have been on their way.
    if app.no_desktop.is_none() {
        app.report = Report::trouble(app.words.no_desktop(&why));
    }
    app.no_desktop = Some(why);
    if app.is_locked() {
        // It was written before the screen was locked.
        return vec![by_terminal("qchat".to_owned(), app.words.notify_message())];
    }
    vec![by_terminal(title, body)]
}
