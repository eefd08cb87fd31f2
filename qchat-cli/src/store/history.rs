//! What was said and where, as backups take it out of one profile and put it into another.

use diesel::{dsl::max, prelude::*};
use qchat_proto::{
    content::{MessageRef, RoomSettings},
    identity::backup::{Item, KeptMessage, KeptNotice, KeptRoom},
    ids::{RoomId, Seq},
    session::{
        head,
        ledger::{Phase, RoomState},
    },
};

use super::{
    StoreError, Tx,
    changes::{self, Filing, NEVER},
    convert, notice, rooms as room_rows,
    schema::{room_settings, rooms, timeline},
    states,
};

/// Of a change in the log: who made it was an admin of the room then.
const BY_ADMIN: u8 = 3;

type Row = (
    i64,
    Vec<u8>,
    i64,
    Option<i64>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    i64,
    i64,
    i32,
    bool,
    Option<i64>,
    Vec<u8>,
);

impl Tx {
    /// The number of the last line; 0 when there is none.
    ///
    /// # Errors
    /// What the database says.
    pub fn last_line(&mut self) -> Result<i64, StoreError> {
        let last: Option<i64> = timeline::table.select(max(timeline::row)).get_result(&mut self.conn)?;
        Ok(last.unwrap_or(0))
    }

    /// The lines after one up to another, in the order in which they were stored, without those that were deleted or wait.
    ///
    /// # Errors
    /// What the database says.
    pub fn kept_lines(&mut self, after: i64, until: i64) -> Result<Vec<Item>, StoreError> {
        let rows: Vec<Row> = timeline::table
            .select((
                timeline::row,
                timeline::room,
                timeline::place,
                timeline::seq,
                timeline::message_id,
                timeline::account,
                timeline::device,
                timeline::epoch,
                timeline::stored_ms,
                timeline::delivery,
                timeline::by_admin,
                timeline::expires_ms,
                timeline::body,
            ))
            .filter(timeline::row.gt(after).and(timeline::row.le(until)))
            .filter(states::kept())
            // Own lines that are in no log yet are sent by the device that has them, or by nobody.
            .filter(states::not_pending())
            .order(timeline::row)
            .load(&mut self.conn)?;
        rows.into_iter().map(item).collect()
    }

    /// The rooms, by their ids.
    ///
    /// # Errors
    /// What the database says.
    pub fn kept_rooms(&mut self) -> Result<Vec<KeptRoom>, StoreError> {
        let mut kept: Vec<_> = self
            .rooms()?
            .into_iter()
            .map(|row| KeptRoom {
                room: row.state.room,
                member: matches!(row.state.phase, Phase::Member | Phase::Stuck(_)),
                cursor: row.state.cursor,
                generation: row.state.generation,
                epoch: row.state.epoch,
                read_seq: row.read_seq,
                active_ms: row.active_ms,
                settings: row.settings.map(|settings| settings.encode()).unwrap_or_default(),
            })
            .collect();
        kept.sort_by_key(|kept| kept.room);
        Ok(kept)
    }

    /// Puts a room in, as one that this device is not in: somebody adds it. One that is there stays as it is.
    ///
    /// # Errors
    /// What the database says; [`StoreError::Corrupt`] when it makes no sense.
    pub fn restore_room(&mut self, kept: &KeptRoom) -> Result<(), StoreError> {
        if room_rows::room(&mut self.conn, kept.room)?.is_some() {
            return Ok(());
        }
        let gone = if kept.member { Phase::Removed(kept.cursor) } else { Phase::Left(kept.cursor) };
        let state = RoomState {
            room: kept.room,
            phase: gone,
            cursor: kept.cursor,
            head: head::EMPTY,
            commit_seq: Seq(0),
            accepted: 0,
            generation: kept.generation,
            epoch: kept.epoch,
        };
        room_rows::put_room(&mut self.conn, &state)?;
        let key = &kept.room.as_bytes()[..];
        diesel::update(rooms::table.find(key))
            .set((
                rooms::read_seq.eq(convert::seq_number(kept.read_seq)?),
                rooms::active_ms.eq(kept.active_ms),
            ))
            .execute(&mut self.conn)?;
        if !kept.settings.is_empty() {
            let settings = RoomSettings::decode(&kept.settings)
                .map_err(|_| StoreError::Corrupt("the settings of a room"))?;
            diesel::replace_into(room_settings::table)
                .values((
                    room_settings::room.eq(key),
                    room_settings::name.eq(&settings.name),
                    room_settings::settings.eq(&kept.settings),
                ))
                .execute(&mut self.conn)?;
        }
        Ok(())
    }

    /// Whether a room was put in, with this account in it, and this device has not been let into it since.
    ///
    /// # Errors
    /// What the database says.
    pub fn is_restored(&mut self, room: RoomId) -> Result<bool, StoreError> {
        let state = room_rows::room(&mut self.conn, room)?;
        Ok(state.is_some_and(|state| {
            // Whoever was removed from a room has followed it before.
            matches!(state.phase, Phase::Removed(_)) && state.head == head::EMPTY
        }))
    }

    /// Puts a message in; one that is there stays as it is.
    ///
    /// # Errors
    /// What the database says; [`StoreError::Corrupt`] when it makes no sense.
    pub fn restore_message(&mut self, kept: &KeptMessage) -> Result<(), StoreError> {
        let (place, seq) = place(kept.place, kept.seq)?;
        let filing = Filing::of(&mut self.conn, kept.room, &kept.content, kept.stored_ms)?;
        let of = filing.target();
        diesel::insert_or_ignore_into(timeline::table)
            .values((
                timeline::room.eq(&kept.room.as_bytes()[..]),
                timeline::place.eq(place),
                timeline::seq.eq(seq),
                timeline::message_id.eq(&kept.id.as_bytes()[..]),
                timeline::account.eq(&kept.account.as_bytes()[..]),
                timeline::device.eq(&kept.device.as_bytes()[..]),
                timeline::epoch.eq(convert::number(kept.epoch)?),
                timeline::stored_ms.eq(kept.stored_ms),
                timeline::delivery.eq(match kept.delivery {
                    1 | 2 => i32::from(kept.delivery),
                    BY_ADMIN => 1,
                    _ => return Err(StoreError::Corrupt("a message of a backup")),
                }),
                timeline::body.eq(&kept.content),
                timeline::of_device.eq(of.as_ref().map(|of| &of.device.as_bytes()[..])),
                timeline::of_message.eq(of.as_ref().map(|of| &of.id.as_bytes()[..])),
                timeline::by_admin.eq(kept.delivery == BY_ADMIN),
                timeline::mentions_me.eq(filing.mentions_me),
                // As it was when it was stored: what the room says now counts for what is said from now on.
                timeline::expires_ms.eq(Some(kept.expires_ms).filter(|time| *time != i64::MAX)),
            ))
            .execute(&mut self.conn)?;
        // Lines come in the order in which they were stored, which need not be that of the log.
        changes::settle(
            &mut self.conn,
            kept.room,
            of.unwrap_or(MessageRef { device: kept.device, id: kept.id }),
        )
    }

    /// Puts in what happened.
    ///
    /// # Errors
    /// What the database says; [`StoreError::Corrupt`] when it makes no sense.
    pub fn restore_notice(&mut self, kept: &KeptNotice) -> Result<(), StoreError> {
        notice::decode(&kept.body)?;
        let (place, seq) = place(kept.place, kept.seq)?;
        diesel::insert_into(timeline::table)
            .values((
                timeline::room.eq(&kept.room.as_bytes()[..]),
                timeline::place.eq(place),
                timeline::seq.eq(seq),
                timeline::epoch.eq(0),
                timeline::stored_ms.eq(kept.stored_ms),
                timeline::delivery.eq(1),
                timeline::body.eq(&kept.body),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }
}

/// Place and seq; what has no seq stands at a place all the same.
fn place(place: u64, seq: Seq) -> Result<(i64, Option<i64>), StoreError> {
    let seq = if seq == Seq(0) { None } else { Some(convert::seq_number(seq)?) };
    Ok((convert::number(place)?, seq))
}

fn item(row: Row) -> Result<Item, StoreError> {
    let (
        _,
        room,
        place,
        seq,
        message,
        account,
        device,
        epoch,
        stored_ms,
        delivery,
        by_admin,
        expires_ms,
        body,
    ) = row;
    let room = convert::id("room id", &room)?;
    let place = convert::unsigned("place", place)?;
    let seq = seq.map(convert::seq).transpose()?.unwrap_or(Seq(0));
    Ok(match (message, account, device) {
        (Some(message), Some(account), Some(device)) => Item::Message(KeptMessage {
            room,
            place,
            seq,
            id: convert::id("message id", &message)?,
            account: convert::id("account id", &account)?,
            device: convert::id("device id", &device)?,
            epoch: convert::unsigned("epoch", epoch)?,
            stored_ms,
            delivery: match (delivery, by_admin) {
                (1, true) => BY_ADMIN,
                _ => u8::try_from(delivery).map_err(|_| StoreError::Corrupt("delivery"))?,
            },
            expires_ms: expires_ms.filter(|time| *time != NEVER).unwrap_or(i64::MAX),
            content: body,
        }),
        _ => Item::Notice(KeptNotice { room, place, seq, stored_ms, body }),
    })
}
