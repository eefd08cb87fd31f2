//! What a quantum job is to do.

use qchat_quantum::circuit::{Circuit, CircuitError};
use qchat_quantum::{bb84, chsh, circuit, e91};
use serde::{Deserialize, Serialize};

use crate::store::quantum::digest_of;

/// Qubits that give a bit each, where a device has as many: more shots cost less than more circuits, and every qubit is read
/// as often.
pub const WIDTH: usize = 16;
/// Fewest measured bits: below, the estimates see little entropy even in perfect bits.
const LEAST_RAW: usize = 4_096;
/// Most key bits of one job.
pub const MOST_BITS: usize = 65_536;

/// What is to be done. Everything that it depends on is in it, so that any process can go on with it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// Random bits for keys.
    Qrng(Qrng),
    /// The CHSH value of two qubits.
    Chsh(ChshTest),
    /// A key by BB84.
    Bb84(bb84::Settings),
    /// A key by E91.
    E91(e91::Settings),
}

/// Random bits for keys.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Qrng {
    /// How many bits the pool is to get, a multiple of 256.
    pub bits: usize,
    /// What a simulator's bits come from. They can be made again by it, and never go into a key.
    pub seed: Option<u64>,
    /// What a simulator imitates.
    pub noise: Noise,
}

/// A CHSH test.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ChshTest {
    /// How often each of the four circuits runs.
    pub shots: usize,
    /// What a simulator's results come from.
    pub seed: u64,
    /// What a simulator imitates.
    pub noise: Noise,
}

/// What a simulator imitates.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// A perfect device.
    #[default]
    None,
    /// One whose gates depolarise, and whose readings are wrong, with this probability.
    Uniform(f64),
    /// The device that these properties describe, as IBM's REST API gives them.
    Properties(String),
    /// The same, where the database has them under this digest.
    Stored(String),
}

impl Task {
    /// Its name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Qrng(_) => "qrng",
            Self::Chsh(_) => "chsh",
            Self::Bb84(_) => "bb84",
            Self::E91(_) => "e91",
        }
    }

    fn noise(&mut self) -> Option<&mut Noise> {
        match self {
            Self::Qrng(task) => Some(&mut task.noise),
            Self::Chsh(task) => Some(&mut task.noise),
            Self::Bb84(_) | Self::E91(_) => None,
        }
    }

    /// The task as it is stored, and the description of a device that is stored beside it.
    pub fn apart(&self) -> (Self, Option<String>) {
        let mut task = self.clone();
        let Some(noise @ Noise::Properties(_)) = task.noise() else { return (task, None) };
        let Noise::Properties(properties) = std::mem::take(noise) else { return (task, None) };
        *noise = Noise::Stored(digest_of(&properties));
        (task, Some(properties))
    }

    /// The digest of the description that is stored beside it.
    pub fn stored(&mut self) -> Option<String> {
        match self.noise() {
            Some(Noise::Stored(digest)) => Some(digest.clone()),
            _ => None,
        }
    }

    /// The same with the description that was stored beside it.
    #[must_use]
    pub fn with(mut self, properties: String) -> Self {
        if let Some(noise) = self.noise() {
            *noise = Noise::Properties(properties);
        }
        self
    }

    /// How many qubits a device must have for its circuits to read so many bits each.
    pub fn qubits_for(&self, width: usize) -> usize {
        if matches!(self, Self::Bb84(_)) { width * 2 } else { width }
    }

    /// Whether the simulator comes to the same each time, and nothing of it goes into a key.
    pub fn is_reproducible(&self) -> bool {
        match self {
            Self::Qrng(task) => task.seed.is_some(),
            Self::Chsh(_) | Self::Bb84(_) | Self::E91(_) => true,
        }
    }

    /// The circuits that a device of so many qubits runs for it, and how often each; none for what no device runs.
    ///
    /// # Errors
    /// None in practice; the builder's are passed on.
    pub fn circuits(&self, qubits: usize) -> Result<(Vec<Circuit>, usize), CircuitError> {
        match self {
            Self::Qrng(task) => {
                let width = qubits.clamp(1, WIDTH);
                Ok((vec![circuit::random_bits(width)?], raw_bits(task.bits).div_ceil(width)))
            }

            Self::Chsh(task) => Ok((chsh::circuits()?.to_vec(), task.shots)),
            // Half of a device: the qubits that are read worst would be errors.
            Self::Bb84(settings) => Ok((bb84::circuits::circuits(settings, (qubits / 2).clamp(1, 64))?, 1)),
            Self::E91(_) => Ok((vec![], 0)),
        }
    }
}

/// How many bits are measured for so many: enough where each has half a bit of min-entropy.
fn raw_bits(bits: usize) -> usize {
    let conditioned = bits.div_ceil(256) * 320 + 128;
    (conditioned * 2).max(LEAST_RAW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_stored_beside_its_task() {
        let noise = Noise::Properties("text".to_owned());
        for task in [
            Task::Chsh(ChshTest { shots: 1, seed: 1, noise: noise.clone() }),
            Task::Qrng(Qrng { bits: 256, seed: None, noise }),
        ] {
            let (mut apart, text) = task.apart();
            assert_eq!((apart.stored(), text.as_deref()), (Some(digest_of("text")), Some("text")));
            assert!(!serde_json::to_string(&apart).unwrap().contains("properties"));
            assert_eq!(apart.with("text".to_owned()), task);
        }
        let plain = Task::Chsh(ChshTest { shots: 1, seed: 1, noise: Noise::Uniform(0.1) });
        assert_eq!(plain.apart(), (plain.clone(), None));
    }

    #[test]
    fn enough_is_measured_for_what_is_wanted() {
        for (bits, raw) in [(256, 4_096), (1_024, 4_096), (2_048, 5_376), (MOST_BITS, 164_096)] {
            assert_eq!(raw_bits(bits), raw, "{bits}");
            let task = Task::Qrng(Qrng { bits, seed: None, noise: Noise::None });
            let (circuits, shots) = task.circuits(3).unwrap();
            assert!(circuits.len() == 1 && circuits[0].bits() * shots >= raw);
            let again: Task = serde_json::from_str(&serde_json::to_string(&task).unwrap()).unwrap();
            assert_eq!(again, task);
        }
    }
}
