//! Writing: rows wait as plaintext until they are sealed to be sent at once, a change alone, texts several together, and
//! nothing overtakes them. docs/PROTOCOL.md, "The outbox".

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::{
    content::{self, Content, Role, SettingsChange},
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    mls::{
        anchor::Anchor,
        device::Device,
        fault::MlsFault,
        group::{Group, Plan},
        membership::Leaf,
        psk::PskId,
    },
    session::{
        authenticated::Authenticated,
        error::SessionError,
        groups, head,
        ledger::{Asked, Change, Ledger, ListedDevice, OutboxRow, Phase, RoomState, RowState, Sealed, Want},
        list::{delta, listed, roster},
        restart, resync, shared_key,
    },
    wire::{
        frame::{Envelope, Invitation, Kind, MembershipChange, delta_hash},
        tree::TreeHash,
    },
};

type Result<T, L> = std::result::Result<T, SessionError<<L as Ledger>::Error>>;

/// Most texts that are under way together.
pub const BURST: usize = 16;
/// Bytes of sealed texts after which no more are sealed to go with them.
const BURST_BYTES: usize = 256 * 1024;

/// Something to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// Which row it is.
    pub message_id: MessageId,
    /// The sealed row.
    pub sealed: Sealed,
    /// The text before it that is under way too, which the daemon must have first.
    pub after: Option<MessageId>,
}

/// Puts something to say at the end of a room's outbox and draws its message id.
///
/// # Errors
/// [`SessionError::NotJoined`] or [`SessionError::NotWriting`] when this device can never send it.
pub fn enqueue<L: Ledger>(ledger: &mut L, device: &Device, room: RoomId, want: Want) -> Result<MessageId, L> {
    let state = joined(ledger, room)?;
    if state.phase != Phase::Member {
        return Err(SessionError::NotWriting(state.phase));
    }
    let message_id = MessageId::random(device.entropy())?;
    let row = OutboxRow { message_id, want, state: RowState::Waiting };
    ledger.outbox_push_back(room, &row).map_err(SessionError::Ledger)?;
    Ok(message_id)
}

fn joined<L: Ledger>(ledger: &mut L, room: RoomId) -> Result<RoomState, L> {
    ledger.room(room).map_err(SessionError::Ledger)?.ok_or(SessionError::NotJoined)
}

/// The first of what [`burst`] gives, when it may be no more than one.
///
/// # Errors
/// As [`burst`].
pub fn next<L: Ledger>(
    ledger: &mut L,
    device: &Device,
    room: RoomId,
    now: u64,
) -> Result<Option<Outgoing>, L> {
    Ok(burst(ledger, device, room, now, 1)?.into_iter().next())
}

/// What is to be sent now, in this order: the first row, sealed if it was not yet, and where that is a text those that
/// follow it, `most` in all; the same bytes again while one of them is unanswered. Nothing else is sealed before all are
/// answered. Empty when nothing may be sent. Everything that was sealed is stored when the caller commits, and must not be
/// sent before. `now`: seconds since the Unix epoch.
///
/// # Errors
/// [`SessionError::Unsealable`] for a change that the room's rules refuse, until [`give_up`] takes it out.
pub fn burst<L: Ledger>(
    ledger: &mut L,
    device: &Device,
    room: RoomId,
    now: u64,
    most: usize,
) -> Result<Vec<Outgoing>, L> {
    let state = joined(ledger, room)?;
    if state.phase != Phase::Member {
        let outgoing = match restart::own(ledger, room)? {
            Some(row) if matches!(state.phase, Phase::Stuck(_)) => {
                restart::next(ledger, device, &state, row, now)
            }
            _ => resync::next(ledger, device, &state, now),
        };
        return Ok(outgoing?.into_iter().collect());
    }
    // Only its Sealed form costs the MLS state nothing, so look before loading the group.
    let first = ledger.outbox_first(room).map_err(SessionError::Ledger)?;
    match first.as_ref().map(|row| &row.state) {
        Some(RowState::Sealed(_)) => return under_way(ledger, room, most),
        Some(RowState::Accepted(_)) => return Ok(vec![]),
        Some(RowState::Stale(until)) if state.commit_seq < *until => return Ok(vec![]),
        _ => {}
    }
    let lapsed = ledger.lapsed(room).map_err(SessionError::Ledger)?;
    let group = groups::load(ledger, device, room)?;
    let leaves = group.leaves();
    let mut sealing = Sealing { state, group, leaves, device, lapsed, now, before: 0 };
    let mut touched = false;
    loop {
        let Some(row) = sealing.due(ledger)? else {
            if !touched {
                groups::keep(ledger, room, sealing.group)?;
            }
            return Ok(vec![]);
        };
        touched = true;
        if let Want::Application(content) = &row.want
            && sealing.is_silenced(content)?
        {
            ledger.outbox_fail(room, row.message_id).map_err(SessionError::Ledger)?;
            continue;
        }
        let sealed = sealing.seal(ledger, &row).map_err(|error| match (error, &row.want) {
            (
                SessionError::Mls(source),
                Want::Commit(
                    Change::Add(_) | Change::RemoveAccount(_) | Change::Settings(_) | Change::Withdraw,
                ),
            ) => SessionError::Unsealable { message_id: row.message_id, source },
            (error, _) => error,
        })?;
        if let Some((sealed, tree)) = sealed {
            let set = RowState::Sealed(sealed.clone());
            ledger.outbox_set(room, row.message_id, &set).map_err(SessionError::Ledger)?;
            if let Some(tree) = tree {
                ledger.outbox_put_tree(room, row.message_id, &tree).map_err(SessionError::Ledger)?;
            }
            let mut outgoing = vec![Outgoing { message_id: row.message_id, sealed, after: None }];
            if matches!(row.want, Want::Application(_)) {
                sealing.follow(ledger, most, &mut outgoing)?;
            }
            groups::store(ledger, room, sealing.group)?;
            return Ok(outgoing);
        }
        // What it asked for is so already.
        ledger.outbox_remove(room, row.message_id).map_err(SessionError::Ledger)?;
    }
}

/// The sealed rows at the front, each with the one before it.
fn under_way<L: Ledger>(ledger: &mut L, room: RoomId, most: usize) -> Result<Vec<Outgoing>, L> {
    let mut outgoing: Vec<Outgoing> = vec![];
    for row in ledger.outbox_rows(room, most).map_err(SessionError::Ledger)? {
        let RowState::Sealed(sealed) = row.state else { break };
        let after = outgoing.last().map(|before| before.message_id);
        outgoing.push(Outgoing { message_id: row.message_id, sealed, after });
    }
    Ok(outgoing)
}

/// Takes out a change that was [`SessionError::Unsealable`], in a transaction of its own. What is sealed stays: it may
/// stand in the log.
///
/// # Errors
/// [`SessionError`] when the ledger fails.
pub fn give_up<L: Ledger>(ledger: &mut L, room: RoomId, message_id: MessageId) -> Result<(), L> {
    match ledger.outbox_row(room, message_id).map_err(SessionError::Ledger)? {
        Some(OutboxRow {
            want: Want::Commit(change), state: RowState::Waiting | RowState::Stale(_), ..
        }) => {
            if matches!(change, Change::Restart(_)) {
                ledger.forget_prepared(room).map_err(SessionError::Ledger)?;
            }
            ledger.outbox_remove(room, message_id).map_err(SessionError::Ledger)
        }
        _ => Ok(()),
    }
}

/// One pass of sealing, with the group loaded.
struct Sealing<'a> {
    state: RoomState,
    group: Group,
    /// Its leaves: reading them takes longer than anything else here in a large room.
    leaves: Vec<Leaf>,
    device: &'a Device,
    lapsed: Vec<DeviceId>,
    now: u64,
    /// How many texts were sealed to go before the next one.
    before: u64,
}

impl Sealing<'_> {
    /// Seals the texts that wait behind the one that was sealed first, as long as nothing has to go before them.
    fn follow<L: Ledger>(
        &mut self,
        ledger: &mut L,
        most: usize,
        outgoing: &mut Vec<Outgoing>,
    ) -> Result<(), L> {
        let room = self.state.room;
        if most <= outgoing.len() {
            return Ok(());
        }
        let mut bytes: usize = outgoing.iter().map(|first| first.sealed.envelope.len()).sum();
        for row in ledger.outbox_rows(room, most).map_err(SessionError::Ledger)?.into_iter().skip(1) {
            self.before += 1;
            let Want::Application(content) = &row.want else { break };
            let free = match row.state {
                RowState::Waiting => true,
                RowState::Stale(until) => until <= self.state.commit_seq,
                RowState::Sealed(_) | RowState::Accepted(_) => false,
            };
            if !free || self.is_silenced(content)? || bytes >= BURST_BYTES || self.renewal_due(ledger)? {
                break;
            }
            let Some((sealed, None)) = self.seal(ledger, &row)? else { break };
            bytes += sealed.envelope.len();
            let set = RowState::Sealed(sealed.clone());
            ledger.outbox_set(room, row.message_id, &set).map_err(SessionError::Ledger)?;
            let after = outgoing.last().map(|before| before.message_id);
            outgoing.push(Outgoing { message_id: row.message_id, sealed, after });
        }
        Ok(())
    }

    /// Whether the room's settings let this account say that no more.
    fn is_silenced(&self, content: &Bytes) -> std::result::Result<bool, MlsFault> {
        let said = Content::decode(content).map(|content| content.body);
        Ok(self.group.settings()?.silences(self.device.account(), said.as_ref().ok()))
    }

    /// The row whose turn it is: a duty that this device owes the room comes before its own wishes.
    fn due<L: Ledger>(&self, ledger: &mut L) -> Result<Option<OutboxRow>, L> {
        let room = self.state.room;
        let first = first_free(ledger, room)?;
        if first.as_ref().is_some_and(|row| matches!(row.want, Want::Commit(_))) {
            return Ok(first);
        }
        // What waits behind proposals of others: text, and this device's own SelfRemove that was refused in this epoch.
        let blocked = !self.group.leaving().is_empty()
            && (self.group.has_proposed_leave()
                || ledger.outbox_has_application(room).map_err(SessionError::Ledger)?);
        let change = if blocked || self.owes(ledger)? {
            Change::Duties
        } else if matches!(&first, Some(OutboxRow { want: Want::Application(_), .. }))
            && (self.device.new_key_for(&self.group).is_some() || self.renewal_due(ledger)?)
        {
            Change::Update
        } else {
            return Ok(first);
        };
        let row = OutboxRow {
            message_id: MessageId::random(self.device.entropy())?,
            want: Want::Commit(change),
            state: RowState::Waiting,
        };
        ledger.outbox_push_front(room, &row).map_err(SessionError::Ledger)?;
        Ok(Some(row))
    }

    /// Whether this device has used its keys for long enough: what leaked of them must not open everything that follows.
    fn renewal_due<L: Ledger>(&self, ledger: &mut L) -> Result<bool, L> {
        let renewal = ledger.renewal(self.state.room).map_err(SessionError::Ledger)?;
        let devices = self.leaves.len() as u64;
        Ok(renewal.is_some_and(|renewal| {
            renewal.is_due(
                self.now,
                self.state.accepted + self.before,
                devices,
                self.device.jitter(),
                self.device.key_life(),
            )
        }))
    }

    /// Whether a SelfRemove was passed over, a device of the own account was revoked, the daemon's list is not the group's
    /// roster, a device asked to be added again, or every device holds the key that this one has offered.
    fn owes<L: Ledger>(&self, ledger: &mut L) -> Result<bool, L> {
        Ok(!self.left(ledger)?.is_empty()
            || !self.revoked(ledger)?.is_empty()
            || listed(ledger, self.state.room)? != roster(&self.leaves)
            || self.readd(ledger)?.is_some()
            || self.shared_key(ledger)?.is_some())
    }

    /// A key from elsewhere that is to be mixed in. An admin that is none any more may not.
    fn shared_key<L: Ledger>(&self, ledger: &mut L) -> Result<Option<PskId>, L> {
        let room = self.state.room;
        match shared_key::due(ledger, room, &self.leaves, self.device.id())? {
            Some(id) if self.group.settings()?.admins.contains(&self.device.account()) => Ok(Some(id)),
            _ => Ok(None),
        }
    }

    /// A device that asked to be added again and can be: one for each commit.
    fn readd<L: Ledger>(&self, ledger: &mut L) -> Result<Option<(ListedDevice, Asked)>, L> {
        let asked = ledger.asked(self.state.room).map_err(SessionError::Ledger)?;
        let banned = self.group.settings()?.banned;
        for asked in asked {
            let Some(leaf) = self.leaves.iter().find(|leaf| leaf.device == asked.device) else { continue };
            // Who wants to leave is not held back.
            let leaves = self.lapsed.contains(&leaf.device) || self.group.leaving().contains(&leaf.device);
            // It was verified when it was read, and may have expired since.
            let good = !leaves
                && !banned.contains(&leaf.account)
                && self.device.inspect_key_package(&asked.key_package, self.now).is_ok();
            if good && !excluded(ledger, leaf.account, leaf.device, leaf.certified_at)? {
                return Ok(Some(((*leaf).into(), asked)));
            }
        }
        Ok(None)
    }

    /// The leaves of this account's other devices that the account has revoked: no text is sealed for them.
    fn revoked<L: Ledger>(&self, ledger: &mut L) -> Result<Vec<DeviceId>, L> {
        let (account, device) = (self.device.account(), self.device.id());
        let Some(list) = ledger.device_list(account).map_err(SessionError::Ledger)? else {
            return Ok(vec![]);
        };
        let others = self.leaves.iter().filter(|leaf| leaf.account == account && leaf.device != device);
        Ok(others
            .filter(|leaf| list.excludes(leaf.device, leaf.certified_at))
            .map(|leaf| leaf.device)
            .collect())
    }

    /// The leaves whose SelfRemove was passed over and that this device has heard itself. A joiner knows of a SelfRemove
    /// before its time by the daemon's word alone: it follows who removes that leaf, but does not do it.
    fn left<L: Ledger>(&self, ledger: &mut L) -> Result<Vec<DeviceId>, L> {
        let mut left = vec![];
        for leaf in self.leaves.iter().filter(|leaf| self.lapsed.contains(&leaf.device)) {
            let heard = ledger.counter(self.state.room, leaf.device).map_err(SessionError::Ledger)?;
            left.extend(heard.map(|_| leaf.device));
        }
        Ok(left)
    }

    /// The leaves whose invitation is overdue by this device's own clock and ears, and that it may remove.
    fn overdue<L: Ledger>(&self, ledger: &mut L, leaves: &[Leaf]) -> Result<Vec<DeviceId>, L> {
        let invitees = ledger.invitees(self.state.room).map_err(SessionError::Ledger)?;
        let own = self.device.account();
        let settings = self.group.settings()?;
        let may = |of| of == own || settings.may_remove(own, of);
        let overdue = invitees
            .iter()
            .filter(|invitee| invitee.is_overdue(self.now))
            .filter(|invitee| leaves.iter().any(|leaf| leaf.device == invitee.device && may(leaf.account)));
        Ok(overdue.map(|invitee| invitee.device).collect())
    }

    /// The sealed row, with the ratchet tree for those that it adds; `None` when there is nothing to say any more.
    fn seal<L: Ledger>(
        &mut self,
        ledger: &mut L,
        row: &OutboxRow,
    ) -> Result<Option<(Sealed, Option<Bytes>)>, L> {
        match &row.want {
            Want::Application(content) => {
                let content = &shared_key::still_true(ledger, self.state.room, self.device.id(), content)?;
                let aad = self.authenticated(row.message_id, Kind::Application, &[]).encode();
                let payload = self.group.seal(&content::pad(content), aad)?;
                Ok(Some((self.sealed(row.message_id, Kind::Application, payload, vec![]), None)))
            }
            Want::Leave => {
                if self.group.has_proposed_leave() {
                    self.group.abandon_own_proposal();
                }
                let aad = self.authenticated(row.message_id, Kind::Proposal, &[]).encode();
                let payload = self.group.propose_leave(aad)?;
                Ok(Some((self.sealed(row.message_id, Kind::Proposal, payload, vec![]), None)))
            }
            Want::Commit(change) => self.seal_commit(ledger, row.message_id, change),
        }
    }

    fn seal_commit<L: Ledger>(
        &mut self,
        ledger: &mut L,
        message_id: MessageId,
        change: &Change,
    ) -> Result<Option<(Sealed, Option<Bytes>)>, L> {
        self.group.abandon_commit();
        let leaves = self.leaves.clone();
        let listed = listed(ledger, self.state.room)?;
        let mut added: Vec<ListedDevice> = vec![];
        // Who need not say yes.
        let mut full: Vec<ListedDevice> = vec![];
        let mut plan = Plan { key: self.device.new_key_for(&self.group), ..Plan::default() };
        match change {
            Change::Add(key_packages) => {
                for (new, key_package) in self.additions(ledger, key_packages)? {
                    added.push(new);
                    if new.account == self.device.account() {
                        full.push(new);
                    }
                    plan.add.push(key_package);
                }
                if plan.add.is_empty() {
                    return Ok(None);
                }
            }
            Change::LetIn { link, account, key_packages } => {
                let now = self.group.settings()?;
                let good = now.link(*link).is_some_and(|link| link.lets_in(*account, self.now).is_ok());
                let there = leaves.iter().any(|leaf| leaf.account == *account);
                let changed = now.with(&SettingsChange::LetIn(*link, *account));
                // Only an admin can count.
                let may = changed == now || now.role(self.device.account()) <= Role::Admin;
                if !good || there || !may || now.banned.contains(account) {
                    return Ok(None);
                }
                for (new, key_package) in self.additions(ledger, key_packages)? {
                    if new.account == *account {
                        added.push(new);
                        plan.add.push(key_package);
                    }
                }
                if plan.add.is_empty() {
                    return Ok(None);
                }
                plan.settings = (changed != now).then_some(changed);
            }
            Change::RemoveAccount(account) => {
                let own = self.device.id();
                plan.remove = leaves
                    .iter()
                    .filter(|leaf| leaf.account == *account && leaf.device != own)
                    .map(|leaf| leaf.device)
                    .collect();
                if plan.remove.is_empty() {
                    return Ok(None);
                }
                // Who is removed is nothing any more: whoever lets them in again lets in a member.
                let now = self.group.settings()?;
                if now.role(self.device.account()) == Role::Owner && !now.direct {
                    let without = now.with(&SettingsChange::Role(*account, Role::Member));
                    plan.settings = (without != now && !without.owners.is_empty()).then_some(without);
                }
            }
            Change::Withdraw => {
                plan.remove = self.overdue(ledger, &leaves)?;
                if plan.remove.is_empty() {
                    return Ok(None);
                }
            }
            Change::Settings(change) => {
                let now = self.group.settings()?;
                let changed = now.with(change);
                if let SettingsChange::Ban(account) = change {
                    let banned = leaves.iter().filter(|leaf| leaf.account == *account);
                    plan.remove = banned.map(|leaf| leaf.device).collect();
                }
                if changed == now && plan.remove.is_empty() {
                    return Ok(None);
                }
                plan.settings = (changed != now).then_some(changed);
            }
            Change::Update => {}
            // This device follows again.
            Change::Restart(_) => return Ok(None),
            Change::Duties => {
                let settled = self.group.leaving().is_empty() && !self.owes(ledger)?;
                if settled {
                    return Ok(None);
                }
                if let Some((device, asked)) = self.readd(ledger)? {
                    plan.remove.push(device.device);
                    plan.add.push(asked.key_package);
                    added.push(device);
                    full.push(device);
                } else {
                    // Whoever is added has no key: the next commit mixes it in, if all hold it then.
                    plan.psks.extend(self.shared_key(ledger)?);
                }
            }
        }
        plan.remove.extend(self.left(ledger)?);
        plan.remove.extend(self.revoked(ledger)?);
        plan.remove.sort_unstable();
        plan.remove.dedup();

        let mut gone: BTreeSet<DeviceId> = plan.remove.iter().copied().collect();
        gone.extend(self.group.leaving());
        let delta = delta(&leaves, &listed, &gone, &added, &full);
        let aad = self.authenticated(message_id, Kind::Commit, &delta);
        let anchor = Anchor {
            head_seq: self.state.cursor,
            head: self.state.head,
            message_id,
            leaving: self.lapsed.iter().copied().filter(|device| !gone.contains(device)).collect(),
        };
        let output = self.group.commit(&plan, &anchor, aad.encode(), self.now)?;
        if output.welcomes.len() != added.len() {
            return Err(MlsFault::Library.into());
        }
        let mut sealed = self.sealed(message_id, Kind::Commit, output.message, delta);
        sealed.welcomes = added
            .iter()
            .zip(output.welcomes)
            .map(|(added, welcome)| Invitation { device: added.device, welcome })
            .collect();
        let tree = (!sealed.welcomes.is_empty()).then_some(output.ratchet_tree);
        sealed.tree = tree.as_deref().map(TreeHash::of);
        Ok(Some((sealed, tree)))
    }

    /// The devices that these KeyPackages are of, and can be added by them.
    fn additions<L: Ledger>(
        &self,
        ledger: &mut L,
        key_packages: &[Bytes],
    ) -> Result<Vec<(ListedDevice, Bytes)>, L> {
        let mut added: Vec<(ListedDevice, Bytes)> = vec![];
        for key_package in key_packages {
            let Ok(theirs) = self.device.inspect_key_package(key_package, self.now) else {
                // It has expired while it waited; whoever asked for it sees that nobody was added.
                continue;
            };
            let known = self.leaves.iter().any(|leaf| leaf.device == theirs.device)
                || added.iter().any(|(added, _)| added.device == theirs.device);
            // It may have been revoked while this waited.
            if known || excluded(ledger, theirs.account, theirs.device, theirs.certified_at)? {
                continue;
            }
            added
                .push((ListedDevice { account: theirs.account, device: theirs.device }, key_package.clone()));
        }
        Ok(added)
    }

    fn authenticated(&self, message_id: MessageId, kind: Kind, delta: &[MembershipChange]) -> Authenticated {
        Authenticated {
            room: self.state.room,
            message_id,
            sender: self.device.id(),
            kind,
            commit_seq: self.state.commit_seq,
            counter: self.state.accepted + self.before + 1,
            head_seq: self.state.cursor,
            head: self.state.head,
            delta_hash: delta_hash(delta),
        }
    }

    fn sealed(
        &self,
        message_id: MessageId,
        kind: Kind,
        payload: Bytes,
        delta: Vec<MembershipChange>,
    ) -> Sealed {
        let envelope = Envelope {
            room: self.state.room,
            message_id,
            sender: self.device.id(),
            kind,
            commit_seq: self.state.commit_seq,
            payload,
            delta,
        };
        Sealed {
            envelope: envelope.encode(),
            commit_seq: self.state.commit_seq,
            welcomes: vec![],
            tree: None,
        }
    }
}

/// Whether an account's own list, as far as it is known, says that a device is none of its devices any more.
pub(super) fn excluded<L: Ledger>(
    ledger: &mut L,
    account: AccountId,
    device: DeviceId,
    certified_at: u64,
) -> Result<bool, L> {
    let list = ledger.device_list(account).map_err(SessionError::Ledger)?;
    Ok(list.is_some_and(|list| list.excludes(device, certified_at)))
}

/// The first row that may be sealed now, brought to the front: nothing sealed may stand behind what is not.
fn first_free<L: Ledger>(ledger: &mut L, room: RoomId) -> Result<Option<OutboxRow>, L> {
    let free = ledger.outbox_first_free(room).map_err(SessionError::Ledger)?;
    let first = ledger.outbox_first(room).map_err(SessionError::Ledger)?;
    if let Some(row) = &free
        && first.is_none_or(|first| first.message_id != row.message_id)
    {
        ledger.outbox_remove(room, row.message_id).map_err(SessionError::Ledger)?;
        ledger.outbox_push_front(room, row).map_err(SessionError::Ledger)?;
    }
    Ok(free)
}

/// The daemon has the row's envelope at `seq`. A commit takes effect only when the inbox gets there.
///
/// # Errors
/// [`SessionError`] when the ledger fails.
pub fn accepted<L: Ledger>(ledger: &mut L, room: RoomId, message_id: MessageId, seq: Seq) -> Result<(), L> {
    if resync::logged(ledger, room, message_id)? {
        return Ok(());
    }
    let row = ledger.outbox_row(room, message_id).map_err(SessionError::Ledger)?;
    let Some(OutboxRow { want, state: RowState::Sealed(sealed), .. }) = row else { return Ok(()) };
    let sent = Envelope::decode(sealed.envelope.clone()).map_err(|_| SessionError::Server)?;
    let added_at = ledger.added_at(room, sent.sender).map_err(SessionError::Ledger)?;
    match want {
        // Sealed before this device was added again, it stands where it will never read: for the others its counter began
        // anew.
        Want::Application(_) | Want::Commit(_)
            if added_at.is_some_and(|added| seq < added && sent.commit_seq < added) =>
        {
            let epoch = joined(ledger, room)?.epoch;
            ledger.outbox_remove(room, message_id).map_err(SessionError::Ledger)?;
            if sent.kind == Kind::Application {
                ledger.settle_message(room, message_id, seq, epoch).map_err(SessionError::Ledger)?;
            }
            Ok(())
        }
        Want::Commit(_) => {
            ledger.outbox_set(room, message_id, &RowState::Accepted(sealed)).map_err(SessionError::Ledger)
        }
        Want::Application(_) | Want::Leave => {
            let mut state = joined(ledger, room)?;
            // The row goes, the inbox has not been there yet: it will know the envelope by its hash.
            ledger
                .put_own(room, message_id, &head::logged_hash(&sealed.envelope))
                .map_err(SessionError::Ledger)?;
            finish(ledger, &mut state, message_id)?;
            if want == Want::Leave {
                leave(ledger, &mut state, seq)?;
            }
            ledger.put_room(&state).map_err(SessionError::Ledger)
        }
    }
}

/// The SelfRemove of this device is in the log: it says nothing more here.
pub(crate) fn leave<L: Ledger>(ledger: &mut L, state: &mut RoomState, seq: Seq) -> Result<(), L> {
    if state.phase == Phase::Member {
        state.phase = Phase::Leaving(seq);
        ledger.outbox_fail_all(state.room).map_err(SessionError::Ledger)?;
    }
    Ok(())
}

/// Takes a row out that stands in the log, and counts it.
pub(crate) fn finish<L: Ledger>(
    ledger: &mut L,
    state: &mut RoomState,
    message_id: MessageId,
) -> Result<(), L> {
    state.accepted += 1;
    ledger.outbox_remove(state.room, message_id).map_err(SessionError::Ledger)
}

/// The daemon refused the sealing of `commit_seq` as stale: the row is sealed again once the room's commit has been
/// processed. A refusal of another sealing than the one in force says nothing.
///
/// # Errors
/// [`SessionError`] when the ledger fails.
pub fn refused_as_stale<L: Ledger>(
    ledger: &mut L,
    room: RoomId,
    message_id: MessageId,
    commit_seq: Seq,
    room_commit_seq: Seq,
) -> Result<(), L> {
    let row = ledger.outbox_row(room, message_id).map_err(SessionError::Ledger)?;
    let Some(OutboxRow { want, state: RowState::Sealed(sealed), .. }) = row else { return Ok(()) };
    if sealed.commit_seq != commit_seq {
        return Ok(());
    }
    if matches!(want, Want::Commit(Change::Restart(_))) {
        ledger.forget_prepared(room).map_err(SessionError::Ledger)?;
    }
    let known = ledger.room(room).map_err(SessionError::Ledger)?;
    if let Some(state) = known
        && state.head == head::UNKNOWN
        && (state.commit_seq.next()..=state.cursor).contains(&room_commit_seq)
    {
        // That commit is among what this device has missed.
        ledger.put_room(&RoomState { commit_seq: room_commit_seq, ..state }).map_err(SessionError::Ledger)?;
    }
    ledger.outbox_set(room, message_id, &RowState::Stale(room_commit_seq)).map_err(SessionError::Ledger)?;
    unseal_after(ledger, room, message_id, room_commit_seq)
}

/// A row was refused: what was sealed to follow it is sealed anew, with the places that it has then, once the commit at
/// `until` has been processed. The daemon takes none of it, for it is told what each has to follow.
///
/// # Errors
/// [`SessionError`] when the ledger fails.
pub fn unseal_after<L: Ledger>(
    ledger: &mut L,
    room: RoomId,
    message_id: MessageId,
    until: Seq,
) -> Result<(), L> {
    let rows = ledger.outbox_rows(room, BURST).map_err(SessionError::Ledger)?;
    for row in rows.into_iter().skip_while(|row| row.message_id != message_id).skip(1) {
        if !matches!(row.state, RowState::Sealed(_)) {
            break;
        }
        ledger.outbox_set(room, row.message_id, &RowState::Stale(until)).map_err(SessionError::Ledger)?;
    }
    Ok(())
}
