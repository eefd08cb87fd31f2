//! Requests to be added again to a room: this device's own, and those that others wait to have answered.

use bytes::Bytes;
use diesel::{OptionalExtension, SqliteConnection, prelude::*};
use qchat_proto::{
    ids::{DeviceId, RoomId, Seq},
    session::ledger::{Asked, OwnRequest},
};

use super::{
    StoreError, convert,
    schema::{added, asked, requests},
};

pub(super) fn added_at(
    conn: &mut SqliteConnection,
    room: RoomId,
    device: DeviceId,
) -> Result<Option<Seq>, StoreError> {
    let seq: Option<i64> = added::table
        .find((&room.as_bytes()[..], &device.as_bytes()[..]))
        .select(added::seq)
        .get_result(conn)
        .optional()?;
    seq.map(convert::seq).transpose()
}

pub(super) fn put_added_at(
    conn: &mut SqliteConnection,
    room: RoomId,
    device: DeviceId,
    seq: Seq,
) -> Result<(), StoreError> {
    diesel::replace_into(added::table)
        .values((
            added::room.eq(&room.as_bytes()[..]),
            added::device.eq(&device.as_bytes()[..]),
            added::seq.eq(convert::seq_number(seq)?),
        ))
        .execute(conn)?;
    Ok(())
}

pub(super) fn asked(conn: &mut SqliteConnection, room: RoomId) -> Result<Vec<Asked>, StoreError> {
    let rows: Vec<(Vec<u8>, Vec<u8>)> = asked::table
        .filter(asked::room.eq(&room.as_bytes()[..]))
        .select((asked::device, asked::key_package))
        .order(asked::device)
        .load(conn)?;
    rows.into_iter()
        .map(|(device, key_package)| {
            Ok(Asked { device: convert::id("device id", &device)?, key_package: key_package.into() })
        })
        .collect()
}

pub(super) fn put_asked(
    conn: &mut SqliteConnection,
    room: RoomId,
    asked: &[Asked],
) -> Result<(), StoreError> {
    diesel::delete(asked::table.filter(asked::room.eq(&room.as_bytes()[..]))).execute(conn)?;
    for Asked { device, key_package } in asked {
        diesel::insert_into(asked::table)
            .values((
                asked::room.eq(&room.as_bytes()[..]),
                asked::device.eq(&device.as_bytes()[..]),
                asked::key_package.eq(&key_package[..]),
            ))
            .execute(conn)?;
    }
    Ok(())
}

type Row = (Vec<u8>, Vec<u8>, i64, i64, bool);

pub(super) fn request(conn: &mut SqliteConnection, room: RoomId) -> Result<Option<OwnRequest>, StoreError> {
    let row: Option<Row> = requests::table
        .find(&room.as_bytes()[..])
        .select((
            requests::message_id,
            requests::envelope,
            requests::commit_seq,
            requests::expires_at,
            requests::logged,
        ))
        .get_result(conn)
        .optional()?;
    row.map(|(message_id, envelope, commit_seq, expires_at, logged)| {
        Ok(OwnRequest {
            message_id: convert::id("message id", &message_id)?,
            envelope: Bytes::from(envelope),
            commit_seq: convert::seq(commit_seq)?,
            expires_at: convert::unsigned("expiry", expires_at)?,
            logged,
        })
    })
    .transpose()
}

pub(super) fn put_request(
    conn: &mut SqliteConnection,
    room: RoomId,
    request: &OwnRequest,
) -> Result<(), StoreError> {
    diesel::replace_into(requests::table)
        .values((
            requests::room.eq(&room.as_bytes()[..]),
            requests::message_id.eq(&request.message_id.as_bytes()[..]),
            requests::envelope.eq(&request.envelope[..]),
            requests::commit_seq.eq(convert::seq_number(request.commit_seq)?),
            requests::expires_at.eq(convert::number(request.expires_at)?),
            requests::logged.eq(request.logged),
        ))
        .execute(conn)?;
    Ok(())
}

pub(super) fn forget_request(conn: &mut SqliteConnection, room: RoomId) -> Result<(), StoreError> {
    diesel::delete(requests::table.find(&room.as_bytes()[..])).execute(conn)?;
    Ok(())
}
