//! Simulated runs of BB84 with another member: one asks, the other agrees, and what their ends of the run say passes through
//! the room in parts. docs/PROTOCOL.md, "Exercises". What the ends are is not known here: they say bytes.

use std::time::Duration;

use qchat_proto::{
    content::{Content, Exercise, ExerciseStep, MAX_PART},
    crypto::entropy::{Entropy as _, SystemEntropy},
    ids::{AccountId, DeviceId, RoomId, UserName},
    mls::psk::{Psk, PskId},
    session::{
        ledger::{Ledger as _, Want},
        outbox, shared_key,
    },
};
use qchat_quantum::bb84::joint::wire;
use zeroize::Zeroizing;

use super::{clock, error::EngineError, handle::Handle, shared_keys, types::Event, view::Names};
use crate::store::{HeardStep, StoreError, StoredExercise, Tx};

/// Most things that an end says in a run.
const MOST_SAID: usize = 8_192;

/// A run that another device has asked this account for.
#[derive(Clone, Debug)]
pub struct ExerciseAsked {
    /// Who asks, fit for a line of a terminal.
    pub by: String,
    /// What the run is to be, as it was said.
    pub terms: Vec<u8>,
    /// Whether its key is then mixed into the room.
    pub mixes: bool,
    stored: StoredExercise,
}

/// What was heard in a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Something that the other end says.
    Said(Vec<u8>),
    /// The other end is over.
    Ended,
}

/// A run that this device takes part in.
pub struct ExerciseRun {
    handle: Handle,
    room: RoomId,
    id: [u8; 16],
    /// The device that has asked for it.
    asker: DeviceId,
    /// The other end's account, and how it is called.
    peer: (AccountId, String),
    /// The other end's device; whose of several it is shows when it agrees.
    device: Option<DeviceId>,
    /// Parts that this end has said.
    sent: u32,
    /// Parts that the other end has said.
    expected: u32,
    /// Things that the other end has said.
    said: usize,
    /// The last row that was read.
    heard: i64,
}

impl Handle {
    /// Asks a member of a room for a run, and keeps that. `mixes`: its key is then to be mixed into the room.
    ///
    /// # Errors
    /// [`EngineError::NotInRoom`]; [`EngineError::Refused`] for oneself, and for a key that could not be mixed in.
    pub async fn ask_exercise(
        &self,
        room: RoomId,
        with: &UserName,
        terms: Vec<u8>,
        mixes: bool,
    ) -> Result<ExerciseRun, EngineError> {
        self.writable(room).await?;
        if *with == self.0.me.name {
            return Err(EngineError::Refused(
                "a run with oneself is `qchat quantum run bb84` without --room".to_owned(),
            ));
        }
        let (me, name) = (self.0.me.clone(), with.clone());
        let found = self.0.profile.read_async(move |tx| {
            let others = shared_keys::missing(tx, room, me.device, &[])?;
            let admins = tx.room_row(room)?.and_then(|row| row.settings).map(|settings| settings.admins);
            let is_admin = admins.is_some_and(|admins| admins.contains(&me.account));
            let account = tx.contact_by_name(&name)?.map(|contact| contact.account);
            let here = tx.roster(room)?;
            let peer = account.filter(|account| here.iter().any(|listed| listed.account == *account));
            Ok::<_, StoreError>((peer, others, is_admin))
        });
        let (peer, others, is_admin) = found.await?;
        let peer = peer.ok_or_else(|| EngineError::NotInRoom(with.clone()))?;
        if mixes && !is_admin {
            return Err(EngineError::Refused(
                "only an admin of the room may mix a key into it: ask one to start the run, or leave --psk out".to_owned(),
            ));
        }
        if mixes && others.len() > 1 {
            return Err(EngineError::Refused(format!(
                "the key of a run is for its two devices, and this room has {} others (of {}), which could not follow without \
                 it: make a room of the two, or leave --psk out",
                others.len(),
                shared_keys::names(&others)
            )));
        }
        let mut id = [0; 16];
        SystemEntropy.fill(&mut id).map_err(StoreError::from)?;
        let asked = StoredExercise {
            id,
            device: self.0.me.device,
            account: self.0.me.account,
            peer,
            terms,
            mixes,
            takes_part: true,
        };
        let step = ExerciseStep::Asked { account: peer, terms: asked.terms.clone().into(), mixes };
        let kept = asked.clone();
        self.say_in_exercise(room, Exercise { id, step }, move |tx| tx.put_exercise_asked(room, &kept))
            .await?;
        Ok(ExerciseRun::new(self, room, &asked, (peer, with.to_string())))
    }

    /// The run that this account was asked for last in a room and that was not answered; whose device asks decides between several.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn exercise_asked(&self, room: RoomId) -> Result<Option<ExerciseAsked>, EngineError> {
        let own = self.0.me.account;
        let found = self.0.profile.read_async(move |tx| {
            let asked = tx.exercises(room)?;
            let here = tx.roster(room)?;
            let mut names = Names::new(own);
            let mut open = None;
            for run in asked {
                // Who has left meanwhile hears no answer, and who is blocked is not heard.
                let there = here.iter().any(|listed| listed.device == run.device);
                if run.peer == own && !run.takes_part && there && !names.hides(tx, run.account)? {
                    open = Some(run);
                    break;
                }
            }
            let Some(stored) = open else { return Ok(None) };
            let contact = tx.contact(stored.account)?;
            let by = contact.map_or_else(|| format!("account {}", stored.account), |it| it.name.to_string());
            Ok::<_, StoreError>(Some(ExerciseAsked {
                by,
                terms: stored.terms.clone(),
                mixes: stored.mixes,
                stored,
            }))
        });
        Ok(found.await?)
    }

    /// Waits until somebody asks this account for a run in a room.
    ///
    /// # Errors
    /// As [`Handle::until`], the end of the time among them.
    pub async fn exercise_comes(
        &self,
        room: RoomId,
        patience: Duration,
    ) -> Result<ExerciseAsked, EngineError> {
        self.until_within(patience, async move |handle: &Self| handle.exercise_asked(room).await).await
    }

    /// Says yes to a run.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when it is not asked for any more.
    pub async fn agree_to_exercise(
        &self,
        room: RoomId,
        asked: &ExerciseAsked,
    ) -> Result<ExerciseRun, EngineError> {
        self.writable(room).await?;
        let stored = asked.stored.clone();
        let run = ExerciseRun::new(self, room, &stored, (stored.account, asked.by.clone()));
        let run = ExerciseRun { device: Some(stored.device), ..run };
        let still = self.answer(room, stored, ExerciseStep::Agreed, Tx::take_part);
        still.await?;
        Ok(run)
    }

    /// Says no to a run.
    ///
    /// # Errors
    /// As [`Handle::agree_to_exercise`].
    pub async fn decline_exercise(&self, room: RoomId, asked: &ExerciseAsked) -> Result<(), EngineError> {
        self.writable(room).await?;
        let step = ExerciseStep::Ended { key_bits: 0, declined: true };
        self.answer(room, asked.stored.clone(), step, Tx::forget_exercise).await
    }

    /// Answers what is asked for still, and keeps that in the same transaction.
    async fn answer(
        &self,
        room: RoomId,
        stored: StoredExercise,
        step: ExerciseStep,
        keep: impl FnOnce(&mut Tx, RoomId, DeviceId) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), EngineError> {
        let said = Exercise { id: stored.id, step };
        self.say_in_exercise(room, said, move |tx| {
            if !tx.exercises(room)?.contains(&stored) {
                return Err(EngineError::Refused(
                    "the run is not asked for any more, or another process has answered".to_owned(),
                ));
            }
            keep(tx, room, stored.device).map_err(EngineError::from)
        })
        .await
    }

    /// Keeps something and says something, all or nothing. What is for people goes into the timeline.
    async fn say_in_exercise<E: Into<EngineError>>(
        &self,
        room: RoomId,
        said: Exercise,
        keep: impl FnOnce(&mut Tx) -> Result<(), E> + Send + 'static,
    ) -> Result<(), EngineError> {
        self.say_all_in_exercise(room, vec![said], keep).await
    }

    /// Waits until all that this device has said in a room is at the daemon: whoever ends now may be waited for.
    ///
    /// # Errors
    /// Why it is not; it goes with the next command that connects.
    pub async fn all_said(&self, room: RoomId) -> Result<(), EngineError> {
        self.until(async move |handle: &Handle| {
            let left = handle.0.profile.read_async(move |tx| tx.outbox_len(room)).await?;
            Ok((left == 0).then_some(()))
        })
        .await
    }

    async fn say_all_in_exercise<E: Into<EngineError>>(
        &self,
        room: RoomId,
        said: Vec<Exercise>,
        keep: impl FnOnce(&mut Tx) -> Result<(), E> + Send + 'static,
    ) -> Result<(), EngineError> {
        let device = self.0.steps.device.clone();
        let saying = self.0.profile.write_async(move |tx| {
            keep(tx).map_err(Into::into)?;
            let device = device.at(tx)?;
            for said in said {
                let part = matches!(said.step, ExerciseStep::Part { .. });
                let content = Content::exercise(said, clock::millis()).encode();
                let id = outbox::enqueue(tx, &device, room, Want::Application(content.clone()))
                    .map_err(EngineError::from)?;
                if !part {
                    tx.put_pending(room, id, &content)?;
                }
            }
            Ok::<_, EngineError>(())
        });
        saying.await?;
        self.tell(Event::Timeline(room));
        self.wrote(room).await;
        Ok(())
    }
}

impl ExerciseRun {
    fn new(handle: &Handle, room: RoomId, of: &StoredExercise, peer: (AccountId, String)) -> Self {
        Self {
            handle: handle.clone(),
            room,
            id: of.id,
            asker: of.device,
            peer,
            device: None,
            sent: 0,
            expected: 0,
            said: 0,
            heard: 0,
        }
    }

    /// The run's name.
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// How the other end is called.
    pub fn peer(&self) -> &str {
        &self.peer.1
    }

    /// Waits until the other end says that it takes part.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when it says no; [`EngineError::Timeout`] when it says nothing.
    pub async fn agreed(&mut self, patience: Duration) -> Result<(), EngineError> {
        loop {
            let heard = self.step(patience).await?;
            match heard.step {
                ExerciseStep::Agreed => {
                    self.device = Some(heard.device);
                    return Ok(());
                }
                ExerciseStep::Ended { .. } => {
                    return Err(EngineError::Refused(format!("{} has declined the run", self.peer.1)));
                }
                ExerciseStep::Part { .. } | ExerciseStep::Asked { .. } => {}
            }
        }
    }

    /// Says these things, one after the other.
    ///
    /// # Errors
    /// When they cannot be written down.
    pub async fn say(&mut self, all: &[Vec<u8>]) -> Result<(), EngineError> {
        let Some(device) = self.device else { return Ok(()) };
        let mut parts = vec![];
        for said in all {
            let count = said.len().div_ceil(MAX_PART).max(1);
            for n in 0..count {
                let data = said[n * MAX_PART..said.len().min((n + 1) * MAX_PART)].to_vec().into();
                let step = ExerciseStep::Part { number: self.sent, last: n + 1 == count, data, device };
                parts.push(Exercise { id: self.id, step });
                self.sent += 1;
            }
        }
        let (room, asker, id) = (self.room, self.asker, self.id);
        let keep = move |tx: &mut Tx| still_runs(tx, room, asker, id);
        self.handle.say_all_in_exercise(room, parts, keep).await
    }

    /// Waits for the next thing that the other end says.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when it says what makes no sense, or too much; [`EngineError::Timeout`] when it says nothing.
    pub async fn next(&mut self, patience: Duration) -> Result<Heard, EngineError> {
        let mut said = vec![];
        loop {
            let heard = self.step(patience).await?;
            if Some(heard.device) != self.device {
                continue;
            }
            match heard.step {
                ExerciseStep::Part { number, last, data, .. } => {
                    if number != self.expected || said.len() + data.len() > wire::LARGEST {
                        return Err(self.broken());
                    }
                    self.expected += 1;
                    said.extend_from_slice(&data);
                    if last {
                        self.said += 1;
                        if self.said > MOST_SAID {
                            return Err(self.broken());
                        }
                        return Ok(Heard::Said(said));
                    }
                }
                ExerciseStep::Ended { .. } => return Ok(Heard::Ended),
                ExerciseStep::Agreed | ExerciseStep::Asked { .. } => return Err(self.broken()),
            }
        }
    }

    fn broken(&self) -> EngineError {
        EngineError::Refused(format!("{} broke the protocol of the run: nothing of it is used", self.peer.1))
    }

    async fn step(&mut self, patience: Duration) -> Result<HeardStep, EngineError> {
        let (room, asker, id, after) = (self.room, self.asker, self.id, self.heard);
        // Longer than this waits: what it says when the time is over is about a message.
        let look = self.handle.until_within(patience.saturating_mul(2), async move |handle: &Handle| {
            let looked = handle.0.profile.read_async(move |tx| {
                still_runs(tx, room, asker, id)?;
                Ok::<_, EngineError>(tx.exercise_step_after(room, asker, after)?)
            });
            looked.await
        });
        let step = tokio::time::timeout(patience, look).await.map_err(|_| {
            EngineError::Timeout(format!(
                "{} has said nothing for {} s; the run is over, and nothing of it is used",
                self.peer.1,
                patience.as_secs()
            ))
        })??;
        self.heard = step.row;
        Ok(step)
    }

    /// Says that this end is over, with a key of so many bits, and forgets what was said.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn end(&self, key_bits: usize) -> Result<(), EngineError> {
        let key_bits = u32::try_from(key_bits).unwrap_or(u32::MAX);
        let (room, asker) = (self.room, self.asker);
        let step = ExerciseStep::Ended { key_bits, declined: false };
        self.handle
            .say_in_exercise(room, Exercise { id: self.id, step }, move |tx| tx.forget_exercise(room, asker))
            .await
    }

    /// Offers the run's key to the room, or takes it when the other end has offered it, and waits until it is mixed in; gives
    /// the first epoch that depends on it, nothing where that is still to come.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when the key is too short, or is given up; [`EngineError::Timeout`] when the other end does not
    /// offer it.
    pub async fn mix(&self, key: &[u8], patience: Duration) -> Result<Option<u64>, EngineError> {
        if key.len() < 32 {
            return Err(EngineError::Refused(format!(
                "the run's key has {} bits, and a room takes 256: let the run have more pulses",
                key.len() * 8
            )));
        }
        let (room, id) = (self.room, self.id);
        let key = Zeroizing::new(key.to_vec());
        let name = PskId::exercise(id);
        if self.asker == self.handle.0.me.device {
            let offering = self.handle.say_of_key(room, move |tx, device| {
                let psk = Psk::of_exercise(room, id, &key);
                shared_key::offer(tx, device, room, &psk, ("", "")).map(Some)
            });
            offering.await?;
        } else {
            let asker = self.asker;
            let offered = self.handle.until_within(patience, async move |handle: &Handle| {
                let offers = handle.0.profile.read_async(move |tx| tx.psk_offers(room)).await?;
                Ok(offers.iter().any(|offer| offer.id == name && offer.device == asker).then_some(()))
            });
            offered.await?;
            let holding = self.handle.say_of_key(room, move |tx, device| {
                shared_key::hold(tx, device, room, &Psk::of_exercise(room, id, &key))
            });
            holding.await?;
        }
        match self.handle.key_settled(room, name, patience).await? {
            shared_keys::KeyOutcome::Mixed(epoch) => Ok(Some(epoch)),
            shared_keys::KeyOutcome::WaitsFor(_) => Ok(None),
            shared_keys::KeyOutcome::GivenUp => Err(EngineError::Refused(
                "the run's key was given up, because the two ends have different ones or somebody dropped it: the room goes on as \
                 it was"
                    .to_owned(),
            )),
        }
    }
}

/// Whether a run goes on as far as this device knows.
fn still_runs(tx: &mut Tx, room: RoomId, asker: DeviceId, id: [u8; 16]) -> Result<(), EngineError> {
    let runs = tx.exercises(room)?;
    if runs.iter().any(|run| run.device == asker && run.id == id && run.takes_part) {
        return Ok(());
    }
    Err(EngineError::Refused(
        "the run is over: another of your devices takes part in it, another was asked for, or the other end said too much"
            .to_owned(),
    ))
}
