//! Who came and who went between two states of a group, as notices.

use std::collections::BTreeSet;

use super::{
    error::SessionError,
    ledger::{Ledger, Notice},
};
use crate::{
    ids::{AccountId, DeviceId, RoomId, Seq},
    mls::membership::Leaf,
};

/// Says at `seq` who came, who went, and whose devices changed, by whose hand. Whose devices have all `asked` to leave has
/// left, whoever carried that out.
pub(super) fn changes<L: Ledger>(
    ledger: &mut L,
    (room, seq): (RoomId, Seq),
    by: AccountId,
    (old, new): (&[Leaf], &[Leaf]),
    asked: &[DeviceId],
) -> Result<(), SessionError<L::Error>> {
    let mut notice = |notice: &Notice| ledger.put_notice(room, seq, notice).map_err(SessionError::Ledger);
    let accounts = |leaves: &[Leaf]| leaves.iter().map(|leaf| leaf.account).collect::<BTreeSet<AccountId>>();
    let (was, is) = (accounts(old), accounts(new));
    let added: Vec<_> = is.difference(&was).copied().collect();
    let (left, removed): (Vec<_>, Vec<_>) = was.difference(&is).copied().partition(|account| {
        old.iter().filter(|leaf| leaf.account == *account).all(|leaf| asked.contains(&leaf.device))
    });
    if !added.is_empty() {
        notice(&Notice::Added { by, accounts: added })?;
    }
    if !left.is_empty() {
        notice(&Notice::Left { accounts: left })?;
    }
    if !removed.is_empty() {
        notice(&Notice::Removed { by, accounts: removed })?;
    }
    for account in was.intersection(&is) {
        let devices = |leaves: &[Leaf]| {
            leaves
                .iter()
                .filter(|leaf| leaf.account == *account)
                .map(|leaf| leaf.device)
                .collect::<BTreeSet<_>>()
        };
        let (had, has) = (devices(old), devices(new));
        let (added, removed) = (has.difference(&had).count(), had.difference(&has).count());
        if (added, removed) != (0, 0) {
            notice(&Notice::DevicesChanged { by, account: *account, added, removed })?;
        }
    }
    Ok(())
}
