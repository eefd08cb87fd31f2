//! A circuit cut into parts that share neither gates nor classical bits: each is simulated by itself, so that many
//! independent qubits cost as much as their largest part.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::{
    circuit::{Circuit, Operation},
    noise::{Channel, NoiseModel, Readout},
};

/// A step of a part, over qubits counted from 0 within it.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) operation: Operation,
    pub(super) channels: Vec<Channel>,
    /// For measurements, the errors of reading.
    pub(super) readout: Readout,
}

/// A part of a circuit. Classical bits are counted within it too.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    pub(super) qubits: usize,
    /// The circuit's classical bits that this part fills.
    pub(super) bits: Vec<usize>,
    pub(super) steps: Vec<Step>,
}

/// Who belongs together: every element points towards the representative of its set.
struct Sets(Vec<usize>);

impl Sets {
    fn find(&mut self, mut element: usize) -> usize {
        while self.0[element] != element {
            self.0[element] = self.0[self.0[element]];
            element = self.0[element];
        }
        element
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}

/// The parts in the order of their first steps.
pub(super) fn parts(circuit: &Circuit, noise: &NoiseModel) -> Vec<Part> {
    // Classical bits stand behind the qubits, so that two measurements into one bit join their qubits.
    let mut sets = Sets((0..circuit.qubits() + circuit.bits()).collect());
    for operation in circuit.operations() {
        match *operation {
            Operation::Two(_, a, b) => sets.join(a, b),
            Operation::Measure { qubit, bit } => sets.join(qubit, circuit.qubits() + bit),
            Operation::One(..) | Operation::Reset(_) => {}
        }
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut numbers = HashMap::new();
    let (mut qubits, mut bits) = (HashMap::new(), HashMap::new());
    for operation in circuit.operations() {
        let Some(first) = operation.qubits().next() else {
            continue;
        };
        let number = *numbers.entry(sets.find(first)).or_insert_with(|| {
            parts.push(Part::default());
            parts.len() - 1
        });
        let part = &mut parts[number];
        let channels = noise.after(operation);
        let mut local = |qubit: usize| {
            *qubits.entry(qubit).or_insert_with(|| {
                part.qubits += 1;
                part.qubits - 1
            })
        };
        let (operation, readout) = match *operation {
            Operation::One(gate, qubit) => (Operation::One(gate, local(qubit)), Readout::default()),
            Operation::Two(gate, a, b) => (Operation::Two(gate, local(a), local(b)), Readout::default()),
            Operation::Reset(qubit) => (Operation::Reset(local(qubit)), Readout::default()),
            Operation::Measure { qubit, bit } => {
                let readout = noise.readout(qubit);
                let qubit = local(qubit);
                let bit = *bits.entry(bit).or_insert_with(|| {
                    part.bits.push(bit);
                    part.bits.len() - 1
                });
                (Operation::Measure { qubit, bit }, readout)
            }
        };
        let channels = channels
            .into_iter()
            .map(|channel| match channel {
                Channel::Depolarize(a, b, p) => Channel::Depolarize(local(a), b.map(&mut local), p),
                Channel::PhaseFlip(qubit, p) => Channel::PhaseFlip(local(qubit), p),
                Channel::Reset(qubit, p) => Channel::Reset(local(qubit), p),
                Channel::Damp(qubit, p) => Channel::Damp(local(qubit), p),
            })
            .collect();
        part.steps.push(Step { operation, channels, readout });
    }
    for part in &mut parts {
        part.steps = late(std::mem::take(&mut part.steps), part);
    }
    parts
}

/// The same steps in an order in which every qubit begins as late as it can: a state of few qubits is small. Steps that
/// share a qubit or a classical bit keep their order.
fn late(steps: Vec<Step>, part: &Part) -> Vec<Step> {
    let resources = |step: &Step| {
        let bit = match step.operation {
            Operation::Measure { bit, .. } => Some(part.qubits + bit),
            _ => None,
        };
        step.operation.qubits().chain(bit)
    };
    // For every qubit and bit its steps in order, and how many of a step's resources have come to it.
    let mut queues: Vec<VecDeque<usize>> = vec![VecDeque::new(); part.qubits + part.bits.len()];
    for (number, step) in steps.iter().enumerate() {
        resources(step).for_each(|resource| queues[resource].push_back(number));
    }
    let is_ready = |number: usize, queues: &[VecDeque<usize>]| {
        resources(&steps[number]).all(|resource| queues[resource].front() == Some(&number))
    };
    let mut begun = vec![false; part.qubits];
    let mut order = Vec::with_capacity(steps.len());
    // Steps that may be next, all of whose qubits have begun, and others.
    let (mut next, mut waiting) = (Vec::new(), BTreeSet::new());
    for number in 0..steps.len() {
        if is_ready(number, &queues) {
            waiting.insert(number);
        }
    }
    while order.len() < steps.len() {
        let number = next.pop().or_else(|| {
            let new =
                |number: &usize| steps[*number].operation.qubits().filter(|&qubit| !begun[qubit]).count();
            let number = waiting.iter().copied().min_by_key(|number| (new(number), *number))?;
            waiting.remove(&number);
            Some(number)
        });
        let Some(number) = number else {
            break;
        };
        order.push(number);
        steps[number].operation.qubits().for_each(|qubit| begun[qubit] = true);
        for resource in resources(&steps[number]) {
            queues[resource].pop_front();
        }
        for resource in resources(&steps[number]) {
            if let Some(&follower) = queues[resource].front()
                && is_ready(follower, &queues)
                && !next.contains(&follower)
            {
                if steps[follower].operation.qubits().all(|qubit| begun[qubit]) {
                    next.push(follower);
                } else {
                    waiting.insert(follower);
                }
            }
        }
    }
    let mut steps: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    order.into_iter().filter_map(|number| steps[number].take()).collect()
}
