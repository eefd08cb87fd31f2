//! Moves SQLite's write-ahead log into the database beside the writer: its own commits would have to wait for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use diesel::{RunQueryDsl, sql_query, sql_types::Integer};

use super::{Connection, StoreError, Target, connection};

/// Pages of the log that are moved together: 32 MB. A page of an index that many writes change is moved once then. SQLite's
/// own 1,000 pages hold some 300 envelopes, less than one group of writes.
pub(super) const PAGES: u32 = 8192;
/// Between two looks at the log's length, while there are commits.
const LOOK: Duration = Duration::from_millis(100);

/// The writer's side. The thread ends, after what it is doing, when this is dropped.
pub(super) struct Checkpoints {
    /// Holds one, so that the writer never waits.
    committed: Option<SyncSender<()>>,
    /// Whether the log has been moved but for what came meanwhile.
    moved: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Starts the thread.
    pub(super) fn start(target: &Target) -> Result<Self, StoreError> {
        let conn = connection::connect(target)?;
        let (committed, commits) = sync_channel(1);
        let moved = Arc::new(AtomicBool::new(false));
        let (target, told) = (target.clone(), moved.clone());
        let thread = thread::Builder::new()
            .name("sqlite-checkpoint".into())
            .spawn(move || run(&target, conn, &commits, &told))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { committed: Some(committed), moved, thread: Some(thread) })
    }

    /// Says that something was committed, on the writer's connection, outside a transaction. Moves what little came while
    /// the log was moved: SQLite begins the log anew only when nothing of it is left, and grows it otherwise.
    pub(super) fn committed(&self, conn: &mut Connection) {
        if self.moved.swap(false, Ordering::AcqRel)
            && let Err(error) = checkpoint(conn, "PASSIVE")
        {
            tracing::warn!(%error, "the rest of the write-ahead log was not moved");
        }
        if let Some(committed) = &self.committed {
            // A full channel has said so already; without its thread the writer moves the log itself, later.
            let _ = committed.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.committed = None;
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            drop(thread.join());
        }
    }
}

fn run(target: &Target, mut conn: Connection, commits: &Receiver<()>, moved: &AtomicBool) {
    while commits.recv().is_ok() {
        match look(&mut conn) {
            Ok(true) => moved.store(true, Ordering::Release),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log was not moved into the database; trying again");
                // Its file may be gone, or a disk full: a new connection starts from what is there.
                if let Ok(new) = connection::connect(target) {
                    conn = new;
                }
            }
        }
        thread::park_timeout(LOOK);
    }
}

/// Moves the log if it is long; whether it did.
fn look(conn: &mut Connection) -> Result<bool, StoreError> {
    if checkpoint(conn, "NOOP")?.left() < PAGES {
        return Ok(false);
    }
    checkpoint(conn, "PASSIVE")?;
    Ok(true)
}

/// How far the log is moved.
#[derive(diesel::QueryableByName)]
struct Log {
    #[diesel(sql_type = Integer)]
    log: i32,
    #[diesel(sql_type = Integer)]
    checkpointed: i32,
}

impl Log {
    /// Pages that are not in the database yet.
    fn left(&self) -> u32 {
        u32::try_from(self.log - self.checkpointed).unwrap_or(0)
    }
}

/// `PASSIVE` moves what no reader keeps, and holds up nobody; `NOOP` only looks.
fn checkpoint(conn: &mut Connection, mode: &str) -> Result<Log, StoreError> {
    let Connection::Sqlite(conn) = conn else { return Ok(Log { log: 0, checkpointed: 0 }) };
    Ok(sql_query(format!("PRAGMA wal_checkpoint({mode})")).get_result(conn)?)
}
