//! The simulators of this machine as one backend: stabilizers where they can follow, the state vector otherwise.

use super::{Backend, BackendError, Origin};
use crate::{
    Seed,
    circuit::{Circuit, target::Target},
    device::Properties,
    noise::NoiseModel,
    simulator::{Samples, SimulatorError, stabilizer, state_vector},
};

/// A simulator, and what it imitates.
#[derive(Debug, Clone, Default)]
pub struct Local {
    noise: NoiseModel,
    target: Option<Target>,
    seed: Option<u64>,
}

impl Local {
    /// Its name.
    pub const NAME: &str = "local";

    /// A device without noise, on which any qubits meet.
    pub fn perfect() -> Self {
        Self::default()
    }

    /// One whose gates depolarise, and whose readings are wrong, with this probability.
    pub fn noisy(probability: f64) -> Self {
        Self { noise: NoiseModel::uniform(probability, probability, probability), ..Self::default() }
    }

    /// The device that these properties describe: its noise, its gates and its qubits.
    pub fn imitating(properties: &Properties) -> Self {
        let target = Some(Target::from_properties(properties));
        Self { noise: NoiseModel::from_properties(properties), target, seed: None }
    }

    /// The same, which draws from this seed: run again, it gives the same. Without one each run draws anew, from as much entropy as
    /// keys have.
    #[must_use]
    pub fn seeded(self, seed: Option<u64>) -> Self {
        Self { seed, ..self }
    }

    /// How many qubits the device has that it imitates, if it is one.
    pub fn qubits(&self) -> Option<usize> {
        self.target.as_ref().map(|target| target.readout_errors.len())
    }

    /// What [`Backend::run`] gives. Takes a thread's time.
    ///
    /// # Errors
    /// [`BackendError`].
    pub fn sample(&self, circuits: &[Circuit], shots: usize) -> Result<Vec<Samples>, BackendError> {
        let lowered = |circuit: &Circuit| match &self.target {
            Some(target) => circuit
                .lower(target)
                .map_err(|source| BackendError::Lower { backend: "the device described".to_owned(), source }),
            None => Ok(circuit.clone()),
        };
        (0..)
            .zip(circuits)
            .map(|(number, circuit)| {
                let seed = match self.seed {
                    Some(seed) => seed.wrapping_add(number).into(),
                    // Written nowhere.
                    None => fresh()?,
                };
                Ok(sample(&lowered(circuit)?, &self.noise, shots, seed)?)
            })
            .collect()
    }
}

impl Backend for Local {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn origin(&self) -> Origin {
        Origin::Simulator
    }

    async fn run(&self, circuits: &[Circuit], shots: usize) -> Result<Vec<Samples>, BackendError> {
        self.sample(circuits, shots)
    }
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

fn fresh() -> Result<Seed, BackendError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| BackendError::Entropy)?;
    Ok(bytes.into())
}
