//! How much min-entropy measured samples have: the ten estimators of SP 800-90B §6.3, of which the lowest counts (§3.1.3).
//!
//! Samples are symbols in bytes. The estimators take the most pessimistic end of a 99 % confidence interval, so even
//! perfect bits get less than 1 each: about 0.87 for a million of them, by the compression estimate.

mod counts;
mod predictors;
mod tuples;

use serde::Serialize;

pub use counts::{collision, compression, markov, most_common_value};
pub use predictors::{lag, lz78y, multi_mcw, multi_mmc};
pub use tuples::{Tuples, tuples};

/// z for 99 % confidence on both sides (§6.3.1 rounds it to 2.576; NIST's tool and we do not).
const Z: f64 = 2.575_829_303_548_901;

/// Min-entropy in bits a sample, by each estimator; nothing where it does not apply to so few samples or, for
/// collision, Markov and compression, to samples that are no bits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimates {
    /// §6.3.1.
    pub most_common_value: Option<f64>,
    /// §6.3.2.
    pub collision: Option<f64>,
    /// §6.3.3.
    pub markov: Option<f64>,
    /// §6.3.4.
    pub compression: Option<f64>,
    /// §6.3.5.
    pub t_tuple: Option<f64>,
    /// §6.3.6.
    pub lrs: Option<f64>,
    /// §6.3.7.
    pub multi_mcw: Option<f64>,
    /// §6.3.8.
    pub lag: Option<f64>,
    /// §6.3.9.
    pub multi_mmc: Option<f64>,
    /// §6.3.10.
    pub lz78y: Option<f64>,
}

impl Estimates {
    /// The lowest, which is the assessment; nothing when no estimator applies.
    pub fn lowest(&self) -> Option<f64> {
        [
            self.most_common_value,
            self.collision,
            self.markov,
            self.compression,
            self.t_tuple,
            self.lrs,
            self.multi_mcw,
            self.lag,
            self.multi_mmc,
            self.lz78y,
        ]
        .into_iter()
        .flatten()
        .reduce(f64::min)
    }
}

/// All ten estimates of a sequence; those for bits alone where no symbol is above 1.
///
/// A million binary samples take some seconds and 100 MB. Samples shorter than a million are estimated all the same,
/// although SP 800-90B §3.1.1 asks for as many before a source is validated.
pub fn estimates(samples: &[u8]) -> Estimates {
    let binary = samples.iter().all(|&sample| sample <= 1);
    let bits = |estimate: fn(&[u8]) -> Option<f64>| if binary { estimate(samples) } else { None };
    let tuples = tuples(samples);
    Estimates {
        most_common_value: most_common_value(samples),
        collision: bits(collision),
        markov: bits(markov),
        compression: bits(compression),
        t_tuple: tuples.t_tuple,
        lrs: tuples.lrs,
        multi_mcw: multi_mcw(samples),
        lag: lag(samples),
        multi_mmc: multi_mmc(samples),
        lz78y: lz78y(samples),
    }
}

/// The upper end of the 99 % confidence interval for a proportion seen in `count` samples, at most 1.
fn upper_bound(proportion: f64, count: usize) -> f64 {
    (proportion + Z * (proportion * (1.0 - proportion) / float(count - 1)).sqrt()).min(1.0)
}

/// Min-entropy for the probability of the best guess; never the −0 that a certain guess would give.
fn entropy(probability: f64) -> f64 {
    (-binary_logarithm(probability)).max(0.0)
}

pub(super) fn binary_logarithm(value: f64) -> f64 {
    value.log2()
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2⁵²")]
fn float(count: usize) -> f64 {
    count as f64
}
