//! What the members of a room have agreed on, changed by an admin.

use std::num::NonZeroU32;

use qchat_proto::{
    content::RoomSettings,
    ids::RoomId,
    session::ledger::{Change, Want},
};

use super::{error::EngineError, handle::Handle};

impl Handle {
    /// Has every device of a room delete messages so many seconds after it has stored them, or never. It counts for what is said
    /// from then on. Returns when it is in effect.
    ///
    /// # Errors
    /// [`EngineError::NotMember`], or that this account may not change the settings.
    pub async fn set_expiry(&self, room: RoomId, after: Option<NonZeroU32>) -> Result<(), EngineError> {
        self.change_settings(room, |settings| settings.expire_after = after).await
    }

    /// Changes a room's settings from what they are now.
    async fn change_settings(
        &self,
        room: RoomId,
        change: impl FnOnce(&mut RoomSettings),
    ) -> Result<(), EngineError> {
        self.writable(room).await?;
        let (mut settings, before) = {
            let settings = self.settings(room).await?;
            (settings.clone(), settings)
        };
        if !settings.admins.contains(&self.0.me.account) {
            return Err(EngineError::Refused("only an admin may change a room's settings".to_owned()));
        }
        change(&mut settings);
        if settings == before {
            return Ok(());
        }
        let wanted = settings.clone();
        let id = self.0.steps.enqueue(room, Want::Commit(Change::Settings(settings))).await?;
        self.settled(room, id).await?;
        if self.settings(room).await? != wanted {
            return Err(EngineError::Refused("the settings were not changed; try again".to_owned()));
        }
        Ok(())
    }

    async fn settings(&self, room: RoomId) -> Result<RoomSettings, EngineError> {
        let row = self.0.profile.read_async(move |tx| tx.room_row(room)).await?;
        row.and_then(|row| row.settings).ok_or_else(|| EngineError::NoSuchRoom(room.to_string()))
    }
}
