//! Lays a message out in lines of a given width: the only place that knows what a line of the timeline looks like.
//!
//! ```text
//!         ↪ bob: what it answers
//! 10:42  ✓ alice: text, and where it
//!          goes on
//!          [👍 bob]
//! 10:43    bob ✓: of one whose safety number was compared
//! 10:44    carol !: of one whose identity has changed
//! ```
//! Text of others is always indented, so that no body can pass for a notice or for somebody else's line. The marks before own
//! messages: `…` waits to be sent, `✓` the server has it, `✓✓` others have it, `◉` somebody has seen it, `✗` it failed.

use std::ops::Range;

use ratatui::{
    style::{Modifier, Style},
    text::{Line, Span},
};
use time::{OffsetDateTime, macros::format_description};

use super::{
    bidi::{self, Direction, Order},
    markup::Marked,
    text,
    theme::Theme,
    words::Words,
};
use crate::{
    engine::types::{Body, Delivery, File, Marks, Message, Poll, Sender},
    zone::Zone,
};

/// Columns before the text: the time, a blank, the mark, a blank.
const INDENT: usize = 9;

/// How a pane draws: its size and what else shapes lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pane<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) theme: Theme,
    pub(super) words: Words,
    pub(super) zone: &'a Zone,
    /// Whose messages are one's own, by name: who is called by it sees that.
    pub(super) me: &'a str,
}

/// A line, and the addresses in it by their columns.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Row {
    pub(super) line: Line<'static>,
    pub(super) links: Vec<(Range<u16>, String)>,
}

impl From<Line<'static>> for Row {
    fn from(line: Line<'static>) -> Self {
        Self { line, links: Vec::new() }
    }
}

/// The lines of a message.
pub(super) fn message(message: &Message, pane: Pane) -> Vec<Row> {
    let Pane { theme, words, .. } = pane;
    match (&message.body, &message.sender) {
        (Body::Notice(sentence), _) => aside(message, pane, "·", sentence, theme.notice()),
        (Body::Warning(sentence), _) => aside(message, pane, "!", sentence, theme.warning()),
        (Body::Text(body), Some(sender)) => {
            let mut marked = Marked::read(&text::clean(body), theme);
            for name in &message.marks.mentions {
                let style = if name == pane.me { theme.mention() } else { theme.heading() };
                marked.mention(name, style);
            }
            said(message, sender, pane, marked, Style::new())
        }
        (Body::Poll(poll), Some(sender)) => {
            said(message, sender, pane, Marked::plain(text::clean(&poll_words(poll, words))), Style::new())
        }
        (Body::File(file), Some(sender)) => {
            said(message, sender, pane, Marked::plain(text::clean(&file_words(file, words))), Style::new())
        }
        (Body::Deleted(by), Some(sender)) => {
            said(message, sender, pane, Marked::plain(text::clean_line(&words.deleted_by(by))), theme.quiet())
        }
        (Body::Unknown, Some(sender)) => {
            said(message, sender, pane, Marked::plain(words.unknown_kind()), theme.notice())
        }
        (Body::Text(_) | Body::Poll(_) | Body::File(_) | Body::Deleted(_) | Body::Unknown, None) => {
            aside(message, pane, "!", &words.no_sender(), theme.warning())
        }
    }
}

/// A file in words. Its id, which the commands take, stands in the details.
fn file_words(file: &File, words: Words) -> String {
    let (voice, size) = (if file.voice { "yes" } else { "no" }, words.size(file.size));
    let what = match file.duration {
        Some(duration) => words.file_line_playing(voice, &file.name, size, duration.as_secs()),
        None => words.file_line(voice, &file.name, size),
    };
    if file.caption.is_empty() { what } else { format!("{what} {}", file.caption) }
}

/// A poll in words, a line for each option.
pub(super) fn poll_words(poll: &Poll, words: Words) -> String {
    let mut lines = vec![words.poll_line(&poll.question)];
    if poll.choices > 1 {
        lines[0].extend([" ", &words.poll_choices(poll.choices)]);
    }
    lines.extend(poll.options.iter().zip(1..).map(|(option, number)| {
        let mark = if option.me { "*" } else { " " };
        // Names before texts: a text may look like anything.
        let by = match option.by.len() {
            0 => String::new(),
            count => format!("({count}: {}) ", option.by.join(", ")),
        };
        format!("{mark}{number}. {by}{}", option.text)
    }));
    if poll.closed {
        lines.push(words.poll_closed());
    }
    lines.join("\n")
}

/// What stands before a message, if it answers another.
fn answers(marks: &Marks, words: Words) -> Option<String> {
    let reply = marks.reply_to.as_ref()?;
    Some(match (&reply.sender, &reply.excerpt) {
        (Some(sender), Some(excerpt)) => format!("↪ {sender}: {excerpt}"),
        (Some(sender), None) if reply.blocked => format!("↪ {sender}: {}", words.blocked()),
        (Some(sender), None) => format!("↪ {sender}: {}", words.deleted()),
        (None, _) => format!("↪ {}", words.reply_missing()),
    })
}

/// What stands below it.
fn notes(marks: &Marks, words: Words) -> Option<String> {
    let mut notes: Vec<String> = marks.pinned_by.iter().map(|by| words.pinned_by(by)).collect();
    let reactions = marks.reactions.iter();
    notes.extend(reactions.map(|reaction| format!("{} {}", reaction.emoji, reaction.by.join(", "))));
    (!notes.is_empty()).then(|| format!("[{}]", notes.join("  ")))
}

/// The lines that say more of a message that is chosen.
pub(super) fn details(message: &Message, pane: Pane) -> Vec<Row> {
    let room = pane.width.saturating_sub(INDENT);
    let mut facts = Vec::new();
    let moment = pane.zone.show(message.sent_at);
    let format = format_description!(
        "[year]-[month]-[day] [hour]:[minute]:[second] [offset_hour sign:mandatory]:[offset_minute]"
    );
    let words = pane.words;
    facts.push(words.detail_written(moment.format(format).unwrap_or_default()));
    facts.push(match message.delivery {
        Delivery::Pending => words.detail_waits(),
        Delivery::Failed => words.detail_failed(),
        Delivery::Sent => words.detail_stored(message.epoch),
    });
    if !message.marks.delivered_to.is_empty() {
        facts.push(words.detail_with(message.marks.delivered_to.join(", ")));
    }
    if !message.marks.read_by.is_empty() {
        facts.push(words.detail_seen(message.marks.read_by.join(", ")));
    }
    if let Some(at) = message.marks.expires_at {
        facts.push(words.detail_goes(pane.zone.show(at).format(format).unwrap_or_default()));
    }
    if message.marks.edits > 0 {
        facts.push(words.detail_edits(message.marks.edits));
    }
    if let Body::File(file) = &message.body {
        facts.push(words.detail_file(file.id.to_string()));
    }
    if let Some(id) = message.id {
        facts.push(words.detail_id(id.to_string()));
    }
    if let Some(sender) = &message.sender {
        facts.push(words.detail_device(sender.device.to_string()));
    }
    let style = pane.theme.quiet();
    let rows = facts.iter().flat_map(|fact| words.paragraph(&text::clean_line(fact), room, style));
    rows.map(|row| indented(row, room).into()).collect()
}

/// The line that starts a day.
pub(super) fn day(at: OffsetDateTime, pane: Pane) -> Line<'static> {
    let date = pane.zone.show(at).date();
    let weekday = date.weekday().number_from_monday();
    let words = pane.words.day_line(weekday, date.day(), u8::from(date.month()), date.year());
    rule(&words, pane.width, pane.theme.quiet(), pane.words)
}

/// The line above what is unread.
pub(super) fn unread(pane: Pane) -> Line<'static> {
    rule(&pane.words.unread_line(), pane.width, pane.theme.unread(), pane.words)
}

/// A rule across the pane with a title in it, where one begins to read.
pub(super) fn rule(title: &str, width: usize, style: Style, words: Words) -> Line<'static> {
    let title = text::truncate(title, width.saturating_sub(4));
    let rest = "─".repeat(width.saturating_sub(text::width(&title) + 4));
    let title = words.visual(&title);
    let rule = match words.direction() {
        Direction::LeftToRight => format!("── {title} {rest}"),
        Direction::RightToLeft => format!("{rest} {title} ──"),
    };
    Line::styled(rule, style)
}

/// The mark before a message, and how it looks.
fn mark(message: &Message, sender: &Sender, theme: Theme) -> (&'static str, Style) {
    match message.delivery {
        Delivery::Pending => (" …", theme.quiet()),
        Delivery::Failed => (" ✗", theme.failure()),
        Delivery::Sent if !sender.me => ("  ", theme.quiet()),
        Delivery::Sent if !message.marks.read_by.is_empty() => (" ◉", theme.good()),
        Delivery::Sent if !message.marks.delivered_to.is_empty() => ("✓✓", theme.quiet()),
        Delivery::Sent => (" ✓", theme.quiet()),
    }
}

fn said(message: &Message, sender: &Sender, pane: Pane, mut body: Marked, style: Style) -> Vec<Row> {
    let theme = pane.theme;
    let (mark, mark_style) = mark(message, sender, theme);
    let pending = message.delivery == Delivery::Pending;
    let style = if pending { style.add_modifier(Modifier::DIM) } else { style };
    let name = text::truncate(&text::clean_line(&sender.name), pane.width / 3);
    // Who has compared keys with them sees it, and whose keys have changed. No name has such a mark in it.
    let (trust, trust_style) = match sender {
        Sender { changed: true, .. } => (" !", theme.warning()),
        Sender { verified: true, me: false, .. } => (" ✓", theme.good()),
        _ => ("", theme.quiet()),
    };
    let room = pane.width.saturating_sub(INDENT);
    let taken = text::width(&name) + text::width(trust) + 2;
    let end = body.text.len();
    if message.marks.edits > 0 {
        body.text.extend([" ", &pane.words.edited_mark()]);
    }
    body.styles.push((end..body.text.len(), theme.quiet()));
    let order = Order::of(&body.text);
    let mut rows: Vec<Row> = Vec::new();
    if let Some(answers) = answers(&message.marks, pane.words) {
        let answers = text::truncate(&text::clean_line(&answers), room);
        let line = pane.words.line(Line::styled(answers, theme.quiet()));
        rows.push(indented(line, room).into());
    }
    for (index, range) in
        text::wrap_ranges(&body.text, room.saturating_sub(taken), room).into_iter().enumerate()
    {
        let head = if index == 0 {
            vec![
                Span::styled(format!("{} ", clock(message.sent_at, pane.zone)), theme.quiet()),
                Span::styled(format!("{mark} "), mark_style),
                Span::styled(bidi::visual(&name), theme.person(sender.account)),
                Span::styled(trust, trust_style),
                Span::styled(": ", theme.person(sender.account)),
            ]
        } else {
            vec![Span::raw(" ".repeat(INDENT))]
        };
        rows.push(drawn(&body, &order, range, style, head));
    }
    let mut below = |words: &str, style: Style| {
        let lines = pane.words.paragraph(words, room, style).into_iter();
        rows.extend(lines.map(|line| Row::from(indented(line, room))));
    };
    if let Some(notes) = notes(&message.marks, pane.words) {
        below(&text::clean_line(&notes), theme.quiet());
    }
    if message.delivery == Delivery::Failed {
        below(&pane.words.could_not_be_sent(), theme.failure());
    }
    rows
}

/// A row of a text behind what stands before it.
fn drawn(body: &Marked, order: &Order, range: Range<usize>, base: Style, head: Vec<Span<'static>>) -> Row {
    let before: usize = head.iter().map(|span| text::width(&span.content)).sum();
    let links = if order.is_plain() { columns(body, &range, before) } else { Vec::new() };
    let mut spans = head;
    let (mut run, mut style) = (String::new(), base);
    for (at, grapheme) in order.row(&range) {
        let here = body.style(at, base);
        if here != style && !run.is_empty() {
            spans.push(Span::styled(std::mem::take(&mut run), style));
        }
        style = here;
        run.push_str(&grapheme);
    }
    spans.push(Span::styled(run, style));
    Row { line: Line::from(spans), links }
}

/// Where the addresses of a text stand in one of its rows.
fn columns(body: &Marked, row: &Range<usize>, before: usize) -> Vec<(Range<u16>, String)> {
    let column =
        |at: usize| u16::try_from(before + text::width(&body.text[row.start..at])).unwrap_or(u16::MAX);
    let parts = body.links.iter().map(|(link, url)| (link.start.max(row.start)..link.end.min(row.end), url));
    parts
        .filter(|(part, _)| !part.is_empty())
        .map(|(part, url)| (column(part.start)..column(part.end), url.clone()))
        .collect()
}

fn aside(message: &Message, pane: Pane, mark: &str, sentence: &str, style: Style) -> Vec<Row> {
    let room = pane.width.saturating_sub(INDENT);
    let sentence = text::clean_line(sentence);
    let mut rows =
        pane.words.paragraph(&sentence, room, style).into_iter().map(|line| bidi::padded(line, room));
    let mut first = vec![
        Span::styled(format!("{} ", clock(message.sent_at, pane.zone)), pane.theme.quiet()),
        Span::styled(format!(" {mark} "), style),
    ];
    first.extend(rows.next().into_iter().flat_map(styled));
    let mut lines = vec![Row::from(Line::from(first))];
    lines.extend(rows.map(|row| Row::from(indented(row, room))));
    lines
}

/// A line below the name of who has said something.
fn indented(line: Line<'static>, room: usize) -> Line<'static> {
    let mut spans = vec![Span::raw(" ".repeat(INDENT))];
    spans.extend(styled(bidi::padded(line, room)));
    Line::from(spans)
}

/// The parts of a line, each with the whole of its look.
fn styled(line: Line<'static>) -> impl Iterator<Item = Span<'static>> {
    let style = line.style;
    line.spans.into_iter().map(move |span| Span::styled(span.content, style.patch(span.style)))
}

pub(super) fn clock(at: OffsetDateTime, zone: &Zone) -> String {
    zone.show(at).format(format_description!("[hour]:[minute]")).unwrap_or_default()
}
