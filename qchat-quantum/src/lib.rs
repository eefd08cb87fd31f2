//! Quantum randomness for qchat.

pub mod amplify;
pub mod bits;
pub mod qrng;
mod random;
pub mod reconcile;
pub mod seed;
