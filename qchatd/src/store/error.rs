//! What can go wrong with the database, in the services' words.

use diesel::result::{DatabaseErrorKind, Error};

use super::{postgres::STANDBY, target};

/// A query did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or not in time.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// All connections are in use, and none became free in time.
    #[error("all connections to the database are in use")]
    Busy,
    /// The database is there, and takes no writes.
    #[error("the database takes no writes: {0}")]
    ReadOnly(String),
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
    /// Whether it may be over by itself: whoever waits, and tries again, does right.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Busy | Self::ReadOnly(_))
    }

    pub(super) fn connect(error: diesel::ConnectionError) -> Self {
        let text = match error {
            // libpq's text names host and user, never the password.
            diesel::ConnectionError::BadConnection(text) => text,
            other => other.to_string(),
        };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.contains("session is read-only") {
            return Self::ReadOnly(STANDBY.to_owned());
        }
        let full = ["too many clients", "connection slots are reserved", "too many connections for"];
        let remedy = if full.iter().any(|said| text.contains(said)) { TOO_MANY } else { "" };
        Self::Unavailable(format!("{text}{remedy}"))
    }

    /// Says which database, where its text does not.
    pub(super) fn at(self, url: &str) -> Self {
        match self {
            Self::ReadOnly(text) => Self::ReadOnly(format!("{}: {text}", target::shown(url))),
            other => other,
        }
    }

    /// One for all servers of a database, none of which can be used.
    pub(super) fn of_all(mut failures: Vec<Self>) -> Self {
        if failures.len() == 1
            && let Some(only) = failures.pop()
        {
            return only;
        }
        let texts = failures.iter().map(|error| match error {
            Self::Unavailable(text) | Self::ReadOnly(text) | Self::NotDurable(text) => text.clone(),
            other => other.to_string(),
        });
        let text = texts.collect::<Vec<_>>().join("; ");
        // What an operator has to do something about counts most.
        if failures.iter().any(|error| matches!(error, Self::NotDurable(_))) {
            Self::NotDurable(text)
        } else if failures.iter().any(|error| matches!(error, Self::ReadOnly(_))) {
            Self::ReadOnly(text)
        } else {
            Self::Unavailable(text)
        }
    }

    /// The same once more: why there is no connection is told to each who waits for one.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::ReadOnly(text) => Self::ReadOnly(text.clone()),
            Self::NotDurable(text) => Self::NotDurable(text.clone()),
            Self::Unavailable(text) => Self::Unavailable(text.clone()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// The remedy when PostgreSQL takes no further connection.
const TOO_MANY: &str = " (PostgreSQL is at its max_connections: raise it, or lower database_connections; each node takes \
                        two more than that)";

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Self::Conflict,
            Error::DatabaseError(DatabaseErrorKind::ClosedConnection, info) => {
                Self::Unavailable(info.message().to_owned())
            }
            Error::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, info) => {
                Self::ReadOnly(info.message().to_owned())
            }
            other => Self::Query(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use diesel::ConnectionError;

    use super::*;

    #[test]
    fn what_postgresql_says_at_the_door_comes_with_its_remedy() {
        let at = "connection to server at \"db\" (192.0.2.1), port 5432 failed: FATAL: ";
        for (said, passing, remedy) in [
            ("  sorry, too many clients already\n", "cannot be reached", "raise it, or lower"),
            (
                "remaining connection slots are reserved for roles with SUPERUSER",
                "cannot be reached",
                "raise it",
            ),
            ("too many connections for database \"qchat\"", "cannot be reached", "raise it"),
            ("session is read-only", "takes no writes", "name the primary too"),
            (
                "password authentication failed for user \"qchat\"",
                "cannot be reached",
                "authentication failed",
            ),
        ] {
            let error = StoreError::connect(ConnectionError::BadConnection(format!("{at}{said}")));
            let text = error.to_string();
            assert!(error.is_passing() && text.contains(passing) && text.contains(remedy), "{text}");
            assert!(!text.contains(['\n', '\t']), "{text}");
        }
    }

    #[test]
    fn of_several_servers_what_is_to_be_mended_counts_most() {
        let gone = || StoreError::Unavailable("a is gone".into());
        let standby = || StoreError::ReadOnly("b is a standby".into());
        let loses = || StoreError::NotDurable("c loses".into());
        for (failures, expected) in [
            (vec![gone()], "the database cannot be reached: a is gone"),
            (vec![gone(), gone()], "the database cannot be reached: a is gone; a is gone"),
            (vec![gone(), standby()], "the database takes no writes: a is gone; b is a standby"),
            (vec![standby(), loses()], "the database does not promise durability: b is a standby; c loses"),
        ] {
            assert_eq!(StoreError::of_all(failures).to_string(), expected);
        }
    }
}
