//! Why a step of the session was not taken. The caller rolls its transaction back.

use crate::{
    crypto::entropy::EntropyError,
    ids::Seq,
    mls::{
        fault::{MlsFault, OpenFault},
        identity::MissingKey,
    },
    session::ledger::Phase,
};

/// A step failed and must leave no trace.
#[derive(Debug, thiserror::Error)]
pub enum SessionError<E: std::error::Error> {
    /// The ledger failed.
    #[error("the local database failed")]
    Ledger(#[source] E),
    /// A group operation of our own failed.
    #[error(transparent)]
    Mls(#[from] MlsFault),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// This device has not joined the room.
    #[error("this device is not in that room")]
    NotJoined,
    /// This device is in the room no more, is leaving, or cannot follow.
    #[error("this device cannot write to that room: {0:?}")]
    NotWriting(Phase),
    /// The envelope is not the one that follows the cursor: fetch from there.
    #[error("expected the envelope after {cursor}")]
    NotNext {
        /// The cursor.
        cursor: Seq,
    },
    /// The daemon sent something that is no envelope of this room. It says so to nobody else, so it is not skipped.
    #[error("the server sent a malformed envelope")]
    Server,
    /// The identity keys of these accounts are needed first.
    #[error("identity keys of {} accounts must be fetched first", .0.len())]
    UnknownAccounts(Vec<MissingKey>),
    /// A Welcome cannot be used.
    #[error("the invitation cannot be used: {0}")]
    Welcome(#[source] OpenFault),
    /// The log around a Welcome is not the one that its sender saw.
    #[error("the server's log does not contain the invitation as its sender signed it")]
    Anchor,
}
