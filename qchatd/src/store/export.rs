//! What the database holds about one account, in parts that fit into memory.

use diesel::prelude::*;
use qchat_proto::ids::{AccountId, DeviceId, RoomId};

use super::{
    Connection, StoreError, from_sql, id,
    schema::{accounts, devices, envelopes, key_packages, members, sessions, trees, welcomes},
};

/// Envelopes that are looked up at once; their bytes are read one by one.
const ENVELOPES: i64 = 64;

/// When an account, or a device, was created: Unix seconds.
///
/// # Errors
/// When the query fails.
pub fn created_at(conn: &mut Connection, account: AccountId) -> Result<Option<i64>, StoreError> {
    Ok(accounts::table
        .select(accounts::created_at)
        .filter(accounts::id.eq(account.as_bytes().as_slice()))
        .get_result(conn)
        .optional()?)
}

/// A device of the account.
#[derive(Clone, Debug)]
pub struct Device {
    /// The device.
    pub id: DeviceId,
    /// Its certificate.
    pub certificate: Vec<u8>,
    /// Whether the newest list names it.
    pub listed: bool,
    /// Unix seconds.
    pub created_at: i64,
}

/// All devices that the account ever had.
///
/// # Errors
/// When the query fails.
pub fn devices(conn: &mut Connection, account: AccountId) -> Result<Vec<Device>, StoreError> {
    type Row = (Vec<u8>, Vec<u8>, bool, i64);
    let rows: Vec<Row> = devices::table
        .select((devices::id, devices::certificate, devices::listed, devices::created_at))
        .filter(devices::account_id.eq(account.as_bytes().as_slice()))
        .order(devices::id)
        .load(conn)?;
    rows.into_iter()
        .map(|(device, certificate, listed, created_at)| {
            Ok(Device { id: id(&device)?, certificate, listed, created_at })
        })
        .collect()
}

/// A session, without its tokens.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub expires_at: i64,
    /// Whether it was ended before its time.
    pub ended: bool,
}

/// The sessions of a device.
///
/// # Errors
/// When the query fails.
pub fn sessions(conn: &mut Connection, device: DeviceId) -> Result<Vec<Session>, StoreError> {
    let rows: Vec<(i64, i64, Option<i16>)> = sessions::table
        .select((sessions::created_at, sessions::expires_at, sessions::ended_by))
        .filter(sessions::device_id.eq(device.as_bytes().as_slice()))
        .order(sessions::created_at)
        .load(conn)?;
    Ok(rows
        .into_iter()
        .map(|(created_at, expires_at, ended)| Session { created_at, expires_at, ended: ended.is_some() })
        .collect())
}

/// A KeyPackage, or the note that it was given out.
#[derive(Clone, Debug)]
pub struct KeyPackage {
    /// SHA-256.
    pub digest: Vec<u8>,
    /// Whether it is the last-resort one.
    pub last_resort: bool,
    /// Its bytes, until it is given out.
    pub package: Option<Vec<u8>>,
}

/// The KeyPackages of a device.
///
/// # Errors
/// When the query fails.
pub fn key_packages(conn: &mut Connection, device: DeviceId) -> Result<Vec<KeyPackage>, StoreError> {
    let rows: Vec<(Vec<u8>, bool, Option<Vec<u8>>)> = key_packages::table
        .select((key_packages::digest, key_packages::last_resort, key_packages::package))
        .filter(key_packages::device_id.eq(device.as_bytes().as_slice()))
        .order(key_packages::id)
        .load(conn)?;
    Ok(rows
        .into_iter()
        .map(|(digest, last_resort, package)| KeyPackage { digest, last_resort, package })
        .collect())
}

/// A device's place in a room.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The room.
    pub room: RoomId,
    /// As it is stored: 1 full, 2 invited, 3 removed, 4 declined.
    pub standing: i16,
    /// The seq up to which the device has processed the room.
    pub confirmed: u64,
}

/// The places of a device.
///
/// # Errors
/// When the query fails.
pub fn places(conn: &mut Connection, device: DeviceId) -> Result<Vec<Place>, StoreError> {
    let rows: Vec<(Vec<u8>, i16, i64)> = members::table
        .select((members::room_id, members::standing, members::confirmed))
        .filter(members::device_id.eq(device.as_bytes().as_slice()))
        .order(members::room_id)
        .load(conn)?;
    rows.into_iter()
        .map(|(room, standing, confirmed)| {
            Ok(Place { room: id(&room)?, standing, confirmed: from_sql(confirmed) })
        })
        .collect()
}

/// A Welcome that waits for a device.
#[derive(Clone, Debug)]
pub struct Welcome {
    /// Seq of the commit that it is of.
    pub seq: u64,
    /// Who has invited.
    pub inviter: AccountId,
    /// Its bytes, which the device alone can open.
    pub welcome: Vec<u8>,
}

/// The Welcome that waits for a device in a room.
///
/// # Errors
/// When the query fails.
pub fn welcome(conn: &mut Connection, room: RoomId, device: DeviceId) -> Result<Option<Welcome>, StoreError> {
    let row: Option<(i64, Vec<u8>, Vec<u8>)> = welcomes::table
        .select((welcomes::seq, welcomes::inviter, welcomes::welcome))
        .filter(welcomes::room_id.eq(room.as_bytes().as_slice()))
        .filter(welcomes::device_id.eq(device.as_bytes().as_slice()))
        .get_result(conn)
        .optional()?;
    row.map(|(seq, inviter, welcome)| Ok(Welcome { seq: from_sql(seq), inviter: id(&inviter)?, welcome }))
        .transpose()
}

/// The bytes of the ratchet trees that a device has staged, or that came with its commits, by room.
///
/// # Errors
/// When the query fails.
pub fn trees(conn: &mut Connection, device: DeviceId) -> Result<Vec<(RoomId, u64)>, StoreError> {
    let rows: Vec<(Vec<u8>, i64)> = trees::table
        .select((trees::room_id, trees::size))
        .filter(trees::device_id.eq(device.as_bytes().as_slice()))
        .order(trees::id)
        .load(conn)?;
    rows.into_iter().map(|(room, size)| Ok((id(&room)?, from_sql(size)))).collect()
}

/// An envelope that a device has sent, without its bytes.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Its row.
    pub row: i64,
    /// Its place in the room's log.
    pub seq: u64,
    /// Its id.
    pub message: Vec<u8>,
    /// Bytes.
    pub size: u64,
}

/// The next envelopes of a device in a room after a seq, some at a time.
///
/// # Errors
/// When the query fails.
pub fn envelopes(
    conn: &mut Connection,
    room: RoomId,
    device: DeviceId,
    after: u64,
) -> Result<Vec<Envelope>, StoreError> {
    let rows: Vec<(i64, i64, Vec<u8>, i64)> = envelopes::table
        .select((envelopes::id, envelopes::seq, envelopes::message_id, envelopes::size))
        .filter(envelopes::room_id.eq(room.as_bytes().as_slice()))
        .filter(envelopes::sender_device.eq(device.as_bytes().as_slice()))
        .filter(envelopes::seq.gt(super::to_sql(after)))
        .order(envelopes::seq)
        .limit(ENVELOPES)
        .load(conn)?;
    Ok(rows
        .into_iter()
        .map(|(row, seq, message, size)| Envelope { row, seq: from_sql(seq), message, size: from_sql(size) })
        .collect())
}

/// An envelope's bytes; `None` once retention has deleted them.
///
/// # Errors
/// When the query fails.
pub fn logged(conn: &mut Connection, row: i64) -> Result<Option<Vec<u8>>, StoreError> {
    let logged: Option<Option<Vec<u8>>> = envelopes::table
        .select(envelopes::logged)
        .filter(envelopes::id.eq(row))
        .get_result(conn)
        .optional()?;
    Ok(logged.flatten())
}
