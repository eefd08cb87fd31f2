//! Who others are: directories fetched, verified, and pinned at first use.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use qchat_proto::{
    crypto::sign::AccountPublicKey,
    identity::{AccountRecord, Answer, Asked, IdentityError, VerifiedDirectory, verify_directory},
    ids::{AccountId, UserName},
    mls::identity::{AccountKeys, MissingKey},
    transparency::TreeHead,
    wire::{api::Directory, fault::FaultCode},
};

use super::{
    clock,
    error::EngineError,
    transparency::{self, Transparency, Wanted},
};
use crate::{
    net::NetError,
    store::{AccountKey, Contact, Handed, Profile, StoreError},
};

/// A time at which no device list has expired. Who is a member already is known by the identity key; that its owner has
/// been away for longer than a list lives must not keep others from joining or following.
const ANY_AGE: u64 = 0;

/// The identity keys that are pinned, for the group library to ask; read from the store once each.
pub(crate) struct PinnedKeys {
    profile: Profile,
    known: Mutex<HashMap<[u8; 48], (AccountId, AccountPublicKey)>>,
    absent: Mutex<HashSet<(AccountId, [u8; 48])>>,
}

/// More made-up keys than these are forgotten, and asked for again.
const ABSENT_KEPT: usize = 1024;

impl PinnedKeys {
    pub(crate) fn new(profile: Profile) -> Self {
        Self { profile, known: Mutex::default(), absent: Mutex::default() }
    }

    fn absent(&self) -> MutexGuard<'_, HashSet<(AccountId, [u8; 48])>> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory has been asked and does not have this key.
    fn note_absent(&self, key: &MissingKey) {
        if self.account_key(key.account, &key.identity_key_hash).is_none() {
            let mut absent = self.absent();
            if absent.len() >= ABSENT_KEPT {
                absent.clear();
            }
            absent.insert((key.account, key.identity_key_hash));
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 48], (AccountId, AccountPublicKey)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccountKeys for PinnedKeys {
    fn account_key(&self, account: AccountId, identity_key_hash: &[u8; 48]) -> Option<AccountPublicKey> {
        if let Some((owner, key)) = self.known().get(identity_key_hash) {
            return (*owner == account).then(|| key.clone());
        }
        let stored: Option<AccountKey> =
            self.profile.read(|tx| tx.account_key(identity_key_hash)).ok().flatten();
        let stored = stored?;
        let key = AccountPublicKey::from_bytes(&stored.public_key).ok()?;
        self.known().insert(*identity_key_hash, (stored.account, key.clone()));
        (stored.account == account).then_some(key)
    }

    fn is_no_key(&self, account: AccountId, identity_key_hash: &[u8; 48]) -> bool {
        self.absent().contains(&(account, *identity_key_hash))
    }
}

/// Asks the daemon about people.
#[derive(Clone)]
pub(crate) struct People {
    pub(crate) profile: Profile,
    pub(crate) log: Transparency,
    pub(crate) keys: Arc<PinnedKeys>,
}

impl People {
    /// The person of that name, as verified now. First use pins; a changed identity is an error.
    pub(crate) async fn by_name(&self, name: &UserName) -> Result<VerifiedDirectory, EngineError> {
        let answer = self.log.fetch(Wanted::Name(name)).await.map_err(|error| match error {
            EngineError::Net(NetError::Fault(fault)) if fault.code == FaultCode::NotFound => {
                EngineError::NoSuchUser(name.clone())
            }
            EngineError::Net(NetError::Fault(fault)) if fault.code == FaultCode::AccountDeleted => {
                EngineError::UserDeleted(name.clone())
            }
            error => error,
        })?;
        let wanted = name.clone();
        let known = self.profile.read_async(move |tx| tx.contact_by_name(&wanted)).await?;
        self.judge(Asked::Name(name), &answer, known, clock::seconds()).await
    }

    /// Pins somebody who is only known by their account id, unless they are pinned already.
    pub(crate) async fn meet(&self, account: AccountId) -> Result<(), EngineError> {
        if self.profile.read_async(move |tx| tx.contact(account)).await?.is_some() {
            return Ok(());
        }
        let answer = self.log.fetch(Wanted::Account(account)).await?;
        self.judge(Asked::Account(account), &answer, None, ANY_AGE).await?;
        Ok(())
    }

    /// An account as its directory has it now, held against what is pinned. That its device list may have expired does not
    /// matter: `now` judges nothing but what is to be added.
    ///
    /// # Errors
    /// [`EngineError::IdentityChanged`], [`EngineError::Identity`] with what does not hold, or why the daemon was not asked.
    pub(crate) async fn refresh(&self, account: AccountId) -> Result<VerifiedDirectory, EngineError> {
        let known = self.profile.read_async(move |tx| tx.contact(account)).await?;
        let answer = self.log.fetch(Wanted::Account(account)).await?;
        self.judge(Asked::Account(account), &answer, known, ANY_AGE).await
    }

    /// Fetches and pins the keys that a leaf names, one account each. A key that is not the pinned one is stored too,
    /// for the group must go on alike for everybody; but the contact is marked, and nothing is sent to it.
    pub(crate) async fn learn(&self, missing: &[MissingKey]) -> Result<(), EngineError> {
        for key in missing {
            let answer = match self.log.fetch(Wanted::Account(key.account)).await {
                Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::NotFound => {
                    self.keys.note_absent(key);
                    continue;
                }
                Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::AccountDeleted => {
                    self.learn_erased(key).await?;
                    continue;
                }
                other => other?,
            };
            let account = key.account;
            let known = self.profile.read_async(move |tx| tx.contact(account)).await?;
            match self.judge(Asked::Account(account), &answer, known, ANY_AGE).await {
                Ok(_) | Err(EngineError::IdentityChanged(_)) => self.keys.note_absent(key),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Stores the key of an account that is gone, whose devices' leaves have still to be checked. Nobody is pinned under it: the
    /// account has no name any more, and nothing is sent to it.
    async fn learn_erased(&self, missing: &MissingKey) -> Result<(), EngineError> {
        let (rest, account) = (&self.log.rest, missing.account);
        let access = &self.log.access;
        let asked =
            access.ask(|token| async move { rest.erased_identity_key(&token, account).await }).await?;
        let public_key = asked.identity_key.as_ref().to_vec();
        let hash = missing.identity_key_hash;
        if AccountPublicKey::from_bytes(&public_key).is_ok_and(|key| key.hash() == hash) {
            let key = AccountKey { account, public_key };
            self.profile.write_async(move |tx| tx.put_account_key(&hash, &key)).await?;
        }
        self.keys.note_absent(missing);
        Ok(())
    }

    async fn judge(
        &self,
        asked: Asked<'_>,
        (directory, head): &(Directory, TreeHead),
        known: Option<Contact>,
        now: u64,
    ) -> Result<VerifiedDirectory, EngineError> {
        let answer = Answer {
            record: directory.account_record.as_ref(),
            list: directory.device_list.as_ref(),
            certificates: directory.device_certificates.iter().map(AsRef::as_ref).collect(),
        };
        let handed = match &known {
            Some(_) => None,
            None => self.handed(asked, directory.account_id).await?,
        };
        let pinned = known.as_ref().map(|contact| &contact.pinned);
        let pinned = pinned.or(handed.as_ref().map(|handed| &handed.pinned));
        match verify_directory(asked, &answer, pinned, now) {
            Ok(verified) => {
                if let Some(contact) = known.as_ref().filter(|contact| contact.changed_record.is_some()) {
                    return Err(EngineError::IdentityChanged(contact.name.clone()));
                }
                // What is to be pinned has to stand in the key directory; what is not pinned is refused anyway.
                transparency::confirm(head, directory, &verified)?;
                let contact = contact(&verified, directory, known.as_ref(), handed.as_ref());
                let key = AccountKey {
                    account: verified.record.account,
                    public_key: verified.record.identity_key.as_bytes().to_vec(),
                };
                let hash = verified.record.identity_key.hash();
                self.profile
                    .write_async(move |tx| {
                        // The directory may give a name to somebody new; the pinned owner of the name keeps it.
                        if let Some(other) = tx.contact_by_name(&contact.name)?
                            && other.account != contact.account
                        {
                            return Err(EngineError::IdentityChanged(contact.name));
                        }
                        if let Some(other) = tx.handed_by_name(&contact.name)?
                            && other.pinned.account != contact.account
                        {
                            return Err(EngineError::IdentityChanged(contact.name));
                        }
                        tx.put_account_key(&hash, &key)?;
                        tx.forget_handed(contact.account)?;
                        Ok::<_, EngineError>(tx.put_contact(&contact)?)
                    })
                    .await?;
                Ok(verified)
            }
            Err(IdentityError::IdentityChanged { .. }) => {
                let known = known.or_else(|| handed.map(|handed| unmet(handed, directory)));
                let Some(contact) = known else {
                    return Err(EngineError::Refused("the directory contradicts itself".to_owned()));
                };
                self.mark_changed(contact, directory).await
            }
            Err(source) => Err(EngineError::Identity { who: who(asked), source }),
        }
    }

    /// What another device of this account has pinned of whom is asked for. One of the right name counts though its account
    /// is another: then the name has moved.
    async fn handed(&self, asked: Asked<'_>, account: AccountId) -> Result<Option<Handed>, EngineError> {
        let asked = match asked {
            Asked::Name(name) => Ok(name.clone()),
            Asked::Account(account) => Err(account),
        };
        let found = self.profile.read_async(move |tx| match asked {
            Ok(name) => match tx.handed_by_name(&name)? {
                Some(handed) => Ok(Some(handed)),
                None => tx.handed(account),
            },
            Err(account) => tx.handed(account),
        });
        Ok(found.await.map_err(|error: StoreError| error)?)
    }

    async fn mark_changed(
        &self,
        contact: Contact,
        directory: &Directory,
    ) -> Result<VerifiedDirectory, EngineError> {
        let name = contact.name.clone();
        let record = AccountRecord::verify(directory.account_record.as_ref())
            .map_err(|source| EngineError::Identity { who: name.to_string(), source })?;
        let key = AccountKey { account: record.account, public_key: record.identity_key.as_bytes().to_vec() };
        let hash = record.identity_key.hash();
        let marked = Contact {
            changed_record: Some(directory.account_record.as_ref().to_vec()),
            verified: false,
            ..contact
        };
        self.profile
            .write_async(move |tx| {
                if record.account == marked.account {
                    tx.put_account_key(&hash, &key)?;
                }
                tx.forget_handed(marked.account)?;
                tx.put_contact(&marked)
            })
            .await?;
        Err(EngineError::IdentityChanged(name))
    }
}

/// Somebody whom another device had pinned, and whose directory has other keys by now: of the record that was pinned only
/// the hashes are known here.
fn unmet(handed: Handed, directory: &Directory) -> Contact {
    Contact {
        account: handed.pinned.account,
        name: handed.name,
        record: directory.account_record.as_ref().to_vec(),
        pinned: handed.pinned,
        device_list: vec![],
        first_seen_ms: handed.first_seen_ms,
        changed_record: None,
        verified: handed.verified,
    }
}

fn contact(
    verified: &VerifiedDirectory,
    directory: &Directory,
    known: Option<&Contact>,
    handed: Option<&Handed>,
) -> Contact {
    let first_seen_ms =
        known.map(|contact| contact.first_seen_ms).or(handed.map(|handed| handed.first_seen_ms));
    Contact {
        account: verified.record.account,
        name: verified.record.name.clone(),
        record: directory.account_record.as_ref().to_vec(),
        pinned: verified.pin(),
        device_list: directory.device_list.as_ref().to_vec(),
        first_seen_ms: first_seen_ms.unwrap_or_else(clock::millis),
        changed_record: None,
        verified: known.is_some_and(|contact| contact.verified)
            || handed.is_some_and(|handed| handed.verified),
    }
}

fn who(asked: Asked<'_>) -> String {
    match asked {
        Asked::Name(name) => name.to_string(),
        Asked::Account(account) => format!("account {account}"),
    }
}
