//! Lowering: from any gates over counted qubits to the gates (rz, sx, x, and cz or ecr) and the qubits of a device.
//!
//! All gates on one qubit between two steps that need it are one matrix, written with as few pulses as it takes. Turns
//! about z are left out where nobody can see them: on a qubit that is zero or one, and before a measurement. So a
//! random bit is one sx and a measurement.

use std::{
    collections::{BTreeMap, HashMap},
    f64::consts::{FRAC_PI_2, PI},
};

use super::{
    Circuit, Matrix, OneQubit, Operation, TwoQubit, normalised, product, route::Route, target::Target,
};

/// The device cannot run the circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// More qubits are used than the device has.
    #[error("the circuit uses {used} qubits, and the device has {device}")]
    TooLarge {
        /// Qubits with at least one step.
        used: usize,
        /// Qubits of the device.
        device: usize,
    },
    /// The device falls into parts, none of which has as many qubits as the circuit's gates connect.
    #[error("the device connects no {0} qubits with one another, and the circuit's gates need as many")]
    Connectivity(usize),
    /// The device's own gate cannot be the entangler.
    #[error("a device's gate is cz or ecr")]
    Entangler,
}

/// How many choices of qubits are tried before the best so far is taken.
const TRIES: usize = 200_000;
/// Angles below this are nothing: far below what any device can resolve.
const TINY: f64 = 1e-9;

impl Circuit {
    /// The circuit in the gates of `target`, on its qubits: those with the least error of reading for what is measured,
    /// and for gates the pairs with the least error. Where no choice connects all pairs that gates need, qubits are
    /// [moved](super::route) while the circuit runs.
    ///
    /// # Errors
    /// [`LowerError`].
    pub fn lower(&self, target: &Target) -> Result<Self, LowerError> {
        if target.entangler == TwoQubit::Cx {
            return Err(LowerError::Entangler);
        }
        let needs = Needs::of(self);
        let device = target.readout_errors.len();
        if needs.readings.len() > device {
            return Err(LowerError::TooLarge { used: needs.readings.len(), device });
        }
        let mut route = match layout(&needs, target) {
            Some(layout) => Route::new(target, layout),
            None => Route::choose(target, &needs)?,
        };
        let mut lowering = Lowering {
            target,
            directions: target.couplings.iter().map(|pair| (pair.first, pair.second)).collect(),
            waiting: HashMap::new(),
            touched: HashMap::new(),
            operations: Vec::new(),
        };
        for operation in &self.operations {
            match *operation {
                Operation::One(gate, qubit) => lowering.gate(gate, route.at(qubit)),
                Operation::Two(gate, a, b) => {
                    for (one, other) in route.meet(a, b) {
                        lowering.swap(one, other);
                    }
                    lowering.pair(gate, route.at(a), route.at(b));
                }
                Operation::Reset(qubit) => lowering.reset(route.at(qubit)),
                Operation::Measure { qubit, bit } => lowering.measure(route.at(qubit), bit),
            }
        }
        let mut left: Vec<usize> = lowering.waiting.keys().copied().collect();
        left.sort_unstable();
        for qubit in left {
            lowering.flush(qubit, false);
        }
        let qubits = target.readout_errors.len();
        Ok(Self { qubits, bits: self.bits, operations: lowering.operations, physical: true })
    }
}

/// What is known of a qubit that was used.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    /// It is zero or one: a turn about z does nothing.
    Basis,
    Nothing,
}

struct Lowering<'a> {
    target: &'a Target,
    directions: Vec<(usize, usize)>,
    /// Gates that were not written yet.
    waiting: HashMap<usize, Matrix>,
    /// Qubits that were used; others are zero.
    touched: HashMap<usize, Known>,
    operations: Vec<Operation>,
}

impl Lowering<'_> {
    fn gate(&mut self, gate: OneQubit, qubit: usize) {
        let matrix = gate.matrix();
        self.waiting.entry(qubit).and_modify(|before| *before = product(&matrix, before)).or_insert(matrix);
    }

    fn pair(&mut self, gate: TwoQubit, a: usize, b: usize) {
        // All gates come down to CX, which is ecr, x and sx up to turns: see the matrices in the tests.
        if gate == TwoQubit::Ecr
            && self.target.entangler == TwoQubit::Ecr
            && self.directions.contains(&(a, b))
        {
            self.native(a, b);
            return;
        }
        match gate {
            TwoQubit::Cz => self.cz(a, b),
            TwoQubit::Cx => self.cx(a, b),
            TwoQubit::Ecr => {
                self.cx(a, b);
                self.gate(OneQubit::Rz(-FRAC_PI_2), a);
                self.gate(OneQubit::Rx(-FRAC_PI_2), b);
                self.gate(OneQubit::X, a);
            }
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        for (control, target) in [(one, other), (other, one), (one, other)] {
            self.cx(control, target);
        }
    }

    fn cx(&mut self, control: usize, target: usize) {
        self.gate(OneQubit::H, target);
        self.cz(control, target);
        self.gate(OneQubit::H, target);
    }

    fn cz(&mut self, a: usize, b: usize) {
        if self.target.entangler == TwoQubit::Cz {
            self.native(a, b);
            return;
        }
        let (control, target) = if self.directions.contains(&(a, b)) { (a, b) } else { (b, a) };
        self.gate(OneQubit::H, target);
        self.native(control, target);
        self.gate(OneQubit::X, control);
        self.gate(OneQubit::Rz(FRAC_PI_2), control);
        self.gate(OneQubit::Sx, target);
        self.gate(OneQubit::H, target);
    }

    fn native(&mut self, a: usize, b: usize) {
        self.flush(a, false);
        self.flush(b, false);
        self.touched.insert(a, Known::Nothing);
        self.touched.insert(b, Known::Nothing);
        self.operations.push(Operation::Two(self.target.entangler, a, b));
    }

    fn reset(&mut self, qubit: usize) {
        self.waiting.remove(&qubit);
        if self.touched.remove(&qubit).is_some() {
            self.operations.push(Operation::Reset(qubit));
            self.touched.insert(qubit, Known::Basis);
        }
    }

    fn measure(&mut self, qubit: usize, bit: usize) {
        self.flush(qubit, true);
        self.touched.insert(qubit, Known::Basis);
        self.operations.push(Operation::Measure { qubit, bit });
    }

    /// Writes what waits for a qubit; `read` says that a measurement follows.
    fn flush(&mut self, qubit: usize, read: bool) {
        let Some(matrix) = self.waiting.remove(&qubit) else {
            return;
        };
        let basis = self.touched.get(&qubit).is_none_or(|known| *known == Known::Basis);
        let pulses = pulses(&matrix, basis, read);
        if !pulses.is_empty() {
            self.touched.insert(qubit, Known::Nothing);
            self.operations.extend(pulses.into_iter().map(|gate| Operation::One(gate, qubit)));
        }
    }
}

/// The gate as rz, sx and x, up to a phase. The first turn is left out on a qubit in a basis state, the last before a
/// measurement.
fn pulses(matrix: &Matrix, basis: bool, read: bool) -> Vec<OneQubit> {
    // As U(θ, φ, λ) = Rz(φ)·Ry(θ)·Rz(λ), up to a phase.
    let theta = 2.0 * matrix[1][0].norm().atan2(matrix[0][0].norm());
    let (phi, lambda) = if theta < TINY {
        ((matrix[1][1] * matrix[0][0].conj()).arg(), 0.0)
    } else if PI - theta < TINY {
        ((matrix[1][0] * (-matrix[0][1]).conj()).arg(), 0.0)
    } else {
        ((matrix[1][0] * matrix[0][0].conj()).arg(), ((-matrix[0][1]) * matrix[0][0].conj()).arg())
    };
    let (first, pulses, last) = if theta < TINY {
        (0.0, vec![], phi + lambda)
    } else if PI - theta < TINY {
        (0.0, vec![OneQubit::X], phi - lambda - PI)
    } else if (theta - FRAC_PI_2).abs() < TINY {
        (lambda - FRAC_PI_2, vec![OneQubit::Sx], phi + FRAC_PI_2)
    } else {
        (lambda, vec![OneQubit::Sx, OneQubit::Rz(normalised(theta + PI)), OneQubit::Sx], phi + PI)
    };
    let turn = |angle: f64, unseen: bool| {
        let angle = normalised(angle);
        (!unseen && angle.abs() > TINY).then_some(OneQubit::Rz(angle))
    };
    // A diagonal gate on a basis state is a phase, whichever end its turn stands at.
    let last_unseen = read || basis && pulses.is_empty();
    turn(first, basis).into_iter().chain(pulses).chain(turn(last, last_unseen)).collect()
}

/// What a circuit asks of the qubits that it uses.
pub(super) struct Needs {
    /// How often each is read.
    pub(super) readings: BTreeMap<usize, f64>,
    /// How many gates each pair has.
    pub(super) pairs: BTreeMap<(usize, usize), f64>,
}

impl Needs {
    fn of(circuit: &Circuit) -> Self {
        let mut readings: BTreeMap<usize, f64> = BTreeMap::new();
        let mut pairs: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        for operation in circuit.operations() {
            for qubit in operation.qubits() {
                *readings.entry(qubit).or_default() += 0.0;
            }
            match *operation {
                Operation::Measure { qubit, .. } => *readings.entry(qubit).or_default() += 1.0,
                Operation::Two(_, a, b) => *pairs.entry((a.min(b), a.max(b))).or_default() += 1.0,
                _ => {}
            }
        }
        Self { readings, pairs }
    }
}

/// The qubits of a device, those that are read best first.
pub(super) fn by_error(target: &Target) -> Vec<usize> {
    let mut by_error: Vec<usize> = (0..target.readout_errors.len()).collect();
    by_error.sort_by(|&a, &b| target.readout_errors[a].total_cmp(&target.readout_errors[b]));
    by_error
}

/// For each qubit that is used, the one of the device that it becomes, so that no gate needs more than the device connects; nothing
/// where no such choice was found.
fn layout(needs: &Needs, target: &Target) -> Option<HashMap<usize, usize>> {
    let by_error = by_error(target);
    let mut search = Search::new(target, &needs.readings, &needs.pairs, &by_error);
    let start = search.order.clone();
    search.place(&start, &mut HashMap::new(), 0.0);
    let mut layout = search.best.map(|(_, layout)| layout)?;
    place_alone(needs, &by_error, &mut layout);
    Some(layout)
}

/// Places qubits without partners: the more often one is read, the better its place.
pub(super) fn place_alone(needs: &Needs, by_error: &[usize], layout: &mut HashMap<usize, usize>) {
    let mut free = by_error.iter().filter(|qubit| !layout.values().any(|used| used == *qubit));
    let left = needs.readings.iter().filter(|(qubit, _)| !layout.contains_key(qubit));
    let mut alone: Vec<(usize, f64)> = left.map(|(&qubit, &readings)| (qubit, readings)).collect();
    alone.sort_by(|a, b| b.1.total_cmp(&a.1));
    let chosen: Vec<(usize, usize)> =
        alone.iter().zip(&mut free).map(|(&(qubit, _), &place)| (qubit, place)).collect();
    layout.extend(chosen);
}

/// A branch-and-bound search for the qubits that gates connect.
struct Search<'a> {
    target: &'a Target,
    readings: &'a BTreeMap<usize, f64>,
    by_error: &'a [usize],
    /// Whom each qubit has gates with, and how many.
    partners: HashMap<usize, Vec<(usize, f64)>>,
    /// The error of the gate between two neighbours of the device.
    couplings: HashMap<(usize, usize), f64>,
    /// Qubits in the order in which they are placed: each after one of its partners, where it has any.
    order: Vec<usize>,
    tries: usize,
    best: Option<(f64, HashMap<usize, usize>)>,
}

impl<'a> Search<'a> {
    fn new(
        target: &'a Target,
        readings: &'a BTreeMap<usize, f64>,
        pairs: &BTreeMap<(usize, usize), f64>,
        by_error: &'a [usize],
    ) -> Self {
        let mut partners: HashMap<usize, Vec<(usize, f64)>> = HashMap::new();
        for (&(a, b), &gates) in pairs {
            partners.entry(a).or_default().push((b, gates));
            partners.entry(b).or_default().push((a, gates));
        }
        let mut order: Vec<usize> = Vec::new();
        for &(a, _) in pairs.keys() {
            if order.contains(&a) {
                continue;
            }
            let mut next = vec![a];
            while let Some(qubit) = next.pop() {
                if !order.contains(&qubit) {
                    order.push(qubit);
                    next.extend(partners[&qubit].iter().map(|(other, _)| *other));
                }
            }
        }
        let mut couplings = HashMap::new();
        for pair in &target.couplings {
            for key in [(pair.first, pair.second), (pair.second, pair.first)] {
                let error: &mut f64 = couplings.entry(key).or_insert(pair.error);
                *error = error.min(pair.error);
            }
        }
        Self { target, readings, by_error, partners, couplings, order, tries: 0, best: None }
    }

    fn place(&mut self, rest: &[usize], placed: &mut HashMap<usize, usize>, cost: f64) {
        if self.best.as_ref().is_some_and(|(best, _)| cost >= *best) {
            return;
        }
        let [qubit, rest @ ..] = rest else {
            self.best = Some((cost, placed.clone()));
            return;
        };
        for &candidate in self.by_error {
            self.tries += 1;
            if self.tries > TRIES {
                return;
            }
            if placed.values().any(|used| *used == candidate) {
                continue;
            }
            let gates =
                self.partners[qubit].iter().filter_map(|(other, gates)| Some((placed.get(other)?, gates)));
            let errors: Option<Vec<f64>> =
                gates.map(|(&place, gates)| Some(self.couplings.get(&(candidate, place))? * gates)).collect();
            let Some(errors) = errors else {
                continue;
            };
            let more =
                errors.iter().sum::<f64>() + self.readings[qubit] * self.target.readout_errors[candidate];
            placed.insert(*qubit, candidate);
            self.place(rest, placed, cost + more);
            placed.remove(qubit);
        }
    }
}
