//! A device: what it keeps through everything (outbox, cursor, what it has read), and one connection after the other. It
//! goes by what it is told and by pages, and never looks by itself, so that what nobody tells it stays missing.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use qchat_proto::{
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    wire::{
        frame::{Envelope, Invitation, Kind, Logged, MembershipChange, Operation},
        tree::TreeHash,
    },
};
use qchatd::service::relay::{Publication, Refusal};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    chance::lock,
    node::{Heard, Line, Node, Request},
    world::{Phase, World, account_of},
};

/// How long a device waits for an answer before it gives a connection up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a device believes it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Out,
    Invited,
    In,
}

/// What waits to be sent.
#[derive(Clone, Copy, Debug)]
enum Item {
    Words,
    Change(Operation, DeviceId),
}

/// A room, as its device knows it.
#[derive(Default)]
pub(crate) struct View {
    /// What it has processed.
    pub(crate) seen: Vec<Logged>,
    cursor: Seq,
    /// The last commit that it has processed.
    commit: Seq,
    standing: Standing,
    once_in: bool,
    outbox: VecDeque<(MessageId, Item)>,
    /// The head of the outbox, sealed.
    sealed: Option<Bytes>,
    /// When the head was sent on this connection.
    sent: Option<Instant>,
    /// Not before then.
    hold: Option<Instant>,
    /// There is something to read up to here.
    target: Seq,
    /// Whether a page was asked for.
    fetching: bool,
    /// Whether something was said since then.
    again: bool,
}

impl View {
    /// What it waits for, for people.
    pub(crate) fn waits(&self) -> String {
        format!(
            "{:?} at {}, to read up to {}, asked {}, {} to be sent, sent {:?}",
            self.standing,
            self.cursor.0,
            self.target.0,
            self.fetching,
            self.outbox.len(),
            self.sent
        )
    }

    /// Whether nothing is left to be done.
    pub(crate) fn is_settled(&self) -> bool {
        self.outbox.is_empty() && self.standing != Standing::Invited
    }
}

/// What a device keeps.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) rooms: BTreeMap<RoomId, View>,
    /// What was acknowledged to it.
    pub(crate) acked: Vec<(RoomId, MessageId, Seq)>,
}

pub(crate) struct Client {
    pub(crate) world: Arc<World>,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) kept: Arc<std::sync::Mutex<Kept>>,
    /// Rooms that it makes before anything else.
    pub(crate) makes: Vec<RoomId>,
}

impl Client {
    /// Lives until it is aborted.
    pub(crate) async fn run(mut self) {
        loop {
            let chance = self.world.chance.clone();
            if let Some(node) = self.world.any_node() {
                let (line, serving) = node.connect(&self.world, self.device);
                let cut = self.world.cut_after();
                tokio::select! {
                    biased;
                    () = self.talk(&node, line) => {}
                    // The network breaks: whatever is on the way is lost.
                    () = cut => {}
                }
                serving.abort();
                self.world.trace.say(format_args!("{} is cut off", short(self.device)));
            }
            for view in lock(&self.kept).rooms.values_mut() {
                (view.sent, view.fetching) = (None, false);
            }
            sleep(Duration::from_millis(5) + chance.up_to(400)).await;
        }
    }

    /// One connection, to its end.
    async fn talk(&mut self, node: &Node, mut line: Line) {
        loop {
            match line.frames.recv().await {
                Some(Heard::Hello) => break,
                Some(early) => self.hear(early),
                None => return,
            }
        }
        self.world.trace.say(format_args!("{} is connected to node {}", short(self.device), node.number));
        if self.look_around(node).await.is_none() {
            return;
        }
        let chance = self.world.chance.clone();
        let mut act = Instant::now() + chance.up_to(300);
        loop {
            self.join(node).await;
            if self.send(&line).is_none() {
                return;
            }
            tokio::select! {
                biased;
                heard = line.frames.recv() => match heard {
                    Some(heard) => self.hear(heard),
                    None => return,
                },
                () = sleep_until(act) => {
                    self.act(&line);
                    act = Instant::now() + Duration::from_millis(20) + chance.up_to(self.world.plan.pace);
                }
            }
            if !self.world.is_calm() && chance.percent(2) {
                // It reads nothing for a while.
                sleep(chance.up_to(2_000)).await;
            }
        }
    }

    /// Makes its rooms, and asks which it is in; goes on until it is told.
    async fn look_around(&mut self, node: &Node) -> Option<()> {
        let caller = qchatd::service::sessions::Caller {
            account: self.account,
            device: self.device,
            session: [0; 16],
        };
        while let Some(room) = self.makes.first().copied() {
            if node.rooms.create(caller, room).await.is_ok() {
                self.makes.remove(0);
                let mut kept = lock(&self.kept);
                let view = kept.rooms.entry(room).or_default();
                (view.standing, view.once_in) = (Standing::In, true);
            } else {
                self.pause(node).await?;
            }
        }
        let audience = loop {
            match node.rooms.audience(self.device).await {
                Ok(audience) => break audience,
                Err(_) => self.pause(node).await?,
            }
        };
        let mut kept = lock(&self.kept);
        for place in audience.places {
            kept.rooms.entry(place.room).or_default();
        }
        // Whatever it is in, there may be more.
        kept.rooms.values_mut().for_each(View::look);
        Some(())
    }

    async fn pause(&self, node: &Node) -> Option<()> {
        sleep(Duration::from_millis(50) + self.world.chance.up_to(300)).await;
        node.is_alive().then_some(())
    }

    fn hear(&mut self, heard: Heard) {
        let (trace, me) = (&self.world.trace, short(self.device));
        let mut kept = lock(&self.kept);
        match heard {
            Heard::Hello => {}
            Heard::Deliver(room, logged) => {
                trace.say(format_args!("{me} gets {}/{}", room_name(room), logged.seq.0));
                let view = kept.rooms.entry(room).or_default();
                if logged.seq == view.cursor.next() {
                    self.process(room, view, logged);
                } else if logged.seq > view.cursor {
                    (view.target, view.again) = (view.target.max(logged.seq), true);
                }
            }
            Heard::Hint(room) => {
                trace.say(format_args!("{me} is told of {}", room_name(room)));
                kept.rooms.entry(room).or_default().look();
            }
            Heard::Behind(room, last) => {
                trace.say(format_args!("{me} is behind in {} at {}", room_name(room), last.0));
                // The room's list may have changed, too: what was left out can have been a hint.
                kept.rooms.entry(room).or_default().look();
            }
            Heard::Page(room, page) => {
                let view = kept.rooms.entry(room).or_default();
                if !std::mem::take(&mut view.fetching) {
                    return;
                }
                match page {
                    Some(page) => {
                        let (count, last) = (page.envelopes.len(), page.last_seq);
                        trace.say(format_args!("{me} reads {count} of {} to {}", room_name(room), last.0));
                        for logged in page.envelopes {
                            if logged.seq > view.cursor {
                                self.process(room, view, logged);
                            }
                        }
                        if count > 0 {
                            view.target = view.target.max(last);
                        } else if !view.again {
                            view.target = view.cursor;
                        }
                        if view.again {
                            // It may be older than what was said since it was asked for.
                            view.look();
                        }
                    }
                    None => view.hold = Some(Instant::now() + Duration::from_millis(200)),
                }
            }
            Heard::Published(room, id, outcome) => {
                trace.say(format_args!("{me} hears {outcome:?} in {}", room_name(room)));
                let id = MessageId::from_bytes(id);
                if let Ok(seq) = outcome {
                    kept.acked.push((room, id, seq));
                }
                let view = kept.rooms.entry(room).or_default();
                if view.outbox.front().is_none_or(|(head, _)| *head != id) {
                    return;
                }
                view.sent = None;
                match outcome {
                    Ok(_) => view.done(),
                    Err(Some(Refusal::Stale(_) | Refusal::Malformed(_))) => {
                        view.sealed = None;
                        view.look();
                        // A change of members was meant for the list before.
                        if let Some((_, Item::Change(_, device))) = view.outbox.front().copied() {
                            self.world.turn(room, device, Phase::undone);
                            view.done();
                        }
                    }
                    Err(refusal) => {
                        view.hold = Some(Instant::now() + Duration::from_millis(300));
                        if refusal.is_some() {
                            view.look();
                        }
                    }
                }
            }
        }
    }

    /// As if it were decrypted, stored and shown.
    fn process(&self, room: RoomId, view: &mut View, logged: Logged) {
        view.cursor = logged.seq;
        let Ok(envelope) = Envelope::decode(logged.bytes.clone()) else {
            self.world.fail("a logged envelope cannot be read".into());
            return;
        };
        if envelope.kind.ends_epoch() {
            view.commit = logged.seq;
        }
        for change in &envelope.delta {
            if envelope.sender == self.device {
                let (at, whom) = (logged.seq.0, short(change.device));
                self.world.trace.say(format_args!(
                    "{}/{at} is {:?} of {whom}",
                    room_name(room),
                    change.operation
                ));
                self.world.turn(room, change.device, Phase::done);
            }
            if change.device == self.device {
                view.standing = match change.operation {
                    Operation::Remove => Standing::Out,
                    Operation::Relist if view.once_in => Standing::In,
                    _ => Standing::Invited,
                };
                if view.standing == Standing::Out {
                    view.outbox.clear();
                    (view.sealed, view.sent) = (None, None);
                }
            }
        }
        view.seen.push(logged);
    }

    /// Says yes to invitations.
    async fn join(&self, node: &Node) {
        let invited = |(room, view): (&RoomId, &View)| (view.standing == Standing::Invited).then_some(*room);
        let waiting: Vec<RoomId> = lock(&self.kept).rooms.iter().filter_map(invited).collect();
        for room in waiting {
            if node.relay.join(room, self.device).await.is_ok() {
                let mut kept = lock(&self.kept);
                let view = kept.rooms.entry(room).or_default();
                (view.standing, view.once_in) = (Standing::In, true);
            } else {
                lock(&self.kept).rooms.entry(room).or_default().look();
            }
        }
    }

    /// Asks for what there is to read, and sends the heads of the outboxes that wait for nothing.
    fn send(&self, line: &Line) -> Option<()> {
        let now = Instant::now();
        let mut kept = lock(&self.kept);
        for (room, view) in &mut kept.rooms {
            if view.sent.is_some_and(|sent| now - sent > PATIENCE) {
                return None;
            }
            if view.hold.is_some_and(|hold| hold > now) {
                continue;
            }
            view.hold = None;
            if view.target > view.cursor {
                if !view.fetching {
                    (view.fetching, view.again) = (true, false);
                    line.requests.send(Request::Fetch(*room, view.cursor, self.world.plan.page)).ok()?;
                }
                continue;
            }
            if view.standing != Standing::In || view.sent.is_some() {
                continue;
            }
            let Some((id, item)) = view.outbox.front().copied() else { continue };
            let sealed = view.sealed.get_or_insert_with(|| self.seal(*room, id, item, view.commit)).clone();
            let publication = self.publication(*room, item, sealed)?;
            line.requests.send(Request::Publish(Box::new(publication), *id.as_bytes())).ok()?;
            view.sent = Some(now);
        }
        Some(())
    }

    fn seal(&self, room: RoomId, message_id: MessageId, item: Item, commit_seq: Seq) -> Bytes {
        let (kind, delta) = match item {
            Item::Words => (Kind::Application, Vec::new()),
            Item::Change(operation, device) => {
                let account = account_of(device);
                (Kind::Commit, vec![MembershipChange { operation, account, device }])
            }
        };
        let payload = Bytes::copy_from_slice(message_id.as_bytes());
        Envelope { room, message_id, sender: self.device, kind, commit_seq, payload, delta }.encode()
    }

    /// The same bytes each time; a tree is put there anew, ahead of its commit.
    fn publication(&self, room: RoomId, item: Item, sealed: Bytes) -> Option<Publication> {
        let envelope = Envelope::decode(sealed.clone()).ok()?;
        let (mut welcomes, mut tree) = (Vec::new(), None);
        if let Item::Change(Operation::Add | Operation::Readd, device) = item {
            let hash = TreeHash::of(envelope.message_id.as_bytes());
            self.world.memory.lock().stage(room, self.device, hash);
            tree = Some(hash);
            welcomes.push(Invitation { device, welcome: Bytes::from_static(b"welcome") });
        }
        Publication::new(envelope, sealed, welcomes, tree, None).ok()
    }

    /// Says something, changes who is in a room, or confirms what it has read.
    fn act(&self, line: &Line) {
        if self.world.is_calm() {
            return;
        }
        let chance = &self.world.chance;
        let mut kept = lock(&self.kept);
        let mine: Vec<RoomId> = kept
            .rooms
            .iter()
            .filter(|(_, view)| view.standing == Standing::In)
            .map(|(room, _)| *room)
            .collect();
        let over =
            kept.rooms.iter().filter(|(_, view)| view.standing == Standing::Out && view.cursor > Seq(0));
        let over: Vec<(RoomId, Seq)> = over.map(|(room, view)| (*room, view.cursor)).collect();
        if let Some((room, cursor)) = chance.pick(&over)
            && chance.percent(10)
        {
            drop(line.requests.send(Request::Confirm(room, cursor)));
        }
        let Some(room) = chance.pick(&mine) else { return };
        let view = kept.rooms.entry(room).or_default();
        if chance.percent(10) {
            drop(line.requests.send(Request::Confirm(room, view.cursor)));
        }
        let mut item = Item::Words;
        if chance.percent(self.world.plan.changes)
            && let Some((operation, device)) = self.world.change(room, self.device)
        {
            item = Item::Change(operation, device);
        }
        for _ in 0..=chance.below(self.world.plan.burst) {
            if !self.world.spend() {
                break;
            }
            view.outbox.push_back((MessageId::from_bytes(chance.id()), item));
            if matches!(item, Item::Change(..)) {
                return;
            }
        }
        if let Item::Change(_, device) = item {
            // Nothing is left to be said.
            self.world.turn(room, device, Phase::undone);
        }
    }
}

impl View {
    /// Something may be there to read.
    fn look(&mut self) {
        (self.target, self.again) = (self.target.max(self.cursor.next()), true);
    }

    /// The head of the outbox is dealt with.
    fn done(&mut self) {
        self.outbox.pop_front();
        (self.sealed, self.sent) = (None, None);
    }
}

pub(crate) fn short(device: DeviceId) -> String {
    format!("device {}", device.as_bytes()[0])
}

pub(crate) fn room_name(room: RoomId) -> String {
    format!("room {}", room.as_bytes()[0])
}
