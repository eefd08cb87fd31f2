//! At most so many submissions in a while. The service takes five jobs a minute from a user; whoever sends more is
//! refused, so they wait here instead.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Submissions in [`WHILE`] (IBM Quantum's documentation of `POST /jobs`).
const MOST: usize = 5;
const WHILE: Duration = Duration::from_mins(1);

/// When the last submissions went out, or will.
#[derive(Debug, Default)]
pub(super) struct Limit(Mutex<VecDeque<Instant>>);

impl Limit {
    /// Waits until one more submission is allowed, and counts it.
    pub(super) async fn take(&self) {
        let turn = self.turn(Instant::now());
        tokio::time::sleep_until(turn).await;
    }

    /// When the next may go: at once, or a minute after the fifth before it.
    fn turn(&self, now: Instant) -> Instant {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = if turns.len() < MOST {
            now
        } else {
            turns.pop_front().map_or(now, |first| now.max(first + WHILE))
        };
        turns.push_back(turn);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn five_go_at_once_and_the_others_a_minute_after_the_fifth_before() {
        let (limit, start) = (Limit::default(), Instant::now());
        let mut seconds = Vec::new();
        for _ in 0..12 {
            limit.take().await;
            seconds.push(start.elapsed().as_secs());
        }
        assert_eq!(seconds, [0, 0, 0, 0, 0, 60, 60, 60, 60, 60, 120, 120]);
        tokio::time::advance(Duration::from_mins(10)).await;
        let later = Instant::now();
        for _ in 0..5 {
            limit.take().await;
        }
        assert_eq!(Instant::now(), later, "what was long ago does not count");
    }
}
