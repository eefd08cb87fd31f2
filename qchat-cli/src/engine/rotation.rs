//! How this device gets another signature key. The next key is stored with the device list that names it before a byte
//! leaves; the daemon takes list and certificate together, or neither; and only when it is known to have them does the new
//! key take the place of the old one. Whatever is interrupted goes on at the next connection. docs/PROTOCOL.md, "Another
//! device key".

use qchat_proto::{
    crypto::{
        secret::Secret,
        sign::{AccountSigningKey, DeviceSigningKey},
    },
    identity::{AccountRecord, Answer, Asked, DeviceCertificate, DeviceList, verify_directory},
    ids::{DeviceId, RoomId},
    session::ledger::Phase,
    wire::{
        api::{Binary, PutDeviceList},
        fault::FaultCode,
    },
};

use super::{
    access::Access, clock, entropy::MixedEntropy, error::EngineError, handle::Handle, tidy, types::Event,
    upkeep,
};
use crate::{
    net::{NetError, rest::Client},
    store::{Contact, DeviceKey, Identity, Profile, StoreError, Tx},
};

/// How often another device's list may come first.
const ATTEMPTS: usize = 4;
/// Age does not matter to the own list.
const ANY_AGE: u64 = 0;

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
        begin(&inner.profile).await?;
        finish(&inner.profile, &inner.rest, &inner.access).await?;
        // KeyPackages of the new key, before anybody finds that there are none.
        upkeep::run(&inner.profile, &inner.rest, &inner.access, &inner.steps).await?;
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

/// Draws the next key, and signs a certificate and a device list with it. Nothing happens while one is on its way.
async fn begin(profile: &Profile) -> Result<(), EngineError> {
    let (own, contact, pending) = read(profile).await?;
    if pending.is_some() {
        return Ok(());
    }
    let made = tokio::task::spawn_blocking(move || {
        let key = DeviceSigningKey::generate(&MixedEntropy).map_err(|error| failed(&error))?;
        let identity = account_key(&own)?;
        let before = certificate(&own)?;
        let certificate = DeviceCertificate {
            account: own.account,
            device: own.device,
            device_key: key.public().clone(),
            identity_key_hash: identity.public().hash(),
            // Newer, whatever the clock says.
            created_at: clock::seconds().max(before.created_at.saturating_add(1)),
        };
        let certificate = certificate.sign(&identity).map_err(|error| failed(&error))?;
        let list = with_key(own_list(&contact)?, own.device, key.public().hash())
            .sign(&identity)
            .map_err(|error| failed(&error))?;
        let next = DeviceKey { seed: Secret::from_bytes(*key.seed().expose()), certificate };
        Ok::<_, EngineError>((next, Contact { device_list: list, ..contact }))
    });
    let (next, contact) = made.await.map_err(|_| EngineError::Stopped)??;
    profile
        .write_async(move |tx| {
            // Another process was quicker.
            if tx.next_key()?.is_none() {
                tx.put_next_key(&next)?;
                tx.put_contact(&contact)?;
            }
            Ok::<_, StoreError>(())
        })
        .await?;
    Ok(())
}

/// Brings what was begun to its end: list and certificate to the daemon, the new key into the place of the old one, and a
/// session that it has opened. Whether there was anything to do.
pub(crate) async fn finish(profile: &Profile, rest: &Client, access: &Access) -> Result<bool, EngineError> {
    for _ in 0..ATTEMPTS {
        let (own, contact, pending) = read(profile).await?;
        let Some(next) = pending else { return Ok(false) };
        let put = &PutDeviceList {
            device_list: contact.device_list.clone().into(),
            device_certificates: vec![Binary::from(next.certificate.clone())],
        };
        match access.ask(|token| async move { rest.put_device_list(&token, put).await }).await {
            Ok(()) => {
                let version = own_list(&contact)?.version;
                return take(profile, access, version, None).await;
            }
            // It has arrived before, or another device's list has this version.
            Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::Conflict => {
                let account = own.account;
                let directory =
                    access.ask(|token| async move { rest.directory(&token, account).await }).await?;
                let answer = Answer {
                    record: directory.account_record.as_ref(),
                    list: directory.device_list.as_ref(),
                    certificates: directory.device_certificates.iter().map(AsRef::as_ref).collect(),
                };
                let pinned = Some(&contact.pinned);
                let shown = verify_directory(Asked::Account(account), &answer, pinned, ANY_AGE)
                    .map_err(|source| EngineError::Identity { who: own.name.to_string(), source })?;
                let key = DeviceSigningKey::from_seed(next.seed).map_err(|error| failed(&error))?;
                let hash = key.public().hash();
                let device_list = directory.device_list.as_ref().to_vec();
                if shown.list.listed(own.device).is_some_and(|listed| listed.device_key_hash == hash) {
                    let contact = Contact { device_list, ..contact };
                    return take(profile, access, shown.list.version, Some(contact)).await;
                }
                // What the other device has said stands, and this key beside it.
                let mut list = with_key(shown.list, own.device, hash);
                list.version = list.version.max(own_list(&contact)?.version.saturating_add(1));
                let device_list = list.sign(&account_key(&own)?).map_err(|error| failed(&error))?;
                let contact = Contact { device_list, ..contact };
                profile.write_async(move |tx| tx.put_contact(&contact)).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(EngineError::Refused(
        "other devices of this account kept changing its device list; the next connection tries again"
            .to_owned(),
    ))
}

/// The daemon has the certificate: from now on the new key is the device's, and the session is one that it has opened.
async fn take(
    profile: &Profile,
    access: &Access,
    version: u64,
    contact: Option<Contact>,
) -> Result<bool, EngineError> {
    let taken = profile.write_async(move |tx| {
        // Another process was quicker.
        if tx.next_key()?.is_none() {
            return Ok(false);
        }
        if let Some(contact) = contact {
            tx.put_contact(&contact)?;
        }
        tx.take_next_key(clock::seconds())?;
        tx.put_own_list_version(version)?;
        Ok::<_, StoreError>(true)
    });
    let taken = taken.await?;
    tidy::now(profile).await;
    if taken {
        access.login().await?;
    }
    Ok(taken)
}

async fn read(profile: &Profile) -> Result<(Identity, Contact, Option<DeviceKey>), EngineError> {
    let read = profile.read_async(|tx| {
        let Some(own) = tx.identity()? else { return Ok(None) };
        let contact = tx.contact(own.account)?.ok_or(StoreError::Corrupt("own identity"))?;
        Ok::<_, StoreError>(Some((own, contact, tx.next_key()?)))
    });
    read.await?.ok_or(EngineError::LoggedOut)
}

fn account_key(own: &Identity) -> Result<AccountSigningKey, EngineError> {
    let seed = Secret::from_bytes(*own.account_key.expose());
    AccountSigningKey::from_seed(seed).map_err(|error| failed(&error))
}

fn certificate(own: &Identity) -> Result<DeviceCertificate, EngineError> {
    let identity = account_key(own)?;
    DeviceCertificate::verify(&own.certificate, identity.public()).map_err(|_| corrupt())
}

/// The own device list as it was last signed or seen.
fn own_list(contact: &Contact) -> Result<DeviceList, EngineError> {
    let record = AccountRecord::verify(&contact.record).map_err(|_| corrupt())?;
    DeviceList::verify(&contact.device_list, &record.identity_key, ANY_AGE).map_err(|_| corrupt())
}

/// The list after this one, with another key of a device on it.
fn with_key(mut list: DeviceList, device: DeviceId, hash: [u8; 48]) -> DeviceList {
    for listed in list.devices.iter_mut().filter(|listed| listed.device == device) {
        listed.device_key_hash = hash;
    }
    list.version = list.version.saturating_add(1);
    list.issued_at = clock::seconds();
    list.expires_at = list.issued_at + DeviceList::LIFETIME;
    list
}

fn failed(error: &impl std::fmt::Display) -> EngineError {
    EngineError::Keys(error.to_string())
}

fn corrupt() -> EngineError {
    StoreError::Corrupt("own identity").into()
}
