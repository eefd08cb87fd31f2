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
        composer::Composer,
        keymap::{Action, Scope},
        lines,
        preview::{Preview, Trust},
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
        let rows = text::wrap(&words, columns, columns).into_iter().map(|row| Line::styled(row, style));
        frame.render_widget(Paragraph::new(rows.collect::<Vec<_>>()), areas.report);
    }
    frame.render_widget(Paragraph::new(notes(app, areas.notes.width.into())), areas.notes);
    let (title, style) = title(app);
    frame.render_widget(lines::rule(&title, areas.rule.width.into(), style), areas.rule);
    match &app.overlay {
        Overlay::Prompt { input, .. } => field(input, frame, areas.composer),
        Overlay::Question(question) => {
            let scope = if matches!(question, Question::Link(_)) { Scope::Device } else { Scope::Question };
            let key = |action| app.keymap.key(scope, action).unwrap_or_default();
            let keys = format!("{}: yes   {}: no", key(Action::Confirm), key(Action::Refuse));
            frame.render_widget(Line::styled(keys, Style::new()), areas.composer);
        }
        _ => match (&app.filter, app.current().map(|room| room.status)) {
            (Some(filter), _) if areas.side.is_none() => field(&filter.input, frame, areas.composer),
            (_, Some(RoomStatus::Joined)) => field(&app.composer, frame, areas.composer),
            (_, status) => {
                let rows = no_composer(app, status, areas.composer.width).into_iter();
                let rows: Vec<_> = rows.map(|row| Line::styled(row, app.theme.quiet())).collect();
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
        frame.render_widget(line, Rect { y: areas.status.y - 1, ..areas.status });
    }
    status(app, frame, areas.status);
    footer::draw(app, frame, areas.hints);
}

/// Who writes there, who will be able to read what is written, and what the word before the cursor may become.
pub(super) fn notes(app: &App, columns: usize) -> Vec<Line<'static>> {
    let mut rows = Vec::new();
    if !matches!(app.overlay, Overlay::None) || !app.can_write() {
        return rows;
    }
    if let Some(words) = people::writers(app) {
        rows.push(Line::styled(text::truncate(&words, columns), app.theme.quiet()));
    }
    let details = app.open.as_ref().and_then(|open| open.details.as_ref());
    if let Some(details) = details.filter(|_| app.preview) {
        let answers = match app.writing {
            Writing::Reply { of, .. } => Some(of),
            _ => None,
        };
        if let Some(preview) = Preview::of(&app.composer.text(), answers, details, &app.me) {
            let words = text::clean_line(&preview.words());
            let style = if preview.readers.iter().any(|(_, _, trust)| *trust == Trust::Changed) {
                app.theme.warning()
            } else {
                app.theme.quiet()
            };
            rows.extend(text::wrap(&words, columns, columns).into_iter().map(|row| Line::styled(row, style)));
        }
    }
    if let Some(completion) = &app.completion {
        let mut spans = Vec::new();
        for (at, candidate) in completion.candidates.iter().enumerate() {
            let style = if completion.at == Some(at) { app.theme.chosen() } else { app.theme.quiet() };
            spans.push(Span::styled(text::clean_line(&candidate.shown), style));
            spans.push(Span::raw("  "));
        }
        rows.push(Line::from(spans));
    }
    rows
}

/// What is reported.
pub(super) fn report(app: &App) -> Option<(String, Style)> {
    Some(match &app.report {
        Some(Report::Info(words)) => (text::clean_line(words), app.theme.notice()),
        Some(Report::Trouble(words)) => {
            (format!("! {}  (Esc)", text::clean_line(words)), app.theme.failure())
        }
        // It stays until something is done about it.
        None => {
            let name = text::clean_line(app.blocked_by()?);
            let key = app.keymap.any_key(Action::Members);
            let words = format!(
                "! The identity key of {name} has changed: nothing is sent here. Ask {name} over another channel, then \
                 accept it, or remove them: {key}."
            );
            (words, app.theme.warning())
        }
    })
}

/// How many messages have arrived below the window.
fn below(app: &App) -> usize {
    let Some(open) = app.open.as_ref().filter(|open| !open.timeline.follows()) else { return 0 };
    open.read_to.map_or(0, |(row, _)| open.timeline.count_after(row))
}

fn title(app: &App) -> (String, Style) {
    let asked = app.theme.unread();
    match &app.overlay {
        Overlay::Prompt { what, .. } => (prompt(app, *what), asked),
        Overlay::Question(question) => (self::question(app, question), asked),
        _ => writing(app),
    }
}

fn prompt(app: &App, what: Prompt) -> String {
    let room = |id| text::clean_line(app.summary(id).map_or("the room", |room| &room.name));
    match what {
        Prompt::RoomName => "Name of the new room (Enter creates it, Esc cancels)".to_owned(),
        Prompt::Invitees(id) => format!("Whom to invite to {}? (names; Esc cancels)", room(id)),
        Prompt::NewName(id) => format!("Another name for {}?", room(id)),
        Prompt::Topic(id) => format!("What is {} about? (nothing: no topic)", room(id)),
        Prompt::Person => "Whom to write to alone? (a name; Esc cancels)".to_owned(),
        Prompt::File(id) => format!("Which file to send to {}? (its path)", room(id)),
        Prompt::Poll(_) => "What to ask? (as in: Where do we meet? | here | there)".to_owned(),
    }
}

fn question(app: &App, question: &Question) -> String {
    let room = |id: &RoomId| text::clean_line(app.summary(*id).map_or("the room", |room| &room.name));
    match question {
        Question::Join(id) => format!("Join {}?", room(id)),
        Question::Decline(id) => format!("Decline the invitation to {}?", room(id)),
        Question::Link(_) => "Do both devices show the same?".to_owned(),
        Question::Leave(id) => {
            format!("Leave {}? What was said stays here, and nothing more comes.", room(id))
        }
        Question::DeleteHere(..) => "Delete it from this device? The others keep it.".to_owned(),
        Question::Retract(..) => {
            "Delete it for everyone? Their devices are asked to; who has read it has read it.".to_owned()
        }
        Question::Paste => {
            let lines = app.pasted.as_deref().map_or(0, |pasted| pasted.lines().count());
            format!("Paste {lines} lines into the text?")
        }
        Question::Same(name, _) => format!("Did {name} read the same number to you?"),
        Question::Unverify(name) => format!("Take back that {name} is verified?"),
        Question::AcceptIdentity(name, _) => {
            format!("Go on with {name} by the key that is shown? Ask them first, elsewhere.")
        }
        Question::Remove(id, name, _) => format!("Remove {name} from {}?", room(id)),
        Question::Revoke(_, name) => format!("Take {name} out of the account? It loses everything at once."),
    }
}

/// What is being written: the room, and what it answers or changes.
fn writing(app: &App) -> (String, Style) {
    let Some(current) = app.current() else { return ("qchat".to_owned(), app.theme.quiet()) };
    if app.filter.is_some() {
        return ("Which room?".to_owned(), app.theme.unread());
    }
    match (&app.writing, below(app)) {
        (Writing::Reply { to, excerpt, .. }, _) => {
            (format!("↪ to {to}: {excerpt} (Esc: no answer)"), app.theme.unread())
        }
        (Writing::Edit { .. }, _) => ("Editing (Esc: as it was)".to_owned(), app.theme.unread()),
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
            let key = app.keymap.any_key(Action::ToNewest);
            (format!("{} · ↓ {below} new below ({key})", text::clean_line(&current.name)), app.theme.unread())
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
    frame.set_cursor_position(Position::new(x.min(area.right().saturating_sub(1)), y.min(area.bottom() - 1)));
}

/// What stands where nothing can be written.
pub(super) fn no_composer(app: &App, status: Option<RoomStatus>, columns: u16) -> Vec<String> {
    let key = |scope, action| app.keymap.key(scope, action).unwrap_or_else(|| "the palette".to_owned());
    let words = match status {
        Some(RoomStatus::Invited) => format!(
            "{}: join   {}: decline",
            key(Scope::Invitation, Action::Accept),
            key(Scope::Invitation, Action::Decline)
        ),
        Some(RoomStatus::Removed) => {
            "You were removed from this room; what was said before stays readable.".to_owned()
        }
        Some(RoomStatus::Stuck) => {
            "This device cannot follow the room any more; a member has to add it again.".to_owned()
        }
        Some(RoomStatus::Left) => "You left this room.".to_owned(),
        Some(RoomStatus::Joined) | None => {
            format!("{} creates a room.", key(Scope::Rooms, Action::CreateRoom))
        }
    };
    text::wrap(&words, columns.into(), columns.into())
}

fn status(app: &App, frame: &mut Frame, area: Rect) {
    let theme = app.theme;
    let (word, style) = match &app.connection {
        Connection::Online(Link::Local) => ("online".to_owned(), theme.good()),
        Connection::Online(Link::Tls { key_exchange, post_quantum: true, .. }) => {
            (format!("online ({key_exchange})"), theme.good())
        }
        Connection::Online(Link::Tls { key_exchange, .. }) => {
            (format!("online ({key_exchange}, not post-quantum)"), theme.unread())
        }
        Connection::Connecting => ("connecting…".to_owned(), theme.unread()),
        Connection::Offline(why) => (format!("offline: {}", text::clean_line(why)), theme.warning()),
    };
    let key = app.keymap.key(Scope::Everywhere, Action::Help);
    let help = key.map_or_else(String::new, |key| format!("{key} help "));
    let width = usize::from(area.width);
    let rest = facts(app);
    let word = text::truncate(&format!(" {word}"), width / 2);
    let rest = text::truncate(&rest, width.saturating_sub(text::width(&word) + help.len() + 1));
    let gap = width.saturating_sub(text::width(&word) + text::width(&rest) + help.len());
    let line = Line::from(vec![
        Span::styled(word, style),
        Span::styled(rest, Style::new()),
        Span::raw(" ".repeat(gap)),
        Span::styled(help, theme.quiet()),
    ]);
    frame.render_widget(line.patch_style(theme.bar()), area);
}

/// Who, where, and what waits, for the status line.
fn facts(app: &App) -> String {
    let mut facts = vec![text::clean_line(&app.me)];
    if let (Some(room), Some(details)) =
        (app.current(), app.open.as_ref().and_then(|open| open.details.as_ref()))
    {
        let members = details.members.iter().filter(|member| !member.invited).count();
        let verified =
            details.members.iter().filter(|member| member.verified && member.name != app.me).count();
        let plural = if members == 1 { "" } else { "s" };
        facts.push(text::clean_line(&room.name));
        let mut who = format!("{members} member{plural}");
        for (count, what) in [(details.members.len() - members, "invited"), (verified, "verified")] {
            if count > 0 {
                who.extend([", ", &count.to_string(), " ", what]);
            }
        }
        facts.push(who);
        facts.push(format!("epoch {}", details.epoch));
        if details.waiting > 0 {
            facts.push(format!("{} to send", details.waiting));
        }
    }
    let files = app.transfers.running().count();
    if files > 0 {
        facts.push(format!("{files} file{} on the way", if files == 1 { "" } else { "s" }));
    }
    let open = app.open.as_ref().map(|open| open.id);
    let elsewhere: u64 =
        app.rooms().iter().filter(|room| Some(room.id) != open).map(|room| room.unread).sum();
    if elsewhere > 0 {
        facts.push(format!("{elsewhere} unread elsewhere"));
    }
    facts.iter().flat_map(|fact| [" · ", fact]).collect()
}
