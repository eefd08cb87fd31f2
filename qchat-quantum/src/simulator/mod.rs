//! Circuits run on this machine: by amplitudes ([`state_vector`]: any gates, up to 26 qubits that depend on one another)
//! or by stabilizers ([`stabilizer`]: Clifford gates, thousands of qubits, many shots).
//!
//! Both are exact in distribution, run on all threads, and give the same shots for the same seed however many threads
//! there are. Their bits are pseudorandom: fit for tests and for protocols shown, and never for keys.

mod parts;
mod samples;
pub mod stabilizer;
pub mod state_vector;
mod tableau;
mod trajectory;

pub use samples::Samples;

/// A circuit cannot be simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SimulatorError {
    /// Too many qubits depend on one another.
    #[error(
        "{0} qubits depend on one another, and amplitudes of at most {1} fit; Clifford circuits can be larger"
    )]
    TooLarge(usize, usize),
    /// A gate that is no Clifford gate.
    #[error("the gate {0} with this angle is no Clifford gate; the state vector can simulate it")]
    Gate(&'static str),
    /// Noise that stabilizers cannot follow.
    #[error("a T2 above T1 is beyond stabilizers; use the state vector, or cap T2 at T1")]
    Noise,
}
