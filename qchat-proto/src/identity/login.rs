//! The login proof: a device answers one server's challenge.

use super::{IdentityError, format::Statement};
use crate::{
    crypto::sign::{DevicePublicKey, DeviceSigningKey, SignatureUse},
    ids::{AccountId, DeviceId, ServerId},
};

const WHAT: Statement = Statement::LoginProof;

/// What a device signs to log in. Only the signature travels: the server drew or knows every field, and takes none of
/// them from the client's word.
///
/// | bytes | content |
/// |---|---|
/// | 2 | version 1, kind 4 |
/// | 32 | nonce |
/// | 16 | server id: a proof for one server is worth nothing at another |
/// | 8 | `expires_at` |
/// | 16 | account id |
/// | 16 | device id |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoginProof {
    /// Drawn by the server, good for one login.
    pub nonce: [u8; 32],
    /// The server that the device registered with.
    pub server: ServerId,
    /// The first second at which the proof is no longer good.
    pub expires_at: u64,
    /// Who logs in.
    pub account: AccountId,
    /// With which device.
    pub device: DeviceId,
}

impl LoginProof {
    /// Signs; the result is the bare signature, 3,373 bytes.
    ///
    /// # Errors
    /// [`IdentityError::Sign`].
    pub fn sign(&self, device: &DeviceSigningKey) -> Result<Vec<u8>, IdentityError> {
        Ok(device.sign(SignatureUse::Login, &self.signed_bytes())?)
    }

    /// Checks a signature over these fields, and that `now` is before the expiry.
    ///
    /// # Errors
    /// [`IdentityError::Forged`] or [`IdentityError::Expired`].
    pub fn verify(&self, signature: &[u8], device: &DevicePublicKey, now: u64) -> Result<(), IdentityError> {
        device
            .verify(SignatureUse::Login, &self.signed_bytes(), signature)
            .map_err(|_| IdentityError::Forged(WHAT.name()))?;
        if now >= self.expires_at {
            return Err(IdentityError::Expired { what: WHAT.name(), expired_at: self.expires_at, now });
        }
        Ok(())
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = WHAT.begin();
        bytes.extend(self.nonce);
        bytes.extend(self.server.as_bytes());
        bytes.extend(self.expires_at.to_be_bytes());
        bytes.extend(self.account.as_bytes());
        bytes.extend(self.device.as_bytes());
        bytes
    }
}
