//! Random bits out of measured ones: tested while they come, their min-entropy estimated, then extracted.
//!
//! The path follows NIST SP 800-90B: [`health`] (§4.4), [`estimate`] (§6.3), and [`extract`], which leaves as many bits
//! as the estimate allows; [`harvest`] is all of it. Where the bits come from is not known here: bits of a simulator go the same way and are
//! labelled by whoever holds them.

pub mod estimate;
pub mod extract;
pub mod harvest;
pub mod health;
