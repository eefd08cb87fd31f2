//! What each fuzz target holds of a decoder. The input is an edit of a genuine encoding, which the target makes itself
//! ([`edits`]), or raw bytes: so the fuzzer gets behind signatures, sizes and checksums without a corpus of files.

#![forbid(unsafe_code)]

mod directory;
mod edits;
mod identity;
mod local;
mod mls;
mod text;
mod wire;
mod world;

pub use directory::directory;
pub use identity::{backups, keys, links, sealed, signed, statements};
pub use local::{agent, hints, tokens, vault};
pub use mls::{anchors, key_packages, messages, stored, welcomes};
pub use text::{names, recovery_words, sanitize};
pub use wire::{authenticated, content, envelopes, frames, rest};
