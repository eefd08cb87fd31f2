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

use super::{bidi, bidi::Order, markup::Marked, text, theme::Theme};
use crate::{
    engine::types::{Body, Delivery, File, Message, Sender, size},
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
    let theme = pane.theme;
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
            said(message, sender, pane, Marked::plain(text::clean(&poll.words())), Style::new())
        }
        (Body::File(file), Some(sender)) => {
            said(message, sender, pane, Marked::plain(text::clean(&file_words(file))), Style::new())
        }
        (Body::Deleted(by), Some(sender)) => said(
            message,
            sender,
            pane,
            Marked::plain(text::clean_line(&format!("(deleted by {by})"))),
            theme.quiet(),
        ),
        (Body::Unknown, Some(sender)) => {
            let words = "(a kind of message that this version does not know; a newer qchat shows it)";
            said(message, sender, pane, Marked::plain(words.to_owned()), theme.notice())
        }
        (Body::Text(_) | Body::Poll(_) | Body::File(_) | Body::Deleted(_) | Body::Unknown, None) => {
            aside(message, pane, "!", "a message without a sender", theme.warning())
        }
    }
}

/// A file in words. Its id, which the commands take, stands in the details.
fn file_words(file: &File) -> String {
    let what = if file.voice { "voice note" } else { "file" };
    let plays = file.duration.map_or_else(String::new, |duration| format!(", {} s", duration.as_secs()));
    let caption = if file.caption.is_empty() { String::new() } else { format!(" {}", file.caption) };
    format!("[{what} {}, {}{plays}]{caption}", file.name, size(file.size))
}

/// The lines that say more of a message that is chosen.
pub(super) fn details(message: &Message, pane: Pane) -> Vec<Row> {
    let room = pane.width.saturating_sub(INDENT);
    let mut facts = Vec::new();
    let moment = pane.zone.show(message.sent_at);
    let format = format_description!(
        "[year]-[month]-[day] [hour]:[minute]:[second] [offset_hour sign:mandatory]:[offset_minute]"
    );
    facts.push(format!("written {}", moment.format(format).unwrap_or_default()));
    facts.push(match message.delivery {
        Delivery::Pending => "waits to be sent; nobody has it".to_owned(),
        Delivery::Failed => "could not be sent; nobody has it".to_owned(),
        Delivery::Sent => format!("the server has it; sealed in epoch {}", message.epoch),
    });
    for (what, names) in [("with", &message.marks.delivered_to), ("seen by", &message.marks.read_by)] {
        if !names.is_empty() {
            facts.push(format!("{what} {}", names.join(", ")));
        }
    }
    if let Some(at) = message.marks.expires_at {
        facts.push(format!("goes {}", pane.zone.show(at).format(format).unwrap_or_default()));
    }
    if message.marks.edits > 0 {
        facts.push(format!("edited {} times", message.marks.edits));
    }
    if let Body::File(file) = &message.body {
        facts.push(format!("file {}", file.id));
    }
    if let Some(id) = message.id {
        facts.push(format!("id {id}"));
    }
    if let Some(sender) = &message.sender {
        facts.push(format!("device {}", sender.device));
    }
    let rows = facts.iter().flat_map(|fact| text::wrap(&text::clean_line(fact), room, room));
    rows.map(|row| indented(row, pane.theme.quiet()).into()).collect()
}

/// The line that starts a day.
pub(super) fn day(at: OffsetDateTime, pane: Pane) -> Line<'static> {
    let date = pane
        .zone
        .show(at)
        .format(format_description!("[weekday], [day padding:none] [month repr:long] [year]"))
        .unwrap_or_default();
    rule(&date, pane.width, pane.theme.quiet())
}

/// The line above what is unread.
pub(super) fn unread(pane: Pane) -> Line<'static> {
    rule("new", pane.width, pane.theme.unread())
}

/// A rule across the pane with words in it.
pub(super) fn rule(words: &str, width: usize, style: Style) -> Line<'static> {
    let words = text::truncate(words, width.saturating_sub(4));
    let rest = width.saturating_sub(text::width(&words) + 4);
    Line::styled(format!("── {} {}", bidi::visual(&words), "─".repeat(rest)), style)
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
    body.text.push_str(message.marks.suffix());
    body.styles.push((end..body.text.len(), theme.quiet()));
    let order = Order::of(&body.text);
    let mut rows: Vec<Row> = Vec::new();
    if let Some(answers) = message.marks.answers() {
        let answers = text::truncate(&text::clean_line(&answers), room);
        rows.push(indented(answers, theme.quiet()).into());
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
        rows.extend(text::wrap(words, room, room).into_iter().map(|row| Row::from(indented(row, style))));
    };
    if let Some(notes) = message.marks.notes() {
        below(&text::clean_line(&notes), theme.quiet());
    }
    if message.delivery == Delivery::Failed {
        below("(could not be sent)", theme.failure());
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
    let mut rows = text::wrap(&text::clean_line(sentence), room, room).into_iter();
    let mut lines = vec![Row::from(Line::from(vec![
        Span::styled(format!("{} ", clock(message.sent_at, pane.zone)), pane.theme.quiet()),
        Span::styled(format!(" {mark} {}", rows.next().unwrap_or_default()), style),
    ]))];
    lines.extend(rows.map(|row| Row::from(indented(row, style))));
    lines
}

fn indented(row: String, style: Style) -> Line<'static> {
    Line::from(vec![Span::raw(" ".repeat(INDENT)), Span::styled(row, style)])
}

pub(super) fn clock(at: OffsetDateTime, zone: &Zone) -> String {
    zone.show(at).format(format_description!("[hour]:[minute]")).unwrap_or_default()
}
