//! What a device owes its rooms by the clock: withdrawing invitations that nobody answers, removing devices that its account
//! has revoked, and fresh keys of its own where it has not written for long (who writes renews them as it seals).
//!
//! Who has answered is what this device has heard itself; the daemon's word would let it have members removed. What is
//! put into an outbox here is decided again when it is sealed, and the core seals only in rooms that are read to the end:
//! an answer that was not read yet when this looked still counts.

use std::time::Duration;

use qchat_proto::{
    ids::{AccountId, RoomId},
    session::ledger::{Change, KeyLife, Ledger, Phase, Renewal, Want},
};

use super::{clock, error::EngineError, steps::Steps};
use crate::store::{Profile, RoomRow, StoreError, Tx};

/// How often it looks while connected, where keys live long.
const INTERVAL: Duration = Duration::from_hours(1);

/// How often it looks while connected: so often that no key lives much longer than it should.
pub(super) fn interval(key_life: KeyLife) -> Duration {
    INTERVAL.min(Duration::from_secs(key_life.seconds() / 4))
}

/// Puts what is due into the outboxes; the rooms that have something to send now.
pub(super) async fn run(profile: &Profile, steps: &Steps, me: AccountId) -> Result<Vec<RoomId>, EngineError> {
    let now = clock::seconds();
    let (jitter, key_life) = (steps.device.latest().jitter(), steps.device.latest().key_life());
    let due = profile.read_async(move |tx| {
        let mut due = vec![];
        for row in tx.rooms()? {
            let room = row.state.room;
            // What waits is sealed first, and looked at again an hour later.
            if row.state.phase != Phase::Member || tx.outbox_len(room)? > 0 {
                continue;
            }
            let renewal = tx.renewal(room)?.unwrap_or(Renewal { at: 0, accepted: 0 });
            let devices = tx.roster(room)?.len() as u64;
            if revoked(tx, room, me)? {
                due.push((room, Change::Duties));
            } else if withdraws(tx, &row, me, now)? {
                due.push((room, Change::Withdraw));
            } else if devices > 1 && renewal.is_due(now, row.state.accepted, devices, jitter, key_life) {
                due.push((room, Change::Update));
            }
        }
        Ok::<_, StoreError>(due)
    });
    let mut rooms = vec![];
    for (room, change) in due.await? {
        steps.enqueue(room, Want::Commit(change)).await?;
        rooms.push(room);
    }
    Ok(rooms)
}

/// Whether a device of this account is there that is not on the account's list. Whether it was revoked is decided when the
/// commit is sealed, by when it was certified.
fn revoked(tx: &mut Tx, room: RoomId, me: AccountId) -> Result<bool, StoreError> {
    let Some(list) = tx.stored_device_list(me)? else { return Ok(false) };
    let roster = tx.roster(room)?;
    Ok(roster.iter().any(|member| member.account == me && list.listed(member.device).is_none()))
}

/// Whether there is an overdue invitation that this account may withdraw.
fn withdraws(tx: &mut Tx, row: &RoomRow, me: AccountId, now: u64) -> Result<bool, StoreError> {
    let room = row.state.room;
    let invitees = tx.invitees(room)?;
    if !invitees.iter().any(|invitee| invitee.is_overdue(now)) {
        return Ok(false);
    }
    let settings = row.settings.as_ref();
    let may = |of| of == me || settings.is_some_and(|settings| settings.may_remove(me, of));
    let roster = tx.roster(room)?;
    Ok(invitees
        .iter()
        .filter(|invitee| invitee.is_overdue(now))
        .any(|invitee| roster.iter().any(|listed| listed.device == invitee.device && may(listed.account))))
}
