//! Between the protocol's types and what SQLite holds.

use std::time::{SystemTime, UNIX_EPOCH};

use qchat_proto::ids::{IdError, Seq};

use super::StoreError;

/// Reads an id.
pub(super) fn id<T>(what: &'static str, bytes: &[u8]) -> Result<T, StoreError>
where
    T: for<'a> TryFrom<&'a [u8], Error = IdError>,
{
    T::try_from(bytes).map_err(|_| StoreError::Corrupt(what))
}

/// Reads a value of fixed size.
pub(super) fn array<const N: usize>(what: &'static str, bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt(what))
}

/// A number for the database.
pub(super) fn number(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Range)
}

/// A number from the database.
pub(super) fn unsigned(what: &'static str, value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt(what))
}

/// A seq for the database.
pub(super) fn seq_number(seq: Seq) -> Result<i64, StoreError> {
    number(seq.0)
}

/// A seq from the database.
pub(super) fn seq(value: i64) -> Result<Seq, StoreError> {
    unsigned("seq", value).map(Seq)
}

/// A page size for the database.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Milliseconds since the Unix epoch by this machine's clock; 0 before it.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
