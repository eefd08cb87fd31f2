//! What the clients know: what is sent and not answered, which logs are being read, and what the checker has seen. Nothing
//! here waits; what the daemon says goes in, and what is to be said goes out.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use qchat_cli::net::reconnect::Backoff;
use qchat_proto::{
    ids::{MessageId, RoomId, Seq},
    wire::pb::{self, server_frame::Body},
};

use super::clients::Shape;
use crate::{
    device::noise,
    load::{
        account::Account,
        checker::{Checker, Reader, RoomNumber, Step, Verdict},
        envelope::{Ids, Template},
        frames::{self, Incoming},
        links::Heard,
        live::put_fetch,
        measure::{Clock, nanoseconds},
        rooms::Room,
    },
};

/// Pause before something that has failed is tried again.
const AGAIN: Duration = Duration::from_millis(20);
/// A connection that owes an answer and has said nothing for so long is given up, as a client's own timer would.
const SILENCE: Duration = Duration::from_secs(10);

/// What has happened to the clients since they came.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Envelopes that were acknowledged, each once.
    pub acknowledged: u64,
    /// Connections that ended and came again.
    pub reconnections: u64,
    /// Connections that owed an answer and said nothing.
    pub given_up: u64,
    /// How often a connection was told to catch up from the log.
    pub behind: u64,
    /// Refusals that ask to try again, by their code.
    pub refused: BTreeMap<String, u64>,
}

pub(super) struct Sender {
    pub(super) slot: usize,
    pub(super) template: Template,
    /// The first message of this round.
    pub(super) first: u32,
    /// The next message.
    pub(super) next: u32,
    /// Sent and not acknowledged, oldest first.
    pub(super) unanswered: VecDeque<u32>,
}

/// A room at one device.
pub(super) struct Place {
    pub(super) room: usize,
    pub(super) reader: Reader,
    pub(super) sender: Option<u32>,
    /// A page is on its way.
    pub(super) fetching: bool,
}

pub(super) struct Device {
    pub(super) places: Vec<Place>,
    pub(super) open: bool,
    /// When its connection last said something.
    pub(super) heard: u64,
}

pub(super) enum Later {
    Connect(usize),
    Send(u32, u32),
    Fetch(usize, RoomId),
}

pub(super) struct State {
    pub(super) shape: Shape,
    pub(super) ids: Ids,
    pub(super) clock: Clock,
    pub(super) checker: Checker,
    pub(super) rooms: Vec<(RoomId, RoomNumber)>,
    pub(super) by_id: HashMap<RoomId, usize>,
    pub(super) senders: Vec<Sender>,
    pub(super) devices: Vec<Device>,
    pub(super) later: VecDeque<(u64, Later)>,
    pub(super) sending: bool,
    pub(super) tally: Tally,
    /// Breaches that the checker of one round cannot know.
    pub(super) strange: Vec<String>,
    /// How they come back; without, at once.
    pub(super) manners: Option<Manners>,
}

/// How clients come back that wait as they should, by device.
pub(super) struct Manners {
    pub(super) backoffs: Vec<Backoff>,
    /// When a connection ended that the device had, if it has none now.
    since: Vec<Option<u64>>,
    /// How long devices were without a connection, nanoseconds.
    pub(super) returns: Vec<u64>,
}

impl Manners {
    pub(super) fn of(devices: usize) -> Self {
        let backoffs = std::iter::repeat_with(Backoff::default).take(devices).collect();
        Self { backoffs, since: vec![None; devices], returns: Vec::new() }
    }

    /// A connection has ended, or was not to be had: how long its device waits before the next.
    fn closed(&mut self, slot: usize, had: bool, asked: Option<u32>, now: u64) -> Duration {
        if let Some(since) = self.since.get_mut(slot)
            && had
        {
            since.get_or_insert(now);
        }
        self.backoffs.get_mut(slot).map_or(AGAIN, |backoff| backoff.pause(asked))
    }

    fn opened(&mut self, slot: usize, now: u64) {
        let since = self.since.get_mut(slot).and_then(Option::take);
        self.returns.extend(since.map(|since| now.saturating_sub(since)));
    }
}

impl State {
    /// Nobody is connected yet.
    pub(super) fn new(accounts: &[Account], rooms: &[Room], shape: Shape) -> Result<Self> {
        let mut run = [0; 8];
        run.copy_from_slice(&noise(8));
        let mut state = Self {
            shape,
            ids: Ids::new(u64::from_be_bytes(run)),
            clock: Clock::start(),
            checker: Checker::default(),
            by_id: rooms.iter().enumerate().map(|(at, room)| (room.id, at)).collect(),
            rooms: Vec::new(),
            senders: Vec::new(),
            devices: Vec::new(),
            later: VecDeque::new(),
            sending: false,
            tally: Tally::default(),
            strange: Vec::new(),
            manners: None,
        };
        state.devices.extend(accounts.iter().map(|_| Device { places: Vec::new(), open: false, heard: 0 }));
        for (at, room) in rooms.iter().enumerate() {
            let number = state.checker.room(room.id, room.last);
            state.rooms.push((room.id, number));
            for (place, slot) in room.members.iter().copied().enumerate() {
                let sends = place < shape.senders;
                let sender = sends.then(|| u32::try_from(state.senders.len())).transpose()?;
                if sends {
                    let payload = noise(shape.payload);
                    let template = Template::new(room.id, accounts[slot].device, room.last, payload)?;
                    let unanswered = VecDeque::new();
                    state.senders.push(Sender { slot, template, first: 0, next: 0, unanswered });
                }
                let reader = state.checker.reader(number);
                state.devices[slot].places.push(Place { room: at, reader, sender, fetching: false });
            }
        }
        for slot in 0..accounts.len() {
            state.later.push_back((0, Later::Connect(slot)));
        }
        Ok(state)
    }

    pub(super) fn begin(&mut self) {
        let cursors: Vec<Vec<Seq>> = (0..self.rooms.len())
            .map(|at| {
                let places = self.devices.iter().flat_map(|device| &device.places);
                places
                    .filter(|place| place.room == at)
                    .map(|place| self.checker.cursor(place.reader))
                    .collect()
            })
            .collect();
        let mut checker = Checker::default();
        for (at, (id, number)) in self.rooms.iter_mut().enumerate() {
            let (Some(first), Some(last)) = (cursors[at].iter().min(), cursors[at].iter().max()) else {
                continue;
            };
            if first != last {
                self.strange.push(format!(
                    "room {id} ends at seq {} for one reader and at {} for another",
                    first.0, last.0
                ));
            }
            *number = checker.room(*id, *last);
        }
        for device in &mut self.devices {
            for place in &mut device.places {
                let delivered = self.checker.delivered_to(place.reader);
                let reader = checker.reader_after(self.rooms[place.room].1, delivered);
                if !device.open {
                    checker.reconnected(reader);
                }
                place.reader = reader;
            }
        }
        for sender in &mut self.senders {
            sender.first = sender.next;
        }
        self.checker = checker;
        self.sending = true;
    }

    pub(super) fn judge(&mut self) -> Verdict {
        // What is not answered when a round is given up is nobody's afterwards.
        let checker = self.checker.clone();
        checker.finish()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.senders.iter().all(|sender| sender.unanswered.is_empty())
            && self.devices.iter().all(|device| {
                device.open
                    && device
                        .places
                        .iter()
                        .all(|place| !place.fetching && !self.checker.is_missing(place.reader))
            })
            && self.checker.is_settled()
    }

    /// What is waited for, in words.
    pub(super) fn standing(&self) -> String {
        let unanswered: usize = self.senders.iter().map(|sender| sender.unanswered.len()).sum();
        let open = self.devices.iter().filter(|device| device.open).count();
        let behind = self.devices.iter().flat_map(|device| &device.places);
        let behind = behind.filter(|place| place.fetching || self.checker.is_missing(place.reader)).count();
        format!(
            "{unanswered} messages are not answered, {open} of {} connections are open, {behind} logs are being read, \
             refused so far: {:?}",
            self.devices.len(),
            self.tally.refused
        )
    }

    /// Connections that owe an answer and do not give it.
    pub(super) fn silent(&self) -> Vec<usize> {
        let Some(since) = self.clock.now().checked_sub(nanoseconds(SILENCE)) else { return Vec::new() };
        let owes = |place: &Place| {
            place.fetching
                || place.sender.is_some_and(|sender| !self.senders[sender as usize].unanswered.is_empty())
        };
        let silent = self.devices.iter().enumerate();
        let silent = silent
            .filter(|(_, device)| device.open && device.heard < since && device.places.iter().any(owes));
        silent.map(|(slot, _)| slot).collect()
    }

    pub(super) fn later(&mut self, what: Later) {
        self.after(AGAIN, what);
    }

    /// Something is to be done after a pause; what comes first stands first.
    fn after(&mut self, pause: Duration, what: Later) {
        let at = self.clock.now() + nanoseconds(pause);
        let place = self.later.partition_point(|(other, _)| *other <= at);
        self.later.insert(place, (at, what));
    }

    /// A connection has ended; `asked`: after how many seconds the daemon wants to see it again.
    pub(super) fn closed(&mut self, slot: usize, asked: Option<u32>) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        let had = std::mem::take(&mut device.open);
        for place in &mut device.places {
            place.fetching = false;
        }
        self.tally.reconnections += 1;
        let now = self.clock.now();
        let pause = self.manners.as_mut().map_or(AGAIN, |manners| manners.closed(slot, had, asked, now));
        self.after(pause, Later::Connect(slot));
    }

    pub(super) fn heard(&mut self, slot: usize, heard: Heard, out: &mut Vec<u8>) -> Result<()> {
        self.devices[slot].heard = self.clock.now();
        match heard {
            Heard::Open => {
                self.opened(slot, out);
                Ok(())
            }
            Heard::Closed(farewell) => {
                self.closed(slot, farewell.retry_after);
                Ok(())
            }
            Heard::Frame(Incoming::Deliver(room, seq, message)) => {
                let place = self.place(slot, room)?;
                let reader = self.devices[slot].places[place].reader;
                match self.checker.delivered(reader, seq, message) {
                    Step::Taken => self.taken(room, seq, message),
                    Step::Known => {}
                    Step::Ahead => self.fetch(slot, place, out),
                }
                Ok(())
            }
            Heard::Frame(Incoming::Accepted(room, seq, message)) => self.accepted(room, seq, message, out),
            Heard::Frame(Incoming::Frame(Body::Page(page))) => self.page(slot, &page, out),
            Heard::Frame(Incoming::Frame(Body::Behind(behind))) => {
                self.tally.behind += 1;
                let place = self.place(slot, RoomId::try_from(behind.room_id.as_ref())?)?;
                self.checker.behind(self.devices[slot].places[place].reader, Seq(behind.last_seq));
                self.fetch(slot, place, out);
                Ok(())
            }
            Heard::Frame(Incoming::Frame(Body::Refused(refused))) => self.refused(slot, &refused),
            Heard::Frame(_) => Ok(()),
        }
    }

    fn opened(&mut self, slot: usize, out: &mut Vec<u8>) {
        self.devices[slot].open = true;
        let now = self.clock.now();
        if let Some(manners) = &mut self.manners {
            manners.opened(slot, now);
        }
        // It is a new connection: what came meanwhile is read from the log, what was not answered is sent again.
        for place in 0..self.devices[slot].places.len() {
            let Place { reader, sender, .. } = self.devices[slot].places[place];
            self.checker.reconnected(reader);
            self.fetch(slot, place, out);
            if let Some(sender) = sender {
                let of = &self.senders[sender as usize];
                for number in &of.unanswered {
                    of.template.put(out, self.ids.id(sender, *number));
                }
            }
        }
        self.fill(slot, out);
    }

    /// Each of a device's senders has as many underway as it may.
    pub(super) fn fill(&mut self, slot: usize, out: &mut Vec<u8>) {
        if !self.sending {
            return;
        }
        for place in &self.devices[slot].places {
            let Some(sender) = place.sender else { continue };
            let of = &mut self.senders[sender as usize];
            while of.unanswered.len() < self.shape.window {
                of.unanswered.push_back(of.next);
                of.template.put(out, self.ids.id(sender, of.next));
                of.next += 1;
            }
        }
    }

    fn place(&self, slot: usize, room: RoomId) -> Result<usize> {
        let at = self.devices[slot].places.iter().position(|place| self.rooms[place.room].0 == room);
        at.with_context(|| format!("an envelope of room {room} reaches a device that is not in it"))
    }

    /// A reader has it.
    fn taken(&mut self, room: RoomId, seq: Seq, message: MessageId) {
        let Some((sender, number)) = self.ids.read(message) else {
            return self.strange.push(format!("room {room} has a message of nobody's at seq {}", seq.0));
        };
        if self.senders.get(sender as usize).is_some_and(|sender| number < sender.first) {
            self.strange.push(format!(
                "doubled: message {message} of an earlier round stands at seq {} of room {room}",
                seq.0
            ));
        }
    }

    fn accepted(&mut self, room: RoomId, seq: Seq, message: MessageId, out: &mut Vec<u8>) -> Result<()> {
        let at = *self.by_id.get(&room).context("an acknowledgement for a strange room")?;
        let (sender, number) = self.ids.read(message).context("an acknowledgement of a strange message")?;
        let of = self.senders.get_mut(sender as usize).context("an acknowledgement for a strange sender")?;
        if number >= of.first {
            self.checker.acknowledged(self.rooms[at].1, message, seq);
        }
        // It may have been sent again, and both were answered.
        if let Some(place) = of.unanswered.iter().position(|waiting| *waiting == number) {
            of.unanswered.remove(place);
            self.tally.acknowledged += 1;
            let slot = of.slot;
            self.fill(slot, out);
        }
        Ok(())
    }

    fn refused(&mut self, slot: usize, refused: &pb::Refused) -> Result<()> {
        let fault = refused.fault.clone().unwrap_or_default();
        if !["unavailable", "internal", "rate_limited"].contains(&fault.code.as_str()) {
            bail!("refused: {}: {}", fault.code, fault.message);
        }
        *self.tally.refused.entry(fault.code).or_default() += 1;
        let room = RoomId::try_from(refused.room_id.as_ref())?;
        if refused.message_id.is_empty() {
            let place = self.place(slot, room)?;
            self.devices[slot].places[place].fetching = false;
            self.later(Later::Fetch(slot, room));
            return Ok(());
        }
        let message = MessageId::try_from(refused.message_id.as_ref())?;
        let (sender, number) = self.ids.read(message).context("a refusal of a strange message")?;
        self.later(Later::Send(sender, number));
        Ok(())
    }

    pub(super) fn fetch_room(&mut self, slot: usize, room: RoomId, out: &mut Vec<u8>) -> Result<()> {
        let place = self.place(slot, room)?;
        self.fetch(slot, place, out);
        Ok(())
    }

    fn fetch(&mut self, slot: usize, place: usize, out: &mut Vec<u8>) {
        let at = &mut self.devices[slot].places[place];
        if !at.fetching {
            at.fetching = true;
            put_fetch(out, self.rooms[at.room].0, self.checker.cursor(at.reader));
        }
    }

    fn page(&mut self, slot: usize, page: &pb::Page, out: &mut Vec<u8>) -> Result<()> {
        let room = RoomId::try_from(page.room_id.as_ref())?;
        let place = self.place(slot, room)?;
        let reader = self.devices[slot].places[place].reader;
        self.devices[slot].places[place].fetching = false;
        if self.checker.is_missing(reader) {
            // It may take more than one page.
            self.checker.behind(reader, Seq(page.last_seq));
        }
        for (seq, message) in frames::page(page)? {
            if self.checker.read(reader, seq, message) {
                self.taken(room, seq, message);
            }
        }
        self.checker.read_to_end(reader, Seq(page.last_seq));
        if self.checker.is_missing(reader) {
            self.fetch(slot, place, out);
        }
        Ok(())
    }
}
