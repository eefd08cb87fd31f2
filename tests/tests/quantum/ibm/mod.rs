//! The client of IBM Quantum against the stand-in.

mod answers;
mod life;
mod mishaps;
mod once;
mod secrets;

use qchat_quantum::{
    circuit::{Circuit, random_bits, target::Target},
    ibm::{Program, Submission, Tag, Written},
};
use qchat_tests::ibm::BACKEND;

/// Qubits of the stand-in's devices, which are a row.
const QUBITS: usize = 20;

/// A job of some random bits, tagged anew.
fn submission() -> Submission {
    job(&[random_bits(4).expect("four qubits")], 100)
}

fn job(circuits: &[Circuit], shots: u32) -> Submission {
    let target = Target::line(QUBITS);
    let written =
        |circuit: &Circuit| Written::new(&circuit.lower(&target).expect("a line fits")).expect("bits");
    Submission {
        backend: BACKEND.to_owned(),
        circuits: circuits.iter().map(written).collect(),
        shots,
        tag: Tag::random().expect("random bytes"),
        program: Program::Sampler,
        cost: None,
        private: false,
    }
}
