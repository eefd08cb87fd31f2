//! Where the line above what is unread stood when a room was last shown.

use diesel::{OptionalExtension, prelude::*};
use qchat_proto::ids::RoomId;

use super::{StoreError, Tx, schema::unread_lines};

impl Tx {
    /// The row of the timeline below the line, if one was kept.
    ///
    /// # Errors
    /// What the database says.
    pub fn unread_line(&mut self, room: RoomId) -> Result<Option<i64>, StoreError> {
        let kept = unread_lines::table.find(&room.as_bytes()[..]).select(unread_lines::row);
        Ok(kept.get_result(&mut self.conn).optional()?)
    }

    /// Keeps the row below the line; `None` forgets it.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_unread_line(&mut self, room: RoomId, row: Option<i64>) -> Result<(), StoreError> {
        let key = &room.as_bytes()[..];
        match row {
            Some(row) => diesel::replace_into(unread_lines::table)
                .values((unread_lines::room.eq(key), unread_lines::row.eq(row)))
                .execute(&mut self.conn)?,
            None => diesel::delete(unread_lines::table.find(key)).execute(&mut self.conn)?,
        };
        Ok(())
    }
}
