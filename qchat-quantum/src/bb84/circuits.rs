//! BB84 as circuits, for a device or a simulator in place of light: each qubit is prepared by Alice's choice, turned by
//! Bob's, and measured.

use crate::{
    bits::Bits,
    circuit::{Circuit, CircuitError},
};

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
    fn equal_bases_give_the_bit_and_others_a_coin() {
        let mut random = stream(1, Purpose::Public, 0);
        let [bits, alice, bob] = [(); 3].map(|()| Bits::random(4000, &mut random));
        let circuit = circuit(&bits, &alice, &bob).unwrap();
        let shot = stabilizer::sample(&circuit, &NoiseModel::default(), 1, 1).unwrap().shot(0);
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
