//! The state vector: 2ⁿ amplitudes, any gates, any noise.
//!
//! Parts of a circuit are simulated one by one, and a qubit joins the state when a gate first touches it, so that only the
//! last gates of a large part cost 2ⁿ. Shots to which noise did nothing share one state; the others, and all where
//! something is measured in the middle, run each by itself from where they part.

use rand::Rng;
use rayon::prelude::*;
use rustfft::num_complex::Complex64;

use super::{
    Samples, SimulatorError,
    parts::{Part, parts},
    trajectory::{Event, Happening, events, misread, uniform},
};
use crate::{
    bits::Bits,
    circuit::{Circuit, Matrix, OneQubit, Operation, TwoQubit},
    noise::{Channel, NoiseModel},
    random::{Purpose, Seed, stream},
};

/// The most qubits that may depend on one another: 2²⁶ amplitudes take 1 GiB.
pub const LARGEST: usize = 26;

/// Shots whose noise is drawn together.
const BATCH: usize = 1024;
/// Above so many qubits the shots run one after another, each on all threads, lest every thread have a state.
const ALONE: usize = 18;
/// Amplitudes that a thread takes at once; 64 KiB of them.
const GRAIN: usize = 1 << 12;

/// Runs a circuit `shots` times.
///
/// # Errors
/// [`SimulatorError::TooLarge`] when more than [`LARGEST`] qubits depend on one another.
pub fn sample(
    circuit: &Circuit,
    noise: &NoiseModel,
    shots: usize,
    seed: Seed,
) -> Result<Samples, SimulatorError> {
    let parts = parts(circuit, noise);
    check(&parts)?;
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

/// The amplitudes after a circuit without noise, the value of qubit `n` being bit `n` of the index. Measurements and
/// resets in it take random outcomes by `seed`.
///
/// # Errors
/// [`SimulatorError::TooLarge`] when the circuit has more than [`LARGEST`] qubits.
pub fn amplitudes(circuit: &Circuit, seed: u64) -> Result<Vec<Complex64>, SimulatorError> {
    if circuit.qubits() > LARGEST {
        return Err(SimulatorError::TooLarge(circuit.qubits(), LARGEST));
    }
    let mut state = State::new(circuit.qubits());
    (0..circuit.qubits()).for_each(|qubit| {
        state.join(qubit);
    });
    let mut random = stream(seed, Purpose::StateVector, u64::MAX);
    for operation in circuit.operations() {
        state.apply(operation, &mut random);
    }
    Ok(state.amplitudes)
}

fn check(parts: &[Part]) -> Result<(), SimulatorError> {
    match parts.iter().map(|part| part.qubits).max() {
        Some(most) if most > LARGEST => Err(SimulatorError::TooLarge(most, LARGEST)),
        _ => Ok(()),
    }
}

/// How a part can be run.
struct Plan<'a> {
    part: &'a Part,
    /// Whether a step is a measurement after which its qubit is not used.
    last: Vec<bool>,
    /// The first step with an outcome that the next steps depend on; up to it all shots without noise are alike.
    fork: usize,
    /// The state before that step.
    before: State,
}

impl<'a> Plan<'a> {
    fn new(part: &'a Part) -> Self {
        let mut used = vec![false; part.qubits];
        let mut last = vec![false; part.steps.len()];
        for (n, step) in part.steps.iter().enumerate().rev() {
            last[n] = matches!(step.operation, Operation::Measure { qubit, .. } if !used[qubit]);
            step.operation.qubits().for_each(|qubit| used[qubit] = true);
        }
        let mut begun = vec![false; part.qubits];
        let forks = |n: usize, begun: &mut [bool]| {
            let step = &part.steps[n];
            let forks = match step.operation {
                Operation::Measure { .. } => !last[n],
                Operation::Reset(qubit) => begun[qubit],
                Operation::One(..) | Operation::Two(..) => false,
            };
            step.operation.qubits().for_each(|qubit| begun[qubit] = true);
            forks || step.channels.iter().any(|channel| matches!(channel, Channel::Damp(..)))
        };
        let fork = (0..part.steps.len()).find(|&n| forks(n, &mut begun)).unwrap_or(part.steps.len());
        let mut before = State::new(part.qubits);
        for step in &part.steps[..fork] {
            before.gate(&step.operation);
        }
        Self { part, last, fork, before }
    }

    fn is_shared(&self) -> bool {
        self.fork == self.part.steps.len()
    }

    /// Runs one shot with its events; gives the values of the part's classical bits.
    fn shot(&self, events: &[Event], random: &mut impl Rng) -> Vec<bool> {
        let shared = events.first().is_none_or(|event| event.step >= self.fork);
        let (start, mut state) =
            if shared { (self.fork, self.before.clone()) } else { (0, State::new(self.part.qubits)) };
        let mut values = vec![false; self.part.bits.len()];
        let mut events = events.iter().peekable();
        for (n, step) in self.part.steps.iter().enumerate().skip(start) {
            match step.operation {
                Operation::Measure { .. } if self.last[n] => {}
                Operation::Measure { qubit, bit } => values[bit] = state.measure(qubit, random),
                ref operation => state.apply(operation, random),
            }
            for channel in &step.channels {
                if let Channel::Damp(qubit, probability) = *channel {
                    state.damp(qubit, probability, random);
                }
            }
            while let Some(event) = events.next_if(|event| event.step == n) {
                match event.happening {
                    Happening::Reset => state.reset(event.qubit, random),
                    Happening::Pauli { x, z } => {
                        if z {
                            state.one(&OneQubit::Z.matrix(), event.qubit);
                        }
                        if x {
                            state.one(&OneQubit::X.matrix(), event.qubit);
                        }
                    }
                }
            }
        }
        let [index] = state.sample(vec![(uniform(random), 0)])[..] else {
            return values;
        };
        self.read(&state, index.1, &mut values);
        values
    }

    /// The bits that the last measurements give in a basis state.
    fn read(&self, state: &State, index: usize, values: &mut [bool]) {
        for (step, _) in self.part.steps.iter().zip(&self.last).filter(|(_, last)| **last) {
            if let Operation::Measure { qubit, bit } = step.operation {
                values[bit] = state.places[qubit].is_some_and(|place| index >> place & 1 == 1);
            }
        }
    }
}

/// Columns of words for the part's classical bits.
fn run(part: &Part, number: usize, shots: usize, seed: Seed) -> Vec<Vec<u64>> {
    let plan = Plan::new(part);
    let batch = |batch: usize| {
        let mut random = stream(seed, Purpose::StateVector, ((number as u64) << 32) | batch as u64);
        let count = BATCH.min(shots - batch * BATCH);
        let events = events(part, count, &mut random);
        let mut columns = vec![vec![0_u64; BATCH / 64]; part.bits.len()];
        let mut draws = Vec::new();
        let mut rest = &events[..];
        for shot in 0..count {
            let own;
            (own, rest) = rest.split_at(rest.iter().take_while(|event| event.shot == shot).count());
            if own.is_empty() && plan.is_shared() {
                draws.push((uniform(&mut random), batch * BATCH + shot));
            } else {
                for (column, value) in columns.iter_mut().zip(plan.shot(own, &mut random)) {
                    column[shot / 64] |= u64::from(value) << (shot % 64);
                }
            }
        }
        (columns, draws)
    };
    let batches = 0..shots.div_ceil(BATCH);
    let done: Vec<_> = if part.qubits > ALONE {
        batches.map(batch).collect()
    } else {
        batches.into_par_iter().map(batch).collect()
    };
    let mut columns = vec![Vec::with_capacity(shots.div_ceil(64)); part.bits.len()];
    let mut draws = Vec::new();
    for (words, more) in done {
        draws.extend(more);
        for (column, words) in columns.iter_mut().zip(words) {
            column.extend(words);
        }
    }
    let mut values = vec![false; part.bits.len()];
    for (shot, index) in plan.before.sample(draws) {
        plan.read(&plan.before, index, &mut values);
        for (column, value) in columns.iter_mut().zip(&values) {
            column[shot / 64] |= u64::from(*value) << (shot % 64);
        }
    }
    misread(part, shots, &mut columns, &mut stream(seed, Purpose::StateVector, (1 << 63) | number as u64));
    columns
}

/// Amplitudes over the qubits that were touched; all others are zero.
#[derive(Clone)]
struct State {
    amplitudes: Vec<Complex64>,
    /// For each qubit its bit in the index.
    places: Vec<Option<u32>>,
    joined: u32,
}

impl State {
    fn new(qubits: usize) -> Self {
        Self { amplitudes: vec![Complex64::new(1.0, 0.0)], places: vec![None; qubits], joined: 0 }
    }

    /// The distance between two amplitudes that differ in this qubit.
    fn join(&mut self, qubit: usize) -> usize {
        let place = *self.places[qubit].get_or_insert_with(|| {
            self.joined += 1;
            self.amplitudes.resize(1 << self.joined, Complex64::default());
            self.joined - 1
        });
        1 << place
    }

    fn apply(&mut self, operation: &Operation, random: &mut impl Rng) {
        match *operation {
            Operation::Reset(qubit) => self.reset(qubit, random),
            Operation::Measure { qubit, .. } => {
                self.measure(qubit, random);
            }
            Operation::One(..) | Operation::Two(..) => self.gate(operation),
        }
    }

    /// Applies a gate; measurements and resets do nothing here.
    fn gate(&mut self, operation: &Operation) {
        match *operation {
            Operation::One(gate, qubit) => self.one(&gate.matrix(), qubit),
            Operation::Two(gate, a, b) => {
                let (control, target) = (self.join(a), self.join(b));
                match gate {
                    TwoQubit::Cx => {
                        self.controlled(control, target, |zeros, ones| zeros.swap_with_slice(ones));
                    }
                    TwoQubit::Cz => {
                        self.controlled(control, target, |_, ones| {
                            for one in ones {
                                *one = -*one;
                            }
                        });
                    }
                    TwoQubit::Ecr => {
                        self.controlled(control, target, |zeros, ones| zeros.swap_with_slice(ones));
                        self.one(&OneQubit::Rz(-std::f64::consts::FRAC_PI_2).matrix(), a);
                        self.one(&OneQubit::Rx(-std::f64::consts::FRAC_PI_2).matrix(), b);
                        self.one(&OneQubit::X.matrix(), a);
                    }
                }
            }
            Operation::Reset(_) | Operation::Measure { .. } => {}
        }
    }

    fn one(&mut self, matrix: &Matrix, qubit: usize) {
        let stride = self.join(qubit);
        let [[a, b], [c, d]] = *matrix;
        let zero = Complex64::default();
        if b == zero && c == zero {
            pairs(&mut self.amplitudes, stride, |_, zeros, ones| {
                for (zero, one) in zeros.iter_mut().zip(ones) {
                    *zero *= a;
                    *one *= d;
                }
            });
        } else if [a, b, c, d].iter().all(|value| value.im == 0.0) {
            let (a, b, c, d) = (a.re, b.re, c.re, d.re);
            pairs(&mut self.amplitudes, stride, |_, zeros, ones| {
                for (zero, one) in zeros.iter_mut().zip(ones) {
                    (*zero, *one) = (*zero * a + *one * b, *zero * c + *one * d);
                }
            });
        } else {
            pairs(&mut self.amplitudes, stride, |_, zeros, ones| {
                for (zero, one) in zeros.iter_mut().zip(ones) {
                    (*zero, *one) = (*zero * a + *one * b, *zero * c + *one * d);
                }
            });
        }
    }

    /// Applies something to the pairs of amplitudes whose control is one.
    fn controlled(
        &mut self,
        control: usize,
        target: usize,
        work: impl Fn(&mut [Complex64], &mut [Complex64]) + Sync,
    ) {
        pairs(&mut self.amplitudes, target, |start, zeros, ones| {
            if control < zeros.len() {
                for (zeros, ones) in zeros.chunks_mut(2 * control).zip(ones.chunks_mut(2 * control)) {
                    work(&mut zeros[control..], &mut ones[control..]);
                }
            } else if start & control != 0 {
                work(zeros, ones);
            }
        });
    }

    /// The probability that a qubit is one, summed in the same order however many threads there are.
    fn probability(&self, qubit: usize) -> f64 {
        let Some(place) = self.places[qubit] else {
            return 0.0;
        };
        let stride = 1_usize << place;
        let sums: Vec<f64> = self
            .amplitudes
            .par_chunks(GRAIN)
            .enumerate()
            .map(|(n, chunk)| {
                if stride >= GRAIN {
                    let is_one = (n * GRAIN) & stride != 0;
                    if is_one { chunk.iter().map(Complex64::norm_sqr).sum() } else { 0.0 }
                } else {
                    chunk.chunks(2 * stride).flat_map(|block| &block[stride..]).map(Complex64::norm_sqr).sum()
                }
            })
            .collect();
        sums.iter().sum::<f64>().clamp(0.0, 1.0)
    }

    fn measure(&mut self, qubit: usize, random: &mut impl Rng) -> bool {
        let probability = self.probability(qubit);
        let outcome = uniform(random) < probability;
        if self.places[qubit].is_some() {
            let kept = 1.0 / (if outcome { probability } else { 1.0 - probability }).sqrt();
            let (zero, one) = if outcome { (0.0, kept) } else { (kept, 0.0) };
            self.scale(qubit, zero, one);
        }
        outcome
    }

    fn reset(&mut self, qubit: usize, random: &mut impl Rng) {
        if self.measure(qubit, random) {
            self.one(&OneQubit::X.matrix(), qubit);
        }
    }

    /// One of the two Kraus operators of amplitude damping, with the probability that the state gives it.
    fn damp(&mut self, qubit: usize, decayed: f64, random: &mut impl Rng) {
        let falls = decayed * self.probability(qubit);
        if uniform(random) < falls {
            self.scale(qubit, 0.0, (decayed / falls).sqrt());
            self.one(&OneQubit::X.matrix(), qubit);
        } else if falls > 0.0 {
            let kept = 1.0 / (1.0 - falls).sqrt();
            self.scale(qubit, kept, kept * (1.0 - decayed).sqrt());
        }
    }

    fn scale(&mut self, qubit: usize, zero: f64, one: f64) {
        let real = |value: f64| Complex64::new(value, 0.0);
        self.one(&[[real(zero), real(0.0)], [real(0.0), real(one)]], qubit);
    }

    /// For each (number in [0, 1), shot) a shot and a basis state, in no particular order: one walk over all amplitudes.
    fn sample(&self, mut draws: Vec<(f64, usize)>) -> Vec<(usize, usize)> {
        if draws.is_empty() {
            return Vec::new();
        }
        draws.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let sums: Vec<f64> = self
            .amplitudes
            .par_chunks(GRAIN)
            .map(|chunk| chunk.iter().map(Complex64::norm_sqr).sum())
            .collect();
        let total: f64 = sums.iter().sum();
        let mut found = Vec::with_capacity(draws.len());
        let mut draws = draws.into_iter().map(|(draw, shot)| (draw * total, shot)).peekable();
        let mut below = 0.0;
        for (n, (chunk, sum)) in self.amplitudes.chunks(GRAIN).zip(&sums).enumerate() {
            let end = if n + 1 == sums.len() { f64::INFINITY } else { below + sum };
            let mut walked = below;
            let mut walk = chunk.iter().enumerate();
            let mut index = None;
            while let Some((draw, shot)) = draws.next_if(|(draw, _)| *draw < end) {
                while index.is_none() || walked <= draw {
                    let Some((n, amplitude)) = walk.next() else {
                        break;
                    };
                    let probability = amplitude.norm_sqr();
                    if probability > 0.0 {
                        walked += probability;
                        index = Some(n);
                    }
                }
                found.push((shot, n * GRAIN + index.unwrap_or(0)));
            }
            below += sum;
        }
        found
    }
}

/// Calls `work` with slices of amplitudes that differ in one qubit, zero first, and with the index of their first.
fn pairs(
    amplitudes: &mut [Complex64],
    stride: usize,
    work: impl Fn(usize, &mut [Complex64], &mut [Complex64]) + Sync,
) {
    if stride >= GRAIN {
        for (n, block) in amplitudes.chunks_mut(2 * stride).enumerate() {
            let (zeros, ones) = block.split_at_mut(stride);
            zeros
                .par_chunks_mut(GRAIN)
                .zip(ones.par_chunks_mut(GRAIN))
                .enumerate()
                .for_each(|(part, (zeros, ones))| work(2 * n * stride + part * GRAIN, zeros, ones));
        }
    } else {
        let blocks = |start: usize, part: &mut [Complex64]| {
            for (n, block) in part.chunks_mut(2 * stride).enumerate() {
                let (zeros, ones) = block.split_at_mut(stride);
                work(start + 2 * n * stride, zeros, ones);
            }
        };
        if amplitudes.len() <= 2 * GRAIN {
            blocks(0, amplitudes);
        } else {
            amplitudes
                .par_chunks_mut(2 * GRAIN)
                .enumerate()
                .for_each(|(part, amplitudes)| blocks(part * 2 * GRAIN, amplitudes));
        }
    }
}
