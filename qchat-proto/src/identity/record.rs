//! The account record: an account's name and its two keys, each of which signs it.

use super::{
    IdentityError,
    format::{Reader, Statement, put_text},
};
use crate::{
    crypto::sign::{Account, AccountPublicKey, AccountSigningKey, Level, SignatureUse},
    ids::{AccountId, UserName},
};

const WHAT: Statement = Statement::AccountRecord;

/// The first entry of an account's directory. It holds the keys it is signed with, so it proves itself; that it
/// belongs to the person is what pinning and the safety number are for.
///
/// | bytes | content |
/// |---|---|
/// | 2 | version 1, kind 1 |
/// | 16 | account id |
/// | 1 + 1..=32 | length of the name, the name ([`UserName`]) |
/// | 2624 | account identity key (AIK) |
/// | 2624 | recovery key, another one than the AIK |
/// | 8 | `created_at` |
/// | 4691 | signature by the AIK over all of the above |
/// | 4691 | signature by the recovery key over the same |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountRecord {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub name: UserName,
    /// Signs certificates and device lists.
    pub identity_key: AccountPublicKey,
    /// Outranks the identity key: a record with a new identity key counts as the owner's only if the same recovery
    /// key signs it.
    pub recovery_key: AccountPublicKey,
    /// When this record was made, seconds since the Unix epoch. Grows with each record of the account.
    pub created_at: u64,
}

impl AccountRecord {
    /// Signs the record with both keys.
    ///
    /// # Errors
    /// [`IdentityError::Mismatch`] when a key is not the one that the record names, [`IdentityError::Malformed`] when
    /// both are the same.
    pub fn sign(
        &self,
        identity: &AccountSigningKey,
        recovery: &AccountSigningKey,
    ) -> Result<Vec<u8>, IdentityError> {
        if *identity.public() != self.identity_key || *recovery.public() != self.recovery_key {
            return Err(IdentityError::Mismatch { what: WHAT.name(), about: "key" });
        }
        self.check()?;
        let mut bytes = WHAT.begin();
        bytes.extend(self.account.as_bytes());
        put_text(&mut bytes, self.name.as_str());
        bytes.extend(self.identity_key.as_bytes());
        bytes.extend(self.recovery_key.as_bytes());
        bytes.extend(self.created_at.to_be_bytes());
        let signatures = [identity, recovery].map(|key| key.sign(SignatureUse::AccountRecord, &bytes));
        for signature in signatures {
            bytes.extend(signature?);
        }
        Ok(bytes)
    }

    /// Reads a record and checks both signatures under the keys that it holds.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`] or [`IdentityError::Forged`].
    pub fn verify(bytes: &[u8]) -> Result<Self, IdentityError> {
        let mut reader = Reader::new(bytes, WHAT)?;
        let account = reader.account()?;
        let record = Self {
            account,
            name: reader.name()?,
            identity_key: reader.key()?,
            recovery_key: reader.key()?,
            created_at: reader.u64()?,
        };
        record.check()?;
        let signed = reader.so_far();
        let by_identity = reader.bytes(Account::SIGNATURE)?;
        let by_recovery = reader.bytes(Account::SIGNATURE)?;
        reader.end()?;
        for (key, signature) in [(&record.identity_key, by_identity), (&record.recovery_key, by_recovery)] {
            key.verify(SignatureUse::AccountRecord, signed, signature)
                .map_err(|_| IdentityError::Forged(WHAT.name()))?;
        }
        Ok(record)
    }

    /// What an encoded record says, without its signatures: signing the same again says nothing new.
    pub(super) fn said(encoded: &[u8]) -> &[u8] {
        &encoded[..encoded.len().saturating_sub(2 * Account::SIGNATURE)]
    }

    fn check(&self) -> Result<(), IdentityError> {
        if self.identity_key == self.recovery_key {
            Err(IdentityError::Malformed(WHAT.name()))
        } else {
            Ok(())
        }
    }
}
