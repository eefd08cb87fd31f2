//! Connections that only wait: how fast they come, and what each costs the daemon in memory.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;

use super::{
    account::{Account, Rest},
    links::{Heard, Links},
    measure::{Clock, Progress, Usage},
};

/// Connections that are underway at once: fewer than a listener keeps waiting.
const AT_ONCE: usize = 256;
/// How long the next one may take.
const OPENING: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Outcome {
    /// Connections that waited.
    pub connections: usize,
    /// Opened a second.
    pub connections_per_second: f64,
    /// The daemon's resident memory before, with all of them, and after they have waited, KiB.
    pub rss_kib: [u64; 3],
    /// Bytes of it for each connection, after they have waited; below zero when the daemon gave back more than a few
    /// connections take.
    pub bytes_per_connection: i64,
    /// Share of one core that the daemon used while they waited.
    pub daemon_cores: f64,
}

/// Connects all accounts, `ramp` a second at most, and holds the connections.
///
/// # Errors
/// When one does not open or does not stay.
#[expect(clippy::cast_precision_loss, reason = "counts that people read")]
pub fn run(
    rest: &Rest,
    accounts: &[Account],
    ramp: f64,
    hold: Duration,
    pid: u32,
    progress: &Progress,
) -> Result<Outcome> {
    let count = accounts.len();
    let mut links = Links::new(rest.server(), count)?;
    let before = Usage::of(pid)?;
    let clock = Clock::start();
    let (mut begun, mut open, mut opened) = (0, 0, 0);
    while open < count {
        let now = clock.now() as f64 / 1e9;
        while begun < count && begun < open + AT_ONCE && (begun as f64) <= now * ramp {
            links.connect(begun, &accounts[begun].token)?;
            begun += 1;
        }
        let was = open;
        let patience = Duration::from_millis(if begun < count { 1 } else { 1000 });
        links.turn(patience, |_, heard, _| match heard {
            Heard::Open => {
                open += 1;
                Ok(())
            }
            Heard::Closed(why) => bail!("a connection does not open: {why}"),
            Heard::Frame(_) => Ok(()),
        })?;
        if open > was {
            opened = clock.now();
        }
        let waited = Duration::from_nanos(clock.now() - opened);
        ensure!(waited < OPENING, "{open} of {count} connections have opened");
        progress.say(|| format!("{open} of {count} connections"));
    }
    let ramped = clock.now() as f64 / 1e9;
    let with = Usage::of(pid)?;
    let holding = Clock::start();
    while Duration::from_nanos(holding.now()) < hold {
        links.turn(Duration::from_millis(100), |_, heard, _| match heard {
            Heard::Closed(why) => bail!("a connection did not stay: {why}"),
            _ => Ok(()),
        })?;
        progress.say(|| format!("{count} connections wait"));
    }
    progress.clear();
    let after = Usage::of(pid)?;
    let bytes = |kib: u64| i64::try_from(kib * 1024).context("more memory than there is");
    let grown = bytes(after.rss_kib)? - bytes(before.rss_kib)?;
    Ok(Outcome {
        connections: count,
        connections_per_second: count as f64 / ramped,
        rss_kib: [before.rss_kib, with.rss_kib, after.rss_kib],
        bytes_per_connection: grown / i64::try_from(count.max(1))?,
        daemon_cores: (after.cpu_seconds - with.cpu_seconds) / hold.as_secs_f64().max(1e-9),
    })
}
