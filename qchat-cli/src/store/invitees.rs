//! Devices that were invited into a room and have not been heard since.

use diesel::{SqliteConnection, prelude::*};
use qchat_proto::{ids::RoomId, session::ledger::Invitee};

use super::{StoreError, convert, schema::invitees};

pub(super) fn invitees(conn: &mut SqliteConnection, room: RoomId) -> Result<Vec<Invitee>, StoreError> {
    let rows: Vec<(Vec<u8>, i64)> = invitees::table
        .filter(invitees::room.eq(&room.as_bytes()[..]))
        .select((invitees::device, invitees::since))
        .order(invitees::device)
        .load(conn)?;
    rows.iter()
        .map(|(device, since)| {
            Ok(Invitee {
                device: convert::id("device id", device)?,
                since: convert::unsigned("since", *since)?,
            })
        })
        .collect()
}

pub(super) fn put_invitees(
    conn: &mut SqliteConnection,
    room: RoomId,
    invitees: &[Invitee],
) -> Result<(), StoreError> {
    diesel::delete(invitees::table.filter(invitees::room.eq(&room.as_bytes()[..]))).execute(conn)?;
    for invitee in invitees {
        diesel::insert_into(invitees::table)
            .values((
                invitees::room.eq(&room.as_bytes()[..]),
                invitees::device.eq(&invitee.device.as_bytes()[..]),
                invitees::since.eq(convert::number(invitee.since)?),
            ))
            .execute(conn)?;
    }
    Ok(())
}
