//! Who this device is: written once, when the account is registered.

use diesel::{OptionalExtension, prelude::*};
use qchat_proto::{
    crypto::secret::Secret,
    ids::{AccountId, DeviceId, ServerId, UserName},
    wire::server_key::ServerKey,
};
use zeroize::Zeroizing;

use super::{StoreError, Tx, convert, schema::identity};

/// This device, its account and the daemon they are registered with. Holds the private keys.
pub struct Identity {
    /// The account.
    pub account: AccountId,
    /// This device.
    pub device: DeviceId,
    /// The account's name.
    pub name: UserName,
    /// The daemon's base URL.
    pub server_url: String,
    /// The daemon's TLS key, where it is not the system's roots that it is known by.
    pub server_key: Option<ServerKey>,
    /// The daemon that the account was registered with; no other is logged in to.
    pub server_id: ServerId,
    /// Seed of the device's signing key.
    pub device_key: Secret<64>,
    /// Seed of the account's identity key.
    pub account_key: Secret<64>,
    /// The signed certificate of this device, of which the leaf credential is made.
    pub certificate: Vec<u8>,
    /// Version of the newest device list that this device has signed or seen of its own account.
    pub list_version: u64,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("account", &self.account)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// Account and device.
pub(super) type StoredIds = (Vec<u8>, Vec<u8>);

type Row = (Vec<u8>, Vec<u8>, String, String, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, i64, Option<String>);

impl Tx {
    /// Who this device is; `None` until [`Tx::put_identity`].
    ///
    /// # Errors
    /// What the database says.
    pub fn identity(&mut self) -> Result<Option<Identity>, StoreError> {
        let row: Option<Row> = identity::table
            .select((
                identity::account,
                identity::device,
                identity::name,
                identity::server_url,
                identity::server_id,
                identity::device_key,
                identity::account_key,
                identity::certificate,
                identity::list_version,
                identity::server_key,
            ))
            .get_result(&mut self.conn)
            .optional()?;
        let Some((
            account,
            device,
            name,
            server_url,
            server_id,
            device_key,
            account_key,
            certificate,
            version,
            server_key,
        )) = row
        else {
            return Ok(None);
        };
        let (device_key, account_key) = (Zeroizing::new(device_key), Zeroizing::new(account_key));
        Ok(Some(Identity {
            account: convert::id("account id", &account)?,
            device: convert::id("device id", &device)?,
            name: name.parse().map_err(|_| StoreError::Corrupt("user name"))?,
            server_url,
            server_key: server_key
                .map(|key| key.parse().map_err(|_| StoreError::Corrupt("server key")))
                .transpose()?,
            server_id: convert::id("server id", &server_id)?,
            device_key: Secret::from_slice(&device_key).ok_or(StoreError::Corrupt("device key"))?,
            account_key: Secret::from_slice(&account_key).ok_or(StoreError::Corrupt("account key"))?,
            certificate,
            list_version: convert::unsigned("list version", version)?,
        }))
    }

    /// Stores who this device is, in place of what was stored.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_identity(&mut self, own: &Identity) -> Result<(), StoreError> {
        let labelled = self.labelled()?;
        diesel::replace_into(identity::table)
            .values((
                identity::id.eq(1),
                identity::labelled.eq(labelled),
                identity::account.eq(&own.account.as_bytes()[..]),
                identity::device.eq(&own.device.as_bytes()[..]),
                identity::name.eq(own.name.as_str()),
                identity::server_url.eq(&own.server_url),
                identity::server_id.eq(&own.server_id.as_bytes()[..]),
                identity::device_key.eq(&own.device_key.expose()[..]),
                identity::account_key.eq(&own.account_key.expose()[..]),
                identity::certificate.eq(&own.certificate),
                identity::list_version.eq(convert::number(own.list_version)?),
                identity::server_key.eq(own.server_key.map(|key| key.to_string())),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Stores where the daemon is from now on, and by which key it is known.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_server(&mut self, url: &str, key: Option<ServerKey>) -> Result<(), StoreError> {
        diesel::update(identity::table)
            .set((identity::server_url.eq(url), identity::server_key.eq(key.map(|key| key.to_string()))))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Stores the version of the own account's newest device list.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_own_list_version(&mut self, version: u64) -> Result<(), StoreError> {
        diesel::update(identity::table)
            .set(identity::list_version.eq(convert::number(version)?))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// The own account's id as stored, without touching the keys; empty when there is none.
    pub(super) fn own_account(&mut self) -> Result<Vec<u8>, StoreError> {
        let found: Option<Vec<u8>> =
            identity::table.select(identity::account).get_result(&mut self.conn).optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Account and device as stored; `None` when there is no identity.
    pub(super) fn own_ids(&mut self) -> Result<Option<StoredIds>, StoreError> {
        Ok(identity::table
            .select((identity::account, identity::device))
            .get_result(&mut self.conn)
            .optional()?)
    }
}
