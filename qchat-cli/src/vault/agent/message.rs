//! What goes over the agent's socket: one byte of request, a fixed answer, then the connection ends.
//!
//! | request | answer |
//! |---|---|
//! | `K` | `+`, then the key (32 bytes); or `-` when the time is over |
//! | `R` | `+`, then the seconds that are left (8 bytes, big endian); or `-` |
//! | `L` | `+` once the key is wiped and the socket is gone |
//!
//! Over the pipe to a new agent: the seconds to keep the key, and those after which it forgets a key that nobody has asked for, 0 if
//! never (8 bytes each, big endian), then the key (32 bytes). It answers
//! `+` when it serves, `R` when another agent does, `-` when it cannot.

use std::{
    io::{self, ErrorKind, Read, Write},
    time::Duration,
};

use qchat_proto::crypto::secret::Secret;

/// What a client asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Request {
    /// For the key.
    Key,
    /// For how long it is still kept.
    Remaining,
    /// To wipe it and end.
    Lock,
}

/// The first byte of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// What was asked for follows, or is done.
    Yes,
    /// It cannot be had.
    No,
    /// Another agent serves this profile.
    Running,
}

impl Request {
    const fn byte(self) -> u8 {
        match self {
            Self::Key => b'K',
            Self::Remaining => b'R',
            Self::Lock => b'L',
        }
    }

    pub(super) fn write(self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&[self.byte()])
    }

    /// # Errors
    /// [`ErrorKind::InvalidData`] for a byte that asks nothing.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let byte = byte(from)?;
        [Self::Key, Self::Remaining, Self::Lock]
            .into_iter()
            .find(|request| request.byte() == byte)
            .ok_or_else(|| ErrorKind::InvalidData.into())
    }
}

impl Answer {
    const fn byte(self) -> u8 {
        match self {
            Self::Yes => b'+',
            Self::No => b'-',
            Self::Running => b'R',
        }
    }

    pub(super) fn write(self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&[self.byte()])
    }

    /// # Errors
    /// [`ErrorKind::InvalidData`] for a byte that answers nothing.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let byte = byte(from)?;
        [Self::Yes, Self::No, Self::Running]
            .into_iter()
            .find(|answer| answer.byte() == byte)
            .ok_or_else(|| ErrorKind::InvalidData.into())
    }
}

/// Writes a time in whole seconds.
pub(super) fn write_time(time: Duration, to: &mut impl Write) -> io::Result<()> {
    to.write_all(&time.as_secs().to_be_bytes())
}

/// Reads a time in whole seconds.
pub(super) fn read_time(from: &mut impl Read) -> io::Result<Duration> {
    let mut seconds = [0; 8];
    from.read_exact(&mut seconds)?;
    Ok(Duration::from_secs(u64::from_be_bytes(seconds)))
}

/// Writes a key.
pub(super) fn write_key(key: &Secret<32>, to: &mut impl Write) -> io::Result<()> {
    to.write_all(key.expose())
}

/// Reads a key, into no memory but its own.
pub(super) fn read_key(from: &mut impl Read) -> io::Result<Secret<32>> {
    Secret::fill_with(|key| from.read_exact(key))
}

fn byte(from: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    from.read_exact(&mut byte)?;
    Ok(byte[0])
}
