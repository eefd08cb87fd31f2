//! The device certificate: an account says that a device key is its own.

use super::{
    IdentityError,
    format::{Reader, Statement},
};
use crate::{
    crypto::sign::{Account, AccountPublicKey, AccountSigningKey, DevicePublicKey, Level, SignatureUse},
    ids::{AccountId, DeviceId},
};

const WHAT: Statement = Statement::DeviceCertificate;

/// Ties a device key to an account. It does not expire by itself: the device list says which devices count.
///
/// | bytes | content |
/// |---|---|
/// | 2 | version 1, kind 2 |
/// | 16 | account id |
/// | 16 | device id |
/// | 1984 | device key |
/// | 48 | SHA-384 of the account identity key that signs |
/// | 8 | `created_at` |
/// | 4691 | signature by the account identity key over all of the above |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceCertificate {
    /// The account.
    pub account: AccountId,
    /// Its device.
    pub device: DeviceId,
    /// The device's key.
    pub device_key: DevicePublicKey,
    /// SHA-384 of the account identity key that signs.
    pub identity_key_hash: [u8; 48],
    /// Seconds since the Unix epoch.
    pub created_at: u64,
}

impl DeviceCertificate {
    /// Signs the certificate.
    ///
    /// # Errors
    /// [`IdentityError::Mismatch`] when `identity` is not the key that the certificate names.
    pub fn sign(&self, identity: &AccountSigningKey) -> Result<Vec<u8>, IdentityError> {
        if identity.public().hash() != self.identity_key_hash {
            return Err(IdentityError::Mismatch { what: WHAT.name(), about: "identity key" });
        }
        let mut bytes = self.signed_bytes();
        bytes.extend(identity.sign(SignatureUse::DeviceCertificate, &bytes)?);
        Ok(bytes)
    }

    /// Reads a certificate and checks that `identity` signed it.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`], [`IdentityError::Forged`], or [`IdentityError::Mismatch`] when it names another
    /// identity key.
    pub fn verify(bytes: &[u8], identity: &AccountPublicKey) -> Result<Self, IdentityError> {
        let (certificate, signature) = Self::decode(bytes)?;
        certificate.check(signature, identity)?;
        Ok(certificate)
    }

    /// What is signed.
    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = WHAT.begin();
        bytes.extend(self.account.as_bytes());
        bytes.extend(self.device.as_bytes());
        bytes.extend(self.device_key.as_bytes());
        bytes.extend(self.identity_key_hash);
        bytes.extend(self.created_at.to_be_bytes());
        bytes
    }

    /// Reads without believing: the signature is returned, not checked.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), IdentityError> {
        let mut reader = Reader::new(bytes, WHAT)?;
        let certificate = Self {
            account: reader.account()?,
            device: reader.device()?,
            device_key: reader.key()?,
            identity_key_hash: reader.array()?,
            created_at: reader.u64()?,
        };
        let signature = reader.bytes(Account::SIGNATURE)?;
        reader.end()?;
        Ok((certificate, signature))
    }

    /// Checks a signature over these fields.
    pub(super) fn check(&self, signature: &[u8], identity: &AccountPublicKey) -> Result<(), IdentityError> {
        if identity.hash() != self.identity_key_hash {
            return Err(IdentityError::Mismatch { what: WHAT.name(), about: "identity key" });
        }
        identity
            .verify(SignatureUse::DeviceCertificate, &self.signed_bytes(), signature)
            .map_err(|_| IdentityError::Forged(WHAT.name()))
    }
}
