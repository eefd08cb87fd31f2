//! SHA-384, HMAC-SHA-384 and HKDF-SHA-384 (FIPS 180-4, FIPS 198-1, RFC 5869): every hash and key derivation of the suite.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha384};

use super::secret::Secret;

/// Size of a SHA-384 hash, and of every HKDF pseudorandom key, bytes.
pub const HASH_LEN: usize = 48;

/// More was asked of HKDF than 255 hashes (12,240 bytes), or its key is shorter than a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("key derivation with an impossible length")]
pub struct KdfLengthError;

/// SHA-384 of the parts, one after the other.
pub fn sha384(parts: &[&[u8]]) -> [u8; HASH_LEN] {
    let mut hash = Sha384::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// HMAC-SHA-384.
pub fn hmac_sha384(key: &[u8], data: &[u8]) -> [u8; HASH_LEN] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
    let mut mac = <Hmac<Sha384> as KeyInit>::new_from_slice(key).expect("a key of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// HKDF-Extract (RFC 5869 §2.2); an empty salt is the same as one of 48 zero bytes.
pub fn extract(salt: &[u8], input: &[u8]) -> Secret<HASH_LEN> {
    let (key, _) = Hkdf::<Sha384>::extract(Some(salt), input);
    Secret::from_bytes(key.into())
}

/// HKDF-Expand (RFC 5869 §2.3) into `out`.
///
/// # Errors
/// [`KdfLengthError`] when `key` has less than 48 bytes or `out` more than 12,240.
pub fn expand(key: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), KdfLengthError> {
    let hkdf = Hkdf::<Sha384>::from_prk(key).map_err(|_| KdfLengthError)?;
    hkdf.expand(info, out).map_err(|_| KdfLengthError)
}

/// Extracts from `input` without a salt and expands to a secret of `N` bytes, at most 12,240.
///
/// # Errors
/// [`KdfLengthError`] when `N` is too large.
pub fn derive<const N: usize>(input: &[u8], info: &[u8]) -> Result<Secret<N>, KdfLengthError> {
    let key = extract(&[], input);
    Secret::fill_with(|out| expand(key.expose(), info, out))
}
