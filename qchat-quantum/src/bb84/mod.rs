//! BB84, simulated: what Alice sends, what a line and an eavesdropper do to it, what Bob measures, and what both make of
//! it by messages that everybody may hear.
//!
//! On one machine this shows the protocol and gains nobody any secrecy; every report says so. Key bits are those of one
//! basis, test bits those of the other (Tomamichel et al. 2012; with decoy states Lim et al. 2014).

pub mod alice;
pub mod bob;
pub mod circuits;
pub mod decoy;
pub mod distance;
pub mod eve;
pub mod joint;
pub mod light;
pub mod report;
mod session;

use serde::{Deserialize, Serialize};

pub use session::{on_a_device, run};

use crate::{
    bits::Bits,
    distill::{self, AbortReason},
};

/// The error rate above which both give up, where nothing else is said. Just below 11 %, where no key is left anyway: of 256
/// test bits 27 may be wrong, and whoever measures and resends every pulse is missed with 4.8·10⁻⁹.
pub const ERROR_LIMIT: f64 = 0.109;

/// Everything that a run depends on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How many pulses Alice sends.
    pub qubits: usize,
    /// What the pulses are.
    pub source: light::Source,
    /// What the line does to them.
    pub line: light::Line,
    /// Bob's detectors.
    pub detector: light::Detector,
    /// Who listens.
    pub eve: eve::Strategy,
    /// The probability with which each end chooses the basis that keys are made from; the rest is for tests.
    pub key_basis: f64,
    /// The error rate above which both give up.
    pub error_limit: f64,
    /// How far from secret the key may be.
    pub eps_sec: f64,
    /// How probable unequal keys may be.
    pub eps_cor: f64,
    /// What all randomness of the run comes from.
    pub seed: u64,
}

impl Default for Settings {
    /// 100,000 single photons over a perfect line, three quarters in the key basis.
    fn default() -> Self {
        Self {
            qubits: 100_000,
            source: light::Source::SinglePhoton,
            line: light::Line::default(),
            detector: light::Detector::default(),
            eve: eve::Strategy::None,
            key_basis: 0.75,
            error_limit: ERROR_LIMIT,
            eps_sec: 1e-10,
            eps_cor: 1e-15,
            seed: 0,
        }
    }
}

/// What Alice and Bob say to one another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Bob: which pulses he detected, and for each of those whether he measured in the test basis.
    Detected {
        /// One bit a pulse.
        clicks: Bits,
        /// One bit a detection.
        test_basis: Bits,
    },
    /// Alice: which detections count, and her bits of those in the test basis.
    Sifted {
        /// One bit a detection: whether both had the same basis.
        matched: Bits,
        /// For each match the number of its intensity; empty for single photons.
        intensities: Vec<u8>,
        /// Her bits of the matches in the test basis, in order.
        test_bits: Bits,
        /// What the permutations of the reconciliation come from.
        permutations: u64,
    },
    /// Bob: how many of the test bits differed, by intensity.
    Compared {
        /// One number an intensity; one alone for single photons.
        errors: Vec<usize>,
    },
    /// The rest of the conversation.
    Distill(distill::Message),
    /// The end, without a key.
    Abort(AbortReason),
}

/// What is left after sifting, as both ends count it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sifted {
    /// Pulses that Bob detected.
    pub detected: usize,
    /// Detections in the same basis.
    pub matched: usize,
    /// Those that were compared and given up.
    pub test_bits: usize,
    /// How many of the test bits differed.
    pub test_errors: usize,
}

impl Sifted {
    /// The error rate among the test bits; 0 where there are none.
    #[expect(clippy::cast_precision_loss, reason = "counts of bits")]
    pub fn error_rate(&self) -> f64 {
        if self.test_bits == 0 { 0.0 } else { self.test_errors as f64 / self.test_bits as f64 }
    }
}

/// Whether to go on after the comparison; both ends decide alike.
fn terms(
    settings: &Settings,
    sifted: &Sifted,
    counts: &decoy::Counts,
    permutations: u64,
) -> Result<distill::Terms, AbortReason> {
    if sifted.test_bits == 0 || sifted.matched == sifted.test_bits {
        return Err(AbortReason::TooFewDetections { detected: sifted.detected });
    }
    let measured = sifted.error_rate();
    if measured > settings.error_limit {
        return Err(AbortReason::ErrorRate { measured, limit: settings.error_limit });
    }
    let secrecy = match settings.source {
        light::Source::SinglePhoton | light::Source::WeakPulses { .. } => {
            distill::Secrecy::SinglePhotons { test_bits: sifted.test_bits, errors: sifted.test_errors }
        }
        light::Source::Decoy(intensities) => {
            let bounds =
                decoy::bounds(&intensities, counts, settings.eps_sec).ok_or(AbortReason::NoSecretBits)?;
            distill::Secrecy::Decoy(bounds)
        }
    };
    // An estimate of zero errors would make blocks longer than the frame has reason to be.
    #[expect(clippy::cast_precision_loss, reason = "counts of bits")]
    let least = 0.5 / sifted.test_bits as f64;
    Ok(distill::Terms {
        secrecy,
        settings: crate::reconcile::cascade::Settings { seed: permutations, error_rate: measured.max(least) },
        eps_sec: settings.eps_sec,
        eps_cor: settings.eps_cor,
    })
}
