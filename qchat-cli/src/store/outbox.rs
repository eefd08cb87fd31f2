//! What waits to be said, in order, as plaintext until it is sealed.
//!
//! Rows come and go here, which SQLite answers by moving those beside them, and a move leaves copies behind. So a text that
//! the timeline shows stands there alone: its row is found by the message id.

use bytes::Bytes;
use diesel::{OptionalExtension, SqliteConnection, dsl, prelude::*};
use qchat_proto::{
    content::SettingsChange,
    ids::{AccountId, InviteId, MessageId, RoomId},
    session::ledger::{Change, OutboxRow, RowState, Sealed, Want},
    wire::{codec, frame::Invitation, pb},
};

use super::{
    StoreError, Tx, convert,
    schema::{identity, outbox, timeline},
};

const APPLICATION: i32 = 0;

#[derive(Queryable, Selectable)]
#[diesel(table_name = outbox)]
struct Stored {
    message_id: Vec<u8>,
    kind: i32,
    want: Vec<u8>,
    state: i32,
    state_seq: i64,
    sealed: Option<Vec<u8>>,
}

fn encode_want(want: &Want) -> (i32, Vec<u8>) {
    match want {
        Want::Application(content) => (APPLICATION, content.to_vec()),
        Want::Leave => (1, Vec::new()),
        Want::Commit(Change::Add(packages)) => (2, join(packages)),
        Want::Commit(Change::RemoveAccount(account)) => (3, account.as_bytes().to_vec()),
        Want::Commit(Change::Settings(change)) => (4, change.encode()),
        Want::Commit(Change::Update) => (5, Vec::new()),
        Want::Commit(Change::Duties) => (6, Vec::new()),
        Want::Commit(Change::Withdraw) => (7, Vec::new()),
        Want::Commit(Change::Restart(packages)) => (8, join(packages)),
        Want::Commit(Change::LetIn { link, account, key_packages }) => {
            (9, [&link.as_bytes()[..], account.as_bytes(), &join(key_packages)].concat())
        }
    }
}

fn decode_want(kind: i32, bytes: Vec<u8>) -> Result<Want, StoreError> {
    const CORRUPT: StoreError = StoreError::Corrupt("outbox row");
    Ok(match kind {
        APPLICATION => Want::Application(bytes.into()),
        1 => Want::Leave,
        2 => Want::Commit(Change::Add(split(bytes.into()).ok_or(CORRUPT)?)),
        3 => Want::Commit(Change::RemoveAccount(convert::id("account id", &bytes)?)),
        4 => Want::Commit(Change::Settings(SettingsChange::decode(&bytes).map_err(|_| CORRUPT)?)),
        5 => Want::Commit(Change::Update),
        6 => Want::Commit(Change::Duties),
        7 => Want::Commit(Change::Withdraw),
        8 => Want::Commit(Change::Restart(split(bytes.into()).ok_or(CORRUPT)?)),
        9 => {
            let (link, rest) = bytes.split_first_chunk().ok_or(CORRUPT)?;
            let (account, packages) = rest.split_first_chunk().ok_or(CORRUPT)?;
            Want::Commit(Change::LetIn {
                link: InviteId::from_bytes(*link),
                account: AccountId::from_bytes(*account),
                key_packages: split(Bytes::copy_from_slice(packages)).ok_or(CORRUPT)?,
            })
        }
        _ => return Err(CORRUPT),
    })
}

/// Each part after its length (8 bytes, big endian).
fn join(parts: &[Bytes]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

fn split(mut joined: Bytes) -> Option<Vec<Bytes>> {
    let mut parts = Vec::new();
    while !joined.is_empty() {
        let (length, _) = joined.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
        let _ = joined.split_to(8);
        if length > joined.len() {
            return None;
        }
        parts.push(joined.split_to(length));
    }
    Some(parts)
}

fn encode_state(state: &RowState) -> Result<(i32, i64, Option<Vec<u8>>), StoreError> {
    Ok(match state {
        RowState::Waiting => (0, 0, None),
        RowState::Sealed(sealed) => (1, convert::seq_number(sealed.commit_seq)?, Some(encode_sealed(sealed))),
        RowState::Stale(seq) => (2, convert::seq_number(*seq)?, None),
        RowState::Accepted(sealed) => {
            (3, convert::seq_number(sealed.commit_seq)?, Some(encode_sealed(sealed)))
        }
    })
}

fn encode_sealed(sealed: &Sealed) -> Vec<u8> {
    let publish = pb::Publish {
        request_id: 0,
        envelope: sealed.envelope.clone(),
        welcomes: sealed
            .welcomes
            .iter()
            .map(|invitation| pb::Invitation {
                device_id: Bytes::copy_from_slice(invitation.device.as_bytes()),
                welcome: invitation.welcome.clone(),
            })
            .collect(),
        tree_hash: sealed.tree.map_or_else(Bytes::new, |hash| Bytes::copy_from_slice(hash.as_bytes())),
        after: Bytes::new(),
    };
    codec::encode(&publish).into()
}

fn decode_state(stored: &mut Stored) -> Result<RowState, StoreError> {
    const CORRUPT: StoreError = StoreError::Corrupt("outbox row");
    let seq = convert::seq(stored.state_seq)?;
    let mut sealed = || {
        let bytes = stored.sealed.take().ok_or(CORRUPT)?;
        let publish: pb::Publish =
            codec::decode("outbox row", bytes.into(), usize::MAX).map_err(|_| CORRUPT)?;
        let welcomes = publish.welcomes.into_iter().map(|invitation| {
            Ok(Invitation {
                device: convert::id("device id", &invitation.device_id)?,
                welcome: invitation.welcome,
            })
        });
        Ok::<_, StoreError>(Sealed {
            envelope: publish.envelope,
            commit_seq: seq,
            welcomes: welcomes.collect::<Result<_, StoreError>>()?,
            tree: match &publish.tree_hash[..] {
                [] => None,
                hash => Some(codec::tree_hash(hash).map_err(|_| CORRUPT)?),
            },
        })
    };
    Ok(match stored.state {
        0 => RowState::Waiting,
        1 => RowState::Sealed(sealed()?),
        2 => RowState::Stale(seq),
        3 => RowState::Accepted(sealed()?),
        _ => return Err(CORRUPT),
    })
}

fn decode(conn: &mut SqliteConnection, room: RoomId, mut stored: Stored) -> Result<OutboxRow, StoreError> {
    if stored.kind == APPLICATION && stored.want.is_empty() {
        stored.want = text(conn, room, &stored.message_id)?.ok_or(StoreError::Corrupt("outbox row"))?;
    }
    Ok(OutboxRow {
        message_id: convert::id("message id", &stored.message_id)?,
        state: decode_state(&mut stored)?,
        want: decode_want(stored.kind, stored.want)?,
    })
}

/// What an own message says, as the timeline shows it.
fn text(conn: &mut SqliteConnection, room: RoomId, id: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let own: Option<Vec<u8>> = identity::table.select(identity::device).get_result(conn).optional()?;
    Ok(timeline::table
        .filter(timeline::room.eq(&room.as_bytes()[..]))
        .filter(timeline::device.eq(own))
        .filter(timeline::message_id.eq(id))
        .filter(timeline::message_id.is_not_null())
        .select(timeline::body)
        .get_result(conn)
        .optional()?)
}

/// The timeline has what this row says.
pub(super) fn forget_text(
    conn: &mut SqliteConnection,
    room: RoomId,
    id: MessageId,
) -> Result<(), StoreError> {
    let row = outbox::table
        .filter(outbox::room.eq(&room.as_bytes()[..]).and(outbox::message_id.eq(&id.as_bytes()[..])))
        .filter(outbox::kind.eq(APPLICATION));
    diesel::update(row).set(outbox::want.eq(&[][..] as &[u8])).execute(conn)?;
    Ok(())
}

pub(super) fn first(conn: &mut SqliteConnection, room: RoomId) -> Result<Option<OutboxRow>, StoreError> {
    outbox::table
        .filter(outbox::room.eq(&room.as_bytes()[..]))
        .order(outbox::position)
        .select(Stored::as_select())
        .get_result(conn)
        .optional()?
        .map(|stored| decode(conn, room, stored))
        .transpose()
}

/// The first rows, in their order.
pub(super) fn rows(
    conn: &mut SqliteConnection,
    room: RoomId,
    most: usize,
) -> Result<Vec<OutboxRow>, StoreError> {
    let stored: Vec<Stored> = outbox::table
        .filter(outbox::room.eq(&room.as_bytes()[..]))
        .order(outbox::position)
        .limit(i64::try_from(most).map_err(|_| StoreError::Range)?)
        .select(Stored::as_select())
        .load(conn)?;
    stored.into_iter().map(|stored| decode(conn, room, stored)).collect()
}

/// The first row that is no text.
pub(super) fn first_change(
    conn: &mut SqliteConnection,
    room: RoomId,
) -> Result<Option<OutboxRow>, StoreError> {
    outbox::table
        .filter(outbox::room.eq(&room.as_bytes()[..]).and(outbox::kind.ne(APPLICATION)))
        .order(outbox::position)
        .select(Stored::as_select())
        .get_result(conn)
        .optional()?
        .map(|stored| decode(conn, room, stored))
        .transpose()
}

pub(super) fn row(
    conn: &mut SqliteConnection,
    room: RoomId,
    id: MessageId,
) -> Result<Option<OutboxRow>, StoreError> {
    outbox::table
        .filter(outbox::room.eq(&room.as_bytes()[..]).and(outbox::message_id.eq(&id.as_bytes()[..])))
        .select(Stored::as_select())
        .get_result(conn)
        .optional()?
        .map(|stored| decode(conn, room, stored))
        .transpose()
}

pub(super) fn has_application(conn: &mut SqliteConnection, room: RoomId) -> Result<bool, StoreError> {
    let waiting =
        outbox::table.filter(outbox::room.eq(&room.as_bytes()[..])).filter(outbox::kind.eq(APPLICATION));
    Ok(diesel::select(dsl::exists(waiting)).get_result(conn)?)
}

/// Which end of the outbox a row goes to.
#[derive(Clone, Copy)]
pub(super) enum End {
    Front,
    Back,
}

pub(super) fn push(
    conn: &mut SqliteConnection,
    room: RoomId,
    row: &OutboxRow,
    end: End,
) -> Result<(), StoreError> {
    let here = outbox::table.filter(outbox::room.eq(&room.as_bytes()[..]));
    let position: i64 = match end {
        End::Front => {
            here.select(dsl::min(outbox::position)).get_result::<Option<i64>>(conn)?.map_or(0, |p| p - 1)
        }
        End::Back => {
            here.select(dsl::max(outbox::position)).get_result::<Option<i64>>(conn)?.map_or(0, |p| p + 1)
        }
    };
    let (kind, want) = encode_want(&row.want);
    let (state, state_seq, sealed) = encode_state(&row.state)?;
    diesel::insert_into(outbox::table)
        .values((
            outbox::room.eq(&room.as_bytes()[..]),
            outbox::position.eq(position),
            outbox::message_id.eq(&row.message_id.as_bytes()[..]),
            outbox::kind.eq(kind),
            outbox::want.eq(want),
            outbox::state.eq(state),
            outbox::state_seq.eq(state_seq),
            outbox::sealed.eq(sealed),
        ))
        .execute(conn)?;
    Ok(())
}

pub(super) fn set(
    conn: &mut SqliteConnection,
    room: RoomId,
    id: MessageId,
    state: &RowState,
) -> Result<(), StoreError> {
    let (state, state_seq, sealed) = encode_state(state)?;
    let row = outbox::table
        .filter(outbox::room.eq(&room.as_bytes()[..]).and(outbox::message_id.eq(&id.as_bytes()[..])));
    diesel::update(row)
        .set((
            outbox::state.eq(state),
            outbox::state_seq.eq(state_seq),
            outbox::sealed.eq(sealed),
            outbox::tree.eq(None::<Vec<u8>>),
        ))
        .execute(conn)?;
    Ok(())
}

pub(super) fn put_tree(
    conn: &mut SqliteConnection,
    room: RoomId,
    id: MessageId,
    tree: &[u8],
) -> Result<(), StoreError> {
    let row = outbox::table
        .filter(outbox::room.eq(&room.as_bytes()[..]).and(outbox::message_id.eq(&id.as_bytes()[..])));
    diesel::update(row).set(outbox::tree.eq(tree)).execute(conn)?;
    Ok(())
}

pub(super) fn tree(
    conn: &mut SqliteConnection,
    room: RoomId,
    id: MessageId,
) -> Result<Option<Bytes>, StoreError> {
    let tree: Option<Option<Vec<u8>>> = outbox::table
        .filter(outbox::room.eq(&room.as_bytes()[..]).and(outbox::message_id.eq(&id.as_bytes()[..])))
        .select(outbox::tree)
        .get_result(conn)
        .optional()?;
    Ok(tree.flatten().map(Bytes::from))
}

pub(super) fn remove(conn: &mut SqliteConnection, room: RoomId, id: MessageId) -> Result<(), StoreError> {
    let row = outbox::table
        .filter(outbox::room.eq(&room.as_bytes()[..]).and(outbox::message_id.eq(&id.as_bytes()[..])));
    diesel::delete(row).execute(conn)?;
    Ok(())
}

pub(super) fn fail_all(conn: &mut SqliteConnection, room: RoomId) -> Result<(), StoreError> {
    let here = outbox::table.filter(outbox::room.eq(&room.as_bytes()[..]));
    let ids: Vec<Vec<u8>> =
        here.filter(outbox::kind.eq(APPLICATION)).select(outbox::message_id).load(conn)?;
    for id in ids {
        super::timeline::fail(conn, room, &id)?;
    }
    diesel::delete(here).execute(conn)?;
    Ok(())
}

/// What waits to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// Its id.
    pub id: MessageId,
    /// The encoded content; `None` for a change of the group.
    pub content: Option<Bytes>,
    /// How far it has come.
    pub state: WaitingState,
}

/// How far something that waits has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitingState {
    /// It has not left, and need not.
    Waiting,
    /// It has left, or may have.
    OnItsWay,
}

impl Tx {
    /// What waits in a room, in the order in which it is sent.
    ///
    /// # Errors
    /// What the database says.
    pub fn waiting(&mut self, room: RoomId) -> Result<Vec<Waiting>, StoreError> {
        let rows: Vec<Stored> = outbox::table
            .filter(outbox::room.eq(&room.as_bytes()[..]))
            .order(outbox::position)
            .select(Stored::as_select())
            .load(&mut self.conn)?;
        rows.into_iter()
            .map(|stored| {
                let row = decode(&mut self.conn, room, stored)?;
                let content = if let Want::Application(content) = row.want { Some(content) } else { None };
                let state = match row.state {
                    RowState::Waiting => WaitingState::Waiting,
                    RowState::Sealed(_) | RowState::Stale(_) | RowState::Accepted(_) => {
                        WaitingState::OnItsWay
                    }
                };
                Ok(Waiting { id: row.message_id, content, state })
            })
            .collect()
    }

    /// The rooms in which something waits to be sent.
    ///
    /// # Errors
    /// What the database says.
    pub fn outbox_rooms(&mut self) -> Result<Vec<RoomId>, StoreError> {
        let rows: Vec<Vec<u8>> = outbox::table.select(outbox::room).distinct().load(&mut self.conn)?;
        rows.iter().map(|room| convert::id("room id", room)).collect()
    }

    /// Whether a row waits, without reading what it says.
    ///
    /// # Errors
    /// What the database says.
    pub fn outbox_holds(&mut self, room: RoomId, id: MessageId) -> Result<bool, StoreError> {
        let row = outbox::table
            .filter(outbox::room.eq(&room.as_bytes()[..]).and(outbox::message_id.eq(&id.as_bytes()[..])));
        Ok(diesel::select(dsl::exists(row)).get_result(&mut self.conn)?)
    }

    /// Whether a change of the group waits in a room.
    ///
    /// # Errors
    /// What the database says.
    pub fn outbox_holds_change(&mut self, room: RoomId) -> Result<bool, StoreError> {
        let change =
            outbox::table.filter(outbox::room.eq(&room.as_bytes()[..]).and(outbox::kind.ne(APPLICATION)));
        Ok(diesel::select(dsl::exists(change)).get_result(&mut self.conn)?)
    }

    /// How many rows wait in a room that somebody wants to be sent: receipts go by themselves, and do not count.
    ///
    /// # Errors
    /// What the database says.
    pub fn waiting_len(&mut self, room: RoomId) -> Result<usize, StoreError> {
        // A text that the timeline shows stands there alone.
        let shown = outbox::kind.ne(APPLICATION).or(outbox::want.eq(&[][..] as &[u8]));
        let count: i64 = outbox::table
            .filter(outbox::room.eq(&room.as_bytes()[..]))
            .filter(shown)
            .count()
            .get_result(&mut self.conn)?;
        usize::try_from(count).map_err(|_| StoreError::Range)
    }

    /// How many rows wait in a room, commits included.
    ///
    /// # Errors
    /// What the database says.
    pub fn outbox_len(&mut self, room: RoomId) -> Result<usize, StoreError> {
        let count: i64 =
            outbox::table.filter(outbox::room.eq(&room.as_bytes()[..])).count().get_result(&mut self.conn)?;
        usize::try_from(count).map_err(|_| StoreError::Range)
    }
}
