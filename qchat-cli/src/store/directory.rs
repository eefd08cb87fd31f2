//! The server's key directory as far as this device has checked it, what members have told of it, and what did not fit.

use diesel::{OptionalExtension, SqliteConnection, prelude::*};
use qchat_proto::{
    content::{Content, Witness},
    ids::{AccountId, DeviceId, RoomId},
    session::ledger::OpenedMessage,
    transparency::{HeadHash, TreeHead},
};

use super::{
    StoreError, Tx, convert,
    schema::{directory, directory_evidence, directory_heard, directory_own, directory_told, former_records},
};

/// What is known of the directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirectoryState {
    /// The key that signs its heads.
    pub key: Vec<u8>,
    /// The newest head, with its signature.
    pub head: Option<Vec<u8>>,
    /// The head, without signature, up to which the tree is known to have only grown.
    pub audited: Option<Vec<u8>>,
}

impl DirectoryState {
    /// The newest head without its signature.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn newest(&self) -> Result<Option<TreeHead>, StoreError> {
        let head = self.head.as_deref().and_then(|head| head.get(..TreeHead::SIZE));
        head.map(|head| TreeHead::decode(head).map_err(|_| StoreError::Corrupt("directory head"))).transpose()
    }
}

/// A head that a member has told of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeardHead {
    /// In which room.
    pub room: RoomId,
    /// By which device.
    pub device: DeviceId,
    /// Whose device that is.
    pub account: AccountId,
    /// Of which epoch.
    pub epoch: u64,
    /// Its hash.
    pub head: HeadHash,
    /// When it was heard, milliseconds since the Unix epoch.
    pub heard_ms: i64,
}

/// Something about the directory that does not fit together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// When it was seen, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Which epoch it is about.
    pub epoch: u64,
    /// What it is, as a sentence fit for a terminal.
    pub what: String,
    /// What this device was shown: a head with its signature.
    pub ours: Option<Vec<u8>>,
    /// What does not fit: a head, or the hash of one.
    pub theirs: Option<Vec<u8>>,
}

/// Which of the own entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnEntry {
    /// That the name is this account's.
    Name,
    /// What the account consists of.
    Account,
}

impl OwnEntry {
    const fn number(self) -> i32 {
        match self {
            Self::Name => 1,
            Self::Account => 2,
        }
    }
}

type DirectoryRow = (i32, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);
type HeardRow = (Vec<u8>, Vec<u8>, Vec<u8>, i64, Vec<u8>, i64);
type EvidenceRow = (i64, i64, i64, String, Option<Vec<u8>>, Option<Vec<u8>>, bool);

fn evidence((_, at_ms, epoch, what, ours, theirs, _): EvidenceRow) -> Result<Evidence, StoreError> {
    Ok(Evidence { at_ms, epoch: convert::unsigned("epoch", epoch)?, what, ours, theirs })
}

/// Keeps what a message tells of the directory for comparison, unless it is what this device knows.
pub(super) fn hear(conn: &mut SqliteConnection, message: &OpenedMessage) -> Result<(), StoreError> {
    let Some(Witness { epoch, head }) = Content::decode(&message.content).ok().and_then(|said| said.witness)
    else {
        return Ok(());
    };
    // Nobody gets that far by counting.
    let Ok(number) = convert::number(epoch) else { return Ok(()) };
    let known = state(conn)?.map(|state| state.newest()).transpose()?.flatten();
    if known.is_some_and(|known| known.epoch == epoch && known.hash() == head) {
        return Ok(());
    }
    diesel::replace_into(directory_heard::table)
        .values((
            directory_heard::room.eq(&message.room.as_bytes()[..]),
            directory_heard::device.eq(&message.device.as_bytes()[..]),
            directory_heard::account.eq(&message.account.as_bytes()[..]),
            directory_heard::epoch.eq(number),
            directory_heard::head.eq(&head[..]),
            directory_heard::heard_ms.eq(convert::now_ms()),
        ))
        .execute(conn)?;
    Ok(())
}

fn state(conn: &mut SqliteConnection) -> Result<Option<DirectoryState>, StoreError> {
    let row: Option<DirectoryRow> = directory::table.get_result(conn).optional()?;
    Ok(row.map(|(_, key, head, audited)| DirectoryState { key, head, audited }))
}

impl Tx {
    /// What is known of the directory; `None` before its key was seen.
    ///
    /// # Errors
    /// What the database says.
    pub fn directory(&mut self) -> Result<Option<DirectoryState>, StoreError> {
        state(&mut self.conn)
    }

    /// Stores what is known of the directory.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_directory(&mut self, state: &DirectoryState) -> Result<(), StoreError> {
        diesel::replace_into(directory::table)
            .values((
                directory::id.eq(1),
                directory::key.eq(&state.key),
                directory::head.eq(state.head.as_deref()),
                directory::audited.eq(state.audited.as_deref()),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Forgets the directory, and what was told of it: the user has accepted another one. Evidence stays.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_directory(&mut self) -> Result<(), StoreError> {
        diesel::delete(directory::table).execute(&mut self.conn)?;
        diesel::delete(directory_own::table).execute(&mut self.conn)?;
        diesel::delete(directory_told::table).execute(&mut self.conn)?;
        diesel::delete(directory_heard::table).execute(&mut self.conn)?;
        Ok(())
    }

    /// The newest version of an own entry that was looked at.
    ///
    /// # Errors
    /// What the database says.
    pub fn own_version(&mut self, entry: OwnEntry) -> Result<Option<u64>, StoreError> {
        let version: Option<i64> = directory_own::table
            .find(entry.number())
            .select(directory_own::version)
            .get_result(&mut self.conn)
            .optional()?;
        version.map(|version| convert::unsigned("version", version)).transpose()
    }

    /// Stores the newest version of an own entry that was looked at.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_own_version(&mut self, entry: OwnEntry, version: u64) -> Result<(), StoreError> {
        diesel::replace_into(directory_own::table)
            .values((
                directory_own::label.eq(entry.number()),
                directory_own::version.eq(convert::number(version)?),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// What the account's records said before the one of now: SHA-384 of each.
    ///
    /// # Errors
    /// What the database says.
    pub fn former_records(&mut self) -> Result<Vec<[u8; 48]>, StoreError> {
        let rows: Vec<Vec<u8>> = former_records::table.select(former_records::record).load(&mut self.conn)?;
        let hash = |row: Vec<u8>| row.try_into().map_err(|_| StoreError::Corrupt("a former record"));
        rows.into_iter().map(hash).collect()
    }

    /// Remembers that the account had a record which said this, SHA-384.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_former_record(&mut self, record: &[u8; 48]) -> Result<(), StoreError> {
        diesel::insert_or_ignore_into(former_records::table)
            .values(former_records::record.eq(&record[..]))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// The newest head, if it is newer than what was last told in a room.
    ///
    /// # Errors
    /// What the database says.
    pub fn untold(&mut self, room: RoomId) -> Result<Option<Witness>, StoreError> {
        let Some(newest) = self.directory()?.map(|state| state.newest()).transpose()?.flatten() else {
            return Ok(None);
        };
        let told: Option<i64> = directory_told::table
            .find(&room.as_bytes()[..])
            .select(directory_told::epoch)
            .get_result(&mut self.conn)
            .optional()?;
        let news = told.is_none_or(|told| u64::try_from(told).is_ok_and(|told| told < newest.epoch));
        Ok(news.then(|| Witness { epoch: newest.epoch, head: newest.hash() }))
    }

    /// This epoch's head is told in a room.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_told(&mut self, room: RoomId, epoch: u64) -> Result<(), StoreError> {
        diesel::replace_into(directory_told::table)
            .values((
                directory_told::room.eq(&room.as_bytes()[..]),
                directory_told::epoch.eq(convert::number(epoch)?),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Heads that members have told of and that are still to be compared.
    ///
    /// # Errors
    /// What the database says.
    pub fn heard(&mut self) -> Result<Vec<HeardHead>, StoreError> {
        let rows: Vec<HeardRow> =
            directory_heard::table.order(directory_heard::epoch).load(&mut self.conn)?;
        rows.into_iter()
            .map(|(room, device, account, epoch, head, heard_ms)| {
                Ok(HeardHead {
                    room: convert::id("room id", &room)?,
                    device: convert::id("device id", &device)?,
                    account: convert::id("account id", &account)?,
                    epoch: convert::unsigned("epoch", epoch)?,
                    head: convert::array("directory head", &head)?,
                    heard_ms,
                })
            })
            .collect()
    }

    /// What was heard has been compared; something newer of that device stays.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_heard(&mut self, heard: &HeardHead) -> Result<(), StoreError> {
        let row = directory_heard::table
            .find((&heard.room.as_bytes()[..], &heard.device.as_bytes()[..]))
            .filter(directory_heard::head.eq(&heard.head[..]));
        diesel::delete(row).execute(&mut self.conn)?;
        Ok(())
    }

    /// Keeps evidence; whether it is new.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_evidence(&mut self, evidence: &Evidence) -> Result<bool, StoreError> {
        let added = diesel::insert_or_ignore_into(directory_evidence::table)
            .values((
                directory_evidence::at_ms.eq(evidence.at_ms),
                directory_evidence::epoch.eq(convert::number(evidence.epoch)?),
                directory_evidence::what.eq(&evidence.what),
                directory_evidence::ours.eq(evidence.ours.as_deref()),
                directory_evidence::theirs.eq(evidence.theirs.as_deref()),
            ))
            .execute(&mut self.conn)?;
        Ok(added == 1)
    }

    /// All evidence, the oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn evidence(&mut self) -> Result<Vec<Evidence>, StoreError> {
        let rows: Vec<EvidenceRow> =
            directory_evidence::table.order(directory_evidence::id).load(&mut self.conn)?;
        rows.into_iter().map(evidence).collect()
    }

    /// The evidence that was not shown yet.
    ///
    /// # Errors
    /// What the database says.
    pub fn unshown_evidence(&mut self) -> Result<Vec<Evidence>, StoreError> {
        let rows: Vec<EvidenceRow> = directory_evidence::table
            .filter(directory_evidence::shown.eq(false))
            .order(directory_evidence::id)
            .load(&mut self.conn)?;
        rows.into_iter().map(evidence).collect()
    }

    /// All evidence has been shown.
    ///
    /// # Errors
    /// What the database says.
    pub fn note_shown(&mut self) -> Result<(), StoreError> {
        diesel::update(directory_evidence::table.filter(directory_evidence::shown.eq(false)))
            .set(directory_evidence::shown.eq(true))
            .execute(&mut self.conn)?;
        Ok(())
    }
}
