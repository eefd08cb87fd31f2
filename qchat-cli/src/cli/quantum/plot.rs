//! Plots for a terminal: columns of blocks over a line of labels.

use std::fmt::Write as _;

/// Eighths of a cell, from the bottom.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Rows of a plot: 48 eighths.
const HEIGHT: usize = 6;

/// How a plot is drawn.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// With letters and signs alone.
    pub(super) plain: bool,
    /// Characters that each column takes.
    pub(super) width: usize,
}

/// Columns of these heights, the tallest as high as the plot, or `top` where that is more; `label` writes what the tallest is,
/// and `below` stands under the columns.
pub(super) fn columns(
    title: &str,
    values: &[f64],
    top: f64,
    label: impl Fn(f64) -> String,
    below: &[String],
    look: Look,
) -> String {
    let top = values.iter().copied().fold(top, f64::max);
    let (most, least) = (label(top), label(0.0));
    let margin = most.chars().count().max(least.chars().count());
    let mut drawn = format!("{title}\n");
    for row in (0..HEIGHT).rev() {
        let scale = match row {
            0 => &least,
            row if row == HEIGHT - 1 => &most,
            _ => "",
        };
        let mut line = format!("{scale:>margin$} ");
        line.push(if look.plain { '|' } else { '│' });
        for value in values {
            let share = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
            let cell = cell(share, row, look.plain);
            line.extend(std::iter::repeat_n(cell, look.width.saturating_sub(1).max(1)));
            if look.width > 1 {
                line.push(' ');
            }
        }
        drawn.push_str(line.trim_end());
        drawn.push('\n');
    }
    let mut labels = String::new();
    for label in below {
        let _ = write!(labels, "{label:<width$}", width = look.width);
    }
    drawn.push_str(format!("{:margin$}  {labels}", "").trim_end());
    drawn
}

/// What stands in a row for a share of the height.
fn cell(share: f64, row: usize, plain: bool) -> char {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the height in eighths"
    )]
    let eighths = (share * 48.0).round() as usize;
    // What is not nothing shows.
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    let here = eighths.saturating_sub(row * 8).min(8);
    match (plain, here) {
        (false, here) => EIGHTHS[here],
        (true, 0) => ' ',
        (true, 1..=4) => '.',
        (true, _) => '#',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_follow_the_values() {
        let below = ["0".to_owned(), "10".to_owned(), "20".to_owned()];
        let label = |value: f64| format!("{value:.0}");
        let look = Look { plain: true, width: 3 };
        let drawn = columns("bits", &[6.0, 3.0, 0.0], 0.0, label, &below, look);
        let expected = "bits\n6 |##\n  |##\n  |##\n  |## ##\n  |## ##\n0 |## ##\n   0  10 20";
        assert_eq!(drawn, expected);
        let drawn = columns("bits", &[0.0, 0.01], 1.0, label, &[], Look { plain: false, width: 1 });
        assert!(drawn.ends_with("0 │ ▁\n") && !drawn.contains('█'), "{drawn}");
    }
}
