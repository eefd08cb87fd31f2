//! Files between members: sealed before they leave, in segments that stand on their own, so that an upload or a download
//! goes on where it was cut off and neither end ever holds more than a few of them. docs/PROTOCOL.md, "Files".
//!
//! `layout` is sizes, `segment` the sealing, `digest` the hash that the message commits to, `name` what a received name
//! becomes before it is a name of this machine's.

mod digest;
mod layout;
mod name;
mod segment;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use self::{
    digest::{FileDigest, FileHash, segment_hash},
    layout::{CHUNK, Layout, MAX_SIZE, SEALED_SEGMENT, SEGMENT, padme},
    name::safe_name,
    segment::{open, seal},
};
use crate::{
    crypto::{
        entropy::{Entropy, EntropyError},
        kdf::KdfLengthError,
    },
    ids::FileId,
};

/// A file's key: 32 bytes, drawn for this one file. It travels in the message that names the file.
#[derive(Clone)]
pub struct FileKey(Zeroizing<[u8; 32]>);

impl FileKey {
    /// Draws a new key.
    ///
    /// # Errors
    /// Fails only when the entropy source does.
    pub fn random(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut key[..])?;
        Ok(Self(key))
    }

    /// Copies a slice; `None` when it has not 32 bytes. The caller wipes its own copy.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 32] = bytes.try_into().ok()?;
        Some(Self(Zeroizing::new(*bytes)))
    }

    /// Opens the key.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for FileKey {
    fn eq(&self, other: &Self) -> bool {
        self.0[..].ct_eq(&other.0[..]).into()
    }
}

impl Eq for FileKey {}

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileKey")
    }
}

/// Which file a segment is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// The file's id at the daemon.
    pub id: FileId,
    /// Its key.
    pub key: FileKey,
    /// Its sizes.
    pub layout: Layout,
}

/// A file is not what its message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// A segment has too few or too many bytes.
    #[error("part {segment} of the file has {got} bytes instead of {expected}: it was cut off or grew")]
    Length {
        /// Which segment, from 0 on.
        segment: u64,
        /// Bytes that it must have.
        expected: usize,
        /// Bytes that it has.
        got: usize,
    },
    /// A chunk does not open: a byte was changed, or it belongs to another place, file or key.
    #[error(
        "part {segment} of the file is not what was sent (chunk {chunk}): it was changed, moved or swapped"
    )]
    Altered {
        /// Which segment, from 0 on.
        segment: u64,
        /// Which chunk of it, from 0 on.
        chunk: u32,
    },
    /// The padding at the end is not zeros.
    #[error("the file does not end as it says")]
    Padding,
    /// All of it opens, and it is not the ciphertext that the message commits to.
    #[error("the file is not the one that the message names: its hash differs")]
    Hash,
    /// There is no such segment.
    #[error("the file has no part {0}")]
    NoSegment(u64),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A key could not be derived.
    #[error(transparent)]
    Kdf(#[from] KdfLengthError),
}
