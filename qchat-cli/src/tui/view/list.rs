//! Lists over the whole screen: the palette, reactions, what was found, and panels. A field or a heading on top, rows below, of
//! which one is chosen.

use std::ops::Range;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Position, Rect},
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};
use time::macros::format_description;

use super::{
    super::{
        app::{App, Overlay},
        bidi::{self, Direction},
        panels::Panel,
        picker::{Kind, Match, Picker},
        search::SearchBox,
        text,
        words::Words,
    },
    areas::Areas,
    lower,
};
use crate::engine::Hit;

/// The parts of a list.
struct Parts {
    head: Rect,
    body: Rect,
}

fn parts(app: &App, whole: Rect) -> Parts {
    let areas = Areas::within(app, whole);
    let bottom = areas.status.y;
    let area = Rect { height: bottom.saturating_sub(whole.y), ..whole };
    let report = u16::from(lower::report(app).is_some() && area.height > 4);
    let [head, body, _] = area.layout(&Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(0),
        Constraint::Length(report),
    ]));
    Parts { head, body }
}

/// Columns of a row.
pub(in super::super) fn width(app: &App) -> usize {
    usize::from(app.size.width.saturating_sub(2))
}

/// Rows before the first one that is shown, so that the chosen one is among them.
fn scrolled(chosen: usize, rows: usize, height: usize) -> usize {
    let most = rows.saturating_sub(height);
    (chosen + 1).saturating_sub(height.saturating_sub(height / 4)).min(most)
}

/// Draws the list that lies over the rooms.
pub(super) fn draw(app: &App, frame: &mut Frame, whole: Rect) {
    let Parts { head, body } = parts(app, whole);
    let columns = usize::from(body.width.saturating_sub(2));
    let (rows, chosen) = match &app.overlay {
        Overlay::Picker(picker) => {
            let title = match picker.kind {
                Kind::Palette => app.words.palette_title(),
                Kind::Reaction(..) => app.words.reactions_title(),
            };
            field(app, &title, &picker.input, frame, head);
            (picked(picker, app, columns), picker.at)
        }
        Overlay::Search(search) => {
            field(app, &search_title(search, app.words), &search.input, frame, head);
            (found(search, app, columns), search.at)
        }
        Overlay::Panel(panel) => {
            title(app, panel, frame, head);
            (panel.rows(app, columns).into_iter().map(|row| row.line).collect(), panel.at)
        }
        _ => return,
    };
    let height = usize::from(body.height);
    let first = scrolled(chosen, rows.len(), height);
    let from_right = app.words.direction() == Direction::RightToLeft;
    let lines = rows.into_iter().enumerate().skip(first).take(height).map(|(at, line)| {
        let pointer = match (at == chosen, from_right) {
            (true, false) => "> ",
            (true, true) => " <",
            (false, _) => "  ",
        };
        let line = bidi::padded(app.words.line(line), columns);
        let style = line.style;
        let mut spans: Vec<_> =
            line.spans.into_iter().map(|span| Span::styled(span.content, style.patch(span.style))).collect();
        if from_right {
            let taken: usize = spans.iter().map(|span| text::width(&span.content)).sum();
            spans.push(Span::raw(" ".repeat(columns.saturating_sub(taken))));
            spans.push(Span::raw(pointer));
        } else {
            spans.insert(0, Span::raw(pointer));
        }
        let line = Line::from(spans);
        if at == chosen { line.patch_style(app.theme.chosen()) } else { line }
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), body);
}

/// The row of the list at a place of the screen.
pub(in super::super) fn row_at(app: &App, at: Position) -> Option<usize> {
    let body = parts(app, Rect::from(((0, 0).into(), app.size))).body;
    if !body.contains(at) {
        return None;
    }
    let columns = width(app);
    let (rows, chosen) = match &app.overlay {
        Overlay::Picker(picker) => (picker.matches().len(), picker.at),
        Overlay::Search(search) => (search.hits.len(), search.at),
        Overlay::Panel(panel) => (panel.rows(app, columns).len(), panel.at),
        _ => return None,
    };
    let row = scrolled(chosen, rows, usize::from(body.height)) + usize::from(at.y - body.y);
    Some(row).filter(|row| *row < rows)
}

fn field(app: &App, title: &str, input: &super::super::composer::Composer, frame: &mut Frame, area: Rect) {
    let [above, line] = area.layout(&Layout::vertical([Constraint::Length(1), Constraint::Length(1)]));
    let rule = super::super::lines::rule(title, above.width.into(), app.theme.unread(), app.words);
    frame.render_widget(rule, above);
    lower::field(input, frame, line);
}

fn title(app: &App, panel: &Panel, frame: &mut Frame, area: Rect) {
    let title = panel.kind.title(app.words);
    let rule = super::super::lines::rule(&title, area.width.into(), app.theme.unread(), app.words);
    frame.render_widget(rule, Rect { height: area.height.min(1), ..area });
}

fn picked(picker: &Picker, app: &App, columns: usize) -> Vec<Line<'static>> {
    let matches = picker.matches();
    if matches.is_empty() {
        return vec![Line::styled(app.words.nothing_fits(), app.theme.quiet())];
    }
    matches.into_iter().map(|found| entry(found, app, columns)).collect()
}

fn entry(found: Match, app: &App, columns: usize) -> Line<'static> {
    let Match { item, letters } = found;
    let room = columns.saturating_sub(text::width(&item.hint) + 2);
    let label = text::truncate(&item.label, room);
    let gap = columns.saturating_sub(text::width(&label) + text::width(&item.hint) + 1);
    let mut spans = Vec::new();
    for (at, letter) in (0_u32..).zip(label.chars()) {
        let style = if letters.contains(&at) { app.theme.mention() } else { Style::new() };
        spans.push(Span::styled(letter.to_string(), style));
    }
    spans.push(Span::raw(" ".repeat(gap)));
    spans.push(Span::styled(item.hint, app.theme.quiet()));
    Line::from(joined(spans))
}

/// Neighbours that look alike are one: joiners and marks belong to the letters before them.
fn joined(spans: Vec<Span<'static>>) -> Vec<Span<'static>> {
    let mut all: Vec<Span<'static>> = Vec::new();
    for span in spans {
        match all.last_mut() {
            Some(last) if last.style == span.style => last.content.to_mut().push_str(&span.content),
            _ => all.push(span),
        }
    }
    all
}

fn search_title(search: &SearchBox, words: Words) -> String {
    let count = search.hits.len();
    let more = if search.more { "+" } else { "" };
    match (search.asked.is_empty(), search.searching, count) {
        (true, ..) => words.search_title(),
        (false, true, 0) => words.search_running(),
        (false, false, 0) => words.search_nothing(),
        (false, _, count) => words.search_found(count, more),
    }
}

fn found(search: &SearchBox, app: &App, columns: usize) -> Vec<Line<'static>> {
    if let Some(why) = &search.refused {
        return app.words.rows(&text::clean_line(why), columns, app.theme.failure());
    }
    search.hits.iter().map(|hit| found_entry(hit, app, columns)).collect()
}

fn found_entry(hit: &Hit, app: &App, columns: usize) -> Line<'static> {
    let theme = app.theme;
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    let when = app.zone.show(hit.message.sent_at).format(format).unwrap_or_default();
    let room = app.summary(hit.message.room).map_or_else(String::new, |room| text::clean_line(&room.name));
    let room = text::truncate(&room, columns / 5);
    let mut spans =
        vec![Span::styled(format!("{when} "), theme.quiet()), Span::styled(format!("{room} "), theme.good())];
    if let Some(sender) = &hit.message.sender {
        let name = text::truncate(&text::clean_line(&sender.name), columns / 5);
        spans.push(Span::styled(format!("{name}: "), theme.person(sender.account)));
    }
    let taken: usize = spans.iter().map(|span| text::width(&span.content)).sum();
    spans.extend(highlighted(&hit.excerpt, &hit.highlights, columns.saturating_sub(taken), app));
    Line::from(spans)
}

/// An excerpt on one line, cut from its beginning when what was found would not be seen.
fn highlighted(excerpt: &str, places: &[Range<usize>], cells: usize, app: &App) -> Vec<Span<'static>> {
    let mut pieces: Vec<(String, bool)> = Vec::new();
    let mut from = 0;
    for place in places {
        pieces.push((excerpt.get(from..place.start).unwrap_or_default().to_owned(), false));
        pieces.push((excerpt.get(place.clone()).unwrap_or_default().to_owned(), true));
        from = place.end;
    }
    pieces.push((excerpt.get(from..).unwrap_or_default().to_owned(), false));
    for (piece, _) in &mut pieces {
        *piece = text::clean_line(&piece.replace('\n', " "));
    }
    if let Some((first, false)) = pieces.first_mut()
        && text::width(first) > cells / 2
    {
        let characters = first.chars().count();
        let kept: String = first.chars().skip(characters.saturating_sub(cells / 3)).collect();
        *first = format!("…{kept}");
    }
    let mut left = cells;
    let mut spans = Vec::new();
    for (piece, found) in pieces {
        let piece = text::truncate(&piece, left);
        left = left.saturating_sub(text::width(&piece));
        spans.push(Span::styled(piece, if found { app.theme.mention() } else { Style::new() }));
    }
    spans
}
