//! What somebody shows of themselves to the members of a room.

use bytes::Bytes;

use crate::wire::pb;

/// Longest name that somebody gives themselves, bytes of UTF-8.
pub const MAX_DISPLAY_NAME: usize = 64;
/// Longest line about themselves, bytes of UTF-8.
pub const MAX_STATUS: usize = 256;
/// Largest picture, bytes.
pub const MAX_AVATAR: usize = 16 * 1024;

/// What an account shows of itself; the newest that it has said counts. It is no proof of anything: names of accounts are.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Profile {
    /// The name that its user goes by; may be empty. Not fit for a terminal.
    pub name: String,
    /// A line about themselves; may be empty. Not fit for a terminal.
    pub status: String,
    /// A small picture, PNG, JPEG or WebP; may be empty.
    pub avatar: Bytes,
}

impl Profile {
    /// The ending of a file with such a picture; `None` when it is none of the kinds that may be sent.
    pub fn picture(avatar: &[u8]) -> Option<&'static str> {
        match avatar {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("png"),
            [0xff, 0xd8, 0xff, ..] => Some("jpg"),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("webp"),
            _ => None,
        }
    }

    /// Whether it may be said.
    pub fn is_valid(&self) -> bool {
        self.name.len() <= MAX_DISPLAY_NAME
            && self.status.len() <= MAX_STATUS
            && self.avatar.len() <= MAX_AVATAR
            && (self.avatar.is_empty() || Self::picture(&self.avatar).is_some())
    }

    pub(crate) fn to_wire(&self) -> pb::Profile {
        pb::Profile { name: self.name.clone(), status: self.status.clone(), avatar: self.avatar.clone() }
    }

    /// `None`: over its limits, or with a picture that is none.
    pub(crate) fn from_wire(raw: pb::Profile) -> Option<Self> {
        let profile = Self { name: raw.name, status: raw.status, avatar: raw.avatar };
        profile.is_valid().then_some(profile)
    }

    /// As a device keeps it.
    pub fn encode(&self) -> Vec<u8> {
        prost::Message::encode_to_vec(&self.to_wire())
    }

    /// Reads what [`Profile::encode`] made; `None` otherwise.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        <pb::Profile as prost::Message>::decode(bytes).ok().and_then(Self::from_wire)
    }
}
