//! What the engine reports, and what its answers change.

use qchat_proto::ids::RoomId;

use super::{
    super::{
        app::{App, Focus, Overlay, Question, Report, Writing},
        composer::Composer,
        emit::Emission,
        keymap::Action,
        msg::{Answer, Command},
        panels::Kind,
        picker::{self, Picker},
        picture::{Looking, Picture},
        pixels::Pixels,
        timeline::{Merged, Timeline},
        transfers::TransferState,
    },
    PAGE, message, notify, panels, people, rooms, writing,
};
use crate::engine::{
    Admission,
    types::{Connection, Event, LinkStatus, Message, RoomStatus, RoomSummary},
};

/// Something changed in the store or on the line.
pub(super) fn event(app: &mut App, event: Event) -> Vec<Command> {
    match event {
        Event::Timeline(room) => {
            let mut commands = read_newest(app, room);
            commands.extend(read_rooms(app));
            commands.extend(panels::refresh(app, Kind::Transfers));
            commands
        }
        Event::Changed(room) => {
            if let Some(open) = app.opened(room) {
                open.reread = true;
            }
            read_newest(app, room)
        }
        // The timeline says it.
        Event::Sent(..) => Vec::new(),
        // Which lines it were is not said.
        Event::Deleted => read_anew(app),
        Event::Rooms => {
            let invited = app.current().is_some_and(|room| room.status == RoomStatus::Invited);
            let mut commands = read_rooms(app);
            if let Some(open) = app.open.as_mut().filter(|_| !invited)
                && open.loading_details.ask()
            {
                commands.push(Command::LoadRoom(open.id));
            }
            // Somebody may have become known, or be blocked.
            commands.extend(people::read_present(app));
            if let Some(room) = app.open.as_ref().map(|open| open.id) {
                commands.extend(people::read_writers(app, room));
            }
            commands
        }
        Event::Read(_) => read_rooms(app),
        Event::Devices => {
            let mut commands = read_link(app);
            commands.extend(panels::refresh(app, Kind::Keys));
            commands
        }
        Event::Presence(_) => people::read_present(app),
        Event::Writing(room) => people::read_writers(app, room),
        Event::Connection(connection) => {
            let online = matches!(connection, Connection::Online(_));
            if matches!((&app.connection, &connection), (Connection::Online(_), Connection::Offline(_))) {
                app.losses += 1;
            }
            app.connection = connection;
            let mut commands = if online { read_link(app) } else { Vec::new() };
            if online {
                commands.extend(panels::refresh(app, Kind::Connection));
            }
            commands
        }
        Event::Trouble(sentence) => {
            app.report = Report::trouble(sentence);
            Vec::new()
        }
    }
}

/// Reads all that is on the screen, where lines that are loaded may have changed or be gone: all of the open room that is loaded;
/// where that is too much, or not the newest, nothing of it stays.
pub(super) fn read_anew(app: &mut App) -> Vec<Command> {
    if let Some(open) = &mut app.open {
        (open.reread, open.purged) = (true, true);
        if open.timeline.newer_exist() || open.timeline.len() > rooms::MOST_REREAD {
            let line = open.timeline.unread_line();
            open.timeline = Timeline::new();
            if let Some(row) = line {
                open.timeline.restore_unread(row);
            }
            message::back_to_text(app);
        }
    }
    read_all(app)
}

/// Reads all that is on the screen.
pub(super) fn read_all(app: &mut App) -> Vec<Command> {
    let mut commands = read_rooms(app);
    commands.extend(rooms::read_open(app));
    commands.extend(people::read_present(app));
    if let Some(room) = app.open.as_ref().map(|open| open.id) {
        commands.extend(people::read_writers(app, room));
    }
    commands
}

/// A command is on its way.
pub(super) fn progress(app: &mut App, command: &Command, done: u64, of: u64) -> Vec<Command> {
    if matches!(command, Command::StartQuantum(_)) {
        return panels::refresh(app, Kind::Quantum);
    }
    if let Some(picture) = picture(app, command)
        && matches!(picture.state, Looking::Coming(..))
    {
        picture.state = Looking::Coming(done, of);
    }
    app.transfers.progress(command, done, of);
    Vec::new()
}

/// There is a small picture of what is on its way.
pub(super) fn glimpse(app: &mut App, command: &Command, pixels: Pixels) -> Vec<Command> {
    if let Some(picture) = picture(app, command) {
        picture.glimpse(pixels);
    }
    Vec::new()
}

/// The picture that is looked at, if this command fetches it.
fn picture<'a>(app: &'a mut App, command: &Command) -> Option<&'a mut Picture> {
    match &mut app.overlay {
        Overlay::Picture(picture) if picture.command == *command => Some(picture),
        _ => None,
    }
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
            // Others may be in the group now.
            rooms::read_roster(app).into_iter().collect()
        }
        (Command::LoadNewest { room, limit }, Answer::Page(page)) => show_newest(app, room, page, limit),
        (Command::LoadOlder { room, before }, Answer::Page(page)) => {
            if let Some(open) = app.opened(room) {
                open.loading_more = false;
                open.timeline.prepend(before, page, PAGE);
                open.timeline.trim();
            }
            Vec::new()
        }
        (Command::LoadNewer { room, after }, Answer::Page(page)) => show_newer(app, room, after, page),
        (Command::LoadAround { room, row }, Answer::Page(page)) => show_around(app, room, row, page),
        (Command::Locate { room, id }, Answer::Row(row)) => {
            // Whoever has done something else meanwhile does not want to go there any more.
            let Some(open) = app.opened(room).filter(|open| open.looking_for == Some(id)) else {
                return Vec::new();
            };
            open.looking_for = None;
            if let Some(row) = row {
                return rooms::go_to(app, row);
            }
            app.report = Report::trouble(app.words.not_here());
            Vec::new()
        }
        (Command::Rest(room), _) => notify::rested(app, room),
        (Command::Peek(room), Answer::Page(page)) => notify::of_message(app, room, page.last()),
        (Command::LoadLine(room), Answer::Row(row)) => {
            if let Some(open) = app.opened(room) {
                open.line = Some(row);
                if let (Some(row), None) = (row, open.unread_at_opening) {
                    open.timeline.restore_unread(row);
                }
            }
            Vec::new()
        }
        (Command::LoadDrafts, Answer::Drafts(drafts)) => {
            take_drafts(app, drafts);
            Vec::new()
        }
        (Command::LoadPeople, Answer::People(people)) => {
            app.people = people;
            if let Overlay::Picker(old) = &app.overlay
                && old.kind == picker::Kind::Palette
            {
                let mut fresh = Picker::palette(app);
                if let Overlay::Picker(old) = &mut app.overlay {
                    (fresh.input, fresh.at) = (std::mem::replace(&mut old.input, Composer::new("")), old.at);
                    **old = fresh;
                }
            }
            Vec::new()
        }
        (Command::LoadPresence, Answer::Presences(all)) => people::show_present(app, all),
        (Command::LoadWriters(room), Answer::Writers(users)) => {
            people::show_writers(app, room, users);
            Vec::new()
        }
        (Command::Search { query, offset }, Answer::Found(found)) => {
            if let Overlay::Search(search) = &mut app.overlay {
                search.found(&query, offset, found);
            }
            Vec::new()
        }
        (Command::Edit(_), Answer::Written(text)) => {
            writing::written(app, text);
            Vec::new()
        }
        (Command::SaveSetting(..), Answer::Keymap(keymap)) => {
            app.keymap = *keymap;
            Vec::new()
        }
        (Command::LoadUnsent | Command::DropUnsent(_), Answer::Unsent(unsent)) => {
            app.unsent = unsent;
            Vec::new()
        }
        (command @ Command::SaveFile { .. }, Answer::Path(path)) => {
            app.report = Report::info(app.words.done_save_file(path.display().to_string()));
            let open = matches!(&command, Command::SaveFile { open: true, .. });
            app.transfers.end(&command, TransferState::Done(Some(path.clone())));
            // It may have taken longer than somebody was there.
            if open && !app.is_locked() { vec![Command::ShowFile(path)] } else { Vec::new() }
        }
        (Command::Encode(pixels, shape), Answer::Encoded(encoded)) => {
            if let Overlay::Picture(picture) = &mut app.overlay {
                picture.take(&pixels, shape, Some(encoded));
            }
            Vec::new()
        }
        (command @ Command::LookAt { .. }, Answer::Picture(pixels)) => {
            if let Some(picture) = picture(app, &command) {
                picture.show(pixels);
            }
            Vec::new()
        }
        (command @ Command::Play { .. }, _) => {
            if app.playing.take_if(|playing| *playing == command).is_some()
                && matches!(app.report, Some(Report::Info(_)))
            {
                app.report = None;
            }
            Vec::new()
        }
        (command @ Command::SendFile { .. }, _) => {
            app.transfers.end(&command, TransferState::Done(None));
            app.report = Report::info(app.words.done_send_file());
            Vec::new()
        }
        (Command::LoadLink, Answer::Link(status)) => show_link(app, status),
        (Command::LoadRoster(room), Answer::Roster(roster)) => {
            if let Some(open) = app.opened(room) {
                open.roster.clone_from(&roster);
            }
            panels::answered(app, Answer::Roster(roster));
            Vec::new()
        }
        (
            Command::Compare(_)
            | Command::LookAtChange(_)
            | Command::LoadDevices
            | Command::LoadKeys
            | Command::LoadLog
            | Command::LoadQuantum
            | Command::Ping,
            answer,
        ) => {
            app.report = None;
            panels::answered(app, answer);
            Vec::new()
        }
        (command, answer) => finished(app, command, answer),
    }
}

/// Opens a room that was asked for a while ago, unless something else is being written by now.
fn open_unless_typing(app: &mut App, room: RoomId) -> Vec<Command> {
    if app.composer.is_empty() { rooms::open(app, room) } else { Vec::new() }
}

/// Something is done of which the user is told.
fn finished(app: &mut App, command: Command, answer: Answer) -> Vec<Command> {
    let words = app.words;
    let (told, mut commands) = match (command, answer) {
        (Command::CreateRoom(_), Answer::Created(room)) => {
            let key = words.key_of(&app.keymap, Action::Invite);
            let mut commands = read_rooms(app);
            commands.extend(open_unless_typing(app, room));
            (words.done_create(key), commands)
        }
        (Command::Direct(name), Answer::Created(room)) => {
            let mut commands = read_rooms(app);
            let opened = open_unless_typing(app, room);
            let told = if opened.is_empty() {
                words.done_direct_elsewhere(name.as_str())
            } else {
                words.done_direct(name.as_str())
            };
            commands.extend(opened);
            (told, commands)
        }
        (Command::Invite { users, .. }, _) => {
            let names: Vec<_> = users.iter().map(ToString::to_string).collect();
            (words.done_invite(names.join(", ")), read_all(app))
        }
        (Command::MakeLink(_), Answer::Invite(link)) => {
            (words.done_link(), vec![Command::Emit(Emission::Copy(link.text().to_string()))])
        }
        (Command::JoinByLink(link), Answer::Asked(Admission::Joined)) => {
            let mut commands = read_all(app);
            commands.extend(open_unless_typing(app, link.room));
            (words.done_join(), commands)
        }
        (Command::JoinByLink(_), _) => (words.done_ask(), Vec::new()),
        (Command::LetIn(_, name), _) => (words.done_let_in(name.as_str()), read_all(app)),
        (Command::Remove(_, name), _) => (words.done_remove(name.as_str()), read_all(app)),
        (Command::Rename(..) | Command::SetTopic(..), _) => (words.done_change_room(), read_all(app)),
        (Command::Leave(_), _) => (words.done_leave(), read_all(app)),
        (Command::Join(joined), _) => {
            // Known before the list is read again: what is typed now is a message, not an answer.
            for room in app.rooms.iter_mut().flatten().filter(|room| room.id == joined) {
                room.status = RoomStatus::Joined;
            }
            let mut commands = read_all(app);
            if app.opened(joined).is_some() {
                commands.push(Command::LoadLine(joined));
            }
            (words.done_join(), commands)
        }
        (Command::Decline(_), _) => (words.done_decline(), read_all(app)),
        (Command::ApproveLink(_), _) => {
            let name = app.link.take().map_or_else(|| words.done_approve_link_it(), |request| request.name);
            (words.done_approve_link(name), Vec::new())
        }
        (Command::RefuseLink(_), _) => {
            app.link = None;
            (words.done_refuse_link(), Vec::new())
        }
        (Command::MarkVerified(name, _), _) => {
            if let Overlay::Panel(panel) = &mut app.overlay {
                (panel.safety, panel.at) = (None, 0);
            }
            (words.done_verify(name.as_str()), [vec![Command::LoadPeople], read_all(app)].concat())
        }
        (Command::Unverify(name), _) => {
            (words.done_unverify(name.as_str()), [vec![Command::LoadPeople], read_all(app)].concat())
        }
        (Command::AcceptIdentity(name, _), _) => {
            if let Overlay::Panel(panel) = &mut app.overlay {
                (panel.change, panel.at) = (None, 0);
            }
            (words.done_accept_identity(name.as_str()), read_all(app))
        }
        (Command::Revoke(_), _) => (words.done_revoke(), panels::refresh(app, Kind::Keys)),
        (Command::UpdateKeys(_), _) => (words.done_update_keys(), panels::refresh(app, Kind::Keys)),
        (Command::StartQuantum(_), _) => (words.done(), panels::refresh(app, Kind::Quantum)),
        (Command::CancelQuantum(_), _) => (words.done_cancelled(), panels::refresh(app, Kind::Quantum)),
        (Command::DeleteHere(..), _) => (words.done_delete_here(), Vec::new()),
        (Command::TakeBack(..), _) => (words.done_take_back(), Vec::new()),
        (Command::Retract(..), _) => (words.done_retract(), Vec::new()),
        _ => return Vec::new(),
    };
    app.report = Report::info(told);
    if !matches!(app.overlay, Overlay::Panel(_)) {
        commands.retain(|command| !matches!(command, Command::LoadRoster(_)));
    }
    commands
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
        Command::LoadAround { room, .. } => {
            if let Some(open) = app.opened(room) {
                open.going_to = None;
            }
        }
        Command::Locate { room, .. } => {
            if let Some(open) = app.opened(room) {
                open.looking_for = None;
            }
        }
        Command::LoadLink => {
            app.loading_link.ended();
        }
        Command::Search { query, .. } => {
            if let Overlay::Search(search) = &mut app.overlay {
                search.failed(&query, why);
            }
            return Vec::new();
        }
        // Nothing that the user did: it is tried again when it is needed.
        Command::LoadPresence => {
            app.loading_present.ended();
            return Vec::new();
        }
        Command::Notify { title, body } => return notify::without_desktop(app, title, body, why),
        Command::Peek(_)
        | Command::Rest(_)
        | Command::LoadPeople
        | Command::LoadUnsent
        | Command::LoadWriters(_)
        | Command::TellWriting { .. }
        | Command::Appear(_) => return Vec::new(),
        // Where nobody looks any more, nobody is told.
        command @ Command::LookAt { .. } => {
            if let Some(picture) = picture(app, &command) {
                picture.state = Looking::Failed(why);
            }
            return Vec::new();
        }
        Command::Encode(pixels, shape) => {
            if let Overlay::Picture(picture) = &mut app.overlay
                && picture.take(&pixels, shape, None)
            {
                picture.fails(app.words.picture_broken());
            }
            return Vec::new();
        }
        // What was ended had no outcome to be told.
        command @ Command::Play { .. } if app.playing.take_if(|playing| *playing == command).is_none() => {
            return Vec::new();
        }
        command @ (Command::SaveFile { .. } | Command::SendFile { .. }) => {
            app.transfers.end(&command, TransferState::Failed(why.clone()));
        }
        Command::LoadRoster(_)
        | Command::LoadDevices
        | Command::LoadKeys
        | Command::LoadLog
        | Command::LoadQuantum
        | Command::Ping
            if panels::failed(app, &why) =>
        {
            return Vec::new();
        }
        Command::Send { room, text, .. } | Command::Rewrite { room, text, .. } => give_back(app, room, text),
        _ => {}
    }
    app.report = Report::trouble(why);
    Vec::new()
}

fn read_link(app: &mut App) -> Vec<Command> {
    if app.loading_link.ask() { vec![Command::LoadLink] } else { Vec::new() }
}

fn show_link(app: &mut App, status: LinkStatus) -> Vec<Command> {
    let asks = match status {
        LinkStatus::Asks(request) => Some(request),
        LinkStatus::None | LinkStatus::Opening | LinkStatus::Elsewhere(_) => None,
    };
    if asks.is_none() && app.asking().is_some() {
        app.report = Report::info(app.words.device_gave_up());
    }
    app.link = asks;
    if app.loading_link.ended() { read_link(app) } else { Vec::new() }
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

/// Puts the line above what is unread in the open room where the lines were there before the list knew that they are new, and nobody
/// has touched a key since.
fn line_for_what_was_there(app: &mut App) {
    let (unread, read) = app.current().map_or((0, None), |room| (room.unread, room.read));
    let touched = app.touched;
    let Some(open) = &mut app.open else { return };
    let kept = matches!(open.line, Some(Some(_)));
    if !touched && !kept && open.unread_at_opening.is_none() && open.timeline.unread_line().is_none() {
        open.timeline.mark_unread(unread, read);
    }
}

fn show_rooms(app: &mut App, mut list: Vec<RoomSummary>) -> Vec<Command> {
    let mut commands = Vec::new();
    if app.loading_rooms.ended() {
        commands.extend(read_rooms(app));
    }
    list.retain(|room| room.status != RoomStatus::Left);
    let was = app.current().map(|room| (room.id, room.status));
    let place = was.and_then(|(id, _)| app.rooms().iter().position(|room| room.id == id)).unwrap_or(0);
    let before = app.rooms.replace(list);
    if let Some(before) = before {
        commands.extend(notify::of_rooms(app, &before));
    }
    if let Overlay::Question(Question::Join(asked) | Question::Decline(asked)) = app.overlay
        && app.summary(asked).is_none_or(|room| room.status != RoomStatus::Invited)
    {
        app.overlay = Overlay::None;
    }
    let is = app.current().map(|room| room.status);
    match (was, is) {
        // Accepted just now, here or by another program of this profile.
        (Some((room, RoomStatus::Invited)), Some(RoomStatus::Joined)) => {
            commands.push(Command::LoadLine(room));
            commands.extend(rooms::read_open(app));
        }
        (_, Some(_)) => {}
        // A room that was just created opens before the list knows it.
        (None, None) if app.open.is_some() => {}
        (_, None) => {
            app.open = None;
            let next = app.rooms().get(place.min(app.rooms().len().saturating_sub(1))).map(|room| room.id);
            // Whoever is typing would go on in another room, and send it there.
            let typing = !app.composer.is_empty();
            app.composer = Composer::new("");
            if typing {
                app.report = Report::trouble(app.words.room_is_gone());
            } else {
                commands.extend(next.map_or_else(Vec::new, |room| rooms::open(app, room)));
            }
        }
    }
    line_for_what_was_there(app);
    commands.extend(rooms::mark_read(app));
    commands
}

fn show_newest(app: &mut App, room: RoomId, page: Vec<Message>, limit: usize) -> Vec<Command> {
    let focused = app.focused && app.touched;
    let Some(open) = app.opened(room) else { return Vec::new() };
    let known = open.timeline.newest_row();
    let watched = focused && open.timeline.follows();
    let mut commands = Vec::new();
    let merged = open.timeline.merge_newest(page, limit);
    // Another reading that is under way may have begun before the deletion.
    if open.purged && !open.reread {
        open.purged = false;
        if matches!(merged, Merged::MissingAfter(_)) {
            // Of what is loaded nothing is left.
            open.timeline = Timeline::new();
            commands.extend(open.loading_newest.ask().then(|| rooms::load_newest(open)));
        }
        open.timeline.forget_gone();
    }
    match merged {
        Merged::MissingAfter(_) if open.timeline.newest_row().is_none() => {}
        Merged::MissingAfter(after) if !open.loading_more => {
            open.loading_more = true;
            commands.push(Command::LoadNewer { room, after });
        }
        Merged::MissingAfter(_) | Merged::Complete => {}
    }
    if let Some((unread, read)) = open.unread_at_opening.take() {
        match open.line {
            Some(Some(row)) => open.timeline.restore_unread(row),
            _ => open.timeline.mark_unread(unread, read),
        }
    } else if let (Some(row), false) = (known, watched) {
        open.timeline.mark_unread_after(row);
    }
    // When the unread line has its place, which is above what is loaded.
    open.timeline.trim();
    if open.loading_newest.ended() && open.loading_newest.ask() {
        commands.push(rooms::load_newest(open));
    }
    let lost = open.timeline.selected().is_none() && open.going_to.is_none();
    if lost && app.focus == Focus::Timeline {
        message::back_to_text(app);
    }
    commands.extend(rooms::mark_read(app));
    commands
}

fn show_newer(app: &mut App, room: RoomId, after: i64, page: Vec<Message>) -> Vec<Command> {
    let Some(open) = app.opened(room) else { return Vec::new() };
    open.loading_more = false;
    let more = page.len() >= PAGE;
    let jumped = open.timeline.newer_exist();
    open.timeline.append(after, page, PAGE);
    if !jumped {
        open.timeline.mark_unread_after(after);
    }
    open.timeline.trim();
    if jumped {
        // What lies below is read as somebody comes to it; but what has arrived meanwhile, at its end.
        if !open.timeline.newer_exist() && open.loading_newest.ask() {
            return vec![rooms::load_newest(open)];
        }
        return Vec::new();
    }
    match open.timeline.newest_row() {
        // The rest is read as somebody comes to it, when there is more than is kept.
        Some(after) if more && !open.timeline.newer_exist() => {
            open.loading_more = true;
            vec![Command::LoadNewer { room, after }]
        }
        _ => Vec::new(),
    }
}

/// Shows what is around a message that was jumped to: pages on both sides of it, so that fewer lines on one say that it ends.
fn show_around(app: &mut App, room: RoomId, row: i64, page: Vec<Message>) -> Vec<Command> {
    let Some(open) = app.opened(room).filter(|open| open.going_to == Some(row)) else { return Vec::new() };
    open.going_to = None;
    let Some(at) = page.iter().position(|message| message.row == row) else {
        app.report = Report::trouble(app.words.not_here_any_more());
        message::back_to_text(app);
        return Vec::new();
    };
    let (older, newer) = (at + 1 >= PAGE, page.len() - at > PAGE);
    let line = open.timeline.unread_line();
    open.timeline.show(page, older, newer);
    if let Some(line) = line {
        open.timeline.restore_unread(line);
    }
    open.unread_at_opening = None;
    rooms::go_to(app, row)
}

/// Takes in what is begun in rooms; what was typed meanwhile is newer.
fn take_drafts(app: &mut App, drafts: Vec<(RoomId, String)>) {
    for (room, text) in drafts {
        if app.open.as_ref().is_some_and(|open| open.id == room) {
            if app.composer.is_empty() {
                app.composer = Composer::new(&text);
            }
            app.kept_draft = Some((room, text));
        } else {
            app.drafts.entry(room).or_insert(text);
        }
    }
}

fn give_back(app: &mut App, room: RoomId, text: String) {
    if app.open.as_ref().is_some_and(|open| open.id == room) {
        // What is being written may be another text of a message that was sent.
        if let Writing::Edit { before, .. } = &mut app.writing {
            *before = joined(text, before);
        } else {
            let typed = app.composer.text();
            app.composer = Composer::new(&joined(text, &typed));
        }
    } else {
        let draft = app.drafts.remove(&room).unwrap_or_default();
        app.drafts.insert(room, joined(text, &draft));
    }
}

fn joined(first: String, second: &str) -> String {
    if second.is_empty() { first } else { format!("{first}\n{second}") }
}
