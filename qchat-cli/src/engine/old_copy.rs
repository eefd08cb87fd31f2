//! A profile that is a previous copy of another: how it is noticed, and what is kept of it.
//!
//! A device seals each message with a key of its own, once. A copy of its profile that was put back would use those keys again
//! that the newer state has used already. The daemon keeps a counter for each device in each room: how far it has said
//! that it has processed the log. A device says so only of what it has stored, so that a counter ahead of what is stored
//! here is another's. What the daemon does not know yet stands in the rooms: an envelope with this device's keys that is not
//! its own (docs/PROTOCOL.md, "Previous copies").

use qchat_proto::{
    ids::RoomId,
    session::{inbox, ledger::Phase},
    wire::api::{MemberStatus, Room},
};

use super::{error::EngineError, handle::Handle};
use crate::store::{Profile, RoomRow, Tx};

/// What has become of the rooms of a previous copy.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// The rooms that this device asks to be added to again.
    pub asking: Vec<RoomId>,
    /// Rooms that the newer state has joined and this copy does not know: somebody has to remove the account there and invite
    /// it again.
    pub unknown: Vec<RoomId>,
}

/// Refuses to go on in a profile of which it is known that it is a previous copy.
///
/// # Errors
/// [`EngineError::OldCopy`].
pub(crate) fn expect_none(tx: &mut Tx) -> Result<(), EngineError> {
    match tx.old_copy()? {
        Some(_) => Err(EngineError::OldCopy),
        None => Ok(()),
    }
}

/// Holds the daemon's counters against what is stored here, and notes it when they are ahead.
///
/// # Errors
/// [`EngineError::OldCopy`].
pub(crate) async fn compare(
    profile: &Profile,
    remote: &[Room],
    local: &[RoomRow],
) -> Result<(), EngineError> {
    let Some(room) = remote.iter().find(|room| is_ahead(room, local)).map(|room| room.room_id) else {
        return Ok(());
    };
    tracing::warn!(%room, "this profile is a previous copy");
    profile.write_async(move |tx| tx.put_old_copy(room)).await?;
    Err(EngineError::OldCopy)
}

/// Whether the daemon has heard this device confirm more of a room than it has processed here.
fn is_ahead(theirs: &Room, local: &[RoomRow]) -> bool {
    let confirmed = theirs.confirmed.unwrap_or_default();
    match local.iter().find(|room| room.state.room == theirs.room_id).map(|room| &room.state) {
        // Who cannot follow a room seals nothing there: what it knew of the room may have been given up.
        Some(state) => matches!(state.phase, Phase::Member | Phase::Leaving(_)) && confirmed > state.cursor,
        None => theirs.status == MemberStatus::Full && confirmed.0 > 0,
    }
}

impl Handle {
    /// Gives up the keys of a previous copy in all rooms, and keeps history and contacts. The device asks to be added again in
    /// each room with the next connection. Logs in first: the newer state may have ended the session of this one.
    ///
    /// # Errors
    /// Why the daemon cannot be asked how far the rooms have come; nothing has changed then.
    pub async fn recover(&self) -> Result<Recovered, EngineError> {
        let inner = &self.0;
        inner.access.login().await?;
        let rest = &inner.rest;
        let rooms = inner.access.ask(|token| async move { rest.rooms(&token).await }).await?.rooms;
        let device = inner.steps.device.clone();
        inner
            .profile
            .write_async(move |tx| {
                let device = device.at(tx)?;
                let mut recovered = Recovered::default();
                for room in tx.rooms()? {
                    let id = room.state.room;
                    let newest =
                        rooms.iter().find(|theirs| theirs.room_id == id).map(|theirs| theirs.last_seq);
                    let newest = newest.unwrap_or(room.state.cursor);
                    if inbox::discard(tx, &device, id, newest).map_err(EngineError::from)? {
                        recovered.asking.push(id);
                    }
                }
                let known: Vec<RoomId> = tx.rooms()?.iter().map(|room| room.state.room).collect();
                let missing = rooms.iter().filter(|theirs| theirs.status == MemberStatus::Full);
                recovered.unknown =
                    missing.map(|theirs| theirs.room_id).filter(|id| !known.contains(id)).collect();
                tx.recovered()?;
                Ok::<_, EngineError>(recovered)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use qchat_proto::{ids::Seq, session::ledger::RoomState};

    use super::*;

    const ROOM: RoomId = RoomId::from_bytes([1; 16]);

    fn local(phase: Phase) -> RoomRow {
        RoomRow {
            state: RoomState {
                room: ROOM,
                phase,
                cursor: Seq(7),
                head: [0; 48],
                commit_seq: Seq(1),
                accepted: 0,
                generation: Seq(0),
                epoch: 1,
            },
            settings: None,
            read_seq: Seq(0),
            unread: 0,
            mentions: 0,
            active_ms: None,
        }
    }

    #[test]
    fn a_counter_ahead_of_what_is_stored_is_another_state_of_this_device() {
        let member = [local(Phase::Member)];
        for (what, confirmed, status, local, ahead) in [
            ("as far as here", Some(7), MemberStatus::Full, &member[..], false),
            ("one further", Some(8), MemberStatus::Full, &member, true),
            ("a daemon that does not say", None, MemberStatus::Full, &member, false),
            (
                "in a room that is being left",
                Some(8),
                MemberStatus::Full,
                &[local(Phase::Leaving(Seq(6)))],
                true,
            ),
            ("in a room given up", Some(8), MemberStatus::Full, &[local(Phase::Stuck(Seq(6)))], false),
            ("after it was removed", Some(8), MemberStatus::Removed, &[local(Phase::Removed(Seq(7)))], false),
            ("in a room that is not known", Some(8), MemberStatus::Full, &[], true),
            ("in one that is not joined yet", Some(0), MemberStatus::Full, &[], false),
            ("in one it was removed from", Some(8), MemberStatus::Removed, &[], false),
        ] {
            let theirs = Room {
                room_id: ROOM,
                status,
                last_seq: Seq(9),
                commit_seq: Seq(1),
                confirmed: confirmed.map(Seq),
                members: vec![],
            };
            assert_eq!(is_ahead(&theirs, local), ahead, "{what}");
        }
    }
}
