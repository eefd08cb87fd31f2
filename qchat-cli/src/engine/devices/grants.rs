//! What an old device knows that a new one has to know.

use qchat_proto::{identity::link::HandedContact, ids::AccountId, wire::limits};

use crate::store::{Contact, StoreError, Tx};

/// What a grant holds beside contacts, and what sealing adds, bytes: two dozen KiB and some.
const REST: usize = 48 * 1024;
/// What a contact takes at most, bytes, without its records.
const CONTACT: usize = 256;

/// Everybody whom this device has pinned, as many as fit: first whom the user has compared or whose keys have changed, then
/// who shares a room, then the others. Who does not fit is met by the new device as by anybody who is new.
pub(super) fn contacts(tx: &mut Tx, me: AccountId) -> Result<Vec<HandedContact>, StoreError> {
    let mut known = vec![];
    for contact in tx.contacts()? {
        if contact.account != me {
            let shares = !tx.rooms_with(contact.account)?.is_empty();
            let rank = (!contact.verified && contact.changed_record.is_none(), !shares);
            known.push((rank, handed(contact)));
        }
    }
    for handed in tx.all_handed()? {
        let contact = HandedContact {
            name: handed.name,
            pinned: handed.pinned,
            verified: handed.verified,
            first_seen_ms: handed.first_seen_ms,
            changed: None,
        };
        known.push(((!contact.verified, true), contact));
    }
    known.sort_by_key(|(rank, _)| *rank);
    let mut room = limits::GRANT - REST;
    let fits = |(_, contact): &(_, HandedContact)| {
        let records = contact.changed.as_ref().map_or(0, |(pinned, shown)| pinned.len() + shown.len());
        room = room.checked_sub(CONTACT + records)?;
        Some(contact.clone())
    };
    Ok(known.iter().map_while(fits).collect())
}

fn handed(contact: Contact) -> HandedContact {
    HandedContact {
        name: contact.name,
        pinned: contact.pinned,
        verified: contact.verified,
        first_seen_ms: contact.first_seen_ms,
        changed: contact.changed_record.map(|shown| (contact.record, shown)),
    }
}
