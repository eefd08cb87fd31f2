//! AES-256-GCM (NIST SP 800-38D) with 96-bit nonces and whole 128-bit tags.

use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use zeroize::Zeroizing;

/// Size of a key, bytes.
pub const KEY: usize = 32;
/// Size of a nonce, bytes. One key never meets the same nonce twice.
pub const NONCE: usize = 12;
/// Size of the tag at the end of every ciphertext, bytes. A shorter one is never accepted.
pub const TAG: usize = 16;

/// The ciphertext was not made with this key, nonce and associated data; or the plaintext is over 64 GiB. It is not
/// said which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("authenticated encryption failed")]
pub struct AeadError;

/// Encrypts; the result is the ciphertext, as long as the plaintext, and the tag.
///
/// # Errors
/// [`AeadError`] when the plaintext is over 64 GiB.
pub fn seal(
    key: &[u8; KEY],
    nonce: &[u8; NONCE],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, AeadError> {
    let cipher = Aes256Gcm::new(key.into());
    cipher.encrypt(&Nonce::from(*nonce), Payload { msg: plaintext, aad }).map_err(|_| AeadError)
}

/// Decrypts what [`seal`] made.
///
/// # Errors
/// [`AeadError`] when anything about it is different, be it one bit or the length of the tag.
pub fn open(
    key: &[u8; KEY],
    nonce: &[u8; NONCE],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, AeadError> {
    let cipher = Aes256Gcm::new(key.into());
    cipher
        .decrypt(&Nonce::from(*nonce), Payload { msg: ciphertext, aad })
        .map(Zeroizing::new)
        .map_err(|_| AeadError)
}
