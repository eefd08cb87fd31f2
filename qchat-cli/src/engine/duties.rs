//! What a device owes its rooms by the clock: withdrawing invitations that nobody answers.
//!
//! It looks only at rooms that are read to the end: before that, an answer may stand in what was not read
//! yet. Who has answered is what this device has heard itself; the daemon's word would let it have members removed.

use std::time::Duration;

use qchat_proto::{
    ids::{AccountId, RoomId},
    session::ledger::{Change, Ledger, Phase, Want},
};

use super::{clock, error::EngineError, steps::Steps};
use crate::store::{Profile, StoreError, Tx};

/// How often it looks while connected.
pub(super) const INTERVAL: Duration = Duration::from_hours(1);

/// Puts what is due in these rooms into their outboxes; those that have something to send now.
pub(super) async fn run(
    profile: &Profile,
    steps: &Steps,
    me: AccountId,
    rooms: Vec<RoomId>,
) -> Result<Vec<RoomId>, EngineError> {
    let now = clock::seconds();
    let due = profile.read_async(move |tx| {
        let mut due = vec![];
        for room in rooms {
            if is_due(tx, room, me, now)? {
                due.push(room);
            }
        }
        Ok::<_, StoreError>(due)
    });
    let due = due.await?;
    for &room in &due {
        steps.enqueue(room, Want::Commit(Change::Withdraw)).await?;
    }
    Ok(due)
}

fn is_due(tx: &mut Tx, room: RoomId, me: AccountId, now: u64) -> Result<bool, StoreError> {
    let invitees = tx.invitees(room)?;
    // What waits is sealed first, and looked at again an hour later.
    if !invitees.iter().any(|invitee| invitee.is_overdue(now)) || tx.outbox_len(room)? > 0 {
        return Ok(false);
    }
    let Some(row) = tx.room_row(room)?.filter(|row| row.state.phase == Phase::Member) else {
        return Ok(false);
    };
    if row.settings.as_ref().is_some_and(|settings| settings.admins.contains(&me)) {
        return Ok(true);
    }
    let own = tx.roster(room)?.into_iter().filter(|listed| listed.account == me);
    let own: Vec<_> = own.map(|listed| listed.device).collect();
    Ok(invitees.iter().any(|invitee| invitee.is_overdue(now) && own.contains(&invitee.device)))
}
