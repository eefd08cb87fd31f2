//! What people who hold an invite link ask the members of its room: to be let in. Nobody here can tell whether they have one.

use std::collections::BTreeSet;

use diesel::prelude::*;
use qchat_proto::ids::{AccountId, DeviceId, RoomId};

use super::{
    Connection, StoreError, id,
    multi::on_each,
    rooms::Standing,
    schema::{join_requests, members},
};

/// A request that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// The room.
    pub room: RoomId,
    /// Whose it is.
    pub account: AccountId,
    /// What it says.
    pub request: Vec<u8>,
}

/// How many wait in a room.
///
/// # Errors
/// When the query fails.
pub fn count(conn: &mut Connection, room: RoomId) -> Result<u64, StoreError> {
    let count: i64 = join_requests::table
        .filter(join_requests::room_id.eq(room.as_bytes().as_slice()))
        .count()
        .get_result(conn)?;
    Ok(count.unsigned_abs())
}

/// Keeps a request, in the place of the one that the account had there. `now`: Unix seconds.
///
/// # Errors
/// When a query fails.
pub fn put(conn: &mut Connection, request: &JoinRequest, now: i64) -> Result<(), StoreError> {
    forget(conn, request.room, request.account)?;
    diesel::insert_into(join_requests::table)
        .values((
            join_requests::room_id.eq(request.room.as_bytes().as_slice()),
            join_requests::account_id.eq(request.account.as_bytes().as_slice()),
            join_requests::request.eq(request.request.as_slice()),
            join_requests::created_at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}

/// What waits in the rooms in which a device is full, at most so much, in no order.
///
/// # Errors
/// When the query fails.
pub fn seen_by(conn: &mut Connection, device: DeviceId, most: i64) -> Result<Vec<JoinRequest>, StoreError> {
    let rows: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = members::table
        .inner_join(join_requests::table.on(join_requests::room_id.eq(members::room_id)))
        .select((join_requests::room_id, join_requests::account_id, join_requests::request))
        .filter(members::device_id.eq(device.as_bytes().as_slice()))
        .filter(members::standing.eq(Standing::Full as i16))
        .limit(most)
        .load(conn)?;
    rows.into_iter()
        .map(|(room, account, request)| Ok(JoinRequest { room: id(&room)?, account: id(&account)?, request }))
        .collect()
}

/// The rooms in which an account waits.
///
/// # Errors
/// When the query fails.
pub fn of_account(conn: &mut Connection, account: AccountId) -> Result<Vec<JoinRequest>, StoreError> {
    let rows: Vec<(Vec<u8>, Vec<u8>)> = join_requests::table
        .select((join_requests::room_id, join_requests::request))
        .filter(join_requests::account_id.eq(account.as_bytes().as_slice()))
        .load(conn)?;
    rows.into_iter().map(|(room, request)| Ok(JoinRequest { room: id(&room)?, account, request })).collect()
}

/// The devices that are full in a room, each once: who may answer.
///
/// # Errors
/// When the query fails.
pub fn who_may_answer(conn: &mut Connection, room: RoomId) -> Result<Vec<DeviceId>, StoreError> {
    let rows: Vec<Vec<u8>> = members::table
        .select(members::device_id)
        .filter(members::room_id.eq(room.as_bytes().as_slice()))
        .filter(members::standing.eq(Standing::Full as i16))
        .load(conn)?;
    let found: Result<BTreeSet<DeviceId>, StoreError> = rows.iter().map(|device| id(device)).collect();
    Ok(found?.into_iter().collect())
}

/// Forgets what an account asks in a room.
///
/// # Errors
/// When the query fails.
pub fn forget(conn: &mut Connection, room: RoomId, account: AccountId) -> Result<(), StoreError> {
    let row = join_requests::table
        .filter(join_requests::room_id.eq(room.as_bytes().as_slice()))
        .filter(join_requests::account_id.eq(account.as_bytes().as_slice()));
    on_each!(conn, conn => diesel::delete(row).execute(conn))?;
    Ok(())
}

/// Erases what an account asks.
///
/// # Errors
/// When the query fails.
pub(super) fn erase(conn: &mut Connection, account: AccountId) -> Result<(), StoreError> {
    let rows = join_requests::table.filter(join_requests::account_id.eq(account.as_bytes().as_slice()));
    diesel::delete(rows).execute(conn)?;
    Ok(())
}

/// Forgets what was asked before then, Unix seconds.
///
/// # Errors
/// When the query fails.
pub fn expire(conn: &mut Connection, before: i64) -> Result<(), StoreError> {
    diesel::delete(join_requests::table.filter(join_requests::created_at.lt(before))).execute(conn)?;
    Ok(())
}
