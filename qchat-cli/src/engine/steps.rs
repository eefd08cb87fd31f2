//! The protocol's steps as transactions on the profile's database.

use std::sync::Arc;

use bytes::Bytes;
use qchat_proto::{
    content::Content,
    ids::{MessageId, RoomId, Seq, UserName},
    mls::{fault::MlsFault, identity::MissingKey},
    session::{
        error::SessionError,
        head, inbox,
        ledger::{Change, Ledger, Phase, RowState, Want},
        outbox::{self, Outgoing},
    },
    wire::frame::{Envelope, Kind, Logged},
};

use super::{clock, error::EngineError, notes, own::OwnDevice, tidy, waiting};
use crate::{
    quantum::keys::{self, KeySource},
    store::{Profile, Scheduled, StoreError, Tx, quantum::Purpose},
};

/// Most envelopes that are processed in one transaction: enough to share its cost, few enough not to keep other
/// processes waiting.
const BATCH: usize = 32;

/// A step's failure inside a transaction.
struct Failed(SessionError<StoreError>);

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self(SessionError::Ledger(error))
    }
}

impl From<SessionError<StoreError>> for Failed {
    fn from(error: SessionError<StoreError>) -> Self {
        Self(error)
    }
}

/// What has become of a message that was due.
pub(crate) enum Due {
    /// It is in the outbox.
    Sent,
    /// Another process has sent it, or somebody has taken it back.
    NotThere,
    /// It is for this user, who is blocked, and is not sent.
    ToBlocked(UserName),
}

/// How far a run of envelopes was processed.
#[derive(Default)]
pub(crate) struct Progress {
    /// The cursor now.
    pub(crate) cursor: Seq,
    /// Whether something may be due now: a commit, a proposal or a request was among them.
    pub(crate) commits: bool,
    /// Whether earlier messages have become something else.
    pub(crate) changed: bool,
    /// The messages of this device that were among them, and where.
    pub(crate) sent: Vec<(MessageId, Seq)>,
    /// Whether this device is in the room no more.
    pub(crate) over: bool,
    /// Why it went no further.
    pub(crate) stopped: Option<Stopped>,
}

/// What envelopes of one transaction have led to, as [`Progress`] has it.
struct Stored {
    changed: bool,
    sent: Vec<(MessageId, Seq)>,
}

impl Progress {
    fn add(&mut self, stored: Stored) {
        self.changed |= stored.changed;
        self.sent.extend(stored.sent);
    }
}

/// Why an envelope was not processed.
pub(crate) enum Stopped {
    /// These identity keys are needed first.
    Unknown(Vec<MissingKey>),
    /// Envelopes between are missing.
    Gap,
    /// Anything else, in words.
    Failed(EngineError),
}

/// What a room has to send.
pub(crate) enum Next {
    /// Nothing.
    Nothing,
    /// These, in their order; they are stored.
    Send(Vec<Outgoing>),
    /// Nothing that people wrote, while this member's identity has changed.
    Withheld(UserName),
    /// Nothing, in a previous copy of this profile.
    OldCopy,
    /// This change can never be made.
    Never(MessageId, MlsFault),
}

/// Runs the protocol's steps; clones share everything.
#[derive(Clone)]
pub(crate) struct Steps {
    pub(crate) profile: Profile,
    pub(crate) device: Arc<OwnDevice>,
}

impl Steps {
    /// Processes envelopes in order, several to a transaction, and stops before the first that fails.
    pub(crate) async fn receive(&self, room: RoomId, logged: Vec<Logged>) -> Result<Progress, EngineError> {
        let mut progress = Progress::default();
        let mut rest: &[Logged] = &logged;
        while !rest.is_empty() && progress.stopped.is_none() {
            let (batch, later) = rest.split_at(rest.len().min(BATCH));
            let done = match self.receive_batch(room, batch.to_vec()).await? {
                Ok(stored) => {
                    progress.add(stored);
                    batch.len()
                }
                Err((place, error)) => {
                    // The transaction is gone; those before the failing one are good by themselves.
                    if place > 0 {
                        match self.receive_batch(room, batch[..place].to_vec()).await? {
                            Ok(stored) => progress.add(stored),
                            Err((_, error)) => return Err(error.into()),
                        }
                    }
                    progress.stopped = Some(match error {
                        SessionError::UnknownAccounts(missing) => Stopped::Unknown(missing),
                        SessionError::NotNext { .. } => Stopped::Gap,
                        error => Stopped::Failed(error.into()),
                    });
                    place
                }
            };
            progress.commits |= batch[..done].iter().any(changes_group);
            rest = later;
        }
        self.progressed(room, progress).await
    }

    /// Goes on without what the daemon no longer keeps.
    pub(crate) async fn miss(&self, room: RoomId, until: Seq) -> Result<Progress, EngineError> {
        let device = Arc::clone(&self.device);
        self.run(move |tx| {
            let device = device.at(tx)?;
            Ok(inbox::missed(tx, &device, room, until)?)
        })
        .await?;
        let progress = Progress::default();
        self.progressed(room, progress).await
    }

    /// Goes back to what this device knows itself, where the daemon has less than it once said that it had deleted.
    /// Returns the cursor then; `None` where that is not so.
    pub(crate) async fn gone_too_far(&self, room: RoomId, newest: Seq) -> Result<Option<Seq>, EngineError> {
        self.run(move |tx| {
            let gone = inbox::gone_too_far(tx, room, newest)?;
            Ok(tx.room(room)?.filter(|_| gone).map(|state| state.cursor))
        })
        .await
    }

    async fn progressed(&self, room: RoomId, mut progress: Progress) -> Result<Progress, EngineError> {
        let own = self.device.latest().id();
        let (state, old, offers) = self
            .profile
            .read_async(move |tx| Ok::<_, StoreError>((tx.room(room)?, tx.old_copy()?, tx.psk_offers(room)?)))
            .await?;
        if old.is_some() {
            return Err(EngineError::OldCopy);
        }
        // Whoever cannot follow has something to send: a request.
        progress.commits |= state.as_ref().is_some_and(|state| matches!(state.phase, Phase::Stuck(_)));
        // Those who hold what this device has offered have said so in messages.
        progress.commits |= offers.iter().any(|offer| offer.device == own && !offer.holders.is_empty());
        progress.over =
            state.as_ref().is_some_and(|state| matches!(state.phase, Phase::Removed(_) | Phase::Left(_)));
        progress.cursor = state.map_or(Seq(0), |state| state.cursor);
        if progress.commits {
            // Keys of the epoch that is over must not linger in the write-ahead log.
            tidy::now(&self.profile).await;
        }
        Ok(progress)
    }

    /// How much of what was read may be confirmed: a stuck device still needs what it could not follow, and one that a
    /// commit took off the daemon's list without removing it still needs what follows once it is on it again.
    pub(crate) async fn confirmable(&self, room: RoomId, seq: Seq) -> Result<Option<Seq>, EngineError> {
        let own = self.device.latest().id();
        let (state, listed) = self
            .profile
            .read_async(move |tx| {
                let listed = tx.listed(room)?.iter().any(|listed| listed.device == own);
                Ok::<_, StoreError>((tx.room(room)?, listed))
            })
            .await?;
        Ok(match state.map(|state| state.phase) {
            Some(Phase::Stuck(at)) => Some(seq.min(Seq(at.0.saturating_sub(1)))),
            Some(Phase::Member | Phase::Leaving(_)) if !listed => None,
            _ => Some(seq),
        })
    }

    /// One transaction: what it has stored; on failure the place of the envelope that failed.
    async fn receive_batch(
        &self,
        room: RoomId,
        batch: Vec<Logged>,
    ) -> Result<Result<Stored, (usize, SessionError<StoreError>)>, EngineError> {
        enum Out {
            Store(StoreError),
            At(usize, SessionError<StoreError>),
        }
        impl From<StoreError> for Out {
            fn from(error: StoreError) -> Self {
                Self::Store(error)
            }
        }
        let device = Arc::clone(&self.device);
        let result = self
            .profile
            .write_async(move |tx| {
                let device = device.at(tx)?;
                for (place, logged) in batch.iter().enumerate() {
                    inbox::receive(tx, &device, room, logged, clock::seconds())
                        .map_err(|error| Out::At(place, error))?;
                }
                Ok(Stored { changed: tx.has_changed_messages(), sent: tx.settled_messages().to_vec() })
            })
            .await;
        match result {
            Ok(stored) => Ok(Ok(stored)),
            Err(Out::At(place, error)) => Ok(Err((place, error))),
            Err(Out::Store(error)) => Err(error.into()),
        }
    }

    /// Seals what is due in a room. It is stored when this returns. While a member's identity has changed and was not
    /// accepted no text is sealed, nor one sent again. What changes the group goes before the texts that wait, so that
    /// the member can be removed, or the room left: then a text that is sealed already is sent again, since whatever
    /// follows counts on what has become of it.
    pub(crate) async fn next(&self, room: RoomId) -> Result<Next, EngineError> {
        let (device, profile) = (Arc::clone(&self.device), self.profile.clone());
        let next = self.attempt(move |tx| {
            // Another process may have noticed it.
            if tx.old_copy()?.is_some() {
                return Ok(Next::OldCopy);
            }
            let device = device.at(tx)?;
            // It asks to be added again, whoever is in the room: nothing that people wrote is in that.
            if tx.room(room)?.is_some_and(|state| matches!(state.phase, Phase::Stuck(_))) {
                let request = outbox::next(tx, &device, room, clock::seconds())?;
                return Ok(request.map_or(Next::Nothing, |request| Next::Send(vec![request])));
            }
            let changed = tx.changed_member(room)?;
            if let Some(name) = &changed
                && waiting_text(tx, room)?.is_some_and(|state| matches!(state, RowState::Sealed(_)))
                && tx.outbox_first_free(room)?.is_none()
            {
                return Ok(Next::Withheld(name.clone()));
            }
            let source = keys_are_asked_for(tx, room)?
                .map(|row| (row, KeySource::draw(keys::pool(profile.quantum()).as_ref())));
            let device = match &source {
                Some((_, source)) if source.is_mixed() => {
                    Arc::new(device.drawing_from(Arc::new(source.entropy())))
                }
                _ => device,
            };
            let outgoing = outbox::burst(tx, &device, room, clock::seconds(), outbox::BURST)?;
            if let Some(first) = outgoing.first() {
                if let Some((row, source)) = source
                    && row == first.message_id
                {
                    source.became(Purpose::Room, room.as_bytes());
                }
                return Ok(Next::Send(outgoing));
            }
            Ok(match changed {
                Some(name) if waiting_text(tx, room)?.is_some() => Next::Withheld(name),
                _ => Next::Nothing,
            })
        });
        match next.await {
            Ok(next) => Ok(next),
            Err(Failed(SessionError::Unsealable { message_id, source })) => {
                Ok(Next::Never(message_id, source))
            }
            Err(Failed(error)) => Err(error.into()),
        }
    }

    /// Stores that envelopes are in the log.
    pub(crate) async fn accepted(
        &self,
        room: RoomId,
        accepted: Vec<(MessageId, Seq)>,
    ) -> Result<(), EngineError> {
        self.run(move |tx| {
            for (id, seq) in accepted {
                outbox::accepted(tx, room, id, seq)?;
            }
            Ok(())
        })
        .await
    }

    /// Whether this sealing of a row is the one that is under way.
    pub(crate) async fn is_sealed(
        &self,
        room: RoomId,
        id: MessageId,
        under: Seq,
    ) -> Result<bool, EngineError> {
        let row = self.profile.read_async(move |tx| tx.outbox_row(room, id)).await?;
        Ok(row.is_some_and(|row| matches!(row.state, RowState::Sealed(sealed) if sealed.commit_seq == under)))
    }

    /// Stores that a sealing was refused as stale.
    pub(crate) async fn stale(
        &self,
        room: RoomId,
        id: MessageId,
        sealed_under: Seq,
        now_under: Seq,
    ) -> Result<(), EngineError> {
        self.run(move |tx| Ok(outbox::refused_as_stale(tx, room, id, sealed_under, now_under)?)).await
    }

    /// Whether this device cannot follow the room.
    pub(crate) async fn is_stuck(&self, room: RoomId) -> Result<bool, EngineError> {
        let state = self.profile.read_async(move |tx| tx.room(room)).await?;
        Ok(state.is_some_and(|state| matches!(state.phase, Phase::Stuck(_))))
    }

    /// Takes a change out that can never be sealed. One that another process has sealed meanwhile stays.
    pub(crate) async fn give_up(&self, room: RoomId, id: MessageId) -> Result<(), EngineError> {
        self.run(move |tx| Ok(outbox::give_up(tx, room, id)?)).await
    }

    /// Takes a row out whose sealing the daemon will not have, and shows its message as failed. Should it stand in the
    /// log all the same, it is known as our own.
    pub(crate) async fn refused(&self, room: RoomId, id: MessageId, under: Seq) -> Result<(), EngineError> {
        self.run(move |tx| {
            let row = tx.outbox_row(room, id)?;
            let restart = matches!(&row, Some(row) if matches!(row.want, Want::Commit(Change::Restart(_))));
            if let Some(RowState::Sealed(sealed)) = row.map(|row| row.state)
                && sealed.commit_seq == under
            {
                outbox::unseal_after(tx, room, id, under)?;
                tx.put_own(room, id, &head::logged_hash(&sealed.envelope))?;
                if restart {
                    tx.forget_prepared(room)?;
                }
                tx.outbox_remove(room, id)?;
                tx.mark_failed(room, id)?;
            }
            Ok(())
        })
        .await
    }

    /// Puts a change of a room into the outbox.
    pub(crate) async fn enqueue(&self, room: RoomId, want: Want) -> Result<MessageId, EngineError> {
        let device = Arc::clone(&self.device);
        self.run(move |tx| {
            let device = device.at(tx)?;
            Ok(outbox::enqueue(tx, &device, room, want)?)
        })
        .await
    }

    /// Puts something to say into the outbox, and into the timeline. `compose` decides in the same transaction whether it may be said,
    /// and how. It has its place among what is said when this returns.
    pub(crate) fn say<C>(
        &self,
        room: RoomId,
        compose: C,
    ) -> impl Future<Output = Result<MessageId, EngineError>> + use<C>
    where
        C: FnOnce(&mut Tx) -> Result<Content, EngineError> + Send + 'static,
    {
        let device = Arc::clone(&self.device);
        self.profile.write_async(move |tx| {
            let content = compose(tx)?.encode();
            let content = witnessing(tx, room, content)?;
            let device = device.at(tx)?;
            let id = outbox::enqueue(tx, &device, room, Want::Application(content.clone()))?;
            tx.put_pending(room, id, &content)?;
            Ok(id)
        })
    }

    /// Puts a scheduled message into the outbox, and takes it out of those that are to come. One to somebody who is blocked by now
    /// stands there as what could not be sent.
    pub(crate) async fn send_scheduled(&self, message: Scheduled) -> Result<Due, EngineError> {
        let device = Arc::clone(&self.device);
        self.run(move |tx| {
            let device = device.at(tx)?;
            if let Some(name) = notes::blocked_peer(tx, message.room)? {
                return Ok(if tx.fail_scheduled(&message)? { Due::ToBlocked(name) } else { Due::NotThere });
            }
            if !tx.forget_scheduled(message.id)? {
                return Ok(Due::NotThere);
            }
            let want = waiting::due_now(tx, &message)?;
            let id = outbox::enqueue(tx, &device, message.room, want.clone())?;
            if let Want::Application(content) = &want {
                tx.put_pending(message.room, id, content)?;
            }
            Ok(Due::Sent)
        })
        .await
    }

    /// Puts into the outbox what `owed` says, if anything, in the transaction in which it notes that. Whether there was
    /// anything. It is no line of the timeline.
    pub(crate) async fn tell_unasked(
        &self,
        room: RoomId,
        owed: impl FnOnce(&mut Tx) -> Result<Option<Want>, StoreError> + Send + 'static,
    ) -> Result<bool, EngineError> {
        let device = Arc::clone(&self.device);
        self.run(move |tx| {
            let device = device.at(tx)?;
            let Some(want) = owed(tx)? else { return Ok(false) };
            outbox::enqueue(tx, &device, room, want)?;
            Ok(true)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, EngineError> {
        self.attempt(work).await.map_err(|Failed(error)| error.into())
    }

    /// The same, where what failed is told apart.
    async fn attempt<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Failed> {
        self.profile.write_async(work).await
    }
}

/// Lets a text say as well which head of the key directory this device has seen last, if that is news in the room and makes
/// the text no longer on the wire.
fn witnessing(tx: &mut Tx, room: RoomId, content: Bytes) -> Result<Bytes, StoreError> {
    let Some(witness) = tx.untold(room)? else { return Ok(content) };
    let Some(joined) = witness.join(&content) else { return Ok(content) };
    tx.put_told(room, witness.epoch)?;
    Ok(joined)
}

/// The next thing to be sealed, where that is a commit that gives this device fresh keys, which were asked for.
fn keys_are_asked_for(tx: &mut Tx, room: RoomId) -> Result<Option<MessageId>, StoreError> {
    let unsealed = |state: &RowState| matches!(state, RowState::Waiting | RowState::Stale(_));
    let next = tx.outbox_first_free(room)?;
    let next = next.filter(|row| row.want == Want::Commit(Change::Update) && unsealed(&row.state));
    Ok(next.map(|row| row.message_id))
}

/// The state of the outbox's first row, if that is a text.
fn waiting_text(tx: &mut Tx, room: RoomId) -> Result<Option<RowState>, StoreError> {
    let first = tx.outbox_first(room)?;
    Ok(first.filter(|row| matches!(row.want, Want::Application(_))).map(|row| row.state))
}

fn changes_group(logged: &Logged) -> bool {
    Envelope::decode(logged.bytes.clone()).is_ok_and(|envelope| {
        matches!(envelope.kind, Kind::Commit | Kind::Proposal | Kind::Resync | Kind::Restart)
    })
}
