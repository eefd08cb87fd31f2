//! Both simulators held to what quantum mechanics says, to each other, and to their seeds.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use qchat_quantum::{
    Seed,
    circuit::{Builder, Circuit, OneQubit, Operation, TwoQubit, random_bits},
    device::Properties,
    noise::{NoiseModel, Readout, Relaxation},
    simulator::{Samples, SimulatorError, stabilizer, state_vector},
};

type Sampler = fn(&Circuit, &NoiseModel, usize, Seed) -> Result<Samples, SimulatorError>;
const BOTH: [Sampler; 2] = [state_vector::sample, stabilizer::sample];

#[expect(clippy::cast_precision_loss)]
fn float(n: usize) -> f64 {
    n as f64
}

/// Whether so many of `shots` fit a probability: within six standard deviations.
fn fits(count: usize, probability: f64, shots: usize) -> bool {
    let deviation = (float(shots) * probability * (1.0 - probability)).sqrt();
    (float(count) - float(shots) * probability).abs() <= 6.0 * deviation + 1e-9
}

fn bell(builder: Builder) -> Builder {
    builder.h(0).cx(0, 1)
}

#[test]
fn a_bell_pair_is_random_and_equal() {
    let circuit = bell(Circuit::builder(2, 2)).measure(0, 0).measure(1, 1).build().unwrap();
    for sample in BOTH {
        let samples = sample(&circuit, &NoiseModel::default(), 10_000, 1_u64.into()).unwrap();
        let counts = samples.counts();
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["00", "11"]);
        assert!(fits(counts["11"], 0.5, 10_000), "{counts:?}");
    }
}

#[test]
fn measurements_and_resets_in_the_middle_collapse_what_they_touch() {
    let circuits = [
        // What was measured stays; what is entangled with it follows; a reset forgets it.
        (
            bell(Circuit::builder(2, 3)).measure(0, 0).measure(0, 1).measure(1, 2).build().unwrap(),
            vec!["000", "111"],
        ),
        (
            bell(Circuit::builder(2, 2)).measure(0, 0).reset(0).measure(0, 1).build().unwrap(),
            vec!["00", "01"],
        ),
        (
            bell(Circuit::builder(2, 2)).reset(0).measure(0, 0).measure(1, 1).build().unwrap(),
            vec!["00", "10"],
        ),
        (
            Circuit::builder(1, 2).h(0).measure(0, 0).h(0).measure(0, 1).build().unwrap(),
            vec!["00", "01", "10", "11"],
        ),
        (Circuit::builder(1, 1).x(0).measure(0, 0).reset(0).measure(0, 0).build().unwrap(), vec!["0"]),
        (Circuit::builder(1, 1).h(0).reset(0).x(0).measure(0, 0).build().unwrap(), vec!["1"]),
    ];
    for (circuit, outcomes) in circuits {
        for sample in BOTH {
            let counts = sample(&circuit, &NoiseModel::default(), 8000, 2_u64.into()).unwrap().counts();
            assert_eq!(counts.keys().map(String::as_str).collect::<Vec<_>>(), outcomes, "{}", circuit.draw());
            for count in counts.values() {
                assert!(fits(*count, 1.0 / float(outcomes.len()), 8000), "{counts:?}");
            }
        }
    }
}

#[test]
fn noise_has_the_size_that_was_asked_for() {
    let shots = 100_000;
    let one = |build: fn(Builder) -> Builder| build(Circuit::builder(1, 1)).measure(0, 0).build().unwrap();
    let relaxing = |t1, t2, time| {
        let mut noise = NoiseModel { relaxation: Some(Relaxation { t1, t2 }), ..NoiseModel::default() };
        noise.one_qubit.time = time;
        noise
    };
    let readout = Readout { one_for_zero: 0.02, zero_for_one: 0.3 };
    let decay = (-0.5_f64).exp();
    for (what, circuit, noise, expected) in [
        ("depolarised", one(|c| c.x(0)), NoiseModel::uniform(0.2, 0.0, 0.0), 0.9),
        ("read wrongly as one", one(|c| c), NoiseModel { readout, ..NoiseModel::default() }, 0.02),
        ("read wrongly as zero", one(|c| c.x(0)), NoiseModel { readout, ..NoiseModel::default() }, 0.7),
        ("decayed", one(|c| c.x(0)), relaxing(100e-6, 100e-6, 50e-6), decay),
        ("decayed, T2 shorter", one(|c| c.x(0)), relaxing(100e-6, 30e-6, 50e-6), decay),
        // The phase that is left between two H shows as zeros.
        ("dephased", one(|c| c.h(0).h(0)), relaxing(1e3, 50e-6, 50e-6), (1.0 - (-1_f64).exp()) / 2.0),
        (
            "turns about z are free",
            one(|c| c.gate(OneQubit::Rz(std::f64::consts::FRAC_PI_2), 0)),
            NoiseModel::uniform(1.0, 0.0, 0.0),
            0.0,
        ),
    ] {
        for sample in BOTH {
            let ones = sample(&circuit, &noise, shots, 3_u64.into()).unwrap().column(0).unwrap().count_ones();
            assert!(fits(ones, expected, shots), "{what}: {ones}");
        }
    }
    // A T2 above T1 is true damping, which amplitudes alone can follow.
    let long = relaxing(100e-6, 150e-6, 50e-6);
    let (flipped, echo) = (one(|c| c.x(0)), one(|c| c.h(0).h(0)));
    let ones =
        state_vector::sample(&flipped, &long, shots, 4_u64.into()).unwrap().column(0).unwrap().count_ones();
    assert!(fits(ones, decay, shots), "{ones}");
    let ones =
        state_vector::sample(&echo, &long, shots, 5_u64.into()).unwrap().column(0).unwrap().count_ones();
    let coherent = (-50.0 / 150.0_f64).exp();
    // After the first gate ⟨X⟩ = coherent and ⟨Z⟩ = 1 − decay; H turns X into Z, which then relaxes towards zero.
    let expected = (1.0 - coherent) / 2.0 * decay;
    assert!(fits(ones, expected, shots), "{ones}, not {expected}");
    assert_eq!(stabilizer::sample(&echo, &long, 1, 1_u64.into()), Err(SimulatorError::Noise));
    assert!(stabilizer::sample(&echo, &long.for_stabilizers(), 1, 1_u64.into()).is_ok());
}

/// Compares both simulators outcome by outcome.
fn agree(circuit: &Circuit, noise: &NoiseModel, shots: usize) -> Result<(), TestCaseError> {
    let [one, two] = BOTH.map(|sample| sample(circuit, noise, shots, 7_u64.into()).unwrap().counts());
    for outcome in one.keys().chain(two.keys()) {
        let (a, b) = (one.get(outcome).copied().unwrap_or(0), two.get(outcome).copied().unwrap_or(0));
        let deviation = float(a + b).sqrt();
        prop_assert!(
            (float(a) - float(b)).abs() <= 6.0 * deviation,
            "{outcome}: {a} and {b}\n{}",
            circuit.draw()
        );
    }
    Ok(())
}

fn clifford_step() -> impl Strategy<Value = Operation> {
    use OneQubit::{H, Rx, Ry, Rz, S, Sdg, Sx, X, Y, Z};
    let quarter = std::f64::consts::FRAC_PI_2;
    let gates = vec![
        H,
        X,
        Y,
        Z,
        S,
        Sdg,
        Sx,
        Rz(quarter),
        Rz(-quarter),
        Rx(quarter),
        Rx(-quarter),
        Ry(quarter),
        Ry(-quarter),
        Ry(2.0 * quarter),
        Rx(2.0 * quarter),
        Rz(2.0 * quarter),
    ];
    let pair = prop::sample::select(vec![TwoQubit::Cx, TwoQubit::Cz, TwoQubit::Ecr]);
    prop_oneof![
        5 => (prop::sample::select(gates), 0usize..3).prop_map(|(gate, qubit)| Operation::One(gate, qubit)),
        4 => (pair, 0usize..3, 1usize..3).prop_map(|(gate, a, step)| Operation::Two(gate, a, (a + step) % 3)),
        1 => (0usize..3).prop_map(Operation::Reset),
        1 => (0usize..3, 3usize..5).prop_map(|(qubit, bit)| Operation::Measure { qubit, bit }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn amplitudes_and_stabilizers_agree(steps in prop::collection::vec(clifford_step(), 0..25), noisy: bool) {
        let mut noise = NoiseModel::default();
        if noisy {
            noise = NoiseModel::uniform(0.05, 0.1, 0.02);
            noise.relaxation = Some(Relaxation { t1: 1e-3, t2: 0.7e-3 });
            noise.one_qubit.time = 1e-4;
            noise.two_qubit.time = 2e-4;
        }
        let circuit = steps.iter().fold(Circuit::builder(3, 5), |circuit, step| circuit.then(*step));
        let circuit = circuit.measure(0, 0).measure(1, 1).measure(2, 2).build().unwrap();
        agree(&circuit, &noise, 4000)?;
    }
}

#[test]
fn the_same_seed_gives_the_same_shots_on_any_number_of_threads() {
    let noise = NoiseModel::uniform(0.01, 0.02, 0.03);
    let chain = (1..12).fold(Circuit::builder(14, 14).h(0), |circuit, n| circuit.cx(n - 1, n));
    let chain =
        (0..12).fold(chain.h(12).measure(0, 13).h(0), |circuit, n| circuit.measure(n, n)).build().unwrap();
    for sample in BOTH {
        let run = |threads, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sample(&chain, &noise, 5000, seed.into()).unwrap())
        };
        let one = run(1, 1);
        assert_eq!(one, run(3, 1));
        assert_ne!(one, run(1, 2));
    }
}

#[test]
fn large_jobs_are_split_into_what_is_independent() {
    let samples =
        stabilizer::sample(&random_bits(100_000).unwrap(), &NoiseModel::default(), 64, 1_u64.into()).unwrap();
    let ones: usize = (0..100_000).map(|bit| samples.column(bit).unwrap().count_ones()).sum();
    assert!(fits(ones, 0.5, 6_400_000), "{ones}");
    let samples =
        state_vector::sample(&random_bits(200).unwrap(), &NoiseModel::default(), 100, 1_u64.into()).unwrap();
    assert_eq!(samples.concatenated().len(), 20_000);

    // One pair of correlated ends over a thousand qubits.
    let chain = (1..1000).fold(Circuit::builder(1000, 2).h(0), |circuit, n| circuit.cx(n - 1, n));
    let chain = chain.measure(0, 0).measure(999, 1).build().unwrap();
    let counts = stabilizer::sample(&chain, &NoiseModel::default(), 1000, 1_u64.into()).unwrap().counts();
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["00", "11"]);
    assert_eq!(
        state_vector::sample(&chain, &NoiseModel::default(), 1, 1_u64.into()),
        Err(SimulatorError::TooLarge(1000, state_vector::LARGEST))
    );
    let turned = Circuit::builder(1, 0).ry(0.3, 0).build().unwrap();
    assert_eq!(
        stabilizer::sample(&turned, &NoiseModel::default(), 1, 1_u64.into()),
        Err(SimulatorError::Gate("ry"))
    );
}

#[test]
fn as_many_qubits_as_fit_are_entangled_and_no_more() {
    let row = |qubits: usize| {
        // A turn that stabilizers cannot make, so that amplitudes are what it is computed with.
        let begun = Circuit::builder(qubits, qubits).ry(0.5, 0);
        let row = (1..qubits).fold(begun, |circuit, n| circuit.cx(n - 1, n));
        (0..qubits).fold(row, |circuit, n| circuit.measure(n, n)).build().unwrap()
    };
    let most = state_vector::LARGEST;
    let samples = state_vector::sample(&row(most), &NoiseModel::default(), 1000, 1_u64.into()).unwrap();
    let counts = samples.counts();
    assert_eq!(counts.keys().cloned().collect::<Vec<_>>(), ["0".repeat(most), "1".repeat(most)]);
    assert!(fits(counts[&"1".repeat(most)], 0.25_f64.sin().powi(2), 1000), "{counts:?}");
    let refused = state_vector::sample(&row(most + 1), &NoiseModel::default(), 1, 1_u64.into()).err();
    assert_eq!(refused, Some(SimulatorError::TooLarge(most + 1, most)));
}

#[test]
fn a_devices_noise_has_the_measured_infidelity() {
    // T1 and T2 take part of the gate's error, depolarisation the rest: the sum is what was measured.
    let text = r#"{"qubits":[[{"name":"T1","unit":"us","value":100},{"name":"T2","unit":"us","value":80},
        {"name":"prob_meas0_prep1","unit":"","value":0.04},{"name":"prob_meas1_prep0","unit":"","value":0.01}]],
        "gates":[{"gate":"x","qubits":[0],"parameters":[{"name":"gate_error","unit":"","value":0.09},
        {"name":"gate_length","unit":"ns","value":1000}]}]}"#;
    let noise = NoiseModel::from_properties(&Properties::from_json(text).unwrap());
    // The average fidelity is the mean over the six states at the ends of the axes: prepared and undone without noise.
    let shots = 200_000;
    let mut noiseless_readout = noise.clone();
    noiseless_readout.readouts.clear();
    let (h, s, sdg, z) = (OneQubit::H, OneQubit::S, OneQubit::Sdg, OneQubit::Z);
    let x = OneQubit::X;
    // (prepare, undo after the X): X swaps 0 and 1, keeps + and −, swaps i and −i.
    let mut wrong = 0;
    let states: [(&[OneQubit], &[OneQubit]); 6] = [
        (&[], &[OneQubit::Y]),
        (&[OneQubit::Y], &[]),
        (&[h], &[h]),
        (&[h, z], &[z, h]),
        (&[h, s], &[s, h]),
        (&[h, sdg], &[sdg, h]),
    ];
    for (prepare, undo) in states {
        let gates = prepare.iter().chain([&x]).chain(undo);
        let circuit = gates.fold(Circuit::builder(1, 1), |circuit, gate| circuit.gate(*gate, 0));
        let circuit = circuit.measure(0, 0).build().unwrap();
        wrong += state_vector::sample(&circuit, &noiseless_readout, shots, 9_u64.into())
            .unwrap()
            .column(0)
            .unwrap()
            .count_ones();
    }
    assert!(fits(wrong, 0.09, 6 * shots), "{}", float(wrong) / float(6 * shots));
    let zero = Circuit::builder(1, 1).measure(0, 0).build().unwrap();
    let ones =
        stabilizer::sample(&zero, &noise, shots, 9_u64.into()).unwrap().column(0).unwrap().count_ones();
    assert!(fits(ones, 0.01, shots));
}
