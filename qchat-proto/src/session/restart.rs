//! How a room goes on that nobody can follow any more: an admin makes another group of its members and says so, outside
//! MLS, with the key that signs for its leaves. docs/PROTOCOL.md, "Restart".

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{
    authenticated::{self, Authenticated},
    error::SessionError,
    groups,
    ledger::{
        Change, GroupBlob, Head, Ledger, ListedDevice, OutboxRow, Phase, RoomState, RowState, Sealed, Want,
    },
    list::listed,
    outbox::Outgoing,
};
use crate::{
    content::{Role, RoomSettings},
    crypto::sign::{self, Level, SignatureUse},
    ids::{DeviceId, MessageId, RoomId, Seq},
    mls::{anchor::Anchor, device::Device, fault::MlsFault, group::Group, membership::Leaf},
    wire::{
        frame::{Envelope, Invitation, Kind, MembershipChange, Operation, delta_hash},
        limits,
        tree::TreeHash,
    },
};

type Result<T, L> = std::result::Result<T, SessionError<<L as Ledger>::Error>>;

const VERSION: u8 = 1;
/// Size of a device's signature, bytes.
const SIGNATURE: usize = sign::Device::SIGNATURE;
/// Most devices that a restart brings along: as many changes as a delta takes, half of them left for who stays behind.
pub const MOST: usize = limits::DELTA / 2;

/// The payload of an envelope of kind restart.
///
/// | bytes | content |
/// |---|---|
/// | 1 | version: 1 |
/// | 170 | [authenticated data](super::authenticated), its counter 1: every counter begins anew |
/// | 3373 | signature over version and authenticated data, by the device key (use `restart`) |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    /// What its sender vouches for; `head_seq` is the generation of the group that the room goes on with.
    pub vouched: Authenticated,
    /// By the device key.
    pub signature: [u8; SIGNATURE],
}

impl Statement {
    /// Encodes it.
    pub fn encode(&self) -> Bytes {
        [&signed(&self.vouched)[..], &self.signature].concat().into()
    }

    /// Decodes it; `None` when it has another version or size.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let (version, rest) = payload.split_first()?;
        let (vouched, signature) = rest.split_first_chunk::<{ authenticated::SIZE }>()?;
        (*version == VERSION).then_some(())?;
        Some(Self { vouched: Authenticated::decode(vouched)?, signature: signature.try_into().ok()? })
    }
}

fn signed(vouched: &Authenticated) -> Vec<u8> {
    [&[VERSION][..], &vouched.encode()].concat()
}

/// Wants a restart of a room that this device cannot follow, with the devices whose KeyPackages are given, at most
/// [`MOST`] of them. Which of them come along is decided when it is sealed: who is in the group as far as this device
/// has followed, stands on the daemon's list and has not asked to leave. Whoever calls this has asked a person: it ends
/// the group for those who may still follow.
///
/// # Errors
/// [`SessionError::NotWriting`] for a device that follows, is out, is not on the daemon's list, or had asked to leave; [`SessionError::NotOwner`] for one of an account
/// that is no owner; [`SessionError::Restarting`] when it does so already, or has just been let into a restarted room.
pub fn want<L: Ledger>(
    ledger: &mut L,
    device: &Device,
    room: RoomId,
    key_packages: Vec<Bytes>,
) -> Result<MessageId, L> {
    let state = ledger.room(room).map_err(SessionError::Ledger)?.ok_or(SessionError::NotJoined)?;
    if !matches!(state.phase, Phase::Stuck(_)) {
        return Err(SessionError::NotWriting(state.phase));
    }
    let group = groups::load(ledger, device, room)?;
    let owner = group.settings()?.role(device.account()) == Role::Owner;
    groups::keep(ledger, room, group)?;
    if !owner {
        return Err(SessionError::NotOwner);
    }
    if listed(ledger, room)?.iter().all(|listed| listed.device != device.id()) {
        // The daemon would refuse it.
        return Err(SessionError::NotWriting(state.phase));
    }
    let first = ledger.outbox_first(room).map_err(SessionError::Ledger)?;
    match first.map(|row| row.want) {
        Some(Want::Commit(Change::Restart(_))) => return Err(SessionError::Restarting),
        // Who is on the way out has nothing to go on with, and may be out for the others already.
        Some(Want::Leave) => return Err(SessionError::NotWriting(state.phase)),
        _ => {}
    }
    let row = OutboxRow {
        message_id: MessageId::random(device.entropy())?,
        want: Want::Commit(Change::Restart(key_packages)),
        state: RowState::Waiting,
    };
    ledger.outbox_push_front(room, &row).map_err(SessionError::Ledger)?;
    Ok(row.message_id)
}

/// This device's own restart that waits, is under way, or stands in the log beyond the cursor.
pub(super) fn own<L: Ledger>(ledger: &mut L, room: RoomId) -> Result<Option<OutboxRow>, L> {
    let first = ledger.outbox_first(room).map_err(SessionError::Ledger)?;
    Ok(first.filter(|row| matches!(row.want, Want::Commit(Change::Restart(_)))))
}

/// Whether this device's own restart may be in the log behind the commit at `seq`, and end what that has begun.
pub(super) fn may_follow<L: Ledger>(ledger: &mut L, room: RoomId, seq: Seq) -> Result<bool, L> {
    let own = own(ledger, room)?;
    Ok(own.is_some_and(|row| match row.state {
        RowState::Sealed(sealed) | RowState::Accepted(sealed) => seq <= sealed.commit_seq,
        RowState::Waiting | RowState::Stale(_) => false,
    }))
}

/// Gives this device's own restart up: another has ended the epoch that it was for, or it has taken effect.
pub(super) fn forget<L: Ledger>(ledger: &mut L, room: RoomId) -> Result<(), L> {
    if let Some(row) = own(ledger, room)? {
        ledger.outbox_remove(room, row.message_id).map_err(SessionError::Ledger)?;
    }
    ledger.forget_prepared(room).map_err(SessionError::Ledger)
}

/// Gives this device's own restart up if it was made for a place that comes after `seq`: there is none, and an honest
/// daemon's log would have it elsewhere.
pub(super) fn forget_after<L: Ledger>(ledger: &mut L, room: RoomId, seq: Seq) -> Result<(), L> {
    let beyond = match own(ledger, room)?.map(|row| row.state) {
        Some(RowState::Sealed(sealed) | RowState::Accepted(sealed)) => {
            let named = Envelope::decode(sealed.envelope).ok();
            let said = named.and_then(|envelope| Statement::decode(&envelope.payload));
            said.is_none_or(|said| said.vouched.head_seq > seq)
        }
        Some(RowState::Stale(until)) => until > seq,
        Some(RowState::Waiting) | None => false,
    };
    if beyond { forget(ledger, room) } else { Ok(()) }
}

/// What a device has to send that restarts the room: its word, sealed if it was not yet. `now`: seconds since the Unix
/// epoch.
pub(super) fn next<L: Ledger>(
    ledger: &mut L,
    device: &Device,
    state: &RoomState,
    row: OutboxRow,
    now: u64,
) -> Result<Option<Outgoing>, L> {
    let OutboxRow { message_id, want: Want::Commit(Change::Restart(key_packages)), state: row } = row else {
        return Ok(None);
    };
    match row {
        RowState::Sealed(sealed) => Ok(Some(Outgoing { message_id, sealed, after: None })),
        RowState::Accepted(_) => Ok(None),
        RowState::Stale(until) if state.commit_seq < until => Ok(None),
        RowState::Waiting | RowState::Stale(_) => {
            let sealing = seal(ledger, device, state, message_id, &key_packages, now);
            let (sealed, tree) = sealing.map_err(|error| match error {
                SessionError::Mls(source) => SessionError::Unsealable { message_id, source },
                error => error,
            })?;
            let set = RowState::Sealed(sealed.clone());
            ledger.outbox_set(state.room, message_id, &set).map_err(SessionError::Ledger)?;
            if let Some(tree) = tree {
                ledger.outbox_put_tree(state.room, message_id, &tree).map_err(SessionError::Ledger)?;
            }
            Ok(Some(Outgoing { message_id, sealed, after: None }))
        }
    }
}

fn seal<L: Ledger>(
    ledger: &mut L,
    device: &Device,
    state: &RoomState,
    message_id: MessageId,
    key_packages: &[Bytes],
    now: u64,
) -> Result<(Sealed, Option<Bytes>), L> {
    let room = state.room;
    let old = groups::load(ledger, device, room)?;
    // The others know this device by the key of its leaf there, and look for it in the group that it makes.
    let device = &device.under(old.own_key().map_or(&[], |key| key));
    let settings = old.settings()?;
    let members = staying(ledger, &old)?;
    groups::keep(ledger, room, old)?;
    let invitees = ledger.invitees(room).map_err(SessionError::Ledger)?;
    let mut plan: Vec<(ListedDevice, Bytes)> = vec![];
    for key_package in key_packages.iter().take(MOST) {
        // It may have expired while it waited.
        let Ok(theirs) = device.inspect_key_package(key_package, now) else { continue };
        let theirs = ListedDevice { account: theirs.account, device: theirs.device };
        if theirs.device != device.id()
            && members.contains(&theirs)
            && plan.iter().all(|(of, _)| *of != theirs)
        {
            plan.push((theirs, key_package.clone()));
        }
    }
    let invited = |device: DeviceId| invitees.iter().any(|invitee| invitee.device == device);
    let anchor = Anchor { head_seq: state.cursor, head: state.head, message_id, leaving: vec![] };
    let create = |plan: &[(ListedDevice, Bytes)]| {
        let add = plan.iter().map(|(_, key_package)| key_package.clone()).collect();
        device.create_again(room, &settings, add, &anchor, now)
    };
    let mut made = create(&plan);
    if made.is_err() {
        // Each is good, but not beside the others: two with one key, say. Whoever brings that about stays behind.
        let mut together: Vec<(ListedDevice, Bytes)> = vec![];
        for one in plan {
            together.push(one);
            if create(&together).is_err() {
                together.pop();
            }
        }
        plan = together;
        made = create(&plan);
    }
    let (mut group, output) = made?;
    let delta = delta(device, &listed(ledger, room)?, &plan, invited);
    let vouched = Authenticated {
        room,
        message_id,
        sender: device.id(),
        kind: Kind::Restart,
        commit_seq: state.commit_seq,
        counter: 1,
        head_seq: state.cursor,
        head: state.head,
        delta_hash: delta_hash(&delta),
    };
    if output.welcomes.len() != plan.len() {
        return Err(MlsFault::Library.into());
    }
    let update = group.snapshot()?;
    let prepared = GroupBlob { state: update.state, tree: update.tree.unwrap_or_default() };
    ledger.put_prepared(room, &prepared).map_err(SessionError::Ledger)?;
    let signature = device.sign(SignatureUse::Restart, &signed(&vouched))?;
    let signature = signature.try_into().map_err(|_| MlsFault::Library)?;
    let envelope = Envelope {
        room,
        message_id,
        sender: device.id(),
        kind: Kind::Restart,
        commit_seq: state.commit_seq,
        payload: Statement { vouched, signature }.encode(),
        delta,
    };
    let tree = (!output.welcomes.is_empty()).then_some(output.ratchet_tree);
    let sealed = Sealed {
        envelope: envelope.encode(),
        commit_seq: state.commit_seq,
        welcomes: plan
            .into_iter()
            .zip(output.welcomes)
            .map(|((listed, _), welcome)| Invitation { device: listed.device, welcome })
            .collect(),
        tree: tree.as_deref().map(TreeHash::of),
    };
    Ok((sealed, tree))
}

/// The members whom a restart may bring along. Whom the daemon's list has lost was removed after this device lost track,
/// or struck off: bringing somebody back who was removed would be worse than having to invite somebody again.
fn staying<L: Ledger>(ledger: &mut L, old: &Group) -> Result<BTreeSet<ListedDevice>, L> {
    let listed: BTreeSet<_> = listed(ledger, old.room())?.into_iter().collect();
    let lapsed = ledger.lapsed(old.room()).map_err(SessionError::Ledger)?;
    let leaving = old.leaving();
    let stays = |device: &DeviceId| !lapsed.contains(device) && !leaving.contains(device);
    let leaves = old.leaves().into_iter().filter(|leaf| stays(&leaf.device)).map(ListedDevice::from);
    Ok(leaves.filter(|leaf| listed.contains(leaf)).collect())
}

/// Leads the daemon's list to the new group's roster, as far as a delta goes: whoever follows carries on from there.
fn delta(
    device: &Device,
    listed: &[ListedDevice],
    plan: &[(ListedDevice, Bytes)],
    invited: impl Fn(DeviceId) -> bool,
) -> Vec<MembershipChange> {
    let change =
        |operation, of: &ListedDevice| MembershipChange { operation, account: of.account, device: of.device };
    // Who has not said yes has still to say it.
    let back = plan
        .iter()
        .map(|(of, _)| change(if invited(of.device) { Operation::Add } else { Operation::Readd }, of));
    let gone = listed
        .iter()
        .filter(|of| of.device != device.id() && plan.iter().all(|(stays, _)| stays != *of))
        .map(|of| change(Operation::Remove, of));
    back.chain(gone).take(limits::DELTA).collect()
}

/// Whether an envelope at `seq` is an owner's word that the room goes on with another group. `generation`: that of the
/// last group that this device knows of. `head`: this device's own
/// head at the place that the statement names.
///
/// # Errors
/// Why not, in words that fit a notice.
pub(super) fn judge(
    (group, generation): (&Group, Seq),
    settings: &RoomSettings,
    envelope: &Envelope,
    seq: Seq,
    head: Option<Head>,
) -> std::result::Result<(Leaf, Authenticated), &'static str> {
    let (leaf, key) =
        group.device_key(envelope.sender).ok_or("it was restarted by somebody who is no member")?;
    if settings.role(leaf.account) != Role::Owner {
        return Err("it was restarted by somebody who is no owner");
    }
    let statement = Statement::decode(&envelope.payload).ok_or("its restart is malformed")?;
    let Statement { vouched, signature } = statement;
    if !vouched.fits(envelope, seq) || vouched.head_seq <= generation {
        return Err("its restart is not of this place in the room");
    }
    if key.verify(SignatureUse::Restart, &signed(&vouched), &signature).is_err() {
        return Err("its restart is not signed by the device it names");
    }
    if head != Some(vouched.head) {
        return Err("its sender saw a different history of this room");
    }
    Ok((leaf, vouched))
}

/// Whether a restart takes this device along.
pub(super) fn names(envelope: &Envelope, device: DeviceId) -> bool {
    envelope.delta.iter().any(|change| {
        change.device == device && matches!(change.operation, Operation::Add | Operation::Readd)
    })
}
