//! Backups: the newest head of each device, and the parts that it names, none of which the daemon can read.

use std::collections::HashSet;

use diesel::prelude::*;
use qchat_proto::{
    ids::{AccountId, DeviceId},
    wire::chunk::ChunkId,
};

use super::{
    Connection, StoreError, from_sql, id,
    multi::on_each,
    schema::{backup_chunks, backups},
    to_sql,
};

/// Ids that one query names: far below what SQLite binds at most.
const TOGETHER: usize = 1_000;
/// Parts that one transaction deletes by the clock, 256 KiB each at most.
const DELETED: i64 = 32;

/// The newest backup of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Whose.
    pub device: DeviceId,
    /// Its version.
    pub version: u64,
    /// The signed head.
    pub head: Vec<u8>,
    /// When it came, Unix seconds.
    pub made_at: i64,
}

type Row = (Vec<u8>, i64, Vec<u8>, i64);

fn read((device, version, head, made_at): Row) -> Result<Backup, StoreError> {
    Ok(Backup { device: id(&device)?, version: from_sql(version), head, made_at })
}

/// The backups of an account, by device.
///
/// # Errors
/// When the query fails.
pub fn of_account(conn: &mut Connection, account: AccountId) -> Result<Vec<Backup>, StoreError> {
    let rows: Vec<Row> = backups::table
        .select((backups::device_id, backups::version, backups::head, backups::made_at))
        .filter(backups::account_id.eq(account.as_bytes().as_slice()))
        .order(backups::device_id)
        .load(conn)?;
    rows.into_iter().map(read).collect()
}

/// The backup of a device.
///
/// # Errors
/// When the query fails.
pub fn of_device(conn: &mut Connection, device: DeviceId) -> Result<Option<Backup>, StoreError> {
    let row: Option<Row> = backups::table
        .select((backups::device_id, backups::version, backups::head, backups::made_at))
        .filter(backups::device_id.eq(device.as_bytes().as_slice()))
        .get_result(conn)
        .optional()?;
    row.map(read).transpose()
}

/// Bytes of all parts that an account has here.
///
/// # Errors
/// When the query fails.
pub fn total(conn: &mut Connection, account: AccountId) -> Result<u64, StoreError> {
    let sizes: Vec<i64> = backup_chunks::table
        .select(backup_chunks::size)
        .filter(backup_chunks::account_id.eq(account.as_bytes().as_slice()))
        .load(conn)?;
    Ok(sizes.into_iter().map(from_sql).sum())
}

/// Bytes of the parts of a device's newest backup.
///
/// # Errors
/// When the query fails.
pub fn size(conn: &mut Connection, device: DeviceId) -> Result<u64, StoreError> {
    let sizes: Vec<i64> = backup_chunks::table
        .select(backup_chunks::size)
        .filter(backup_chunks::device_id.eq(device.as_bytes().as_slice()))
        .filter(backup_chunks::kept_until.is_null())
        .load(conn)?;
    Ok(sizes.into_iter().map(from_sql).sum())
}

/// Which of these parts a device has not got here. Those that it has are kept until `until` at least.
///
/// # Errors
/// When a query fails.
pub fn missing(
    conn: &mut Connection,
    device: DeviceId,
    chunks: &[ChunkId],
    until: i64,
) -> Result<Vec<ChunkId>, StoreError> {
    let mut there = HashSet::new();
    for some in chunks.chunks(TOGETHER) {
        let ids: Vec<&[u8]> = some.iter().map(|chunk| chunk.as_bytes().as_slice()).collect();
        let own = backup_chunks::table.filter(backup_chunks::device_id.eq(device.as_bytes().as_slice()));
        let found: Vec<Vec<u8>> = on_each!(conn, conn => own
            .filter(backup_chunks::chunk.eq_any(&ids))
            .select(backup_chunks::chunk)
            .load(conn))?;
        there.extend(found);
        on_each!(conn, conn => diesel::update(
            own.filter(backup_chunks::chunk.eq_any(&ids)).filter(backup_chunks::kept_until.lt(until))
        )
        .set(backup_chunks::kept_until.eq(until))
        .execute(conn))?;
    }
    Ok(chunks.iter().copied().filter(|chunk| !there.contains(chunk.as_bytes().as_slice())).collect())
}

/// Keeps a part until `until`, or until a backup names it. One that is there stays as it is.
///
/// # Errors
/// When a query fails.
pub fn put_chunk(
    conn: &mut Connection,
    (account, device): (AccountId, DeviceId),
    chunk: ChunkId,
    bytes: &[u8],
    until: i64,
) -> Result<(), StoreError> {
    if missing(conn, device, &[chunk], until)?.is_empty() {
        return Ok(());
    }
    diesel::insert_into(backup_chunks::table)
        .values((
            backup_chunks::account_id.eq(account.as_bytes().as_slice()),
            backup_chunks::device_id.eq(device.as_bytes().as_slice()),
            backup_chunks::chunk.eq(chunk.as_bytes().as_slice()),
            backup_chunks::size.eq(to_sql(bytes.len() as u64)),
            backup_chunks::kept_until.eq(Some(until)),
            backup_chunks::bytes.eq(bytes),
        ))
        .execute(conn)?;
    Ok(())
}

/// A part of a backup of this account.
///
/// # Errors
/// When the query fails.
pub fn chunk(
    conn: &mut Connection,
    (account, device): (AccountId, DeviceId),
    chunk: ChunkId,
) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(backup_chunks::table
        .select(backup_chunks::bytes)
        .filter(backup_chunks::device_id.eq(device.as_bytes().as_slice()))
        .filter(backup_chunks::chunk.eq(chunk.as_bytes().as_slice()))
        .filter(backup_chunks::account_id.eq(account.as_bytes().as_slice()))
        .get_result(conn)
        .optional()?)
}

/// Makes a head the newest of its device, with these parts, all of which are there; those that it does not name go at `until`.
/// The caller has locked what it decided by.
///
/// # Errors
/// When a query fails.
pub fn put(
    conn: &mut Connection,
    account: AccountId,
    backup: &Backup,
    chunks: &[ChunkId],
    until: i64,
) -> Result<(), StoreError> {
    let device = backup.device.as_bytes().as_slice();
    diesel::delete(backups::table.filter(backups::device_id.eq(device))).execute(conn)?;
    diesel::insert_into(backups::table)
        .values((
            backups::device_id.eq(device),
            backups::account_id.eq(account.as_bytes().as_slice()),
            backups::version.eq(to_sql(backup.version)),
            backups::head.eq(&backup.head),
            backups::made_at.eq(backup.made_at),
        ))
        .execute(conn)?;
    let own = backup_chunks::table.filter(backup_chunks::device_id.eq(device));
    diesel::update(own.filter(backup_chunks::kept_until.is_null()))
        .set(backup_chunks::kept_until.eq(Some(until)))
        .execute(conn)?;
    for some in chunks.chunks(TOGETHER) {
        let ids: Vec<&[u8]> = some.iter().map(|chunk| chunk.as_bytes().as_slice()).collect();
        on_each!(conn, conn => diesel::update(own.filter(backup_chunks::chunk.eq_any(&ids)))
            .set(backup_chunks::kept_until.eq(None::<i64>))
            .execute(conn))?;
    }
    Ok(())
}

/// Deletes the backup of a device with all its parts; false when there was none.
///
/// # Errors
/// When a query fails.
pub fn forget(conn: &mut Connection, (account, device): (AccountId, DeviceId)) -> Result<bool, StoreError> {
    let (account, device) = (account.as_bytes().as_slice(), device.as_bytes().as_slice());
    let parts = backup_chunks::table
        .filter(backup_chunks::device_id.eq(device))
        .filter(backup_chunks::account_id.eq(account));
    let parts = diesel::delete(parts).execute(conn)?;
    let heads = backups::table.filter(backups::device_id.eq(device)).filter(backups::account_id.eq(account));
    Ok(parts + diesel::delete(heads).execute(conn)? > 0)
}

/// Deletes the backups of an account.
///
/// # Errors
/// When a query fails.
pub fn erase(conn: &mut Connection, account: AccountId) -> Result<(), StoreError> {
    let account = account.as_bytes().as_slice();
    diesel::delete(backup_chunks::table.filter(backup_chunks::account_id.eq(account))).execute(conn)?;
    diesel::delete(backups::table.filter(backups::account_id.eq(account))).execute(conn)?;
    Ok(())
}

/// Deletes some of the parts that no backup names and whose time is over.
///
/// # Errors
/// When a query fails.
pub fn expire(conn: &mut Connection, now: i64) -> Result<(), StoreError> {
    let over: Vec<i64> = backup_chunks::table
        .select(backup_chunks::id)
        .filter(backup_chunks::kept_until.le(now))
        .order(backup_chunks::kept_until)
        .limit(DELETED)
        .load(conn)?;
    if !over.is_empty() {
        on_each!(conn, conn => diesel::delete(
            backup_chunks::table.filter(backup_chunks::id.eq_any(&over)).filter(backup_chunks::kept_until.le(now))
        )
        .execute(conn))?;
    }
    Ok(())
}

/// The parts of an account's backups after one of them, without their bytes: row, device, id, size.
///
/// # Errors
/// When the query fails.
pub fn chunks_after(
    conn: &mut Connection,
    account: AccountId,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, DeviceId, ChunkId)>, StoreError> {
    let rows: Vec<(i64, Vec<u8>, Vec<u8>)> = backup_chunks::table
        .select((backup_chunks::id, backup_chunks::device_id, backup_chunks::chunk))
        .filter(backup_chunks::account_id.eq(account.as_bytes().as_slice()))
        .filter(backup_chunks::id.gt(after))
        .order(backup_chunks::id)
        .limit(limit.into())
        .load(conn)?;
    rows.into_iter()
        .map(|(row, device, chunk)| {
            let chunk = chunk.try_into().map_err(|_| StoreError::Corrupt("the id of a part of a backup"))?;
            Ok((row, id(&device)?, ChunkId::from_bytes(chunk)))
        })
        .collect()
}
