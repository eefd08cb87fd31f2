//! The whole way from measured bits to bytes: start-up and continuous tests, estimate, extraction.

use rand::{SeedableRng, rngs::ChaCha20Rng};
use serde::Serialize;
use zeroize::{Zeroize, Zeroizing};

use super::{
    estimate::{Estimates, estimates},
    extract::{ExtractError, KEY_BYTES, extract, seed_bits},
    health::{HealthError, HealthTests},
};
use crate::{bits::Bits, seed::SeedError, simulator::Samples};

/// No bytes came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HarvestError {
    /// A health test failed.
    #[error(transparent)]
    Health(#[from] HealthError),
    /// One failed of a single qubit's bits: among those of the others it may not show.
    #[error("of the bits of qubit {qubit} alone, {error}")]
    Qubit {
        /// Which of those that were measured, from 0.
        qubit: usize,
        /// What failed.
        error: HealthError,
    },
    /// The bits have too little entropy.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// The operating system gave no seed for the extraction.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

/// What came out of measured bits.
#[derive(Serialize)]
pub struct Harvest {
    /// The bytes; no report shows them.
    #[serde(skip)]
    pub bytes: Zeroizing<Vec<u8>>,
    /// How many bits were measured.
    pub raw_bits: usize,
    /// Every estimate.
    pub estimates: Estimates,
    /// The min-entropy that was counted on, in bits a measured bit: the lowest estimate, and no more than was claimed.
    pub entropy: f64,
}

/// Tests what was measured, all together and the bits of each qubit by themselves, estimates its min-entropy, and extracts bytes
/// that are uniform as far as the lower of estimate and `claimed` is right. Seed and key of the extraction are fresh from the
/// operating system.
///
/// `claimed` is what the source is said to have, in bits a measured bit: it decides when a health test fails. At least
/// 1,024 measured bits are needed, and about 2,000 good ones for 32 bytes.
///
/// # Errors
/// [`HarvestError`]; nothing that was measured should then be used.
pub fn harvest(measured: &Samples, claimed: f64) -> Result<Harvest, HarvestError> {
    let raw = measured.concatenated();
    HealthTests::start_up(claimed, raw.iter())?;
    for qubit in 0..measured.bits() {
        let mut tests = HealthTests::new(claimed)?;
        let mut bits = measured.column(qubit).into_iter().flat_map(Bits::iter);
        bits.try_for_each(|bit| tests.feed(bit)).map_err(|error| HarvestError::Qubit { qubit, error })?;
    }
    let mut symbols: Vec<u8> = raw.iter().map(u8::from).collect();
    let estimates = estimates(&symbols);
    symbols.zeroize();
    let entropy = estimates.lowest().unwrap_or(0.0).min(claimed);

    let (mut key, mut own) = ([0; KEY_BYTES], <ChaCha20Rng as SeedableRng>::Seed::default());
    getrandom::fill(&mut key).map_err(|_| SeedError)?;
    getrandom::fill(&mut own).map_err(|_| SeedError)?;
    let seed = Bits::random(seed_bits(raw.len(), entropy), &mut ChaCha20Rng::from_seed(own));
    let bytes = extract(&raw, entropy, seed, &key);
    key.zeroize();
    own.zeroize();
    Ok(Harvest { bytes: bytes?, raw_bits: raw.len(), estimates, entropy })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    /// Bits that one qubit has given.
    fn of_one(bits: Bits) -> Samples {
        Samples::from_columns(vec![bits]).unwrap()
    }

    #[test]
    fn good_bits_give_fresh_bytes_and_bad_ones_none() {
        let raw = of_one(Bits::random(4000, &mut stream(1, Purpose::Public, 0)));
        let (one, two) = (harvest(&raw, 1.0).unwrap(), harvest(&raw, 1.0).unwrap());
        assert!(one.bytes.len() >= 32 && one.bytes.len().is_multiple_of(32));
        assert_ne!(one.bytes, two.bytes, "seed and key are fresh");
        assert!(one.entropy > 0.3 && Some(one.entropy) == one.estimates.lowest());
        let modest = harvest(&raw, 0.25).unwrap();
        assert!(modest.entropy <= 0.25 && modest.bytes.len() < one.bytes.len());

        let stuck = |length: usize| of_one(Bits::zeros(length));
        assert_eq!(harvest(&stuck(4000), 1.0).err(), Some(HarvestError::Health(HealthError::Repetition(21))));
        assert_eq!(harvest(&stuck(1000), 1.0).err(), Some(HarvestError::Health(HealthError::TooFew(1000))));
        let alternating = of_one((0..4000).map(|n| n % 2 == 0).collect());
        assert!(matches!(harvest(&alternating, 1.0), Err(HarvestError::Extract(ExtractError::TooLittle(0)))));
        let json = serde_json::to_value(one).unwrap();
        assert!(json.get("bytes").is_none() && json["raw_bits"] == 4000);
    }

    #[test]
    fn one_qubit_that_is_stuck_does_not_hide_among_the_others() {
        let good = |qubit: u64| Bits::random(400, &mut stream(1, Purpose::Public, qubit));
        let mut columns: Vec<Bits> = (0..16).map(good).collect();
        assert!(harvest(&Samples::from_columns(columns.clone()).unwrap(), 0.9).is_ok());
        columns[7] = Bits::zeros(400);
        let stuck = harvest(&Samples::from_columns(columns).unwrap(), 0.9).err();
        assert_eq!(stuck, Some(HarvestError::Qubit { qubit: 7, error: HealthError::Repetition(24) }));
    }
}
