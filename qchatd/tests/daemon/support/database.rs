//! A database of a test's own, gone with the test.

use diesel::{
    Connection as _, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection, sql_query, sql_types::Binary,
};
use qchat_proto::{crypto::entropy::SystemEntropy, ids::RoomId};
use qchatd::{
    config::{self, Config},
    store::Connection,
};
use tempfile::TempDir;

/// Where a daemon under test keeps its data.
pub(crate) struct Database {
    pub(crate) dir: TempDir,
    pub(crate) url: String,
    postgres: Option<Scratch>,
}

/// A PostgreSQL database, dropped at the end.
struct Scratch {
    admin: String,
    name: String,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/qchatd.sqlite3", dir.path().display());
        Self { dir, url, postgres: None }
    }

    pub(crate) fn postgres() -> Self {
        let admin = std::env::var("QCHAT_TEST_POSTGRES_URL").unwrap_or_else(|_| {
            panic!(
                "QCHAT_TEST_POSTGRES_URL is not set: run contrib/test.sh, which starts a PostgreSQL for the tests"
            )
        });
        Self::postgres_at(&admin)
    }

    /// A database of the server that has one of this URL.
    pub(crate) fn postgres_at(admin: &str) -> Self {
        let name = format!("qchatd_{}", RoomId::random(&SystemEntropy).unwrap());
        PgConnection::establish(admin).unwrap().batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        let (address, query) = admin.split_once('?').unwrap_or((admin, ""));
        let (server, _) = address.rsplit_once('/').unwrap();
        let url = format!("{server}/{name}{}{query}", if query.is_empty() { "" } else { "?" });
        Self {
            dir: tempfile::tempdir().unwrap(),
            url,
            postgres: Some(Scratch { admin: admin.to_owned(), name }),
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.postgres.is_some()
    }

    /// A connection behind the daemon's back.
    pub(crate) fn connect(&self) -> Connection {
        match self.url.strip_prefix("sqlite://") {
            Some(path) => {
                let mut conn = SqliteConnection::establish(path).unwrap();
                conn.batch_execute("PRAGMA busy_timeout = 20000; PRAGMA foreign_keys = ON").unwrap();
                Connection::Sqlite(conn)
            }
            None => Connection::Postgres(PgConnection::establish(&self.url).unwrap()),
        }
    }

    /// The ids of all sessions.
    pub(crate) fn sessions(&self) -> Vec<Vec<u8>> {
        #[derive(QueryableByName)]
        struct Session {
            #[diesel(sql_type = Binary)]
            id: Vec<u8>,
        }
        let mut conn = PgConnection::establish(&self.url).unwrap();
        let rows: Vec<Session> = sql_query("SELECT id FROM sessions").load(&mut conn).unwrap();
        rows.into_iter().map(|session| session.id).collect()
    }

    /// Changes it behind the daemon's back.
    pub(crate) fn execute(&self, sql: &str) {
        self.connect().batch_execute(sql).unwrap();
    }

    /// The configuration of a daemon on this database, on a free port.
    pub(crate) fn config(&self, more: &[(&'static str, &str)]) -> Config {
        let mut flags = vec![
            ("listen", "127.0.0.1:0".to_owned()),
            ("data_dir", self.dir.path().display().to_string()),
            ("database", self.url.clone()),
            ("database_connections", "4".to_owned()),
        ];
        flags.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
        config::load(None, &flags).unwrap().config
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let dropped = PgConnection::establish(&self.admin).map(|mut conn| {
            conn.batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name))
        });
        if !std::thread::panicking() {
            dropped.unwrap().unwrap();
        }
    }
}
