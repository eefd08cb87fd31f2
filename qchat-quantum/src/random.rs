//! The randomness of simulations: streams of ChaCha8 by a seed, one for each purpose and each piece of work.
//!
//! A piece of work (a batch of shots, a frame of a key) takes its stream by its own number, so that results do not
//! depend on which thread does what. These bits are reproducible and never enter a key.

use rand::{SeedableRng, rngs::ChaCha8Rng};

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
}

/// The stream for a purpose and a number.
pub(crate) fn stream(seed: u64, purpose: Purpose, number: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = purpose as u8;
    let mut stream = ChaCha8Rng::from_seed(key);
    stream.set_stream(number);
    stream
}
