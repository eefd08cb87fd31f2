//! What is noted of who did what to an account, or to the daemon: handed over by requests in passing, and written by a task
//! of its own. No request waits for it, and no message has anything to do with it.

mod coarse;
mod pending;
pub mod verify;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use qchat_proto::{
    ids::{AccountId, DeviceId},
    wire::api::{Activity, ActivityEntry},
};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

pub use self::coarse::Addresses;
use self::pending::Pending;
use super::{ServiceError, now_sql, sessions::Caller};
use crate::{
    meters::Meters,
    peer::Peer,
    store::{
        Store, StoreError,
        audit::{self, Act, Actor, Draft, Outcome, Which},
    },
};

/// Between two times that what waits is written.
const WRITE: Duration = Duration::from_millis(500);
/// Entries of one transaction.
const TOGETHER: usize = 256;
/// Entries that a page of an account's own has at most.
const PAGE: u32 = 200;

/// Takes what is to be noted; clones are the same.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    pending: Mutex<Pending>,
    meters: Arc<Meters>,
    addresses: Addresses,
    store: Store,
}

/// Whom and what an entry is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct About<'a> {
    /// The account.
    pub account: Option<AccountId>,
    /// Its device.
    pub device: Option<DeviceId>,
    /// Where it comes from.
    pub from: Option<&'a Peer>,
}

impl<'a> About<'a> {
    /// What a caller does.
    pub fn caller(caller: &Caller, from: Option<&'a Peer>) -> Self {
        Self { account: Some(caller.account), device: Some(caller.device), from }
    }

    /// What comes from there, of nobody that is known.
    pub fn peer(from: Option<&'a Peer>) -> Self {
        Self { from, ..Self::default() }
    }
}

impl Audit {
    /// Over this database. What is noted is written by [`Audit::write_until`].
    pub fn new(store: Store, meters: Arc<Meters>, addresses: Addresses) -> Self {
        Self(Arc::new(Inner { pending: Mutex::default(), meters, addresses, store }))
    }

    /// Notes what the account itself has done.
    pub fn done(&self, act: Act, about: About<'_>) {
        self.note(act, Outcome::Done, Actor::Account, about);
    }

    /// Notes what somebody has tried in vain who has not proved who they are.
    pub fn refused(&self, act: Act, outcome: Outcome, about: About<'_>) {
        self.note(act, outcome, Actor::Unknown, about);
    }

    /// Notes something.
    pub fn note(&self, act: Act, outcome: Outcome, actor: Actor, about: About<'_>) {
        let says = Draft {
            account: about.account,
            device: about.device,
            peer: self.0.addresses.of(about.from),
            ..Draft::new(now_sql(), act, outcome, actor)
        };
        self.pending().note(says, Instant::now());
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        // Nothing in here panics halfway through a change.
        self.0.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is noted, until `end`; then what is left. What the database does not take is tried again.
    pub async fn write_until(self, end: CancellationToken) {
        let mut ticks = interval(WRITE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            let last = tokio::select! {
                () = end.cancelled() => true,
                _ = ticks.tick() => false,
            };
            self.pending().close(Instant::now(), last);
            match self.write().await {
                Ok(()) => failing = false,
                // Once for as long as it lasts.
                Err(error) if !failing => {
                    tracing::warn!(%error, "the audit log is not written; it is kept in memory meanwhile");
                    failing = true;
                }
                Err(_) => {}
            }
            if last && !failing {
                return;
            }
            if last {
                // Tried until whoever waits for the end has waited long enough.
                ticks.tick().await;
            }
        }
    }

    /// Writes all that waits.
    async fn write(&self) -> Result<(), StoreError> {
        loop {
            let drafts = self.pending().take(TOGETHER, now_sql());
            if drafts.is_empty() {
                return Ok(());
            }
            // Shared, since it is wanted again when the transaction fails.
            let drafts = Arc::new(drafts);
            let written = drafts.clone();
            match self.0.store.write(move |conn| audit::append(conn, &written)).await {
                Ok(head) => {
                    let lost = drafts.iter().filter(|says| says.act == Act::Overflow).map(|says| says.times);
                    self.0.meters.audited(drafts.len(), lost.sum());
                    tracing::debug!(
                        seq = head.seq,
                        hash = hex::encode(head.hash),
                        "the audit log was added to"
                    );
                }
                Err(error) => {
                    self.pending().put_back(Arc::unwrap_or_clone(drafts));
                    return Err(error);
                }
            }
        }
    }

    /// What is noted about the caller's account, newest first: what comes before a place, or the newest.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn activity(
        &self,
        caller: &Caller,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Activity, ServiceError> {
        let which = Which { account: Some(caller.account), since: None };
        let before = before.map(|seq| i64::try_from(seq).unwrap_or(i64::MAX));
        let limit = if limit == 0 { PAGE } else { limit.min(PAGE) };
        let entries = self.0.store.read(move |conn| audit::before(conn, which, before, limit)).await?;
        let more = entries.len() as u64 >= u64::from(limit);
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(Activity {
            before: entries.last().filter(|_| more).map(|entry| unsigned(entry.seq)),
            entries: entries
                .into_iter()
                .map(|entry| ActivityEntry {
                    seq: unsigned(entry.seq),
                    first_at: unsigned(entry.says.first_at),
                    last_at: unsigned(entry.says.last_at),
                    times: unsigned(entry.says.times),
                    act: entry.says.act.word().to_owned(),
                    outcome: entry.says.outcome.word().to_owned(),
                    actor: entry.says.actor.word().to_owned(),
                    device_id: entry.says.device,
                    from: entry.says.peer,
                })
                .collect(),
        })
    }
}
