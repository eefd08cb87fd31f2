//! What stands below the timeline: reports, the composer or a prompt in its place, and the status line.

use qchat_proto::ids::RoomId;
use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    super::{
        app::{App, Overlay, Prompt, Question, Report, Writing},
        bidi,
        composer::Composer,
        keymap::{Action, Scope},
        lines,
        picture::Looking,
        preview::{Form, Preview, Trust},
        text,
    },
    areas::Areas,
    footer, people,
};
use crate::engine::types::{Connection, Link, RoomStatus};

/// Draws the lower part.
pub(super) fn draw(app: &App, frame: &mut Frame, areas: &Areas) {
    if let Some((words, style)) = report(app) {
        let columns = usize::from(areas.report.width).max(1);
        frame.render_widget(Paragraph::new(app.words.paragraph(&words, columns, style)), areas.report);
    }
    let notes = notes(app, areas.notes.width.into(), frame.area().height);
    frame.render_widget(Paragraph::new(notes), areas.notes);
    let (title, style) = title(app);
    frame.render_widget(lines::rule(&title, areas.rule.width.into(), style, app.words), areas.rule);
    match &app.overlay {
        Overlay::Prompt { input, .. } => field(input, frame, areas.composer),
        Overlay::Question(question) => {
            let scope = if matches!(question, Question::Link(_)) { Scope::Device } else { Scope::Question };
            let key = |action| app.keymap.key(scope, action).unwrap_or_default();
            let keys = app.words.answer_keys(key(Action::Confirm), key(Action::Refuse));
            frame.render_widget(app.words.line(Line::raw(keys)), areas.composer);
        }
        Overlay::Picture(picture) => {
            let size = match &picture.state {
                Looking::Shown(pixels) => {
                    let (width, height) = pixels.true_size;
                    app.words.picture_size(width, height)
                }
                // Where it stands large until there is something to be seen.
                Looking::Coming(done, of) if picture.seen().is_some() => {
                    app.words.picture_coming(app.words.size(*done), app.words.size(*of))
                }
                Looking::Coming(..) | Looking::Failed(_) => String::new(),
            };
            let line = Line::styled(text::truncate(&size, areas.composer.width.into()), app.theme.quiet());
            frame.render_widget(app.words.line(line), areas.composer);
        }
        _ => match (&app.filter, app.current().map(|room| room.status)) {
            (Some(filter), _) if areas.side.is_none() => field(&filter.input, frame, areas.composer),
            (_, Some(RoomStatus::Joined)) => field(&app.composer, frame, areas.composer),
            (_, status) => {
                let rows = no_composer(app, status, areas.composer.width);
                frame.render_widget(Paragraph::new(rows), areas.composer);
            }
        },
    }
    status(app, frame, areas.status);
    footer::draw(app, frame, areas.hints);
}

/// What stands below a list that lies over the rooms.
pub(super) fn below_a_list(app: &App, frame: &mut Frame, areas: &Areas) {
    if let Some((words, style)) = report(app)
        && areas.status.y > 4
    {
        let line = Line::styled(text::truncate(&words, usize::from(areas.status.width)), style);
        frame.render_widget(app.words.line(line), Rect { y: areas.status.y - 1, ..areas.status });
    }
    status(app, frame, areas.status);
    footer::draw(app, frame, areas.hints);
}

/// Who writes there, who will be able to read what is written, and what the word before the cursor may become: on a quarter of a screen
/// of this height, on half of it where people are named.
pub(super) fn notes(app: &App, columns: usize, height: u16) -> Vec<Line<'static>> {
    let most = usize::from(if app.preview == Form::Named { height / 2 } else { height / 4 });
    let mut rows = Vec::new();
    if !matches!(app.overlay, Overlay::None) || !app.can_write() {
        return rows;
    }
    if let Some(words) = people::writers(app) {
        let line = Line::styled(text::truncate(&words, columns), app.theme.quiet());
        rows.push(app.words.line(line));
    }
    let completing = usize::from(app.completion.is_some());
    rows.extend(preview(app, columns, most.saturating_sub(rows.len() + completing)));
    if let Some(completion) = &app.completion {
        let mut spans = Vec::new();
        for (at, candidate) in completion.candidates.iter().enumerate() {
            let style = if completion.at == Some(at) { app.theme.chosen() } else { app.theme.quiet() };
            spans.push(Span::styled(text::clean_line(&candidate.shown), style));
            spans.push(Span::raw("  "));
        }
        rows.push(app.words.line(Line::from(spans)));
    }
    rows.truncate(most);
    rows
}

/// What will become of what is written, on at most so many rows.
fn preview(app: &App, columns: usize, most: usize) -> Vec<Line<'static>> {
    let known = app.open.as_ref().and_then(|open| Some((open.details.as_ref()?, &open.roster)));
    let Some((details, roster)) = known.filter(|_| app.preview != Form::Hidden) else { return Vec::new() };
    let answers = match app.writing {
        Writing::Reply { of, .. } => Some(of),
        _ => None,
    };
    let Some(preview) = Preview::of(&app.composer.text(), answers, details, roster, &app.me) else {
        return Vec::new();
    };
    let (words, theme) = (app.words, app.theme);
    let changed = preview.readers.iter().any(|reader| reader.trust == Trust::Changed);
    let style = if changed { theme.warning() } else { theme.quiet() };
    let mut counted = preview.words(words);
    let key = |action| words.key_of(&app.keymap, action);
    if app.preview == Form::Counted {
        counted.extend([" ", &words.preview_more(key(Action::Preview))]);
        return words.paragraph(&text::clean_line(&counted), columns, style);
    }
    let mut rows = words.paragraph(&text::clean_line(&counted), columns, style);
    // Nobody is left out without a word: the last row says how many are.
    let count = preview.readers.len();
    for (at, reader) in preview.readers.iter().enumerate() {
        let style = match reader.trust {
            Trust::Changed => theme.warning(),
            Trust::Unverified => theme.unread(),
            Trust::Verified | Trust::Own => theme.quiet(),
        };
        let said = words.paragraph(&reader.words(words), columns, style);
        let after = usize::from(at + 1 < count);
        if rows.len() + said.len() + after > most {
            let rest = words.preview_rest(count - at, key(Action::Members));
            rows.truncate(most.saturating_sub(1));
            rows.push(words.line(Line::styled(text::truncate(&rest, columns), theme.unread())));
            break;
        }
        rows.extend(said);
    }
    rows
}

/// What is reported.
pub(super) fn report(app: &App) -> Option<(String, Style)> {
    Some(match &app.report {
        Some(Report::Info(words)) => (text::clean_line(words), app.theme.notice()),
        Some(Report::Trouble(words)) => (app.words.trouble(text::clean_line(words)), app.theme.failure()),
        // It stays until something is done about it.
        None => {
            let name = text::clean_line(app.blocked_by()?);
            let key = app.words.key_of(&app.keymap, Action::Members);
            (app.words.blocked_by(name, key), app.theme.warning())
        }
    })
}

/// How many messages have arrived below the window.
fn below(app: &App) -> usize {
    let Some(open) = app.open.as_ref().filter(|open| !open.timeline.follows()) else { return 0 };
    if open.timeline.newer_exist() {
        // Not all of them are loaded.
        let unread = app.current().map_or(0, |room| room.unread);
        return usize::try_from(unread).unwrap_or(usize::MAX);
    }
    open.read_to.map_or(0, |(row, _)| open.timeline.count_after(row))
}

fn title(app: &App) -> (String, Style) {
    let asked = app.theme.unread();
    match &app.overlay {
        Overlay::Prompt { what, .. } => (prompt(app, *what), asked),
        Overlay::Question(question) => (self::question(app, question), asked),
        Overlay::Picture(picture) => (picture.name.clone(), asked),
        _ => writing(app),
    }
}

/// The name of a room, fit for a line.
fn room_name(app: &App, id: RoomId) -> String {
    app.summary(id).map_or_else(|| app.words.the_room(), |room| text::clean_line(&room.name))
}

fn prompt(app: &App, what: Prompt) -> String {
    let words = app.words;
    match what {
        Prompt::RoomName => words.prompt_room_name(),
        Prompt::Invitees(id) => words.prompt_invitees(room_name(app, id)),
        Prompt::Link => words.prompt_link(),
        Prompt::Applicant(id) => words.prompt_applicant(room_name(app, id)),
        Prompt::NewName(id) => words.prompt_new_name(room_name(app, id)),
        Prompt::Topic(id) => words.prompt_topic(room_name(app, id)),
        Prompt::Person => words.prompt_person(),
        Prompt::File(id) => words.prompt_file(room_name(app, id)),
        Prompt::Poll(_) => words.prompt_poll(),
    }
}

fn question(app: &App, question: &Question) -> String {
    let words = app.words;
    match question {
        Question::Join(id) => words.question_join(room_name(app, *id)),
        Question::Decline(id) => words.question_decline(room_name(app, *id)),
        Question::Link(_) => words.question_link(),
        Question::Leave(id) => words.question_leave(room_name(app, *id)),
        Question::DeleteHere(..) => words.question_delete_here(),
        Question::Retract(..) => words.question_retract(),
        Question::Paste => {
            words.question_paste(app.pasted.as_deref().map_or(0, |pasted| pasted.lines().count()))
        }
        Question::Same(name, _) => words.question_same(name.as_str()),
        Question::Unverify(name) => words.question_unverify(name.as_str()),
        Question::AcceptIdentity(name, _) => words.question_accept_identity(name.as_str()),
        Question::Remove(id, name, _) => words.question_remove(name.as_str(), room_name(app, *id)),
        Question::Revoke(_, name) => words.question_revoke(name),
    }
}

/// What is being written: the room, and what it answers or changes.
fn writing(app: &App) -> (String, Style) {
    let Some(current) = app.current() else { return ("qchat".to_owned(), app.theme.quiet()) };
    if app.filter.is_some() {
        return (app.words.which_room(), app.theme.unread());
    }
    match (&app.writing, below(app)) {
        (Writing::Reply { to, excerpt, .. }, _) => (app.words.answering(to, excerpt), app.theme.unread()),
        (Writing::Edit { .. }, _) => (app.words.editing(), app.theme.unread()),
        (Writing::New, 0) => {
            let topic =
                app.open.as_ref().and_then(|open| open.details.as_ref()).map(|details| &details.topic);
            let topic = topic.filter(|topic| !topic.is_empty());
            let topic = topic.map_or_else(String::new, |topic| format!(" · {}", text::clean_line(topic)));
            let there = people::partner(app, current).and_then(|presence| people::words(app, presence));
            let there = there.map_or_else(String::new, |there| format!(" · {there}"));
            (format!("{}{there}{topic}", text::clean_line(&current.name)), app.theme.quiet())
        }
        (Writing::New, below) => {
            let key = app.words.key_of(&app.keymap, Action::ToNewest);
            (app.words.new_below(text::clean_line(&current.name), below, key), app.theme.unread())
        }
    }
}

pub(in super::super) fn field(input: &Composer, frame: &mut Frame, area: Rect) {
    frame.render_widget(Line::raw(">"), Rect { height: 1, ..area });
    let area = Rect { x: area.x + 2, width: area.width.saturating_sub(2), ..area };
    frame.render_widget(input.area(), area);
    // The terminal's own cursor: input methods put their windows there.
    let cursor = input.area().screen_cursor();
    let (top, left) = input.area().scroll_offset();
    let x = area.x.saturating_add(u16::try_from(cursor.col).unwrap_or(u16::MAX).saturating_sub(left));
    let y = area.y.saturating_add(u16::try_from(cursor.row).unwrap_or(u16::MAX).saturating_sub(top));
    let cursor = Position::new(x.min(area.right().saturating_sub(1)), y.min(area.bottom() - 1));
    let cursor = bidi::turn_field(frame.buffer_mut(), area, cursor);
    frame.set_cursor_position(cursor);
}

/// What stands where nothing can be written.
pub(super) fn no_composer(app: &App, status: Option<RoomStatus>, columns: u16) -> Vec<Line<'static>> {
    let words = app.words;
    let key = |scope, action| app.keymap.key(scope, action).unwrap_or_else(|| words.the_palette());
    let said = match status {
        Some(RoomStatus::Invited) => words
            .invitation_hint(key(Scope::Invitation, Action::Accept), key(Scope::Invitation, Action::Decline)),
        Some(RoomStatus::Removed) => words.was_removed(),
        Some(RoomStatus::Stuck) => words.is_stuck(),
        Some(RoomStatus::Left) => words.was_left(),
        Some(RoomStatus::Joined) | None => words.creates_a_room(key(Scope::Rooms, Action::CreateRoom)),
    };
    words.paragraph(&said, columns.into(), app.theme.quiet())
}

fn status(app: &App, frame: &mut Frame, area: Rect) {
    let App { theme, words, .. } = *app;
    let (word, style) = match &app.connection {
        Connection::Online(Link::Local) => (words.online(), theme.good()),
        Connection::Online(Link::Tls { key_exchange, post_quantum: true, .. }) => {
            (words.online_by(key_exchange), theme.good())
        }
        Connection::Online(Link::Tls { key_exchange, .. }) => {
            (words.online_classical(key_exchange), theme.unread())
        }
        Connection::Connecting => (words.connecting(), theme.unread()),
        Connection::Offline(why) => (words.offline(text::clean_line(why)), theme.warning()),
    };
    let key = app.keymap.key(Scope::Everywhere, Action::Help);
    let help = key.map_or_else(String::new, |key| format!("{} ", words.status_help(key)));
    let helps = text::width(&help);
    let width = usize::from(area.width);
    let rest = facts(app);
    let word = text::truncate(&format!(" {word}"), width / 2);
    let rest = text::truncate(&rest, width.saturating_sub(text::width(&word) + helps + 1));
    let gap = width.saturating_sub(text::width(&word) + text::width(&rest) + helps);
    let line = Line::from(vec![
        Span::styled(word, style),
        Span::styled(rest, Style::new()),
        Span::raw(" ".repeat(gap)),
        Span::styled(help, theme.quiet()),
    ]);
    frame.render_widget(words.line(line).patch_style(theme.bar()), area);
}

/// Who, where, and what waits, for the status line.
fn facts(app: &App) -> String {
    let words = app.words;
    let mut facts = vec![text::clean_line(&app.me)];
    if let (Some(room), Some(details)) =
        (app.current(), app.open.as_ref().and_then(|open| open.details.as_ref()))
    {
        let members = details.members.iter().filter(|member| !member.invited).count();
        let verified =
            details.members.iter().filter(|member| member.verified && member.name != app.me).count();
        facts.push(text::clean_line(&room.name));
        facts.push(words.people_here(members, details.members.len() - members, verified));
        facts.push(words.epoch(details.epoch));
        if details.waiting > 0 {
            facts.push(words.to_send(details.waiting));
        }
    }
    let files = app.transfers.running().count();
    if files > 0 {
        facts.push(words.files_on_the_way(files));
    }
    let open = app.open.as_ref().map(|open| open.id);
    let elsewhere: u64 =
        app.rooms().iter().filter(|room| Some(room.id) != open).map(|room| room.unread).sum();
    if elsewhere > 0 {
        facts.push(words.unread_elsewhere(elsewhere));
    }
    facts.iter().flat_map(|fact| [" · ", fact]).collect()
}
