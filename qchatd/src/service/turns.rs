//! Whose turn it is to read from a room's log. Those who catch up would take everything from those who talk: reading a page
//! and sending it takes longer than a message's whole way. So pages are read a few at a time; and where messages are sent, after
//! those that are on their way to the disk, and not all the time.

use std::time::{Duration, Instant};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{sleep, timeout},
};

use super::relay::Relay;

/// Pages that are read at once.
const READERS: usize = 2;
/// How long a page waits for messages at most.
const PATIENCE: Duration = Duration::from_millis(20);
/// Where messages are sent, nothing is read for this many times as long as a page took.
const REST: u32 = 4;
/// The longest rest: a page that took long has waited for others more than it has kept them waiting.
const LONGEST: Duration = Duration::from_millis(50);
/// A smaller page than this, bytes, keeps nobody waiting: most of those who come back after a moment ask for one.
const SMALL: usize = 64 * 1024;
/// Messages are sent if one came within this time.
const RECENTLY: Duration = Duration::from_secs(1);

/// The turns of one daemon.
pub struct Turns {
    readers: Semaphore,
    relay: Relay,
}

/// A turn.
pub struct Turn<'a> {
    relay: &'a Relay,
    began: Instant,
    _reader: SemaphorePermit<'a>,
}

impl Turns {
    /// Turns that come after what the relay has to do.
    pub fn new(relay: Relay) -> Self {
        Self { readers: Semaphore::new(READERS), relay }
    }

    /// Waits for a turn, which lasts until it is dropped. They come in the order in which they were asked for; `None` never,
    /// since nobody closes them.
    pub async fn next(&self) -> Option<Turn<'_>> {
        let reader = self.readers.acquire().await.ok()?;
        // Too late is better than never: a relay that is always busy ends a group every few milliseconds.
        drop(timeout(PATIENCE, self.relay.lull()).await);
        Some(Turn { relay: &self.relay, began: Instant::now(), _reader: reader })
    }
}

impl Turn<'_> {
    /// Ends the turn after a page of `size` bytes, and lets nobody else have it for as long as messages are to have the daemon
    /// for themselves.
    pub async fn end(self, size: usize) {
        if size > SMALL && self.relay.has_sent_within(RECENTLY) {
            sleep((self.began.elapsed() * REST).min(LONGEST)).await;
        }
    }
}
