//! Why two devices do not come together.

use crate::{
    crypto::{entropy::EntropyError, hpke::HpkeError, sign::SignError},
    identity::IdentityError,
};

/// A step between a new and an old device is refused, or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// What the new device opened is not what it had committed to: somebody in between has exchanged one of the two.
    #[error("the new device has not opened what it committed to")]
    Commitment,
    /// The other device speaks of another server, account or name.
    #[error("the other device is about another {0}")]
    Mismatch(&'static str),
    /// What was sealed for this device does not open: it was made for another, or altered.
    #[error("what the other device has sent does not open")]
    Sealed,
    /// A statement in it does not hold.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A key could not be made.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl From<HpkeError> for LinkError {
    fn from(error: HpkeError) -> Self {
        match error {
            HpkeError::Entropy(error) => Self::Entropy(error),
            HpkeError::Key | HpkeError::Psk | HpkeError::Open | HpkeError::Exhausted => Self::Sealed,
        }
    }
}
