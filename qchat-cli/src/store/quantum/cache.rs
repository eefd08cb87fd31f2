//! What a provider said of its devices, kept for a while.

use diesel::prelude::*;

use super::{QuantumStore, StoreError, convert, schema::cache};

impl QuantumStore {
    /// What was said under a name no longer than so many milliseconds ago.
    ///
    /// # Errors
    /// What the database says.
    pub fn cached(&self, name: &str, lifetime_ms: i64) -> Result<Option<String>, StoreError> {
        let now = convert::now_ms();
        self.read(|conn| {
            let found = cache::table
                .find(name)
                // Nor what a clock that was ahead has dated.
                .filter(cache::fetched_ms.between(now.saturating_sub(lifetime_ms), now))
                .select(cache::said)
                .first(conn)
                .optional()?;
            Ok(found)
        })
    }

    /// Keeps what was said under a name.
    ///
    /// # Errors
    /// What the database says.
    pub fn cache(&self, name: &str, said: &str) -> Result<(), StoreError> {
        let row = (cache::name.eq(name), cache::said.eq(said), cache::fetched_ms.eq(convert::now_ms()));
        self.write(|conn| {
            diesel::replace_into(cache::table).values(row).execute(conn)?;
            Ok(())
        })
    }
}
