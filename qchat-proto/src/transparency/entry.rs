//! What stands in the directory: under which label, and a commitment in the place of what is said.
//!
//! The tree holds SHA-384(`qchat directory entry v1` ‖ salt ‖ what is said), never what is said itself. The salt is 32
//! random bytes that the server keeps beside it and gives out with it. When an account is erased salt and statement are
//! deleted, and what is left says nothing of either; the tree verifies as before.

use akd_core::AkdLabel;

use super::config::VALUE;
use crate::{
    crypto::{
        entropy::{Entropy, EntropyError},
        kdf,
    },
    identity::{said_of_list, said_of_record},
    ids::{AccountId, UserName},
};

const LABEL: &[u8] = b"qchat directory entry v1";
/// Of what is said.
const VERSION: u8 = 1;

/// What an entry is looked up by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Label<'a> {
    /// Which account has this name: 1 ‖ name.
    Name(&'a UserName),
    /// What this account consists of: 2 ‖ account id.
    Account(AccountId),
}

impl Label<'_> {
    /// The bytes that the tree knows it by.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Name(name) => [&[1], name.as_str().as_bytes()].concat(),
            Self::Account(account) => [&[2][..], account.as_bytes()].concat(),
        }
    }

    pub(super) fn akd(&self) -> AkdLabel {
        AkdLabel(self.bytes())
    }
}

/// What hides an entry from those who only see the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Salt(pub [u8; 32]);

impl Salt {
    /// Draws one.
    ///
    /// # Errors
    /// When the source fails.
    pub fn random(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut salt = [0; 32];
        entropy.fill(&mut salt)?;
        Ok(Self(salt))
    }
}

/// What the tree holds of something that is said.
pub fn commitment(salt: &Salt, said: &[u8]) -> [u8; VALUE] {
    kdf::sha384(&[LABEL, &salt.0, said])
}

/// That a name is an account's: version 1, kind 1, account id (16).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameEntry {
    /// Whose name it is.
    pub account: AccountId,
}

impl NameEntry {
    /// What is said.
    pub fn encode(&self) -> Vec<u8> {
        [&[VERSION, 1][..], self.account.as_bytes()].concat()
    }

    /// Reads what [`NameEntry::encode`] writes; `None` when it is something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let account = bytes.strip_prefix(&[VERSION, 1])?;
        Some(Self { account: AccountId::from_bytes(account.try_into().ok()?) })
    }
}

/// What an account consists of: version 1, kind 2, account id (16), SHA-384 of the account record without its signatures
/// (48), version of the device list (8), SHA-384 of the list without its signature (48).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccountEntry {
    /// The account.
    pub account: AccountId,
    /// SHA-384 of its record without signatures.
    pub record: [u8; 48],
    /// The version of its device list.
    pub list_version: u64,
    /// SHA-384 of its device list without signature.
    pub list: [u8; 48],
}

impl AccountEntry {
    /// What is to be said of an account with this encoded record and device list, the list being of that version.
    pub fn of(account: AccountId, record: &[u8], list_version: u64, list: &[u8]) -> Self {
        let hash = |said: &[u8]| kdf::sha384(&[said]);
        Self { account, record: hash(said_of_record(record)), list_version, list: hash(said_of_list(list)) }
    }

    /// What is said.
    pub fn encode(&self) -> Vec<u8> {
        let version = self.list_version.to_be_bytes();
        [&[VERSION, 2][..], self.account.as_bytes(), &self.record, &version, &self.list].concat()
    }

    /// Reads what [`AccountEntry::encode`] writes; `None` when it is something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&[VERSION, 2])?;
        let (account, rest) = rest.split_first_chunk::<16>()?;
        let (record, rest) = rest.split_first_chunk::<48>()?;
        let (version, rest) = rest.split_first_chunk::<8>()?;
        Some(Self {
            account: AccountId::from_bytes(*account),
            record: *record,
            list_version: u64::from_be_bytes(*version),
            list: rest.try_into().ok()?,
        })
    }
}
