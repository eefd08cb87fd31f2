//! The classical channel of a protocol between two ends: everybody may hear it, and nobody but the two may say anything on it.
//!
//! Key distribution presumes such a channel, and grows a key that both have already: whoever could speak for Alice would be Bob's Alice.
//! Here each message carries HMAC-SHA-256 under the key that they share, over who says it and as the how manyth (a universal hash
//! with a pad used once, Wegman and Carter 1981, would need no assumption about a hash function, and a few bits of the key for each
//! message). A room does the same for a run between two people: there MLS authenticates.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;

/// Which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that prepares.
    Alice,
    /// The one that measures.
    Bob,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Alice => Self::Bob,
            Self::Bob => Self::Alice,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Alice => 0,
            Self::Bob => 1,
        }
    }
}

/// A message as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// What is said, as JSON: anybody may read it.
    pub text: Vec<u8>,
    /// By which the other end knows who says it.
    pub tag: [u8; 32],
}

/// What arrived is not what the other end said next: somebody else speaks, or something is left out, repeated or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what arrived is not what the other end said next")]
pub struct Forged;

/// One end of the channel.
#[derive(Debug)]
pub struct End {
    side: Side,
    key: [u8; 32],
    sent: u64,
    received: u64,
}

impl End {
    /// The end of this side. Both have the key, and nobody else; it is for one run.
    pub fn new(side: Side, key: [u8; 32]) -> Self {
        Self { side, key, sent: 0, received: 0 }
    }

    /// Makes a message fit for the way.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn seal<M: Serialize>(&mut self, message: &M) -> Result<Sealed, Forged> {
        let text = serde_json::to_vec(message).map_err(|_| Forged)?;
        let tag = self.tag(self.side, self.sent, &text).finalize().into_bytes().into();
        self.sent += 1;
        Ok(Sealed { text, tag })
    }

    /// Takes a message that arrived.
    ///
    /// # Errors
    /// [`Forged`].
    pub fn open<M: DeserializeOwned>(&mut self, sealed: &Sealed) -> Result<M, Forged> {
        let tag = self.tag(self.side.other(), self.received, &sealed.text);
        // In constant time.
        tag.verify_slice(&sealed.tag).map_err(|_| Forged)?;
        self.received += 1;
        serde_json::from_slice(&sealed.text).map_err(|_| Forged)
    }

    fn tag(&self, side: Side, number: u64, text: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of all lengths")]
        let mut tag = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length");
        tag.update(&[side.byte()]);
        tag.update(&number.to_be_bytes());
        tag.update(text);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (End, End) {
        (End::new(Side::Alice, [7; 32]), End::new(Side::Bob, [7; 32]))
    }

    #[test]
    fn what_one_end_says_arrives_at_the_other_in_order() {
        let (mut alice, mut bob) = ends();
        for word in ["one", "two"] {
            let sealed = alice.seal(&word).unwrap();
            assert_eq!(bob.open::<String>(&sealed).unwrap(), word);
            let back = bob.seal(&word.len()).unwrap();
            assert_eq!(alice.open::<usize>(&back).unwrap(), word.len());
        }
    }

    #[test]
    fn nobody_else_says_anything_nor_changes_repeats_or_leaves_out_what_was_said() {
        let (mut alice, mut bob) = ends();
        let first = alice.seal(&"one").unwrap();
        let second = alice.seal(&"two").unwrap();
        let mut eve = End::new(Side::Alice, [8; 32]);
        let own = bob.seal(&"one").unwrap();
        let changed = |sealed: &Sealed, place: usize| {
            let mut changed = sealed.clone();
            if let Some(byte) = changed.text.get_mut(place) {
                *byte ^= 1;
            } else {
                changed.tag[place - changed.text.len()] ^= 1;
            }
            changed
        };
        for forged in [eve.seal(&"one").unwrap(), second.clone(), own]
            .into_iter()
            .chain((0..first.text.len() + 32).map(|place| changed(&first, place)))
        {
            assert_eq!(bob.open::<String>(&forged), Err(Forged), "{forged:?}");
        }
        assert_eq!(bob.open::<String>(&first).unwrap(), "one");
        assert_eq!(bob.open::<String>(&first), Err(Forged), "said once");
        assert_eq!(bob.open::<String>(&second).unwrap(), "two");
    }
}
