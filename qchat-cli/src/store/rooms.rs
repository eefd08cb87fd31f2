//! Rooms as lists and screens need them, with what is unread; and invitations that wait for an answer.

use diesel::{OptionalExtension, SqliteConnection, prelude::*};
use qchat_proto::{
    content::RoomSettings,
    ids::{AccountId, RoomId, Seq},
    session::ledger::{Phase, RoomState},
};

use super::{
    StoreError, Tx, convert, receipts,
    schema::{invitations, room_settings, rooms},
};

/// A room that this device has joined, whatever has become of it since.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomRow {
    /// The protocol's numbers.
    pub state: RoomState,
    /// The settings as of the last commit.
    pub settings: Option<RoomSettings>,
    /// Everything up to this seq has been read.
    pub read_seq: Seq,
    /// Messages from other accounts after the read mark.
    pub unread: u64,
    /// Those of them whose text speaks to this account.
    pub mentions: u64,
    /// When the last message was stored, milliseconds since the Unix epoch.
    pub active_ms: Option<i64>,
}

/// An invitation without an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvitationRow {
    /// To this room.
    pub room: RoomId,
    /// Seq of the commit that added this device.
    pub seq: Seq,
    /// Whose device added it, as the daemon says.
    pub inviter: AccountId,
    /// Whether it is a conversation of two, as the Welcome claims.
    pub direct: bool,
    /// The room's name, when it has been read out of the Welcome; not yet fit for a terminal.
    pub name: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = rooms)]
struct Stored {
    room: Vec<u8>,
    phase: i32,
    phase_seq: i64,
    cursor: i64,
    head: Vec<u8>,
    commit_seq: i64,
    accepted: i64,
    epoch: i64,
    generation: i64,
    read_seq: i64,
    active_ms: Option<i64>,
    unread: i64,
    unread_mentions: i64,
}

impl Stored {
    fn state(&self) -> Result<RoomState, StoreError> {
        let seq = convert::seq(self.phase_seq)?;
        Ok(RoomState {
            room: convert::id("room id", &self.room)?,
            phase: match self.phase {
                0 => Phase::Member,
                1 => Phase::Leaving(seq),
                2 => Phase::Stuck(seq),
                3 => Phase::Removed(seq),
                4 => Phase::Left(seq),
                _ => return Err(StoreError::Corrupt("phase")),
            },
            cursor: convert::seq(self.cursor)?,
            head: convert::array("head", &self.head)?,
            commit_seq: convert::seq(self.commit_seq)?,
            accepted: convert::unsigned("counter", self.accepted)?,
            generation: convert::seq(self.generation)?,
            epoch: convert::unsigned("epoch", self.epoch)?,
        })
    }
}

pub(super) fn room(conn: &mut SqliteConnection, room: RoomId) -> Result<Option<RoomState>, StoreError> {
    let stored: Option<Stored> = rooms::table.find(&room.as_bytes()[..]).get_result(conn).optional()?;
    stored.map(|stored| stored.state()).transpose()
}

pub(super) fn put_room(conn: &mut SqliteConnection, state: &RoomState) -> Result<(), StoreError> {
    let (phase, phase_seq) = match state.phase {
        Phase::Member => (0, Seq(0)),
        Phase::Leaving(seq) => (1, seq),
        Phase::Stuck(seq) => (2, seq),
        Phase::Removed(seq) => (3, seq),
        Phase::Left(seq) => (4, seq),
    };
    let values = (
        rooms::phase.eq(phase),
        rooms::phase_seq.eq(convert::seq_number(phase_seq)?),
        rooms::cursor.eq(convert::seq_number(state.cursor)?),
        rooms::head.eq(&state.head[..]),
        rooms::commit_seq.eq(convert::seq_number(state.commit_seq)?),
        rooms::accepted.eq(convert::number(state.accepted)?),
        rooms::generation.eq(convert::seq_number(state.generation)?),
        rooms::epoch.eq(convert::number(state.epoch)?),
    );
    // The columns that belong to the user, not to the protocol, keep their values.
    diesel::insert_into(rooms::table)
        .values((rooms::room.eq(&state.room.as_bytes()[..]), values))
        .on_conflict(rooms::room)
        .do_update()
        .set(values)
        .execute(conn)?;
    Ok(())
}

pub(super) fn put_settings(
    conn: &mut SqliteConnection,
    room: RoomId,
    settings: &RoomSettings,
) -> Result<(), StoreError> {
    diesel::replace_into(room_settings::table)
        .values((
            room_settings::room.eq(&room.as_bytes()[..]),
            room_settings::name.eq(&settings.name),
            room_settings::settings.eq(settings.encode()),
        ))
        .execute(conn)?;
    Ok(())
}

pub(super) fn touch(conn: &mut SqliteConnection, room: RoomId, now_ms: i64) -> Result<(), StoreError> {
    diesel::update(rooms::table.find(&room.as_bytes()[..])).set(rooms::active_ms.eq(now_ms)).execute(conn)?;
    Ok(())
}

fn row((stored, settings): (Stored, Option<Vec<u8>>)) -> Result<RoomRow, StoreError> {
    Ok(RoomRow {
        state: stored.state()?,
        settings: settings
            .map(|settings| RoomSettings::decode(&settings))
            .transpose()
            .map_err(|_| StoreError::Corrupt("room settings"))?,
        read_seq: convert::seq(stored.read_seq)?,
        unread: convert::unsigned("count", stored.unread)?,
        mentions: convert::unsigned("count", stored.unread_mentions)?,
        active_ms: stored.active_ms,
    })
}

impl Tx {
    /// All rooms, the one with the newest message first.
    ///
    /// # Errors
    /// What the database says.
    pub fn rooms(&mut self) -> Result<Vec<RoomRow>, StoreError> {
        let rows: Vec<(Stored, Option<Vec<u8>>)> = rooms::table
            .left_join(room_settings::table.on(room_settings::room.eq(rooms::room)))
            .select((Stored::as_select(), room_settings::settings.nullable()))
            .order((rooms::active_ms.desc(), rooms::room))
            .load(&mut self.conn)?;
        rows.into_iter().map(row).collect()
    }

    /// One room.
    ///
    /// # Errors
    /// What the database says.
    pub fn room_row(&mut self, room: RoomId) -> Result<Option<RoomRow>, StoreError> {
        let found: Option<(Stored, Option<Vec<u8>>)> = rooms::table
            .left_join(room_settings::table.on(room_settings::room.eq(rooms::room)))
            .filter(rooms::room.eq(&room.as_bytes()[..]))
            .select((Stored::as_select(), room_settings::settings.nullable()))
            .get_result(&mut self.conn)
            .optional()?;
        found.map(row).transpose()
    }

    /// The rooms, joined or invited to, with exactly this name or this id (32 hexadecimal digits); an id goes before a
    /// name. More than one means that the name is ambiguous.
    ///
    /// # Errors
    /// What the database says.
    pub fn find_rooms(&mut self, name_or_id: &str) -> Result<Vec<RoomId>, StoreError> {
        if let Ok(room) = name_or_id.parse::<RoomId>() {
            let key = &room.as_bytes()[..];
            let joined: i64 = rooms::table.find(key).count().get_result(&mut self.conn)?;
            let invited: i64 = invitations::table.find(key).count().get_result(&mut self.conn)?;
            if joined + invited > 0 {
                return Ok(vec![room]);
            }
        }
        let mut found: Vec<Vec<u8>> = room_settings::table
            .filter(room_settings::name.eq(name_or_id))
            .select(room_settings::room)
            .load(&mut self.conn)?;
        let invited: Vec<Vec<u8>> = invitations::table
            .filter(invitations::name.eq(name_or_id))
            .select(invitations::room)
            .load(&mut self.conn)?;
        found.extend(invited);
        found.sort_unstable();
        found.dedup();
        found.iter().map(|room| convert::id("room id", room)).collect()
    }

    /// Marks everything up to `seq` as read; never moves backwards.
    ///
    /// # Errors
    /// What the database says.
    pub fn mark_read(&mut self, room: RoomId, seq: Seq) -> Result<(), StoreError> {
        receipts::mark_read(&mut self.conn, room, seq)
    }

    /// Invitations without an answer.
    ///
    /// # Errors
    /// What the database says.
    pub fn invitations(&mut self) -> Result<Vec<InvitationRow>, StoreError> {
        type Row = (Vec<u8>, i64, Vec<u8>, Option<String>, bool);
        let rows: Vec<Row> = invitations::table.order(invitations::room).load(&mut self.conn)?;
        rows.into_iter()
            .map(|(room, seq, inviter, name, direct)| {
                Ok(InvitationRow {
                    room: convert::id("room id", &room)?,
                    seq: convert::seq(seq)?,
                    inviter: convert::id("account id", &inviter)?,
                    direct,
                    name,
                })
            })
            .collect()
    }

    /// Stores an invitation in place of an older one to the same room.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_invitation(&mut self, invitation: &InvitationRow) -> Result<(), StoreError> {
        diesel::replace_into(invitations::table)
            .values((
                invitations::room.eq(&invitation.room.as_bytes()[..]),
                invitations::seq.eq(convert::seq_number(invitation.seq)?),
                invitations::inviter.eq(&invitation.inviter.as_bytes()[..]),
                invitations::name.eq(invitation.name.as_deref()),
                invitations::direct.eq(invitation.direct),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Forgets an invitation.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_invitation(&mut self, room: RoomId) -> Result<(), StoreError> {
        diesel::delete(invitations::table.find(&room.as_bytes()[..])).execute(&mut self.conn)?;
        Ok(())
    }
}
