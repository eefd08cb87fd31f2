//! What a new key is drawn from: the operating system's randomness, and a block of the pool where it has one.

use qchat_proto::crypto::entropy::{Entropy, EntropyError};
use zeroize::Zeroizing;

use crate::store::{
    StoreError,
    quantum::{Block, Purpose, QuantumStore},
};

/// The randomness of one key: `HKDF(OS ‖ block)`. Without a block it is the operating system's alone.
pub struct KeySource {
    pool: Option<(QuantumStore, Block)>,
}

/// The bytes of a block, mixed into whatever is drawn.
pub struct Mixed(Zeroizing<Vec<u8>>);

/// The database of the pool, if there is one and it can be opened: one that fails keeps nobody from making a key.
pub fn pool(opened: Result<Option<QuantumStore>, StoreError>) -> Option<QuantumStore> {
    opened.unwrap_or_else(|error| {
        tracing::warn!(%error, "a key is made without the quantum pool");
        None
    })
}

impl KeySource {
    /// Takes a block out of the pool, if there is one and it can be read: a pool that fails keeps nobody from making a key.
    /// Blocks the thread.
    pub fn draw(store: Option<&QuantumStore>) -> Self {
        let drawn = store.map(|store| store.draw().map(|block| block.map(|block| (store.clone(), block))));
        let pool = drawn.transpose().unwrap_or_else(|error| {
            tracing::warn!(%error, "a key is made without the quantum pool");
            None
        });
        Self { pool: pool.flatten() }
    }

    /// Where the key's bytes come from.
    pub fn entropy(&self) -> Mixed {
        let bytes = self.pool.as_ref().map_or(&[][..], |(_, block)| &block.bytes);
        Mixed(Zeroizing::new(bytes.to_vec()))
    }

    /// Whether there is anything of the pool in it.
    pub fn is_mixed(&self) -> bool {
        self.pool.is_some()
    }

    /// Keeps which key it became: the SHA-384 of its public half, or the room that it is for. Blocks the thread.
    pub fn became(self, purpose: Purpose, subject: &[u8]) {
        let Some((store, block)) = self.pool else { return };
        if let Err(error) = store.note_draw(&block, purpose, subject) {
            tracing::warn!(%error, "it is not known which key has drawn from the quantum pool");
        }
    }
}

impl Entropy for Mixed {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        qchat_quantum::seed::fill(&self.0, b"qchat client v1", out).map_err(|_| EntropyError)
    }
}
