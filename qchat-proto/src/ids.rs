//! The names of things: 16-byte ids drawn by clients, user names, and positions in a room's log.
//!
//! Every id is 128 random bits; on the wire it is 16 bytes, in JSON and on a screen 32 lowercase hex digits.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};

use crate::crypto::entropy::{Entropy, EntropyError};

/// A string or byte slice is not what the id or name demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// An id is 16 bytes, or 32 hexadecimal digits.
    #[error("an id has 16 bytes (32 hexadecimal digits)")]
    Length,
    /// A [`crate::wire::tree::TreeHash`] is 48 bytes, or 96 hexadecimal digits.
    #[error("a tree's hash has 48 bytes (96 hexadecimal digits)")]
    TreeHash,
    /// A [`crate::wire::chunk::ChunkId`] is 32 bytes, or 64 hexadecimal digits.
    #[error("the id of a part of a backup has 32 bytes (64 hexadecimal digits)")]
    ChunkId,
    /// A [`crate::file::FileHash`] is 48 bytes.
    #[error("the hash of a file has 48 bytes")]
    FileHash,
    /// See [`UserName`].
    #[error(
        "a user name has 1 to 32 characters out of a-z, 0-9, '.', '_' and '-', and starts with a letter or digit"
    )]
    UserName,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Wraps bytes that are known to be an id.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Draws a new id.
            ///
            /// # Errors
            /// Fails only when the entropy source does.
            pub fn random(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
                let mut bytes = [0; 16];
                entropy.fill(&mut bytes)?;
                Ok(Self(bytes))
            }

            /// The 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;

            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                bytes.try_into().map(Self).map_err(|_| IdError::Length)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; 16];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError::Length)?;
                Ok(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

id!(
    /// An account: one person, any number of devices.
    AccountId
);
id!(
    /// A device of an account; it is one leaf in each MLS group it belongs to.
    DeviceId
);
id!(
    /// A room; also its MLS group id.
    RoomId
);
id!(
    /// A message, drawn by its sender and kept through every resend: the idempotency key with the sender's device.
    MessageId
);
id!(
    /// A file that is kept at the daemon, drawn by its sender.
    FileId
);
id!(
    /// A device's attempt to belong to an account, drawn by the daemon.
    LinkId
);
id!(
    /// An invite link to a room; it says nothing of what opens it.
    InviteId
);
id!(
    /// A daemon's database, drawn when it is created; part of what a login signs.
    ServerId
);

/// The name of an account: 1 to 32 characters of `a-z 0-9 . _ -`, first a letter or digit.
///
/// The small alphabet leaves no two names that look alike and nothing to escape in a path or a terminal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct UserName(String);

impl UserName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let all_allowed = text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'));
        if starts_well && all_allowed && text.len() <= 32 {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::UserName)
        }
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UserName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A position in a room's log; the first envelope has 1, and 0 stands before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_keep_to_their_alphabet() {
        for (text, good) in [
            ("alice", true),
            ("a", true),
            ("0x.a_b-c", true),
            ("", false),
            ("-alice", false),
            ("Alice", false),
            ("al ice", false),
            ("ali\u{301}ce", false),
            ("a/b", false),
            ("abcdefghijabcdefghijabcdefghijab", true),
            ("abcdefghijabcdefghijabcdefghijabc", false),
        ] {
            assert_eq!(text.parse::<UserName>().is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn ids_are_read_back_from_what_they_print() {
        let id = RoomId::from_bytes([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(serde_json::to_string(&id).ok().as_deref(), Some("\"abababababababababababababababab\""));
        assert_eq!("ab".parse::<RoomId>(), Err(IdError::Length));
        assert_eq!(RoomId::try_from(&[0; 17][..]), Err(IdError::Length));
    }
}
