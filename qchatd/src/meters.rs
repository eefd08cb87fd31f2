//! What the daemon counts of itself, for Prometheus. Numbers alone: no name, no id, no address.
//!
//! docs/operations.md lists them; a test holds that list against what is exposed.

use std::{fmt, sync::atomic::Ordering, time::Duration};

use prometheus_client::{
    encoding::text,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use qchat_proto::wire::fault::FaultCode;

use crate::store::Usage;

/// All that is counted since the daemon started. Each is an atomic, so that counting costs no more than that.
pub struct Meters {
    registry: Registry,
    /// Envelopes put into a room's order.
    accepted: Counter,
    /// Requests to the relay that the rules refused, by fault code.
    refused: Family<[(&'static str, &'static str); 1], Counter>,
    /// Requests to the relay that failed for the database's sake.
    failed: Counter,
    /// What was over a limit of its address or account, by the limit.
    limited: Family<[(&'static str, &'static str); 1], Counter>,
    /// Requests of one transaction.
    group: Histogram,
    /// How long a transaction took, seconds.
    commit: Histogram,
    /// From when a request reached the relay until it was durable and its deliveries were queued, seconds.
    relayed: Histogram,
    /// Frames written to sockets without having been asked for.
    delivered: Counter,
    /// From when a frame was queued for a socket until the system had taken it, seconds; of some frames.
    written: Histogram,
    /// Requests in the relay's queue.
    waiting: Gauge,
    /// Times that a device was told to catch up because its queue was full.
    behind: Counter,
    /// Pages of the log that devices asked for.
    pages: Counter,
    /// Sockets open now.
    sockets: Gauge,
    /// Envelopes of other nodes that were read from the log for devices here.
    read: Counter,
    /// Envelopes that retention has deleted.
    deleted: Counter,
    /// How long a sweep through all rooms took, seconds.
    sweep: Histogram,
    /// When the last sweep ended, seconds since the Unix epoch; 0 before the first.
    swept: Gauge,
    /// Connections to the database that are in use, by whose they are.
    used: Family<[(&'static str, &'static str); 1], Gauge>,
    /// Who waits for a connection to the database, by whose they are.
    queued: Family<[(&'static str, &'static str); 1], Gauge>,
    /// How often somebody has waited for a connection in vain, by whose they are.
    exhausted: Family<[(&'static str, &'static str); 1], Counter>,
    /// Entries written into the audit log.
    audited: Counter,
    /// What was not noted in the audit log, because there was no room.
    audit_lost: Counter,
    /// The newest epoch of the key directory that this node has published; 0 before the first.
    epoch: Gauge,
    /// Entries that this node has put into the key directory.
    published: Counter,
    /// How long an epoch of it took, seconds.
    publish: Histogram,
    /// 1 when Redis carries hints between the nodes, else 0.
    redis: Gauge,
    /// This node and those that Redis has brought word of lately.
    nodes: Gauge,
    /// 1 when the database answered the last time that somebody looked, else 0.
    ready: Gauge,
}

/// A socket that is counted until this is dropped.
#[derive(Debug)]
pub struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Meters {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_25, 2.0, 18));
        let mut meters = Self {
            registry: Registry::with_prefix("qchatd"),
            accepted: Counter::default(),
            refused: Family::default(),
            failed: Counter::default(),
            limited: Family::default(),
            group: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            commit: seconds(),
            relayed: seconds(),
            delivered: Counter::default(),
            written: seconds(),
            waiting: Gauge::default(),
            behind: Counter::default(),
            pages: Counter::default(),
            sockets: Gauge::default(),
            read: Counter::default(),
            deleted: Counter::default(),
            sweep: Histogram::new(exponential_buckets(0.01, 4.0, 10)),
            swept: Gauge::default(),
            used: Family::default(),
            queued: Family::default(),
            exhausted: Family::default(),
            audited: Counter::default(),
            audit_lost: Counter::default(),
            epoch: Gauge::default(),
            published: Counter::default(),
            publish: seconds(),
            redis: Gauge::default(),
            nodes: Gauge::default(),
            ready: Gauge::default(),
        };
        let registry = &mut meters.registry;
        registry.register("accepted", "Envelopes put into a room's order", meters.accepted.clone());
        registry.register(
            "refused",
            "Relay requests refused by the rules, by fault code",
            meters.refused.clone(),
        );
        registry.register("failed", "Relay requests that failed with the database", meters.failed.clone());
        registry.register("limited", "What was over a limit, by limit", meters.limited.clone());
        registry.register("group", "Relay requests of one transaction", meters.group.clone());
        registry.register_with_unit(
            "commit",
            "How long a transaction of the relay takes",
            Unit::Seconds,
            meters.commit.clone(),
        );
        registry.register_with_unit(
            "relay",
            "From a request's arrival at the relay until it is durable and its deliveries are queued",
            Unit::Seconds,
            meters.relayed.clone(),
        );
        registry.register("delivered", "Frames written to sockets unasked", meters.delivered.clone());
        registry.register_with_unit(
            "deliver",
            "From when a frame was queued for a socket until it was written, of one write in 16",
            Unit::Seconds,
            meters.written.clone(),
        );
        registry.register("waiting", "Relay requests that wait for a transaction", meters.waiting.clone());
        registry.register("behind", "Times that a device was told to catch up", meters.behind.clone());
        registry.register("pages", "Pages of the log that devices asked for", meters.pages.clone());
        registry.register("sockets", "Sockets open now", meters.sockets.clone());
        registry.register(
            "read",
            "Envelopes of other nodes, read from the log for devices here",
            meters.read.clone(),
        );
        registry.register("deleted", "Envelopes that retention has deleted", meters.deleted.clone());
        registry.register_with_unit(
            "sweep",
            "How long retention took to go through all rooms",
            Unit::Seconds,
            meters.sweep.clone(),
        );
        registry.register(
            "swept",
            "When retention last went through all rooms, in Unix seconds",
            meters.swept.clone(),
        );
        registry.register(
            "database_used",
            "Connections to the database that are in use, by lane",
            meters.used.clone(),
        );
        registry.register(
            "database_waiting",
            "Queries that wait for a connection to the database, by lane",
            meters.queued.clone(),
        );
        registry.register(
            "database_refused",
            "Queries that have waited for a connection to the database in vain, by lane",
            meters.exhausted.clone(),
        );
        registry.register("audited", "Entries written into the audit log", meters.audited.clone());
        registry.register(
            "audit_lost",
            "What was not noted in the audit log, because there was no room",
            meters.audit_lost.clone(),
        );
        registry.register(
            "directory_epoch",
            "The newest epoch of the key directory that this node has published",
            meters.epoch.clone(),
        );
        registry.register(
            "directory_entries",
            "Entries that this node has put into the key directory",
            meters.published.clone(),
        );
        registry.register_with_unit(
            "directory_publish",
            "How long an epoch of the key directory takes",
            Unit::Seconds,
            meters.publish.clone(),
        );
        registry.register("redis", "1 when Redis carries hints between the nodes", meters.redis.clone());
        registry.register(
            "nodes",
            "This node, and the others that Redis has brought word of in the last 5 s",
            meters.nodes.clone(),
        );
        registry.register(
            "ready",
            "1 when the database answers and what writes to it runs",
            meters.ready.clone(),
        );
        meters
    }
}

impl Meters {
    /// A transaction of the relay is durable, with so many requests.
    pub fn committed(&self, requests: usize, took: Duration) {
        self.group.observe(f64::from(u32::try_from(requests).unwrap_or(u32::MAX)));
        self.commit.observe(took.as_secs_f64());
    }

    /// A request is accepted, and durable, so long after it came.
    pub fn accepted(&self, after: Duration) {
        self.accepted.inc();
        self.relayed.observe(after.as_secs_f64());
    }

    /// A request was refused by the rules.
    pub fn refused(&self, code: FaultCode) {
        self.refused.get_or_create(&[("code", code.as_str())]).inc();
    }

    /// Something was over this limit.
    pub fn limited(&self, limit: &'static str) {
        self.limited.get_or_create(&[("limit", limit)]).inc();
    }

    /// So many requests failed with the database.
    pub fn failed(&self, requests: usize) {
        self.failed.inc_by(requests as u64);
    }

    /// So many frames went to a device.
    pub fn delivered(&self, frames: usize) {
        self.delivered.inc_by(frames as u64);
    }

    /// A frame was written so long after it had been queued.
    pub fn written(&self, after: Duration) {
        self.written.observe(after.as_secs_f64());
    }

    /// A device was told to catch up with a room.
    pub fn behind(&self) {
        self.behind.inc();
    }

    /// A device asked for a page of a log.
    pub fn page(&self) {
        self.pages.inc();
    }

    /// So many envelopes that other nodes committed were read from the log.
    pub fn read(&self, envelopes: usize) {
        self.read.inc_by(envelopes as u64);
    }

    /// Retention has deleted so many envelopes.
    pub fn deleted(&self, envelopes: u64) {
        self.deleted.inc_by(envelopes);
    }

    /// Retention has gone through all rooms. `now`: seconds since the Unix epoch.
    pub fn swept(&self, took: Duration, now: i64) {
        self.sweep.observe(took.as_secs_f64());
        self.swept.set(now);
    }

    /// So many entries were written into the audit log, which say that so many things were not noted.
    pub fn audited(&self, entries: usize, lost: i64) {
        self.audited.inc_by(entries as u64);
        self.audit_lost.inc_by(u64::try_from(lost).unwrap_or(0));
    }

    /// This epoch of the key directory is published, with so many entries.
    pub fn published(&self, epoch: u64, entries: usize, took: Duration) {
        self.epoch.set(i64::try_from(epoch).unwrap_or(i64::MAX));
        self.published.inc_by(entries as u64);
        self.publish.observe(took.as_secs_f64());
    }

    /// A socket is open until what is returned is dropped.
    pub fn open(&self) -> Open {
        self.sockets.inc();
        Open(self.sockets.clone())
    }

    /// All of it in the OpenMetrics text format, version 1.0.0. `ready`: the database answers; `redis`:
    /// hints are carried, and word of so many other nodes; `waiting`: requests in the relay's queue; `usage`: how the
    /// connections to the database stand.
    ///
    /// # Errors
    /// None that is known.
    pub fn expose(
        &self,
        ready: bool,
        (redis, others): (bool, usize),
        waiting: usize,
        usage: &[Usage],
    ) -> Result<String, fmt::Error> {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for Usage { lane, used, waiting, refused } in usage.iter().copied() {
            let label = [("lane", lane.name())];
            self.used.get_or_create(&label).set(number(used));
            self.queued.get_or_create(&label).set(i64::try_from(waiting).unwrap_or(i64::MAX));
            self.exhausted.get_or_create(&label).inner().store(refused, Ordering::Relaxed);
        }
        self.waiting.set(number(waiting));
        self.nodes.set(number(others.saturating_add(1)));
        self.ready.set(ready.into());
        self.redis.set(redis.into());
        let mut exposed = String::new();
        text::encode(&mut exposed, &self.registry)?;
        Ok(exposed)
    }
}
