//! A file that lies at the daemon, encrypted: where it is, and what opens it.

use std::fmt;

use bytes::Bytes;

use crate::wire::pb;

/// Longest name of an attachment, bytes of UTF-8.
pub const MAX_FILE_NAME: usize = 255;
/// Longest media type of an attachment, bytes.
pub const MAX_MEDIA_TYPE: usize = 127;

/// A file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// SHA-384 of the encrypted file: its address at the daemon, and what it is held against.
    pub hash: [u8; 48],
    /// What opens it.
    pub key: AttachmentKey,
    /// The file's size, bytes.
    pub size: u64,
    /// Its name, 1 to [`MAX_FILE_NAME`] bytes, as it was sent: fit neither for a terminal nor for a file system.
    pub name: String,
    /// Its media type, as the sender says; empty: not said.
    pub media_type: String,
    /// How long a voice note is, milliseconds; 0: it is none.
    pub duration_ms: u64,
}

/// The key that opens an attachment. It does not show in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct AttachmentKey(pub [u8; 32]);

impl fmt::Debug for AttachmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttachmentKey(..)")
    }
}

impl Attachment {
    pub(super) fn to_wire(&self) -> pb::Attachment {
        pb::Attachment {
            hash: Bytes::copy_from_slice(&self.hash),
            key: Bytes::copy_from_slice(&self.key.0),
            size: self.size,
            name: self.name.clone(),
            media_type: self.media_type.clone(),
            duration_ms: self.duration_ms,
        }
    }

    pub(super) fn from_wire(raw: pb::Attachment) -> Option<Self> {
        if !(1..=MAX_FILE_NAME).contains(&raw.name.len()) || raw.media_type.len() > MAX_MEDIA_TYPE {
            return None;
        }
        Some(Self {
            hash: raw.hash.as_ref().try_into().ok()?,
            key: AttachmentKey(raw.key.as_ref().try_into().ok()?),
            size: raw.size,
            name: raw.name,
            media_type: raw.media_type,
            duration_ms: raw.duration_ms,
        })
    }
}
