//! A node of the tree as a row: its label is the key, the rest one value.

use akd::{
    NodeLabel,
    storage::types::DbRecord,
    tree_node::{TreeNode, TreeNodeWithPreviousValue},
};

/// Bits of a leaf's label.
const LEAF: u32 = 256;
/// In the place of a length: there is no such child.
const NONE: u16 = u16::MAX;

/// Length in bits (2), then the bytes that hold them.
pub(super) fn encode_label(label: &NodeLabel) -> Vec<u8> {
    let length = label.label_len.min(LEAF);
    let mut bytes = u16::try_from(length).unwrap_or(NONE).to_be_bytes().to_vec();
    bytes.extend(&label.label_val[..length.div_ceil(8) as usize]);
    bytes
}

/// Takes a label off the front.
#[expect(clippy::option_option, reason = "what is no label is not the same as no child")]
fn take_label(bytes: &mut &[u8]) -> Option<Option<NodeLabel>> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = u16::from_be_bytes(*length);
    if length == NONE {
        *bytes = rest;
        return Some(None);
    }
    let length = Some(u32::from(length)).filter(|length| *length <= LEAF)?;
    let (said, rest) = rest.split_at_checked(length.div_ceil(8) as usize)?;
    *bytes = rest;
    let mut value = [0; 32];
    value[..said.len()].copy_from_slice(said);
    Some(Some(NodeLabel::new(value, length)))
}

/// Newest epoch (8), oldest epoch below (8), kind (1), hash (32), labels of the node above and of both children.
pub(super) fn encode(node: &TreeNode) -> Vec<u8> {
    let mut bytes = vec![];
    bytes.extend(node.last_epoch.to_be_bytes());
    bytes.extend(node.min_descendant_epoch.to_be_bytes());
    bytes.push(node.node_type as u8);
    bytes.extend(node.hash.0);
    bytes.extend(encode_label(&node.parent));
    for child in [node.left_child, node.right_child] {
        bytes.extend(child.map_or_else(|| NONE.to_be_bytes().to_vec(), |child| encode_label(&child)));
    }
    bytes
}

/// Reads what [`encode`] wrote; `None` when it is something else.
pub(super) fn decode(label: &[u8], bytes: &[u8]) -> Option<TreeNodeWithPreviousValue> {
    let mut rest = label;
    let label = take_label(&mut rest)??;
    let (last_epoch, bytes) = bytes.split_first_chunk()?;
    let (oldest, bytes) = bytes.split_first_chunk()?;
    let (kind, bytes) = bytes.split_first()?;
    let (hash, bytes) = bytes.split_first_chunk::<32>()?;
    let mut rest = bytes;
    let parent = take_label(&mut rest)??;
    let (left, right) = (take_label(&mut rest)?, take_label(&mut rest)?);
    let whole = rest.is_empty() && (1..=3).contains(kind);
    whole.then(|| {
        DbRecord::build_tree_node_with_previous_value(
            label.label_val,
            label.label_len,
            u64::from_be_bytes(*last_epoch),
            u64::from_be_bytes(*oldest),
            parent.label_val,
            parent.label_len,
            *kind,
            left,
            right,
            *hash,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
        )
    })
}
