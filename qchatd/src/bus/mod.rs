//! How committed envelopes reach the hub of every node. The database is what is true: a node delivers its own commits
//! at once, and reads from the log what others have committed. It learns that there is something to read from hints,
//! which Redis carries, and by asking the database every 2 s: hints may be lost, late, repeated or forged, and change
//! only when a node looks. What was counted against limits travels with them, and is believed: it can only be wrong for a
//! minute.

mod deliver;
mod hints;
mod log;
mod redis;

use std::{collections::HashSet, sync::Arc, time::Instant};

use qchat_proto::ids::{DeviceId, RoomId, ServerId};
use tokio::{sync::mpsc, task::JoinHandle};

use self::{
    deliver::Deliverer,
    redis::{Redis, carry},
};
pub use self::{
    hints::Hints,
    redis::{Health, RedisError, RedisUrl},
};
use crate::{
    hub::{Announcement, Ephemeral, Hub},
    limits::Charge,
    meters::Meters,
    store::{Database, sessions::SessionId},
};

/// Groups that may wait; the relay waits for the hub when there are more.
const WAITING: usize = 16;
/// Hints that may wait to be sent. There is no room for more when Redis does not answer, and they are not needed then.
const UNSENT: usize = 1024;
/// Hints that may wait to be heeded.
const UNHEARD: usize = 256;
/// What nobody keeps and may wait to be sent, or to be handed on. It has queues of its own: what is lost of it is missed by nobody,
/// whereas of hints something lost has everything looked at.
const WHISPERS: usize = 64;
/// Revocations that may wait; what finds no room is found by the next look at all sessions.
const REVOKED: usize = 64;
/// Charges that may wait; what finds no room counts at its own node alone.
const CHARGED: usize = 64;

/// Where the other nodes are found.
pub struct Nodes {
    /// Whether there may be any: the database can be shared.
    pub shared: bool,
    /// What carries the hints, and who trusts whom there.
    pub redis: Option<Redis>,
}

impl Nodes {
    /// Prepares the way to the other nodes of a database.
    ///
    /// # Errors
    /// When the URL or the certificate cannot be used. Nothing is connected yet.
    pub fn new(
        shared: bool,
        redis: Option<(&RedisUrl, Option<&[u8]>)>,
        server: ServerId,
    ) -> Result<Self, RedisError> {
        let redis = redis.map(|(url, root)| Redis::new(url, root, server)).transpose()?;
        Ok(Self { shared, redis })
    }
}

/// A handle on the bus. Its task ends, after what was sent, when the last handle is gone.
#[derive(Clone)]
pub struct Bus {
    hub: Arc<Hub>,
    groups: mpsc::Sender<Vec<Announcement>>,
    hints: Option<Sending>,
}

/// The way to the other nodes.
#[derive(Clone)]
struct Sending {
    hints: mpsc::Sender<Hints>,
    whispers: mpsc::Sender<Hints>,
    health: Arc<Health>,
}

/// The bus, running.
pub struct Started {
    /// The handle.
    pub bus: Bus,
    /// Sessions with sockets here that may have been ended elsewhere: the database has to be asked.
    pub revoked: mpsc::Receiver<Vec<SessionId>>,
    /// What other nodes have counted against limits.
    pub charged: mpsc::Receiver<Vec<Charge>>,
    /// To be awaited after the last handle is dropped.
    pub task: JoinHandle<()>,
}

/// What connects a bus to what carries its hints.
pub struct Carried {
    /// To be sent; it ends with the bus.
    pub unsent: mpsc::Receiver<Hints>,
    /// Those of other nodes.
    pub heard: mpsc::Sender<Hints>,
    /// What members tell those who are there, to be sent when there is no hint to be.
    pub whispers: mpsc::Receiver<Hints>,
    /// The same of other nodes; what finds no room is lost.
    pub whispered: mpsc::Sender<Hints>,
    /// Whether any can be sent.
    pub health: Arc<Health>,
}

impl Bus {
    /// Starts the bus's task.
    pub fn start(hub: Arc<Hub>, store: impl Database, nodes: Nodes, meters: Arc<Meters>) -> Started {
        let (mut started, carried) = Self::carried(hub, store, nodes.shared, meters);
        match nodes.redis {
            Some(redis) => {
                let (delivering, carrying) = (started.task, tokio::spawn(carry(redis, carried)));
                started.task = tokio::spawn(async move {
                    drop(delivering.await);
                    drop(carrying.await);
                });
            }
            None => started.bus.hints = None,
        }
        started
    }

    /// As [`Bus::start`], with hints that the caller carries.
    pub fn carried(
        hub: Arc<Hub>,
        store: impl Database,
        shared: bool,
        meters: Arc<Meters>,
    ) -> (Started, Carried) {
        let (groups, waiting) = mpsc::channel(WAITING);
        let (heard, hearing) = mpsc::channel(UNHEARD);
        let (revocations, revoked) = mpsc::channel(REVOKED);
        let (charges, charged) = mpsc::channel(CHARGED);
        let (hints, unsent) = mpsc::channel(UNSENT);
        let (whispering, whispers) = mpsc::channel(WHISPERS);
        let (whispered, listening) = mpsc::channel(WHISPERS);
        let health = Arc::new(Health::default());
        let deliverer = Deliverer::new(hub.clone(), store, meters, revocations, charges, shared);
        let task = tokio::spawn(deliverer.run(waiting, hearing, listening));
        let sending = Sending { hints, whispers: whispering, health: health.clone() };
        let bus = Self { hub, groups, hints: Some(sending) };
        let carried = Carried { unsent, heard, whispers, whispered, health };
        (Started { bus, revoked, charged, task }, carried)
    }

    /// The connections of this node.
    pub fn hub(&self) -> Arc<Hub> {
        self.hub.clone()
    }

    /// Passes on what a commit has made true, in the order of the commits.
    pub async fn announce(&self, group: Vec<Announcement>) {
        if group.is_empty() {
            return;
        }
        self.hint(|| announced(&group));
        // The task lives as long as this handle.
        drop(self.groups.send(group).await);
    }

    /// Tells the other nodes that a device has made a room.
    pub fn created(&self, room: RoomId, device: DeviceId) {
        self.hint(|| Hints::created(room, device));
    }

    /// Tells the other nodes that sessions were ended.
    pub fn ended(&self, sessions: &HashSet<SessionId>) {
        self.hint(|| Hints::ended(sessions));
    }

    /// Tells the other nodes that devices are no longer listed.
    pub fn delisted(&self, devices: &[DeviceId]) {
        self.hint(|| Hints::delisted(devices));
    }

    /// Tells devices, here and at the other nodes, that something about their account has changed.
    pub fn account_changed(&self, devices: &[DeviceId]) {
        self.hub.account_changed(devices);
        self.hint(|| Hints::accounts(devices));
    }

    /// Hands something that nobody keeps to those who follow a room, here and at the other nodes.
    pub fn whisper(&self, room: RoomId, ephemeral: &Ephemeral) {
        self.hub.whisper(room, ephemeral);
        if let Some(sending) = self.hints.as_ref().filter(|sending| sending.health.is_up()) {
            let whisper = Hints::whispered(room, ephemeral.sender, ephemeral.sealed.clone());
            drop(sending.whispers.try_send(whisper));
        }
    }

    /// Tells the other nodes that something was counted against a limit.
    pub fn charged(&self, charge: Charge) {
        self.hint(|| Hints::charged(charge.limit, charge.whom));
    }

    /// Whether Redis carries hints; `None` when none is configured.
    pub fn redis_is_up(&self) -> Option<bool> {
        self.hints.as_ref().map(|sending| sending.health.is_up())
    }

    /// How many other nodes serve the same database, as far as Redis has brought word of them.
    pub fn others(&self) -> usize {
        self.hints.as_ref().map_or(0, |sending| sending.health.others(Instant::now()))
    }

    fn hint(&self, hints: impl FnOnce() -> Hints) {
        if let Some(sending) = self.hints.as_ref().filter(|sending| sending.health.is_up()) {
            // Without room they are lost, which the others' next look makes good.
            drop(sending.hints.try_send(hints()));
        }
    }
}

/// Where others have to look after a group of commits.
fn announced(group: &[Announcement]) -> Hints {
    let mut hints = Hints::default();
    for announcement in group {
        if let Some((seq, _)) = announcement.envelope {
            // A group is in order: the last is the newest.
            hints.rooms.insert(announcement.room, seq);
        }
        hints.devices.extend(&announcement.joined);
        hints.devices.extend(&announcement.left);
    }
    hints
}
