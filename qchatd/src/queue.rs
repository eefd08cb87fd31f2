//! The way from the hub to one connection: the frames that wait for it, in order, and the rooms of which it has missed
//! some because too many waited.
//!
//! A channel would do, and did: this one costs a lock, a shared pointer and, when the connection sleeps, a wake for each
//! delivery, and nothing at all for a connection that waits.

use std::{
    collections::{BTreeMap, VecDeque, btree_map},
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::Instant,
};

use bytes::Bytes;
use qchat_proto::ids::{RoomId, Seq};

/// Frames that an empty queue keeps room for.
const KEPT: usize = 16;

/// Both ends of the queue; clones are the same queue.
#[derive(Clone)]
pub(crate) struct Queue {
    capacity: usize,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    /// When the queue was last empty: no frame has waited for longer.
    since: Option<Instant>,
    /// The same, of the frames that were moved last.
    moved: Option<Instant>,
    /// The newest seq of each room that was left out.
    behind: BTreeMap<RoomId, Seq>,
    /// Whoever sleeps until there is something.
    reader: Option<Waker>,
}

impl Queue {
    /// An empty queue for at most `capacity` frames.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, waiting: Arc::default() }
    }

    /// Appends a room's frame at `now`, unless the queue is full or has left out one of the room before: what follows is read
    /// from the log then, in order.
    pub(crate) fn offer(&self, room: RoomId, seq: Seq, frame: &Bytes, now: Instant) {
        let mut waiting = self.lock();
        let full = waiting.frames.len() >= self.capacity;
        if full || !waiting.behind.is_empty() {
            match waiting.behind.entry(room) {
                btree_map::Entry::Occupied(mut entry) => {
                    entry.insert(seq.max(*entry.get()));
                    return;
                }
                btree_map::Entry::Vacant(entry) if full => {
                    entry.insert(seq);
                    return;
                }
                btree_map::Entry::Vacant(_) => {}
            }
        }
        waiting.since.get_or_insert(now);
        waiting.frames.push_back(frame.clone());
        let reader = waiting.reader.take();
        drop(waiting);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Appends a frame of no room at `now`, unless the queue is full: whoever is so far behind asks again anyway.
    pub(crate) fn nudge(&self, frame: &Bytes, now: Instant) {
        let mut waiting = self.lock();
        if waiting.frames.len() >= self.capacity {
            return;
        }
        waiting.since.get_or_insert(now);
        waiting.frames.push_back(frame.clone());
        let reader = waiting.reader.take();
        drop(waiting);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Appends a frame that may be lost at `now`, unless a quarter of the queue is taken: what is kept goes first.
    pub(crate) fn whisper(&self, frame: &Bytes, now: Instant) {
        if self.lock().frames.len() < self.capacity.div_ceil(4) {
            self.nudge(frame, now);
        }
    }

    /// Waits for frames and moves at most `most` of them. May be cancelled.
    pub(crate) async fn receive(&self, into: &mut Vec<Bytes>, most: usize) {
        poll_fn(|context| {
            let mut waiting = self.lock();
            if !waiting.take(into, most) {
                if !waiting.reader.as_ref().is_some_and(|reader| reader.will_wake(context.waker())) {
                    waiting.reader = Some(context.waker().clone());
                }
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Moves frames that wait already, at most `most`.
    pub(crate) fn take(&self, into: &mut Vec<Bytes>, most: usize) {
        self.lock().take(into, most);
    }

    /// Since when, at most, the frames have waited that were moved last.
    pub(crate) fn moved(&self) -> Option<Instant> {
        self.lock().moved
    }

    /// The rooms to catch up with, once every frame was received. Their frames flow again from here on.
    pub(crate) fn catch_up(&self) -> BTreeMap<RoomId, Seq> {
        let mut waiting = self.lock();
        if waiting.frames.is_empty() { std::mem::take(&mut waiting.behind) } else { BTreeMap::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here panics halfway through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Whether there were any.
    fn take(&mut self, into: &mut Vec<Bytes>, most: usize) -> bool {
        let count = most.min(self.frames.len());
        into.extend(self.frames.drain(..count));
        self.moved = self.since;
        if self.frames.is_empty() {
            self.since = None;
            self.frames.shrink_to(KEPT);
        }
        count > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_lost_goes_before_what_is_kept() {
        let (queue, now) = (Queue::new(8), Instant::now());
        let (kept, lost) = (Bytes::from_static(b"kept"), Bytes::from_static(b"lost"));
        for _ in 0..5 {
            queue.whisper(&lost, now);
        }
        for seq in 1..=6 {
            queue.offer(RoomId::from_bytes([1; 16]), Seq(seq), &kept, now);
            queue.whisper(&lost, now);
        }
        let mut frames = vec![];
        queue.take(&mut frames, 16);
        assert_eq!(frames.iter().filter(|frame| **frame == lost).count(), 2);
        assert_eq!(frames.iter().filter(|frame| **frame == kept).count(), 6);
        assert!(queue.catch_up().is_empty());
    }
}
