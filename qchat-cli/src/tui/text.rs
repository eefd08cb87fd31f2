//! Text on its way into cells: the last defence against hostile strings, and wrapping by the widths that are drawn.
//!
//! Names and bodies have been, or should have been, sanitised before; this module does not rely on it.

use ratatui::buffer::CellWidth as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// Most code points that one grapheme may have: enough for families of emoji, too few to bury the lines above.
const MAX_GRAPHEME: usize = 12;

/// What stands for a code point that must not be drawn.
const REPLACEMENT: char = '\u{fffd}';

/// Makes text of several lines harmless: line feeds stay, tabs become spaces, and every code point that controls a
/// terminal, turns the writing direction or hides becomes U+FFFD.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            clean.push('\n');
        }
        push_clean(&mut clean, line);
    }
    clean
}

/// The same for a single line: a line feed is replaced as well.
pub(super) fn clean_line(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    push_clean(&mut clean, &text.replace('\n', " "));
    clean
}

fn push_clean(out: &mut String, line: &str) {
    for grapheme in line.graphemes(true) {
        for c in grapheme.chars().take(MAX_GRAPHEME) {
            match c {
                '\t' => out.push_str("    "),
                c if is_harmful(c) => out.push(REPLACEMENT),
                c => out.push(c),
            }
        }
    }
}

/// Controls (C0, C1, line and paragraph separators), bidirectional controls, and what is invisible without a use.
/// Joiners (U+200C, U+200D) and variation selectors stay: scripts and emoji need them.
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

/// Breaks clean text into lines of at most `cells`: after white space or a wide character, inside a word only when
/// the word alone is longer than a line. The first line has `first` cells (a name may stand before it).
pub(super) fn wrap(text: &str, first: usize, cells: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let room = |lines: &Vec<String>| if lines.is_empty() { first.max(1) } else { cells.max(1) };
        let mut start = 0;
        let mut column = 0;
        // Where the line may be broken, and the column there.
        let mut opening: Option<(usize, usize)> = None;
        for (at, grapheme) in paragraph.grapheme_indices(true) {
            let wide = usize::from(grapheme.cell_width());
            let blank = grapheme.chars().all(char::is_whitespace);
            if blank && column + wide > room(&lines) {
                lines.push(paragraph[start..at].trim_end().to_owned());
                (start, column, opening) = (at + grapheme.len(), 0, None);
                continue;
            }
            while column + wide > room(&lines) && at > start {
                let (until, taken) = opening.take().unwrap_or((at, column));
                lines.push(paragraph[start..until].trim_end().to_owned());
                (start, column) = (until, column - taken);
            }
            column += wide;
            if blank || wide > 1 {
                opening = Some((at + grapheme.len(), column));
            }
        }
        lines.push(paragraph[start..].to_owned());
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
    fn harmful_code_points_are_replaced_and_towers_of_marks_are_cut() {
        for (text, shown) in [
            ("plain", "plain"),
            ("\u{1b}[31mred\u{7}", "\u{fffd}[31mred\u{fffd}"),
            ("a\u{9b}2Jb", "a\u{fffd}2Jb"),
            ("\u{202e}gnp.exe", "\u{fffd}gnp.exe"),
            ("ze\u{200b}ro", "ze\u{fffd}ro"),
            ("a\tb", "a    b"),
            ("👨‍👩‍👧", "👨‍👩‍👧"),
            ("one\r\ntwo", "one two"),
        ] {
            assert_eq!(clean_line(&text.replace("\r\n", "\n")), shown, "{text:?}");
        }
        let tower = format!("a{}", "\u{301}".repeat(500));
        assert_eq!(clean_line(&tower).chars().count(), MAX_GRAPHEME);
    }

    #[test]
    fn long_names_end_in_an_ellipsis() {
        for (text, cells, shown) in
            [("short", 5, "short"), ("longer", 5, "long…"), ("日本語", 5, "日本…"), ("日本語", 4, "日…"), ("ab", 0, "")]
        {
            assert_eq!(truncate(text, cells), shown, "{text:?} in {cells}");
        }
    }
}
