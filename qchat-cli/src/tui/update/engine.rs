//! What the engine reports, and what its answers change.

use qchat_proto::ids::RoomId;

use super::{
    super::{
        app::{App, Overlay, Question, Report},
        composer::Composer,
        msg::{Answer, Command},
        timeline::{Merged, Timeline},
    },
    PAGE, rooms,
};
use crate::engine::types::{Connection, Event, LinkStatus, Message, RoomStatus, RoomSummary};

/// Something changed in the store or on the line.
pub(super) fn event(app: &mut App, event: Event) -> Vec<Command> {
    match event {
        Event::Timeline(room) => {
            let mut commands = read_newest(app, room);
            commands.extend(read_rooms(app));
            commands
        }
        Event::Changed(room) => {
            if let Some(open) = app.opened(room) {
                open.reread = true;
            }
            read_newest(app, room)
        }
        Event::Deleted => {
            // Which lines it were is not said, so that all of the open room is read anew.
            if let Some(open) = &mut app.open {
                open.timeline = Timeline::new();
            }
            read_all(app)
        }
        Event::Rooms => {
            let invited = app.current().is_some_and(|room| room.status == RoomStatus::Invited);
            let mut commands = read_rooms(app);
            if let Some(open) = app.open.as_mut().filter(|_| !invited)
                && open.loading_details.ask()
            {
                commands.push(Command::LoadRoom(open.id));
            }
            commands
        }
        Event::Devices => read_link(app),
        Event::Presence(_) | Event::Writing(_) => Vec::new(),
        Event::Connection(connection) => {
            let online = matches!(connection, Connection::Online(_));
            app.connection = connection;
            if online { read_link(app) } else { Vec::new() }
        }
        Event::Trouble(sentence) => {
            app.report = Some(Report::Trouble(sentence));
            Vec::new()
        }
    }
}

/// Reads all that is on the screen.
pub(super) fn read_all(app: &mut App) -> Vec<Command> {
    let mut commands = read_rooms(app);
    commands.extend(rooms::read_open(app));
    commands
}

/// A command is done.
pub(super) fn done(app: &mut App, command: Command, answer: Answer) -> Vec<Command> {
    match (command, answer) {
        (Command::LoadRooms, Answer::Rooms(list)) => show_rooms(app, list),
        (Command::LoadRoom(room), Answer::Room(details)) => {
            let Some(open) = app.opened(room) else { return Vec::new() };
            open.details = Some(*details);
            if open.loading_details.ended() && open.loading_details.ask() {
                return vec![Command::LoadRoom(room)];
            }
            Vec::new()
        }
        (Command::LoadNewest { room, limit }, Answer::Page(page)) => show_newest(app, room, page, limit),
        (Command::LoadOlder { room, .. }, Answer::Page(page)) => {
            if let Some(open) = app.opened(room) {
                open.loading_more = false;
                open.timeline.prepend(page, PAGE);
            }
            Vec::new()
        }
        (Command::LoadNewer { room, after }, Answer::Page(page)) => show_newer(app, room, after, page),
        (Command::CreateRoom(_), Answer::Created(room)) => {
            app.report = Some(Report::Info("The room is there. Ctrl+O invites people to it.".to_owned()));
            let mut commands = read_rooms(app);
            commands.extend(rooms::open(app, room));
            commands
        }
        (Command::Invite { users, .. }, _) => {
            let names: Vec<_> = users.iter().map(ToString::to_string).collect();
            app.report = Some(Report::Info(format!("Invited {}.", names.join(", "))));
            read_all(app)
        }
        (Command::Join(joined), _) => {
            // Known before the list is read again: what is typed now is a message, not an answer.
            for room in app.rooms.iter_mut().flatten().filter(|room| room.id == joined) {
                room.status = RoomStatus::Joined;
            }
            app.report = Some(Report::Info("You are in.".to_owned()));
            read_all(app)
        }
        (Command::LoadLink, Answer::Link(status)) => {
            let asks = match status {
                LinkStatus::Asks(request) => Some(request),
                LinkStatus::None | LinkStatus::Opening | LinkStatus::Elsewhere(_) => None,
            };
            if asks.is_none() && app.asking().is_some() {
                app.report = Some(Report::Info("The new device is not waiting any more.".to_owned()));
            }
            app.link = asks;
            if app.loading_link.ended() { read_link(app) } else { Vec::new() }
        }
        (Command::ApproveLink(_), _) => {
            let name = app.link.take().map_or_else(|| "It".to_owned(), |request| request.name);
            app.report = Some(Report::Info(format!("{name} is a device of this account now.")));
            Vec::new()
        }
        (Command::RefuseLink(_), _) => {
            app.link = None;
            app.report = Some(Report::Info("Refused: nothing was handed over.".to_owned()));
            Vec::new()
        }
        (Command::Decline(_), _) => {
            app.report = Some(Report::Info("Declined.".to_owned()));
            read_all(app)
        }
        _ => Vec::new(),
    }
}

/// A command failed. What was typed comes back, so that nothing is lost.
pub(super) fn failed(app: &mut App, command: Command, why: String) -> Vec<Command> {
    match command {
        Command::LoadRooms => {
            app.loading_rooms.ended();
        }
        Command::LoadRoom(room) => {
            if let Some(open) = app.opened(room) {
                open.loading_details.ended();
            }
        }
        Command::LoadNewest { room, .. } => {
            if let Some(open) = app.opened(room) {
                open.loading_newest.ended();
            }
        }
        Command::LoadOlder { room, .. } | Command::LoadNewer { room, .. } => {
            if let Some(open) = app.opened(room) {
                open.loading_more = false;
            }
        }
        Command::LoadLink => {
            app.loading_link.ended();
        }
        Command::Send { room, text } => give_back(app, room, text),
        Command::Quit
        | Command::Unlock(_)
        | Command::MarkRead(_)
        | Command::CreateRoom(_)
        | Command::Invite { .. }
        | Command::Join(_)
        | Command::Decline(_)
        | Command::ApproveLink(_)
        | Command::RefuseLink(_) => {}
    }
    app.report = Some(Report::Trouble(why));
    Vec::new()
}

fn read_link(app: &mut App) -> Vec<Command> {
    if app.loading_link.ask() { vec![Command::LoadLink] } else { Vec::new() }
}

fn read_rooms(app: &mut App) -> Vec<Command> {
    if app.loading_rooms.ask() { vec![Command::LoadRooms] } else { Vec::new() }
}

fn read_newest(app: &mut App, room: RoomId) -> Vec<Command> {
    if app.summary(room).is_some_and(|room| room.status == RoomStatus::Invited) {
        return Vec::new();
    }
    let Some(open) = app.opened(room) else { return Vec::new() };
    if open.loading_newest.ask() { vec![rooms::load_newest(open)] } else { Vec::new() }
}

fn show_rooms(app: &mut App, mut list: Vec<RoomSummary>) -> Vec<Command> {
    let mut commands = Vec::new();
    if app.loading_rooms.ended() {
        commands.extend(read_rooms(app));
    }
    list.retain(|room| room.status != RoomStatus::Left);
    let was = app.current().map(|room| (room.id, room.status));
    let place = was.and_then(|(id, _)| app.rooms().iter().position(|room| room.id == id)).unwrap_or(0);
    app.rooms = Some(list);
    if let Overlay::Question(Question::Join(asked) | Question::Decline(asked)) = app.overlay
        && app.summary(asked).is_none_or(|room| room.status != RoomStatus::Invited)
    {
        app.overlay = Overlay::None;
    }
    let is = app.current().map(|room| room.status);
    match (was, is) {
        // Accepted just now, here or by another program of this profile.
        (Some((_, RoomStatus::Invited)), Some(RoomStatus::Joined)) => commands.extend(rooms::read_open(app)),
        (_, Some(_)) => {}
        // A room that was just created opens before the list knows it.
        (None, None) if app.open.is_some() => {}
        (_, None) => {
            app.open = None;
            let next = app.rooms().get(place.min(app.rooms().len().saturating_sub(1))).map(|room| room.id);
            app.composer = Composer::new("");
            commands.extend(next.map_or_else(Vec::new, |room| rooms::open(app, room)));
        }
    }
    commands.extend(rooms::mark_read(app));
    commands
}

fn show_newest(app: &mut App, room: RoomId, page: Vec<Message>, limit: usize) -> Vec<Command> {
    let focused = app.focused;
    let Some(open) = app.opened(room) else { return Vec::new() };
    let known = open.timeline.newest_row();
    let watched = focused && open.timeline.follows();
    let mut commands = Vec::new();
    match open.timeline.merge_newest(page, limit) {
        Merged::MissingAfter(after) if !open.loading_more => {
            open.loading_more = true;
            commands.push(Command::LoadNewer { room, after });
        }
        Merged::MissingAfter(_) | Merged::Complete => {}
    }
    if let Some(unread) = open.unread_at_opening.take() {
        open.timeline.mark_unread(unread);
    } else if let (Some(row), false) = (known, watched) {
        open.timeline.mark_unread_after(row);
    }
    if open.loading_newest.ended() && open.loading_newest.ask() {
        commands.push(rooms::load_newest(open));
    }
    commands.extend(rooms::mark_read(app));
    commands
}

fn show_newer(app: &mut App, room: RoomId, after: i64, page: Vec<Message>) -> Vec<Command> {
    let Some(open) = app.opened(room) else { return Vec::new() };
    open.loading_more = false;
    let more = page.len() >= PAGE;
    open.timeline.append(after, page);
    open.timeline.mark_unread_after(after);
    match open.timeline.newest_row() {
        Some(after) if more => {
            open.loading_more = true;
            vec![Command::LoadNewer { room, after }]
        }
        _ => Vec::new(),
    }
}

fn give_back(app: &mut App, room: RoomId, text: String) {
    if app.open.as_ref().is_some_and(|open| open.id == room) {
        let typed = app.composer.text();
        app.composer = Composer::new(&joined(text, &typed));
    } else {
        let draft = app.drafts.remove(&room).unwrap_or_default();
        app.drafts.insert(room, joined(text, &draft));
    }
}

fn joined(first: String, second: &str) -> String {
    if second.is_empty() { first } else { format!("{first}\n{second}") }
}
