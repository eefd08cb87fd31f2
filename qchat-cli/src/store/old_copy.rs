//! Whether this profile is a previous copy of another that has gone on, by what was found in the rooms.

use diesel::{OptionalExtension, prelude::*};
use qchat_proto::ids::RoomId;

use super::{
    StoreError, Tx, convert,
    schema::{invitations, key_packages, old_copy},
};

impl Tx {
    /// The room in which it was noticed that this profile is a previous copy; `None`: it is none, as far as is known.
    ///
    /// # Errors
    /// What the database says.
    pub fn old_copy(&mut self) -> Result<Option<RoomId>, StoreError> {
        let room: Option<Vec<u8>> =
            old_copy::table.select(old_copy::room).get_result(&mut self.conn).optional()?;
        room.map(|room| convert::id("room id", &room)).transpose()
    }

    /// Notes that this profile is a previous copy.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_old_copy(&mut self, room: RoomId) -> Result<(), StoreError> {
        diesel::replace_into(old_copy::table)
            .values((old_copy::id.eq(1), old_copy::room.eq(&room.as_bytes()[..])))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Notes that the keys of a previous copy are given up, with those of KeyPackages and the invitations that need them.
    ///
    /// # Errors
    /// What the database says.
    pub fn recovered(&mut self) -> Result<(), StoreError> {
        diesel::delete(key_packages::table).execute(&mut self.conn)?;
        diesel::delete(invitations::table).execute(&mut self.conn)?;
        diesel::delete(old_copy::table).execute(&mut self.conn)?;
        Ok(())
    }
}
