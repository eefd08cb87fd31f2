//! The names that the interface uses: of applications, and of keys.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// Longest name of an application that is taken, bytes.
const LONGEST_SAE: usize = 128;

/// The text names no application, or no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not the id of an SAE.
    #[error(
        "the id of an SAE has 1 to {LONGEST_SAE} printable ASCII characters, no spaces, and is not made of dots alone"
    )]
    Sae,
    /// Not the id of a key.
    #[error("the id of a key is a UUID, like 3f1d8c5e-0a52-4c3e-9b57-0d6f3c3b8a11")]
    Key,
}

/// The id of a secure application entity (SAE): who gets keys. Those who run the KMEs give it out (§3.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SaeId(String);

impl SaeId {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SaeId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        // It becomes a segment of a path: one of dots alone would change the path.
        let fits = (1..=LONGEST_SAE).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && text.bytes().any(|byte| byte != b'.');
        if fits { Ok(Self(text.to_owned())) } else { Err(IdError::Sae) }
    }
}

impl fmt::Display for SaeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a key: a UUID (§6.3), no secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyId(Uuid);

impl KeyId {
    /// From its 16 bytes (RFC 9562 §4).
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Its 16 bytes (RFC 9562 §4).
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl FromStr for KeyId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Uuid::try_parse(text).map(Self).map_err(|_| IdError::Key)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sae_is_one_segment_of_a_path() {
        for good in ["alice-sae", "SAE_1", "a", "a.b", "25840139-0dd4-49ae-ba1e-b86731601803"] {
            assert_eq!(good.parse::<SaeId>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a b", "a\n", "ä", &"x".repeat(LONGEST_SAE + 1)] {
            assert_eq!(bad.parse::<SaeId>(), Err(IdError::Sae), "{bad}");
        }
    }

    #[test]
    fn a_key_is_named_by_a_uuid_in_either_case() {
        let text = "bc490419-7d60-487f-adc1-4ddcc177c139";
        let id: KeyId = text.to_uppercase().parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(KeyId::from_bytes(*id.as_bytes()), id);
        for bad in ["", "bc490419", "bc490419-7d60-487f-adc1-4ddcc177c13", "../../etc", "\u{1b}[2J"] {
            assert_eq!(bad.parse::<KeyId>(), Err(IdError::Key), "{bad}");
        }
    }
}
