//! When to try again: exponential backoff with full jitter, so that clients cut off together do not return together.

use std::time::Duration;

/// First ceiling.
const FIRST: Duration = Duration::from_millis(250);
/// Highest ceiling.
const MOST: Duration = Duration::from_secs(30);

/// The longest pause that a daemon may ask for.
const MOST_ASKED: Duration = Duration::from_mins(5);

/// The pauses between attempts.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The connection was up.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause before the next attempt; `asked` is how many seconds the daemon wants to be left alone.
    pub fn pause(&mut self, asked: Option<u32>) -> Duration {
        let pause = pause(self.failures, random()).max(asked.map_or(Duration::ZERO, |s| wait(s, random())));
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

/// The pause after so many failures, `share` (0 to 1) of its ceiling: 250 ms, doubled each time up to 30 s.
pub fn pause(failures: u32, share: f64) -> Duration {
    let ceiling = FIRST.saturating_mul(1 << failures.min(16)).min(MOST);
    ceiling.mul_f64(share.clamp(0.0, 1.0))
}

/// The pause that a daemon asks for, and up to a second more: those who are told the same second come one by one.
pub fn wait(seconds: u32, share: f64) -> Duration {
    Duration::from_secs(seconds.into()).min(MOST_ASKED)
        + Duration::from_secs(1).mul_f64(share.clamp(0.0, 1.0))
}

/// A number from 0 to 1. Only spreads load; without randomness the middle will do.
pub fn random() -> f64 {
    use qchat_proto::crypto::entropy::{Entropy, SystemEntropy};

    let mut bytes = [0; 4];
    match SystemEntropy.fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_to_wait_waits_that_long_and_not_for_ever() {
        for (seconds, share, millis) in
            [(3, 0.0, 3_000), (3, 1.0, 4_000), (0, 0.5, 500), (u32::MAX, 0.0, 300_000)]
        {
            assert_eq!(wait(seconds, share), Duration::from_millis(millis), "{seconds} {share}");
        }
        let mut backoff = Backoff::default();
        assert!(backoff.pause(Some(2)) >= Duration::from_secs(2));
        assert!(backoff.pause(None) <= Duration::from_millis(500));
    }

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        for (failures, share, millis) in [
            (0, 1.0, 250),
            (1, 1.0, 500),
            (3, 0.5, 1000),
            (7, 1.0, 30_000),
            (u32::MAX, 1.0, 30_000),
            (5, 0.0, 0),
        ] {
            assert_eq!(pause(failures, share), Duration::from_millis(millis), "{failures} {share}");
        }
    }
}
