//! Seeds out of the operating system's randomness and a pool of quantum bits: `HKDF(OS 64 bytes ‖ pool, context)`.
//!
//! The provider of quantum bits sees every one of them, so they may only strengthen what the system gives. HKDF-SHA-512
//! (RFC 5869) extracts from both together: whoever knows or even chooses the pool still faces 512 bits from the
//! system, and whoever knows the system's bits still faces the pool.

use hkdf::Hkdf;
use sha2::Sha512;
use zeroize::Zeroizing;

/// How many bytes are taken from the operating system for each seed.
pub const OS_BYTES: usize = 64;

const SALT: &[u8] = b"qchat seed v1";
/// What one extraction may be expanded to: 255 hashes (RFC 5869 §2.3).
const MOST_EXPANDED: usize = 255 * 64;

/// No seed could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct SeedError;

/// Mixes 64 bytes from the operating system with a pool, which may be empty; `context` says what the seed is for, so
/// that two uses of the same bytes give unrelated seeds.
pub fn mix(os: &[u8; OS_BYTES], pool: &[u8], context: &[u8]) -> Zeroizing<[u8; 64]> {
    let mut seed = Zeroizing::new([0; 64]);
    expand(os, pool, context, &mut *seed);
    seed
}

/// Fills `out` with bytes for `context`, mixed from fresh bytes of the operating system and `pool`, which may be
/// empty.
///
/// # Errors
/// [`SeedError`] when the operating system gives nothing; the pool alone is never used, and neither may `out` be.
pub fn fill(pool: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), SeedError> {
    for part in out.chunks_mut(MOST_EXPANDED) {
        let mut os = Zeroizing::new([0; OS_BYTES]);
        getrandom::fill(&mut *os).map_err(|_| SeedError)?;
        expand(&os, pool, context, part);
    }
    Ok(())
}

fn expand(os: &[u8; OS_BYTES], pool: &[u8], context: &[u8], out: &mut [u8]) {
    // The system's part has a fixed size and stands first, so no two pairs give the same input.
    let input = Zeroizing::new([os, pool].concat());
    let hkdf = Hkdf::<Sha512>::new(Some(SALT), &input);
    #[expect(clippy::expect_used, reason = "callers ask for 255 hashes at most")]
    hkdf.expand(context, out).expect("at most 255 hashes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_depends_on_system_pool_and_context() {
        let pools: [&[u8]; 4] = [b"", &[0; 64], &[0; 65], b"quantum bits"];
        let mut seeds = Vec::new();
        for os in [[0; 64], [1; 64], [0xff; 64]] {
            for pool in pools {
                for context in [&b""[..], b"device key", b"account key"] {
                    seeds.push(mix(&os, pool, context));
                }
            }
        }
        assert_eq!(seeds[0], mix(&[0; 64], b"", b""), "the same input gives the same seed");
        for (n, seed) in seeds.iter().enumerate() {
            assert!(seeds[..n].iter().all(|other| other != seed), "seed {n} came twice");
        }
    }

    #[test]
    fn no_pool_takes_away_what_the_system_gave() {
        let os: [u8; 64] = std::array::from_fn(|n| u8::try_from(n).unwrap());
        let negated = os.map(|byte| !byte);
        // The empty one, zeros, and those that an attacker who knows the system's bytes would choose to cancel them.
        for pool in [&[][..], &[0; 1024], &os, &negated] {
            let seed = mix(&os, pool, b"key");
            for bit in 0..512 {
                let mut other = os;
                other[bit / 8] ^= 1 << (bit % 8);
                let changed = mix(&other, pool, b"key");
                let differing: u32 = seed.iter().zip(changed.iter()).map(|(a, b)| (a ^ b).count_ones()).sum();
                assert!((160..=352).contains(&differing), "bit {bit}: {differing} of 512 bits differ");
            }
        }
    }

    #[test]
    fn a_boundary_between_system_and_pool_cannot_be_moved() {
        let mut os = [7; 64];
        let whole = mix(&os, &[7, 7], b"key");
        os[63] = 8;
        assert_ne!(whole, mix(&os, &[7, 7], b"key"));
        assert_ne!(whole, mix(&[7; 64], &[7], b"key"));
        assert_ne!(mix(&[7; 64], b"ab", b"c"), mix(&[7; 64], b"a", b"bc"));
    }

    #[test]
    fn filling_draws_anew_each_time_and_for_any_length() {
        for length in [1, 64, MOST_EXPANDED, MOST_EXPANDED + 1, 3 * MOST_EXPANDED] {
            let (mut one, mut two) = (vec![0; length], vec![0; length]);
            fill(b"", b"key", &mut one).unwrap();
            fill(b"", b"key", &mut two).unwrap();
            assert!(length < 16 || one != two);
            assert!(length < 64 || one[length - 32..] != [0; 32]);
        }
        fill(b"", b"", &mut []).unwrap();
    }
}
