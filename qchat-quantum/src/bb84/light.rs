//! Light: pulses, what sends them, what a line takes from them, and how a detector answers.
//!
//! A polarisation is an angle in eighths of a half turn: 0 and 4 are zero and one of the key basis, 2 and 6 those of the
//! test basis, 1 and 5 those of the basis halfway between (Breidbart's).

use rand::Rng;
use serde::{Deserialize, Serialize};

/// Which of the two bases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Basis {
    /// Keys are made from it.
    Key,
    /// Errors are counted in it.
    Test,
}

/// A pulse on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// Polarisation, 0 to 7.
    pub angle: u8,
    /// How many photons it has; nobody can count them without trying.
    pub photons: u8,
}

impl Pulse {
    /// The polarisation for a bit in a basis.
    pub(crate) fn angle(basis: Basis, bit: bool) -> u8 {
        let base = if basis == Basis::Key { 0 } else { 2 };
        if bit { base + 4 } else { base }
    }
}

/// The intensities of decoy states: mean photon numbers and how often each is sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Intensities {
    /// Mean photons of signal, decoy and near-vacuum pulses, in falling order, with signal > decoy + vacuum.
    pub means: [f64; 3],
    /// The probabilities of the three; their sum is 1.
    pub probabilities: [f64; 3],
}

impl Default for Intensities {
    fn default() -> Self {
        Self { means: [0.5, 0.2, 0.0002], probabilities: [0.4, 0.4, 0.2] }
    }
}

/// What Alice has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// Exactly one photon a pulse.
    SinglePhoton,
    /// A weak laser without decoy states. Its keys are computed as if every pulse had one photon, which is wrong: splitting
    /// photons goes unnoticed. It is here to show that.
    WeakPulses {
        /// Mean photons a pulse.
        mean: f64,
    },
    /// A weak laser with decoy states.
    Decoy(Intensities),
}

/// What the line does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Loss in decibels; 0.2 a kilometre is good fibre.
    pub loss_db: f64,
    /// The probability that a photon arrives in the wrong state of the basis in which it is measured.
    pub noise: f64,
}

impl Default for Line {
    /// Without loss and noise.
    fn default() -> Self {
        Self { loss_db: 0.0, noise: 0.0 }
    }
}

impl Line {
    /// The probability that a photon arrives.
    pub fn transmittance(&self) -> f64 {
        10_f64.powf(-self.loss_db.max(0.0) / 10.0)
    }
}

/// How Bob's detectors answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    /// The probability that a photon which arrives is detected.
    pub efficiency: f64,
    /// The probability of a click without a photon, a pulse.
    pub dark_counts: f64,
}

impl Default for Detector {
    /// Perfect.
    fn default() -> Self {
        Self { efficiency: 1.0, dark_counts: 0.0 }
    }
}

/// The probability of zero for the angle between polarisation and basis, in eighths of a half turn: cos².
const COSINES: [f64; 8] = [
    1.0,
    0.853_553_390_593_273_8,
    0.5,
    0.146_446_609_406_726_24,
    0.0,
    0.146_446_609_406_726_24,
    0.5,
    0.853_553_390_593_273_8,
];

/// A uniform number in [0, 1).
pub(crate) fn uniform(random: &mut impl Rng) -> f64 {
    f64::from(random.next_u32()) / 4_294_967_296.0
}

/// Measures a polarisation in the basis whose zero is at `zero`; gives the bit.
pub(crate) fn measure(angle: u8, zero: u8, random: &mut impl Rng) -> bool {
    match (angle + 8 - zero) % 8 {
        0 => false,
        4 => true,
        2 | 6 => random.next_u32() & 1 == 1,
        between => uniform(random) >= COSINES[usize::from(between)],
    }
}

/// How many photons a pulse of this mean has (Poisson, by inversion).
pub(crate) fn photons(mean: f64, random: &mut impl Rng) -> u8 {
    let draw = uniform(random);
    let (mut count, mut probability) = (0_u8, (-mean).exp());
    let mut below = probability;
    while draw >= below && count < 50 {
        count += 1;
        probability *= mean / f64::from(count);
        below += probability;
    }
    count
}

/// How many of `photons` are left where each passes with a probability.
pub(crate) fn thin(photons: u8, probability: f64, random: &mut impl Rng) -> u8 {
    if probability >= 1.0 {
        return photons;
    }
    (0..photons).map(|_| u8::from(uniform(random) < probability)).sum()
}
