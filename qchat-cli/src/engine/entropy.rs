//! The client's randomness: the operating system's, with what the quantum pool holds mixed in.

use qchat_proto::crypto::entropy::{Entropy, EntropyError};

/// Draws `HKDF(OS ‖ pool)`; the pool is empty until quantum jobs fill it, and can only add.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MixedEntropy;

impl Entropy for MixedEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        qchat_quantum::seed::fill(&[], b"qchat client v1", out).map_err(|_| EntropyError)
    }
}
