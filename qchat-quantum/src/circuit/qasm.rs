//! Circuits as OpenQASM 3, the text that IBM's service takes.

use std::fmt::Write as _;

use super::{Circuit, OneQubit, Operation, TwoQubit};

impl Circuit {
    /// The circuit as OpenQASM 3.0: qubits of a device as `$n`, others as `q[n]`, classical bits as `c[n]`.
    pub fn open_qasm(&self) -> String {
        let mut text = String::from("OPENQASM 3.0;\ninclude \"stdgates.inc\";\n");
        if self.operations.iter().any(|operation| matches!(operation, Operation::Two(TwoQubit::Ecr, ..))) {
            // Not among the standard gates; devices that have it know it by its name.
            text.push_str("gate ecr a, b { cx a, b; rz(-pi/2) a; inv @ sx b; x a; }\n");
        }
        if self.bits > 0 {
            let _ = writeln!(text, "bit[{}] c;", self.bits);
        }
        if !self.physical && self.qubits > 0 {
            let _ = writeln!(text, "qubit[{}] q;", self.qubits);
        }
        let name = |qubit: usize| if self.physical { format!("${qubit}") } else { format!("q[{qubit}]") };
        for operation in &self.operations {
            let _ = match *operation {
                Operation::One(gate, qubit) => writeln!(text, "{} {};", statement(gate), name(qubit)),
                Operation::Two(gate, a, b) => writeln!(text, "{} {}, {};", gate.name(), name(a), name(b)),
                Operation::Reset(qubit) => writeln!(text, "reset {};", name(qubit)),
                Operation::Measure { qubit, bit } => writeln!(text, "c[{bit}] = measure {};", name(qubit)),
            };
        }
        text
    }
}

impl OneQubit {
    /// What the gate is called in OpenQASM.
    pub fn name(self) -> &'static str {
        match self {
            Self::H => "h",
            Self::X => "x",
            Self::Y => "y",
            Self::Z => "z",
            Self::S => "s",
            Self::Sdg => "sdg",
            Self::Sx => "sx",
            Self::Rx(_) => "rx",
            Self::Ry(_) => "ry",
            Self::Rz(_) => "rz",
        }
    }
}

impl TwoQubit {
    /// What the gate is called in OpenQASM.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cx => "cx",
            Self::Cz => "cz",
            Self::Ecr => "ecr",
        }
    }
}

fn statement(gate: OneQubit) -> String {
    match gate {
        // Debug always writes a point or an exponent, so that the angle is a float to every parser.
        OneQubit::Rx(angle) | OneQubit::Ry(angle) | OneQubit::Rz(angle) => {
            format!("{}({angle:?})", gate.name())
        }
        _ => gate.name().to_owned(),
    }
}
