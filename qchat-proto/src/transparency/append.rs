//! That the tree has only grown from one epoch to the next: what has stayed of it, and the leaves that came.
//!
//! Out of what has stayed the root before is computed, and together with what came the root after. So nothing that was
//! there has gone or changed. The library's own auditor does the same in a database in memory; this is the arithmetic
//! alone, and the tests hold one against the other.

use akd_core::{AzksElement, AzksValue, NodeLabel, SingleAppendOnlyProof, configuration::Configuration as _};

use super::{
    Hashes, TransparencyError,
    proof::{bit, read_label, write_label},
    reader::Reader,
};

const WHAT: &str = "proof that the directory has only grown";
const VERSION: u8 = 1;
const KIND: u8 = 3;
const LEAF: u32 = 256;

/// Encodes such a proof: version 1, kind 3, number of what has stayed (4), for each label and hash, number of leaves that
/// came (4), for each its label (32) and what it holds (32).
pub fn encode_append(proof: &SingleAppendOnlyProof) -> Vec<u8> {
    let mut out = vec![VERSION, KIND];
    let count = |elements: &[AzksElement]| u32::try_from(elements.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.extend(count(&proof.unchanged_nodes));
    for element in &proof.unchanged_nodes {
        write_label(&mut out, &element.label);
        out.extend(element.value.0);
    }
    out.extend(count(&proof.inserted));
    for element in &proof.inserted {
        out.extend(element.label.label_val);
        out.extend(element.value.0);
    }
    out
}

/// The root hash of the empty tree: that of epoch 0.
pub fn empty_root() -> [u8; 32] {
    Hashes::compute_root_hash_from_val(&Hashes::empty_root_value())
}

type Node = (NodeLabel, AzksValue);

/// How many leaves came, if nothing else has happened between the tree with the root `before` and the one with the root
/// `after`, which is that of `epoch`.
///
/// # Errors
/// [`TransparencyError::Malformed`] or [`TransparencyError::False`].
pub fn verify_append(
    before: &[u8; 32],
    after: &[u8; 32],
    epoch: u64,
    proof: &[u8],
) -> Result<usize, TransparencyError> {
    let mut reader = Reader::new(proof, WHAT);
    if reader.array()? != [VERSION, KIND] {
        return Err(reader.malformed());
    }
    let mut nodes: Vec<Node> = vec![];
    for _ in 0..reader.u32()? {
        let length = reader.u16()?;
        let label = read_label(&mut reader, length)?;
        nodes.push((label, AzksValue(reader.array()?)));
    }
    let stayed = nodes.len();
    for _ in 0..reader.u32()? {
        let label = NodeLabel::new(reader.array()?, LEAF);
        let held = AzksValue(reader.array()?);
        nodes.push((label, AzksValue(Hashes::hash_leaf_with_commitment(held, epoch).0)));
    }
    reader.end()?;
    let came = nodes.len() - stayed;
    let grown = root(&mut nodes[..stayed]) == Some(*before) && root(&mut nodes) == Some(*after);
    if grown { Ok(came) } else { Err(TransparencyError::False(WHAT)) }
}

/// The root hash of the tree that consists of these nodes and what lies below them; `None` when they are no tree, one
/// lying below another.
fn root(nodes: &mut [Node]) -> Option<[u8; 32]> {
    nodes.sort_unstable_by_key(|(label, _)| (label.label_val, label.label_len));
    // In this order a prefix stands right before the first that it is a prefix of.
    let overlap = nodes.windows(2).any(|pair| pair[0].0.is_prefix_of(&pair[1].0));
    if overlap || nodes.first().is_some_and(|(label, _)| label.label_len == 0) {
        return None;
    }
    if nodes.is_empty() {
        return Some(empty_root());
    }
    let (left, right) = nodes.split_at(nodes.partition_point(|(label, _)| !bit(label, 0)));
    Some(Hashes::compute_root_hash_from_val(&parent(subtree(left), subtree(right))))
}

/// The node above these, which are sorted and have something in common.
fn subtree(nodes: &[Node]) -> Option<Node> {
    let (first, last) = (nodes.first()?, nodes.last()?);
    if nodes.len() == 1 {
        return Some(*first);
    }
    let label = first.0.get_longest_common_prefix::<Hashes>(last.0);
    let depth = label.label_len;
    let (left, right) = nodes.split_at(nodes.partition_point(|(label, _)| !bit(label, depth)));
    Some((label, parent(subtree(left), subtree(right))))
}

fn parent(left: Option<Node>, right: Option<Node>) -> AzksValue {
    let none = (Hashes::empty_label(), Hashes::empty_node_hash());
    let ((left_label, left), (right_label, right)) = (left.unwrap_or(none), right.unwrap_or(none));
    Hashes::compute_parent_hash_from_children(
        &left,
        &left_label.value::<Hashes>(),
        &right,
        &right_label.value::<Hashes>(),
    )
}
