//! Quantum randomness for qchat.

pub mod amplify;
pub mod bits;
mod random;
pub mod seed;
