//! One connection type over both databases.

use diesel::{MultiConnection, PgConnection, SqliteConnection};

/// A connection to SQLite or PostgreSQL. Queries are written once against it; where the dialects differ, `on_each!`
/// takes the arm.
#[derive(MultiConnection)]
pub enum AnyConnection {
    /// The embedded database.
    Sqlite(SqliteConnection),
    /// The shared one.
    Postgres(PgConnection),
}

/// Runs the same expression on the connection of either backend: for what does not compile on both at once
/// (batch inserts, `ON CONFLICT`).
macro_rules! on_each {
    ($conn:expr, $inner:ident => $body:expr) => {
        match $conn {
            $crate::store::Connection::Sqlite($inner) => $body,
            $crate::store::Connection::Postgres($inner) => $body,
        }
    };
}
pub(super) use on_each;
