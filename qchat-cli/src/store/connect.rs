//! A connection to the encrypted database, with the settings that every one of them has.

use std::{marker::PhantomData, path::Path, time::Duration};

use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    deserialize::FromSql,
    row::{Field, NamedRow, Row},
    sql_types::{BigInt, Text},
    sqlite::Sqlite,
};
use qchat_proto::crypto::secret::Secret;
use zeroize::Zeroizing;

use super::StoreError;

/// How long a connection waits for others.
pub(super) const BUSY: Duration = Duration::from_secs(30);

/// The first column of a row, whatever its name.
struct Typed<T, ST>(T, PhantomData<ST>);

impl<T: FromSql<ST, Sqlite>, ST> QueryableByName<Sqlite> for Typed<T, ST> {
    fn build<'a>(row: &impl NamedRow<'a, Sqlite>) -> diesel::deserialize::Result<Self> {
        let field = Row::get(row, 0).ok_or("no column")?;
        Ok(Self(T::from_nullable_sql(field.value())?, PhantomData))
    }
}

/// Opens the database at `path`, which must exist.
pub(super) fn open(path: &Path, key: &Secret<32>) -> Result<SqliteConnection, StoreError> {
    let name = path.to_str().ok_or_else(|| StoreError::File {
        what: "use",
        path: path.to_owned(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidFilename, "the path is not UTF-8"),
    })?;
    let mut conn = SqliteConnection::establish(name).map_err(|error| StoreError::File {
        what: "open",
        path: path.to_owned(),
        source: std::io::Error::other(error),
    })?;
    // SQLCipher would write its complaints about a wrong key to stderr, over the screen.
    conn.batch_execute("PRAGMA cipher_log_level = NONE").map_err(|_| StoreError::NotEncrypted)?;
    match word(&mut conn, "cipher_version") {
        Ok(version) if !version.is_empty() => {}
        _ => return Err(StoreError::NotEncrypted),
    }
    // SQLCipher's keys are locked and wiped always. `cipher_memory_security`, which does so with all that SQLite
    // allocates, stays off: two system calls for each piece were more than half of every transaction, while the same
    // texts stand in this program's own memory (docs/THREATS.md).
    unlock(&mut conn, key)?;
    set_busy_timeout(&mut conn, BUSY)?;
    // The first page that is read shows whether the key is right.
    number(&mut conn, "schema_version")?;
    conn.batch_execute(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; \
         PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF",
    )?;
    if word(&mut conn, "journal_mode = WAL")? != "wal" {
        return Err(StoreError::File {
            what: "use write-ahead logging for",
            path: path.to_owned(),
            source: std::io::ErrorKind::Unsupported.into(),
        });
    }
    Ok(conn)
}

/// Gives the key, raw: it is 32 random bytes, so that SQLCipher's own derivation would only cost time.
fn unlock(conn: &mut SqliteConnection, key: &Secret<32>) -> Result<(), StoreError> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // Large enough from the start: growing would leave copies behind.
    let mut pragma = Zeroizing::new(String::with_capacity(96));
    pragma.push_str("PRAGMA key = \"x'");
    for byte in key.expose() {
        pragma.push(char::from(DIGITS[usize::from(byte >> 4)]));
        pragma.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    pragma.push_str("'\"");
    // SQLite's own message could quote the statement.
    conn.batch_execute(&pragma).map_err(|_| StoreError::WrongKey)
}

/// Sets how long the connection waits for others.
pub(super) fn set_busy_timeout(conn: &mut SqliteConnection, patience: Duration) -> Result<(), StoreError> {
    conn.batch_execute(&format!("PRAGMA busy_timeout = {}", patience.as_millis()))?;
    Ok(())
}

/// The first column of a pragma's answer, as a number.
pub(super) fn number(conn: &mut SqliteConnection, pragma: &'static str) -> Result<i64, StoreError> {
    let row: Typed<i64, BigInt> = diesel::sql_query(format!("PRAGMA {pragma}")).get_result(conn)?;
    Ok(row.0)
}

fn word(conn: &mut SqliteConnection, pragma: &'static str) -> Result<String, StoreError> {
    let row: Typed<String, Text> = diesel::sql_query(format!("PRAGMA {pragma}")).get_result(conn)?;
    Ok(row.0)
}
