//! The pool, quantum jobs and what came of them. What a simulator made is never called quantum.

use ratatui::text::{Line, Span};

use super::{super::app::App, Does, Panel, PanelRow, bar, heading, sentences};
use crate::{
    engine::QuantumJob,
    tui::{lines, msg::Command},
};

/// Bits of a key.
const KEY: u64 = 256;
/// Bits that fill the gauge of the pool.
const FULL: u32 = 65_536;
/// The error rate above which BB84 gives no key.
const LIMIT: f64 = 0.11;
/// Eighths of a cell, from the bottom.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn rows(panel: &Panel, app: &App, width: usize) -> Vec<PanelRow> {
    let theme = app.theme;
    let Some(overview) = &panel.quantum else { return sentences("Reading…", width, theme.quiet()) };
    let mut rows = Vec::new();
    heading(&mut rows, "Pool", app);
    let bits = overview.quantum_bits + overview.simulated_bits;
    let share = f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) / f64::from(FULL);
    rows.push(PanelRow::fact(
        "level",
        format!("{} {} keys", bar(share, (width / 3).clamp(4, 30)), bits / KEY),
    ));
    rows.push(PanelRow::fact(
        "quantum",
        format!("{} bits, which its operator has seen", overview.quantum_bits),
    ));
    rows.push(PanelRow::fact("simulated", format!("{} bits, which add nothing", overview.simulated_bits)));

    heading(&mut rows, "Start on this machine's simulator", app);
    for (kind, words) in [
        ("qrng", "Random bits for the pool"),
        ("chsh", "A CHSH test"),
        ("bb84", "A run of BB84: an exercise, no secrecy comes of it"),
    ] {
        rows.push(PanelRow::words(words, theme.good()).doing(Does::Run(Command::StartQuantum(kind))));
    }

    heading(&mut rows, "Jobs", app);
    if overview.jobs.is_empty() {
        rows.extend(sentences("None yet.", width, theme.quiet()));
    }
    rows.extend(overview.jobs.iter().take(20).map(|job| entry(job, app)));

    if let Some((qber, interval, over_time)) = overview
        .jobs
        .iter()
        .find_map(|job| job.qber.map(|(qber, interval)| (qber, interval, &job.qber_over_time)))
    {
        heading(&mut rows, "Error rate of the last run (QBER)", app);
        let style = if qber > LIMIT { theme.failure() } else { theme.good() };
        let gauge = bar(qber / (2.0 * LIMIT), (width / 3).clamp(4, 30));
        rows.push(
            PanelRow::fact(
                "QBER",
                format!(
                    "{gauge} {:.2} % (95 %: {:.2} to {:.2}); 11 % is the limit",
                    qber * 100.0,
                    interval[0] * 100.0,
                    interval[1] * 100.0
                ),
            )
            .styled(style),
        );
        rows.push(PanelRow::fact("over the run", columns(over_time)));
    }
    let values: Vec<(f64, f64)> = overview.jobs.iter().filter_map(|job| job.chsh).collect();
    if let Some((s, error)) = values.first() {
        heading(&mut rows, "CHSH", app);
        rows.push(PanelRow::fact(
            "last S",
            format!("{s:.3} ± {error:.3}; above 2 nothing but entanglement gets"),
        ));
        let shares: Vec<f64> = values.iter().rev().map(|(s, _)| s.abs()).collect();
        rows.push(PanelRow::fact("history", columns(&shares)));
    }
    rows
}

fn entry(job: &QuantumJob, app: &App) -> PanelRow {
    let theme = app.theme;
    let state = match (job.state, job.reason.is_some()) {
        ("done", _) => theme.good(),
        (_, true) => theme.failure(),
        _ => theme.unread(),
    };
    let id = job.id.get(..8).unwrap_or(&job.id);
    let by = if job.quantum { job.backend.clone() } else { format!("{}, simulated", job.backend) };
    let mut more = job.key_bits.map_or_else(String::new, |bits| format!("  {bits} bits"));
    if let Some((asked, why)) = &job.fallback {
        more = format!("{more}  instead of {asked}: {why}");
    }
    if let Some(why) = &job.reason {
        more = format!("  {why}");
    }
    let line = Line::from(vec![
        Span::raw(format!("{id}  {}  {:<5} ", lines::clock(job.created, &app.zone), job.kind)),
        Span::styled(format!("{:<10} ", job.state), state),
        Span::raw(format!("{by}{more}")),
    ]);
    let row = PanelRow { line, ..PanelRow::default() };
    if job.over { row } else { row.or(Does::Run(Command::CancelQuantum(job.id.clone()))) }
}

/// Values as columns one cell wide, the largest as high as the line.
fn columns(values: &[f64]) -> String {
    let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 8")]
    let column = |value: &f64| {
        EIGHTHS.get((value / most * 8.0).clamp(0.0, 8.0).round() as usize).copied().unwrap_or(' ')
    };
    values.iter().map(column).collect()
}
