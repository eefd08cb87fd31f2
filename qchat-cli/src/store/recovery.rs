//! The recovery key of an account whose owner has not confirmed yet that the words are on paper.

use diesel::{OptionalExtension, prelude::*};
use qchat_proto::{crypto::secret::Secret, identity::RecoveryKey};
use zeroize::Zeroizing;

use super::{StoreError, Tx, schema::recovery};

impl Tx {
    /// The key; `None` once it was confirmed.
    ///
    /// # Errors
    /// What the database says.
    pub fn recovery_key(&mut self) -> Result<Option<RecoveryKey>, StoreError> {
        let stored: Option<Vec<u8>> =
            recovery::table.select(recovery::recovery_key).get_result(&mut self.conn).optional()?;
        let Some(stored) = stored.map(Zeroizing::new) else { return Ok(None) };
        let key = Secret::from_slice(&stored).ok_or(StoreError::Corrupt("recovery key"))?;
        Ok(Some(RecoveryKey::from_secret(key)))
    }

    /// Keeps the key.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_recovery_key(&mut self, key: &RecoveryKey) -> Result<(), StoreError> {
        diesel::replace_into(recovery::table)
            .values((recovery::id.eq(1), recovery::recovery_key.eq(&key.secret().expose()[..])))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Forgets the key; false when there was none.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_recovery_key(&mut self) -> Result<bool, StoreError> {
        Ok(diesel::delete(recovery::table).execute(&mut self.conn)? > 0)
    }
}
