//! A picture that is looked at, over the timeline: on its way, shown, or why not.

use std::{cell::RefCell, fmt};

use ratatui::{
    buffer::Buffer,
    layout::{Rect, Size},
    style::Color,
    widgets::Widget as _,
};
use ratatui_image::{
    Image,
    protocol::{Protocol, halfblocks::Halfblocks},
};

use super::{
    graphics::{CellSize, Encoded, Means, Protocol as By, Shape, shrunk},
    msg::Command,
    pixels::Pixels,
};

/// A picture that is looked at.
pub(super) struct Picture {
    /// Its name, fit for a line.
    pub(super) name: String,
    /// What fetches it.
    pub(super) command: Command,
    pub(super) state: Looking,
    /// What is seen of it until it is there, where its message has that.
    small: Option<Pixels>,
    /// As the terminal draws it, where it does.
    encoded: Option<Encoded>,
    /// How it is being encoded.
    encoding: Option<Shape>,
    /// Its cells as they were last drawn, and on how many.
    drawn: RefCell<Option<(Size, Protocol)>>,
}

/// How far it is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Looking {
    /// On its way: so many bytes of so many.
    Coming(u64, u64),
    /// There.
    Shown(Pixels),
    /// It cannot be shown: why not.
    Failed(String),
}

/// The colours that a terminal has for pictures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Depth {
    /// Too few.
    None,
    /// The 256 of xterm.
    Indexed,
    /// All of them.
    All,
}

impl Picture {
    /// One that is being fetched, of so many bytes.
    pub(super) fn coming(name: String, command: Command, size: u64) -> Self {
        Self {
            name,
            command,
            state: Looking::Coming(0, size),
            small: None,
            encoded: None,
            encoding: None,
            drawn: RefCell::new(None),
        }
    }

    /// It is there.
    pub(super) fn show(&mut self, pixels: Pixels) {
        self.state = Looking::Shown(pixels);
        self.is_another();
    }

    /// There is a small one of it, which is seen while it is on its way.
    pub(super) fn glimpse(&mut self, pixels: Pixels) {
        if matches!(self.state, Looking::Coming(..)) {
            self.small = Some(pixels);
            self.is_another();
        }
    }

    /// The terminal cannot be given what is seen.
    pub(super) fn fails(&mut self, why: String) {
        match self.state {
            // The picture itself may do.
            Looking::Coming(..) => self.small = None,
            _ => self.state = Looking::Failed(why),
        }
    }

    /// What was drawn is not what is seen.
    fn is_another(&mut self) {
        (self.encoded, self.encoding, self.drawn) = (None, None, RefCell::new(None));
    }

    /// What there is to be seen.
    pub(super) fn seen(&self) -> Option<&Pixels> {
        match &self.state {
            Looking::Shown(pixels) => Some(pixels),
            Looking::Coming(..) => self.small.as_ref(),
            Looking::Failed(_) => None,
        }
    }

    /// What has to be done for the terminal to draw it in so many cells; nothing while something is under way.
    pub(super) fn encode(&mut self, means: Means, area: Size) -> Option<Command> {
        let shape = self.shape(means, area)?;
        if self.encoding.is_some() || self.encoded.as_ref().is_some_and(|encoded| encoded.shape == shape) {
            return None;
        }
        let command = Command::Encode(self.seen()?.clone(), shape);
        self.encoding = Some(shape);
        Some(command)
    }

    /// What that has come to, if it was this picture; nothing, where it cannot be done.
    pub(super) fn take(&mut self, pixels: &Pixels, shape: Shape, encoded: Option<Encoded>) -> bool {
        let mine = self.seen() == Some(pixels);
        if mine && self.encoding.take_if(|encoding| *encoding == shape).is_some() {
            self.encoded = encoded;
            return true;
        }
        false
    }

    /// How the terminal is to draw it in so many cells, where it does.
    fn shape(&self, means: Means, area: Size) -> Option<Shape> {
        let pixels = self.seen()?;
        let (protocol, cell): (By, CellSize) = match means {
            Means::Pixels(protocol, cell) => (protocol, cell),
            Means::Halfblocks | Means::None => return None,
        };
        Shape::fitting(pixels.size(), protocol, cell, area)
    }

    /// What the terminal draws in `area`, and where there.
    pub(super) fn encoded(&self, means: Means, area: Rect) -> Option<(Rect, &Encoded)> {
        let shape = self.shape(means, area.as_size())?;
        let encoded = self.encoded.as_ref().filter(|encoded| encoded.shape == shape)?;
        Some((middle(shape.cells, area), encoded))
    }

    /// Draws it in the middle of `area`, as large as fits there and no larger than it is: in half-blocks, until the terminal draws it
    /// itself, and leaves its cells to that then.
    ///
    /// Not by ratatui-image's picker, which asks the terminal, and sets tmux up for what is not needed here.
    pub(super) fn draw(&self, means: Means, depth: Depth, area: Rect, buffer: &mut Buffer) {
        let Some(pixels) = self.seen() else { return };
        if depth == Depth::None || self.encoded(means, area).is_some() {
            return;
        }
        let Some(size) = fitting(pixels.size(), area.as_size()) else { return };
        let mut drawn = self.drawn.borrow_mut();
        if drawn.as_ref().is_none_or(|(known, _)| *known != size) {
            let cells = Halfblocks::new(pixels.image(), size);
            *drawn = cells.ok().map(|cells| (size, Protocol::Halfblocks(cells)));
        }
        let Some((_, cells)) = drawn.as_ref() else { return };
        let place = middle(size, area);
        Image::new(cells).render(place, buffer);
        if depth == Depth::Indexed {
            for at in place.positions() {
                if let Some(cell) = buffer.cell_mut(at) {
                    (cell.fg, cell.bg) = (indexed(cell.fg), indexed(cell.bg));
                }
            }
        }
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture")
            .field("command", &self.command)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// So many cells in the middle of `area`.
fn middle(size: Size, area: Rect) -> Rect {
    Rect {
        x: area.x + area.width.saturating_sub(size.width) / 2,
        y: area.y + area.height.saturating_sub(size.height) / 2,
        width: size.width,
        height: size.height,
    }
}

/// The cells for so many pixels: a column is one, a row is two; as many as fit, and none for nothing.
fn fitting(pixels: (u32, u32), area: Size) -> Option<Size> {
    let (columns, rows) = shrunk(pixels, (area.width.into(), u32::from(area.height) * 2))?;
    Some(Size { width: u16::try_from(columns).ok()?, height: u16::try_from(rows.div_ceil(2)).ok()? })
}

/// The nearest of xterm's 256 colours: of its cube of six levels a channel, or of its greys.
fn indexed(colour: Color) -> Color {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let Color::Rgb(red, green, blue) = colour else { return colour };
    let far = |to: [u8; 3]| -> u32 {
        [red, green, blue].into_iter().zip(to).map(|(one, other)| u32::from(one.abs_diff(other)).pow(2)).sum()
    };
    let level = |channel: u8| {
        (0_u8..).zip(LEVELS).min_by_key(|(_, level)| channel.abs_diff(*level)).unwrap_or_default()
    };
    let [(r, red_level), (g, green_level), (b, blue_level)] = [red, green, blue].map(level);
    let mean = (u16::from(red) + u16::from(green) + u16::from(blue)) / 3;
    let grey = u8::try_from((mean.saturating_sub(3) / 10).min(23)).unwrap_or(23);
    let in_cube = far([red_level, green_level, blue_level]);
    let in_greys = far([8 + 10 * grey; 3]);
    Color::Indexed(if in_greys < in_cube { 232 + grey } else { 16 + 36 * r + 6 * g + b })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_fits_and_keeps_its_shape() {
        for (pixels, area, cells) in [
            ((4, 4), (80, 24), Some((4, 2))),
            ((4, 3), (80, 24), Some((4, 2))),
            ((1000, 1000), (80, 24), Some((48, 24))),
            ((1000, 10), (80, 24), Some((80, 1))),
            ((10, 1000), (80, 24), Some((1, 24))),
            ((1, 100_000), (1, 1), Some((1, 1))),
            ((10, 10), (0, 24), None),
            ((0, 10), (80, 24), None),
        ] {
            let area = Size { width: area.0, height: area.1 };
            let fitted = fitting(pixels, area).map(|size| (size.width, size.height));
            assert_eq!(fitted, cells, "{pixels:?} on {area:?}");
        }
    }

    #[test]
    fn colours_become_the_nearest_of_256() {
        for (colour, index) in [
            ((0, 0, 0), 16),
            ((255, 255, 255), 231),
            ((255, 0, 0), 196),
            ((0, 0, 255), 21),
            ((128, 128, 128), 244),
            ((9, 8, 8), 232),
            ((95, 135, 175), 67),
        ] {
            let (red, green, blue) = colour;
            assert_eq!(indexed(Color::Rgb(red, green, blue)), Color::Indexed(index), "{colour:?}");
        }
        assert_eq!(indexed(Color::Reset), Color::Reset);
    }
}
