//! What the directory has said of an account, and that it has only grown.

use qchat_proto::{
    ids::{AccountId, UserName},
    transparency::{
        AccountEntry, HeadHash, Label, NameEntry, Published, Salt, TreeHead, empty_root, entry,
        verify_append, verify_history,
    },
    wire::api::{EntryHistory, GrownEpoch},
};

use super::{DirectoryFault, TRIES, Transparency, crowded};
use crate::{
    engine::error::EngineError,
    store::{DirectoryState, Evidence, StoreError, Tx},
};

/// Something that was said of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// That the name is an account's.
    Name(NameEntry),
    /// What the account consists of.
    Account(AccountEntry),
}

/// One entry of the log of a label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logged {
    /// How often the label has been written, this time included.
    pub version: u64,
    /// The epoch in which it was.
    pub epoch: u64,
    /// What was said; `None` when the server has forgotten it, or does not tell.
    pub said: Option<Said>,
}

/// What the directory has said of an account, newest first, as proved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// The epoch up to which it is told.
    pub epoch: u64,
    /// Whose the name was.
    pub name: Vec<Logged>,
    /// What the account consisted of.
    pub account: Vec<Logged>,
}

/// Where an audit stands.
struct At {
    epoch: u64,
    root: [u8; 32],
    /// Of the head; that of the empty tree is not looked at.
    hash: Option<HeadHash>,
}

impl At {
    fn of(head: &TreeHead) -> Self {
        Self { epoch: head.epoch, root: head.root, hash: Some(head.hash()) }
    }
}

/// How far an audit has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Audited {
    /// Verified up to this epoch.
    pub epoch: u64,
    /// Of this many.
    pub of: u64,
}

/// What an audit has found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditReport {
    /// The epoch that it began at.
    pub from: u64,
    /// The newest epoch.
    pub to: u64,
    /// The hash of the head there, for comparison with others.
    pub head: [u8; 48],
    /// When that head was made, seconds since the Unix epoch, by the server's clock.
    pub at: u64,
    /// Leaves that came in between.
    pub leaves: u64,
    /// What has not fitted together, now or before, the oldest first.
    pub evidence: Vec<Evidence>,
}

impl Transparency {
    /// What the directory has said of an account and its name, as proved: the last `recent` times.
    pub(crate) async fn log(
        &self,
        account: AccountId,
        name: &UserName,
        recent: u16,
    ) -> Result<Log, EngineError> {
        for _ in 0..TRIES {
            let known = self.known().await?;
            let since = known.since();
            let asking = self.access.ask(|token| async move {
                self.rest.directory_history(&token, account, recent, since).await
            });
            let answer = asking.await?;
            let Some(head) = self.follow(&known, answer.head.as_ref(), answer.path.as_ref()).await? else {
                continue;
            };
            let read = |label: Label<'_>, history: &EntryHistory| {
                let held = verify_history(&head, label, recent.into(), history.proof.as_ref());
                let held = held.map_err(|source| DirectoryFault::False { who: name.to_string(), source })?;
                Ok::<_, DirectoryFault>(logged(&held, history))
            };
            return Ok(Log {
                epoch: head.epoch,
                name: read(Label::Name(name), &answer.name)?,
                account: read(Label::Account(account), &answer.account)?,
            });
        }
        Err(crowded())
    }

    /// Checks that the directory has only grown: from the epoch `from` on, or from where the last audit ended.
    pub(crate) async fn audit(
        &self,
        from: Option<u64>,
        told: impl Fn(Audited),
    ) -> Result<AuditReport, EngineError> {
        let newest = self.refresh().await?;
        let audited = self.audited().await?;
        let first = from.unwrap_or(audited.map_or(0, |head| head.epoch));
        if first > newest.epoch {
            return Err(EngineError::Invalid(format!(
                "the newest epoch of the key directory is {}; --from has to name one before",
                newest.epoch
            )));
        }
        let mut at = match audited {
            Some(head) if head.epoch == first => At::of(&head),
            _ if first == 0 => At { epoch: 0, root: empty_root(), hash: None },
            _ => {
                let page = self.growth(first - 1, first).await?;
                let step = page.first().ok_or_else(crowded)?;
                At::of(&self.judge_step(step, first - 1, &newest).await?)
            }
        };
        let mut leaves = 0;
        while at.epoch < newest.epoch {
            let page = self.growth(at.epoch, newest.epoch).await?;
            for step in page {
                let head = self.judge_step(&step, at.epoch, &newest).await?;
                if at.hash.is_some_and(|hash| hash != head.previous) {
                    return Err(self.forked(head.epoch, &head.encode()).await);
                }
                let grown = verify_append(&at.root, &head.root, head.epoch, step.grown.as_ref());
                let Ok(came) = grown else {
                    let fault = DirectoryFault::NotGrown { epoch: head.epoch };
                    self.keep(head.epoch, fault.to_string(), None, Some(head.encode())).await?;
                    return Err(fault.into());
                };
                leaves += came as u64;
                at = At::of(&head);
            }
            told(Audited { epoch: at.epoch, of: newest.epoch });
        }
        if at.root != newest.root || at.hash.is_some_and(|hash| hash != newest.hash()) {
            return Err(self.forked(newest.epoch, &newest.encode()).await);
        }
        // Nothing between the last audit and the beginning of this one was left out.
        if first <= audited.map_or(0, |head| head.epoch) {
            self.profile
                .write_async(move |tx| {
                    if let Some(state) = tx.directory()? {
                        tx.put_directory(&DirectoryState { audited: Some(newest.encode()), ..state })?;
                    }
                    Ok::<_, StoreError>(())
                })
                .await?;
        }
        // Whoever asked is told all of it.
        let told = self.profile.write_async(|tx| {
            tx.note_shown()?;
            tx.evidence()
        });
        let evidence = told.await?;
        Ok(AuditReport {
            from: first,
            to: newest.epoch,
            head: newest.hash(),
            at: newest.at,
            leaves,
            evidence,
        })
    }

    /// Takes the directory as the server shows it now for the one that counts, whatever was known of it.
    pub(crate) async fn accept(&self) -> Result<(), EngineError> {
        let key = self.offered_key().await?;
        self.profile
            .write_async(move |tx| {
                tx.forget_directory()?;
                tx.put_directory(&super::fresh(&key))
            })
            .await?;
        self.refresh().await?;
        Ok(())
    }

    /// The heads after one epoch up to another, as many as the server gives at once, and one at least.
    async fn growth(&self, after: u64, until: u64) -> Result<Vec<GrownEpoch>, EngineError> {
        let asking =
            self.access.ask(|token| async move { self.rest.directory_growth(&token, after, until).await });
        let page = asking.await?.epochs;
        if page.is_empty() {
            return Err(DirectoryFault::Withheld { epoch: after }.into());
        }
        Ok(page)
    }

    /// The head of the epoch after this one, of the log that `newest` is of.
    async fn judge_step(
        &self,
        step: &GrownEpoch,
        after: u64,
        newest: &TreeHead,
    ) -> Result<TreeHead, EngineError> {
        let head = TreeHead::decode(step.head.as_ref()).map_err(DirectoryFault::from)?;
        let same = head.server == newest.server && head.vrf_key == newest.vrf_key;
        if same && head.epoch == after + 1 {
            Ok(head)
        } else {
            Err(self.forked(head.epoch, step.head.as_ref()).await)
        }
    }

    async fn audited(&self) -> Result<Option<TreeHead>, EngineError> {
        let state = self.profile.read_async(Tx::directory).await?;
        let audited = state.and_then(|state| state.audited);
        let corrupt = |_| super::corrupt("audited head");
        audited.map(|head| TreeHead::decode(&head).map_err(corrupt)).transpose()
    }

    async fn forked(&self, epoch: u64, theirs: &[u8]) -> EngineError {
        let fault = DirectoryFault::Forked { epoch };
        let ours = self.profile.read_async(Tx::directory).await.ok().flatten().and_then(|state| state.head);
        match self.keep(epoch, fault.to_string(), ours, Some(theirs.to_vec())).await {
            Ok(_) => fault.into(),
            Err(error) => error,
        }
    }
}

/// What was held, with what that says where it is told.
fn logged(held: &[Published], history: &EntryHistory) -> Vec<Logged> {
    let said = |held: &Published| {
        let told = history.said.iter().find(|told| told.version == held.version)?;
        let salt = Salt(told.salt.as_ref().try_into().ok()?);
        if entry::commitment(&salt, told.said.as_ref()) != held.commitment {
            return None;
        }
        NameEntry::decode(told.said.as_ref())
            .map(Said::Name)
            .or_else(|| AccountEntry::decode(told.said.as_ref()).map(Said::Account))
    };
    held.iter().map(|held| Logged { version: held.version, epoch: held.epoch, said: said(held) }).collect()
}
