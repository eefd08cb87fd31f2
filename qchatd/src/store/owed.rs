//! Places in rooms that a device is owed which has come back by the recovery words: its account is in the room, and others
//! learn from here that they may add it.

use std::collections::BTreeSet;

use diesel::prelude::*;
use qchat_proto::ids::{AccountId, DeviceId, RoomId};

use super::{
    Connection, StoreError, id,
    rooms::Standing,
    schema::{devices, members, owed_places},
};

/// A device that has no place yet in a room that its account is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The room.
    pub room: RoomId,
    /// The device's account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
}

/// Owes a device a place in each room in which another device of its account is full. `now`: Unix seconds.
///
/// # Errors
/// When a query fails.
pub fn owe(
    conn: &mut Connection,
    (account, device): (AccountId, DeviceId),
    now: i64,
) -> Result<(), StoreError> {
    let rooms: Vec<Vec<u8>> = members::table
        .inner_join(devices::table.on(devices::id.eq(members::device_id)))
        .select(members::room_id)
        .filter(devices::account_id.eq(account.as_bytes().as_slice()))
        .filter(members::standing.eq(Standing::Full as i16))
        .filter(members::device_id.ne(device.as_bytes().as_slice()))
        .distinct()
        .load(conn)?;
    forget(conn, device)?;
    for room in rooms {
        diesel::insert_into(owed_places::table)
            .values((
                owed_places::room_id.eq(room),
                owed_places::device_id.eq(device.as_bytes().as_slice()),
                owed_places::since.eq(now),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// What is owed in the rooms in which a device is full, to other devices: to such as are listed and have no place there.
///
/// # Errors
/// When a query fails.
pub fn seen_by(conn: &mut Connection, device: DeviceId) -> Result<Vec<Owed>, StoreError> {
    let rows: Vec<(Vec<u8>, Vec<u8>)> = members::table
        .inner_join(owed_places::table.on(owed_places::room_id.eq(members::room_id)))
        .select((owed_places::room_id, owed_places::device_id))
        .filter(members::device_id.eq(device.as_bytes().as_slice()))
        .filter(members::standing.eq(Standing::Full as i16))
        .load(conn)?;
    let mut owed = vec![];
    for (room, owner) in rows {
        let (room, owner) = (id(&room)?, id(&owner)?);
        let Some(known) = super::accounts::device(conn, owner)?.filter(|known| known.listed) else {
            continue;
        };
        if super::rooms::member(conn, room, owner)?.is_none_or(|member| !member.follows()) {
            owed.push(Owed { room, account: known.account, device: owner });
        }
    }
    Ok(owed)
}

/// The devices that are full in the rooms in which a device is owed a place, each once.
///
/// # Errors
/// When the query fails.
pub fn witnesses(conn: &mut Connection, device: DeviceId) -> Result<Vec<DeviceId>, StoreError> {
    let found: Vec<Vec<u8>> = owed_places::table
        .inner_join(members::table.on(members::room_id.eq(owed_places::room_id)))
        .select(members::device_id)
        .filter(owed_places::device_id.eq(device.as_bytes().as_slice()))
        .filter(members::standing.eq(Standing::Full as i16))
        .load(conn)?;
    let found: Result<BTreeSet<DeviceId>, StoreError> = found.iter().map(|device| id(device)).collect();
    Ok(found?.into_iter().collect())
}

/// The rooms in which a device is owed a place, whether it has it by now or not.
///
/// # Errors
/// When the query fails.
pub fn to(conn: &mut Connection, device: DeviceId) -> Result<Vec<RoomId>, StoreError> {
    let rooms: Vec<Vec<u8>> = owed_places::table
        .select(owed_places::room_id)
        .filter(owed_places::device_id.eq(device.as_bytes().as_slice()))
        .load(conn)?;
    rooms.iter().map(|room| id(room)).collect()
}

/// Forgets what a device is owed.
///
/// # Errors
/// When the query fails.
pub fn forget(conn: &mut Connection, device: DeviceId) -> Result<(), StoreError> {
    diesel::delete(owed_places::table.filter(owed_places::device_id.eq(device.as_bytes().as_slice())))
        .execute(conn)?;
    Ok(())
}

/// Forgets what has been owed since before then, Unix seconds.
///
/// # Errors
/// When the query fails.
pub fn expire(conn: &mut Connection, before: i64) -> Result<(), StoreError> {
    diesel::delete(owed_places::table.filter(owed_places::since.lt(before))).execute(conn)?;
    Ok(())
}
