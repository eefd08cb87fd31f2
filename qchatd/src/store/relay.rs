//! What a group of publications needs from the database, and what it leaves there: few statements for many envelopes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use diesel::{
    dsl::SqlTypeOf,
    prelude::*,
    sql_types::{BigInt, Binary, Nullable},
};
use qchat_proto::{
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    wire::tree::TreeHash,
};

use super::{
    Connection, StoreError,
    arrays::{Column, OverArrays},
    from_sql, id,
    multi::on_each,
    rooms::{self, MEMBER_COLUMNS, Member, MemberColumns, MemberRow, RoomState},
    schema::{devices, envelopes, members, rooms as rooms_table, welcomes},
    to_sql,
    trees::{self, StagedKey, TreeId},
};

/// What to load for a group.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The rooms written to.
    pub rooms: BTreeSet<RoomId>,
    /// The places of the devices that write, and of those that deltas name.
    pub places: BTreeSet<(RoomId, DeviceId)>,
    /// The devices that deltas name: they must exist.
    pub named: BTreeSet<DeviceId>,
    /// The envelopes, which may be repetitions.
    pub envelopes: BTreeSet<EnvelopeKey>,
    /// The names of the trees that commits bring.
    pub trees: BTreeSet<TreeHash>,
}

/// Which envelope, for finding a repetition.
pub type EnvelopeKey = (RoomId, DeviceId, MessageId);

/// The state that a group starts from. The rooms stay locked until the transaction ends.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// How far each room has come.
    pub rooms: HashMap<RoomId, RoomState>,
    /// The wanted places.
    pub members: HashMap<(RoomId, DeviceId), Member>,
    /// The accounts of the devices that deltas name.
    pub accounts: HashMap<DeviceId, AccountId>,
    /// Envelopes that were accepted before.
    pub accepted: HashMap<EnvelopeKey, Seq>,
    /// The trees that are staged for such commits.
    pub staged: HashMap<StagedKey, TreeId>,
}

/// An envelope to append.
#[derive(Clone, Debug)]
pub struct NewEnvelope {
    /// The room.
    pub room: RoomId,
    /// Its place.
    pub seq: Seq,
    /// Who sent it.
    pub sender: DeviceId,
    /// Its message id.
    pub message: MessageId,
    /// The bytes as they came.
    pub logged: Bytes,
}

/// A Welcome to keep.
#[derive(Clone, Debug)]
pub struct NewWelcome {
    /// Seq of the commit; its tree is kept under it.
    pub seq: Seq,
    /// Whose device sent the commit.
    pub inviter: AccountId,
    /// The Welcome.
    pub welcome: Bytes,
    /// Whoever opens it needs the log after this: the commit before the one that it is of.
    pub log_after: Seq,
}

/// What a group changes.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Appended, in order.
    pub envelopes: Vec<NewEnvelope>,
    /// Rooms that have come further.
    pub rooms: BTreeMap<RoomId, RoomState>,
    /// Places that changed.
    pub members: HashMap<(RoomId, DeviceId), Member>,
    /// Staged trees, each with the seq of its commit.
    pub trees: Vec<(TreeId, Seq)>,
    /// Welcomes that replace what the device had; `None` deletes.
    pub welcomes: HashMap<(RoomId, DeviceId), Option<NewWelcome>>,
}

/// Locks the rooms, in the order of their ids, and loads the state.
///
/// # Errors
/// When a query fails.
pub fn load(conn: &mut Connection, wanted: &Wanted) -> Result<Snapshot, StoreError> {
    let room_rows = lock_rooms(conn, &wanted.rooms)?;
    let (member_rows, accepted_rows) = load_places_and_accepted(conn, wanted)?;

    let named = bytes(&wanted.named, DeviceId::as_bytes);
    let device_rows: Vec<(Vec<u8>, Vec<u8>)> = if named.is_empty() {
        Vec::new()
    } else {
        on_each!(conn, conn => devices::table
            .select((devices::id, devices::account_id))
            .filter(devices::id.eq_any(&named))
            .load(conn))?
    };

    let hashes: Vec<&[u8]> = wanted.trees.iter().map(|hash| hash.as_bytes().as_slice()).collect();
    let writers: Vec<&[u8]> = wanted.places.iter().map(|(_, device)| device.as_bytes().as_slice()).collect();
    let staged = trees::staged(conn, &writers, &hashes)?;

    let mut snapshot = Snapshot { staged: staged.into_iter().collect(), ..Snapshot::default() };
    for (room, next_seq, commit_seq) in room_rows {
        let state = RoomState { next_seq: Seq(from_sql(next_seq)), commit_seq: Seq(from_sql(commit_seq)) };
        snapshot.rooms.insert(id(&room)?, state);
    }
    for (room, row) in member_rows {
        let member = rooms::read_member(row)?;
        snapshot.members.insert((id(&room)?, member.device), member);
    }
    for (room, sender, message, seq) in accepted_rows {
        snapshot.accepted.insert((id(&room)?, id(&sender)?, id(&message)?), Seq(from_sql(seq)));
    }
    for (device, account) in device_rows {
        snapshot.accounts.insert(id(&device)?, id(&account)?);
    }
    Ok(snapshot)
}

/// Room, how far it has come, the seq of its last commit.
type StateRow = (Vec<u8>, i64, i64);

/// Room, sender, message id, seq.
type AcceptedRow = (Vec<u8>, Vec<u8>, Vec<u8>, i64);

// In process, a prepared statement run for each row is cheaper than a long one for all of them, whose text depends on how
// many they are. Over a connection each statement is a round trip.

fn lock_rooms(conn: &mut Connection, wanted: &BTreeSet<RoomId>) -> Result<Vec<StateRow>, StoreError> {
    let columns = (rooms_table::id, rooms_table::next_seq, rooms_table::commit_seq);
    Ok(match conn {
        Connection::Sqlite(conn) => {
            let mut rows = Vec::with_capacity(wanted.len());
            for room in wanted {
                let query = rooms_table::table.select(columns);
                rows.extend(query.filter(rooms_table::id.eq(room.as_bytes().as_slice())).load(conn)?);
            }
            rows
        }
        Connection::Postgres(conn) => rooms_table::table
            .select(columns)
            .filter(rooms_table::id.eq_any(bytes(wanted, RoomId::as_bytes)))
            .order(rooms_table::id)
            .for_update()
            .load(conn)?,
    })
}

/// Room and place.
type PlaceRow = (Vec<u8>, MemberRow);

/// Room, device, message id, its seq when it was accepted before, the device's place when it has one.
type WantedRow = (Vec<u8>, Vec<u8>, Vec<u8>, Option<i64>, Option<MemberRow>);
type WantedColumns = (Binary, Binary, Binary, Nullable<BigInt>, Nullable<SqlTypeOf<MemberColumns>>);

fn load_places_and_accepted(
    conn: &mut Connection,
    wanted: &Wanted,
) -> Result<(Vec<PlaceRow>, Vec<AcceptedRow>), StoreError> {
    match conn {
        Connection::Sqlite(conn) => {
            let mut places = Vec::with_capacity(wanted.places.len());
            for (room, device) in &wanted.places {
                let place = members::table
                    .select((members::room_id, MEMBER_COLUMNS))
                    .filter(members::room_id.eq(room.as_bytes().as_slice()))
                    .filter(members::device_id.eq(device.as_bytes().as_slice()));
                places.extend(place.load(conn)?);
            }
            let mut accepted = Vec::new();
            for (room, sender, message) in &wanted.envelopes {
                let envelope = envelopes::table
                    .select((
                        envelopes::room_id,
                        envelopes::sender_device,
                        envelopes::message_id,
                        envelopes::seq,
                    ))
                    .filter(envelopes::message_id.eq(message.as_bytes().as_slice()))
                    .filter(envelopes::sender_device.eq(sender.as_bytes().as_slice()))
                    .filter(envelopes::room_id.eq(room.as_bytes().as_slice()));
                accepted.extend(envelope.load(conn)?);
            }
            Ok((places, accepted))
        }
        Connection::Postgres(conn) => {
            // Each envelope with its sender's place; places of which no envelope is wanted with an id that no message has.
            let writers: BTreeSet<_> =
                wanted.envelopes.iter().map(|(room, sender, _)| (*room, *sender)).collect();
            let none: &[u8] = &[];
            let of_envelopes = wanted
                .envelopes
                .iter()
                .map(|(room, sender, message)| (room, sender, message.as_bytes().as_slice()));
            let others = wanted.places.iter().filter(|place| !writers.contains(place));
            let rows: Vec<_> =
                of_envelopes.chain(others.map(|(room, device)| (room, device, none))).collect();
            let columns = [
                Column::Bytes(rows.iter().map(|(room, _, _)| room.as_bytes().as_slice()).collect()),
                Column::Bytes(rows.iter().map(|(_, device, _)| device.as_bytes().as_slice()).collect()),
                Column::Bytes(rows.iter().map(|(_, _, message)| *message).collect()),
            ];
            let query = OverArrays::<WantedColumns>::new(
                "SELECT wanted.room_id, wanted.device_id, wanted.message_id, envelopes.seq, \
                 members.device_id, members.account_id, members.standing, members.once_full, \
                 members.waiting, members.read_after, members.read_until, members.past_after, members.past_until FROM",
                &columns,
                "AS wanted (room_id, device_id, message_id) \
                 LEFT JOIN members ON members.room_id = wanted.room_id AND members.device_id = wanted.device_id \
                 LEFT JOIN envelopes ON envelopes.message_id = wanted.message_id \
                 AND envelopes.sender_device = wanted.device_id AND envelopes.room_id = wanted.room_id",
            );
            let (mut places, mut accepted) = (Vec::with_capacity(rows.len()), Vec::new());
            for (room, device, message, seq, place) in query.load::<WantedRow>(conn)? {
                if let Some(seq) = seq {
                    accepted.push((room.clone(), device, message, seq));
                }
                if let Some(place) = place {
                    places.push((room, place));
                }
            }
            Ok((places, accepted))
        }
    }
}

/// Writes what a group changes. `now`: seconds since the Unix epoch.
///
/// # Errors
/// When a query fails.
pub fn save(conn: &mut Connection, changes: &Changes, now: i64) -> Result<(), StoreError> {
    append(conn, &changes.envelopes, &changes.rooms)?;
    for ((room, _), member) in &changes.members {
        rooms::put_member(conn, *room, member)?;
    }
    rooms::advance_audiences(conn, &changes.members.keys().map(|(_, device)| *device).collect())?;
    for (tree, seq) in &changes.trees {
        trees::attach(conn, *tree, *seq, now)?;
    }
    let mut touched = BTreeSet::new();
    for ((room, device), welcome) in &changes.welcomes {
        touched.insert(*room);
        let old = welcomes::table
            .filter(welcomes::room_id.eq(room.as_bytes().as_slice()))
            .filter(welcomes::device_id.eq(device.as_bytes().as_slice()));
        diesel::delete(old).execute(conn)?;
        if let Some(new) = welcome {
            diesel::insert_into(welcomes::table)
                .values((
                    welcomes::room_id.eq(room.as_bytes().as_slice()),
                    welcomes::device_id.eq(device.as_bytes().as_slice()),
                    welcomes::seq.eq(to_sql(new.seq.0)),
                    welcomes::inviter.eq(new.inviter.as_bytes().as_slice()),
                    welcomes::welcome.eq(new.welcome.as_ref()),
                    welcomes::log_after.eq(to_sql(new.log_after.0)),
                ))
                .execute(conn)?;
        }
    }
    for room in touched {
        trees::drop_unused(conn, room)?;
    }
    Ok(())
}

/// Appends envelopes, and says how far their rooms have come.
fn append(
    conn: &mut Connection,
    new: &[NewEnvelope],
    rooms: &BTreeMap<RoomId, RoomState>,
) -> Result<(), StoreError> {
    let size = |envelope: &NewEnvelope| i64::try_from(envelope.logged.len()).unwrap_or(i64::MAX);
    match conn {
        Connection::Sqlite(conn) => {
            for envelope in new {
                diesel::insert_into(envelopes::table)
                    .values((
                        envelopes::room_id.eq(envelope.room.as_bytes().as_slice()),
                        envelopes::seq.eq(to_sql(envelope.seq.0)),
                        envelopes::sender_device.eq(envelope.sender.as_bytes().as_slice()),
                        envelopes::message_id.eq(envelope.message.as_bytes().as_slice()),
                        envelopes::size.eq(size(envelope)),
                        envelopes::logged.eq(envelope.logged.as_ref()),
                    ))
                    .execute(conn)?;
            }
            for (room, state) in rooms {
                diesel::update(rooms_table::table.filter(rooms_table::id.eq(room.as_bytes().as_slice())))
                    .set((
                        rooms_table::next_seq.eq(to_sql(state.next_seq.0)),
                        rooms_table::commit_seq.eq(to_sql(state.commit_seq.0)),
                    ))
                    .execute(conn)?;
            }
        }
        Connection::Postgres(conn) if !new.is_empty() || !rooms.is_empty() => {
            let envelopes = [
                Column::Bytes(new.iter().map(|envelope| envelope.room.as_bytes().as_slice()).collect()),
                Column::Numbers(new.iter().map(|envelope| to_sql(envelope.seq.0)).collect()),
                Column::Bytes(new.iter().map(|envelope| envelope.sender.as_bytes().as_slice()).collect()),
                Column::Bytes(new.iter().map(|envelope| envelope.message.as_bytes().as_slice()).collect()),
                Column::Numbers(new.iter().map(size).collect()),
                Column::Bytes(new.iter().map(|envelope| envelope.logged.as_ref()).collect()),
            ];
            let rooms = [
                Column::Bytes(rooms.keys().map(|room| room.as_bytes().as_slice()).collect()),
                Column::Numbers(rooms.values().map(|state| to_sql(state.next_seq.0)).collect()),
                Column::Numbers(rooms.values().map(|state| to_sql(state.commit_seq.0)).collect()),
            ];
            let insert = OverArrays::<()>::new(
                "WITH appended AS \
                 (INSERT INTO envelopes (room_id, seq, sender_device, message_id, size, logged) SELECT * FROM",
                &envelopes,
                ")",
            );
            let update = OverArrays::<()>::new(
                "UPDATE rooms SET next_seq = new.next_seq, commit_seq = new.commit_seq FROM",
                &rooms,
                "AS new (id, next_seq, commit_seq) WHERE rooms.id = new.id",
            );
            insert.then(update).execute(conn)?;
        }
        Connection::Postgres(_) => {}
    }
    Ok(())
}

fn bytes<T>(ids: &BTreeSet<T>, read: fn(&T) -> &[u8; 16]) -> Vec<&[u8]> {
    ids.iter().map(|id| read(id).as_slice()).collect()
}
