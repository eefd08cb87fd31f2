//! The wall clock, as far as the time that has passed bears it out: a clock that is set ahead while the program runs makes nothing old.

use std::{fs, time::Duration};

use super::clock;

/// By how much the wall clock may run ahead of the time that has passed, milliseconds: what time servers correct, and more.
const SLACK_MS: i64 = 60_000;

/// A clock that was right, as far as anybody knows, when it was begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    wall_ms: i64,
    up: Option<Duration>,
}

impl Steady {
    /// From the wall clock as it is.
    pub(super) fn begin() -> Self {
        Self { wall_ms: clock::millis(), up: up() }
    }

    /// Milliseconds since the Unix epoch.
    pub(super) fn millis(self) -> i64 {
        self.at(clock::millis(), up())
    }

    fn at(self, wall_ms: i64, now: Option<Duration>) -> i64 {
        let (Some(begun), Some(now)) = (self.up, now) else { return wall_ms };
        let passed = i64::try_from(now.saturating_sub(begun).as_millis()).unwrap_or(i64::MAX);
        wall_ms.min(self.wall_ms.saturating_add(passed).saturating_add(SLACK_MS))
    }
}

/// For how long the machine has been up, asleep or not; the clock of timers stands still while it sleeps. Not known where the system does
/// not say it.
fn up() -> Option<Duration> {
    let said = fs::read_to_string("/proc/uptime").ok()?;
    Duration::try_from_secs_f64(said.split_whitespace().next()?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_ahead_is_not_believed_and_one_that_goes_on_is() {
        let second = Duration::from_secs(1);
        let steady = Steady { wall_ms: 1_000_000, up: Some(second) };
        for (passed, wall, shown) in [
            (0, 1_000_000, 1_000_000),
            // As after a night asleep.
            (30_000, 31_000_000, 31_000_000),
            (10, 1_010_000 + SLACK_MS, 1_010_000 + SLACK_MS),
            (10, 90_000_000, 1_010_000 + SLACK_MS),
            (10, i64::MAX, 1_010_000 + SLACK_MS),
            // Set back.
            (10, 5, 5),
        ] {
            assert_eq!(steady.at(wall, Some(second + passed * second)), shown, "{passed} {wall}");
        }
        // A system that does not say how long it has been up.
        assert_eq!(steady.at(90_000_000, None), 90_000_000);
        assert_eq!(Steady { up: None, ..steady }.at(7, Some(second)), 7);
    }
}
