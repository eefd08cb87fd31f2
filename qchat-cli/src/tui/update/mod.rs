//! `update`: the whole behaviour of the screen, as a function from what happened to what is shown and asked for.

mod engine;
pub(super) mod input;
mod lists;
mod lock;
pub(super) mod message;
mod mouse;
mod notify;
mod panels;
mod people;
mod prompts;
mod rooms;
mod writing;

use super::{
    app::{App, Overlay, Report},
    msg::{Command, Msg},
};

/// Lines of a timeline that are read at once.
pub(super) const PAGE: usize = 200;

/// Changes the state for what happened, and returns what the engine has to do about it.
pub fn update(app: &mut App, msg: Msg) -> Vec<Command> {
    app.touched |= matches!(msg, Msg::Key(_) | Msg::Paste(_) | Msg::Mouse(_));
    let covered = app.is_covered();
    let before = matches!(msg, Msg::Key(_) | Msg::Paste(_)).then(|| people::written(app)).flatten();
    let fetched = app.fetches().cloned();
    let mut commands = react(app, msg);
    // Whoever looks at something else does not wait for the picture any more.
    if let Some(command) = fetched
        && !matches!(&app.overlay, Overlay::Picture(picture) if picture.command == command)
    {
        commands.push(Command::GiveUp(Box::new(command)));
    }
    if app.is_locked() {
        commands.extend(message::hush(app));
    }
    if covered && !app.is_covered() {
        commands.extend(rooms::mark_read(app));
    }
    commands.extend(people::tell(app, before));
    commands.extend(message::encode(app));
    prompts::ask_about_the_device(app);
    // Before anything is marked as read: what is known to have been read has its line kept.
    commands.splice(0..0, rooms::keep_line(app));
    if let Overlay::Search(search) = &mut app.overlay {
        commands.extend(search.ask());
    }
    commands
}

fn react(app: &mut App, msg: Msg) -> Vec<Command> {
    if let Some(lock) = &mut app.lock {
        match msg {
            Msg::Key(key) => return lock::key(&app.keymap, lock, key),
            Msg::Paste(text) => {
                lock.typed.push(&text);
                return Vec::new();
            }
            // The window may be looked at; its rooms are not.
            Msg::Mouse(_) | Msg::Focus(_) => return Vec::new(),
            Msg::Done(Command::Unlock(_), _) => return lock::unlock(app),
            Msg::Failed(Command::Unlock(_), why) => {
                (lock.trying, lock.refused) = (false, Some(why));
                return Vec::new();
            }
            _ => {}
        }
    }
    match msg {
        Msg::Idle => lock::lock(app),
        Msg::Pause => {
            people::pause(app);
            writing::keep_draft(app)
        }
        Msg::Suspend => vec![Command::Suspend],
        Msg::Unstoppable => {
            app.report = Report::trouble(app.words.no_shell());
            Vec::new()
        }
        Msg::End => writing::leave_in_order(app),
        Msg::Key(key) => input::key(app, key),
        Msg::Paste(text) => input::paste(app, &text),
        Msg::Mouse(event) => mouse::mouse(app, event),
        Msg::Resize(width, height) => {
            app.size = ratatui::layout::Size { width, height };
            Vec::new()
        }
        Msg::Cell(cell) => {
            app.cell = cell;
            Vec::new()
        }
        Msg::Focus(focused) => {
            app.focused = focused;
            if let Some(open) = app.open.as_mut()
                && !focused
                && open.timeline.follows()
            {
                // All of it has been seen: what arrives from now on gets a line of its own.
                open.timeline.mark_all_read();
            }
            rooms::mark_read(app).into_iter().collect()
        }
        Msg::Engine(event) => engine::event(app, event),
        Msg::Lagged => engine::read_anew(app),
        Msg::Progress(command, done, of) => engine::progress(app, &command, done, of),
        Msg::Glimpse(command, pixels) => engine::glimpse(app, &command, pixels),
        Msg::Done(command, answer) => {
            let choice = panels::choice(app);
            let commands = engine::done(app, command, answer);
            panels::restore(app, choice.as_ref());
            commands
        }
        Msg::Failed(command, why) => engine::failed(app, command, why),
    }
}

/// What has to be read when the screen opens.
pub fn start(app: &mut App) -> Vec<Command> {
    let mut commands = engine::read_all(app);
    commands.extend([Command::LoadDrafts, Command::LoadPeople]);
    commands
}

/// Has something done that takes a while, and says so.
fn begin(app: &mut App, command: Command) -> Vec<Command> {
    let words = app.words;
    let doing = match &command {
        Command::CreateRoom(_) => words.doing_create(),
        Command::Direct(_) => words.doing_direct(),
        Command::Invite { .. } => words.doing_invite(),
        Command::MakeLink(_) => words.doing_link(),
        Command::JoinByLink(_) => words.doing_ask(),
        Command::LetIn(..) => words.doing_let_in(),
        Command::Remove(..) => words.doing_remove(),
        Command::Rename(..) | Command::SetTopic(..) => words.doing_change_room(),
        Command::Leave(_) => words.doing_leave(),
        Command::Join(_) => words.doing_join(),
        Command::Decline(_) => words.doing_decline(),
        Command::ApproveLink(_) => words.doing_approve_link(),
        Command::RefuseLink(_) => words.doing_refuse_link(),
        Command::Compare(_) => words.doing_compare(),
        Command::Revoke(_) => words.doing_revoke(),
        Command::UpdateKeys(_) => words.doing_update_keys(),
        Command::StartQuantum(_) => words.doing_quantum(),
        Command::SendFile { path, .. } => {
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let name = super::text::clean_line(&name);
            return transfer(app, command, name);
        }
        Command::SaveFile { name, .. } => {
            let name = name.clone();
            return transfer(app, command, name);
        }
        _ => return vec![command],
    };
    app.report = Report::info(doing);
    vec![command]
}

/// Sends or gets a file, unless that is under way.
fn transfer(app: &mut App, command: Command, name: String) -> Vec<Command> {
    if app.transfers.runs(&command) {
        app.report = Report::info(app.words.under_way());
        return Vec::new();
    }
    app.transfers.begin(&command, name);
    vec![command]
}
