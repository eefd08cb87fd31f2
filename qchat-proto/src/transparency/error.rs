//! Why what a server says of its key directory is not believed.

use crate::crypto::sign::SignError;

/// A head or a proof is refused, or could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransparencyError {
    /// Not the one encoding that it has, or of a version this client does not know.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// The signature of a head does not verify under the key of the directory.
    #[error("the directory's head is not signed by its key")]
    Forged,
    /// A head of another server.
    #[error("the directory's head is another server's")]
    OtherServer,
    /// A proof does not lead to the head.
    #[error("the {0} does not hold")]
    False(&'static str),
    /// The heads between two do not lead from one to the other: one of them is of another log.
    #[error("the directory's heads of epochs {from} and {to} are not of one log")]
    Forked {
        /// The older epoch.
        from: u64,
        /// The newer one.
        to: u64,
    },
    /// Signing failed.
    #[error(transparent)]
    Sign(#[from] SignError),
}
