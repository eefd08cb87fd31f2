//! Where random bytes come from: a parameter, so that the caller can mix in more than the system's.

/// The source of randomness failed; nothing may be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct EntropyError;

/// A source of bytes fit for keys.
pub trait Entropy: Send + Sync {
    /// Fills `out` with fresh random bytes.
    ///
    /// # Errors
    /// [`EntropyError`] when the source fails; `out` must not be used then.
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError>;
}

/// The operating system's generator alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(out).map_err(|_| EntropyError)
    }
}
