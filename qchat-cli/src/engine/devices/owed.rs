//! Devices of others that have come back by their account's recovery words: whoever of a room is connected adds them, so that
//! nobody has to be asked. That the daemon says so is only why this looks; the account's signature decides.

use std::time::Duration;

use qchat_proto::{
    ids::RoomId,
    session::ledger::{Change, Ledger, Phase, Want},
    wire::api::OwedPlace,
};

use super::OwnDevices;
use crate::{
    engine::{claims, error::EngineError},
    store::{StoreError, Tx},
};

/// Devices of a room that may add somebody at the same moment: what each of them claims is a KeyPackage less.
const AT_ONCE: usize = 8;
/// The others wait up to so long for each further device of the room.
const PAUSE: Duration = Duration::from_millis(100);

impl OwnDevices {
    /// Puts the Adds of such devices into the outboxes; the rooms that have something to send now. One that cannot be added is
    /// looked at again at the next connection.
    pub(crate) async fn add_owed(&self, owed: &[OwedPlace]) -> Result<Vec<RoomId>, EngineError> {
        let mut rooms = vec![];
        for place in owed {
            let Some(devices) = self.lacks(*place).await? else { continue };
            if let Some(pause) = pause(devices, self.steps.device.latest().jitter()) {
                tokio::time::sleep(pause).await;
                if self.lacks(*place).await?.is_none() {
                    continue;
                }
            }
            match self.add(*place).await {
                Ok(true) => rooms.push(place.room_id),
                Ok(false) => {}
                Err(EngineError::Store(error)) => return Err(error.into()),
                // Of one whose identity has changed, say, its user has to be asked first.
                Err(error) => tracing::info!(%error, room = %place.room_id, "a device was not added again"),
            }
        }
        Ok(rooms)
    }

    async fn add(&self, place: OwedPlace) -> Result<bool, EngineError> {
        let directory = self.people.refresh(place.account_id).await?;
        if directory.list.listed(place.device_id).is_none() {
            return Ok(false);
        }
        let asking = (&self.rest, &self.access, &self.people, &self.steps);
        let key_packages = claims::claim(asking, &directory, vec![place.device_id]).await?;
        if key_packages.is_empty() {
            return Ok(false);
        }
        self.steps.enqueue(place.room_id, Want::Commit(Change::Add(key_packages))).await?;
        Ok(true)
    }

    /// How many devices a room has that lacks this one, though its account is in it: with another device, which was not only
    /// invited and does not want to leave.
    async fn lacks(&self, place: OwedPlace) -> Result<Option<usize>, EngineError> {
        let OwedPlace { room_id: room, account_id, device_id } = place;
        if account_id == self.account {
            return Ok(None);
        }
        let lacking = self.profile.read_async(move |tx: &mut Tx| {
            let follows = tx.room(room)?.is_some_and(|state| state.phase == Phase::Member);
            if !follows || tx.outbox_holds_change(room)? {
                return Ok(None);
            }
            let (roster, leaving, invitees) = (tx.roster(room)?, tx.lapsed(room)?, tx.invitees(room)?);
            let there = roster.iter().any(|member| member.device == device_id);
            let belongs = roster.iter().any(|member| {
                member.account == account_id
                    && !leaving.contains(&member.device)
                    && !invitees.iter().any(|invitee| invitee.device == member.device)
            });
            Ok::<_, StoreError>((belongs && !there).then_some(roster.len()))
        });
        Ok(lacking.await?)
    }
}

/// How long this device of a room of so many leaves it to the others; `jitter` is its own.
pub(super) fn pause(devices: usize, jitter: u64) -> Option<Duration> {
    let more = u32::try_from(devices.saturating_sub(AT_ONCE)).unwrap_or(u32::MAX);
    let place = u32::try_from(jitter % u64::from(more.max(1))).unwrap_or(0);
    (more > 0).then(|| PAUSE * place)
}
