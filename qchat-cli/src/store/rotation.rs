//! The signature keys of this device one after the other: the next one while it is on its way, and those before.

use diesel::prelude::*;
use qchat_proto::{crypto::secret::Secret, mls::device::KEY_PACKAGE_LIFETIME};
use zeroize::Zeroizing;

use super::{
    StoreError, Tx, convert,
    schema::{former_keys, identity, key_packages, renewals, rotation},
};

/// A signature key of this device's.
pub struct DeviceKey {
    /// Its seed.
    pub seed: Secret<64>,
    /// The signed certificate of it.
    pub certificate: Vec<u8>,
}

/// The identity key of this device's account, and the record that names it.
pub struct AccountIdentity {
    /// Its seed.
    pub seed: Secret<64>,
    /// The signed record.
    pub record: Vec<u8>,
}

/// What takes the place of a device's keys next.
pub struct NextKey {
    /// The signature key of the device.
    pub key: DeviceKey,
    /// The identity key of the account, when that is replaced as well.
    pub account: Option<AccountIdentity>,
}

impl std::fmt::Debug for NextKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NextKey").field("of_account", &self.account.is_some()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceKey").finish_non_exhaustive()
    }
}

fn device_key(seed: Vec<u8>, certificate: Vec<u8>) -> Result<DeviceKey, StoreError> {
    let seed = Zeroizing::new(seed);
    Ok(DeviceKey { seed: Secret::from_slice(&seed).ok_or(StoreError::Corrupt("device key"))?, certificate })
}

impl Tx {
    /// How many signature keys this device had before the one that it has.
    ///
    /// # Errors
    /// What the database says.
    pub fn key_number(&mut self) -> Result<i64, StoreError> {
        Ok(rotation::table.select(rotation::number).get_result(&mut self.conn)?)
    }

    /// The next signature key, whose certificate the daemon may have or not.
    ///
    /// # Errors
    /// What the database says.
    pub fn next_key(&mut self) -> Result<Option<NextKey>, StoreError> {
        type Row = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);
        let (seed, certificate, account, record): Row = rotation::table
            .select((
                rotation::next_key,
                rotation::next_certificate,
                rotation::next_account_key,
                rotation::next_record,
            ))
            .get_result(&mut self.conn)?;
        let (Some(seed), Some(certificate)) = (seed, certificate) else { return Ok(None) };
        let account = match (account.map(Zeroizing::new), record) {
            (Some(seed), Some(record)) => {
                let seed = Secret::from_slice(&seed).ok_or(StoreError::Corrupt("account key"))?;
                Some(AccountIdentity { seed, record })
            }
            _ => None,
        };
        Ok(Some(NextKey { key: device_key(seed, certificate)?, account }))
    }

    /// Stores the next signature key. Belongs into the transaction that stores the device list with it.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_next_key(&mut self, next: &NextKey) -> Result<(), StoreError> {
        let NextKey { key, account } = next;
        let next = (
            rotation::next_key.eq(&key.seed.expose()[..]),
            rotation::next_certificate.eq(&key.certificate),
            rotation::next_account_key.eq(account.as_ref().map(|account| &account.seed.expose()[..])),
            rotation::next_record.eq(account.as_ref().map(|account| &account.record)),
        );
        diesel::update(rotation::table).set(next).execute(&mut self.conn)?;
        Ok(())
    }

    /// Puts the next signature key in the place of the one before, which is kept for what still has it, and the account's
    /// identity key where there is another; has new KeyPackages made, and fresh keys in every room. `now`: seconds since the
    /// Unix epoch.
    ///
    /// # Errors
    /// What the database says; [`StoreError::Corrupt`] when there is no next key.
    pub fn take_next_key(&mut self, now: u64) -> Result<(), StoreError> {
        let next = self.next_key()?.ok_or(StoreError::Corrupt("next key"))?;
        let own = self.identity()?.ok_or(StoreError::Corrupt("identity"))?;
        let number = self.key_number()?;
        diesel::insert_into(former_keys::table)
            .values((
                former_keys::number.eq(number),
                former_keys::device_key.eq(&own.device_key.expose()[..]),
                former_keys::certificate.eq(&own.certificate),
                former_keys::until.eq(convert::number(now.saturating_add(KEY_PACKAGE_LIFETIME))?),
            ))
            .execute(&mut self.conn)?;
        diesel::update(identity::table)
            .set((
                identity::device_key.eq(&next.key.seed.expose()[..]),
                identity::certificate.eq(&next.key.certificate),
            ))
            .execute(&mut self.conn)?;
        if let Some(account) = &next.account {
            // The name that the other devices know it by is sealed under the key of before.
            diesel::update(identity::table)
                .set((identity::account_key.eq(&account.seed.expose()[..]), identity::labelled.eq(false)))
                .execute(&mut self.conn)?;
            self.untell_notes()?;
        }
        diesel::update(rotation::table)
            .set((
                rotation::number.eq(number + 1),
                rotation::next_key.eq(None::<Vec<u8>>),
                rotation::next_certificate.eq(None::<Vec<u8>>),
                rotation::next_account_key.eq(None::<Vec<u8>>),
                rotation::next_record.eq(None::<Vec<u8>>),
            ))
            .execute(&mut self.conn)?;
        // The daemon has withdrawn them.
        diesel::update(key_packages::table).set(key_packages::published.eq(false)).execute(&mut self.conn)?;
        self.renew_everywhere()
    }

    /// Lets this device owe every room fresh keys, whenever it has last given itself some.
    ///
    /// # Errors
    /// What the database says.
    pub fn renew_everywhere(&mut self) -> Result<(), StoreError> {
        diesel::update(renewals::table).set(renewals::at.eq(0)).execute(&mut self.conn)?;
        Ok(())
    }

    /// The signature keys that this device had before, the oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn former_keys(&mut self) -> Result<Vec<DeviceKey>, StoreError> {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = former_keys::table
            .select((former_keys::device_key, former_keys::certificate))
            .order(former_keys::number)
            .load(&mut self.conn)?;
        rows.into_iter().map(|(seed, certificate)| device_key(seed, certificate)).collect()
    }

    /// Deletes the former keys that nothing has any more at `now` (seconds since the Unix epoch); how many.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_former_keys(&mut self, now: u64) -> Result<usize, StoreError> {
        let over = former_keys::table.filter(former_keys::until.lt(convert::number(now)?));
        Ok(diesel::delete(over).execute(&mut self.conn)?)
    }
}
