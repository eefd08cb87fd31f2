//! A room's group between two operations: stored, and perhaps still in memory.

use super::{error::SessionError, ledger::Ledger};
use crate::{
    ids::RoomId,
    mls::{device::Device, group::Group},
};

type Result<T, L> = std::result::Result<T, SessionError<<L as Ledger>::Error>>;

/// The group in the state that is stored.
pub(super) fn load<L: Ledger>(ledger: &mut L, device: &Device, room: RoomId) -> Result<Group, L> {
    let lapsed = ledger.lapsed(room).map_err(SessionError::Ledger)?;
    if let Some(mut group) = ledger.take_kept(room).map_err(SessionError::Ledger)? {
        group.set_lapsed(&lapsed);
        return Ok(group);
    }
    let blob = ledger.group(room).map_err(SessionError::Ledger)?.ok_or(SessionError::NotJoined)?;
    Ok(device.load(room, &blob, &lapsed)?)
}

/// Stores what an operation has made of the group.
pub(super) fn store<L: Ledger>(ledger: &mut L, room: RoomId, mut group: Group) -> Result<(), L> {
    let update = group.snapshot()?;
    ledger.put_group(room, &update).map_err(SessionError::Ledger)?;
    ledger.keep(room, group).map_err(SessionError::Ledger)
}
