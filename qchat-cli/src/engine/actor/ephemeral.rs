//! What is told to those who are there, and heard of them: neither stored nor answered, and never in the way of what is.

use std::{
    collections::{HashMap, VecDeque},
    io,
    time::Duration,
};

use bytes::Bytes;
use qchat_proto::{
    content::Role,
    ids::{AccountId, DeviceId, RoomId, Seq},
    session::{
        ephemeral::{Statement, Voices, What},
        ledger::{Ledger, Phase},
    },
    wire::{
        codec,
        pb::{self, client_frame},
    },
};
use tokio::time::Instant;

use super::{Actor, End, Step};
use crate::{
    engine::{
        appearing::Appearing,
        clock,
        error::EngineError,
        presence::{self, Appearance, Change, WRITING_AGAIN},
        receipts::MOST_DEVICES,
        types::Event,
    },
    net::{NetError, reconnect, socket::Socket},
    store::{StoreError, Tx},
};

/// How soon in a room others who ask are answered again.
const ANSWERED_AGAIN: Duration = Duration::from_secs(2);
/// Within which time an answer is given: many may be asked at once.
const SPREAD: Duration = Duration::from_secs(1);

/// What the connection knows of it.
#[derive(Default)]
pub(super) struct Whispering {
    /// What this user shows.
    pub(super) shown: Option<Appearance>,
    /// And how other programs of the profile learn of it.
    appearing: Appearing,
    /// The keys of the rooms' epochs, with the generation; `None` of those that are too large.
    voices: HashMap<RoomId, (Seq, u64, Option<Voices>)>,
    /// When it was last said in a room that this user writes.
    writing: HashMap<RoomId, Instant>,
    /// When others were last answered in a room.
    answered: HashMap<RoomId, Instant>,
    /// Rooms in which somebody waits for an answer.
    pub(super) owed: VecDeque<(Instant, RoomId)>,
    /// Each statement is later than the one before.
    last_ms: i64,
}

impl Whispering {
    /// Forgets the keys of an epoch that is over.
    pub(super) fn forget(&mut self, room: RoomId) {
        self.voices.remove(&room);
    }

    /// Forgets what belongs to a connection.
    pub(super) fn disconnect(&mut self) {
        let appearing = std::mem::take(&mut self.appearing);
        *self = Self { shown: self.shown, appearing, last_ms: self.last_ms, ..Self::default() };
    }
}

impl Actor {
    /// Says of this user what they show, to everybody who shares a small room.
    pub(super) async fn announce(&mut self, socket: &mut Socket, what: What, asks: bool) -> Step {
        let me = self.me;
        let rooms = self.profile.read_async(move |tx: &mut Tx| presence::audience(tx, me)).await;
        for room in rooms.map_err(EngineError::from)? {
            self.tell_members(socket, room, what, asks).await?;
        }
        Ok(())
    }

    /// The same, if they show anything.
    pub(super) async fn announce_shown(&mut self, socket: &mut Socket, asks: bool) -> Step {
        match self.whispering.shown {
            Some(shown) => self.announce(socket, self.of_device(shown).said(), asks).await,
            None => Ok(()),
        }
    }

    /// Shows this from now on, which other programs of the profile may see.
    pub(super) fn show(&mut self, shown: Option<Appearance>) {
        self.whispering.shown = shown;
        if let Err(error) = self.whispering.appearing.show(self.profile.dir(), shown) {
            tracing::debug!(%error, "other programs of the profile are not told what this one shows");
        }
    }

    /// The most that a program of this device shows: members hear the device, and not its programs.
    pub(super) fn of_device(&self, shown: Appearance) -> Appearance {
        shown.max(self.most().ok().flatten().unwrap_or(shown))
    }

    fn most(&self) -> io::Result<Option<Appearance>> {
        self.whispering.appearing.of_device(self.profile.dir()).inspect_err(|error| {
            tracing::debug!(%error, "what other programs of the profile show is not known");
        })
    }

    /// Says that this program shows nothing any more: with the last one of the device its user goes.
    pub(super) async fn take_leave(&mut self, socket: &mut Socket) -> Step {
        let Some(shown) = self.whispering.shown else { return Ok(()) };
        self.show(None);
        match self.most() {
            Ok(Some(left)) if left < shown => self.announce(socket, left.said(), false).await,
            Ok(None) => self.announce(socket, What::Gone, false).await,
            // Whoever is left says what is so, and what nobody says again is true no more.
            Ok(Some(_)) | Err(_) => Ok(()),
        }
    }

    /// Says that this user writes in a room, unless that was said just now. False: here nobody says such things.
    pub(super) async fn tell_writing(
        &mut self,
        socket: &mut Socket,
        room: RoomId,
        writing: bool,
    ) -> Result<bool, End> {
        let again = self.whispering.writing.get(&room).is_none_or(|last| last.elapsed() >= WRITING_AGAIN);
        if writing && again {
            let told = self.tell_members(socket, room, What::Writing, false).await?;
            if told {
                self.whispering.writing.insert(room, Instant::now());
            }
            return Ok(told);
        }
        if !writing {
            // Another process of this profile may have said that they write.
            self.whispering.writing.remove(&room);
            return self.tell_members(socket, room, What::Paused, false).await;
        }
        Ok(true)
    }

    /// Answers those who asked in the room that has waited longest.
    pub(super) async fn answer_owed(&mut self, socket: &mut Socket, room: RoomId) -> Step {
        match self.whispering.shown {
            Some(shown) => {
                self.tell_members(socket, room, self.of_device(shown).said(), false).await.map(drop)
            }
            None => Ok(()),
        }
    }

    /// Whether that could be said: in rooms that are too large nobody says such things.
    async fn tell_members(
        &mut self,
        socket: &mut Socket,
        room: RoomId,
        what: What,
        asks: bool,
    ) -> Result<bool, End> {
        let at_ms = clock::millis().max(self.whispering.last_ms + 1);
        self.whispering.last_ms = at_ms;
        let device = self.steps.device.latest();
        let Some(voices) = self.voices(room).await? else { return Ok(false) };
        let sealed = match voices.seal(&device, Statement { what, asks, at_ms }) {
            Ok(sealed) => sealed,
            Err(error) => {
                tracing::debug!(%room, %error, "nothing is said of this user");
                return Ok(false);
            }
        };
        let frame = pb::Ephemeral {
            room_id: Bytes::copy_from_slice(room.as_bytes()),
            sender_device: Bytes::new(),
            sealed,
        };
        socket.send(client_frame::Body::Ephemeral(frame)).await?;
        Ok(true)
    }

    /// Takes in what a member has said; whatever makes no sense says nothing.
    pub(super) async fn heard(&mut self, frame: pb::Ephemeral) -> Step {
        let malformed = |_| EngineError::from(NetError::Protocol("the server sent a malformed frame".into()));
        let room: RoomId = codec::id("room id", &frame.room_id).map_err(malformed)?;
        let device: DeviceId = codec::id("device id", &frame.sender_device).map_err(malformed)?;
        if !self.presence && !self.typing {
            return Ok(());
        }
        let Some(voices) = self.voices(room).await? else { return Ok(()) };
        let Some((account, said)) = voices.open(device, &frame.sealed) else { return Ok(()) };
        if account == self.me {
            return Ok(());
        }
        let of_writing = matches!(said.what, What::Writing | What::Paused);
        if (of_writing && !self.typing) || (!of_writing && !self.presence) {
            return Ok(());
        }
        if self
            .profile
            .read_async(move |tx: &mut Tx| tx.is_blocked(account))
            .await
            .map_err(EngineError::from)?
        {
            return Ok(());
        }
        if of_writing && self.only_reads(room, account).await? {
            return Ok(());
        }
        let now = clock::millis();
        let Some(taken) = self.board.take(room, (account, device), said, now) else { return Ok(()) };
        if taken.seen {
            let at = said.at_ms.min(now);
            self.profile
                .write_async(move |tx: &mut Tx| tx.put_seen(account, at))
                .await
                .map_err(EngineError::from)?;
        }
        if let Some(change) = taken.change {
            self.tell_change(change);
        }
        self.owe_answer(room, said.asks && !of_writing);
        Ok(())
    }

    /// What was true and is so no more.
    pub(super) async fn expire_presence(&self) -> Result<(), EngineError> {
        for change in self.board.expire() {
            // Who was blocked since is not told of.
            if let Change::Presence(account) = change
                && self.profile.read_async(move |tx: &mut Tx| tx.is_blocked(account)).await?
            {
                continue;
            }
            self.tell_change(change);
        }
        Ok(())
    }

    fn tell_change(&self, change: Change) {
        self.tell(match change {
            Change::Presence(account) => Event::Presence(account),
            Change::Writing(room) => Event::Writing(room),
        });
    }

    fn owe_answer(&mut self, room: RoomId, asked: bool) {
        let whispering = &mut self.whispering;
        // One answer is for all who have asked by then.
        let pending = whispering.owed.iter().any(|(_, owed)| *owed == room);
        if asked && !pending && whispering.shown.is_some() {
            let soon = Instant::now() + SPREAD.mul_f64(reconnect::random());
            let last = whispering.answered.get(&room);
            let at = last.map_or(soon, |last| soon.max(*last + ANSWERED_AGAIN));
            whispering.answered.insert(room, at);
            whispering.owed.push_back((at, room));
        }
    }

    async fn only_reads(&self, room: RoomId, account: AccountId) -> Result<bool, EngineError> {
        let row = self.profile.read_async(move |tx: &mut Tx| tx.room_row(room)).await?;
        let settings = row.and_then(|row| row.settings);
        Ok(settings.is_some_and(|settings| settings.role(account) == Role::Reader))
    }

    /// The keys of a room's epoch; `None` where this device does not follow it, or it is too large for such talk.
    async fn voices(&mut self, room: RoomId) -> Result<Option<&Voices>, EngineError> {
        let known = self.whispering.voices.get(&room).map(|(generation, epoch, _)| (*generation, *epoch));
        let device = self.steps.device.latest();
        let read = self.profile.read_async(move |tx: &mut Tx| {
            let Some(state) = tx.room(room)?.filter(|state| state.phase == Phase::Member) else {
                return Ok(None);
            };
            let of = (state.generation, state.epoch);
            if Some(of) == known {
                return Ok(Some(None));
            }
            if tx.roster(room)?.len() > MOST_DEVICES {
                return Ok(Some(Some((of, Ok(None)))));
            }
            let Some(blob) = tx.group(room)? else { return Ok(None) };
            let voices = device.load(room, &blob, &[]).and_then(|group| Voices::of(&group));
            Ok::<_, StoreError>(Some(Some((of, voices.map(Some)))))
        });
        match read.await? {
            None => {
                self.whispering.forget(room);
                return Ok(None);
            }
            Some(None) => {}
            Some(Some(((generation, epoch), voices))) => {
                let voices = voices.map_err(EngineError::from)?;
                self.whispering.voices.insert(room, (generation, epoch, voices));
            }
        }
        Ok(self.whispering.voices.get(&room).and_then(|(_, _, voices)| voices.as_ref()))
    }
}
