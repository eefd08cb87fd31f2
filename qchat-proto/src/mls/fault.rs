//! What can go wrong in a group, sorted by what follows from it.

use mls_rs::error::MlsError;

use super::{
    identity::{Missing, MissingKey},
    provider::SuiteError,
};

/// An operation of our own failed; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum MlsFault {
    /// The library refused. Its sentence names no secret.
    #[error("the group operation failed: {0}")]
    Mls(#[from] MlsError),
    /// Settings without a name or an admin, or with a name too long.
    #[error("a room needs a name of 1 to 128 bytes and at least one admin")]
    Settings,
    /// The device to be removed is no member.
    #[error("no such member")]
    NoSuchMember,
    /// A stored state cannot be read.
    #[error("the room's stored keys are malformed; this device must be added to the room again")]
    StoredState,
    /// A stored state without its ratchet tree, or with another's.
    #[error(
        "the room's stored keys and members do not belong together; this device must be added to the room again"
    )]
    StoredTree,
    /// The library did not do what it documents.
    #[error("the group library broke its contract")]
    Library,
}

impl From<mls_rs_core::extension::ExtensionError> for MlsFault {
    fn from(_: mls_rs_core::extension::ExtensionError) -> Self {
        Self::Library
    }
}

/// Something received could not be opened; the group is unchanged as long as nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenFault {
    /// Not an MLS message of the expected kind.
    #[error("it is malformed")]
    Malformed,
    /// Of a cipher suite that this version does not speak.
    #[error("it is of another cipher suite; the older of the two programs has to be upgraded")]
    Suite,
    /// Wrong in a way that every member sees alike: it is skipped by all.
    #[error("it is invalid")]
    Invalid,
    /// Sealed in an epoch that is over.
    #[error("it belongs to an earlier epoch")]
    PastEpoch,
    /// Sealed in an epoch that this device has not reached.
    #[error("it belongs to a later epoch")]
    FutureEpoch,
    /// Wrong in a way that may be this device's alone: it must not go on as if it followed.
    #[error("this device's keys do not open it")]
    Private,
    /// The identity keys with these hashes are needed before it can be judged.
    #[error("identity keys of {} accounts are not known yet", .0.len())]
    UnknownAccounts(Vec<MissingKey>),
    /// It bears the mark of this device, which did not send it.
    #[error("it claims to come from this device")]
    FromSelf,
}

impl OpenFault {
    /// Sorts a library error. Whoever can be the only one to see an error must not skip a commit that the others
    /// apply, so everything that touches a private key is [`OpenFault::Private`].
    pub(crate) fn from_library(error: &MlsError, missing: &Missing) -> Self {
        let missing = missing.take();
        if !missing.is_empty() {
            return Self::UnknownAccounts(missing);
        }
        match error {
            MlsError::CantProcessMessageFromSelf => Self::FromSelf,
            MlsError::InvalidConfirmationTag
            | MlsError::MissingRequiredPsk
            | MlsError::UpdateErrorNoSecretKey
            | MlsError::PubKeyMismatch
            | MlsError::LcaNotFoundInDirectPath
            | MlsError::InvalidTreeKemPrivateKey
            | MlsError::WelcomeKeyPackageNotFound => Self::Private,
            MlsError::CryptoProviderError(cause) if is_hpke(cause) => Self::Private,
            _ => Self::Invalid,
        }
    }
}

/// Opening with HPKE is the one thing in a commit that uses a key of this device alone.
fn is_hpke(cause: &mls_rs::error::AnyError) -> bool {
    matches!(cause.inner_dyn_error().downcast_ref(), Some(SuiteError::Hpke(_)))
}
