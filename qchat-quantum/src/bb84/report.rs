//! What a run of a protocol came to, as it is shown and written.

use std::borrow::Cow;

use serde::Serialize;

use crate::{
    bits::Bits,
    distill::{AbortReason, Distilled},
};

/// What stands beside every simulated run.
pub const PROVENANCE: &str =
    "simulated on this machine from a seed: shows the protocol, and gives nobody any secrecy";

/// What stands beside a run on one device.
pub const ON_A_DEVICE: &str = "measured on one quantum computer that played both ends: shows the protocol and how well that computer \
    keeps states, and gives nobody any secrecy";

/// The report of a run of BB84 or E91.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What ran it.
    pub backend: Cow<'static, str>,
    /// Whether a quantum computer measured it.
    pub quantum: bool,
    /// Pulses or pairs sent.
    pub qubits: usize,
    /// Those that Bob detected.
    pub detected: usize,
    /// Detections in matching bases.
    pub sifted_bits: usize,
    /// Those of them that were compared and given up.
    pub test_bits: usize,
    /// The error rate among the test bits.
    pub qber: f64,
    /// Its 95 % confidence interval (Wilson 1927).
    pub qber_interval: [f64; 2],
    /// The error rate among the test bits of each twentieth of the run, in their order; fewer where there are few bits.
    pub qber_over_time: Vec<f64>,
    /// Parities told over the least possible number; nothing where there was nothing to correct.
    pub reconciliation_efficiency: Option<f64>,
    /// Bits about the key that were said in public.
    pub leaked_bits: usize,
    /// Length of the final key.
    pub final_key_bits: usize,
    /// Whether it ended without a key.
    pub aborted: bool,
    /// Why.
    pub abort_reason: Option<AbortReason>,
    /// How far from secret the key may be.
    pub eps_sec: f64,
    /// How probable unequal keys may be.
    pub eps_cor: f64,
    /// What the run came from.
    pub seed: u64,
    /// Whether both ends have the same key, which only a simulation of both can see.
    pub keys_match: Option<bool>,
    /// Of the raw key, how many bits Eve knew for certain, which only her simulation can see.
    pub eve_certain_bits: Option<usize>,
    /// Of the raw key, how many bits Eve would have guessed.
    pub eve_guessed_bits: Option<usize>,
    /// S and its standard error, for E91.
    pub chsh: Option<[f64; 2]>,
    /// What the result is worth.
    pub provenance: &'static str,
    /// The final key, which no report shows.
    #[serde(skip)]
    pub key: Bits,
}

impl Report {
    /// The report of a run of which nothing is known yet.
    pub(crate) fn unfinished(eps_sec: f64, eps_cor: f64, seed: u64) -> Self {
        Self {
            backend: "local".into(),
            quantum: false,
            qubits: 0,
            detected: 0,
            sifted_bits: 0,
            test_bits: 0,
            qber: 0.0,
            qber_interval: confidence_interval(0, 0),
            qber_over_time: vec![],
            reconciliation_efficiency: None,
            leaked_bits: 0,
            final_key_bits: 0,
            aborted: true,
            abort_reason: Some(AbortReason::Protocol),
            eps_sec,
            eps_cor,
            seed,
            keys_match: None,
            eve_certain_bits: None,
            eve_guessed_bits: None,
            chsh: None,
            provenance: PROVENANCE,
            key: Bits::new(),
        }
    }

    /// Fills in how it ended at one end; nothing where it has not.
    pub(crate) fn conclude_one(&mut self, end: Option<Result<&Distilled, AbortReason>>) {
        match end {
            Some(Ok(distilled)) => {
                self.aborted = false;
                self.abort_reason = None;
                self.final_key_bits = distilled.key.len();
                self.leaked_bits = distilled.leaked_bits;
                self.reconciliation_efficiency = distilled.efficiency;
                self.key = distilled.key.clone();
            }
            Some(Err(reason)) => self.abort_reason = Some(reason),
            None => {}
        }
    }

    /// Fills in how it ended at both ends.
    pub(crate) fn conclude(
        &mut self,
        alice: Option<Result<&Distilled, AbortReason>>,
        bob: Option<Result<&Distilled, AbortReason>>,
    ) {
        self.keys_match =
            Some(matches!((alice, bob), (Some(Ok(alice)), Some(Ok(bob))) if alice.key == bob.key));
        let end = match (alice, bob) {
            (Some(Err(reason)), _) | (_, Some(Err(reason))) => Some(Err(reason)),
            (Some(Ok(_)), Some(Ok(bob))) => Some(Ok(bob)),
            // Messages ended before both had.
            _ => None,
        };
        self.conclude_one(end);
    }
}

/// The error rate in each of twenty runs of test bits of like length, one after the other.
#[expect(clippy::cast_precision_loss, reason = "counts of bits")]
pub(crate) fn over_time(mistakes: &Bits) -> Vec<f64> {
    const PARTS: usize = 20;
    let length = mistakes.len().div_ceil(PARTS).max(1);
    (0..mistakes.len())
        .step_by(length)
        .map(|start| {
            let part = mistakes.slice(start, length.min(mistakes.len() - start));
            part.count_ones() as f64 / part.len() as f64
        })
        .collect()
}

/// The interval in which a proportion lies with 95 % confidence, given `successes` among `trials` (Wilson 1927); all of
/// [0, 1] where there were none.
pub fn confidence_interval(successes: usize, trials: usize) -> [f64; 2] {
    const Z: f64 = 1.959_963_984_540_054;
    if trials == 0 {
        return [0.0, 1.0];
    }
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2⁵²")]
    let (n, p) = (trials as f64, successes as f64 / trials as f64);
    let weight = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / weight;
    let half = Z / weight * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    [(centre - half).max(0.0), (centre + half).min(1.0)]
}
