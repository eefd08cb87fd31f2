//! What this crate makes of circuits and samples, for `contrib/compare-quantum.py`, which holds it against other programs.
//!
//! `compare circuits`: a JSON object a line for each of some circuits: its name, its OpenQASM 3, the shots, the noise, how often each
//! outcome came. `compare speed`: the OpenQASM 3 of a circuit, and the seconds that its shots take. `compare entropy FILE`: the ten
//! estimates for a file of samples, a byte each.
#![expect(clippy::print_stdout, reason = "its output is all that it is for")]

use std::{
    env,
    error::Error,
    fs,
    time::{Duration, Instant},
};

use qchat_quantum::{
    Seed, chsh,
    circuit::{Builder, Circuit, Operation, TwoQubit, random_bits, target::Target},
    noise::{GateNoise, NoiseModel, Readout, Relaxation},
    qrng::estimate::estimates,
    simulator::{Samples, SimulatorError, stabilizer, state_vector},
};
use serde_json::json;

const SHOTS: usize = 200_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["circuits"] => circuits(),
        ["speed"] => speed(),
        ["entropy", file] => {
            println!("{}", serde_json::to_string(&estimates(&fs::read(file)?))?);
            Ok(())
        }
        _ => Err("say circuits, speed, or entropy FILE".into()),
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
            sampled(&format!("{name}{how}"), circuit, None)?;
        }
        for (how, t2) in [(", noise", 15e-6), (", noise that damps", 35e-6)] {
            sampled(&format!("{name}{how}"), &circuit, Some(t2))?;
        }
    }
    Ok(())
}

/// What both simulators make of a circuit, as far as they can; with noise and this T2, or without noise.
fn sampled(name: &str, circuit: &Circuit, t2: Option<f64>) -> Result<(), Box<dyn Error>> {
    let noise = t2.map(|t2| NoiseModel {
        one_qubit: GateNoise { depolarizing: 0.01, time: 0.5e-6 },
        two_qubit: GateNoise { depolarizing: 0.04, time: 2e-6 },
        readout: Readout { one_for_zero: 0.02, zero_for_one: 0.05 },
        relaxation: Some(Relaxation { t1: 20e-6, t2 }),
        ..NoiseModel::default()
    });
    let said = noise.as_ref().map(|noise| {
        json!({
            "one": noise.one_qubit.depolarizing, "one_time": noise.one_qubit.time,
            "two": noise.two_qubit.depolarizing, "two_time": noise.two_qubit.time,
            "one_for_zero": noise.readout.one_for_zero, "zero_for_one": noise.readout.zero_for_one,
            "t1": noise.relaxation.map(|relaxation| relaxation.t1), "t2": t2,
        })
    });
    let noise = noise.unwrap_or_default();
    let shots = if said.is_some() { SHOTS / 4 } else { SHOTS };
    for (with, sample) in
        [("state vector", state_vector::sample as Sampler), ("stabilizer", stabilizer::sample)]
    {
        let samples = match sample(circuit, &noise, shots, 7_u64.into()) {
            Err(SimulatorError::Gate(_) | SimulatorError::Noise) => continue,
            sampled => sampled?,
        };
        println!(
            "{}",
            json!({
                "name": name, "with": with, "qasm": circuit.open_qasm(), "shots": shots, "noise": said,
                "counts": samples.counts(),
            })
        );
    }
    Ok(())
}

/// A row of entangled qubits.
fn speed() -> Result<(), Box<dyn Error>> {
    const QUBITS: usize = 20;
    const SHOTS: usize = 1024;
    let row = (1..QUBITS).fold(Circuit::builder(QUBITS, QUBITS).h(0), |circuit, n| circuit.cx(n - 1, n));
    let row = (0..QUBITS).fold(row, |circuit, n| circuit.measure(n, n)).build()?;
    let mut best = Duration::MAX;
    for seed in 0..20_u64 {
        let begun = Instant::now();
        state_vector::sample(&row, &NoiseModel::default(), SHOTS, seed.into())?;
        best = best.min(begun.elapsed());
    }
    println!("{}", json!({ "qasm": row.open_qasm(), "shots": SHOTS, "seconds": best.as_secs_f64() }));
    Ok(())
}
