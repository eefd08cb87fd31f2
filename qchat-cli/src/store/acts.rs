//! What has begun to be done to the account and may have to be finished by a later run.

use diesel::{OptionalExtension, prelude::*};
use qchat_proto::crypto::secret::Secret;
use zeroize::Zeroizing;

use super::{
    StoreError, Tx,
    schema::{account_deletion, passphrase_change},
};

/// A change of the passphrase on its way.
pub struct PassphraseChange {
    /// What the daemon knows so far.
    pub old_auth_key: Secret<32>,
    /// What it is to know.
    pub new_auth_key: Secret<32>,
    /// The salt that the new one was made with.
    pub new_auth_salt: [u8; 16],
    /// The vault's content under the new passphrase.
    pub vault: Vec<u8>,
}

impl std::fmt::Debug for PassphraseChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PassphraseChange")
    }
}

impl Tx {
    /// The change of the passphrase that has begun, if one has.
    ///
    /// # Errors
    /// What the database says.
    pub fn passphrase_change(&mut self) -> Result<Option<PassphraseChange>, StoreError> {
        type Row = (i32, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);
        let row: Option<Row> = passphrase_change::table.get_result(&mut self.conn).optional()?;
        row.map(|(_, old, new, salt, vault)| {
            let (old, new) = (Zeroizing::new(old), Zeroizing::new(new));
            Ok(PassphraseChange {
                old_auth_key: Secret::from_slice(&old).ok_or(StoreError::Corrupt("auth key"))?,
                new_auth_key: Secret::from_slice(&new).ok_or(StoreError::Corrupt("auth key"))?,
                new_auth_salt: salt.try_into().map_err(|_| StoreError::Corrupt("auth salt"))?,
                vault,
            })
        })
        .transpose()
    }

    /// Stores that a change of the passphrase begins, in place of one that had begun.
    ///
    /// # Errors
    /// What the database says.
    pub fn begin_passphrase_change(&mut self, change: &PassphraseChange) -> Result<(), StoreError> {
        diesel::replace_into(passphrase_change::table)
            .values((
                passphrase_change::id.eq(1),
                passphrase_change::old_auth_key.eq(&change.old_auth_key.expose()[..]),
                passphrase_change::new_auth_key.eq(&change.new_auth_key.expose()[..]),
                passphrase_change::new_auth_salt.eq(&change.new_auth_salt[..]),
                passphrase_change::vault.eq(&change.vault),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Forgets the change of the passphrase: it is done, or certainly not.
    ///
    /// # Errors
    /// What the database says.
    pub fn end_passphrase_change(&mut self) -> Result<(), StoreError> {
        diesel::delete(passphrase_change::table).execute(&mut self.conn)?;
        Ok(())
    }

    /// What the daemon knows this profile's deletion of its account by; `fresh` from now on, if none has begun.
    ///
    /// # Errors
    /// What the database says.
    pub fn begin_account_deletion(&mut self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let token: Option<Vec<u8>> =
            account_deletion::table.select(account_deletion::token).get_result(&mut self.conn).optional()?;
        if let Some(token) = token {
            return token.try_into().map_err(|_| StoreError::Corrupt("deletion token"));
        }
        diesel::insert_into(account_deletion::table)
            .values((account_deletion::id.eq(1), account_deletion::token.eq(&fresh[..])))
            .execute(&mut self.conn)?;
        Ok(fresh)
    }

    /// Whether a deletion of the account has begun.
    ///
    /// # Errors
    /// What the database says.
    pub fn account_deletion_has_begun(&mut self) -> Result<bool, StoreError> {
        let found: Option<i32> =
            account_deletion::table.select(account_deletion::id).get_result(&mut self.conn).optional()?;
        Ok(found.is_some())
    }
}
