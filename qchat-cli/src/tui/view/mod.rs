//! `view`: draws the state. It changes nothing and decides nothing.

pub(super) mod areas;
pub(super) mod footer;
pub(super) mod list;
pub(super) mod lower;
pub(super) mod overlay;
pub(super) mod people;
pub(super) mod rooms;

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use self::areas::Areas;
use super::{
    app::{App, Overlay, Question},
    emit::Link,
    graphics::Encoded,
    keymap::{Action, Scope},
    lines::Pane,
    lock::Lock,
    picture::{Looking, Picture},
    text,
    timeline::Shown,
    words::Words,
};
use crate::engine::types::RoomStatus;

/// The smallest terminal that rooms are drawn on.
const SMALLEST: (u16, u16) = (30, 8);

/// Columns that show which message is chosen: those of its time.
const CHOSEN: usize = 5;

/// Draws the screen.
pub fn view(app: &App, frame: &mut Frame) {
    let whole = frame.area();
    if whole.width < SMALLEST.0 || whole.height < SMALLEST.1 {
        let (columns, rows) = SMALLEST;
        let words = app.words.too_small(columns, rows);
        let lines = app.words.paragraph(&words, whole.width.into(), Style::new());
        frame.render_widget(Paragraph::new(lines), whole);
    } else if let Some(lock) = &app.lock {
        locked(lock, app.words, frame, whole);
    } else if let Overlay::Help { scrolled } = app.overlay {
        overlay::help(app, scrolled, frame, whole);
    } else if matches!(app.overlay, Overlay::Picker(_) | Overlay::Search(_) | Overlay::Panel(_)) {
        list::draw(app, frame, whole);
        lower::below_a_list(app, frame, &Areas::within(app, whole));
    } else {
        let areas = Areas::within(app, whole);
        if let Some(side) = areas.side {
            rooms::draw(app, frame, side);
        }
        timeline(app, frame, areas.timeline);
        lower::draw(app, frame, &areas);
    }
    defend(frame);
}

/// A locked screen: nothing of what lies behind it.
fn locked(lock: &Lock, words: Words, frame: &mut Frame, area: Rect) {
    let below = match (&lock.refused, lock.trying) {
        (_, true) => words.lock_trying(),
        (Some(why), false) => text::clean_line(why),
        (None, false) => String::new(),
    };
    let stars = "•".repeat(lock.typed.length().min(usize::from(area.width) / 2));
    let said = [words.lock_why(), words.lock_passphrase(stars), below, words.lock_quit()].join("\n\n");
    frame.render_widget(Paragraph::new(centred(&said, words, area, Style::new())), area);
}

fn timeline(app: &App, frame: &mut Frame, area: Rect) {
    let pane = pane(app, area);
    let words = app.words;
    let quiet = |said: &str| centred(said, words, area, app.theme.quiet());
    if let (Overlay::Question(Question::Link(_)), Some(request)) = (&app.overlay, app.asking()) {
        let lines = overlay::link(app, request, area);
        frame.render_widget(Paragraph::new(lines), area);
        return;
    }
    if let Overlay::Picture(picture) = &app.overlay {
        return self::picture(picture, app, frame, area);
    }
    let lines = match (&app.open, app.current().map(|room| (room.status, room))) {
        (_, Some((RoomStatus::Invited, room))) => {
            let who = room.invited_by.as_deref().map_or_else(|| words.somebody(), text::clean_line);
            let name = text::clean_line(&room.name);
            let key = |action| app.keymap.key(Scope::Invitation, action).unwrap_or_default();
            let (join, decline) = (key(Action::Accept), key(Action::Decline));
            let said = [words.invitation_from(who, name), words.invitation_keys(join, decline)];
            centred(&said.join("\n\n"), words, area, Style::new())
        }
        (Some(open), _) if !open.timeline.is_empty() => {
            open.timeline.window(pane).into_iter().map(|shown| marked(shown, app)).collect()
        }
        (Some(open), _) if open.timeline.older_exist() => quiet(&words.reading()),
        (Some(_), _) => quiet(&words.nothing_said()),
        (None, _) if app.rooms.is_none() => quiet(&words.reading()),
        (None, _) => {
            let key = words.key_of(&app.keymap, Action::CreateRoom);
            quiet(&[words.no_rooms(), words.no_rooms_hint(key)].join("\n\n"))
        }
    };
    // The newest line stands at the bottom.
    let height = u16::try_from(lines.len()).unwrap_or(area.height).min(area.height);
    let bottom = Rect { y: area.bottom() - height, height, ..area };
    frame.render_widget(Paragraph::new(lines), bottom);
}

/// What is looked at, or what is said in its place.
fn picture(picture: &Picture, app: &App, frame: &mut Frame, area: Rect) {
    if picture.seen().is_some() {
        let depth = app.theme.depth(&app.ambience);
        return picture.draw(app.means(), depth, area, frame.buffer_mut());
    }
    let said = match &picture.state {
        Looking::Shown(_) => return,
        Looking::Coming(done, of) => app.words.picture_coming(app.words.size(*done), app.words.size(*of)),
        Looking::Failed(why) => app.words.trouble(text::clean_line(why)),
    };
    let style = if app.fetches().is_some() { app.theme.quiet() } else { app.theme.failure() };
    let lines = centred(&said, app.words, area, style);
    // From the top, or the middle where there is room: what is said last is above the rest of the screen.
    let above = area.height.saturating_sub(u16::try_from(lines.len()).unwrap_or(area.height));
    frame.render_widget(
        Paragraph::new(lines),
        Rect { y: area.y + above, height: area.height - above, ..area },
    );
}

fn pane(app: &App, area: Rect) -> Pane<'_> {
    Pane {
        width: area.width.into(),
        height: area.height.into(),
        theme: app.theme,
        words: app.words,
        zone: &app.zone,
        me: &app.me,
    }
}

/// A line of the timeline; of the chosen message the first column shows it.
fn marked(shown: Shown, app: &App) -> Line<'static> {
    let line = shown.content.line;
    if !shown.chosen {
        return line;
    }
    let mut left = CHOSEN;
    let mut spans = Vec::new();
    for span in line.spans {
        let (taken, rest) = match span.content.char_indices().nth(left) {
            // What stands there is a time, or blanks.
            Some((at, _)) => {
                let (taken, rest) = span.content.split_at(at);
                (taken.to_owned(), rest.to_owned())
            }
            None => (span.content.to_string(), String::new()),
        };
        left = left.saturating_sub(taken.chars().count());
        if !taken.is_empty() {
            spans.push(Span::styled(taken, span.style.patch(app.theme.chosen())));
        }
        if !rest.is_empty() {
            spans.push(Span::styled(rest, span.style));
        }
    }
    Line::from(spans)
}

/// The addresses that are on the screen.
pub(super) fn links(app: &App) -> Vec<Link> {
    let whole = Rect::from(((0, 0).into(), app.size));
    let small = whole.width < SMALLEST.0 || whole.height < SMALLEST.1;
    let over = !matches!(app.overlay, Overlay::None | Overlay::Prompt { .. } | Overlay::Question(_))
        || matches!(app.overlay, Overlay::Question(Question::Link(_)));
    let Some(open) = app.open.as_ref().filter(|_| !small && !over && !app.is_locked()) else {
        return Vec::new();
    };
    if app.current().is_none_or(|room| room.status == RoomStatus::Invited) {
        return Vec::new();
    }
    let area = Areas::of(app).timeline;
    let rows = open.timeline.window(pane(app, area));
    let above = area.bottom().saturating_sub(u16::try_from(rows.len()).unwrap_or(area.height));
    let mut links = Vec::new();
    for (y, row) in (above..area.bottom()).zip(rows) {
        for (columns, url) in row.content.links {
            let width = columns.end.min(area.width).saturating_sub(columns.start);
            links.push(Link { x: area.x + columns.start, y, width, url });
        }
    }
    links
}

/// The picture that the terminal draws itself, and where.
pub(super) fn pixels(app: &App) -> Option<(Rect, &Encoded)> {
    let small = app.size.width < SMALLEST.0 || app.size.height < SMALLEST.1;
    match &app.overlay {
        Overlay::Picture(picture) if !small && !app.is_locked() => {
            picture.encoded(app.means(), Areas::of(app).timeline)
        }
        _ => None,
    }
}

fn centred(said: &str, words: Words, area: Rect, style: Style) -> Vec<Line<'static>> {
    let width = usize::from(area.width.saturating_sub(4)).max(1);
    let paragraphs = said.split('\n');
    let lines: Vec<_> = paragraphs.flat_map(|said| words.paragraph(said, width, style)).collect();
    let below = usize::from(area.height).saturating_sub(lines.len()) / 2;
    lines.into_iter().map(Line::centered).chain(std::iter::repeat_n(Line::default(), below)).collect()
}

/// The last step before the terminal: whatever slipped through, no cell holds anything that steers it.
fn defend(frame: &mut Frame) {
    for cell in &mut frame.buffer_mut().content {
        if cell.symbol().chars().any(text::is_harmful) {
            cell.set_symbol("?");
        }
    }
}
