//! A group's leaves as accounts and devices.

use mls_rs::group::{Member, Roster};

use super::leaf_credential;
use crate::{
    ids::{AccountId, DeviceId},
    session::ledger::ListedDevice,
};

/// A leaf: one device in the group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Leaf {
    /// Its account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
    /// SHA-384 of the account identity key that certifies the device.
    pub identity_key_hash: [u8; 48],
    /// When the device was certified, seconds since the Unix epoch by its account's devices.
    pub certified_at: u64,
    /// The leaf index (RFC 9420 §7).
    pub index: u32,
}

impl From<Leaf> for ListedDevice {
    fn from(leaf: Leaf) -> Self {
        Self { account: leaf.account, device: leaf.device }
    }
}

/// Reads a member's leaf. `None` cannot happen in a group whose leaves our identity provider has admitted.
pub(crate) fn leaf(member: &Member) -> Option<Leaf> {
    let credential = leaf_credential(&member.signing_identity)?;
    Some(Leaf {
        account: credential.account,
        device: credential.device,
        identity_key_hash: credential.identity_key_hash,
        certified_at: credential.certificate_created_at,
        index: member.index,
    })
}

/// All leaves, by device.
pub(crate) fn leaves(roster: &Roster<'_>) -> Vec<Leaf> {
    let mut leaves: Vec<_> = roster.members_iter().filter_map(|member| leaf(&member)).collect();
    leaves.sort_unstable_by_key(|leaf| leaf.device);
    leaves
}
