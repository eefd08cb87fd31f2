//! The final check of a reconciliation: both ends compare a universal hash of their strings, so that unequal ones pass
//! with a probability that is proved, not assumed.

use polyval::{Polyval, universal_hash::UniversalHash};
use serde::{Deserialize, Serialize};

use crate::bits::Bits;

/// A key and the hash under it, as one end tells the other. The key must be fresh, uniform, and chosen after both
/// strings are fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The point at which the string is evaluated.
    pub key: [u8; 16],
    /// The lowest `bits` bits of the value.
    pub tag: u128,
    /// How many bits of the hash are told: so many does an eavesdropper learn.
    pub bits: u32,
}

/// How many bits of hash keep unequal strings of `length` bits apart but with probability `eps_cor`; at most 128, and
/// nothing where those do not suffice.
///
/// A polynomial over GF(2¹²⁸) of as many coefficients as the string has blocks of 128 bits, and one more for the length,
/// takes a value with the given lowest t bits at no more than that many times 2¹²⁸⁻ᵗ points.
pub fn tag_bits(length: usize, eps_cor: f64) -> Option<u32> {
    let blocks = (length.div_ceil(128) + 1) as u64;
    #[expect(clippy::cast_precision_loss, reason = "an estimate to one bit, rounded up")]
    let bits = ((blocks as f64).log2() - eps_cor.log2()).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    (eps_cor > 0.0 && eps_cor < 1.0 && bits <= 128.0).then_some(bits as u32)
}

impl Proof {
    /// The hash of `string`, of which `bits` are told (at most 128).
    pub fn new(key: [u8; 16], string: &Bits, bits: u32) -> Self {
        let mut hash = Polyval::new(&key.into());
        hash.update_padded(&string.to_bytes());
        hash.update_padded(&(string.len() as u128).to_le_bytes());
        let value = u128::from_le_bytes(hash.finalize().into());
        let tag = if bits >= 128 { value } else { value & ((1 << bits) - 1) };
        Self { key, tag, bits: bits.min(128) }
    }

    /// Whether `string` has the same hash.
    pub fn holds(&self, string: &Bits) -> bool {
        Self::new(self.key, string, self.bits) == *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn a_proof_holds_for_the_same_string_alone() {
        let mut random = stream(1, Purpose::Public, 0);
        for length in [0, 1, 127, 128, 129, 100_000] {
            let string = Bits::random(length, &mut random);
            let proof = Proof::new([7; 16], &string, 64);
            assert!(proof.holds(&string));
            let mut longer = string.clone();
            longer.push(false);
            assert!(!proof.holds(&longer), "a zero more than {length}");
            if length > 0 {
                let mut other = string.clone();
                other.flip(length / 2);
                assert!(!proof.holds(&other));
                assert!(!proof.holds(&string.slice(0, length - 1)));
            }
        }
    }

    #[test]
    fn short_tags_collide_as_often_as_promised() {
        let (one, two) = (Bits::zeros(1), Bits::from_words(vec![1], 1));
        let collisions = (0..40_000_u32)
            .filter(|n| {
                let mut key = [0; 16];
                key[..4].copy_from_slice(&n.wrapping_mul(0x9E37_79B9).to_le_bytes());
                key[8..12].copy_from_slice(&n.to_le_bytes());
                Proof::new(key, &one, 10).holds(&two)
            })
            .count();
        assert!((10..=2 * 40_000 / 1024 + 40).contains(&collisions), "{collisions}");
    }

    #[test]
    fn tags_are_as_long_as_the_length_and_the_error_need() {
        for (length, eps_cor, bits) in [
            (128, 1e-15, Some(51)),
            (1 << 20, 1e-15, Some(63)),
            (0, 0.5, Some(1)),
            (128, 1e-40, None),
            (128, 0.0, None),
            (128, f64::NAN, None),
        ] {
            assert_eq!(tag_bits(length, eps_cor), bits, "{length} {eps_cor}");
        }
    }
}
