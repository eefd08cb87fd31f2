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
/// What may be lost that waits of one sender in one room: one of each kind, which only members can tell apart.
const FEW: usize = 5;

/// Both ends of the queue; clones are the same queue.
#[derive(Clone)]
pub(crate) struct Queue {
    capacity: usize,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    /// How many frames have been received so far.
    received: u64,
    /// What may be lost, in order: of each sender in each room the newest few.
    whispers: VecDeque<Whisper>,
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

/// What may be lost.
struct Whisper {
    of: Whisperer,
    frame: Bytes,
    /// How many frames are received before it: all that came before it.
    after: u64,
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

    /// Appends a frame that may be lost, in the place of the first that waits of the same sender in that room where those are a few, or
    /// a quarter of the queue is taken.
    pub(crate) fn whisper(&self, of: Whisperer, frame: &Bytes) {
        let mut waiting = self.lock();
        let full = waiting.frames.len() + waiting.whispers.len() >= self.capacity.div_ceil(4);
        let same = waiting.whispers.iter().filter(|whisper| whisper.of == of).count();
        if same >= FEW || full {
            let Some(first) = waiting.whispers.iter().position(|whisper| whisper.of == of) else { return };
            waiting.whispers.remove(first);
        }
        let after = waiting.received + waiting.frames.len() as u64;
        waiting.whispers.push_back(Whisper { of, frame: frame.clone(), after });
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
        let begun = into.len();
        while into.len() - begun < most {
            let room = most - (into.len() - begun);
            // Nothing else stands between frames, mostly.
            let before = self.whispers.front().map_or(u64::MAX, |whisper| whisper.after - self.received);
            let count = self.frames.len().min(room).min(usize::try_from(before).unwrap_or(usize::MAX));
            into.extend(self.frames.drain(..count));
            self.received += count as u64;
            if count == room || before > count as u64 {
                break;
            }
            into.extend(self.whispers.pop_front().map(|whisper| whisper.frame));
        }
        self.moved = self.since;
        if self.frames.is_empty() {
            self.since = None;
            self.frames.shrink_to(KEPT);
        }
        if self.whispers.is_empty() {
            self.whispers.shrink_to(0);
        }
        into.len() > begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_lost_keeps_its_place_and_of_each_sender_the_newest_few_are_kept() {
        let now = Instant::now();
        let kept = Bytes::from_static(b"kept");
        let of = |device: u8| (RoomId::from_bytes([1; 16]), DeviceId::from_bytes([device; 16]));
        let said = |device: u8, word: u8| Bytes::from(vec![device, word]);
        let offer = |queue: &Queue, seq| queue.offer(RoomId::from_bytes([1; 16]), Seq(seq), &kept, now);
        let take = |queue: &Queue, most| {
            let mut frames = vec![];
            queue.take(&mut frames, most);
            frames
        };

        let queue = Queue::new(64);
        for word in 0..=5 {
            queue.whisper(of(1), &said(1, word));
        }
        offer(&queue, 1);
        queue.whisper(of(2), &said(2, 1));
        offer(&queue, 2);
        offer(&queue, 3);
        queue.whisper(of(2), &said(2, 2));
        assert_eq!(take(&queue, 4), [said(1, 1), said(1, 2), said(1, 3), said(1, 4)]);
        assert_eq!(take(&queue, 4), [said(1, 5), kept.clone(), said(2, 1), kept.clone()]);
        queue.whisper(of(1), &said(1, 6));
        assert_eq!(take(&queue, 9), [kept.clone(), said(2, 2), said(1, 6)]);
        assert!(take(&queue, 9).is_empty());

        // Two fit beside eight, and the newest of whoever is among them.
        let queue = Queue::new(8);
        queue.whisper(of(1), &said(1, 1));
        queue.whisper(of(2), &said(2, 1));
        queue.whisper(of(3), &said(3, 1));
        for seq in 1..=8 {
            offer(&queue, seq);
            queue.whisper(of(2), &said(2, 10));
            queue.whisper(of(4), &said(4, 1));
        }
        assert_eq!(take(&queue, 99), [vec![said(1, 1)], vec![kept; 8], vec![said(2, 10)]].concat());
        assert!(queue.catch_up().is_empty(), "nothing that is kept was left out");
    }
}
