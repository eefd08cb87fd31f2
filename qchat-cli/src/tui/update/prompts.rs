//! Prompts and questions: what they ask, and what becomes of the answers.

use qchat_proto::{
    content::{Poll, check_room_name},
    ids::{IdError, RoomId, UserName},
    invite::LinkError,
};

use super::{
    super::{
        app::{App, Overlay, Prompt, Question, Report},
        composer::Composer,
        msg::Command,
        words::Words,
    },
    begin, message, panels, writing,
};

/// Opens a prompt for text.
pub(super) fn ask(app: &mut App, what: Prompt) {
    let known = match what {
        Prompt::NewName(room) => app.summary(room).map(|room| room.name.clone()),
        Prompt::Topic(_) => {
            app.open.as_ref().and_then(|open| open.details.as_ref()).map(|details| details.topic.clone())
        }
        _ => None,
    };
    app.overlay = Overlay::Prompt { what, input: Box::new(Composer::new(&known.unwrap_or_default())) };
}

/// Opens a prompt that is about the open room, where one can write in it.
pub(super) fn ask_here(app: &mut App, what: fn(RoomId) -> Prompt) {
    match app.open.as_ref().map(|open| open.id).filter(|_| app.can_write()) {
        Some(room) => ask(app, what(room)),
        None => app.report = Report::trouble(app.words.needs_a_room()),
    }
}

/// Makes an invite link to the open room, where one can write in it.
pub(super) fn make_link(app: &mut App) -> Vec<Command> {
    if let Some(room) = app.open.as_ref().map(|open| open.id).filter(|_| app.can_write()) {
        return begin(app, Command::MakeLink(room));
    }
    app.report = Report::trouble(app.words.needs_a_room());
    Vec::new()
}

/// Opens a question about the open room.
pub(super) fn question(app: &mut App, about: fn(RoomId) -> Question) {
    if let Some(open) = &app.open {
        app.overlay = Overlay::Question(about(open.id));
    }
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
    let (what, typed) = (*what, input.text());
    let typed = typed.trim();
    if typed.is_empty() && !matches!(what, Prompt::Topic(_)) {
        app.overlay = Overlay::None;
        return Vec::new();
    }
    match answer(app, what, typed) {
        Ok(commands) => {
            app.overlay = Overlay::None;
            commands
        }
        Err(why) => {
            app.report = Report::trouble(why);
            Vec::new()
        }
    }
}

/// What comes of an answer.
///
/// # Errors
/// Why it cannot be right.
pub(super) fn answer(app: &mut App, what: Prompt, typed: &str) -> Result<Vec<Command>, String> {
    let words = app.words;
    let named = |name: &str| match check_room_name(name) {
        Ok(()) => Ok(name.to_owned()),
        Err(error) => Err(words.cannot_be(error.to_string())),
    };
    let command = match what {
        Prompt::RoomName => Command::CreateRoom(named(typed)?),
        Prompt::NewName(room) => Command::Rename(room, named(typed)?),
        Prompt::Topic(room) => Command::SetTopic(room, typed.to_owned()),
        Prompt::Link => {
            Command::JoinByLink(Box::new(typed.parse().map_err(|why: LinkError| why.to_string())?))
        }
        Prompt::Applicant(room) => Command::LetIn(room, user(typed, words)?),
        Prompt::Invitees(room) => Command::Invite { room, users: users(typed, words)? },
        Prompt::Person => Command::Direct(user(typed, words)?),
        Prompt::File(room) => {
            if typed.is_empty() {
                return Err(words.say_which_file());
            }
            Command::SendFile { room, path: writing::path(typed) }
        }
        Prompt::Poll(room) => Command::Ask(room, poll(typed, words)?),
    };
    Ok(begin(app, command))
}

/// Completes the last word of a prompt: names of people.
pub(super) fn complete(app: &mut App) {
    let Overlay::Prompt { what: Prompt::Invitees(_) | Prompt::Person, input } = &mut app.overlay else {
        return;
    };
    let typed = input.text();
    let word = typed.rsplit([' ', ',']).next().unwrap_or_default();
    let mut fitting =
        app.people.iter().map(|person| person.name.as_str()).filter(|name| name.starts_with(word));
    if let Some(name) = fitting.next() {
        input.replace_before(word.chars().count(), name);
    }
}

/// Goes ahead with what was asked.
pub(super) fn confirm(app: &mut App) -> Vec<Command> {
    let Overlay::Question(question) = std::mem::replace(&mut app.overlay, Overlay::None) else {
        return Vec::new();
    };
    if matches!(question, Question::DeleteHere(..) | Question::Retract(..)) {
        // What was chosen will be gone.
        message::back_to_text(app);
    }
    let command = match question {
        Question::Join(room) => Command::Join(room),
        Question::Decline(room) => Command::Decline(room),
        Question::Leave(room) => Command::Leave(room),
        Question::DeleteHere(room, id) => Command::DeleteHere(room, id),
        Question::Retract(room, of) => Command::Retract(room, of),
        Question::Same(name, number) => Command::MarkVerified(name, number),
        Question::Unverify(name) => Command::Unverify(name),
        Question::AcceptIdentity(name, key) => Command::AcceptIdentity(name, key),
        Question::Remove(room, name, _) => Command::Remove(room, name),
        Question::Revoke(device, _) => Command::Revoke(device),
        Question::Link(link) => {
            app.answered = Some(link);
            Command::ApproveLink(link)
        }
        Question::Paste => {
            if let Some(pasted) = app.pasted.take() {
                app.composer.paste(&pasted);
            }
            return Vec::new();
        }
    };
    let mut commands = begin(app, command);
    commands.extend(panels::go_back(app));
    commands
}

/// Says no to what was asked: to a device at once, for it waits; everything else stays as it is.
pub(super) fn refuse(app: &mut App) -> Vec<Command> {
    let asked = std::mem::replace(&mut app.overlay, Overlay::None);
    match asked {
        Overlay::Question(Question::Link(link)) => {
            app.answered = Some(link);
            begin(app, Command::RefuseLink(link))
        }
        Overlay::Question(Question::Paste) => {
            app.pasted = None;
            Vec::new()
        }
        _ => panels::go_back(app),
    }
}

/// The one user that is named.
///
/// # Errors
/// That there is none, or more than one.
fn user(answer: &str, words: Words) -> Result<UserName, String> {
    match &users(answer, words)?[..] {
        [user] => Ok(user.clone()),
        _ => Err(words.say_one_name()),
    }
}

fn users(answer: &str, words: Words) -> Result<Vec<UserName>, String> {
    let names: Result<Vec<UserName>, String> = answer
        .split([' ', ','])
        .filter(|name| !name.is_empty())
        .map(|name| {
            let plain = name.strip_prefix('@').unwrap_or(name);
            plain.parse().map_err(|why: IdError| words.no_user(format!("{name:?}"), why.to_string()))
        })
        .collect();
    names.and_then(|names| if names.is_empty() { Err(words.say_whom()) } else { Ok(names) })
}

/// A question and its options, as in `Where? | here | there`.
fn poll(typed: &str, words: Words) -> Result<Poll, String> {
    let mut parts = typed.split('|').map(|part| part.trim().to_owned());
    let question = parts.next().unwrap_or_default();
    Poll::new(question, parts.collect(), 1).map_err(|why| words.cannot_be_poll(why.to_string()))
}
