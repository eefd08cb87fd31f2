//! Groups that rooms shall go on with, made by this device and not yet in effect.

use diesel::{OptionalExtension, SqliteConnection, prelude::*};
use qchat_proto::{ids::RoomId, session::ledger::GroupBlob};
use zeroize::Zeroizing;

use super::{StoreError, schema::prepared};

pub(super) fn prepared(conn: &mut SqliteConnection, room: RoomId) -> Result<Option<GroupBlob>, StoreError> {
    let row: Option<(Vec<u8>, Vec<u8>)> = prepared::table
        .find(&room.as_bytes()[..])
        .select((prepared::state, prepared::tree))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(state, tree)| GroupBlob { state: Zeroizing::new(state), tree: tree.into() }))
}

pub(super) fn put(conn: &mut SqliteConnection, room: RoomId, group: &GroupBlob) -> Result<(), StoreError> {
    diesel::replace_into(prepared::table)
        .values((
            prepared::room.eq(&room.as_bytes()[..]),
            prepared::state.eq(&group.state[..]),
            prepared::tree.eq(&group.tree[..]),
        ))
        .execute(conn)?;
    Ok(())
}

pub(super) fn forget(conn: &mut SqliteConnection, room: RoomId) -> Result<(), StoreError> {
    diesel::delete(prepared::table.find(&room.as_bytes()[..])).execute(conn)?;
    Ok(())
}
