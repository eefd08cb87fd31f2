//! Texts that somebody has begun to write: one for each room.

use diesel::{OptionalExtension, prelude::*};
use qchat_proto::ids::RoomId;

use super::{StoreError, Tx, convert, schema::drafts};

impl Tx {
    /// What was begun in a room.
    ///
    /// # Errors
    /// What the database says.
    pub fn draft(&mut self, room: RoomId) -> Result<Option<String>, StoreError> {
        Ok(drafts::table
            .find(&room.as_bytes()[..])
            .select(drafts::text)
            .get_result(&mut self.conn)
            .optional()?)
    }

    /// All that was begun, by room.
    ///
    /// # Errors
    /// What the database says.
    pub fn drafts(&mut self) -> Result<Vec<(RoomId, String)>, StoreError> {
        let rows: Vec<(Vec<u8>, String)> = drafts::table.order(drafts::room).load(&mut self.conn)?;
        rows.into_iter().map(|(room, text)| Ok((convert::id("room id", &room)?, text))).collect()
    }

    /// Keeps what was begun in a room, in the place of what was there; an empty text forgets that.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_draft(&mut self, room: RoomId, text: &str) -> Result<(), StoreError> {
        let key = &room.as_bytes()[..];
        if text.is_empty() {
            diesel::delete(drafts::table.find(key)).execute(&mut self.conn)?;
        } else {
            diesel::replace_into(drafts::table)
                .values((drafts::room.eq(key), drafts::text.eq(text)))
                .execute(&mut self.conn)?;
        }
        Ok(())
    }
}
