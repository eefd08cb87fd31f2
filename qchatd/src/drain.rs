//! The end of a daemon's service: who is told to come back, and when, so that they do not all come at once. Where other
//! nodes are there, clients go to these, and need not wait for this one.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
};

use qchat_proto::{
    crypto::entropy::{Entropy, SystemEntropy},
    wire::fault::{Fault, FaultCode},
};
use tokio_util::sync::CancellationToken;

/// Clients that are to come back in a second: a fraction of what a node takes, with what each then fetches.
const RETURNING: usize = 200;
/// Seconds over which they are spread at least, and at most.
const SPREAD: std::ops::RangeInclusive<u32> = 2..=30;
/// Clients that are to move to each other node in a second. It is up, and lets those wait whom it cannot take yet.
const MOVING: usize = 1_000;

/// Whether the daemon drains. Times to come back are drawn for each client.
#[derive(Debug)]
pub struct Drain {
    begun: CancellationToken,
    /// Seconds; 0 when nobody has to wait.
    spread: AtomicU32,
}

impl Default for Drain {
    fn default() -> Self {
        Self { begun: CancellationToken::new(), spread: AtomicU32::new(*SPREAD.start()) }
    }
}

impl Drain {
    /// Begins, with this many clients connected, while so many other nodes are there.
    pub(crate) fn begin(&self, connected: usize, others: usize) {
        let seconds = |clients: usize| u32::try_from(clients).unwrap_or(u32::MAX).min(*SPREAD.end());
        let spread = match connected.checked_div(others.saturating_mul(MOVING)) {
            Some(moving) => seconds(moving),
            None => seconds(connected.div_ceil(RETURNING)).max(*SPREAD.start()),
        };
        self.spread.store(spread, Ordering::Relaxed);
        self.begun.cancel();
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Returns when it has begun.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// What a client is told that comes meanwhile.
    pub(crate) fn fault(&self) -> Fault {
        let farewell = self.farewell();
        Fault { retry_after: farewell.retry_after.or(Some(1)), ..farewell }
    }

    /// What a client is told whose socket is closed.
    pub(crate) fn farewell(&self) -> Fault {
        Fault {
            code: FaultCode::Unavailable,
            message: "the server is restarting; come back soon".into(),
            retry_after: self.retry_after(),
        }
    }

    /// Seconds until a client is to come back, drawn anew each time; `None`: as soon as it likes.
    fn retry_after(&self) -> Option<u32> {
        let spread = NonZeroU32::new(self.spread.load(Ordering::Relaxed))?;
        let mut bytes = [0; 4];
        // Only spreads load: without randomness all come back at the same time.
        let _ = SystemEntropy.fill(&mut bytes);
        Some(1 + u32::from_le_bytes(bytes) % spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_another_node_to_go_to_waits_for_none_and_a_crowd_is_spread() {
        for (connected, others, most) in [
            (0, 0, Some(2)),
            (400, 0, Some(2)),
            (401, 0, Some(3)),
            (1_000_000, 0, Some(30)),
            (999, 1, None),
            (9_999, 1, Some(9)),
            (9_999, 3, Some(3)),
            (usize::MAX, 1, Some(30)),
        ] {
            let drain = Drain::default();
            drain.begin(connected, others);
            let told: Vec<Option<u32>> = (0..200).map(|_| drain.farewell().retry_after).collect();
            let good = |after: &Option<u32>| match (after, most) {
                (Some(after), Some(most)) => (1..=most).contains(after),
                (after, most) => *after == most,
            };
            assert!(told.iter().all(good), "{connected} {others}: {told:?}");
            assert!(drain.fault().retry_after.is_some());
        }
    }
}
