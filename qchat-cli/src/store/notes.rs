//! How the user wants rooms and people to be treated, kept in step with the account's other devices.

use std::collections::HashSet;

use diesel::{OptionalExtension, SqliteConnection, prelude::*};
use qchat_proto::{
    identity::{Note, Topic},
    ids::AccountId,
};

use super::{
    StoreError, Tx, convert,
    schema::{notes, notes_sync},
};

/// The last kind of note that this version knows.
const LAST_KIND: u32 = 5;
/// How far ahead of this device's clock another one's may be, milliseconds: a day.
const AHEAD_MS: i64 = 24 * 3600 * 1000;
/// For how long it is kept that something is not so any more, milliseconds: a year. A device that was away for longer may bring it back.
const KEPT_MS: i64 = 365 * AHEAD_MS;
/// What a note says that is so.
const YES: &[u8] = &[1];

type Row = (i32, Vec<u8>, Vec<u8>, i64, Vec<u8>);

fn note((kind, subject, value, at_ms, device): Row) -> Result<Note, StoreError> {
    let kind = u32::try_from(kind).map_err(|_| StoreError::Corrupt("kind of a note"))?;
    Ok(Note { kind, subject, value, at_ms, device: convert::id("device id", &device)? })
}

fn kind_number(kind: u32) -> Result<i32, StoreError> {
    i32::try_from(kind).map_err(|_| StoreError::Corrupt("kind of a note"))
}

/// The kind of the notes that block somebody.
pub(super) fn blocked_kind() -> Result<i32, StoreError> {
    let (kind, _) = Topic::Blocked(AccountId::from_bytes([0; 16])).key();
    kind_number(kind)
}

/// The accounts of which nothing is shown.
pub(super) fn blocked(conn: &mut SqliteConnection) -> Result<Vec<Vec<u8>>, StoreError> {
    let said = notes::table.filter(notes::kind.eq(blocked_kind()?)).filter(notes::value.eq(YES));
    Ok(said.select(notes::subject).load(conn)?)
}

impl Tx {
    /// What is noted on a thing; nothing is no.
    ///
    /// # Errors
    /// What the database says.
    pub fn noted(&mut self, topic: Topic) -> Result<Option<Note>, StoreError> {
        let (kind, subject) = topic.key();
        let row: Option<Row> =
            notes::table.find((kind_number(kind)?, subject)).get_result(&mut self.conn).optional()?;
        row.map(note).transpose()
    }

    /// Everything of which it is noted that it is so.
    ///
    /// # Errors
    /// What the database says.
    pub fn all_noted(&mut self) -> Result<HashSet<Topic>, StoreError> {
        let rows: Vec<(i32, Vec<u8>)> = notes::table
            .filter(notes::value.eq(YES))
            .select((notes::kind, notes::subject))
            .load(&mut self.conn)?;
        let topic = |(kind, subject): (i32, Vec<u8>)| Topic::of(u32::try_from(kind).ok()?, &subject);
        Ok(rows.into_iter().filter_map(topic).collect())
    }

    /// Whether nothing is shown of an account.
    ///
    /// # Errors
    /// What the database says.
    pub fn is_blocked(&mut self, account: AccountId) -> Result<bool, StoreError> {
        Ok(self.noted(Topic::Blocked(account))?.is_some_and(|note| note.value == YES))
    }

    /// Notes something of this device's own. The other devices are told later, also of what this one has believed to be so already:
    /// another one may have said otherwise since.
    ///
    /// # Errors
    /// What the database says.
    pub fn note(&mut self, topic: Topic, value: &[u8], now_ms: i64) -> Result<(), StoreError> {
        let known = self.noted(topic)?;
        let (_, device) = self.own_ids()?.ok_or(StoreError::Corrupt("identity"))?;
        let at_ms = known.map_or(now_ms, |note| now_ms.max(note.at_ms.saturating_add(1)));
        let (kind, subject) = topic.key();
        let device = convert::id("device id", &device)?;
        self.put_note(&Note { kind, subject, value: value.to_vec(), at_ms, device })?;
        diesel::update(notes_sync::table).set(notes_sync::untold.eq(true)).execute(&mut self.conn)?;
        Ok(())
    }

    /// Notes that something is so, or not.
    ///
    /// # Errors
    /// What the database says.
    pub fn note_whether(&mut self, topic: Topic, so: bool, now_ms: i64) -> Result<(), StoreError> {
        self.note(topic, if so { YES } else { &[] }, now_ms)
    }

    fn put_note(&mut self, note: &Note) -> Result<(), StoreError> {
        diesel::replace_into(notes::table)
            .values((
                notes::kind.eq(kind_number(note.kind)?),
                notes::subject.eq(&note.subject),
                notes::value.eq(&note.value),
                notes::at_ms.eq(note.at_ms),
                notes::device.eq(&note.device.as_bytes()[..]),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// All notes.
    ///
    /// # Errors
    /// What the database says.
    pub fn notes(&mut self) -> Result<Vec<Note>, StoreError> {
        let rows: Vec<Row> = notes::table.order((notes::kind, notes::subject)).load(&mut self.conn)?;
        rows.into_iter().map(note).collect()
    }

    /// The version at the daemon that these have been compared with, and whether it lacks something.
    ///
    /// # Errors
    /// What the database says.
    pub fn notes_version(&mut self) -> Result<(u64, bool), StoreError> {
        let (version, untold): (i64, bool) =
            notes_sync::table.select((notes_sync::version, notes_sync::untold)).get_result(&mut self.conn)?;
        Ok((convert::unsigned("version", version)?, untold))
    }

    /// Takes in what other devices have noted up to a version at the daemon; what is newer there counts, but for what makes no sense
    /// or is of a day that has not come: a device that was stolen could have the last word with it for ever. Whether anything has
    /// changed here.
    ///
    /// Of two profiles of the same moment one is the account's; but the members of rooms, who hear times and no devices, cannot tell
    /// which. So the device whose own is not notes the other once more, a moment later, and it is told.
    ///
    /// # Errors
    /// What the database says.
    pub fn merge_notes(&mut self, theirs: &[Note], version: u64, now_ms: i64) -> Result<bool, StoreError> {
        let (own, device) = self.own_ids()?.ok_or(StoreError::Corrupt("identity"))?;
        let sensible = |note: &&Note| match Topic::of(note.kind, &note.subject) {
            Some(Topic::Blocked(account)) => account.as_bytes()[..] != own[..],
            Some(_) => true,
            // Of a later version.
            None => note.kind > LAST_KIND && i32::try_from(note.kind).is_ok(),
        };
        // What is passed over here is no reason to put one's own there: two devices whose clocks differ would do so for ever.
        let there = theirs;
        let theirs: Vec<Note> = theirs
            .iter()
            .filter(|note| note.at_ms <= now_ms.saturating_add(AHEAD_MS))
            .filter(sensible)
            .cloned()
            .collect();
        let theirs = &theirs[..];
        diesel::delete(
            notes::table
                .filter(notes::value.eq(&[][..]))
                .filter(notes::at_ms.lt(now_ms.saturating_sub(KEPT_MS))),
        )
        .execute(&mut self.conn)?;
        let ours = self.notes()?;
        let find = |notes: &[Note], wanted: &Note| {
            notes.iter().find(|note| (note.kind, &note.subject) == (wanted.kind, &wanted.subject)).cloned()
        };
        let (mut changed, mut again) = (false, false);
        for note in theirs
            .iter()
            .filter(|note| !note.value.is_empty() || note.at_ms >= now_ms.saturating_sub(KEPT_MS))
        {
            let known = find(&ours, note);
            if known.as_ref().is_none_or(|known| note.is_newer_than(known)) {
                let moment = |known: Note| known.at_ms == note.at_ms && known.value != note.value;
                if Topic::of(note.kind, &note.subject) == Some(Topic::Profile) && known.is_some_and(moment) {
                    let device = convert::id("device id", &device)?;
                    self.put_note(&Note { at_ms: note.at_ms.saturating_add(1), device, ..note.clone() })?;
                    again = true;
                } else {
                    self.put_note(note)?;
                }
                changed = true;
            }
        }
        let untold =
            again || ours.iter().any(|note| find(there, note).is_none_or(|known| note.is_newer_than(&known)));
        diesel::update(notes_sync::table)
            .set((notes_sync::version.eq(convert::number(version)?), notes_sync::untold.eq(untold)))
            .execute(&mut self.conn)?;
        Ok(changed)
    }

    /// The daemon has taken these, as this version. What was noted since is still to be told.
    ///
    /// # Errors
    /// What the database says.
    pub fn told_notes(&mut self, told: &[Note], version: u64) -> Result<(), StoreError> {
        let untold = self.notes()? != told;
        diesel::update(notes_sync::table)
            .set((notes_sync::version.eq(convert::number(version)?), notes_sync::untold.eq(untold)))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// What is at the daemon is sealed under a key that is no more: all of it is to be told again.
    ///
    /// # Errors
    /// What the database says.
    pub fn untell_notes(&mut self) -> Result<(), StoreError> {
        diesel::update(notes_sync::table).set(notes_sync::untold.eq(true)).execute(&mut self.conn)?;
        Ok(())
    }
}
