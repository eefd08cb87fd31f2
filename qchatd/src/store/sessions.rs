//! Sessions: families of refresh tokens, and the challenges that logins have used. Tokens are kept as digests.

use std::collections::HashSet;

use diesel::prelude::*;
use qchat_proto::ids::{AccountId, DeviceId};

use super::{
    Connection, StoreError, id,
    multi::on_each,
    schema::{devices, refresh_tokens, sessions, spent_nonces},
};

/// A session's id, 16 bytes; it stands in the access tokens, not in the refresh tokens.
pub type SessionId = [u8; 16];
/// SHA-256.
pub type Digest = [u8; 32];

/// Who a session belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
}

/// Why a session was ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum Ended {
    /// By a logout of all sessions of the account.
    Everywhere = 1,
    /// Because a refresh token of it was used twice.
    Reuse = 2,
}

/// A session that has not expired, of a device that is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whose it is.
    pub owner: Owner,
    /// Why it is not open; `None` when it is.
    pub ended: Option<Ended>,
}

/// A refresh token as stored.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its family.
    pub session: SessionId,
    /// Unix seconds.
    pub expires_at: i64,
    /// When it was exchanged, Unix seconds, and the digest of the idempotency key that came with it.
    pub used: Option<(i64, Vec<u8>)>,
}

/// Opens a session for a device, and forgets those of its sessions that have expired.
///
/// # Errors
/// When the query fails.
pub fn open(
    conn: &mut Connection,
    session: &SessionId,
    device: DeviceId,
    now: i64,
    expires_at: i64,
) -> Result<(), StoreError> {
    let expired = sessions::table
        .filter(sessions::device_id.eq(device.as_bytes().as_slice()))
        .filter(sessions::expires_at.le(now));
    diesel::delete(expired).execute(conn)?;
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(session.as_slice()),
            sessions::device_id.eq(device.as_bytes().as_slice()),
            sessions::created_at.eq(now),
            sessions::expires_at.eq(expires_at),
        ))
        .execute(conn)?;
    Ok(())
}

/// A session with its owner.
///
/// # Errors
/// When the query fails.
pub fn find(conn: &mut Connection, session: &SessionId, now: i64) -> Result<Option<Found>, StoreError> {
    let row: Option<(Vec<u8>, Vec<u8>, Option<i16>)> = sessions::table
        .inner_join(devices::table)
        .select((devices::account_id, devices::id, sessions::ended_by))
        .filter(sessions::id.eq(session.as_slice()))
        .filter(sessions::expires_at.gt(now))
        .filter(devices::listed.eq(true))
        .get_result(conn)
        .optional()?;
    row.map(|(account, device, ended)| {
        let ended = match ended {
            None => None,
            Some(1) => Some(Ended::Everywhere),
            Some(2) => Some(Ended::Reuse),
            Some(_) => return Err(StoreError::Corrupt("the end of a session")),
        };
        Ok(Found { owner: Owner { account: id(&account)?, device: id(&device)? }, ended })
    })
    .transpose()
}

/// Those of `asked` that are open, not expired, and whose device is listed. SQLite binds 32,766 values at most.
///
/// # Errors
/// When the query fails.
pub fn open_among(
    conn: &mut Connection,
    asked: &[SessionId],
    now: i64,
) -> Result<HashSet<SessionId>, StoreError> {
    let asked: Vec<&[u8]> = asked.iter().map(SessionId::as_slice).collect();
    let rows: Vec<Vec<u8>> = on_each!(conn, conn => sessions::table
        .inner_join(devices::table)
        .select(sessions::id)
        .filter(sessions::id.eq_any(asked))
        .filter(sessions::expires_at.gt(now))
        .filter(sessions::ended_by.is_null())
        .filter(devices::listed.eq(true))
        .load(conn))?;
    rows.into_iter().map(session_id).collect()
}

/// Moves a session's end.
///
/// # Errors
/// When the query fails.
pub fn extend(conn: &mut Connection, session: &SessionId, expires_at: i64) -> Result<(), StoreError> {
    diesel::update(sessions::table.filter(sessions::id.eq(session.as_slice())))
        .set(sessions::expires_at.eq(expires_at))
        .execute(conn)?;
    Ok(())
}

/// Ends a session, and keeps why for whoever comes with its tokens.
///
/// # Errors
/// When the query fails.
pub fn end(conn: &mut Connection, session: &SessionId, why: Ended) -> Result<(), StoreError> {
    diesel::update(sessions::table.filter(sessions::id.eq(session.as_slice())))
        .set(sessions::ended_by.eq(Some(why as i16)))
        .execute(conn)?;
    Ok(())
}

/// Ends all sessions of an account that are open, and keeps why; returns them.
///
/// # Errors
/// When a query fails.
pub fn end_all(conn: &mut Connection, account: AccountId, why: Ended) -> Result<Vec<SessionId>, StoreError> {
    let rows: Vec<Vec<u8>> = sessions::table
        .inner_join(devices::table)
        .select(sessions::id)
        .filter(devices::account_id.eq(account.as_bytes().as_slice()))
        .filter(sessions::ended_by.is_null())
        .load(conn)?;
    let open: Vec<SessionId> = rows.into_iter().map(session_id).collect::<Result<_, _>>()?;
    let ids: Vec<&[u8]> = open.iter().map(SessionId::as_slice).collect();
    on_each!(conn, conn => diesel::update(sessions::table.filter(sessions::id.eq_any(ids)))
        .set(sessions::ended_by.eq(Some(why as i16)))
        .execute(conn))?;
    Ok(open)
}

/// Forgets a session with all its tokens.
///
/// # Errors
/// When the query fails.
pub fn close(conn: &mut Connection, session: &SessionId) -> Result<(), StoreError> {
    diesel::delete(sessions::table.filter(sessions::id.eq(session.as_slice()))).execute(conn)?;
    Ok(())
}

/// Forgets all sessions of an account but one; returns those that were open.
///
/// # Errors
/// When a query fails.
pub fn close_others(
    conn: &mut Connection,
    account: AccountId,
    but: &SessionId,
) -> Result<Vec<SessionId>, StoreError> {
    let rows: Vec<Vec<u8>> = sessions::table
        .inner_join(devices::table)
        .select(sessions::id)
        .filter(devices::account_id.eq(account.as_bytes().as_slice()))
        .filter(sessions::ended_by.is_null())
        .filter(sessions::id.ne(but.as_slice()))
        .load(conn)?;
    let others: Vec<SessionId> = rows.into_iter().map(session_id).collect::<Result<_, _>>()?;
    let ids: Vec<&[u8]> = others.iter().map(SessionId::as_slice).collect();
    on_each!(conn, conn => diesel::delete(sessions::table.filter(sessions::id.eq_any(ids))).execute(conn))?;
    Ok(others)
}

/// Forgets all sessions of a device.
///
/// # Errors
/// When the query fails.
pub fn close_all(conn: &mut Connection, device: DeviceId) -> Result<(), StoreError> {
    diesel::delete(sessions::table.filter(sessions::device_id.eq(device.as_bytes().as_slice())))
        .execute(conn)?;
    Ok(())
}

/// Adds a refresh token to a session. Adding one that is there is harmless.
///
/// # Errors
/// When the query fails.
pub fn insert_token(
    conn: &mut Connection,
    digest: &Digest,
    session: &SessionId,
    expires_at: i64,
) -> Result<(), StoreError> {
    let row = (
        refresh_tokens::digest.eq(digest.as_slice()),
        refresh_tokens::session_id.eq(session.as_slice()),
        refresh_tokens::expires_at.eq(expires_at),
    );
    on_each!(conn, conn => diesel::insert_into(refresh_tokens::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(())
}

/// A refresh token, locked until the transaction ends.
///
/// # Errors
/// When the query fails.
pub fn token(conn: &mut Connection, digest: &Digest) -> Result<Option<Token>, StoreError> {
    type Row = (Vec<u8>, i64, Option<i64>, Option<Vec<u8>>);
    let query = refresh_tokens::table
        .select((
            refresh_tokens::session_id,
            refresh_tokens::expires_at,
            refresh_tokens::used_at,
            refresh_tokens::used_with,
        ))
        .filter(refresh_tokens::digest.eq(digest.as_slice()));
    let row: Option<Row> = match conn {
        Connection::Sqlite(conn) => query.get_result(conn),
        Connection::Postgres(conn) => query.for_update().get_result(conn),
    }
    .optional()?;
    row.map(|(session, expires_at, used_at, used_with)| {
        Ok(Token { session: session_id(session)?, expires_at, used: used_at.zip(used_with) })
    })
    .transpose()
}

/// Marks a refresh token as exchanged, and forgets those of its family that have expired.
///
/// # Errors
/// When the query fails.
pub fn use_token(
    conn: &mut Connection,
    digest: &Digest,
    session: &SessionId,
    now: i64,
    with: &Digest,
) -> Result<(), StoreError> {
    diesel::update(refresh_tokens::table.filter(refresh_tokens::digest.eq(digest.as_slice())))
        .set((refresh_tokens::used_at.eq(Some(now)), refresh_tokens::used_with.eq(Some(with.as_slice()))))
        .execute(conn)?;
    let expired = refresh_tokens::table
        .filter(refresh_tokens::session_id.eq(session.as_slice()))
        .filter(refresh_tokens::expires_at.le(now));
    diesel::delete(expired).execute(conn)?;
    Ok(())
}

/// Notes that a challenge was used; false when it was used before. Forgets those that have expired.
///
/// # Errors
/// When the query fails.
pub fn spend_nonce(
    conn: &mut Connection,
    nonce: &[u8; 32],
    expires_at: i64,
    now: i64,
) -> Result<bool, StoreError> {
    diesel::delete(spent_nonces::table.filter(spent_nonces::expires_at.lt(now))).execute(conn)?;
    let row = (spent_nonces::nonce.eq(nonce.as_slice()), spent_nonces::expires_at.eq(expires_at));
    let inserted = on_each!(conn, conn => diesel::insert_into(spent_nonces::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(inserted == 1)
}

/// Reads a session's id out of a column.
pub(super) fn session_id(bytes: Vec<u8>) -> Result<SessionId, StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("a session id"))
}
