//! What names a request in the logs of both sides: the header of W3C Trace Context, level 1.

use std::{fmt, str::FromStr};

use crate::crypto::entropy::{Entropy, EntropyError};

/// The header's name.
pub const HEADER: &str = "traceparent";

/// One request, or one socket from its upgrade to its end. Drawn anew for each: a name that lasted would tell the daemon,
/// and whoever reads its log, which requests come from one device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceParent {
    trace: [u8; 16],
    parent: [u8; 8],
}

/// The text is no [`TraceParent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent is written as 00-TRACE-PARENT-FLAGS, 32, 16 and 2 lowercase hexadecimal digits")]
pub struct TraceParentError;

impl TraceParent {
    /// Names a request.
    ///
    /// # Errors
    /// Fails only when the entropy source does.
    pub fn random(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let (mut trace, mut parent) = ([0; 16], [0; 8]);
        entropy.fill(&mut trace)?;
        entropy.fill(&mut parent)?;
        // All zeros means none.
        trace[0] |= 1;
        parent[0] |= 1;
        Ok(Self { trace, parent })
    }

    /// The part that logs show: 32 lowercase hexadecimal digits.
    pub fn trace(&self) -> TraceId {
        TraceId(self.trace)
    }
}

/// The part of a [`TraceParent`] that logs show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceId([u8; 16]);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Display for TraceParent {
    /// The header's value. The last flag says that the request is logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", hex::encode(self.trace), hex::encode(self.parent))
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    /// Reads version 00, which is all that there is; the flags are anybody's.
    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        let lowercase = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let mut parts = text.split('-');
        let mut part = |size: usize| {
            parts.next().filter(|part| part.len() == size && lowercase(part)).ok_or(TraceParentError)
        };
        let (version, trace, parent, _flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let mut read = Self { trace: [0; 16], parent: [0; 8] };
        hex::decode_to_slice(trace, &mut read.trace).map_err(|_| TraceParentError)?;
        hex::decode_to_slice(parent, &mut read.parent).map_err(|_| TraceParentError)?;
        let none = read.trace == [0; 16] || read.parent == [0; 8];
        if version != "00" || none || parts.next().is_some() {
            return Err(TraceParentError);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::entropy::SystemEntropy;

    #[test]
    fn a_traceparent_reads_back_and_nothing_else_does() {
        let drawn = TraceParent::random(&SystemEntropy).unwrap();
        assert_eq!(drawn.to_string().parse(), Ok(drawn));
        assert_ne!(TraceParent::random(&SystemEntropy).unwrap().trace(), drawn.trace());
        // The specification's example, section 3.2.2.
        let example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read: TraceParent = example.parse().unwrap();
        assert_eq!(read.trace().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(read.to_string(), example);
        let zero = |part: &str| example.replace(part, &"0".repeat(part.len()));
        for wrong in [
            "",
            "00",
            &example[..54],
            &example[..52],
            &format!("{example}-00"),
            &example.to_ascii_uppercase(),
            &example.replace("00-", "ff-"),
            &example.replace("4bf9", "4bg9"),
            &example.replace('-', "_"),
            &zero("4bf92f3577b34da6a3ce929d0e0e4736"),
            &zero("00f067aa0ba902b7"),
        ] {
            assert_eq!(wrong.parse::<TraceParent>(), Err(TraceParentError), "{wrong}");
        }
    }
}
