//! What the engine decides, without doing it: inputs from the daemon and the database go in, effects come out.
//!
//! Reading: each room has a cursor; envelopes are processed strictly one after the other, from pushes as long as these
//! follow the cursor, from pages otherwise. Writing: what was sealed together in a room is on its way together, and nothing else.

use std::collections::{BTreeMap, VecDeque};

use qchat_proto::{
    ids::{RoomId, Seq},
    wire::frame::Logged,
};

/// Pushes kept while a room is busy; beyond it they are dropped and fetched as a page.
const PUSHES_KEPT: usize = 64;

/// Something happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Input {
    /// The connection is up, and these are the rooms that this device has joined, each with its cursor and the newest
    /// seq that the daemon has for it.
    Online(Vec<(RoomId, Seq, Seq)>),
    /// The connection is gone.
    Offline,
    /// A room was joined or created while online.
    Joined(RoomId, Seq),
    /// The daemon pushed an envelope.
    Delivered(RoomId, Logged),
    /// The daemon has envelopes up to this seq.
    Behind(RoomId, Seq),
    /// A page arrived, with the newest seq that may be read, and the seq up to which the daemon no longer keeps what it
    /// should have begun with, if that is not 0.
    Paged(RoomId, Vec<Logged>, Seq, Seq),
    /// Envelopes were processed up to the new cursor; `commits`: a commit or proposal was among them.
    Processed {
        /// The room.
        room: RoomId,
        /// The cursor now.
        cursor: Seq,
        /// Whether the group or its duties may have changed.
        commits: bool,
    },
    /// The room cannot be read on until the next connection.
    Blocked(RoomId),
    /// This device has processed that it is in the room no more, at this seq: what comes is not for it.
    Over(RoomId, Seq),
    /// A row may wait in the outbox.
    Wrote(RoomId),
    /// Sealing found nothing to send.
    NothingToSend(RoomId),
    /// The envelope under way was answered and the answer is stored.
    Answered(RoomId),
    /// It was refused in a way that only something new can change.
    Held(RoomId),
    /// Commits of this room keep losing the race: nothing is sealed until [`Input::Resume`].
    BackOff(RoomId),
    /// The pause is over.
    Resume(RoomId),
}

/// What is to be done about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// Ask for the envelopes after this seq.
    Fetch(RoomId, Seq),
    /// Process these in order.
    Process(RoomId, Vec<Logged>),
    /// Go on after this seq: what is before it is deleted.
    Miss(RoomId, Seq),
    /// Seal what is due, if anything, and send it.
    Send(RoomId),
    /// Tell the daemon how far this device has processed.
    Confirm(RoomId, Seq),
    /// Everything the daemon has is processed: whoever waits for that may go on.
    Synced,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reading {
    Idle,
    Fetching,
    Processing,
    Blocked,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Writing {
    Idle,
    Busy,
    Held,
    BackingOff,
}

#[derive(Debug)]
struct Room {
    cursor: Seq,
    newest: Seq,
    reading: Reading,
    pushes: VecDeque<Logged>,
    writing: Writing,
    /// Something may be due that was not looked at since.
    wrote: bool,
}

/// The engine's picture of the connection.
#[derive(Default, Debug)]
pub(crate) struct Core {
    rooms: BTreeMap<RoomId, Room>,
    online: bool,
}

impl Core {
    /// Whether the connection is up and every room has been read to its end, or as far as it can be.
    pub(crate) fn synced(&self) -> bool {
        self.online
            && self.rooms.values().all(|room| match room.reading {
                Reading::Blocked => true,
                Reading::Idle => room.cursor >= room.newest,
                Reading::Fetching | Reading::Processing => false,
            })
    }

    /// Whether this room is known to the connection.
    pub(crate) fn follows(&self, room: RoomId) -> bool {
        self.rooms.contains_key(&room)
    }

    /// Whether a room was read further than to this seq by what is known here.
    pub(crate) fn is_beyond(&self, room: RoomId, cursor: Seq) -> bool {
        self.rooms.get(&room).is_some_and(|room| room.cursor > cursor)
    }

    /// The rooms that cannot be read on until the next connection.
    pub(crate) fn blocked(&self) -> Vec<RoomId> {
        let blocked = self.rooms.iter().filter(|(_, room)| room.reading == Reading::Blocked);
        blocked.map(|(id, _)| *id).collect()
    }

    /// Takes an input in and says what follows.
    pub(crate) fn handle(&mut self, input: Input) -> Vec<Effect> {
        let was_synced = self.synced();
        let mut effects = vec![];
        match input {
            Input::Online(rooms) => {
                self.online = true;
                self.rooms.clear();
                for (id, cursor, newest) in rooms {
                    self.add(id, cursor, newest, &mut effects);
                }
            }
            Input::Offline => {
                self.online = false;
                self.rooms.clear();
            }
            Input::Joined(id, cursor) => self.add(id, cursor, cursor.next(), &mut effects),
            Input::Delivered(id, logged) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.newest = room.newest.max(logged.seq);
                    room.push(logged);
                    room.read(id, &mut effects);
                }
            }
            Input::Behind(id, newest) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.newest = room.newest.max(newest);
                    room.read(id, &mut effects);
                }
            }
            Input::Paged(id, page, newest, deleted) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.paged(id, page, (newest, deleted), &mut effects);
                }
            }
            Input::Processed { room: id, cursor, commits } => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.reading = Reading::Idle;
                    room.cursor = cursor;
                    if commits {
                        room.wrote = true;
                        if room.writing == Writing::Held {
                            room.writing = Writing::Idle;
                        }
                    }
                    room.read(id, &mut effects);
                    if room.reading == Reading::Idle {
                        effects.push(Effect::Confirm(id, cursor));
                    }
                    room.write(id, &mut effects);
                }
            }
            Input::Blocked(id) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.reading = Reading::Blocked;
                    room.pushes.clear();
                }
            }
            Input::Over(id, seq) => {
                self.rooms.remove(&id);
                effects.push(Effect::Confirm(id, seq));
            }
            Input::Wrote(id) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.wrote = true;
                    if room.writing == Writing::Held {
                        room.writing = Writing::Idle;
                    }
                    room.write(id, &mut effects);
                }
            }
            Input::NothingToSend(id) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.writing = Writing::Idle;
                    room.write(id, &mut effects);
                }
            }
            Input::Answered(id) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.writing = Writing::Idle;
                    room.wrote = true;
                    room.write(id, &mut effects);
                }
            }
            Input::BackOff(id) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.writing = Writing::BackingOff;
                    room.wrote = true;
                }
            }
            Input::Resume(id) => {
                if let Some(room) = self.rooms.get_mut(&id)
                    && room.writing == Writing::BackingOff
                {
                    room.writing = Writing::Idle;
                    room.write(id, &mut effects);
                }
            }
            Input::Held(id) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.writing = Writing::Held;
                    room.wrote = false;
                }
            }
        }
        if self.synced() && !was_synced {
            effects.push(Effect::Synced);
        }
        effects
    }

    fn add(&mut self, id: RoomId, cursor: Seq, newest: Seq, effects: &mut Vec<Effect>) {
        let mut room = Room {
            cursor,
            newest,
            reading: Reading::Idle,
            pushes: VecDeque::new(),
            writing: Writing::Idle,
            // Rows may wait from an earlier run.
            wrote: true,
        };
        room.read(id, effects);
        room.write(id, effects);
        self.rooms.insert(id, room);
    }
}

impl Room {
    fn push(&mut self, logged: Logged) {
        let next = self.pushes.back().map_or(self.cursor, |last| last.seq).next();
        let follows = if self.pushes.is_empty() { logged.seq > self.cursor } else { logged.seq == next };
        if follows && self.pushes.len() < PUSHES_KEPT {
            self.pushes.push_back(logged);
        }
    }

    fn read(&mut self, id: RoomId, effects: &mut Vec<Effect>) {
        if self.reading != Reading::Idle {
            return;
        }
        while self.pushes.front().is_some_and(|logged| logged.seq <= self.cursor) {
            self.pushes.pop_front();
        }
        match self.pushes.front() {
            Some(first) if first.seq == self.cursor.next() => {
                self.reading = Reading::Processing;
                effects.push(Effect::Process(id, self.pushes.drain(..).collect()));
            }
            _ if self.cursor < self.newest => {
                self.pushes.clear();
                self.reading = Reading::Fetching;
                effects.push(Effect::Fetch(id, self.cursor));
            }
            _ => {}
        }
    }

    fn paged(
        &mut self,
        id: RoomId,
        page: Vec<Logged>,
        (newest, deleted): (Seq, Seq),
        effects: &mut Vec<Effect>,
    ) {
        if self.reading != Reading::Fetching {
            return;
        }
        if deleted > self.cursor {
            // The page is asked for again from there: it may begin with what was pushed meanwhile.
            self.newest = newest.max(deleted);
            self.reading = Reading::Processing;
            effects.push(Effect::Miss(id, deleted));
            return;
        }
        if page.is_empty() {
            // Nothing more may be read, whatever was announced; but a push may have crossed the page.
            self.reading = Reading::Idle;
            if self.pushes.front().is_none_or(|first| first.seq > self.cursor.next()) {
                self.pushes.clear();
                self.newest = self.cursor;
            }
            self.read(id, effects);
            self.write(id, effects);
            return;
        }
        self.newest = newest.max(page.last().map_or(newest, |last| last.seq));
        self.reading = Reading::Processing;
        effects.push(Effect::Process(id, page));
    }

    /// Sends only when everything known has been read: what is sealed before would be refused as stale.
    fn write(&mut self, id: RoomId, effects: &mut Vec<Effect>) {
        if self.wrote && self.writing == Writing::Idle && self.reading == Reading::Idle {
            self.wrote = false;
            self.writing = Writing::Busy;
            effects.push(Effect::Send(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const ROOM: RoomId = RoomId::from_bytes([1; 16]);

    fn logged(seq: u64) -> Logged {
        Logged { seq: Seq(seq), bytes: Bytes::from_static(b"x") }
    }

    fn processed(cursor: u64) -> Input {
        Input::Processed { room: ROOM, cursor: Seq(cursor), commits: false }
    }

    /// A room read up to `cursor`, its first look at the outbox done.
    fn online(cursor: u64) -> Core {
        let mut core = Core::default();
        let effects = core.handle(Input::Online(vec![(ROOM, Seq(cursor), Seq(cursor))]));
        assert_eq!(effects, [Effect::Send(ROOM), Effect::Synced]);
        assert_eq!(core.handle(Input::NothingToSend(ROOM)), []);
        core
    }

    #[test]
    fn pushes_that_follow_the_cursor_are_processed_in_order_and_gaps_are_fetched() {
        let mut core = online(4);
        let deliver = |seq| Input::Delivered(ROOM, logged(seq));
        assert_eq!(core.handle(deliver(5)), [Effect::Process(ROOM, vec![logged(5)])]);
        assert_eq!(core.handle(deliver(6)), []);
        assert_eq!(core.handle(deliver(7)), []);
        assert_eq!(core.handle(processed(5)), [Effect::Process(ROOM, vec![logged(6), logged(7)])]);
        // 8 is missing.
        assert_eq!(core.handle(deliver(9)), []);
        assert_eq!(core.handle(processed(7)), [Effect::Fetch(ROOM, Seq(7))]);
        let page = vec![logged(8), logged(9)];
        let effects = core.handle(Input::Paged(ROOM, page.clone(), Seq(9), Seq(0)));
        assert_eq!(effects, [Effect::Process(ROOM, page)]);
        assert_eq!(core.handle(processed(9)), [Effect::Confirm(ROOM, Seq(9)), Effect::Synced]);
    }

    #[test]
    fn a_repeated_push_is_passed_over() {
        let mut core = online(4);
        assert_eq!(core.handle(Input::Delivered(ROOM, logged(3))), []);
        assert!(core.synced());
    }

    #[test]
    fn more_pushes_than_are_kept_become_a_page() {
        let mut core = online(0);
        core.handle(Input::Delivered(ROOM, logged(1)));
        for seq in 2..=200 {
            assert_eq!(core.handle(Input::Delivered(ROOM, logged(seq))), []);
        }
        let effects = core.handle(processed(1));
        assert!(
            matches!(&effects[..], [Effect::Process(_, kept)] if kept.len() == PUSHES_KEPT),
            "{effects:?}"
        );
        assert_eq!(core.handle(processed(1 + PUSHES_KEPT as u64)), [Effect::Fetch(ROOM, Seq(65))]);
    }

    #[test]
    fn nothing_is_sent_before_the_room_is_read() {
        let mut core = Core::default();
        let effects = core.handle(Input::Online(vec![(ROOM, Seq(1), Seq(2))]));
        assert_eq!(effects, [Effect::Fetch(ROOM, Seq(1))]);
        core.handle(Input::Paged(ROOM, vec![logged(2)], Seq(2), Seq(0)));
        let effects = core.handle(processed(2));
        assert_eq!(effects, [Effect::Confirm(ROOM, Seq(2)), Effect::Send(ROOM), Effect::Synced]);
    }

    #[test]
    fn one_envelope_is_under_way_and_a_held_room_waits_for_news() {
        let mut core = online(0);
        assert_eq!(core.handle(Input::Wrote(ROOM)), [Effect::Send(ROOM)]);
        assert_eq!(core.handle(Input::Wrote(ROOM)), []);
        assert_eq!(core.handle(Input::Answered(ROOM)), [Effect::Send(ROOM)]);
        assert_eq!(core.handle(Input::Held(ROOM)), []);
        assert_eq!(core.handle(Input::Delivered(ROOM, logged(1))), [Effect::Process(ROOM, vec![logged(1)])]);
        let commit = Input::Processed { room: ROOM, cursor: Seq(1), commits: true };
        assert_eq!(core.handle(commit), [Effect::Confirm(ROOM, Seq(1)), Effect::Send(ROOM), Effect::Synced]);
    }

    #[test]
    fn a_room_that_backs_off_sends_nothing_until_the_pause_is_over() {
        let mut core = online(3);
        assert_eq!(core.handle(Input::Wrote(ROOM)), [Effect::Send(ROOM)]);
        assert_eq!(core.handle(Input::BackOff(ROOM)), []);
        // Neither the commit that won nor anything new ends it.
        core.handle(Input::Delivered(ROOM, logged(4)));
        let won = Input::Processed { room: ROOM, cursor: Seq(4), commits: true };
        assert_eq!(core.handle(won), [Effect::Confirm(ROOM, Seq(4)), Effect::Synced]);
        assert_eq!(core.handle(Input::Wrote(ROOM)), []);
        assert_eq!(core.handle(Input::Resume(ROOM)), [Effect::Send(ROOM)]);
        assert_eq!(core.handle(Input::Resume(ROOM)), []);
    }

    #[test]
    fn a_room_that_is_over_is_not_read_on() {
        let mut core = online(3);
        core.handle(Input::Delivered(ROOM, logged(4)));
        assert_eq!(core.handle(Input::Over(ROOM, Seq(4))), [Effect::Confirm(ROOM, Seq(4)), Effect::Synced]);
        // The daemon goes on sending: it has been invited again.
        assert_eq!(core.handle(Input::Delivered(ROOM, logged(6))), []);
        assert!(core.synced());
    }

    #[test]
    fn a_push_that_crosses_an_empty_page_is_processed() {
        let mut core = online(3);
        assert_eq!(core.handle(Input::Behind(ROOM, Seq(4))), [Effect::Fetch(ROOM, Seq(3))]);
        assert_eq!(core.handle(Input::Delivered(ROOM, logged(4))), []);
        let effects = core.handle(Input::Paged(ROOM, vec![], Seq(3), Seq(0)));
        assert_eq!(effects, [Effect::Process(ROOM, vec![logged(4)])]);
    }

    #[test]
    fn what_is_deleted_is_missed_and_the_room_read_on_from_there() {
        let mut core = online(3);
        core.handle(Input::Behind(ROOM, Seq(9)));
        let page = vec![logged(8), logged(9)];
        let effects = core.handle(Input::Paged(ROOM, page, Seq(9), Seq(7)));
        assert_eq!(effects, [Effect::Miss(ROOM, Seq(7))]);
        assert!(!core.synced());
        assert_eq!(core.handle(processed(7)), [Effect::Fetch(ROOM, Seq(7))]);
        // All of it may be gone, and what this device has read is none of it.
        let mut core = online(3);
        core.handle(Input::Behind(ROOM, Seq(9)));
        assert_eq!(core.handle(Input::Paged(ROOM, vec![], Seq(9), Seq(9))), [Effect::Miss(ROOM, Seq(9))]);
        assert_eq!(core.handle(processed(9)), [Effect::Confirm(ROOM, Seq(9)), Effect::Synced]);
        core.handle(Input::Behind(ROOM, Seq(10)));
        let page = vec![logged(10)];
        let effects = core.handle(Input::Paged(ROOM, page.clone(), Seq(10), Seq(9)));
        assert_eq!(effects, [Effect::Process(ROOM, page)]);
    }

    #[test]
    fn an_empty_page_ends_the_reading_and_a_blocked_room_does_not_hold_up_the_rest() {
        let mut core = online(3);
        assert_eq!(core.handle(Input::Behind(ROOM, Seq(9))), [Effect::Fetch(ROOM, Seq(3))]);
        assert!(!core.synced());
        assert_eq!(core.handle(Input::Paged(ROOM, vec![], Seq(3), Seq(0))), [Effect::Synced]);
        core.handle(Input::Delivered(ROOM, logged(4)));
        assert_eq!(core.handle(Input::Blocked(ROOM)), [Effect::Synced]);
        assert_eq!(core.handle(Input::Delivered(ROOM, logged(5))), []);
        assert_eq!(core.handle(Input::Offline), []);
        assert!(!core.synced());
    }
}
