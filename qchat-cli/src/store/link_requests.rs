//! Rooms that this device has asked to be let into, by an invite link.

use diesel::{OptionalExtension, prelude::*};
use qchat_proto::{ids::RoomId, invite::LinkSecret};

use super::{StoreError, Tx, convert, schema::link_requests};

impl Tx {
    /// The secret of the link by which this device asks to be let into a room, if it does since `after`, Unix seconds.
    ///
    /// # Errors
    /// What the database says.
    pub fn link_request(&mut self, room: RoomId, after: u64) -> Result<Option<LinkSecret>, StoreError> {
        let secret: Option<Vec<u8>> = link_requests::table
            .find(&room.as_bytes()[..])
            .filter(link_requests::asked_at.ge(convert::number(after)?))
            .select(link_requests::secret)
            .get_result(&mut self.conn)
            .optional()?;
        let read = |secret: Vec<u8>| LinkSecret::from_slice(&secret).ok_or(StoreError::Corrupt("a link"));
        secret.map(read).transpose()
    }

    /// Notes that this device asks to be let into a room. `now`: Unix seconds.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_link_request(
        &mut self,
        room: RoomId,
        secret: &LinkSecret,
        now: u64,
    ) -> Result<(), StoreError> {
        diesel::replace_into(link_requests::table)
            .values((
                link_requests::room.eq(&room.as_bytes()[..]),
                link_requests::secret.eq(&secret.expose()[..]),
                link_requests::asked_at.eq(convert::number(now)?),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// This device asks no more.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_link_request(&mut self, room: RoomId) -> Result<(), StoreError> {
        diesel::delete(link_requests::table.find(&room.as_bytes()[..])).execute(&mut self.conn)?;
        Ok(())
    }
}
