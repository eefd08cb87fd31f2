//! The promise of the relay, checked from outside: what is acknowledged reaches every member device exactly once and in
//! one order. Senders say what was acknowledged, readers what reached them; a reader follows a room as a client does,
//! by a cursor, and reads from the log what a connection has missed.
//!
//! The check costs a table look-up for each envelope that reaches a reader, so that it is always on.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
};

use qchat_proto::ids::{MessageId, RoomId, Seq};

/// Breaches of the promise that are kept word for word; more are counted.
const TOLD: usize = 20;

/// A room, as the checker counts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoomNumber(usize);

/// One device's view of one room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reader(usize);

/// How the promise was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Breach {
    /// An acknowledged envelope did not reach a reader.
    Lost {
        /// The room.
        room: RoomId,
        /// Which reader of it.
        reader: usize,
        /// The first place that it misses.
        from: Seq,
        /// The last.
        to: Seq,
    },
    /// A connection delivered an envelope twice, or went back.
    Repeated {
        /// The room.
        room: RoomId,
        /// Which reader of it.
        reader: usize,
        /// The place.
        seq: Seq,
    },
    /// A connection left out envelopes and did not say so.
    Skipped {
        /// The room.
        room: RoomId,
        /// Which reader of it.
        reader: usize,
        /// The place that should have come.
        expected: Seq,
        /// The one that did.
        found: Seq,
    },
    /// Two readers, or a reader and an acknowledgement, have different envelopes at one place.
    Forked {
        /// The room.
        room: RoomId,
        /// The place.
        seq: Seq,
    },
    /// One message has two places.
    Doubled {
        /// The room.
        room: RoomId,
        /// The message.
        message: MessageId,
        /// Its first place.
        first: Seq,
        /// Its second.
        second: Seq,
    },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { room, reader, from, to } => {
                write!(f, "lost: reader {reader} of room {room} never got seqs {} to {}", from.0, to.0)
            }
            Self::Repeated { room, reader, seq } => {
                write!(f, "repeated: reader {reader} of room {room} got seq {} again", seq.0)
            }
            Self::Skipped { room, reader, expected, found } => write!(
                f,
                "skipped: reader {reader} of room {room} got seq {} where {} was next, and no word of it",
                found.0, expected.0
            ),
            Self::Forked { room, seq } => {
                write!(f, "forked: room {room} has two envelopes at seq {}", seq.0)
            }
            Self::Doubled { room, message, first, second } => write!(
                f,
                "doubled: message {message} of room {room} stands at seq {} and at {}",
                first.0, second.0
            ),
        }
    }
}

/// What a reader does with an envelope that a connection delivers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It is the next one.
    Taken,
    /// It was read from the log before it came.
    Known,
    /// Others come before it: they are read from the log, and this one with them.
    Ahead,
}

/// The result.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Envelopes that were acknowledged.
    pub acknowledged: u64,
    /// Envelopes that stood in a log without an acknowledgement: theirs was lost on the way, or came too late.
    pub unacknowledged: u64,
    /// Envelopes that readers took.
    pub taken: u64,
    /// All breaches.
    pub breaches: u64,
    /// The first of them.
    pub told: Vec<Breach>,
}

impl Verdict {
    /// Whether the promise was kept.
    pub fn is_kept(&self) -> bool {
        self.breaches == 0
    }
}

/// Sees all readers and all acknowledgements of a run.
#[derive(Clone, Default)]
pub struct Checker {
    rooms: Vec<Room>,
    readers: Vec<View>,
    taken: u64,
    breaches: u64,
    told: Vec<Breach>,
}

#[derive(Clone)]
struct Room {
    id: RoomId,
    /// The seq before the first that is checked.
    base: u64,
    /// By place: the message, and whether it was acknowledged.
    log: Vec<(Option<MessageId>, bool)>,
    readers: usize,
}

#[derive(Clone)]
struct View {
    room: usize,
    /// Which reader of the room.
    number: usize,
    /// The newest seq taken, with all before it.
    cursor: u64,
    /// Up to here the log has given what the connection may deliver yet.
    read: u64,
    /// The newest seq that this connection has delivered.
    delivered: u64,
    /// How far the log has to be read before deliveries follow one another again.
    missing: Option<u64>,
}

impl Checker {
    /// A room whose envelopes after `base` are checked.
    pub fn room(&mut self, id: RoomId, base: Seq) -> RoomNumber {
        self.rooms.push(Room { id, base: base.0, log: Vec::new(), readers: 0 });
        RoomNumber(self.rooms.len() - 1)
    }

    /// A device that has everything up to the room's base and gets all that follows.
    pub fn reader(&mut self, RoomNumber(room): RoomNumber) -> Reader {
        let Some(of) = self.rooms.get_mut(room) else { return Reader(usize::MAX) };
        self.readers.push(View {
            room,
            number: of.readers,
            cursor: of.base,
            read: of.base,
            delivered: of.base,
            missing: None,
        });
        of.readers += 1;
        Reader(self.readers.len() - 1)
    }

    /// The same, where a connection that another checker saw goes on: it may deliver yet what that one read from the log.
    pub fn reader_after(&mut self, room: RoomNumber, delivered: Seq) -> Reader {
        let Reader(reader) = self.reader(room);
        if let Some(view) = self.readers.get_mut(reader) {
            view.delivered = delivered.0.min(view.delivered);
        }
        Reader(reader)
    }

    /// The newest seq that a reader's connection has delivered.
    pub fn delivered_to(&self, Reader(reader): Reader) -> Seq {
        self.readers.get(reader).map_or(Seq(0), |view| Seq(view.delivered))
    }

    /// The daemon has acknowledged a message. A repetition of a message may be acknowledged again.
    pub fn acknowledged(&mut self, RoomNumber(room): RoomNumber, message: MessageId, seq: Seq) {
        self.stands(room, seq, message, true);
    }

    /// A connection has delivered an envelope.
    pub fn delivered(&mut self, Reader(reader): Reader, seq: Seq, message: MessageId) -> Step {
        let Some(view) = self.readers.get_mut(reader) else { return Step::Known };
        let (room, expected) = (view.room, view.cursor + 1);
        let step = if seq.0 <= view.delivered || (seq.0 < expected && seq.0 > view.read) {
            let breach = Breach::Repeated { room: self.rooms[room].id, reader: view.number, seq };
            self.breach(breach);
            return Step::Known;
        } else if seq.0 < expected {
            Step::Known
        } else if seq.0 == expected {
            view.cursor = seq.0;
            self.taken += 1;
            Step::Taken
        } else {
            if view.missing.is_none() {
                let (number, expected) = (view.number, Seq(expected));
                // What follows is read from the log, so that one omission is told once.
                view.missing = Some(seq.0);
                let room = self.rooms[room].id;
                self.breach(Breach::Skipped { room, reader: number, expected, found: seq });
            }
            Step::Ahead
        };
        if let Some(view) = self.readers.get_mut(reader) {
            view.delivered = seq.0;
            if step == Step::Ahead {
                view.missing = view.missing.max(Some(seq.0));
            }
        }
        self.stands(room, seq, message, false);
        step
    }

    /// A page of the log has this envelope. True when it was the next one.
    pub fn read(&mut self, Reader(reader): Reader, seq: Seq, message: MessageId) -> bool {
        let Some(view) = self.readers.get_mut(reader) else { return false };
        let (room, expected) = (view.room, view.cursor + 1);
        let next = seq.0 == expected;
        if next {
            view.cursor = seq.0;
            view.read = seq.0;
            if view.missing.is_some_and(|last| last <= seq.0) {
                view.missing = None;
            }
            self.taken += 1;
        } else if seq.0 > expected {
            let breach = Breach::Skipped {
                room: self.rooms[room].id,
                reader: view.number,
                expected: Seq(expected),
                found: seq,
            };
            // The log itself has a hole: what is behind it is taken, so that it is told once.
            view.cursor = seq.0;
            view.read = seq.0;
            self.breach(breach);
        }
        self.stands(room, seq, message, false);
        next
    }

    /// A connection has said that it left out envelopes of the room.
    pub fn behind(&mut self, Reader(reader): Reader, last: Seq) {
        if let Some(view) = self.readers.get_mut(reader)
            && last.0 > view.cursor
        {
            view.missing = view.missing.max(Some(last.0));
        }
    }

    /// The reader has a new connection, which delivers what is accepted from now on. It has to read the log.
    pub fn reconnected(&mut self, Reader(reader): Reader) {
        if let Some(view) = self.readers.get_mut(reader) {
            view.delivered = view.cursor;
            view.missing = view.missing.max(Some(view.cursor + 1));
        }
    }

    /// The end of a room's log is known, for a reader that had to read it: nothing is missing before `last`.
    pub fn read_to_end(&mut self, Reader(reader): Reader, last: Seq) {
        if let Some(view) = self.readers.get_mut(reader)
            && view.cursor >= last.0
            && view.delivered <= view.cursor
        {
            view.missing = None;
        }
    }

    /// The newest seq that a reader has taken.
    pub fn cursor(&self, Reader(reader): Reader) -> Seq {
        self.readers.get(reader).map_or(Seq(0), |view| Seq(view.cursor))
    }

    /// Whether a reader has to read the log.
    pub fn is_missing(&self, Reader(reader): Reader) -> bool {
        self.readers.get(reader).is_some_and(|view| view.missing.is_some())
    }

    /// Whether every reader has everything that was acknowledged.
    pub fn is_settled(&self) -> bool {
        let ends: Vec<u64> = self.rooms.iter().map(Room::last_acknowledged).collect();
        self.readers.iter().all(|view| ends.get(view.room).is_none_or(|end| view.cursor >= *end))
    }

    /// The verdict, once nothing further comes: what is acknowledged and not taken is lost.
    pub fn finish(mut self) -> Verdict {
        let mut lost = Vec::new();
        for view in &self.readers {
            let Some(room) = self.rooms.get(view.room) else { continue };
            let end = room.last_acknowledged();
            if view.cursor < end {
                lost.push(Breach::Lost {
                    room: room.id,
                    reader: view.number,
                    from: Seq(view.cursor + 1),
                    to: Seq(end),
                });
            }
        }
        for breach in lost {
            self.breach(breach);
        }
        let mut places: HashMap<(usize, MessageId), u64> = HashMap::new();
        let mut doubled = Vec::new();
        let (mut acknowledged, mut unacknowledged) = (0, 0);
        for (number, room) in self.rooms.iter().enumerate() {
            for (at, (message, acked)) in (room.base + 1..).zip(&room.log) {
                let Some(message) = message else { continue };
                if *acked {
                    acknowledged += 1;
                } else {
                    unacknowledged += 1;
                }
                match places.entry((number, *message)) {
                    Entry::Vacant(entry) => drop(entry.insert(at)),
                    Entry::Occupied(entry) => doubled.push(Breach::Doubled {
                        room: room.id,
                        message: *message,
                        first: Seq(*entry.get()),
                        second: Seq(at),
                    }),
                }
            }
        }
        for breach in doubled {
            self.breach(breach);
        }
        Verdict { acknowledged, unacknowledged, taken: self.taken, breaches: self.breaches, told: self.told }
    }

    /// Notes what stands at a place, and finds two different claims.
    fn stands(&mut self, room: usize, seq: Seq, message: MessageId, acked: bool) {
        let Some(of) = self.rooms.get_mut(room) else { return };
        // What came before the check began is nobody's.
        let Some(at) = seq.0.checked_sub(of.base + 1).and_then(|at| usize::try_from(at).ok()) else { return };
        if of.log.len() <= at {
            of.log.resize(at + 1, (None, false));
        }
        let id = of.id;
        let Some((standing, was)) = of.log.get_mut(at) else { return };
        *was |= acked;
        if *standing.get_or_insert(message) != message {
            self.breach(Breach::Forked { room: id, seq });
        }
    }

    fn breach(&mut self, breach: Breach) {
        self.breaches += 1;
        if self.told.len() < TOLD {
            self.told.push(breach);
        }
    }
}

impl Room {
    fn last_acknowledged(&self) -> u64 {
        let last = self.log.iter().rposition(|(_, acked)| *acked);
        last.map_or(self.base, |at| self.base + 1 + at as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId::from_bytes([7; 16]);

    fn message(number: u8) -> MessageId {
        MessageId::from_bytes([number; 16])
    }

    /// A checker with a room that stands at 10, two readers, and messages 11 to 14 acknowledged.
    fn begun() -> (Checker, RoomNumber, Reader, Reader) {
        let mut checker = Checker::default();
        let room = checker.room(ROOM, Seq(10));
        let (one, other) = (checker.reader(room), checker.reader(room));
        for number in 11..=14 {
            checker.acknowledged(room, message(number), Seq(number.into()));
        }
        (checker, room, one, other)
    }

    fn deliver(checker: &mut Checker, reader: Reader, numbers: &[u8]) {
        for number in numbers {
            checker.delivered(reader, Seq((*number).into()), message(*number));
        }
    }

    #[test]
    fn what_one_checker_read_from_the_log_may_be_delivered_to_the_next() {
        let (mut before, _, one, other) = begun();
        deliver(&mut before, one, &[11, 12, 13, 14]);
        before.behind(other, Seq(14));
        for number in 11..=14 {
            before.read(other, Seq(number.into()), message(number));
        }
        assert!(before.is_settled());
        let mut checker = Checker::default();
        let room = checker.room(ROOM, Seq(14));
        let one = checker.reader_after(room, before.delivered_to(one));
        let other = checker.reader_after(room, before.delivered_to(other));
        deliver(&mut checker, other, &[13, 14, 15]);
        deliver(&mut checker, one, &[15]);
        assert!(checker.clone().finish().is_kept());
        // A connection that has delivered it does not deliver it again.
        deliver(&mut checker, one, &[14]);
        assert!(!checker.finish().is_kept());
    }

    #[test]
    fn a_kept_promise_is_found_kept() {
        let (mut checker, room, one, other) = begun();
        deliver(&mut checker, one, &[11, 12, 13, 14]);
        assert!(!checker.is_settled());
        // The other's queue overflows after the first; the log fills in, and overlaps with what it delivers.
        deliver(&mut checker, other, &[11]);
        checker.behind(other, Seq(13));
        assert_eq!(checker.delivered(other, Seq(14), message(14)), Step::Ahead);
        for number in 12..=14 {
            assert!(checker.is_missing(other));
            assert!(checker.read(other, Seq(number.into()), message(number)));
        }
        assert!(!checker.is_missing(other));
        assert!(checker.is_settled());
        // One whose acknowledgement never came, and a repetition of an acknowledgement.
        deliver(&mut checker, one, &[15]);
        deliver(&mut checker, other, &[15]);
        checker.acknowledged(room, message(12), Seq(12));
        let verdict = checker.finish();
        assert_eq!((verdict.acknowledged, verdict.unacknowledged, verdict.taken), (4, 1, 10));
        assert!(verdict.is_kept(), "{:?}", verdict.told);
    }

    #[test]
    fn a_page_may_bring_what_the_connection_delivers_after_it() {
        let (mut checker, _, one, other) = begun();
        deliver(&mut checker, one, &[11, 12, 13, 14]);
        checker.reconnected(other);
        for number in 11..=13 {
            checker.read(other, Seq(number.into()), message(number));
        }
        assert_eq!(checker.delivered(other, Seq(13), message(13)), Step::Known);
        assert_eq!(checker.delivered(other, Seq(14), message(14)), Step::Taken);
        assert!(checker.finish().is_kept());
    }

    #[test]
    fn each_breach_is_found() {
        type Story = fn(&mut Checker, RoomNumber, Reader, Reader);
        let stories: [(Story, Breach); 6] = [
            (
                |checker, _, one, other| {
                    deliver(checker, one, &[11, 12, 13, 14]);
                    deliver(checker, other, &[11, 12]);
                },
                Breach::Lost { room: ROOM, reader: 1, from: Seq(13), to: Seq(14) },
            ),
            (
                |checker, _, one, other| {
                    deliver(checker, one, &[11, 12, 13, 14]);
                    deliver(checker, other, &[11, 12, 12, 13, 14]);
                },
                Breach::Repeated { room: ROOM, reader: 1, seq: Seq(12) },
            ),
            (
                |checker, _, one, other| {
                    deliver(checker, one, &[11, 12, 13, 14]);
                    deliver(checker, other, &[11, 13]);
                    for number in 12..=14 {
                        checker.read(other, Seq(number.into()), message(number));
                    }
                },
                Breach::Skipped { room: ROOM, reader: 1, expected: Seq(12), found: Seq(13) },
            ),
            (
                |checker, _, one, other| {
                    deliver(checker, one, &[11, 12, 13, 14]);
                    deliver(checker, other, &[11, 12, 13]);
                    checker.delivered(other, Seq(14), message(99));
                },
                Breach::Forked { room: ROOM, seq: Seq(14) },
            ),
            (
                |checker, room, one, other| {
                    deliver(checker, one, &[11, 12, 13, 14]);
                    deliver(checker, other, &[11, 12, 13, 14]);
                    checker.acknowledged(room, message(13), Seq(14));
                },
                Breach::Forked { room: ROOM, seq: Seq(14) },
            ),
            (
                |checker, _, one, other| {
                    for reader in [one, other] {
                        deliver(checker, reader, &[11, 12, 13, 14]);
                        checker.delivered(reader, Seq(15), message(12));
                    }
                },
                Breach::Doubled { room: ROOM, message: message(12), first: Seq(12), second: Seq(15) },
            ),
        ];
        for (story, breach) in stories {
            let (mut checker, room, one, other) = begun();
            story(&mut checker, room, one, other);
            let verdict = checker.finish();
            assert_eq!(verdict.told, [breach]);
        }
    }
}
