//! Own envelopes that the daemon accepted before this device's inbox reached them.

use diesel::{OptionalExtension, SqliteConnection, prelude::*};
use qchat_proto::{
    ids::{MessageId, RoomId},
    session::ledger::Head,
};

use super::{StoreError, convert, schema::own};

pub(super) fn put(
    conn: &mut SqliteConnection,
    room: RoomId,
    id: MessageId,
    logged_hash: &Head,
) -> Result<(), StoreError> {
    diesel::replace_into(own::table)
        .values((
            own::room.eq(&room.as_bytes()[..]),
            own::message_id.eq(&id.as_bytes()[..]),
            own::logged_hash.eq(&logged_hash[..]),
        ))
        .execute(conn)?;
    Ok(())
}

pub(super) fn find(
    conn: &mut SqliteConnection,
    room: RoomId,
    id: MessageId,
) -> Result<Option<Head>, StoreError> {
    let hash: Option<Vec<u8>> = own::table
        .find((&room.as_bytes()[..], &id.as_bytes()[..]))
        .select(own::logged_hash)
        .get_result(conn)
        .optional()?;
    hash.map(|hash| convert::array("envelope hash", &hash)).transpose()
}

pub(super) fn forget(conn: &mut SqliteConnection, room: RoomId, id: MessageId) -> Result<(), StoreError> {
    diesel::delete(own::table.find((&room.as_bytes()[..], &id.as_bytes()[..]))).execute(conn)?;
    Ok(())
}
