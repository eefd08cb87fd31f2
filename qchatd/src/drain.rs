//! The end of a daemon's service: who is told to come back, and when, so that they do not all come at once.

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

/// Whether the daemon drains. Times to come back are drawn for each client.
#[derive(Debug)]
pub struct Drain {
    begun: CancellationToken,
    spread: AtomicU32,
}

impl Default for Drain {
    fn default() -> Self {
        Self { begun: CancellationToken::new(), spread: AtomicU32::new(*SPREAD.start()) }
    }
}

impl Drain {
    /// Begins, with this many clients connected.
    pub(crate) fn begin(&self, connected: usize) {
        let seconds = u32::try_from(connected.div_ceil(RETURNING)).unwrap_or(u32::MAX);
        self.spread.store(seconds.clamp(*SPREAD.start(), *SPREAD.end()), Ordering::Relaxed);
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

    /// What a client is told.
    pub(crate) fn fault(&self) -> Fault {
        Fault {
            code: FaultCode::Unavailable,
            message: "the server is restarting; come back soon".into(),
            retry_after: Some(self.retry_after()),
        }
    }

    /// Seconds until a client is to come back, drawn anew each time.
    fn retry_after(&self) -> u32 {
        let mut bytes = [0; 4];
        // Only spreads load: without randomness all come back at the same time.
        let _ = SystemEntropy.fill(&mut bytes);
        let spread = NonZeroU32::new(self.spread.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN);
        1 + u32::from_le_bytes(bytes) % spread
    }
}
