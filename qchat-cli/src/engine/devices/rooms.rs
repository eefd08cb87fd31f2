//! The account's other devices come into the rooms that this one is in: whoever finds one missing adds it. That several do
//! so at once is harmless, for the one whose commit comes second finds it there.

use bytes::Bytes;
use qchat_proto::{
    identity::{DeviceList, VerifiedDirectory},
    ids::{DeviceId, RoomId},
    session::ledger::{Change, Ledger, Phase, Want},
};

use super::OwnDevices;
use crate::{
    engine::{claims, error::EngineError, handle::Handle},
    store::{StoreError, Tx},
};

impl OwnDevices {
    /// Puts the Adds of devices that are missing into the outboxes; the rooms that have something to send now. A device that
    /// has no KeyPackages yet is added when it has, and a room that is about to change is looked at again when it has.
    pub(crate) async fn add_to_rooms(&self) -> Result<Vec<RoomId>, EngineError> {
        if self.missing().await?.is_empty() {
            return Ok(vec![]);
        }
        // By the newest list: one that is missing may have been revoked.
        let directory = self.refresh().await?;
        let mut rooms = vec![];
        for (room, missing) in self.missing().await? {
            let key_packages = self.claim(&directory, missing).await?;
            if !key_packages.is_empty() {
                self.steps.enqueue(room, Want::Commit(Change::Add(key_packages))).await?;
                rooms.push(room);
            }
        }
        Ok(rooms)
    }

    async fn claim(
        &self,
        directory: &VerifiedDirectory,
        devices: Vec<DeviceId>,
    ) -> Result<Vec<Bytes>, EngineError> {
        claims::claim((&self.rest, &self.access, &self.steps), directory, devices).await
    }

    /// The rooms in which devices of the account are missing, and which.
    async fn missing(&self) -> Result<Vec<(RoomId, Vec<DeviceId>)>, EngineError> {
        let account = self.account;
        let missing = self.profile.read_async(move |tx| {
            let Some(list) = tx.stored_device_list(account)? else { return Ok(vec![]) };
            let mut missing = vec![];
            for row in tx.rooms()? {
                let room = row.state.room;
                // What waits to be changed may be just this.
                if row.state.phase != Phase::Member || tx.outbox_holds_change(room)? {
                    continue;
                }
                let devices = missing_in(tx, &list, room)?;
                if !devices.is_empty() {
                    missing.push((room, devices));
                }
            }
            Ok::<_, StoreError>(missing)
        });
        Ok(missing.await?)
    }
}

impl Handle {
    /// Waits until a device of this account is in all rooms that this one follows, but not long; in how many it is not.
    ///
    /// # Errors
    /// When the profile cannot be read, or the engine has stopped.
    pub async fn wait_in_rooms(&self, device: DeviceId) -> Result<usize, EngineError> {
        let waited = self
            .until(async move |handle: &Self| Ok((handle.rooms_without(device).await? == 0).then_some(())));
        match waited.await {
            Ok(()) | Err(EngineError::Timeout(_)) => self.rooms_without(device).await,
            Err(error) => Err(error),
        }
    }

    async fn rooms_without(&self, device: DeviceId) -> Result<usize, EngineError> {
        let rooms = self.0.profile.read_async(move |tx| {
            let mut rooms = 0;
            for row in tx.rooms()?.into_iter().filter(|row| row.state.phase == Phase::Member) {
                let there = tx.roster(row.state.room)?.iter().any(|member| member.device == device);
                rooms += usize::from(!there);
            }
            Ok::<_, StoreError>(rooms)
        });
        Ok(rooms.await?)
    }
}

fn missing_in(tx: &mut Tx, list: &DeviceList, room: RoomId) -> Result<Vec<DeviceId>, StoreError> {
    let roster = tx.roster(room)?;
    // Who has asked to leave is not kept.
    let leaving = tx.lapsed(room)?;
    let devices = list.devices.iter().map(|listed| listed.device);
    Ok(devices
        .filter(|device| !leaving.contains(device) && !roster.iter().any(|member| member.device == *device))
        .collect())
}
