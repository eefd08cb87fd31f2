//! Who came and who went between two states of a group, as notices.

use std::collections::BTreeSet;

use super::{
    error::SessionError,
    ledger::{Ledger, Notice},
};
use crate::{
    ids::{AccountId, RoomId, Seq},
    mls::membership::Leaf,
};

/// Says at `seq` who came, who went, and whose devices changed, by whose hand.
pub(super) fn changes<L: Ledger>(
    ledger: &mut L,
    (room, seq): (RoomId, Seq),
    by: AccountId,
    old: &[Leaf],
    new: &[Leaf],
) -> Result<(), SessionError<L::Error>> {
    let mut notice = |notice: &Notice| ledger.put_notice(room, seq, notice).map_err(SessionError::Ledger);
    let accounts = |leaves: &[Leaf]| leaves.iter().map(|leaf| leaf.account).collect::<BTreeSet<AccountId>>();
    let (was, is) = (accounts(old), accounts(new));
    let added: Vec<_> = is.difference(&was).copied().collect();
    let removed: Vec<_> = was.difference(&is).copied().collect();
    if !added.is_empty() {
        notice(&Notice::Added { by, accounts: added })?;
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
        if devices(old) != devices(new) {
            notice(&Notice::DevicesChanged(*account))?;
        }
    }
    Ok(())
}
