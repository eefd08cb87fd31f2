//! Which room somebody means by a name or an id.

use qchat_proto::{ids::RoomId, session::ledger::Phase};

use super::{error::EngineError, handle::Handle};
use crate::store::{InvitationRow, StoreError, Tx};

impl Handle {
    /// The room of that name or id, or after an `@` the conversation with the user of that name: one that this account is in,
    /// else one it was in, else an invitation, and at last one by somebody who is blocked. So nobody can take a name away by inviting to
    /// a room that is called the same.
    ///
    /// # Errors
    /// [`EngineError::NoSuchRoom`] or [`EngineError::AmbiguousRoom`].
    pub async fn find_room(&self, name_or_id: &str) -> Result<RoomId, EngineError> {
        if let Some(user) = name_or_id.strip_prefix('@').and_then(|user| user.parse().ok()) {
            let found = self.find_direct(&user).await?;
            return found.map(|(room, _)| room).ok_or_else(|| EngineError::NoSuchRoom(name_or_id.to_owned()));
        }
        let wanted = name_or_id.to_owned();
        let found = self.0.profile.read_async(move |tx| {
            let (mut here, mut gone) = (vec![], vec![]);
            for room in tx.find_rooms(&wanted)? {
                // What has no row is an invitation alone.
                let Some(row) = tx.room_row(room)? else { continue };
                let left = matches!(row.state.phase, Phase::Removed(_) | Phase::Left(_) | Phase::Leaving(_));
                if left { gone.push(room) } else { here.push(room) }
            }
            let (invited, shunned) = invited_to(tx, &wanted)?;
            Ok::<_, StoreError>([here, gone, invited, shunned])
        });
        only(name_or_id, &found.await?)
    }

    /// The invitation to a room of that name or id.
    ///
    /// # Errors
    /// [`EngineError::NoSuchRoom`] or [`EngineError::AmbiguousRoom`].
    pub async fn find_invitation(&self, name_or_id: &str) -> Result<RoomId, EngineError> {
        let wanted = name_or_id.to_owned();
        let (invited, shunned) = self.0.profile.read_async(move |tx| invited_to(tx, &wanted)).await?;
        only(name_or_id, &[invited, shunned])
    }
}

/// The invitations of that name, and those of them that are by people who are blocked: they make no name ambiguous.
fn invited_to(tx: &mut Tx, wanted: &str) -> Result<(Vec<RoomId>, Vec<RoomId>), StoreError> {
    let (mut invited, mut shunned) = (vec![], vec![]);
    for row in named(tx, wanted)? {
        let rooms = if tx.is_blocked(row.inviter)? { &mut shunned } else { &mut invited };
        rooms.push(row.room);
    }
    Ok((invited, shunned))
}

fn named(tx: &mut Tx, wanted: &str) -> Result<Vec<InvitationRow>, StoreError> {
    let id = wanted.parse::<RoomId>().ok();
    let mut invitations = tx.invitations()?;
    if let Some(user) = wanted.strip_prefix('@').and_then(|user| user.parse().ok()) {
        // No room is called so, whatever its inviter says: it is theirs to be found by.
        let Some(from) = tx.contact_by_name(&user)? else { return Ok(vec![]) };
        invitations.retain(|row| row.direct && row.inviter == from.account);
    } else if invitations.iter().any(|row| Some(row.room) == id) {
        invitations.retain(|row| Some(row.room) == id);
    } else {
        invitations.retain(|row| row.name.as_deref() == Some(wanted));
    }
    Ok(invitations)
}

/// The one room of the first kind that has any.
fn only(wanted: &str, kinds: &[Vec<RoomId>]) -> Result<RoomId, EngineError> {
    match kinds.iter().find(|rooms| !rooms.is_empty()).map(Vec::as_slice) {
        None => Err(EngineError::NoSuchRoom(wanted.to_owned())),
        Some([room]) => Ok(*room),
        Some(_) => Err(EngineError::AmbiguousRoom(wanted.to_owned())),
    }
}
