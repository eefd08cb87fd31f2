//! The key that backups are sealed to, as the recovery key has signed it.

use crate::{
    crypto::{
        hpke,
        sign::{Account, AccountPublicKey, AccountSigningKey, Level, SignatureUse},
    },
    identity::{
        IdentityError,
        format::{Reader, Statement},
    },
    ids::AccountId,
};

const WHAT: Statement = Statement::BackupKey;

/// A public key whose secret half the recovery words give, and nothing else does.
///
/// | bytes | content |
/// |---|---|
/// | 2 | version 1, kind 32 |
/// | 16 | account id |
/// | 1216 | X-Wing public key |
/// | 4691 | signature by the recovery key over all of the above |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackupKey {
    account: AccountId,
    public_key: Vec<u8>,
    signed: Vec<u8>,
}

impl BackupKey {
    /// Size of the signed key, bytes.
    pub const SIZE: usize = 2 + 16 + hpke::PUBLIC_KEY + Account::SIGNATURE;

    /// Signs the public key for an account.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`] when it is none, [`IdentityError::Sign`].
    pub fn sign(
        account: AccountId,
        public_key: Vec<u8>,
        recovery: &AccountSigningKey,
    ) -> Result<Self, IdentityError> {
        hpke::validate_public_key(&public_key).map_err(|_| IdentityError::Malformed(WHAT.name()))?;
        let mut signed = WHAT.begin();
        signed.extend(account.as_bytes());
        signed.extend(&public_key);
        signed.extend(recovery.sign(SignatureUse::BackupKey, &signed)?);
        Ok(Self { account, public_key, signed })
    }

    /// Reads one and checks that the recovery key of that account signed it: whoever has stolen a device cannot have others
    /// seal to a key of their own.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`], [`IdentityError::Forged`], or [`IdentityError::Mismatch`] with another account's.
    pub fn verify(
        bytes: &[u8],
        account: AccountId,
        recovery: &AccountPublicKey,
    ) -> Result<Self, IdentityError> {
        let mut reader = Reader::new(bytes, WHAT)?;
        let of = reader.account()?;
        let public_key = reader.bytes(hpke::PUBLIC_KEY)?.to_vec();
        let signed = reader.so_far();
        let signature = reader.bytes(Account::SIGNATURE)?;
        reader.end()?;
        recovery
            .verify(SignatureUse::BackupKey, signed, signature)
            .map_err(|_| IdentityError::Forged(WHAT.name()))?;
        if of != account {
            return Err(IdentityError::Mismatch { what: WHAT.name(), about: "account" });
        }
        hpke::validate_public_key(&public_key).map_err(|_| IdentityError::Malformed(WHAT.name()))?;
        Ok(Self { account, public_key, signed: bytes.to_vec() })
    }

    /// Whose backups are sealed to it.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The public key.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// As it was signed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.signed
    }
}
