//! What goes to the terminal beside what is drawn: the clipboard (OSC 52), notifications (OSC 9 and 777), the bell, and the
//! addresses of links (OSC 8). Nothing that somebody else wrote gets there but without controls.

use std::io::{self, Write};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use crossterm::{
    cursor::{MoveTo, RestorePosition, SavePosition},
    queue,
    style::Print,
    terminal::{Clear, ClearType},
};
use ratatui::{
    backend::Backend,
    buffer::{Buffer, Cell, CellWidth as _},
    layout::Rect,
};

use super::text;

/// Longest text for the clipboard, bytes: terminals drop more, or hang.
const CLIPBOARD: usize = 74_994;
/// Longest notification, characters.
const NOTIFICATION: usize = 200;

/// Something for the terminal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Emission {
    /// A text for the clipboard.
    Copy(String),
    /// A notification.
    Notify {
        /// What it is about.
        title: String,
        /// What it says.
        body: String,
    },
    /// The bell.
    Bell,
}

impl Emission {
    /// Whether a text fits into the clipboard.
    pub(super) fn fits(text: &str) -> bool {
        text.len() <= CLIPBOARD
    }

    /// The bytes for the terminal, which is notified by OSC 777 or by OSC 9.
    pub(super) fn bytes(&self, by_777: bool) -> Vec<u8> {
        match self {
            Self::Copy(text) => format!("\u{1b}]52;c;{}\u{1b}\\", BASE64_STANDARD.encode(text)).into_bytes(),
            Self::Notify { title, body } => {
                let plain = |text: &str| -> String {
                    let line = text::clean_line(text).replace([';', '\\'], " ");
                    line.chars().filter(|c| !c.is_control()).take(NOTIFICATION).collect()
                };
                let (title, body) = (plain(title), plain(body));
                if by_777 {
                    format!("\u{1b}]777;notify;{title};{body}\u{1b}\\").into_bytes()
                } else {
                    let words = if body.is_empty() { title } else { format!("{title}: {body}") };
                    format!("\u{1b}]9;{words}\u{1b}\\").into_bytes()
                }
            }
            Self::Bell => b"\x07".to_vec(),
        }
    }
}

/// An address on the screen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Link {
    pub(super) x: u16,
    pub(super) y: u16,
    pub(super) width: u16,
    pub(super) url: String,
}

/// Draws the cells of addresses again, now with what they lead to; and those of `before` that are none any more, without.
pub(super) fn links<B>(backend: &mut B, buffer: &Buffer, before: &[Link], now: &[Link]) -> io::Result<()>
where
    B: Backend<Error = io::Error> + Write,
{
    queue!(backend, SavePosition)?;
    let gone = before.iter().filter(|link| !now.contains(link)).map(|link| (link, None));
    for (link, url) in gone.chain(now.iter().map(|link| (link, Some(&link.url)))) {
        let address = url.map_or("", |url| url.as_str());
        // An address is ASCII without controls by the standard; whatever it is, nothing of it ends the sequence.
        let address: String = address.chars().filter(char::is_ascii_graphic).collect();
        queue!(backend, Print(format!("\u{1b}]8;;{address}\u{1b}\\")))?;
        let mut cells = Vec::new();
        let mut x = link.x;
        while x < link.x.saturating_add(link.width) {
            let Some(cell) = buffer.cell((x, link.y)) else { break };
            cells.push((x, link.y, cell));
            // What a wide character covers is not drawn.
            x = x.saturating_add(cell.symbol().cell_width().max(1));
        }
        backend.draw(cells.into_iter())?;
        queue!(backend, Print("\u{1b}]8;;\u{1b}\\"))?;
    }
    queue!(backend, RestorePosition)
}

/// Draws whole rows again in which something is wider or narrower in some terminals than it is meant to be: flags, families and the
/// like. Each such cell is followed by a move to where the next one belongs, and nothing of what was there before is left.
/// Nothing is drawn at `kept`, where the terminal has a picture.
pub(super) fn uncertain_rows<B>(
    backend: &mut B,
    before: &Buffer,
    now: &Buffer,
    kept: Option<Rect>,
) -> io::Result<()>
where
    B: Backend<Error = io::Error> + Write,
{
    let mut saved = false;
    for y in now.area.top()..now.area.bottom() {
        let (old, new) = (row(before, y), row(now, y));
        let uncertain = |cells: &[Cell]| cells.iter().any(|cell| is_uncertain(cell.symbol()));
        if old == new || !(uncertain(old) || uncertain(new)) {
            continue;
        }
        if !saved {
            queue!(backend, SavePosition)?;
            saved = true;
        }
        let kept = kept.filter(|kept| (kept.top()..kept.bottom()).contains(&y));
        queue!(backend, MoveTo(now.area.left(), y))?;
        match kept {
            None => queue!(backend, Clear(ClearType::CurrentLine))?,
            Some(kept) => {
                let left = kept.left().saturating_sub(now.area.left());
                if left > 0 {
                    queue!(backend, Print(format!("\u{1b}[{left}X")))?;
                }
                if kept.right() < now.area.right() {
                    queue!(backend, MoveTo(kept.right(), y), Clear(ClearType::UntilNewLine))?;
                }
            }
        }
        let mut chunk: Vec<(u16, u16, &Cell)> = Vec::new();
        let mut x = now.area.left();
        while x < now.area.right() {
            if let Some(kept) = kept.filter(|kept| (kept.left()..kept.right()).contains(&x)) {
                backend.draw(std::mem::take(&mut chunk).into_iter())?;
                x = kept.right();
                continue;
            }
            let Some(cell) = now.cell((x, y)) else { break };
            chunk.push((x, y, cell));
            x = x.saturating_add(cell.symbol().cell_width().max(1));
            if is_uncertain(cell.symbol()) {
                backend.draw(std::mem::take(&mut chunk).into_iter())?;
            }
        }
        backend.draw(chunk.into_iter())?;
    }
    if saved { queue!(backend, RestorePosition) } else { Ok(()) }
}

/// The cells of a row, none where there is no such row.
fn row(buffer: &Buffer, y: u16) -> &[Cell] {
    let width = usize::from(buffer.area.width);
    let from = y.checked_sub(buffer.area.top()).map(|down| usize::from(down) * width);
    from.and_then(|from| buffer.content.get(from..from + width)).unwrap_or_default()
}

/// Whether terminals differ in how wide they draw something: what is put together of several characters, and what stands for
/// none.
fn is_uncertain(symbol: &str) -> bool {
    symbol.len() > 1 && (symbol.chars().nth(1).is_some() || symbol.contains(char::REPLACEMENT_CHARACTER))
}

/// The cells whose order the terminal is not to change: it is drawn as it is read (ECMA-48 BDSM).
pub(super) struct ExplicitOrder(pub(super) bool);

impl crossterm::Command for ExplicitOrder {
    fn write_ansi(&self, f: &mut impl std::fmt::Write) -> std::fmt::Result {
        f.write_str(if self.0 { "\u{1b}[8l" } else { "\u{1b}[8h" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_ends_no_sequence() {
        let hostile = "a\u{1b}\\\u{7}\u{9c};rm\u{202e}\nb";
        for emission in [
            Emission::Copy(hostile.to_owned()),
            Emission::Notify { title: hostile.to_owned(), body: hostile.to_owned() },
        ] {
            for by_777 in [false, true] {
                let text = String::from_utf8(emission.bytes(by_777)).unwrap();
                let inner = text.strip_prefix("\u{1b}]").unwrap().strip_suffix("\u{1b}\\").unwrap();
                assert!(!inner.chars().any(char::is_control), "{inner:?}");
            }
        }
    }
}
