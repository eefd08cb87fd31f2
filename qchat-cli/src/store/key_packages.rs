//! The private halves of the KeyPackages that the daemon gives out for this device.

use diesel::{OptionalExtension, prelude::*};
use zeroize::Zeroizing;

use super::{StoreError, Tx, convert, schema::key_packages};

/// What is needed to open a Welcome for one KeyPackage.
pub struct KeyPackageSecret {
    /// The KeyPackage's reference (RFC 9420 §5.2).
    pub id: Vec<u8>,
    /// As the MLS library wrote it; holds private keys.
    pub data: Zeroizing<Vec<u8>>,
    /// When the KeyPackage stops being good, seconds since the Unix epoch.
    pub expires_at: u64,
    /// Whether it may be used again and again.
    pub last_resort: bool,
    /// Whether the daemon has said that it has the public half.
    pub published: bool,
}

impl std::fmt::Debug for KeyPackageSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPackageSecret")
            .field("expires_at", &self.expires_at)
            .field("last_resort", &self.last_resort)
            .finish_non_exhaustive()
    }
}

type Row = (Vec<u8>, Vec<u8>, i64, bool, bool);

fn secret((id, data, expires_at, last_resort, published): Row) -> Result<KeyPackageSecret, StoreError> {
    Ok(KeyPackageSecret {
        id,
        data: Zeroizing::new(data),
        expires_at: convert::unsigned("expiry", expires_at)?,
        last_resort,
        published,
    })
}

impl Tx {
    /// The secrets for this KeyPackage, if they are still kept.
    ///
    /// # Errors
    /// What the database says.
    pub fn key_package(&mut self, id: &[u8]) -> Result<Option<KeyPackageSecret>, StoreError> {
        let row: Option<Row> = key_packages::table.find(id).get_result(&mut self.conn).optional()?;
        row.map(secret).transpose()
    }

    /// The secrets of every KeyPackage that this device may still be invited by.
    ///
    /// # Errors
    /// What the database says.
    pub fn key_packages(&mut self) -> Result<Vec<KeyPackageSecret>, StoreError> {
        let rows: Vec<Row> = key_packages::table.order(key_packages::expires_at).load(&mut self.conn)?;
        rows.into_iter().map(secret).collect()
    }

    /// When the newest last-resort KeyPackage that the daemon has stops being good, seconds since the Unix epoch.
    ///
    /// # Errors
    /// What the database says.
    pub fn last_resort_expiry(&mut self) -> Result<Option<u64>, StoreError> {
        let newest: Option<i64> = key_packages::table
            .filter(key_packages::last_resort.eq(true))
            .filter(key_packages::published.eq(true))
            .select(diesel::dsl::max(key_packages::expires_at))
            .get_result(&mut self.conn)?;
        newest.map(|newest| convert::unsigned("expiry", newest)).transpose()
    }

    /// Stores the secrets of a KeyPackage.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_key_package(&mut self, secret: &KeyPackageSecret) -> Result<(), StoreError> {
        diesel::replace_into(key_packages::table)
            .values((
                key_packages::id.eq(&secret.id),
                key_packages::data.eq(&secret.data[..]),
                // "For ever" is u64::MAX in a KeyPackage's lifetime.
                key_packages::expires_at.eq(i64::try_from(secret.expires_at).unwrap_or(i64::MAX)),
                key_packages::last_resort.eq(secret.last_resort),
                key_packages::published.eq(secret.published),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Notes that the daemon has the public halves of these KeyPackages.
    ///
    /// # Errors
    /// What the database says.
    pub fn note_published(&mut self, ids: &[Vec<u8>]) -> Result<(), StoreError> {
        diesel::update(key_packages::table.filter(key_packages::id.eq_any(ids)))
            .set(key_packages::published.eq(true))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Deletes the secrets of a KeyPackage for good; without them no Welcome for it can be opened.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_key_package(&mut self, id: &[u8]) -> Result<(), StoreError> {
        diesel::delete(key_packages::table.find(id)).execute(&mut self.conn)?;
        Ok(())
    }

    /// Deletes the secrets of all KeyPackages that expired before `now` (seconds since the Unix epoch); returns how
    /// many.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_expired_key_packages(&mut self, now: u64) -> Result<usize, StoreError> {
        let now = convert::number(now)?;
        Ok(diesel::delete(key_packages::table.filter(key_packages::expires_at.lt(now)))
            .execute(&mut self.conn)?)
    }
}
