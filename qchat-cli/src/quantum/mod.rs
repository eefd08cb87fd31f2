//! Quantum jobs: what they are to do, what does it, and how far each has come; and the pool that keys draw from.
//!
//! A job is written down before anything happens, and after each thing that has, so that any process can go on with it. What
//! comes of one only ever adds to the operating system's randomness.

pub mod bench;
pub mod cloud;
pub mod error;
pub mod jobs;
pub mod keys;
pub mod local;
pub mod outcome;
pub mod task;

pub use self::{cloud::Cloud, error::QuantumError, jobs::Jobs};
