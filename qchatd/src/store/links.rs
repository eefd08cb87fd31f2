//! Devices that want to belong to an account, and what devices have sealed for one another.

use diesel::prelude::*;
use qchat_proto::ids::{AccountId, DeviceId, LinkId};

use super::{
    Connection, StoreError, id,
    schema::{grants, links},
    sessions::Digest,
};

/// A link that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The account that the device wants to belong to; it has one at a time.
    pub account: AccountId,
    /// The link.
    pub id: LinkId,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub expires_at: i64,
    /// 48 bytes.
    pub commitment: Vec<u8>,
    /// The device that has answered, and its answer.
    pub answered: Option<(DeviceId, Vec<u8>)>,
    /// What the new device has opened.
    pub opening: Option<Vec<u8>>,
    /// Whether its user has said that the codes are the same.
    pub confirmed: bool,
}

type Row = (Vec<u8>, Vec<u8>, i64, i64, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, bool);

const COLUMNS: (
    links::account_id,
    links::id,
    links::created_at,
    links::expires_at,
    links::commitment,
    links::answered_by,
    links::answer,
    links::opening,
    links::confirmed,
) = (
    links::account_id,
    links::id,
    links::created_at,
    links::expires_at,
    links::commitment,
    links::answered_by,
    links::answer,
    links::opening,
    links::confirmed,
);

fn read(row: Row) -> Result<Link, StoreError> {
    let (account, link, created_at, expires_at, commitment, answered_by, answer, opening, confirmed) = row;
    Ok(Link {
        account: id(&account)?,
        id: id(&link)?,
        created_at,
        expires_at,
        commitment,
        answered: answered_by
            .zip(answer)
            .map(|(device, answer)| Ok::<_, StoreError>((id(&device)?, answer)))
            .transpose()?,
        opening,
        confirmed,
    })
}

/// Begins a link in the place of the one that the account had.
///
/// # Errors
/// When a query fails.
pub fn begin(conn: &mut Connection, link: &Link, token: &Digest) -> Result<(), StoreError> {
    end(conn, link.account)?;
    diesel::insert_into(links::table)
        .values((
            links::account_id.eq(link.account.as_bytes().as_slice()),
            links::id.eq(link.id.as_bytes().as_slice()),
            links::token.eq(token.as_slice()),
            links::created_at.eq(link.created_at),
            links::expires_at.eq(link.expires_at),
            links::commitment.eq(link.commitment.as_slice()),
            links::confirmed.eq(false),
        ))
        .execute(conn)?;
    Ok(())
}

/// The link of an account that waits and has not expired, locked until the transaction ends.
///
/// # Errors
/// When the query fails.
pub fn of_account(conn: &mut Connection, account: AccountId, now: i64) -> Result<Option<Link>, StoreError> {
    let query = links::table
        .select(COLUMNS)
        .filter(links::account_id.eq(account.as_bytes().as_slice()))
        .filter(links::expires_at.gt(now));
    let row: Option<Row> = match conn {
        Connection::Sqlite(conn) => query.get_result(conn),
        Connection::Postgres(conn) => query.for_update().get_result(conn),
    }
    .optional()?;
    row.map(read).transpose()
}

/// The link that a token is of, locked until the transaction ends.
///
/// # Errors
/// When the query fails.
pub fn by_token(conn: &mut Connection, token: &Digest, now: i64) -> Result<Option<Link>, StoreError> {
    let query = links::table
        .select(COLUMNS)
        .filter(links::token.eq(token.as_slice()))
        .filter(links::expires_at.gt(now));
    let row: Option<Row> = match conn {
        Connection::Sqlite(conn) => query.get_result(conn),
        Connection::Postgres(conn) => query.for_update().get_result(conn),
    }
    .optional()?;
    row.map(read).transpose()
}

/// Stores how far a link is.
///
/// # Errors
/// When the query fails.
pub fn advance(conn: &mut Connection, link: &Link) -> Result<(), StoreError> {
    let answered = link.answered.as_ref();
    diesel::update(links::table.filter(links::id.eq(link.id.as_bytes().as_slice())))
        .set((
            links::answered_by.eq(answered.map(|(device, _)| device.as_bytes().as_slice())),
            links::answer.eq(answered.map(|(_, answer)| answer.as_slice())),
            links::opening.eq(link.opening.as_deref()),
            links::confirmed.eq(link.confirmed),
        ))
        .execute(conn)?;
    Ok(())
}

/// Ends the link of an account, if it has one.
///
/// # Errors
/// When the query fails.
pub fn end(conn: &mut Connection, account: AccountId) -> Result<(), StoreError> {
    diesel::delete(links::table.filter(links::account_id.eq(account.as_bytes().as_slice()))).execute(conn)?;
    Ok(())
}

/// Keeps what was sealed for a device, in the place of what was kept before.
///
/// # Errors
/// When a query fails.
pub fn keep_grant(
    conn: &mut Connection,
    device: DeviceId,
    sealed: &[u8],
    now: i64,
) -> Result<(), StoreError> {
    forget_grant(conn, device)?;
    diesel::insert_into(grants::table)
        .values((
            grants::device_id.eq(device.as_bytes().as_slice()),
            grants::sealed.eq(sealed),
            grants::created_at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}

/// What was sealed for a device.
///
/// # Errors
/// When the query fails.
pub fn grant(conn: &mut Connection, device: DeviceId) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(grants::table
        .select(grants::sealed)
        .filter(grants::device_id.eq(device.as_bytes().as_slice()))
        .get_result(conn)
        .optional()?)
}

/// Forgets what was sealed for a device.
///
/// # Errors
/// When the query fails.
pub fn forget_grant(conn: &mut Connection, device: DeviceId) -> Result<(), StoreError> {
    diesel::delete(grants::table.filter(grants::device_id.eq(device.as_bytes().as_slice()))).execute(conn)?;
    Ok(())
}

/// Deletes the links that are over, and what was sealed before `grants_before` and nobody has taken.
///
/// # Errors
/// When a query fails.
pub fn expire(conn: &mut Connection, now: i64, grants_before: i64) -> Result<(), StoreError> {
    diesel::delete(links::table.filter(links::expires_at.le(now))).execute(conn)?;
    diesel::delete(grants::table.filter(grants::created_at.lt(grants_before))).execute(conn)?;
    Ok(())
}
