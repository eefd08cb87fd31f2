//! Reading and writing the fixed encodings: a cursor that never reads past the end and accepts no trailing bytes.

use super::IdentityError;
use crate::{
    crypto::sign::{Level, PublicKey},
    ids::{AccountId, DeviceId},
};

/// The version that every statement begins with.
const VERSION: u8 = 1;

/// The second byte of every statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Statement {
    AccountRecord = 1,
    DeviceCertificate = 2,
    DeviceList = 3,
    LoginProof = 4,
    LeafCredential = 5,
    Pinned = 6,
    AccountProof = 16,
}

impl Statement {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AccountRecord => "account record",
            Self::DeviceCertificate => "device certificate",
            Self::DeviceList => "device list",
            Self::LoginProof => "login proof",
            Self::LeafCredential => "leaf credential",
            Self::Pinned => "pinned identity",
            Self::AccountProof => "account proof",
        }
    }

    /// The first two bytes.
    pub(super) fn begin(self) -> Vec<u8> {
        vec![VERSION, self as u8]
    }
}

pub(super) struct Reader<'a> {
    whole: &'a [u8],
    rest: &'a [u8],
    statement: Statement,
}

impl<'a> Reader<'a> {
    /// Starts after version and kind, which have to be right.
    pub(super) fn new(bytes: &'a [u8], statement: Statement) -> Result<Self, IdentityError> {
        let mut reader = Self { whole: bytes, rest: bytes, statement };
        if reader.array()? == [VERSION, statement as u8] { Ok(reader) } else { Err(reader.malformed()) }
    }

    pub(super) fn malformed(&self) -> IdentityError {
        IdentityError::Malformed(self.statement.name())
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], IdentityError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.malformed())?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], IdentityError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.malformed())?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u64(&mut self) -> Result<u64, IdentityError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn account(&mut self) -> Result<AccountId, IdentityError> {
        self.array().map(AccountId::from_bytes)
    }

    pub(super) fn device(&mut self) -> Result<DeviceId, IdentityError> {
        self.array().map(DeviceId::from_bytes)
    }

    pub(super) fn key<L: Level>(&mut self) -> Result<PublicKey<L>, IdentityError> {
        PublicKey::from_bytes(self.bytes(L::PUBLIC_KEY)?).map_err(|_| self.malformed())
    }

    /// Everything read so far: what the signatures that follow cover.
    pub(super) fn so_far(&self) -> &'a [u8] {
        &self.whole[..self.whole.len() - self.rest.len()]
    }

    /// The end has to be here.
    pub(super) fn end(self) -> Result<(), IdentityError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.malformed()) }
    }
}
