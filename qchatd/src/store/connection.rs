//! Connecting, so that what it commits is durable.

use std::{path::Path, time::Duration};

use diesel::{
    Connection as _, PgConnection, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    dsl::sql,
    r2d2::{ManageConnection, R2D2Connection},
    sql_types::{Integer, Text},
};

use super::{Connection, StoreError, Target, checkpoint};

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
    match target {
        Target::Sqlite(path) => sqlite(path).map(Connection::Sqlite),
        Target::Postgres(url) => postgres(url).map(Connection::Postgres),
    }
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

fn postgres(url: &str) -> Result<PgConnection, StoreError> {
    let mut conn = PgConnection::establish(url).map_err(StoreError::connect)?;
    conn.batch_execute("SET synchronous_commit = on")?;
    for setting in ["synchronous_commit", "fsync"] {
        let value: String =
            diesel::select(sql::<Text>(&format!("current_setting('{setting}')"))).get_result(&mut conn)?;
        if value != "on" {
            return Err(StoreError::NotDurable(format!(
                "PostgreSQL runs with {setting}={value} where on is needed"
            )));
        }
    }
    Ok(conn)
}

/// Makes and checks the pool's connections.
#[derive(Debug)]
pub(super) struct Manager(pub(super) Target);

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = StoreError;

    fn connect(&self) -> Result<Connection, StoreError> {
        connect(&self.0)
    }

    fn is_valid(&self, conn: &mut Connection) -> Result<(), StoreError> {
        conn.ping().map_err(StoreError::from)
    }

    fn has_broken(&self, conn: &mut Connection) -> bool {
        std::thread::panicking() || conn.is_broken()
    }
}
