//! The field in which a message is written: several lines, wrapped; and single-line fields of the same make.

use crossterm::event::KeyEvent;
use ratatui::style::Style;
use ratatui_textarea::{CursorMove, TextArea, WrapMode};

use super::text;

/// A field for text.
#[derive(Debug)]
pub(super) struct Composer {
    area: TextArea<'static>,
}

impl Composer {
    /// A field that holds `text`, the cursor behind it.
    pub(super) fn new(text: &str) -> Self {
        let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
        area.set_wrap_mode(WrapMode::WordOrGlyph);
        area.set_cursor_line_style(Style::new());
        area.move_cursor(CursorMove::Bottom);
        area.move_cursor(CursorMove::End);
        Self { area }
    }

    /// What has been written.
    pub(super) fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    /// Whether nothing has been written.
    pub(super) fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// Lets a key edit the text.
    pub(super) fn key(&mut self, key: KeyEvent) {
        self.area.input(key);
    }

    /// Breaks the line.
    pub(super) fn newline(&mut self) {
        self.area.insert_newline();
    }

    /// Inserts text as one edit, which one undo takes back.
    pub(super) fn paste(&mut self, pasted: &str) {
        self.area.insert_str(text::without_controls(pasted));
    }

    /// Inserts text without its line breaks.
    pub(super) fn paste_line(&mut self, pasted: &str) {
        self.area.insert_str(text::without_controls(pasted.trim()).replace(['\n', '\t'], " "));
    }

    /// Puts a word in the place of the characters before the cursor.
    pub(super) fn replace_before(&mut self, characters: usize, word: &str) {
        for _ in 0..characters {
            self.area.delete_char();
        }
        self.area.insert_str(word);
    }

    /// The line of the cursor, and how many of its characters stand before that.
    pub(super) fn cursor_line(&self) -> (&str, usize) {
        let cursor = self.area.cursor();
        (self.area.lines().get(cursor.0).map_or("", String::as_str), cursor.1)
    }

    /// Whether the cursor is in the first line.
    pub(super) fn is_first_line(&self) -> bool {
        self.area.cursor().0 == 0
    }

    /// How many lines the text takes in `cells` columns.
    pub(super) fn height(&self, cells: usize) -> usize {
        self.area.lines().iter().map(|line| text::wrap(line, cells, cells).len()).sum()
    }

    /// The widget.
    pub(super) fn area(&self) -> &TextArea<'static> {
        &self.area
    }
}
