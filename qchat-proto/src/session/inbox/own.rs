//! Envelopes of this device in the log, and what one that cannot follow still learns from it.

use super::{Before, Result, Step, readds};
use crate::{
    ids::DeviceId,
    mls::{fault::OpenFault, group::Opened},
    session::{
        error::SessionError,
        head,
        ledger::{Ledger, Notice, OutboxRow, Renewal, RowState, Want},
        outbox::{finish, leave},
        restart,
    },
    wire::frame::{Envelope, Kind},
};

impl<L: Ledger> Step<'_, L> {
    /// Whether an envelope that names this device as its sender is what it has sealed, by its row or, when that is gone,
    /// by its hash.
    fn is_ours(&mut self, row: Option<&OutboxRow>, envelope: &Envelope, bytes: &[u8]) -> Result<bool, L> {
        Ok(match row.map(|row| &row.state) {
            Some(RowState::Sealed(sealed) | RowState::Accepted(sealed)) => sealed.envelope == bytes,
            // A refused sealing that stands in the log all the same: the refusal was a lie.
            Some(RowState::Waiting | RowState::Stale(_)) => false,
            None => {
                let known = self.ledger.own(self.state.room, envelope.message_id);
                known.map_err(SessionError::Ledger)? == Some(head::logged_hash(bytes))
            }
        })
    }

    /// Who asked to leave while this device could not follow: a restart does not bring it along.
    fn asks_to_leave(&mut self, sender: DeviceId) -> Result<(), L> {
        let room = self.state.room;
        let mut lapsed = self.ledger.lapsed(room).map_err(SessionError::Ledger)?;
        if !lapsed.contains(&sender) {
            lapsed.push(sender);
            self.ledger.put_lapsed(room, &lapsed).map_err(SessionError::Ledger)?;
        }
        Ok(())
    }

    /// What a stuck device still learns from the log: which of its own envelopes stand in it, and that it was added
    /// again. By then its request is answered: should the Welcome not open, the next one is made because of this.
    pub(super) fn not_followed(&mut self, envelope: &Envelope, bytes: &[u8]) -> Result<(), L> {
        if readds(envelope, self.device.id()) {
            self.away();
            // What it had sealed for the epoch before is in the log by now, or never.
            restart::forget(self.ledger, self.state.room)?;
        }
        if envelope.kind == Kind::Proposal {
            self.asks_to_leave(envelope.sender)?;
        }
        if envelope.sender != self.device.id() {
            return Ok(());
        }
        let (room, id) = (self.state.room, envelope.message_id);
        let row = self.ledger.outbox_row(room, id).map_err(SessionError::Ledger)?;
        if !self.is_ours(row.as_ref(), envelope, bytes)? {
            return Ok(());
        }
        self.ledger.outbox_remove(room, id).map_err(SessionError::Ledger)?;
        self.ledger.forget_own(room, id).map_err(SessionError::Ledger)?;
        if envelope.kind == Kind::Application {
            let epoch = self.state.epoch;
            self.ledger.settle_message(room, id, self.seq, epoch).map_err(SessionError::Ledger)?;
        }
        Ok(())
    }

    /// An envelope that names this device as its sender.
    pub(super) fn own(&mut self, envelope: &Envelope, bytes: &[u8]) -> Result<(), L> {
        let (room, id) = (self.state.room, envelope.message_id);
        let row = self.ledger.outbox_row(room, id).map_err(SessionError::Ledger)?;
        if !self.is_ours(row.as_ref(), envelope, bytes)? {
            return self.not_ours(envelope);
        }
        let commit = row.as_ref().is_some_and(|row| matches!(row.want, Want::Commit(_)));
        if row.is_some() {
            finish(self.ledger, &mut self.state, id)?;
        }
        self.ledger.forget_own(room, id).map_err(SessionError::Ledger)?;
        match envelope.kind {
            Kind::Application => {
                if envelope.commit_seq != self.before.commit_seq {
                    let reason = "the server ordered it too late for the others to open it".to_owned();
                    self.notice(&Notice::Rejected { sender: envelope.sender, reason })?;
                }
                let epoch = self.state.epoch;
                self.ledger.settle_message(room, id, self.seq, epoch).map_err(SessionError::Ledger)
            }
            Kind::Proposal => leave(self.ledger, &mut self.state, self.seq),
            Kind::Commit if commit => {
                let mut group = self.load()?;
                let before = Before::of(&group, envelope)?;
                match group.open(&envelope.payload) {
                    Ok(Opened::Commit { committer, added, removed, psks, .. }) => {
                        let renewal = Renewal { at: self.now, accepted: self.state.accepted };
                        self.ledger.put_renewal(room, renewal).map_err(SessionError::Ledger)?;
                        self.commit(group, before, committer, (&added, &psks), (removed, false))
                    }
                    // Ordered behind a commit that it did not know: nobody follows it.
                    Err(OpenFault::PastEpoch) => self.reject(envelope, "the server ordered it too late"),
                    // The others follow it, this device cannot.
                    Ok(_) | Err(_) => self.stuck("its own commit is not the one it made"),
                }
            }
            Kind::Commit | Kind::Resync | Kind::Restart => Ok(()),
        }
    }

    /// An envelope that names this device and is not what it sent. The daemon could write the name; this device's leaf
    /// in the sender data only a member can, and a copy of this device above all. What follows must be what follows
    /// for the others, who may be able to open it.
    fn not_ours(&mut self, envelope: &Envelope) -> Result<(), L> {
        let (room, id) = (self.state.room, envelope.message_id);
        let known = self.ledger.has_message(room, envelope.sender, id).map_err(SessionError::Ledger)?;
        match self.load()?.open(&envelope.payload) {
            Err(OpenFault::FromSelf) if !known => {
                self.notice(&Notice::Clone)?;
                self.stuck("an envelope was sealed with this device's keys, which never sent it")
            }
            Err(OpenFault::FutureEpoch) => self.stuck(&OpenFault::FutureEpoch.to_string()),
            _ => self.reject(envelope, "it names this device as its sender, which did not send it"),
        }
    }
}
