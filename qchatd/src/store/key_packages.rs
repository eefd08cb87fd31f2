//! KeyPackages: each is given out once, the last-resort one of a device when no other is left.

use diesel::prelude::*;
use qchat_proto::ids::DeviceId;

use super::{Connection, StoreError, multi::on_each, schema::key_packages};

/// A KeyPackage with its SHA-256.
#[derive(Clone, Debug)]
pub struct KeyPackage {
    /// SHA-256 of the bytes.
    pub digest: [u8; 32],
    /// An MLSMessage with a KeyPackage.
    pub bytes: Vec<u8>,
}

/// Adds one-time packages; one that was uploaded before, claimed or not, is skipped.
///
/// # Errors
/// When a query fails.
pub fn insert(conn: &mut Connection, device: DeviceId, packages: &[KeyPackage]) -> Result<(), StoreError> {
    for package in packages {
        insert_one(conn, device, package, false)?;
    }
    Ok(())
}

/// Starts a device's packages anew: replaces the last-resort one, and takes back the one-time ones that nobody has
/// claimed, since they are older and would run out first.
///
/// # Errors
/// When a query fails.
pub fn renew(conn: &mut Connection, device: DeviceId, package: &KeyPackage) -> Result<(), StoreError> {
    withdraw(conn, device)?;
    insert_one(conn, device, package, true)
}

/// Whether a device has any packages that nobody has claimed.
///
/// # Errors
/// When the query fails.
pub fn any(conn: &mut Connection, device: DeviceId) -> Result<bool, StoreError> {
    let unclaimed = key_packages::table
        .select(key_packages::id)
        .filter(key_packages::device_id.eq(device.as_bytes().as_slice()))
        .filter(key_packages::claimed.eq(false));
    let found: Option<i64> = unclaimed.first(conn).optional()?;
    Ok(found.is_some())
}

/// Takes back all packages of a device that nobody has claimed.
///
/// # Errors
/// When the query fails.
pub fn withdraw(conn: &mut Connection, device: DeviceId) -> Result<(), StoreError> {
    let unclaimed = key_packages::table
        .filter(key_packages::device_id.eq(device.as_bytes().as_slice()))
        .filter(key_packages::claimed.eq(false));
    diesel::delete(unclaimed).execute(conn)?;
    Ok(())
}

fn insert_one(
    conn: &mut Connection,
    device: DeviceId,
    package: &KeyPackage,
    last_resort: bool,
) -> Result<(), StoreError> {
    let row = (
        key_packages::device_id.eq(device.as_bytes().as_slice()),
        key_packages::digest.eq(package.digest.as_slice()),
        key_packages::last_resort.eq(last_resort),
        key_packages::claimed.eq(false),
        key_packages::package.eq(Some(package.bytes.as_slice())),
    );
    on_each!(conn, conn => diesel::insert_into(key_packages::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(())
}

/// How many one-time packages are left.
///
/// # Errors
/// When the query fails.
pub fn count(conn: &mut Connection, device: DeviceId) -> Result<u32, StoreError> {
    let left: i64 = key_packages::table
        .filter(key_packages::device_id.eq(device.as_bytes().as_slice()))
        .filter(key_packages::claimed.eq(false))
        .filter(key_packages::last_resort.eq(false))
        .count()
        .get_result(conn)?;
    Ok(u32::try_from(left).unwrap_or(u32::MAX))
}

/// Takes the oldest one-time package out, else the last-resort one, which stays; says which it was.
///
/// # Errors
/// When a query fails.
pub fn claim(conn: &mut Connection, device: DeviceId) -> Result<Option<(Vec<u8>, bool)>, StoreError> {
    let oldest = key_packages::table
        .select((key_packages::id, key_packages::package))
        .filter(key_packages::device_id.eq(device.as_bytes().as_slice()))
        .filter(key_packages::claimed.eq(false))
        .filter(key_packages::last_resort.eq(false))
        .order(key_packages::id)
        .limit(1);
    // On SQLite the transaction is the only writer. On PostgreSQL the row is locked, and one that another claim
    // has locked is passed over.
    let row: Option<(i64, Option<Vec<u8>>)> = match conn {
        Connection::Sqlite(conn) => oldest.first(conn),
        Connection::Postgres(conn) => oldest.for_update().skip_locked().first(conn),
    }
    .optional()?;
    if let Some((row, Some(package))) = row {
        diesel::update(key_packages::table.filter(key_packages::id.eq(row)))
            .set((key_packages::claimed.eq(true), key_packages::package.eq(None::<Vec<u8>>)))
            .execute(conn)?;
        return Ok(Some((package, false)));
    }
    let last_resort: Option<Option<Vec<u8>>> = key_packages::table
        .select(key_packages::package)
        .filter(key_packages::device_id.eq(device.as_bytes().as_slice()))
        .filter(key_packages::claimed.eq(false))
        .filter(key_packages::last_resort.eq(true))
        .first(conn)
        .optional()?;
    Ok(last_resort.flatten().map(|package| (package, true)))
}
