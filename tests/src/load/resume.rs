//! Devices that come back: a connection, the upgrade with an access token, the hello; then the next. A storm is all of
//! them at once.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use super::{
    account::{Account, Rest},
    links::{Heard, Links},
    measure::{Clock, Progress, Quantiles, Times, Usage, nanoseconds},
};

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Outcome {
    /// Connections that were underway at once.
    pub at_once: usize,
    /// Sessions resumed a second.
    pub resumed_per_second: f64,
    /// From the first packet to the daemon's hello, milliseconds.
    pub resume_ms: Quantiles,
    /// Connections that were refused or cut, and tried again.
    pub failures: u64,
    /// Microseconds of processor time of the daemon for each.
    pub daemon_us_each: Option<f64>,
}

/// What came of a storm.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Storm {
    /// Connections that were cut and came again.
    pub connections: usize,
    /// Until the last of them was open again, seconds.
    pub seconds: f64,
    /// Each one's own time, milliseconds.
    pub resume_ms: Quantiles,
    /// Connections that were refused or cut, and tried again.
    pub failures: u64,
}

/// Resumes sessions for so long, `at_once` underway at any time.
///
/// # Errors
/// When there is no further file or port.
#[expect(clippy::cast_precision_loss, reason = "counts that people read")]
pub fn run(
    rest: &Rest,
    accounts: &[Account],
    at_once: usize,
    duration: Duration,
    pid: Option<u32>,
    progress: &Progress,
) -> Result<Outcome> {
    let at_once = at_once.min(accounts.len()).max(1);
    let mut links = Links::new(rest.server(), accounts.len())?;
    let mut since = vec![0; accounts.len()];
    let mut times = Times::new()?;
    let (mut next, mut done, mut failures) = (0, 0_u64, 0);
    let clock = Clock::start();
    let before = pid.map(Usage::of).transpose()?;
    let mut ended: Vec<usize> = Vec::new();
    let mut underway = 0;
    while clock.now() < nanoseconds(duration) {
        while underway < at_once {
            since[next] = clock.now();
            links.connect(next, &accounts[next].token)?;
            next = (next + 1) % accounts.len();
            underway += 1;
        }
        links.turn(Duration::from_millis(100), |slot, heard, _| {
            match heard {
                Heard::Open => {
                    done += 1;
                    times.add(clock.now() - since[slot]);
                    ended.push(slot);
                }
                Heard::Closed(_) => {
                    failures += 1;
                    ended.push(slot);
                }
                Heard::Frame(_) => {}
            }
            Ok(())
        })?;
        for slot in ended.drain(..) {
            links.cut(slot);
            underway -= 1;
        }
        progress.say(|| format!("{done} sessions resumed"));
    }
    progress.clear();
    let seconds = clock.now() as f64 / 1e9;
    ensure!(done > 0, "no session was resumed");
    let cpu = before.zip(pid.map(Usage::of).transpose()?);
    Ok(Outcome {
        at_once,
        resumed_per_second: done as f64 / seconds,
        resume_ms: times.quantiles(),
        failures,
        daemon_us_each: cpu
            .map(|(before, after)| (after.cpu_seconds - before.cpu_seconds) * 1e6 / done as f64),
    })
}

/// Connects all, cuts all, and lets all come back at once.
///
/// # Errors
/// When they do not within a minute.
#[expect(clippy::cast_precision_loss, reason = "counts that people read")]
pub fn storm(rest: &Rest, accounts: &[Account], progress: &Progress) -> Result<Storm> {
    const PATIENCE: u64 = 60_000_000_000;
    let count = accounts.len();
    let mut links = Links::new(rest.server(), count)?;
    let mut failures = 0;
    let mut times = Times::new()?;
    let mut seconds = 0.0;
    for round in 0..2 {
        let clock = Clock::start();
        let mut again: Vec<usize> = (0..count).collect();
        let mut open = 0;
        times = Times::new()?;
        while open < count {
            for slot in again.drain(..) {
                links.connect(slot, &accounts[slot].token)?;
            }
            links.turn(Duration::from_millis(10), |slot, heard, _| {
                match heard {
                    Heard::Open => {
                        open += 1;
                        times.add(clock.now());
                    }
                    Heard::Closed(_) => {
                        failures += u64::from(round > 0);
                        again.push(slot);
                    }
                    Heard::Frame(_) => {}
                }
                Ok(())
            })?;
            ensure!(clock.now() < PATIENCE, "{open} of {count} connections came within a minute");
            progress.say(|| format!("{open} of {count} connections"));
        }
        seconds = clock.now() as f64 / 1e9;
        if round == 0 {
            for slot in 0..count {
                links.cut(slot);
            }
        }
    }
    progress.clear();
    Ok(Storm { connections: count, seconds, resume_ms: times.quantiles(), failures })
}
