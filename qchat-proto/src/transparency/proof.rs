//! Proofs about one label: what it holds at an epoch, and what it has held.
//!
//! The proofs are those of `akd_core`, which checks them. They travel in an encoding of their own, so compact that what
//! could be false about the shape of a path cannot be said in it. A path is that of its label: where it branches off is
//! given by a depth, and on which side follows from the label. A sibling lies on the other side; what stands where a label
//! is absent are the two children of its longest prefix, neither of which the label lies below. (`akd_core` 0.13 does not
//! check the last point: any ancestor of a label that is there would do for a proof that it is not.)

use akd_core::{
    AkdValue, AzksElement, AzksValue, Direction, HistoryProof, LookupProof, MembershipProof, NodeLabel,
    NonMembershipProof, SiblingProof, UpdateProof,
    configuration::Configuration as _,
    verify::{
        self,
        history::{HistoryParams, HistoryVerificationParams},
    },
};

use super::{Hashes, TransparencyError, config::VALUE, entry::Label, head::TreeHead, reader::Reader};

const LOOKUP: &str = "proof of an entry";
const HISTORY: &str = "proof of an entry's history";
const VERSION: u8 = 1;
/// The second byte of each proof.
/// An epoch that no directory reaches, nor a version, of which there is one an epoch at most. The library counts on from what
/// it is given, and a number near the end of all would have it overflow.
const BEYOND: u64 = 1 << 48;
const KIND_LOOKUP: u8 = 1;
const KIND_HISTORY: u8 = 2;
/// Bytes of a VRF proof (RFC 9381, ECVRF-EDWARDS25519-SHA512-TAI).
const VRF: usize = 80;
/// Bits of a leaf's label.
const LEAF: u32 = 256;
/// In the place of a length: there is no such node.
const NONE: u16 = u16::MAX;

/// An entry that a head stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Published {
    /// How often the label has been written, this time included.
    pub version: u64,
    /// The epoch in which it was.
    pub epoch: u64,
    /// The commitment that was written.
    pub commitment: [u8; VALUE],
}

/// Whether the bit at `depth` is set; the first bit of a label is the highest of its first byte.
pub(super) fn bit(label: &NodeLabel, depth: u32) -> bool {
    let byte = usize::try_from(depth / 8).ok().and_then(|at| label.label_val.get(at)).copied().unwrap_or(0);
    (byte >> (7 - depth % 8)) & 1 == 1
}

/// A node's label: its length in bits (2), and the bytes that hold them; unused bits are zero.
pub(super) fn write_label(out: &mut Vec<u8>, label: &NodeLabel) {
    let length = label.label_len.min(LEAF);
    out.extend(u16::try_from(length).unwrap_or(NONE).to_be_bytes());
    out.extend(&label.label_val[..length.div_ceil(8) as usize]);
}

fn write_element(out: &mut Vec<u8>, element: &AzksElement) {
    if element.label == Hashes::empty_label() {
        out.extend(NONE.to_be_bytes());
        return;
    }
    write_label(out, &element.label);
    out.extend(element.value.0);
}

pub(super) fn read_label(reader: &mut Reader<'_>, length: u16) -> Result<NodeLabel, TransparencyError> {
    let length = u32::from(length);
    if length > LEAF {
        return Err(reader.malformed());
    }
    let bytes = reader.bytes(length.div_ceil(8) as usize)?;
    let mut value = [0; 32];
    value[..bytes.len()].copy_from_slice(bytes);
    let label = NodeLabel::new(value, length);
    if label.get_prefix(length) == label || length == LEAF { Ok(label) } else { Err(reader.malformed()) }
}

/// Reads the child of the prefix of `of` that has `depth` bits, on that side. Only the root may lack one.
fn read_child(
    reader: &mut Reader<'_>,
    of: &NodeLabel,
    depth: u32,
    right: bool,
) -> Result<AzksElement, TransparencyError> {
    let length = reader.u16()?;
    if length == NONE && depth == 0 {
        return Ok(AzksElement { label: Hashes::empty_label(), value: Hashes::empty_node_hash() });
    }
    let label = read_label(reader, length)?;
    let below = label.label_len > depth && of.get_prefix(depth) == label.get_prefix(depth);
    if !below || bit(&label, depth) != right {
        return Err(reader.malformed());
    }
    Ok(AzksElement { label, value: AzksValue(reader.array()?) })
}

/// The way from a node up: how many siblings, then for each, from the root down, the depth (1) at which it branches off,
/// and the sibling.
fn write_way(out: &mut Vec<u8>, proof: &MembershipProof) {
    out.push(u8::try_from(proof.sibling_proofs.len()).unwrap_or(u8::MAX));
    for sibling in &proof.sibling_proofs {
        out.push(u8::try_from(sibling.label.label_len).unwrap_or(u8::MAX));
        write_element(out, &sibling.siblings[0]);
    }
}

fn read_way(reader: &mut Reader<'_>, of: &NodeLabel) -> Result<Vec<SiblingProof>, TransparencyError> {
    let mut way = vec![];
    let mut least = 0;
    for nth in 0..reader.u8()? {
        let depth = u32::from(reader.u8()?);
        // The first is the root's.
        if depth >= of.label_len || depth < least || (nth == 0 && depth != 0) {
            return Err(reader.malformed());
        }
        least = depth + 1;
        let right = bit(of, depth);
        let sibling = read_child(reader, of, depth, !right)?;
        way.push(SiblingProof {
            label: of.get_prefix(depth),
            siblings: [sibling],
            direction: if right { Direction::Right } else { Direction::Left },
        });
    }
    // Whatever is not the root has it above itself.
    if of.label_len > 0 && way.is_empty() {
        return Err(reader.malformed());
    }
    Ok(way)
}

/// That a leaf is there: its label (32), its hash (32), the way up.
fn write_membership(out: &mut Vec<u8>, proof: &MembershipProof) {
    out.extend(proof.label.label_val);
    out.extend(proof.hash_val.0);
    write_way(out, proof);
}

fn read_membership(reader: &mut Reader<'_>) -> Result<MembershipProof, TransparencyError> {
    let label = NodeLabel::new(reader.array()?, LEAF);
    let hash_val = AzksValue(reader.array()?);
    Ok(MembershipProof { label, hash_val, sibling_proofs: read_way(reader, &label)? })
}

/// That a leaf is not there: its label (32), the depth (1) of its longest prefix that is, the two children of that, the
/// way up.
fn write_absence(out: &mut Vec<u8>, proof: &NonMembershipProof) {
    out.extend(proof.label.label_val);
    out.push(u8::try_from(proof.longest_prefix.label_len).unwrap_or(u8::MAX));
    for child in &proof.longest_prefix_children {
        write_element(out, child);
    }
    write_way(out, &proof.longest_prefix_membership_proof);
}

fn read_absence(reader: &mut Reader<'_>) -> Result<NonMembershipProof, TransparencyError> {
    let label = NodeLabel::new(reader.array()?, LEAF);
    let depth = u32::from(reader.u8()?);
    let prefix = label.get_prefix(depth);
    let children = [read_child(reader, &label, depth, false)?, read_child(reader, &label, depth, true)?];
    // Below one of them the label could be.
    if children.iter().any(|child| child.label.label_len > 0 && child.label.is_prefix_of(&label)) {
        return Err(reader.malformed());
    }
    let [left, right] = &children;
    let hash_val = Hashes::compute_parent_hash_from_children(
        &left.value,
        &left.label.value::<Hashes>(),
        &right.value,
        &right.label.value::<Hashes>(),
    );
    // An empty tree has a root of its own.
    let empty = children.iter().all(|child| child.label.label_len == 0);
    let hash_val = if empty { Hashes::empty_root_value() } else { hash_val };
    Ok(NonMembershipProof {
        label,
        longest_prefix: prefix,
        longest_prefix_children: children,
        longest_prefix_membership_proof: MembershipProof {
            label: prefix,
            hash_val,
            sibling_proofs: read_way(reader, &prefix)?,
        },
    })
}

fn read_vrf(reader: &mut Reader<'_>) -> Result<Vec<u8>, TransparencyError> {
    Ok(reader.bytes(VRF)?.to_vec())
}

/// Nonces are hashes.
fn read_nonce(reader: &mut Reader<'_>) -> Result<Vec<u8>, TransparencyError> {
    Ok(reader.bytes(32)?.to_vec())
}

/// Encodes the proof of what a label holds. What it holds is not in it: who checks it knows that.
pub fn encode_lookup(proof: &LookupProof) -> Vec<u8> {
    let mut out = vec![VERSION, KIND_LOOKUP];
    out.extend(proof.epoch.to_be_bytes());
    out.extend(proof.version.to_be_bytes());
    out.extend(&proof.commitment_nonce);
    out.extend(&proof.existence_vrf_proof);
    write_membership(&mut out, &proof.existence_proof);
    out.extend(&proof.marker_vrf_proof);
    write_membership(&mut out, &proof.marker_proof);
    out.extend(&proof.freshness_vrf_proof);
    write_absence(&mut out, &proof.freshness_proof);
    out
}

/// An epoch and a version, which the library takes for granted to be counted from 1.
fn read_numbers(reader: &mut Reader<'_>) -> Result<(u64, u64), TransparencyError> {
    let (epoch, version) = (reader.u64()?, reader.u64()?);
    if epoch >= BEYOND || version == 0 || version >= BEYOND {
        return Err(reader.malformed());
    }
    Ok((epoch, version))
}

/// A head of an epoch that there can be.
fn within(head: &TreeHead, what: &'static str) -> Result<(), TransparencyError> {
    if head.epoch < BEYOND { Ok(()) } else { Err(TransparencyError::False(what)) }
}

fn decode_lookup(bytes: &[u8], commitment: &[u8; VALUE]) -> Result<LookupProof, TransparencyError> {
    let mut reader = Reader::new(bytes, LOOKUP);
    if reader.array()? != [VERSION, KIND_LOOKUP] {
        return Err(reader.malformed());
    }
    let (epoch, version) = read_numbers(&mut reader)?;
    let proof = LookupProof {
        epoch,
        version,
        value: AkdValue(commitment.to_vec()),
        commitment_nonce: read_nonce(&mut reader)?,
        existence_vrf_proof: read_vrf(&mut reader)?,
        existence_proof: read_membership(&mut reader)?,
        marker_vrf_proof: read_vrf(&mut reader)?,
        marker_proof: read_membership(&mut reader)?,
        freshness_vrf_proof: read_vrf(&mut reader)?,
        freshness_proof: read_absence(&mut reader)?,
    };
    reader.end()?;
    Ok(proof)
}

/// Checks that the newest thing written under a label, at the epoch of `head`, is this commitment.
///
/// # Errors
/// [`TransparencyError::Malformed`] or [`TransparencyError::False`].
pub fn verify_lookup(
    head: &TreeHead,
    label: Label<'_>,
    commitment: &[u8; VALUE],
    proof: &[u8],
) -> Result<Published, TransparencyError> {
    within(head, LOOKUP)?;
    let proof = decode_lookup(proof, commitment)?;
    let found = verify::lookup_verify::<Hashes>(&head.vrf_key, head.root, head.epoch, label.akd(), proof)
        .map_err(|_| TransparencyError::False(LOOKUP))?;
    Ok(Published { version: found.version, epoch: found.epoch, commitment: *commitment })
}

/// Encodes the proof of what a label has held, newest first.
pub fn encode_history(proof: &HistoryProof) -> Vec<u8> {
    let mut out = vec![VERSION, KIND_HISTORY];
    out.extend(u16::try_from(proof.update_proofs.len()).unwrap_or(u16::MAX).to_be_bytes());
    for update in &proof.update_proofs {
        out.extend(update.epoch.to_be_bytes());
        out.extend(update.version.to_be_bytes());
        out.extend(&update.value.0);
        out.extend(&update.commitment_nonce);
        out.extend(&update.existence_vrf_proof);
        write_membership(&mut out, &update.existence_proof);
        if let (Some(vrf), Some(stale)) = (&update.previous_version_vrf_proof, &update.previous_version_proof)
        {
            out.extend(vrf);
            write_membership(&mut out, stale);
        }
    }
    let past = proof.past_marker_vrf_proofs.iter().zip(&proof.existence_of_past_marker_proofs);
    out.push(u8::try_from(past.len()).unwrap_or(u8::MAX));
    for (vrf, there) in past {
        out.extend(vrf);
        write_membership(&mut out, there);
    }
    let future = proof.future_marker_vrf_proofs.iter().zip(&proof.non_existence_of_future_marker_proofs);
    out.push(u8::try_from(future.len()).unwrap_or(u8::MAX));
    for (vrf, absent) in future {
        out.extend(vrf);
        write_absence(&mut out, absent);
    }
    out
}

fn decode_history(bytes: &[u8]) -> Result<HistoryProof, TransparencyError> {
    let mut reader = Reader::new(bytes, HISTORY);
    if reader.array()? != [VERSION, KIND_HISTORY] {
        return Err(reader.malformed());
    }
    let mut update_proofs = vec![];
    for _ in 0..reader.u16()? {
        let (epoch, version) = read_numbers(&mut reader)?;
        let value = AkdValue(reader.array::<VALUE>()?.to_vec());
        let commitment_nonce = read_nonce(&mut reader)?;
        let existence_vrf_proof = read_vrf(&mut reader)?;
        let existence_proof = read_membership(&mut reader)?;
        let (vrf, stale) = if version > 1 {
            (Some(read_vrf(&mut reader)?), Some(read_membership(&mut reader)?))
        } else {
            (None, None)
        };
        update_proofs.push(UpdateProof {
            epoch,
            value,
            version,
            existence_vrf_proof,
            existence_proof,
            previous_version_vrf_proof: vrf,
            previous_version_proof: stale,
            commitment_nonce,
        });
    }
    let mut proof = HistoryProof {
        update_proofs,
        past_marker_vrf_proofs: vec![],
        existence_of_past_marker_proofs: vec![],
        future_marker_vrf_proofs: vec![],
        non_existence_of_future_marker_proofs: vec![],
    };
    for _ in 0..reader.u8()? {
        proof.past_marker_vrf_proofs.push(read_vrf(&mut reader)?);
        proof.existence_of_past_marker_proofs.push(read_membership(&mut reader)?);
    }
    for _ in 0..reader.u8()? {
        proof.future_marker_vrf_proofs.push(read_vrf(&mut reader)?);
        proof.non_existence_of_future_marker_proofs.push(read_absence(&mut reader)?);
    }
    reader.end()?;
    Ok(proof)
}

/// Checks what a label has held up to the epoch of `head`, newest first: the last `recent` times it was written, or all
/// of them if those are fewer, and that there are none after.
///
/// # Errors
/// [`TransparencyError::Malformed`] or [`TransparencyError::False`].
pub fn verify_history(
    head: &TreeHead,
    label: Label<'_>,
    recent: usize,
    proof: &[u8],
) -> Result<Vec<Published>, TransparencyError> {
    within(head, HISTORY)?;
    let proof = decode_history(proof)?;
    let params = HistoryVerificationParams::Default { history_params: HistoryParams::MostRecent(recent) };
    let held = verify::key_history_verify::<Hashes>(
        &head.vrf_key,
        head.root,
        head.epoch,
        label.akd(),
        proof,
        params,
    );
    let held = held.map_err(|_| TransparencyError::False(HISTORY))?;
    held.into_iter()
        .map(|found| {
            let commitment = found.value.0.try_into().map_err(|_| TransparencyError::Malformed(HISTORY))?;
            Ok(Published { version: found.version, epoch: found.epoch, commitment })
        })
        .collect()
}
