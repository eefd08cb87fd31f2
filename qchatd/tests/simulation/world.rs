//! A run: nodes, devices and what befalls them until the storm is over; and then whether everybody gets what is theirs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use qchat_proto::{
    ids::{AccountId, DeviceId, RoomId, Seq},
    wire::frame::{Envelope, Logged, Operation},
};
use qchatd::bus::{Carried, Health, Hints};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::{
    chance::{Chance, Trace, lock},
    client::{Client, Kept, View, room_name, short},
    memory::Memory,
    node::Node,
    plan::Plan,
    weather::Storm,
};

/// How long all have, once the weather is good, to get what is theirs: many times what it takes.
const DRAIN: Duration = Duration::from_mins(1);

/// Where a device is on its way into a room, out of it and back, so that each way is gone once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Out,
    Adding,
    In,
    Removing,
    Removed,
    Backing,
    Back,
}

impl Phase {
    /// What was begun is done.
    pub(crate) fn done(self) -> Self {
        match self {
            Self::Adding => Self::In,
            Self::Removing => Self::Removed,
            Self::Backing => Self::Back,
            other => other,
        }
    }

    /// What was begun does not come to be.
    pub(crate) fn undone(self) -> Self {
        match self {
            Self::Adding => Self::Out,
            Self::Removing => Self::In,
            Self::Backing => Self::Removed,
            other => other,
        }
    }
}

pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) trace: Trace,
    pub(crate) memory: Memory,
    pub(crate) plan: Plan,
    calm: Arc<AtomicBool>,
    nodes: Mutex<Vec<Place>>,
    /// Envelopes that may still be published.
    left: AtomicU64,
    phases: Mutex<BTreeMap<(RoomId, DeviceId), Phase>>,
    creators: BTreeMap<RoomId, DeviceId>,
    devices: Vec<DeviceId>,
    kept: BTreeMap<DeviceId, Arc<Mutex<Kept>>>,
    /// What was delivered to whom, at any time.
    delivered: Mutex<BTreeSet<(DeviceId, RoomId, Seq)>>,
    failure: Mutex<Option<String>>,
}

/// Where a node runs, when it runs.
#[derive(Default)]
struct Place {
    node: Option<Node>,
    hearing: Option<(mpsc::Sender<Hints>, Arc<Health>)>,
}

/// Runs a seed; says what happened as a number, and of how many steps.
pub(crate) fn run(seed: u64, printed: bool) -> Result<(u64, u64), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let world = World::new(seed, printed);
        world.live().await.map(|()| world.trace.sum())
    })
}

impl World {
    fn new(seed: u64, printed: bool) -> Arc<Self> {
        let chance = Chance::new(seed);
        let plan = Plan::new(&chance);
        let trace = Trace::new(printed);
        trace.say(format_args!("seed {seed}: {plan:?}"));
        let calm = Arc::new(AtomicBool::new(false));
        let storm =
            Storm { chance: chance.clone(), calm: calm.clone(), server: plan.shared, harsh: plan.harsh };
        let memory = Memory::new(storm);
        let devices: Vec<DeviceId> =
            (1..=plan.devices).map(|byte| DeviceId::from_bytes([byte; 16])).collect();
        let creators: BTreeMap<RoomId, DeviceId> = (1..=plan.rooms)
            .map(|byte| (RoomId::from_bytes([byte; 16]), DeviceId::from_bytes([byte; 16])))
            .collect();
        let world = Self {
            left: AtomicU64::new(plan.messages),
            nodes: Mutex::new((0..plan.nodes).map(|_| Place::default()).collect()),
            phases: Mutex::default(),
            kept: devices.iter().map(|device| (*device, Arc::default())).collect(),
            delivered: Mutex::default(),
            failure: Mutex::default(),
            chance,
            trace,
            memory,
            plan,
            calm,
            creators,
            devices,
        };
        let mut conn = world.memory.lock();
        for device in &world.devices {
            conn.add_device(account_of(*device), *device);
        }
        drop(conn);
        Arc::new(world)
    }

    async fn live(self: &Arc<Self>) -> Result<(), String> {
        (0..self.plan.nodes).for_each(|number| self.start(number));
        for device in &self.devices {
            let makes = self.creators.iter().filter(|(_, by)| *by == device).map(|(room, _)| *room);
            let client = Client {
                world: self.clone(),
                account: account_of(*device),
                device: *device,
                kept: self.kept[device].clone(),
                makes: makes.collect(),
            };
            tokio::spawn(client.run());
        }
        let end = Instant::now() + self.plan.storm;
        while Instant::now() < end {
            sleep(Duration::from_millis(200) + self.chance.up_to(2_000)).await;
            self.befall().await;
        }
        self.trace.say(format_args!("the weather is good from here on"));
        self.calm.store(true, Ordering::Relaxed);
        let end = Instant::now() + DRAIN;
        loop {
            sleep(Duration::from_millis(200)).await;
            if let Some(failure) = lock(&self.failure).take() {
                return Err(failure);
            }
            match self.missing() {
                None => break,
                Some(missing) if Instant::now() >= end => return Err(missing),
                Some(_) => {}
            }
        }
        // Whoever was told too much has been told by now.
        sleep(Duration::from_secs(3)).await;
        self.judge()
    }

    /// Something happens to a node, or to what carries the hints.
    async fn befall(self: &Arc<Self>) {
        let number = usize::try_from(self.chance.below(self.plan.nodes as u64)).unwrap_or(0);
        if self.plan.crashes && self.chance.percent(60) {
            self.trace.say(format_args!("node {number} crashes"));
            let node = {
                let mut nodes = lock(&self.nodes);
                nodes[number].hearing = None;
                nodes[number].node.take()
            };
            if let Some(node) = node {
                node.crash();
            }
            sleep(Duration::from_millis(1) + self.chance.up_to(1_500)).await;
            self.start(number);
        } else if self.plan.nodes > 1 {
            let up = self.chance.percent(50);
            self.trace.say(format_args!("hints of node {number}: {up}"));
            if let Some((heard, health)) = &lock(&self.nodes)[number].hearing
                && health.set(up)
                && up
            {
                drop(heard.try_send(Hints::everything()));
            }
        }
    }

    fn start(self: &Arc<Self>, number: usize) {
        let (node, Carried { mut unsent, heard, health, .. }) =
            Node::start(number, &self.memory, self.plan.shared);
        health.set(self.plan.nodes > 1);
        lock(&self.nodes)[number] = Place { node: Some(node), hearing: Some((heard, health)) };
        let world = self.clone();
        tokio::spawn(async move {
            while let Some(hints) = unsent.recv().await {
                if world.chance.percent(world.plan.lost) {
                    continue;
                }
                let world = world.clone();
                tokio::spawn(async move {
                    sleep(world.chance.up_to(world.plan.late)).await;
                    for (other, place) in lock(&world.nodes).iter().enumerate() {
                        if let Some((heard, _)) = &place.hearing
                            && other != number
                        {
                            drop(heard.try_send(hints.clone()));
                        }
                    }
                });
            }
        });
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// A node that runs.
    pub(crate) fn any_node(&self) -> Option<Node> {
        let running: Vec<Node> = lock(&self.nodes).iter().filter_map(|place| place.node.clone()).collect();
        let number = self.chance.below(running.len() as u64);
        running.into_iter().nth(usize::try_from(number).unwrap_or(0))
    }

    /// Until a connection breaks, which none does in good weather.
    pub(crate) fn cut_after(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        let (world, life) = (self.clone(), self.chance.up_to(self.plan.life));
        async move {
            sleep(life).await;
            if world.is_calm() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes one of the envelopes that may be published.
    pub(crate) fn spend(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// A change of members that `by` may make.
    pub(crate) fn change(&self, room: RoomId, by: DeviceId) -> Option<(Operation, DeviceId)> {
        let creator = self.creators.get(&room).copied();
        let others: Vec<DeviceId> =
            self.devices.iter().copied().filter(|device| *device != by && Some(*device) != creator).collect();
        let device = self.chance.pick(&others)?;
        let mut phases = lock(&self.phases);
        let phase = phases.entry((room, device)).or_insert(Phase::Out);
        let (next, operation) = match phase {
            Phase::Out => (Phase::Adding, Operation::Add),
            Phase::In => (Phase::Removing, Operation::Remove),
            Phase::Removed if self.chance.percent(50) => (Phase::Backing, Operation::Add),
            Phase::Removed => (Phase::Backing, Operation::Relist),
            _ => return None,
        };
        *phase = next;
        Some((operation, device))
    }

    /// What was begun with a device is done, or not to be.
    pub(crate) fn turn(&self, room: RoomId, device: DeviceId, how: fn(Phase) -> Phase) {
        if let Some(phase) = lock(&self.phases).get_mut(&(room, device)) {
            *phase = how(*phase);
        }
    }

    /// Notes that a frame went out.
    pub(crate) fn delivered(&self, device: DeviceId, room: RoomId, seq: Seq) {
        lock(&self.delivered).insert((device, room, seq));
    }

    /// Ends the run.
    pub(crate) fn fail(&self, why: String) {
        lock(&self.failure).get_or_insert(why);
    }

    /// What a device may read of a room, by the log alone, and whether more of it comes to it.
    fn readable(&self, room: RoomId, device: DeviceId, log: &[(Seq, Envelope)]) -> (BTreeSet<Seq>, bool) {
        let mut spans: Vec<(Seq, Option<Seq>)> = Vec::new();
        if self.creators.get(&room) == Some(&device) {
            spans.push((Seq(0), None));
        }
        for (seq, envelope) in log {
            for change in envelope.delta.iter().filter(|change| change.device == device) {
                match (change.operation, spans.last_mut()) {
                    (Operation::Remove, Some((_, until))) => *until = Some(*seq),
                    (Operation::Remove, None) => {}
                    (Operation::Relist, Some((_, until))) => *until = None,
                    _ => spans.push((envelope.commit_seq, None)),
                }
            }
        }
        let within = |seq: &Seq| {
            spans.iter().any(|(after, until)| after < seq && until.is_none_or(|until| *seq <= until))
        };
        let follows = spans.last().is_some_and(|(_, until)| until.is_none());
        (log.iter().map(|(seq, _)| *seq).filter(within).collect(), follows)
    }

    fn logs(&self) -> Result<BTreeMap<RoomId, Vec<Logged>>, String> {
        let conn = self.memory.lock();
        let logs: BTreeMap<RoomId, Vec<Logged>> =
            self.creators.keys().map(|room| (*room, conn.log(*room))).collect();
        for (room, log) in &logs {
            if log.iter().zip(1..).any(|(logged, seq)| logged.seq != Seq(seq)) {
                return Err(format!("the log of {} has a gap", room_name(*room)));
            }
        }
        Ok(logs)
    }

    /// Who lacks what, if anybody does.
    fn missing(&self) -> Option<String> {
        let logs = match self.logs() {
            Ok(logs) => logs,
            Err(failure) => return Some(failure),
        };
        for (room, log) in logs {
            let log = decoded(&log);
            for (device, kept) in &self.kept {
                let kept = lock(kept);
                let (owed, follows) = self.readable(room, *device, &log);
                let view = kept.rooms.get(&room);
                if view.is_none() && !follows {
                    // It came and went while the device was not looking.
                    continue;
                }
                let seen = view.map_or(0, |view| view.seen.len());
                if seen < owed.len() || view.is_some_and(|view| !view.is_settled()) {
                    return Some(format!(
                        "{} has {seen} of {} envelopes of {} at the end, and is {}",
                        short(*device),
                        owed.len(),
                        room_name(room),
                        view.map_or_else(|| "not told of it".into(), View::waits),
                    ));
                }
            }
        }
        None
    }

    /// Whether the promise was kept.
    fn judge(&self) -> Result<(), String> {
        for (room, log) in self.logs()? {
            let envelopes = decoded(&log);
            let mut ids = BTreeSet::new();
            if let Some((seq, _)) = envelopes.iter().find(|(_, envelope)| !ids.insert(envelope.message_id)) {
                return Err(format!("{}/{} is a repetition", room_name(room), seq.0));
            }
            for (device, kept) in &self.kept {
                let (kept, me) = (lock(kept), short(*device));
                for (_, id, seq) in kept.acked.iter().filter(|(of, ..)| *of == room) {
                    let found = envelopes.iter().find(|(at, _)| at == seq).map(|(_, envelope)| envelope);
                    if found.is_none_or(|envelope| envelope.message_id != *id || envelope.sender != *device) {
                        return Err(format!("{me} was told that {}/{} is its own", room_name(room), seq.0));
                    }
                }
                let (owed, _) = self.readable(room, *device, &envelopes);
                let owed: Vec<&Logged> = log.iter().filter(|logged| owed.contains(&logged.seq)).collect();
                let view = kept.rooms.get(&room);
                let seen: Vec<&Logged> = view.into_iter().flat_map(|view| &view.seen).collect();
                if view.is_some() && owed != seen {
                    let seqs = |some: &[&Logged]| some.iter().map(|logged| logged.seq.0).collect::<Vec<_>>();
                    return Err(format!(
                        "{me} has read {:?} of {}, and {:?} is what it may read",
                        seqs(&seen),
                        room_name(room),
                        seqs(&owed)
                    ));
                }
                for (_, _, seq) in
                    lock(&self.delivered).iter().filter(|(to, of, _)| to == device && *of == room)
                {
                    if !owed.iter().any(|logged| logged.seq == *seq) {
                        return Err(format!(
                            "{}/{} was delivered to {me}, who may not read it",
                            room_name(room),
                            seq.0
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Each device is an account's only one.
pub(crate) fn account_of(device: DeviceId) -> AccountId {
    AccountId::from_bytes(*device.as_bytes())
}

fn decoded(log: &[Logged]) -> Vec<(Seq, Envelope)> {
    log.iter().filter_map(|logged| Some((logged.seq, Envelope::decode(logged.bytes.clone()).ok()?))).collect()
}
