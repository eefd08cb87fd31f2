//! Connecting, so that what it commits is durable.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use diesel::{
    Connection as _, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    dsl::sql,
    r2d2::{ManageConnection, R2D2Connection},
    sql_types::{Integer, Text},
};

use super::{
    Connection, StoreError, Target, checkpoint,
    postgres::{self, Servers},
};

/// How long a statement waits for another process's lock on the SQLite file.
const BUSY: Duration = Duration::from_secs(5);

/// Pages of the write-ahead log after which the writer moves it into the database itself, and everybody waits: what should
/// have done it beside the writer is slower than the writes are, or gone.
const CHECKPOINT: u32 = 4 * checkpoint::PAGES;
/// Memory for pages that the writer may use, KiB: it reads the indexes that it adds to all over. Nothing is taken before
/// it is needed; a reader has 1,024.
const WRITER_CACHE: u32 = 16 * 1024;

/// Connects and refuses a database that would acknowledge before it has written.
pub(super) fn connect(target: &Target) -> Result<Connection, StoreError> {
    Manager::new(target).make()
}

/// The same, for the thread that makes all of SQLite's writes.
pub(super) fn connect_writer(target: &Target) -> Result<Connection, StoreError> {
    let mut conn = connect(target)?;
    if let Connection::Sqlite(conn) = &mut conn {
        conn.batch_execute(&format!("PRAGMA cache_size = -{WRITER_CACHE};"))?;
    }
    Ok(conn)
}

fn sqlite(path: &Path) -> Result<SqliteConnection, StoreError> {
    let path = path
        .to_str()
        .ok_or_else(|| StoreError::Unavailable("the database path is not valid UTF-8".into()))?;
    let mut conn = SqliteConnection::establish(path).map_err(StoreError::connect)?;
    conn.batch_execute(&format!(
        "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON; PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY; \
         PRAGMA wal_autocheckpoint = {CHECKPOINT};",
        BUSY.as_millis()
    ))?;
    let journal: String = diesel::select(sql::<Text>("(SELECT journal_mode FROM pragma_journal_mode)"))
        .get_result(&mut conn)?;
    let synchronous: i32 = diesel::select(sql::<Integer>("(SELECT synchronous FROM pragma_synchronous)"))
        .get_result(&mut conn)?;
    if journal != "wal" || synchronous < 2 {
        return Err(StoreError::NotDurable(format!(
            "SQLite runs with journal_mode={journal}, synchronous={synchronous} where wal and 2 (FULL) are needed"
        )));
    }
    Ok(conn)
}

/// How long a connection that a transaction has just succeeded on is taken to be good without being asked: asking costs as much
/// as a query does.
const TRUST: Duration = Duration::from_secs(1);

/// When a transaction last succeeded on the writer's connection; none after one that has failed.
#[derive(Clone, Default)]
pub(super) struct Trust(Arc<Mutex<Option<Instant>>>);

impl Trust {
    /// Keeps how a transaction went.
    pub(super) fn note(&self, succeeded: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = succeeded.then(Instant::now);
    }

    fn lasts(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|then| then.elapsed() < TRUST)
    }
}

/// Makes and checks a pool's connections, and keeps why one could not be made. Cheap to clone.
#[derive(Clone)]
pub(super) struct Manager {
    makes: Arc<Makes>,
    /// Of the writer's.
    trust: Option<Trust>,
}

struct Makes {
    source: Source,
    /// Why the last connection was not made, until one is.
    failure: Mutex<Option<StoreError>>,
}

enum Source {
    File(PathBuf),
    Servers(Servers),
}

impl Manager {
    /// Asks what there is to be known before one of several servers is chosen.
    pub(super) fn new(target: &Target) -> Self {
        let source = match target {
            Target::Sqlite(path) => Source::File(path.clone()),
            Target::Postgres(url) => Source::Servers(Servers::known(url)),
        };
        Self { makes: Arc::new(Makes { source, failure: Mutex::new(None) }), trust: None }
    }

    /// The same for the writer's connection, which is not asked anything within a second of a transaction that succeeded on it.
    pub(super) fn trusting(&self, trust: Trust) -> Self {
        Self { trust: Some(trust), ..self.clone() }
    }

    /// Whether a connection may be gone without a word.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self.makes.source, Source::Servers(_))
    }

    /// Why there is no connection.
    pub(super) fn failure(&self) -> StoreError {
        let known =
            self.makes.failure.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(StoreError::again);
        known.unwrap_or_else(|| StoreError::Unavailable("no connection was made in time".into()))
    }

    fn make(&self) -> Result<Connection, StoreError> {
        match &self.makes.source {
            Source::File(path) => sqlite(path).map(Connection::Sqlite),
            Source::Servers(servers) => servers.connect().map(Connection::Postgres),
        }
    }

    /// Says once that connections are not made, and once that they are again.
    fn note(&self, failure: Option<&StoreError>) {
        let mut known = self.makes.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*known, failure) {
            (None, Some(error)) => tracing::warn!(%error, "no further connection to the database"),
            (Some(_), None) => tracing::info!("connections to the database are made again"),
            _ => {}
        }
        *known = failure.map(StoreError::again);
    }
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = StoreError;

    fn connect(&self) -> Result<Connection, StoreError> {
        let made = self.make();
        self.note(made.as_ref().err());
        made
    }

    /// A server that has stopped taking writes is of no use: another may take them by now.
    fn is_valid(&self, conn: &mut Connection) -> Result<(), StoreError> {
        if self.trust.as_ref().is_some_and(Trust::lasts) {
            return Ok(());
        }
        match conn {
            Connection::Sqlite(conn) => conn.ping().map_err(StoreError::from),
            Connection::Postgres(conn) => postgres::takes_writes(conn),
        }
    }

    fn has_broken(&self, conn: &mut Connection) -> bool {
        std::thread::panicking() || conn.is_broken()
    }
}
