//! How this device gets another signature key. The next key is stored with its certificate before a byte leaves; the daemon
//! takes the certificate and the list that names the key together, or neither; and only when it is known to have them does
//! the new key take the place of the old one. Whatever is interrupted goes on at the next connection. docs/PROTOCOL.md,
//! "Another device key".

use qchat_proto::{
    crypto::{
        secret::Secret,
        sign::{AccountSigningKey, DeviceSigningKey},
    },
    identity::{DeviceCertificate, DeviceList, ListedDevice},
    ids::{DeviceId, RoomId},
    session::ledger::Phase,
    wire::api::{PutCertificate, PutDeviceList},
};

use super::{clock, devices::OwnDevices, error::EngineError, handle::Handle, tidy, types::Event, upkeep};
use crate::{
    quantum::keys::{self, KeySource},
    store::{DeviceKey, Identity, NextKey, StoreError, Tx, quantum::Purpose},
};

/// A new signature key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotated {
    /// This device.
    pub device: DeviceId,
    /// SHA-384 of the key.
    pub hash: [u8; 48],
    /// The rooms where the others know it.
    pub rooms: Vec<RoomId>,
    /// Those where they do not yet: they will once this device is connected for a while.
    pub waiting: Vec<RoomId>,
}

impl Handle {
    /// Gives this device another signature key: at the server, and in every room. When an earlier attempt was interrupted,
    /// this completes it.
    ///
    /// # Errors
    /// Why it did not come about; what was begun goes on at the next connection.
    pub async fn rotate_keys(&self) -> Result<Rotated, EngineError> {
        let inner = &self.0;
        inner.devices.begin_rotation().await?;
        inner.devices.finish_rotation().await?;
        // KeyPackages of the new key, before anybody finds that there are none.
        for room in upkeep::run(&inner.devices).await?.rooms {
            self.wrote(room).await;
        }
        let (rooms, waiting) = self.renew_rooms().await?;
        let own = inner.profile.read_async(Tx::identity).await?.ok_or(EngineError::LoggedOut)?;
        let key = DeviceSigningKey::from_seed(own.device_key).map_err(|error| failed(&error))?;
        Ok(Rotated { device: own.device, hash: key.public().hash(), rooms, waiting })
    }

    /// Gives this device fresh keys in every room that it follows, whenever it last did: after a new signature key, and
    /// whenever what a profile holds may have been somewhere else (whoever restores one calls this). What cannot be done
    /// now stays owed. Gives the rooms where it is done, and those where it is owed.
    ///
    /// # Errors
    /// When the profile cannot be written.
    pub async fn renew_rooms(&self) -> Result<(Vec<RoomId>, Vec<RoomId>), EngineError> {
        let due = self.0.profile.write_async(|tx| {
            tx.renew_everywhere()?;
            let mut due = vec![];
            for row in tx.rooms()? {
                // Alone, there is nobody to whom it would make a difference.
                if row.state.phase == Phase::Member && tx.roster(row.state.room)?.len() > 1 {
                    due.push(row.state.room);
                }
            }
            Ok::<_, StoreError>(due)
        });
        let (mut done, mut owed) = (vec![], vec![]);
        for room in due.await? {
            match self.update_keys(room).await {
                Ok(()) => done.push(room),
                Err(EngineError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    self.tell(Event::Trouble(error.to_string()));
                    owed.push(room);
                }
            }
        }
        Ok((done, owed))
    }
}

impl OwnDevices {
    /// Draws the next key and signs a certificate of it. Nothing happens while one is on its way.
    async fn begin_rotation(&self) -> Result<(), EngineError> {
        let own = self.identity().await?;
        if self.profile.read_async(Tx::next_key).await?.is_some() {
            return Ok(());
        }
        let profile = self.profile.clone();
        let made = tokio::task::spawn_blocking(move || {
            let source = KeySource::draw(keys::pool(profile.quantum()).as_ref());
            let key = DeviceSigningKey::generate(&source.entropy()).map_err(|error| failed(&error))?;
            source.became(Purpose::Device, &key.public().hash());
            let identity = account_key(&own)?;
            let before =
                DeviceCertificate::verify(&own.certificate, identity.public()).map_err(|_| corrupt())?;
            let certificate = DeviceCertificate {
                account: own.account,
                device: own.device,
                device_key: key.public().clone(),
                identity_key_hash: identity.public().hash(),
                // Newer, whatever the clock says.
                created_at: clock::seconds().max(before.created_at.saturating_add(1)),
            };
            let certificate = certificate.sign(&identity).map_err(|error| failed(&error))?;
            let key = DeviceKey { seed: Secret::from_bytes(*key.seed().expose()), certificate };
            Ok::<_, EngineError>(NextKey { key, account: None })
        });
        let next = made.await.map_err(|_| EngineError::Stopped)??;
        self.profile
            .write_async(move |tx| {
                // Another process was quicker.
                if tx.next_key()?.is_none() {
                    tx.put_next_key(&next)?;
                }
                Ok::<_, StoreError>(())
            })
            .await?;
        Ok(())
    }

    /// Brings what was begun to its end: list and certificate to the daemon, the new key into the place of the old one, and a
    /// session that it has opened. Whether there was anything to do.
    pub(crate) async fn finish_rotation(&self) -> Result<bool, EngineError> {
        let Some(next) = self.profile.read_async(Tx::next_key).await? else { return Ok(false) };
        if let Some(account) = next.account {
            return self.finish_replacement(account.record, next.key.certificate).await;
        }
        let DeviceKey { seed, certificate } = next.key;
        let hash = DeviceSigningKey::from_seed(seed).map_err(|error| failed(&error))?.public().hash();
        self.publish(|draft| {
            let device = draft.own.device;
            match draft.directory.list.listed(device) {
                None => {
                    return Err(EngineError::Refused("this device was revoked by another one".to_owned()));
                }
                // It has arrived before, and only the answer was lost.
                Some(listed) if listed.device_key_hash == hash => return Ok(None),
                Some(_) => {}
            }
            let certified =
                DeviceCertificate::verify(&certificate, draft.key.public()).map_err(|_| corrupt())?;
            // No list that says that this device is gone may be older than what that is to be believed about.
            draft.list.issued_at = draft.list.issued_at.max(certified.created_at);
            draft.list.expires_at = draft.list.issued_at.saturating_add(DeviceList::LIFETIME);
            draft.list.add(ListedDevice { device, device_key_hash: hash });
            Ok(Some(PutDeviceList {
                device_list: draft.sign()?.into(),
                certificates: vec![PutCertificate {
                    certificate: certificate.clone().into(),
                    label: None,
                    grant: None,
                }],
                ..PutDeviceList::default()
            }))
        })
        .await?;
        self.take_next_key(certificate, |_| Ok(())).await
    }

    /// The daemon has the certificate: from now on the new key is the device's, and the session is one that it has opened.
    /// `besides`: what else becomes so in that moment.
    pub(crate) async fn take_next_key(
        &self,
        certificate: Vec<u8>,
        besides: impl Fn(&mut Tx) -> Result<(), StoreError> + Send + Sync + 'static,
    ) -> Result<bool, EngineError> {
        let taken = self.profile.write_async(move |tx| {
            // Another process was quicker.
            if tx.next_key()?.is_none_or(|next| next.key.certificate != certificate) {
                return Ok(false);
            }
            tx.take_next_key(clock::seconds())?;
            besides(tx)?;
            // Whoever has a copy of before would read on in the backups.
            tx.forget_backup_secret()?;
            Ok::<_, StoreError>(true)
        });
        let taken = taken.await?;
        tidy::now(&self.profile).await;
        if taken {
            self.access.login().await?;
        }
        Ok(taken)
    }
}

pub(super) fn account_key(own: &Identity) -> Result<AccountSigningKey, EngineError> {
    let seed = Secret::from_bytes(*own.account_key.expose());
    AccountSigningKey::from_seed(seed).map_err(|error| failed(&error))
}

fn failed(error: &impl std::fmt::Display) -> EngineError {
    EngineError::Keys(error.to_string())
}

fn corrupt() -> EngineError {
    StoreError::Corrupt("own identity").into()
}
