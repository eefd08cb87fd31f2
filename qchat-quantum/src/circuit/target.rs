//! What a device can do and how well: the gate between its qubits, which pairs have one, and the errors.

use super::TwoQubit;
use crate::device::Properties;

/// Two qubits that a gate connects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coupling {
    /// The control, where the gate has one.
    pub first: usize,
    /// The target.
    pub second: usize,
    /// The probability that the gate goes wrong.
    pub error: f64,
}

/// A device, as far as a circuit must know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The native gate on two qubits.
    pub entangler: TwoQubit,
    /// For each qubit, the probability that it is read wrongly.
    pub readout_errors: Vec<f64>,
    /// The pairs that have the native gate, in the direction that it has.
    pub couplings: Vec<Coupling>,
}

impl Target {
    /// A perfect device on which every pair of neighbours in a row has a CZ.
    pub fn line(qubits: usize) -> Self {
        let couplings =
            (1..qubits).map(|second| Coupling { first: second - 1, second, error: 0.0 }).collect();
        Self { entangler: TwoQubit::Cz, readout_errors: vec![0.0; qubits], couplings }
    }

    /// The device that `properties` describe. Its gate is CZ where any pair has one, else ECR; a qubit whose error was
    /// not measured counts as always wrong, so that it is chosen last.
    pub fn from_properties(properties: &Properties) -> Self {
        let entangler =
            if properties.gates.iter().any(|gate| gate.name == "cz") { TwoQubit::Cz } else { TwoQubit::Ecr };
        let name = if entangler == TwoQubit::Cz { "cz" } else { "ecr" };
        let couplings = properties
            .gates
            .iter()
            .filter(|gate| gate.name == name)
            .filter_map(|gate| match gate.qubits[..] {
                [first, second] => Some(Coupling { first, second, error: gate.error.unwrap_or(1.0) }),
                _ => None,
            })
            // A gate that always fails is IBM's way to say that there is none.
            .filter(|coupling| coupling.error < 1.0)
            .collect();
        let readout_errors =
            properties.qubits.iter().map(|qubit| qubit.readout_error.unwrap_or(1.0)).collect();
        Self { entangler, readout_errors, couplings }
    }
}
