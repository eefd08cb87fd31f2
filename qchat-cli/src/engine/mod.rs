//! The client engine: the one place that decides what is sealed, sent, opened and stored.

pub mod types;
