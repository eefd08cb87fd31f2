//! The server's key directory, held to its word: each head has to follow from the one before, and everything that is said
//! of an account has to stand in it.

mod audit;
mod fault;
mod own;
mod witness;

use std::time::{Duration, Instant};

use qchat_proto::{
    crypto::sign::DevicePublicKey,
    identity::VerifiedDirectory,
    ids::{AccountId, ServerId, UserName},
    transparency::{
        AccountEntry, Label, NameEntry, Salt, SignedHead, TransparencyError, TreeHead, entry, verify_lookup,
        verify_path,
    },
    wire::api::{Directory, EntryProof},
};

pub(crate) use self::witness::start;
pub use self::{
    audit::{AuditReport, Audited, Log, Logged, Said},
    fault::DirectoryFault,
};
use super::{access::Access, clock, error::EngineError};
use crate::{
    net::{NetError, rest::Client},
    store::{DirectoryState, Evidence, Profile, StoreError, Tx},
};

/// How long the server is asked again for what it says is to be in the directory soon.
const PENDING: Duration = Duration::from_secs(10);
/// Between the first two times; then twice as long each time,
const PAUSE: Duration = Duration::from_millis(50);
/// up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often another process of the profile may come first with a newer head.
const TRIES: usize = 8;

/// Asks about accounts, and believes what the directory says.
#[derive(Clone)]
pub(crate) struct Transparency {
    pub(crate) profile: Profile,
    pub(crate) rest: Client,
    pub(crate) access: Access,
    pub(crate) server: ServerId,
}

/// Who is asked about.
pub(crate) enum Wanted<'a> {
    Name(&'a UserName),
    Account(AccountId),
}

/// What this device knows of the directory.
struct Known {
    state: DirectoryState,
    key: DevicePublicKey,
    newest: Option<TreeHead>,
}

impl Known {
    fn since(&self) -> Option<u64> {
        self.newest.as_ref().map(|head| head.epoch)
    }
}

fn corrupt(what: &'static str) -> EngineError {
    EngineError::Store(StoreError::Corrupt(what))
}

impl Transparency {
    /// What is known. The key of the directory is pinned when it is first needed, if not at the registration.
    async fn known(&self) -> Result<Known, EngineError> {
        let state = if let Some(state) = self.profile.read_async(Tx::directory).await? {
            state
        } else {
            let key = self.offered_key().await?;
            self.profile
                .write_async(move |tx| {
                    if let Some(state) = tx.directory()? {
                        return Ok::<_, StoreError>(state);
                    }
                    let state = fresh(&key);
                    tx.put_directory(&state)?;
                    Ok(state)
                })
                .await?
        };
        let key = parse(&state.key).ok_or_else(|| corrupt("directory key"))?;
        let newest = state.newest()?;
        Ok(Known { state, key, newest })
    }

    /// The key of the directory as the server tells it.
    async fn offered_key(&self) -> Result<DevicePublicKey, EngineError> {
        let info = self.rest.server().await?;
        if info.server_id != self.server {
            return Err(DirectoryFault::Head(TransparencyError::OtherServer).into());
        }
        Ok(parse(info.directory_key.as_ref()).ok_or(DirectoryFault::None)?)
    }

    /// Takes over a head that follows from the one that is known; `None` when another process has come further meanwhile, so
    /// that it has to be asked for again. What does not follow is kept as evidence.
    async fn follow(&self, known: &Known, head: &[u8], path: &[u8]) -> Result<Option<TreeHead>, EngineError> {
        let offered = match self.judge(known, head, path) {
            Ok(offered) => offered,
            Err(fault) => {
                let epoch = known.since().unwrap_or(0);
                if matches!(fault, DirectoryFault::RolledBack { .. } | DirectoryFault::Forked { .. }) {
                    self.keep(epoch, fault.to_string(), known.state.head.clone(), Some(head.to_vec()))
                        .await?;
                }
                return Err(fault.into());
            }
        };
        if known.newest == Some(offered.head) {
            return Ok(Some(offered.head));
        }
        let (was, bytes) = (known.state.clone(), offered.encode());
        let taken = self.profile.write_async(move |tx| {
            match tx.directory()? {
                Some(now) if now == was => {
                    tx.put_directory(&DirectoryState { head: Some(bytes), ..now })?;
                    Ok::<_, StoreError>(true)
                }
                // The same head, come by another way.
                Some(now) => Ok(now.head.as_ref() == Some(&bytes)),
                None => Ok(false),
            }
        });
        Ok(taken.await?.then_some(offered.head))
    }

    fn judge(&self, known: &Known, head: &[u8], path: &[u8]) -> Result<SignedHead, DirectoryFault> {
        let offered = SignedHead::verify(head, &known.key, self.server)?;
        let Some(newest) = &known.newest else { return Ok(offered) };
        if offered.head.epoch < newest.epoch {
            return Err(DirectoryFault::RolledBack { known: newest.epoch, offered: offered.head.epoch });
        }
        let forked = DirectoryFault::Forked { epoch: newest.epoch };
        match verify_path(&offered.head, path, newest.epoch) {
            Ok(hash) if hash == newest.hash() && offered.head.vrf_key == newest.vrf_key => Ok(offered),
            Ok(_) | Err(TransparencyError::Forked { .. }) => Err(forked),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps evidence; whether it is new.
    async fn keep(
        &self,
        epoch: u64,
        what: String,
        ours: Option<Vec<u8>>,
        theirs: Option<Vec<u8>>,
    ) -> Result<bool, EngineError> {
        let evidence = Evidence { at_ms: clock::millis(), epoch, what, ours, theirs };
        Ok(self.profile.write_async(move |tx| tx.put_evidence(&evidence)).await?)
    }

    /// The newest head that the server shows, which follows from what is known.
    async fn refresh(&self) -> Result<TreeHead, EngineError> {
        for _ in 0..TRIES {
            let known = self.known().await?;
            let answer = self.head(known.since()).await?;
            if let Some(head) = self.follow(&known, answer.head.as_ref(), answer.path.as_ref()).await? {
                return Ok(head);
            }
        }
        Err(crowded())
    }

    async fn head(&self, since: Option<u64>) -> Result<qchat_proto::wire::api::DirectoryHead, EngineError> {
        self.access.ask(|token| async move { self.rest.directory_head(&token, since).await }).await
    }

    /// What the server says of somebody, with the head of the directory that it stands in. Nothing of it is believed yet but
    /// the head: [`confirm`] has to follow.
    pub(crate) async fn fetch(&self, wanted: Wanted<'_>) -> Result<(Directory, TreeHead), EngineError> {
        let who = || match &wanted {
            Wanted::Name(name) => name.to_string(),
            Wanted::Account(account) => format!("account {account}"),
        };
        let begun = Instant::now();
        let (mut pause, mut tries) = (PAUSE, 0);
        loop {
            let known = self.known().await?;
            let since = known.since();
            let asking = self.access.ask(|token| {
                let wanted = &wanted;
                async move {
                    match wanted {
                        Wanted::Name(name) => self.rest.directory_by_name(&token, name, since).await,
                        Wanted::Account(account) => self.rest.directory(&token, *account, since).await,
                    }
                }
            });
            let answer = asking.await?;
            match &answer.proof {
                Some(proof) => {
                    if let Some(head) = self.follow(&known, proof.head.as_ref(), proof.path.as_ref()).await? {
                        return Ok((answer, head));
                    }
                    tries += 1;
                    if tries == TRIES {
                        return Err(crowded());
                    }
                }
                None if !answer.pending => return Err(DirectoryFault::NoProof { who: who() }.into()),
                None if begun.elapsed() >= PENDING => {
                    let seconds = PENDING.as_secs();
                    return Err(DirectoryFault::Pending { who: who(), seconds }.into());
                }
                None => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

/// Another process of the profile always comes first: not in this world.
fn crowded() -> EngineError {
    NetError::Protocol("the server's key directory changes faster than it can be read".into()).into()
}

/// How often each entry of an account has been written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Versions {
    name: u64,
    account: u64,
}

/// That the directory says at this head what the answer says: that the name is the account's, and what the account is.
pub(crate) fn confirm(
    head: &TreeHead,
    answer: &Directory,
    verified: &VerifiedDirectory,
) -> Result<Versions, DirectoryFault> {
    let record = &verified.record;
    let who = record.name.to_string();
    let Some(proof) = &answer.proof else { return Err(DirectoryFault::NoProof { who }) };
    let of_name = NameEntry { account: record.account };
    let of_account = AccountEntry::of(
        record.account,
        answer.account_record.as_ref(),
        verified.list.version,
        answer.device_list.as_ref(),
    );
    let holds = |label: Label<'_>, said: Vec<u8>, proof: &EntryProof| {
        let salt = proof.salt.as_ref().try_into().map_err(|_| TransparencyError::Malformed("salt"))?;
        verify_lookup(head, label, &entry::commitment(&Salt(salt), &said), proof.proof.as_ref())
    };
    let held = || {
        let name = holds(Label::Name(&record.name), of_name.encode(), &proof.name)?;
        let account = holds(Label::Account(record.account), of_account.encode(), &proof.account)?;
        Ok(Versions { name: name.version, account: account.version })
    };
    held().map_err(|source| DirectoryFault::False { who, source })
}

/// The key of a directory, if it is one.
pub(super) fn parse(key: &[u8]) -> Option<DevicePublicKey> {
    DevicePublicKey::from_bytes(key).ok()
}

/// A directory of which nothing is known but its key.
pub(super) fn fresh(key: &DevicePublicKey) -> DirectoryState {
    DirectoryState { key: key.as_bytes().to_vec(), head: None, audited: None }
}
