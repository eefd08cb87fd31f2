//! Lays a message out in lines of a given width: the only place that knows what a line of the timeline looks like.
//!
//! ```text
//! 10:42 ✓ alice: text, and where it
//!         goes on
//! 10:43   bob ✓: of one whose safety number was compared
//! 10:44   carol !: of one whose identity has changed
//! ```
//! Text of others is always indented, so that no body can pass for a notice or for somebody else's line.

use ratatui::{
    style::{Modifier, Style},
    text::{Line, Span},
};
use time::{OffsetDateTime, macros::format_description};

use super::{text, theme::Theme};
use crate::{
    engine::types::{Body, Delivery, Message, Sender},
    zone::Zone,
};

/// Columns before the text: the time, a blank, the mark, a blank.
const INDENT: usize = 8;

/// How a pane draws: its size and what else shapes lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pane<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) theme: Theme,
    pub(super) zone: &'a Zone,
}

/// The lines of a message.
pub(super) fn message(message: &Message, pane: Pane) -> Vec<Line<'static>> {
    match (&message.body, &message.sender) {
        (Body::Notice(sentence), _) => aside(message, pane, "·", sentence, pane.theme.notice()),
        (Body::Warning(sentence), _) => aside(message, pane, "!", sentence, pane.theme.warning()),
        (Body::Text(body), Some(sender)) => said(message, sender, pane, body, Style::new()),
        (Body::Poll(poll), Some(sender)) => said(message, sender, pane, &poll.words(), Style::new()),
        (Body::File(file), Some(sender)) => said(message, sender, pane, &file.words(), Style::new()),
        (Body::Deleted(by), Some(sender)) => {
            said(message, sender, pane, &format!("(deleted by {by})"), pane.theme.quiet())
        }
        (Body::Unknown, Some(sender)) => {
            said(message, sender, pane, "(a kind of message that needs a newer qchat)", pane.theme.notice())
        }
        (Body::Text(_) | Body::Poll(_) | Body::File(_) | Body::Deleted(_) | Body::Unknown, None) => {
            aside(message, pane, "!", "a message without a sender", pane.theme.warning())
        }
    }
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
    Line::styled(format!("── {words} {}", "─".repeat(rest)), style)
}

fn said(message: &Message, sender: &Sender, pane: Pane, body: &str, style: Style) -> Vec<Line<'static>> {
    let theme = pane.theme;
    let (mark, mark_style, body_style) = match message.delivery {
        Delivery::Pending => ("…", theme.quiet(), style.add_modifier(Modifier::DIM)),
        Delivery::Sent if sender.me => ("✓", theme.quiet(), style),
        Delivery::Sent => (" ", theme.quiet(), style),
        Delivery::Failed => ("✗", theme.failure(), style),
    };
    let name = text::truncate(&text::clean_line(&sender.name), pane.width / 3);
    // Who has compared keys with them sees it, and whose keys have changed. No name has such a mark in it.
    let (trust, trust_style) = match sender {
        Sender { changed: true, .. } => (" !", theme.warning()),
        Sender { verified: true, me: false, .. } => (" ✓", theme.good()),
        _ => ("", theme.quiet()),
    };
    let room = pane.width.saturating_sub(INDENT);
    let taken = text::width(&name) + text::width(trust) + 2;
    let body = text::clean(body) + message.marks.suffix();
    let mut rows = text::wrap(&body, room.saturating_sub(taken), room).into_iter();
    let mut lines = vec![];
    if let Some(answers) = message.marks.answers() {
        let answers = text::truncate(&text::clean_line(&answers), room);
        lines.push(indented(answers, theme.quiet()));
    }
    lines.push(Line::from(vec![
        Span::styled(format!("{} ", clock(message.sent_at, pane.zone)), theme.quiet()),
        Span::styled(format!("{mark} "), mark_style),
        Span::styled(name, theme.person(sender.account)),
        Span::styled(trust, trust_style),
        Span::styled(": ", theme.person(sender.account)),
        Span::styled(rows.next().unwrap_or_default(), body_style),
    ]));
    lines.extend(rows.map(|row| indented(row, body_style)));
    if let Some(notes) = message.marks.notes() {
        lines.extend(
            text::wrap(&text::clean_line(&notes), room, room)
                .into_iter()
                .map(|row| indented(row, theme.quiet())),
        );
    }
    if message.delivery == Delivery::Failed {
        lines.push(indented("(could not be sent)".to_owned(), theme.failure()));
    }
    lines
}

fn aside(message: &Message, pane: Pane, mark: &str, sentence: &str, style: Style) -> Vec<Line<'static>> {
    let room = pane.width.saturating_sub(INDENT);
    let mut rows = text::wrap(&text::clean_line(sentence), room, room).into_iter();
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{} ", clock(message.sent_at, pane.zone)), pane.theme.quiet()),
        Span::styled(format!("{mark} {}", rows.next().unwrap_or_default()), style),
    ])];
    lines.extend(rows.map(|row| indented(row, style)));
    lines
}

fn indented(row: String, style: Style) -> Line<'static> {
    Line::from(vec![Span::raw(" ".repeat(INDENT)), Span::styled(row, style)])
}

fn clock(at: OffsetDateTime, zone: &Zone) -> String {
    zone.show(at).format(format_description!("[hour]:[minute]")).unwrap_or_default()
}
