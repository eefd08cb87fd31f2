//! How far everybody has got with a room's log, as their devices' receipts say.

use diesel::{OptionalExtension, SqliteConnection, prelude::*};
use qchat_proto::{
    content::{Body, Content, Receipt},
    ids::{AccountId, DeviceId, RoomId, Seq},
    session::ledger::OpenedMessage,
};

use super::{
    StoreError, Tx, convert, resyncs,
    schema::{identity, receipts, rooms},
};

/// How far a device has got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Its account.
    pub account: AccountId,
    /// Where it was added: of what stands before, it has nothing.
    pub since: Seq,
    /// How far.
    pub receipt: Receipt,
}

/// Takes in a receipt; whether the message is one. It is no line of the timeline.
pub(super) fn take(conn: &mut SqliteConnection, message: &OpenedMessage) -> Result<bool, StoreError> {
    let Ok(Content { body: Body::Receipt(receipt), .. }) = Content::decode(&message.content) else {
        return Ok(false);
    };
    let receipt = receipt.before(message.seq);
    put(conn, message.room, (message.account, message.device), receipt)?;
    let own: Option<Vec<u8>> = identity::table.select(identity::account).get_result(conn).optional()?;
    if own.as_deref() == Some(&message.account.as_bytes()[..]) {
        // What was read on another device of this account is read.
        mark_read(conn, message.room, receipt.read)?;
    }
    Ok(true)
}

/// Notes how far a device has got; never moves backwards.
fn put(
    conn: &mut SqliteConnection,
    room: RoomId,
    (account, device): (AccountId, DeviceId),
    receipt: Receipt,
) -> Result<(), StoreError> {
    let key = (&room.as_bytes()[..], &account.as_bytes()[..], &device.as_bytes()[..]);
    let known: Option<(i64, i64)> = receipts::table
        .find(key)
        .select((receipts::delivered, receipts::read))
        .get_result(conn)
        .optional()?;
    let (delivered, read) = known.unwrap_or((0, 0));
    // What was read has been delivered.
    let delivered = convert::seq_number(receipt.delivered.max(receipt.read))?.max(delivered);
    let read = convert::seq_number(receipt.read)?.max(read);
    let since = resyncs::added_at(conn, room, device)?.unwrap_or(Seq(0));
    diesel::replace_into(receipts::table)
        .values((
            receipts::room.eq(key.0),
            receipts::account.eq(key.1),
            receipts::device.eq(key.2),
            receipts::since.eq(convert::seq_number(since)?),
            receipts::delivered.eq(delivered),
            receipts::read.eq(read),
        ))
        .execute(conn)?;
    Ok(())
}

/// Marks everything up to `seq` as read; never moves backwards.
pub(super) fn mark_read(conn: &mut SqliteConnection, room: RoomId, seq: Seq) -> Result<(), StoreError> {
    let seq = convert::seq_number(seq)?;
    diesel::update(rooms::table.find(&room.as_bytes()[..]).filter(rooms::read_seq.lt(seq)))
        .set(rooms::read_seq.eq(seq))
        .execute(conn)?;
    Ok(())
}

impl Tx {
    /// How far the devices have got that have said so, those of one account together.
    ///
    /// # Errors
    /// What the database says.
    pub fn progress(&mut self, room: RoomId) -> Result<Vec<Progress>, StoreError> {
        type Row = (Vec<u8>, i64, i64, i64);
        let rows: Vec<Row> = receipts::table
            .filter(receipts::room.eq(&room.as_bytes()[..]))
            .select((receipts::account, receipts::since, receipts::delivered, receipts::read))
            .order((receipts::account, receipts::device))
            .load(&mut self.conn)?;
        rows.into_iter()
            .map(|(account, since, delivered, read)| {
                Ok(Progress {
                    account: convert::id("account id", &account)?,
                    since: convert::seq(since)?,
                    receipt: Receipt { delivered: convert::seq(delivered)?, read: convert::seq(read)? },
                })
            })
            .collect()
    }

    /// How far this device has told that it has got.
    ///
    /// # Errors
    /// What the database says.
    pub fn told(&mut self, room: RoomId) -> Result<Receipt, StoreError> {
        let Some((account, device)) = self.own_ids()? else { return Ok(Receipt::default()) };
        let found: Option<(i64, i64)> = receipts::table
            .find((&room.as_bytes()[..], account, device))
            .select((receipts::delivered, receipts::read))
            .get_result(&mut self.conn)
            .optional()?;
        let (delivered, read) = found.unwrap_or((0, 0));
        Ok(Receipt { delivered: convert::seq(delivered)?, read: convert::seq(read)? })
    }

    /// Notes what this device tells. Belongs into the transaction that pushes the outbox row.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_receipt(&mut self, room: RoomId, receipt: Receipt) -> Result<(), StoreError> {
        let (account, device) = self.own_ids()?.ok_or(StoreError::Corrupt("identity"))?;
        let ids = (convert::id("account id", &account)?, convert::id("device id", &device)?);
        put(&mut self.conn, room, ids, receipt)
    }
}
