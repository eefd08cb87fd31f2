//! The name of a ratchet tree on its way to the daemon: a tree is too large to travel in a frame.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha384};

use crate::ids::IdError;

/// SHA-384 of an encoded ratchet tree: 48 bytes, in a path 96 lowercase hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash([u8; 48]);

impl TreeHash {
    /// The name of this tree.
    pub fn of(tree: &[u8]) -> Self {
        let mut hasher = TreeHasher::default();
        hasher.update(tree);
        hasher.finish()
    }

    /// The 48 bytes.
    pub const fn as_bytes(&self) -> &[u8; 48] {
        &self.0
    }
}

impl TryFrom<&[u8]> for TreeHash {
    type Error = IdError;

    fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
        bytes.try_into().map(Self).map_err(|_| IdError::TreeHash)
    }
}

impl FromStr for TreeHash {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut bytes = [0; 48];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError::TreeHash)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeHash({self})")
    }
}

/// Names a tree that comes in parts.
#[derive(Clone, Default)]
pub struct TreeHasher(Sha384);

impl TreeHasher {
    /// Takes the next part.
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The name of all parts together.
    pub fn finish(self) -> TreeHash {
        TreeHash(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_the_name_of_the_whole_which_is_read_back_from_text() {
        let mut parts = TreeHasher::default();
        parts.update(b"a tr");
        parts.update(b"ee");
        let hash = TreeHash::of(b"a tree");
        assert_eq!(parts.finish(), hash);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(TreeHash::try_from(&hash.as_bytes()[..]), Ok(hash));
        for wrong in ["", "00", &"0".repeat(95), &"x".repeat(96)] {
            assert!(wrong.parse::<TreeHash>().is_err(), "{wrong}");
        }
    }
}
