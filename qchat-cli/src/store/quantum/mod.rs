//! The database of quantum jobs and of the bits that came of them: beside the profile's, under the same key, and there before
//! an account is.
//!
//! Each method is one transaction, durable when it returns. They block the thread for as long as the disk takes.

mod devices;
mod health;
mod jobs;
mod pool;
mod schema;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use diesel::{
    SqliteConnection,
    connection::{AnsiTransactionManager, TransactionManager},
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use qchat_proto::crypto::secret::Secret;

pub use self::{
    devices::digest_of,
    health::Health,
    jobs::{Job, JobId, NewJob, State},
    pool::{BLOCK, Block, Draw, Level, Purpose},
};
use super::{ProfileLock, StoreError, connect, convert, file};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/quantum");
const DATABASE: &str = "quantum.db";
const LOCK: &str = "quantum.lock";
const SUBMITTING: &str = "quantum-jobs.lock";
/// How long emptying the log waits for readers.
const READERS: Duration = Duration::from_secs(2);

/// The open database; clones share it.
#[derive(Clone)]
pub struct QuantumStore(Arc<Inner>);

struct Inner {
    path: PathBuf,
    key: Secret<32>,
    /// Opened when it is first used, closed when a transaction leaves it half-way.
    conn: Mutex<Option<SqliteConnection>>,
}

impl std::fmt::Debug for QuantumStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuantumStore").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl QuantumStore {
    /// Whether `dir` holds one.
    pub fn exists(dir: &Path) -> bool {
        dir.join(DATABASE).exists()
    }

    /// The names of the files in a profile's directory that are locks, and hold nothing.
    pub const fn locks() -> [&'static str; 2] {
        [LOCK, SUBMITTING]
    }

    /// Takes the lock of whoever tells a provider of a job, or ends one there: between a look for the job and its id in the
    /// database nobody else does either.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process does for all that time.
    pub async fn lock(&self, patience: Duration) -> Result<ProfileLock, StoreError> {
        let dir = self.0.path.parent().unwrap_or(Path::new("."));
        ProfileLock::take_async(dir, SUBMITTING, patience).await
    }

    /// Opens the one in `dir`, which is made (mode 0700) when missing, as the database is.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`], [`StoreError::Damaged`], [`StoreError::TooNew`]; otherwise what the disk or SQLite says.
    pub fn open(dir: &Path, key: Secret<32>) -> Result<Self, StoreError> {
        let (dir, _) = file::create(dir, DATABASE)?;
        let path = dir.join(DATABASE);
        let mut conn = connect::open(&path, &key)?;
        file::migrate(&mut conn, MIGRATIONS, &dir, LOCK, |_| Ok(()))?;
        Ok(Self(Arc::new(Inner { path, key, conn: Mutex::new(Some(conn)) })))
    }

    /// The one in `dir`, if there is any.
    ///
    /// # Errors
    /// As [`QuantumStore::open`].
    pub fn find(dir: &Path, key: impl FnOnce() -> Secret<32>) -> Result<Option<Self>, StoreError> {
        if Self::exists(dir) { Self::open(dir, key()).map(Some) } else { Ok(None) }
    }

    /// Deletes the one in `dir` for good. No process may have it open.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn destroy(dir: &Path) -> Result<(), StoreError> {
        file::destroy(dir, DATABASE)
    }

    /// One transaction, with the write lock from its start.
    fn write<T>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.transaction("BEGIN IMMEDIATE", work)
    }

    /// One transaction that changes nothing.
    fn read<T>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.transaction("BEGIN", work)
    }

    fn transaction<T>(
        &self,
        begin: &str,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut slot = self.0.conn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut conn = match slot.take() {
            Some(conn) => conn,
            None => connect::open(&self.0.path, &self.0.key)?,
        };
        AnsiTransactionManager::begin_transaction_sql(&mut conn, begin)?;
        let done = match work(&mut conn) {
            Ok(done) => {
                AnsiTransactionManager::commit_transaction(&mut conn).map(|()| done).map_err(Into::into)
            }
            Err(error) => {
                // Failing to roll back leaves the connection marked as broken.
                let _ = AnsiTransactionManager::rollback_transaction(&mut conn);
                Err(error)
            }
        };
        if !AnsiTransactionManager::is_broken_transaction_manager(&mut conn) {
            *slot = Some(conn);
        }
        done
    }

    /// Empties the write-ahead log, in which bytes that were used would linger. Another process that reads may be in the
    /// way; then the next call does it.
    ///
    /// # Errors
    /// What SQLite says.
    fn forget(&self) -> Result<(), StoreError> {
        let mut slot = self.0.conn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(conn) = slot.as_mut() else { return Ok(()) };
        connect::set_busy_timeout(conn, READERS)?;
        let done = connect::number(conn, "wal_checkpoint(TRUNCATE)");
        connect::set_busy_timeout(conn, connect::BUSY)?;
        match done {
            Ok(_) | Err(StoreError::Busy) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Runs `work` on the blocking pool.
    ///
    /// # Errors
    /// Those of `work`; [`StoreError::Abandoned`] when the runtime shuts down first.
    pub async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store)).await.map_err(|_| StoreError::Abandoned)?
    }
}
