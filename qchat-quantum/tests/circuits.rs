//! Circuits built, lowered, written and drawn.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{collections::BTreeMap, f64::consts::PI};

use proptest::prelude::*;
use qchat_quantum::{
    circuit::{
        Builder, Circuit, CircuitError, OneQubit, Operation, TwoQubit,
        lower::LowerError,
        random_bits,
        target::{Coupling, Target},
    },
    simulator::state_vector::amplitudes,
};

fn gate() -> impl Strategy<Value = OneQubit> {
    use OneQubit::{H, Rx, Ry, Rz, S, Sdg, Sx, X, Y, Z};
    prop_oneof![
        prop::sample::select(vec![H, X, Y, Z, S, Sdg, Sx, Rz(PI), Rx(PI / 2.0), Ry(PI), Ry(0.0)]),
        (-7.0..7.0).prop_map(Rx),
        (-7.0..7.0).prop_map(Ry),
        (-7.0..7.0).prop_map(Rz),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let pair = prop::sample::select(vec![TwoQubit::Cx, TwoQubit::Cz, TwoQubit::Ecr]);
    prop_oneof![
        3 => (gate(), 0usize..3).prop_map(|(gate, qubit)| Operation::One(gate, qubit)),
        2 => (pair, 0usize..2, any::<bool>()).prop_map(|(gate, a, turned)| {
            if turned { Operation::Two(gate, a + 1, a) } else { Operation::Two(gate, a, a + 1) }
        }),
    ]
}

/// Steps of which the pairs are any of four qubits, and which no device connects all.
fn anywhere() -> impl Strategy<Value = Operation> {
    let pair = prop::sample::select(vec![TwoQubit::Cx, TwoQubit::Cz, TwoQubit::Ecr]);
    prop_oneof![
        2 => (gate(), 0usize..4).prop_map(|(gate, qubit)| Operation::One(gate, qubit)),
        3 => (pair, 0usize..4, 1usize..4).prop_map(|(gate, a, more)| Operation::Two(gate, a, (a + more) % 4)),
    ]
}

/// Whether the device has this step, as it is.
fn is_native(operation: &Operation, target: &Target) -> bool {
    match *operation {
        Operation::One(gate, _) => matches!(gate, OneQubit::Rz(_) | OneQubit::Sx | OneQubit::X),
        Operation::Two(gate, a, b) => {
            let pairs = target.couplings.iter().map(|pair| (pair.first, pair.second));
            let symmetric = target.entangler == TwoQubit::Cz;
            gate == target.entangler
                && pairs.into_iter().any(|pair| pair == (a, b) || symmetric && pair == (b, a))
        }
        Operation::Reset(_) | Operation::Measure { .. } => true,
    }
}

fn with(circuit: Builder, operations: &[Operation]) -> Builder {
    operations.iter().fold(circuit, |circuit, operation| circuit.then(*operation))
}

/// The probability of each outcome of the classical bits, for a circuit that measures at the end.
fn outcomes(circuit: &Circuit) -> BTreeMap<usize, f64> {
    let (measured, gates): (Vec<Operation>, Vec<Operation>) =
        circuit.operations().iter().partition(|operation| matches!(operation, Operation::Measure { .. }));
    let gates = with(Circuit::builder(circuit.qubits(), 0), &gates).build().unwrap();
    let mut outcomes = BTreeMap::new();
    for (index, amplitude) in amplitudes(&gates, 0).unwrap().into_iter().enumerate() {
        let outcome = measured.iter().fold(0, |outcome, operation| match *operation {
            Operation::Measure { qubit, bit } => outcome | (index >> qubit & 1) << bit,
            _ => outcome,
        });
        *outcomes.entry(outcome).or_default() += amplitude.norm_sqr();
    }
    outcomes
}

/// Five qubits in a row, the middle ones the best, with gates in one direction alone.
fn device(entangler: TwoQubit) -> Target {
    let couplings = [(1, 0), (1, 2), (3, 2), (3, 4)]
        .map(|(first, second)| Coupling { first, second, error: 0.01 })
        .to_vec();
    Target { entangler, readout_errors: vec![0.05, 0.02, 0.01, 0.03, 0.04], couplings }
}

proptest! {
    #[test]
    fn a_lowered_circuit_gives_the_same_outcomes_with_the_devices_gates_alone(
        operations in prop::collection::vec(operation(), 0..20),
        entangler in prop::sample::select(vec![TwoQubit::Cz, TwoQubit::Ecr]),
    ) {
        let circuit = with(Circuit::builder(3, 3), &operations).measure(0, 0).measure(1, 1).measure(2, 2).build().unwrap();
        let target = device(entangler);
        let lowered = circuit.lower(&target).unwrap();
        for operation in lowered.operations() {
            prop_assert!(is_native(operation, &target), "{:?}", operation);
        }
        let (before, after) = (outcomes(&circuit), outcomes(&lowered));
        for outcome in 0..8 {
            let (before, after) = (before.get(&outcome).unwrap_or(&0.0), after.get(&outcome).unwrap_or(&0.0));
            prop_assert!((before - after).abs() < 1e-9, "{outcome}: {before}, then {after}");
        }
    }

    #[test]
    fn qubits_that_the_device_does_not_connect_are_brought_together(
        operations in prop::collection::vec(anywhere(), 0..16),
        entangler in prop::sample::select(vec![TwoQubit::Cz, TwoQubit::Ecr]),
        star in any::<bool>(),
    ) {
        let circuit = with(Circuit::builder(4, 4), &operations);
        let circuit = (0..4).fold(circuit, |circuit, qubit| circuit.measure(qubit, qubit)).build().unwrap();
        let mut target = device(entangler);
        if star {
            for (pair, second) in target.couplings.iter_mut().zip([1, 2, 3, 4]) {
                (pair.first, pair.second) = (0, second);
            }
        }
        let lowered = circuit.lower(&target).unwrap();
        for operation in lowered.operations() {
            prop_assert!(is_native(operation, &target), "{:?}", operation);
        }
        let (before, after) = (outcomes(&circuit), outcomes(&lowered));
        for outcome in 0..16 {
            let (before, after) = (before.get(&outcome).unwrap_or(&0.0), after.get(&outcome).unwrap_or(&0.0));
            prop_assert!((before - after).abs() < 1e-9, "{outcome}: {before}, then {after}");
        }
    }

    #[test]
    fn any_gate_on_a_fresh_qubit_before_a_measurement_takes_three_steps_at_most(
        gates in prop::collection::vec(gate(), 0..6),
    ) {
        let circuit = gates.iter().fold(Circuit::builder(1, 1), |circuit, gate| circuit.gate(*gate, 0));
        let lowered = circuit.measure(0, 0).build().unwrap().lower(&Target::line(1)).unwrap();
        prop_assert!(lowered.depth() <= 3, "{:?}", lowered);
        prop_assert!(lowered.operations().len() <= 4, "{:?}", lowered);
    }
}

#[test]
fn a_random_bit_is_one_pulse_and_a_measurement_on_the_qubit_that_is_read_best() {
    let lowered = random_bits(2).unwrap().lower(&device(TwoQubit::Ecr)).unwrap();
    assert_eq!(lowered.depth(), 2);
    assert_eq!(
        lowered.open_qasm(),
        "OPENQASM 3.0;\ninclude \"stdgates.inc\";\nbit[2] c;\nsx $2;\nc[0] = measure $2;\nsx $1;\nc[1] = measure $1;\n"
    );
}

#[test]
fn gates_between_qubits_come_onto_connected_ones_with_the_least_error() {
    let bell = Circuit::builder(9, 2).h(7).cx(7, 3).measure(7, 0).measure(3, 1).build().unwrap();
    let lowered = bell.lower(&device(TwoQubit::Cz)).unwrap();
    let pair = lowered.operations().iter().find_map(|operation| match *operation {
        Operation::Two(_, a, b) => Some((a.min(b), a.max(b))),
        _ => None,
    });
    assert_eq!(pair, Some((1, 2)));

    let triangle = Circuit::builder(3, 0).cx(0, 1).cx(1, 2).cx(2, 0).build().unwrap();
    let pairs = triangle.lower(&device(TwoQubit::Cz)).unwrap();
    let pairs = pairs.operations().iter().filter(|step| matches!(step, Operation::Two(..))).count();
    assert_eq!(pairs, 6, "one swap more than the three gates");
    let mut parted = device(TwoQubit::Cz);
    parted.couplings.retain(|pair| (pair.first, pair.second) != (1, 2));
    let four = Circuit::builder(4, 0).cx(0, 1).cx(1, 2).cx(2, 3).build().unwrap();
    assert_eq!(four.lower(&parted), Err(LowerError::Connectivity(4)));
    assert!(triangle.lower(&parted).is_ok(), "in the larger part");
    let six = random_bits(6).unwrap();
    assert_eq!(six.lower(&device(TwoQubit::Cz)), Err(LowerError::TooLarge { used: 6, device: 5 }));
    assert_eq!(six.lower(&Target { entangler: TwoQubit::Cx, ..Target::line(6) }), Err(LowerError::Entangler));
}

#[test]
fn what_has_no_effect_is_left_out_and_what_has_one_stays() {
    let circuit = |build: fn(Builder) -> Builder| build(Circuit::builder(1, 2)).build().unwrap();
    for (circuit, steps) in [
        // A reset of what is zero, turns of what is zero, gates before a reset.
        (circuit(|c| c.reset(0).gate(OneQubit::S, 0).measure(0, 0)), 1),
        (circuit(|c| c.measure(0, 0).h(0).reset(0).measure(0, 1)), 3),
        (circuit(|c| c.measure(0, 0).gate(OneQubit::Z, 0).measure(0, 1)), 2),
        (circuit(|c| c.h(0).measure(0, 0).h(0).measure(0, 1)), 4),
        (circuit(|c| c.h(0).h(0).x(0).measure(0, 0)), 2),
    ] {
        let lowered = circuit.lower(&Target::line(1)).unwrap();
        assert_eq!(lowered.operations().len(), steps, "{}", lowered.open_qasm());
    }
}

#[test]
fn circuits_are_written_with_their_own_qubits_until_they_are_lowered() {
    let circuit = Circuit::builder(3, 1)
        .gate(OneQubit::Ry(1e-7), 0)
        .then(Operation::Two(TwoQubit::Ecr, 0, 2))
        .reset(1)
        .measure(2, 0)
        .build()
        .unwrap();
    let expected = "OPENQASM 3.0;\ninclude \"stdgates.inc\";\n\
        gate ecr a, b { cx a, b; rz(-pi/2) a; inv @ sx b; x a; }\n\
        bit[1] c;\nqubit[3] q;\nry(1e-7) q[0];\necr q[0], q[2];\nreset q[1];\nc[0] = measure q[2];\n";
    assert_eq!(circuit.open_qasm(), expected);
}

#[test]
fn echoed_cross_resonance_is_the_matrix_of_its_definition() {
    // (IX − XY)/√2 with X flipping the control: every basis state goes to two, in equal parts.
    let half = 0.5_f64.sqrt();
    for (start, images) in [(0, [1, 3]), (1, [0, 2]), (2, [3, 1]), (3, [2, 0])] {
        let circuit = (0..2).filter(|n| start >> n & 1 == 1).fold(Circuit::builder(2, 0), Builder::x);
        let circuit = circuit.then(Operation::Two(TwoQubit::Ecr, 0, 1)).build().unwrap();
        let amplitudes = amplitudes(&circuit, 0).unwrap();
        for (n, amplitude) in amplitudes.iter().enumerate() {
            let norm = if images.contains(&n) { half } else { 0.0 };
            assert!((amplitude.norm() - norm).abs() < 1e-12, "{start} to {n}: {amplitude}");
        }
        // The second image carries i on the way from a control of zero, −i from one of one.
        let ratio = amplitudes[images[1]] / amplitudes[images[0]];
        let phase = if start & 1 == 0 { 1.0 } else { -1.0 };
        assert!((ratio.im - phase).abs() < 1e-12 && ratio.re.abs() < 1e-12, "{start}: {ratio}");
    }
}

#[test]
fn a_drawing_shows_who_acts_on_whom() {
    let circuit = Circuit::builder(4, 2)
        .h(0)
        .cx(0, 3)
        .gate(OneQubit::Rz(0.5), 2)
        .reset(2)
        .measure(0, 0)
        .measure(3, 1)
        .build()
        .unwrap();
    let expected = "
q0 ─H─●───M→0────────
      │
q2 ───┼─rz(0.50)─|0⟩─
      │
q3 ───⊕───M→1────────
";
    assert_eq!(circuit.draw(), expected.trim_start());
    assert_eq!(Circuit::builder(2, 0).build().unwrap().draw(), "");
}

#[test]
fn what_is_not_valid_is_refused() {
    let base = || Circuit::builder(2, 1);
    for (builder, error) in [
        (base().h(2), CircuitError::Qubit(2, 2)),
        (base().cx(0, 5), CircuitError::Qubit(5, 2)),
        (base().cx(1, 1), CircuitError::Twice(1)),
        (base().measure(0, 1), CircuitError::Bit(1, 1)),
        (base().ry(f64::INFINITY, 0), CircuitError::Angle),
        (Circuit::builder(usize::MAX, 0), CircuitError::Size),
    ] {
        assert_eq!(builder.build(), Err(error));
    }
}
