//! Accounts that were erased: what is kept of them, and the erasing.

use diesel::prelude::*;
use qchat_proto::ids::{AccountId, DeviceId, RoomId};

use super::{
    Connection, StoreError, directory, files, id,
    multi::on_each,
    rooms::Standing,
    schema::{
        accounts, devices, erased_accounts, grants, key_packages, links, members, owed_places, sessions,
        trees as trees_table, welcomes,
    },
    trees,
};

/// What is kept of an erased account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// The account.
    pub account: AccountId,
    /// A keyed hash of its name.
    pub name: [u8; 48],
    /// SHA-256 of what its client knows the deletion by.
    pub token: [u8; 32],
    /// The account identity key.
    pub identity_key: Vec<u8>,
}

/// What is kept of an account, if it was erased.
///
/// # Errors
/// When the query fails.
pub fn by_id(conn: &mut Connection, account: AccountId) -> Result<Option<Erased>, StoreError> {
    type Row = (Vec<u8>, Vec<u8>, Vec<u8>);
    let row: Option<Row> = erased_accounts::table
        .select((erased_accounts::name, erased_accounts::token, erased_accounts::identity_key))
        .filter(erased_accounts::account_id.eq(account.as_bytes().as_slice()))
        .get_result(conn)
        .optional()?;
    row.map(|(name, token, identity_key)| {
        Ok(Erased {
            account,
            name: name.try_into().map_err(|_| StoreError::Corrupt("a name's hash"))?,
            token: token.try_into().map_err(|_| StoreError::Corrupt("a token's hash"))?,
            identity_key,
        })
    })
    .transpose()
}

/// Whether an erased account had the name with this hash.
///
/// # Errors
/// When the query fails.
pub fn had_name(conn: &mut Connection, name: &[u8; 48]) -> Result<bool, StoreError> {
    let found: Option<Vec<u8>> = erased_accounts::table
        .select(erased_accounts::account_id)
        .filter(erased_accounts::name.eq(name.as_slice()))
        .get_result(conn)
        .optional()?;
    Ok(found.is_some())
}

/// The rooms in which devices of an account have, or had, a place.
///
/// # Errors
/// When the query fails.
pub fn rooms(conn: &mut Connection, account: AccountId) -> Result<Vec<RoomId>, StoreError> {
    let rows: Vec<Vec<u8>> = members::table
        .inner_join(devices::table.on(devices::id.eq(members::device_id)))
        .select(members::room_id)
        .filter(devices::account_id.eq(account.as_bytes().as_slice()))
        .distinct()
        .load(conn)?;
    rows.iter().map(|room| id(room)).collect()
}

/// Gives up the places of an account's devices in a room that the transaction has locked: they are removed, read nothing any
/// more, need nothing of the log, and no Welcome waits for them. Returns whose places have changed.
///
/// # Errors
/// When a query fails.
pub fn leave(conn: &mut Connection, room: RoomId, account: AccountId) -> Result<Vec<DeviceId>, StoreError> {
    let places = members::table
        .filter(members::room_id.eq(room.as_bytes().as_slice()))
        .filter(members::account_id.eq(account.as_bytes().as_slice()));
    let rows: Vec<Vec<u8>> = places.select(members::device_id).load(conn)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    diesel::update(places)
        .set((
            members::standing.eq(Standing::Removed as i16),
            members::waiting.eq(false),
            members::read_after.eq(0),
            members::read_until.eq(Some(0)),
            members::past_after.eq(0),
            members::past_until.eq(0),
        ))
        .execute(conn)?;
    let waiting = welcomes::table.filter(welcomes::room_id.eq(room.as_bytes().as_slice()));
    let gone = on_each!(conn, conn => diesel::delete(waiting.filter(welcomes::device_id.eq_any(&rows)))
        .execute(conn))?;
    if gone > 0 {
        trees::drop_unused(conn, room)?;
    }
    rows.iter().map(|device| id(device)).collect()
}

/// Erases an account: what lets its devices in, what others were given of it, and its name. Its row and those of its devices stay
/// with their ids alone. False when it is not there, or is erased already.
///
/// # Errors
/// When a query fails.
pub fn erase(conn: &mut Connection, erased: &Erased, now: i64) -> Result<bool, StoreError> {
    let account = erased.account.as_bytes().as_slice();
    let row = accounts::table.filter(accounts::id.eq(account)).filter(accounts::deleted_at.is_null());
    let changed = diesel::update(row)
        .set((
            accounts::name.eq(nobodys_name(erased.account)),
            accounts::record.eq(&[][..]),
            accounts::device_list.eq(&[][..]),
            accounts::device_list_version.eq(0),
            accounts::auth_salt.eq(&[0; 16][..]),
            accounts::verifier_salt.eq(&[0; 16][..]),
            accounts::verifier.eq(&[0; 32][..]),
            accounts::created_at.eq(0),
            accounts::deleted_at.eq(Some(now)),
        ))
        .execute(conn)?;
    if changed == 0 {
        return Ok(false);
    }
    diesel::insert_into(erased_accounts::table)
        .values((
            erased_accounts::account_id.eq(account),
            erased_accounts::name.eq(erased.name.as_slice()),
            erased_accounts::token.eq(erased.token.as_slice()),
            erased_accounts::identity_key.eq(erased.identity_key.as_slice()),
        ))
        .execute(conn)?;
    super::backups::erase(conn, erased.account)?;
    super::notes::erase(conn, erased.account)?;
    super::join_requests::erase(conn, erased.account)?;
    let own: Vec<Vec<u8>> =
        devices::table.select(devices::id).filter(devices::account_id.eq(account)).load(conn)?;
    on_each!(conn, conn => diesel::delete(sessions::table.filter(sessions::device_id.eq_any(&own))).execute(conn))?;
    on_each!(conn, conn =>
        diesel::delete(key_packages::table.filter(key_packages::device_id.eq_any(&own))).execute(conn))?;
    diesel::delete(links::table.filter(links::account_id.eq(account))).execute(conn)?;
    on_each!(conn, conn => diesel::delete(grants::table.filter(grants::device_id.eq_any(&own))).execute(conn))?;
    // What the key directory holds of it are commitments: with their salts goes what they were of.
    directory::forget(conn, erased.account)?;
    on_each!(conn, conn =>
        diesel::delete(owed_places::table.filter(owed_places::device_id.eq_any(&own))).execute(conn))?;
    for device in &own {
        files::give_up_begun(conn, id(device)?)?;
    }
    let staged = trees_table::table.filter(trees_table::seq.is_null());
    on_each!(conn, conn => diesel::delete(staged.filter(trees_table::device_id.eq_any(&own))).execute(conn))?;
    diesel::update(devices::table.filter(devices::account_id.eq(account)))
        .set((
            devices::certificate.eq(&[][..]),
            devices::label.eq(None::<Vec<u8>>),
            devices::listed.eq(false),
            devices::created_at.eq(0),
        ))
        .execute(conn)?;
    Ok(true)
}

/// What stands for the name of an erased account: no name begins so.
fn nobodys_name(account: AccountId) -> String {
    let mut text = format!("-{account}");
    text.truncate(32);
    text
}
