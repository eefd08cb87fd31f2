//! `update`: the whole behaviour of the screen, as a function from what happened to what is shown and asked for.

mod engine;
mod input;
mod lock;
mod prompts;
mod rooms;

use super::{
    app::App,
    msg::{Command, Msg},
};

/// Lines of a timeline that are read at once.
pub(super) const PAGE: usize = 200;

/// Changes the state for what happened, and returns what the engine has to do about it.
pub fn update(app: &mut App, msg: Msg) -> Vec<Command> {
    let commands = react(app, msg);
    prompts::ask_about_the_device(app);
    commands
}

fn react(app: &mut App, msg: Msg) -> Vec<Command> {
    if let Some(lock) = &mut app.lock {
        match msg {
            Msg::Key(key) => return lock::key(lock, key),
            Msg::Paste(text) => {
                lock.push(&text);
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
        Msg::Key(key) => input::key(app, key),
        Msg::Paste(text) => input::paste(app, &text),
        Msg::Mouse(mouse) => input::mouse(app, mouse),
        Msg::Resize(width, height) => {
            app.size = ratatui::layout::Size { width, height };
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
        Msg::Lagged => engine::read_all(app),
        Msg::Done(command, answer) => engine::done(app, command, answer),
        Msg::Failed(command, why) => engine::failed(app, command, why),
    }
}

/// What has to be read when the screen opens.
pub fn start(app: &mut App) -> Vec<Command> {
    engine::read_all(app)
}
