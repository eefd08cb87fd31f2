//! What the protocol keeps of a group: MLS state and tree, heads, counters, the two lists of devices, lapsed leavers.

use std::collections::BTreeSet;

use diesel::{OptionalExtension, SqliteConnection, prelude::*};
use qchat_proto::{
    crypto::entropy::{Entropy, SystemEntropy},
    ids::{AccountId, DeviceId, RoomId, Seq},
    session::ledger::{GroupBlob, GroupUpdate, Head, ListedDevice},
};
use zeroize::Zeroizing;

use super::{
    StoreError, Tx, convert,
    schema::{counters, groups, heads, lapsed, listed, roster, trees},
};

pub(super) fn group(conn: &mut SqliteConnection, room: RoomId) -> Result<Option<GroupBlob>, StoreError> {
    let room = &room.as_bytes()[..];
    let state: Option<Vec<u8>> =
        groups::table.find(room).select(groups::state).get_result(conn).optional()?;
    let Some(state) = state else { return Ok(None) };
    let tree: Option<Vec<u8>> = trees::table.find(room).select(trees::tree).get_result(conn).optional()?;
    Ok(Some(GroupBlob { state: Zeroizing::new(state), tree: tree.unwrap_or_default().into() }))
}

/// Which writing of a group's state is stored.
pub(super) fn group_version(conn: &mut SqliteConnection, room: RoomId) -> Result<Option<i64>, StoreError> {
    Ok(groups::table.find(&room.as_bytes()[..]).select(groups::version).get_result(conn).optional()?)
}

pub(super) fn put_group(
    conn: &mut SqliteConnection,
    room: RoomId,
    update: &GroupUpdate,
) -> Result<(), StoreError> {
    let room = &room.as_bytes()[..];
    // A number that counts up would come again: after a rollback, or for a group that is forgotten and joined again.
    let mut version = [0; 8];
    SystemEntropy.fill(&mut version)?;
    let row = (groups::state.eq(&update.state[..]), groups::version.eq(i64::from_le_bytes(version)));
    diesel::insert_into(groups::table)
        .values((groups::room.eq(room), row))
        .on_conflict(groups::room)
        .do_update()
        .set(row)
        .execute(conn)?;
    if let Some(tree) = &update.tree {
        diesel::insert_into(trees::table)
            .values((trees::room.eq(room), trees::tree.eq(&tree[..])))
            .on_conflict(trees::room)
            .do_update()
            .set(trees::tree.eq(&tree[..]))
            .execute(conn)?;
    }
    Ok(())
}

pub(super) fn forget_group(conn: &mut SqliteConnection, room: RoomId) -> Result<(), StoreError> {
    diesel::delete(groups::table.find(&room.as_bytes()[..])).execute(conn)?;
    diesel::delete(trees::table.find(&room.as_bytes()[..])).execute(conn)?;
    Ok(())
}

pub(super) fn head(conn: &mut SqliteConnection, room: RoomId, seq: Seq) -> Result<Option<Head>, StoreError> {
    let head: Option<Vec<u8>> = heads::table
        .find((&room.as_bytes()[..], convert::seq_number(seq)?))
        .select(heads::head)
        .get_result(conn)
        .optional()?;
    head.map(|head| convert::array("head", &head)).transpose()
}

pub(super) fn put_head(
    conn: &mut SqliteConnection,
    room: RoomId,
    seq: Seq,
    head: &Head,
) -> Result<(), StoreError> {
    diesel::replace_into(heads::table)
        .values((
            heads::room.eq(&room.as_bytes()[..]),
            heads::seq.eq(convert::seq_number(seq)?),
            heads::head.eq(&head[..]),
        ))
        .execute(conn)?;
    Ok(())
}

pub(super) fn last_head_but(
    conn: &mut SqliteConnection,
    room: RoomId,
    other: &Head,
    until: Seq,
) -> Result<Option<Seq>, StoreError> {
    let seq: Option<i64> = heads::table
        .filter(heads::room.eq(&room.as_bytes()[..]))
        .filter(heads::seq.le(convert::seq_number(until)?))
        .filter(heads::head.ne(&other[..]))
        .order(heads::seq.desc())
        .select(heads::seq)
        .get_result(conn)
        .optional()?;
    seq.map(convert::seq).transpose()
}

pub(super) fn forget_heads_below(
    conn: &mut SqliteConnection,
    room: RoomId,
    seq: Seq,
) -> Result<(), StoreError> {
    let below = heads::table
        .filter(heads::room.eq(&room.as_bytes()[..]))
        .filter(heads::seq.lt(convert::seq_number(seq)?));
    diesel::delete(below).execute(conn)?;
    Ok(())
}

pub(super) fn counter(
    conn: &mut SqliteConnection,
    room: RoomId,
    device: DeviceId,
) -> Result<Option<u64>, StoreError> {
    let counter: Option<i64> = counters::table
        .find((&room.as_bytes()[..], &device.as_bytes()[..]))
        .select(counters::counter)
        .get_result(conn)
        .optional()?;
    counter.map(|counter| convert::unsigned("counter", counter)).transpose()
}

pub(super) fn put_counter(
    conn: &mut SqliteConnection,
    room: RoomId,
    device: DeviceId,
    counter: u64,
) -> Result<(), StoreError> {
    diesel::replace_into(counters::table)
        .values((
            counters::room.eq(&room.as_bytes()[..]),
            counters::device.eq(&device.as_bytes()[..]),
            counters::counter.eq(convert::number(counter)?),
        ))
        .execute(conn)?;
    Ok(())
}

pub(super) fn forget_counters(
    conn: &mut SqliteConnection,
    room: RoomId,
    devices: &[DeviceId],
) -> Result<(), StoreError> {
    for device in devices {
        diesel::delete(counters::table.find((&room.as_bytes()[..], &device.as_bytes()[..]))).execute(conn)?;
    }
    Ok(())
}

/// The two lists have the same shape, but tables are types to diesel.
macro_rules! device_list {
    ($table:ident, $read:ident, $write:ident) => {
        pub(super) fn $read(
            conn: &mut SqliteConnection,
            room: RoomId,
        ) -> Result<Vec<ListedDevice>, StoreError> {
            let rows: Vec<(Vec<u8>, Vec<u8>)> = $table::table
                .filter($table::room.eq(&room.as_bytes()[..]))
                .select(($table::account, $table::device))
                .order(($table::account, $table::device))
                .load(conn)?;
            rows.iter()
                .map(|(account, device)| {
                    Ok(ListedDevice {
                        account: convert::id("account id", account)?,
                        device: convert::id("device id", device)?,
                    })
                })
                .collect()
        }

        /// Writes only what differs: most commits change few devices or none.
        pub(super) fn $write(
            conn: &mut SqliteConnection,
            room: RoomId,
            devices: &[ListedDevice],
        ) -> Result<(), StoreError> {
            let old: BTreeSet<_> = $read(conn, room)?.into_iter().collect();
            let new: BTreeSet<_> = devices.iter().copied().collect();
            for gone in old.difference(&new) {
                diesel::delete($table::table.find((
                    &room.as_bytes()[..],
                    &gone.account.as_bytes()[..],
                    &gone.device.as_bytes()[..],
                )))
                .execute(conn)?;
            }
            for added in new.difference(&old) {
                diesel::insert_into($table::table)
                    .values((
                        $table::room.eq(&room.as_bytes()[..]),
                        $table::account.eq(&added.account.as_bytes()[..]),
                        $table::device.eq(&added.device.as_bytes()[..]),
                    ))
                    .execute(conn)?;
            }
            Ok(())
        }
    };
}

device_list!(listed, listed, put_listed);
device_list!(roster, read_roster, put_roster);

pub(super) fn lapsed(conn: &mut SqliteConnection, room: RoomId) -> Result<Vec<DeviceId>, StoreError> {
    let rows: Vec<Vec<u8>> = lapsed::table
        .filter(lapsed::room.eq(&room.as_bytes()[..]))
        .select(lapsed::device)
        .order(lapsed::device)
        .load(conn)?;
    rows.iter().map(|device| convert::id("device id", device)).collect()
}

pub(super) fn put_lapsed(
    conn: &mut SqliteConnection,
    room: RoomId,
    devices: &[DeviceId],
) -> Result<(), StoreError> {
    diesel::delete(lapsed::table.filter(lapsed::room.eq(&room.as_bytes()[..]))).execute(conn)?;
    for device in devices {
        diesel::insert_or_ignore_into(lapsed::table)
            .values((lapsed::room.eq(&room.as_bytes()[..]), lapsed::device.eq(&device.as_bytes()[..])))
            .execute(conn)?;
    }
    Ok(())
}

impl Tx {
    /// The devices in a room's group after the last commit, by account and device.
    ///
    /// # Errors
    /// What the database says.
    pub fn roster(&mut self, room: RoomId) -> Result<Vec<ListedDevice>, StoreError> {
        read_roster(&mut self.conn, room)
    }

    /// The rooms whose group holds a device of this account.
    ///
    /// # Errors
    /// What the database says.
    pub fn rooms_with(&mut self, account: AccountId) -> Result<Vec<RoomId>, StoreError> {
        let rows: Vec<Vec<u8>> = roster::table
            .filter(roster::account.eq(&account.as_bytes()[..]))
            .select(roster::room)
            .distinct()
            .load(&mut self.conn)?;
        rows.iter().map(|room| convert::id("room id", room)).collect()
    }
}
