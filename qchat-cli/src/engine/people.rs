//! Who others are: directories fetched, verified, and pinned at first use.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use qchat_proto::{
    crypto::sign::AccountPublicKey,
    identity::{AccountRecord, Answer, Asked, IdentityError, Pinned, VerifiedDirectory, verify_directory},
    ids::{AccountId, RoomId, UserName},
    mls::identity::{AccountKeys, MissingKey},
    session::ledger::{Ledger, Notice, Phase},
    transparency::TreeHead,
    wire::{api::Directory, fault::FaultCode},
};
use tokio::sync::broadcast;

use super::{
    clock,
    error::EngineError,
    transparency::{self, Transparency, Wanted},
    types::Event,
};
use crate::{
    net::NetError,
    store::{AccountKey, Contact, Handed, Profile, StoreError, Tx},
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
    pub(crate) events: broadcast::Sender<Event>,
}

/// How a person's identity has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeKind {
    /// The recovery key that is pinned has signed the new keys: their owner has recovered the account, or whoever has the
    /// recovery words.
    ByRecoveryKey,
    /// Nothing that was known before vouches for the new keys. Anybody may have made them, the server above all.
    Unvouched,
    /// The server shows the pinned keys again, after it had shown others.
    TakenBack,
}

/// A change of somebody's identity, as it is shown to the user before it is accepted.
#[derive(Clone, Debug)]
pub struct IdentityChange {
    /// Whose.
    pub name: UserName,
    /// The account.
    pub account: AccountId,
    /// What is known about it.
    pub kind: ChangeKind,
    /// SHA-384 of the identity key that is pinned.
    pub old: [u8; 48],
    /// SHA-384 of the one that the server shows.
    pub new: [u8; 48],
    before: Pinned,
    contact: Contact,
    key: AccountKey,
}

impl People {
    /// The person of that name, as verified now. First use pins; a changed identity is an error.
    pub(crate) async fn by_name(&self, name: &UserName) -> Result<VerifiedDirectory, EngineError> {
        self.look_up(name, clock::seconds()).await
    }

    /// The same, whatever the age of their device list: for comparing keys.
    pub(crate) async fn look_at(&self, name: &UserName) -> Result<VerifiedDirectory, EngineError> {
        self.look_up(name, ANY_AGE).await
    }

    async fn look_up(&self, name: &UserName, now: u64) -> Result<VerifiedDirectory, EngineError> {
        let answer = self.directory_of(name).await?;
        let wanted = name.clone();
        let known = self.profile.read_async(move |tx| tx.contact_by_name(&wanted)).await?;
        self.judge(Asked::Name(name), &answer, known, now).await
    }

    /// What has become of the identity of somebody who is pinned; `None` when nothing has changed. A change that nobody
    /// knew of is marked by this, so that nothing is sent while the user decides.
    pub(crate) async fn change(&self, name: &UserName) -> Result<Option<IdentityChange>, EngineError> {
        let proved = self.directory_of(name).await?;
        let (directory, head) = &proved;
        let wanted = name.clone();
        let known = self.profile.read_async(move |tx| tx.contact_by_name(&wanted)).await?;
        let asked = Asked::Name(name);
        let known = if known.is_some() {
            known
        } else {
            let handed = self.handed(asked, directory.account_id).await?;
            handed.map(|handed| unmet(handed, directory))
        };
        let Some(known) = known else { return Ok(None) };
        let answer = answer(directory);
        let (verified, kind) = match verify_directory(asked, &answer, Some(&known.pinned), ANY_AGE) {
            Ok(_) if known.changed_record.is_none() => {
                self.judge(asked, &proved, Some(known), ANY_AGE).await?;
                return Ok(None);
            }
            Ok(verified) => (verified, ChangeKind::TakenBack),
            Err(IdentityError::IdentityChanged { by_recovery_key, .. }) => {
                self.mark_changed(known.clone(), directory, by_recovery_key).await?;
                let kind = if by_recovery_key { ChangeKind::ByRecoveryKey } else { ChangeKind::Unvouched };
                let verified = verify_directory(asked, &answer, None, ANY_AGE)
                    .map_err(|source| EngineError::Identity { who: who(asked), source })?;
                (verified, kind)
            }
            Err(source) => return Err(EngineError::Identity { who: who(asked), source }),
        };
        // What may be pinned next stands in the key directory, too.
        transparency::confirm(head, directory, &verified)?;
        Ok(Some(IdentityChange {
            name: name.clone(),
            account: known.account,
            kind,
            old: known.pinned.identity_key_hash,
            new: verified.record.identity_key.hash(),
            contact: contact(&verified, directory),
            key: account_key(&verified),
            before: known.pinned,
        }))
    }

    /// Pins the identity that the user has been shown, in the place of the one before. It is not verified by that. Gives
    /// the rooms where something may be sent again.
    pub(crate) async fn accept(&self, change: &IdentityChange) -> Result<Vec<RoomId>, EngineError> {
        let IdentityChange { name, before, contact, key, .. } = change.clone();
        let accepting = self.profile.write_async(move |tx| {
            let known = tx.contact(contact.account)?;
            // Not what the user was shown: another process, or the server, was quicker.
            let Some(known) = known.filter(|known| same_keys(&known.pinned, &before)) else {
                return Err(EngineError::IdentityChanged(name));
            };
            let account = contact.account;
            let accepted =
                Contact { first_seen_ms: known.first_seen_ms, since_ms: Some(clock::millis()), ..contact };
            tx.put_account_key(&accepted.pinned.identity_key_hash, &key)?;
            tx.put_contact(&accepted)?;
            Ok(announce(tx, account, &Notice::IdentityAccepted(account))?)
        });
        let rooms = accepting.await?;
        self.tell(&rooms);
        Ok(rooms)
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

    async fn directory_of(&self, name: &UserName) -> Result<(Directory, TreeHead), EngineError> {
        self.log.fetch(Wanted::Name(name)).await.map_err(|error| match error {
            EngineError::Net(NetError::Fault(fault)) if fault.code == FaultCode::NotFound => {
                EngineError::NoSuchUser(name.clone())
            }
            EngineError::Net(NetError::Fault(fault)) if fault.code == FaultCode::AccountDeleted => {
                EngineError::UserDeleted(name.clone())
            }
            error => error,
        })
    }

    async fn judge(
        &self,
        asked: Asked<'_>,
        (directory, head): &(Directory, TreeHead),
        known: Option<Contact>,
        now: u64,
    ) -> Result<VerifiedDirectory, EngineError> {
        let handed = match &known {
            Some(_) => None,
            None => self.handed(asked, directory.account_id).await?,
        };
        let pinned = known.as_ref().map(|contact| &contact.pinned);
        let pinned = pinned.or(handed.as_ref().map(|handed| &handed.pinned));
        match verify_directory(asked, &answer(directory), pinned, now) {
            Ok(verified) => {
                // What is to be pinned has to stand in the key directory; what is not pinned is refused anyway.
                transparency::confirm(head, directory, &verified)?;
                let (contact, key) = (contact(&verified, directory), account_key(&verified));
                self.profile.write_async(move |tx| pin(tx, contact, &key)).await?;
                Ok(verified)
            }
            Err(IdentityError::IdentityChanged { by_recovery_key, .. }) => {
                let known = known.or_else(|| handed.map(|handed| unmet(handed, directory)));
                let Some(known) = known else {
                    return Err(EngineError::Refused("the directory contradicts itself".to_owned()));
                };
                let name = known.name.clone();
                self.mark_changed(known, directory, by_recovery_key).await?;
                Err(EngineError::IdentityChanged(name))
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

    /// Notes that the daemon shows other keys of somebody than those that are pinned: from now on nothing is sent to them,
    /// and they are not verified any more.
    async fn mark_changed(
        &self,
        shown_before: Contact,
        directory: &Directory,
        by_recovery_key: bool,
    ) -> Result<(), EngineError> {
        let account = shown_before.account;
        let record = AccountRecord::verify(directory.account_record.as_ref())
            .map_err(|source| EngineError::Identity { who: format!("account {account}"), source })?;
        let key = AccountKey { account: record.account, public_key: record.identity_key.as_bytes().to_vec() };
        let hash = record.identity_key.hash();
        let shown = directory.account_record.as_ref().to_vec();
        let marking = self.profile.write_async(move |tx| {
            // Nobody yet, when it was another device of this account that has pinned them.
            let mut known = tx.contact(account)?.unwrap_or_else(|| shown_before.clone());
            // The user has accepted a change since this was asked: what it was held against does not hold any more, and the next
            // look says whether anything is wrong.
            if !same_keys(&known.pinned, &shown_before.pinned) {
                return Ok(vec![]);
            }
            if key.account == account {
                tx.put_account_key(&hash, &key)?;
            }
            if known.changed_record.as_ref() == Some(&shown) {
                return Ok(vec![]);
            }
            if known.changed_record.is_none() {
                known.since_ms = Some(clock::millis());
            }
            known.changed_record = Some(shown);
            known.verified = false;
            tx.forget_handed(account)?;
            tx.put_contact(&known)?;
            announce(tx, account, &Notice::IdentityChanged { account, by_recovery_key })
        });
        let rooms: Vec<RoomId> = marking.await.map_err(|error: StoreError| error)?;
        self.tell(&rooms);
        Ok(())
    }

    fn tell(&self, rooms: &[RoomId]) {
        for room in rooms {
            let _ = self.events.send(Event::Timeline(*room));
        }
        let _ = self.events.send(Event::Rooms);
    }
}

/// Stores what the daemon shows of somebody, as long as it is what is pinned by now.
fn pin(tx: &mut Tx, mut contact: Contact, key: &AccountKey) -> Result<(), EngineError> {
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
    if let Some(known) = tx.contact(contact.account)? {
        if known.changed_record.is_some() || !same_keys(&known.pinned, &contact.pinned) {
            return Err(EngineError::IdentityChanged(known.name));
        }
        // Another process has seen a newer list meanwhile.
        if known.pinned.list_version > contact.pinned.list_version {
            return Ok(());
        }
        contact.first_seen_ms = known.first_seen_ms;
        contact.verified = known.verified;
        contact.since_ms = known.since_ms;
    } else if let Some(handed) = tx.handed(contact.account)? {
        if !same_keys(&handed.pinned, &contact.pinned) {
            return Err(EngineError::IdentityChanged(handed.name));
        }
        contact.first_seen_ms = handed.first_seen_ms;
        contact.verified = handed.verified;
    }
    tx.forget_handed(contact.account)?;
    tx.put_account_key(&contact.pinned.identity_key_hash, key)?;
    Ok(tx.put_contact(&contact)?)
}

/// Says in every room that somebody is in what has become of their identity; gives these rooms.
fn announce(tx: &mut Tx, account: AccountId, notice: &Notice) -> Result<Vec<RoomId>, StoreError> {
    let mut told = vec![];
    for room in tx.rooms_with(account)? {
        let Some(state) = tx.room(room)? else { continue };
        if !matches!(state.phase, Phase::Removed(_) | Phase::Left(_)) {
            tx.put_notice(room, state.cursor, notice)?;
            told.push(room);
        }
    }
    Ok(told)
}

fn same_keys(one: &Pinned, other: &Pinned) -> bool {
    (one.identity_key_hash, one.recovery_key_hash) == (other.identity_key_hash, other.recovery_key_hash)
}

pub(super) fn answer(directory: &Directory) -> Answer<'_> {
    Answer {
        record: directory.account_record.as_ref(),
        list: directory.device_list.as_ref(),
        certificates: directory.device_certificates.iter().map(AsRef::as_ref).collect(),
    }
}

fn account_key(verified: &VerifiedDirectory) -> AccountKey {
    let public_key = verified.record.identity_key.as_bytes().to_vec();
    AccountKey { account: verified.record.account, public_key }
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
        since_ms: None,
    }
}

/// Somebody as they are shown for the first time.
fn contact(verified: &VerifiedDirectory, directory: &Directory) -> Contact {
    Contact {
        account: verified.record.account,
        name: verified.record.name.clone(),
        record: directory.account_record.as_ref().to_vec(),
        pinned: verified.pin(),
        device_list: directory.device_list.as_ref().to_vec(),
        first_seen_ms: clock::millis(),
        changed_record: None,
        verified: false,
        since_ms: None,
    }
}

fn who(asked: Asked<'_>) -> String {
    match asked {
        Asked::Name(name) => name.to_string(),
        Asked::Account(account) => format!("account {account}"),
    }
}
