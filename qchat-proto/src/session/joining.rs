//! How a room begins for a device: by creating it or by joining through a Welcome.

use bytes::Bytes;

use crate::{
    content::{Role, RoomSettings},
    ids::{RoomId, Seq},
    mls::{anchor::Anchor, device::Device, fault::OpenFault, group::Group, membership::Leaf},
    session::{
        announce,
        error::SessionError,
        groups, head,
        ledger::{Head, Ledger, ListedDevice, Notice, Phase, Renewal, RoomState, RowState},
        outbox::BURST,
        restart, shared_key,
    },
    wire::frame::{Envelope, Kind, Logged, Operation},
};

/// Creates a room with this device as its only member.
///
/// # Errors
/// [`SessionError`] when the group cannot be made or stored.
pub fn create<L: Ledger>(
    ledger: &mut L,
    device: &Device,
    room: RoomId,
    settings: &RoomSettings,
    now: u64,
) -> Result<(), SessionError<L::Error>> {
    if ledger.room(room).map_err(SessionError::Ledger)?.is_some() {
        return Err(SessionError::Joined);
    }
    let group = device.create(room, settings, now)?;
    let own = ListedDevice { account: device.account(), device: device.id() };
    let state = RoomState {
        room,
        phase: Phase::Member,
        cursor: Seq(0),
        head: head::EMPTY,
        commit_seq: Seq(0),
        accepted: 0,
        generation: group.generation(),
        epoch: group.epoch(),
    };
    (|| {
        ledger.put_room(&state)?;
        ledger.put_head(room, Seq(0), &head::EMPTY)?;
        ledger.put_settings(room, settings)?;
        ledger.put_listed(room, &[own])?;
        ledger.put_roster(room, &[own])?;
        ledger.put_renewal(room, Renewal { at: now, accepted: 0 })
    })()
    .map_err(SessionError::Ledger)?;
    groups::store(ledger, room, group)
}

/// An invitation with all that a join needs. Holds private keys.
#[derive(Clone)]
pub struct Invited {
    /// The room.
    pub room: RoomId,
    /// Where the daemon says the commit stands that added this device.
    pub seq: Seq,
    /// The Welcome.
    pub welcome: Bytes,
    /// The ratchet tree.
    pub ratchet_tree: Bytes,
    /// Whether a person has accepted it. Unasked, a device goes on with a group only by the hand of who was in the one
    /// that it could not follow.
    pub accepted: bool,
    /// The KeyPackage that the Welcome is for: its reference and its secrets.
    pub key_package: (Vec<u8>, zeroize::Zeroizing<Vec<u8>>),
}

impl std::fmt::Debug for Invited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invited").field("room", &self.room).field("seq", &self.seq).finish_non_exhaustive()
    }
}

/// Where a join needs the log from: the envelopes after `after`, up to and including `until`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Exclusive.
    pub after: Seq,
    /// Inclusive.
    pub until: Seq,
}

/// Reads from a Welcome which part of the log the join needs, without storing anything.
///
/// # Errors
/// [`SessionError::UnknownAccounts`] or [`SessionError::Welcome`].
pub fn needed_log<E: std::error::Error>(device: &Device, invited: &Invited) -> Result<Span, SessionError<E>> {
    let joined = open(device, invited)?;
    if joined.anchor.head_seq >= invited.seq {
        return Err(SessionError::Anchor);
    }
    Ok(Span { after: joined.anchor.head_seq, until: invited.seq })
}

fn open<E: std::error::Error>(
    device: &Device,
    invited: &Invited,
) -> Result<crate::mls::device::Joined, SessionError<E>> {
    let (id, secret) = &invited.key_package;
    device.join(invited.room, &invited.welcome, &invited.ratchet_tree, id, secret).map_err(
        |fault| match fault {
            OpenFault::UnknownAccounts(accounts) => SessionError::UnknownAccounts(accounts),
            fault => SessionError::Welcome(fault),
        },
    )
}

/// Joins. `log` is what [`needed_log`] asked for. Returns who invited this device.
///
/// # Errors
/// [`SessionError::Anchor`] when the log is not the one that the inviter signed; [`SessionError::Joined`] when this
/// device is in the room, or the Welcome is older than what it knows of the room: using one again would bring back
/// keys that were used; [`SessionError::NotOwner`] for one into another group of the room than this device followed, by
/// somebody who is no owner; [`SessionError::Stranger`] from somebody who was not in the group that it could not follow
/// (neither once a person has accepted it); [`SessionError::Restarting`]
/// while its own word for that may be in the log.
pub fn join<L: Ledger>(
    ledger: &mut L,
    device: &Device,
    invited: &Invited,
    log: &[Logged],
) -> Result<Leaf, SessionError<L::Error>> {
    let joined = open(device, invited)?;
    let Anchor { head_seq, head, message_id, leaving } = joined.anchor;
    let group = joined.group;
    let room = invited.room;

    let mut stuck = None;
    if let Some(known) = ledger.room(room).map_err(SessionError::Ledger)? {
        let newer = (group.generation(), group.epoch()) > (known.generation, known.epoch);
        let newer = newer
            && match known.phase {
                Phase::Removed(at) | Phase::Left(at) => invited.seq > at,
                // What it cannot follow may be the commit that has added it again.
                Phase::Stuck(at) => invited.seq >= at,
                Phase::Member | Phase::Leaving(_) => false,
            };
        if !newer {
            return Err(SessionError::Joined);
        }
        if matches!(known.phase, Phase::Stuck(_)) {
            stuck = Some((before(ledger, device, &known, &group, invited, &joined.inviter)?, known));
        }
    }

    let mut state = RoomState {
        room,
        phase: Phase::Member,
        cursor: head_seq,
        head,
        commit_seq: invited.seq,
        accepted: 0,
        generation: group.generation(),
        epoch: group.epoch(),
    };
    // SelfRemoves that the inviter had not seen when it committed lapsed with that commit. What a proposal says is
    // sealed in an epoch that a joiner cannot open; that it is one, and whose, stands on its envelope.
    let mut lapsed = leaving;
    let mut commit = None;
    for logged in log {
        if logged.seq != state.cursor.next() {
            return Err(SessionError::Anchor);
        }
        let envelope = Envelope::decode(logged.bytes.clone()).map_err(|_| SessionError::Server)?;
        state.head = head::next(&state.head, room, logged.seq, &logged.bytes);
        state.cursor = logged.seq;
        if envelope.kind == Kind::Proposal {
            lapsed.push(envelope.sender);
        }
        commit = Some(envelope);
    }
    let added = commit.filter(|envelope| {
        envelope.kind.ends_epoch()
            && envelope.room == room
            && envelope.message_id == message_id
            && envelope.sender == joined.inviter.device
            && envelope.delta.iter().any(|change| {
                change.device == device.id() && matches!(change.operation, Operation::Add | Operation::Readd)
            })
    });
    if added.is_none() || state.cursor != invited.seq {
        return Err(SessionError::Anchor);
    }

    if state.head == head::UNKNOWN {
        // Who restarted the room had missed a part of its log: the head begins anew.
        state.head = restarted(log, room);
    }
    let leaves = group.leaves();
    let settings = group.settings()?;
    if let Some(((old, before), known)) = &stuck {
        goes_on(ledger, known, &state)?;
        announce::changes(ledger, (room, invited.seq), joined.inviter.account, (old, &leaves), &[])?;
        if *before != settings {
            let changed = Notice::Settings(joined.inviter.account);
            ledger.put_notice(room, invited.seq, &changed).map_err(SessionError::Ledger)?;
        }
    }
    lapsed.sort_unstable();
    lapsed.dedup();
    lapsed.retain(|device| leaves.iter().any(|leaf| leaf.device == *device));
    let roster: Vec<ListedDevice> = leaves.iter().copied().map(ListedDevice::from).collect();
    let members: Vec<_> = leaves.iter().map(|leaf| leaf.device).collect();
    (|| {
        // From an earlier time in the room nothing holds any more.
        ledger.forget_counters(room, &members)?;
        ledger.forget_heads_below(room, state.cursor)?;
        ledger.put_room(&state)?;
        ledger.put_head(room, state.cursor, &state.head)?;
        ledger.put_settings(room, &settings)?;
        ledger.put_listed(room, &roster)?;
        ledger.put_roster(room, &roster)?;
        ledger.put_lapsed(room, &lapsed)?;
        // Who of them has answered an invitation is not known: nobody here is withdrawn by this device.
        ledger.put_invitees(room, &[])?;
        // Nor whether a request to be added again is from before: all are, as far as this device can tell.
        members.iter().try_for_each(|member| ledger.put_added_at(room, *member, invited.seq))?;
        ledger.put_asked(room, &[])?;
        ledger.forget_request(room)?;
        if stuck.is_some() {
            ledger.put_notice(room, invited.seq, &Notice::Readded(device.id()))?;
        }
        Ok(())
    })()
    .map_err(SessionError::Ledger)?;
    shared_key::forget_all(ledger, room)?;
    groups::store(ledger, room, group)?;
    Ok(joined.inviter)
}

/// The leaves of the group that a device could not follow, if it may go on with the one that `inviter` lets it into.
fn before<L: Ledger>(
    ledger: &mut L,
    device: &Device,
    known: &RoomState,
    group: &Group,
    invited: &Invited,
    inviter: &Leaf,
) -> Result<(Vec<Leaf>, RoomSettings), SessionError<L::Error>> {
    let room = known.room;
    if restart::may_follow(ledger, room, invited.seq)? {
        return Err(SessionError::Restarting);
    }
    let old = groups::load(ledger, device, room)?;
    let (before, now) = (old.settings()?, group.settings()?);
    // A group of somebody's making has the settings of their making, too.
    let owner = before.role(inviter.account) == Role::Owner;
    // Whoever trusts a conversation of two to be one trusts its id.
    let same = before.direct == now.direct
        && (!before.direct || before.admins.iter().all(|admin| now.admins.contains(admin)));
    let leaves = old.leaves();
    let key = |group: &Group| group.device_key(inviter.device).map(|(_, key)| key);
    let member = key(&old).is_some_and(|old| key(group) == Some(old));
    // A group's name is public, and whoever makes a group names it: until this device has been in a later one, only the
    // hand that adds it tells that from another's.
    let later = group.generation() != known.generation || known.generation != old.generation();
    groups::keep(ledger, room, old)?;
    if !same {
        return Err(SessionError::Welcome(OpenFault::Invalid));
    }
    if invited.accepted {
        return Ok((leaves, before));
    }
    if !member {
        return Err(SessionError::Stranger);
    }
    if later && !owner {
        return Err(SessionError::NotOwner);
    }
    Ok((leaves, before))
}

/// The head at a restart by somebody who does not know the one before it.
fn restarted(log: &[Logged], room: RoomId) -> Head {
    log.last().map_or(head::UNKNOWN, |last| head::next(&head::EMPTY, room, last.seq, &last.bytes))
}

/// A device that could not follow does again, from the state that it is about to store. The log that it has read
/// itself must be the one that the Welcome is anchored in; what it had sealed and not seen there was refused or never
/// arrived, and is sealed anew, in its place.
fn goes_on<L: Ledger>(
    ledger: &mut L,
    known: &RoomState,
    state: &RoomState,
) -> Result<(), SessionError<L::Error>> {
    let room = state.room;
    let head = ledger.head(room, state.cursor).map_err(SessionError::Ledger)?;
    // Who has missed a part of the log can hold nothing against it, nor tell what is in it.
    let has_read = known.cursor >= state.cursor && head != Some(head::UNKNOWN);
    if has_read && head != Some(state.head) {
        return Err(SessionError::Anchor);
    }
    restart::forget(ledger, room)?;
    unseal(ledger, room, has_read)
}

/// What the first rows were sealed for is over: a commit that was accepted has been read, or was for a group that is gone,
/// and anything else that is not in the log up to here (`has_read`) is sealed anew.
pub(super) fn unseal<L: Ledger>(
    ledger: &mut L,
    room: RoomId,
    has_read: bool,
) -> Result<(), SessionError<L::Error>> {
    for row in ledger.outbox_rows(room, BURST).map_err(SessionError::Ledger)? {
        let id = row.message_id;
        match row.state {
            RowState::Accepted(_) => ledger.outbox_remove(room, id),
            RowState::Sealed(_) if has_read => ledger.outbox_set(room, id, &RowState::Waiting),
            _ => break,
        }
        .map_err(SessionError::Ledger)?;
    }
    Ok(())
}
