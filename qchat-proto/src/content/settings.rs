//! What the members of a room agree on.

use std::num::NonZeroU32;

use bytes::{Buf as _, Bytes};
use prost::{
    Message as _,
    encoding::{DecodeContext, decode_key, skip_field},
};

use super::MAX_ROOM_NAME;
use crate::{ids::AccountId, wire::codec::DecodeError, wire::pb};

/// The fields of `RoomSettings` that this version knows.
const KNOWN: [u32; 4] = [1, 2, 10, 11];

/// What the members agree on about their room; it lives in the signed group context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomSettings {
    /// The name, as it was set: not yet fit for a terminal.
    pub name: String,
    /// Who may remove others and change these settings.
    pub admins: Vec<AccountId>,
    /// Whether it is the conversation of two people, who are its admins: nobody else is let in, and that stays so.
    pub direct: bool,
    /// After how many seconds every device deletes a message, from when that device has stored it.
    pub expire_after: Option<NonZeroU32>,
    /// What a later version has set: kept, so that whoever does not know it does not end it.
    unknown: Bytes,
}

impl RoomSettings {
    /// Settings of a room of any number of people.
    pub fn new(name: String, admins: Vec<AccountId>) -> Self {
        Self { name, admins, direct: false, expire_after: None, unknown: Bytes::new() }
    }

    /// Settings of a conversation of two.
    pub fn direct(name: String, two: [AccountId; 2]) -> Self {
        Self { direct: true, ..Self::new(name, two.to_vec()) }
    }

    /// Whether these two talk to one another here, and nobody else.
    pub fn is_between(&self, one: AccountId, other: AccountId) -> bool {
        self.direct && self.admins.contains(&one) && self.admins.contains(&other) && one != other
    }

    /// Encodes the settings for the group context.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoded = pb::RoomSettings {
            name: self.name.clone(),
            admins: self.admins.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect(),
            direct: self.direct,
            expire_after: self.expire_after.map_or(0, NonZeroU32::get),
        }
        .encode_to_vec();
        encoded.extend_from_slice(&self.unknown);
        encoded
    }

    /// Decodes settings.
    ///
    /// # Errors
    /// [`DecodeError`] when they are malformed, unnamed, named too long or as people are (`@`), or without an admin, or those
    /// of a conversation of two without two admins.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const MALFORMED: DecodeError = DecodeError::Malformed("room settings");
        let raw = pb::RoomSettings::decode(bytes).map_err(|_| MALFORMED)?;
        let admins = raw.admins.iter().map(|id| AccountId::try_from(&id[..])).collect::<Result<Vec<_>, _>>();
        let settings = Self {
            name: raw.name,
            admins: admins.map_err(|_| MALFORMED)?,
            direct: raw.direct,
            expire_after: NonZeroU32::new(raw.expire_after),
            unknown: unknown(bytes).ok_or(MALFORMED)?,
        };
        if check_room_name(&settings.name).is_err() || settings.admins.is_empty() {
            return Err(MALFORMED);
        }
        if settings.direct && !matches!(settings.admins[..], [one, other] if one != other) {
            return Err(MALFORMED);
        }
        Ok(settings)
    }
}

/// Why a room cannot be called so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoomNameError {
    /// Too short or too long.
    #[error("a room's name has 1 to {MAX_ROOM_NAME} bytes")]
    Length,
    /// So are conversations of two called, by the name of the other one.
    #[error("a room's name does not begin with @, as a person's does")]
    Person,
}

/// Whether a room can be called so.
///
/// # Errors
/// [`RoomNameError`]: why not.
pub fn check_room_name(name: &str) -> Result<(), RoomNameError> {
    match name {
        name if name.is_empty() || name.len() > MAX_ROOM_NAME => Err(RoomNameError::Length),
        name if name.starts_with('@') => Err(RoomNameError::Person),
        _ => Ok(()),
    }
}

/// The fields that this version does not know, as they stand there.
fn unknown(bytes: &[u8]) -> Option<Bytes> {
    let (mut rest, mut unknown) = (bytes, vec![]);
    while rest.has_remaining() {
        let field = rest;
        let (tag, wire_type) = decode_key(&mut rest).ok()?;
        skip_field(wire_type, tag, &mut rest, DecodeContext::default()).ok()?;
        if !KNOWN.contains(&tag) {
            unknown.extend_from_slice(&field[..field.len() - rest.len()]);
        }
    }
    Some(unknown.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_version_has_set_outlives_a_change_by_this_one() {
        let mut settings = RoomSettings::new("tea".to_owned(), vec![AccountId::from_bytes([1; 16])]);
        settings.expire_after = NonZeroU32::new(3600);
        // Field 99, a length-delimited value.
        let later = [&settings.encode()[..], &[0x9a, 0x06, 0x02, 0x68, 0x69]].concat();
        let mut read = RoomSettings::decode(&later).unwrap();
        assert_eq!((&read.name, read.expire_after), (&settings.name, settings.expire_after));
        assert_eq!(read.encode(), later);
        read.name = "coffee".to_owned();
        assert!(read.encode().ends_with(&[0x9a, 0x06, 0x02, 0x68, 0x69]));
        assert_eq!(RoomSettings::decode(&read.encode()), Ok(read));
    }

    #[test]
    fn a_conversation_of_two_has_two_admins() {
        let [alice, bob, carol] = [1, 2, 3].map(|n| AccountId::from_bytes([n; 16]));
        let direct = RoomSettings::direct("two".to_owned(), [alice, bob]);
        assert_eq!(RoomSettings::decode(&direct.encode()).as_ref(), Ok(&direct));
        assert!(direct.is_between(bob, alice) && !direct.is_between(alice, carol));
        for admins in [vec![alice], vec![alice, alice], vec![alice, bob, carol]] {
            assert!(RoomSettings::decode(&RoomSettings { admins, ..direct.clone() }.encode()).is_err());
        }
    }
}
