//! Where the line above what is unread stands in a room: kept, so that it is in its place when the screen opens again.

use qchat_proto::ids::RoomId;

use super::{error::EngineError, handle::Handle};

impl Handle {
    /// The row of the timeline below the line, if one was kept.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn unread_line(&self, room: RoomId) -> Result<Option<i64>, EngineError> {
        Ok(self.0.profile.read_async(move |tx| tx.unread_line(room)).await?)
    }

    /// Keeps where the line stands; `None`: nowhere.
    ///
    /// # Errors
    /// When the profile cannot be written.
    pub async fn keep_unread_line(&self, room: RoomId, row: Option<i64>) -> Result<(), EngineError> {
        Ok(self.0.profile.write_async(move |tx| tx.put_unread_line(room, row)).await?)
    }
}
