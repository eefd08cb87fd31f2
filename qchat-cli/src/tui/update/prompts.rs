//! Prompts and questions: what they ask, and what becomes of the answers.

use qchat_proto::{
    content::check_room_name,
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

/// Asks about the device that wants to belong to the account as soon as nothing else is asked, and stops asking when it has
/// gone.
pub(super) fn ask_about_the_device(app: &mut App) {
    let asking = app.asking().map(|request| request.link);
    match (&app.overlay, asking) {
        (Overlay::None, Some(link)) => app.overlay = Overlay::Question(Question::Link(link)),
        (Overlay::Question(Question::Link(asked)), asking) if asking != Some(*asked) => {
            app.overlay = Overlay::None;
        }
        _ => {}
    }
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
        Prompt::RoomName => match check_room_name(answer) {
            Ok(()) => Ok(Command::CreateRoom(answer.to_owned())),
            Err(error) => Err(format!("That cannot be: {error}.")),
        },
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
    let command = match question {
        Question::Join(room) => Command::Join(room),
        Question::Decline(room) => Command::Decline(room),
        Question::Link(link) => {
            app.answered = Some(link);
            Command::ApproveLink(link)
        }
    };
    begin(app, command)
}

/// Says no to what was asked: to a device at once, for it waits; an invitation stays as it is.
pub(super) fn refuse(app: &mut App) -> Vec<Command> {
    let asked = std::mem::replace(&mut app.overlay, Overlay::None);
    let Overlay::Question(Question::Link(link)) = asked else { return Vec::new() };
    app.answered = Some(link);
    begin(app, Command::RefuseLink(link))
}

fn begin(app: &mut App, command: Command) -> Vec<Command> {
    let doing = match &command {
        Command::CreateRoom(_) => "Creating the room…",
        Command::Invite { .. } => "Inviting…",
        Command::Join(_) => "Joining…",
        Command::ApproveLink(_) => "Waiting for the yes of the new device…",
        Command::RefuseLink(_) => "Refusing the device…",
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
