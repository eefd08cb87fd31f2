//! The head of a backup: which version it is, what came before, what belongs to it, and what opens that.

use zeroize::Zeroizing;

use super::{BackupKey, BackupSecret};
use crate::{
    crypto::{
        aead,
        entropy::Entropy,
        hpke, kdf,
        secret::Secret,
        sign::{Account, AccountPublicKey, AccountSigningKey, Level, SignatureUse},
    },
    identity::{
        AccountRecord, IdentityError,
        format::{Reader, Statement},
        link::LinkError,
    },
    ids::{AccountId, DeviceId},
    wire::chunk::ChunkId,
};

const WHAT: Statement = Statement::BackupHead;
const INFO: &[u8] = b"qchat backup v1";
const SEED: usize = 64;
const SECRET: usize = 32;
/// Bytes of what only the recovery words open.
const SEALED: usize = hpke::ENCAPSULATED_KEY + SEED + SECRET + aead::TAG;

/// What a device says of its newest backup. Everything that is needed to go on is in it or named by it.
///
/// | bytes | content |
/// |---|---|
/// | 2 | version 1, kind 33 |
/// | 16 | account id |
/// | 16 | device id: whose series it is |
/// | 8 | `version`, 1 for the first of the series |
/// | 48 | SHA-384 of the signed head before it; zeros for the first |
/// | 8 | `created_at` |
/// | 8 | version of the account's device list that the device knew |
/// | 4 | number of chunks, without the index |
/// | 8 | number of messages |
/// | 32 | id of the index |
/// | 5925 | the signed backup key |
/// | 1232 | encapsulated key (1120) ‖ HPKE ciphertext of: seed of the account identity key (64) ‖ backup secret (32); info `qchat backup v1`, associated data: all of the above |
/// | 4691 | signature by the account identity key over all of the above |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackupHead {
    /// The account.
    pub account: AccountId,
    /// The device whose series it belongs to.
    pub device: DeviceId,
    /// Its place in the series.
    pub version: u64,
    /// SHA-384 of the head before it.
    pub previous: [u8; 48],
    /// Seconds since the Unix epoch.
    pub created_at: u64,
    /// The version of the account's device list that the device knew.
    pub list_version: u64,
    /// Chunks that belong to it, without the index.
    pub chunks: u32,
    /// Messages in them.
    pub messages: u64,
    /// The chunk that names the others.
    pub index: ChunkId,
}

/// A head that is genuine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenedHead {
    /// What it says.
    pub head: BackupHead,
    /// The key that it is sealed to.
    pub key: BackupKey,
    aad: Vec<u8>,
    sealed: Vec<u8>,
}

impl BackupHead {
    /// What stands before the first.
    pub const NOTHING: [u8; 48] = [0; 48];
    /// Size of a signed head, bytes.
    pub const SIZE: usize =
        2 + 16 + 16 + 8 + 48 + 8 + 8 + 4 + 8 + ChunkId::SIZE + BackupKey::SIZE + SEALED + Account::SIGNATURE;

    /// Seals the account's key and the secret of the series, and signs.
    ///
    /// # Errors
    /// [`LinkError::Identity`] or [`LinkError::Entropy`].
    pub fn sign(
        &self,
        key: &BackupKey,
        identity: &AccountSigningKey,
        secret: &BackupSecret,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, LinkError> {
        let mut bytes = WHAT.begin();
        bytes.extend(self.account.as_bytes());
        bytes.extend(self.device.as_bytes());
        bytes.extend(self.version.to_be_bytes());
        bytes.extend(self.previous);
        bytes.extend(self.created_at.to_be_bytes());
        bytes.extend(self.list_version.to_be_bytes());
        bytes.extend(self.chunks.to_be_bytes());
        bytes.extend(self.messages.to_be_bytes());
        bytes.extend(self.index.as_bytes());
        bytes.extend(key.as_bytes());
        let mut plain = Zeroizing::new(Vec::with_capacity(SEED + SECRET));
        plain.extend_from_slice(identity.seed().expose());
        plain.extend_from_slice(secret.secret().expose());
        let sealed = hpke::seal(entropy, key.public_key(), INFO, None, &bytes, &plain)?;
        bytes.extend(sealed.encapsulated_key);
        bytes.extend(sealed.ciphertext);
        let signature = identity.sign(SignatureUse::Backup, &bytes).map_err(IdentityError::from)?;
        bytes.extend(signature);
        Ok(bytes)
    }

    /// Reads a head and checks that the account signed it, and that the key in it is the recovery key's.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`], [`IdentityError::Forged`] or [`IdentityError::Mismatch`].
    pub fn verify(bytes: &[u8], record: &AccountRecord) -> Result<OpenedHead, IdentityError> {
        Self::verify_by(bytes, record.account, &record.identity_key, &record.recovery_key)
    }

    fn verify_by(
        bytes: &[u8],
        account: AccountId,
        identity: &AccountPublicKey,
        recovery: &AccountPublicKey,
    ) -> Result<OpenedHead, IdentityError> {
        let mut reader = Reader::new(bytes, WHAT)?;
        let head = Self {
            account: reader.account()?,
            device: reader.device()?,
            version: reader.u64()?,
            previous: reader.array()?,
            created_at: reader.u64()?,
            list_version: reader.u64()?,
            chunks: reader.array().map(u32::from_be_bytes)?,
            messages: reader.u64()?,
            index: ChunkId::from_bytes(reader.array()?),
        };
        let key = reader.bytes(BackupKey::SIZE)?;
        let aad = reader.so_far().to_vec();
        let sealed = reader.bytes(SEALED)?.to_vec();
        let signed = reader.so_far();
        let signature = reader.bytes(Account::SIGNATURE)?;
        reader.end()?;
        identity
            .verify(SignatureUse::Backup, signed, signature)
            .map_err(|_| IdentityError::Forged(WHAT.name()))?;
        if head.account != account {
            return Err(IdentityError::Mismatch { what: WHAT.name(), about: "account" });
        }
        if head.version == 0 || (head.version == 1) != (head.previous == Self::NOTHING) {
            return Err(IdentityError::Malformed(WHAT.name()));
        }
        let key = BackupKey::verify(key, account, recovery)?;
        Ok(OpenedHead { head, key, aad, sealed })
    }

    /// What the head after this one names as the one before it.
    pub fn hash(signed: &[u8]) -> [u8; 48] {
        kdf::sha384(&[signed])
    }
}

impl OpenedHead {
    /// Opens what only the recovery words open: the account's identity key, which has to be the record's, and the secret.
    ///
    /// # Errors
    /// [`LinkError::Sealed`]; [`LinkError::Mismatch`] when the key is another account's.
    pub fn open(
        &self,
        backup_key: &Secret<{ hpke::SECRET_KEY }>,
        record: &AccountRecord,
    ) -> Result<(AccountSigningKey, BackupSecret), LinkError> {
        let (encapsulated, ciphertext) = self
            .sealed
            .split_at_checked(hpke::ENCAPSULATED_KEY)
            .ok_or(IdentityError::Malformed(WHAT.name()))?;
        let plain = hpke::open(backup_key.expose(), (encapsulated, ciphertext), INFO, None, &self.aad)?;
        let malformed = || IdentityError::Malformed(WHAT.name());
        let (seed, secret) = plain.split_at_checked(SEED).ok_or_else(malformed)?;
        let seed = Secret::from_slice(seed).ok_or_else(malformed)?;
        let secret = Secret::from_slice(secret).ok_or_else(malformed)?;
        let identity = AccountSigningKey::from_seed(seed)?;
        if *identity.public() != record.identity_key {
            return Err(LinkError::Mismatch("account"));
        }
        Ok((identity, BackupSecret::new(secret)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{crypto::entropy::SystemEntropy, identity::RecoveryKey};

    /// A head, the record that it is held against, and the secret half of the key that it is sealed to.
    fn made() -> (Vec<u8>, BackupHead, AccountRecord, Secret<{ hpke::SECRET_KEY }>, AccountSigningKey) {
        let words = RecoveryKey::generate(&SystemEntropy).unwrap();
        let (recovery, identity) =
            (words.signing_key().unwrap(), AccountSigningKey::generate(&SystemEntropy).unwrap());
        let record = AccountRecord {
            account: AccountId::from_bytes([1; 16]),
            name: "alice".parse().unwrap(),
            identity_key: identity.public().clone(),
            recovery_key: recovery.public().clone(),
            created_at: 5,
        };
        let (secret, public) = words.backup_key().unwrap();
        let key = BackupKey::sign(record.account, public, &recovery).unwrap();
        let head = BackupHead {
            account: record.account,
            device: DeviceId::from_bytes([2; 16]),
            version: 1,
            previous: BackupHead::NOTHING,
            created_at: 6,
            list_version: 7,
            chunks: 8,
            messages: 9,
            index: ChunkId::from_bytes([3; 32]),
        };
        let series = BackupSecret::new(Secret::from_bytes([4; 32]));
        let signed = head.sign(&key, &identity, &series, &SystemEntropy).unwrap();
        (signed, head, record, secret, identity)
    }

    #[test]
    fn a_head_gives_the_words_the_accounts_key_and_the_secret() {
        let (signed, head, record, secret, identity) = made();
        assert_eq!(signed.len(), BackupHead::SIZE);
        let opened = BackupHead::verify(&signed, &record).unwrap();
        assert_eq!(opened.head, head);
        let (found, series) = opened.open(&secret, &record).unwrap();
        assert!(found.seed().ct_eq(identity.seed()) && series.secret().ct_eq(&Secret::from_bytes([4; 32])));
    }

    #[test]
    fn every_lie_in_a_head_has_its_refusal() {
        let (signed, head, record, secret, identity) = made();
        let (.., stranger, other, thief) = made();
        // Somebody else's account, or an identity key of before.
        let of = |account: &AccountRecord| BackupHead::verify(&signed, account).err();
        assert_eq!(of(&stranger), Some(IdentityError::Forged("head of a backup")));
        // Cut, longer, and altered wherever that is.
        for length in [0, 1, 2, 300, signed.len() - 1] {
            let cut = BackupHead::verify(&signed[..length], &record).err();
            assert_eq!(cut, Some(IdentityError::Malformed("head of a backup")), "{length}");
        }
        assert!(BackupHead::verify(&[&signed[..], &[0]].concat(), &record).is_err());
        for place in [2, 20, 40, 100, 170, 1000, 7000, signed.len() - 4691 - 10, signed.len() - 1] {
            let mut altered = signed.clone();
            altered[place] ^= 1;
            assert!(BackupHead::verify(&altered, &record).is_err(), "{place}");
        }
        // Whoever holds the account's key alone cannot have others seal to a key that the words do not give.
        let (_, public) = hpke::generate_key_pair(&SystemEntropy).unwrap();
        let forged = BackupKey::sign(record.account, public, &thief).unwrap();
        let series = BackupSecret::new(Secret::from_bytes([4; 32]));
        let sealed = head.sign(&forged, &identity, &series, &SystemEntropy).unwrap();
        let said = BackupHead::verify(&sealed, &record).err();
        assert_eq!(said, Some(IdentityError::Forged("backup key")));
        // Nothing opens it but the words, and what they open is this account's.
        let opened = BackupHead::verify(&signed, &record).unwrap();
        assert_eq!(opened.open(&other, &record).err(), Some(LinkError::Sealed));
        let elsewhere = opened.open(&secret, &stranger).err();
        assert_eq!(elsewhere, Some(LinkError::Mismatch("account")));
        // A first one has nothing before it, and a later one has.
        let key = opened.key.clone();
        for (version, previous) in [(0, [0; 48]), (1, [1; 48]), (2, [0; 48])] {
            let wrong = BackupHead { version, previous, ..head.clone() };
            let wrong = wrong.sign(&key, &identity, &series, &SystemEntropy).unwrap();
            let said = BackupHead::verify(&wrong, &record).err();
            assert_eq!(said, Some(IdentityError::Malformed("head of a backup")), "{version}");
        }
    }
}
