//! The key directory: all that this server says about accounts, in a tree that only grows. docs/PROTOCOL.md has the
//! formats.
//!
//! What is to be said of an account is stored in the transaction that changes it, as entries that wait. One publisher puts
//! what waits into the tree, an epoch at a time ([`publish`]). Answers about an account come with a proof that the tree of
//! the newest epoch holds just that; while an entry waits they say so.

mod keys;
mod node;
mod publish;
mod tree;

use std::sync::Arc;

use akd::{
    AkdLabel, AkdValue, AzksParallelismConfig, Directory as Tree, HistoryParams, NodeLabel, VersionFreshness,
    errors::AkdError,
    storage::{StorageManager, types::ValueState},
};
use futures_util::FutureExt as _;
use qchat_proto::{
    crypto::{entropy::SystemEntropy, sign::DevicePublicKey},
    ids::{AccountId, ServerId},
    transparency::{
        AccountEntry, Hashes, Label, NameEntry, Salt, SignedHead, TreeHead, encode_history, encode_lookup,
        path_from,
    },
    wire::{
        api::{
            DirectoryGrowth, DirectoryHead, DirectoryHistory, DirectoryProof, EntryHistory, EntryProof,
            GrownEpoch, PastEntry,
        },
        fault::FaultCode,
    },
};
use tokio::sync::Notify;

pub use self::keys::DirectorySecrets;
use self::{
    keys::{Keys, Places},
    tree::Memory,
};
use super::{
    ServiceError,
    accounts::{Asked, absent},
};
use crate::{
    meters::Meters,
    store::{
        Connection, Store, StoreError,
        accounts::{self, Account},
        directory::{self, NewEntry, Value},
    },
};

/// Most epochs in a part of the directory's growth.
const GROWTH: usize = 256;
/// Bytes after which such a part ends.
const GROWTH_BYTES: usize = 1024 * 1024;
/// Most entries in a history.
pub const HISTORY: u16 = 200;

/// Keeps the directory.
pub struct KeyDirectory {
    store: Store,
    server: ServerId,
    keys: Keys,
    meters: Arc<Meters>,
    /// Something waits to be published.
    waiting: Notify,
    pace: publish::Pace,
}

/// What can be said of an account now.
pub(super) enum Answer {
    /// This, and so it is proved.
    Published(Box<DirectoryProof>),
    /// Something newer than what is published waits.
    Waiting,
    /// Nothing was ever said of it.
    Unsaid,
}

impl KeyDirectory {
    /// The directory of this database. [`KeyDirectory::begin`] has to be called before anything else.
    ///
    /// # Errors
    /// When the key cannot be made.
    pub fn new(
        store: Store,
        server: ServerId,
        secrets: DirectorySecrets,
        meters: Arc<Meters>,
    ) -> Result<Self, ServiceError> {
        let keys = Keys::new(secrets).map_err(|_| ServiceError::Defect("the directory's key"))?;
        Ok(Self { store, server, keys, meters, waiting: Notify::new(), pace: publish::Pace::default() })
    }

    /// Forgets the directory of a database, all of it, so that the next start begins another under the key of then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reset(store: &Store) -> Result<(), ServiceError> {
        store.write(|conn| directory::reset(conn).map_err(ServiceError::from)).await
    }

    /// The key that signs heads.
    pub fn key(&self) -> &DevicePublicKey {
        self.keys.public()
    }

    /// Something was stored that waits to be published.
    pub(super) fn wake(&self) {
        self.waiting.notify_one();
    }

    /// The newest head, with the heads that lead from it to that of the epoch `since`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn head(&self, since: Option<u64>) -> Result<DirectoryHead, ServiceError> {
        self.store
            .snapshot(move |conn| {
                let stored = newest(conn)?;
                let path = path(conn, &stored.head, since)?;
                Ok(DirectoryHead { head: stored.signed.into(), path: path.into() })
            })
            .await
    }

    /// The heads after the epoch `after` up to `until`, in order, each with the proof that the tree has only grown: as many
    /// as go into one answer.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn growth(&self, after: u64, until: u64) -> Result<DirectoryGrowth, ServiceError> {
        self.store
            .snapshot(move |conn| {
                let newest = newest(conn)?.head.epoch;
                let grown = directory::grown(conn, (after, until.min(newest)), GROWTH, GROWTH_BYTES)?;
                let epoch =
                    |(head, grown): (Vec<u8>, Vec<u8>)| GrownEpoch { head: head.into(), grown: grown.into() };
                Ok(DirectoryGrowth { epochs: grown.into_iter().map(epoch).collect(), newest })
            })
            .await
    }

    /// What was said of an account and of its name, the last `recent` times, newest first.
    ///
    /// # Errors
    /// `not_found`, `account_deleted`, and `unavailable` when nothing of it is published yet.
    pub async fn history(
        &self,
        account: AccountId,
        recent: u16,
        since: Option<u64>,
    ) -> Result<DirectoryHistory, ServiceError> {
        let keys = self.keys.clone();
        let history = self.store.snapshot(move |conn| {
            let Some(account) = accounts::by_id(conn, account)? else {
                return Err(absent(conn, Asked::Id(account))?);
            };
            let stored = newest(conn)?;
            let path = path(conn, &stored.head, since)?;
            let mut history = |label: Label<'_>| history(conn, &keys, &stored, label, recent);
            Ok::<_, ServiceError>(DirectoryHistory {
                name: history(Label::Name(&account.name))?,
                account: history(Label::Account(account.id))?,
                head: stored.signed.clone().into(),
                path: path.into(),
            })
        });
        history.await
    }

    /// What can be said of this account, in the snapshot that it was read in.
    pub(super) fn answer(
        keys: &Prover,
        conn: &mut Connection,
        account: &Account,
        since: Option<u64>,
    ) -> Result<Answer, ServiceError> {
        let labels = [Label::Name(&account.name), Label::Account(account.id)];
        let mut salts = vec![];
        for label in labels {
            match directory::newest(conn, &label.bytes())? {
                Some(entry) if entry.version.is_some() => salts.push(entry.salt),
                Some(_) => return Ok(Answer::Waiting),
                None => return Ok(Answer::Unsaid),
            }
        }
        let stored = newest(conn)?;
        let path = path(conn, &stored.head, since)?;
        let proofs = lookup(conn, &keys.0, &stored, &labels)?;
        let mut entries = salts
            .iter()
            .zip(proofs)
            .map(|(salt, proof)| EntryProof { salt: salt.0.to_vec().into(), proof: proof.into() });
        let (Some(name), Some(account)) = (entries.next(), entries.next()) else {
            return Err(ServiceError::Defect("two proofs were asked for"));
        };
        Ok(Answer::Published(Box::new(DirectoryProof {
            head: stored.signed.into(),
            path: path.into(),
            name,
            account,
        })))
    }

    /// What makes answers; cheap to clone.
    pub(super) fn prover(&self) -> Prover {
        Prover(self.keys.clone())
    }
}

/// Makes proofs.
#[derive(Clone)]
pub(super) struct Prover(Keys);

/// How much is to be said of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// That its name is its own, too: it is new here.
    Everything,
    /// Its record or list alone.
    Change,
}

/// Stores what is to be said of an account that is new, or has another record or list than before. Belongs into the
/// transaction that stores the account so; [`KeyDirectory::wake`] is to be called after it.
///
/// # Errors
/// When a query fails, or there are no random bytes.
pub(super) fn say(conn: &mut Connection, account: &Account, said: Said) -> Result<(), ServiceError> {
    let entries = entries(account, said, || Salt::random(&SystemEntropy))?;
    Ok(directory::append(conn, &entries)?)
}

/// The entries that say so, each with a salt of its own.
pub(super) fn entries<E>(
    account: &Account,
    said: Said,
    mut salt: impl FnMut() -> Result<Salt, E>,
) -> Result<Vec<NewEntry>, E> {
    let Account { id, name, record, device_list, device_list_version, .. } = account;
    let mut entries = vec![];
    if said == Said::Everything {
        let said = NameEntry { account: *id }.encode();
        entries.push(NewEntry { account: *id, label: Label::Name(name).bytes(), salt: salt()?, said });
    }
    let said = AccountEntry::of(*id, record, *device_list_version, device_list).encode();
    entries.push(NewEntry { account: *id, label: Label::Account(*id).bytes(), salt: salt()?, said });
    Ok(entries)
}

/// The newest head as stored.
struct Newest {
    head: TreeHead,
    /// Head and signature.
    signed: Vec<u8>,
    /// Nodes of the tree.
    nodes: u64,
}

fn newest(conn: &mut Connection) -> Result<Newest, StoreError> {
    let corrupt = || StoreError::Corrupt("the head of the directory");
    let stored = directory::newest_head(conn)?.ok_or_else(corrupt)?;
    let head = TreeHead::decode(&stored.head).map_err(|_| corrupt())?;
    let signed = SignedHead { head, signature: stored.signature }.encode();
    Ok(Newest { head, signed, nodes: stored.nodes })
}

/// The heads between the newest and that of `since`, one after the other.
fn path(conn: &mut Connection, head: &TreeHead, since: Option<u64>) -> Result<Vec<u8>, StoreError> {
    let Some(since) = since else { return Ok(vec![]) };
    Ok(directory::heads(conn, &path_from(head.epoch, since))?.concat())
}

fn state(label: &AkdLabel, value: Value) -> ValueState {
    ValueState {
        value: AkdValue(value.held),
        version: value.version,
        label: NodeLabel::new(value.place, 256),
        epoch: value.epoch,
        username: label.clone(),
    }
}

type Loaded = (Tree<Hashes, Memory, Places>, Memory);

/// The tree as far as these places and values need it.
fn load(
    conn: &mut Connection,
    keys: &Keys,
    stored: &Newest,
    places: &[NodeLabel],
    values: Vec<ValueState>,
) -> Result<Loaded, ServiceError> {
    let memory = Memory::load(conn, (stored.head.epoch, stored.nodes), places, values)?;
    Ok((begun(keys, &memory)?, memory))
}

/// The library on these records.
fn begun(keys: &Keys, memory: &Memory) -> Result<Tree<Hashes, Memory, Places>, ServiceError> {
    let storage = StorageManager::new_no_cache(memory.clone());
    done(Tree::new(storage, keys.places.clone(), AzksParallelismConfig::disabled()))
}

/// What the library does in memory waits for nothing.
fn done<T>(future: impl Future<Output = Result<T, AkdError>>) -> Result<T, ServiceError> {
    match future.now_or_never() {
        Some(Ok(done)) => Ok(done),
        Some(Err(error)) => {
            tracing::error!(%error, "the directory's tree");
            Err(StoreError::Corrupt("a directory").into())
        }
        None => Err(ServiceError::Defect("the directory's tree waits")),
    }
}

/// The largest power of two that is not above.
fn marker(version: u64) -> u64 {
    1 << version.max(1).ilog2()
}

/// Proofs of what these labels hold.
fn lookup(
    conn: &mut Connection,
    keys: &Keys,
    stored: &Newest,
    labels: &[Label<'_>],
) -> Result<Vec<Vec<u8>>, ServiceError> {
    let labels: Vec<AkdLabel> = labels.iter().map(|label| AkdLabel(label.bytes())).collect();
    let who: Vec<[u8; 32]> = labels.iter().map(|label| keys.who(&label.0)).collect();
    let mut values = vec![];
    let mut places = vec![];
    for value in directory::newest_values(conn, &who)? {
        let Some((label, _)) = labels.iter().zip(&who).find(|(_, who)| **who == value.who) else { continue };
        for (freshness, version) in [
            (VersionFreshness::Fresh, value.version),
            (VersionFreshness::Fresh, marker(value.version)),
            (VersionFreshness::Stale, value.version),
        ] {
            places.push(keys.places.place::<Hashes>(label, freshness, version));
        }
        values.push(state(label, value));
    }
    let (tree, _) = load(conn, keys, stored, &places, values)?;
    let mut proofs = vec![];
    for label in labels {
        let (proof, _) = done(tree.lookup(label))?;
        proofs.push(encode_lookup(&proof));
    }
    Ok(proofs)
}

fn history(
    conn: &mut Connection,
    keys: &Keys,
    stored: &Newest,
    label: Label<'_>,
    recent: u16,
) -> Result<EntryHistory, ServiceError> {
    let said = directory::published(conn, &label.bytes(), recent.into())?;
    let label = AkdLabel(label.bytes());
    let values = directory::values(conn, &keys.who(&label.0), recent.into())?;
    let (Some(newest), Some(oldest)) = (values.first(), values.last()) else {
        return Err(waiting());
    };
    let mut versions: Vec<(VersionFreshness, u64)> =
        values.iter().map(|value| (VersionFreshness::Fresh, value.version)).collect();
    let before = values.iter().filter_map(|value| value.version.checked_sub(1)).filter(|before| *before > 0);
    versions.extend(before.map(|before| (VersionFreshness::Stale, before)));
    let (past, future) =
        akd_core::utils::get_marker_versions(oldest.version, newest.version, stored.head.epoch);
    versions.extend(past.into_iter().chain(future).map(|version| (VersionFreshness::Fresh, version)));
    let places: Vec<NodeLabel> = versions
        .into_iter()
        .map(|(freshness, version)| keys.places.place::<Hashes>(&label, freshness, version))
        .collect();
    let values = values.into_iter().map(|value| state(&label, value)).collect();
    let (tree, _) = load(conn, keys, stored, &places, values)?;
    let (proof, _) = done(tree.key_history(&label, HistoryParams::MostRecent(recent.into())))?;
    let past = |entry: directory::Entry| {
        let version = entry.version?;
        Some(PastEntry { version, salt: entry.salt.0.to_vec().into(), said: entry.said.into() })
    };
    Ok(EntryHistory {
        proof: encode_history(&proof).into(),
        said: said.into_iter().filter_map(past).collect(),
    })
}

/// What has just been stored is in the tree soon.
fn waiting() -> ServiceError {
    let mut fault = qchat_proto::wire::fault::Fault::new(
        FaultCode::Unavailable,
        "the account is not in the key directory yet; try again",
    );
    fault.retry_after = Some(1);
    ServiceError::Refused(fault)
}
