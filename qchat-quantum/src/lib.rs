//! Quantum randomness for qchat, and the protocols around it, as pure functions and state machines: no I/O, no clock. The two
//! exceptions are [`ibm`], which speaks to IBM Quantum, and [`etsi014`], which speaks to the QKD equipment of those who have it.
//!
//! What is simulated is reproducible by its seed and never counts as quantum: whoever holds bits says where they are
//! from.

pub mod amplify;
pub mod backend;
pub mod bb84;
pub mod bits;
pub mod channel;
pub mod chsh;
pub mod circuit;
pub mod device;
pub mod distill;
pub mod e91;
pub mod etsi014;
pub mod ibm;
pub mod noise;
pub mod qrng;
mod random;
pub mod reconcile;
pub mod seed;
pub mod simulator;

pub use random::Seed;
