//! Noise of a device as channels after its gates: depolarisation, relaxation by T1 and T2 while a gate lasts, and wrong
//! readings.
//!
//! From a device's properties the channels are composed as Qiskit's simulator does it: relaxation for the gate's
//! duration, and as much depolarisation beside it as the measured average infidelity leaves.

use std::collections::BTreeMap;

use crate::{
    circuit::{OneQubit, Operation},
    device::Properties,
};

/// How fast a qubit forgets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relaxation {
    /// T1 in seconds: a one becomes a zero.
    pub t1: f64,
    /// T2 in seconds: a phase is lost. More than 2·T1 is not possible and counts as that.
    pub t2: f64,
}

/// How often a reading is wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Readout {
    /// The probability that a zero is read as one.
    pub one_for_zero: f64,
    /// The probability that a one is read as zero.
    pub zero_for_one: f64,
}

/// What one gate adds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GateNoise {
    /// The probability that the state of the gate's qubits is replaced by the fully mixed one.
    pub depolarizing: f64,
    /// How long its qubits relax, in seconds.
    pub time: f64,
}

/// The noise of a device. Without entries there is none; turns about z never have any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NoiseModel {
    /// For gates on one qubit that have no entry of their own.
    pub one_qubit: GateNoise,
    /// For gates on two qubits that have no entry of their own.
    pub two_qubit: GateNoise,
    /// For readings of qubits that have no entry of their own.
    pub readout: Readout,
    /// For qubits that have no entry of their own; nothing means that they do not relax.
    pub relaxation: Option<Relaxation>,
    /// By gate and qubits in order.
    pub gates: BTreeMap<(&'static str, Vec<usize>), GateNoise>,
    /// By qubit.
    pub readouts: BTreeMap<usize, Readout>,
    /// By qubit.
    pub relaxations: BTreeMap<usize, Relaxation>,
}

/// A random event that may follow an operation; probabilities do not depend on the state, but for damping.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Channel {
    /// With the probability any of the four Pauli operators, alike probable, on each of the qubits.
    Depolarize(usize, Option<usize>, f64),
    /// With the probability Z.
    PhaseFlip(usize, f64),
    /// With the probability a reset to zero.
    Reset(usize, f64),
    /// Amplitude damping: a one falls to zero with the probability.
    Damp(usize, f64),
}

const ONE_QUBIT_NAMES: [&str; 9] = ["h", "x", "y", "z", "s", "sdg", "sx", "rx", "ry"];
const TWO_QUBIT_NAMES: [&str; 3] = ["cx", "cz", "ecr"];

impl NoiseModel {
    /// Depolarisation with these probabilities after gates on one and two qubits, and symmetric readout errors.
    pub fn uniform(one_qubit: f64, two_qubit: f64, readout: f64) -> Self {
        Self {
            one_qubit: GateNoise { depolarizing: one_qubit, time: 0.0 },
            two_qubit: GateNoise { depolarizing: two_qubit, time: 0.0 },
            readout: Readout { one_for_zero: readout, zero_for_one: readout },
            ..Self::default()
        }
    }

    /// The noise of the device that has these properties. Gates of other names than our circuits have are left out.
    pub fn from_properties(properties: &Properties) -> Self {
        let mut model = Self::default();
        for (number, qubit) in properties.qubits.iter().enumerate() {
            let both = qubit.readout_error.unwrap_or(0.0);
            let readout = Readout {
                one_for_zero: qubit.one_for_zero.unwrap_or(both),
                zero_for_one: qubit.zero_for_one.unwrap_or(both),
            };
            model.readouts.insert(number, readout);
            if let (Some(t1), Some(t2)) = (qubit.t1, qubit.t2)
                && t1 > 0.0
                && t2 > 0.0
            {
                model.relaxations.insert(number, Relaxation { t1, t2 });
            }
        }
        for gate in &properties.gates {
            let known = ONE_QUBIT_NAMES.iter().chain(&TWO_QUBIT_NAMES).find(|name| **name == gate.name);
            let (Some(name), 1..=2) = (known, gate.qubits.len()) else {
                continue;
            };
            let time = gate.time.unwrap_or(0.0);
            let kept = gate.qubits.iter().map(|&qubit| model.entanglement_fidelity(qubit, time)).product();
            let depolarizing = depolarization(gate.error.unwrap_or(0.0), kept, gate.qubits.len());
            model.gates.insert((*name, gate.qubits.clone()), GateNoise { depolarizing, time });
        }
        model
    }

    /// The same with no T2 above T1. Such noise is made of resets and phase flips alone, which the stabilizer sampler
    /// can follow; it is a little worse than the true one.
    #[must_use]
    pub fn for_stabilizers(mut self) -> Self {
        for relaxation in self.relaxations.values_mut().chain(&mut self.relaxation) {
            relaxation.t2 = relaxation.t2.min(relaxation.t1);
        }
        self
    }

    pub(crate) fn readout(&self, qubit: usize) -> Readout {
        self.readouts.get(&qubit).copied().unwrap_or(self.readout)
    }

    /// What may happen after an operation, in order.
    pub(crate) fn after(&self, operation: &Operation) -> Vec<Channel> {
        let (name, other) = match operation {
            Operation::One(OneQubit::Rz(_), _) | Operation::Reset(_) | Operation::Measure { .. } => {
                return Vec::new();
            }
            Operation::One(gate, _) => (gate.name(), self.one_qubit),
            Operation::Two(gate, ..) => (gate.name(), self.two_qubit),
        };
        let qubits: Vec<usize> = operation.qubits().collect();
        let noise = if self.gates.is_empty() {
            other
        } else {
            self.gates.get(&(name, qubits.clone())).copied().unwrap_or(other)
        };
        let mut channels = Vec::new();
        if noise.depolarizing > 0.0 {
            channels.push(Channel::Depolarize(
                qubits[0],
                qubits.get(1).copied(),
                noise.depolarizing.min(1.0),
            ));
        }
        if noise.time > 0.0 {
            for qubit in qubits {
                self.relax(qubit, noise.time, &mut channels);
            }
        }
        channels
    }

    fn relaxation(&self, qubit: usize) -> Option<Relaxation> {
        self.relaxations.get(&qubit).copied().or(self.relaxation)
    }

    fn relax(&self, qubit: usize, time: f64, channels: &mut Vec<Channel>) {
        let Some(Relaxation { t1, t2 }) = self.relaxation(qubit) else {
            return;
        };
        let decayed = -(-time / t1).exp_m1();
        // What is lost of the phase beyond what the decay itself takes: a reset takes all of it, damping a part.
        let flip = if t2 <= t1 {
            channels.push(Channel::Reset(qubit, decayed));
            -(time / t1 - time / t2).exp_m1() / 2.0
        } else {
            channels.push(Channel::Damp(qubit, decayed));
            -(time / (2.0 * t1) - time / t2.min(2.0 * t1)).exp_m1() / 2.0
        };
        if flip > 0.0 {
            channels.push(Channel::PhaseFlip(qubit, flip));
        }
    }

    /// The entanglement fidelity of relaxation for a time: (1 + e^(−t/T1) + 2·e^(−t/T2))/4.
    fn entanglement_fidelity(&self, qubit: usize, time: f64) -> f64 {
        self.relaxation(qubit).map_or(1.0, |Relaxation { t1, t2 }| {
            (1.0 + (-time / t1).exp() + 2.0 * (-time / t2.min(2.0 * t1)).exp()) / 4.0
        })
    }
}

/// The depolarisation that together with relaxation of entanglement fidelity `kept` gives the average infidelity
/// `error`, for gates on so many qubits.
fn depolarization(error: f64, kept: f64, qubits: usize) -> f64 {
    let dimension = if qubits == 1 { 2.0 } else { 4.0 };
    let average = (dimension * kept + 1.0) / (dimension + 1.0);
    // Fully mixed states are reached at an infidelity of 1 − 1/d.
    let missing = error.min(1.0 - 1.0 / dimension) - (1.0 - average);
    (missing / (average - 1.0 / dimension)).clamp(0.0, 1.0)
}
