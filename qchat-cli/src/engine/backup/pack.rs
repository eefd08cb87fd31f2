//! What goes into the chunks of a backup, and where one ends and the next begins: at the same places each time, so that a chunk in
//! which nothing has changed is the chunk that the daemon has.

use qchat_proto::{
    identity::backup::{BackupSecret, Item},
    ids::AccountId,
};

use crate::{
    engine::devices::everybody,
    store::{StoreError, Tx},
};

/// Lines whose chunks end together: what is deleted or added changes no chunk of other lines.
pub(super) const LINES: i64 = 256;

/// What a chunk will hold, and how many messages are among it.
pub(super) struct Held {
    pub(super) bytes: Vec<u8>,
    pub(super) messages: u64,
}

/// Whom the account knows, and its rooms.
pub(super) fn known(tx: &mut Tx, me: AccountId) -> Result<Vec<Held>, StoreError> {
    let people = everybody(tx, me)?.into_iter().map(Item::Contact);
    let mut held = together(people)?;
    let rooms = tx.kept_rooms()?.into_iter().map(Item::Room);
    held.extend(together(rooms)?);
    Ok(held)
}

/// The lines after this one, up to [`LINES`] of them.
pub(super) fn lines(tx: &mut Tx, after: i64) -> Result<Vec<Held>, StoreError> {
    together(tx.kept_lines(after, after + LINES)?.into_iter())
}

fn together(items: impl Iterator<Item = Item>) -> Result<Vec<Held>, StoreError> {
    let mut held: Vec<Held> = vec![];
    for item in items {
        let mut bytes = vec![];
        item.put(&mut bytes);
        if bytes.len() > BackupSecret::MOST {
            return Err(StoreError::Corrupt("something that is too large for a backup"));
        }
        let messages = u64::from(matches!(item, Item::Message(_)));
        match held.last_mut().filter(|last| last.bytes.len() + bytes.len() <= BackupSecret::MOST) {
            Some(last) => {
                last.bytes.extend(bytes);
                last.messages += messages;
            }
            None => held.push(Held { bytes, messages }),
        }
    }
    Ok(held)
}
