//! Who may be a member: leaves whose device certificate verifies under the identity key of the account they name.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mls_rs_core::{
    crypto::SignaturePublicKey,
    error::IntoAnyError,
    extension::ExtensionList,
    identity::{
        Credential, CredentialType, CustomCredential, IdentityProvider, MemberValidationContext,
        SigningIdentity,
    },
    time::MlsTime,
};

use crate::{
    crypto::{
        kdf,
        sign::{AccountPublicKey, DevicePublicKey},
    },
    identity::{CREDENTIAL_TYPE, IdentityError, LeafCredential},
    ids::AccountId,
};

/// Verified leaves that are remembered, so that a tree is not verified again for every commit. Above this number the
/// memory starts anew; 48 bytes each.
const REMEMBERED: usize = 16_384;

/// The identity keys that the client has pinned.
pub trait AccountKeys: Send + Sync {
    /// The identity key of `account`, if it is pinned and its SHA-384 is `identity_key_hash`.
    ///
    /// Asked by account too: a key vouches only for devices of its own account, so one member cannot certify a device
    /// in another's name.
    fn account_key(&self, account: AccountId, identity_key_hash: &[u8; 48]) -> Option<AccountPublicKey>;

    /// Whether it is known that `account` has no such key: the directory was asked, and its verified answer names
    /// another or nobody. A leaf that names one is invalid for everybody; without this, one made-up name would have
    /// every member wait for a key that does not exist.
    fn is_no_key(&self, _account: AccountId, _identity_key_hash: &[u8; 48]) -> bool {
        false
    }
}

/// An identity key that a leaf names and [`AccountKeys`] does not have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MissingKey {
    /// Whose directory has to be fetched.
    pub account: AccountId,
    /// SHA-384 of the key that the leaf names.
    pub identity_key_hash: [u8; 48],
}

/// Collects the keys that were missing; clones share one list.
#[derive(Clone, Default, Debug)]
pub struct Missing(Arc<Mutex<Vec<MissingKey>>>);

impl Missing {
    /// Takes all that were missing since the last time, none twice.
    pub fn take(&self) -> Vec<MissingKey> {
        std::mem::take(&mut *lock(&self.0))
    }

    fn add(&self, key: MissingKey) {
        let mut list = lock(&self.0);
        if !list.contains(&key) {
            list.push(key);
        }
    }
}

/// A leaf is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// The identity key that the leaf names is not pinned. It stands in [`Missing`] now: fetch the directory, pin,
    /// try again.
    #[error("the identity key of account {0} is not known yet")]
    UnknownKey(AccountId),
    /// The account has no such identity key.
    #[error("account {0} has no such identity key")]
    NoSuchKey(AccountId),
    /// The leaf's credential is of another type than ours.
    #[error("a leaf has a credential of type {0:#06x}")]
    CredentialType(u16),
    /// The leaf's signature key is no device key.
    #[error("a leaf has no device key")]
    DeviceKey,
    /// The certificate is malformed or forged.
    #[error(transparent)]
    Certificate(#[from] IdentityError),
    /// Senders outside the group are never accepted.
    #[error("external senders are not accepted")]
    ExternalSender,
}

impl IntoAnyError for MemberError {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(Box::new(self))
    }
}

/// What a device puts into its leaves: its key, and its encoded certificate as a credential.
///
/// # Errors
/// [`IdentityError`] when the certificate is malformed.
pub fn signing_identity(certificate: &[u8], key: &DevicePublicKey) -> Result<SigningIdentity, IdentityError> {
    let credential = LeafCredential::from_certificate(certificate)?;
    let credential = CustomCredential::new(CredentialType::new(CREDENTIAL_TYPE), credential.encode());
    Ok(SigningIdentity::new(Credential::Custom(credential), SignaturePublicKey::new_slice(key.as_bytes())))
}

/// Reads a leaf's credential. It is a claim until [`QchatIdentity`] has accepted the leaf; the library asks it before
/// a leaf gets into a group.
///
/// # Errors
/// [`MemberError::CredentialType`] or [`MemberError::Certificate`].
pub fn leaf_credential(identity: &SigningIdentity) -> Result<LeafCredential, MemberError> {
    Ok(LeafCredential::decode(credential_bytes(identity)?)?)
}

/// Validates members for the MLS library. Clones share the missing keys and what was verified already.
#[derive(Clone)]
pub struct QchatIdentity {
    keys: Arc<dyn AccountKeys>,
    missing: Missing,
    verified: Arc<Mutex<HashSet<[u8; 48]>>>,
}

impl QchatIdentity {
    /// Validates under the keys in `keys`.
    pub fn new(keys: Arc<dyn AccountKeys>) -> Self {
        Self { keys, missing: Missing::default(), verified: Arc::default() }
    }

    /// Where missing keys are collected.
    pub fn missing(&self) -> Missing {
        self.missing.clone()
    }

    /// Notes the key that a leaf names if it is not there. The library stops at the first leaf that it cannot accept: who
    /// meets many at once would have to start anew for each.
    pub(super) fn note_missing(&self, identity: &SigningIdentity) {
        if let Ok(LeafCredential { account, identity_key_hash, .. }) = leaf_credential(identity)
            && self.keys.account_key(account, &identity_key_hash).is_none()
            && !self.keys.is_no_key(account, &identity_key_hash)
        {
            self.missing.add(MissingKey { account, identity_key_hash });
        }
    }

    fn validate(&self, identity: &SigningIdentity) -> Result<(), MemberError> {
        let credential_bytes = credential_bytes(identity)?;
        let credential = LeafCredential::decode(credential_bytes)?;
        let LeafCredential { account, identity_key_hash, .. } = credential;
        // Asked even for a leaf that was verified before: its key may have been revoked since.
        let Some(key) = self.keys.account_key(account, &identity_key_hash) else {
            if self.keys.is_no_key(account, &identity_key_hash) {
                return Err(MemberError::NoSuchKey(account));
            }
            self.missing.add(MissingKey { account, identity_key_hash });
            return Err(MemberError::UnknownKey(account));
        };
        // Both parts have one size each, so no two leaves give the same bytes. The key is named by its hash in them.
        let leaf = kdf::sha384(&[credential_bytes, &identity.signature_key]);
        if lock(&self.verified).contains(&leaf) {
            return Ok(());
        }
        let device_key =
            DevicePublicKey::from_bytes(&identity.signature_key).map_err(|_| MemberError::DeviceKey)?;
        credential.verify(device_key, &key)?;
        let mut verified = lock(&self.verified);
        if verified.len() >= REMEMBERED {
            verified.clear();
        }
        verified.insert(leaf);
        Ok(())
    }
}

impl IdentityProvider for QchatIdentity {
    type Error = MemberError;

    fn validate_member(
        &self,
        signing_identity: &SigningIdentity,
        _timestamp: Option<MlsTime>,
        _context: MemberValidationContext<'_>,
    ) -> Result<(), MemberError> {
        self.validate(signing_identity)
    }

    fn validate_external_sender(
        &self,
        _signing_identity: &SigningIdentity,
        _timestamp: Option<MlsTime>,
        _extensions: Option<&ExtensionList>,
    ) -> Result<(), MemberError> {
        Err(MemberError::ExternalSender)
    }

    /// Account id and device id, 32 bytes: a device is in a group once.
    fn identity(
        &self,
        signing_identity: &SigningIdentity,
        _extensions: &ExtensionList,
    ) -> Result<Vec<u8>, MemberError> {
        let credential = leaf_credential(signing_identity)?;
        Ok([*credential.account.as_bytes(), *credential.device.as_bytes()].concat())
    }

    /// The same device of the same account. Under another key only by a newer certificate, which [`Self::validate_member`]
    /// has verified: whoever has the key that a device had before must not be able to lead its leaf back to it.
    fn valid_successor(
        &self,
        predecessor: &SigningIdentity,
        successor: &SigningIdentity,
        _extensions: &ExtensionList,
    ) -> Result<bool, MemberError> {
        let (old, new) = (leaf_credential(predecessor)?, leaf_credential(successor)?);
        let newer = new.certificate_created_at > old.certificate_created_at;
        Ok((old.account, old.device) == (new.account, new.device)
            && (predecessor.signature_key == successor.signature_key || newer))
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![CredentialType::new(CREDENTIAL_TYPE)]
    }
}

fn credential_bytes(identity: &SigningIdentity) -> Result<&[u8], MemberError> {
    match &identity.credential {
        Credential::Custom(custom) if custom.credential_type.raw_value() == CREDENTIAL_TYPE => {
            Ok(&custom.data)
        }
        other => Err(MemberError::CredentialType(other.credential_type().raw_value())),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
