//! A file in a conversation: where it is, what opens it, and what is said about it. docs/PROTOCOL.md, "Files".

use bytes::Bytes;

use crate::{
    file::{CHUNK, FileHash, FileKey, Layout, Sealing, safe_name},
    ids::FileId,
    wire::pb,
};

/// Longest name that travels, bytes of UTF-8.
pub const MAX_NAME: usize = 1024;
/// Longest media type, bytes: 127.
const MAX_MEDIA_TYPE: usize = 127;
/// Largest thumbnail, bytes: 16 KiB.
pub const MAX_THUMBNAIL: usize = 16 * 1024;
/// Longest caption, bytes of UTF-8.
pub const MAX_CAPTION: usize = 4 * 1024;

/// A file that its sender has put at the daemon.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// Which it is there, its key and its sizes.
    pub sealing: Sealing,
    /// Of the ciphertext.
    pub hash: FileHash,
    /// How it is called at the sender's: neither fit for a terminal nor for a file system ([`Attachment::safe_name`]).
    pub name: String,
    /// What it is (`type/subtype`, RFC 6838), as the sender says; empty when it does not.
    pub media_type: String,
    /// A small picture of it; empty when there is none. Not to be trusted more than the file itself.
    pub thumbnail: Bytes,
    /// How long it plays, milliseconds; 0 when that is not said.
    pub duration_ms: u32,
    /// Whether it was spoken for this conversation.
    pub voice: bool,
    /// What is said with it, as it was sent: not yet fit for a terminal.
    pub caption: String,
}

impl Attachment {
    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.sealing.layout.size()
    }

    /// The name that the file may have here.
    pub fn safe_name(&self) -> String {
        safe_name(&self.name)
    }

    /// Whether its parts are of sizes that travel.
    pub fn is_valid(&self) -> bool {
        (1..=MAX_NAME).contains(&self.name.len())
            && is_media_type(&self.media_type)
            && self.thumbnail.len() <= MAX_THUMBNAIL
            && self.caption.len() <= MAX_CAPTION
    }

    pub(super) fn to_wire(&self) -> pb::Attachment {
        pb::Attachment {
            file_id: Bytes::copy_from_slice(self.sealing.id.as_bytes()),
            key: Bytes::copy_from_slice(self.sealing.key.expose()),
            hash: Bytes::copy_from_slice(self.hash.as_bytes()),
            size: self.size(),
            chunk_size: u32::try_from(CHUNK).unwrap_or(u32::MAX),
            name: self.name.clone(),
            media_type: self.media_type.clone(),
            thumbnail: self.thumbnail.clone(),
            duration_ms: self.duration_ms,
            voice: self.voice,
            caption: self.caption.clone(),
        }
    }

    /// `None` for what no version of now says.
    pub(super) fn from_wire(raw: pb::Attachment) -> Option<Self> {
        if usize::try_from(raw.chunk_size) != Ok(CHUNK) {
            return None;
        }
        let attachment = Self {
            sealing: Sealing {
                id: FileId::try_from(raw.file_id.as_ref()).ok()?,
                key: FileKey::from_slice(&raw.key)?,
                layout: Layout::new(raw.size)?,
            },
            hash: FileHash::try_from(raw.hash.as_ref()).ok()?,
            name: raw.name,
            media_type: raw.media_type,
            thumbnail: raw.thumbnail,
            duration_ms: raw.duration_ms,
            voice: raw.voice,
            caption: raw.caption,
        };
        attachment.is_valid().then_some(attachment)
    }
}

/// Whether this is `type/subtype` of the characters of RFC 6838 §4.2, or nothing.
fn is_media_type(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    text.is_empty()
        || (text.len() <= MAX_MEDIA_TYPE
            && text.split_once('/').is_some_and(|(kind, sub)| part(kind) && part(sub)))
}
