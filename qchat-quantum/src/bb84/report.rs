//! What a run of a protocol came to, as it is shown and written.

use serde::Serialize;

use crate::{
    bits::Bits,
    distill::{AbortReason, Distilled},
};

/// What stands beside every simulated run.
pub const PROVENANCE: &str =
    "simulated on this machine from a seed: shows the protocol, and gives nobody any secrecy";

/// The report of a run of BB84 or E91.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What ran it.
    pub backend: &'static str,
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
    /// Whether both ends have the same key, which only a simulation can see.
    pub keys_match: bool,
    /// Of the raw key, how many bits Eve knew for certain, which only a simulation can see.
    pub eve_certain_bits: usize,
    /// Of the raw key, how many bits Eve would have guessed.
    pub eve_guessed_bits: usize,
    /// S and its standard error, for E91.
    pub chsh: Option<[f64; 2]>,
    /// What the result is worth.
    pub provenance: &'static str,
    /// The final key, which no report shows.
    #[serde(skip)]
    pub key: Bits,
}

impl Report {
    /// Fills in how it ended at both ends.
    pub(crate) fn conclude(
        &mut self,
        alice: Option<Result<&Distilled, AbortReason>>,
        bob: Option<Result<&Distilled, AbortReason>>,
    ) {
        match (alice, bob) {
            (Some(Ok(alice)), Some(Ok(bob))) => {
                self.aborted = false;
                self.abort_reason = None;
                self.final_key_bits = bob.key.len();
                self.leaked_bits = bob.leaked_bits;
                self.reconciliation_efficiency = bob.efficiency;
                self.keys_match = alice.key == bob.key;
                self.key = bob.key.clone();
            }
            (Some(Err(reason)), _) | (_, Some(Err(reason))) => self.abort_reason = Some(reason),
            // Messages ended before both had.
            _ => {}
        }
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
