//! Decoy states: what three intensities together say about pulses of a single photon, of which alone keys can be made
//! (Lim, Curty, Walenta, Xu, Zbinden: "Concise security bounds for practical decoy-state quantum key distribution",
//! Physical Review A 89, 022307, 2014).

use serde::Serialize;

use super::light::Intensities;
use crate::amplify::finite::binary_entropy;

/// Matches by intensity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// In the key basis.
    pub key: [usize; 3],
    /// In the test basis.
    pub test: [usize; 3],
    /// Those of the test basis that differed.
    pub errors: [usize; 3],
}

impl Counts {
    /// Counts a match; without intensities all are of the first.
    pub(super) fn add(&mut self, intensity: Option<u8>, test: bool) {
        let counts = if test { &mut self.test } else { &mut self.key };
        if let Some(count) = counts.get_mut(usize::from(intensity.unwrap_or(0))) {
            *count += 1;
        }
    }
}

/// Bounds on what the key is made of, each right but with the probability that belongs to ε_sec.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bounds {
    /// At least so many bits of the key come from pulses without a photon.
    pub vacuum: f64,
    /// At least so many come from single photons.
    pub single: f64,
    /// Those have at most this error rate in the basis that was not measured.
    pub phase_error: f64,
}

/// The bounds; nothing where the counts allow for no single photons at all, or the intensities are none.
pub fn bounds(intensities: &Intensities, counts: &Counts, eps_sec: f64) -> Option<Bounds> {
    let Intensities { means, probabilities } = *intensities;
    let [signal, decoy, vacuum] = means;
    if !(signal > decoy + vacuum && decoy > vacuum && vacuum >= 0.0 && probabilities.iter().all(|&p| p > 0.0))
    {
        return None;
    }
    // τ_n: the probability that a pulse has n photons.
    let tau = |n: i32| -> f64 {
        means.iter().zip(probabilities).map(|(mean, p)| p * (-mean).exp() * mean.powi(n)).sum()
    };
    let logarithm = (21.0 / eps_sec).ln();
    let bound = |counts: &[usize; 3], kind: usize, sign: f64| {
        let all = float(counts.iter().sum());
        let deviation = (all / 2.0 * logarithm).sqrt();
        means[kind].exp() / probabilities[kind] * (float(counts[kind]) + sign * deviation).max(0.0)
    };
    let no_photon = |counts: &[usize; 3]| {
        (tau(0) * (decoy * bound(counts, 2, -1.0) - vacuum * bound(counts, 1, 1.0)) / (decoy - vacuum))
            .max(0.0)
    };
    let one_photon = |counts: &[usize; 3]| {
        let weak = bound(counts, 1, -1.0) - bound(counts, 2, 1.0);
        let several = (decoy * decoy - vacuum * vacuum) / (signal * signal)
            * (bound(counts, 0, 1.0) - no_photon(counts) / tau(0));
        tau(1) * signal * (weak - several) / (signal * (decoy - vacuum) - decoy * decoy + vacuum * vacuum)
    };
    let (single, tested) = (one_photon(&counts.key), one_photon(&counts.test));
    if single <= 0.0 || tested <= 0.0 {
        return None;
    }
    let wrong = (tau(1) * (bound(&counts.errors, 1, 1.0) - bound(&counts.errors, 2, -1.0))
        / (decoy - vacuum))
        .max(0.0);
    let rate = (wrong / tested).min(0.5);
    let phase_error = (rate + deviation(eps_sec, rate, tested, single)).min(0.5);
    Some(Bounds { vacuum: no_photon(&counts.key), single, phase_error })
}

/// γ: by how much the error rate b of c bits may be exceeded by that of d others.
fn deviation(eps_sec: f64, b: f64, c: f64, d: f64) -> f64 {
    // At a rate of zero the bound has no value; the least that could have been seen stands in.
    let b = b.clamp(1.0 / c, 0.5);
    let spread = (c + d) * (1.0 - b) * b / (c * d * std::f64::consts::LN_2);
    let confidence = ((c + d) / (c * d * (1.0 - b) * b) * (21.0 / eps_sec) * (21.0 / eps_sec)).log2();
    (spread * confidence.max(0.0)).sqrt()
}

impl Bounds {
    /// ℓ = ⌊s₀ + s₁ − s₁·h(φ) − leak − 6·log₂(21/ε_sec) − log₂(2/ε_cor)⌋, at least 0.
    pub fn key_length(&self, leaked_bits: u64, eps_sec: f64, eps_cor: f64) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of bits are far below 2⁵²")]
        let leaked = leaked_bits as f64;
        let length = self.vacuum + self.single * (1.0 - binary_entropy(self.phase_error))
            - leaked
            - 6.0 * (21.0 / eps_sec).log2()
            - (2.0 / eps_cor).log2();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "negative becomes 0")]
        {
            length.floor() as u64
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of bits are far below 2⁵²")]
fn float(count: usize) -> f64 {
    count as f64
}
