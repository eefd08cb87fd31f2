//! Information reconciliation: two strings that differ in a few places become equal, and what was said about them in
//! public is counted.
//!
//! [`cascade`] finds the differences by parities; [`verify`] shows by a universal hash that none is left.

pub mod cascade;
mod schedule;
pub mod verify;
