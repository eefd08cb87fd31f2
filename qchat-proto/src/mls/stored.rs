//! A group as it is stored: what every message changes, apart from the ratchet tree, which changes with the epoch alone
//! and is nearly all of it. The tree is bound to the state by its hash (RFC 9420 §7.8), which the state's group context
//! holds; the library does not check that when it loads.

use mls_rs::group::{ExportedTree, GroupContext, Node};
use mls_rs_codec::{MlsDecode, MlsEncode, VarInt};
use zeroize::Zeroizing;

use super::fault::MlsFault;
use crate::crypto::kdf;

/// Maps from keys and identities to leaves, which the library writes into every state although they follow from the
/// tree: about 3.3 kB a leaf. It makes them anew for a state in which they are empty.
const INDEX_MAPS: usize = 5;

/// Reads the group context out of a state.
pub(super) fn context(state: &[u8]) -> Result<GroupContext, MlsFault> {
    read_context(&mut &*state)
}

/// The library's state begins with its version and the group context.
fn read_context(state: &mut &[u8]) -> Result<GroupContext, MlsFault> {
    u16::mls_decode(state).map_err(|_| MlsFault::StoredState)?;
    GroupContext::mls_decode(state).map_err(|_| MlsFault::StoredState)
}

/// Takes the index over the tree out of a state that was written without its tree.
///
/// # Errors
/// [`MlsFault::Library`] when the state is not laid out as the library's pinned version does.
pub(super) fn without_index(state: &[u8]) -> Result<Zeroizing<Vec<u8>>, MlsFault> {
    let mut rest = state;
    read_context(&mut rest).map_err(|_| MlsFault::Library)?;
    // The proposals that wait, by reference and by message.
    skip(&mut rest)?;
    skip(&mut rest)?;
    let (before, _) = state.split_at(state.len() - rest.len());
    for _ in 0..INDEX_MAPS {
        skip(&mut rest)?;
    }
    // The nodes follow: none.
    if rest.first() != Some(&0) {
        return Err(MlsFault::Library);
    }
    // An empty map is a length of zero.
    let parts = [before, &[0; INDEX_MAPS], rest];
    // Large enough from the start: growing would leave copies of secrets behind.
    let mut stripped = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        stripped.extend_from_slice(part);
    }
    Ok(stripped)
}

/// Passes over a vector with its length.
fn skip(rest: &mut &[u8]) -> Result<(), MlsFault> {
    let length = VarInt::mls_decode(rest).map_err(|_| MlsFault::Library)?;
    let length = usize::try_from(u32::from(length)).map_err(|_| MlsFault::Library)?;
    *rest = rest.get(length..).ok_or(MlsFault::Library)?;
    Ok(())
}

/// The tree hash (RFC 9420 §7.8); `None` when there is no such tree.
pub(super) fn tree_hash(tree: &ExportedTree<'_>) -> Option<[u8; 48]> {
    let nodes = tree.nodes();
    // Nodes that are blank up to the end are left out of an exported tree.
    let leaves = (nodes.len() / 2 + 1).checked_next_power_of_two()?;
    subtree_hash(nodes, 0, leaves)
}

/// The hash over the subtree of `leaves` leaves (a power of two) that begins with the leaf `first`.
fn subtree_hash(nodes: &[Option<Node>], first: usize, leaves: usize) -> Option<[u8; 48]> {
    if leaves == 1 {
        let index = u32::try_from(first).ok()?.to_be_bytes();
        let leaf = match nodes.get(2 * first).and_then(Option::as_ref) {
            Some(Node::Leaf(leaf)) => present(leaf)?,
            Some(Node::Parent(_)) => return None,
            None => vec![0],
        };
        return Some(kdf::sha384(&[&[1], &index, &leaf]));
    }
    let half = leaves / 2;
    let left = subtree_hash(nodes, first, half)?;
    let right = subtree_hash(nodes, first + half, half)?;
    // Between the two halves, leaves standing at even places.
    let parent = match nodes.get(2 * (first + half) - 1).and_then(Option::as_ref) {
        Some(Node::Parent(parent)) => present(parent)?,
        Some(Node::Leaf(_)) => return None,
        None => vec![0],
    };
    // A hash is shorter than 64 bytes, so that its length takes one.
    Some(kdf::sha384(&[&[2], &parent, &[48], &left, &[48], &right]))
}

/// An optional value that is there.
fn present(value: &impl MlsEncode) -> Option<Vec<u8>> {
    let mut encoded = vec![1];
    value.mls_encode(&mut encoded).ok()?;
    Some(encoded)
}
