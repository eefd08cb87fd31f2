//! What its owner does when somebody else has a device of the account: with it they have the account's identity key, so that goes
//! too. The recovery words outrank it: they vouch for another one, under which this device is the only one of the account.
//!
//! Not even the account's other devices are taken along. Whoever has the identity key can have certified keys of their own
//! under any of their names, and no device can tell; their owner links them again, and sees which they are.
//!
//! What is to be is stored before a byte leaves, as with another device key, and takes its place once the daemon is known to
//! have it. It goes by the words alone: the thief may have been quicker, and have revoked this device.

use qchat_proto::{
    crypto::{
        secret::Secret,
        sign::{AccountSigningKey, DeviceSigningKey},
    },
    identity::{
        AccountRecord, Asked, DeviceCertificate, DeviceList, ListedDevice, Pinned, RecoveryKey,
        VerifiedDirectory, verify_directory,
    },
    ids::{DeviceId, RoomId},
    session::ledger::{Change, Phase, Want},
    transparency::AccountEntry,
    wire::api::{Directory, PutCertificate},
};

use super::{OwnDevices, Revoked};
use crate::{
    engine::{
        clock,
        error::EngineError,
        handle::Handle,
        people,
        recovering::Recoverer,
        register::blocking,
        rotation::account_key,
        transparency::{self, Wanted},
        types::Event,
        upkeep,
    },
    quantum::keys::{self, KeySource},
    store::{
        AccountIdentity, AccountKey, Contact, DeviceKey, Identity, NextKey, StoreError, Tx, quantum::Purpose,
    },
};

/// How often the list is made anew because the thief was quicker: they write as fast as they can.
const ATTEMPTS: usize = 16;

/// An account that has been taken back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakenBack {
    /// The devices that are not of the account any more.
    pub revoked: Vec<DeviceId>,
    /// SHA-384 of the account's identity key now.
    pub identity: [u8; 48],
    /// What became of the rooms that one of them is in.
    pub removed: Revoked,
    /// The rooms where the others do not have this device's new keys yet: they will once it is connected for a while.
    pub waiting: Vec<RoomId>,
    /// Whether there is a backup, which the words cannot restore any more until it is made again.
    pub backed_up: bool,
}

impl Handle {
    /// Gives the account another identity key, for which the recovery words vouch, and makes this device the only one of it.
    /// Interrupted, the same again completes it.
    ///
    /// # Errors
    /// [`EngineError::OtherWords`]; [`EngineError::Refused`] when somebody with the words has done this elsewhere; why the daemon
    /// was not told.
    pub async fn take_account_back(&self, words: &RecoveryKey) -> Result<TakenBack, EngineError> {
        let inner = &self.0;
        let devices = &inner.devices;
        let key = words.signing_key().map_err(|error| failed(&error))?;
        let record = self.own_record().await?;
        if record.recovery_key != *key.public() {
            return Err(EngineError::OtherWords);
        }
        let own = devices.identity().await?;
        let recoverer = Recoverer {
            rest: &inner.rest,
            name: &own.name,
            server: own.server_id,
            device: own.device,
            key: &key,
        };
        let rooms = self.rooms_with_others().await?;
        let gone = devices.replace_identity(&recoverer, own.device).await?;
        for room in upkeep::run(devices).await?.rooms {
            self.wrote(room).await;
        }
        self.account_changed().await;
        for &room in &rooms {
            let removing = async {
                let id = inner.steps.enqueue(room, Want::Commit(Change::Duties)).await?;
                self.settled(room, id).await
            };
            // That the thief has removed this device from a room, say, it may have read only now.
            if let Err(error @ (EngineError::Store(_) | EngineError::Stopped)) = removing.await {
                return Err(error);
            }
        }
        let waiting = self.rooms_with_others().await?.len();
        let removed = Revoked { rooms: rooms.len().saturating_sub(waiting), waiting };
        let (_, waiting) = self.renew_rooms().await?;
        let backups = inner.profile.read_async(Tx::backups).await?;
        let identity = self.own_record().await?.identity_key.hash();
        let backed_up = backups.is_some_and(|backups| backups.newest.is_some());
        Ok(TakenBack { revoked: gone, identity, removed, waiting, backed_up })
    }
}

impl Handle {
    /// The rooms that this device follows and another of its account is in.
    async fn rooms_with_others(&self) -> Result<Vec<RoomId>, EngineError> {
        let (me, this) = (self.0.me.account, self.0.me.device);
        let rooms = self.0.profile.read_async(move |tx| {
            let mut rooms = vec![];
            for row in tx.rooms()?.into_iter().filter(|row| row.state.phase == Phase::Member) {
                let room = row.state.room;
                if tx.roster(room)?.iter().any(|member| member.account == me && member.device != this) {
                    rooms.push(room);
                }
            }
            Ok::<_, StoreError>(rooms)
        });
        Ok(rooms.await?)
    }
}

impl OwnDevices {
    /// Has the daemon take another identity key, and this device under it alone; then it is what this device goes by. Gives the
    /// devices that were of the account before.
    async fn replace_identity(
        &self,
        recoverer: &Recoverer<'_>,
        me: DeviceId,
    ) -> Result<Vec<DeviceId>, EngineError> {
        let mut gone: Option<Vec<DeviceId>> = None;
        for _ in 0..ATTEMPTS {
            let (recovered, directory) = recoverer.look().await?;
            let own = self.identity().await?;
            let next = self.next_identity(own, &directory, recoverer).await?;
            let account = next.account.ok_or(StoreError::Corrupt("next account key"))?;
            let before =
                directory.list.devices.iter().map(|listed| listed.device).filter(|device| *device != me);
            let gone = gone.get_or_insert_with(|| before.collect());
            if is_said(&recovered.directory, &account.record) {
                self.take_replacement(&recovered.directory, &directory, next.key.certificate).await?;
                return Ok(std::mem::take(gone));
            }
            let identity = AccountSigningKey::from_seed(account.seed).map_err(|error| failed(&error))?;
            let device_key = DeviceSigningKey::from_seed(next.key.seed).map_err(|error| failed(&error))?;
            let certified = DeviceCertificate::verify(&next.key.certificate, identity.public())
                .map_err(|_| StoreError::Corrupt("next certificate"))?;
            let own = self.identity().await?;
            let mut list = directory.list.next(own.list_version, clock::seconds());
            list.devices.clear();
            list.add(ListedDevice { device: me, device_key_hash: device_key.public().hash() });
            list.issued_at = list.issued_at.max(certified.created_at);
            list.expires_at = list.issued_at.saturating_add(DeviceList::LIFETIME);
            let signed = list.sign(&identity).map_err(|error| failed(&error))?;
            // No device signs two lists of one version.
            let version = list.version;
            self.profile.write_async(move |tx| tx.put_own_list_version(version)).await?;
            let certificate =
                PutCertificate { certificate: next.key.certificate.into(), label: None, grant: None };
            // Whoever was quicker: what is there now says.
            recoverer.put(signed, certificate, Some(account.record.into())).await?;
        }
        Err(EngineError::Refused(
            "the server does not take another identity key of the account, nor say why; try again".to_owned(),
        ))
    }

    /// The keys that are to be, drawn and stored when none are.
    async fn next_identity(
        &self,
        own: Identity,
        directory: &VerifiedDirectory,
        recoverer: &Recoverer<'_>,
    ) -> Result<NextKey, EngineError> {
        let pending = self.profile.read_async(Tx::next_key).await?;
        let there = &directory.record;
        let (since, drawn) = match &pending {
            Some(next) => {
                let certificate = next.key.certificate.clone();
                (certificate, next.account.as_ref())
            }
            None => (own.certificate.clone(), None),
        };
        if let Some(account) = drawn {
            let record =
                AccountRecord::verify(&account.record).map_err(|_| StoreError::Corrupt("next record"))?;
            if record == *there || record.created_at > there.created_at {
                return pending.ok_or_else(|| StoreError::Corrupt("next key").into());
            }
        }
        let identity = account_key(&own)?;
        if there.identity_key != *identity.public() {
            return Err(EngineError::Refused(
                "somebody with the recovery words has given the account another identity key already: if that was you, link this \
                 machine anew with `qchat device link`, in another profile"
                    .to_owned(),
            ));
        }
        // Newer than one that the daemon may have got, whatever the clock says.
        let certified = DeviceCertificate::verify(&since, identity.public())
            .map_err(|_| StoreError::Corrupt("own certificate"))?
            .created_at;
        let created_at =
            clock::seconds().max(certified.saturating_add(1)).max(there.created_at.saturating_add(1));
        let recovery = AccountSigningKey::from_seed(Secret::from_bytes(*recoverer.key.seed().expose()))
            .map_err(|error| failed(&error))?;
        let (account, name) = (own.account, own.name.clone());
        let profile = self.profile.clone();
        let next = blocking(move || {
            let pool = keys::pool(profile.quantum());
            let source = KeySource::draw(pool.as_ref());
            let identity = AccountSigningKey::generate(&source.entropy()).map_err(|error| failed(&error))?;
            source.became(Purpose::Account, &identity.public().hash());
            let source = KeySource::draw(pool.as_ref());
            let key = DeviceSigningKey::generate(&source.entropy()).map_err(|error| failed(&error))?;
            source.became(Purpose::Device, &key.public().hash());
            let record = AccountRecord {
                account,
                name,
                identity_key: identity.public().clone(),
                recovery_key: recovery.public().clone(),
                created_at,
            };
            let certificate = DeviceCertificate {
                account,
                device: own.device,
                device_key: key.public().clone(),
                identity_key_hash: identity.public().hash(),
                created_at,
            };
            let certificate = certificate.sign(&identity).map_err(|error| failed(&error))?;
            let record = record.sign(&identity, &recovery).map_err(|error| failed(&error))?;
            Ok(NextKey {
                key: DeviceKey { seed: Secret::from_bytes(*key.seed().expose()), certificate },
                account: Some(AccountIdentity {
                    seed: Secret::from_bytes(*identity.seed().expose()),
                    record,
                }),
            })
        })
        .await?;
        self.profile.write_async(move |tx| tx.put_next_key(&next)).await?;
        let stored = self.profile.read_async(Tx::next_key).await?;
        Ok(stored.ok_or(StoreError::Corrupt("next key"))?)
    }

    /// What was begun before this process: if the daemon has the record, it is what this device goes by. Otherwise its user has
    /// to say the words again.
    pub(crate) async fn finish_replacement(
        &self,
        record: Vec<u8>,
        certificate: Vec<u8>,
    ) -> Result<bool, EngineError> {
        let (answer, head) = self.people.log.fetch(Wanted::Account(self.account)).await?;
        if !is_said(&answer, &record) {
            let said = "the account's identity key was to be replaced, and the server does not have the new one: run `qchat device \
                        revoke --stolen` again";
            let _ = self.people.events.send(Event::Trouble(said.to_owned()));
            return Ok(false);
        }
        let own = self.identity().await?;
        let directory = verify_directory(Asked::Account(self.account), &people::answer(&answer), None, 0)
            .map_err(|source| EngineError::Identity { who: own.name.to_string(), source })?;
        transparency::confirm(&head, &answer, &directory)?;
        self.take_replacement(&answer, &directory, certificate).await
    }

    async fn take_replacement(
        &self,
        answer: &Directory,
        directory: &VerifiedDirectory,
        certificate: Vec<u8>,
    ) -> Result<bool, EngineError> {
        let record = &directory.record;
        let key = AccountKey { account: record.account, public_key: record.identity_key.as_bytes().to_vec() };
        let hash = record.identity_key.hash();
        let contact = Contact {
            account: record.account,
            name: record.name.clone(),
            pinned: Pinned::of(record, &directory.list, answer.device_list.as_ref()),
            record: answer.account_record.as_ref().to_vec(),
            device_list: answer.device_list.as_ref().to_vec(),
            first_seen_ms: clock::millis(),
            changed_record: None,
            verified: true,
            since_ms: None,
        };
        let version = directory.list.version;
        self.take_next_key(certificate, move |tx| {
            tx.put_own_list_version(version)?;
            tx.put_account_key(&hash, &key)?;
            if let Some(before) = tx.contact(contact.account)? {
                let said = AccountEntry::of(before.account, &before.record, 0, &before.device_list);
                tx.put_former_record(&said.record)?;
            }
            tx.put_contact(&contact)
        })
        .await
    }
}

fn is_said(answer: &Directory, record: &[u8]) -> bool {
    answer.account_record.as_ref() == record
}

fn failed(error: &impl std::fmt::Display) -> EngineError {
    EngineError::Keys(error.to_string())
}
