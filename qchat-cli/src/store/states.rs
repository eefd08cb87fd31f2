//! Lines of the timeline by what has become of them.
//!
//! The numbers stand in the statements: SQLite compares what is bound with what its partial indexes are restricted to, and prepares such
//! a statement anew each time that it is run.

use diesel::{postfix_operator, sqlite::Sqlite};

use super::schema::timeline;

postfix_operator!(IsZero, " = 0", backend: Sqlite);
postfix_operator!(IsOne, " = 1", backend: Sqlite);
postfix_operator!(IsTwo, " = 2", backend: Sqlite);
postfix_operator!(IsNotZero, " <> 0", backend: Sqlite);

/// Those that are not deleted.
pub(super) fn kept() -> IsZero<timeline::deleted> {
    IsZero::new(timeline::deleted)
}

/// Those that are.
pub(super) fn erased() -> IsOne<timeline::deleted> {
    IsOne::new(timeline::deleted)
}

/// [`Delivery::Pending`](super::Delivery::Pending).
pub(super) fn pending() -> IsZero<timeline::delivery> {
    IsZero::new(timeline::delivery)
}

/// All others.
pub(super) fn not_pending() -> IsNotZero<timeline::delivery> {
    IsNotZero::new(timeline::delivery)
}

/// [`Delivery::Sent`](super::Delivery::Sent).
pub(super) fn sent() -> IsOne<timeline::delivery> {
    IsOne::new(timeline::delivery)
}

/// [`Delivery::Failed`](super::Delivery::Failed).
pub(super) fn failed() -> IsTwo<timeline::delivery> {
    IsTwo::new(timeline::delivery)
}
