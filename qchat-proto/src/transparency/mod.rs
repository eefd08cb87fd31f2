//! Key transparency: what the server says about accounts stands in a tree that can only grow and whose head it signs, so
//! that it must say the same to everybody, and each owner sees what is said of theirs.
//!
//! ```text
//! name ─────► entry: account id            ┐ commitments in a tree, each under
//! account id ► entry: record, device list  ┘ (label, version), placed by a VRF
//!                 tree ── root ─► TreeHead, signed; each names the ones before
//! ```
//!
//! The tree is that of the `akd` crate, the auditable key directory of SEEMless and Parakeet; this module is the one place
//! that names `akd_core`. What is added to it here: entries that can be forgotten ([`entry`]), heads that are chained so
//! that few of them lead from any to any other ([`head`]), one encoding for each proof, in which a path cannot leave the
//! place of its label ([`proof`]), and the check that a tree has only grown ([`append`]).

pub mod append;
mod config;
pub mod entry;
mod error;
pub mod head;
pub mod proof;
mod reader;

pub use self::{
    append::{empty_root, encode_append, verify_append},
    config::{Hashes, VALUE},
    entry::{AccountEntry, Label, NameEntry, Salt},
    error::TransparencyError,
    head::{HeadHash, SignedHead, TreeHead, path_from, verify_path},
    proof::{Published, encode_history, encode_lookup, verify_history, verify_lookup},
};
