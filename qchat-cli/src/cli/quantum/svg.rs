//! A run as a drawing: the error rate over time, and the key's length over distance. Nothing but numbers of the report and
//! fixed words goes into it.

use std::fmt::Write as _;

use super::report::Shown;

const WIDTH: f64 = 720.0;
/// Height of a panel with its title and its axis.
const PANEL: f64 = 260.0;
const MARGIN: f64 = 64.0;

/// Draws it.
pub(super) fn draw(shown: &Shown) -> String {
    let over_time: Vec<(f64, f64)> = (1..)
        .map(f64::from)
        .zip(shown.numbers("qber_over_time"))
        .map(|(part, rate)| (part, rate * 100.0))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "counts of bits")]
    let distances: Vec<(f64, f64)> = shown.distances().iter().map(|(km, bits)| (*km, *bits as f64)).collect();
    let mut panels = vec![("Error rate in each twentieth of the run, per cent", over_time)];
    if !distances.is_empty() {
        panels.push(("Final key in bits over kilometres of fibre", distances));
    }
    let count = i32::try_from(panels.len()).unwrap_or(1);
    let height = PANEL * f64::from(count) + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (place, (title, points)) in panels.iter().enumerate() {
        let above = PANEL * f64::from(i32::try_from(place).unwrap_or(0));
        panel(&mut svg, title, points, above);
    }
    let _ = write!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{}\" fill=\"#555555\">{} qubits, {} bits of key; {}: it shows the protocol, and gives \
         nobody any secrecy</text>\n</svg>\n",
        height - 14.0,
        shown.number("qubits"),
        shown.number("final_key_bits"),
        if shown.is_of_a_device() { "one device at both ends" } else { "simulated" }
    );
    svg
}

fn panel(svg: &mut String, title: &str, points: &[(f64, f64)], above: f64) {
    let most = points.iter().map(|(_, y)| *y).fold(0.0, f64::max);
    let top = if most > 0.0 { most * 1.1 } else { 1.0 };
    let last = points.iter().map(|(x, _)| *x).fold(1.0, f64::max);
    let first = points.first().map_or(0.0, |(x, _)| *x).min(last - 1.0);
    let (left, right, upper, lower) = (MARGIN, WIDTH - 24.0, above + 36.0, above + PANEL - 36.0);
    let x = |value: f64| left + (value - first) / (last - first) * (right - left);
    let y = |value: f64| lower - value / top * (lower - upper);
    let _ = write!(
        svg,
        "<text x=\"{left}\" y=\"{}\" font-size=\"15\" fill=\"#111111\">{title}</text>\n\
         <path d=\"M{left} {upper}V{lower}H{right}\" fill=\"none\" stroke=\"#333333\"/>\n",
        above + 24.0
    );
    for share in [0.0, 0.5, 1.0] {
        let value = top * share;
        let written = if top >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#333333\">{written}</text>",
            left - 6.0,
            y(value) + 4.0
        );
    }
    for (at, _) in points.iter().step_by(points.len().div_ceil(8).max(1)) {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#333333\">{at}</text>",
            x(*at),
            lower + 18.0
        );
    }
    let line: Vec<String> =
        points.iter().map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value))).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#0b6bcb\" stroke-width=\"2\"/>",
        line.join(" ")
    );
    for (at, value) in points {
        let _ =
            writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"#0b6bcb\"/>", x(*at), y(*value));
    }
}
