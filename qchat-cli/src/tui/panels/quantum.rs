//! The pool, quantum jobs and what came of them. What a simulator made is never called quantum.

use ratatui::text::{Line, Span};

use super::{super::app::App, Does, Panel, PanelRow, bar, heading, sentences};
use crate::{
    engine::QuantumJob,
    tui::{lines, msg::Command, text},
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
    let App { theme, words, .. } = *app;
    let Some(overview) = &panel.quantum else {
        return sentences(words.reading(), app, width, theme.quiet());
    };
    let mut rows = Vec::new();
    heading(&mut rows, words.pool_heading(), app);
    let bits = overview.quantum_bits + overview.simulated_bits;
    let share = f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) / f64::from(FULL);
    let level = format!("{} {}", bar(share, (width / 3).clamp(4, 30)), words.pool_keys(bits / KEY));
    rows.push(PanelRow::fact(words.fact_level(), level));
    rows.push(PanelRow::fact(words.fact_quantum(), words.pool_quantum(overview.quantum_bits)));
    rows.push(PanelRow::fact(words.fact_simulated(), words.pool_simulated(overview.simulated_bits)));

    heading(&mut rows, words.start_heading(), app);
    for (kind, what) in
        [("qrng", words.start_qrng()), ("chsh", words.start_chsh()), ("bb84", words.start_bb84())]
    {
        rows.push(PanelRow::words(what, theme.good()).doing(Does::Run(Command::StartQuantum(kind))));
    }

    heading(&mut rows, words.jobs_heading(), app);
    if overview.jobs.is_empty() {
        rows.extend(sentences(words.jobs_none(), app, width, theme.quiet()));
    }
    rows.extend(overview.jobs.iter().take(20).map(|job| entry(job, app)));

    if let Some((qber, interval, over_time)) = overview
        .jobs
        .iter()
        .find_map(|job| job.qber.map(|(qber, interval)| (qber, interval, &job.qber_over_time)))
    {
        heading(&mut rows, words.qber_heading(), app);
        let style = if qber > LIMIT { theme.failure() } else { theme.good() };
        let gauge = bar(qber / (2.0 * LIMIT), (width / 3).clamp(4, 30));
        let percent = |share: f64| words.number(&format!("{:.2}", share * 100.0));
        let rate = words.qber_line(percent(qber), percent(interval[0]), percent(interval[1]));
        rows.push(PanelRow::fact(words.fact_qber(), format!("{gauge} {rate}")).styled(style));
        rows.push(PanelRow::fact(words.fact_over_the_run(), columns(over_time)));
    }
    let values: Vec<(f64, f64)> = overview.jobs.iter().filter_map(|job| job.chsh).collect();
    if let Some((s, error)) = values.first() {
        heading(&mut rows, words.chsh_heading(), app);
        let number = |value: f64| words.number(&format!("{value:.3}"));
        let last = words.chsh_line(number(*s), number(*error));
        rows.push(PanelRow::fact(words.fact_last_s(), last));
        let shares: Vec<f64> = values.iter().rev().map(|(s, _)| s.abs()).collect();
        rows.push(PanelRow::fact(words.fact_history(), columns(&shares)));
    }
    rows
}

fn entry(job: &QuantumJob, app: &App) -> PanelRow {
    let App { theme, words, .. } = *app;
    let style = match (job.state, job.reason.is_some()) {
        ("done", _) => theme.good(),
        (_, true) => theme.failure(),
        _ => theme.unread(),
    };
    let id = job.id.get(..8).unwrap_or(&job.id);
    let by = if job.quantum { job.backend.clone() } else { words.job_simulated(&job.backend) };
    let mut more = job.key_bits.map_or_else(String::new, |bits| format!("  {}", words.job_bits(bits)));
    if let Some((asked, why)) = &job.fallback {
        more.extend(["  ", &words.job_instead(asked, why)]);
    }
    if let Some(why) = &job.reason {
        more = format!("  {why}");
    }
    let line = Line::from(vec![
        Span::raw(format!("{id}  {}  {:<5} ", lines::clock(job.created, &app.zone), job.kind)),
        Span::styled(format!("{} ", text::fill(&words.job_state(job.state), 10)), style),
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
