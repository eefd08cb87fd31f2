//! The hash of a file's ciphertext: a chain over its segments, so that whoever was interrupted goes on from 48 bytes.

use std::fmt;

use sha2::{Digest, Sha384};

use crate::ids::{FileId, IdError};

const LABEL: &[u8] = b"qchat file v1";

/// What a message commits to: the ciphertext of its file, whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileHash([u8; 48]);

impl FileHash {
    /// The 48 bytes.
    pub const fn as_bytes(&self) -> &[u8; 48] {
        &self.0
    }
}

impl TryFrom<&[u8]> for FileHash {
    type Error = IdError;

    fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
        bytes.try_into().map(Self).map_err(|_| IdError::FileHash)
    }
}

impl fmt::Debug for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileHash({})", hex::encode(self.0))
    }
}

/// SHA-384 of a sealed segment.
pub fn segment_hash(sealed: &[u8]) -> [u8; 48] {
    Sha384::digest(sealed).into()
}

/// The chain so far: h₀ = SHA-384(label ‖ id ‖ sealed size), hᵢ = SHA-384(hᵢ₋₁ ‖ SHA-384(segment i)), the size as 8 bytes,
/// big endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileDigest([u8; 48]);

impl FileDigest {
    /// Of a file of which no segment is there yet; `sealed`: the bytes that all of them have.
    pub fn begin(id: FileId, sealed: u64) -> Self {
        let hash = Sha384::new()
            .chain_update(LABEL)
            .chain_update(id.as_bytes())
            .chain_update(sealed.to_be_bytes())
            .finalize();
        Self(hash.into())
    }

    /// Goes on from where it was left.
    pub const fn resume(bytes: [u8; 48]) -> Self {
        Self(bytes)
    }

    /// With the next segment, by its [`segment_hash`].
    #[must_use]
    pub fn with(self, segment: &[u8; 48]) -> Self {
        Self(Sha384::new().chain_update(self.0).chain_update(segment).finalize().into())
    }

    /// The 48 bytes to go on from.
    pub const fn as_bytes(&self) -> &[u8; 48] {
        &self.0
    }

    /// After the last segment.
    pub const fn finish(self) -> FileHash {
        FileHash(self.0)
    }
}
