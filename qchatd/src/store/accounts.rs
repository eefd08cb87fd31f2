//! Accounts and their devices.

use diesel::prelude::*;
use qchat_proto::ids::{AccountId, DeviceId, UserName};

use super::{
    Connection, StoreError, from_sql, id,
    schema::{accounts, devices},
    to_sql,
};

/// An account as stored.
#[derive(Clone, Debug)]
pub struct Account {
    /// The account.
    pub id: AccountId,
    /// Its name.
    pub name: UserName,
    /// The signed account record.
    pub record: Vec<u8>,
    /// The newest signed device list.
    pub device_list: Vec<u8>,
    /// That list's version.
    pub device_list_version: u64,
    /// The salt of the client's derivation, 16 bytes.
    pub auth_salt: [u8; 16],
    /// What is kept of the password.
    pub verifier: Verifier,
}

/// What is kept of a password: an Argon2id hash of a keyed hash of what the client derived.
#[derive(Clone)]
pub struct Verifier {
    /// 16 bytes.
    pub salt: [u8; 16],
    /// 32 bytes.
    pub hash: [u8; 32],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

/// A device as stored.
#[derive(Clone, Debug)]
pub struct Device {
    /// The device.
    pub id: DeviceId,
    /// Whose it is.
    pub account: AccountId,
    /// Its signed certificate.
    pub certificate: Vec<u8>,
    /// Whether the newest device list names it.
    pub listed: bool,
}

type AccountRow = (Vec<u8>, String, Vec<u8>, Vec<u8>, i64, Vec<u8>, Vec<u8>, Vec<u8>);
type DeviceRow = (Vec<u8>, Vec<u8>, Vec<u8>, bool);

/// Adds an account.
///
/// # Errors
/// [`StoreError::Conflict`] when its id or name is taken.
pub fn insert(conn: &mut Connection, account: &Account, now: i64) -> Result<(), StoreError> {
    diesel::insert_into(accounts::table)
        .values((
            accounts::id.eq(account.id.as_bytes().as_slice()),
            accounts::name.eq(account.name.as_str()),
            accounts::record.eq(account.record.as_slice()),
            accounts::device_list.eq(account.device_list.as_slice()),
            accounts::device_list_version.eq(to_sql(account.device_list_version)),
            accounts::auth_salt.eq(account.auth_salt.as_slice()),
            accounts::verifier_salt.eq(account.verifier.salt.as_slice()),
            accounts::verifier.eq(account.verifier.hash.as_slice()),
            accounts::created_at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}

/// Adds a device.
///
/// # Errors
/// [`StoreError::Conflict`] when its id is taken.
pub fn insert_device(conn: &mut Connection, device: &Device, now: i64) -> Result<(), StoreError> {
    diesel::insert_into(devices::table)
        .values((
            devices::id.eq(device.id.as_bytes().as_slice()),
            devices::account_id.eq(device.account.as_bytes().as_slice()),
            devices::certificate.eq(device.certificate.as_slice()),
            devices::listed.eq(device.listed),
            devices::created_at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}

/// Whether there is any account.
///
/// # Errors
/// When the query fails.
pub fn any(conn: &mut Connection) -> Result<bool, StoreError> {
    // The first by its key: the whole table need not be looked at for that.
    let first = accounts::table.filter(accounts::id.ge(&[][..])).order(accounts::id).select(accounts::id);
    let found: Option<Vec<u8>> = first.first(conn).optional()?;
    Ok(found.is_some())
}

/// The account with this id, unless it was erased.
///
/// # Errors
/// When the query fails.
pub fn by_id(conn: &mut Connection, account: AccountId) -> Result<Option<Account>, StoreError> {
    let row: Option<AccountRow> = accounts::table
        .select(COLUMNS)
        .filter(accounts::id.eq(account.as_bytes().as_slice()))
        .filter(accounts::deleted_at.is_null())
        .get_result(conn)
        .optional()?;
    row.map(read).transpose()
}

/// The account with this id, unless it was erased: nobody else changes it, or says anything of it, before this transaction has
/// ended.
///
/// # Errors
/// When the query fails.
pub fn lock(conn: &mut Connection, account: AccountId) -> Result<Option<Account>, StoreError> {
    let query = accounts::table
        .select(COLUMNS)
        .filter(accounts::id.eq(account.as_bytes().as_slice()))
        .filter(accounts::deleted_at.is_null());
    let row: Option<AccountRow> = match conn {
        // One writes at a time.
        Connection::Sqlite(conn) => query.get_result(conn),
        // What only refers to the account goes on.
        Connection::Postgres(conn) => query.for_no_key_update().get_result(conn),
    }
    .optional()?;
    row.map(read).transpose()
}

/// The account with this name.
///
/// # Errors
/// When the query fails.
pub fn by_name(conn: &mut Connection, name: &UserName) -> Result<Option<Account>, StoreError> {
    let row: Option<AccountRow> = accounts::table
        .select(COLUMNS)
        .filter(accounts::name.eq(name.as_str()))
        .get_result(conn)
        .optional()?;
    row.map(read).transpose()
}

/// The name of the account with this id.
///
/// # Errors
/// When the query fails.
pub fn name(conn: &mut Connection, account: AccountId) -> Result<Option<UserName>, StoreError> {
    let name: Option<String> = accounts::table
        .select(accounts::name)
        .filter(accounts::id.eq(account.as_bytes().as_slice()))
        .filter(accounts::deleted_at.is_null())
        .get_result(conn)
        .optional()?;
    name.map(|name| name.parse().map_err(|_| StoreError::Corrupt("a user name"))).transpose()
}

/// A device.
///
/// # Errors
/// When the query fails.
pub fn device(conn: &mut Connection, device: DeviceId) -> Result<Option<Device>, StoreError> {
    let row: Option<DeviceRow> = devices::table
        .select(DEVICE_COLUMNS)
        .filter(devices::id.eq(device.as_bytes().as_slice()))
        .get_result(conn)
        .optional()?;
    row.map(read_device).transpose()
}

/// Every device an account ever had.
///
/// # Errors
/// When the query fails.
pub fn devices(conn: &mut Connection, account: AccountId) -> Result<Vec<Device>, StoreError> {
    let rows: Vec<DeviceRow> = devices::table
        .select(DEVICE_COLUMNS)
        .filter(devices::account_id.eq(account.as_bytes().as_slice()))
        .order(devices::id)
        .load(conn)?;
    rows.into_iter().map(read_device).collect()
}

/// Replaces the device list by a newer one; false when the stored one is as new.
///
/// # Errors
/// When the query fails.
pub fn replace_device_list(
    conn: &mut Connection,
    account: AccountId,
    list: &[u8],
    version: u64,
) -> Result<bool, StoreError> {
    let older = accounts::table
        .filter(accounts::id.eq(account.as_bytes().as_slice()))
        .filter(accounts::device_list_version.lt(to_sql(version)));
    let changed = diesel::update(older)
        .set((accounts::device_list.eq(list), accounts::device_list_version.eq(to_sql(version))))
        .execute(conn)?;
    Ok(changed == 1)
}

/// The version of an account's device list; `None` when there is no such account.
///
/// # Errors
/// When the query fails.
pub fn device_list_version(conn: &mut Connection, account: AccountId) -> Result<Option<u64>, StoreError> {
    let version: Option<i64> = accounts::table
        .select(accounts::device_list_version)
        .filter(accounts::id.eq(account.as_bytes().as_slice()))
        .get_result(conn)
        .optional()?;
    Ok(version.map(from_sql))
}

/// Replaces the account record.
///
/// # Errors
/// When the query fails.
pub fn replace_record(conn: &mut Connection, account: AccountId, record: &[u8]) -> Result<(), StoreError> {
    diesel::update(accounts::table.filter(accounts::id.eq(account.as_bytes().as_slice())))
        .set(accounts::record.eq(record))
        .execute(conn)?;
    Ok(())
}

/// Replaces what is kept of the password, and the salt that the client made its part with; false when it is not `before`
/// any more.
///
/// # Errors
/// When the query fails.
pub fn replace_verifier(
    conn: &mut Connection,
    account: AccountId,
    before: &Verifier,
    auth_salt: &[u8; 16],
    verifier: &Verifier,
) -> Result<bool, StoreError> {
    let unchanged = accounts::table
        .filter(accounts::id.eq(account.as_bytes().as_slice()))
        .filter(accounts::verifier_salt.eq(before.salt.as_slice()))
        .filter(accounts::verifier.eq(before.hash.as_slice()));
    let changed = diesel::update(unchanged)
        .set((
            accounts::auth_salt.eq(auth_salt.as_slice()),
            accounts::verifier_salt.eq(verifier.salt.as_slice()),
            accounts::verifier.eq(verifier.hash.as_slice()),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Marks a device as listed or not.
///
/// # Errors
/// When the query fails.
pub fn list_device(conn: &mut Connection, device: DeviceId, listed: bool) -> Result<(), StoreError> {
    diesel::update(devices::table.filter(devices::id.eq(device.as_bytes().as_slice())))
        .set(devices::listed.eq(listed))
        .execute(conn)?;
    Ok(())
}

/// Replaces a device's certificate by one that its account has signed anew.
///
/// # Errors
/// When the query fails.
pub fn recertify(conn: &mut Connection, device: DeviceId, certificate: &[u8]) -> Result<(), StoreError> {
    diesel::update(devices::table.filter(devices::id.eq(device.as_bytes().as_slice())))
        .set(devices::certificate.eq(certificate))
        .execute(conn)?;
    Ok(())
}

/// Stores what the account's own devices know of this one, sealed.
///
/// # Errors
/// When the query fails.
pub fn label_device(conn: &mut Connection, device: DeviceId, label: &[u8]) -> Result<(), StoreError> {
    diesel::update(devices::table.filter(devices::id.eq(device.as_bytes().as_slice())))
        .set(devices::label.eq(Some(label)))
        .execute(conn)?;
    Ok(())
}

/// Notes that a device had a new token; `hour`: Unix seconds at which the hour began.
///
/// # Errors
/// When the query fails.
pub fn seen(conn: &mut Connection, device: DeviceId, hour: i64) -> Result<(), StoreError> {
    let earlier = devices::table
        .filter(devices::id.eq(device.as_bytes().as_slice()))
        .filter(devices::last_seen.is_null().or(devices::last_seen.lt(hour)));
    diesel::update(earlier).set(devices::last_seen.eq(Some(hour))).execute(conn)?;
    Ok(())
}

/// What is known of a device beside what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The device.
    pub device: DeviceId,
    /// Its sealed label.
    pub label: Option<Vec<u8>>,
    /// When it last had a new token, Unix seconds, to the hour.
    pub last_seen: Option<i64>,
}

/// What is known of an account's listed devices.
///
/// # Errors
/// When the query fails.
pub fn known_devices(conn: &mut Connection, account: AccountId) -> Result<Vec<Known>, StoreError> {
    type Row = (Vec<u8>, Option<Vec<u8>>, Option<i64>);
    let rows: Vec<Row> = devices::table
        .select((devices::id, devices::label, devices::last_seen))
        .filter(devices::account_id.eq(account.as_bytes().as_slice()))
        .filter(devices::listed.eq(true))
        .order(devices::id)
        .load(conn)?;
    rows.into_iter()
        .map(|(device, label, last_seen)| Ok(Known { device: id(&device)?, label, last_seen }))
        .collect()
}

const COLUMNS: (
    accounts::id,
    accounts::name,
    accounts::record,
    accounts::device_list,
    accounts::device_list_version,
    accounts::auth_salt,
    accounts::verifier_salt,
    accounts::verifier,
) = (
    accounts::id,
    accounts::name,
    accounts::record,
    accounts::device_list,
    accounts::device_list_version,
    accounts::auth_salt,
    accounts::verifier_salt,
    accounts::verifier,
);

const DEVICE_COLUMNS: (devices::id, devices::account_id, devices::certificate, devices::listed) =
    (devices::id, devices::account_id, devices::certificate, devices::listed);

fn read(row: AccountRow) -> Result<Account, StoreError> {
    let (account, name, record, device_list, version, auth_salt, salt, hash) = row;
    Ok(Account {
        id: id(&account)?,
        name: name.parse().map_err(|_| StoreError::Corrupt("a user name"))?,
        record,
        device_list,
        device_list_version: from_sql(version),
        auth_salt: auth_salt.try_into().map_err(|_| StoreError::Corrupt("a salt"))?,
        verifier: Verifier {
            salt: salt.try_into().map_err(|_| StoreError::Corrupt("a salt"))?,
            hash: hash.try_into().map_err(|_| StoreError::Corrupt("a verifier"))?,
        },
    })
}

fn read_device((device, account, certificate, listed): DeviceRow) -> Result<Device, StoreError> {
    Ok(Device { id: id(&device)?, account: id(&account)?, certificate, listed })
}
