//! The rules of the relay, without a database: from a snapshot and requests in order to outcomes and changes.
//!
//! Several requests share one transaction, so a refused one must leave nothing behind: every check comes before the
//! first change.

use bytes::Bytes;
use qchat_proto::{
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    wire::{
        fault::FaultCode,
        frame::{Envelope, Invitation, Kind, MembershipChange, Operation},
        tree::TreeHash,
    },
};

use crate::{
    hub::Announcement,
    store::{
        relay::{Changes, EnvelopeKey, NewEnvelope, NewWelcome, Snapshot, Wanted},
        rooms::{Member, Span, Standing},
    },
};

/// An envelope to be ordered, with what travels with a commit. Made by [`Publication::new`].
#[derive(Clone, Debug)]
pub struct Publication {
    /// The envelope, decoded.
    pub(super) envelope: Envelope,
    /// Its bytes as they came.
    pub(super) logged: Bytes,
    /// One for each device that the delta adds or readds.
    pub(super) welcomes: Vec<Invitation>,
    /// The tree after the commit, which its device has put there before.
    pub(super) tree: Option<TreeHash>,
    /// The device's message that has to be in the room's log before.
    pub(super) after: Option<MessageId>,
}

/// Why a request was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The device is not a full member.
    NotMember,
    /// Sealed under another commit than the room's latest, which this is.
    Stale(Seq),
    /// Its tree is not staged.
    MissingTree,
    /// What it has to follow is not in the log.
    OutOfOrder,
    /// A part of the request does not fit the others.
    Malformed(&'static str),
    /// No invitation waits for the device.
    NoInvitation,
    /// The device has joined already.
    Joined,
}

impl Refusal {
    /// What the client is told.
    pub const fn code(self) -> FaultCode {
        match self {
            Self::Stale(_) => FaultCode::StaleEpoch,
            Self::MissingTree => FaultCode::MissingTree,
            Self::OutOfOrder => FaultCode::OutOfOrder,
            Self::Malformed(_) => FaultCode::BadRequest,
            Self::NotMember | Self::NoInvitation | Self::Joined => FaultCode::NotMember,
        }
    }
}

impl Publication {
    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn new(
        envelope: Envelope,
        logged: Bytes,
        welcomes: Vec<Invitation>,
        tree: Option<TreeHash>,
        after: Option<MessageId>,
    ) -> Result<Self, Refusal> {
        let mut needed: Vec<DeviceId> = envelope
            .delta
            .iter()
            .filter(|change| matches!(change.operation, Operation::Add | Operation::Readd))
            .map(|change| change.device)
            .collect();
        let mut given: Vec<DeviceId> = welcomes.iter().map(|invitation| invitation.device).collect();
        needed.sort_unstable();
        given.sort_unstable();
        if needed != given {
            return Err(Refusal::Malformed(
                "welcomes go to the devices that the delta adds or readds, one each",
            ));
        }
        if welcomes.is_empty() != tree.is_none() {
            return Err(Refusal::Malformed("a ratchet tree belongs to welcomes, and to nothing else"));
        }
        Ok(Self { envelope, logged, welcomes, tree, after })
    }

    /// The room that it goes to.
    pub fn room(&self) -> RoomId {
        self.envelope.room
    }

    /// Bytes that it keeps in memory.
    pub fn size(&self) -> usize {
        let welcomes: usize = self.welcomes.iter().map(|invitation| invitation.welcome.len()).sum();
        self.logged.len() + welcomes
    }

    /// What the ledger has to know to judge it.
    pub(super) fn want(&self, wanted: &mut Wanted) {
        wanted.rooms.insert(self.envelope.room);
        wanted.places.insert((self.envelope.room, self.envelope.sender));
        wanted.envelopes.insert(self.key());
        wanted.envelopes.extend(self.follows());
        wanted.trees.extend(self.tree);
        for change in &self.envelope.delta {
            wanted.places.insert((self.envelope.room, change.device));
            wanted.named.insert(change.device);
        }
    }

    fn key(&self) -> EnvelopeKey {
        (self.envelope.room, self.envelope.sender, self.envelope.message_id)
    }

    fn follows(&self) -> Option<EnvelopeKey> {
        self.after.map(|before| (self.envelope.room, self.envelope.sender, before))
    }
}

/// The state of the rooms that a group of requests touches.
pub(super) struct Ledger {
    state: Snapshot,
    changes: Changes,
    announcements: Vec<Announcement>,
}

impl Ledger {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self { state: snapshot, changes: Changes::default(), announcements: Vec::new() }
    }

    pub(super) fn finish(self) -> (Changes, Vec<Announcement>) {
        (self.changes, self.announcements)
    }

    /// Orders an envelope, or finds the place that it has already.
    pub(super) fn publish(&mut self, publication: &Publication) -> Result<Seq, Refusal> {
        let envelope = &publication.envelope;
        // Before everything else: what was acknowledged stays acknowledged, whatever has happened since.
        if let Some(seq) = self.state.accepted.get(&publication.key()) {
            return Ok(*seq);
        }
        let room = *self.state.rooms.get(&envelope.room).ok_or(Refusal::NotMember)?;
        let sender = self.state.members.get(&(envelope.room, envelope.sender)).ok_or(Refusal::NotMember)?;
        let resync = envelope.kind == Kind::Resync;
        let may = sender.standing == Standing::Full
            || (resync && sender.standing == Standing::Removed && sender.once_full);
        if !may {
            return Err(Refusal::NotMember);
        }
        // Of what a device sends without waiting, one that fails must not let the next one pass.
        if publication.follows().is_some_and(|before| !self.state.accepted.contains_key(&before)) {
            return Err(Refusal::OutOfOrder);
        }
        if !resync && envelope.commit_seq != room.commit_seq {
            return Err(Refusal::Stale(room.commit_seq));
        }
        let strange = |change: &MembershipChange| {
            self.state.accounts.get(&change.device).is_none_or(|account| *account != change.account)
        };
        if envelope.delta.iter().any(strange) {
            return Err(Refusal::Malformed("the delta names a device that does not exist"));
        }

        let staged = publication.tree.map(|hash| (envelope.room, envelope.sender, hash));
        let tree = match &staged {
            Some(key) => Some(self.state.staged.remove(key).ok_or(Refusal::MissingTree)?),
            None => None,
        };

        let (seq, inviter) = (room.next_seq, sender.account);
        self.changes.trees.extend(tree.map(|tree| (tree, seq)));
        let mut next = room;
        next.next_seq = seq.next();
        if envelope.kind.ends_epoch() {
            next.commit_seq = seq;
        }
        self.state.rooms.insert(envelope.room, next);
        self.changes.rooms.insert(envelope.room, next);
        self.state.accepted.insert(publication.key(), seq);
        self.changes.envelopes.push(NewEnvelope {
            room: envelope.room,
            seq,
            sender: envelope.sender,
            message: envelope.message_id,
            logged: publication.logged.clone(),
        });
        let mut announcement = Announcement {
            room: envelope.room,
            envelope: Some((seq, publication.logged.clone())),
            joined: Vec::new(),
            invited: Vec::new(),
            left: Vec::new(),
        };
        for change in &envelope.delta {
            self.change(envelope.room, envelope.commit_seq, seq, change, &mut announcement);
        }
        self.keep_welcomes(publication, seq, inviter, &mut announcement);
        self.announcements.push(announcement);
        Ok(seq)
    }

    /// Says yes to an invitation: the device becomes a full member.
    pub(super) fn join(&mut self, room: RoomId, device: DeviceId) -> Result<(), Refusal> {
        let member = self.state.members.get(&(room, device)).ok_or(Refusal::NoInvitation)?;
        match member.standing {
            Standing::Full => Ok(()),
            Standing::Invited => {
                let joined =
                    Member { standing: Standing::Full, once_full: true, waiting: false, ..member.clone() };
                self.place(room, joined);
                Ok(())
            }
            Standing::Removed | Standing::Declined => Err(Refusal::NoInvitation),
        }
    }

    /// Says no: the device reads nothing further, and its Welcome is deleted.
    pub(super) fn decline(&mut self, room: RoomId, device: DeviceId) -> Result<(), Refusal> {
        let member = self.state.members.get(&(room, device)).ok_or(Refusal::NoInvitation)?;
        match member.standing {
            Standing::Declined => return Ok(()),
            Standing::Removed => return Err(Refusal::NoInvitation),
            Standing::Full => return Err(Refusal::Joined),
            Standing::Invited => {}
        }
        let last = self.state.rooms.get(&room).ok_or(Refusal::NoInvitation)?.last_seq();
        let declined = Member {
            standing: Standing::Declined,
            waiting: false,
            reads: Span { after: member.reads.after, until: Some(last) },
            ..member.clone()
        };
        self.place(room, declined);
        self.changes.welcomes.insert((room, device), None);
        self.announcements.push(Announcement {
            room,
            envelope: None,
            joined: Vec::new(),
            invited: Vec::new(),
            left: vec![device],
        });
        Ok(())
    }

    /// Applies one line of a commit's delta. `sealed` is the commit before this one, `seq` this one's place.
    fn change(
        &mut self,
        room: RoomId,
        sealed: Seq,
        seq: Seq,
        change: &MembershipChange,
        announcement: &mut Announcement,
    ) {
        let before = self.state.members.get(&(room, change.device)).cloned();
        let fresh = Member {
            device: change.device,
            account: change.account,
            standing: Standing::Full,
            once_full: false,
            waiting: false,
            // The joiner hashes the envelopes before the one that adds it, from the last commit on.
            reads: Span { after: sealed, until: None },
            past: Span::EMPTY,
        };
        let after = match (change.operation, before) {
            // A device that never had a place gets none by being removed.
            (Operation::Remove, None) => return,
            (Operation::Remove, Some(before)) => {
                announcement.left.push(change.device);
                // A decliner has never opened the room; every other leaf reads the commit that removes it.
                let until =
                    if before.standing == Standing::Declined { before.reads.until } else { Some(seq) };
                let standing = match before.standing {
                    Standing::Declined => Standing::Declined,
                    _ => Standing::Removed,
                };
                Member { standing, reads: Span { until, ..before.reads }, ..before }
            }
            // On the list already: nothing that it could read is taken from it.
            (Operation::Add, Some(before)) if before.follows() => {
                let reads = Span { after: before.reads.after.min(sealed), until: None };
                Member { standing: Standing::Invited, waiting: true, reads, ..before }
            }
            (Operation::Add, before) => Member {
                standing: Standing::Invited,
                waiting: true,
                once_full: before.as_ref().is_some_and(|before| before.once_full),
                past: match before {
                    Some(Member { standing: Standing::Removed, reads, .. }) => reads,
                    Some(before) => before.past,
                    None => Span::EMPTY,
                },
                ..fresh
            },
            // It was a leaf all along, as far as it knows: it reads on from where it stands.
            (Operation::Readd, before) => {
                let before = before.unwrap_or(fresh);
                let reads = Span { until: None, ..before.reads };
                Member { standing: Standing::Full, once_full: true, waiting: false, reads, ..before }
            }
            (Operation::Relist, Some(before)) if before.standing == Standing::Declined => before,
            (Operation::Relist, before) => {
                let before = before.unwrap_or(fresh);
                // Its Welcome, if it has not opened it, waits on.
                let standing = if before.waiting { Standing::Invited } else { Standing::Full };
                Member { standing, reads: Span { until: None, ..before.reads }, ..before }
            }
        };
        if after.follows() {
            announcement.joined.push(change.device);
        }
        self.place(room, after);
    }

    fn keep_welcomes(
        &mut self,
        publication: &Publication,
        seq: Seq,
        inviter: AccountId,
        announcement: &mut Announcement,
    ) {
        let room = publication.envelope.room;
        for invitation in &publication.welcomes {
            let welcome = NewWelcome {
                seq,
                inviter,
                welcome: invitation.welcome.clone(),
                log_after: publication.envelope.commit_seq,
            };
            self.changes.welcomes.insert((room, invitation.device), Some(welcome));
            announcement.invited.push(invitation.device);
        }
    }

    fn place(&mut self, room: RoomId, member: Member) {
        self.state.members.insert((room, member.device), member.clone());
        self.changes.members.insert((room, member.device), member);
    }
}
