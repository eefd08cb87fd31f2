//! When this device last gave itself fresh keys, room by room.

use diesel::{OptionalExtension, SqliteConnection, prelude::*};
use qchat_proto::{ids::RoomId, session::ledger::Renewal};

use super::{StoreError, convert, schema::renewals};

pub(super) fn renewal(conn: &mut SqliteConnection, room: RoomId) -> Result<Option<Renewal>, StoreError> {
    let row: Option<(i64, i64)> = renewals::table
        .find(&room.as_bytes()[..])
        .select((renewals::at, renewals::accepted))
        .get_result(conn)
        .optional()?;
    row.map(|(at, accepted)| {
        Ok(Renewal { at: convert::unsigned("time", at)?, accepted: convert::unsigned("count", accepted)? })
    })
    .transpose()
}

pub(super) fn put_renewal(
    conn: &mut SqliteConnection,
    room: RoomId,
    renewal: Renewal,
) -> Result<(), StoreError> {
    diesel::replace_into(renewals::table)
        .values((
            renewals::room.eq(&room.as_bytes()[..]),
            renewals::at.eq(convert::number(renewal.at)?),
            renewals::accepted.eq(convert::number(renewal.accepted)?),
        ))
        .execute(conn)?;
    Ok(())
}
