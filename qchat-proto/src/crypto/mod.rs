//! The primitives, one file per idea.

pub mod entropy;
