//! What was said and what happened, line by line.
//!
//! Lines are shown in *log order*: by seq, then those that failed (after the last line they could see), and last those
//! that are pending, in the order they were written. A line keeps its `row` for ever, so a row names a line; which line
//! stands before which is decided by the log alone and is the same on every device. Lines are never removed: a deleted
//! message leaves one that pages pass over. So do lines that change others: see [`super::changes`].

use bytes::Bytes;
use diesel::{OptionalExtension, SqliteConnection, dsl::sql, prelude::*, sql_types::Bool};
use qchat_proto::{
    content::MessageRef,
    conversation::{By, State},
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    session::ledger::{Notice, OpenedMessage},
};

use super::{
    StoreError, Tx,
    changes::{self, Filing, NEVER},
    convert, deletions, notes, notice, outbox, rooms as room_rows,
    schema::{rooms, timeline},
    search, states,
};

/// What changes a message of somebody of whom nothing is shown is not shown either: it would be shown with that message.
/// As [`notes::blocked`] has them.
const OF_NOBODY_BLOCKED: &str = "(of_message IS NULL OR NOT EXISTS ( \
     SELECT 1 FROM timeline AS target JOIN notes ON notes.kind = 4 AND notes.subject = target.account AND notes.value = x'01' \
     WHERE target.room = timeline.room AND target.device = timeline.of_device \
     AND target.message_id = timeline.of_message AND target.message_id IS NOT NULL))";

/// Where pending lines stand.
const PENDING_PLACE: i64 = i64::MAX;

/// How far a message has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// Own, waits in the outbox.
    Pending,
    /// In the room's log.
    Sent,
    /// Own, and can never be sent.
    Failed,
}

impl Delivery {
    pub(super) const fn number(self) -> i32 {
        match self {
            Self::Pending => 0,
            Self::Sent => 1,
            Self::Failed => 2,
        }
    }
}

/// A line of a room's timeline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Grows with every stored line of this profile; a line keeps it.
    pub row: i64,
    /// The room.
    pub room: RoomId,
    /// Its place in the room's log; none while pending or when failed.
    pub seq: Option<Seq>,
    /// The MLS epoch it was sealed in; 0 while pending and for notices.
    pub epoch: u64,
    /// When it was stored, milliseconds since the Unix epoch.
    pub stored_ms: i64,
    /// How far it has come.
    pub delivery: Delivery,
    /// What it says.
    pub body: LineBody,
}

/// What a line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LineBody {
    /// A message.
    Message {
        /// Its id.
        id: MessageId,
        /// Whose it is.
        account: AccountId,
        /// From which device.
        device: DeviceId,
        /// The encoded `Content`, unpadded; zeros when it was deleted for everyone.
        content: Bytes,
        /// What has become of it, own changes that wait included.
        state: Box<State>,
        /// Whether its text speaks to this account.
        mentions_me: bool,
        /// When this device deletes it, milliseconds since the Unix epoch.
        expires_ms: Option<i64>,
    },
    /// A change of another message, for whoever follows the log.
    Change {
        /// Its id.
        id: MessageId,
        /// Whose it is.
        account: AccountId,
        /// The message.
        of: MessageRef,
        /// The encoded `Content`, unpadded.
        content: Bytes,
    },
    /// Something that happened.
    Notice(Notice),
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = timeline)]
#[expect(clippy::struct_field_names, reason = "the fields are the columns")]
struct Stored {
    row: i64,
    room: Vec<u8>,
    place: i64,
    seq: Option<i64>,
    message_id: Option<Vec<u8>>,
    account: Option<Vec<u8>>,
    device: Option<Vec<u8>>,
    epoch: i64,
    stored_ms: i64,
    delivery: i32,
    body: Vec<u8>,
    of_device: Option<Vec<u8>>,
    of_message: Option<Vec<u8>>,
    mentions_me: bool,
    expires_ms: Option<i64>,
}

fn decode(conn: &mut SqliteConnection, stored: Stored) -> Result<Line, StoreError> {
    let body = match (stored.message_id, stored.account, stored.device) {
        (Some(id), Some(account), Some(device)) => {
            let (id, account) = (convert::id("message id", &id)?, convert::id("account id", &account)?);
            let device = convert::id("device id", &device)?;
            if let (Some(of_device), Some(of_message)) = (stored.of_device, stored.of_message) {
                let of = MessageRef {
                    device: convert::id("device id", &of_device)?,
                    id: convert::id("message id", &of_message)?,
                };
                LineBody::Change { id, account, of, content: stored.body.into() }
            } else {
                let room = convert::id("room id", &stored.room)?;
                let at = (stored.row, stored.place);
                let said = (account, &stored.body[..]);
                let state = changes::fold(conn, room, MessageRef { device, id }, at, said, true)?;
                LineBody::Message {
                    id,
                    account,
                    device,
                    content: stored.body.into(),
                    state: Box::new(state),
                    mentions_me: stored.mentions_me,
                    expires_ms: stored.expires_ms.filter(|time| *time != NEVER),
                }
            }
        }
        _ => LineBody::Notice(notice::decode(&stored.body)?),
    };
    Ok(Line {
        row: stored.row,
        room: convert::id("room id", &stored.room)?,
        seq: stored.seq.map(convert::seq).transpose()?,
        epoch: convert::unsigned("epoch", stored.epoch)?,
        stored_ms: stored.stored_ms,
        delivery: match stored.delivery {
            0 => Delivery::Pending,
            1 => Delivery::Sent,
            2 => Delivery::Failed,
            _ => return Err(StoreError::Corrupt("delivery")),
        },
        body,
    })
}

/// The line with this row.
pub(super) fn line_of(conn: &mut SqliteConnection, row: i64) -> Result<Option<Line>, StoreError> {
    let stored: Option<Stored> =
        timeline::table.find(row).select(Stored::as_select()).get_result(conn).optional()?;
    stored.map(|stored| decode(conn, stored)).transpose()
}

pub(super) fn has_message(
    conn: &mut SqliteConnection,
    room: RoomId,
    device: DeviceId,
    id: MessageId,
) -> Result<bool, StoreError> {
    // A pending line is not in the log yet: its envelope is still to come.
    let found = timeline::table
        .filter(timeline::room.eq(&room.as_bytes()[..]))
        .filter(timeline::device.eq(&device.as_bytes()[..]))
        .filter(timeline::message_id.eq(&id.as_bytes()[..]))
        .filter(timeline::message_id.is_not_null())
        .filter(timeline::seq.is_not_null());
    Ok(diesel::select(diesel::dsl::exists(found)).get_result(conn)?)
}

/// Stores a message that is in the log; whether it has changed an earlier one. A change that does nothing is not stored.
pub(super) fn put_message(conn: &mut SqliteConnection, message: &OpenedMessage) -> Result<bool, StoreError> {
    let seq = convert::seq_number(message.seq)?;
    let now = convert::now_ms();
    let filing = Filing::of(conn, message.room, &message.content, now)?;
    let (of, account) = (filing.target(), &message.account.as_bytes()[..]);
    let admin = of.is_some() && changes::is_admin(conn, message.room, account)?;
    let by = By { account: message.account, admin };
    if let Some(change) = &filing.change
        && !changes::takes_effect(conn, message.room, change, by)?
    {
        changes::passed_over(conn, message.room, change, by)?;
        return Ok(false);
    }
    let row: i64 = diesel::insert_into(timeline::table)
        .values((
            timeline::room.eq(&message.room.as_bytes()[..]),
            timeline::place.eq(seq),
            timeline::seq.eq(seq),
            timeline::message_id.eq(&message.message_id.as_bytes()[..]),
            timeline::account.eq(&message.account.as_bytes()[..]),
            timeline::device.eq(&message.device.as_bytes()[..]),
            timeline::epoch.eq(convert::number(message.epoch)?),
            timeline::stored_ms.eq(now),
            timeline::delivery.eq(Delivery::Sent.number()),
            timeline::body.eq(&message.content[..]),
            timeline::of_device.eq(of.as_ref().map(|of| &of.device.as_bytes()[..])),
            timeline::of_message.eq(of.as_ref().map(|of| &of.id.as_bytes()[..])),
            timeline::by_admin.eq(admin),
            timeline::mentions_me.eq(filing.mentions_me),
            timeline::expires_ms.eq(filing.expires_ms),
        ))
        .returning(timeline::row)
        .get_result(conn)?;
    if let Some(of) = of {
        changes::settle(conn, message.room, of)?;
    } else {
        search::refresh(conn, row)?;
        room_rows::touch(conn, message.room, now)?;
    }
    Ok(of.is_some())
}

pub(super) fn put_notice(
    conn: &mut SqliteConnection,
    room: RoomId,
    seq: Seq,
    notice: &Notice,
) -> Result<(), StoreError> {
    let seq = convert::seq_number(seq)?;
    diesel::insert_into(timeline::table)
        .values((
            timeline::room.eq(&room.as_bytes()[..]),
            timeline::place.eq(seq),
            timeline::seq.eq(seq),
            timeline::epoch.eq(0),
            timeline::stored_ms.eq(convert::now_ms()),
            timeline::delivery.eq(Delivery::Sent.number()),
            timeline::body.eq(notice::encode(notice)?),
        ))
        .execute(conn)?;
    Ok(())
}

pub(super) fn settle(
    conn: &mut SqliteConnection,
    own_device: &[u8],
    room: RoomId,
    id: MessageId,
    (seq, epoch): (Seq, u64),
) -> Result<(), StoreError> {
    let seq = convert::seq_number(seq)?;
    let line = timeline::table
        .filter(timeline::room.eq(&room.as_bytes()[..]))
        .filter(timeline::device.eq(own_device))
        .filter(timeline::message_id.eq(&id.as_bytes()[..]))
        .filter(timeline::message_id.is_not_null());
    let written: Option<(i64, Option<Vec<u8>>, Vec<u8>)> =
        line.select((timeline::row, timeline::account, timeline::body)).get_result(conn).optional()?;
    let Some((row, Some(account), body)) = written else { return Ok(()) };
    // What it says is judged, and its time counts, by the settings at its place in the log, and not by those when it was
    // written: so it does on every other device.
    let filing = Filing::of(conn, room, &body, convert::now_ms())?;
    let admin = changes::is_admin(conn, room, &account)?;
    let by = By { account: convert::id("account id", &account)?, admin };
    let idle = match &filing.change {
        Some(change) if !changes::takes_effect(conn, room, change, by)? => {
            changes::passed_over(conn, room, change, by)?;
            true
        }
        _ => false,
    };
    diesel::update(timeline::table.find(row))
        .set((
            timeline::place.eq(seq),
            timeline::seq.eq(seq),
            timeline::epoch.eq(convert::number(epoch)?),
            timeline::delivery.eq(Delivery::Sent.number()),
            timeline::by_admin.eq(admin),
            timeline::expires_ms.eq(filing.expires_ms.unwrap_or(NEVER)),
        ))
        .execute(conn)?;
    if idle {
        deletions::erase!(conn, timeline::table.find(row))?;
    }
    match filing.target() {
        Some(of) => changes::settle(conn, room, of),
        None => search::refresh(conn, row),
    }
}

/// Marks a pending message as failed and lets it stand after the last line of the log as it is now. Its time begins.
pub(super) fn fail(conn: &mut SqliteConnection, room: RoomId, id: &[u8]) -> Result<(), StoreError> {
    let place = cursor(conn, room)?;
    let line = timeline::table
        .filter(timeline::room.eq(&room.as_bytes()[..]))
        .filter(timeline::place.eq(PENDING_PLACE))
        .filter(timeline::message_id.eq(id));
    let body: Option<Vec<u8>> = line.select(timeline::body).get_result(conn).optional()?;
    let Some(body) = body else { return Ok(()) };
    let filing = Filing::of(conn, room, &body, convert::now_ms())?;
    diesel::update(line)
        .set((
            timeline::place.eq(place),
            timeline::delivery.eq(Delivery::Failed.number()),
            timeline::expires_ms.eq(filing.expires_ms.unwrap_or(NEVER)),
        ))
        .execute(conn)?;
    // What it would have changed says again what it said before.
    if let Some(of) = filing.target() {
        changes::follow(conn, room, of)?;
    }
    Ok(())
}

/// Everything up to this seq has been processed; 0 for a room that was never joined.
fn cursor(conn: &mut SqliteConnection, room: RoomId) -> Result<i64, StoreError> {
    let cursor: Option<i64> =
        rooms::table.find(&room.as_bytes()[..]).select(rooms::cursor).get_result(conn).optional()?;
    Ok(cursor.unwrap_or(0))
}

fn place_of(conn: &mut SqliteConnection, room: RoomId, row: i64) -> Result<Option<i64>, StoreError> {
    Ok(timeline::table
        .find(row)
        .filter(timeline::room.eq(&room.as_bytes()[..]))
        .select(timeline::place)
        .get_result(conn)
        .optional()?)
}

/// Which lines a page may hold.
#[derive(Clone, Copy)]
enum Upto {
    Pending,
    Processed,
}

impl Tx {
    /// Stores an own message that now waits in the outbox; returns its row. Belongs into the transaction that pushes
    /// the outbox row.
    ///
    /// # Errors
    /// What the database says; [`StoreError::Corrupt`] when this device has no identity yet.
    pub fn put_pending(&mut self, room: RoomId, id: MessageId, content: &[u8]) -> Result<i64, StoreError> {
        let (account, device) = self.own_ids()?.ok_or(StoreError::Corrupt("identity"))?;
        let now = convert::now_ms();
        let filing = Filing::of(&mut self.conn, room, content, now)?;
        let of = filing.target();
        let by_admin = of.is_some() && changes::is_admin(&mut self.conn, room, &account)?;
        let row = diesel::insert_into(timeline::table)
            .values((
                timeline::room.eq(&room.as_bytes()[..]),
                timeline::place.eq(PENDING_PLACE),
                timeline::message_id.eq(&id.as_bytes()[..]),
                timeline::account.eq(account),
                timeline::device.eq(device),
                timeline::epoch.eq(0),
                timeline::stored_ms.eq(now),
                timeline::delivery.eq(Delivery::Pending.number()),
                timeline::body.eq(content),
                timeline::of_device.eq(of.as_ref().map(|of| &of.device.as_bytes()[..])),
                timeline::of_message.eq(of.as_ref().map(|of| &of.id.as_bytes()[..])),
                timeline::by_admin.eq(by_admin),
                timeline::mentions_me.eq(filing.mentions_me),
                // Its time begins when it stands in the log.
                timeline::expires_ms.eq(NEVER),
            ))
            .returning(timeline::row)
            .get_result(&mut self.conn)?;
        outbox::forget_text(&mut self.conn, room, id)?;
        match of {
            Some(of) => changes::follow(&mut self.conn, room, of)?,
            None => room_rows::touch(&mut self.conn, room, now)?,
        }
        Ok(row)
    }

    /// Marks a pending own message as one that can never be sent.
    ///
    /// # Errors
    /// What the database says.
    pub fn mark_failed(&mut self, room: RoomId, id: MessageId) -> Result<(), StoreError> {
        fail(&mut self.conn, room, id.as_bytes())
    }

    /// An own message, also when it was deleted: then its content is zeros.
    ///
    /// # Errors
    /// What the database says.
    pub fn own_message(&mut self, room: RoomId, id: MessageId) -> Result<Option<Line>, StoreError> {
        let Some((_, device)) = self.own_ids()? else { return Ok(None) };
        timeline::table
            .filter(timeline::room.eq(&room.as_bytes()[..]))
            .filter(timeline::device.eq(device))
            .filter(timeline::message_id.eq(&id.as_bytes()[..]))
            .filter(timeline::message_id.is_not_null())
            .select(Stored::as_select())
            .get_result(&mut self.conn)
            .optional()?
            .map(|stored| decode(&mut self.conn, stored))
            .transpose()
    }

    /// The line with this row.
    ///
    /// # Errors
    /// What the database says.
    pub fn line_at(&mut self, row: i64) -> Result<Option<Line>, StoreError> {
        line_of(&mut self.conn, row)
    }

    /// The newest `limit` lines that stand before the line `row` (before the end when `None`), in log order.
    ///
    /// # Errors
    /// What the database says.
    pub fn lines_before(
        &mut self,
        room: RoomId,
        row: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Line>, StoreError> {
        let end = match row {
            None => (PENDING_PLACE, i64::MAX),
            Some(row) => match place_of(&mut self.conn, room, row)? {
                Some(place) => (place, row),
                None => return Ok(Vec::new()),
            },
        };
        self.before(room, end, limit)
    }

    /// The newest `limit` lines with a seq below `seq` (all when `None`) that have been processed, in log order.
    ///
    /// # Errors
    /// What the database says.
    pub fn lines_before_seq(
        &mut self,
        room: RoomId,
        seq: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Line>, StoreError> {
        let processed = cursor(&mut self.conn, room)?;
        let last = seq.map_or(processed, |seq| {
            i64::try_from(seq.0.saturating_sub(1)).unwrap_or(i64::MAX).min(processed)
        });
        self.before(room, (last, i64::MAX), limit)
    }

    /// The first `limit` lines that stand after the line `row` (0: from the start), in log order, pending ones at the
    /// end.
    ///
    /// # Errors
    /// What the database says.
    pub fn lines_after(&mut self, room: RoomId, row: i64, limit: usize) -> Result<Vec<Line>, StoreError> {
        let start = self.start(room, row)?;
        self.after(room, start, limit, Upto::Pending)
    }

    /// Where the newest message of somebody else stands that has been processed.
    ///
    /// # Errors
    /// What the database says.
    pub fn newest_of_others(&mut self, room: RoomId) -> Result<Option<Seq>, StoreError> {
        let (own, last) = (self.own_account()?, cursor(&mut self.conn, room)?);
        let blocked = notes::blocked(&mut self.conn)?;
        let newest: Option<i64> = timeline::table
            .filter(timeline::room.eq(&room.as_bytes()[..]))
            .filter(timeline::of_message.is_null())
            .filter(timeline::place.le(last))
            .filter(timeline::account.ne(own))
            .filter(timeline::account.ne_all(blocked))
            .order((timeline::place.desc(), timeline::row.desc()))
            .select(timeline::place)
            .get_result(&mut self.conn)
            .optional()?;
        newest.map(convert::seq).transpose()
    }

    /// The last of the lines that [`Tx::settled_lines_after`] gives.
    ///
    /// # Errors
    /// What the database says.
    pub fn last_settled_row(&mut self, room: RoomId) -> Result<Option<i64>, StoreError> {
        let last = cursor(&mut self.conn, room)?;
        Ok(timeline::table
            .filter(timeline::room.eq(&room.as_bytes()[..]))
            .filter(states::kept())
            .filter(states::not_pending())
            .filter(timeline::place.le(last))
            .order((timeline::place.desc(), timeline::row.desc()))
            .select(timeline::row)
            .get_result(&mut self.conn)
            .optional()?)
    }

    /// Own messages that can never be sent: where, their ids, and what they say.
    ///
    /// # Errors
    /// What the database says.
    pub fn failed(&mut self) -> Result<Vec<(RoomId, MessageId, Bytes)>, StoreError> {
        type Row = (Vec<u8>, Option<Vec<u8>>, Vec<u8>);
        let rows: Vec<Row> = timeline::table
            .filter(states::failed())
            .filter(states::kept())
            .filter(timeline::of_message.is_null())
            .order((timeline::room, timeline::place))
            .select((timeline::room, timeline::message_id, timeline::body))
            .load(&mut self.conn)?;
        rows.into_iter()
            .map(|(room, id, body)| {
                let id = convert::id("message id", &id.unwrap_or_default())?;
                Ok((convert::id("room id", &room)?, id, body.into()))
            })
            .collect()
    }

    /// The same with the lines that change others, and without what is still moving: pending lines, and own messages that were
    /// acknowledged while envelopes before them have not been processed. Whoever asks again from the last line it got sees
    /// each line of the log once, in the order of the log.
    ///
    /// # Errors
    /// What the database says.
    pub fn settled_lines_after(
        &mut self,
        room: RoomId,
        row: i64,
        limit: usize,
    ) -> Result<Vec<Line>, StoreError> {
        let (place, row) = self.start(room, row)?;
        let last = cursor(&mut self.conn, room)?;
        let blocked = notes::blocked(&mut self.conn)?;
        let rows: Vec<Stored> = timeline::table
            .filter(timeline::room.eq(&room.as_bytes()[..]))
            .filter(states::kept())
            .filter(states::not_pending())
            .filter(timeline::place.ge(place))
            .filter(timeline::place.le(last))
            .filter(timeline::place.gt(place).or(timeline::row.gt(row)))
            .filter(timeline::account.is_null().or(timeline::account.ne_all(blocked)))
            .filter(sql::<Bool>(OF_NOBODY_BLOCKED))
            .order((timeline::place, timeline::row))
            .limit(convert::limit(limit))
            .select(Stored::as_select())
            .load(&mut self.conn)?;
        rows.into_iter().map(|stored| decode(&mut self.conn, stored)).collect()
    }

    /// The first `limit` lines with a seq above `seq` that have been processed, in log order.
    ///
    /// # Errors
    /// What the database says.
    pub fn lines_after_seq(&mut self, room: RoomId, seq: Seq, limit: usize) -> Result<Vec<Line>, StoreError> {
        self.after(room, (convert::seq_number(seq)?, i64::MAX), limit, Upto::Processed)
    }

    fn start(&mut self, room: RoomId, row: i64) -> Result<(i64, i64), StoreError> {
        // A row of another room, or none: from the start, since rows are never deleted.
        Ok(place_of(&mut self.conn, room, row)?.map_or((0, 0), |place| (place, row)))
    }

    fn before(
        &mut self,
        room: RoomId,
        (place, row): (i64, i64),
        limit: usize,
    ) -> Result<Vec<Line>, StoreError> {
        let blocked = notes::blocked(&mut self.conn)?;
        let mut rows: Vec<Stored> = timeline::table
            .filter(timeline::room.eq(&room.as_bytes()[..]))
            .filter(timeline::of_message.is_null())
            .filter(states::kept())
            .filter(timeline::place.le(place))
            .filter(timeline::place.lt(place).or(timeline::row.lt(row)))
            .filter(timeline::account.is_null().or(timeline::account.ne_all(blocked)))
            .order((timeline::place.desc(), timeline::row.desc()))
            .limit(convert::limit(limit))
            .select(Stored::as_select())
            .load(&mut self.conn)?;
        rows.reverse();
        rows.into_iter().map(|stored| decode(&mut self.conn, stored)).collect()
    }

    fn after(
        &mut self,
        room: RoomId,
        (place, row): (i64, i64),
        limit: usize,
        upto: Upto,
    ) -> Result<Vec<Line>, StoreError> {
        let last = match upto {
            Upto::Pending => PENDING_PLACE,
            Upto::Processed => cursor(&mut self.conn, room)?,
        };
        let blocked = notes::blocked(&mut self.conn)?;
        let rows: Vec<Stored> = timeline::table
            .filter(timeline::room.eq(&room.as_bytes()[..]))
            .filter(timeline::of_message.is_null())
            .filter(states::kept())
            .filter(timeline::place.ge(place))
            .filter(timeline::place.le(last))
            .filter(timeline::place.gt(place).or(timeline::row.gt(row)))
            .filter(timeline::account.is_null().or(timeline::account.ne_all(blocked)))
            .order((timeline::place, timeline::row))
            .limit(convert::limit(limit))
            .select(Stored::as_select())
            .load(&mut self.conn)?;
        rows.into_iter().map(|stored| decode(&mut self.conn, stored)).collect()
    }
}
