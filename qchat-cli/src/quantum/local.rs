//! The backend on this machine: a simulator.

use qchat_quantum::{
    Seed,
    circuit::{Circuit, target::Target},
    device::Properties,
    noise::NoiseModel,
    simulator::{Samples, SimulatorError, stabilizer, state_vector},
};

use super::{
    error::QuantumError,
    task::{Noise, Task, WIDTH},
};

/// Its name.
pub const NAME: &str = "local";

/// Runs the circuits of a task. Blocks the thread for as long as that takes.
///
/// # Errors
/// When a circuit cannot be simulated, or the device that is to be imitated cannot run it.
pub fn run(task: &Task) -> Result<Vec<Samples>, QuantumError> {
    let (noise, seed) = match task {
        Task::Qrng(task) => (&task.noise, task.seed),
        Task::Chsh(task) => (&task.noise, Some(task.seed)),
        // Simulated as light, when what came of it is asked for.
        Task::Bb84(_) | Task::E91(_) => return Ok(vec![]),
    };
    let (model, target) = match noise {
        Noise::None => (NoiseModel::default(), None),
        Noise::Uniform(probability) => (NoiseModel::uniform(*probability, *probability, *probability), None),
        Noise::Properties(text) => {
            let properties = Properties::from_json(text)?;
            (NoiseModel::from_properties(&properties), Some(Target::from_properties(&properties)))
        }
    };
    let lowered = |circuit: &Circuit| match &target {
        Some(target) => circuit
            .lower(target)
            .map_err(|source| QuantumError::Lower { backend: "the device described".to_owned(), source }),
        None => Ok(circuit.clone()),
    };
    let qubits = target.as_ref().map_or(WIDTH, |target| target.readout_errors.len());
    let (circuits, shots) = task.circuits(qubits)?;
    (0..)
        .zip(&circuits)
        .map(|(number, circuit)| {
            let seed = match seed {
                Some(seed) => seed.wrapping_add(number).into(),
                // Written nowhere, and of as much entropy as keys have.
                None => entropy::<32>()?.into(),
            };
            Ok(sample(&lowered(circuit)?, &model, shots, seed)?)
        })
        .collect()
}

/// By stabilizers where they can follow, which is faster.
fn sample(
    circuit: &Circuit,
    noise: &NoiseModel,
    shots: usize,
    seed: Seed,
) -> Result<Samples, SimulatorError> {
    match stabilizer::sample(circuit, noise, shots, seed) {
        Err(SimulatorError::Gate(_) | SimulatorError::Noise) => {
            state_vector::sample(circuit, noise, shots, seed)
        }
        done => done,
    }
}

/// A seed from the operating system.
///
/// # Errors
/// When it gives none.
pub fn fresh_seed() -> Result<u64, QuantumError> {
    Ok(u64::from_le_bytes(entropy()?))
}

fn entropy<const N: usize>() -> Result<[u8; N], QuantumError> {
    use qchat_proto::crypto::entropy::{Entropy as _, SystemEntropy};

    let mut bytes = [0; N];
    SystemEntropy.fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantum::{outcome, task::Qrng};

    fn key_bits(task: Qrng) -> u64 {
        let task = Task::Qrng(task);
        let made = outcome::of(&task, NAME, None, &run(&task).unwrap()).unwrap();
        let report: serde_json::Value = serde_json::from_str(&made.report).unwrap();
        report["key_bits"].as_u64().unwrap()
    }

    #[test]
    fn a_perfect_device_gives_as_many_bits_as_are_asked_for() {
        for bits in (256..=6_144).step_by(256) {
            // The last seed of all is one, too.
            for seed in [1, u64::MAX] {
                let task = Qrng { bits, seed: Some(seed), noise: Noise::None };
                assert_eq!(key_bits(task), bits as u64, "{bits} by {seed}");
            }
        }
    }

    #[test]
    fn a_device_of_few_qubits_is_imitated_as_it_is() {
        let qubits = r#"[[{"name":"readout_error","value":0.01}],[{"name":"readout_error","value":0.01}]]"#;
        let gates = r#"[{"gate":"sx","qubits":[0],"parameters":[]},{"gate":"sx","qubits":[1],"parameters":[]},{"gate":"cz","qubits":[0,1],"parameters":[]}]"#;
        let properties = format!(r#"{{"backend_name":"two","qubits":{qubits},"gates":{gates}}}"#);
        let task = Qrng { bits: 256, seed: Some(1), noise: Noise::Properties(properties) };
        assert_eq!(key_bits(task), 256);
    }
}
