//! The head of the tree: what the server signs at each epoch, and how heads lead to one another.
//!
//! A head names the head before it, and the one at the epoch with the lowest bit of its own taken away: so between any two
//! heads of one log lie few others, however many epochs do.

use super::{TransparencyError, reader::Reader};
use crate::{
    crypto::{
        kdf,
        sign::{Device, DevicePublicKey, DeviceSigningKey, Level, SignatureUse},
    },
    ids::ServerId,
};

/// SHA-384 of a head: what its successors and its witnesses name it by.
pub type HeadHash = [u8; 48];

const WHAT: &str = "tree head";
const VERSION: u8 = 1;
const LABEL: &[u8] = b"qchat tree head v1";

/// What the tree was at one epoch.
///
/// | offset | bytes | content |
/// |---|---|---|
/// | 0 | 1 | version: 1 |
/// | 1 | 16 | server id |
/// | 17 | 8 | epoch |
/// | 25 | 32 | root hash of the tree |
/// | 57 | 32 | public key of the VRF that places entries; the same in all heads of a log |
/// | 89 | 8 | when it was made, seconds since the Unix epoch |
/// | 97 | 48 | hash of the head of the epoch before; zeros at epoch 0 |
/// | 145 | 48 | hash of the head of the epoch without its lowest set bit; zeros at epoch 0 |
///
/// The hash of a head is SHA-384(`qchat tree head v1` ‖ these 193 bytes); signed are the 193 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TreeHead {
    /// Whose tree it is.
    pub server: ServerId,
    /// Counts the changes of the tree; 0 is the empty one.
    pub epoch: u64,
    /// The hash over the whole tree.
    pub root: [u8; 32],
    /// What proofs of places are checked with.
    pub vrf_key: [u8; 32],
    /// When it was made, seconds since the Unix epoch, by the server's clock.
    pub at: u64,
    /// The head before.
    pub previous: HeadHash,
    /// The head at [`lower`] of the epoch.
    pub skip: HeadHash,
}

/// The epoch without its lowest set bit; 0 of 0.
pub const fn lower(epoch: u64) -> u64 {
    epoch & epoch.wrapping_sub(1)
}

impl TreeHead {
    /// Bytes of a head without its signature.
    pub const SIZE: usize = 193;

    /// The 193 bytes.
    pub fn encode(&self) -> Vec<u8> {
        [
            &[VERSION][..],
            self.server.as_bytes(),
            &self.epoch.to_be_bytes(),
            &self.root,
            &self.vrf_key,
            &self.at.to_be_bytes(),
            &self.previous,
            &self.skip,
        ]
        .concat()
    }

    /// Reads the 193 bytes; nothing is believed yet.
    ///
    /// # Errors
    /// [`TransparencyError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TransparencyError> {
        let mut reader = Reader::new(bytes, WHAT);
        if reader.u8()? != VERSION {
            return Err(reader.malformed());
        }
        let head = Self {
            server: ServerId::from_bytes(reader.array()?),
            epoch: reader.u64()?,
            root: reader.array()?,
            vrf_key: reader.array()?,
            at: reader.u64()?,
            previous: reader.array()?,
            skip: reader.array()?,
        };
        reader.end()?;
        Ok(head)
    }

    /// What the head is named by.
    pub fn hash(&self) -> HeadHash {
        kdf::sha384(&[LABEL, &self.encode()])
    }

    /// Signs it.
    ///
    /// # Errors
    /// [`TransparencyError::Sign`].
    pub fn sign(self, key: &DeviceSigningKey) -> Result<SignedHead, TransparencyError> {
        let signature = key.sign(SignatureUse::TreeHead, &self.encode())?;
        Ok(SignedHead { head: self, signature })
    }

    /// Where a way down to the epoch `to` goes next, and the hash of the head there.
    fn step(&self, to: u64) -> (u64, HeadHash) {
        let far = lower(self.epoch);
        if far >= to { (far, self.skip) } else { (self.epoch.saturating_sub(1), self.previous) }
    }
}

/// A head with its signature by the key of the directory (use `tree-head`, device level): 193 ‖ 3373 bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedHead {
    /// The head.
    pub head: TreeHead,
    /// By the key of the directory.
    pub signature: Vec<u8>,
}

impl SignedHead {
    /// Head and signature.
    pub fn encode(&self) -> Vec<u8> {
        [&self.head.encode()[..], &self.signature].concat()
    }

    /// Reads a head of this server that this key has signed.
    ///
    /// # Errors
    /// [`TransparencyError::Malformed`], [`TransparencyError::OtherServer`] or [`TransparencyError::Forged`].
    pub fn verify(bytes: &[u8], key: &DevicePublicKey, server: ServerId) -> Result<Self, TransparencyError> {
        let malformed = TransparencyError::Malformed(WHAT);
        let (said, signature) = bytes.split_at_checked(TreeHead::SIZE).ok_or(malformed)?;
        if signature.len() != Device::SIGNATURE {
            return Err(malformed);
        }
        let head = TreeHead::decode(said)?;
        if head.server != server {
            return Err(TransparencyError::OtherServer);
        }
        key.verify(SignatureUse::TreeHead, said, signature).map_err(|_| TransparencyError::Forged)?;
        Ok(Self { head, signature: signature.to_vec() })
    }
}

/// The epochs between `from` and the older `to`, without both, whose heads lead from one to the other: at most about
/// half the square of the number of bits of `from`.
pub fn path_from(from: u64, to: u64) -> Vec<u64> {
    let mut epochs = vec![];
    let mut at = from;
    while at > to {
        let far = lower(at);
        at = if far >= to { far } else { at - 1 };
        if at > to {
            epochs.push(at);
        }
    }
    epochs
}

/// The hash of the head at the epoch `to`, in the log that `head` is of: `path` holds the heads that [`path_from`] names,
/// one after the other.
///
/// # Errors
/// [`TransparencyError::Malformed`] when the path has another form, [`TransparencyError::Forked`] when it is not of that
/// log or `to` is newer than the head.
pub fn verify_path(head: &TreeHead, path: &[u8], to: u64) -> Result<HeadHash, TransparencyError> {
    let forked = TransparencyError::Forked { from: to, to: head.epoch };
    if to > head.epoch {
        return Err(forked);
    }
    let mut reader = Reader::new(path, "path between tree heads");
    let mut at = *head;
    let hash = loop {
        if at.epoch == to {
            break at.hash();
        }
        let (epoch, hash) = at.step(to);
        if epoch == to {
            break hash;
        }
        let next = TreeHead::decode(reader.bytes(TreeHead::SIZE)?)?;
        let same_log = next.server == head.server && next.vrf_key == head.vrf_key;
        if next.epoch != epoch || next.hash() != hash || !same_log {
            return Err(forked);
        }
        at = next;
    };
    reader.end()?;
    Ok(hash)
}
