//! Writing: sending, editing, answering, completing, recalling, and keeping what is begun.

use std::path::PathBuf;

use qchat_proto::content::MAX_TEXT;

use super::{
    super::{
        app::{App, Overlay, Prompt, Question, Report, Writing},
        complete::Completion,
        composer::Composer,
        msg::Command,
        text,
    },
    lists, prompts,
};
use crate::engine::types::Connection;

/// Sends what is written, or carries out the command that it is.
pub(super) fn send(app: &mut App) -> Vec<Command> {
    let written = app.composer.text();
    let written = written.trim_end();
    let Some(room) = app.open.as_ref().map(|open| open.id) else { return Vec::new() };
    if written.trim().is_empty() {
        return Vec::new();
    }
    let mut body = written;
    if app.writing == Writing::New
        && let Some(rest) = written.strip_prefix('/')
    {
        match rest.strip_prefix('/') {
            // Two of them are one that is said.
            Some(_) => body = rest,
            None => return command(app, rest),
        }
    }
    if body.len() > MAX_TEXT {
        let size = body.len();
        app.report = Report::trouble(app.words.written_too_long(size, MAX_TEXT));
        return Vec::new();
    }
    let text = body.to_owned();
    app.history.entry(room).or_default().push(written);
    app.completion = None;
    let commands = match std::mem::take(&mut app.writing) {
        Writing::New => vec![Command::Send { room, text, reply_to: None }],
        Writing::Reply { of, .. } => vec![Command::Send { room, text, reply_to: Some(of) }],
        Writing::Edit { of, before } => {
            app.composer = Composer::new(&before);
            return vec![Command::Rewrite { room, of, text }];
        }
    };
    app.composer = Composer::new("");
    let mut all = keep_draft(app);
    all.extend(commands);
    all.extend(super::rooms::to_newest(app));
    if let Some(open) = &mut app.open {
        open.timeline.mark_all_read();
    }
    all
}

/// Carries out a text that begins with a slash.
fn command(app: &mut App, line: &str) -> Vec<Command> {
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let Some(room) = app.open.as_ref().map(|open| open.id) else { return Vec::new() };
    let answer = |app: &mut App, what: Prompt| prompts::answer(app, what, rest);
    let done = match name {
        "create" => answer(app, Prompt::RoomName),
        "msg" => answer(app, Prompt::Person),
        "invite" => answer(app, Prompt::Invitees(room)),
        "link" => Ok(prompts::make_link(app)),
        "join" => answer(app, Prompt::Link),
        "let-in" => answer(app, Prompt::Applicant(room)),
        "name" => answer(app, Prompt::NewName(room)),
        "topic" => answer(app, Prompt::Topic(room)),
        "poll" => answer(app, Prompt::Poll(room)),
        "file" => answer(app, Prompt::File(room)),
        "leave" => {
            app.overlay = Overlay::Question(Question::Leave(room));
            Ok(Vec::new())
        }
        "search" => {
            lists::search(app, rest);
            Ok(Vec::new())
        }
        "help" => {
            app.overlay = Overlay::Help { scrolled: 0 };
            Ok(Vec::new())
        }
        "quit" => {
            app.composer = Composer::new("");
            return leave_in_order(app);
        }
        other => Err(app.words.no_such_command(other)),
    };
    match done {
        Ok(mut commands) => {
            app.composer = Composer::new("");
            app.completion = None;
            commands.extend(keep_draft(app));
            commands
        }
        Err(why) => {
            app.report = Report::trouble(text::clean_line(&why));
            Vec::new()
        }
    }
}

/// Text was pasted into the composer: several lines are asked about first, unless something is being written in several anyway.
pub(super) fn paste(app: &mut App, pasted: &str) -> Vec<Command> {
    let pasted = text::without_controls(pasted);
    if pasted.trim_end().contains('\n') && app.focus == super::super::app::Focus::Composer {
        app.pasted = Some(pasted);
        app.overlay = Overlay::Question(Question::Paste);
    } else {
        app.composer.paste(&pasted);
    }
    Vec::new()
}

/// Brings a message up that was sent before, or what was being written.
pub(super) fn recall(app: &mut App, older: bool) {
    let now = app.composer.text();
    let Some(room) = app.open.as_ref().map(|open| open.id) else { return };
    let history = app.history.entry(room).or_default();
    let recalled = if older { history.older(&now).map(str::to_owned) } else { history.newer(&now) };
    if let Some(text) = recalled {
        app.composer = Composer::new(&text);
    }
}

/// Puts the next candidate into the text.
pub(super) fn complete(app: &mut App, back: bool) {
    if let Some((away, word)) = app.completion.as_mut().and_then(|completion| completion.step(back)) {
        app.composer.replace_before(away, &word);
    }
}

/// Looks whether the word before the cursor can be completed. While candidates are stepped through they stay.
pub(super) fn look_for_completion(app: &mut App) {
    let stepping = app.completion.as_ref().is_some_and(|completion| {
        completion.at.and_then(|at| completion.candidates.get(at)).is_some_and(|candidate| {
            let (line, column) = app.composer.cursor_line();
            let before: String = line.chars().take(column).collect();
            before.ends_with(&candidate.word)
        })
    });
    let writes = matches!(app.overlay, Overlay::None) && app.can_write() && app.filter.is_none();
    if !writes {
        app.completion = None;
    } else if !stepping {
        app.completion = Completion::of(app);
    }
}

/// Answers or edits no more: what is written is a message of its own.
pub(super) fn give_up_answer(app: &mut App) {
    if let Writing::Edit { before, .. } = std::mem::take(&mut app.writing) {
        app.composer = Composer::new(&before);
    }
}

/// What somebody has written in their editor.
pub(super) fn written(app: &mut App, text: Option<String>) {
    match text {
        Some(text) => {
            let text = text::without_controls(&text);
            app.composer = Composer::new(text.trim_end_matches('\n'));
        }
        None => app.report = Report::info(app.words.nothing_changed()),
    }
}

/// Keeps what is begun in the open room, when that is not what is kept.
pub(super) fn keep_draft(app: &mut App) -> Vec<Command> {
    let Some(room) = app.open.as_ref().map(|open| open.id).filter(|_| app.can_write()) else {
        return Vec::new();
    };
    let text = app.draft();
    let known =
        app.kept_draft.as_ref().filter(|(known, _)| *known == room).map_or("", |(_, text)| text.as_str());
    if text == known || text.len() > MAX_TEXT {
        return Vec::new();
    }
    app.kept_draft = Some((room, text.clone()));
    vec![Command::KeepDraft { room, text }]
}

/// Quits, and keeps what is begun.
pub(super) fn leave_in_order(app: &mut App) -> Vec<Command> {
    let mut commands = keep_draft(app);
    if let (Some((room, _)), Connection::Online(_)) = (app.told_writing.take(), &app.connection) {
        commands.push(Command::TellWriting { room, writing: false });
    }
    commands.push(Command::Quit);
    commands
}

/// The path that somebody means: `~` is their home.
pub(super) fn path(typed: &str) -> PathBuf {
    match (typed.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(typed),
    }
}
