//! How an account's devices are called: known to its own devices, and to nobody else.

use std::fmt;

use super::{
    IdentityError,
    format::{Reader, Statement, put_text},
};
use crate::{
    crypto::{
        aead,
        entropy::{Entropy, EntropyError},
        kdf::{self, KdfLengthError},
        secret::Secret,
    },
    ids::{AccountId, DeviceId},
    sanitize,
};

const WHAT: Statement = Statement::DeviceLabel;
const KEY_INFO: &[u8] = b"qchat device labels v1";
/// Labels are as long as each other: what a longer one says fits.
const PLAIN: usize = 96;

/// A device's name: 1 to 64 bytes of UTF-8 on one line, fit for a terminal. What was read from elsewhere is put through
/// [`sanitize`] again where it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceName(String);

impl DeviceName {
    /// Longest name, bytes.
    pub const MOST: usize = 64;

    /// Makes a name of a text: what a terminal would obey is made visible, white space is joined, and what is too long is cut
    /// off. `None` when nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let mut name = sanitize::name(text, Self::MOST);
        while name.len() > Self::MOST {
            name.pop();
        }
        Self::read(name.trim_end())
    }

    /// The name of what has none.
    pub fn nameless() -> Self {
        Self("device".to_owned())
    }

    /// Takes a text that is a name already.
    pub(super) fn read(text: &str) -> Option<Self> {
        (1..=Self::MOST).contains(&text.len()).then(|| Self(text.to_owned()))
    }

    /// The name as text; not fit for a terminal when another device chose it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&sanitize::line(&self.0))
    }
}

/// What an account's devices know of one of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceLabel {
    /// How it is called.
    pub name: DeviceName,
    /// Which device let it in; itself, when it is the account's first.
    pub added_by: DeviceId,
}

/// A label cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The key could not be derived, or nothing be encrypted.
    #[error("the label could not be sealed")]
    Seal,
}

impl From<KdfLengthError> for LabelError {
    fn from(_: KdfLengthError) -> Self {
        Self::Seal
    }
}

impl DeviceLabel {
    /// Seals it for the account's devices, whose key is derived from the seed of the account's identity key:
    /// HKDF-SHA-384 without a salt, info `qchat device labels v1`, 32 bytes.
    ///
    /// | bytes | content |
    /// |---|---|
    /// | 2 | version 1, kind 11 |
    /// | 12 | nonce |
    /// | 112 | AES-256-GCM of: device id of who let it in (16) ‖ length of the name (1) ‖ name ‖ zeros, 96 bytes in all; associated data: account id (16) ‖ device id (16) |
    ///
    /// # Errors
    /// See [`LabelError`].
    pub fn seal(
        &self,
        account_key: &Secret<64>,
        (account, device): (AccountId, DeviceId),
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, LabelError> {
        let mut plain = self.added_by.as_bytes().to_vec();
        put_text(&mut plain, self.name.as_str());
        plain.resize(PLAIN, 0);
        let mut nonce = [0; aead::NONCE];
        entropy.fill(&mut nonce)?;
        let key = key(account_key)?;
        let sealed = aead::seal(key.expose(), &nonce, &aad(account, device), &plain);
        let mut bytes = WHAT.begin();
        bytes.extend(nonce);
        bytes.extend(sealed.map_err(|_| LabelError::Seal)?);
        Ok(bytes)
    }

    /// Opens what [`DeviceLabel::seal`] made for this device of this account.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`], or [`IdentityError::Forged`] when it was made for another device, under another key, or
    /// altered.
    pub fn open(
        bytes: &[u8],
        account_key: &Secret<64>,
        (account, device): (AccountId, DeviceId),
    ) -> Result<Self, IdentityError> {
        let mut reader = Reader::new(bytes, WHAT)?;
        let nonce = reader.array()?;
        let sealed = reader.bytes(PLAIN + aead::TAG)?;
        reader.end()?;
        let forged = IdentityError::Forged(WHAT.name());
        let key = key(account_key).map_err(|_| forged.clone())?;
        let plain = aead::open(key.expose(), &nonce, &aad(account, device), sealed).map_err(|_| forged)?;
        let mut reader = Reader::inside(&plain, WHAT);
        let added_by = reader.device()?;
        let name = DeviceName::read(reader.text()?).ok_or_else(|| reader.malformed())?;
        if reader.rest().iter().any(|byte| *byte != 0) {
            return Err(IdentityError::Malformed(WHAT.name()));
        }
        Ok(Self { name, added_by })
    }
}

fn key(account_key: &Secret<64>) -> Result<Secret<32>, KdfLengthError> {
    kdf::derive(account_key.expose(), KEY_INFO)
}

fn aad(account: AccountId, device: DeviceId) -> Vec<u8> {
    [&account.as_bytes()[..], device.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::entropy::SystemEntropy;

    #[test]
    fn a_name_is_one_line_that_fits() {
        for (text, name) in [
            ("laptop", Some("laptop")),
            ("  alice's\tlaptop \n", Some("alice's laptop")),
            ("", None),
            (" \n", None),
        ] {
            assert_eq!(DeviceName::new(text).as_ref().map(DeviceName::as_str), name, "{text:?}");
        }
        for text in ["\u{1b}[2Jx", "\u{202e}evil", "zero\u{200b}width"] {
            let name = DeviceName::new(text).unwrap();
            assert!(!name.as_str().contains(['\u{1b}', '\u{202e}', '\u{200b}']), "{name:?}");
        }
        let long = DeviceName::new(&"ü".repeat(100)).unwrap();
        assert!(long.as_str().len() <= DeviceName::MOST, "{long}");
    }

    #[test]
    fn a_label_opens_for_its_device_under_its_accounts_key() {
        let (one, other) = (Secret::from_bytes([1; 64]), Secret::from_bytes([2; 64]));
        let (alice, laptop, phone) =
            (AccountId::from_bytes([3; 16]), DeviceId::from_bytes([4; 16]), DeviceId::from_bytes([5; 16]));
        let label = DeviceLabel { name: DeviceName::new("laptop").unwrap(), added_by: phone };
        let sealed = label.seal(&one, (alice, laptop), &SystemEntropy).unwrap();
        assert_eq!(DeviceLabel::open(&sealed, &one, (alice, laptop)), Ok(label.clone()));
        let longer = DeviceLabel { name: DeviceName::new(&"x".repeat(64)).unwrap(), added_by: phone };
        assert_eq!(longer.seal(&one, (alice, laptop), &SystemEntropy).unwrap().len(), sealed.len());
        let forged = Err(IdentityError::Forged("device label"));
        assert_eq!(DeviceLabel::open(&sealed, &other, (alice, laptop)), forged);
        assert_eq!(DeviceLabel::open(&sealed, &one, (alice, phone)), forged);
        let mut altered = sealed.clone();
        *altered.last_mut().unwrap() ^= 1;
        assert_eq!(DeviceLabel::open(&altered, &one, (alice, laptop)), forged);
        for length in [0, 1, 2, 14, sealed.len() - 1] {
            let cut = DeviceLabel::open(&sealed[..length], &one, (alice, laptop));
            assert_eq!(cut, Err(IdentityError::Malformed("device label")), "{length}");
        }
    }
}
