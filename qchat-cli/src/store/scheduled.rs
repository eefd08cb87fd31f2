//! Messages that are to be sent at a time.

use bytes::Bytes;
use diesel::prelude::*;
use qchat_proto::ids::{MessageId, RoomId};

use super::{StoreError, Tx, convert, schema::scheduled};

/// A message that is to be sent at a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scheduled {
    /// What it is named by until then; sent, it gets an id of its own.
    pub id: MessageId,
    /// Where.
    pub room: RoomId,
    /// When, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The encoded content.
    pub content: Bytes,
}

impl Tx {
    /// All that is to be sent, what is due first at the front; with a time, what is due by then.
    ///
    /// # Errors
    /// What the database says.
    pub fn scheduled(&mut self, by: Option<i64>) -> Result<Vec<Scheduled>, StoreError> {
        type Row = (Vec<u8>, Vec<u8>, i64, Vec<u8>);
        let rows: Vec<Row> = scheduled::table
            .filter(scheduled::at_ms.le(by.unwrap_or(i64::MAX)))
            .order((scheduled::at_ms, scheduled::message_id))
            .load(&mut self.conn)?;
        rows.into_iter()
            .map(|(id, room, at_ms, content)| {
                Ok(Scheduled {
                    id: convert::id("message id", &id)?,
                    room: convert::id("room id", &room)?,
                    at_ms,
                    content: content.into(),
                })
            })
            .collect()
    }

    /// Keeps one.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_scheduled(&mut self, message: &Scheduled) -> Result<(), StoreError> {
        diesel::insert_into(scheduled::table)
            .values((
                scheduled::message_id.eq(&message.id.as_bytes()[..]),
                scheduled::room.eq(&message.room.as_bytes()[..]),
                scheduled::at_ms.eq(message.at_ms),
                scheduled::content.eq(&message.content[..]),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Lets one stand in its room as a message that could not be sent, if it is still there; whether it was.
    ///
    /// # Errors
    /// What the database says.
    pub fn fail_scheduled(&mut self, message: &Scheduled) -> Result<bool, StoreError> {
        let there = self.forget_scheduled(message.id)?;
        if there {
            self.put_pending(message.room, message.id, &message.content)?;
            self.mark_failed(message.room, message.id)?;
        }
        Ok(there)
    }

    /// Takes one out; whether it was there.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_scheduled(&mut self, id: MessageId) -> Result<bool, StoreError> {
        Ok(diesel::delete(scheduled::table.find(&id.as_bytes()[..])).execute(&mut self.conn)? > 0)
    }
}
