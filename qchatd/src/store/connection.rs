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

/// How libpq finds out that the network has gone without a word, unless the URL says otherwise: a request that waits for
/// nobody would hold up every room. Connecting takes 5 s at most; what is sent is confirmed by the other machine within
/// 10 s, and one that says nothing is asked after 10 s, three times.
const WATCHFUL: [(&str, &str); 6] = [
    ("connect_timeout", "5"),
    ("tcp_user_timeout", "10000"),
    ("keepalives", "1"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "3"),
    ("keepalives_count", "3"),
];

/// The same for PostgreSQL, about this node. A transaction here never waits for anything but the database, so one that does
/// nothing for 5 s is that of a node that is gone, and what it has locked is wanted by the others.
const LET_GO: &str = "SET idle_in_transaction_session_timeout = '5s'; SET tcp_user_timeout = '10s'; \
                      SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3;";

/// The URL, with what it does not say about a network that goes away.
fn watchful(url: &str) -> String {
    let (start, query) = url.split_once('?').unwrap_or((url, ""));
    let said = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let unsaid =
        WATCHFUL.iter().filter(|(name, _)| !said(name)).map(|(name, value)| format!("{name}={value}"));
    let own = Some(query.to_owned()).filter(|query| !query.is_empty());
    format!("{start}?{}", own.into_iter().chain(unsaid).collect::<Vec<_>>().join("&"))
}

fn postgres(url: &str) -> Result<PgConnection, StoreError> {
    let mut conn = PgConnection::establish(&watchful(url)).map_err(StoreError::connect)?;
    conn.batch_execute(&format!("SET synchronous_commit = on; {LET_GO}"))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_what_it_says_about_the_network() {
        const ALL: &str = "connect_timeout=5&tcp_user_timeout=10000&keepalives=1&keepalives_idle=10&\
                           keepalives_interval=3&keepalives_count=3";
        for (url, watchful_url) in [
            ("postgres://h/db", format!("postgres://h/db?{ALL}")),
            ("postgres://h/db?", format!("postgres://h/db?{ALL}")),
            ("postgres://h/db?sslmode=verify-full", format!("postgres://h/db?sslmode=verify-full&{ALL}")),
            (
                "postgres://h/db?connect_timeout=60&keepalives_idle=9",
                "postgres://h/db?connect_timeout=60&keepalives_idle=9&tcp_user_timeout=10000&keepalives=1&\
                 keepalives_interval=3&keepalives_count=3"
                    .to_owned(),
            ),
        ] {
            assert_eq!(watchful(url), watchful_url);
        }
    }
}
