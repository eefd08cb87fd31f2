//! The recovery proof: whoever has the words answers a server's challenge, on a machine that has nothing else.

use super::{IdentityError, format::Statement};
use crate::{
    crypto::{
        kdf,
        sign::{AccountPublicKey, AccountSigningKey, SignatureUse},
    },
    ids::{AccountId, DeviceId, ServerId},
};

const WHAT: Statement = Statement::RecoveryProof;

/// What is asked for in the name of the recovery key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recovering<'a> {
    /// The account's directory entry and the heads of its backups.
    Look,
    /// That a device is one of the account from now on.
    AddDevice {
        /// The signed device list that names it.
        list: &'a [u8],
    },
}

/// What the recovery signing key signs. Only the signature travels.
///
/// | bytes | content |
/// |---|---|
/// | 2 | version 1, kind 34 |
/// | 1 | 1 to look, 2 to add a device |
/// | 32 | nonce |
/// | 16 | server id |
/// | 8 | `expires_at` |
/// | 16 | account id |
/// | 16 | device id: of the device that is to be |
/// | 48 | SHA-384 of nothing, or of the signed device list |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecoveryProof {
    /// Drawn by the server, good for one use.
    pub nonce: [u8; 32],
    /// The server.
    pub server: ServerId,
    /// The first second at which the proof is no longer good.
    pub expires_at: u64,
    /// Whose account.
    pub account: AccountId,
    /// The device that is to be.
    pub device: DeviceId,
}

impl RecoveryProof {
    /// Signs; the result is the bare signature, 4,691 bytes.
    ///
    /// # Errors
    /// [`IdentityError::Sign`].
    pub fn sign(&self, what: Recovering<'_>, recovery: &AccountSigningKey) -> Result<Vec<u8>, IdentityError> {
        Ok(recovery.sign(SignatureUse::Recovery, &self.signed_bytes(what))?)
    }

    /// Checks a signature for this and nothing else, and that `now` is before the expiry.
    ///
    /// # Errors
    /// [`IdentityError::Forged`] or [`IdentityError::Expired`].
    pub fn verify(
        &self,
        what: Recovering<'_>,
        signature: &[u8],
        recovery: &AccountPublicKey,
        now: u64,
    ) -> Result<(), IdentityError> {
        recovery
            .verify(SignatureUse::Recovery, &self.signed_bytes(what), signature)
            .map_err(|_| IdentityError::Forged(WHAT.name()))?;
        if now >= self.expires_at {
            return Err(IdentityError::Expired { what: WHAT.name(), expired_at: self.expires_at, now });
        }
        Ok(())
    }

    fn signed_bytes(&self, what: Recovering<'_>) -> Vec<u8> {
        let (code, with) = match what {
            Recovering::Look => (1, &[][..]),
            Recovering::AddDevice { list } => (2, list),
        };
        let mut bytes = WHAT.begin();
        bytes.push(code);
        bytes.extend(self.nonce);
        bytes.extend(self.server.as_bytes());
        bytes.extend(self.expires_at.to_be_bytes());
        bytes.extend(self.account.as_bytes());
        bytes.extend(self.device.as_bytes());
        bytes.extend(kdf::sha384(&[with]));
        bytes
    }
}
