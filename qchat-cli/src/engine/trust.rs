//! Whom the user trusts: safety numbers to compare, what is noted of that, and changed identities to accept.

use qchat_proto::{
    identity::{AccountRecord, Pinned},
    ids::{AccountId, UserName},
    safety::SafetyNumber,
};
use time::OffsetDateTime;

use super::{
    clock,
    error::EngineError,
    handle::Handle,
    types::{Event, Trusted},
};
use crate::store::{Contact, Standing, StoreError, Tx};

pub use super::people::{ChangeKind, IdentityChange};

/// What is shown for comparing keys with somebody.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Their name.
    pub name: UserName,
    /// Their account.
    pub account: AccountId,
    /// The number of this account and theirs.
    pub number: SafetyNumber,
    /// SHA-384 of their identity key.
    pub fingerprint: [u8; 48],
    /// How far they are trusted.
    pub standing: Standing,
    /// Since when.
    pub since: Option<OffsetDateTime>,
    /// Whether the server has been asked just now; else it is what was stored.
    pub fresh: bool,
    theirs: Pinned,
    ours: Pinned,
}

impl Handle {
    /// What is to be compared with somebody, after a look at what the server shows of them now. First use pins.
    ///
    /// # Errors
    /// [`EngineError::NoSuchUser`]; [`EngineError::IdentityChanged`] while a change was not accepted;
    /// [`EngineError::Invalid`] for the own name.
    pub async fn compare(&self, name: &UserName) -> Result<Comparison, EngineError> {
        self.is_another(name)?;
        let me = self.0.me.account;
        let fresh =
            if self.0.options.offline { Ok(()) } else { self.0.people.look_at(name).await.map(|_| ()) };
        let wanted = name.clone();
        let (own, theirs) = self
            .0
            .profile
            .read_async(move |tx| Ok::<_, StoreError>((tx.contact(me)?, tx.contact_by_name(&wanted)?)))
            .await?;
        // Without the server, what was stored has to do.
        let fresh = match (fresh, &theirs) {
            (Ok(()), _) => !self.0.options.offline,
            (Err(error), Some(_)) if error.exit_code() == 3 => false,
            (Err(error), _) => return Err(error),
        };
        let own = own.ok_or(EngineError::LoggedOut)?;
        let theirs = theirs.ok_or_else(|| EngineError::NoSuchUser(name.clone()))?;
        if theirs.changed_record.is_some() {
            return Err(EngineError::IdentityChanged(theirs.name));
        }
        let records = (own.record, theirs.record.clone());
        // It takes tens of milliseconds on purpose.
        let number = tokio::task::spawn_blocking(move || number(&records.0, &records.1))
            .await
            .map_err(|_| EngineError::Stopped)??;
        let since = since(&theirs);
        Ok(Comparison {
            number,
            fingerprint: theirs.pinned.identity_key_hash,
            standing: theirs.standing(),
            since,
            fresh,
            account: theirs.account,
            name: theirs.name,
            theirs: theirs.pinned,
            ours: own.pinned,
        })
    }

    /// Notes that the user has compared this number and found it the same.
    ///
    /// # Errors
    /// [`EngineError::IdentityChanged`] when it is not their number any more.
    pub async fn mark_verified(&self, compared: &Comparison) -> Result<(), EngineError> {
        let (me, Comparison { name, account, theirs, ours, .. }) = (self.0.me.account, compared.clone());
        let marking = self.0.profile.write_async(move |tx| {
            let own = tx.contact(me)?;
            let known = tx.contact(account)?;
            let known =
                known.filter(|known| is_of(known, &theirs) && own.is_some_and(|own| is_of(&own, &ours)));
            let Some(known) = known else { return Err(EngineError::IdentityChanged(name)) };
            if !known.verified {
                tx.put_contact(&Contact { verified: true, since_ms: Some(clock::millis()), ..known })?;
            }
            Ok(())
        });
        marking.await?;
        self.trust_changed(account).await
    }

    /// Takes back that somebody is verified; whether they were.
    ///
    /// # Errors
    /// [`EngineError::NoSuchUser`] for who is not known here.
    pub async fn revoke_verification(&self, name: &UserName) -> Result<bool, EngineError> {
        let wanted = name.clone();
        let revoking = self.0.profile.write_async(move |tx| {
            let Some(known) = tx.contact_by_name(&wanted)? else {
                return Err(EngineError::NoSuchUser(wanted));
            };
            let was = known.verified;
            let account = known.account;
            if was {
                tx.put_contact(&Contact { verified: false, since_ms: Some(clock::millis()), ..known })?;
            }
            Ok((account, was))
        });
        let (account, was) = revoking.await?;
        self.trust_changed(account).await?;
        Ok(was)
    }

    /// Everybody who is pinned here, but for this account, and how far they are trusted.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn trusted(&self) -> Result<Vec<Trusted>, EngineError> {
        let me = self.0.me.account;
        let contacts = self.0.profile.read_async(Tx::contacts).await?;
        let others = contacts.into_iter().filter(|contact| contact.account != me);
        Ok(others
            .map(|contact| Trusted {
                standing: contact.standing(),
                since: since(&contact),
                fingerprint: contact.pinned.identity_key_hash,
                account: contact.account,
                name: contact.name,
            })
            .collect())
    }

    /// What has become of somebody's identity, by what the server shows now; `None` when it is the pinned one and always
    /// was.
    ///
    /// # Errors
    /// [`EngineError::NoSuchUser`], or that what the server shows does not hold.
    pub async fn identity_change(&self, name: &UserName) -> Result<Option<IdentityChange>, EngineError> {
        self.is_another(name)?;
        self.0.people.change(name).await
    }

    /// Accepts a change as it was shown: what waits for that is sent from now on. Nobody is verified by it.
    ///
    /// # Errors
    /// [`EngineError::IdentityChanged`] when it is another change by now.
    pub async fn accept_change(&self, change: &IdentityChange) -> Result<(), EngineError> {
        for room in self.0.people.accept(change).await? {
            self.wrote(room).await;
        }
        Ok(())
    }

    fn is_another(&self, name: &UserName) -> Result<(), EngineError> {
        if *name == self.0.me.name {
            return Err(EngineError::Invalid("this is your own name; name somebody else".to_owned()));
        }
        Ok(())
    }

    /// What is shown of somebody has changed: in the rooms that they are in, and in the list.
    async fn trust_changed(&self, account: AccountId) -> Result<(), EngineError> {
        for room in self.0.profile.read_async(move |tx| tx.rooms_with(account)).await? {
            self.tell(Event::Timeline(room));
        }
        self.tell(Event::Rooms);
        Ok(())
    }
}

/// Whether a contact's keys are those, and nothing is wrong with them.
fn is_of(contact: &Contact, keys: &Pinned) -> bool {
    let Pinned { identity_key_hash, recovery_key_hash, .. } = &contact.pinned;
    contact.changed_record.is_none()
        && (identity_key_hash, recovery_key_hash) == (&keys.identity_key_hash, &keys.recovery_key_hash)
}

fn since(contact: &Contact) -> Option<OffsetDateTime> {
    let since = match contact.standing() {
        Standing::Unverified => contact.since_ms.or(Some(contact.first_seen_ms)),
        Standing::Verified | Standing::Changed => contact.since_ms,
    };
    since.map(clock::from_millis)
}

fn number(own: &[u8], theirs: &[u8]) -> Result<SafetyNumber, EngineError> {
    let record = |bytes| AccountRecord::verify(bytes).map_err(|_| StoreError::Corrupt("account record"));
    SafetyNumber::of(&record(own)?, &record(theirs)?).map_err(|error| EngineError::Invalid(error.to_string()))
}
