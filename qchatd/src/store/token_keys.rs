//! Which keys sign access tokens, from when and until when. A row holds no key: it is derived from the key file and the
//! row's salt, so that all nodes have the same keys and the database alone can sign nothing.

use diesel::prelude::*;

use super::{
    Connection, StoreError,
    schema::{server, token_keys},
};

/// A key as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenKey {
    /// Stands in the tokens as `kid`, in hex.
    pub id: [u8; 8],
    /// What tells it from the other keys of the same key file.
    pub salt: [u8; 32],
    /// Unix seconds: it signs from then on, until a newer one does.
    pub signs_from: i64,
    /// Unix seconds: no token of it is good from then on. `None`: it has no successor yet.
    pub ends_at: Option<i64>,
}

/// Id, salt, first second, end.
type Row = (Vec<u8>, Vec<u8>, i64, Option<i64>);

/// All keys, the oldest first.
///
/// # Errors
/// When the query fails.
pub fn all(conn: &mut Connection) -> Result<Vec<TokenKey>, StoreError> {
    let rows: Vec<Row> = token_keys::table
        .select((token_keys::id, token_keys::salt, token_keys::signs_from, token_keys::ends_at))
        .order((token_keys::signs_from, token_keys::id))
        .load(conn)?;
    rows.into_iter()
        .map(|(id, salt, signs_from, ends_at)| {
            Ok(TokenKey {
                id: id.try_into().map_err(|_| StoreError::Corrupt("a key id"))?,
                salt: salt.try_into().map_err(|_| StoreError::Corrupt("a salt"))?,
                signs_from,
                ends_at,
            })
        })
        .collect()
}

/// Keeps every other node from changing the keys until the transaction ends.
///
/// # Errors
/// When the query fails.
pub fn lock(conn: &mut Connection) -> Result<(), StoreError> {
    let query = server::table.select(server::id).filter(server::id.eq(1));
    let _: i32 = match conn {
        Connection::Sqlite(conn) => query.get_result(conn),
        Connection::Postgres(conn) => query.for_update().get_result(conn),
    }?;
    Ok(())
}

/// Adds a key, ends at `others_end` those that have no end yet, and forgets those that had ended before `now`.
///
/// # Errors
/// When a query fails.
pub fn succeed(conn: &mut Connection, new: &TokenKey, others_end: i64, now: i64) -> Result<(), StoreError> {
    diesel::delete(token_keys::table.filter(token_keys::ends_at.lt(now))).execute(conn)?;
    diesel::update(token_keys::table.filter(token_keys::ends_at.is_null()))
        .set(token_keys::ends_at.eq(Some(others_end)))
        .execute(conn)?;
    diesel::insert_into(token_keys::table)
        .values((
            token_keys::id.eq(new.id.as_slice()),
            token_keys::salt.eq(new.salt.as_slice()),
            token_keys::signs_from.eq(new.signs_from),
            token_keys::ends_at.eq(new.ends_at),
        ))
        .execute(conn)?;
    Ok(())
}
