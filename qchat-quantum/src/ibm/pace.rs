//! How often and how fast something is tried again: pauses that double, with jitter, and what the service asks for.

use std::time::Duration;

use super::IbmError;

/// The pauses between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The first pause at its longest; each is twice as long as the one before, and by chance up to half shorter, so
    /// that clients cut off together do not return together.
    pub first: Duration,
    /// No pause is longer, unless the service asks for it.
    pub most: Duration,
    /// How often something is tried before its error is told. Waiting for a job does not count.
    pub tries: u32,
    /// The longest pause that the service may ask for; when it asks for a longer one, the error is told at once.
    pub asked: Duration,
}

/// For requests: five attempts, from half a second up.
impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            most: Duration::from_secs(30),
            tries: 5,
            asked: Duration::from_mins(1),
        }
    }
}

impl Pace {
    /// For waiting on a job: once a second at first, every half minute in the end.
    pub const POLLING: Self = Self {
        first: Duration::from_secs(1),
        most: Duration::from_secs(30),
        tries: u32::MAX,
        asked: Duration::from_mins(5),
    };

    /// The pause after so many attempts, `share` (0 to 1) of what chance may take off kept.
    fn pause(&self, attempts: u32, share: f64) -> Duration {
        let ceiling = self.first.saturating_mul(1 << attempts.min(20)).min(self.most);
        ceiling.mul_f64(f64::midpoint(1.0, share.clamp(0.0, 1.0)))
    }

    /// The pause after so many attempts, the last of which ended in `error`; none when it is the last.
    pub(super) fn after(&self, attempts: u32, error: &IbmError) -> Option<Duration> {
        let asked = error.retry_after().unwrap_or_default();
        let goes_on = attempts < self.tries && asked <= self.asked;
        goes_on.then(|| self.pause(attempts.saturating_sub(1), chance()).max(asked))
    }

    /// The pause after so many looks at something that has not changed.
    pub(super) fn look(&self, looks: u32) -> Duration {
        self.pause(looks, chance())
    }

    /// Attempts at one thing, from the first.
    pub(super) fn attempts(&self) -> Attempts {
        Attempts { pace: *self, made: 0 }
    }
}

/// Attempts at one thing.
pub(super) struct Attempts {
    pace: Pace,
    made: u32,
}

impl Attempts {
    /// Takes what an attempt brought, and gives it back when there is to be no other. Else it pauses.
    pub(super) async fn settle<T>(&mut self, outcome: Result<T, IbmError>) -> Option<Result<T, IbmError>> {
        let error = match outcome {
            Err(error) if error.is_passing() => error,
            other => return Some(other),
        };
        self.made = self.made.saturating_add(1);
        let Some(pause) = self.pace.after(self.made, &error) else { return Some(Err(error)) };
        tracing::debug!(%error, attempts = self.made, "trying again");
        tokio::time::sleep(pause).await;
        None
    }
}

/// A number from 0 to 1. Only spreads load; without randomness the middle will do.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ibm::Said;

    #[test]
    fn pauses_double_up_to_the_most() {
        for (attempts, share, millis) in
            [(0, 1.0, 1000), (0, 0.0, 500), (1, 1.0, 2000), (5, 1.0, 30_000), (u32::MAX, 0.0, 15_000)]
        {
            assert_eq!(
                Pace::POLLING.pause(attempts, share),
                Duration::from_millis(millis),
                "{attempts} {share}"
            );
        }
    }

    #[test]
    fn who_is_asked_to_wait_waits_that_long_and_not_for_ever() {
        let pace = Pace::default();
        let asked =
            |seconds| IbmError::Limited { after: Some(Duration::from_secs(seconds)), said: Said::default() };
        assert_eq!(pace.after(1, &asked(9)), Some(Duration::from_secs(9)));
        assert_eq!(pace.after(1, &asked(61)), None, "longer than anybody would wait");
        assert_eq!(pace.after(5, &asked(1)), None, "the last attempt");
    }
}
