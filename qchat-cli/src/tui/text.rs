//! Text on its way into cells: the last defence against hostile strings, and wrapping by the widths that are drawn.
//!
//! Names have been, or should have been, sanitised before; this module does not rely on it.

use std::ops::Range;

use qchat_proto::sanitize;
use ratatui::buffer::CellWidth as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// Most characters that are joined into one emoji; a family with skin tones has eleven. In terminals that do not know such
/// emoji each of them takes cells of its own.
const JOINED: usize = 12;

/// Makes text of several lines harmless.
pub(super) fn clean(text: &str) -> String {
    bounded(sanitize::text(text).into_owned())
}

/// The same for a single line.
pub(super) fn clean_line(text: &str) -> String {
    bounded(sanitize::line(text).into_owned())
}

/// Cuts chains of emoji that are longer than any there is.
fn bounded(text: String) -> String {
    if !text.contains('\u{200d}') {
        return text;
    }
    let mut cut = String::with_capacity(text.len());
    for grapheme in text.graphemes(true) {
        match grapheme.char_indices().nth(JOINED) {
            Some((at, _)) => {
                cut.push_str(grapheme[..at].trim_end_matches('\u{200d}'));
                cut.push(char::REPLACEMENT_CHARACTER);
            }
            None => cut.push_str(grapheme),
        }
    }
    cut
}

/// What may enter a field from the clipboard: the text as it is, but for controls.
pub(super) fn without_controls(pasted: &str) -> String {
    let lines = pasted.replace("\r\n", "\n").replace('\r', "\n");
    lines.chars().filter(|&c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
}

/// Controls (C0, C1, line and paragraph separators), bidirectional controls, and what is invisible without a use.
/// No cell may hold one. Joiners (U+200C, U+200D) and variation selectors may: scripts and emoji need them, and
/// sanitising has removed the others.
pub(super) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// How many cells a clean line takes.
pub(super) fn width(line: &str) -> usize {
    line.graphemes(true).map(|grapheme| usize::from(grapheme.cell_width())).sum()
}

/// Cuts a clean line to `cells`, with an ellipsis where something is missing.
pub(super) fn truncate(line: &str, cells: usize) -> String {
    if width(line) <= cells {
        return line.to_owned();
    }
    let mut cut = String::new();
    let mut taken = 0;
    for grapheme in line.graphemes(true) {
        let wide = usize::from(grapheme.cell_width());
        if taken + wide + 1 > cells {
            break;
        }
        cut.push_str(grapheme);
        taken += wide;
    }
    if cells > 0 {
        cut.push('…');
    }
    cut
}

/// Fills a clean line up to `cells` with blanks.
pub(super) fn fill(line: &str, cells: usize) -> String {
    format!("{line}{}", " ".repeat(cells.saturating_sub(width(line))))
}

/// Breaks clean text into lines of at most `cells`: after white space or a wide character, inside a word only when
/// the word alone is longer than a line. The first line has `first` cells (a name may stand before it).
pub(super) fn wrap(text: &str, first: usize, cells: usize) -> Vec<String> {
    wrap_ranges(text, first, cells).into_iter().map(|range| text[range].to_owned()).collect()
}

/// [`wrap`], as the places of the lines in the text.
pub(super) fn wrap_ranges(text: &str, first: usize, cells: usize) -> Vec<Range<usize>> {
    let mut lines: Vec<Range<usize>> = Vec::new();
    let trimmed = |start: usize, end: usize| start..start + text[start..end].trim_end().len();
    let mut base = 0;
    for paragraph in text.split('\n') {
        let room = |lines: &Vec<Range<usize>>| if lines.is_empty() { first.max(1) } else { cells.max(1) };
        let mut start = 0;
        let mut column = 0;
        // Where the line may be broken, and the column there.
        let mut opening: Option<(usize, usize)> = None;
        for (at, grapheme) in paragraph.grapheme_indices(true) {
            let wide = usize::from(grapheme.cell_width());
            let blank = grapheme.chars().all(char::is_whitespace);
            if blank && at == start && at > 0 {
                // More of the white space at which the line above ended.
                start = at + grapheme.len();
                continue;
            }
            if blank && column + wide > room(&lines) {
                lines.push(trimmed(base + start, base + at));
                (start, column, opening) = (at + grapheme.len(), 0, None);
                continue;
            }
            while column + wide > room(&lines) && at > start {
                let (until, taken) = opening.take().unwrap_or((at, column));
                lines.push(trimmed(base + start, base + until));
                (start, column) = (until, column - taken);
            }
            column += wide;
            if blank || wide > 1 {
                opening = Some((at + grapheme.len(), column));
            }
        }
        lines.push(base + start..base + paragraph.len());
        base += paragraph.len() + 1;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_only_long_ones_are_broken() {
        for (text, first, cells, lines) in [
            ("", 10, 10, &[""][..]),
            ("one two three", 7, 7, &["one two", "three"]),
            ("one two three", 3, 9, &["one", "two three"]),
            ("a  b", 1, 1, &["a", "b"]),
            ("abcdefgh ij", 4, 4, &["abcd", "efgh", "ij"]),
            ("ab abcdefgh", 4, 4, &["ab", "abcd", "efgh"]),
            ("one\n\ntwo", 10, 10, &["one", "", "two"]),
            ("    code", 10, 10, &["    code"]),
            ("日本語の文", 5, 4, &["日本", "語の", "文"]),
            ("x日本", 2, 2, &["x", "日", "本"]),
            ("👨‍👩‍👧 family", 6, 6, &["👨‍👩‍👧", "family"]),
        ] {
            assert_eq!(wrap(text, first, cells), lines, "{text:?} in {first}/{cells}");
        }
    }

    #[test]
    fn long_names_end_in_an_ellipsis() {
        for (text, cells, shown) in [
            ("short", 5, "short"),
            ("longer", 5, "long…"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("ab", 0, ""),
        ] {
            assert_eq!(truncate(text, cells), shown, "{text:?} in {cells}");
        }
    }
}
