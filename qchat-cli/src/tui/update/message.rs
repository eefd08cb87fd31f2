//! What is done with a message that is chosen.

use crossterm::event::{KeyCode, KeyEvent};
use qchat_proto::content::MessageRef;
use ratatui::layout::Rect;

use super::{
    super::{
        app::{App, Focus, Overlay, Question, Report, Writing},
        composer::Composer,
        emit::Emission,
        graphics::Means,
        keymap::Action,
        lines, markup,
        msg::Command,
        picker::Picker,
        picture::{Depth, Picture},
        pixels, text,
        timeline::Timeline,
        view::areas::Areas,
        words::Words,
    },
    rooms,
};
use crate::{
    engine::types::{Body, Delivery, Message},
    sound,
};

/// Longest excerpt of what is answered, characters.
const EXCERPT: usize = 80;

/// Carries out an action upon the chosen message.
pub(super) fn act(app: &mut App, action: Action, event: KeyEvent) -> Vec<Command> {
    match action {
        // Where Esc leads to the messages, it gives up first what is being answered or edited, as it does elsewhere.
        Action::SelectMessage if event.code == KeyCode::Esc && app.writing != Writing::New => {
            super::writing::give_up_answer(app);
            return Vec::new();
        }
        Action::SelectMessage => return choose(app),
        Action::ToComposer => {
            back_to_text(app);
            return Vec::new();
        }
        Action::First => return rooms::scroll(app, Timeline::select_first),
        Action::Last => {
            return rooms::scroll(app, |timeline, pane| {
                timeline.select_last(pane);
                false
            });
        }
        Action::Details => {
            return rooms::scroll(app, |timeline, pane| {
                timeline.toggle_details(pane);
                false
            });
        }
        Action::Back => return back(app),
        _ => {}
    }
    let timeline = app.open.as_ref().map(|open| &open.timeline);
    let chosen = timeline.and_then(|timeline| match timeline.selected() {
        // Where none is chosen it is the last one that came.
        None if action == Action::LookAt => timeline.newest(is_picture),
        None if action == Action::Play => timeline.newest(is_sound),
        chosen => chosen,
    });
    let Some(message) = chosen.cloned() else {
        if action == Action::LookAt {
            app.report = Report::trouble(app.words.no_picture());
        }
        if action == Action::Play {
            app.report = Report::trouble(app.words.no_sound());
        }
        return Vec::new();
    };
    match upon(app, action, event, &message) {
        Ok(commands) => commands,
        Err(why) => {
            app.report = Report::trouble(why);
            Vec::new()
        }
    }
}

/// How a message is called in commands; not one that is a notice.
fn reference(message: &Message, words: Words) -> Result<MessageRef, String> {
    match (&message.sender, message.id) {
        (Some(sender), Some(id)) => Ok(MessageRef { device: sender.device, id }),
        _ => Err(words.is_a_notice()),
    }
}

fn is_mine(message: &Message) -> bool {
    message.sender.as_ref().is_some_and(|sender| sender.me)
}

fn upon(app: &mut App, action: Action, event: KeyEvent, message: &Message) -> Result<Vec<Command>, String> {
    let (room, words) = (message.room, app.words);
    if action == Action::Copy {
        return copy(app, said(message, words));
    }
    let of = reference(message, words)?;
    match action {
        Action::Reply => {
            writable(app)?;
            back_to_text(app);
            let to = message.sender.as_ref().map(|sender| text::clean_line(&sender.name)).unwrap_or_default();
            let excerpt: String = text::clean_line(&said(message, words)).chars().take(EXCERPT).collect();
            take_up(app, Writing::Reply { of, to, excerpt });
        }
        Action::EditMessage => {
            writable(app)?;
            let Body::Text(body) = &message.body else {
                return Err(words.only_texts_edited());
            };
            if !is_mine(message) {
                return Err(words.only_own_edited());
            }
            back_to_text(app);
            let before = app.draft();
            take_up(app, Writing::Edit { of, before });
            app.composer = Composer::new(body);
        }
        Action::DeleteHere => app.overlay = Overlay::Question(Question::DeleteHere(room, of.id)),
        Action::Retract => app.overlay = Overlay::Question(Question::Retract(room, of)),
        Action::React => {
            let mine = message.marks.reactions.iter().filter(|reaction| reaction.me);
            let mine = mine.map(|reaction| reaction.emoji.clone()).collect();
            app.overlay = Overlay::Picker(Box::new(Picker::reactions(room, of, mine, words)));
        }
        Action::CopyCode => {
            let code = markup::code(&said(message, words)).ok_or_else(|| words.no_code())?;
            return copy(app, code);
        }
        Action::Pin => {
            let remove = message.marks.pinned_by.is_some();
            return Ok(vec![Command::Pin { room, of, remove }]);
        }
        Action::SaveFile | Action::OpenFile => {
            let Body::File(file) = &message.body else {
                return Err(words.no_file());
            };
            let open = action == Action::OpenFile;
            let name = text::clean_line(&file.name);
            if open && !is_harmless(&file.name) {
                return Err(words.may_be_program());
            }
            let command = Command::SaveFile { room, message: of.id, name: name.clone(), open };
            return Ok(super::transfer(app, command, name));
        }
        Action::LookAt => return look_at(app, message, of),
        Action::Play => return play(app, message, of),
        Action::Original => return original(app, message),
        Action::Vote => return vote(message, of, event, words),
        Action::ClosePoll => {
            if !matches!(&message.body, Body::Poll(poll) if !poll.closed) {
                return Err(words.no_open_poll());
            }
            return Ok(vec![Command::ClosePoll(room, of)]);
        }
        Action::Resend => {
            if message.delivery != Delivery::Pending {
                return Err(words.waits_no_more());
            }
            return Ok(vec![Command::TakeBack(room, of)]);
        }
        _ => {}
    }
    Ok(Vec::new())
}

/// Whether a message has a picture that can be looked at.
pub(in super::super) fn is_picture(message: &Message) -> bool {
    matches!(&message.body, Body::File(file) if pixels::may_be_picture(&file.name, file.media_type.as_deref()))
}

/// Fetches a picture, and shows it when it is there.
fn look_at(app: &mut App, message: &Message, of: MessageRef) -> Result<Vec<Command>, String> {
    let words = app.words;
    let Body::File(file) = &message.body else { return Err(words.no_file()) };
    if !is_picture(message) {
        return Err(words.no_picture());
    }
    let key = |words: Words| words.key_of(&app.keymap, Action::SaveFile);
    match app.means() {
        Means::None => return Err(words.pictures_off(key(words))),
        Means::Halfblocks if app.theme.depth(&app.ambience) == Depth::None => {
            return Err(words.picture_no_colours(key(words)));
        }
        Means::Halfblocks | Means::Pixels(..) => {}
    }
    if file.size > pixels::LARGEST {
        return Err(words.picture_too_large(words.size(file.size), words.size(pixels::LARGEST)));
    }
    let command = Command::LookAt { room: message.room, message: of.id };
    let picture = Picture::coming(text::clean_line(&file.name), command.clone(), file.size);
    app.overlay = Overlay::Picture(Box::new(picture));
    Ok(vec![command])
}

/// Whether a message has a sound that can be played.
pub(in super::super) fn is_sound(message: &Message) -> bool {
    matches!(
        &message.body,
        Body::File(file) if sound::may_be_sound(&file.name, file.media_type.as_deref(), file.voice)
    )
}

/// Plays a sound in the place of the one that is played; that same one it ends.
fn play(app: &mut App, message: &Message, of: MessageRef) -> Result<Vec<Command>, String> {
    let words = app.words;
    let Body::File(file) = &message.body else { return Err(words.no_sound()) };
    if !is_sound(message) {
        return Err(words.no_sound());
    }
    let command = Command::Play { room: message.room, message: of.id };
    let before = app.playing.take();
    let mut commands: Vec<_> =
        before.iter().map(|before| Command::GiveUp(Box::new(before.clone()))).collect();
    if before.as_ref() == Some(&command) {
        app.report = None;
        return Ok(commands);
    }
    let key = words.key_of(&app.keymap, Action::Play);
    app.report = Report::info(words.playing(text::clean_line(&file.name), key));
    app.playing = Some(command.clone());
    commands.push(command);
    Ok(commands)
}

/// Ends what is played, where others may hear it.
pub(super) fn hush(app: &mut App) -> Option<Command> {
    app.playing.take().map(|command| Command::GiveUp(Box::new(command)))
}

/// Has the picture that is looked at made into what the terminal draws, as large as it is now.
pub(super) fn encode(app: &mut App) -> Option<Command> {
    let (means, area) = (app.means(), Areas::of(app).timeline.as_size());
    match &mut app.overlay {
        Overlay::Picture(picture) if app.lock.is_none() => picture.encode(means, area),
        _ => None,
    }
}

/// Whether opening a file of this name shows something, and starts nothing.
fn is_harmless(name: &str) -> bool {
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    match kind.type_().as_str() {
        "image" => kind.subtype() != "svg",
        "audio" | "video" => true,
        _ => ["text/plain", "text/markdown", "text/csv", "application/pdf"].contains(&kind.essence_str()),
    }
}

fn writable(app: &App) -> Result<(), String> {
    if app.can_write() { Ok(()) } else { Err(app.words.cannot_write()) }
}

/// What a message says, to be copied or quoted.
fn said(message: &Message, words: Words) -> String {
    match &message.body {
        Body::Text(text) | Body::Notice(text) | Body::Warning(text) => text.clone(),
        Body::Poll(poll) => lines::poll_words(poll, words),
        Body::File(file) if file.caption.is_empty() => file.name.clone(),
        Body::File(file) => format!("{} {}", file.name, file.caption),
        Body::Deleted(_) => words.deleted(),
        Body::Unknown => String::new(),
    }
}

fn copy(app: &mut App, text: String) -> Result<Vec<Command>, String> {
    if !Emission::fits(&text) {
        return Err(app.words.too_long_to_copy());
    }
    app.report = Report::info(app.words.done_copy());
    Ok(vec![Command::Emit(Emission::Copy(text))])
}

/// What the text that is written becomes from now on.
fn take_up(app: &mut App, writing: Writing) {
    if let Writing::Edit { before, .. } = &app.writing {
        // One message at a time is edited.
        app.composer = Composer::new(before);
    }
    app.writing = writing;
}

/// Votes for the option of the key, or takes that back; who may choose one alone chooses this instead.
fn vote(message: &Message, of: MessageRef, event: KeyEvent, words: Words) -> Result<Vec<Command>, String> {
    let Body::Poll(poll) = &message.body else { return Err(words.no_poll()) };
    let KeyCode::Char(digit) = event.code else { return Ok(Vec::new()) };
    let place = digit.to_digit(10).and_then(|digit| digit.checked_sub(1));
    let place = place.filter(|place| poll.options.len() > *place as usize);
    let place = place.ok_or_else(|| words.no_such_option())?;
    if poll.closed {
        return Err(words.no_more_votes());
    }
    let numbered = (0_u32..).zip(&poll.options);
    let mut choices: Vec<u32> = numbered.filter(|(_, option)| option.me).map(|(place, _)| place).collect();
    if choices.contains(&place) {
        choices.retain(|known| *known != place);
    } else if poll.choices == 1 {
        choices = vec![place];
    } else if choices.len() < poll.choices as usize {
        choices.push(place);
    } else {
        return Err(words.most_options(poll.choices));
    }
    choices.sort_unstable();
    Ok(vec![Command::Vote { room: message.room, of, choices }])
}

/// Goes to what a message answers.
fn original(app: &mut App, message: &Message) -> Result<Vec<Command>, String> {
    let reply = message.marks.reply_to.as_ref().ok_or_else(|| app.words.answers_none())?;
    let Some(open) = &mut app.open else { return Ok(Vec::new()) };
    open.came_from.push(message.row);
    if let Some(row) = open.timeline.row_of(reply.id) {
        return Ok(rooms::go_to(app, row));
    }
    open.looking_for = Some(reply.id);
    Ok(vec![Command::Locate { room: message.room, id: reply.id }])
}

/// Goes back to the answer.
fn back(app: &mut App) -> Vec<Command> {
    let row = app.open.as_mut().and_then(|open| open.came_from.pop());
    row.map_or_else(Vec::new, |row| rooms::go_to(app, row))
}

/// Begins to choose.
fn choose(app: &mut App) -> Vec<Command> {
    let any = app.open.as_ref().is_some_and(|open| !open.timeline.is_empty());
    if any {
        app.focus = Focus::Timeline;
    }
    step(app, true)
}

/// Chooses the message before, or the one after; after the last one comes the text.
pub(super) fn step(app: &mut App, up: bool) -> Vec<Command> {
    let Some(open) = &app.open else { return Vec::new() };
    if !up && open.timeline.follows() {
        let newest = open.timeline.newest(|_| true).map(|message| message.row);
        if open.timeline.selected().map(|message| message.row) == newest {
            back_to_text(app);
            return Vec::new();
        }
    }
    rooms::scroll(app, |timeline, pane| {
        if up {
            timeline.select_up(pane)
        } else {
            timeline.select_down(pane);
            false
        }
    })
}

/// Chooses what is clicked; what is chosen already says more.
pub(super) fn click(app: &mut App, area: Rect, y: u16) -> Vec<Command> {
    let pane = rooms::pane(app);
    let Some(open) = &app.open else { return Vec::new() };
    let shown = open.timeline.window(pane);
    let above = usize::from(area.height).saturating_sub(shown.len());
    let line = usize::from(y.saturating_sub(area.y)).checked_sub(above).and_then(|line| shown.get(line));
    let Some(row) = line.and_then(|line| line.message) else { return Vec::new() };
    let again = line.is_some_and(|line| line.chosen);
    app.focus = Focus::Timeline;
    rooms::scroll(app, |timeline, pane| {
        if again {
            timeline.toggle_details(pane);
        } else {
            timeline.select(row, pane);
        }
        false
    })
}

/// Chooses nothing: the keys go to the text.
pub(super) fn back_to_text(app: &mut App) {
    app.focus = Focus::Composer;
    if let Some(open) = &mut app.open {
        open.timeline.deselect();
    }
}
