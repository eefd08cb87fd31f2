//! Messages that the user deleted from this device. What they said is overwritten where it stands; the line stays, so that
//! the message is known when it comes again and nothing else loses its place.

use diesel::{SqliteConnection, prelude::*};
use qchat_proto::{
    content::MessageRef,
    ids::{MessageId, RoomId, Seq},
    session::ledger::RowState,
};

use super::{StoreError, Tx, changes, convert, files, outbox, schema::timeline, states, timeline as lines};

/// What came of the wish to delete messages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Deletion {
    /// How many were deleted.
    pub deleted: usize,
    /// No such message is stored here.
    pub unknown: Vec<MessageId>,
    /// Own messages that have left, or may have, and are not known to be in the log: their text is needed until then.
    pub on_their_way: Vec<MessageId>,
}

/// Overwrites lines, once their words are out of the index: they are taken out by what the lines say. The body keeps its
/// length: a row that changes its size is moved, and a move leaves copies behind.
macro_rules! erase {
    ($conn:expr, $lines:expr) => {{
        let conn: &mut diesel::SqliteConnection = $conn;
        let lines = $lines;
        let rows: Vec<i64> = lines.clone().select(crate::store::schema::timeline::row).load(conn)?;
        let emptied = crate::store::search::take_out_lines(conn, &rows)?;
        let erased = diesel::update(lines)
            .set((
                timeline::body.eq(diesel::dsl::sql::<diesel::sql_types::Binary>("zeroblob(length(body))")),
                timeline::deleted.eq(true),
            ))
            .execute(conn)?;
        if emptied {
            crate::store::search::fill(conn)?;
        }
        Ok::<usize, StoreError>(erased)
    }};
}
pub(super) use erase;

impl Tx {
    /// Deletes messages of a room from this device, by id. One that waits to be sent, and was never sealed, is not sent
    /// any more. Others keep theirs.
    ///
    /// # Errors
    /// What the database says.
    pub fn delete_messages(&mut self, room: RoomId, ids: &[MessageId]) -> Result<Deletion, StoreError> {
        let mut deletion = Deletion::default();
        for id in ids {
            let rows: Vec<(i64, Option<i64>, Option<Vec<u8>>)> = timeline::table
                .filter(timeline::room.eq(&room.as_bytes()[..]))
                .filter(timeline::message_id.eq(&id.as_bytes()[..]))
                .filter(timeline::message_id.is_not_null())
                .filter(timeline::of_message.is_null())
                .filter(states::kept())
                .select((timeline::row, timeline::seq, timeline::device))
                .load(&mut self.conn)?;
            if rows.is_empty() {
                deletion.unknown.push(*id);
            }
            for (row, seq, device) in rows {
                if seq.is_none() && take_back(&mut self.conn, room, *id)? == TakenBack::No {
                    deletion.on_their_way.push(*id);
                    continue;
                }
                files::leave(&mut self.conn, row)?;
                deletion.deleted += erase!(&mut self.conn, timeline::table.find(row))?;
                let device = convert::id("device id", &device.unwrap_or_default())?;
                changes::settle(&mut self.conn, room, MessageRef { device, id: *id })?;
            }
        }
        Ok(deletion)
    }

    /// Deletes all messages of a room from this device that stand before a seq in its log; without one really all, those
    /// that wait to be sent included.
    ///
    /// # Errors
    /// What the database says.
    pub fn delete_messages_before(
        &mut self,
        room: RoomId,
        before: Option<Seq>,
    ) -> Result<Deletion, StoreError> {
        let messages = timeline::table
            .filter(timeline::room.eq(&room.as_bytes()[..]))
            .filter(timeline::message_id.is_not_null())
            .filter(timeline::of_message.is_null())
            .filter(states::kept());
        let Some(before) = before else {
            let logged = messages.filter(timeline::seq.is_not_null());
            let rows = logged.select(timeline::row).load(&mut self.conn)?;
            leave_files(&mut self.conn, rows)?;
            let logged = erase!(&mut self.conn, logged)?;
            let ids: Vec<Option<Vec<u8>>> = messages.select(timeline::message_id).load(&mut self.conn)?;
            let ids = ids.iter().flatten().map(|id| convert::id("message id", id));
            let ids = ids.collect::<Result<Vec<_>, _>>()?;
            let mut deletion = self.delete_messages(room, &ids)?;
            deletion.deleted += logged;
            changes::settle_all(&mut self.conn, room)?;
            return Ok(deletion);
        };
        let before = i64::try_from(before.0).unwrap_or(i64::MAX);
        let older = messages.filter(timeline::seq.lt(before));
        let rows = older.select(timeline::row).load(&mut self.conn)?;
        leave_files(&mut self.conn, rows)?;
        let deleted = erase!(&mut self.conn, older)?;
        changes::settle_all(&mut self.conn, room)?;
        Ok(Deletion { deleted, ..Deletion::default() })
    }

    /// Takes a message that waits, or a change of one, out of the outbox, and deletes it from this device; `false` when it has
    /// left, or may have.
    ///
    /// # Errors
    /// What the database says.
    pub fn drop_waiting(&mut self, room: RoomId, id: MessageId) -> Result<bool, StoreError> {
        if take_back(&mut self.conn, room, id)? != TakenBack::Unsent {
            return Ok(false);
        }
        let Some((_, device)) = self.own_ids()? else { return Ok(true) };
        let of = MessageRef { device: convert::id("device id", &device)?, id };
        let line = timeline::table
            .filter(timeline::room.eq(&room.as_bytes()[..]))
            .filter(timeline::device.eq(device))
            .filter(timeline::message_id.eq(&id.as_bytes()[..]))
            .filter(timeline::message_id.is_not_null())
            .filter(timeline::seq.is_null());
        let rows: Vec<i64> = line.select(timeline::row).load(&mut self.conn)?;
        for row in rows {
            files::spend(&mut self.conn, row)?;
            erase!(&mut self.conn, timeline::table.find(row))?;
        }
        changes::settle(&mut self.conn, room, of)?;
        Ok(true)
    }

    /// Whether a message has had its time. `now`: milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// What the database says.
    pub fn is_anything_due(&mut self, now: i64) -> Result<bool, StoreError> {
        let due = timeline::table
            .filter(timeline::expires_ms.is_not_null())
            .filter(states::kept())
            .filter(timeline::expires_ms.le(now.min(changes::NEVER - 1)));
        let line: bool = diesel::select(diesel::dsl::exists(due)).get_result(&mut self.conn)?;
        Ok(line || files::is_any_left_due(&mut self.conn, now)?)
    }

    /// Deletes what has had its time, in every room. How many messages that were. `now`: milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// What the database says.
    pub fn expire(&mut self, now: i64) -> Result<usize, StoreError> {
        type Row = (i64, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);
        let rows: Vec<Row> = timeline::table
            .filter(timeline::expires_ms.is_not_null())
            .filter(states::kept())
            .filter(timeline::expires_ms.le(now.min(changes::NEVER - 1)))
            .select((timeline::row, timeline::room, timeline::device, timeline::message_id))
            .load(&mut self.conn)?;
        files::spend_due(&mut self.conn, now)?;
        let mut deleted = 0;
        for (row, room, device, id) in rows {
            let room = convert::id("room id", &room)?;
            let (device, id) = (device.unwrap_or_default(), id.unwrap_or_default());
            let id = convert::id("message id", &id)?;
            // One that waits goes unsent; one that has left is needed until it is known to be in the log.
            let sent =
                timeline::table.find(row).select(timeline::seq).get_result::<Option<i64>>(&mut self.conn)?;
            if sent.is_none() && take_back(&mut self.conn, room, id)? == TakenBack::No {
                continue;
            }
            files::spend(&mut self.conn, row)?;
            deleted += erase!(&mut self.conn, timeline::table.find(row))?;
            let device = convert::id("device id", &device)?;
            changes::settle(&mut self.conn, room, MessageRef { device, id })?;
        }
        Ok(deleted)
    }

    /// How many messages have been deleted from this device.
    ///
    /// # Errors
    /// What the database says.
    pub fn deleted_messages(&mut self) -> Result<i64, StoreError> {
        Ok(timeline::table.filter(states::erased()).count().get_result(&mut self.conn)?)
    }
}

fn leave_files(conn: &mut SqliteConnection, lines: Vec<i64>) -> Result<(), StoreError> {
    lines.into_iter().try_for_each(|line| files::leave(conn, line))
}

/// What came of the wish to take an own message out of the outbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TakenBack {
    /// Nobody has it, or will.
    Unsent,
    /// It is not there: it failed, or it was acknowledged and the inbox comes to it later. Its text is needed no more.
    Settled,
    /// It has left, or may have, and its text is needed until it is known to be in the log.
    No,
}

/// Takes an own message that is not known to be in the log out of the outbox, and with it the changes of it that wait.
fn take_back(conn: &mut SqliteConnection, room: RoomId, id: MessageId) -> Result<TakenBack, StoreError> {
    match outbox::row(conn, room, id)?.map(|row| row.state) {
        None => Ok(TakenBack::Settled),
        Some(RowState::Waiting) => {
            outbox::remove(conn, room, id)?;
            lines::fail(conn, room, id.as_bytes())?;
            // What was to become of it says what it said, and goes nowhere either.
            let changes: Vec<Option<Vec<u8>>> = timeline::table
                .filter(timeline::room.eq(&room.as_bytes()[..]))
                .filter(timeline::of_message.eq(&id.as_bytes()[..]))
                .filter(timeline::of_message.is_not_null())
                .filter(states::pending())
                .select(timeline::message_id)
                .load(conn)?;
            for change in changes.into_iter().flatten() {
                outbox::remove(conn, room, convert::id("message id", &change)?)?;
                lines::fail(conn, room, &change)?;
            }
            Ok(TakenBack::Unsent)
        }
        Some(RowState::Sealed(_) | RowState::Stale(_) | RowState::Accepted(_)) => Ok(TakenBack::No),
    }
}
