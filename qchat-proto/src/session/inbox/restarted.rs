//! A restart in the log: the room goes on with another group, which this device has made, or has to get into.

use super::{Result, Step};
use crate::{
    ids::Seq,
    mls::membership::Leaf,
    session::{
        announce,
        error::SessionError,
        groups, head, joining,
        ledger::{GroupUpdate, Invitee, Ledger, Notice, Phase, Renewal, RowState, Want},
        list::roster,
        restart::{self, Statement},
        resync, shared_key,
    },
    wire::frame::{Envelope, Operation},
};

impl<L: Ledger> Step<'_, L> {
    /// Follows an admin's word that the room goes on with another group. Nobody has to take a server's or another
    /// member's word for it, whether it follows the group so far or not.
    pub(super) fn restart(&mut self, envelope: &Envelope, bytes: &[u8]) -> Result<(), L> {
        let room = self.state.room;
        // Sealed in another epoch than this one is: a daemon that is honest has refused it, and what some have gone past
        // must not end the group for others.
        // Who has missed a part of the log does not know which commit that is.
        let missed = self.before.head == head::UNKNOWN && envelope.commit_seq >= self.before.commit_seq;
        if envelope.commit_seq != self.before.commit_seq && !missed {
            restart::forget(self.ledger, room)?;
            return self.unfounded(envelope, "its restart is not of this place in the room");
        }
        let own = restart::own(self.ledger, room)?;
        if let Some(row) = &own
            && let RowState::Sealed(sealed) | RowState::Accepted(sealed) = &row.state
            && sealed.envelope == bytes
        {
            if self.state.head == head::UNKNOWN {
                // From here on the head is known again, as to everybody whom this restart brings along.
                self.state.head = head::next(&head::EMPTY, room, self.seq, bytes);
            }
            return self.adopt(envelope);
        }
        let group = self.load()?;
        let settings = group.settings()?;
        let said = Statement::decode(&envelope.payload);
        let named = said.as_ref().map_or(Seq(0), |said| said.vouched.head_seq);
        let known = match self.head_at(named)? {
            Some(head::UNKNOWN) => said.map(|said| said.vouched.head),
            known => known,
        };
        let generation = self.before.generation.max(group.generation());
        let judged = restart::judge((&group, generation), &settings, envelope, self.seq, known);
        groups::keep(self.ledger, room, group)?;
        let (admin, generation) = match judged {
            Ok((admin, vouched)) => (admin, vouched.head_seq),
            Err(reason) => return self.unfounded(envelope, reason),
        };
        // Sealed for an epoch that is over, it is in the log before this or never.
        restart::forget(self.ledger, room)?;
        self.state.generation = generation;
        self.state.epoch = 0;
        if envelope.sender == self.device.id() {
            let known = self.ledger.own(room, envelope.message_id).map_err(SessionError::Ledger)?;
            if known != Some(head::logged_hash(bytes)) {
                self.notice(&Notice::Clone)?;
            }
            return self.stuck("the room was restarted with this device's keys, by what it has no more");
        }
        if !restart::names(envelope, self.device.id()) {
            return self.left_behind(admin);
        }
        self.notice(&Notice::Restarted(admin.account))?;
        self.away();
        self.wish_again()?;
        resync::answered(self.ledger, envelope, self.now)
    }

    /// A restart that nobody takes. Who cannot follow is shown nothing of it, as of anything else.
    fn unfounded(&mut self, envelope: &Envelope, reason: &str) -> Result<(), L> {
        if matches!(self.state.phase, Phase::Stuck(_)) {
            return Ok(());
        }
        self.reject(envelope, reason)
    }

    /// The restart takes this device along no more than a Remove would.
    fn left_behind(&mut self, admin: Leaf) -> Result<(), L> {
        let room = self.state.room;
        let asked = matches!(self.state.phase, Phase::Leaving(_));
        self.state.phase = if asked { Phase::Left(self.seq) } else { Phase::Removed(self.seq) };
        self.ledger.outbox_fail_all(room).map_err(SessionError::Ledger)?;
        self.ledger.forget_group(room).map_err(SessionError::Ledger)?;
        let accounts = vec![self.device.account()];
        self.notice(&if asked {
            Notice::Left { accounts }
        } else {
            Notice::Removed { by: admin.account, accounts }
        })
    }

    /// This device's own restart stands in the log: the group that it has prepared is the room's.
    fn adopt(&mut self, envelope: &Envelope) -> Result<(), L> {
        let room = self.state.room;
        let prepared = self.ledger.prepared(room).map_err(SessionError::Ledger)?;
        let prepared = prepared.ok_or(SessionError::NotJoined)?;
        let before = self.load()?;
        let (old, mut asked) = (before.leaves(), before.leaving());
        asked.extend(self.ledger.lapsed(room).map_err(SessionError::Ledger)?);
        let group = self.device.load(room, &prepared, &[])?;
        let new = group.leaves();
        let update = GroupUpdate { state: prepared.state, tree: Some(prepared.tree) };
        restart::forget(self.ledger, room)?;
        self.state.phase = Phase::Member;
        self.state.generation = group.generation();
        self.state.epoch = group.epoch();
        self.state.accepted = 0;
        let added = |operation| {
            let of = envelope.delta.iter().filter(move |change| change.operation == operation);
            of.map(|change| change.device)
        };
        let invited = added(Operation::Add).map(|device| Invitee { device, since: self.now });
        let invited: Vec<_> = invited.collect();
        let devices = |leaves: &[Leaf]| leaves.iter().map(|leaf| leaf.device).collect::<Vec<_>>();
        let (seq, now) = (self.seq, self.now);
        (|| {
            self.ledger.put_group(room, &update)?;
            self.ledger.forget_counters(room, &devices(&old))?;
            for device in devices(&new) {
                self.ledger.put_added_at(room, device, seq)?;
                if device != self.device.id() {
                    self.ledger.put_counter(room, device, 0)?;
                }
            }
            self.ledger.forget_heads_below(room, seq)?;
            self.ledger.put_roster(room, &roster(&new))?;
            self.ledger.put_lapsed(room, &[])?;
            self.ledger.put_invitees(room, &invited)?;
            self.ledger.put_asked(room, &[])?;
            self.ledger.forget_request(room)?;
            self.ledger.put_renewal(room, Renewal { at: now, accepted: 0 })
        })()
        .map_err(SessionError::Ledger)?;
        shared_key::forget_all(self.ledger, room)?;
        joining::unseal(self.ledger, room, true)?;
        self.notice(&Notice::Restarted(self.device.account()))?;
        announce::changes(self.ledger, (room, seq), self.device.account(), (&old, &new), &asked)
    }

    /// From here on this device needs a Welcome to follow.
    pub(super) fn away(&mut self) {
        self.state.phase = Phase::Stuck(self.seq);
    }

    /// Who had asked to leave asks again once it is back: the request was sealed for a group that it cannot follow.
    pub(super) fn wish_again(&mut self) -> Result<(), L> {
        if !matches!(self.before.phase, Phase::Leaving(_)) {
            return Ok(());
        }
        let row = crate::session::ledger::OutboxRow {
            message_id: crate::ids::MessageId::random(self.device.entropy())?,
            want: Want::Leave,
            state: RowState::Waiting,
        };
        self.ledger.outbox_push_front(self.state.room, &row).map_err(SessionError::Ledger)
    }
}
