//! What the directory says of this account: all of it has to be what its own devices can have said, or its owner is told.
//!
//! Others believe a device list only with the identity key's signature, and the key only with the record that the entry names.
//! So an entry with this account's record says nothing that none of its devices has signed; but a server could bring back
//! an older list, which they have.

use std::time::Instant;

use qchat_proto::{
    identity::{Answer, Asked, verify_directory},
    ids::{AccountId, UserName},
    transparency::{AccountEntry, NameEntry},
    wire::fault::FaultCode,
};

use super::{
    DirectoryFault, LONGEST_PAUSE, PAUSE, PENDING, Transparency, Versions, Wanted,
    audit::{Log, Logged, Said},
    confirm,
};
use crate::{
    engine::error::EngineError,
    net::NetError,
    store::{Contact, OwnEntry, StoreError, Tx},
};

/// Most entries that are looked at.
const RECENT: u16 = 200;
/// A time at which no list has expired: it is the owner who asks.
const ANY_AGE: u64 = 0;

impl Transparency {
    /// Looks at what the directory says of this account, if that is anything since the last time. What its devices cannot have
    /// said is kept as evidence; the sentences are those that are new.
    pub(crate) async fn check_own(&self, me: AccountId) -> Result<Vec<String>, EngineError> {
        let own = self.profile.read_async(move |tx| tx.contact(me)).await?.ok_or(EngineError::LoggedOut)?;
        if self.is_being_replaced(&own).await? {
            return Ok(vec![]);
        }
        let seen = self.profile.read_async(|tx| {
            let (name, account) = (tx.own_version(OwnEntry::Name)?, tx.own_version(OwnEntry::Account)?);
            Ok::<_, StoreError>(name.zip(account).map(|(name, account)| Versions { name, account }))
        });
        let seen = seen.await?;
        let wrong = match self.newest_own(me, &own).await {
            Ok(newest) if seen == Some(newest) => return Ok(vec![]),
            Ok(_) => None,
            Err(
                wrong @ (EngineError::Directory(DirectoryFault::False { .. }) | EngineError::Identity { .. }),
            ) => Some(wrong),
            Err(error) => return Err(error),
        };
        let log = self.own_log(me, &own.name).await?;
        if self.is_being_replaced(&own).await? {
            return Ok(vec![]);
        }
        let known = AccountEntry::of(me, &own.record, own.pinned.list_version, &own.device_list);
        let former = self.profile.read_async(Tx::former_records).await?;
        let mut new = vec![];
        for (epoch, sentence) in
            of_names(me, &own.name, &log.name).into_iter().chain(of_accounts(&known, &former, &log.account))
        {
            if self.keep(epoch, sentence.clone(), None, None).await? {
                new.push(sentence);
            }
        }
        new.extend(wrong.map(|error| error.to_string()));
        let newest = |logged: &[Logged]| logged.first().map_or(0, |logged| logged.version);
        let (name, account) = (newest(&log.name), newest(&log.account));
        self.profile
            .write_async(move |tx| {
                tx.put_own_version(OwnEntry::Name, name)?;
                tx.put_own_version(OwnEntry::Account, account)
            })
            .await?;
        Ok(new)
    }

    /// Whether this device has given the account another record since, or is about to: what it goes by is looked at then.
    async fn is_being_replaced(&self, own: &Contact) -> Result<bool, EngineError> {
        let account = own.account;
        let read = self.profile.read_async(move |tx| {
            let next = tx.next_key()?.is_some_and(|next| next.account.is_some());
            Ok::<_, StoreError>((next, tx.contact(account)?))
        });
        let (next, now) = read.await?;
        Ok(next || now.is_none_or(|now| now.record != own.record))
    }

    /// How often the own entries were written, if the newest ones say what the server says, and that is of this account.
    async fn newest_own(&self, me: AccountId, own: &Contact) -> Result<Versions, EngineError> {
        let (directory, head) = self.fetch(Wanted::Account(me)).await?;
        let answer = Answer {
            record: directory.account_record.as_ref(),
            list: directory.device_list.as_ref(),
            certificates: directory.device_certificates.iter().map(AsRef::as_ref).collect(),
        };
        let verified = verify_directory(Asked::Account(me), &answer, Some(&own.pinned), ANY_AGE)
            .map_err(|source| EngineError::Identity { who: own.name.to_string(), source })?;
        Ok(confirm(&head, &directory, &verified)?)
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

/// Epochs at which the name was given to anybody else, and what to tell of it.
fn of_names(me: AccountId, name: &UserName, log: &[Logged]) -> Vec<(u64, String)> {
    let strange = log.iter().filter_map(|logged| {
        let sentence = match &logged.said {
            Some(Said::Name(NameEntry { account })) if *account == me => return None,
            Some(Said::Name(NameEntry { account })) => format!(
                "at epoch {} the server has given your name {name} to account {account}: others who asked for {name} \
                 then got somebody else. Tell them, and ask its operator",
                logged.epoch
            ),
            _ => format!(
                "at epoch {} the server has given your name {name} to an account that it does not tell: tell others, and \
                 ask its operator",
                logged.epoch
            ),
        };
        Some((logged.epoch, sentence))
    });
    strange.collect()
}

/// Epochs at which something was said of the account that none of its devices can have said, and what to tell of it: the
/// log, newest first, against what is known of the account, and the records that it had before. A device that came later does
/// not know what those were: what was said before the first that it knows is the matter of those that were there.
fn of_accounts(known: &AccountEntry, former: &[[u8; 48]], log: &[Logged]) -> Vec<(u64, String)> {
    let mut strange = vec![];
    let mut before: Option<&AccountEntry> = None;
    let has = |logged: &Logged, record: &[u8; 48]| match &logged.said {
        Some(Said::Account(entry)) => entry.account == known.account && entry.record == *record,
        _ => false,
    };
    let oldest = log
        .iter()
        .rposition(|logged| has(logged, &known.record) || former.iter().any(|record| has(logged, record)));
    // From the first entry with the record of now on, none before it is right.
    let mut replaced = false;
    for logged in log[..oldest.map_or(log.len(), |oldest| oldest + 1)].iter().rev() {
        let epoch = logged.epoch;
        replaced |= has(logged, &known.record);
        let ours = has(logged, &known.record) || !replaced && former.iter().any(|record| has(logged, record));
        let sentence = match &logged.said {
            Some(Said::Account(entry)) if ours => {
                let newest = before.is_none_or(|before| entry.list_version > before.list_version);
                if newest || before == Some(entry) {
                    before = Some(entry);
                    continue;
                }
                format!(
                    "at epoch {epoch} the server has replaced the list of your account's devices by one that is not newer, \
                     version {}: there may be devices on it that you have revoked. Tell others, and ask its operator",
                    entry.list_version
                )
            }
            Some(Said::Account(_)) => format!(
                "at epoch {epoch} the server has given out other keys as those of your account, and no device of yours did: \
                 whoever asked for you then may have got somebody else. Tell others, and ask its operator"
            ),
            _ => format!(
                "at epoch {epoch} the server has said something of your account that it does not tell you: tell others, \
                 and ask its operator"
            ),
        };
        strange.push((epoch, sentence));
    }
    strange
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_devices_change_the_list_and_nobody_brings_back_an_older_one() {
        let me = AccountId::from_bytes([1; 16]);
        let of = |list_version: u64, list: u8| AccountEntry {
            account: me,
            record: [2; 48],
            list_version,
            list: [list; 48],
        };
        let elsewhere = AccountEntry { record: [9; 48], ..of(3, 3) };
        let former = |version| AccountEntry { record: [8; 48], ..of(version, 0) };
        let another = AccountEntry { account: AccountId::from_bytes([5; 16]), ..of(3, 3) };
        for (what, log, told) in [
            ("this device and others", vec![Some(of(1, 1)), Some(of(2, 2)), Some(of(5, 5))], None),
            ("the same once more", vec![Some(of(1, 1)), Some(of(1, 1)), Some(of(2, 2))], None),
            ("an older list", vec![Some(of(1, 1)), Some(of(5, 5)), Some(of(1, 1))], Some("not newer")),
            ("two of one version", vec![Some(of(4, 4)), Some(of(4, 7))], Some("not newer")),
            ("another record", vec![Some(of(2, 2)), Some(elsewhere), Some(of(3, 3))], Some("other keys")),
            ("another account", vec![Some(another)], Some("other keys")),
            ("what is not told", vec![Some(of(1, 1)), None], Some("does not tell")),
            ("the record of before", vec![Some(former(1)), Some(former(2)), Some(of(3, 3))], None),
            ("it comes back", vec![Some(former(1)), Some(of(2, 2)), Some(former(3))], Some("other keys")),
            ("one between them", vec![Some(former(1)), Some(elsewhere), Some(of(4, 4))], Some("other keys")),
            ("of before this device knew it", vec![Some(elsewhere), Some(former(4)), Some(of(5, 5))], None),
            ("nothing that it knows", vec![Some(elsewhere)], Some("other keys")),
        ] {
            let mut log: Vec<Logged> = (1..)
                .zip(log)
                .map(|(version, said)| Logged { version, epoch: version, said: said.map(Said::Account) })
                .collect();
            log.reverse();
            let found = of_accounts(&of(5, 5), &[[8; 48]], &log);
            assert_eq!(found.len(), usize::from(told.is_some()), "{what}: {found:?}");
            assert!(told.is_none_or(|told| found[0].1.contains(told)), "{what}: {found:?}");
        }
    }
}
