//! The stabilizer sampler, for Clifford circuits: one shot by the tableau, all others as Pauli frames beside it, 64 to a
//! word (Gidney, "Stim", Quantum 5, 497, 2021).
//!
//! A frame says by which Pauli operator a shot differs from the reference. Noise that resets a qubit is no Pauli operator;
//! the few shots that suffer it run through the tableau themselves.

use rand::Rng;
use rayon::prelude::*;

use super::{
    Samples, SimulatorError,
    parts::{Part, parts},
    tableau::Tableau,
    trajectory::{Event, Happening, events, misread},
};
use crate::{
    bits::Bits,
    circuit::{Circuit, Clifford, Operation, TwoQubit},
    noise::{Channel, NoiseModel},
    random::{Purpose, Seed, stream},
};

/// Shots that one thread simulates together.
const BATCH: usize = 4096;
const WORDS: usize = BATCH / 64;

/// The most qubits that may depend on one another: the tableau takes n²/2 bytes.
pub const LARGEST: usize = 8192;

/// Runs a Clifford circuit `shots` times.
///
/// # Errors
/// [`SimulatorError`]: a gate that is no Clifford gate, noise with a T2 above T1 (see
/// [`NoiseModel::for_stabilizers`]), or more than [`LARGEST`] qubits that depend on one another.
pub fn sample(
    circuit: &Circuit,
    noise: &NoiseModel,
    shots: usize,
    seed: Seed,
) -> Result<Samples, SimulatorError> {
    let parts = parts(circuit, noise);
    for part in &parts {
        if part.qubits > LARGEST {
            return Err(SimulatorError::TooLarge(part.qubits, LARGEST));
        }
        for step in &part.steps {
            match step.operation {
                Operation::One(gate, _) if gate.clifford().is_none() => {
                    return Err(SimulatorError::Gate(gate.name()));
                }
                _ if step.channels.iter().any(|channel| matches!(channel, Channel::Damp(..))) => {
                    return Err(SimulatorError::Noise);
                }
                _ => {}
            }
        }
    }
    let columns: Vec<Vec<Vec<u64>>> =
        parts.par_iter().enumerate().map(|(number, part)| run(part, number, shots, seed)).collect();
    let mut samples = Samples::new(shots, circuit.bits());
    for (part, columns) in parts.iter().zip(columns) {
        for (&bit, column) in part.bits.iter().zip(columns) {
            samples.set_column(bit, Bits::from_words(column, shots));
        }
    }
    Ok(samples)
}

fn run(part: &Part, number: usize, shots: usize, seed: Seed) -> Vec<Vec<u64>> {
    let number = (number as u64) << 32;
    let reference = one_shot(part, &[], &mut stream(seed, Purpose::Stabilizer, number | u64::from(u32::MAX)));
    let batches: Vec<Vec<Vec<u64>>> = (0..shots.div_ceil(BATCH))
        .into_par_iter()
        .map(|batch| {
            let mut random = stream(seed, Purpose::Stabilizer, number | batch as u64);
            let count = BATCH.min(shots - batch * BATCH);
            let events = events(part, count, &mut random);
            let mut columns = frames(part, &reference, &events, &mut random);
            for own in events.chunk_by(|a, b| a.shot == b.shot) {
                if own.iter().any(|event| event.happening == Happening::Reset) {
                    let values = one_shot(part, own, &mut random);
                    let shot = own[0].shot;
                    for (column, last) in columns.iter_mut().zip(last_measured(part, &values)) {
                        let mask = 1 << (shot % 64);
                        column[shot / 64] = column[shot / 64] & !mask | if last { mask } else { 0 };
                    }
                }
            }
            misread(part, count, &mut columns, &mut random);
            columns
        })
        .collect();
    (0..part.bits.len())
        .map(|bit| batches.iter().flat_map(|columns| columns[bit].iter().copied()).collect())
        .collect()
}

/// One shot by the tableau; gives the outcome of each measurement in order.
fn one_shot(part: &Part, events: &[Event], random: &mut impl Rng) -> Vec<bool> {
    let mut tableau = Tableau::new(part.qubits);
    let mut outcomes = Vec::new();
    let mut events = events.iter().peekable();
    for (n, step) in part.steps.iter().enumerate() {
        match step.operation {
            Operation::One(gate, qubit) => {
                gate.clifford().into_iter().flatten().for_each(|&gate| tableau.one(gate, qubit));
            }
            Operation::Two(gate, a, b) => {
                if gate == TwoQubit::Cz {
                    tableau.one(Clifford::H, b);
                }
                tableau.cx(a, b);
                match gate {
                    TwoQubit::Cx => {}
                    TwoQubit::Cz => tableau.one(Clifford::H, b),
                    TwoQubit::Ecr => {
                        // Then an inverse S and an X on the control, an inverse √X on the target.
                        for gate in [Clifford::Z, Clifford::S, Clifford::X] {
                            tableau.one(gate, a);
                        }
                        for gate in [Clifford::H, Clifford::Z, Clifford::S, Clifford::H] {
                            tableau.one(gate, b);
                        }
                    }
                }
            }
            Operation::Reset(qubit) => tableau.reset(qubit, random),
            Operation::Measure { qubit, .. } => outcomes.push(tableau.measure(qubit, random)),
        }
        while let Some(event) = events.next_if(|event| event.step == n) {
            match event.happening {
                Happening::Reset => tableau.reset(event.qubit, random),
                Happening::Pauli { x, z } => {
                    if z {
                        tableau.one(Clifford::Z, event.qubit);
                    }
                    if x {
                        tableau.one(Clifford::X, event.qubit);
                    }
                }
            }
        }
    }
    outcomes
}

/// The value that each classical bit has in the end, out of all outcomes in order.
fn last_measured(part: &Part, outcomes: &[bool]) -> Vec<bool> {
    let mut values = vec![false; part.bits.len()];
    let mut outcomes = outcomes.iter();
    for step in &part.steps {
        if let Operation::Measure { bit, .. } = step.operation {
            values[bit] = outcomes.next().copied().unwrap_or(false);
        }
    }
    values
}

/// All shots of a batch as frames; gives columns of words for the part's classical bits.
fn frames(part: &Part, reference: &[bool], events: &[Event], random: &mut impl Rng) -> Vec<Vec<u64>> {
    let mut by_step: Vec<&Event> = events.iter().collect();
    by_step.sort_by_key(|event| event.step);
    let mut by_step = by_step.into_iter().peekable();
    let mut columns = vec![vec![0; WORDS]; part.bits.len()];
    let mut reference = reference.iter();
    // A Z on a zero does nothing, so every shot may begin with one; later it tells the shots' random outcomes apart.
    let mut x = vec![[0_u64; WORDS]; part.qubits];
    let mut z: Vec<[u64; WORDS]> = (0..part.qubits).map(|_| words(random)).collect();
    for (n, step) in part.steps.iter().enumerate() {
        match step.operation {
            Operation::One(gate, qubit) => {
                for gate in gate.clifford().into_iter().flatten() {
                    match gate {
                        Clifford::H => std::mem::swap(&mut x[qubit], &mut z[qubit]),
                        Clifford::S => add(&mut z[qubit], &x[qubit]),
                        Clifford::X | Clifford::Z => {}
                    }
                }
            }
            Operation::Two(TwoQubit::Cz, a, b) => {
                add(&mut z[a], &x[b]);
                add(&mut z[b], &x[a]);
            }
            Operation::Two(gate, a, b) => {
                let target = z[b];
                let control = x[a];
                add(&mut x[b], &control);
                add(&mut z[a], &target);
                if gate == TwoQubit::Ecr {
                    add(&mut z[a], &x[a]);
                    add(&mut x[b], &z[b]);
                }
            }
            Operation::Reset(qubit) => {
                x[qubit] = [0; WORDS];
                z[qubit] = words(random);
            }
            Operation::Measure { qubit, bit } => {
                let flipped = if reference.next() == Some(&true) { u64::MAX } else { 0 };
                for (value, frame) in columns[bit].iter_mut().zip(&x[qubit]) {
                    *value = frame ^ flipped;
                }
                add(&mut z[qubit], &words(random));
            }
        }
        while let Some(event) = by_step.next_if(|event| event.step == n) {
            if let Happening::Pauli { x: flips, z: turns } = event.happening {
                let mask = |yes: bool| u64::from(yes) << (event.shot % 64);
                x[event.qubit][event.shot / 64] ^= mask(flips);
                z[event.qubit][event.shot / 64] ^= mask(turns);
            }
        }
    }
    columns
}

fn add(to: &mut [u64; WORDS], from: &[u64; WORDS]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to ^= from);
}

fn words(random: &mut impl Rng) -> [u64; WORDS] {
    std::array::from_fn(|_| random.next_u64())
}
