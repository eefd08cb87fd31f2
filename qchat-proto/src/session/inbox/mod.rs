//! Reading: one envelope after the other, each in one transaction. docs/PROTOCOL.md, "The inbox".

mod commit;
mod own;
mod restarted;

use std::collections::BTreeSet;

use crate::{
    content::{self, Body, Content, ExerciseStep, RoomSettings},
    ids::{DeviceId, RoomId, Seq},
    mls::{
        device::Device,
        fault::{MlsFault, OpenFault},
        group::{Group, Opened},
        membership::Leaf,
    },
    session::{
        authenticated::Authenticated,
        error::SessionError,
        groups, head,
        ledger::{Ledger, ListedDevice, Notice, OpenedMessage, Phase, RoomState},
        list::listed,
        restart,
        resync::{self, Judged},
        shared_key,
    },
    wire::frame::{Envelope, Kind, Logged, Operation},
};

type Result<T, L> = std::result::Result<T, SessionError<<L as Ledger>::Error>>;

/// Processes the envelope after the cursor. Text, MLS state and cursor change in the caller's one transaction. An
/// envelope at or below the cursor is passed over, so that a repeated delivery is harmless. `now`, seconds since the
/// Unix epoch, dates the invitations that the envelope makes.
///
/// # Errors
/// [`SessionError::NotNext`] when envelopes between are missing; [`SessionError::UnknownAccounts`] when identity keys
/// must be fetched first; anything else leaves the room as it was, to be tried again.
pub fn receive<L: Ledger>(
    ledger: &mut L,
    device: &Device,
    room: RoomId,
    logged: &Logged,
    now: u64,
) -> Result<(), L> {
    let state = ledger.room(room).map_err(SessionError::Ledger)?.ok_or(SessionError::NotJoined)?;
    if logged.seq <= state.cursor || matches!(state.phase, Phase::Removed(_) | Phase::Left(_)) {
        return Ok(());
    }
    if logged.seq != state.cursor.next() {
        return Err(SessionError::NotNext { cursor: state.cursor });
    }
    let envelope = Envelope::decode(logged.bytes.clone()).map_err(|_| SessionError::Server)?;
    if envelope.room != room {
        return Err(SessionError::Server);
    }
    let mut step = Step { ledger, device, seq: logged.seq, now, before: state.clone(), state };
    step.state.cursor = logged.seq;
    step.state.head = head::next(&step.before.head, room, logged.seq, &logged.bytes);
    step.process(&envelope, &logged.bytes)?;
    let Step { ledger, mut state, .. } = step;
    if envelope.kind.ends_epoch() {
        // Applied, rejected, or what this device cannot follow: the daemon counts from here.
        state.commit_seq = logged.seq;
    }
    ledger.put_head(room, state.cursor, &state.head).map_err(SessionError::Ledger)?;
    ledger.put_room(&state).map_err(SessionError::Ledger)
}

/// Goes on without the envelopes after the cursor and up to `until`, which the daemon no longer keeps. What they did to
/// the group is not known, so this device cannot follow from there on, and has to be added again. Nothing happens where
/// `until` is processed already. That all of it was ever there is the daemon's word alone: see [`gone_too_far`].
///
/// # Errors
/// [`SessionError`] when the ledger fails, or this device is not in the room.
pub fn missed<L: Ledger>(ledger: &mut L, device: &Device, room: RoomId, until: Seq) -> Result<(), L> {
    let state = ledger.room(room).map_err(SessionError::Ledger)?.ok_or(SessionError::NotJoined)?;
    if until <= state.cursor || matches!(state.phase, Phase::Removed(_) | Phase::Left(_)) {
        return Ok(());
    }
    let mut step = Step { ledger, device, seq: state.cursor.next(), now: 0, before: state.clone(), state };
    if !matches!(step.state.phase, Phase::Stuck(_)) {
        step.stuck("the server no longer keeps what this device has missed")?;
    }
    let Step { ledger, before, mut state, .. } = step;
    if !matches!(before.phase, Phase::Stuck(_)) {
        // Where it could follow to the end: what comes next may not be there at all, and is no reason to ask then.
        state.phase = Phase::Stuck(before.cursor);
    }
    state.cursor = until;
    state.head = head::UNKNOWN;
    ledger.put_head(room, until, &state.head).map_err(SessionError::Ledger)?;
    ledger.put_room(&state).map_err(SessionError::Ledger)
}

/// The daemon has envelopes up to `newest`, and has said before that it had deleted more than that: one of the two is not
/// true. A device that believed the first goes back to the last place that it knows itself, reads on from there, and asks
/// from there to be added again. Whether it did: nothing happens where nothing was missed, or `newest` is no
/// contradiction.
///
/// # Errors
/// [`SessionError`] when the ledger fails, or this device is not in the room.
pub fn gone_too_far<L: Ledger>(ledger: &mut L, room: RoomId, newest: Seq) -> Result<bool, L> {
    let mut state = ledger.room(room).map_err(SessionError::Ledger)?.ok_or(SessionError::NotJoined)?;
    let Phase::Stuck(at) = state.phase else { return Ok(false) };
    if state.head != head::UNKNOWN || newest >= state.cursor {
        return Ok(false);
    }
    let known = ledger.last_head_but(room, &head::UNKNOWN, state.cursor).map_err(SessionError::Ledger)?;
    let Some(known) = known.filter(|known| *known < state.cursor) else { return Ok(false) };
    // The head stays unknown: what has been read since is believed no more than before.
    state.cursor = known;
    let at = at.min(known);
    state.phase = Phase::Stuck(at);
    state.commit_seq = state.commit_seq.min(known);
    ledger.put_room(&state).map_err(SessionError::Ledger)?;
    restart::forget_after(ledger, room, known)?;
    resync::ask_from(ledger, room, at)?;
    Ok(true)
}

/// Gives up what this device knows of a room's group, because its state is a previous copy of another that has gone on: from
/// here on nothing is sealed or opened with it, and the device asks to be added again. What waits to be sent is not sent any
/// more. `until`: the room's newest envelope as far as the daemon says; all up to there passes unread. Whether the room had to
/// be given up: not one that this device is in no more.
///
/// # Errors
/// [`SessionError`] when the ledger fails, or this device is not in the room.
pub fn discard<L: Ledger>(ledger: &mut L, device: &Device, room: RoomId, until: Seq) -> Result<bool, L> {
    let state = ledger.room(room).map_err(SessionError::Ledger)?.ok_or(SessionError::NotJoined)?;
    if matches!(state.phase, Phase::Removed(_) | Phase::Left(_)) {
        return Ok(false);
    }
    ledger.outbox_fail_all(room).map_err(SessionError::Ledger)?;
    ledger.forget_request(room).map_err(SessionError::Ledger)?;
    ledger.forget_prepared(room).map_err(SessionError::Ledger)?;
    let seq = until.max(state.cursor);
    let mut step = Step { ledger, device, seq, now: 0, before: state.clone(), state };
    step.stuck("it was a previous copy, whose keys must not be used again")?;
    let Step { ledger, before, mut state, .. } = step;
    if seq > before.cursor {
        state.cursor = seq;
        state.head = head::UNKNOWN;
        ledger.put_head(room, seq, &state.head).map_err(SessionError::Ledger)?;
    }
    ledger.put_room(&state).map_err(SessionError::Ledger)?;
    Ok(true)
}

/// What a commit is held against: the group before it.
struct Before {
    leaves: Vec<Leaf>,
    settings: RoomSettings,
    leaving: Vec<DeviceId>,
}

impl Before {
    fn of(group: &Group, envelope: &Envelope) -> std::result::Result<Option<Self>, MlsFault> {
        if envelope.kind != Kind::Commit {
            return Ok(None);
        }
        Ok(Some(Self { leaves: group.leaves(), settings: group.settings()?, leaving: group.leaving() }))
    }
}

/// One envelope being processed.
struct Step<'a, L: Ledger> {
    ledger: &'a mut L,
    device: &'a Device,
    seq: Seq,
    now: u64,
    before: RoomState,
    state: RoomState,
}

impl<L: Ledger> Step<'_, L> {
    fn process(&mut self, envelope: &Envelope, bytes: &[u8]) -> Result<(), L> {
        if envelope.kind.ends_epoch() {
            self.follow_list(envelope)?;
        }
        if envelope.kind == Kind::Resync {
            return self.asked(envelope, bytes);
        }
        if envelope.kind == Kind::Restart {
            return self.restart(envelope, bytes);
        }
        if matches!(self.state.phase, Phase::Stuck(_)) {
            return self.not_followed(envelope, bytes);
        }
        if envelope.sender == self.device.id() {
            return self.own(envelope, bytes);
        }
        let mut group = self.load()?;
        let before = Before::of(&group, envelope)?;
        match self.open(&mut group, envelope) {
            Ok(opened) => self.apply(group, envelope, opened, before),
            Err(fault) => self.not_opened(envelope, fault),
        }
    }

    /// A request to be added again. The log says alike for all who follow who asked; each judges by its own group.
    fn asked(&mut self, envelope: &Envelope, bytes: &[u8]) -> Result<(), L> {
        let room = self.state.room;
        if envelope.sender == self.device.id() {
            let own = self.ledger.request(room).map_err(SessionError::Ledger)?;
            if own.is_some_and(|own| own.envelope == bytes) {
                resync::logged(self.ledger, room, envelope.message_id)?;
            } else if self.state.phase == Phase::Member {
                return self.not_asked(envelope);
            }
            return Ok(());
        }
        if self.state.phase != Phase::Member {
            return Ok(());
        }
        let group = self.load()?;
        let added_at = self.ledger.added_at(room, envelope.sender).map_err(SessionError::Ledger)?;
        let places = (added_at.unwrap_or(Seq(0)), self.seq);
        let judged = resync::judge(self.device, &group, envelope, places, self.now)?;
        groups::keep(self.ledger, room, group)?;
        match judged {
            Judged::Owed(asked) => {
                let mut all = self.ledger.asked(room).map_err(SessionError::Ledger)?;
                if all.contains(&asked) {
                    return Ok(());
                }
                all.retain(|other| other.device != asked.device);
                all.push(asked);
                self.ledger.put_asked(room, &all).map_err(SessionError::Ledger)?;
                self.notice(&Notice::ResyncAsked(envelope.sender))
            }
            Judged::Moot => Ok(()),
            Judged::Forged(reason) => self.reject(envelope, reason),
        }
    }

    /// A request in this device's name that is not the one that it waits for. One of before it was added last was late, or is
    /// repeated by the daemon, and is nothing to anybody; only who has this device's key can have signed a newer one.
    fn not_asked(&mut self, envelope: &Envelope) -> Result<(), L> {
        let (room, own) = (self.state.room, self.device.id());
        let group = self.load()?;
        let added_at = self.ledger.added_at(room, own).map_err(SessionError::Ledger)?.unwrap_or(Seq(0));
        let asks_from = resync::is_from(&group, envelope);
        groups::keep(self.ledger, room, group)?;
        match asks_from {
            Some(seq) if seq < added_at => Ok(()),
            Some(seq) if seq < self.seq => {
                self.notice(&Notice::Clone)?;
                self.stuck("a copy of this device has asked to be added again in its place")
            }
            _ => self.reject(envelope, "it names this device as its sender, which did not send it"),
        }
    }

    fn load(&mut self) -> Result<Group, L> {
        groups::load(self.ledger, self.device, self.state.room)
    }

    /// Opens the payload and holds what it vouches for against the envelope and the log.
    fn open(&mut self, group: &mut Group, envelope: &Envelope) -> std::result::Result<Opened, OpenFault> {
        let opened = group.open(&envelope.payload)?;
        let (leaf, kind, bytes) = match &opened {
            Opened::Application { sender, authenticated_data, .. } => {
                (sender, Kind::Application, authenticated_data)
            }
            Opened::SelfRemove { sender, authenticated_data } => (sender, Kind::Proposal, authenticated_data),
            Opened::Commit { committer, authenticated_data, .. } => {
                (committer, Kind::Commit, authenticated_data)
            }
        };
        let vouched = Authenticated::decode(bytes).ok_or(OpenFault::Malformed)?;
        if kind != envelope.kind || leaf.device != envelope.sender || !vouched.fits(envelope, self.seq) {
            return Err(OpenFault::Invalid);
        }
        Ok(opened)
    }

    fn apply(
        &mut self,
        group: Group,
        envelope: &Envelope,
        opened: Opened,
        before: Option<Before>,
    ) -> Result<(), L> {
        let (Opened::Application { authenticated_data, .. }
        | Opened::SelfRemove { authenticated_data, .. }
        | Opened::Commit { authenticated_data, .. }) = &opened;
        let Some(vouched) = Authenticated::decode(authenticated_data) else {
            return self.not_opened(envelope, OpenFault::Malformed);
        };
        // A sender that saw another log than this device: one of the two was shown a fork.
        let known = self.head_at(vouched.head_seq)?;
        if known != Some(vouched.head) {
            return self.reject(envelope, "its sender saw a different history of this room");
        }
        // A leaf that the daemon does not list could never be listed by the next commit either, if no such device
        // exists: all would owe the room a repair that the daemon refuses.
        if let Opened::Commit { added, .. } = &opened
            && !added.iter().all(|added| declared(envelope, added))
        {
            return self.reject(envelope, "it adds a device that it does not name");
        }
        if self.count(envelope.sender, vouched.counter)? {
            self.heard(envelope.sender)?;
        }
        if envelope.kind != Kind::Proposal {
            self.stays(envelope.sender)?;
        }
        match opened {
            Opened::Application { sender, data, .. } => self.message(group, envelope, sender, &data),
            Opened::SelfRemove { .. } => self.store(group),
            Opened::Commit { committer, added, removed, psks, .. } => {
                let readded = readds(envelope, self.device.id());
                self.commit(group, before, committer, (&added, &psks), (removed, readded))
            }
        }
    }

    fn head_at(&mut self, seq: Seq) -> Result<Option<[u8; 48]>, L> {
        if seq == self.before.cursor {
            return Ok(Some(self.before.head));
        }
        self.ledger.head(self.state.room, seq).map_err(SessionError::Ledger)
    }

    /// Follows a device's counter; a jump means that envelopes of it were dropped. Whether this is the first that was
    /// heard of it since it was added.
    fn count(&mut self, sender: DeviceId, counter: u64) -> Result<bool, L> {
        let room = self.state.room;
        let last = self.ledger.counter(room, sender).map_err(SessionError::Ledger)?;
        if let Some(last) = last
            && counter != last.saturating_add(1)
        {
            let missing = counter.saturating_sub(last.saturating_add(1));
            self.notice(&Notice::Gap { device: sender, missing })?;
        }
        self.ledger.put_counter(room, sender, counter).map_err(SessionError::Ledger)?;
        Ok(last == Some(0))
    }

    /// A device that says something has accepted its invitation.
    fn heard(&mut self, sender: DeviceId) -> Result<(), L> {
        let room = self.state.room;
        let mut invitees = self.ledger.invitees(room).map_err(SessionError::Ledger)?;
        if invitees.iter().any(|invitee| invitee.device == sender) {
            invitees.retain(|invitee| invitee.device != sender);
            self.ledger.put_invitees(room, &invitees).map_err(SessionError::Ledger)?;
        }
        Ok(())
    }

    /// A SelfRemove is the last thing that a device seals: whoever says more has not asked to leave, or no longer does.
    fn stays(&mut self, sender: DeviceId) -> Result<(), L> {
        let room = self.state.room;
        let mut lapsed = self.ledger.lapsed(room).map_err(SessionError::Ledger)?;
        if lapsed.contains(&sender) {
            lapsed.retain(|device| *device != sender);
            self.ledger.put_lapsed(room, &lapsed).map_err(SessionError::Ledger)?;
        }
        Ok(())
    }

    fn message(&mut self, group: Group, envelope: &Envelope, sender: Leaf, data: &[u8]) -> Result<(), L> {
        let Ok(content) = content::unpad(data) else {
            // The key is used up all the same: the state must be stored.
            self.store(group)?;
            return self.reject(envelope, "its padding is malformed");
        };
        let room = self.state.room;
        let repeated = self
            .ledger
            .has_message(room, envelope.sender, envelope.message_id)
            .map_err(SessionError::Ledger)?;
        // Who asked to leave is shown what was ordered before that, and nothing after it.
        let shown = match self.state.phase {
            Phase::Member => true,
            Phase::Leaving(left) => self.seq < left,
            Phase::Stuck(_) | Phase::Removed(_) | Phase::Left(_) => false,
        };
        let said = Content::decode(&content).map(|content| content.body);
        if group.settings()?.silences(sender.account, said.as_ref().ok()) {
            self.store(group)?;
            return self.reject(envelope, "its sender may only read in this room");
        }
        if !repeated
            && self.state.phase == Phase::Member
            && let Ok(Body::SharedKey(said)) = &said
        {
            let is_admin = group.settings()?.admins.contains(&sender.account);
            let heard =
                shared_key::heard(self.ledger, self.device, (room, self.now), &sender, is_admin, said)?;
            if let Some(notice) = heard {
                self.notice(&notice)?;
            }
        }
        let mut part = false;
        if let Ok(Body::Exercise(said)) = &said {
            // Hundreds of them are one conversation, and none is for people.
            part = matches!(said.step, ExerciseStep::Part { .. });
            if self.state.phase == Phase::Member {
                self.ledger.put_exercise(room, self.seq, &sender, said).map_err(SessionError::Ledger)?;
            }
        }
        if !repeated && shown && said == Ok(Body::Joined) {
            self.notice(&Notice::Joined(sender.account))?;
        } else if !repeated && shown && !part {
            let message = OpenedMessage {
                room,
                seq: self.seq,
                message_id: envelope.message_id,
                account: sender.account,
                device: sender.device,
                epoch: group.epoch(),
                content,
            };
            self.ledger.put_message(&message).map_err(SessionError::Ledger)?;
        }
        self.store(group)
    }

    fn store(&mut self, group: Group) -> Result<(), L> {
        groups::store(self.ledger, self.state.room, group)
    }

    /// What could not be opened, by what follows from it. Nothing of the spoiled group is stored.
    fn not_opened(&mut self, envelope: &Envelope, fault: OpenFault) -> Result<(), L> {
        match fault {
            OpenFault::UnknownAccounts(accounts) => Err(SessionError::UnknownAccounts(accounts)),
            OpenFault::FutureEpoch | OpenFault::Private => self.stuck(&fault.to_string()),
            OpenFault::Malformed | OpenFault::Suite | OpenFault::Invalid | OpenFault::PastEpoch => {
                self.reject(envelope, &fault.to_string())
            }
            OpenFault::FromSelf => self.reject(envelope, "it was sealed with this device's keys"),
        }
    }

    /// Skips what every member skips.
    fn reject(&mut self, envelope: &Envelope, reason: &str) -> Result<(), L> {
        self.notice(&Notice::Rejected { sender: envelope.sender, reason: reason.to_owned() })
    }

    fn stuck(&mut self, reason: &str) -> Result<(), L> {
        self.away();
        self.wish_again()?;
        self.notice(&Notice::Stuck { reason: reason.to_owned() })
    }

    /// The daemon applies every declared delta, that of a rejected commit too.
    fn follow_list(&mut self, envelope: &Envelope) -> Result<(), L> {
        if envelope.delta.is_empty() {
            return Ok(());
        }
        let mut list: BTreeSet<ListedDevice> = listed(self.ledger, self.state.room)?.into_iter().collect();
        for change in &envelope.delta {
            // As the daemon does: a device has one place, whatever account a delta gives it.
            list.retain(|listed| listed.device != change.device);
            if change.operation != Operation::Remove {
                list.insert(ListedDevice { account: change.account, device: change.device });
            }
        }
        let list: Vec<_> = list.into_iter().collect();
        self.ledger.put_listed(self.state.room, &list).map_err(SessionError::Ledger)
    }

    fn notice(&mut self, notice: &Notice) -> Result<(), L> {
        self.ledger.put_notice(self.state.room, self.seq, notice).map_err(SessionError::Ledger)
    }
}

/// Whether an envelope declares that it adds this device again.
fn readds(envelope: &Envelope, device: DeviceId) -> bool {
    envelope.delta.iter().any(|change| change.device == device && change.operation == Operation::Readd)
}

/// Whether a commit's delta names a device that it adds.
fn declared(envelope: &Envelope, added: &ListedDevice) -> bool {
    envelope.delta.iter().any(|change| {
        matches!(change.operation, Operation::Add | Operation::Readd)
            && (change.account, change.device) == (added.account, added.device)
    })
}
