//! The account proof: a device answers a server's challenge for one thing that is done to its account, and for no other.

use sha2::{Digest, Sha384};

use super::{IdentityError, format::Statement};
use crate::{
    crypto::sign::{DevicePublicKey, DeviceSigningKey, SignatureUse},
    ids::{AccountId, DeviceId, ServerId},
};

const WHAT: Statement = Statement::AccountProof;

/// What is to be done to an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed<'a> {
    /// The passphrase is replaced.
    ChangePassphrase {
        /// The new auth key, 32 bytes.
        auth_key: &'a [u8],
        /// The salt that it was made with, 16 bytes.
        auth_salt: &'a [u8],
    },
    /// What the server holds about the account is given out.
    Export,
    /// The account is erased.
    Delete {
        /// What the client knows this deletion by, so that it can ask for it again.
        token: &'a [u8],
    },
}

impl Deed<'_> {
    const fn code(self) -> u8 {
        match self {
            Self::ChangePassphrase { .. } => 1,
            Self::Export => 2,
            Self::Delete { .. } => 3,
        }
    }

    const fn usage(self) -> SignatureUse {
        match self {
            Self::ChangePassphrase { .. } => SignatureUse::Passphrase,
            Self::Export => SignatureUse::Export,
            Self::Delete { .. } => SignatureUse::Deletion,
        }
    }

    /// SHA-384 of what it is done with.
    fn with(self) -> [u8; 48] {
        let hash = Sha384::new();
        match self {
            Self::ChangePassphrase { auth_key, auth_salt } => {
                hash.chain_update(auth_key).chain_update(auth_salt)
            }
            Self::Export => hash,
            Self::Delete { token } => hash.chain_update(token),
        }
        .finalize()
        .into()
    }
}

/// What a device signs before its account is changed, given out or erased: a session alone is not enough for that. Only
/// the signature travels.
///
/// | bytes | content |
/// |---|---|
/// | 2 | version 1, kind 16 |
/// | 1 | 1 the passphrase is changed, 2 the account is exported, 3 it is deleted |
/// | 32 | nonce |
/// | 16 | server id |
/// | 8 | `expires_at` |
/// | 16 | account id |
/// | 16 | device id |
/// | 48 | SHA-384 of what it is done with: the new auth key and its salt; nothing; the deletion's token |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountProof {
    /// Drawn by the server, good for one use.
    pub nonce: [u8; 32],
    /// The server.
    pub server: ServerId,
    /// The first second at which the proof is no longer good.
    pub expires_at: u64,
    /// Whose account.
    pub account: AccountId,
    /// By which device.
    pub device: DeviceId,
}

impl AccountProof {
    /// Signs; the result is the bare signature, 3,373 bytes.
    ///
    /// # Errors
    /// [`IdentityError::Sign`].
    pub fn sign(&self, deed: Deed<'_>, device: &DeviceSigningKey) -> Result<Vec<u8>, IdentityError> {
        Ok(device.sign(deed.usage(), &self.signed_bytes(deed))?)
    }

    /// Checks a signature for this deed, and that `now` is before the expiry.
    ///
    /// # Errors
    /// [`IdentityError::Forged`] or [`IdentityError::Expired`].
    pub fn verify(
        &self,
        deed: Deed<'_>,
        signature: &[u8],
        device: &DevicePublicKey,
        now: u64,
    ) -> Result<(), IdentityError> {
        device
            .verify(deed.usage(), &self.signed_bytes(deed), signature)
            .map_err(|_| IdentityError::Forged(WHAT.name()))?;
        if now >= self.expires_at {
            return Err(IdentityError::Expired { what: WHAT.name(), expired_at: self.expires_at, now });
        }
        Ok(())
    }

    fn signed_bytes(&self, deed: Deed<'_>) -> Vec<u8> {
        let mut bytes = WHAT.begin();
        bytes.push(deed.code());
        bytes.extend(self.nonce);
        bytes.extend(self.server.as_bytes());
        bytes.extend(self.expires_at.to_be_bytes());
        bytes.extend(self.account.as_bytes());
        bytes.extend(self.device.as_bytes());
        bytes.extend(deed.with());
        bytes
    }
}
