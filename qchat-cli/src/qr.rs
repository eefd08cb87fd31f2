//! A QR code drawn with half blocks: two rows of modules in one of the terminal.

use qrcode::{Color, EcLevel, QrCode};

/// The quiet zone that readers need on every side, modules (ISO/IEC 18004 §6.3.8).
const QUIET: usize = 4;
/// Black on white, whatever the terminal's own colours are.
const PAPER: &str = "\u{1b}[38;5;16;48;5;231m";
const NO_PAPER: &str = "\u{1b}[0m";

/// The code of a text; `None` when that is too long for any. With `paper` it is drawn black on white by colour; without,
/// light modules are drawn and dark ones left out, as suits a dark terminal (readers take both ways round).
pub(crate) fn draw(text: &str, paper: bool) -> Option<String> {
    // A screen has neither stains nor folds: the least correction makes the smallest picture.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let (size, modules) = (code.width(), code.to_colors());
    let is_dark = |x: usize, y: usize| {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < size);
        matches!((inside(x), inside(y)), (Some(x), Some(y)) if modules[y * size + x] == Color::Dark)
    };
    let side = size + 2 * QUIET;
    let rows = (0..side).step_by(2).map(|y| {
        let cells: String = (0..side)
            .map(|x| match (is_dark(x, y) == paper, is_dark(x, y + 1) == paper) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            })
            .collect();
        if paper { format!("{PAPER}{cells}{NO_PAPER}") } else { cells }
    });
    Some(rows.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The modules in a picture, dark ones as true.
    fn read(picture: &str, paper: bool) -> Vec<Vec<bool>> {
        let mut rows = vec![];
        for line in picture.lines() {
            let cells = line.strip_prefix(PAPER).and_then(|line| line.strip_suffix(NO_PAPER)).unwrap_or(line);
            for half in 0..2 {
                rows.push(
                    cells.chars().map(move |cell| ("█▀▄ ".chars().position(|c| c == cell).unwrap(), half)),
                );
            }
        }
        // Whether the upper and the lower half of each of the four characters are drawn.
        let drawn = [[true, true], [true, false], [false, true], [false, false]];
        rows.into_iter().map(|row| row.map(|(cell, half)| drawn[cell][half] == paper).collect()).collect()
    }

    #[test]
    fn what_is_drawn_is_the_code_with_its_quiet_zone() {
        let text = format!("QCHAT-VERIFY:1:{}", "0123456789ABCDEF".repeat(8));
        let code = QrCode::with_error_correction_level(&text, EcLevel::L).unwrap();
        for paper in [true, false] {
            let picture = draw(&text, paper).unwrap();
            assert_eq!(picture.contains('\u{1b}'), paper, "colours only where they were asked for");
            let modules = read(&picture, paper);
            let side = code.width() + 2 * QUIET;
            assert_eq!((side, modules[0].len(), picture.lines().count()), (45, 45, 23), "fits 80 by 24");
            for (y, row) in modules.iter().take(side).enumerate() {
                for (x, dark) in row.iter().enumerate() {
                    let inside = |at: usize| (QUIET..QUIET + code.width()).contains(&at);
                    let expected = inside(x) && inside(y) && code[(x - QUIET, y - QUIET)] == Color::Dark;
                    assert_eq!(*dark, expected, "{x}, {y}");
                }
            }
        }
        assert_eq!(draw(&"x".repeat(5000), true), None);
    }
}
