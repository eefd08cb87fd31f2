//! Prompts and questions: what they ask, and what becomes of the answers.

use qchat_proto::{
    content::MAX_ROOM_NAME,
    ids::{RoomId, UserName},
};

use super::super::{
    app::{App, Overlay, Prompt, Question, Report},
    composer::Composer,
    msg::Command,
};

/// Opens a prompt for text.
pub(super) fn ask(app: &mut App, what: Prompt) -> Vec<Command> {
    app.overlay = Overlay::Prompt { what, input: Box::new(Composer::new("")) };
    Vec::new()
}

/// Opens a question about the open room.
pub(super) fn question(app: &mut App, about: fn(RoomId) -> Question) -> Vec<Command> {
    if let Some(open) = &app.open {
        app.overlay = Overlay::Question(about(open.id));
    }
    Vec::new()
}

/// Takes what was typed; an answer that cannot be right leaves the prompt open and says why.
pub(super) fn submit(app: &mut App) -> Vec<Command> {
    let Overlay::Prompt { what, input } = &app.overlay else { return Vec::new() };
    let answer = input.text();
    let answer = answer.trim();
    if answer.is_empty() {
        app.overlay = Overlay::None;
        return Vec::new();
    }
    let command = match *what {
        Prompt::RoomName if answer.len() > MAX_ROOM_NAME => {
            Err(format!("A room's name has at most {MAX_ROOM_NAME} bytes; this one has {}.", answer.len()))
        }
        Prompt::RoomName => Ok(Command::CreateRoom(answer.to_owned())),
        Prompt::Invitees(room) => users(answer).map(|users| Command::Invite { room, users }),
    };
    match command {
        Ok(command) => {
            app.overlay = Overlay::None;
            begin(app, command)
        }
        Err(why) => {
            app.report = Some(Report::Trouble(why));
            Vec::new()
        }
    }
}

/// Goes ahead with what was asked.
pub(super) fn confirm(app: &mut App) -> Vec<Command> {
    let Overlay::Question(question) = app.overlay else { return Vec::new() };
    app.overlay = Overlay::None;
    begin(
        app,
        match question {
            Question::Join(room) => Command::Join(room),
            Question::Decline(room) => Command::Decline(room),
        },
    )
}

fn begin(app: &mut App, command: Command) -> Vec<Command> {
    let doing = match &command {
        Command::CreateRoom(_) => "Creating the room…",
        Command::Invite { .. } => "Inviting…",
        Command::Join(_) => "Joining…",
        _ => "Declining…",
    };
    app.report = Some(Report::Info(doing.to_owned()));
    vec![command]
}

fn users(answer: &str) -> Result<Vec<UserName>, String> {
    answer
        .split([' ', ','])
        .filter(|name| !name.is_empty())
        .map(|name| name.parse().map_err(|why| format!("{name:?} is no user: {why}.")))
        .collect()
}
