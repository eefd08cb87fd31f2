//! What the old device hands over: all that makes the new one a device of the account.

use zeroize::Zeroizing;

use super::{LinkAnswer, LinkError, LinkHello, Transcript, new};
use crate::{
    crypto::{
        entropy::Entropy,
        secret::Secret,
        sign::{Account, AccountSigningKey, DevicePublicKey, Level},
    },
    identity::{
        AccountRecord, DeviceCertificate, DeviceList, IdentityError, Pinned,
        format::{Reader, Statement, put_counted, put_text},
    },
    ids::UserName,
};

pub(super) const GRANT: Statement = Statement::LinkGrant;
pub(super) const GRANT_INFO: &[u8] = b"qchat link grant v1";

/// Bytes of a device certificate.
const CERTIFICATE: usize =
    2 + 16 + 16 + <crate::crypto::sign::Device as Level>::PUBLIC_KEY + 48 + 8 + Account::SIGNATURE;
const VERIFIED: u8 = 1;
const CHANGED: u8 = 2;

/// Somebody whom the account knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HandedContact {
    /// Their name.
    pub name: UserName,
    /// What was pinned.
    pub pinned: Pinned,
    /// Whether the user has compared the safety number.
    pub verified: bool,
    /// When they were first seen, milliseconds since the Unix epoch.
    pub first_seen_ms: i64,
    /// The record that is pinned and the one that the server shows now, where they differ and the user has not accepted
    /// that.
    pub changed: Option<(Vec<u8>, Vec<u8>)>,
}

/// The grant, opened. Holds the account's secret.
///
/// | bytes | content |
/// |---|---|
/// | 64 | seed of the account identity key |
/// | 4 + n | length of the account record, the record |
/// | 6765 | the new device's certificate |
/// | 4 + n | length of the device list, the list |
/// | 4 | number of contacts, and each of them: |
/// | 1 | 1: verified, 2: changed, or their sum |
/// | 1 + 1..=32 | length of the name, the name |
/// | 178 | pinned identity |
/// | 8 | when first seen, milliseconds |
/// | 4 + n, 4 + n | where changed: the pinned record and the one that is shown now, each with its length |
///
/// It travels as version 1, kind 10 ‖ encapsulated key (1120) ‖ ciphertext of the above.
pub struct Grant {
    /// Seed of the account's identity key.
    pub account_key: Secret<64>,
    /// The signed account record.
    pub record: Vec<u8>,
    /// The signed certificate of the new device.
    pub certificate: Vec<u8>,
    /// The signed device list that names it.
    pub list: Vec<u8>,
    /// Whom the account knows.
    pub contacts: Vec<HandedContact>,
}

impl Grant {
    /// Seals it for the device that said `hello`, bound to everything that was said before.
    ///
    /// # Errors
    /// [`LinkError::Sealed`] when the hello's key is none, [`LinkError::Entropy`].
    pub fn seal(
        &self,
        hello: &LinkHello,
        transcript: &Transcript,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, LinkError> {
        new::seal(GRANT, entropy, &hello.transfer_key, GRANT_INFO, transcript.as_bytes(), &self.encode())
    }

    /// Encodes it; the caller seals it.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut rest = vec![];
        put_counted(&mut rest, &self.record);
        rest.extend(&self.certificate);
        put_counted(&mut rest, &self.list);
        rest.extend(u32::try_from(self.contacts.len()).unwrap_or(u32::MAX).to_be_bytes());
        for contact in &self.contacts {
            let verified = if contact.verified { VERIFIED } else { 0 };
            let changed = if contact.changed.is_some() { CHANGED } else { 0 };
            rest.push(verified | changed);
            put_text(&mut rest, contact.name.as_str());
            rest.extend(contact.pinned.encode());
            rest.extend(contact.first_seen_ms.to_be_bytes());
            if let Some((pinned, shown)) = &contact.changed {
                put_counted(&mut rest, pinned);
                put_counted(&mut rest, shown);
            }
        }
        // Of the right size at once: growing would leave copies of the seed behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(64 + rest.len()));
        bytes.extend_from_slice(self.account_key.expose());
        bytes.extend_from_slice(&rest);
        bytes
    }

    /// Reads what was sealed. Nothing is believed: [`NewDevice::accept`](super::NewDevice::accept) does.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, IdentityError> {
        let mut reader = Reader::inside(bytes, GRANT);
        let seed = reader.bytes(64)?;
        let account_key = Secret::from_slice(seed).ok_or_else(|| reader.malformed())?;
        let record = reader.counted()?.to_vec();
        let certificate = reader.bytes(CERTIFICATE)?.to_vec();
        let list = reader.counted()?.to_vec();
        let mut contacts = vec![];
        for _ in 0..reader.number()? {
            contacts.push(contact(&mut reader)?);
        }
        reader.end()?;
        Ok(Self { account_key, record, certificate, list, contacts })
    }

    /// Whether it is of the account that `answer` named, and makes the device that said `hello` one of its devices.
    pub(super) fn check(&self, hello: &LinkHello, answer: &LinkAnswer, now: u64) -> Result<(), LinkError> {
        let key = AccountSigningKey::from_seed(Secret::from_bytes(*self.account_key.expose()))?;
        let record = AccountRecord::verify(&self.record)?;
        let same = record.account == answer.account
            && record.identity_key == *key.public()
            && record.identity_key.hash() == answer.identity_key_hash
            && record.recovery_key.hash() == answer.recovery_key_hash;
        if !same {
            return Err(LinkError::Mismatch("account"));
        }
        if record.name != hello.account_name {
            return Err(LinkError::Mismatch("name"));
        }
        let certificate = DeviceCertificate::verify(&self.certificate, &record.identity_key)?;
        let mine = |device, key: &DevicePublicKey| device == hello.device && *key == hello.device_key;
        if certificate.account != record.account || !mine(certificate.device, &certificate.device_key) {
            return Err(LinkError::Mismatch("device"));
        }
        let list = DeviceList::verify(&self.list, &record.identity_key, now)?;
        let listed =
            list.listed(hello.device).is_some_and(|listed| listed.device_key_hash == hello.device_key.hash());
        if list.account != record.account || !listed {
            return Err(IdentityError::Mismatch { what: "device list", about: "device" }.into());
        }
        Ok(())
    }
}

fn contact(reader: &mut Reader<'_>) -> Result<HandedContact, IdentityError> {
    let [flags] = reader.array()?;
    if flags & !(VERIFIED | CHANGED) != 0 {
        return Err(reader.malformed());
    }
    let name = reader.name()?;
    let pinned = Pinned::decode(reader.bytes(Pinned::SIZE)?)?;
    let first_seen_ms = i64::from_be_bytes(reader.array()?);
    let changed = if flags & CHANGED == 0 {
        None
    } else {
        Some((reader.counted()?.to_vec(), reader.counted()?.to_vec()))
    };
    Ok(HandedContact { name, pinned, verified: flags & VERIFIED != 0, first_seen_ms, changed })
}
