//! Sessions: families of refresh tokens, and the challenges that logins have used. Tokens are kept as digests.

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

/// The owner of a session that is open, not expired, and whose device is listed.
///
/// # Errors
/// When the query fails.
pub fn owner(conn: &mut Connection, session: &SessionId, now: i64) -> Result<Option<Owner>, StoreError> {
    let row: Option<(Vec<u8>, Vec<u8>)> = sessions::table
        .inner_join(devices::table)
        .select((devices::account_id, devices::id))
        .filter(sessions::id.eq(session.as_slice()))
        .filter(sessions::expires_at.gt(now))
        .filter(devices::listed.eq(true))
        .first(conn)
        .optional()?;
    row.map(|(account, device)| Ok(Owner { account: id(&account)?, device: id(&device)? })).transpose()
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

/// Ends a session with all its tokens.
///
/// # Errors
/// When the query fails.
pub fn close(conn: &mut Connection, session: &SessionId) -> Result<(), StoreError> {
    diesel::delete(sessions::table.filter(sessions::id.eq(session.as_slice()))).execute(conn)?;
    Ok(())
}

/// Ends all sessions of a device.
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
        Connection::Sqlite(conn) => query.first(conn),
        Connection::Postgres(conn) => query.for_update().first(conn),
    }
    .optional()?;
    row.map(|(session, expires_at, used_at, used_with)| {
        Ok(Token {
            session: session.try_into().map_err(|_| StoreError::Corrupt("a session id"))?,
            expires_at,
            used: used_at.zip(used_with),
        })
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
