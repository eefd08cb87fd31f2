//! A room's group between two operations: stored, and perhaps still in memory.

use super::{error::SessionError, ledger::Ledger};
use crate::{
    ids::RoomId,
    mls::{device::Device, group::Group},
};

type Result<T, L> = std::result::Result<T, SessionError<<L as Ledger>::Error>>;

/// The group in the state that is stored, with what an operation on it may need.
pub(super) fn load<L: Ledger>(ledger: &mut L, device: &Device, room: RoomId) -> Result<Group, L> {
    let lapsed = ledger.lapsed(room).map_err(SessionError::Ledger)?;
    let kept = ledger.take_kept(room).map_err(SessionError::Ledger)?;
    let mut group = if let Some(mut group) = kept {
        group.set_lapsed(&lapsed);
        group
    } else {
        let blob = ledger.group(room).map_err(SessionError::Ledger)?.ok_or(SessionError::NotJoined)?;
        device.load(room, &blob, &lapsed)?
    };
    group.set_psks(&ledger.psks(room).map_err(SessionError::Ledger)?);
    Ok(group)
}

/// Stores what an operation has made of the group.
pub(super) fn store<L: Ledger>(ledger: &mut L, room: RoomId, mut group: Group) -> Result<(), L> {
    let update = group.snapshot()?;
    ledger.put_group(room, &update).map_err(SessionError::Ledger)?;
    keep(ledger, room, group)
}

/// Gives a group back that is as it is stored.
pub(super) fn keep<L: Ledger>(ledger: &mut L, room: RoomId, mut group: Group) -> Result<(), L> {
    group.set_psks(&[]);
    ledger.keep(room, group).map_err(SessionError::Ledger)
}
