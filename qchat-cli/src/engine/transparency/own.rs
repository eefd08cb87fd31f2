//! What the directory says of this account: all of it has to be what this device has said, or its owner is told.

use std::time::Instant;

use qchat_proto::{
    crypto::kdf,
    ids::{AccountId, UserName},
    transparency::{AccountEntry, NameEntry},
    wire::fault::FaultCode,
};

use super::{
    DirectoryFault, LONGEST_PAUSE, PAUSE, PENDING, Transparency,
    audit::{Log, Said},
};
use crate::{
    engine::error::EngineError,
    net::NetError,
    store::{OwnEntry, StoreError, Tx},
};

/// Most entries that are looked at.
const RECENT: u16 = 200;

/// This device is about to say of its account that it consists of this record and list.
pub(crate) fn note_made(
    tx: &mut Tx,
    account: AccountId,
    record: &[u8],
    (list_version, list): (u64, &[u8]),
) -> Result<(), StoreError> {
    tx.note_made(&kdf::sha384(&[&AccountEntry::of(account, record, list_version, list).encode()]))
}

impl Transparency {
    /// Looks at what the directory says of this account since the last time. What this device did not say is kept as
    /// evidence; the sentences are those that are new.
    pub(crate) async fn check_own(&self, me: AccountId) -> Result<Vec<String>, EngineError> {
        let own = self.profile.read_async(move |tx| tx.contact(me)).await?.ok_or(EngineError::LoggedOut)?;
        let name = &own.name;
        let log = self.own_log(me, name).await?;
        let seen = self
            .profile
            .read_async(|tx| {
                Ok::<_, StoreError>((tx.own_version(OwnEntry::Name)?, tx.own_version(OwnEntry::Account)?))
            })
            .await?;
        let mut strange = vec![];
        for logged in &log.name {
            let sentence = match &logged.said {
                Some(Said::Name(NameEntry { account })) if *account == me => continue,
                Some(Said::Name(NameEntry { account })) => format!(
                    "at epoch {} the server has given your name {name} to account {account}: others who asked for \
                     {name} then got somebody else. Tell them, and ask its operator",
                    logged.epoch
                ),
                _ => format!(
                    "at epoch {} the server has given your name {name} to an account that it does not tell: tell \
                     others, and ask its operator",
                    logged.epoch
                ),
            };
            // Whatever was there before this device looked for the first time.
            strange.push((logged.epoch, sentence));
        }
        // What a profile of before has said is not noted.
        let known = AccountEntry::of(me, &own.record, own.pinned.list_version, &own.device_list);
        for logged in log.account.iter().filter(|logged| seen.1.is_some_and(|seen| logged.version > seen)) {
            let sentence = match &logged.said {
                Some(said @ Said::Account(entry)) => {
                    let hash = kdf::sha384(&[&said.encode()]);
                    let made = self.profile.read_async(move |tx| tx.was_made(&hash)).await?;
                    if made || known == *entry {
                        continue;
                    }
                    format!(
                        "at epoch {} the server has changed what it says of your account, and it was not this device \
                         that did: its device list has version {} there. If no other device of yours did it either, \
                         somebody gives out false keys for you: tell others, and ask its operator",
                        logged.epoch, entry.list_version
                    )
                }
                _ => format!(
                    "at epoch {} the server has said something of your account that it does not tell you: tell \
                     others, and ask its operator",
                    logged.epoch
                ),
            };
            strange.push((logged.epoch, sentence));
        }
        let mut new = vec![];
        for (epoch, sentence) in strange {
            if self.keep(epoch, sentence.clone(), None, None).await? {
                new.push(sentence);
            }
        }
        let newest = [(OwnEntry::Name, &log.name), (OwnEntry::Account, &log.account)]
            .map(|(entry, logged)| (entry, logged.first().map_or(0, |logged| logged.version)));
        let before = [seen.0, seen.1];
        if newest.iter().zip(before).any(|((_, version), before)| before != Some(*version)) {
            self.profile
                .write_async(move |tx| {
                    newest.iter().try_for_each(|(entry, version)| tx.put_own_version(*entry, *version))
                })
                .await?;
        }
        Ok(new)
    }

    /// The log of this account; what has just been registered comes into it soon.
    async fn own_log(&self, me: AccountId, name: &UserName) -> Result<Log, EngineError> {
        let begun = Instant::now();
        let mut pause = PAUSE;
        loop {
            match self.log(me, name, RECENT).await {
                Err(EngineError::Net(NetError::Fault(fault)))
                    if fault.code == FaultCode::Unavailable && begun.elapsed() < PENDING =>
                {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::Unavailable => {
                    let seconds = PENDING.as_secs();
                    return Err(DirectoryFault::Pending { who: name.to_string(), seconds }.into());
                }
                other => return other,
            }
        }
    }
}
