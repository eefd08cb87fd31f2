//! What retention needs to know of a room, and the deleting; and how old things are, in hours that a daemon has run.

use std::collections::HashMap;

use diesel::{
    dsl::max,
    prelude::*,
    sql_types::{BigInt, Binary},
};
use qchat_proto::ids::{DeviceId, RoomId, Seq};

use super::{
    Connection, StoreError, from_sql, id,
    multi::on_each,
    rooms::{self, MEMBER_COLUMNS, Member, MemberRow},
    schema::{envelopes, hours, key_packages, members, rooms as rooms_table, sessions, welcomes},
    sessions::{SessionId, session_id},
    to_sql,
};

/// An envelope's or a KeyPackage's row. Rows that came later have higher ones.
pub type RowId = i64;

/// A device's place in a room, with what it may still need of the log.
#[derive(Clone, Debug)]
pub struct Place {
    /// The place.
    pub member: Member,
    /// The device has processed the room up to here.
    pub confirmed: Seq,
    /// The Welcome that waits for it.
    pub welcome: Option<Waiting>,
}

/// A Welcome that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Who opens it needs the log after this.
    pub log_after: Seq,
    /// The row of the commit that it is of.
    pub commit: RowId,
}

/// A room's log as far as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The room.
    pub room: RoomId,
    /// The seq of its last commit.
    pub commit_seq: Seq,
    /// All up to here is deleted.
    pub deleted_until: Seq,
}

/// An envelope that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its place in the log.
    pub seq: Seq,
    /// Its row.
    pub row: RowId,
    /// Its bytes.
    pub size: u64,
}

/// The next rooms after `after`, by id, of which anything is there: `limit` at most.
///
/// # Errors
/// When the query fails.
pub fn rooms_after(
    conn: &mut Connection,
    after: Option<RoomId>,
    limit: u32,
) -> Result<Vec<RoomId>, StoreError> {
    let after = after.map_or_else(Vec::new, |room| room.as_bytes().to_vec());
    let rows: Vec<Vec<u8>> = rooms_table::table
        .select(rooms_table::id)
        .filter(rooms_table::id.gt(after))
        .filter((rooms_table::deleted_until + 1).lt(rooms_table::next_seq))
        .order(rooms_table::id)
        .limit(limit.into())
        .load(conn)?;
    rows.iter().map(|room| id(room)).collect()
}

/// How far a room's log is deleted, and its last commit. `locked`: no place in the room changes, and nothing is appended,
/// until the transaction ends.
///
/// # Errors
/// When the query fails.
pub fn log(conn: &mut Connection, room: RoomId, locked: bool) -> Result<Option<Log>, StoreError> {
    if locked {
        rooms::lock(conn, room)?;
    }
    Ok(rooms::log(conn, room)?.map(|(state, deleted_until)| Log {
        room,
        commit_seq: state.commit_seq,
        deleted_until,
    }))
}

/// Everybody who has, or had, a place in a room.
///
/// # Errors
/// When a query fails.
pub fn places(conn: &mut Connection, room: RoomId) -> Result<Vec<Place>, StoreError> {
    let waiting: Vec<(Vec<u8>, i64, RowId)> = welcomes::table
        .inner_join(
            envelopes::table
                .on(envelopes::room_id.eq(welcomes::room_id).and(envelopes::seq.eq(welcomes::seq))),
        )
        .select((welcomes::device_id, welcomes::log_after, envelopes::id))
        .filter(welcomes::room_id.eq(room.as_bytes().as_slice()))
        .load(conn)?;
    let mut waiting = waiting
        .into_iter()
        .map(|(device, after, commit)| {
            Ok((id(&device)?, Waiting { log_after: Seq(from_sql(after)), commit }))
        })
        .collect::<Result<HashMap<DeviceId, Waiting>, StoreError>>()?;
    let rows: Vec<(MemberRow, i64)> = members::table
        .select((MEMBER_COLUMNS, members::confirmed))
        .filter(members::room_id.eq(room.as_bytes().as_slice()))
        .load(conn)?;
    rows.into_iter()
        .map(|(row, confirmed)| {
            let member = rooms::read_member(row)?;
            let welcome = waiting.remove(&member.device);
            Ok(Place { member, confirmed: Seq(from_sql(confirmed)), welcome })
        })
        .collect()
}

/// The oldest envelopes of a room after `after`: `limit` at most.
///
/// # Errors
/// When the query fails.
pub fn oldest(conn: &mut Connection, room: RoomId, after: Seq, limit: u32) -> Result<Vec<Kept>, StoreError> {
    let rows: Vec<(i64, RowId, i64)> = envelopes::table
        .select((envelopes::seq, envelopes::id, envelopes::size))
        .filter(envelopes::room_id.eq(room.as_bytes().as_slice()))
        .filter(envelopes::seq.gt(to_sql(after.0)))
        .order(envelopes::seq)
        .limit(limit.into())
        .load(conn)?;
    Ok(rows
        .into_iter()
        .map(|(seq, row, size)| Kept { seq: Seq(from_sql(seq)), row, size: from_sql(size) })
        .collect())
}

/// Deletes the bytes of a room's envelopes after `after` and up to `until`. Who sent them under which id stays, so that a
/// repetition gets its old seq.
///
/// # Errors
/// When a query fails.
pub fn delete(conn: &mut Connection, room: RoomId, after: Seq, until: Seq) -> Result<(), StoreError> {
    match conn {
        // A message fills most of a page. What is left of it would stay there alone if it were updated: SQLite moves rows
        // together where one is deleted, not where one shrinks, and no page would ever be free again.
        Connection::Sqlite(conn) => {
            diesel::sql_query(
                "INSERT OR REPLACE INTO envelopes (id, room_id, seq, sender_device, message_id, size, logged) \
                 SELECT id, room_id, seq, sender_device, message_id, size, NULL FROM envelopes \
                 WHERE room_id = ? AND seq > ? AND seq <= ?",
            )
            .bind::<Binary, _>(room.as_bytes().as_slice())
            .bind::<BigInt, _>(to_sql(after.0))
            .bind::<BigInt, _>(to_sql(until.0))
            .execute(conn)?;
        }
        Connection::Postgres(conn) => {
            let old = envelopes::table
                .filter(envelopes::room_id.eq(room.as_bytes().as_slice()))
                .filter(envelopes::seq.gt(to_sql(after.0)))
                .filter(envelopes::seq.le(to_sql(until.0)));
            diesel::update(old).set(envelopes::logged.eq(None::<Vec<u8>>)).execute(conn)?;
        }
    }
    diesel::update(rooms_table::table.filter(rooms_table::id.eq(room.as_bytes().as_slice())))
        .set(rooms_table::deleted_until.eq(to_sql(until.0)))
        .execute(conn)?;
    Ok(())
}

/// Counts an hour, if the last one was counted at `last` or before; or after `now`, when clocks have gone back. Forgets
/// hours that are more than `keep` back. False when it is too soon, or another node counts this hour.
///
/// # Errors
/// When a query fails.
pub fn count_hour(conn: &mut Connection, last: i64, now: i64, keep: i64) -> Result<bool, StoreError> {
    let newest: Option<(i64, i64)> =
        match hours::table.select(max(hours::id)).get_result::<Option<i64>>(conn)? {
            Some(hour) => hours::table
                .select((hours::id, hours::noted_at))
                .filter(hours::id.eq(hour))
                .get_result(conn)
                .optional()?,
            None => None,
        };
    if newest.is_some_and(|(_, at)| last < at && at <= now) {
        return Ok(false);
    }
    let hour = newest.map_or(1, |(hour, _)| hour.saturating_add(1));
    let envelope: Option<RowId> = envelopes::table.select(max(envelopes::id)).get_result(conn)?;
    let key_package: Option<RowId> = key_packages::table.select(max(key_packages::id)).get_result(conn)?;
    let audit = super::audit::head(conn)?.seq;
    let row = (
        hours::id.eq(hour),
        hours::noted_at.eq(now),
        hours::envelope.eq(envelope.unwrap_or(0)),
        hours::key_package.eq(key_package.unwrap_or(0)),
        hours::audit.eq(audit),
    );
    let counted = on_each!(conn, conn => diesel::insert_into(hours::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    diesel::delete(hours::table.filter(hours::id.lt(hour.saturating_sub(keep)))).execute(conn)?;
    Ok(counted == 1)
}

/// The newest envelope and KeyPackage that were there `ago` counted hours before the last; `None` when not as many have
/// been counted.
///
/// # Errors
/// When a query fails.
pub fn hours_ago(conn: &mut Connection, ago: i64) -> Result<Option<(RowId, RowId)>, StoreError> {
    let Some(last) = hours::table.select(max(hours::id)).get_result::<Option<i64>>(conn)? else {
        return Ok(None);
    };
    Ok(hours::table
        .select((hours::envelope, hours::key_package))
        .filter(hours::id.eq(last.saturating_sub(ago)))
        .get_result(conn)
        .optional()?)
}

/// Looks at the next `limit` sessions after `after`, by id, and forgets those that have expired, with their tokens. Returns
/// the last that was looked at, and how many are gone; `None` when there are no more.
///
/// There is no index by which they expire: it would have to follow each time that a session is extended, which is every few
/// minutes for every device, and keep the row from changing in its place.
///
/// # Errors
/// When a query fails.
pub fn forget_sessions(
    conn: &mut Connection,
    after: Option<SessionId>,
    now: i64,
    limit: u32,
) -> Result<Option<(SessionId, usize)>, StoreError> {
    let looked_at: Vec<(Vec<u8>, i64)> = sessions::table
        .select((sessions::id, sessions::expires_at))
        .filter(sessions::id.gt(after.as_ref().map_or(&[][..], SessionId::as_slice)))
        .order(sessions::id)
        .limit(limit.into())
        .load(conn)?;
    let Some((last, _)) = looked_at.last() else { return Ok(None) };
    let last = session_id(last.clone())?;
    let expired: Vec<Vec<u8>> = looked_at
        .into_iter()
        .filter(|(_, expires_at)| *expires_at <= now)
        .map(|(session, _)| session)
        .collect();
    if expired.is_empty() {
        return Ok(Some((last, 0)));
    }
    // Not if it was extended meanwhile.
    let gone = on_each!(conn, conn => diesel::delete(sessions::table.filter(sessions::id.eq_any(expired)))
        .filter(sessions::expires_at.le(now))
        .execute(conn))?;
    Ok(Some((last, gone)))
}

/// Forgets that KeyPackages were claimed, of those after the row `after` and up to `until`: `limit` at most. Returns the
/// last that was looked at; `None` when there are no more.
///
/// # Errors
/// When a query fails.
pub fn forget_claimed(
    conn: &mut Connection,
    after: RowId,
    until: RowId,
    limit: u32,
) -> Result<Option<(RowId, usize)>, StoreError> {
    let claimed: Vec<RowId> = key_packages::table
        .select(key_packages::id)
        .filter(key_packages::id.gt(after))
        .filter(key_packages::id.le(until))
        .filter(key_packages::claimed.eq(true))
        .order(key_packages::id)
        .limit(limit.into())
        .load(conn)?;
    let Some(last) = claimed.last().copied() else { return Ok(None) };
    let old = key_packages::table
        .filter(key_packages::id.gt(after))
        .filter(key_packages::id.le(last))
        .filter(key_packages::claimed.eq(true));
    Ok(Some((last, diesel::delete(old).execute(conn)?)))
}
