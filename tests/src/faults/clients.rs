//! The clients under whom the daemon is broken. They do what a real one does: send with the same id until it is
//! acknowledged, come back when a connection ends, log in again when a token has expired, and read from the log what they
//! have missed. The checker sees all that reaches them.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use qchat_proto::{
    crypto::entropy::SystemEntropy,
    ids::{MessageId, RoomId, Seq},
    wire::pb::{self, server_frame::Body},
};
use qchatd::service::seed::Plan;
use tokio::runtime::{Builder, Runtime};
use url::Url;

use crate::{
    device::noise,
    load::{
        account::{Account, Rest, Source},
        checker::{Checker, Reader, RoomNumber, Step, Verdict},
        envelope::{Ids, Template},
        frames::{self, Incoming},
        links::{Heard, Links},
        live::put_fetch,
        measure::{Clock, Progress, nanoseconds},
        rooms::{self, Room},
    },
};

/// How long anything may take that has to happen at all.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Pause before something that has failed is tried again.
const AGAIN: Duration = Duration::from_millis(20);
/// A connection that owes an answer and has said nothing for so long is given up, as a client's own timer would.
const SILENCE: Duration = Duration::from_secs(10);

/// How many clients, and what they send.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Devices, each of an account of its own.
    pub accounts: usize,
    /// Rooms.
    pub rooms: usize,
    /// Members of each.
    pub members: usize,
    /// Members of each that send.
    pub senders: usize,
    /// Unanswered messages of each sender.
    pub window: usize,
    /// Bytes of a message.
    pub payload: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self { accounts: 6, rooms: 3, members: 4, senders: 2, window: 4, payload: 300 }
    }
}

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

struct Sender {
    slot: usize,
    template: Template,
    /// The first message of this round.
    first: u32,
    /// The next message.
    next: u32,
    /// Sent and not acknowledged, oldest first.
    unanswered: VecDeque<u32>,
}

/// A room at one device.
struct Place {
    room: usize,
    reader: Reader,
    sender: Option<u32>,
    /// A page is on its way.
    fetching: bool,
}

struct Device {
    places: Vec<Place>,
    open: bool,
    /// It does not come back by itself.
    away: bool,
    /// When its connection last said something.
    heard: u64,
}

enum Later {
    Connect(usize),
    Send(u32, u32),
    Fetch(usize, RoomId),
}

/// All clients.
pub struct Clients {
    runtime: Runtime,
    rest: Rest,
    accounts: Vec<Account>,
    links: Links,
    state: State,
}

struct State {
    shape: Shape,
    ids: Ids,
    clock: Clock,
    checker: Checker,
    rooms: Vec<(RoomId, RoomNumber)>,
    by_id: HashMap<RoomId, usize>,
    senders: Vec<Sender>,
    devices: Vec<Device>,
    later: VecDeque<(u64, Later)>,
    sending: bool,
    tally: Tally,
    /// Breaches that the checker of one round cannot know.
    strange: Vec<String>,
}

impl Clients {
    /// Registers accounts at the daemon at `server` and makes their rooms. Their connections open when they are used.
    ///
    /// # Errors
    /// When the daemon refuses something.
    pub fn register(server: &str, shape: Shape) -> Result<Self> {
        Self::from(server, Source::Register, shape)
    }

    fn from(server: &str, source: Source, shape: Shape) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let rest = Rest::new(server.parse::<Url>()?)?;
        let quiet = Progress::new(true);
        let (accounts, rooms) = runtime.block_on(async {
            let accounts = rest.accounts(source, shape.accounts, &quiet).await?;
            let rooms = rooms::make(&rest, &accounts, shape.rooms, shape.members, &quiet).await?;
            anyhow::Ok((accounts, rooms))
        })?;
        Self::of(runtime, rest, accounts, &rooms, shape)
    }

    /// The same with the accounts of a database that `qchatd admin seed` has filled.
    ///
    /// # Errors
    /// When the daemon refuses something.
    pub fn seeded(server: &str, seed: u64, shape: Shape) -> Result<Self> {
        let accounts = u32::try_from(shape.accounts)?;
        let plan = Plan { accounts, rooms: 0, members: 1, messages: 0, size: 0, seed };
        Self::from(server, Source::Seeded(plan), shape)
    }

    fn of(runtime: Runtime, rest: Rest, accounts: Vec<Account>, rooms: &[Room], shape: Shape) -> Result<Self> {
        let mut run = [0; 8];
        run.copy_from_slice(&noise(8));
        let links = Links::new(rest.server(), accounts.len())?;
        let mut state = State {
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
        };
        state.devices.extend(accounts.iter().map(|_| Device {
            places: Vec::new(),
            open: false,
            away: false,
            heard: 0,
        }));
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
        Ok(Self { runtime, rest, accounts, links, state })
    }

    /// How many devices there are.
    pub fn count(&self) -> usize {
        self.accounts.len()
    }

    /// Asks for a further room, beside the load: the status of the answer, and its text.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn create_room(&self) -> Result<(u16, String)> {
        let token = self.accounts.first().map_or("", |account| &account.token);
        let room = RoomId::random(&SystemEntropy)?;
        self.runtime.block_on(self.rest.try_create_room(token, room))
    }

    /// Says bytes of its own on a device's connection, when that is open.
    ///
    /// # Errors
    /// When epoll fails.
    pub fn say(&mut self, device: usize, bytes: &[u8]) -> Result<()> {
        if let Some(out) = self.links.out(device) {
            out.extend_from_slice(bytes);
        }
        self.links.flush(device)
    }

    /// A device comes by another way from its next connection on.
    pub fn route(&mut self, device: usize, address: SocketAddr) {
        self.links.route(device, address);
    }

    /// What has happened so far.
    pub fn tally(&self) -> &Tally {
        &self.state.tally
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.state.devices.iter().filter(|device| device.open).count()
    }

    /// Begins a round: what follows is checked by itself, and everybody sends.
    ///
    /// # Errors
    /// When epoll fails.
    pub fn begin(&mut self) -> Result<()> {
        self.state.begin();
        for slot in 0..self.accounts.len() {
            if let Some(out) = self.links.out(slot) {
                self.state.fill(slot, out);
            }
            self.links.flush(slot)?;
        }
        Ok(())
    }

    /// Lets everything go on for so long.
    ///
    /// # Errors
    /// When the daemon refuses what it should take.
    pub fn go_on(&mut self, time: Duration) -> Result<()> {
        let until = self.state.clock.now() + nanoseconds(time);
        loop {
            let left = until.saturating_sub(self.state.clock.now());
            if left == 0 {
                return Ok(());
            }
            self.turn(Duration::from_nanos(left))?;
        }
    }

    /// Lets everything go on until `enough`.
    ///
    /// # Errors
    /// When that takes too long, or the daemon refuses what it should take.
    pub fn until(&mut self, what: &str, enough: impl Fn(&Self) -> bool) -> Result<()> {
        let end = self.state.clock.now() + nanoseconds(PATIENCE);
        while !enough(self) {
            ensure!(self.state.clock.now() < end, "{what}: not within {PATIENCE:?}; {}", self.state.standing());
            self.turn(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Lets everything go on until so many further messages are acknowledged.
    ///
    /// # Errors
    /// See [`Self::until`].
    pub fn acknowledged(&mut self, further: u64) -> Result<()> {
        let wanted = self.state.tally.acknowledged + further;
        self.until(&format!("{further} acknowledgements"), |all| all.state.tally.acknowledged >= wanted)
    }

    /// Cuts a device's connection; it comes again.
    pub fn cut(&mut self, device: usize) {
        self.links.cut(device);
        self.state.closed(device);
    }

    /// Ends a round: nothing further is sent, everything is answered and read, and the verdict is given.
    ///
    /// # Errors
    /// When the daemon refuses what it should take, or does not answer.
    pub fn end(&mut self) -> Result<Verdict> {
        self.state.sending = false;
        let settled = self.until("everything is answered and read", |all| all.state.is_settled());
        let verdict = self.state.judge();
        match settled {
            // What is lost says more than that something was waited for.
            Err(error) if verdict.is_kept() => Err(error),
            _ => Ok(verdict),
        }
    }

    /// What the checker of one round cannot know, and was seen.
    pub fn strange(&self) -> &[String] {
        &self.state.strange
    }

    fn turn(&mut self, patience: Duration) -> Result<()> {
        let now = self.state.clock.now();
        while let Some((at, _)) = self.state.later.front()
            && *at <= now
        {
            match self.state.later.pop_front() {
                Some((_, Later::Connect(slot))) => self.connect(slot)?,
                Some((_, Later::Send(sender, number))) => self.resend(sender, number)?,
                Some((_, Later::Fetch(slot, room))) => {
                    if let Some(out) = self.links.out(slot) {
                        self.state.fetch_room(slot, room, out)?;
                    }
                    self.links.flush(slot)?;
                }
                None => {}
            }
        }
        let next = self.state.later.front().map(|(at, _)| Duration::from_nanos(at.saturating_sub(now)));
        let patience = next.map_or(patience, |next| next.min(patience));
        let state = &mut self.state;
        let mut expired = Vec::new();
        self.links.turn(patience, |slot, heard, out| {
            if let Heard::Closed(why) = &heard
                && why.starts_with("HTTP/1.1 401")
            {
                expired.push(slot);
            }
            state.heard(slot, heard, out)
        })?;
        for slot in expired {
            let account = self.accounts.get_mut(slot).context("no such account")?;
            // A daemon that is not there refuses this too, and the next connection asks again.
            let _ = self.runtime.block_on(self.rest.log_in_again(account));
        }
        for slot in self.state.silent() {
            self.state.tally.given_up += 1;
            self.cut(slot);
        }
        Ok(())
    }

    fn connect(&mut self, slot: usize) -> Result<()> {
        let token = &self.accounts.get(slot).context("no such account")?.token;
        self.links.connect(slot, token)
    }

    fn resend(&mut self, sender: u32, number: u32) -> Result<()> {
        let of = &self.state.senders[sender as usize];
        if of.unanswered.contains(&number)
            && let Some(out) = self.links.out(of.slot)
        {
            of.template.put(out, self.state.ids.id(sender, number));
            self.links.flush(of.slot)?;
        }
        Ok(())
    }
}

impl State {
    fn begin(&mut self) {
        let cursors: Vec<Vec<Seq>> = (0..self.rooms.len())
            .map(|at| {
                let places = self.devices.iter().flat_map(|device| &device.places);
                places.filter(|place| place.room == at).map(|place| self.checker.cursor(place.reader)).collect()
            })
            .collect();
        let mut checker = Checker::default();
        for (at, (id, number)) in self.rooms.iter_mut().enumerate() {
            let (Some(first), Some(last)) = (cursors[at].iter().min(), cursors[at].iter().max()) else { continue };
            if first != last {
                self.strange.push(format!("room {id} ends at seq {} for one reader and at {} for another", first.0, last.0));
            }
            *number = checker.room(*id, *last);
        }
        for device in &mut self.devices {
            for place in &mut device.places {
                let reader = checker.reader(self.rooms[place.room].1);
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

    fn judge(&mut self) -> Verdict {
        // What is not answered when a round is given up is nobody's afterwards.
        let checker = self.checker.clone();
        checker.finish()
    }

    fn is_settled(&self) -> bool {
        self.senders.iter().all(|sender| sender.unanswered.is_empty())
            && self.devices.iter().all(|device| {
                device.away
                    || device.open
                        && device
                            .places
                            .iter()
                            .all(|place| !place.fetching && !self.checker.is_missing(place.reader))
            })
            && self.checker.is_settled()
    }

    /// What is waited for, in words.
    fn standing(&self) -> String {
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
    fn silent(&self) -> Vec<usize> {
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

    fn later(&mut self, what: Later) {
        self.later.push_back((self.clock.now() + nanoseconds(AGAIN), what));
    }

    fn closed(&mut self, slot: usize) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        device.open = false;
        for place in &mut device.places {
            place.fetching = false;
        }
        self.tally.reconnections += 1;
        self.later(Later::Connect(slot));
    }

    fn heard(&mut self, slot: usize, heard: Heard, out: &mut Vec<u8>) -> Result<()> {
        self.devices[slot].heard = self.clock.now();
        match heard {
            Heard::Open => self.opened(slot, out),
            Heard::Closed(_) => {
                self.closed(slot);
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

    fn opened(&mut self, slot: usize, out: &mut Vec<u8>) -> Result<()> {
        self.devices[slot].open = true;
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
        Ok(())
    }

    /// Each of a device's senders has as many underway as it may.
    fn fill(&mut self, slot: usize, out: &mut Vec<u8>) {
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
            self.strange.push(format!("doubled: message {message} of an earlier round stands at seq {} of room {room}", seq.0));
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

    fn fetch_room(&mut self, slot: usize, room: RoomId, out: &mut Vec<u8>) -> Result<()> {
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
