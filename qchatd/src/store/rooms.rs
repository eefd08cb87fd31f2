//! Rooms, and where each device stands in them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::{
    prelude::*,
    sql_types::{Array, BigInt, Binary, Nullable, SmallInt},
};
use qchat_proto::ids::{AccountId, DeviceId, RoomId, Seq};

use super::{
    Connection, StoreError, from_sql, id,
    multi::on_each,
    schema::{devices, members, rooms, welcomes},
    to_sql, trees,
};

/// How far a room's log has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomState {
    /// The seq that the next envelope gets.
    pub next_seq: Seq,
    /// The seq of the last commit; 0 before the first.
    pub commit_seq: Seq,
}

impl RoomState {
    /// The newest envelope's seq.
    pub fn last_seq(&self) -> Seq {
        Seq(self.next_seq.0.saturating_sub(1))
    }
}

/// Where a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum Standing {
    /// Publishes and reads.
    Full = 1,
    /// Reads.
    Invited = 2,
    /// Reads up to the commit that removed it.
    Removed = 3,
    /// Said no to an invitation; reads nothing new.
    Declined = 4,
}

/// A stretch of the log: `after < seq <= until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The seq before the first.
    pub after: Seq,
    /// The last seq; `None`: no end.
    pub until: Option<Seq>,
}

impl Span {
    /// Holds nothing.
    pub const EMPTY: Self = Self { after: Seq(0), until: Some(Seq(0)) };
}

/// A device's place in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The device.
    pub device: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// Where it stands.
    pub standing: Standing,
    /// Whether it was a full member at any time.
    pub once_full: bool,
    /// Whether it was added and has neither joined nor declined since.
    pub waiting: bool,
    /// What it may read.
    pub reads: Span,
    /// What it could read in the membership before this one, and still may.
    pub past: Span,
}

impl Member {
    /// Whether new envelopes are delivered to it.
    pub fn follows(&self) -> bool {
        matches!(self.standing, Standing::Full | Standing::Invited)
    }

    /// Whether it may read an envelope.
    pub fn may_read(&self, seq: Seq) -> bool {
        [self.reads, self.past]
            .iter()
            .any(|span| span.after < seq && span.until.is_none_or(|until| seq <= until))
    }
}

/// Which rooms a device follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Grows with every change.
    pub version: u64,
    /// The rooms that it follows, has declined, or was removed from and has not read as far as it may.
    pub places: Vec<Place>,
}

/// Whether a device follows a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The room.
    pub room: RoomId,
    /// Whether it does; else it has declined, or was removed.
    pub follows: bool,
    /// It reads what comes after this.
    pub after: Seq,
    /// The newest envelope that it may read; that of the room, if it follows.
    pub last: Seq,
}

/// A Welcome that waits for its device.
#[derive(Clone, Debug)]
pub struct StoredWelcome {
    /// Seq of the commit that added the device.
    pub seq: Seq,
    /// The account whose device sent that commit.
    pub inviter: AccountId,
    /// The Welcome.
    pub welcome: Vec<u8>,
}

/// Creates a room with its only member; false when the id is taken.
///
/// # Errors
/// When a query fails.
pub fn create(conn: &mut Connection, room: RoomId, creator: &Member, now: i64) -> Result<bool, StoreError> {
    let row = (
        rooms::id.eq(room.as_bytes().as_slice()),
        rooms::creator_device.eq(creator.device.as_bytes().as_slice()),
        rooms::next_seq.eq(1),
        rooms::commit_seq.eq(0),
        rooms::created_at.eq(now),
    );
    let created = on_each!(conn, conn => diesel::insert_into(rooms::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    if created == 1 {
        put_member(conn, room, creator)?;
        advance_audiences(conn, &BTreeSet::from([creator.device]))?;
    }
    Ok(created == 1)
}

/// The device that created a room.
///
/// # Errors
/// When the query fails.
pub fn creator(conn: &mut Connection, room: RoomId) -> Result<Option<DeviceId>, StoreError> {
    let bytes: Option<Vec<u8>> = rooms::table
        .select(rooms::creator_device)
        .filter(rooms::id.eq(room.as_bytes().as_slice()))
        .get_result(conn)
        .optional()?;
    bytes.map(|bytes| id(&bytes)).transpose()
}

/// How far a room's log has come.
///
/// # Errors
/// When the query fails.
pub fn state(conn: &mut Connection, room: RoomId) -> Result<Option<RoomState>, StoreError> {
    let row: Option<(i64, i64)> = rooms::table
        .select((rooms::next_seq, rooms::commit_seq))
        .filter(rooms::id.eq(room.as_bytes().as_slice()))
        .get_result(conn)
        .optional()?;
    Ok(row.map(read_state))
}

/// A room's log: how far it has come, and the seq up to which retention has deleted it.
///
/// # Errors
/// When the query fails.
pub fn log(conn: &mut Connection, room: RoomId) -> Result<Option<(RoomState, Seq)>, StoreError> {
    let row: Option<((i64, i64), i64)> = rooms::table
        .select(((rooms::next_seq, rooms::commit_seq), rooms::deleted_until))
        .filter(rooms::id.eq(room.as_bytes().as_slice()))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(state, deleted)| (read_state(state), Seq(from_sql(deleted)))))
}

/// As [`state`], and keeps every other writer out of the room until the transaction ends.
///
/// # Errors
/// When the query fails.
pub fn lock(conn: &mut Connection, room: RoomId) -> Result<Option<RoomState>, StoreError> {
    let query = rooms::table
        .select((rooms::next_seq, rooms::commit_seq))
        .filter(rooms::id.eq(room.as_bytes().as_slice()));
    let row: Option<(i64, i64)> = match conn {
        Connection::Sqlite(conn) => query.get_result(conn),
        Connection::Postgres(conn) => query.for_update().get_result(conn),
    }
    .optional()?;
    Ok(row.map(read_state))
}

/// A device's place in a room.
///
/// # Errors
/// When the query fails.
pub fn member(conn: &mut Connection, room: RoomId, device: DeviceId) -> Result<Option<Member>, StoreError> {
    let row: Option<MemberRow> = members::table
        .select(MEMBER_COLUMNS)
        .filter(members::room_id.eq(room.as_bytes().as_slice()))
        .filter(members::device_id.eq(device.as_bytes().as_slice()))
        .get_result(conn)
        .optional()?;
    row.map(read_member).transpose()
}

/// The full and invited devices of a room.
///
/// # Errors
/// When the query fails.
pub fn followers(conn: &mut Connection, room: RoomId) -> Result<Vec<Member>, StoreError> {
    let rows: Vec<MemberRow> = members::table
        .select(MEMBER_COLUMNS)
        .filter(members::room_id.eq(room.as_bytes().as_slice()))
        .filter(members::standing.le(Standing::Invited as i16))
        .order(members::device_id)
        .load(conn)?;
    rows.into_iter().map(read_member).collect()
}

/// All rooms that a device has a place in, each with how far it has confirmed the log.
///
/// # Errors
/// When the query fails.
pub fn of_device(
    conn: &mut Connection,
    device: DeviceId,
) -> Result<Vec<(RoomId, RoomState, Member, Seq)>, StoreError> {
    type Row = (Vec<u8>, (i64, i64), MemberRow, i64);
    let rows: Vec<Row> = members::table
        .inner_join(rooms::table)
        .select((rooms::id, (rooms::next_seq, rooms::commit_seq), MEMBER_COLUMNS, members::confirmed))
        .filter(members::device_id.eq(device.as_bytes().as_slice()))
        .order(rooms::id)
        .load(conn)?;
    rows.into_iter()
        .map(|(room, state, member, confirmed)| {
            Ok((id(&room)?, read_state(state), read_member(member)?, Seq(from_sql(confirmed))))
        })
        .collect()
}

/// Where these devices stand in a room, as far as they have a place there.
///
/// # Errors
/// When the query fails.
pub fn places(conn: &mut Connection, room: RoomId, asked: &[DeviceId]) -> Result<Vec<Member>, StoreError> {
    let asked: Vec<&[u8]> = asked.iter().map(|device| device.as_bytes().as_slice()).collect();
    let rows: Vec<MemberRow> = on_each!(conn, conn => members::table
        .select(MEMBER_COLUMNS)
        .filter(members::room_id.eq(room.as_bytes().as_slice()))
        .filter(members::device_id.eq_any(asked))
        .load(conn))?;
    rows.into_iter().map(read_member).collect()
}

/// The rooms that each of these devices follows, has declined, or was removed from and has not read as far as it may.
/// SQLite binds 32,766 values at most.
///
/// # Errors
/// When a query fails.
pub fn audiences(
    conn: &mut Connection,
    asked: &[DeviceId],
) -> Result<BTreeMap<DeviceId, Audience>, StoreError> {
    // First the versions: a place that changes in between is newer than its version, and is read once more.
    let versions = audience_versions(conn, asked)?;
    let mut audiences: BTreeMap<DeviceId, Audience> = versions
        .into_iter()
        .map(|(device, version)| (device, Audience { version, places: Vec::new() }))
        .collect();
    let asked: Vec<&[u8]> = asked.iter().map(|device| device.as_bytes().as_slice()).collect();
    let rows: Vec<PlaceRow> = match conn {
        Connection::Sqlite(conn) => members::table
            .inner_join(rooms::table)
            .select((
                members::device_id,
                members::room_id,
                members::standing,
                members::read_after,
                members::read_until,
                rooms::next_seq,
            ))
            .filter(members::device_id.eq_any(asked))
            .filter(
                members::standing
                    .ne(Standing::Removed as i16)
                    .or(members::read_until.gt(members::confirmed.nullable())),
            )
            .load(conn)?,
        // A room for each place, one by one: the planner may think that there are so many places that all rooms are to be
        // read.
        Connection::Postgres(conn) => diesel::sql_query(
            "SELECT members.device_id, members.room_id, members.standing, members.read_after, members.read_until, \
                 room.next_seq \
             FROM members CROSS JOIN LATERAL \
                 (SELECT next_seq FROM rooms WHERE rooms.id = members.room_id OFFSET 0) AS room \
             WHERE members.device_id = ANY($1) \
                 AND (members.standing <> $2 OR members.read_until > members.confirmed)",
        )
        .bind::<Array<Binary>, _>(asked)
        .bind::<SmallInt, _>(Standing::Removed as i16)
        .load(conn)?,
    };
    for PlaceRow { device_id, room_id, standing, read_after, read_until, next_seq } in rows {
        if let Some(audience) = audiences.get_mut(&id(&device_id)?) {
            let last = from_sql(next_seq).saturating_sub(1);
            audience.places.push(Place {
                room: id(&room_id)?,
                follows: standing <= Standing::Invited as i16,
                after: Seq(from_sql(read_after)),
                last: Seq(read_until.map_or(last, |until| last.min(from_sql(until)))),
            });
        }
    }
    Ok(audiences)
}

#[derive(Queryable, QueryableByName)]
struct PlaceRow {
    #[diesel(sql_type = Binary)]
    device_id: Vec<u8>,
    #[diesel(sql_type = Binary)]
    room_id: Vec<u8>,
    #[diesel(sql_type = SmallInt)]
    standing: i16,
    #[diesel(sql_type = BigInt)]
    read_after: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    read_until: Option<i64>,
    #[diesel(sql_type = BigInt)]
    next_seq: i64,
}

/// The version of each of these devices' list of rooms.
///
/// # Errors
/// When the query fails.
pub fn audience_versions(
    conn: &mut Connection,
    asked: &[DeviceId],
) -> Result<Vec<(DeviceId, u64)>, StoreError> {
    let asked: Vec<&[u8]> = asked.iter().map(|device| device.as_bytes().as_slice()).collect();
    let rows: Vec<(Vec<u8>, i64)> = on_each!(conn, conn => devices::table
        .select((devices::id, devices::audience))
        .filter(devices::id.eq_any(asked))
        .load(conn))?;
    rows.into_iter().map(|(device, version)| Ok((id(&device)?, from_sql(version)))).collect()
}

/// Says that the places of these devices have changed. A transaction does this after it has locked its rooms.
///
/// # Errors
/// When a query fails.
pub fn advance_audiences(conn: &mut Connection, changed: &BTreeSet<DeviceId>) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let ids: Vec<&[u8]> = changed.iter().map(|device| device.as_bytes().as_slice()).collect();
    if let Connection::Postgres(conn) = conn {
        // Two transactions that name the same devices in two rooms lock them in one order.
        let locked = devices::table.select(devices::id).filter(devices::id.eq_any(&ids)).order(devices::id);
        locked.for_no_key_update().load::<Vec<u8>>(conn)?;
    }
    on_each!(conn, conn => diesel::update(devices::table.filter(devices::id.eq_any(&ids)))
        .set(devices::audience.eq(devices::audience + 1))
        .execute(conn))?;
    Ok(())
}

/// Those of `known` whose logs have come further than the seq given with them. SQLite binds 32,766 values at most.
///
/// # Errors
/// When the query fails.
pub fn ahead(conn: &mut Connection, known: &[(RoomId, Seq)]) -> Result<Vec<RoomId>, StoreError> {
    let ids: Vec<&[u8]> = known.iter().map(|(room, _)| room.as_bytes().as_slice()).collect();
    let found: Vec<Vec<u8>> = match conn {
        Connection::Sqlite(conn) => {
            let known: HashMap<&[u8], i64> =
                known.iter().map(|(room, seq)| (room.as_bytes().as_slice(), to_sql(seq.0))).collect();
            let rows: Vec<(Vec<u8>, i64)> =
                rooms::table.select((rooms::id, rooms::next_seq)).filter(rooms::id.eq_any(ids)).load(conn)?;
            let is_ahead = |(room, next): &(Vec<u8>, i64)| {
                known.get(room.as_slice()).is_some_and(|seq| next.saturating_sub(1) > *seq)
            };
            rows.into_iter().filter(is_ahead).map(|(room, _)| room).collect()
        }
        Connection::Postgres(conn) => {
            let seqs: Vec<i64> = known.iter().map(|(_, seq)| to_sql(seq.0)).collect();
            // Sought by the index all at once, and only then compared: half the time of seeking one by one.
            diesel::sql_query(
                "SELECT known.id FROM (SELECT id, next_seq FROM rooms WHERE id = ANY($1::bytea[]) OFFSET 0) AS room \
                 JOIN unnest($1::bytea[], $2::bigint[]) AS known (id, seq) ON room.id = known.id \
                 WHERE room.next_seq - 1 > known.seq",
            )
            .bind::<Array<Binary>, _>(ids)
            .bind::<Array<BigInt>, _>(seqs)
            .load::<Ahead>(conn)?
            .into_iter()
            .map(|row| row.id)
            .collect()
        }
    };
    found.iter().map(|room| id(room)).collect()
}

#[derive(QueryableByName)]
struct Ahead {
    #[diesel(sql_type = Binary)]
    id: Vec<u8>,
}

/// Writes a device's place.
///
/// # Errors
/// When the query fails.
pub fn put_member(conn: &mut Connection, room: RoomId, member: &Member) -> Result<(), StoreError> {
    let row = (
        members::room_id.eq(room.as_bytes().as_slice()),
        members::device_id.eq(member.device.as_bytes().as_slice()),
        members::account_id.eq(member.account.as_bytes().as_slice()),
        members::confirmed.eq(0),
    );
    let place = (
        members::standing.eq(member.standing as i16),
        members::once_full.eq(member.once_full),
        members::waiting.eq(member.waiting),
        members::read_after.eq(to_sql(member.reads.after.0)),
        members::read_until.eq(member.reads.until.map(|seq| to_sql(seq.0))),
        members::past_after.eq(to_sql(member.past.after.0)),
        members::past_until.eq(member.past.until.map_or(i64::MAX, |seq| to_sql(seq.0))),
    );
    on_each!(conn, conn => diesel::insert_into(members::table)
        .values((row, place))
        .on_conflict((members::room_id, members::device_id))
        .do_update()
        .set(place)
        .execute(conn))?;
    Ok(())
}

/// Notes how far a device has processed a room; never goes back. A full member that has got past the commit of its
/// Welcome has opened it: the Welcome is deleted. Of any other device it is noted as far as it could read as a member.
///
/// # Errors
/// When a query fails.
pub fn confirm(conn: &mut Connection, room: RoomId, device: DeviceId, seq: Seq) -> Result<(), StoreError> {
    let behind = members::table
        .filter(members::room_id.eq(room.as_bytes().as_slice()))
        .filter(members::device_id.eq(device.as_bytes().as_slice()))
        .filter(members::standing.eq(Standing::Full as i16))
        .filter(members::confirmed.lt(to_sql(seq.0)));
    let advanced = diesel::update(behind).set(members::confirmed.eq(to_sql(seq.0))).execute(conn)?;
    if advanced == 1 {
        let opened = welcomes::table
            .filter(welcomes::room_id.eq(room.as_bytes().as_slice()))
            .filter(welcomes::device_id.eq(device.as_bytes().as_slice()))
            .filter(welcomes::seq.le(to_sql(seq.0)));
        if diesel::delete(opened).execute(conn)? > 0 {
            trees::drop_unused(conn, room)?;
        }
    } else {
        confirm_past(conn, room, device, seq)?;
    }
    Ok(())
}

/// A device that is in the room no more, or not yet again, has processed the commit that removed it.
fn confirm_past(conn: &mut Connection, room: RoomId, device: DeviceId, seq: Seq) -> Result<(), StoreError> {
    let place = members::table
        .filter(members::room_id.eq(room.as_bytes().as_slice()))
        .filter(members::device_id.eq(device.as_bytes().as_slice()));
    let Some(row) = place.select(MEMBER_COLUMNS).get_result::<MemberRow>(conn).optional()? else {
        return Ok(());
    };
    let member = read_member(row)?;
    let last = match member.standing {
        Standing::Full => return Ok(()),
        Standing::Removed if !member.waiting => member.reads.until,
        Standing::Removed | Standing::Invited | Standing::Declined => member.past.until,
    };
    let seq = to_sql(last.map_or(seq, |last| seq.min(last)).0);
    let behind =
        place.filter(members::standing.eq(member.standing as i16)).filter(members::confirmed.lt(seq));
    diesel::update(behind).set(members::confirmed.eq(seq)).execute(conn)?;
    Ok(())
}

/// The Welcome that waits for a device.
///
/// # Errors
/// When the query fails.
pub fn welcome(
    conn: &mut Connection,
    room: RoomId,
    device: DeviceId,
) -> Result<Option<StoredWelcome>, StoreError> {
    let row: Option<WelcomeRow> = welcomes::table
        .select((welcomes::seq, welcomes::inviter, welcomes::welcome))
        .filter(welcomes::room_id.eq(room.as_bytes().as_slice()))
        .filter(welcomes::device_id.eq(device.as_bytes().as_slice()))
        .get_result(conn)
        .optional()?;
    row.map(|(seq, inviter, welcome)| {
        Ok(StoredWelcome { seq: Seq(from_sql(seq)), inviter: id(&inviter)?, welcome })
    })
    .transpose()
}

/// Seq, inviter, Welcome.
type WelcomeRow = (i64, Vec<u8>, Vec<u8>);

pub(super) type MemberRow = (Vec<u8>, Vec<u8>, i16, bool, bool, i64, Option<i64>, i64, i64);

pub(super) type MemberColumns = (
    members::device_id,
    members::account_id,
    members::standing,
    members::once_full,
    members::waiting,
    members::read_after,
    members::read_until,
    members::past_after,
    members::past_until,
);

pub(super) const MEMBER_COLUMNS: MemberColumns = (
    members::device_id,
    members::account_id,
    members::standing,
    members::once_full,
    members::waiting,
    members::read_after,
    members::read_until,
    members::past_after,
    members::past_until,
);

pub(super) fn read_member(row: MemberRow) -> Result<Member, StoreError> {
    let (device, account, standing, once_full, waiting, after, until, past_after, past_until) = row;
    Ok(Member {
        device: id(&device)?,
        account: id(&account)?,
        standing: match standing {
            1 => Standing::Full,
            2 => Standing::Invited,
            3 => Standing::Removed,
            4 => Standing::Declined,
            _ => return Err(StoreError::Corrupt("a standing")),
        },
        once_full,
        waiting,
        reads: Span { after: Seq(from_sql(after)), until: until.map(|seq| Seq(from_sql(seq))) },
        past: Span { after: Seq(from_sql(past_after)), until: Some(Seq(from_sql(past_until))) },
    })
}

fn read_state((next_seq, commit_seq): (i64, i64)) -> RoomState {
    RoomState { next_seq: Seq(from_sql(next_seq)), commit_seq: Seq(from_sql(commit_seq)) }
}
