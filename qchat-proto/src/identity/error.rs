//! Why a statement about identities is not believed.

use crate::{
    crypto::sign::SignError,
    ids::{AccountId, DeviceId},
};

/// A statement is refused, or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not the one encoding that the statement has, or of a version this client does not know.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A signature does not verify under the key it has to verify under.
    #[error("forged {0}: its signature does not verify")]
    Forged(&'static str),
    /// It is genuine but speaks of another account, name, device or key than it was asked or presented for.
    #[error("the {what} is not about the right {about}")]
    Mismatch {
        /// The statement.
        what: &'static str,
        /// What differs.
        about: &'static str,
    },
    /// Its time is over; the account's owner has to come online and sign a new one, or the clock here is wrong.
    #[error("the {what} expired {} s ago", now.saturating_sub(*expired_at))]
    Expired {
        /// The statement.
        what: &'static str,
        /// When it stopped being good, seconds since the Unix epoch.
        expired_at: u64,
        /// The clock it was judged by.
        now: u64,
    },
    /// Older than one that was seen already: the server shows the past, where a device may not be revoked yet.
    #[error("the {what} is older than one already seen (known {known}, offered {offered})")]
    RolledBack {
        /// The statement.
        what: &'static str,
        /// Version, or for a record the time of creation, that is known.
        known: u64,
        /// What was offered.
        offered: u64,
    },
    /// Two different device lists have the same version: the account's owner signed both, the server shows one to some.
    #[error("two different device lists have version {version}")]
    Forked {
        /// The version of both.
        version: u64,
    },
    /// A device is listed, but no certificate ties it to the key that the list names.
    #[error("device {device} is listed without a certificate of its key")]
    GhostDevice {
        /// The device.
        device: DeviceId,
    },
    /// The account has another identity or recovery key than the one pinned. Nothing may be sent to it until the user
    /// has accepted the new key.
    #[error("the identity key of account {account} has changed; verify it with its owner")]
    IdentityChanged {
        /// The account.
        account: AccountId,
        /// Whether the pinned recovery key signed the change: the owner recovered from a theft, or the recovery words
        /// are stolen.
        by_recovery_key: bool,
    },
    /// Signing failed.
    #[error(transparent)]
    Sign(#[from] SignError),
}
