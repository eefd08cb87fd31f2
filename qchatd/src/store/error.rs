//! What can go wrong with the database, in the services' words.

use diesel::result::{DatabaseErrorKind, Error};

/// A query did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or not in time.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The database would lose what it has acknowledged.
    #[error("the database does not promise durability: {0}")]
    NotDurable(String),
    /// A row with this key exists.
    #[error("a row with this key exists")]
    Conflict,
    /// A column holds what this daemon never writes.
    #[error("the database holds {0} of the wrong form")]
    Corrupt(&'static str),
    /// A migration failed, or the schema is newer than this daemon.
    #[error("migration: {0}")]
    Migration(String),
    /// Any other failure of a query.
    #[error("database query: {0}")]
    Query(#[source] Error),
}

impl StoreError {
    pub(super) fn connect(error: diesel::ConnectionError) -> Self {
        match error {
            // libpq's text names host and user, never the password.
            diesel::ConnectionError::BadConnection(text) => Self::Unavailable(text.trim().to_owned()),
            other => Self::Unavailable(other.to_string()),
        }
    }

    pub(super) fn pool() -> Self {
        Self::Unavailable("no connection became free in time".into())
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Self::Conflict,
            Error::DatabaseError(DatabaseErrorKind::ClosedConnection, info) => {
                Self::Unavailable(info.message().to_owned())
            }
            other => Self::Query(other),
        }
    }
}
