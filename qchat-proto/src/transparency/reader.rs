//! A cursor over an encoding that never reads past its end and takes nothing after it.

use super::TransparencyError;

pub(super) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(super) fn malformed(&self) -> TransparencyError {
        TransparencyError::Malformed(self.what)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], TransparencyError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.malformed())?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], TransparencyError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.malformed())?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, TransparencyError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, TransparencyError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, TransparencyError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, TransparencyError> {
        self.array().map(u64::from_be_bytes)
    }

    /// The end has to be here.
    pub(super) fn end(self) -> Result<(), TransparencyError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.malformed()) }
    }
}
