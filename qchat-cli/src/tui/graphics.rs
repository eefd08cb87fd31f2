//! Pictures in pixels of the terminal's own, by kitty's protocol, sixel or iTerm2's: which of them there is, how large a picture becomes,
//! and its bytes. The terminal is never asked: what it answered would come between the keys. All that is written is made here, of pixels;
//! nothing of what somebody sent gets there.

use std::{
    fmt,
    io::{self, Write},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use crossterm::{
    cursor::{MoveTo, RestorePosition, SavePosition},
    queue,
    style::Print,
    terminal::{Clear, ClearType},
};
use image::imageops::FilterType;
use ratatui::{
    buffer::Buffer,
    layout::{Rect, Size},
    style::Color,
    widgets::Widget as _,
};
use ratatui_image::{
    Image,
    protocol::{Protocol as Drawn, iterm2::Iterm2, kitty::Kitty, sixel::Sixel},
};

use super::pixels::{self, Pixels};

/// Most pixels of a small sixel picture, each way.
const SMALL: u32 = 1000;
/// The first version of Konsole that has iTerm2's protocol, as its variable has it.
const KONSOLE_WITH_PICTURES: u32 = 220_400;
/// Most columns and rows of a picture: kitty has numbers for no more.
const MOST_CELLS: u16 = 297;
/// What stands in a cell that kitty draws a part of a picture in.
const PLACEHOLDER: char = '\u{10eeee}';

/// How pictures are drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Graphics {
    /// As well as the terminal can, by what the environment says of it.
    #[default]
    Auto,
    /// By kitty's protocol.
    Kitty,
    /// By sixel.
    Sixel,
    /// By iTerm2's protocol.
    Iterm2,
    /// In half-blocks, which are text.
    Halfblocks,
    /// Not at all.
    None,
}

impl Graphics {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Auto, Self::Kitty, Self::Sixel, Self::Iterm2, Self::Halfblocks, Self::None];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Kitty => "kitty",
            Self::Sixel => "sixel",
            Self::Iterm2 => "iterm2",
            Self::Halfblocks => "halfblocks",
            Self::None => "none",
        }
    }
}

impl FromStr for Graphics {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|known| known.name() == name)
            .ok_or_else(|| format!("{name:?} is none of auto, kitty, sixel, iterm2, halfblocks and none"))
    }
}

/// A way to draw pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protocol {
    /// Kitty's, with placeholders: text that stands for a part of the picture, and takes it away when it goes.
    Kitty,
    /// The same through tmux, which passes it on where `allow-passthrough` is on.
    KittyInTmux,
    /// Sixel.
    Sixel,
    /// Sixel in a terminal that may be xterm, which draws none of a larger picture unless its `maxGraphicSize` says so.
    SmallSixel,
    /// iTerm2's.
    Iterm2,
}

/// What the environment says of the terminal's pictures.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Surroundings {
    term: String,
    program: String,
    /// What iTerm2 has ssh carry on.
    lc_terminal: String,
    /// Whether kitty has started what has started this.
    within_kitty: bool,
    /// Whether Konsole has, of a version that draws pictures.
    within_konsole: bool,
    /// Whether another terminal has since, which sets no `TERM_PROGRAM`.
    within_another: bool,
    in_tmux: bool,
    multiplexed: bool,
}

impl Surroundings {
    /// What these variables say.
    pub(super) fn of(variable: impl Fn(&str) -> String) -> Self {
        let set = |name: &str| !variable(name).is_empty();
        let term = variable("TERM");
        let in_tmux = set("TMUX") || term.starts_with("tmux");
        Self {
            in_tmux,
            multiplexed: in_tmux || set("STY") || set("ZELLIJ") || term.starts_with("screen"),
            within_kitty: set("KITTY_WINDOW_ID"),
            within_konsole: variable("KONSOLE_VERSION")
                .parse()
                .is_ok_and(|version: u32| version >= KONSOLE_WITH_PICTURES),
            within_another: set("VTE_VERSION") || set("XTERM_VERSION"),
            program: variable("TERM_PROGRAM"),
            lc_terminal: variable("LC_TERMINAL"),
            term,
        }
    }

    /// The protocol of the terminal, where one is known to have it. What a multiplexer does with pictures is not known.
    fn protocol(&self) -> Option<Protocol> {
        if self.multiplexed {
            return None;
        }
        // A terminal sets its own `TERM`, and ssh carries it; the other variables may be left of the one that it was started from.
        for (name, protocol) in [
            ("kitty", Protocol::Kitty),
            ("ghostty", Protocol::Kitty),
            ("foot", Protocol::Sixel),
            ("mlterm", Protocol::Sixel),
            ("contour", Protocol::Sixel),
            ("wezterm", Protocol::Iterm2),
        ] {
            if self.term.starts_with(name) || self.term.starts_with(&format!("xterm-{name}")) {
                return Some(protocol);
            }
        }
        match self.program.as_str() {
            "ghostty" => return Some(Protocol::Kitty),
            "WezTerm" | "iTerm.app" | "mintty" | "rio" => return Some(Protocol::Iterm2),
            "" => {}
            _ => return None,
        }
        if self.within_another {
            None
        } else if self.within_konsole || self.lc_terminal == "iTerm2" {
            Some(Protocol::Iterm2)
        } else {
            self.within_kitty.then_some(Protocol::Kitty)
        }
    }
}

/// Pixels of a cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CellSize {
    width: u16,
    height: u16,
}

impl CellSize {
    /// Of a window that has so many pixels and cells; none where the terminal does not say how many.
    pub(super) fn of(pixels: (u16, u16), cells: (u16, u16)) -> Option<Self> {
        let (width, height) = (pixels.0.checked_div(cells.0)?, pixels.1.checked_div(cells.1)?);
        (width > 0 && height > 0).then_some(Self { width, height })
    }
}

/// What pictures are drawn with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Means {
    /// Nothing: they are not.
    None,
    /// Text.
    Halfblocks,
    /// The terminal's pixels.
    Pixels(Protocol, CellSize),
}

impl Means {
    /// Those that are set, or that the terminal has; text where the pixels of a cell are not known.
    pub(super) fn of(set: Graphics, around: &Surroundings, coloured: bool, cell: Option<CellSize>) -> Self {
        let protocol = match set {
            Graphics::None => return Self::None,
            Graphics::Halfblocks => None,
            Graphics::Auto => around.protocol().filter(|_| coloured),
            Graphics::Kitty if around.in_tmux => Some(Protocol::KittyInTmux),
            Graphics::Kitty => Some(Protocol::Kitty),
            Graphics::Sixel if around.protocol() == Some(Protocol::Sixel) => Some(Protocol::Sixel),
            Graphics::Sixel => Some(Protocol::SmallSixel),
            // Tmux would not know where such a picture is, and leave it there when its cells become something else.
            Graphics::Iterm2 => (!around.in_tmux).then_some(Protocol::Iterm2),
        };
        match (protocol, cell) {
            (Some(protocol), Some(cell)) => Self::Pixels(protocol, cell),
            _ => Self::Halfblocks,
        }
    }
}

/// How a picture is drawn: by what, on how many cells, with how many pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    protocol: Protocol,
    pub(super) cells: Size,
    pixels: (u32, u32),
}

impl Shape {
    /// Of a picture that has to fit into so many cells; none for nothing.
    pub(super) fn fitting(
        pixels: (u32, u32),
        protocol: Protocol,
        cell: CellSize,
        area: Size,
    ) -> Option<Self> {
        let along = |cells: u16, one: u16| u32::from(cells.min(MOST_CELLS)) * u32::from(one);
        let mut room = (along(area.width, cell.width), along(area.height, cell.height));
        if protocol == Protocol::SmallSixel {
            room = (room.0.min(SMALL), room.1.min(SMALL));
        }
        let pixels = shrunk(pixels, room)?;
        let cells = |pixels: u32, one: u16| u16::try_from(pixels.div_ceil(one.into())).ok();
        let (width, height) = (cells(pixels.0, cell.width)?, cells(pixels.1, cell.height)?);
        Some(Self { protocol, cells: Size { width, height }, pixels })
    }
}

/// A size of the same proportions that fits, and is no larger than before; none for nothing.
pub(super) fn shrunk(size: (u32, u32), room: (u32, u32)) -> Option<(u32, u32)> {
    let [width, height, most_wide, most_high] = [size.0, size.1, room.0, room.1].map(u64::from);
    if [width, height, most_wide, most_high].contains(&0) {
        return None;
    }
    let (wide, high) = if width <= most_wide && height <= most_high {
        (width, height)
    } else if width * most_high > height * most_wide {
        (most_wide, (height * most_wide / width).max(1))
    } else {
        ((width * most_high / height).max(1), most_high)
    };
    Some((u32::try_from(wide).ok()?, u32::try_from(high).ok()?))
}

/// A picture as the terminal draws it.
#[derive(Clone)]
pub struct Encoded {
    pub(super) shape: Shape,
    /// What is written where it begins, then at the beginning of each of its rows.
    bytes: Arc<(String, Vec<String>)>,
}

impl PartialEq for Encoded {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bytes, &other.bytes)
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Encoded").field(&self.shape).finish()
    }
}

/// Encodes a picture, where decoding is done: that takes longer than a frame may. None where an encoder breaks at it.
pub(super) async fn encoded(pixels: Pixels, shape: Shape) -> Option<Encoded> {
    pixels::apart(move || encode(&pixels, shape)).await.flatten()
}

fn encode(pixels: &Pixels, shape: Shape) -> Option<Encoded> {
    let mut image = pixels.image();
    if pixels.size() != shape.pixels {
        image = image.resize_exact(shape.pixels.0, shape.pixels.1, FilterType::Triangle);
    }
    let whole = |data| (data, Vec::new());
    let bytes = match shape.protocol {
        Protocol::Sixel | Protocol::SmallSixel => whole(Sixel::new(image, shape.cells, false).ok()?.data),
        Protocol::Iterm2 => whole(Iterm2::new(image, shape.cells, false).ok()?.data),
        Protocol::Kitty | Protocol::KittyInTmux => {
            let in_tmux = shape.protocol == Protocol::KittyInTmux;
            let drawn = Kitty::new(image, shape.cells, picture_id(), in_tmux, true).ok()?;
            by_rows(&Drawn::Kitty(drawn), shape.cells)?
        }
    };
    Some(Encoded { shape, bytes: Arc::new(bytes) })
}

/// What kitty's cells are: what sends the picture, and the rows of text that stand for it, in the colour that is its number.
fn by_rows(drawn: &Drawn, cells: Size) -> Option<(String, Vec<String>)> {
    let area = Rect { x: 0, y: 0, width: cells.width, height: cells.height };
    let mut buffer = Buffer::empty(area);
    Image::new(drawn).render(area, &mut buffer);
    let first = buffer.content.first_mut()?;
    let (sent, rest) = first.symbol().split_at(first.symbol().find(PLACEHOLDER)?);
    let (sent, rest) = (sent.to_owned(), rest.to_owned());
    first.set_symbol(&rest);
    let Color::Rgb(red, green, blue) = first.fg else { return None };
    let rows = buffer.content.chunks(cells.width.into()).map(|row| {
        let mut text = format!("\u{1b}[38;2;{red};{green};{blue}m");
        for cell in row {
            text.push_str(cell.symbol());
        }
        text.push_str("\u{1b}[39m");
        text
    });
    let rows = rows.collect();
    Some((sent, rows))
}

/// The number of this program's picture: kitty's pictures have theirs in common with all programs of the terminal.
fn picture_id() -> u32 {
    // Of all bytes none is 0, so that the terminal needs each of them.
    0x0101_0101 | std::process::id().rotate_left(9)
}

/// Draws a picture at `place`. The cursor is where it was then.
pub(super) fn paint(out: &mut impl Write, picture: &Encoded, place: Rect) -> io::Result<()> {
    ON_TERMINAL.store(mark(picture.shape.protocol), Ordering::Relaxed);
    let (first, rows) = &*picture.bytes;
    queue!(out, SavePosition, MoveTo(place.x, place.y), Print(first))?;
    for (y, row) in (place.y..).zip(rows) {
        queue!(out, MoveTo(place.x, y), Print(row))?;
    }
    queue!(out, RestorePosition)
}

/// Takes a picture away as far as that needs more than its cells becoming something else.
pub(super) fn take_away(out: &mut impl Write, picture: &Encoded) -> io::Result<()> {
    ON_TERMINAL.store(0, Ordering::Relaxed);
    out.write_all(deletion(mark(picture.shape.protocol)).as_bytes())
}

/// Takes whatever picture is on the process's terminal away, with all that is there.
pub(super) fn leave(out: &mut impl Write) -> io::Result<()> {
    let by = ON_TERMINAL.swap(0, Ordering::Relaxed);
    if by == 0 {
        return Ok(());
    }
    // What was being written of a picture ends first.
    queue!(out, Print("\u{1b}\\"), Print(deletion(by)), Clear(ClearType::All))
}

/// What deletes a picture: kitty's are kept beside the cells.
fn deletion(by: u8) -> String {
    let delete = format!("\u{1b}_Ga=d,d=I,i={},q=2\u{1b}\\", picture_id());
    if by == mark(Protocol::Kitty) {
        delete
    } else if by == mark(Protocol::KittyInTmux) {
        format!("\u{1b}Ptmux;{}\u{1b}\\", delete.replace('\u{1b}', "\u{1b}\u{1b}"))
    } else {
        String::new()
    }
}

/// By which protocol a picture is on the process's terminal, which whoever restores it after a panic has to know; 0 for none.
static ON_TERMINAL: AtomicU8 = AtomicU8::new(0);

const fn mark(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Kitty => 1,
        Protocol::KittyInTmux => 2,
        Protocol::Sixel => 3,
        Protocol::SmallSixel => 4,
        Protocol::Iterm2 => 5,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use image::{Rgb, RgbImage};

    use super::*;

    const CELL: CellSize = CellSize { width: 10, height: 20 };

    #[test]
    fn the_protocol_is_known_by_the_environment_and_guessed_by_nothing_else() {
        for (variables, expected) in [
            (&[("TERM", "xterm-kitty")][..], Some(Protocol::Kitty)),
            (&[("TERM", "xterm-ghostty")], Some(Protocol::Kitty)),
            (&[("TERM", "foot")], Some(Protocol::Sixel)),
            (&[("TERM", "foot-extra")], Some(Protocol::Sixel)),
            (&[("TERM", "mlterm-256color")], Some(Protocol::Sixel)),
            (&[("TERM", "wezterm")], Some(Protocol::Iterm2)),
            (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "WezTerm")], Some(Protocol::Iterm2)),
            (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "iTerm.app")], Some(Protocol::Iterm2)),
            (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "mintty")], Some(Protocol::Iterm2)),
            (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "rio")], Some(Protocol::Iterm2)),
            (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "ghostty")], Some(Protocol::Kitty)),
            (&[("TERM", "xterm-256color"), ("LC_TERMINAL", "iTerm2")], Some(Protocol::Iterm2)),
            (&[("TERM", "xterm-256color"), ("KITTY_WINDOW_ID", "1")], Some(Protocol::Kitty)),
            (&[("TERM", "xterm-256color"), ("KONSOLE_VERSION", "221203")], Some(Protocol::Iterm2)),
            (&[("TERM", "xterm-256color"), ("KONSOLE_VERSION", "211200")], None),
            (&[("TERM", "xterm-256color"), ("KONSOLE_VERSION", "221203"), ("VTE_VERSION", "7600")], None),
            (&[("TERM", "xterm-256color")], None),
            (&[("TERM", "linux")], None),
            (&[], None),
            // One that was started from kitty is another.
            (&[("TERM", "foot"), ("KITTY_WINDOW_ID", "1")], Some(Protocol::Sixel)),
            (&[("TERM", "xterm-256color"), ("KITTY_WINDOW_ID", "1"), ("VTE_VERSION", "7600")], None),
            (&[("TERM", "xterm-256color"), ("KITTY_WINDOW_ID", "1"), ("XTERM_VERSION", "XTerm(390)")], None),
            (&[("TERM", "xterm-256color"), ("KITTY_WINDOW_ID", "1"), ("TERM_PROGRAM", "vscode")], None),
            // What stands between shows none.
            (&[("TERM", "xterm-kitty"), ("TMUX", "/tmp/tmux-0/default,1,0")], None),
            (&[("TERM", "tmux-256color"), ("KITTY_WINDOW_ID", "1")], None),
            (&[("TERM", "screen-256color"), ("TERM_PROGRAM", "iTerm.app")], None),
            (&[("TERM", "xterm-kitty"), ("ZELLIJ", "0")], None),
            (&[("TERM", "xterm-kitty"), ("STY", "1.a")], None),
        ] {
            assert_eq!(around(variables).protocol(), expected, "{variables:?}");
        }
    }

    fn around(variables: &[(&str, &str)]) -> Surroundings {
        let known: HashMap<_, _> = variables.iter().copied().collect();
        Surroundings::of(|name| known.get(name).copied().unwrap_or_default().to_owned())
    }

    #[test]
    fn what_is_set_goes_before_what_is_known_and_nothing_goes_without_the_size_of_a_cell() {
        let (kitty, plain, tmux) =
            (&[("TERM", "xterm-kitty")][..], &[("TERM", "xterm")][..], &[("TMUX", "1")][..]);
        let foot = &[("TERM", "foot")][..];
        for (set, variables, coloured, expected) in [
            (Graphics::Auto, kitty, true, Means::Pixels(Protocol::Kitty, CELL)),
            (Graphics::Auto, kitty, false, Means::Halfblocks),
            (Graphics::Auto, plain, true, Means::Halfblocks),
            (Graphics::Halfblocks, kitty, true, Means::Halfblocks),
            (Graphics::None, kitty, true, Means::None),
            (Graphics::Sixel, foot, true, Means::Pixels(Protocol::Sixel, CELL)),
            (Graphics::Sixel, plain, true, Means::Pixels(Protocol::SmallSixel, CELL)),
            (Graphics::Sixel, tmux, true, Means::Pixels(Protocol::SmallSixel, CELL)),
            (Graphics::Kitty, plain, false, Means::Pixels(Protocol::Kitty, CELL)),
            (Graphics::Kitty, tmux, true, Means::Pixels(Protocol::KittyInTmux, CELL)),
            (Graphics::Iterm2, plain, true, Means::Pixels(Protocol::Iterm2, CELL)),
            (Graphics::Iterm2, tmux, true, Means::Halfblocks),
        ] {
            let around = around(variables);
            assert_eq!(Means::of(set, &around, coloured, Some(CELL)), expected, "{set:?} {variables:?}");
            let unknown = Means::of(set, &around, coloured, None);
            assert_eq!(unknown == Means::None, set == Graphics::None, "{set:?}");
            assert!(!matches!(unknown, Means::Pixels(..)), "{set:?}");
        }
        for (pixels, cells, expected) in [
            ((800, 480), (80, 24), Some(CELL)),
            ((0, 0), (80, 24), None),
            ((79, 480), (80, 24), None),
            ((800, 480), (0, 24), None),
        ] {
            assert_eq!(CellSize::of(pixels, cells), expected, "{pixels:?} {cells:?}");
        }
        for graphics in Graphics::ALL {
            assert_eq!(graphics.name().parse(), Ok(graphics));
        }
    }

    #[test]
    fn a_picture_has_the_cells_that_it_needs_and_is_never_made_larger() {
        for (pixels, area, cells, fitted) in [
            ((96, 64), (50, 20), (10, 4), (96, 64)),
            ((1000, 1000), (50, 20), (40, 20), (400, 400)),
            ((1024, 1), (50, 20), (50, 1), (500, 1)),
            ((1, 1024), (50, 20), (1, 20), (1, 400)),
            ((1, 1), (1, 1), (1, 1), (1, 1)),
        ] {
            let area = Size { width: area.0, height: area.1 };
            let shape = Shape::fitting(pixels, Protocol::Sixel, CELL, area).unwrap();
            assert_eq!(shape.cells, Size { width: cells.0, height: cells.1 }, "{pixels:?}");
            assert_eq!(shape.pixels, fitted, "{pixels:?}");
        }
        for (pixels, area) in [((0, 1), (50, 20)), ((9, 9), (0, 20))] {
            let area = Size { width: area.0, height: area.1 };
            assert_eq!(Shape::fitting(pixels, Protocol::Kitty, CELL, area), None);
        }
        // Whatever a terminal says of itself, there is no more of it than kitty has numbers for.
        let (tiny, huge) = (CellSize { width: 1, height: 1 }, Size { width: 9999, height: 9999 });
        let large = Size { width: 200, height: 60 };
        for (protocol, fitted) in [(Protocol::Sixel, (1600, 1200)), (Protocol::SmallSixel, (1000, 750))] {
            let shape = Shape::fitting((1600, 1200), protocol, CELL, large).unwrap();
            assert_eq!(shape.pixels, fitted, "{protocol:?}");
        }
        let shape = Shape::fitting((1024, 1024), Protocol::Kitty, tiny, huge).unwrap();
        assert_eq!(shape.cells, Size { width: MOST_CELLS, height: MOST_CELLS });
    }

    /// What follows `prefix`; the rest up to `end`, and what follows that.
    fn part<'a>(text: &'a str, prefix: &str, end: &str) -> (&'a str, &'a str) {
        let text = text.strip_prefix(prefix).unwrap_or_else(|| panic!("no {prefix:?}"));
        text.split_once(end).unwrap_or_else(|| panic!("no {end:?}"))
    }

    /// What is left when the cells below have been cleared.
    fn after_clearing(mut text: &str) -> &str {
        while let Some(rest) = text.strip_prefix("\u{1b}[") {
            let end = rest.find(['X', 'A', 'B']).unwrap();
            assert!(rest[..end].bytes().all(|byte| byte.is_ascii_digit()));
            text = &rest[end + 1..];
        }
        text
    }

    #[test]
    fn whatever_the_pixels_are_the_bytes_are_those_of_the_protocol_and_no_others() {
        let mut seed: u32 = 7;
        let mut noise = |width, height| {
            RgbImage::from_fn(width, height, |_, _| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let [red, green, blue, _] = seed.to_be_bytes();
                Rgb([red, green, blue])
            })
        };
        let area = Size { width: 40, height: 10 };
        for image in [
            noise(1, 1),
            noise(1, 1024),
            noise(1024, 1),
            noise(7, 5),
            noise(300, 170),
            RgbImage::from_pixel(64, 64, Rgb([27, 92, 7])),
        ] {
            let pixels = Pixels::new(image);
            for protocol in [
                Protocol::Kitty,
                Protocol::KittyInTmux,
                Protocol::Sixel,
                Protocol::SmallSixel,
                Protocol::Iterm2,
            ] {
                let shape = Shape::fitting(pixels.size(), protocol, CELL, area).unwrap();
                let encoded = encode(&pixels, shape).unwrap();
                let (first, rows) = &*encoded.bytes;
                match protocol {
                    Protocol::Kitty | Protocol::KittyInTmux => {
                        kittys(first, protocol == Protocol::KittyInTmux, shape);
                        assert_eq!(rows.len(), usize::from(shape.cells.height));
                        for row in rows {
                            let (text, rest) = part(row, "\u{1b}[38;2;", "\u{1b}[39m");
                            let (colour, cells) = text.split_once('m').unwrap();
                            assert!(
                                rest.is_empty() && colour.split(';').all(|part| part.parse::<u8>().is_ok())
                            );
                            let count = cells.matches(PLACEHOLDER).count();
                            assert_eq!(count, usize::from(shape.cells.width));
                            assert!(!cells.chars().any(|c| c.is_ascii() || c.is_control()));
                        }
                    }
                    Protocol::Sixel | Protocol::SmallSixel => {
                        let (sixels, rest) = part(after_clearing(first), "\u{1b}P", "\u{1b}\\");
                        assert!(rows.is_empty() && rest.is_empty() && sixels.contains('q'));
                        assert!(sixels.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{sixels:?}");
                    }
                    Protocol::Iterm2 => {
                        let (file, rest) = part(after_clearing(first), "\u{1b}]1337;File=inline=1;", "\u{7}");
                        let (_, png) = file.split_once(':').unwrap();
                        let png = BASE64_STANDARD.decode(png).unwrap();
                        let shown = image::load_from_memory(&png).unwrap();
                        assert!(rows.is_empty() && rest.is_empty());
                        assert_eq!((shown.width(), shown.height()), shape.pixels);
                    }
                }
            }
        }
    }

    /// Takes the chunks apart that a picture is sent in.
    fn kittys(sent: &str, in_tmux: bool, shape: Shape) {
        let plain = if in_tmux {
            assert!(sent.starts_with("\u{1b}Ptmux;") && sent.ends_with("\u{1b}\u{1b}\\\u{1b}\\"));
            let whole = sent.replace("\u{1b}Ptmux;", "");
            whole.replace("\u{1b}\u{1b}\\\u{1b}\\", "\u{1b}\\").replace("\u{1b}\u{1b}", "\u{1b}")
        } else {
            sent.to_owned()
        };
        let mut rest = plain.as_str();
        let mut first = true;
        while !rest.is_empty() {
            let (chunk, after) = part(rest, "\u{1b}_Gq=2,", "\u{1b}\\");
            let (keys, data) = chunk.split_once(';').unwrap();
            let size = format!("s={},v={},", shape.pixels.0, shape.pixels.1);
            assert_eq!(keys.contains(&size) && keys.contains("a=T,U=1,"), first, "{keys}");
            assert_eq!(keys.ends_with("m=0"), after.is_empty(), "{keys}");
            assert!(data.len() <= 4096 && BASE64_STANDARD.decode(data).is_ok());
            (rest, first) = (after, false);
        }
        assert!(!first);
    }

    #[test]
    fn what_is_painted_leaves_the_cursor_and_what_is_taken_away_is_deleted_where_it_is_kept() {
        let pixels = Pixels::new(RgbImage::from_pixel(30, 30, Rgb([1, 2, 3])));
        let area = Size { width: 40, height: 10 };
        for (protocol, deleted) in [
            (Protocol::Kitty, format!("\u{1b}_Ga=d,d=I,i={},q=2\u{1b}\\", picture_id())),
            (
                Protocol::KittyInTmux,
                format!("\u{1b}Ptmux;\u{1b}\u{1b}_Ga=d,d=I,i={},q=2\u{1b}\u{1b}\\\u{1b}\\", picture_id()),
            ),
            (Protocol::Sixel, String::new()),
            (Protocol::SmallSixel, String::new()),
            (Protocol::Iterm2, String::new()),
        ] {
            let shape = Shape::fitting(pixels.size(), protocol, CELL, area).unwrap();
            let encoded = encode(&pixels, shape).unwrap();
            let mut out = Vec::new();
            paint(&mut out, &encoded, Rect { x: 30, y: 5, width: 3, height: 2 }).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(text.starts_with("\u{1b}7\u{1b}[6;31H") && text.ends_with("\u{1b}8"), "{protocol:?}");
            let numbered = text.contains(&format!("i={}", picture_id()));
            assert_eq!(numbered, !deleted.is_empty(), "{protocol:?}");
            let mut out = Vec::new();
            take_away(&mut out, &encoded).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), deleted, "{protocol:?}");
        }
    }
}
