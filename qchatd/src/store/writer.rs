//! SQLite's single writer: a thread that owns the writing connection and commits what is waiting in one transaction.
//!
//! A durable commit costs a disk flush whatever it holds, so requests that wait together share one. Each has a
//! savepoint: one that fails undoes its own changes only.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use diesel::{
    connection::{AnsiTransactionManager, TransactionManager},
    r2d2::R2D2Connection,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{Connection, Lane, StoreError, Target, Usage, checkpoint::Checkpoints, connection, transaction};

/// Writes that may wait; more wait in their senders.
const WAITING: usize = 1024;
/// Most writes in one transaction.
const GROUP: usize = 256;

/// Sends writes to the thread. The thread ends, after what was sent, when the last handle is gone.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    /// How long a write waits for room among those that wait.
    wait: Duration,
    counts: Arc<Counts>,
    _thread: Arc<Thread>,
}

#[derive(Default)]
struct Counts {
    /// Whether a transaction is underway.
    writing: AtomicBool,
    /// Writes that have waited in vain.
    refused: AtomicU64,
}

/// Joined when the last handle is dropped, so that the process does not leave with a commit half done.
struct Thread(Option<thread::JoinHandle<()>>);

trait Job: Send {
    /// Runs the write in a savepoint.
    fn run(&mut self, conn: &mut Connection);
    /// Answers the sender, once it is known whether the transaction is on disk.
    fn finish(self: Box<Self>, committed: Result<(), String>);
}

struct Write<F, T, E> {
    query: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Write<F, T, E>
where
    F: FnOnce(&mut Connection) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, conn: &mut Connection) {
        if let Some(query) = self.query.take() {
            self.result = Some(transaction(conn, query));
        }
    }

    fn finish(self: Box<Self>, committed: Result<(), String>) {
        let result = match (committed, self.result) {
            // Its changes are undone either way.
            (_, Some(Err(error))) => Err(error),
            (Ok(()), Some(Ok(value))) => Ok(value),
            (Ok(()), None) => Err(StoreError::Unavailable("the write did not run".into()).into()),
            (Err(reason), _) => Err(StoreError::Unavailable(reason).into()),
        };
        // A sender that has gone away does not want to know.
        drop(self.reply.send(result));
    }
}

impl Writer {
    pub(super) fn start(target: Target, wait: Duration) -> Result<Self, StoreError> {
        let conn = connection::connect_writer(&target)?;
        let checkpoints = Checkpoints::start(&target)?;
        let (jobs, waiting) = mpsc::channel(WAITING);
        let counts: Arc<Counts> = Arc::default();
        let told = counts.clone();
        let thread = thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || run(&target, conn, &checkpoints, &told, waiting))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { jobs, wait, counts, _thread: Arc::new(Thread(Some(thread))) })
    }

    pub(super) fn is_gone(&self) -> bool {
        self.jobs.is_closed()
    }

    /// Writes that wait, as the lane that they have to themselves.
    pub(super) fn usage(&self) -> Usage {
        Usage {
            lane: Lane::Writer,
            used: self.counts.writing.load(Ordering::Relaxed).into(),
            waiting: (self.jobs.max_capacity() - self.jobs.capacity()) as u64,
            refused: self.counts.refused.load(Ordering::Relaxed),
        }
    }

    pub(super) async fn write<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let gone = || StoreError::Unavailable("the database writer has ended".into());
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Write { query: Some(query), result: None, reply });
        // Once it is handed over, only its outcome says whether it is on disk: what waits is given up before.
        let Ok(room) = timeout(self.wait, self.jobs.reserve()).await else {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            return Err(StoreError::Busy.into());
        };
        room.map_err(|_| gone())?.send(job);
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // Field order in `Writer` has closed the channel by now. A writer that panicked has said so on its own.
        if let Some(thread) = self.0.take() {
            drop(thread.join());
        }
    }
}

fn run(
    target: &Target,
    mut conn: Connection,
    checkpoints: &Checkpoints,
    counts: &Counts,
    mut waiting: mpsc::Receiver<Box<dyn Job>>,
) {
    let mut group: Vec<Box<dyn Job>> = Vec::with_capacity(GROUP);
    while waiting.blocking_recv_many(&mut group, GROUP) > 0 {
        counts.writing.store(true, Ordering::Relaxed);
        let committed = commit(target, &mut conn, &mut group);
        counts.writing.store(false, Ordering::Relaxed);
        if let Err(reason) = &committed {
            tracing::error!(%reason, writes = group.len(), "a group of writes was not committed");
        }
        for job in group.drain(..) {
            job.finish(committed.clone());
        }
        if committed.is_ok() {
            checkpoints.committed(&mut conn);
        }
    }
}

fn commit(target: &Target, conn: &mut Connection, group: &mut [Box<dyn Job>]) -> Result<(), String> {
    if conn.is_broken() {
        *conn = connection::connect_writer(target).map_err(|error| error.to_string())?;
    }
    begin(conn).map_err(|error| error.to_string())?;
    for job in group.iter_mut() {
        job.run(conn);
    }
    <Connection as diesel::Connection>::TransactionManager::commit_transaction(conn)
        .map_err(|error| error.to_string())
}

/// `BEGIN IMMEDIATE` takes the write lock at once; a plain `BEGIN` could fail later, when reads are done already.
fn begin(conn: &mut Connection) -> diesel::QueryResult<()> {
    match conn {
        Connection::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE"),
        Connection::Postgres(_) => {
            <Connection as diesel::Connection>::TransactionManager::begin_transaction(conn)
        }
    }
}
