//! The two databases that every story is told on. PostgreSQL is the one that `QCHAT_TEST_POSTGRES_URL` names; each
//! daemon gets a fresh database in it, dropped at the end.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};

/// Which database a daemon keeps its state in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backend {
    /// A file in the daemon's data directory.
    Sqlite,
    /// A database of a PostgreSQL server.
    Postgres,
}

/// Defines each named test function once for SQLite and once for PostgreSQL: `on_both!(story);` makes
/// `story::on_sqlite` and `story::on_postgres` out of `fn story(backend: Backend)`.
#[macro_export]
macro_rules! on_both {
    ($($story:ident),+ $(,)?) => {
        $(mod $story {
            #[test]
            fn on_sqlite() {
                super::$story($crate::database::Backend::Sqlite);
            }

            #[test]
            fn on_postgres() {
                super::$story($crate::database::Backend::Postgres);
            }
        })+
    };
}

/// A PostgreSQL database of its own for one daemon.
pub struct PostgresDatabase {
    admin_url: String,
    name: String,
}

impl PostgresDatabase {
    /// Creates it on the server that the environment names.
    pub fn create() -> Self {
        Self::create_on(env::var("QCHAT_TEST_POSTGRES_URL").unwrap_or_else(|_| {
            panic!(
                "QCHAT_TEST_POSTGRES_URL does not name a PostgreSQL server to test on; contrib/test.sh starts one, \
                 or set it to the URL of a database whose user may create others"
            )
        }))
    }

    /// Creates it on the server of this URL.
    pub fn create_on(admin_url: String) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("qchat_e2e_{}_{count}", std::process::id());
        let database = Self { admin_url, name };
        psql(&database.admin_url, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database.name));
        psql(&database.admin_url, &format!("CREATE DATABASE {}", database.name));
        database
    }

    /// Its URL, for a daemon.
    pub fn url(&self) -> String {
        let (address, _) = self.admin_url.rsplit_once('/').expect("a PostgreSQL URL names a database");
        format!("{address}/{}", self.name)
    }

    /// The password in its URL, which belongs into no log.
    pub fn password(&self) -> Option<String> {
        let (_, rest) = self.admin_url.split_once("://")?;
        let (user, _) = rest.split_once('@')?;
        user.split_once(':').map(|(_, password)| password.to_owned())
    }

    /// Everything it holds, as SQL.
    pub fn dump(&self) -> Vec<u8> {
        let output = Command::new("pg_dump").arg("--dbname").arg(self.url()).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("cannot run pg_dump: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The one value that a query gives.
    pub fn value(&self, sql: &str) -> String {
        psql(&self.url(), sql)
    }

    /// Runs a statement in it.
    pub(crate) fn execute(&self, sql: &str) {
        psql(&self.url(), sql);
    }
}

/// Runs a statement in the SQLite database in a daemon's data directory.
pub(crate) fn execute_on_sqlite(data_directory: &Path, sql: &str) {
    let file = data_directory.join("qchatd.sqlite3");
    let mut connection = SqliteConnection::establish(&file.to_string_lossy()).expect("the daemon's database");
    let done = connection.batch_execute(&format!("PRAGMA busy_timeout = 10000; {sql}"));
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        // Best effort: the server is a temporary one, or its owner sees what is left.
        drop(
            Command::new("psql")
                .args(["--no-psqlrc", "--quiet", "--command"])
                .arg(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name))
                .arg("--dbname")
                .arg(&self.admin_url)
                .stdin(Stdio::null())
                .output(),
        );
    }
}

fn psql(url: &str, sql: &str) -> String {
    let output = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"])
        .args(["--command", sql, "--dbname", url])
        .stdin(Stdio::null())
        .output();
    let output = output.unwrap_or_else(|error| panic!("cannot run psql: {error}"));
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
