//! A server's whole answer about an account, believed only as far as it is signed and fits what was seen before.

use super::{
    AccountRecord, DeviceCertificate, DeviceList, IdentityError,
    format::{Reader, Statement},
};
use crate::{
    crypto::kdf,
    ids::{AccountId, DeviceId, UserName},
};

/// What the server was asked for, which its answer has to be about.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// By name.
    Name(&'a UserName),
    /// By id.
    Account(AccountId),
}

/// What the server answered, unverified.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    /// An encoded [`AccountRecord`].
    pub record: &'a [u8],
    /// An encoded [`DeviceList`].
    pub list: &'a [u8],
    /// Encoded [`DeviceCertificate`]s, in any order; those of devices not on the list are ignored.
    pub certificates: Vec<&'a [u8]>,
}

/// What is remembered of an account from the first time it was seen: all that the next answer is held against.
///
/// Encoded for storage as version 1, kind 6, then the fields in order: 178 bytes. Not signed; it is the client's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pinned {
    /// The account.
    pub account: AccountId,
    /// SHA-384 of its identity key.
    pub identity_key_hash: [u8; 48],
    /// SHA-384 of its recovery key.
    pub recovery_key_hash: [u8; 48],
    /// `created_at` of its record.
    pub record_created_at: u64,
    /// `version` of its newest device list.
    pub list_version: u64,
    /// SHA-384 of what that list says: all but its signature.
    pub list_hash: [u8; 48],
}

/// An answer that holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedDirectory {
    /// The account's record.
    pub record: AccountRecord,
    /// Its devices.
    pub list: DeviceList,
    /// One verified certificate for each device on the list, in the list's order.
    pub certificates: Vec<DeviceCertificate>,
    list_hash: [u8; 48],
}

impl VerifiedDirectory {
    /// What to remember, in place of the former pin.
    pub fn pin(&self) -> Pinned {
        Pinned {
            account: self.record.account,
            identity_key_hash: self.record.identity_key.hash(),
            recovery_key_hash: self.record.recovery_key.hash(),
            record_created_at: self.record.created_at,
            list_version: self.list.version,
            list_hash: self.list_hash,
        }
    }

    /// The listed devices.
    pub fn device_ids(&self) -> Vec<DeviceId> {
        self.list.devices.iter().map(|listed| listed.device).collect()
    }

    /// The certificate of a listed device.
    pub fn certificate(&self, device: DeviceId) -> Option<&DeviceCertificate> {
        self.certificates.iter().find(|certificate| certificate.device == device)
    }
}

impl Pinned {
    /// What to remember of an account by its record and a device list of its, both verified; `encoded` is that list.
    pub fn of(record: &AccountRecord, list: &DeviceList, encoded: &[u8]) -> Self {
        Self {
            account: record.account,
            identity_key_hash: record.identity_key.hash(),
            recovery_key_hash: record.recovery_key.hash(),
            record_created_at: record.created_at,
            list_version: list.version,
            list_hash: kdf::sha384(&[DeviceList::said(encoded)]),
        }
    }

    /// The same with a newer list of the account's, verified, which `encoded` is.
    #[must_use]
    pub fn with_list(&self, list: &DeviceList, encoded: &[u8]) -> Self {
        let list_hash = kdf::sha384(&[DeviceList::said(encoded)]);
        Self { list_version: list.version, list_hash, ..self.clone() }
    }

    /// Size of an encoded pin, bytes.
    pub const SIZE: usize = 178;

    /// Encodes the pin.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Statement::Pinned.begin();
        bytes.extend(self.account.as_bytes());
        bytes.extend(self.identity_key_hash);
        bytes.extend(self.recovery_key_hash);
        bytes.extend(self.record_created_at.to_be_bytes());
        bytes.extend(self.list_version.to_be_bytes());
        bytes.extend(self.list_hash);
        bytes
    }

    /// Decodes a pin.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, IdentityError> {
        let mut reader = Reader::new(bytes, Statement::Pinned)?;
        let pinned = Self {
            account: reader.account()?,
            identity_key_hash: reader.array()?,
            recovery_key_hash: reader.array()?,
            record_created_at: reader.u64()?,
            list_version: reader.u64()?,
            list_hash: reader.array()?,
        };
        reader.end()?;
        Ok(pinned)
    }

    fn admits_record(&self, record: &AccountRecord) -> Result<(), IdentityError> {
        if record.account != self.account {
            return Err(IdentityError::Mismatch { what: "account record", about: "account" });
        }
        let same_recovery = record.recovery_key.hash() == self.recovery_key_hash;
        // First of all: a record of before a recovery has the recovery key's signature too, and the stolen AIK.
        if same_recovery && record.created_at < self.record_created_at {
            return Err(IdentityError::RolledBack {
                what: "account record",
                known: self.record_created_at,
                offered: record.created_at,
            });
        }
        if same_recovery && record.identity_key.hash() == self.identity_key_hash {
            return Ok(());
        }
        Err(IdentityError::IdentityChanged { account: record.account, by_recovery_key: same_recovery })
    }

    fn admits_list(&self, list: &DeviceList, hash: &[u8; 48]) -> Result<(), IdentityError> {
        let (known, offered) = (self.list_version, list.version);
        if offered < known {
            return Err(IdentityError::RolledBack { what: "device list", known, offered });
        }
        if offered == known && *hash != self.list_hash {
            return Err(IdentityError::Forked { version: offered });
        }
        Ok(())
    }
}

/// What an encoded record says, without its signatures.
pub(crate) fn said_of_record(encoded: &[u8]) -> &[u8] {
    AccountRecord::said(encoded)
}

/// What an encoded list says, without its signature.
pub(crate) fn said_of_list(encoded: &[u8]) -> &[u8] {
    DeviceList::said(encoded)
}

/// Checks a directory answer: it is about what was `asked`; the record proves itself and has the pinned keys; the list
/// is signed by the record's identity key, has not expired at `now` (seconds since the Unix epoch) and is no older
/// than the pinned one; every listed device has a certificate, of the listed key, by the same identity key.
///
/// Certificates of unlisted devices are decoded and dropped. Without a pin the keys are those of first use. To accept a
/// changed identity the caller asks its user, forgets the pin, and calls again.
///
/// # Errors
/// See [`IdentityError`].
pub fn verify_directory(
    asked: Asked<'_>,
    answer: &Answer<'_>,
    pinned: Option<&Pinned>,
    now: u64,
) -> Result<VerifiedDirectory, IdentityError> {
    let record = AccountRecord::verify(answer.record)?;
    let about = match asked {
        Asked::Name(name) if *name != record.name => Some("name"),
        Asked::Account(account) if account != record.account => Some("account"),
        _ => None,
    };
    if let Some(about) = about {
        return Err(IdentityError::Mismatch { what: "account record", about });
    }
    if let Some(pinned) = pinned {
        pinned.admits_record(&record)?;
    }
    let list = DeviceList::verify(answer.list, &record.identity_key, now)?;
    if list.account != record.account {
        return Err(IdentityError::Mismatch { what: "device list", about: "account" });
    }
    let list_hash = kdf::sha384(&[DeviceList::said(answer.list)]);
    if let Some(pinned) = pinned {
        pinned.admits_list(&list, &list_hash)?;
    }
    let certificates = certificates(&record, &list, &answer.certificates)?;
    Ok(VerifiedDirectory { record, list, certificates, list_hash })
}

fn certificates(
    record: &AccountRecord,
    list: &DeviceList,
    offered: &[&[u8]],
) -> Result<Vec<DeviceCertificate>, IdentityError> {
    let mut found = vec![None; list.devices.len()];
    for bytes in offered {
        let (claimed, signature) = DeviceCertificate::decode(bytes)?;
        let Ok(place) = list.devices.binary_search_by_key(&claimed.device, |listed| listed.device) else {
            continue;
        };
        // A device that got a new key may have two certificates; the list says which one counts.
        if claimed.device_key.hash() != list.devices[place].device_key_hash {
            continue;
        }
        if claimed.account != record.account {
            return Err(IdentityError::Mismatch { what: "device certificate", about: "account" });
        }
        claimed.check(signature, &record.identity_key)?;
        found[place] = Some(claimed);
    }
    found
        .into_iter()
        .zip(&list.devices)
        .map(|(certificate, listed)| certificate.ok_or(IdentityError::GhostDevice { device: listed.device }))
        .collect()
}
