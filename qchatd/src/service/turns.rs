//! Whose turn it is to read from a room's log. Those who catch up would take everything from those who talk: reading a page
//! and sending it takes longer than a message's whole way. So pages are read a few at a time, and where messages are on their
//! way to the disk, after them.

use std::time::Duration;

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::relay::Relay;

/// Pages that are read at once.
const READERS: usize = 2;
/// How long a page waits for messages at most.
const PATIENCE: Duration = Duration::from_millis(20);

/// The turns of one daemon.
pub struct Turns {
    readers: Semaphore,
    relay: Relay,
}

impl Turns {
    /// Turns that come after what the relay has to do.
    pub fn new(relay: Relay) -> Self {
        Self { readers: Semaphore::new(READERS), relay }
    }

    /// Waits for a turn, which lasts until it is dropped. They come in the order in which they were asked for; `None` never,
    /// since nobody closes them.
    pub async fn next(&self) -> Option<SemaphorePermit<'_>> {
        let turn = self.readers.acquire().await.ok()?;
        // Too late is better than never: a relay that is always busy ends a group every few milliseconds.
        drop(timeout(PATIENCE, self.relay.lull()).await);
        Some(turn)
    }
}
