//! Frames to bytes and back, never reading more than the limits allow.

use bytes::Bytes;
use prost::Message;

use super::tree::TreeHash;

/// Bytes from the network are not the message they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than this kind of message may be.
    #[error("{what} of {size} bytes; at most {limit} are allowed")]
    TooLarge {
        /// What was being read.
        what: &'static str,
        /// Its size, bytes.
        size: usize,
        /// The limit, bytes.
        limit: usize,
    },
    /// Not protobuf, or a field of the wrong size or value.
    #[error("malformed {0}")]
    Malformed(&'static str),
}

/// Decodes a protobuf message of at most `limit` bytes. Byte fields share `bytes`.
///
/// # Errors
/// [`DecodeError::TooLarge`] before anything is read, [`DecodeError::Malformed`] after.
pub fn decode<M: Message + Default>(
    what: &'static str,
    bytes: Bytes,
    limit: usize,
) -> Result<M, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLarge { what, size: bytes.len(), limit });
    }
    M::decode(bytes).map_err(|_| DecodeError::Malformed(what))
}

/// Encodes a protobuf message.
pub fn encode<M: Message>(message: &M) -> Bytes {
    message.encode_to_vec().into()
}

/// Reads the name of a ratchet tree out of a byte field.
///
/// # Errors
/// [`DecodeError::Malformed`] when the field has another size.
pub fn tree_hash(bytes: &[u8]) -> Result<TreeHash, DecodeError> {
    TreeHash::try_from(bytes).map_err(|_| DecodeError::Malformed("tree hash"))
}

/// Reads a fixed-size id out of a byte field.
///
/// # Errors
/// [`DecodeError::Malformed`] when the field has another size.
pub fn id<T>(what: &'static str, bytes: &[u8]) -> Result<T, DecodeError>
where
    T: for<'a> TryFrom<&'a [u8], Error = crate::ids::IdError>,
{
    T::try_from(bytes).map_err(|_| DecodeError::Malformed(what))
}
