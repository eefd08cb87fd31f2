//! The task that feeds the hub: this node's commits as they come, and what other nodes have committed out of the log.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use qchat_proto::ids::{DeviceId, RoomId, Seq};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    hints::Hints,
    log::{self, Asked, Everything, Found},
};
use crate::{
    hub::{Announcement, Ephemeral, Hub, Told},
    limits::Charge,
    meters::Meters,
    store::{Database, StoreError, sessions::SessionId},
};

/// Between two looks at all that is followed here. What another node commits without a hint is delivered within 5 s:
/// this, the question, and reading it.
const LOOK: Duration = Duration::from_secs(2);
/// Before a look that failed is taken again.
const PAUSE: Duration = Duration::from_millis(500);

/// Feeds one hub.
pub(super) struct Deliverer<D> {
    hub: Arc<Hub>,
    store: D,
    meters: Arc<Meters>,
    revocations: mpsc::Sender<Vec<SessionId>>,
    charges: mpsc::Sender<Vec<Charge>>,
    /// Whether other nodes may commit.
    shared: bool,
    /// Rooms to read, of those that are followed here.
    rooms: BTreeSet<RoomId>,
    /// Devices to look at, of those that have sockets here.
    devices: HashSet<DeviceId>,
    /// Whether to look at everything.
    everything: bool,
    underway: Option<Underway>,
    /// When the next job may begin, after one has failed.
    pause: Option<Instant>,
    /// Whether the last job has failed, which is said once.
    failing: bool,
}

/// A job, and what was said since it began.
struct Underway {
    job: JoinHandle<Result<Found, StoreError>>,
    asked: Asked,
    /// The newest seqs of rooms that nobody followed when they were announced.
    passed: HashMap<RoomId, Seq>,
    /// Devices whose places have changed: what the job read of them may be older.
    changed: HashSet<DeviceId>,
}

impl<D: Database> Deliverer<D> {
    pub(super) fn new(
        hub: Arc<Hub>,
        store: D,
        meters: Arc<Meters>,
        revocations: mpsc::Sender<Vec<SessionId>>,
        charges: mpsc::Sender<Vec<Charge>>,
        shared: bool,
    ) -> Self {
        Self {
            hub,
            store,
            meters,
            revocations,
            charges,
            shared,
            rooms: BTreeSet::new(),
            devices: HashSet::new(),
            everything: false,
            underway: None,
            pause: None,
            failing: false,
        }
    }

    /// Runs until no more groups can come.
    pub(super) async fn run(
        mut self,
        mut groups: mpsc::Receiver<Vec<Announcement>>,
        mut heard: mpsc::Receiver<Hints>,
        mut whispered: mpsc::Receiver<Hints>,
    ) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.begin();
            tokio::select! {
                // Always in this order, so that a run can be repeated: first what comes seldom, last what may be lost.
                biased;
                found = finished(&mut self.underway) => self.finish(found),
                _ = looks.tick(), if self.shared => self.everything = true,
                () = sleep_until(self.pause.unwrap_or_else(Instant::now)), if self.pause.is_some() => {
                    self.pause = None;
                }
                group = groups.recv() => match group {
                    Some(group) => group.iter().for_each(|announcement| self.announce(announcement)),
                    None => break,
                },
                Some(hints) = heard.recv() => self.hear(hints),
                Some(whispers) = whispered.recv() => self.hear(whispers),
            }
        }
        // What is not read yet is fetched by those whom this node leaves.
        if let Some(underway) = self.underway {
            underway.job.abort();
        }
    }

    fn announce(&mut self, announcement: &Announcement) {
        let told = self.hub.announce(announcement);
        if told == Told::TooSoon {
            self.rooms.insert(announcement.room);
        }
        if let Some(underway) = &mut self.underway {
            underway.changed.extend(announcement.joined.iter().chain(&announcement.left));
            if let (Told::Nobody, Some((seq, _))) = (told, &announcement.envelope) {
                underway.passed.insert(announcement.room, *seq);
            }
        }
    }

    fn hear(&mut self, hints: Hints) {
        for (room, seq) in hints.rooms {
            if self.hub.delivered(room).is_some_and(|delivered| delivered < seq) {
                self.rooms.insert(room);
            }
        }
        self.devices.extend(hints.devices.into_iter().filter(|device| self.hub.is_connected(*device)));
        self.everything |= hints.everything;
        for (room, sender, sealed) in hints.whispered {
            self.hub.whisper(room, &Ephemeral { sender, sealed });
        }
        if !hints.accounts.is_empty() {
            self.hub.account_changed(&hints.accounts.into_iter().collect::<Vec<_>>());
        }
        if !hints.charged.is_empty() {
            let charges = hints.charged.into_iter().map(|(limit, whom)| Charge { limit, whom });
            drop(self.charges.try_send(charges.collect()));
        }
        if !hints.ended.is_empty() || !hints.delisted.is_empty() {
            let (ended, delisted) = (hints.ended.into_iter().collect(), hints.delisted.into_iter().collect());
            let here = self.hub.sessions_among(&ended, &delisted);
            if !here.is_empty() {
                drop(self.revocations.try_send(here.into_iter().collect()));
            }
        }
    }

    /// Starts a job when there is something to look at and none runs.
    fn begin(&mut self) {
        let nothing = self.rooms.is_empty() && self.devices.is_empty() && !self.everything;
        if self.underway.is_some() || self.pause.is_some() || nothing {
            return;
        }
        let mut asked = Asked::default();
        while asked.rooms.len() < log::ROOMS
            && let Some(room) = self.rooms.pop_first()
        {
            asked.rooms.extend(self.hub.delivered(room).map(|delivered| (room, delivered)));
        }
        let some: Vec<DeviceId> = self.devices.iter().copied().take(log::DEVICES).collect();
        for device in some {
            self.devices.remove(&device);
            asked.devices.insert(device);
        }
        if std::mem::take(&mut self.everything) {
            asked.everything =
                Some(Everything { rooms: self.hub.positions(), devices: self.hub.audiences() });
        }
        let (store, hub, question) = (self.store.clone(), self.hub.clone(), asked.clone());
        let job = tokio::spawn(async move { store.read(move |conn| log::look(conn, &hub, question)).await });
        self.underway = Some(Underway { job, asked, passed: HashMap::new(), changed: HashSet::new() });
    }

    fn finish(&mut self, found: Result<Found, StoreError>) {
        let Some(Underway { asked, passed, changed, .. }) = self.underway.take() else { return };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "what other nodes have published cannot be read; trying again");
                }
                self.rooms.extend(asked.rooms.into_keys());
                self.devices.extend(asked.devices);
                self.everything |= asked.everything.is_some();
                self.pause = Some(Instant::now() + PAUSE);
                return;
            }
        };
        self.failing = false;
        self.meters.read(found.log.len());
        for (device, audience) in &found.audiences {
            if changed.contains(device) {
                self.devices.insert(*device);
            } else {
                self.rooms.extend(self.hub.reconcile(*device, audience));
            }
        }
        for (room, seq, announcement) in &found.log {
            self.hub.replay(*room, *seq, announcement.as_ref());
        }
        self.rooms.extend(found.rooms);
        self.devices.extend(found.devices);
        for (room, seq) in passed {
            // Somebody follows it by now, from where the job saw it.
            if self.hub.delivered(room).is_some_and(|delivered| delivered < seq) {
                self.rooms.insert(room);
            }
        }
    }
}

/// What a job has found, when it has; never without a job.
async fn finished(underway: &mut Option<Underway>) -> Result<Found, StoreError> {
    match underway {
        Some(underway) => (&mut underway.job)
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("a look at the log was cancelled".into()))),
        None => std::future::pending().await,
    }
}
