//! The hash function of the tree: SHA-512/256 (FIPS 180-4), each use of it under a tag of its own.
//!
//! The crate that keeps the tree has room for 256 bits of a hash. Who could find two inputs with one hash could show two
//! trees under one head: that takes 2¹²⁸ steps, or 2¹⁰² of a quantum computer with little memory (category 2 of NIST, as
//! for SHA-256). To find another input for a hash that is there takes 2²⁵⁶, or 2¹²⁸ on a quantum computer.

use akd_core::{
    AkdLabel, AkdValue, AzksValue, AzksValueWithEpoch, NodeLabel, VersionFreshness,
    configuration::Configuration, hash::Digest,
};
use sha2::{Digest as _, Sha512_256};

/// Stands first in everything that is hashed.
const DOMAIN: &[u8] = b"qchat directory v1";

/// Bytes of what an entry of the tree holds: a commitment ([`super::entry`]).
pub const VALUE: usize = 48;

/// What is hashed: the byte after [`DOMAIN`].
#[derive(Clone, Copy)]
#[repr(u8)]
enum Tag {
    Plain = 0,
    Commitment = 1,
    Leaf = 2,
    Node = 3,
    Label = 4,
    Nonce = 5,
}

fn hash(tag: Tag, parts: &[&[u8]]) -> Digest {
    let mut hash = Sha512_256::new().chain_update(DOMAIN).chain_update([tag as u8]);
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// A label as it is hashed: its length in bits (4), then 32 bytes.
fn bytes(label: &NodeLabel) -> [u8; 36] {
    let mut bytes = [0; 36];
    bytes[..4].copy_from_slice(&label.label_len.to_be_bytes());
    bytes[4..].copy_from_slice(&label.label_val);
    bytes
}

/// How the tree hashes; a parameter of everything in `akd`.
#[derive(Clone, Copy, Debug)]
pub struct Hashes;

impl Hashes {
    fn commitment(value: &AkdValue, nonce: &[u8]) -> AzksValue {
        let length = (value.0.len() as u64).to_be_bytes();
        AzksValue(hash(Tag::Commitment, &[&length, &value.0, nonce]))
    }
}

impl Configuration for Hashes {
    fn hash(item: &[u8]) -> Digest {
        hash(Tag::Plain, &[item])
    }

    fn empty_root_value() -> AzksValue {
        AzksValue([0; 32])
    }

    fn empty_node_hash() -> AzksValue {
        AzksValue([0; 32])
    }

    fn hash_leaf_with_value(value: &AkdValue, epoch: u64, nonce: &[u8]) -> AzksValueWithEpoch {
        Self::hash_leaf_with_commitment(Self::commitment(value, nonce), epoch)
    }

    fn hash_leaf_with_commitment(commitment: AzksValue, epoch: u64) -> AzksValueWithEpoch {
        AzksValueWithEpoch(hash(Tag::Leaf, &[&commitment.0, &epoch.to_be_bytes()]))
    }

    fn get_commitment_nonce(key: &[u8], label: &NodeLabel, version: u64, _value: &AkdValue) -> Digest {
        hash(Tag::Nonce, &[key, &bytes(label), &version.to_be_bytes()])
    }

    fn compute_fresh_azks_value(key: &[u8], label: &NodeLabel, version: u64, value: &AkdValue) -> AzksValue {
        Self::commitment(value, &Self::get_commitment_nonce(key, label, version, value))
    }

    fn get_hash_from_label_input(label: &AkdLabel, freshness: VersionFreshness, version: u64) -> Vec<u8> {
        let length = (label.0.len() as u64).to_be_bytes();
        hash(Tag::Label, &[&length, &label.0, &[freshness as u8], &version.to_be_bytes()]).to_vec()
    }

    fn compute_parent_hash_from_children(
        left: &AzksValue,
        left_label: &[u8],
        right: &AzksValue,
        right_label: &[u8],
    ) -> AzksValue {
        AzksValue(hash(Tag::Node, &[&left.0, left_label, &right.0, right_label]))
    }

    fn compute_root_hash_from_val(root: &AzksValue) -> Digest {
        root.0
    }

    fn stale_azks_value() -> AzksValue {
        AzksValue([0; 32])
    }

    fn compute_node_label_value(bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    /// Stands for a child that the root does not have: no node's label, whose unused bits are zero.
    fn empty_label() -> NodeLabel {
        let mut value = [0; 32];
        value[0] = 1;
        NodeLabel::new(value, 0)
    }
}
