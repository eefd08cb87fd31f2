//! The recovery key: 256 bits that a person keeps on paper, as 24 words.

use bip39::{Language, Mnemonic};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::{
    entropy::{Entropy, EntropyError},
    hpke, kdf,
    secret::Secret,
    sign::{AccountSigningKey, SignError},
};

const SIGNING_INFO: &[u8] = b"qchat recovery signing key v1";
const BACKUP_INFO: &[u8] = b"qchat backup key v1";
const WORDS: usize = 24;

/// The words are not a recovery key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// There have to be 24.
    #[error("{0} words; a recovery key has 24")]
    Count(usize),
    /// A word is not in the English BIP-39 list. It is named by its place only: the words are secret.
    #[error("word {0} is not in the list")]
    Unknown(usize),
    /// All words are in the list, but the checksum is wrong: one is mistaken for another, or two are swapped.
    #[error("the words do not fit together; check their order")]
    Checksum,
}

/// The recovery key of an account; its words are shown until their owner has confirmed them, and stored nowhere from then on.
pub struct RecoveryKey(Secret<32>);

impl RecoveryKey {
    /// Draws a new key.
    ///
    /// # Errors
    /// Fails only when the entropy source does.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        Secret::random(entropy).map(Self)
    }

    /// A key that was kept.
    pub fn from_secret(key: Secret<32>) -> Self {
        Self(key)
    }

    /// The key, to be kept.
    pub fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// The key as 24 words of the English BIP-39 list, separated by single spaces.
    pub fn words(&self) -> Zeroizing<String> {
        #[expect(clippy::expect_used, reason = "BIP-39 has a sentence for every 32 bytes")]
        let mnemonic = Mnemonic::from_entropy(self.0.expose()).expect("256 bits");
        // The longest word of the list has 8 letters, so this never reallocates and leaves no copy behind.
        let mut words = Zeroizing::new(String::with_capacity(WORDS * 9));
        for word in mnemonic.words() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        words
    }

    /// Reads the words back; case and white space do not matter.
    ///
    /// # Errors
    /// See [`RecoveryError`].
    pub fn from_words(words: &str) -> Result<Self, RecoveryError> {
        let count = words.split_whitespace().count();
        if count != WORDS {
            return Err(RecoveryError::Count(count));
        }
        let mut lower = Zeroizing::new(words.to_owned());
        lower.make_ascii_lowercase();
        let mnemonic =
            Mnemonic::parse_in_normalized(Language::English, &lower).map_err(|error| match error {
                bip39::Error::UnknownWord(index) => RecoveryError::Unknown(index + 1),
                _ => RecoveryError::Checksum,
            })?;
        let (mut entropy, length) = mnemonic.to_entropy_array();
        let key = Secret::from_slice(&entropy[..length]);
        entropy.zeroize();
        key.map(Self).ok_or(RecoveryError::Checksum)
    }

    /// Derives the key that signs account records beside the identity key: HKDF-SHA-384 without a salt, info
    /// `qchat recovery signing key v1`, 64 bytes, taken as the seed.
    ///
    /// # Errors
    /// [`SignError::Library`] when the library is out of memory.
    pub fn signing_key(&self) -> Result<AccountSigningKey, SignError> {
        let seed = kdf::derive(self.0.expose(), SIGNING_INFO).map_err(|_| SignError::Library)?;
        AccountSigningKey::from_seed(seed)
    }

    /// Derives the X-Wing key pair that backups are sealed to, secret and public: the pair of HKDF-SHA-384 without a salt,
    /// info `qchat backup key v1`, 32 bytes.
    ///
    /// # Errors
    /// [`SignError::Library`], which does not happen.
    pub fn backup_key(&self) -> Result<(Secret<{ hpke::SECRET_KEY }>, Vec<u8>), SignError> {
        let ikm: Secret<32> = kdf::derive(self.0.expose(), BACKUP_INFO).map_err(|_| SignError::Library)?;
        Ok(hpke::derive_key_pair(ikm.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::entropy::SystemEntropy;

    #[test]
    fn words_lead_back_to_the_same_signing_key() {
        let key = RecoveryKey::generate(&SystemEntropy).unwrap();
        let words = key.words();
        assert_eq!(words.split(' ').count(), 24);
        let shouted = format!("  {}\n", words.to_uppercase().replace(' ', "\t "));
        let again = RecoveryKey::from_words(&shouted).unwrap();
        assert!(key.0.ct_eq(&again.0));
        assert_eq!(key.signing_key().unwrap().public(), again.signing_key().unwrap().public());
    }

    #[test]
    fn wrong_words_are_refused_without_being_repeated() {
        let zero = RecoveryKey(Secret::from_bytes([0; 32])).words().to_string();
        assert!(zero.starts_with("abandon abandon ") && zero.ends_with(" art"), "BIP-39's own vector");
        for (words, error) in [
            ("abandon", RecoveryError::Count(1)),
            ("", RecoveryError::Count(0)),
            (&zero.replacen("abandon", "qchat", 1), RecoveryError::Unknown(1)),
            (&zero.replace(" art", " able"), RecoveryError::Checksum),
        ] {
            assert_eq!(RecoveryKey::from_words(words).err(), Some(error));
            assert!(!error.to_string().contains("qchat"));
        }
    }
}
