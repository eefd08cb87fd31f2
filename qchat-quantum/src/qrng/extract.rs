//! Uniform bytes out of tested bits: a Toeplitz hash takes what entropy there is, HMAC-SHA-256 conditions it.
//!
//! Both keys are fresh randomness of the caller's, independent of the bits; the hash makes its output uniform up to
//! ε (leftover hash lemma), and HMAC with 64 bits of input to spare gives full entropy even to who does not trust that
//! (SP 800-90B §3.1.5.1.1, SP 800-90C §3.1).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::{amplify::toeplitz::Toeplitz, bits::Bits};

/// −log₂ ε: how far from uniform the extracted bits may be.
pub const SECURITY: u32 = 64;
/// Bits that HMAC takes for each 256 that it gives.
const CONDITIONED: usize = 256 + 64;
/// Bytes of an HMAC key.
pub const KEY_BYTES: usize = 32;

/// Nothing could be extracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// The bits do not have the entropy for one block of 32 bytes.
    #[error("the bits have entropy for {0} bits, and 320 are the fewest that can be conditioned")]
    TooLittle(usize),
    /// The seed has another length than [`seed_bits`] says.
    #[error("the extraction takes {0} bits of seed, not {1}")]
    Seed(usize, usize),
}

/// How many bits of seed [`extract`] takes for so many bits with so much min-entropy each.
pub fn seed_bits(bits: usize, entropy: f64) -> usize {
    (bits + extractable(bits, entropy)).saturating_sub(1)
}

/// How many bits a hash may keep of `bits` that have `entropy` bits of min-entropy each: their sum less 2·log₂(1/ε), in
/// whole blocks of 320.
pub fn extractable(bits: usize, entropy: f64) -> usize {
    possible(bits, entropy) / CONDITIONED * CONDITIONED
}

fn possible(bits: usize, entropy: f64) -> usize {
    #[expect(clippy::cast_precision_loss, reason = "measured bits are far fewer than 2⁵²")]
    let all = bits as f64 * entropy.clamp(0.0, 1.0) - 2.0 * f64::from(SECURITY);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "negative becomes 0")]
    {
        all.floor() as usize
    }
}

/// Extracts 32 bytes for every 320 bits that may be kept of `bits`, which have at least `entropy` bits of min-entropy
/// each, as estimated and never more than that.
///
/// `seed` has [`seed_bits`] bits; neither it nor `key` may have been used to choose or to make the bits.
///
/// # Errors
/// [`ExtractError`].
pub fn extract(
    bits: &Bits,
    entropy: f64,
    seed: Bits,
    key: &[u8; KEY_BYTES],
) -> Result<Zeroizing<Vec<u8>>, ExtractError> {
    let kept = extractable(bits.len(), entropy);
    if kept == 0 {
        return Err(ExtractError::TooLittle(possible(bits.len(), entropy)));
    }
    let given = seed.len();
    let wrong = |_| ExtractError::Seed(seed_bits(bits.len(), entropy), given);
    let mut hashed =
        Toeplitz::new(seed, bits.len(), kept).and_then(|matrix| matrix.apply(bits)).map_err(wrong)?;
    let mut conditioned = Zeroizing::new(Vec::with_capacity(kept / CONDITIONED * 32));
    for block in 0..kept / CONDITIONED {
        let part = Zeroizing::new(hashed.slice(block * CONDITIONED, CONDITIONED).to_bytes());
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
        hmac.update(&part);
        let mut output: [u8; 32] = hmac.finalize().into_bytes().into();
        conditioned.extend_from_slice(&output);
        output.zeroize();
    }
    hashed.zeroize();
    Ok(conditioned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn what_is_kept_is_what_the_entropy_allows() {
        for (bits, entropy, kept, seed) in [
            (448, 1.0, 320, 767),
            (447, 1.0, 0, 446),
            (10_000, 0.5, 4800, 14_799),
            (10_000, 0.0, 0, 9999),
            (10_000, 7.0, 9600, 19_599),
            (10_000, f64::NAN, 0, 9999),
            (0, 1.0, 0, 0),
        ] {
            assert_eq!(
                (extractable(bits, entropy), seed_bits(bits, entropy)),
                (kept, seed),
                "{bits} × {entropy}"
            );
        }
    }

    #[test]
    fn biased_bits_come_out_balanced_and_depend_on_everything() {
        let mut random = stream(1, Purpose::Public, 0);
        // One in four is a one: min-entropy 0.415 a bit.
        let raw: Bits = {
            let (a, b) = (Bits::random(100_000, &mut random), Bits::random(100_000, &mut random));
            a.iter().zip(b.iter()).map(|(a, b)| a && b).collect()
        };
        let seed = Bits::random(seed_bits(raw.len(), 0.4), &mut random);
        let bytes = extract(&raw, 0.4, seed.clone(), &[1; 32]).unwrap();
        assert_eq!(bytes.len(), 124 * 32);
        let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
        assert!((15_200..=16_544).contains(&ones), "{ones} of 31,744");

        let mut other = raw.clone();
        other.flip(77_777);
        let mut other_seed = seed.clone();
        other_seed.flip(3);
        assert_eq!(bytes, extract(&raw, 0.4, seed.clone(), &[1; 32]).unwrap());
        for changed in [
            extract(&other, 0.4, seed.clone(), &[1; 32]),
            extract(&raw, 0.4, other_seed, &[1; 32]),
            extract(&raw, 0.4, seed.clone(), &[2; 32]),
        ] {
            assert_ne!(bytes, changed.unwrap());
        }
        assert_eq!(extract(&raw, 0.5, seed.clone(), &[1; 32]), Err(ExtractError::Seed(149_599, seed.len())));
        assert_eq!(extract(&raw, 0.002, seed, &[1; 32]), Err(ExtractError::TooLittle(72)));
    }
}
