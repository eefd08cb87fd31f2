//! The randomness of simulations: streams of ChaCha8 by a seed, one for each purpose and each piece of work.
//!
//! A piece of work (a batch of shots, a frame of a key) takes its stream by its own number, so that results do not
//! depend on which thread does what. They are as unpredictable as their seed, and no more.

use rand::{SeedableRng, rngs::ChaCha8Rng};

/// What a simulation draws from: the same seed, the same results. One that is a number has no more than 64 bits of entropy, however
/// many bits come of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl From<u64> for Seed {
    fn from(number: u64) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        Self(seed)
    }
}

impl From<[u8; 32]> for Seed {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// What a stream is for; two purposes never share bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Noise and measurements of the state vector.
    StateVector = 1,
    /// Noise and measurements of the stabilizer sampler.
    Stabilizer = 2,
    /// Alice's choices.
    Alice = 3,
    /// Bob's choices and what his detectors do.
    Bob = 4,
    /// Eve's choices and what her detectors do.
    Eve = 5,
    /// Loss and noise on the way.
    Channel = 6,
    /// Public randomness of the parties' post-processing.
    Public = 7,
    /// The key by which the parties know one another.
    Authentication = 8,
}

/// The stream for a purpose and a number.
pub(crate) fn stream(seed: impl Into<Seed>, purpose: Purpose, number: u64) -> ChaCha8Rng {
    let Seed(mut key) = seed.into();
    key[8] ^= purpose as u8;
    let mut stream = ChaCha8Rng::from_seed(key);
    stream.set_stream(number);
    stream
}
