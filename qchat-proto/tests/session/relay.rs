//! The daemon's transaction, in memory: the order, the idempotency, the list, the refusals of docs/PROTOCOL.md.

use std::collections::HashMap;

use bytes::Bytes;
use qchat_proto::{
    ids::{DeviceId, MessageId, RoomId, Seq},
    session::ledger::Sealed,
    wire::frame::{Envelope, Invitation, Kind, Logged, Operation},
};

use crate::ledger::trees;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Full,
    Invited,
}

#[derive(Clone, Debug)]
pub(crate) struct Welcomed {
    pub(crate) seq: Seq,
    pub(crate) invitation: Invitation,
    pub(crate) ratchet_tree: Bytes,
    /// Whether its device is to say yes to it.
    waiting: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Accepted(Seq),
    Stale(Seq),
    NotMember,
    OutOfOrder,
}

#[derive(Clone)]
pub(crate) struct Relay {
    pub(crate) room: RoomId,
    pub(crate) log: Vec<Bytes>,
    pub(crate) commit_seq: Seq,
    pub(crate) status: HashMap<DeviceId, Status>,
    pub(crate) cut: HashMap<DeviceId, Seq>,
    pub(crate) welcomes: HashMap<DeviceId, Welcomed>,
    ids: HashMap<(DeviceId, MessageId), Seq>,
}

impl Relay {
    pub(crate) fn new(room: RoomId, creator: DeviceId) -> Self {
        Self {
            room,
            log: vec![],
            commit_seq: Seq(0),
            status: [(creator, Status::Full)].into(),
            cut: HashMap::new(),
            welcomes: HashMap::new(),
            ids: HashMap::new(),
        }
    }

    pub(crate) fn publish(&mut self, sealed: &Sealed) -> Answer {
        self.publish_after(sealed, None)
    }

    /// The same, where the sender's message before has to be in the log.
    pub(crate) fn publish_after(&mut self, sealed: &Sealed, after: Option<MessageId>) -> Answer {
        let envelope = Envelope::decode(sealed.envelope.clone()).expect("clients send well-formed envelopes");
        assert_eq!(envelope.room, self.room);
        if let Some(&seq) = self.ids.get(&(envelope.sender, envelope.message_id)) {
            return Answer::Accepted(seq);
        }
        let resync = envelope.kind == Kind::Resync;
        let removed = self.cut.contains_key(&envelope.sender);
        if self.status.get(&envelope.sender) != Some(&Status::Full) && !(resync && removed) {
            return Answer::NotMember;
        }
        if after.is_some_and(|before| !self.ids.contains_key(&(envelope.sender, before))) {
            return Answer::OutOfOrder;
        }
        if !resync && envelope.commit_seq != self.commit_seq {
            return Answer::Stale(self.commit_seq);
        }
        let seq = self.append(sealed.envelope.clone());
        self.ids.insert((envelope.sender, envelope.message_id), seq);
        if envelope.kind.ends_epoch() {
            self.commit_seq = seq;
            for change in &envelope.delta {
                match change.operation {
                    Operation::Remove => {
                        self.status.remove(&change.device);
                        self.cut.insert(change.device, seq);
                    }
                    Operation::Add => {
                        self.status.insert(change.device, Status::Invited);
                        self.cut.remove(&change.device);
                    }
                    Operation::Readd => {
                        self.status.insert(change.device, Status::Full);
                    }
                    Operation::Relist => {
                        let waits = self.welcomes.get(&change.device).is_some_and(|welcome| welcome.waiting);
                        let status = if waits { Status::Invited } else { Status::Full };
                        self.status.insert(change.device, status);
                    }
                }
            }
            for invitation in &sealed.welcomes {
                let welcomed = Welcomed {
                    seq,
                    invitation: invitation.clone(),
                    ratchet_tree: trees::put(sealed.tree.expect("it goes with Welcomes")),
                    waiting: self.status.get(&invitation.device) == Some(&Status::Invited),
                };
                self.welcomes.insert(invitation.device, welcomed);
            }
        }
        Answer::Accepted(seq)
    }

    /// Appends bytes unchecked: what a hostile daemon may do.
    pub(crate) fn append(&mut self, bytes: Bytes) -> Seq {
        self.log.push(bytes);
        Seq(self.log.len() as u64)
    }

    /// The device has joined; repeating it is harmless.
    pub(crate) fn join(&mut self, device: DeviceId) {
        if self.status.get(&device) == Some(&Status::Invited) {
            self.welcomes.remove(&device);
            self.status.insert(device, Status::Full);
        }
    }

    /// Whether a Welcome waits for a device that is listed.
    pub(crate) fn invites(&self, device: DeviceId) -> bool {
        self.status.contains_key(&device) && self.welcomes.contains_key(&device)
    }

    pub(crate) fn readable(&self, device: DeviceId, seq: Seq) -> bool {
        self.status.contains_key(&device) || self.cut.get(&device).is_some_and(|&cut| seq <= cut)
    }

    pub(crate) fn at(&self, seq: Seq) -> Option<Logged> {
        let index = usize::try_from(seq.0.checked_sub(1)?).ok()?;
        Some(Logged { seq, bytes: self.log.get(index)?.clone() })
    }

    pub(crate) fn span(&self, after: Seq, until: Seq) -> Vec<Logged> {
        (after.0 + 1..=until.0).filter_map(|seq| self.at(Seq(seq))).collect()
    }
}
