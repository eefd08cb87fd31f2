//! What a group of publications needs from the database, and what it leaves there: few statements for many envelopes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use diesel::{
    prelude::*,
    sql_types::{Array, BigInt, Binary},
};
use qchat_proto::{
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    wire::tree::TreeHash,
};

use super::{
    Connection, StoreError, from_sql, id,
    multi::on_each,
    rooms::{self, MEMBER_COLUMNS, Member, MemberRow, RoomState},
    schema::{devices, envelopes, members, rooms as rooms_table, welcomes},
    to_sql,
    trees::{self, StagedKey, TreeId},
};

/// What to load for a group.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The rooms written to.
    pub rooms: BTreeSet<RoomId>,
    /// The devices that write, and those that deltas name.
    pub devices: BTreeSet<DeviceId>,
    /// Those that deltas name: they must exist.
    pub named: BTreeSet<DeviceId>,
    /// The message ids.
    pub messages: BTreeSet<MessageId>,
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
    /// The places of the wanted devices.
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
    let rooms = bytes(&wanted.rooms, RoomId::as_bytes);
    let query = rooms_table::table
        .select((rooms_table::id, rooms_table::next_seq, rooms_table::commit_seq))
        .filter(rooms_table::id.eq_any(&rooms))
        .order(rooms_table::id);
    let room_rows: Vec<(Vec<u8>, i64, i64)> = match conn {
        Connection::Sqlite(conn) => query.load(conn),
        Connection::Postgres(conn) => query.for_update().load(conn),
    }?;

    let wanted_devices = bytes(&wanted.devices, DeviceId::as_bytes);
    let member_rows: Vec<(Vec<u8>, MemberRow)> = on_each!(conn, conn => members::table
        .select((members::room_id, MEMBER_COLUMNS))
        .filter(members::room_id.eq_any(&rooms))
        .filter(members::device_id.eq_any(&wanted_devices))
        .load(conn))?;

    let messages = bytes(&wanted.messages, MessageId::as_bytes);
    let accepted_rows: Vec<AcceptedRow> = on_each!(conn, conn => envelopes::table
        .select((envelopes::room_id, envelopes::sender_device, envelopes::message_id, envelopes::seq))
        .filter(envelopes::message_id.eq_any(&messages))
        .load(conn))?;

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
    let staged = trees::staged(conn, &wanted_devices, &hashes)?;

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

/// Writes what a group changes. `now`: seconds since the Unix epoch.
///
/// # Errors
/// When a query fails.
pub fn save(conn: &mut Connection, changes: &Changes, now: i64) -> Result<(), StoreError> {
    append(conn, &changes.envelopes)?;
    advance(conn, &changes.rooms)?;
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
                ))
                .execute(conn)?;
        }
    }
    for room in touched {
        trees::drop_unused(conn, room)?;
    }
    Ok(())
}

/// Room, sender, message id, seq.
type AcceptedRow = (Vec<u8>, Vec<u8>, Vec<u8>, i64);

#[derive(Insertable)]
#[diesel(table_name = envelopes)]
struct Row<'a> {
    room_id: &'a [u8],
    seq: i64,
    sender_device: &'a [u8],
    message_id: &'a [u8],
    size: i64,
    logged: &'a [u8],
}

fn append(conn: &mut Connection, new: &[NewEnvelope]) -> Result<(), StoreError> {
    let rows: Vec<Row<'_>> = new
        .iter()
        .map(|envelope| Row {
            room_id: envelope.room.as_bytes(),
            seq: to_sql(envelope.seq.0),
            sender_device: envelope.sender.as_bytes(),
            message_id: envelope.message.as_bytes(),
            size: i64::try_from(envelope.logged.len()).unwrap_or(i64::MAX),
            logged: &envelope.logged,
        })
        .collect();
    match conn {
        // In process, a prepared statement run again is cheaper than a long one.
        Connection::Sqlite(conn) => {
            for row in &rows {
                diesel::insert_into(envelopes::table).values(row).execute(conn)?;
            }
        }
        Connection::Postgres(conn) => {
            if !rows.is_empty() {
                diesel::insert_into(envelopes::table).values(&rows).execute(conn)?;
            }
        }
    }
    Ok(())
}

fn advance(conn: &mut Connection, rooms: &BTreeMap<RoomId, RoomState>) -> Result<(), StoreError> {
    match conn {
        Connection::Sqlite(conn) => {
            for (room, state) in rooms {
                diesel::update(rooms_table::table.filter(rooms_table::id.eq(room.as_bytes().as_slice())))
                    .set((
                        rooms_table::next_seq.eq(to_sql(state.next_seq.0)),
                        rooms_table::commit_seq.eq(to_sql(state.commit_seq.0)),
                    ))
                    .execute(conn)?;
            }
        }
        Connection::Postgres(conn) => {
            let ids: Vec<&[u8]> = rooms.keys().map(|room| room.as_bytes().as_slice()).collect();
            let next: Vec<i64> = rooms.values().map(|state| to_sql(state.next_seq.0)).collect();
            let commit: Vec<i64> = rooms.values().map(|state| to_sql(state.commit_seq.0)).collect();
            diesel::sql_query(
                "UPDATE rooms SET next_seq = new.next_seq, commit_seq = new.commit_seq \
                 FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS new (id, next_seq, commit_seq) WHERE rooms.id = new.id",
            )
            .bind::<Array<Binary>, _>(ids)
            .bind::<Array<BigInt>, _>(next)
            .bind::<Array<BigInt>, _>(commit)
            .execute(conn)?;
        }
    }
    Ok(())
}

fn bytes<T>(ids: &BTreeSet<T>, read: fn(&T) -> &[u8; 16]) -> Vec<&[u8]> {
    ids.iter().map(|id| read(id).as_slice()).collect()
}
