//! How much of a room's log must be kept. docs/PROTOCOL.md, "The relay", rule 10.

use qchat_proto::ids::Seq;

use crate::store::{
    retention::{Place, RowId},
    rooms::{Span, Standing},
};

/// All after this is needed by somebody. `commit_seq`: the room's last commit, which whoever is added next starts from;
/// `invited`: commits up to this row are so old that their invitations count for nothing.
pub fn floor(places: &[Place], commit_seq: Seq, invited: RowId) -> Seq {
    places.iter().filter_map(|place| needed(place, invited)).fold(commit_seq, Seq::min)
}

/// What a device needs the log after; `None`: it needs nothing.
fn needed(place: &Place, invited: RowId) -> Option<Seq> {
    let Place { member, confirmed, welcome } = place;
    let unread = |span: Span| {
        let after = span.after.max(*confirmed);
        span.until.is_none_or(|until| after < until).then_some(after)
    };
    // What it could read in a membership before is nothing to a device that never was in the room.
    let past = if member.once_full { unread(member.past) } else { None };
    let fresh = welcome.filter(|welcome| welcome.commit > invited);
    let invitation = fresh.map(|welcome| welcome.log_after.min(member.reads.after));
    let now = match member.standing {
        // A Welcome of a full device adds it again, who cannot follow: it keeps for as long as the device is full.
        Standing::Full => {
            [unread(member.reads), welcome.map(|welcome| welcome.log_after)].into_iter().flatten().min()
        }
        // Whoever was removed before it joined would find its Welcome if it was listed again.
        Standing::Removed | Standing::Invited if member.waiting => invitation,
        // One that has processed its removal says so; one that the daemon's list lost by a lie does not.
        Standing::Removed if member.once_full => unread(member.reads),
        Standing::Removed | Standing::Invited | Standing::Declined => None,
    };
    [past, now].into_iter().flatten().min()
}
