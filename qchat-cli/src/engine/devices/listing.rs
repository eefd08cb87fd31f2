//! Which devices the account has, and taking one out.

use std::collections::HashMap;

use qchat_proto::{
    identity::DeviceLabel,
    ids::{DeviceId, RoomId},
    sanitize,
    session::ledger::{Change, Phase, Want},
    wire::api::{DeviceEntry, PutDeviceList},
};

use crate::{
    engine::{clock, error::EngineError, handle::Handle, types::OwnDevice},
    store::StoreError,
};

/// Longest part of an id that is asked for in place of all of it, characters: fewer would not tell devices apart for long.
const LEAST: usize = 4;

/// What a revocation has brought about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Revoked {
    /// Rooms that the device was removed from.
    pub rooms: usize,
    /// Rooms that it is still in: this device removes it as soon as it can, before it says anything there.
    pub waiting: usize,
}

impl Handle {
    /// The devices of this account: by its signed list, with what their labels say, and the daemon's word on when each was
    /// there last. This one first, then the newest.
    ///
    /// # Errors
    /// Why the daemon was not asked, or what of its answer does not hold.
    pub async fn devices(&self) -> Result<Vec<OwnDevice>, EngineError> {
        let devices = &self.0.devices;
        let directory = devices.refresh().await?;
        let own = devices.identity().await?;
        let rest = &devices.rest;
        let known = devices.access.ask(|token| async move { rest.devices(&token).await }).await?.devices;
        let known: HashMap<DeviceId, DeviceEntry> =
            known.into_iter().map(|entry| (entry.device_id, entry)).collect();
        let mut list: Vec<OwnDevice> = directory
            .certificates
            .iter()
            .map(|certificate| {
                let device = certificate.device;
                let entry = known.get(&device);
                let label = entry.and_then(|entry| entry.label.as_ref()).and_then(|label| {
                    DeviceLabel::open(label.as_ref(), &own.account_key, (own.account, device)).ok()
                });
                OwnDevice {
                    device,
                    me: device == own.device,
                    name: label.as_ref().map(|label| label.name.to_string()),
                    added_at: clock::from_seconds(certificate.created_at),
                    added_by: label.map(|label| label.added_by).filter(|by| *by != device),
                    last_seen: entry.and_then(|entry| entry.last_seen).map(clock::from_seconds),
                }
            })
            .collect();
        list.sort_by(|a, b| b.me.cmp(&a.me).then(b.added_at.cmp(&a.added_at)).then(a.device.cmp(&b.device)));
        Ok(list)
    }

    /// The device of this account that is meant by an id, the beginning of one, or a name.
    ///
    /// # Errors
    /// [`EngineError::NoSuchDevice`]; [`EngineError::Invalid`] when several are.
    pub async fn find_device(&self, wanted: &str) -> Result<OwnDevice, EngineError> {
        let devices = self.devices().await?;
        let is = |device: &&OwnDevice| {
            let id = device.device.to_string();
            id == wanted || (wanted.len() >= LEAST && id.starts_with(wanted))
        };
        let mut found: Vec<_> = devices.iter().filter(is).cloned().collect();
        if found.is_empty() {
            let line = sanitize::line(wanted);
            found = devices.into_iter().filter(|device| device.name.as_deref() == Some(&*line)).collect();
        }
        match &found[..] {
            [only] => Ok(only.clone()),
            [] => Err(EngineError::NoSuchDevice(wanted.to_owned())),
            _ => Err(EngineError::Invalid(format!(
                "several devices are called {wanted:?}; say the id that `qchat device list` shows"
            ))),
        }
    }

    /// Takes a device out of the account: it loses its sessions at once, and this device removes it from the rooms of both.
    ///
    /// # Errors
    /// [`EngineError::Refused`] for this device itself; why the daemon was not told: then it is as before, or the same
    /// again completes it.
    pub async fn revoke(&self, device: DeviceId) -> Result<Revoked, EngineError> {
        if device == self.0.me.device {
            return Err(EngineError::Refused(
                "a device cannot revoke itself: use another device of the account for that, or `qchat logout` to end its \
                 session here"
                    .to_owned(),
            ));
        }
        self.0
            .devices
            .publish(|draft| {
                let before = draft.list.devices.len();
                draft.list.devices.retain(|listed| listed.device != device);
                if draft.list.devices.len() == before {
                    return Ok(None);
                }
                Ok(Some(PutDeviceList { device_list: draft.sign()?.into(), ..PutDeviceList::default() }))
            })
            .await?;
        self.account_changed().await;
        self.remove_from_rooms(device).await
    }

    /// Removes a device from every room that this one is in, as far as there is time.
    async fn remove_from_rooms(&self, device: DeviceId) -> Result<Revoked, EngineError> {
        let rooms = self.rooms_of(device).await?;
        let mut sent = vec![];
        for &room in &rooms {
            sent.push((room, self.0.steps.enqueue(room, Want::Commit(Change::Duties)).await?));
        }
        for (room, id) in sent {
            match self.settled(room, id).await {
                Ok(()) | Err(EngineError::Timeout(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let waiting = self.rooms_of(device).await?.len();
        Ok(Revoked { rooms: rooms.len().saturating_sub(waiting), waiting })
    }

    /// The rooms that this device follows and that one is in.
    async fn rooms_of(&self, device: DeviceId) -> Result<Vec<RoomId>, EngineError> {
        let rooms = self.0.profile.read_async(move |tx| {
            let mut rooms = vec![];
            for row in tx.rooms()? {
                let room = row.state.room;
                if row.state.phase == Phase::Member
                    && tx.roster(room)?.iter().any(|member| member.device == device)
                {
                    rooms.push(room);
                }
            }
            Ok::<_, StoreError>(rooms)
        });
        Ok(rooms.await?)
    }
}
