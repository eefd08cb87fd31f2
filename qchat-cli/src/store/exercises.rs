//! Simulated runs of BB84 with other members: those that were asked for, and what the other end says in one that this device
//! takes part in. Whatever others say, no more is kept of a run than one needs.

use diesel::{OptionalExtension, SqliteConnection, prelude::*};
use qchat_proto::{
    content::{Body, Content, Exercise, ExerciseStep},
    ids::{AccountId, DeviceId, RoomId},
    mls::membership::Leaf,
};

use super::{
    StoreError, Tx, convert,
    schema::{exercise_steps, exercises},
};

/// Most things that the other end says in a run which are kept, and most bytes of them.
const MOST: (i64, i64) = (8_192, 4 << 20);

/// A run that a device has asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredExercise {
    /// The run's name.
    pub id: [u8; 16],
    /// The device that asks.
    pub device: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// The account that is asked.
    pub peer: AccountId,
    /// What the run is to be, as it was said.
    pub terms: Vec<u8>,
    /// Whether its key is to be mixed into the room.
    pub mixes: bool,
    /// Whether this device takes part.
    pub takes_part: bool,
}

/// What the other end has said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeardStep {
    /// Rises from one to the next.
    pub row: i64,
    /// Which device.
    pub device: DeviceId,
    /// What.
    pub step: ExerciseStep,
}

type Row = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, bool, bool);

fn read((device, account, id, peer, terms, mixes, takes_part): Row) -> Result<StoredExercise, StoreError> {
    Ok(StoredExercise {
        id: convert::array("id of an exercise", &id)?,
        device: convert::id("device id", &device)?,
        account: convert::id("account id", &account)?,
        peer: convert::id("account id", &peer)?,
        terms,
        mixes,
        takes_part,
    })
}

fn all(conn: &mut SqliteConnection, room: RoomId) -> Result<Vec<StoredExercise>, StoreError> {
    let rows: Vec<Row> = exercises::table
        .filter(exercises::room.eq(&room.as_bytes()[..]))
        .order(exercises::device)
        .select((
            exercises::device,
            exercises::account,
            exercises::id,
            exercises::peer,
            exercises::terms,
            exercises::mixes,
            exercises::takes_part,
        ))
        .load(conn)?;
    rows.into_iter().map(read).collect()
}

fn put(conn: &mut SqliteConnection, room: RoomId, new: &StoredExercise) -> Result<(), StoreError> {
    forget(conn, room, new.device)?;
    diesel::insert_into(exercises::table)
        .values((
            exercises::room.eq(&room.as_bytes()[..]),
            exercises::device.eq(&new.device.as_bytes()[..]),
            exercises::account.eq(&new.account.as_bytes()[..]),
            exercises::id.eq(&new.id[..]),
            exercises::peer.eq(&new.peer.as_bytes()[..]),
            exercises::terms.eq(&new.terms),
            exercises::mixes.eq(new.mixes),
            exercises::takes_part.eq(new.takes_part),
        ))
        .execute(conn)?;
    Ok(())
}

fn forget(conn: &mut SqliteConnection, room: RoomId, asker: DeviceId) -> Result<(), StoreError> {
    let (room, asker) = (&room.as_bytes()[..], &asker.as_bytes()[..]);
    diesel::delete(exercises::table.find((room, asker))).execute(conn)?;
    let steps = exercise_steps::table.filter(exercise_steps::room.eq(room));
    diesel::delete(steps.filter(exercise_steps::asker.eq(asker))).execute(conn)?;
    Ok(())
}

/// Forgets all runs of a room.
pub(super) fn forget_all(conn: &mut SqliteConnection, room: RoomId) -> Result<(), StoreError> {
    let room = &room.as_bytes()[..];
    diesel::delete(exercises::table.filter(exercises::room.eq(room))).execute(conn)?;
    diesel::delete(exercise_steps::table.filter(exercise_steps::room.eq(room))).execute(conn)?;
    Ok(())
}

/// Another device has said something: an invitation to this account is kept in the place of that device's last, and so is what
/// the other end of a run says to this device.
pub(super) fn heard(
    conn: &mut SqliteConnection,
    (own_account, own): (AccountId, DeviceId),
    room: RoomId,
    sender: &Leaf,
    said: &Exercise,
) -> Result<(), StoreError> {
    if let ExerciseStep::Asked { account, terms, mixes } = &said.step {
        if *account != own_account || sender.account == own_account {
            return Ok(());
        }
        let new = StoredExercise {
            id: said.id,
            device: sender.device,
            account: sender.account,
            peer: *account,
            terms: terms.to_vec(),
            mixes: *mixes,
            takes_part: false,
        };
        return put(conn, room, &new);
    }
    let found = all(conn, room)?.into_iter().find(|run| {
        let by_peer = run.device == own && run.peer == sender.account;
        run.id == said.id && (by_peer || run.device == sender.device)
    });
    let Some(run) = found else { return Ok(()) };
    match &said.step {
        // Somebody else takes part: another device of this account, which was quicker, or of the one that was asked.
        ExerciseStep::Part { device, .. } if *device != own => {
            return if run.device == own { Ok(()) } else { forget(conn, room, run.device) };
        }
        ExerciseStep::Ended { .. } if !run.takes_part => return forget(conn, room, run.device),
        _ if !run.takes_part => return Ok(()),
        _ => {}
    }
    let encoded = Content::exercise(said.clone(), 0).encode();
    let bytes = i64::try_from(encoded.len()).map_err(|_| StoreError::Range)?;
    let (steps, held): (i64, i64) = exercises::table
        .find((&room.as_bytes()[..], &run.device.as_bytes()[..]))
        .select((exercises::steps, exercises::bytes))
        .get_result(conn)?;
    if steps >= MOST.0 || held + bytes > MOST.1 {
        // Nobody needs as much: the run is over.
        return forget(conn, room, run.device);
    }
    diesel::update(exercises::table.find((&room.as_bytes()[..], &run.device.as_bytes()[..])))
        .set((exercises::steps.eq(steps + 1), exercises::bytes.eq(held + bytes)))
        .execute(conn)?;
    diesel::insert_into(exercise_steps::table)
        .values((
            exercise_steps::room.eq(&room.as_bytes()[..]),
            exercise_steps::asker.eq(&run.device.as_bytes()[..]),
            exercise_steps::account.eq(&sender.account.as_bytes()[..]),
            exercise_steps::device.eq(&sender.device.as_bytes()[..]),
            exercise_steps::said.eq(&encoded[..]),
        ))
        .execute(conn)?;
    Ok(())
}

impl Tx {
    /// The runs that devices have asked for in a room: the newest of each.
    ///
    /// # Errors
    /// What the database says.
    pub fn exercises(&mut self, room: RoomId) -> Result<Vec<StoredExercise>, StoreError> {
        all(&mut self.conn, room)
    }

    /// Keeps a run that this device asks for.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_exercise_asked(&mut self, room: RoomId, new: &StoredExercise) -> Result<(), StoreError> {
        put(&mut self.conn, room, new)
    }

    /// Keeps that this device takes part in the run that a device has asked for.
    ///
    /// # Errors
    /// What the database says.
    pub fn take_part(&mut self, room: RoomId, asker: DeviceId) -> Result<(), StoreError> {
        diesel::update(exercises::table.find((&room.as_bytes()[..], &asker.as_bytes()[..])))
            .set(exercises::takes_part.eq(true))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// The first thing after row `after` that was heard in the run that a device has asked for.
    ///
    /// # Errors
    /// What the database says.
    pub fn exercise_step_after(
        &mut self,
        room: RoomId,
        asker: DeviceId,
        after: i64,
    ) -> Result<Option<HeardStep>, StoreError> {
        let found: Option<(i64, Vec<u8>, Vec<u8>)> = exercise_steps::table
            .filter(exercise_steps::room.eq(&room.as_bytes()[..]))
            .filter(exercise_steps::asker.eq(&asker.as_bytes()[..]))
            .filter(exercise_steps::row.gt(after))
            .order(exercise_steps::row)
            .select((exercise_steps::row, exercise_steps::device, exercise_steps::said))
            .first(&mut self.conn)
            .optional()?;
        let Some((row, device, said)) = found else { return Ok(None) };
        match Content::decode(&said).map(|content| content.body) {
            Ok(Body::Exercise(Exercise { step, .. })) => {
                Ok(Some(HeardStep { row, device: convert::id("device id", &device)?, step }))
            }
            _ => Err(StoreError::Corrupt("step of an exercise")),
        }
    }

    /// Forgets the run that a device has asked for, and all that was said in it.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_exercise(&mut self, room: RoomId, asker: DeviceId) -> Result<(), StoreError> {
        forget(&mut self.conn, room, asker)
    }
}
