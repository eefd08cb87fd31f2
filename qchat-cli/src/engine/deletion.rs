//! Deleting messages from this device. What was said stays with everybody else.

use qchat_proto::ids::{MessageId, RoomId, Seq};

use super::{
    error::EngineError,
    handle::Handle,
    tidy,
    types::{Deletion, Event},
};
use crate::store::{StoreError, Tx};

impl Handle {
    /// Deletes messages of a room from this device, by id. One that waits and was never sealed is not sent any more. It is
    /// gone from the disk when this returns, or a moment after if another process was reading.
    ///
    /// # Errors
    /// When the profile cannot be written.
    pub async fn delete(&self, room: RoomId, ids: Vec<MessageId>) -> Result<Deletion, EngineError> {
        self.deleting(move |tx| tx.delete_messages(room, &ids)).await
    }

    /// Deletes from this device all messages of a room before a seq; without one, all of them.
    ///
    /// # Errors
    /// When the profile cannot be written.
    pub async fn delete_before(&self, room: RoomId, before: Option<Seq>) -> Result<Deletion, EngineError> {
        self.deleting(move |tx| tx.delete_messages_before(room, before)).await
    }

    /// Takes back a message that waits and has not left; whether it has not.
    ///
    /// # Errors
    /// When the profile cannot be written.
    pub async fn take_back(&self, room: RoomId, id: MessageId) -> Result<bool, EngineError> {
        let deletion = self.deleting(move |tx| {
            let deleted = usize::from(tx.drop_waiting(room, id)?);
            Ok(Deletion { deleted, ..Deletion::default() })
        });
        Ok(deletion.await?.deleted > 0)
    }

    async fn deleting(
        &self,
        work: impl FnOnce(&mut Tx) -> Result<Deletion, StoreError> + Send + 'static,
    ) -> Result<Deletion, EngineError> {
        let deletion = self.0.profile.write_async(work).await?;
        if deletion.deleted > 0 {
            tidy::now(&self.0.profile).await;
            self.tell(Event::Deleted);
            self.tell(Event::Rooms);
        }
        Ok(deletion)
    }
}
