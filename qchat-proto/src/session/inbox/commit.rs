//! A commit in effect: who came, who went, and what this device remembers of each.

use std::collections::BTreeSet;

use super::{Before, Result, Step};
use crate::{
    ids::{AccountId, DeviceId},
    mls::{fault::MlsFault, group::Group, membership::Leaf, psk::PskId},
    session::{
        announce,
        error::SessionError,
        ledger::{Invitee, Ledger, ListedDevice, Notice, Phase},
        list::roster,
        outbox, shared_key,
    },
};

impl<L: Ledger> Step<'_, L> {
    /// The group has moved to the next epoch.
    pub(super) fn commit(
        &mut self,
        group: Group,
        before: Option<Before>,
        committer: Leaf,
        (added, psks): (&[ListedDevice], &[PskId]),
        (removed, readded): (bool, bool),
    ) -> Result<(), L> {
        let room = self.state.room;
        // Only an envelope that says it is a commit gets here.
        let Before { leaves: old, settings: old_settings, leaving: waiting } =
            before.ok_or(MlsFault::Library)?;
        self.ledger.forget_heads_below(room, self.seq).map_err(SessionError::Ledger)?;
        if removed && readded && self.state.phase == Phase::Member {
            // Its leaf is another now, and the Welcome for that lies at the daemon. The group before is kept: by it
            // this device judges who may restart the room.
            return self.stuck("a member has added this device again");
        }
        if removed {
            // Another device of this account has taken it out: the account leaves, or has revoked it.
            let own = committer.account == self.device.account();
            let asked = own || matches!(self.state.phase, Phase::Leaving(_));
            self.state.phase = if asked { Phase::Left(self.seq) } else { Phase::Removed(self.seq) };
            self.ledger.outbox_fail_all(room).map_err(SessionError::Ledger)?;
            self.ledger.forget_group(room).map_err(SessionError::Ledger)?;
            let accounts = vec![self.device.account()];
            return self.notice(&if asked {
                Notice::Left { accounts }
            } else {
                Notice::Removed { by: committer.account, accounts }
            });
        }
        let new = group.leaves();
        let gone: Vec<DeviceId> = difference(&old, &new);

        let mut lapsed = self.ledger.lapsed(room).map_err(SessionError::Ledger)?;
        let asked = self.asked_to_leave(&waiting, &lapsed)?;
        lapsed.extend(waiting);
        if matches!(self.state.phase, Phase::Leaving(left) if left < self.seq) {
            // The others may remove this device now, and it has to follow that commit too.
            lapsed.push(self.device.id());
        }
        lapsed.retain(|device| new.iter().any(|leaf| leaf.device == *device));
        lapsed.sort_unstable();
        lapsed.dedup();
        self.ledger.put_lapsed(room, &lapsed).map_err(SessionError::Ledger)?;
        self.ledger.forget_counters(room, &gone).map_err(SessionError::Ledger)?;
        for added in added.iter().filter(|added| added.device != self.device.id()) {
            // Seen from its beginning: its first envelope is its first.
            self.ledger.put_counter(room, added.device, 0).map_err(SessionError::Ledger)?;
            self.ledger.put_added_at(room, added.device, self.seq).map_err(SessionError::Ledger)?;
            if old.iter().any(|leaf| leaf.device == added.device) {
                self.notice(&Notice::Readded(added.device))?;
            }
        }
        self.answered(&new, added)?;
        self.ledger.put_roster(room, &roster(&new)).map_err(SessionError::Ledger)?;
        self.invite(&old, &new, committer.account, added)?;
        self.revoked(&new, committer.account, added)?;

        let settings = group.settings()?;
        self.ledger.put_settings(room, &settings).map_err(SessionError::Ledger)?;
        announce::changes(self.ledger, (room, self.seq), committer.account, (&old, &new), &asked)?;
        if settings != old_settings {
            self.notice(&Notice::Settings(committer.account))?;
        }
        if !added.is_empty() {
            shared_key::added(self.ledger, room, self.device.id(), added)?;
        }
        for &id in psks {
            shared_key::mixed(self.ledger, room, id, group.epoch())?;
            self.notice(&Notice::KeyMixed { by: committer.account, kind: id.kind, epoch: group.epoch() })?;
        }
        self.state.epoch = group.epoch();
        self.store(group)
    }

    /// Forgets the requests that a commit has answered, whoever made it, and those of devices that are gone.
    fn answered(&mut self, new: &[Leaf], added: &[ListedDevice]) -> Result<(), L> {
        let room = self.state.room;
        let before = self.ledger.asked(room).map_err(SessionError::Ledger)?;
        let mut asked = before.clone();
        asked.retain(|asked| {
            new.iter().any(|leaf| leaf.device == asked.device)
                && !added.iter().any(|added| added.device == asked.device)
        });
        if asked == before {
            return Ok(());
        }
        self.ledger.put_asked(room, &asked).map_err(SessionError::Ledger)
    }

    /// Says of each device that was added whether its own account has revoked it, as far as this device knows. What one
    /// member knows of an account another may not: so the commit is good for all alike.
    fn revoked(&mut self, new: &[Leaf], by: AccountId, added: &[ListedDevice]) -> Result<(), L> {
        for leaf in new.iter().filter(|leaf| added.iter().any(|added| added.device == leaf.device)) {
            if outbox::excluded(self.ledger, leaf.account, leaf.device, leaf.certified_at)? {
                self.notice(&Notice::RevokedAdded { by, account: leaf.account })?;
            }
        }
        Ok(())
    }

    /// Dates the invitations that a commit made, and forgets those whose device is gone. Who was added again had said
    /// yes before, and the other devices of an account are in the room when one of them lets them in.
    fn invite(&mut self, old: &[Leaf], new: &[Leaf], by: AccountId, added: &[ListedDevice]) -> Result<(), L> {
        let room = self.state.room;
        let before = self.ledger.invitees(room).map_err(SessionError::Ledger)?;
        let mut invitees = before.clone();
        invitees.retain(|invitee| {
            new.iter().any(|leaf| leaf.device == invitee.device)
                && !added.iter().any(|added| added.device == invitee.device)
        });
        let own = self.device.id();
        let devices = added
            .iter()
            .filter(|added| added.account != by)
            .map(|added| added.device)
            .filter(|device| *device != own && !old.iter().any(|leaf| leaf.device == *device));
        invitees.extend(devices.map(|device| Invitee { device, since: self.now }));
        if invitees == before {
            return Ok(());
        }
        self.ledger.put_invitees(room, &invitees).map_err(SessionError::Ledger)
    }

    /// The devices that have asked to leave in this device's own hearing: by a SelfRemove that waits, or by one that was
    /// passed over. Of what was passed over before it joined, a member knows by the word of another alone.
    fn asked_to_leave(&mut self, waiting: &[DeviceId], lapsed: &[DeviceId]) -> Result<Vec<DeviceId>, L> {
        let mut asked = waiting.to_vec();
        for device in lapsed {
            let heard = self.ledger.counter(self.state.room, *device).map_err(SessionError::Ledger)?;
            asked.extend(heard.map(|_| *device));
        }
        Ok(asked)
    }
}

fn difference(old: &[Leaf], new: &[Leaf]) -> Vec<DeviceId> {
    let new: BTreeSet<_> = new.iter().map(|leaf| leaf.device).collect();
    old.iter().map(|leaf| leaf.device).filter(|device| !new.contains(device)).collect()
}
