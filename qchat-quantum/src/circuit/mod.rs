//! Circuits: what is done to qubits, in order, and which classical bits the measurements fill.
//!
//! A circuit is built over qubits counted from 0, then [lowered](lower) to the gates and the qubits of a device, and
//! written as [OpenQASM 3](qasm) or [drawn](draw).

pub mod draw;
pub mod lower;
pub mod qasm;
mod route;
pub mod target;

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_2, PI};

use rustfft::num_complex::Complex64;

/// The most qubits a circuit may name, and the most classical bits.
pub const LARGEST: usize = 1 << 20;

/// A gate on one qubit; angles in radians.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OneQubit {
    /// Hadamard.
    H,
    /// Pauli X, a bit flip.
    X,
    /// Pauli Y.
    Y,
    /// Pauli Z, a phase flip.
    Z,
    /// The square root of Z.
    S,
    /// The inverse of S.
    Sdg,
    /// The square root of X.
    Sx,
    /// A turn about the x axis.
    Rx(f64),
    /// A turn about the y axis.
    Ry(f64),
    /// A turn about the z axis, which costs a device nothing.
    Rz(f64),
}

/// A gate on two qubits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TwoQubit {
    /// X on the second qubit where the first is one.
    Cx,
    /// A sign where both are one.
    Cz,
    /// Echoed cross-resonance, (IX − XY)/√2 with the first qubit as control: equal to CX up to gates on single qubits.
    Ecr,
}

/// One step of a circuit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    /// A gate on a qubit.
    One(OneQubit, usize),
    /// A gate on two different qubits, the control first.
    Two(TwoQubit, usize, usize),
    /// The qubit becomes zero, whatever it was.
    Reset(usize),
    /// The qubit is measured in the Z basis, and the result is stored in a classical bit.
    Measure {
        /// What is measured.
        qubit: usize,
        /// Where the result goes.
        bit: usize,
    },
}

/// What a circuit cannot have.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum CircuitError {
    /// A qubit beyond those that there are.
    #[error("the circuit has {1} qubits, and qubit {0} is used")]
    Qubit(usize, usize),
    /// A classical bit beyond those that there are.
    #[error("the circuit has {1} classical bits, and bit {0} is used")]
    Bit(usize, usize),
    /// Both qubits of a gate are the same.
    #[error("a gate on two qubits names qubit {0} twice")]
    Twice(usize),
    /// An angle that is no number.
    #[error("an angle is infinite or no number")]
    Angle,
    /// More than can be handled.
    #[error("a circuit has at most {LARGEST} qubits and as many classical bits")]
    Size,
}

/// A circuit in which every qubit, bit and angle is valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Circuit {
    qubits: usize,
    bits: usize,
    operations: Vec<Operation>,
    physical: bool,
}

impl Circuit {
    /// Begins a circuit over `qubits` qubits, all zero, and `bits` classical bits, all zero.
    pub fn builder(qubits: usize, bits: usize) -> Builder {
        Builder { qubits, bits, operations: Vec::new() }
    }

    /// How many qubits may be used; the highest is one less.
    pub fn qubits(&self) -> usize {
        self.qubits
    }

    /// How many classical bits there are.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// The steps in order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Whether the qubits are those of a device.
    pub fn is_physical(&self) -> bool {
        self.physical
    }

    /// How many steps the longest chain of dependent steps has. Turns about z are free, as on a device.
    pub fn depth(&self) -> usize {
        let mut qubits = vec![0; self.qubits];
        for operation in &self.operations {
            match *operation {
                Operation::One(OneQubit::Rz(_), _) => {}
                Operation::One(_, qubit) | Operation::Reset(qubit) | Operation::Measure { qubit, .. } => {
                    qubits[qubit] += 1;
                }
                Operation::Two(_, a, b) => {
                    let depth = qubits[a].max(qubits[b]) + 1;
                    (qubits[a], qubits[b]) = (depth, depth);
                }
            }
        }
        qubits.into_iter().max().unwrap_or(0)
    }
}

impl Operation {
    /// The qubits that take part, the control first.
    pub fn qubits(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, second) = match *self {
            Self::One(_, qubit) | Self::Reset(qubit) | Self::Measure { qubit, .. } => (qubit, None),
            Self::Two(_, control, target) => (control, Some(target)),
        };
        std::iter::once(first).chain(second)
    }
}

/// Collects the steps of a circuit; [`Builder::build`] checks them.
#[derive(Debug, Clone)]
pub struct Builder {
    qubits: usize,
    bits: usize,
    operations: Vec<Operation>,
}

impl Builder {
    /// Appends a step.
    #[must_use]
    pub fn then(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// Appends a gate on a qubit.
    #[must_use]
    pub fn gate(self, gate: OneQubit, qubit: usize) -> Self {
        self.then(Operation::One(gate, qubit))
    }

    /// Appends a Hadamard gate.
    #[must_use]
    pub fn h(self, qubit: usize) -> Self {
        self.gate(OneQubit::H, qubit)
    }

    /// Appends a bit flip.
    #[must_use]
    pub fn x(self, qubit: usize) -> Self {
        self.gate(OneQubit::X, qubit)
    }

    /// Appends a turn about the y axis by `angle` radians.
    #[must_use]
    pub fn ry(self, angle: f64, qubit: usize) -> Self {
        self.gate(OneQubit::Ry(angle), qubit)
    }

    /// Appends a controlled X.
    #[must_use]
    pub fn cx(self, control: usize, target: usize) -> Self {
        self.then(Operation::Two(TwoQubit::Cx, control, target))
    }

    /// Appends a reset to zero.
    #[must_use]
    pub fn reset(self, qubit: usize) -> Self {
        self.then(Operation::Reset(qubit))
    }

    /// Appends a measurement.
    #[must_use]
    pub fn measure(self, qubit: usize, bit: usize) -> Self {
        self.then(Operation::Measure { qubit, bit })
    }

    /// The circuit.
    ///
    /// # Errors
    /// [`CircuitError`], for the first step that is not valid.
    pub fn build(self) -> Result<Circuit, CircuitError> {
        if self.qubits > LARGEST || self.bits > LARGEST {
            return Err(CircuitError::Size);
        }
        for operation in &self.operations {
            if let Some(qubit) = operation.qubits().find(|&qubit| qubit >= self.qubits) {
                return Err(CircuitError::Qubit(qubit, self.qubits));
            }
            match *operation {
                Operation::Two(_, a, b) if a == b => return Err(CircuitError::Twice(a)),
                Operation::Measure { bit, .. } if bit >= self.bits => {
                    return Err(CircuitError::Bit(bit, self.bits));
                }
                Operation::One(OneQubit::Rx(angle) | OneQubit::Ry(angle) | OneQubit::Rz(angle), _)
                    if !angle.is_finite() =>
                {
                    return Err(CircuitError::Angle);
                }
                _ => {}
            }
        }
        Ok(Circuit { qubits: self.qubits, bits: self.bits, operations: self.operations, physical: false })
    }
}

/// A random bit from each of so many qubits: superposition and a measurement, nothing else.
///
/// # Errors
/// [`CircuitError::Size`].
pub fn random_bits(qubits: usize) -> Result<Circuit, CircuitError> {
    let start = Circuit::builder(qubits, qubits);
    (0..qubits.min(LARGEST)).fold(start, |circuit, qubit| circuit.h(qubit).measure(qubit, qubit)).build()
}

/// A matrix over two amplitudes, row by row.
pub(crate) type Matrix = [[Complex64; 2]; 2];

impl OneQubit {
    /// What the gate does to the amplitudes of zero and one.
    pub(crate) fn matrix(self) -> Matrix {
        let c = |re: f64, im: f64| Complex64::new(re, im);
        let (zero, one) = (c(0.0, 0.0), c(1.0, 0.0));
        let half = c(FRAC_1_SQRT_2, 0.0);
        match self {
            Self::H => [[half, half], [half, -half]],
            Self::X => [[zero, one], [one, zero]],
            Self::Y => [[zero, c(0.0, -1.0)], [c(0.0, 1.0), zero]],
            Self::Z => [[one, zero], [zero, -one]],
            Self::S => [[one, zero], [zero, c(0.0, 1.0)]],
            Self::Sdg => [[one, zero], [zero, c(0.0, -1.0)]],
            Self::Sx => [[c(0.5, 0.5), c(0.5, -0.5)], [c(0.5, -0.5), c(0.5, 0.5)]],
            Self::Rx(angle) => {
                let (sin, cos) = (angle / 2.0).sin_cos();
                [[c(cos, 0.0), c(0.0, -sin)], [c(0.0, -sin), c(cos, 0.0)]]
            }
            Self::Ry(angle) => {
                let (sin, cos) = (angle / 2.0).sin_cos();
                [[c(cos, 0.0), c(-sin, 0.0)], [c(sin, 0.0), c(cos, 0.0)]]
            }
            Self::Rz(angle) => [[Complex64::cis(-angle / 2.0), zero], [zero, Complex64::cis(angle / 2.0)]],
        }
    }

    /// The same gate, up to a phase, as turns by multiples of 90° alone: (quarter turns about z, then whether a Hadamard
    /// follows, …). Nothing where it is no such turn.
    pub(crate) fn clifford(self) -> Option<&'static [Clifford]> {
        use Clifford::{H, S, X, Z};
        Some(match self {
            Self::H => &[H],
            Self::X => &[X],
            Self::Y => &[Z, X],
            Self::Z => &[Z],
            Self::S => &[S],
            Self::Sdg => &[Z, S],
            Self::Sx => &[H, S, H],
            Self::Rz(angle) => match quarter_turns(angle)? {
                0 => &[],
                1 => &[S],
                2 => &[Z],
                _ => &[Z, S],
            },
            Self::Rx(angle) => match quarter_turns(angle)? {
                0 => &[],
                1 => &[H, S, H],
                2 => &[X],
                _ => &[H, Z, S, H],
            },
            // Ry(90°) is Z, then H.
            Self::Ry(angle) => match quarter_turns(angle)? {
                0 => &[],
                1 => &[Z, H],
                2 => &[Z, X],
                _ => &[H, Z],
            },
        })
    }
}

/// What gates of the Clifford group on one qubit are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clifford {
    H,
    S,
    X,
    Z,
}

fn quarter_turns(angle: f64) -> Option<u8> {
    let turns = angle / FRAC_PI_2;
    let whole = turns.round();
    let tolerance = 1e-9;
    if (turns - whole).abs() > tolerance {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 3")]
    Some(whole.rem_euclid(4.0) as u8)
}

/// The same angle in (−π, π].
pub(crate) fn normalised(angle: f64) -> f64 {
    let turned = angle.rem_euclid(2.0 * PI);
    if turned > PI { turned - 2.0 * PI } else { turned }
}

/// b after a.
pub(crate) fn product(b: &Matrix, a: &Matrix) -> Matrix {
    let entry = |row: usize, column: usize| b[row][0] * a[0][column] + b[row][1] * a[1][column];
    [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
}
