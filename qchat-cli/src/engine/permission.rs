//! Whether something may be written to a room: asked in the transaction that writes it, or before something longer is begun.

use qchat_proto::{
    content::Role,
    ids::{AccountId, RoomId},
    session::ledger::Ledger,
};

use super::{error::EngineError, handle::Handle, notes, old_copy};
use crate::store::Tx;

/// This device is a member that follows.
///
/// # Errors
/// [`EngineError::OldCopy`], [`EngineError::NotMember`].
pub(super) fn member(tx: &mut Tx, room: RoomId) -> Result<(), EngineError> {
    old_copy::expect_none(tx)?;
    match tx.room(room)? {
        None => Err(EngineError::NotMember(" yet; `qchat room join` accepts an invitation")),
        Some(state) => EngineError::not_writing(state.phase).map_or(Ok(()), Err),
    }
}

/// This device is a member that follows, and nobody in the room has become somebody else.
///
/// # Errors
/// [`EngineError::OldCopy`], [`EngineError::NotMember`], [`EngineError::IdentityChanged`].
pub(super) fn writable(tx: &mut Tx, room: RoomId) -> Result<(), EngineError> {
    member(tx, room)?;
    tx.changed_member(room)?.map_or(Ok(()), |name| Err(EngineError::IdentityChanged(name)))
}

/// It is no conversation with somebody of whom nothing is heard.
///
/// # Errors
/// [`EngineError::Refused`].
pub(super) fn expect_not_blocked(tx: &mut Tx, room: RoomId) -> Result<(), EngineError> {
    notes::blocked_peer(tx, room)?.map_or(Ok(()), |name| Err(EngineError::blocked(&name)))
}

/// This account may say something.
///
/// # Errors
/// As [`writable`]; [`EngineError::Refused`].
pub(super) fn may_speak(tx: &mut Tx, account: AccountId, room: RoomId) -> Result<(), EngineError> {
    writable(tx, room)?;
    let settings = tx.room_row(room)?.and_then(|row| row.settings);
    if settings.is_some_and(|settings| settings.role(account) == Role::Reader) {
        return Err(EngineError::Refused("you may only read in this room; ask an admin".to_owned()));
    }
    expect_not_blocked(tx, room)
}

impl Handle {
    /// [`writable`], by itself.
    pub(super) async fn writable(&self, room: RoomId) -> Result<(), EngineError> {
        self.0.profile.read_async(move |tx| writable(tx, room)).await
    }

    /// [`may_speak`], by itself.
    pub(super) async fn may_speak(&self, room: RoomId) -> Result<(), EngineError> {
        let account = self.0.me.account;
        self.0.profile.read_async(move |tx| may_speak(tx, account, room)).await
    }
}
