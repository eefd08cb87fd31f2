//! A database in memory behind the relay's interface, for the simulation: transactions land whole, and one after the
//! other, at a moment that its weather decides; it may lose an answer, refuse, or be slow. A read takes time, and each of
//! its queries sees what had landed by some moment of it, none an earlier one than the query before. The databases' own
//! story is told to it as well, so that what the simulation shows holds for them.

mod queries;
mod tables;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use qchat_proto::{
    ids::{AccountId, DeviceId, RoomId, Seq},
    wire::{frame::Logged, tree::TreeHash},
};
use qchatd::store::{Database, StoreError, trees::TreeId};

use self::tables::Tables;

/// What befalls a write.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passage {
    /// Until it lands.
    pub(crate) before: Duration,
    /// Until its answer is there, from then on.
    pub(crate) after: Duration,
    /// What becomes of it.
    pub(crate) fate: Fate,
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is committed, and its caller is told.
    #[default]
    Committed,
    /// It fails, and leaves nothing.
    Refused,
    /// It is committed, and its caller is told that it failed.
    Unheard,
    /// Its caller is told that it failed, and only then it is committed.
    Overdue,
}

/// What befalls a read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Glance {
    /// Until its first query.
    pub(crate) before: Duration,
    /// From its first query to its last: what lands meanwhile lands between any two of them.
    pub(crate) during: Duration,
    /// Until its answer is there, from then on.
    pub(crate) after: Duration,
    /// Whether it fails.
    pub(crate) fails: bool,
}

/// What befalls those who ask.
pub(crate) trait Weather: Send + 'static {
    /// What befalls the next write.
    fn write(&mut self) -> Passage;
    /// What befalls the next read.
    fn read(&mut self) -> Glance;
    /// How many of the writes that have landed since the query before, `landed`, a query of a read sees.
    fn seen(&mut self, landed: usize) -> usize;
    /// What becomes of a write whose caller is gone: it lands after so long, or never.
    fn orphan(&mut self) -> Option<Duration>;
}

/// Nothing befalls anybody.
pub(crate) struct Calm;

impl Weather for Calm {
    fn write(&mut self) -> Passage {
        Passage::default()
    }

    fn read(&mut self) -> Glance {
        Glance::default()
    }

    fn seen(&mut self, landed: usize) -> usize {
        landed
    }

    fn orphan(&mut self) -> Option<Duration> {
        None
    }
}

/// A handle; clones are the same database.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Mutex<Connection>>);

/// A write that has not landed yet.
type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The database itself, for as long as a query has it.
pub(crate) struct Connection {
    /// As queries see it.
    tables: Arc<Tables>,
    /// As it was before each write, the oldest first.
    past: Vec<Arc<Tables>>,
    /// What the queries of the read that runs may see yet, the oldest first.
    moments: VecDeque<Arc<Tables>>,
    waiting: BTreeMap<u64, Job>,
    next: u64,
    weather: Box<dyn Weather>,
}

impl Memory {
    pub(crate) fn new(weather: impl Weather) -> Self {
        Self(Arc::new(Mutex::new(Connection {
            tables: Arc::default(),
            past: Vec::new(),
            moments: VecDeque::new(),
            waiting: BTreeMap::new(),
            next: 0,
            weather: Box::new(weather),
        })))
    }

    /// The database behind everybody's back.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn land(&self, number: u64) {
        let mut conn = self.lock();
        if let Some(job) = conn.waiting.remove(&number) {
            job(&mut conn);
        }
    }
}

impl Connection {
    /// A device of an account, as registration leaves it.
    pub(crate) fn add_device(&mut self, account: AccountId, device: DeviceId) {
        self.tables_mut().devices.insert(device, (account, 0));
    }

    /// Puts a whole tree there, ahead of its commit.
    pub(crate) fn stage(&mut self, room: RoomId, device: DeviceId, hash: TreeHash) -> TreeId {
        self.tables_mut().stage(room, device, hash)
    }

    /// Whether a tree is kept.
    pub(crate) fn keeps(&self, tree: TreeId) -> bool {
        self.tables.trees.contains_key(&tree)
    }

    /// A room's whole log.
    pub(crate) fn log(&self, room: RoomId) -> Vec<Logged> {
        let all = self.tables.envelopes.range((room, Seq(0))..=(room, Seq(u64::MAX)));
        all.map(|((_, seq), bytes)| Logged { seq: *seq, bytes: bytes.clone() }).collect()
    }

    /// Whether a Welcome waits for a device.
    pub(crate) fn has_welcome(&self, room: RoomId, device: DeviceId) -> bool {
        self.tables.welcomes.contains_key(&(room, device))
    }

    /// To be written to.
    fn tables_mut(&mut self) -> &mut Tables {
        Arc::make_mut(&mut self.tables)
    }

    /// A transaction: all of it or nothing.
    fn transact<T, E>(&mut self, query: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let before = self.tables.clone();
        let outcome = query(self);
        match outcome {
            Ok(_) => self.past.push(before),
            Err(_) => self.tables = before,
        }
        outcome
    }

    /// Queries that began when `landed` writes had landed, and end now.
    fn look<T>(&mut self, landed: usize, query: impl FnOnce(&mut Self) -> T) -> T {
        let now = self.tables.clone();
        self.moments = self.past[landed..].iter().cloned().chain([now.clone()]).collect();
        let found = query(self);
        self.moments.clear();
        self.tables = now;
        found
    }

    /// Before each query: what a read sees may be what somebody has committed since the query before.
    fn turn(&mut self) {
        if self.moments.is_empty() {
            return;
        }
        let seen = self.weather.seen(self.moments.len() - 1);
        self.moments.drain(..seen);
        self.tables = self.moments[0].clone();
    }
}

impl Database for Memory {
    type Connection = Connection;

    async fn read<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Glance { before, during, after, fails } = self.lock().weather.read();
        rest(before).await;
        let landed = self.lock().past.len();
        rest(during).await;
        if fails {
            return Err(gone().into());
        }
        let found = self.lock().look(landed, query);
        rest(after).await;
        found
    }

    async fn write<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let result = Arc::new(Mutex::new(None));
        let (passage, number) = {
            let mut conn = self.lock();
            let passage = conn.weather.write();
            let number = conn.next;
            conn.next += 1;
            if passage.fate != Fate::Refused {
                let slot = result.clone();
                let job = move |conn: &mut Connection| {
                    let outcome = conn.transact(query);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                };
                conn.waiting.insert(number, Box::new(job));
            }
            (passage, number)
        };
        let underway = Underway { memory: self.clone(), number };
        rest(passage.before).await;
        if matches!(passage.fate, Fate::Refused | Fate::Overdue) {
            // What is underway is an orphan from here on, if it has not landed.
            return Err(gone().into());
        }
        self.land(number);
        drop(underway);
        rest(passage.after).await;
        if passage.fate == Fate::Unheard {
            return Err(gone().into());
        }
        let outcome = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        outcome.unwrap_or_else(|| Err(gone().into()))
    }
}

/// A write whose caller waits; dropped, it lands later or never.
struct Underway {
    memory: Memory,
    number: u64,
}

impl Drop for Underway {
    fn drop(&mut self) {
        let mut conn = self.memory.lock();
        if !conn.waiting.contains_key(&self.number) {
            return;
        }
        match (conn.weather.orphan(), tokio::runtime::Handle::try_current()) {
            (Some(delay), Ok(runtime)) => {
                let (memory, number) = (self.memory.clone(), self.number);
                runtime.spawn(async move {
                    rest(delay).await;
                    memory.land(number);
                });
            }
            _ => drop(conn.waiting.remove(&self.number)),
        }
    }
}

async fn rest(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable("the weather is bad".into())
}
