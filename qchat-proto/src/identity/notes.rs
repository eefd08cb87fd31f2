//! What the devices of one account keep for one another: how its user wants rooms and people to be treated. Of each thing the newest
//! word counts, whichever order words come in; so what an old copy says changes nothing. docs/PROTOCOL.md, "Notes of an account".

use prost::Message as _;

use super::{
    IdentityError, LabelError,
    format::{Reader, Statement},
};
use crate::{
    crypto::{
        aead,
        entropy::Entropy,
        kdf::{self, KdfLengthError},
        secret::Secret,
    },
    ids::{AccountId, DeviceId, RoomId},
    wire::{limits, pb},
};

const WHAT: Statement = Statement::AccountNotes;
const KEY_INFO: &[u8] = b"qchat account notes v1";
/// Smallest padded size, bytes; sizes double from here.
const SMALLEST: usize = 1024;
/// Longest subject and value of a note that are taken in, bytes.
const MOST_SUBJECT: usize = 64;
const MOST_VALUE: usize = 24 * 1024;

/// What a note is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Topic {
    /// A room is out of the way.
    Archived(RoomId),
    /// A room says nothing aloud.
    Muted(RoomId),
    /// A room stands before others.
    Favourite(RoomId),
    /// Nothing is heard of an account.
    Blocked(AccountId),
    /// What the user shows of themselves.
    Profile,
}

impl Topic {
    /// As a note names it: kind and subject.
    pub fn key(self) -> (u32, Vec<u8>) {
        match self {
            Self::Archived(room) => (1, room.as_bytes().to_vec()),
            Self::Muted(room) => (2, room.as_bytes().to_vec()),
            Self::Favourite(room) => (3, room.as_bytes().to_vec()),
            Self::Blocked(account) => (4, account.as_bytes().to_vec()),
            Self::Profile => (5, vec![]),
        }
    }

    /// Reads what a note names; `None` is of a later version.
    pub fn of(kind: u32, subject: &[u8]) -> Option<Self> {
        let room = || RoomId::try_from(subject).ok();
        match kind {
            1 => room().map(Self::Archived),
            2 => room().map(Self::Muted),
            3 => room().map(Self::Favourite),
            4 => AccountId::try_from(subject).ok().map(Self::Blocked),
            5 => subject.is_empty().then_some(Self::Profile),
            _ => None,
        }
    }
}

/// The newest word on one thing. What a later version notes is kept as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// What it is of, with `subject`: [`Topic::of`].
    pub kind: u32,
    /// See `kind`.
    pub subject: Vec<u8>,
    /// What it says; nothing is no.
    pub value: Vec<u8>,
    /// When it was noted, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// By which device.
    pub device: DeviceId,
}

impl Note {
    /// Whether this word counts more than another on the same thing.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        (self.at_ms, self.device) > (other.at_ms, other.device)
    }
}

/// Seals notes for the account's devices, whose key is derived from the seed of the account's identity key: HKDF-SHA-384 without a
/// salt, info `qchat account notes v1`, 32 bytes.
///
/// # Errors
/// [`LabelError`]: no randomness, or more than fit into [`limits::NOTES`].
pub fn seal_notes(
    notes: &[Note],
    account_key: &Secret<64>,
    account: AccountId,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, LabelError> {
    let said = pb::AccountNotes { notes: notes.iter().map(to_wire).collect() }.encode_to_vec();
    let mut plain = u32::try_from(said.len()).map_err(|_| LabelError::Seal)?.to_be_bytes().to_vec();
    plain.extend(said);
    plain.resize(plain.len().next_power_of_two().max(SMALLEST), 0);
    let mut nonce = [0; aead::NONCE];
    entropy.fill(&mut nonce)?;
    let key = key(account_key)?;
    let sealed = aead::seal(key.expose(), &nonce, account.as_bytes(), &plain);
    let mut bytes = WHAT.begin();
    bytes.extend(nonce);
    bytes.extend(sealed.map_err(|_| LabelError::Seal)?);
    if bytes.len() > limits::NOTES { Err(LabelError::Seal) } else { Ok(bytes) }
}

/// Opens what [`seal_notes`] made for this account. Notes that make no sense are left out.
///
/// # Errors
/// [`IdentityError::Malformed`], or [`IdentityError::Forged`] when it was made for another account, under another key, or altered.
pub fn open_notes(
    bytes: &[u8],
    account_key: &Secret<64>,
    account: AccountId,
) -> Result<Vec<Note>, IdentityError> {
    let mut reader = Reader::new(bytes, WHAT)?;
    let nonce = reader.array()?;
    let forged = IdentityError::Forged(WHAT.name());
    let key = key(account_key).map_err(|_| forged.clone())?;
    let plain = aead::open(key.expose(), &nonce, account.as_bytes(), reader.rest()).map_err(|_| forged)?;
    let malformed = || IdentityError::Malformed(WHAT.name());
    let mut reader = Reader::inside(&plain, WHAT);
    let said = pb::AccountNotes::decode(reader.counted()?).map_err(|_| malformed())?;
    if reader.rest().iter().any(|byte| *byte != 0) {
        return Err(malformed());
    }
    Ok(said.notes.iter().filter_map(from_wire).collect())
}

fn to_wire(note: &Note) -> pb::Note {
    pb::Note {
        kind: note.kind,
        subject: note.subject.clone().into(),
        value: note.value.clone().into(),
        at_ms: note.at_ms,
        device: note.device.as_bytes().to_vec().into(),
    }
}

fn from_wire(note: &pb::Note) -> Option<Note> {
    if note.subject.len() > MOST_SUBJECT || note.value.len() > MOST_VALUE {
        return None;
    }
    let device = DeviceId::try_from(&note.device[..]).ok()?;
    let (subject, value) = (note.subject.to_vec(), note.value.to_vec());
    Some(Note { kind: note.kind, subject, value, at_ms: note.at_ms, device })
}

fn key(account_key: &Secret<64>) -> Result<Secret<32>, KdfLengthError> {
    kdf::derive(account_key.expose(), KEY_INFO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::entropy::SystemEntropy;

    #[test]
    fn notes_open_for_their_account_under_its_key_and_hide_how_many_they_are() {
        let (one, other) = (Secret::from_bytes([1; 64]), Secret::from_bytes([2; 64]));
        let (alice, bob) = (AccountId::from_bytes([3; 16]), AccountId::from_bytes([4; 16]));
        let room = RoomId::from_bytes([5; 16]);
        let note = |(kind, subject): (u32, Vec<u8>), value: &[u8]| Note {
            kind,
            subject,
            value: value.to_vec(),
            at_ms: -7,
            device: DeviceId::from_bytes([6; 16]),
        };
        let topics = [
            Topic::Archived(room),
            Topic::Muted(room),
            Topic::Favourite(room),
            Topic::Blocked(bob),
            Topic::Profile,
        ];
        let mut notes: Vec<Note> = topics.map(|topic| note(topic.key(), &[1])).to_vec();
        // Of a later version.
        notes.push(note((77, vec![1, 2, 3]), b"kept"));
        let sealed = seal_notes(&notes, &one, alice, &SystemEntropy).unwrap();
        assert_eq!(open_notes(&sealed, &one, alice), Ok(notes.clone()));
        assert_eq!(seal_notes(&[], &one, alice, &SystemEntropy).unwrap().len(), sealed.len());
        let read: Vec<_> = notes.iter().map(|note| Topic::of(note.kind, &note.subject)).collect();
        assert_eq!(read[..5], topics.map(Some));
        assert_eq!(read[5], None);
        for (kind, subject) in [(1, &b"short"[..]), (4, &[]), (5, &[0])] {
            assert_eq!(Topic::of(kind, subject), None, "{kind}");
        }
        let forged = Err(IdentityError::Forged("account notes"));
        assert_eq!(open_notes(&sealed, &other, alice), forged);
        assert_eq!(open_notes(&sealed, &one, bob), forged);
        let mut altered = sealed.clone();
        altered[20] ^= 1;
        assert_eq!(open_notes(&altered, &one, alice), forged);
        for length in [0, 1, 2, 13] {
            assert_eq!(
                open_notes(&sealed[..length], &one, alice),
                Err(IdentityError::Malformed("account notes"))
            );
        }
        let many = vec![note((4, vec![9; 16]), &[7; 12_000]); 40];
        assert_eq!(seal_notes(&many, &one, alice, &SystemEntropy), Err(LabelError::Seal));
    }
}
