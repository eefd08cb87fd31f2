//! The credential in an MLS leaf: a device certificate without the key, which the leaf has anyway.

use super::{
    DeviceCertificate, IdentityError,
    format::{Reader, Statement},
};
use crate::{
    crypto::sign::{Account, AccountPublicKey, DevicePublicKey, Level},
    ids::{AccountId, DeviceId},
};

const WHAT: Statement = Statement::LeafCredential;

/// The MLS credential type of [`LeafCredential`], out of the private-use range (RFC 9420 §17.5).
pub const CREDENTIAL_TYPE: u16 = 0xf0a0;

/// What a leaf says of itself. With the leaf's signature key it is a [`DeviceCertificate`].
///
/// | bytes | content |
/// |---|---|
/// | 2 | version 1, kind 5 |
/// | 16 | account id |
/// | 16 | device id |
/// | 48 | SHA-384 of the account identity key |
/// | 8 | `created_at` of the certificate |
/// | 4691 | signature of the certificate |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeafCredential {
    /// The account.
    pub account: AccountId,
    /// Its device.
    pub device: DeviceId,
    /// SHA-384 of the account identity key that signed the certificate.
    pub identity_key_hash: [u8; 48],
    /// From the certificate, seconds since the Unix epoch.
    pub certificate_created_at: u64,
    /// From the certificate, 4,691 bytes.
    pub certificate_signature: Vec<u8>,
}

impl LeafCredential {
    /// Takes the credential out of an encoded certificate, which is the caller's own and not verified again.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`].
    pub fn from_certificate(certificate: &[u8]) -> Result<Self, IdentityError> {
        let (certificate, signature) = DeviceCertificate::decode(certificate)?;
        Ok(Self {
            account: certificate.account,
            device: certificate.device,
            identity_key_hash: certificate.identity_key_hash,
            certificate_created_at: certificate.created_at,
            certificate_signature: signature.to_vec(),
        })
    }

    /// Encodes the credential.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = WHAT.begin();
        bytes.extend(self.account.as_bytes());
        bytes.extend(self.device.as_bytes());
        bytes.extend(self.identity_key_hash);
        bytes.extend(self.certificate_created_at.to_be_bytes());
        bytes.extend(&self.certificate_signature);
        bytes
    }

    /// Decodes a credential; it claims, [`verify`](Self::verify) believes.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, IdentityError> {
        let mut reader = Reader::new(bytes, WHAT)?;
        let credential = Self {
            account: reader.account()?,
            device: reader.device()?,
            identity_key_hash: reader.array()?,
            certificate_created_at: reader.u64()?,
            certificate_signature: reader.bytes(Account::SIGNATURE)?.to_vec(),
        };
        reader.end()?;
        Ok(credential)
    }

    /// Puts the certificate together again with the leaf's signature key, and checks that `identity` signed it.
    ///
    /// # Errors
    /// [`IdentityError::Forged`], or [`IdentityError::Mismatch`] when the credential names another identity key.
    pub fn verify(
        &self,
        device_key: DevicePublicKey,
        identity: &AccountPublicKey,
    ) -> Result<DeviceCertificate, IdentityError> {
        let certificate = DeviceCertificate {
            account: self.account,
            device: self.device,
            device_key,
            identity_key_hash: self.identity_key_hash,
            created_at: self.certificate_created_at,
        };
        certificate.check(&self.certificate_signature, identity)?;
        Ok(certificate)
    }
}
