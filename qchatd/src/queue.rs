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
use qchat_proto::ids::{DeviceId, RoomId, Seq};

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
    /// What may be lost, and goes when no frame waits: of each sender in each room the newest alone.
    whispers: VecDeque<(Whisperer, Bytes)>,
    /// When the queue was last empty: no frame has waited for longer.
    since: Option<Instant>,
    /// The same, of the frames that were moved last.
    moved: Option<Instant>,
    /// The newest seq of each room that was left out.
    behind: BTreeMap<RoomId, Seq>,
    /// Whoever sleeps until there is something.
    reader: Option<Waker>,
}

/// Who says what may be lost, and where.
pub(crate) type Whisperer = (RoomId, DeviceId);

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

    /// Keeps a frame that may be lost for when no other waits, in the place of what the same sender has said there before, unless a
    /// quarter of the queue is taken.
    pub(crate) fn whisper(&self, of: Whisperer, frame: &Bytes) {
        let mut waiting = self.lock();
        if let Some((_, said)) = waiting.whispers.iter_mut().find(|(by, _)| *by == of) {
            *said = frame.clone();
            return;
        }
        if waiting.frames.len() + waiting.whispers.len() >= self.capacity.div_ceil(4) {
            return;
        }
        waiting.whispers.push_back((of, frame.clone()));
        let reader = waiting.reader.take();
        drop(waiting);
        if let Some(reader) = reader {
            reader.wake();
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
        let whispers = (most - count).min(self.whispers.len());
        into.extend(self.whispers.drain(..whispers).map(|(_, frame)| frame));
        if self.whispers.is_empty() {
            self.whispers.shrink_to(0);
        }
        count + whispers > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_lost_goes_behind_what_is_kept_and_of_each_sender_the_newest_alone() {
        let (queue, now) = (Queue::new(8), Instant::now());
        let kept = Bytes::from_static(b"kept");
        let by = |device: u8| (RoomId::from_bytes([1; 16]), DeviceId::from_bytes([device; 16]));
        let said = |device: u8, word: u8| Bytes::from(vec![device, word]);
        for word in 1..=5 {
            queue.whisper(by(1), &said(1, word));
        }
        queue.whisper(by(2), &said(2, 1));
        // Two fit beside eight.
        queue.whisper(by(3), &said(3, 1));
        for seq in 1..=8 {
            queue.offer(RoomId::from_bytes([1; 16]), Seq(seq), &kept, now);
            queue.whisper(by(2), &said(2, 10));
            queue.whisper(by(4), &said(4, 1));
        }
        let mut frames = vec![];
        queue.take(&mut frames, 9);
        assert_eq!(frames, [vec![kept; 8], vec![said(1, 5)]].concat());
        assert!(queue.catch_up().is_empty(), "nothing that is kept was left out");
        frames.clear();
        queue.take(&mut frames, 9);
        assert_eq!(frames, [said(2, 10)]);
    }
}
