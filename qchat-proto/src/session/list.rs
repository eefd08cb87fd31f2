//! The daemon's list of a room's devices, and what leads it to the group's roster.

use std::collections::BTreeSet;

use super::{
    error::SessionError,
    ledger::{Ledger, ListedDevice},
};
use crate::{
    ids::{DeviceId, RoomId},
    mls::membership::Leaf,
    wire::{
        frame::{MembershipChange, Operation},
        limits,
    },
};

type Result<T, L> = std::result::Result<T, SessionError<<L as Ledger>::Error>>;

/// The daemon's list, sorted.
pub(super) fn listed<L: Ledger>(ledger: &mut L, room: RoomId) -> Result<Vec<ListedDevice>, L> {
    let mut listed = ledger.listed(room).map_err(SessionError::Ledger)?;
    listed.sort_unstable();
    Ok(listed)
}

/// The roster as the daemon lists it, sorted.
pub(super) fn roster(leaves: &[Leaf]) -> Vec<ListedDevice> {
    let mut roster: Vec<ListedDevice> = leaves.iter().copied().map(ListedDevice::from).collect();
    roster.sort_unstable();
    roster
}

/// What leads the daemon's list to the roster after the commit: everyone who is new is added, everyone who is not in it any
/// more is removed by name, and a leaf that the list had lost is listed again. What this commit does comes first: a list
/// that is further off than a delta can say is led back by several commits. Of those who are added, the ones in `full` need
/// not say yes: who is added again, and devices of the committer's own account.
pub(super) fn delta(
    leaves: &[Leaf],
    listed: &[ListedDevice],
    gone: &BTreeSet<DeviceId>,
    added: &[ListedDevice],
    full: &[ListedDevice],
) -> Vec<MembershipChange> {
    let before: BTreeSet<ListedDevice> = leaves.iter().copied().map(ListedDevice::from).collect();
    let mut after: BTreeSet<ListedDevice> =
        before.iter().copied().filter(|member| !gone.contains(&member.device)).collect();
    after.extend(added);
    let listed: BTreeSet<ListedDevice> = listed.iter().copied().collect();
    let change = |operation, member: &ListedDevice| MembershipChange {
        operation,
        account: member.account,
        device: member.device,
    };
    let stays: BTreeSet<DeviceId> = after.iter().map(|member| member.device).collect();
    let removed = before.iter().filter(|member| !stays.contains(&member.device));
    let lost = after.difference(&listed).filter(|member| !added.contains(member));
    let strangers = listed.difference(&before).filter(|member| !stays.contains(&member.device));
    // Whoever gets a leaf now needs its Welcome, also if it was listed already: it is added, not kept.
    let new = added.iter().filter(|member| !full.contains(member));
    let full = full.iter().map(|member| change(Operation::Readd, member));
    full.chain(new.map(|member| change(Operation::Add, member)))
        .chain(removed.map(|member| change(Operation::Remove, member)))
        .chain(lost.map(|member| change(Operation::Relist, member)))
        .chain(strangers.map(|member| change(Operation::Remove, member)))
        .take(limits::DELTA)
        .collect()
}
