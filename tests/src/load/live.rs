//! Envelopes through rooms, as many as the daemon takes (closed loop) or as many a second as were asked for (open loop,
//! measured from the time at which each should have been sent). All connections are served by one thread, and whatever
//! reaches them is checked.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use qchat_proto::{
    ids::{MessageId, RoomId, Seq},
    wire::{
        frame,
        pb::{self, client_frame, server_frame::Body},
    },
};
use serde::Serialize;

use super::{
    account::{Account, Rest},
    checker::{Checker, Reader, RoomNumber, Step, Verdict},
    envelope::{Ids, Template},
    frames::{self, Incoming, put_binary},
    links::{Heard, Links},
    measure::{Clock, Progress, Quantiles, Times, Usage, nanoseconds},
    pages::Pagers,
    rooms::Room,
};
use crate::device::noise;

/// How long what was sent may take to arrive once nothing further is sent.
const SETTLING: Duration = Duration::from_secs(30);
/// How long connections may take to open.
const OPENING: Duration = Duration::from_mins(1);
/// Bytes that wait for the daemon to take them; more are not sent, and are late.
const UNSENT: usize = 1024 * 1024;
/// How long before a message is due epoll is no longer trusted to wake in time, nanoseconds.
const EARLY: u64 = 150_000;
/// Pause before a connection that was refused is tried again.
const AGAIN: u64 = 100_000_000;

/// How messages follow one another.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Each sender has so many unanswered at any time.
    Window(u32),
    /// So many a second in all, whether answers come or not.
    Rate(f64),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Load {
    /// Rooms.
    pub rooms: usize,
    /// Members of each.
    pub members: usize,
    /// Members of each that send.
    pub senders: usize,
    /// Bytes of a payload.
    pub payload: usize,
    /// How fast.
    pub pace: Pace,
    /// Not measured.
    pub warm_up: Duration,
    /// Measured.
    pub duration: Duration,
    /// Every so often all connections are cut at once and come again.
    pub storm: Option<Duration>,
    /// Connections that the daemon ends come again.
    pub reconnect: bool,
    /// Whose use of the machine is told.
    #[serde(skip)]
    pub pid: Option<u32>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What was done.
    pub load: Load,
    /// Connections.
    pub connections: usize,
    /// Deliveries a second while it was measured, the senders' own included.
    pub deliveries_per_second: f64,
    /// Acknowledged envelopes a second while it was measured.
    pub envelopes_per_second: f64,
    /// From the send, or from when it was due, to each member, milliseconds.
    pub delivery_ms: Quantiles,
    /// The same to the acknowledgement.
    pub acknowledgement_ms: Quantiles,
    /// How often a connection was told to catch up from the log.
    pub behind: u64,
    /// Connections that ended and came again.
    pub reconnections: u64,
    /// Pages that others read meanwhile, and the envelopes in them.
    pub pages: u64,
    /// Envelopes in those pages.
    pub paged_envelopes: u64,
    /// Share of one core that the daemon used while it was measured.
    pub daemon_cores: Option<f64>,
    /// Microseconds of processor time of the daemon for each delivery.
    pub daemon_us_per_delivery: Option<f64>,
    /// The daemon's resident memory at the end, KiB.
    pub daemon_rss_kib: Option<u64>,
    /// Envelopes that were acknowledged, warm-up included.
    pub acknowledged: u64,
    /// Envelopes that stood in a log without an acknowledgement.
    pub unacknowledged: u64,
    /// Breaches of the promise.
    pub breaches: u64,
    /// The first of them, in words.
    pub told: Vec<String>,
}

struct Sender {
    slot: usize,
    template: Template,
    /// When each message was sent, or due.
    times: Vec<u64>,
    /// Sent and not answered, oldest first.
    unanswered: VecDeque<u32>,
}

/// A room at one connection.
struct Place {
    room: usize,
    reader: Reader,
    sender: Option<u32>,
    /// A page is on its way.
    fetching: bool,
}

struct Live {
    ids: Ids,
    clock: Clock,
    checker: Checker,
    rooms: Vec<(RoomId, RoomNumber)>,
    by_id: HashMap<RoomId, usize>,
    senders: Vec<Sender>,
    places: Vec<Vec<Place>>,
    pace: Pace,
    /// Nothing is sent until all connections are open.
    begun: bool,
    /// When measuring begins and ends.
    from: u64,
    to: u64,
    open: usize,
    deliveries: u64,
    envelopes: u64,
    delivery: Times,
    acknowledgement: Times,
    behind: u64,
}

/// Runs it.
///
/// # Errors
/// When the daemon refuses what it should take, or ends a connection that is not to come again.
pub fn run(
    rest: &Rest,
    accounts: &[Account],
    rooms: &[Room],
    load: Load,
    mut pagers: Pagers,
    progress: &Progress,
) -> Result<Outcome> {
    let mut live = Live::new(accounts, rooms, load)?;
    let used: Vec<usize> = (0..accounts.len()).filter(|at| !live.places[*at].is_empty()).collect();
    let mut links = Links::new(rest.server(), accounts.len())?;
    for slot in &used {
        links.connect(*slot, &accounts[*slot].token)?;
    }
    pagers.connect(&mut links, accounts)?;
    let connected = used.len() + pagers.count();
    while live.open < connected {
        let closed = live.turn(&mut links, &mut pagers, Duration::from_secs(1))?;
        if let Some((_, why)) = closed.into_iter().next() {
            bail!("a connection does not open: {why}");
        }
        ensure!(live.clock.elapsed() < OPENING, "{} of {connected} connections have opened", live.open);
        progress.say(|| format!("{} of {connected} connections", live.open));
    }

    let start = live.clock.now();
    live.from = start + nanoseconds(load.warm_up);
    live.to = live.from + nanoseconds(load.duration);
    live.begun = true;
    if let Pace::Window(window) = load.pace {
        for slot in &used {
            live.fill(&mut links, *slot, window)?;
        }
    }
    let mut due = Due { next: start, sent: 0 };
    let mut storm = load.storm.map(|every| live.from + nanoseconds(every));
    let mut again: VecDeque<(u64, usize)> = VecDeque::new();
    let mut reconnections = 0;
    let usage = || load.pid.map(Usage::of).transpose();
    let (mut before, mut after) = (None, None);
    let mut shown = (start, 0);
    let end = live.to + nanoseconds(SETTLING);
    loop {
        let now = live.clock.now();
        if now >= live.from && before.is_none() {
            before = Some((usage()?, pagers.read()));
        }
        if now >= live.to && after.is_none() {
            after = Some((usage()?, pagers.read()));
            pagers.stop();
        }
        if now >= live.to && (live.is_done() || now >= end) {
            break;
        }
        if let Some(at) = storm
            && now >= at
        {
            storm = load.storm.map(|every| at + nanoseconds(every)).filter(|next| *next < live.to);
            for slot in &used {
                links.cut(*slot);
                again.push_back((now, *slot));
            }
        }
        while let Some((at, slot)) = again.front().copied()
            && at <= now
        {
            again.pop_front();
            reconnections += 1;
            links.connect(slot, &accounts[slot].token)?;
        }
        let mut patience = Duration::from_millis(20);
        if let Pace::Rate(rate) = load.pace
            && now < live.to
        {
            patience = patience.min(live.send_due(&mut links, &mut due, rate)?);
        }
        let closed = live.turn(&mut links, &mut pagers, patience)?;
        for (slot, why) in closed {
            ensure!(load.reconnect || load.storm.is_some(), "a connection ended: {why}");
            again.push_back((live.clock.now() + AGAIN, slot));
        }
        let taken = live.delivery.quantiles().count;
        if now > shown.0 + 1_000_000_000 {
            let rate = (taken - shown.1) * 1_000_000_000 / (now - shown.0);
            progress.say(|| format!("{rate} deliveries/s"));
            shown = (now, taken);
        }
    }
    progress.clear();
    let (Some((usage_before, pages_before)), Some((usage_after, pages_after))) = (before, after) else {
        bail!("the run ended before it was measured")
    };
    let seconds = load.duration.as_secs_f64();
    let per_second = |count: u64| to_f64(count) / seconds;
    let cpu = usage_before.zip(usage_after).map(|(before, after)| after.cpu_seconds - before.cpu_seconds);
    let Live { deliveries, envelopes, delivery, acknowledgement, behind, checker, .. } = live;
    let verdict: Verdict = checker.finish();
    Ok(Outcome {
        load,
        connections: connected,
        deliveries_per_second: per_second(deliveries),
        envelopes_per_second: per_second(envelopes),
        delivery_ms: delivery.quantiles(),
        acknowledgement_ms: acknowledgement.quantiles(),
        behind,
        reconnections,
        pages: pages_after.0 - pages_before.0,
        paged_envelopes: pages_after.1 - pages_before.1,
        daemon_cores: cpu.map(|cpu| cpu / seconds),
        daemon_us_per_delivery: cpu.map(|cpu| cpu * 1e6 / to_f64(deliveries.max(1))),
        daemon_rss_kib: usage_after.map(|usage| usage.rss_kib),
        acknowledged: verdict.acknowledged,
        unacknowledged: verdict.unacknowledged,
        breaches: verdict.breaches,
        told: verdict.told.iter().map(ToString::to_string).collect(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts that people read")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

/// The messages of an open loop.
struct Due {
    next: u64,
    sent: u64,
}

impl Live {
    fn new(accounts: &[Account], rooms: &[Room], load: Load) -> Result<Self> {
        let mut run = [0; 8];
        run.copy_from_slice(&noise(8));
        let mut checker = Checker::default();
        let mut places: Vec<Vec<Place>> = accounts.iter().map(|_| Vec::new()).collect();
        let (mut senders, mut numbers) = (Vec::new(), Vec::new());
        for (at, room) in rooms.iter().enumerate() {
            let number = checker.room(room.id, room.last);
            numbers.push((room.id, number));
            for (place, slot) in room.members.iter().copied().enumerate() {
                let sends = place < load.senders;
                let sender = sends.then(|| u32::try_from(senders.len())).transpose()?;
                if sends {
                    senders.push(Sender {
                        slot,
                        template: Template::new(
                            room.id,
                            accounts[slot].device,
                            room.last,
                            noise(load.payload),
                        )?,
                        times: Vec::new(),
                        unanswered: VecDeque::new(),
                    });
                }
                let reader = checker.reader(number);
                places[slot].push(Place { room: at, reader, sender, fetching: false });
            }
        }
        Ok(Self {
            ids: Ids::new(u64::from_be_bytes(run)),
            clock: Clock::start(),
            checker,
            by_id: rooms.iter().enumerate().map(|(at, room)| (room.id, at)).collect(),
            rooms: numbers,
            senders,
            places,
            pace: load.pace,
            begun: false,
            from: u64::MAX,
            to: u64::MAX,
            open: 0,
            deliveries: 0,
            envelopes: 0,
            delivery: Times::new()?,
            acknowledgement: Times::new()?,
            behind: 0,
        })
    }

    fn is_done(&self) -> bool {
        self.senders.iter().all(|sender| sender.unanswered.is_empty()) && self.checker.is_settled()
    }

    /// Each of a connection's senders has so many underway.
    fn fill(&mut self, links: &mut Links, slot: usize, window: u32) -> Result<()> {
        let now = self.clock.now();
        let senders: Vec<u32> = self.places[slot].iter().filter_map(|place| place.sender).collect();
        for sender in senders {
            for _ in 0..window {
                self.send(sender, now, links.out(slot))?;
            }
        }
        links.flush(slot)
    }

    /// Sends what is due, each message by the next sender; gives the time until the next is.
    fn send_due(&mut self, links: &mut Links, due: &mut Due, rate: f64) -> Result<Duration> {
        let count = self.senders.len() as u64;
        while due.next <= self.clock.now() && due.next < self.to {
            let sender = u32::try_from(due.sent % count)?;
            let slot = self.senders[sender as usize].slot;
            // A connection that takes nothing holds up the whole loop: what follows is late, and is measured so.
            if links.waiting(slot) > UNSENT {
                return Ok(Duration::from_millis(1));
            }
            self.send(sender, due.next, links.out(slot))?;
            links.flush(slot)?;
            due.sent += 1;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "nanoseconds between two"
            )]
            let gap = (1e9 / rate) as u64;
            due.next += gap.max(1);
        }
        Ok(Duration::from_nanos(due.next.saturating_sub(self.clock.now()).saturating_sub(EARLY)))
    }

    /// The next message of a sender; without a connection it goes when there is one.
    fn send(&mut self, sender: u32, time: u64, out: Option<&mut Vec<u8>>) -> Result<()> {
        let of = &mut self.senders[sender as usize];
        let number = u32::try_from(of.times.len())?;
        of.times.push(time);
        of.unanswered.push_back(number);
        if let Some(out) = out {
            of.template.put(out, self.ids.id(sender, number));
        }
        Ok(())
    }

    /// Hears what has happened; gives the connections that have ended.
    fn turn(
        &mut self,
        links: &mut Links,
        pagers: &mut Pagers,
        patience: Duration,
    ) -> Result<Vec<(usize, String)>> {
        let mut closed = Vec::new();
        links.turn(patience, |slot, heard, out| {
            if pagers.has(slot) {
                self.open += usize::from(matches!(heard, Heard::Open));
                return pagers.heard(slot, heard, out);
            }
            match heard {
                Heard::Open => {
                    self.opened(slot, out);
                    Ok(())
                }
                Heard::Closed(why) => {
                    closed.push((slot, why.to_string()));
                    Ok(())
                }
                Heard::Frame(Incoming::Deliver(room, seq, message)) => {
                    self.delivered(slot, room, seq, message, out)
                }
                Heard::Frame(Incoming::Accepted(room, seq, message)) => {
                    self.accepted(room, seq, message, out)
                }
                Heard::Frame(Incoming::Frame(Body::Page(page))) => self.page(slot, &page, out),
                Heard::Frame(Incoming::Frame(Body::Behind(behind))) => {
                    self.behind += 1;
                    let place = self.place(slot, RoomId::try_from(behind.room_id.as_ref())?)?;
                    self.checker.behind(self.places[slot][place].reader, Seq(behind.last_seq));
                    self.fetch(slot, place, out);
                    Ok(())
                }
                Heard::Frame(Incoming::Frame(Body::Refused(refused))) => {
                    let fault = refused.fault.unwrap_or_default();
                    bail!("refused: {}: {}", fault.code, fault.message)
                }
                Heard::Frame(_) => Ok(()),
            }
        })?;
        Ok(closed)
    }

    fn opened(&mut self, slot: usize, out: &mut Vec<u8>) {
        self.open += 1;
        if !self.begun {
            return;
        }
        // It is a new connection: what came meanwhile is read from the log, what was not answered is sent again.
        for place in 0..self.places[slot].len() {
            self.checker.reconnected(self.places[slot][place].reader);
            self.places[slot][place].fetching = false;
            self.fetch(slot, place, out);
            if let Some(sender) = self.places[slot][place].sender {
                let of = &self.senders[sender as usize];
                for number in &of.unanswered {
                    of.template.put(out, self.ids.id(sender, *number));
                }
            }
        }
    }

    fn place(&self, slot: usize, room: RoomId) -> Result<usize> {
        let at = self.places[slot].iter().position(|place| self.rooms[place.room].0 == room);
        at.with_context(|| format!("an envelope of room {room} reaches a device that is not in it"))
    }

    fn delivered(
        &mut self,
        slot: usize,
        room: RoomId,
        seq: Seq,
        message: MessageId,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let place = self.place(slot, room)?;
        match self.checker.delivered(self.places[slot][place].reader, seq, message) {
            Step::Taken => self.taken(message),
            Step::Known => {}
            Step::Ahead => self.fetch(slot, place, out),
        }
        Ok(())
    }

    /// A reader has it.
    fn taken(&mut self, message: MessageId) {
        let now = self.clock.now();
        if now >= self.from && now < self.to {
            self.deliveries += 1;
        }
        let Some((sender, number)) = self.ids.read(message) else { return };
        let time = self.senders.get(sender as usize).and_then(|sender| sender.times.get(number as usize));
        if let Some(time) = time
            && *time >= self.from
            && *time < self.to
        {
            self.delivery.add(now.saturating_sub(*time));
        }
    }

    fn accepted(&mut self, room: RoomId, seq: Seq, message: MessageId, out: &mut Vec<u8>) -> Result<()> {
        let now = self.clock.now();
        let at = *self.by_id.get(&room).context("an acknowledgement for a strange room")?;
        self.checker.acknowledged(self.rooms[at].1, message, seq);
        let (sender, number) = self.ids.read(message).context("an acknowledgement of a strange message")?;
        let of = self.senders.get_mut(sender as usize).context("an acknowledgement for a strange sender")?;
        let Some(place) = of.unanswered.iter().position(|waiting| *waiting == number) else {
            // It was sent again, and both were answered.
            return Ok(());
        };
        of.unanswered.remove(place);
        let time = of.times.get(number as usize).copied().unwrap_or(now);
        if time >= self.from && time < self.to {
            self.acknowledgement.add(now.saturating_sub(time));
        }
        if now >= self.from && now < self.to {
            self.envelopes += 1;
        }
        if matches!(self.pace, Pace::Window(_)) && now < self.to {
            self.send(sender, now, Some(out))?;
        }
        Ok(())
    }

    fn fetch(&mut self, slot: usize, place: usize, out: &mut Vec<u8>) {
        let at = &mut self.places[slot][place];
        if !at.fetching {
            at.fetching = true;
            let after = self.checker.cursor(at.reader);
            put_fetch(out, self.rooms[at.room].0, after);
        }
    }

    fn page(&mut self, slot: usize, page: &pb::Page, out: &mut Vec<u8>) -> Result<()> {
        let place = self.place(slot, RoomId::try_from(page.room_id.as_ref())?)?;
        let reader = self.places[slot][place].reader;
        self.places[slot][place].fetching = false;
        if self.checker.is_missing(reader) {
            // It may take more than one page.
            self.checker.behind(reader, Seq(page.last_seq));
        }
        for (seq, message) in frames::page(page)? {
            if self.checker.read(reader, seq, message) {
                self.taken(message);
            }
        }
        self.checker.read_to_end(reader, Seq(page.last_seq));
        if self.checker.is_missing(reader) {
            self.fetch(slot, place, out);
        }
        Ok(())
    }
}

/// Asks for a page.
pub(crate) fn put_fetch(out: &mut Vec<u8>, room: RoomId, after: Seq) {
    let request =
        pb::Fetch { request_id: 0, room_id: room.as_bytes().to_vec().into(), after: after.0, limit: 0 };
    put_binary(out, &frame::client_frame(client_frame::Body::Fetch(request)));
}
