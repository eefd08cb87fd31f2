//! Connections: how many there are, for whom, and how long somebody waits for one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use diesel::{connection::TransactionManager, r2d2};
use scheduled_thread_pool::ScheduledThreadPool;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

use super::{
    Connection, StoreError, Target,
    connection::{Manager, Trust},
};

type Transactions = <Connection as diesel::Connection>::TransactionManager;

/// Threads that make connections, for all lanes together: one that waits for a server which does not answer holds up no other.
const MAKERS: usize = 3;

/// Whose connections. Nobody takes another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Whatever clients ask for, and housekeeping.
    Requests,
    /// The relay, which writes one group of messages after the other. On SQLite all writes: its one writer makes them.
    Writer,
    /// What reads the messages that other nodes have written.
    Delivery,
}

impl Lane {
    /// Its name, for meters and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Writer => "writer",
            Self::Delivery => "delivery",
        }
    }
}

/// How a lane stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Whose connections.
    pub lane: Lane,
    /// Connections in use.
    pub used: usize,
    /// Who waits for one.
    pub waiting: u64,
    /// How often somebody has waited in vain since the start.
    pub refused: u64,
}

/// The connections of all lanes.
pub(super) struct Pools {
    requests: Pool,
    writer: Pool,
    delivery: Pool,
}

impl Pools {
    /// `connections` for requests, and one for each other lane. Makes none before it is needed.
    pub(super) fn new(target: &Target, connections: u32, wait: Duration) -> Result<Self, StoreError> {
        let manager = Manager::new(target);
        let makers = Arc::new(
            ScheduledThreadPool::builder().num_threads(MAKERS).thread_name_pattern("database-{}").build(),
        );
        let pool = |lane, size| Pool::new(lane, &manager, makers.clone(), size, wait);
        Ok(Self {
            requests: pool(Lane::Requests, connections)?,
            writer: pool(Lane::Writer, 1)?,
            delivery: pool(Lane::Delivery, 1)?,
        })
    }

    pub(super) fn of(&self, lane: Lane) -> &Pool {
        match lane {
            Lane::Requests => &self.requests,
            Lane::Writer => &self.writer,
            Lane::Delivery => &self.delivery,
        }
    }
}

/// The connections of one lane, cheap to clone.
#[derive(Clone)]
pub(super) struct Pool {
    lane: Lane,
    size: usize,
    wait: Duration,
    connections: r2d2::Pool<Manager>,
    manager: Manager,
    /// In the writer's lane.
    trust: Option<Trust>,
    /// As many as there are connections: waiting happens here, where it costs no thread.
    permits: Arc<Semaphore>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    waiting: AtomicU64,
    refused: AtomicU64,
    /// Whether somebody has waited in vain since one was free at once: said once.
    exhausted: AtomicBool,
}

/// Somebody who waits, counted until this is dropped: also when whoever asked has gone away.
struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    fn new(
        lane: Lane,
        manager: &Manager,
        makers: Arc<ScheduledThreadPool>,
        size: u32,
        wait: Duration,
    ) -> Result<Self, StoreError> {
        let trust = (lane == Lane::Writer).then(Trust::default);
        let manager = trust.clone().map_or_else(|| manager.clone(), |trust| manager.trusting(trust));
        let builder = r2d2::Pool::builder()
            .max_size(size)
            .min_idle(Some(0))
            .connection_timeout(wait)
            .thread_pool(makers)
            // The manager says it.
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .test_on_check_out(manager.is_remote());
        let builder = match lane {
            Lane::Requests => builder,
            // What it has it keeps: somebody else could take its place meanwhile.
            Lane::Writer | Lane::Delivery => builder.idle_timeout(None).max_lifetime(None),
        };
        let connections = builder.build(manager.clone()).map_err(|_| manager.failure())?;
        let size = size as usize;
        let permits = Arc::new(Semaphore::new(size));
        Ok(Self { lane, size, wait, connections, manager, trust, permits, counts: Arc::default() })
    }

    /// Runs a query on one of the connections. Waits for its turn, and as long again for a connection to be made.
    pub(super) async fn run<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.on_a_thread(move |pool| query(&mut *pool.connection()?)).await
    }

    /// Runs a query on one of the connections in a transaction. Where the writer has just used its connection, it is not
    /// asked whether it is good: that shows when the transaction begins, and nothing has been done by then.
    pub(super) async fn transaction<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Some(trust) = self.trust.clone() else {
            return self.run(|conn| super::transaction(conn, query)).await;
        };
        self.on_a_thread(move |pool| {
            let mut conn = pool.connection()?;
            if Transactions::begin_transaction(&mut *conn).is_err() {
                trust.note(false);
                drop(conn);
                conn = pool.connection()?;
                Transactions::begin_transaction(&mut *conn).map_err(StoreError::from)?;
            }
            let done = match query(&mut conn) {
                Ok(done) => Transactions::commit_transaction(&mut *conn)
                    .map(|()| done)
                    .map_err(|error| StoreError::from(error).into()),
                Err(error) => {
                    // A connection that cannot roll back is broken, and dropped.
                    let _ = Transactions::rollback_transaction(&mut *conn);
                    Err(error)
                }
            };
            trust.note(done.is_ok());
            done
        })
        .await
    }

    fn connection(&self) -> Result<r2d2::PooledConnection<Manager>, StoreError> {
        self.connections.get().map_err(|_| self.manager.failure())
    }

    async fn on_a_thread<T, E>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let permit = self.permit().await?;
        let pool = self.clone();
        let done = spawn_blocking(move || {
            let _permit = permit;
            work(&pool)
        });
        done.await.map_err(|_| StoreError::Unavailable("a database task was cancelled".into()))?
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let counts = &*self.counts;
        let (lane, size) = (self.lane.name(), self.size);
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            // Nobody waits: whoever does comes first.
            if counts.exhausted.swap(false, Ordering::Relaxed) {
                tracing::info!(lane, size, "connections to the database are free again");
            }
            return Ok(permit);
        }
        let _waiting = Waiting::new(&counts.waiting);
        if let Ok(Ok(permit)) = timeout(self.wait, self.permits.clone().acquire_owned()).await {
            return Ok(permit);
        }
        counts.refused.fetch_add(1, Ordering::Relaxed);
        if !counts.exhausted.swap(true, Ordering::Relaxed) {
            tracing::warn!(lane, size, "all connections to the database are in use; who waits is refused");
        }
        Err(StoreError::Busy)
    }

    /// How it stands.
    pub(super) fn usage(&self) -> Usage {
        Usage {
            lane: self.lane,
            used: self.size.saturating_sub(self.permits.available_permits()),
            waiting: self.counts.waiting.load(Ordering::Relaxed),
            refused: self.counts.refused.load(Ordering::Relaxed),
        }
    }
}
