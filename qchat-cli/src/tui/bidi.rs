//! Right-to-left text in the order in which it is read (UAX #9): terminals draw cells from the left. Nobody's text turns
//! anything else around, since bidirectional controls are made visible before, and each row of a text is turned by itself.

use std::{borrow::Cow, ops::Range};

use unicode_bidi::{BidiInfo, Level};
use unicode_segmentation::UnicodeSegmentation as _;

/// A text whose rows may have to be turned around.
pub(super) struct Order<'a> {
    text: &'a str,
    info: Option<BidiInfo<'a>>,
}

/// A line in the order in which it is drawn.
pub(super) fn visual(line: &str) -> String {
    if may_turn(line) {
        return Order::of(line).row(&(0..line.len())).into_iter().map(|(_, grapheme)| grapheme).collect();
    }
    line.to_owned()
}

/// Whether a text may have right-to-left parts. A glance: what has none is most of what is said.
fn may_turn(text: &str) -> bool {
    text.chars().any(|c| {
        matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
    })
}

impl<'a> Order<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, info: may_turn(text).then(|| BidiInfo::new(text, None)) }
    }

    /// Whether this text reads from the left throughout.
    pub(super) fn is_plain(&self) -> bool {
        self.info.is_none()
    }

    /// The graphemes of a row in the order in which they are drawn, each with its place in the text.
    pub(super) fn row(&self, row: &Range<usize>) -> Vec<(usize, Cow<'a, str>)> {
        let graphemes = |range: Range<usize>| {
            let start = range.start;
            self.text[range].grapheme_indices(true).map(move |(at, grapheme)| (start + at, grapheme))
        };
        let paragraph = self.info.as_ref().and_then(|info| {
            let paragraph = info
                .paragraphs
                .iter()
                .find(|paragraph| paragraph.range.contains(&row.start) && paragraph.range.end >= row.end);
            paragraph.map(|paragraph| (info, paragraph))
        });
        let Some((info, paragraph)) = paragraph.filter(|_| !row.is_empty()) else {
            return graphemes(row.clone()).map(|(at, grapheme)| (at, Cow::Borrowed(grapheme))).collect();
        };
        let (levels, runs) = info.visual_runs(paragraph, row.clone());
        let mut drawn = Vec::new();
        for run in runs {
            let level = levels.get(run.start).copied().unwrap_or_else(Level::ltr);
            if level.is_rtl() {
                drawn.extend(graphemes(run).rev().map(|(at, grapheme)| (at, mirrored(grapheme))));
            } else {
                drawn.extend(graphemes(run).map(|(at, grapheme)| (at, Cow::Borrowed(grapheme))));
            }
        }
        drawn
    }
}

/// Brackets open towards what they hold (UAX #9, rule L4).
fn mirrored(grapheme: &str) -> Cow<'_, str> {
    const PAIRS: [(&str, &str); 5] = [("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"), ("«", "»")];
    for (open, close) in PAIRS {
        if grapheme == open {
            return Cow::Borrowed(close);
        }
        if grapheme == close {
            return Cow::Borrowed(open);
        }
    }
    Cow::Borrowed(grapheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_drawn_as_they_are_read() {
        for (text, drawn) in [
            ("plain", "plain"),
            ("שלום", "םולש"),
            ("say שלום twice", "say םולש twice"),
            ("שלום (abc) 12", "12 (abc) םולש"),
            ("مرحبا", "ابحرم"),
        ] {
            assert_eq!(visual(text), drawn);
        }
        let text = "שלום עולם\nabc";
        let order = Order::of(text);
        let second = text.find('\n').unwrap() + 1..text.len();
        assert_eq!(order.row(&second).into_iter().map(|(_, grapheme)| grapheme).collect::<String>(), "abc");
        assert!(!order.is_plain() && Order::of("abc").is_plain());
    }
}
