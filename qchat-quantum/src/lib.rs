//! Quantum randomness for qchat. So far the part that decides what it may do: add to the system's, never replace it.

pub mod seed;
