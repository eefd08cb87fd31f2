//! Right-to-left text in the order in which it is read (UAX #9): terminals draw cells from the left. Nobody's text turns
//! anything else around, since bidirectional controls are made visible before, and each row of a text is turned by itself.

use std::{borrow::Cow, ops::Range};

use ratatui::{
    buffer::{Buffer, Cell, CellWidth as _},
    layout::{Alignment, Position, Rect},
    style::Style,
    text::{Line, Span},
};
use unicode_bidi::{BidiClass, BidiDataSource, BidiInfo, HardcodedBidiData, Level};
use unicode_segmentation::UnicodeSegmentation as _;

use super::text;

/// Which way the words of a language run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Direction {
    LeftToRight,
    RightToLeft,
}

/// Whether a text of the screen's own is drawn from the right: in a language that is, if anything of it is written so. A fingerprint
/// or a picture made of blocks is no text of any language.
pub(super) fn runs_from_right(text: &str, direction: Direction) -> bool {
    direction == Direction::RightToLeft && may_turn(text)
}

/// A line of the screen's own words, whatever is put into them, in the order in which it is drawn. It begins at the right in a language
/// that does; so does a row of a paragraph that is aligned there already, whatever stands in it.
pub(super) fn turned(line: Line<'static>, direction: Direction) -> Line<'static> {
    let text: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
    let row_of_such = direction == Direction::RightToLeft && line.alignment == Some(Alignment::Right);
    let from_right = row_of_such || runs_from_right(&text, direction);
    if !from_right && !may_turn(&text) {
        return line;
    }
    let ends = line.spans.iter().scan(0, |end, span| {
        *end += span.content.len();
        Some((*end, span.style))
    });
    let styles: Vec<(usize, Style)> = ends.collect();
    let base = if from_right { Level::rtl() } else { Level::ltr() };
    let (text, marks) = counted(&text, base);
    let mut spans: Vec<Span<'static>> = Vec::new();
    for (at, grapheme) in Order::of_own(&text, base).row(&(0..text.len())) {
        if marks.contains(&at) {
            continue;
        }
        let at = at - MARK * marks.iter().filter(|mark| **mark < at).count();
        let style = styles.iter().find(|(end, _)| at < *end).map(|(_, style)| *style).unwrap_or_default();
        match spans.last_mut() {
            Some(last) if last.style == style => last.content.to_mut().push_str(&grapheme),
            _ => spans.push(Span::styled(grapheme.into_owned(), style)),
        }
    }
    let alignment = match line.alignment {
        None if from_right => Some(Alignment::Right),
        known => known,
    };
    Line { style: line.style, alignment, spans }
}

/// A line of `width` cells, blanks before what begins at the right: for places where something else stands in the same line.
pub(super) fn padded(mut line: Line<'static>, width: usize) -> Line<'static> {
    if line.alignment == Some(Alignment::Right) {
        let taken: usize = line.spans.iter().map(|span| text::width(&span.content)).sum();
        line.spans.insert(0, Span::raw(" ".repeat(width.saturating_sub(taken))));
        line.alignment = None;
    }
    line
}

/// Turns what a field shows, row by row: what is written from the right stands there, as its first letter says. Returns where the cursor
/// is drawn then, which goes with the cell that it is on.
pub(super) fn turn_field(buffer: &mut Buffer, area: Rect, cursor: Position) -> Position {
    let mut drawn = cursor;
    for y in area.top()..area.bottom() {
        let mut cells: Vec<(u16, Cell)> = Vec::new();
        let mut x = area.left();
        while let Some(cell) = buffer.cell((x, y)).filter(|_| x < area.right()) {
            cells.push((x, cell.clone()));
            // What a wide character covers is no cell of its own.
            x = x.saturating_add(cell.symbol().cell_width().max(1));
        }
        let holds = |(x, cell): &(u16, Cell)| cell.symbol() != " " || (*x, y) == (cursor.x, cursor.y);
        let Some(last) = cells.iter().rposition(holds) else { continue };
        cells.truncate(last + 1);
        let text: String = cells.iter().map(|(_, cell)| cell.symbol()).collect();
        if !may_turn(&text) {
            continue;
        }
        let order = Order::of(&text);
        let places = cells.iter().scan(0, |end, (_, cell)| {
            let start = *end;
            *end += cell.symbol().len();
            Some(start)
        });
        let places: Vec<usize> = places.collect();
        let taken: u16 = cells.iter().map(|(_, cell)| cell.symbol().cell_width().max(1)).sum();
        let mut x =
            if order.begins_at_the_right() { area.right().saturating_sub(taken) } else { area.left() };
        for free in area.left()..area.right() {
            if let Some(cell) = buffer.cell_mut((free, y)) {
                cell.reset();
            }
        }
        for (at, grapheme) in order.row(&(0..text.len())) {
            let Some((from, cell)) = places.binary_search(&at).ok().and_then(|place| cells.get(place)) else {
                continue;
            };
            if (*from, y) == (cursor.x, cursor.y) {
                drawn = Position::new(x, y);
            }
            if let Some(place) = buffer.cell_mut((x, y)).filter(|_| x < area.right()) {
                *place = cell.clone();
                place.set_symbol(&grapheme);
            }
            x = x.saturating_add(cell.symbol().cell_width().max(1));
        }
    }
    drawn
}

/// Bytes of a mark of direction.
const MARK: usize = '\u{200f}'.len_utf8();

/// The text with a mark of its direction before each number that counts what follows it (`חדר: 4 חברים`, where the room's name is
/// Latin): by itself a number goes with the letters before it. Also the places of the marks, which are not drawn.
fn counted(text: &str, base: Level) -> (String, Vec<usize>) {
    let mark = if base.is_rtl() { '\u{200f}' } else { '\u{200e}' };
    let (mut marked, mut marks) = (String::with_capacity(text.len()), Vec::new());
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let begins = c.is_ascii_digit() && (before.is_whitespace() || before == '(');
        if begins && counts(text.get(at..).unwrap_or_default(), base) {
            marks.push(marked.len());
            marked.push(mark);
        }
        marked.push(c);
        before = c;
    }
    (marked, marks)
}

/// Whether a number stands before a word of the direction.
fn counts(text: &str, base: Level) -> bool {
    let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | ':' | '+');
    let rest = text.trim_start_matches(number);
    let word = rest.trim_start();
    // What a comma stands behind counts nothing: it ends what was said before.
    let ends = text.strip_suffix(rest).is_some_and(|number| number.ends_with(['.', ',', ':']));
    let letter = word.chars().next().filter(|_| word.len() < rest.len() && !ends);
    letter.is_some_and(|letter| letter.is_alphabetic() && is_from_right(letter) == base.is_rtl())
}

/// What letters and signs mean in a line of the screen's own. Signs of paths, addresses, commands and keys are read from the left with
/// what they belong to (`/home`, `@bob`, `Alt+<`), and not torn apart in a sentence that runs from the right. What stands between
/// facts keeps them apart, whatever names are in them.
struct Own(Level);

impl BidiDataSource for Own {
    fn bidi_class(&self, c: char) -> BidiClass {
        match c {
            '/' | '~' | '@' | '#' | '+' | '_' | '`' | '\\' | '<' | '>' | '=' | '&' | '*' => BidiClass::L,
            '·' | '↓' | '↑' | '↪' => self.0.bidi_class(),
            c => HardcodedBidiData.bidi_class(c),
        }
    }
}

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
    text.chars().any(is_from_right)
}

/// Whether a character is of a script that is written from the right.
fn is_from_right(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

impl<'a> Order<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, info: may_turn(text).then(|| BidiInfo::new(text, None)) }
    }

    /// Of a text of the screen's own, which runs as its language does.
    fn of_own(text: &'a str, base: Level) -> Self {
        Self { text, info: Some(BidiInfo::new_with_data_source(&Own(base), text, Some(base))) }
    }

    /// Whether its first letter is one that is written from the right.
    fn begins_at_the_right(&self) -> bool {
        let first = self.info.as_ref().and_then(|info| info.paragraphs.first());
        first.is_some_and(|paragraph| paragraph.level.is_rtl())
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_line_that_is_turned_has_the_letters_that_it_had(
            text in "[a-cא-ג0-9 .,:()·@/+~✓×%-]{0,40}",
            cut in 0_usize..40,
            right in any::<bool>(),
        ) {
            let direction = if right { Direction::RightToLeft } else { Direction::LeftToRight };
            let at = text.char_indices().nth(cut).map_or(text.len(), |(at, _)| at);
            let (first, second) = text.split_at(at);
            let bold = Style::new().bold();
            let line = Line::from(vec![Span::styled(first.to_owned(), bold), Span::raw(second.to_owned())]);
            let letters = |text: &str| {
                let mut letters: Vec<char> = text.chars().map(|c| if c == ')' { '(' } else { c }).collect();
                letters.sort_unstable();
                letters
            };
            let drawn = turned(line, direction);
            prop_assert_eq!(letters(&drawn.to_string()), letters(&text));
            let looks = drawn.spans.iter().filter(|span| span.style == bold).map(|span| span.content.as_ref());
            prop_assert_eq!(letters(&looks.collect::<String>()), letters(first));

            let mut buffer = Buffer::with_lines([format!("{text:<50}")]);
            let cursor = Position::new(u16::try_from(text.chars().count()).unwrap_or(0), 0);
            let cursor = turn_field(&mut buffer, Rect::new(0, 0, 50, 1), cursor);
            let row: String = buffer.content.iter().map(Cell::symbol).collect();
            prop_assert_eq!(letters(row.trim()), letters(text.trim()));
            prop_assert!(cursor.x < 50);
        }
    }

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

    #[test]
    fn a_field_shows_what_is_written_from_the_right_there_and_the_cursor_with_it() {
        for (text, cursor, drawn, at) in [
            ("abc", 3, "abc       ", 3),
            ("שלום", 4, "      םולש", 5),
            ("שלום", 0, "      םולש", 9),
            ("say שלום", 8, "say םולש  ", 8),
            ("(שלום) a", 8, "  a (םולש)", 1),
        ] {
            let area = Rect::new(0, 0, 10, 1);
            let mut buffer = Buffer::with_lines([format!("{text:<10}")]);
            let position = turn_field(&mut buffer, area, Position::new(cursor, 0));
            let row: String = buffer.content.iter().map(Cell::symbol).collect();
            assert_eq!((row.as_str(), position.x), (drawn, at), "{text} {cursor}");
        }
    }

    #[test]
    fn own_lines_run_as_their_language_does_and_keys_and_paths_stay_whole() {
        use Direction::{LeftToRight, RightToLeft};
        for (text, direction, drawn) in [
            ("abc (1).", RightToLeft, "abc (1)."),
            ("▇▃ ░░", RightToLeft, "▇▃ ░░"),
            ("חדר: abc", LeftToRight, "רדח: abc"),
            ("חדר: abc", RightToLeft, "abc :רדח"),
            ("abc (חדר)", RightToLeft, "(רדח) abc"),
            ("Ctrl+P פותח", RightToLeft, "חתופ Ctrl+P"),
            ("Alt+< פותח", RightToLeft, "חתופ Alt+<"),
            ("נשמר: /home/a/b.txt", RightToLeft, "/home/a/b.txt :רמשנ"),
            ("ב־23.11.2026 12:00", RightToLeft, "12:00 23.11.2026־ב"),
            // A number goes with what it counts, and facts stay apart.
            ("abc: 4 חברים", RightToLeft, "םירבח 4 :abc"),
            ("me · abc · 4 חברים", RightToLeft, "םירבח 4 · abc · me"),
            ("me · חדר · 4 members", LeftToRight, "me · רדח · 4 members"),
            ("חדר: 4 members", LeftToRight, "רדח: 4 members"),
            ("yard 1.4 MB בדרך", RightToLeft, "ךרדב yard 1.4 MB"),
            ("TLS 1.3, מוגן", RightToLeft, "ןגומ ,TLS 1.3"),
        ] {
            let line = turned(Line::raw(text.to_owned()), direction);
            assert_eq!(line.to_string(), drawn, "{text}");
            let right = direction == RightToLeft && may_turn(text);
            assert_eq!(line.alignment, right.then_some(Alignment::Right), "{text}");
            let wide = padded(line, 30).to_string();
            assert_eq!(wide.starts_with(' '), right, "{wide}");
        }
        // A row of a paragraph runs as the paragraph does, and looks stay on what they were on.
        let row = Line::from(vec![Span::styled("ab", Style::new().bold()), Span::raw(".")]);
        let drawn = turned(row.right_aligned(), RightToLeft);
        assert_eq!(drawn.spans, [Span::raw("."), Span::styled("ab", Style::new().bold())]);
    }
}
