//! The backend on this machine: a simulator, which runs the circuits of a task.

use qchat_quantum::{backend::Local, device::Properties, simulator::Samples};

use super::{
    error::QuantumError,
    task::{Noise, Task, WIDTH},
};

/// Its name.
pub const NAME: &str = Local::NAME;

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
    let simulator = match noise {
        Noise::None => Local::perfect(),
        Noise::Uniform(probability) => Local::noisy(*probability),
        Noise::Properties(text) => Local::imitating(&Properties::from_json(text)?),
        Noise::Stored(_) => return Err(QuantumError::Malformed("device")),
    };
    let (circuits, shots) = task.circuits(simulator.qubits().unwrap_or(WIDTH))?;
    Ok(simulator.seeded(seed).sample(&circuits, shots)?)
}

/// A seed from the operating system.
///
/// # Errors
/// When it gives none.
pub fn fresh_seed() -> Result<u64, QuantumError> {
    use qchat_proto::crypto::entropy::{Entropy as _, SystemEntropy};

    let mut bytes = [0; 8];
    SystemEntropy.fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantum::{
        outcome::{self, Source},
        task::Qrng,
    };

    fn key_bits(task: Qrng) -> u64 {
        let task = Task::Qrng(task);
        let made = outcome::of(&task, &Source::LOCAL, &run(&task).unwrap()).unwrap();
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
