//! Reading and writing the fixed encodings: a cursor that never reads past the end and accepts no trailing bytes.

use super::IdentityError;
use crate::{
    crypto::sign::{Level, PublicKey},
    ids::{AccountId, DeviceId, UserName},
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
    LinkHello = 7,
    LinkAnswer = 8,
    LinkOpening = 9,
    LinkGrant = 10,
    DeviceLabel = 11,
    AccountNotes = 12,
    AccountProof = 16,
    JoinRequest = 17,
    BackupKey = 32,
    BackupHead = 33,
    RecoveryProof = 34,
    /// Stands in no bytes: it lies inside a chunk.
    BackupItem = 35,
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
            Self::LinkHello => "hello of a new device",
            Self::LinkAnswer => "answer to a new device",
            Self::LinkOpening => "opening of a new device",
            Self::LinkGrant => "grant to a new device",
            Self::DeviceLabel => "device label",
            Self::AccountNotes => "account notes",
            Self::AccountProof => "account proof",
            Self::JoinRequest => "join request",
            Self::BackupKey => "backup key",
            Self::BackupHead => "head of a backup",
            Self::RecoveryProof => "recovery proof",
            Self::BackupItem => "part of a backup",
        }
    }

    /// The first two bytes.
    pub(super) fn begin(self) -> Vec<u8> {
        vec![VERSION, self as u8]
    }
}

/// Appends bytes with their number before them, in four bytes; what is longer than that is not made here.
pub(super) fn put_counted(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(part);
}

/// Appends text with the number of its bytes before it, in one byte; names have 64 at most.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    bytes.extend(text.as_bytes());
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

    /// Reads what lay inside something sealed: without version and kind, which stand outside.
    pub(super) fn inside(bytes: &'a [u8], statement: Statement) -> Self {
        Self { whole: bytes, rest: bytes, statement }
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

    /// Bytes with their number before them, in four bytes.
    pub(super) fn counted(&mut self) -> Result<&'a [u8], IdentityError> {
        let length = self.number()?;
        self.bytes(length)
    }

    /// A number of four bytes.
    pub(super) fn number(&mut self) -> Result<usize, IdentityError> {
        let number = self.array().map(u32::from_be_bytes)?;
        usize::try_from(number).map_err(|_| self.malformed())
    }

    /// Text with the number of its bytes before it, in one byte.
    pub(super) fn text(&mut self) -> Result<&'a str, IdentityError> {
        let [length] = self.array()?;
        let text = self.bytes(length.into())?;
        std::str::from_utf8(text).map_err(|_| self.malformed())
    }

    pub(super) fn name(&mut self) -> Result<UserName, IdentityError> {
        let name = self.text()?;
        name.parse().map_err(|_| self.malformed())
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

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
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
