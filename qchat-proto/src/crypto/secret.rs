//! Secret bytes: on the heap, wiped when dropped, compared in constant time, and opened by one word that grep finds.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::entropy::{Entropy, EntropyError};

/// `N` secret bytes.
///
/// There is no `Debug` of the content, no `Display`, no `Clone` and no `PartialEq`, so that a secret cannot slip into
/// a log, be multiplied, or be compared byte by byte. They stay in one heap allocation, which moving does not copy.
///
/// ```compile_fail
/// let secret = qchat_proto::crypto::secret::Secret::from_bytes([0; 32]);
/// println!("{secret:?}");
/// ```
///
/// ```compile_fail
/// let secret = qchat_proto::crypto::secret::Secret::from_bytes([0; 32]);
/// let copy = secret.clone();
/// ```
///
/// ```compile_fail
/// use qchat_proto::crypto::secret::Secret;
/// assert!(Secret::from_bytes([0; 32]) == Secret::from_bytes([0; 32]));
/// ```
#[derive(ZeroizeOnDrop)]
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Takes over bytes that are secret from here on. The caller wipes its own copy.
    pub fn from_bytes(mut bytes: [u8; N]) -> Self {
        let mut secret = Self(Box::new([0; N]));
        secret.0.copy_from_slice(&bytes);
        bytes.zeroize();
        secret
    }

    /// Copies a slice; `None` when it has not `N` bytes. The caller wipes its own copy.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; N] = bytes.try_into().ok()?;
        let mut secret = Self(Box::new([0; N]));
        secret.0.copy_from_slice(bytes);
        Some(secret)
    }

    /// Lets `write` fill `N` zero bytes in their final place, so that no copy is made.
    ///
    /// # Errors
    /// Those of `write`; what it had written is wiped then.
    pub fn fill_with<E>(write: impl FnOnce(&mut [u8; N]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = Self(Box::new([0; N]));
        write(&mut secret.0)?;
        Ok(secret)
    }

    /// Draws a new secret.
    ///
    /// # Errors
    /// Fails only when the entropy source does.
    pub fn random(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        Self::fill_with(|bytes| entropy.fill(bytes))
    }

    /// Opens the secret.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0[..].ct_eq(&other.0[..]).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::entropy::SystemEntropy;

    #[test]
    fn a_secret_equals_only_its_own_bytes() {
        let secret = Secret::<32>::random(&SystemEntropy).unwrap();
        assert!(secret.ct_eq(&Secret::from_bytes(*secret.expose())));
        let mut other = *secret.expose();
        other[31] ^= 1;
        assert!(!secret.ct_eq(&Secret::from_bytes(other)));
        assert!(!secret.ct_eq(&Secret::random(&SystemEntropy).unwrap()));
    }

    #[test]
    fn a_slice_of_another_length_is_no_secret() {
        assert!(Secret::<32>::from_slice(&[0; 31]).is_none());
        assert!(Secret::<32>::from_slice(&[0; 33]).is_none());
        assert_eq!(Secret::<4>::from_slice(&[1, 2, 3, 4]).unwrap().expose(), &[1, 2, 3, 4]);
    }
}
