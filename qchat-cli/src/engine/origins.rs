//! What this device's keys were drawn from: the operating system's randomness always, and a block of the quantum pool where it
//! had one when the key was made.

use qchat_proto::crypto::{secret::Secret, sign::DeviceSigningKey};

use super::{error::EngineError, handle::Handle, register::blocking, view};
use crate::store::{
    StoreError, Tx,
    quantum::{Draw, Purpose},
};

/// Draws that are looked through: of each room the last one counts, and a year has some hundred.
const LOOKED_AT: usize = 10_000;

/// A key of this device, and what beside the operating system's randomness is in it.
#[derive(Clone, PartialEq, Debug)]
pub struct Origin {
    /// What the key is for.
    pub purpose: Purpose,
    /// The room whose keys these are.
    pub room: Option<String>,
    /// The block of the pool that went into it; `None`: the operating system's randomness alone.
    pub drawn: Option<Draw>,
}

impl Handle {
    /// What keys were drawn from: the account's and this device's that are in use, and those that this device last gave itself
    /// in a room when it was asked to, with something of the pool in them. It may have replaced those since, as every commit
    /// does.
    ///
    /// Empty where the database of the pool cannot be read.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn key_origins(&self) -> Result<Vec<Origin>, EngineError> {
        let profile = self.0.profile.clone();
        blocking(move || {
            let (own, contact, rooms) = profile.read(|tx: &mut Tx| {
                let own = tx.identity()?.ok_or(StoreError::Corrupt("identity"))?;
                let contact = tx.contact(own.account)?;
                let noted = tx.all_noted()?;
                let rooms: Vec<_> =
                    tx.rooms()?.iter().map(|row| view::summary(tx, &noted, row)).collect::<Result<_, _>>()?;
                Ok::<_, StoreError>((own, contact, rooms))
            })?;
            let draws = match profile
                .quantum()
                .and_then(|store| store.map_or(Ok(vec![]), |store| store.draws(LOOKED_AT)))
            {
                Ok(draws) => draws,
                // Of what cannot be read nothing is claimed.
                Err(error) => {
                    tracing::warn!(%error, "it is not known what keys have drawn from the quantum pool");
                    return Ok(vec![]);
                }
            };
            let drawn = |purpose: Purpose, subject: &[u8]| {
                draws.iter().find(|draw| draw.purpose == purpose.name() && draw.subject == subject).cloned()
            };
            let key =
                |purpose, subject: &[u8]| Origin { purpose, room: None, drawn: drawn(purpose, subject) };
            let mut origins = vec![];
            if let Some(contact) = contact {
                origins.push(key(Purpose::Recovery, &contact.pinned.recovery_key_hash));
                origins.push(key(Purpose::Account, &contact.pinned.identity_key_hash));
            }
            let device = DeviceSigningKey::from_seed(Secret::from_bytes(*own.device_key.expose()))
                .map_err(|error| EngineError::Keys(error.to_string()))?;
            origins.push(key(Purpose::Device, &device.public().hash()));
            for room in rooms {
                let drawn = drawn(Purpose::Room, room.id.as_bytes());
                if drawn.is_some() {
                    origins.push(Origin { purpose: Purpose::Room, room: Some(room.name), drawn });
                }
            }
            Ok(origins)
        })
        .await
    }
}
