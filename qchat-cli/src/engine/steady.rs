//! The wall clock, as far as the time that has passed bears it out: a clock that is set ahead while the program runs makes nothing old.

use std::{fs, time::Duration};

use super::clock;

/// By how much the wall clock may run ahead of the time that has passed, milliseconds: what time servers correct, and more.
const SLACK_MS: i64 = 60_000;
/// A clock that has been ahead for so long, seen again and again, is the right one: it was wrong when this began, as that of a machine
/// that does not keep the time while it is off.
const BELIEVED: Duration = Duration::from_hours(1);

/// A clock that was right, as far as anybody knows, when it was begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    wall_ms: i64,
    up: Option<Duration>,
    /// Since when the wall clock is ahead of that.
    ahead: Option<Duration>,
}

impl Steady {
    /// From the wall clock as it is.
    pub(super) fn begin() -> Self {
        Self { wall_ms: clock::millis(), up: up(), ahead: None }
    }

    /// Milliseconds since the Unix epoch.
    pub(super) fn millis(&mut self) -> i64 {
        self.at(clock::millis(), up())
    }

    fn at(&mut self, wall_ms: i64, now: Option<Duration>) -> i64 {
        let (Some(begun), Some(now)) = (self.up, now) else { return wall_ms };
        let passed = i64::try_from(now.saturating_sub(begun).as_millis()).unwrap_or(i64::MAX);
        let most = self.wall_ms.saturating_add(passed).saturating_add(SLACK_MS);
        if wall_ms <= most {
            self.ahead = None;
            return wall_ms;
        }
        if now.saturating_sub(*self.ahead.get_or_insert(now)) < BELIEVED {
            return most;
        }
        *self = Self { wall_ms, up: Some(now), ahead: None };
        wall_ms
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
        let steady = Steady { wall_ms: 1_000_000, up: Some(second), ahead: None };
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
            let mut steady = steady;
            assert_eq!(steady.at(wall, Some(second + passed * second)), shown, "{passed} {wall}");
        }
        // A system that does not say how long it has been up.
        assert_eq!({ steady }.at(90_000_000, None), 90_000_000);
        assert_eq!(Steady { up: None, ..steady }.at(7, Some(second)), 7);
    }

    #[test]
    fn a_clock_that_stays_ahead_is_the_right_one() {
        let mut steady = Steady { wall_ms: 0, up: Some(Duration::ZERO), ahead: None };
        let day = 86_400_000;
        let mut at = |passed: u64, wall| steady.at(wall, Some(Duration::from_secs(passed)));
        assert_eq!(at(10, day), 10_000 + SLACK_MS);
        // Right in between.
        assert_eq!(at(1800, 1_800_000), 1_800_000);
        assert_eq!(at(3600, day), 3_600_000 + SLACK_MS);
        assert_eq!(at(7199, day + 3_599_000), 7_199_000 + SLACK_MS);
        assert_eq!(at(7200, day + 3_600_000), day + 3_600_000);
        assert_eq!(at(7201, 2 * day), day + 3_601_000 + SLACK_MS);
    }
}
