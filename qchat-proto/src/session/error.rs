//! Why a step of the session was not taken. The caller rolls its transaction back.

use crate::{
    crypto::entropy::EntropyError,
    ids::{MessageId, Seq},
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
    /// A change that this device may not make, or can make no longer: it is taken out with
    /// [`super::outbox::give_up`], or nothing behind it is ever sent.
    #[error("that change to the room cannot be made: {source}")]
    Unsealable {
        /// Which row it is.
        message_id: MessageId,
        /// Why.
        source: MlsFault,
    },
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// This device has not joined the room.
    #[error("this device is not in that room")]
    NotJoined,
    /// This device is in the room already, or was after the moment that this Welcome is from.
    #[error("this device has joined that room already")]
    Joined,
    /// This device is in the room no more, is leaving, or cannot follow.
    #[error("this device cannot write to that room")]
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
    /// This device's own word that the room goes on with another group may be in the log: whether it is, is read first.
    #[error("this device is restarting the room itself")]
    Restarting,
    /// Who has added this device again was not in the room, as far as this device has followed.
    #[error("this device was added again by somebody who was not in the room when it last followed")]
    Stranger,
    /// Somebody who is no owner, as far as this device has followed, wants it in another group of the room.
    #[error("the room was not restarted by an owner of it")]
    NotOwner,
    /// The log around a Welcome is not the one that its sender saw.
    #[error("the server's log does not contain the invitation as its sender signed it")]
    Anchor,
}
