//! Rooms, and where each device stands in them.

use diesel::prelude::*;
use qchat_proto::ids::{AccountId, DeviceId, RoomId, Seq};

use super::{
    Connection, StoreError, from_sql, id,
    multi::on_each,
    schema::{members, rooms, welcomes},
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
        .first(conn)
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
        .first(conn)
        .optional()?;
    Ok(row.map(read_state))
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
        Connection::Sqlite(conn) => query.first(conn),
        Connection::Postgres(conn) => query.for_update().first(conn),
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
        .first(conn)
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

/// All rooms that a device has a place in.
///
/// # Errors
/// When the query fails.
pub fn of_device(
    conn: &mut Connection,
    device: DeviceId,
) -> Result<Vec<(RoomId, RoomState, Member)>, StoreError> {
    let rows: Vec<(Vec<u8>, (i64, i64), MemberRow)> = members::table
        .inner_join(rooms::table)
        .select((rooms::id, (rooms::next_seq, rooms::commit_seq), MEMBER_COLUMNS))
        .filter(members::device_id.eq(device.as_bytes().as_slice()))
        .order(rooms::id)
        .load(conn)?;
    rows.into_iter()
        .map(|(room, state, member)| Ok((id(&room)?, read_state(state), read_member(member)?)))
        .collect()
}

/// The rooms whose new envelopes a device receives.
///
/// # Errors
/// When the query fails.
pub fn followed(conn: &mut Connection, device: DeviceId) -> Result<Vec<RoomId>, StoreError> {
    let rows: Vec<Vec<u8>> = members::table
        .select(members::room_id)
        .filter(members::device_id.eq(device.as_bytes().as_slice()))
        .filter(members::standing.le(Standing::Invited as i16))
        .load(conn)?;
    rows.iter().map(|room| id(room)).collect()
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
/// Welcome has opened it: the Welcome is deleted.
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
    }
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
        .first(conn)
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
