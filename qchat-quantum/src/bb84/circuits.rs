//! BB84 as circuits, for a device or a simulator in place of light: each qubit is prepared by Alice's choice, turned by
//! Bob's, and measured.

use super::{Settings, alice::Alice, bob::Bob};
use crate::{
    bits::Bits,
    circuit::{Circuit, CircuitError},
    simulator::Samples,
};

/// Most qubits of a run on a device: each is prepared once, so that as many take hundreds of circuits.
pub const MOST_QUBITS: usize = 20_000;

/// The circuits of a run, each of at most `width` qubits and to be run once: every qubit is one of Alice's, with Bob's choice of basis.
///
/// # Errors
/// As [`circuit`].
pub fn circuits(settings: &Settings, width: usize) -> Result<Vec<Circuit>, CircuitError> {
    let (alice, _) = Alice::prepare(settings);
    let (bits, alice_basis) = alice.choices();
    let bob_basis = Bob::choose(settings);
    let width = width.max(1);
    (0..settings.qubits)
        .step_by(width)
        .map(|start| {
            let part = |of: &Bits| of.slice(start, width);
            circuit(&part(bits), &part(alice_basis), &part(&bob_basis))
        })
        .collect()
}

/// What the circuits of a run measured, in one string: of each the first time that it ran.
pub fn measured(samples: &[Samples]) -> Bits {
    samples.iter().flat_map(|samples| samples.shot(0).iter().collect::<Vec<_>>()).collect()
}

/// One circuit over as many qubits as Alice has bits. Classical bit `n` is what Bob measures of bit `n`; where a basis is
/// missing, it is the key basis.
///
/// # Errors
/// [`CircuitError::Size`] for more qubits than a circuit may have.
pub fn circuit(bits: &Bits, alice_test_basis: &Bits, bob_test_basis: &Bits) -> Result<Circuit, CircuitError> {
    let start = Circuit::builder(bits.len(), bits.len());
    if bits.len() > crate::circuit::LARGEST {
        return start.build();
    }
    (0..bits.len())
        .fold(start, |mut circuit, qubit| {
            if bits.get(qubit) {
                circuit = circuit.x(qubit);
            }
            for test in [alice_test_basis, bob_test_basis] {
                if test.get(qubit) {
                    circuit = circuit.h(qubit);
                }
            }
            circuit.measure(qubit, qubit)
        })
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        circuit::target::Target,
        noise::NoiseModel,
        random::{Purpose, stream},
        simulator::stabilizer,
    };

    #[test]
    fn a_run_in_circuits_is_a_run() {
        for (noise, aborted) in [(0.0, false), (0.005, false), (0.2, true)] {
            let settings = Settings { qubits: 8_000, seed: 6, ..Settings::default() };
            let noise = NoiseModel::uniform(0.0, 0.0, noise);
            let circuits = circuits(&settings, 60).unwrap();
            assert_eq!((circuits.len(), circuits[133].bits()), (134, 20));
            let samples: Vec<_> = (0_u64..)
                .zip(&circuits)
                .map(|(seed, circuit)| stabilizer::sample(circuit, &noise, 1, seed.into()).unwrap())
                .collect();
            let report = super::super::on_a_device(&settings, "a device", measured(&samples)).unwrap();
            assert_eq!((report.aborted, report.keys_match), (aborted, Some(!aborted)), "{report:?}");
            assert_eq!((&*report.backend, report.quantum, report.eve_certain_bits), ("a device", true, None));
            assert!(report.provenance.contains("played both ends"));
            assert_eq!(super::super::on_a_device(&settings, "a device", Bits::zeros(7_999)), None);
        }
    }

    #[test]
    fn equal_bases_give_the_bit_and_others_a_coin() {
        let mut random = stream(1, Purpose::Public, 0);
        let [bits, alice, bob] = [(); 3].map(|()| Bits::random(4000, &mut random));
        let circuit = circuit(&bits, &alice, &bob).unwrap();
        let shot = stabilizer::sample(&circuit, &NoiseModel::default(), 1, 1_u64.into()).unwrap().shot(0);
        let same: Bits = alice.iter().zip(bob.iter()).map(|(a, b)| a == b).collect();
        let other: Bits = same.iter().map(|same| !same).collect();
        assert_eq!(shot.select(&same), bits.select(&same));
        let wrong = shot.select(&other).distance(&bits.select(&other));
        assert!((800..1200).contains(&wrong), "{wrong} of about 2000");
        // On a device no qubit takes more than one pulse and the reading.
        let depth = circuit.lower(&Target::line(4000)).unwrap().depth();
        assert!(depth <= 2, "{depth}");
    }
}
