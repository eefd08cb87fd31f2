//! HPKE (RFC 9180) in base and PSK mode: X-Wing (KEM 0x647a), HKDF-SHA-384 (KDF 0x0002), AES-256-GCM (AEAD 0x0002).
//!
//! X-Wing joins X25519 and ML-KEM-768 (draft-connolly-cfrg-xwing-kem): the shared secret is safe as long as one of
//! the two is. Key pairs are derived as draft-ietf-hpke-pq says, which is not what every library does: whoever
//! exchanges this backend for another has to check that `derive_key_pair` still gives the published vectors.

use std::convert::Infallible;

use ::hpke::{
    Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable,
    aead::{AeadCtxR, AeadCtxS, AesGcm256},
    kdf::HkdfSha384,
    kem::XWing,
    rand_core::{TryCryptoRng, TryRng},
    setup_receiver, setup_sender_with_rng,
};
use zeroize::Zeroizing;

use super::{
    entropy::{Entropy, EntropyError},
    secret::Secret,
};

/// Size of a secret key, bytes: a seed.
pub const SECRET_KEY: usize = 32;
/// Size of a public key, bytes: ML-KEM-768 (1184), X25519 (32).
pub const PUBLIC_KEY: usize = 1216;
/// Size of an encapsulated key, bytes: ML-KEM-768 (1088), X25519 (32).
pub const ENCAPSULATED_KEY: usize = 1120;
/// Least size of a pre-shared key, bytes (RFC 9180 §9.5).
pub const LEAST_PSK: usize = 32;

type PrivateKey = <XWing as Kem>::PrivateKey;
type PublicKey = <XWing as Kem>::PublicKey;
type EncappedKey = <XWing as Kem>::EncappedKey;

/// Sealing or opening failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HpkeError {
    /// A public, secret or encapsulated key that is none.
    #[error("malformed HPKE key")]
    Key,
    /// A pre-shared key of less than 32 bytes, or without an id.
    #[error("a pre-shared key has at least 32 bytes and an id")]
    Psk,
    /// The ciphertext was not made for this key, info, associated data and pre-shared key. It is not said which.
    #[error("the ciphertext does not open")]
    Open,
    /// More than 64 KiB were to be exported, or 2⁶⁴ messages sent.
    #[error("the HPKE context is exhausted")]
    Exhausted,
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// A pre-shared key: both sides have to know it.
#[derive(Clone, Copy)]
pub struct Psk<'a> {
    /// Names the key; public, not empty.
    pub id: &'a [u8],
    /// The key, at least 32 bytes of full entropy.
    pub value: &'a [u8],
}

impl<'a> Psk<'a> {
    fn bundle(self) -> Result<PskBundle<'a>, HpkeError> {
        if self.value.len() < LEAST_PSK || self.id.is_empty() {
            return Err(HpkeError::Psk);
        }
        PskBundle::new(self.value, self.id).map_err(|_| HpkeError::Psk)
    }
}

/// What [`seal`] makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// 1,120 bytes.
    pub encapsulated_key: Vec<u8>,
    /// As long as the plaintext and 16 bytes.
    pub ciphertext: Vec<u8>,
}

/// Derives a key pair; the same input gives the same pair. `ikm` has at least 256 bits of entropy.
pub fn derive_key_pair(ikm: &[u8]) -> (Secret<SECRET_KEY>, Vec<u8>) {
    let (secret, public) = XWing::derive_keypair(ikm);
    let Ok(secret) = Secret::fill_with::<Infallible>(|bytes| {
        secret.write_exact(bytes);
        Ok(())
    });
    (secret, public.to_bytes().to_vec())
}

/// Draws a new key pair.
///
/// # Errors
/// [`EntropyError`].
pub fn generate_key_pair(entropy: &dyn Entropy) -> Result<(Secret<SECRET_KEY>, Vec<u8>), EntropyError> {
    let ikm = Secret::<SECRET_KEY>::random(entropy)?;
    Ok(derive_key_pair(ikm.expose()))
}

/// Checks the size of a public key, and its ML-KEM half as FIPS 203 §7.2 demands.
///
/// # Errors
/// [`HpkeError::Key`].
pub fn validate_public_key(public: &[u8]) -> Result<(), HpkeError> {
    PublicKey::from_bytes(public).map(drop).map_err(|_| HpkeError::Key)
}

/// Encrypts to a public key (RFC 9180 §6.1): in PSK mode when a `psk` is given, else in base mode.
///
/// # Errors
/// [`HpkeError::Key`], [`HpkeError::Psk`] or [`HpkeError::Entropy`].
pub fn seal(
    entropy: &dyn Entropy,
    public: &[u8],
    info: &[u8],
    psk: Option<Psk<'_>>,
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Sealed, HpkeError> {
    let (encapsulated_key, mut sender) = Sender::new(entropy, public, info, psk)?;
    Ok(Sealed { encapsulated_key, ciphertext: sender.seal(aad, plaintext)? })
}

/// Decrypts what [`seal`] made, with the same `info`, `psk` and `aad`.
///
/// # Errors
/// [`HpkeError::Open`] unless everything fits, [`HpkeError::Key`] or [`HpkeError::Psk`].
pub fn open(
    secret: &[u8],
    sealed: (&[u8], &[u8]),
    info: &[u8],
    psk: Option<Psk<'_>>,
    aad: &[u8],
) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
    let (encapsulated_key, ciphertext) = sealed;
    Receiver::new(secret, encapsulated_key, info, psk)?.open(aad, ciphertext)
}

/// The sender's context (RFC 9180 §5.2): several messages under one encapsulation, in order.
pub struct Sender(AeadCtxS<AesGcm256, HkdfSha384, XWing>);

impl Sender {
    /// Encapsulates to a public key; the first part goes to the receiver.
    ///
    /// # Errors
    /// [`HpkeError::Key`], [`HpkeError::Psk`] or [`HpkeError::Entropy`].
    pub fn new(
        entropy: &dyn Entropy,
        public: &[u8],
        info: &[u8],
        psk: Option<Psk<'_>>,
    ) -> Result<(Vec<u8>, Self), HpkeError> {
        let public = PublicKey::from_bytes(public).map_err(|_| HpkeError::Key)?;
        let mode = match psk {
            Some(psk) => OpModeS::Psk(psk.bundle()?),
            None => OpModeS::Base,
        };
        let mut random = Random { entropy, failed: None };
        let made = setup_sender_with_rng::<AesGcm256, HkdfSha384, XWing>(&mode, &public, info, &mut random);
        if let Some(error) = random.failed {
            return Err(error.into());
        }
        let (encapsulated_key, context) = made.map_err(|_| HpkeError::Key)?;
        Ok((encapsulated_key.to_bytes().to_vec(), Self(context)))
    }

    /// Encrypts the next message.
    ///
    /// # Errors
    /// [`HpkeError::Exhausted`].
    pub fn seal(&mut self, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, HpkeError> {
        self.0.seal(plaintext, aad).map_err(|_| HpkeError::Exhausted)
    }

    /// Exports a secret that the receiver can export too (RFC 9180 §5.3).
    ///
    /// # Errors
    /// [`HpkeError::Exhausted`] above 12,240 bytes.
    pub fn export(&self, context: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
        let mut secret = Zeroizing::new(vec![0; length]);
        self.0.export(context, &mut secret).map_err(|_| HpkeError::Exhausted)?;
        Ok(secret)
    }
}

/// The receiver's context.
pub struct Receiver(AeadCtxR<AesGcm256, HkdfSha384, XWing>);

impl Receiver {
    /// Decapsulates. ML-KEM rejects implicitly: a wrong encapsulated key shows only when nothing opens.
    ///
    /// # Errors
    /// [`HpkeError::Key`] or [`HpkeError::Psk`].
    pub fn new(
        secret: &[u8],
        encapsulated_key: &[u8],
        info: &[u8],
        psk: Option<Psk<'_>>,
    ) -> Result<Self, HpkeError> {
        let secret = PrivateKey::from_bytes(secret).map_err(|_| HpkeError::Key)?;
        let encapsulated_key = EncappedKey::from_bytes(encapsulated_key).map_err(|_| HpkeError::Key)?;
        let mode = match psk {
            Some(psk) => OpModeR::Psk(psk.bundle()?),
            None => OpModeR::Base,
        };
        setup_receiver(&mode, &secret, &encapsulated_key, info).map(Self).map_err(|_| HpkeError::Key)
    }

    /// Decrypts the next message.
    ///
    /// # Errors
    /// [`HpkeError::Open`]; the context stays where it was.
    pub fn open(&mut self, aad: &[u8], ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
        self.0.open(ciphertext, aad).map(Zeroizing::new).map_err(|_| HpkeError::Open)
    }

    /// Exports the secret that the sender exports.
    ///
    /// # Errors
    /// [`HpkeError::Exhausted`] above 12,240 bytes.
    pub fn export(&self, context: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
        let mut secret = Zeroizing::new(vec![0; length]);
        self.0.export(context, &mut secret).map_err(|_| HpkeError::Exhausted)?;
        Ok(secret)
    }
}

/// Gives the library our entropy. The library's trait cannot fail, so a failure is kept and whatever was made of it
/// is thrown away.
struct Random<'a> {
    entropy: &'a dyn Entropy,
    failed: Option<EntropyError>,
}

impl TryRng for Random<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        if let Err(error) = self.entropy.fill(out) {
            self.failed = Some(error);
        }
        Ok(())
    }
}

impl TryCryptoRng for Random<'_> {}
