//! What people show of themselves, as they have said it in rooms.

use diesel::{OptionalExtension, SqliteConnection, prelude::*};
use qchat_proto::{
    content::{Body, Content, Profile},
    ids::{AccountId, RoomId, Seq},
    session::ledger::OpenedMessage,
};

use super::{
    StoreError, Tx, convert,
    schema::{added, identity, profiles, profiles_told, roster},
};

/// How far ahead of this device's clock what somebody shows may be dated, milliseconds: an hour less than notes may, so that what
/// comes after it is dated as a note may be by devices whose clocks differ a little.
const AHEAD_MS: i64 = 23 * 3600 * 1000;

/// What this account has last said of itself in a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ToldProfile {
    /// When it was noted; never: the least of all times.
    pub at_ms: i64,
    /// Where it stands.
    pub seq: Seq,
    /// When it was said, by this device's clock.
    pub said_ms: i64,
}

/// Takes in what somebody shows of themselves; whether the message is that. It is no line of the timeline.
pub(super) fn take(conn: &mut SqliteConnection, message: &OpenedMessage) -> Result<bool, StoreError> {
    let Ok(Content { body: Body::Profile(profile), sent_at_ms, .. }) = Content::decode(&message.content)
    else {
        return Ok(false);
    };
    // By a clock that goes wrong nobody is kept from saying something later. Within a day the times alone decide, as they do among
    // the account's own devices.
    let now = convert::now_ms();
    let at_ms = sent_at_ms.min(now.saturating_add(AHEAD_MS));
    let account = &message.account.as_bytes()[..];
    let own: Option<Vec<u8>> = identity::table.select(identity::account).get_result(conn).optional()?;
    if own.as_deref() == Some(account) {
        // Another device has told the room.
        put_told(conn, message.room, at_ms, message.seq, now)?;
        return Ok(true);
    }
    let known: Option<i64> =
        profiles::table.find(account).select(profiles::at_ms).get_result(conn).optional()?;
    // Where the last was ahead of this clock as well, the order in the log decides: each reads it at another time.
    if known.is_none_or(|known| known <= at_ms || known > now) {
        diesel::replace_into(profiles::table)
            .values((
                profiles::account.eq(account),
                profiles::profile.eq(profile.encode()),
                profiles::at_ms.eq(at_ms),
            ))
            .execute(conn)?;
    }
    Ok(true)
}

fn put_told(
    conn: &mut SqliteConnection,
    room: RoomId,
    at_ms: i64,
    seq: Seq,
    said_ms: i64,
) -> Result<(), StoreError> {
    let key = &room.as_bytes()[..];
    let known: Option<(i64, i64)> = profiles_told::table
        .find(key)
        .select((profiles_told::at_ms, profiles_told::seq))
        .get_result(conn)
        .optional()?;
    let (known_ms, known_seq) = known.unwrap_or((i64::MIN, 0));
    diesel::replace_into(profiles_told::table)
        .values((
            profiles_told::room.eq(key),
            profiles_told::at_ms.eq(at_ms.max(known_ms)),
            profiles_told::seq.eq(convert::seq_number(seq)?.max(known_seq)),
            profiles_told::said_ms.eq(said_ms),
        ))
        .execute(conn)?;
    Ok(())
}

impl Tx {
    /// What somebody shows of themselves.
    ///
    /// # Errors
    /// What the database says.
    pub fn profile_of(&mut self, account: AccountId) -> Result<Option<Profile>, StoreError> {
        let row: Option<Vec<u8>> = profiles::table
            .find(&account.as_bytes()[..])
            .select(profiles::profile)
            .get_result(&mut self.conn)
            .optional()?;
        Ok(row.and_then(|row| Profile::decode(&row)))
    }

    /// What this account has last said of itself in a room.
    ///
    /// # Errors
    /// What the database says.
    pub fn profile_told(&mut self, room: RoomId) -> Result<ToldProfile, StoreError> {
        let row: Option<(i64, i64, i64)> = profiles_told::table
            .find(&room.as_bytes()[..])
            .select((profiles_told::at_ms, profiles_told::seq, profiles_told::said_ms))
            .get_result(&mut self.conn)
            .optional()?;
        let (at_ms, seq, said_ms) = row.unwrap_or((i64::MIN, 0, i64::MIN));
        Ok(ToldProfile { at_ms, seq: convert::seq(seq)?, said_ms })
    }

    /// The time of the newest that this account has said of itself in any room; never: the least of all times.
    ///
    /// # Errors
    /// What the database says.
    pub fn last_profile_told(&mut self) -> Result<i64, StoreError> {
        let last: Option<i64> =
            profiles_told::table.select(diesel::dsl::max(profiles_told::at_ms)).get_result(&mut self.conn)?;
        Ok(last.unwrap_or(i64::MIN))
    }

    /// Notes what this account says of itself in a room now, after this seq. Belongs into the transaction that pushes the outbox row.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_profile_told(&mut self, room: RoomId, at_ms: i64, seq: Seq) -> Result<(), StoreError> {
        put_told(&mut self.conn, room, at_ms, seq, convert::now_ms())
    }

    /// Where the last device of somebody else was added that is in a room.
    ///
    /// # Errors
    /// What the database says.
    pub fn newest_addition(&mut self, room: RoomId) -> Result<Seq, StoreError> {
        let own = self.own_account()?;
        let seq: Option<i64> = added::table
            .inner_join(roster::table.on(roster::room.eq(added::room).and(roster::device.eq(added::device))))
            .filter(added::room.eq(&room.as_bytes()[..]))
            .filter(roster::account.ne(own))
            .select(diesel::dsl::max(added::seq))
            .get_result(&mut self.conn)?;
        convert::seq(seq.unwrap_or(0))
    }
}
