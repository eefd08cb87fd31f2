//! Opening a profile's database and running transactions on it.
//!
//! Several processes may have the same profile open. Writers take the write lock at the start of their transaction
//! (`BEGIN IMMEDIATE`), so none fails half-way; readers see the last commit and block nobody (WAL).

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::Duration,
};

use diesel::connection::SimpleConnection;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use qchat_proto::crypto::secret::Secret;

use super::{
    ProfileLock, StoreError, connect, file,
    kept::Kept,
    quantum::QuantumStore,
    queue::{self, Queue},
    search,
    tx::{Begin, Tx},
};

pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/client");
const DATABASE: &str = "profile.db";
const LOG: &str = "profile.db-wal";
const MIGRATION_LOCK: &str = "migrate.lock";
const PROFILE_LOCK: &str = "profile.lock";
const VAULT_LOCK: &str = "vault.lock";

/// A profile's open database. Clones share it.
#[derive(Clone)]
pub struct Profile(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    key: Secret<32>,
    writer: Slot,
    /// For what is read while the other one writes, or takes long. One is enough: opening a connection costs a command more than
    /// waiting for this one.
    reader: Slot,
    queue: Queue,
}

/// A connection, opened when it is first used; taken out while in use, so that a panic inside a transaction closes it
/// (which rolls back) instead of leaving it half-way.
#[derive(Default)]
struct Slot(Mutex<Option<Tx>>);

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").field("dir", &self.0.dir).finish_non_exhaustive()
    }
}

impl Profile {
    /// Whether `dir` holds a profile's database.
    pub fn exists(dir: &Path) -> bool {
        dir.join(DATABASE).exists()
    }

    /// Creates the database in `dir`, which is made (mode 0700) with its parents when missing.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is one; otherwise what the disk or SQLite says.
    pub fn create(dir: &Path, key: Secret<32>) -> Result<Self, StoreError> {
        let (dir, new) = file::create(dir, DATABASE)?;
        if !new {
            return Err(StoreError::Exists(dir));
        }
        Self::start(dir.clone(), key).inspect_err(|_| {
            // Nothing has been stored yet; what is left would only stand in the way of the next attempt.
            let _ = Self::destroy(&dir);
        })
    }

    /// Opens the database in `dir`, brings its schema up to date, and tightens the modes of directory and file.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::WrongKey`], [`StoreError::Damaged`], [`StoreError::TooNew`]; otherwise what the
    /// disk or SQLite says.
    pub fn open(dir: &Path, key: Secret<32>) -> Result<Self, StoreError> {
        // SQLite takes an empty file for a new database, and would fill it.
        if fs::metadata(dir.join(DATABASE)).is_ok_and(|file| file.len() == 0) {
            return Err(StoreError::Damaged("the file is empty"));
        }
        Self::open_begun(dir, key)
    }

    /// As [`Profile::open`], where the program may have ended while it created the database: then it is created.
    ///
    /// # Errors
    /// As [`Profile::open`].
    pub fn open_begun(dir: &Path, key: Secret<32>) -> Result<Self, StoreError> {
        let missing = || StoreError::Missing(dir.to_owned());
        let dir = dir.canonicalize().map_err(|_| missing())?;
        if !Self::exists(&dir) {
            return Err(missing());
        }
        Self::start(dir, key)
    }

    /// Deletes the database in `dir` for good. No process may have it open.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn destroy(dir: &Path) -> Result<(), StoreError> {
        file::destroy(dir, DATABASE)
    }

    /// The names of the files in a profile's directory that are locks, and hold nothing.
    pub const fn locks() -> [&'static str; 3] {
        [MIGRATION_LOCK, PROFILE_LOCK, VAULT_LOCK]
    }

    fn start(dir: PathBuf, key: Secret<32>) -> Result<Self, StoreError> {
        tighten(&dir, 0o700)?;
        tighten(&dir.join(DATABASE), 0o600)?;
        let inner =
            Inner { dir, key, writer: Slot::default(), reader: Slot::default(), queue: Queue::default() };
        inner.writer.run(
            || inner.connect(false),
            |tx| file::migrate(&mut tx.conn, MIGRATIONS, &inner.dir, MIGRATION_LOCK, search::fill_in_steps),
        )?;
        Ok(Self(Arc::new(inner)))
    }

    /// Opens the database of quantum jobs beside this one, if there is any.
    ///
    /// # Errors
    /// As [`QuantumStore::open`].
    pub fn quantum(&self) -> Result<Option<QuantumStore>, StoreError> {
        QuantumStore::find(&self.0.dir, || Secret::from_bytes(*self.0.key.expose()))
    }

    /// The same, which is made when there is none.
    ///
    /// # Errors
    /// As [`QuantumStore::open`].
    pub fn quantum_or_new(&self) -> Result<QuantumStore, StoreError> {
        QuantumStore::open(&self.0.dir, Secret::from_bytes(*self.0.key.expose()))
    }

    /// The writes that wait.
    pub(super) fn queue(&self) -> &Queue {
        &self.0.queue
    }

    /// The profile's directory.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Runs one write transaction; blocks the thread. It is durable when this returns `Ok`, and has left no trace when
    /// `work` fails or panics. Transactions do not nest: `work` must use the [`Tx`] it is given.
    ///
    /// # Errors
    /// Those of `work`; [`StoreError::Busy`] when other processes keep the database for 30 s.
    pub fn write<T, E: From<StoreError>>(&self, work: impl FnOnce(&mut Tx) -> Result<T, E>) -> Result<T, E> {
        let inner = &*self.0;
        inner.writer.run(|| inner.connect(false), |tx| tx.run(Begin::Write, work))
    }

    /// Runs one short read transaction, which sees a single state throughout; blocks the thread. Writing in it fails. What takes long
    /// is for [`Profile::read_aside`].
    ///
    /// # Errors
    /// Those of `work`.
    pub fn read<T, E: From<StoreError>>(&self, work: impl FnOnce(&mut Tx) -> Result<T, E>) -> Result<T, E> {
        let inner = &*self.0;
        // Each connection keeps the pages that it has decrypted until another one writes: after a write the writer's are all there, and
        // the reader's all gone.
        let free = match inner.writer.0.try_lock() {
            Ok(slot) => Some(slot),
            Err(TryLockError::Poisoned(slot)) => Some(slot.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        match free {
            Some(slot) => Slot::run_in(slot, || inner.connect(false), |tx| tx.run(Begin::Read, work)),
            None => self.read_aside(work),
        }
    }

    /// [`Profile::read`] for what takes long: nobody who writes waits for it.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn read_aside<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        let inner = &*self.0;
        inner.reader.run(|| inner.connect(true), |tx| tx.run(Begin::Read, work))
    }

    /// [`Profile::write`] on the blocking pool. It has its place among those so written when this returns, and is carried out in
    /// that order, whether or not anybody waits for it.
    ///
    /// # Errors
    /// As [`Profile::write`]; [`StoreError::Abandoned`] when the runtime shuts down first; [`StoreError::Together`].
    pub fn write_async<W, T, E>(&self, work: W) -> impl Future<Output = Result<T, E>> + use<W, T, E>
    where
        W: FnOnce(&mut Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        queue::write(self, work)
    }

    /// [`Profile::read_aside`] on the blocking pool.
    ///
    /// # Errors
    /// As there; [`StoreError::Abandoned`] when the runtime shuts down first.
    pub async fn read_aside_async<T, E>(
        &self,
        work: impl FnOnce(&mut Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let profile = self.clone();
        blocking(move || profile.read_aside(work)).await
    }

    /// [`Profile::read`] on the blocking pool.
    ///
    /// # Errors
    /// As [`Profile::read`]; [`StoreError::Abandoned`] when the runtime shuts down first.
    pub async fn read_async<T, E>(
        &self,
        work: impl FnOnce(&mut Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let profile = self.clone();
        blocking(move || profile.read(work)).await
    }

    /// A number that changes when, and only when, another process (or another open copy of this profile) has committed
    /// since the last call. Own writes do not change it. Waits for a write transaction under way; blocks the thread.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        let inner = &*self.0;
        inner.writer.run(|| inner.connect(false), |tx| connect::number(&mut tx.conn, "data_version"))
    }

    /// [`Profile::data_version`] on the blocking pool.
    ///
    /// # Errors
    /// As there.
    pub async fn data_version_async(&self) -> Result<i64, StoreError> {
        let profile = self.clone();
        blocking(move || profile.data_version()).await
    }

    /// Moves the write-ahead log into the database and empties it, so that deleted keys do not stay in it. `false`
    /// when a reader or writer was in the way for longer than `patience`: the next call will do it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn checkpoint(&self, patience: Duration) -> Result<bool, StoreError> {
        let inner = &*self.0;
        // It may have gone with the last process that closed the database.
        if fs::metadata(inner.dir.join(LOG)).map_or(0, |log| log.len()) == 0 {
            return Ok(true);
        }
        inner.writer.run(
            || inner.connect(false),
            |tx| {
                let conn = &mut tx.conn;
                connect::set_busy_timeout(conn, patience)?;
                let blocked = connect::number(conn, "wal_checkpoint(TRUNCATE)");
                connect::set_busy_timeout(conn, connect::BUSY)?;
                match blocked {
                    Ok(blocked) => Ok(blocked == 0),
                    Err(StoreError::Busy) => Ok(false),
                    Err(error) => Err(error),
                }
            },
        )
    }

    /// [`Profile::checkpoint`] on the blocking pool.
    ///
    /// # Errors
    /// As there.
    pub async fn checkpoint_async(&self, patience: Duration) -> Result<bool, StoreError> {
        let profile = self.clone();
        blocking(move || profile.checkpoint(patience)).await
    }

    /// Takes the lock over all processes of this profile, waiting for at most `patience`. Not reentrant.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when the time is over.
    pub async fn lock(&self, patience: Duration) -> Result<ProfileLock, StoreError> {
        ProfileLock::take_async(&self.0.dir, PROFILE_LOCK, patience).await
    }

    /// Takes another lock over all processes of this profile, for changing its passphrase.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when the time is over.
    pub async fn lock_vault(&self, patience: Duration) -> Result<ProfileLock, StoreError> {
        ProfileLock::take_async(&self.0.dir, VAULT_LOCK, patience).await
    }
}

impl Inner {
    fn connect(&self, read_only: bool) -> Result<Tx, StoreError> {
        let mut conn = connect::open(&self.dir.join(DATABASE), &self.key)?;
        if read_only {
            conn.batch_execute("PRAGMA query_only = ON")?;
        }
        Ok(Tx { conn, kept: Kept::default(), changed: false, settled: vec![] })
    }
}

impl Slot {
    fn run<T, E: From<StoreError>>(
        &self,
        connect: impl FnOnce() -> Result<Tx, StoreError>,
        work: impl FnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        Self::run_in(self.0.lock().unwrap_or_else(PoisonError::into_inner), connect, work)
    }

    fn run_in<T, E: From<StoreError>>(
        mut slot: MutexGuard<'_, Option<Tx>>,
        connect: impl FnOnce() -> Result<Tx, StoreError>,
        work: impl FnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        // A panic while the lock was held has dropped the connection: nothing is left that could be inconsistent.
        let mut tx = match slot.take() {
            Some(tx) => tx,
            None => connect()?,
        };
        let result = work(&mut tx);
        if !tx.is_broken() {
            *slot = Some(tx);
        }
        result
    }
}

async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => Err(StoreError::Abandoned.into()),
        },
    }
}

fn tighten(path: &Path, mode: u32) -> Result<(), StoreError> {
    let failed = |source| StoreError::File { what: "protect", path: path.to_owned(), source };
    let mut permissions = fs::metadata(path).map_err(failed)?.permissions();
    if permissions.mode() & 0o777 != mode {
        permissions.set_mode(mode);
        fs::set_permissions(path, permissions).map_err(failed)?;
    }
    Ok(())
}
