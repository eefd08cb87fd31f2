//! What this crate makes of circuits and samples, for `contrib/compare-quantum.py`, which holds it against other programs.
//!
//! `compare circuits`: a JSON object a line for each of some circuits: its name, its OpenQASM 3, the shots, how often each outcome
//! came. `compare entropy FILE`: the ten estimates for a file of samples, a byte each.
#![expect(clippy::print_stdout, reason = "its output is all that it is for")]

use std::{env, error::Error, fs};

use qchat_quantum::{
    Seed, chsh,
    circuit::{Builder, Circuit, Operation, TwoQubit, random_bits, target::Target},
    noise::NoiseModel,
    qrng::estimate::estimates,
    simulator::{Samples, SimulatorError, stabilizer, state_vector},
};
use serde_json::json;

const SHOTS: usize = 200_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["circuits"] => circuits(),
        ["entropy", file] => {
            println!("{}", serde_json::to_string(&estimates(&fs::read(file)?))?);
            Ok(())
        }
        _ => Err("say circuits, or entropy FILE".into()),
    }
}

type Sampler = fn(&Circuit, &NoiseModel, usize, Seed) -> Result<Samples, SimulatorError>;

fn circuits() -> Result<(), Box<dyn Error>> {
    let measured =
        |circuit: Builder, qubits: usize| (0..qubits).fold(circuit, |circuit, n| circuit.measure(n, n));
    let ghz = (1..6).fold(Circuit::builder(6, 6).h(0), |circuit, n| circuit.cx(n - 1, n));
    // Every pair, so that a device in a row has to move qubits.
    let all_pairs = (0..4_u32).fold(Circuit::builder(4, 4), |circuit, a| {
        let turned = circuit.ry(0.3 + 0.4 * f64::from(a), a as usize);
        (0..a).fold(turned, |circuit, b| {
            circuit.then(Operation::Two(TwoQubit::Cz, b as usize, a as usize)).ry(0.2, b as usize)
        })
    });
    let ecr = Circuit::builder(3, 3).h(0).then(Operation::Two(TwoQubit::Ecr, 0, 1)).h(1).cx(1, 2).h(2);
    let again = Circuit::builder(2, 3).h(0).measure(0, 0).cx(0, 1).reset(0).h(1).measure(1, 1).measure(0, 2);
    let clifford = (0..8).fold(Circuit::builder(5, 5).h(0).h(3), |circuit, n| {
        circuit.cx(n % 5, (n + 1 + n % 3) % 5).h((n + 2) % 5)
    });
    let mut all = vec![
        ("random bits".to_owned(), random_bits(5)?),
        ("GHZ".to_owned(), measured(ghz, 6).build()?),
        ("all pairs".to_owned(), measured(all_pairs, 4).build()?),
        ("ECR".to_owned(), measured(ecr, 3).build()?),
        ("measured between".to_owned(), again.build()?),
        ("Clifford".to_owned(), measured(clifford, 5).build()?),
    ];
    all.extend((0..).zip(chsh::circuits()?).map(|(n, circuit)| (format!("CHSH {n}"), circuit)));
    for (name, circuit) in all {
        let lowered = circuit.lower(&Target::line(8))?;
        for (how, circuit) in [("", &circuit), (", lowered", &lowered)] {
            for (with, sample) in
                [("state vector", state_vector::sample as Sampler), ("stabilizer", stabilizer::sample)]
            {
                let samples = match sample(circuit, &NoiseModel::default(), SHOTS, 7_u64.into()) {
                    Err(SimulatorError::Gate(_)) => continue,
                    sampled => sampled?,
                };
                println!(
                    "{}",
                    json!({
                        "name": format!("{name}{how}"), "with": with, "qasm": circuit.open_qasm(), "shots": SHOTS,
                        "counts": samples.counts(),
                    })
                );
            }
        }
    }
    Ok(())
}
