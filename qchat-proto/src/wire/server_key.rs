//! The name of a daemon's TLS key: what its operator hands out, and what a client holds the daemon to.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

/// What stands before the digits.
const PREFIX: &str = "sha256:";

/// SHA-256 of a public key as certificates hold it (SubjectPublicKeyInfo, RFC 5280 §4.1.2.7): 32 bytes, as text
/// `sha256:` and 64 lowercase hex digits. A certificate that is renewed for the same key keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerKey([u8; 32]);

/// The text is no [`ServerKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a server's key is written as sha256: and 64 hexadecimal digits")]
pub struct ServerKeyError;

impl ServerKey {
    /// The name of the key in this SubjectPublicKeyInfo (DER).
    pub fn of(public_key_info: &[u8]) -> Self {
        Self(Sha256::digest(public_key_info).into())
    }
}

impl FromStr for ServerKey {
    type Err = ServerKeyError;

    fn from_str(text: &str) -> Result<Self, ServerKeyError> {
        let digits = text.strip_prefix(PREFIX).ok_or(ServerKeyError)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| ServerKeyError)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex::encode(self.0))
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_key_reads_back_and_nothing_else_does() {
        let key = ServerKey::of(b"");
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(key.to_string(), text);
        assert_eq!(text.parse(), Ok(key));
        for wrong in ["", "sha256:", "sha256:00", &text[7..], &text[..70], &text.replace("sha256", "sha384")]
        {
            assert_eq!(wrong.parse::<ServerKey>(), Err(ServerKeyError), "{wrong}");
        }
    }
}
