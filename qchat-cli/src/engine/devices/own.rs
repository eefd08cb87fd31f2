//! The account's own device list: what the daemon has of it, verified, and newer ones.

use qchat_proto::{
    crypto::sign::AccountSigningKey,
    identity::{DeviceList, VerifiedDirectory},
    ids::AccountId,
    wire::{api::PutDeviceList, fault::FaultCode},
};

use super::super::{access::Access, clock, error::EngineError, people::People, steps::Steps};
use crate::{
    net::{NetError, rest::Client},
    store::{Identity, Profile, StoreError, Tx},
};

/// A device list is signed anew when less than this is left of its life, seconds.
const MARGIN: u64 = DeviceList::LIFETIME / 2;
/// How often a list is made anew because another device was quicker.
const ATTEMPTS: usize = 4;

/// The account's devices, for one of them.
#[derive(Clone)]
pub(crate) struct OwnDevices {
    pub(crate) account: AccountId,
    pub(crate) profile: Profile,
    pub(crate) rest: Client,
    pub(crate) access: Access,
    pub(crate) people: People,
    pub(crate) steps: Steps,
}

/// A list to be signed, on what it follows.
pub(super) struct Draft<'a> {
    /// What the daemon has.
    pub(super) directory: &'a VerifiedDirectory,
    /// The next list, which says the same until it is changed.
    pub(super) list: DeviceList,
    /// The account's identity key.
    pub(super) key: &'a AccountSigningKey,
    /// This device and its account.
    pub(super) own: &'a Identity,
}

impl OwnDevices {
    /// Who this device is.
    pub(super) async fn identity(&self) -> Result<Identity, EngineError> {
        self.profile.read_async(Tx::identity).await?.ok_or(EngineError::LoggedOut)
    }

    /// The account as the daemon has it now: genuine, and no older than what this device knows.
    pub(crate) async fn refresh(&self) -> Result<VerifiedDirectory, EngineError> {
        let directory = self.people.refresh(self.account).await?;
        let version = directory.list.version;
        self.profile
            .write_async(move |tx| {
                let known = tx.identity()?.map_or(0, |own| own.list_version);
                if version > known { tx.put_own_list_version(version) } else { Ok(()) }
            })
            .await?;
        Ok(directory)
    }

    /// Makes a new list, stores it at the daemon and here; whether there was anything to change. `change` says what is new
    /// on it and signs; when another device was quicker it is asked again, on what that one has made. No device signs two
    /// lists of one version: what it has signed is noted before it leaves.
    pub(super) async fn publish(
        &self,
        change: impl Fn(&mut Draft<'_>) -> Result<Option<PutDeviceList>, EngineError>,
    ) -> Result<bool, EngineError> {
        for _ in 0..ATTEMPTS {
            let directory = self.refresh().await?;
            let own = self.identity().await?;
            let key = AccountSigningKey::from_seed(qchat_proto::crypto::secret::Secret::from_bytes(
                *own.account_key.expose(),
            ))
            .map_err(|error| EngineError::Keys(error.to_string()))?;
            let list = directory.list.next(own.list_version, clock::seconds());
            let mut draft = Draft { directory: &directory, list, key: &key, own: &own };
            let Some(put) = change(&mut draft)? else { return Ok(false) };
            let list = draft.list.clone();
            let version = list.version;
            self.profile.write_async(move |tx| tx.put_own_list_version(version)).await?;
            let (rest, put) = (&self.rest, &put);
            let told = self.access.ask(|token| async move { rest.put_device_list(&token, put).await }).await;
            match told {
                Ok(()) => {
                    self.keep(list, put.device_list.as_ref().to_vec()).await?;
                    return Ok(true);
                }
                Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(EngineError::Refused(
            "the server does not take a new list of this account's devices, nor say why; try again"
                .to_owned(),
        ))
    }

    /// Stores a list of this device's own making.
    async fn keep(&self, list: DeviceList, signed: Vec<u8>) -> Result<(), EngineError> {
        let account = self.account;
        self.profile
            .write_async(move |tx| {
                let Some(mut contact) = tx.contact(account)? else {
                    return Err(StoreError::Corrupt("own contact"));
                };
                if list.version > contact.pinned.list_version {
                    contact.pinned = contact.pinned.with_list(&list, &signed);
                    contact.device_list = signed;
                    tx.put_contact(&contact)?;
                }
                Ok(())
            })
            .await?;
        Ok(())
    }

    /// Signs a new list when the one that is there is old.
    pub(crate) async fn renew(&self) -> Result<(), EngineError> {
        let account = self.account;
        let list = self.profile.read_async(move |tx| tx.stored_device_list(account)).await?;
        if list.is_some_and(|list| list.expires_at > clock::seconds() + MARGIN) {
            return Ok(());
        }
        self.publish(|draft| {
            if draft.directory.list.expires_at > clock::seconds() + MARGIN {
                return Ok(None);
            }
            Ok(Some(PutDeviceList { device_list: draft.sign()?.into(), ..PutDeviceList::default() }))
        })
        .await?;
        Ok(())
    }
}

impl Draft<'_> {
    /// The list as it is now, signed.
    pub(super) fn sign(&self) -> Result<Vec<u8>, EngineError> {
        self.list.sign(self.key).map_err(|error| EngineError::Keys(error.to_string()))
    }
}
