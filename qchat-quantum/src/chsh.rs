//! The CHSH value S: how much stronger two qubits are correlated than anything without entanglement can be (Clauser, Horne,
//! Shimony, Holt 1969).
//!
//! |S| is at most 2 without entanglement and at most 2√2 with it. On one device it is a diagnostic of that device: parties
//! that can talk to one another while they measure prove nothing by it.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};

use serde::{Deserialize, Serialize};

use crate::{
    circuit::{Circuit, CircuitError},
    simulator::Samples,
};

/// What two qubits measured in one pair of settings gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// How often both results were the same.
    pub equal: usize,
    /// How often they differed.
    pub different: usize,
}

/// S with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Chsh {
    /// E(a,b) + E(a,b′) + E(a′,b) − E(a′,b′).
    pub s: f64,
    /// One standard deviation, from the numbers of results alone.
    pub error: f64,
    /// The four correlations in that order.
    pub correlations: [f64; 4],
}

impl Setting {
    /// Counts one pair of results.
    pub fn note(&mut self, a: bool, b: bool) {
        if a == b {
            self.equal += 1;
        } else {
            self.different += 1;
        }
    }

    /// Counts two classical bits of all shots; those that do not exist count as zero.
    pub fn from_samples(samples: &Samples, a: usize, b: usize) -> Self {
        let mut setting = Self::default();
        for shot in 0..samples.shots() {
            let value = |bit: usize| samples.column(bit).is_some_and(|column| column.get(shot));
            setting.note(value(a), value(b));
        }
        setting
    }

    /// E = (equal − different)/all, and its variance (1 − E²)/all. Nothing where there are no results.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2⁵²")]
    fn correlation(&self) -> Option<(f64, f64)> {
        let all = self.equal + self.different;
        let e = (self.equal as f64 - self.different as f64) / all as f64;
        // A correlation that was seen perfect is not known to be: one result more might have been the other.
        let spread = (1.0 - e * e).max(1.0 / all as f64);
        (all > 0).then(|| (e, spread / all as f64))
    }
}

impl Chsh {
    /// S from the counts in the settings (a,b), (a,b′), (a′,b), (a′,b′). Nothing where one of them has no results.
    pub fn from_counts(settings: &[Setting; 4]) -> Option<Self> {
        let mut correlations = [0.0; 4];
        let mut variance = 0.0;
        for (correlation, setting) in correlations.iter_mut().zip(settings) {
            let (e, spread) = setting.correlation()?;
            *correlation = e;
            variance += spread;
        }
        let [e0, e1, e2, e3] = correlations;
        Some(Self { s: e0 + e1 + e2 - e3, error: variance.sqrt(), correlations })
    }

    /// By how many standard errors |S| exceeds 2; negative where it does not.
    pub fn deviations(&self) -> f64 {
        (self.s.abs() - 2.0) / self.error
    }
}

/// The four circuits whose counts give S = 2√2 on a perfect device: a Bell pair, each qubit turned to its setting and
/// measured into the classical bit of its number.
///
/// # Errors
/// None in practice; the builder's are passed on.
pub fn circuits() -> Result<[Circuit; 4], CircuitError> {
    let circuit = |a: f64, b: f64| {
        Circuit::builder(2, 2).h(0).cx(0, 1).ry(-a, 0).ry(-b, 1).measure(0, 0).measure(1, 1).build()
    };
    Ok([
        circuit(0.0, FRAC_PI_4)?,
        circuit(0.0, -FRAC_PI_4)?,
        circuit(FRAC_PI_2, FRAC_PI_4)?,
        circuit(FRAC_PI_2, -FRAC_PI_4)?,
    ])
}
