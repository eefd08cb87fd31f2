//! The publisher: puts what waits into the tree, an epoch at a time.
//!
//! At once when little happens; under load an epoch a second, so that the tree has no more heads than it needs, and without
//! a pause while there is more than one epoch takes. On PostgreSQL one node publishes at a time, under an advisory lock; on
//! SQLite the work is done beside the writer, which only writes the result down. An epoch's number is a key: of two that
//! are made out of one tree, should that ever be, the second is refused by the database and made anew.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use akd::{AkdLabel, AkdValue, EpochHash, VersionFreshness, storage::types::ValueState};
use qchat_proto::{
    crypto::sign::SignatureUse,
    ids::{AccountId, ServerId},
    transparency::{Hashes, TreeHead, encode_append, entry, head},
};

use super::{KeyDirectory, Keys, Memory, Said, begun, done, load, newest, state};
use crate::{
    service::{ServiceError, now},
    store::{
        Connection, StoreError, accounts,
        directory::{self, Entry, Epoch, Head, Value},
    },
};

/// Most entries in an epoch: writing them takes SQLite's writer some tens of milliseconds.
const ENTRIES: i64 = 512;
/// Accounts of which something is said in one transaction, when nothing was.
const ADOPTED: i64 = 256;
/// Epochs that may come at once; then one each [`INTERVAL`].
const BURST: u32 = 8;
/// Between two epochs under load.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often the publisher looks for what others have stored: another node, or a command.
const LOOK: Duration = Duration::from_secs(1);
/// After a failure.
const REST: Duration = Duration::from_secs(1);

/// How many epochs may come now.
pub(super) struct Pace(Mutex<(f64, Instant)>);

impl Default for Pace {
    fn default() -> Self {
        Self(Mutex::new((f64::from(BURST), Instant::now())))
    }
}

impl Pace {
    /// How long to wait before the next epoch, which is then taken for made.
    fn next(&self, now: Instant) -> Duration {
        let mut pace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, then) = *pace;
        let gained = now.saturating_duration_since(then).as_secs_f64() / INTERVAL.as_secs_f64();
        let left = (left + gained).min(f64::from(BURST)) - 1.0;
        *pace = (left, now);
        if left >= 0.0 { Duration::ZERO } else { INTERVAL.mul_f64(-left) }
    }
}

/// Accounts of which nothing is said.
enum Unsaid {
    /// There may be some after this one.
    After(Option<AccountId>),
    /// There are none.
    Nobody,
}

/// What became of an attempt to publish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Published {
    /// Nothing waits.
    Nothing,
    /// An epoch with so many entries.
    Epoch(usize),
    /// Another node is at it.
    Elsewhere,
}

impl KeyDirectory {
    /// Sees to it that there is a directory, and that it is this server's: makes its empty tree when there is none.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] when the directory was begun with another key file; when the database fails.
    pub async fn begin(&self) -> Result<(), ServiceError> {
        let (keys, server) = (self.keys.clone(), self.server);
        let epoch = move |conn: &mut Connection| -> Result<Option<Epoch>, ServiceError> {
            if let Some(stored) = directory::newest_head(conn)? {
                let head = newest(conn)?.head;
                let ours =
                    keys.public().verify(SignatureUse::TreeHead, &stored.head, &stored.signature).is_ok();
                if !ours || head.server != server || head.vrf_key != keys.places.public() {
                    return Err(ServiceError::Defect(
                        "the key directory of this database was begun with another token key file: restore that file, or let \
                         the directory begin anew with `qchatd keys reset-directory`, which every user has to accept",
                    ));
                }
                return Ok(None);
            }
            first(&keys, server).map(Some)
        };
        let written = self
            .store
            .write(move |conn| {
                if let Some(first) = epoch(conn)? {
                    directory::save(conn, &first)?;
                }
                Ok::<_, ServiceError>(())
            })
            .await;
        match written {
            // Another node was quicker.
            Err(ServiceError::Store(StoreError::Conflict)) => Ok(()),
            other => other,
        }
    }

    /// Publishes what comes, until it is dropped.
    pub async fn publish(&self) {
        let mut unsaid = Unsaid::After(None);
        loop {
            let begun = Instant::now();
            let done = match self.publish_next().await {
                Ok(done) => done,
                Err(error) => {
                    tracing::warn!(%error, "the key directory was not published");
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            match done {
                // More waits than one epoch takes: the others get the database for as long as this one had it.
                Published::Epoch(entries) if i64::try_from(entries).is_ok_and(|made| made >= ENTRIES) => {
                    tokio::time::sleep(begun.elapsed()).await;
                }
                Published::Epoch(_) => tokio::time::sleep(self.pace.next(Instant::now())).await,
                Published::Elsewhere => tokio::time::sleep(LOOK / 10).await,
                Published::Nothing => match unsaid {
                    Unsaid::After(last) => match self.adopt(last).await {
                        Ok(next) => unsaid = next,
                        Err(error) => {
                            tracing::warn!(%error, "accounts are not in the key directory yet");
                            tokio::time::sleep(REST).await;
                        }
                    },
                    Unsaid::Nobody => drop(tokio::time::timeout(LOOK, self.waiting.notified()).await),
                },
            }
        }
    }

    /// Publishes the next epoch, if anything waits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn publish_next(&self) -> Result<Published, ServiceError> {
        let begun = Instant::now();
        let keys = self.keys.clone();
        let make = move |conn: &mut Connection| {
            let entries = directory::waiting(conn, ENTRIES)?;
            if entries.is_empty() {
                return Ok(None);
            }
            epoch(conn, &keys, entries).map(Some)
        };
        let saved = if self.store.is_shared() {
            self.store
                .write(move |conn| {
                    if !directory::lock(conn)? {
                        return Ok(Err(Published::Elsewhere));
                    }
                    let Some(epoch) = make(conn)? else { return Ok(Err(Published::Nothing)) };
                    directory::save(conn, &epoch)?;
                    Ok::<_, ServiceError>(Ok(epoch))
                })
                .await
        } else {
            match self.store.snapshot(make).await? {
                None => Ok(Err(Published::Nothing)),
                Some(epoch) => {
                    self.store
                        .write(move |conn| {
                            directory::save(conn, &epoch)?;
                            Ok(Ok(epoch))
                        })
                        .await
                }
            }
        };
        match saved {
            Ok(Ok(epoch)) => {
                let entries = epoch.published.len();
                self.meters.published(epoch.epoch, entries, begun.elapsed());
                tracing::debug!(epoch = epoch.epoch, entries, "the key directory has grown");
                Ok(Published::Epoch(entries))
            }
            Ok(Err(nothing)) => Ok(nothing),
            Err(ServiceError::Store(StoreError::Conflict)) => Ok(Published::Elsewhere),
            Err(error) => Err(error),
        }
    }

    /// Says something of the next accounts after this one of which nothing is said: those that were there before the
    /// directory was.
    async fn adopt(&self, after: Option<AccountId>) -> Result<Unsaid, ServiceError> {
        let (found, last) = self.store.read(move |conn| directory::unsaid(conn, after, ADOPTED)).await?;
        let Some(last) = last else { return Ok(Unsaid::Nobody) };
        if !found.is_empty() {
            self.adopt_these(found).await?;
        }
        Ok(Unsaid::After(Some(last)))
    }

    /// Says something of those of these accounts of which nothing is said.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::service) async fn adopt_these(&self, these: Vec<AccountId>) -> Result<(), ServiceError> {
        self.store
            .write(move |conn| {
                for account in these {
                    // A change of the account that is underway says what it is from then on.
                    let Some(found) = accounts::lock(conn, account)? else { continue };
                    if !directory::is_said(conn, account)? {
                        super::say(conn, &found, Said::Everything)?;
                    }
                }
                Ok::<_, ServiceError>(())
            })
            .await?;
        self.wake();
        Ok(())
    }
}

/// The empty tree as epoch 0.
fn first(keys: &Keys, server: ServerId) -> Result<Epoch, ServiceError> {
    let memory = Memory::default();
    let tree = begun(keys, &memory)?;
    let EpochHash(epoch, root) = done(tree.get_epoch_hash())?;
    let head = TreeHead {
        server,
        epoch,
        root,
        vrf_key: keys.places.public(),
        at: now(),
        previous: [0; 48],
        skip: [0; 48],
    };
    sealed(keys, head, memory.written(), None, vec![])
}

/// The next epoch with these entries, without those that another of the same label stands before.
fn epoch(conn: &mut Connection, keys: &Keys, entries: Vec<Entry>) -> Result<Epoch, ServiceError> {
    let stored = newest(conn)?;
    let mut taken = BTreeSet::new();
    let entries: Vec<Entry> = entries.into_iter().filter(|entry| taken.insert(entry.label.clone())).collect();
    let who: Vec<[u8; 32]> = entries.iter().map(|entry| keys.who(&entry.label)).collect();
    let labels: HashMap<[u8; 32], AkdLabel> =
        who.iter().zip(&entries).map(|(who, entry)| (*who, AkdLabel(entry.label.clone()))).collect();
    let held: Vec<ValueState> = directory::newest_values(conn, &who)?
        .into_iter()
        .filter_map(|value| labels.get(&value.who).map(|label| state(label, value)))
        .collect();
    let versions: HashMap<AkdLabel, u64> =
        held.iter().map(|value| (value.username.clone(), value.version)).collect();
    let mut places = vec![];
    for label in labels.values() {
        let before = versions.get(label).copied().unwrap_or(0);
        places.push(keys.places.place::<Hashes>(label, VersionFreshness::Fresh, before + 1));
        if before > 0 {
            places.push(keys.places.place::<Hashes>(label, VersionFreshness::Stale, before));
        }
    }
    let (tree, memory) = load(conn, keys, &stored, &places, held)?;
    let updates = entries.iter().map(|entry| {
        let held = entry::commitment(&entry.salt, &entry.said);
        (AkdLabel(entry.label.clone()), AkdValue(held.to_vec()))
    });
    let EpochHash(number, root) = done(tree.publish(updates.collect()))?;
    let before = stored.head.epoch;
    if number != before + 1 {
        return Err(StoreError::Corrupt("the numbers of the directory").into());
    }
    let grown = done(tree.audit(before, number))?;
    let grown = grown.proofs.first().map(encode_append).ok_or(ServiceError::Defect("no proof was made"))?;
    let skip = match head::lower(number) {
        lower if lower == before => stored.head.hash(),
        lower => {
            let far = directory::heads(conn, &[lower])?;
            let far = far.first().and_then(|head| TreeHead::decode(head).ok());
            far.ok_or(StoreError::Corrupt("a head of the directory"))?.hash()
        }
    };
    let head = TreeHead {
        server: stored.head.server,
        epoch: number,
        root,
        vrf_key: stored.head.vrf_key,
        at: now().max(stored.head.at),
        previous: stored.head.hash(),
        skip,
    };
    let written = memory.written();
    let published = entries
        .iter()
        .map(|entry| (entry.id, versions.get(&AkdLabel(entry.label.clone())).map_or(1, |before| before + 1)))
        .collect();
    sealed(keys, head, written, Some(grown), published)
}

fn sealed(
    keys: &Keys,
    head: TreeHead,
    written: super::tree::Written,
    grown: Option<Vec<u8>>,
    published: Vec<(i64, u64)>,
) -> Result<Epoch, ServiceError> {
    let signed = head.sign(&keys.sign).map_err(|_| ServiceError::Defect("a head was not signed"))?;
    let value = |state: ValueState| Value {
        who: keys.who(&state.username.0),
        version: state.version,
        epoch: state.epoch,
        held: state.value.0,
        place: state.label.label_val,
    };
    Ok(Epoch {
        epoch: head.epoch,
        head: Head { head: head.encode(), signature: signed.signature, nodes: written.size },
        grown,
        nodes: written.nodes,
        values: written.values.into_iter().map(value).collect(),
        published,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_come_at_once_until_there_are_many_and_then_one_a_second() {
        let pace = Pace::default();
        let begun = Instant::now();
        for _ in 0..BURST {
            assert_eq!(pace.next(begun), Duration::ZERO);
        }
        assert_eq!(pace.next(begun), INTERVAL);
        let later = begun + INTERVAL;
        assert_eq!(pace.next(later), INTERVAL);
        assert_eq!(pace.next(later + 3 * INTERVAL), Duration::ZERO);
    }
}
