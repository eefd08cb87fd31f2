//! When people were there last, by their own word.

use std::collections::HashMap;

use diesel::prelude::*;
use qchat_proto::ids::AccountId;

use super::{StoreError, Tx, convert, schema::last_seen};

impl Tx {
    /// Notes when somebody was there; never moves backwards.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_seen(&mut self, account: AccountId, at_ms: i64) -> Result<(), StoreError> {
        let account = &account.as_bytes()[..];
        diesel::insert_into(last_seen::table)
            .values((last_seen::account.eq(account), last_seen::at_ms.eq(at_ms)))
            .on_conflict_do_nothing()
            .execute(&mut self.conn)?;
        diesel::update(last_seen::table.find(account).filter(last_seen::at_ms.lt(at_ms)))
            .set(last_seen::at_ms.eq(at_ms))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// When everybody who has said so was there last, milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// What the database says.
    pub fn seen(&mut self) -> Result<HashMap<AccountId, i64>, StoreError> {
        let rows: Vec<(Vec<u8>, i64)> = last_seen::table.load(&mut self.conn)?;
        rows.into_iter().map(|(account, at_ms)| Ok((convert::id("account id", &account)?, at_ms))).collect()
    }
}
