//! Composite signatures: ML-DSA (FIPS 204) and Ed25519 (RFC 8032) together; one is good only if both halves verify.
//!
//! | level | algorithms | public key | signature | seed |
//! |---|---|---|---|---|
//! | [`Device`] | ML-DSA-65 + Ed25519 | 1952 + 32 | 3309 + 64 | 32 + 32 |
//! | [`Account`] | ML-DSA-87 + Ed25519 | 2592 + 32 | 4627 + 64 | 32 + 32 |
//!
//! In every concatenation the ML-DSA part stands first. Both halves sign the same 114 bytes:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 32 | ASCII `qchat composite signatures v0001` |
//! | 32 | 16 | the [label](SignatureUse::label) of the use: ASCII, padded with zero bytes |
//! | 48 | 2 | the [suite](Level::SUITE), big-endian |
//! | 50 | 64 | SHA-512 of the message |
//!
//! ML-DSA is used pure and hedged (FIPS 204 algorithm 2 with fresh randomness), its own context string empty: the
//! separation lies in the signed bytes. A half cut out of a composite is therefore no signature of the message under
//! ML-DSA or Ed25519 alone, and these keys sign nothing else. Ed25519 is verified strictly: no key or `R` of small
//! order, no encoding but the canonical one.

use std::{
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    sync::Arc,
};

use aws_lc_rs::signature::{
    KeyPair, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87, ML_DSA_87_SIGNING, ParsedPublicKey, PqdsaKeyPair,
    PqdsaSigningAlgorithm, PqdsaVerificationAlgorithm,
};
use ed25519_dalek::{Signer, VerifyingKey};
use sha2::{Digest, Sha512};

use super::{
    entropy::{Entropy, EntropyError},
    kdf,
    secret::Secret,
};

const PREFIX: &[u8; 32] = b"qchat composite signatures v0001";
const ED25519_KEY: usize = 32;
const ED25519_SIGNATURE: usize = 64;
const SEED_HALF: usize = 32;

/// What a signature is for. One made for one use verifies under no other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SignatureUse {
    /// Whatever MLS signs: leaf nodes, KeyPackages, GroupInfos, framed content. By device keys.
    Mls,
    /// A certificate of a device. By account identity keys.
    DeviceCertificate,
    /// A device list. By account identity keys.
    DeviceList,
    /// An account record. By account identity keys and recovery keys.
    AccountRecord,
    /// A login proof. By device keys.
    Login,
    /// A request to be added to a room again. By device keys.
    Resync,
    /// That a room goes on with another group. By device keys.
    Restart,
    /// That the account's passphrase is replaced. By device keys.
    Passphrase,
    /// That what the server holds about the account is given out. By device keys.
    Export,
    /// That the account is erased. By device keys.
    Deletion,
    /// The head of a backup. By account identity keys.
    Backup,
    /// The key that backups are sealed to. By recovery keys.
    BackupKey,
    /// That a machine which has nothing but the recovery words may look, or become a device. By recovery keys.
    Recovery,
    /// What a server's key directory is. By the key of the directory, of the device level.
    TreeHead,
    /// That somebody is there, or writes. By device keys.
    Ephemeral,
    /// That somebody who holds an invite link asks to be let into its room. By device keys.
    JoinRequest,
}

impl SignatureUse {
    /// Every use.
    pub const ALL: [Self; 16] = [
        Self::Mls,
        Self::DeviceCertificate,
        Self::DeviceList,
        Self::AccountRecord,
        Self::Login,
        Self::Resync,
        Self::Restart,
        Self::Passphrase,
        Self::Export,
        Self::Deletion,
        Self::Backup,
        Self::BackupKey,
        Self::Recovery,
        Self::TreeHead,
        Self::Ephemeral,
        Self::JoinRequest,
    ];

    /// The label that stands in the signed bytes.
    pub const fn label(self) -> &'static [u8; 16] {
        match self {
            Self::Mls => b"mls\0\0\0\0\0\0\0\0\0\0\0\0\0",
            Self::DeviceCertificate => b"device-cert\0\0\0\0\0",
            Self::DeviceList => b"device-list\0\0\0\0\0",
            Self::AccountRecord => b"account-record\0\0",
            Self::Login => b"login\0\0\0\0\0\0\0\0\0\0\0",
            Self::Resync => b"resync\0\0\0\0\0\0\0\0\0\0",
            Self::Restart => b"restart\0\0\0\0\0\0\0\0\0",
            Self::Passphrase => b"passphrase\0\0\0\0\0\0",
            Self::Export => b"account-export\0\0",
            Self::Deletion => b"account-delete\0\0",
            Self::Backup => b"backup\0\0\0\0\0\0\0\0\0\0",
            Self::BackupKey => b"backup-key\0\0\0\0\0\0",
            Self::Recovery => b"recovery\0\0\0\0\0\0\0\0",
            Self::TreeHead => b"tree-head\0\0\0\0\0\0\0",
            Self::Ephemeral => b"ephemeral\0\0\0\0\0\0\0",
            Self::JoinRequest => b"join-request\0\0\0\0",
        }
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A pair of algorithms: [`Device`] or [`Account`].
pub trait Level: sealed::Sealed + Send + Sync + 'static {
    /// The number that names the pair in the signed bytes.
    const SUITE: u16;
    /// Size of a public key, bytes.
    const PUBLIC_KEY: usize;
    /// Size of a signature, bytes.
    const SIGNATURE: usize;
    /// The pair's name.
    const NAME: &'static str;
    #[doc(hidden)]
    const SIGNING: &'static PqdsaSigningAlgorithm;
    #[doc(hidden)]
    const VERIFICATION: &'static PqdsaVerificationAlgorithm;
}

/// Keys of devices: ML-DSA-65 + Ed25519.
#[derive(Debug)]
pub enum Device {}

/// Keys of accounts, identity and recovery: ML-DSA-87 + Ed25519.
#[derive(Debug)]
pub enum Account {}

impl sealed::Sealed for Device {}
impl sealed::Sealed for Account {}

impl Level for Device {
    const SUITE: u16 = 0xf065;
    const PUBLIC_KEY: usize = 1952 + ED25519_KEY;
    const SIGNATURE: usize = 3309 + ED25519_SIGNATURE;
    const NAME: &'static str = "ML-DSA-65+Ed25519";
    const SIGNING: &'static PqdsaSigningAlgorithm = &ML_DSA_65_SIGNING;
    const VERIFICATION: &'static PqdsaVerificationAlgorithm = &ML_DSA_65;
}

impl Level for Account {
    const SUITE: u16 = 0xf087;
    const PUBLIC_KEY: usize = 2592 + ED25519_KEY;
    const SIGNATURE: usize = 4627 + ED25519_SIGNATURE;
    const NAME: &'static str = "ML-DSA-87+Ed25519";
    const SIGNING: &'static PqdsaSigningAlgorithm = &ML_DSA_87_SIGNING;
    const VERIFICATION: &'static PqdsaVerificationAlgorithm = &ML_DSA_87;
}

/// Signs for one device.
pub type DeviceSigningKey = SigningKey<Device>;
/// Names one device's key.
pub type DevicePublicKey = PublicKey<Device>;
/// Signs for an account: its identity key (AIK) or its recovery key.
pub type AccountSigningKey = SigningKey<Account>;
/// Names an account's identity or recovery key.
pub type AccountPublicKey = PublicKey<Account>;

/// A key could not be made, or not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The library refused: it is out of memory or of random bytes.
    #[error("the signature library failed")]
    Library,
}

/// Bytes are no public key: of the wrong size, or the Ed25519 half is not canonical or of small order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed public key")]
pub struct BadKey;

/// The signature is not one of this key, over this message, for this use. It is not said which half failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// A private key; the seed is wiped when it is dropped, as are the expanded halves by their libraries.
pub struct SigningKey<L: Level> {
    seed: Secret<64>,
    ml_dsa: PqdsaKeyPair,
    ed25519: ed25519_dalek::SigningKey,
    public: PublicKey<L>,
}

impl<L: Level> SigningKey<L> {
    /// Draws a new key.
    ///
    /// # Errors
    /// [`SignError::Entropy`] when the source fails.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, SignError> {
        Self::from_seed(Secret::random(entropy)?)
    }

    /// Expands a seed: 32 bytes of ML-DSA's ξ (FIPS 204 §6.1), then 32 bytes of Ed25519's (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// [`SignError::Library`] when the library is out of memory.
    pub fn from_seed(seed: Secret<64>) -> Result<Self, SignError> {
        let (ml_dsa_seed, ed25519_seed) = seed.expose().split_at(SEED_HALF);
        let ml_dsa = PqdsaKeyPair::from_seed(L::SIGNING, ml_dsa_seed).map_err(|_| SignError::Library)?;
        let ed25519 = ed25519_dalek::SigningKey::try_from(ed25519_seed).map_err(|_| SignError::Library)?;
        let bytes = [ml_dsa.public_key().as_ref(), ed25519.verifying_key().as_bytes()].concat();
        let public = PublicKey::from_bytes(&bytes).map_err(|_| SignError::Library)?;
        Ok(Self { seed, ml_dsa, ed25519, public })
    }

    /// What [`from_seed`](Self::from_seed) takes.
    pub fn seed(&self) -> &Secret<64> {
        &self.seed
    }

    /// The public key.
    pub fn public(&self) -> &PublicKey<L> {
        &self.public
    }

    /// Signs `message`; two signatures of one message differ, because ML-DSA signs hedged.
    ///
    /// # Errors
    /// [`SignError::Library`] when the library is out of memory or of random bytes.
    pub fn sign(&self, usage: SignatureUse, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signed = signed_bytes::<L>(usage, message);
        let mut signature = vec![0; L::SIGNATURE];
        let (ml_dsa, ed25519) = signature.split_at_mut(L::SIGNATURE - ED25519_SIGNATURE);
        self.ml_dsa.sign(&signed, ml_dsa).map_err(|_| SignError::Library)?;
        ed25519.copy_from_slice(&self.ed25519.sign(&signed).to_bytes());
        Ok(signature)
    }
}

impl<L: Level> fmt::Debug for SigningKey<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.public)
    }
}

/// A public key, parsed once; clones share it.
pub struct PublicKey<L: Level> {
    inner: Arc<Parsed>,
    level: PhantomData<L>,
}

struct Parsed {
    bytes: Box<[u8]>,
    ml_dsa: ParsedPublicKey,
    ed25519: VerifyingKey,
}

impl<L: Level> PublicKey<L> {
    /// Reads a key: the ML-DSA half (FIPS 204 algorithm 22), then the Ed25519 half (RFC 8032 §5.1.2).
    ///
    /// # Errors
    /// See [`BadKey`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadKey> {
        if bytes.len() != L::PUBLIC_KEY {
            return Err(BadKey);
        }
        let (ml_dsa, ed25519) = bytes.split_last_chunk::<ED25519_KEY>().ok_or(BadKey)?;
        let point = VerifyingKey::from_bytes(ed25519).map_err(|_| BadKey)?;
        if point.is_weak() || point.to_edwards().compress().as_bytes() != ed25519 {
            return Err(BadKey);
        }
        let parsed = Parsed {
            bytes: bytes.into(),
            ml_dsa: ParsedPublicKey::new(L::VERIFICATION, ml_dsa).map_err(|_| BadKey)?,
            ed25519: point,
        };
        Ok(Self { inner: Arc::new(parsed), level: PhantomData })
    }

    /// The bytes that [`from_bytes`](Self::from_bytes) takes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.inner.bytes
    }

    /// SHA-384 of the bytes: how certificates, lists and credentials name the key.
    pub fn hash(&self) -> [u8; 48] {
        kdf::sha384(&[self.as_bytes()])
    }

    /// Checks both halves of a signature.
    ///
    /// # Errors
    /// [`BadSignature`] unless both verify.
    pub fn verify(&self, usage: SignatureUse, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        if signature.len() != L::SIGNATURE {
            return Err(BadSignature);
        }
        let (ml_dsa, ed25519) = signature.split_last_chunk::<ED25519_SIGNATURE>().ok_or(BadSignature)?;
        let signed = signed_bytes::<L>(usage, message);
        let ml_dsa = self.inner.ml_dsa.verify_sig(&signed, ml_dsa);
        let ed25519 = ed25519_dalek::Signature::from_bytes(ed25519);
        let ed25519 = self.inner.ed25519.verify_strict(&signed, &ed25519);
        if ml_dsa.is_ok() && ed25519.is_ok() { Ok(()) } else { Err(BadSignature) }
    }
}

fn signed_bytes<L: Level>(usage: SignatureUse, message: &[u8]) -> [u8; 114] {
    let mut signed = [0; 114];
    signed[..32].copy_from_slice(PREFIX);
    signed[32..48].copy_from_slice(usage.label());
    signed[48..50].copy_from_slice(&L::SUITE.to_be_bytes());
    signed[50..].copy_from_slice(&Sha512::digest(message));
    signed
}

impl<L: Level> Clone for PublicKey<L> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), level: PhantomData }
    }
}

impl<L: Level> PartialEq for PublicKey<L> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<L: Level> Eq for PublicKey<L> {}

impl<L: Level> Hash for PublicKey<L> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl<L: Level> fmt::Debug for PublicKey<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", L::NAME, hex::encode(&self.hash()[..8]))
    }
}
