//! People, as they were pinned when they were first seen, and their account keys.

use diesel::{OptionalExtension, dsl::exists, prelude::*};
use qchat_proto::{
    identity::{DeviceList, Pinned},
    ids::{AccountId, RoomId, UserName},
};

use super::{
    StoreError, Tx, convert,
    schema::{account_keys, contacts, roster},
};

/// A person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contact {
    /// The account.
    pub account: AccountId,
    /// Its name; no two contacts share one.
    pub name: UserName,
    /// The signed account record that is pinned.
    pub record: Vec<u8>,
    /// What the daemon's next answer is held against: hash of the identity key, version of the device list, and more.
    pub pinned: Pinned,
    /// The newest signed device list.
    pub device_list: Vec<u8>,
    /// When the account was first seen, milliseconds since the Unix epoch.
    pub first_seen_ms: i64,
    /// A record with other keys that the daemon now shows; while it stands, nothing is sent to this person.
    pub changed_record: Option<Vec<u8>>,
    /// Whether the user has compared the safety number.
    pub verified: bool,
    /// Since when this person is verified, is not, or has changed, milliseconds since the Unix epoch; `None` where it was
    /// not noted.
    pub since_ms: Option<i64>,
}

/// How far a person's keys are trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// As they were when the account was first seen, or accepted.
    Unverified,
    /// The user has compared the safety number.
    Verified,
    /// The daemon shows other keys than those that are pinned, which the user has not accepted.
    Changed,
}

impl Contact {
    /// How far this person's keys are trusted.
    pub fn standing(&self) -> Standing {
        match (&self.changed_record, self.verified) {
            (Some(_), _) => Standing::Changed,
            (None, true) => Standing::Verified,
            (None, false) => Standing::Unverified,
        }
    }
}

/// An account's public identity key, found by the hash that credentials carry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountKey {
    /// Whose it is.
    pub account: AccountId,
    /// The encoded public key.
    pub public_key: Vec<u8>,
}

type Row = (Vec<u8>, String, Vec<u8>, Vec<u8>, Vec<u8>, i64, Option<Vec<u8>>, bool, Option<i64>);

fn contact(row: Row) -> Result<Contact, StoreError> {
    let (account, name, record, pinned, device_list, first_seen_ms, changed_record, verified, since_ms) = row;
    Ok(Contact {
        account: convert::id("account id", &account)?,
        name: name.parse().map_err(|_| StoreError::Corrupt("user name"))?,
        record,
        pinned: Pinned::decode(&pinned).map_err(|_| StoreError::Corrupt("pin"))?,
        device_list,
        first_seen_ms,
        changed_record,
        verified,
        since_ms,
    })
}

impl Tx {
    /// The contact with this account id.
    ///
    /// # Errors
    /// What the database says.
    pub fn contact(&mut self, account: AccountId) -> Result<Option<Contact>, StoreError> {
        let row: Option<Row> =
            contacts::table.find(&account.as_bytes()[..]).get_result(&mut self.conn).optional()?;
        row.map(contact).transpose()
    }

    /// The contact with this name.
    ///
    /// # Errors
    /// What the database says.
    pub fn contact_by_name(&mut self, name: &UserName) -> Result<Option<Contact>, StoreError> {
        let row: Option<Row> =
            contacts::table.filter(contacts::name.eq(name.as_str())).get_result(&mut self.conn).optional()?;
        row.map(contact).transpose()
    }

    /// The newest device list of an account that was verified here.
    ///
    /// # Errors
    /// What the database says.
    pub fn stored_device_list(&mut self, account: AccountId) -> Result<Option<DeviceList>, StoreError> {
        let list: Option<Vec<u8>> = contacts::table
            .find(&account.as_bytes()[..])
            .select(contacts::device_list)
            .get_result(&mut self.conn)
            .optional()?;
        // Empty where the account is known by another device's word alone.
        let list = list.filter(|list| !list.is_empty());
        list.map(|list| DeviceList::stored(&list).map_err(|_| StoreError::Corrupt("device list"))).transpose()
    }

    /// All contacts, by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn contacts(&mut self) -> Result<Vec<Contact>, StoreError> {
        let rows: Vec<Row> = contacts::table.order(contacts::name).load(&mut self.conn)?;
        rows.into_iter().map(contact).collect()
    }

    /// The name of somebody in this room's group whose identity key has changed and was not accepted.
    ///
    /// # Errors
    /// What the database says.
    pub fn changed_member(&mut self, room: RoomId) -> Result<Option<UserName>, StoreError> {
        // From the few who have changed to the room, not from its thousand members to their records.
        let member = roster::table
            .filter(roster::account.eq(contacts::account))
            .filter(roster::room.eq(&room.as_bytes()[..]));
        let name: Option<String> = contacts::table
            .filter(contacts::changed_record.is_not_null())
            .filter(exists(member))
            .order(contacts::name)
            .select(contacts::name)
            .get_result(&mut self.conn)
            .optional()?;
        name.map(|name| name.parse().map_err(|_| StoreError::Corrupt("user name"))).transpose()
    }

    /// Stores a contact in place of what was stored of this account.
    ///
    /// # Errors
    /// What the database says; a unique violation when another account has this name: the caller looks that up first,
    /// since a name that moves to another account is a swapped key to its user.
    pub fn put_contact(&mut self, contact: &Contact) -> Result<(), StoreError> {
        let values = (
            contacts::name.eq(contact.name.as_str()),
            contacts::record.eq(&contact.record),
            contacts::pinned.eq(contact.pinned.encode()),
            contacts::device_list.eq(&contact.device_list),
            contacts::first_seen_ms.eq(contact.first_seen_ms),
            contacts::changed_record.eq(contact.changed_record.as_deref()),
            contacts::verified.eq(contact.verified),
            contacts::since_ms.eq(contact.since_ms),
        );
        // Not "replace into", which would silently delete another account of the same name.
        diesel::insert_into(contacts::table)
            .values((contacts::account.eq(&contact.account.as_bytes()[..]), values.clone()))
            .on_conflict(contacts::account)
            .do_update()
            .set(values)
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// The account key with this hash (SHA-384), those of earlier pins included.
    ///
    /// # Errors
    /// What the database says.
    pub fn account_key(&mut self, hash: &[u8; 48]) -> Result<Option<AccountKey>, StoreError> {
        let row: Option<(Vec<u8>, Vec<u8>)> = account_keys::table
            .find(&hash[..])
            .select((account_keys::account, account_keys::public_key))
            .get_result(&mut self.conn)
            .optional()?;
        row.map(|(account, public_key)| {
            Ok(AccountKey { account: convert::id("account id", &account)?, public_key })
        })
        .transpose()
    }

    /// Stores an account key under its hash. The caller has verified the record it comes from.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_account_key(&mut self, hash: &[u8; 48], key: &AccountKey) -> Result<(), StoreError> {
        diesel::insert_or_ignore_into(account_keys::table)
            .values((
                account_keys::key_hash.eq(&hash[..]),
                account_keys::account.eq(&key.account.as_bytes()[..]),
                account_keys::public_key.eq(&key.public_key),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }
}
