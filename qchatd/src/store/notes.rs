//! What the devices of an account keep for one another; nobody here can read it.

use diesel::prelude::*;
use qchat_proto::ids::AccountId;

use super::{Connection, StoreError, multi::on_each, schema::notes};

/// The notes of an account, and their version; `None` where there are none.
///
/// # Errors
/// When the query fails.
pub fn find(conn: &mut Connection, account: AccountId) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
    let found: Option<(i64, Vec<u8>)> = notes::table
        .find(account.as_bytes().as_slice())
        .select((notes::version, notes::sealed))
        .get_result(conn)
        .optional()?;
    Ok(found.map(|(version, sealed)| (version.unsigned_abs(), sealed)))
}

/// The version of an account's notes; 0 where there are none.
///
/// # Errors
/// When the query fails.
pub fn version(conn: &mut Connection, account: AccountId) -> Result<u64, StoreError> {
    let found: Option<i64> = notes::table
        .find(account.as_bytes().as_slice())
        .select(notes::version)
        .get_result(conn)
        .optional()?;
    Ok(found.unwrap_or(0).unsigned_abs())
}

/// Puts notes in the place of those of version `after`; false when those there are others.
///
/// # Errors
/// When a query fails.
pub fn put(conn: &mut Connection, account: AccountId, after: u64, sealed: &[u8]) -> Result<bool, StoreError> {
    let Ok(before) = i64::try_from(after) else { return Ok(false) };
    let key = account.as_bytes().as_slice();
    let done = if before == 0 {
        let row = (notes::account_id.eq(key), notes::version.eq(1_i64), notes::sealed.eq(sealed));
        on_each!(conn, conn => diesel::insert_into(notes::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(conn))?
    } else {
        diesel::update(notes::table.find(key).filter(notes::version.eq(before)))
            .set((notes::version.eq(before.saturating_add(1)), notes::sealed.eq(sealed)))
            .execute(conn)?
    };
    Ok(done > 0)
}

/// Erases an account's notes.
///
/// # Errors
/// When the query fails.
pub(super) fn erase(conn: &mut Connection, account: AccountId) -> Result<(), StoreError> {
    diesel::delete(notes::table.find(account.as_bytes().as_slice())).execute(conn)?;
    Ok(())
}
