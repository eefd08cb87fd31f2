//! The device list: all devices of an account, versioned and expiring, so that a revocation cannot be hidden for ever.

use super::{
    IdentityError,
    format::{Reader, Statement},
};
use crate::{
    crypto::sign::{Account, AccountPublicKey, AccountSigningKey, Level, SignatureUse},
    ids::{AccountId, DeviceId},
};

const WHAT: Statement = Statement::DeviceList;

/// One line of a [`DeviceList`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListedDevice {
    /// The device.
    pub device: DeviceId,
    /// SHA-384 of its key.
    pub device_key_hash: [u8; 48],
}

/// The devices of an account, and no others.
///
/// | bytes | content |
/// |---|---|
/// | 2 | version 1, kind 3 |
/// | 16 | account id |
/// | 8 | `version` |
/// | 8 | `issued_at` |
/// | 8 | `expires_at`, later than `issued_at` |
/// | 1 | number of devices n, 0 to 100 |
/// | n × 64 | device id (16), SHA-384 of its key (48); ids ascending, none twice |
/// | 4691 | signature by the account identity key over all of the above |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceList {
    /// The account.
    pub account: AccountId,
    /// Grows with each list of the account.
    pub version: u64,
    /// Seconds since the Unix epoch.
    pub issued_at: u64,
    /// The first second at which the list is no longer good.
    pub expires_at: u64,
    /// Sorted by device id.
    pub devices: Vec<ListedDevice>,
}

impl DeviceList {
    /// Most devices of an account.
    pub const MOST_DEVICES: usize = 100;
    /// The life that a client gives a new list, seconds: 30 days. Shorter hides a revocation for less time, longer
    /// keeps an account reachable whose owner is away.
    pub const LIFETIME: u64 = 30 * 24 * 60 * 60;

    /// Signs the list. `devices` has to be sorted by id.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`] when the devices are too many, unsorted or doubled, or the times are in the wrong
    /// order.
    pub fn sign(&self, identity: &AccountSigningKey) -> Result<Vec<u8>, IdentityError> {
        self.check()?;
        let mut bytes = WHAT.begin();
        bytes.extend(self.account.as_bytes());
        for number in [self.version, self.issued_at, self.expires_at] {
            bytes.extend(number.to_be_bytes());
        }
        // `check` has seen that there are 100 at most.
        bytes.push(u8::try_from(self.devices.len()).unwrap_or(u8::MAX));
        for listed in &self.devices {
            bytes.extend(listed.device.as_bytes());
            bytes.extend(listed.device_key_hash);
        }
        bytes.extend(identity.sign(SignatureUse::DeviceList, &bytes)?);
        Ok(bytes)
    }

    /// Reads a list and checks that `identity` signed it and that it is still good at `now`.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`], [`IdentityError::Forged`] or [`IdentityError::Expired`].
    pub fn verify(bytes: &[u8], identity: &AccountPublicKey, now: u64) -> Result<Self, IdentityError> {
        let (list, signed, signature) = Self::decode(bytes)?;
        identity
            .verify(SignatureUse::DeviceList, signed, signature)
            .map_err(|_| IdentityError::Forged(WHAT.name()))?;
        if now >= list.expires_at {
            return Err(IdentityError::Expired { what: WHAT.name(), expired_at: list.expires_at, now });
        }
        Ok(list)
    }

    /// Reads a list that was verified before it was stored; nothing is checked again.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`].
    pub fn stored(bytes: &[u8]) -> Result<Self, IdentityError> {
        Self::decode(bytes).map(|(list, ..)| list)
    }

    /// Reads without believing: what is signed and the signature are returned, not checked.
    fn decode(bytes: &[u8]) -> Result<(Self, &[u8], &[u8]), IdentityError> {
        let mut reader = Reader::new(bytes, WHAT)?;
        let mut list = Self {
            account: reader.account()?,
            version: reader.u64()?,
            issued_at: reader.u64()?,
            expires_at: reader.u64()?,
            devices: Vec::new(),
        };
        let [count] = reader.array()?;
        for _ in 0..count {
            list.devices.push(ListedDevice { device: reader.device()?, device_key_hash: reader.array()? });
        }
        list.check()?;
        let signed = reader.so_far();
        let signature = reader.bytes(Account::SIGNATURE)?;
        reader.end()?;
        Ok((list, signed, signature))
    }

    /// The list that follows this one: of the next version that is above `above` too, signed later. Certificates of devices
    /// that it names first are dated `issued_at`; see [`DeviceList::excludes`].
    #[must_use]
    pub fn next(&self, above: u64, now: u64) -> Self {
        let issued_at = now.max(self.issued_at.saturating_add(1));
        Self {
            account: self.account,
            version: self.version.max(above).saturating_add(1),
            issued_at,
            expires_at: issued_at.saturating_add(Self::LIFETIME),
            devices: self.devices.clone(),
        }
    }

    /// Whether this list says that a device which was certified at `certified_at` is none of the account's any more.
    ///
    /// A certificate is dated as the list that names its device first, and each list is dated later than the one before it,
    /// whatever the clocks of the account's devices say. So a list that is no older than the certificate, and does not name
    /// the device, came after one that did; an older list says nothing about it.
    pub fn excludes(&self, device: DeviceId, certified_at: u64) -> bool {
        self.issued_at >= certified_at && self.listed(device).is_none()
    }

    /// Adds a device, in its place.
    pub fn add(&mut self, device: ListedDevice) {
        match self.devices.binary_search_by_key(&device.device, |listed| listed.device) {
            Ok(place) => self.devices[place] = device,
            Err(place) => self.devices.insert(place, device),
        }
    }

    /// The line of a device.
    pub fn listed(&self, device: DeviceId) -> Option<&ListedDevice> {
        let place = self.devices.binary_search_by_key(&device, |listed| listed.device).ok()?;
        self.devices.get(place)
    }

    /// What an encoded list says, without its signature: signing the same list again says nothing new.
    pub(super) fn said(encoded: &[u8]) -> &[u8] {
        &encoded[..encoded.len().saturating_sub(Account::SIGNATURE)]
    }

    fn check(&self) -> Result<(), IdentityError> {
        let ascending = self.devices.windows(2).all(|pair| pair[0].device < pair[1].device);
        if ascending && self.devices.len() <= Self::MOST_DEVICES && self.issued_at < self.expires_at {
            Ok(())
        } else {
            Err(IdentityError::Malformed(WHAT.name()))
        }
    }
}
