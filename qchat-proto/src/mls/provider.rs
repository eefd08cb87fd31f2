//! The one cipher suite, handed to the MLS library: a thin layer over [`crate::crypto`].

use std::sync::{Arc, Mutex, PoisonError};

use mls_rs_core::{
    crypto::{
        CipherSuite, CipherSuiteProvider, CryptoProvider, HpkeCiphertext, HpkeContextR, HpkeContextS,
        HpkePsk, HpkePublicKey, HpkeSecretKey, SignaturePublicKey, SignatureSecretKey,
    },
    error::IntoAnyError,
};
use zeroize::Zeroizing;

use crate::crypto::{
    aead,
    entropy::{Entropy, EntropyError},
    hpke::{self, HpkeError},
    kdf,
    secret::Secret,
    sign::{BadSignature, DevicePublicKey, DeviceSigningKey, SignError, SignatureUse},
};

/// `QCHAT_192_XWING_AES256GCM_SHA384_MLDSA65_ED25519`, a private-use code point (RFC 9420 §17.1): HPKE with X-Wing,
/// HKDF-SHA-384 and AES-256-GCM; hash, MAC and KDF with SHA-384; signatures ML-DSA-65 + Ed25519
/// ([`crate::crypto::sign`]). It is the only suite: nothing is negotiated, so nothing can be downgraded.
pub const SUITE: CipherSuite = CipherSuite::new(0xf0c1);

/// The suite could not do what the library asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// A key, nonce or output of a size that the suite does not have.
    #[error("a key, nonce or output of the wrong size")]
    Size,
    /// A symmetric ciphertext does not open.
    #[error(transparent)]
    Aead(#[from] aead::AeadError),
    /// HPKE failed.
    #[error(transparent)]
    Hpke(#[from] HpkeError),
    /// A signature does not verify.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// Signing failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl IntoAnyError for SuiteError {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(Box::new(self))
    }
}

/// Offers [`SUITE`] and nothing else; all randomness is drawn from the given entropy.
#[derive(Clone)]
pub struct QchatCrypto {
    suite: QchatSuite,
}

impl QchatCrypto {
    /// A provider that draws from `entropy`.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { suite: QchatSuite { entropy, signer: Arc::default() } }
    }

    /// The suite itself.
    pub fn suite(&self) -> &QchatSuite {
        &self.suite
    }
}

impl CryptoProvider for QchatCrypto {
    type CipherSuiteProvider = QchatSuite;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        vec![SUITE]
    }

    fn cipher_suite_provider(&self, cipher_suite: CipherSuite) -> Option<QchatSuite> {
        (cipher_suite == SUITE).then(|| self.suite.clone())
    }
}

/// The device key in the library's form: the 64-byte seed.
pub fn secret_key(key: &DeviceSigningKey) -> SignatureSecretKey {
    SignatureSecretKey::new_slice(key.seed().expose())
}

/// [`SUITE`] at work.
#[derive(Clone)]
pub struct QchatSuite {
    entropy: Arc<dyn Entropy>,
    /// The last key that signed, expanded: the library passes the seed each time, and expanding it costs a third of
    /// signing.
    signer: Arc<Mutex<Option<Arc<DeviceSigningKey>>>>,
}

impl QchatSuite {
    fn signer(&self, seed: &[u8]) -> Result<Arc<DeviceSigningKey>, SuiteError> {
        let seed = Secret::from_slice(seed).ok_or(SuiteError::Size)?;
        let mut last = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = last.as_ref()
            && key.seed().ct_eq(&seed)
        {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(DeviceSigningKey::from_seed(seed)?);
        *last = Some(Arc::clone(&key));
        Ok(key)
    }
}

fn sized<const N: usize>(bytes: &[u8]) -> Result<&[u8; N], SuiteError> {
    bytes.try_into().map_err(|_| SuiteError::Size)
}

fn pair((secret, public): (Secret<{ hpke::SECRET_KEY }>, Vec<u8>)) -> (HpkeSecretKey, HpkePublicKey) {
    (secret.expose().to_vec().into(), public.into())
}

fn ours<'a>(psk: &HpkePsk<'a>) -> hpke::Psk<'a> {
    hpke::Psk { id: psk.id, value: psk.value }
}

impl CipherSuiteProvider for QchatSuite {
    type Error = SuiteError;
    type HpkeContextS = Sender;
    type HpkeContextR = Receiver;

    fn cipher_suite(&self) -> CipherSuite {
        SUITE
    }

    fn hash(&self, data: &[u8]) -> Result<Vec<u8>, SuiteError> {
        Ok(kdf::sha384(&[data]).to_vec())
    }

    fn mac(&self, key: &[u8], data: &[u8]) -> Result<Vec<u8>, SuiteError> {
        Ok(kdf::hmac_sha384(key, data).to_vec())
    }

    fn aead_seal(
        &self,
        key: &[u8],
        data: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Vec<u8>, SuiteError> {
        Ok(aead::seal(sized(key)?, sized(nonce)?, aad.unwrap_or_default(), data)?)
    }

    fn aead_open(
        &self,
        key: &[u8],
        ciphertext: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SuiteError> {
        Ok(aead::open(sized(key)?, sized(nonce)?, aad.unwrap_or_default(), ciphertext)?)
    }

    fn aead_key_size(&self) -> usize {
        aead::KEY
    }

    fn aead_nonce_size(&self) -> usize {
        aead::NONCE
    }

    fn kdf_extract(&self, salt: &[u8], ikm: &[u8]) -> Result<Zeroizing<Vec<u8>>, SuiteError> {
        Ok(Zeroizing::new(kdf::extract(salt, ikm).expose().to_vec()))
    }

    fn kdf_expand(&self, prk: &[u8], info: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>, SuiteError> {
        let mut out = Zeroizing::new(vec![0; len]);
        kdf::expand(prk, info, &mut out).map_err(|_| SuiteError::Size)?;
        Ok(out)
    }

    fn kdf_extract_size(&self) -> usize {
        kdf::HASH_LEN
    }

    fn hpke_seal(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        pt: &[u8],
    ) -> Result<HpkeCiphertext, SuiteError> {
        let sealed = hpke::seal(&*self.entropy, remote_key, info, None, aad.unwrap_or_default(), pt)?;
        Ok(HpkeCiphertext { kem_output: sealed.encapsulated_key, ciphertext: sealed.ciphertext })
    }

    fn hpke_seal_psk(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        pt: &[u8],
        psk: HpkePsk<'_>,
    ) -> Result<HpkeCiphertext, SuiteError> {
        let sealed =
            hpke::seal(&*self.entropy, remote_key, info, Some(ours(&psk)), aad.unwrap_or_default(), pt)?;
        Ok(HpkeCiphertext { kem_output: sealed.encapsulated_key, ciphertext: sealed.ciphertext })
    }

    fn hpke_open(
        &self,
        ciphertext: &HpkeCiphertext,
        local_secret: &HpkeSecretKey,
        _local_public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, SuiteError> {
        let sealed = (&*ciphertext.kem_output, &*ciphertext.ciphertext);
        Ok(hpke::open(local_secret, sealed, info, None, aad.unwrap_or_default())?)
    }

    fn hpke_open_psk(
        &self,
        ciphertext: &HpkeCiphertext,
        local_secret: &HpkeSecretKey,
        _local_public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        psk: HpkePsk<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, SuiteError> {
        let sealed = (&*ciphertext.kem_output, &*ciphertext.ciphertext);
        Ok(hpke::open(local_secret, sealed, info, Some(ours(&psk)), aad.unwrap_or_default())?)
    }

    fn hpke_setup_s(&self, remote_key: &HpkePublicKey, info: &[u8]) -> Result<(Vec<u8>, Sender), SuiteError> {
        let (encapsulated_key, sender) = hpke::Sender::new(&*self.entropy, remote_key, info, None)?;
        Ok((encapsulated_key, Sender(sender)))
    }

    fn hpke_setup_r(
        &self,
        kem_output: &[u8],
        local_secret: &HpkeSecretKey,
        _local_public: &HpkePublicKey,
        info: &[u8],
    ) -> Result<Receiver, SuiteError> {
        Ok(Receiver(hpke::Receiver::new(local_secret, kem_output, info, None)?))
    }

    fn kem_derive(&self, ikm: &[u8]) -> Result<(HpkeSecretKey, HpkePublicKey), SuiteError> {
        Ok(pair(hpke::derive_key_pair(ikm)))
    }

    fn kem_generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), SuiteError> {
        Ok(pair(hpke::generate_key_pair(&*self.entropy)?))
    }

    fn kem_public_key_validate(&self, key: &HpkePublicKey) -> Result<(), SuiteError> {
        Ok(hpke::validate_public_key(key)?)
    }

    fn random_bytes(&self, out: &mut [u8]) -> Result<(), SuiteError> {
        Ok(self.entropy.fill(out)?)
    }

    fn signature_key_generate(&self) -> Result<(SignatureSecretKey, SignaturePublicKey), SuiteError> {
        let key = DeviceSigningKey::generate(&*self.entropy)?;
        Ok((secret_key(&key), SignaturePublicKey::new_slice(key.public().as_bytes())))
    }

    fn signature_key_derive_public(
        &self,
        secret_key: &SignatureSecretKey,
    ) -> Result<SignaturePublicKey, SuiteError> {
        Ok(SignaturePublicKey::new_slice(self.signer(secret_key)?.public().as_bytes()))
    }

    fn sign(&self, secret_key: &SignatureSecretKey, data: &[u8]) -> Result<Vec<u8>, SuiteError> {
        Ok(self.signer(secret_key)?.sign(SignatureUse::Mls, data)?)
    }

    fn verify(
        &self,
        public_key: &SignaturePublicKey,
        signature: &[u8],
        data: &[u8],
    ) -> Result<(), SuiteError> {
        let key = DevicePublicKey::from_bytes(public_key).map_err(|_| SuiteError::Size)?;
        Ok(key.verify(SignatureUse::Mls, data, signature)?)
    }
}

/// [`hpke::Sender`] for the library.
pub struct Sender(hpke::Sender);

impl HpkeContextS for Sender {
    type Error = SuiteError;

    fn seal(&mut self, aad: Option<&[u8]>, data: &[u8]) -> Result<Vec<u8>, SuiteError> {
        Ok(self.0.seal(aad.unwrap_or_default(), data)?)
    }

    fn export(&self, exporter_context: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>, SuiteError> {
        Ok(self.0.export(exporter_context, len)?)
    }
}

/// [`hpke::Receiver`] for the library.
pub struct Receiver(hpke::Receiver);

impl HpkeContextR for Receiver {
    type Error = SuiteError;

    fn open(&mut self, aad: Option<&[u8]>, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, SuiteError> {
        Ok(self.0.open(aad.unwrap_or_default(), ciphertext)?)
    }

    fn export(&self, exporter_context: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>, SuiteError> {
        Ok(self.0.export(exporter_context, len)?)
    }
}
