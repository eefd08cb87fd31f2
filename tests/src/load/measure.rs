//! Clocks, histograms, the daemon's own use of the machine, and a line of progress for whoever watches.

use std::{
    cell::Cell,
    fs,
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest time that a histogram tells apart, nanoseconds: ten minutes.
const LONGEST: u64 = 600_000_000_000;

/// Times, to three digits.
pub struct Times(Histogram<u64>);

/// What is told of times, milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Quantiles {
    /// How many.
    pub count: u64,
    /// Half of them took no longer.
    pub p50: f64,
    /// 90 of 100 took no longer.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Times {
    /// None yet.
    ///
    /// # Errors
    /// Never: the bounds are constants.
    pub fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1_000, LONGEST, 3)?))
    }

    /// Adds one.
    pub fn add(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds);
    }

    /// What is told of them.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
    pub fn quantiles(&self) -> Quantiles {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e6;
        if self.0.is_empty() {
            return Quantiles::default();
        }
        Quantiles {
            count: self.0.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: self.0.max() as f64 / 1e6,
        }
    }
}

/// Nanoseconds since the run began.
#[derive(Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// Begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Since then.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Nanoseconds since then.
    pub fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A number of a duration, nanoseconds.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What the daemon has used so far.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Usage {
    /// Seconds of processor time, its own and the kernel's for it.
    pub cpu_seconds: f64,
    /// Resident memory, KiB.
    pub rss_kib: u64,
}

impl Usage {
    /// Of the process with this id.
    ///
    /// # Errors
    /// When there is none, or it is not ours to see.
    pub fn of(pid: u32) -> Result<Self> {
        /// Linux counts processor time in hundredths of a second for whoever asks.
        const TICKS: f64 = 100.0;
        let stat =
            fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
        // The name, in parentheses, may hold anything.
        let (_, fields) = stat.rsplit_once(") ").context("/proc/PID/stat")?;
        let ticks: f64 = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<f64>().context("/proc/PID/stat"))
            .sum::<Result<f64>>()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("/proc/PID/status")?;
        let rss_kib = rss.trim().trim_end_matches(" kB").parse()?;
        Ok(Self { cpu_seconds: ticks / TICKS, rss_kib })
    }
}

/// A line on a terminal that says how far things are.
pub struct Progress {
    watched: bool,
    last: Cell<Option<Instant>>,
}

impl Progress {
    /// On standard error, if that is a terminal and nobody asked for quiet.
    pub fn new(quiet: bool) -> Self {
        Self { watched: !quiet && std::io::stderr().is_terminal(), last: Cell::new(None) }
    }

    /// Says it, at most a few times a second.
    pub fn say(&self, what: impl FnOnce() -> String) {
        const EVERY: Duration = Duration::from_millis(200);
        if self.watched && self.last.get().is_none_or(|last| last.elapsed() >= EVERY) {
            self.last.set(Some(Instant::now()));
            // Where standard error is closed, nobody watches.
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", what());
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if self.watched {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
