//! BB84 between two ends that share nothing but bytes, and one of which may be hostile.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use qchat_quantum::{
    bb84::{
        Settings,
        eve::Strategy as Attack,
        joint::{
            Alice, Bob,
            wire::{MOST_PULSES, Said, decode_terms, encode_terms},
        },
        light::{Detector, Intensities, Line, Source},
    },
    distill::AbortReason,
};

/// Runs both ends, each with its own seed; `line` may change what passes, by its number.
fn run(settings: &Settings, mut line: impl FnMut(usize, Vec<u8>) -> Vec<u8>) -> (Alice, Bob) {
    let (mut alice, first) = Alice::begin(&Settings { seed: 1, ..*settings });
    let mut bob = Bob::new(&decode_terms(&encode_terms(settings), 2).unwrap());
    let (mut to_bob, mut passed) = (vec![first], 0);
    while !to_bob.is_empty() {
        let mut to_alice = vec![];
        for said in std::mem::take(&mut to_bob) {
            to_alice.extend(bob.handle(&line(passed, said)));
            passed += 1;
        }
        for said in to_alice {
            to_bob.extend(alice.handle(&line(passed, said)));
            passed += 1;
        }
        assert!(passed < 1_000_000, "a conversation ends");
    }
    (alice, bob)
}

#[test]
fn both_ends_come_to_the_same_key_and_know_no_more_than_their_own_end() {
    let decoy = Source::Decoy(Intensities::default());
    let noisy = Line { loss_db: 1.0, noise: 0.02 };
    let detector = Detector { efficiency: 0.9, dark_counts: 1e-5 };
    for settings in [
        Settings { qubits: 20_000, ..Settings::default() },
        Settings { qubits: 40_000, line: noisy, detector, ..Settings::default() },
        Settings { qubits: 40_000, source: Source::WeakPulses { mean: 0.5 }, ..Settings::default() },
        Settings { qubits: 20_000, eve: Attack::InterceptResend { fraction: 0.05 }, ..Settings::default() },
    ] {
        let (alice, bob) = run(&settings, |_, said| said);
        let (ours, theirs) = (alice.report(), bob.report());
        assert!(!ours.aborted && !theirs.aborted, "{ours:?} {theirs:?}");
        assert!(ours.key.len() >= 256 && ours.key == theirs.key);
        assert_eq!(alice.result().unwrap().unwrap().key, ours.key);
        assert_eq!(
            (ours.sifted_bits, ours.test_bits, ours.qber.to_bits(), ours.leaked_bits),
            (theirs.sifted_bits, theirs.test_bits, theirs.qber.to_bits(), theirs.leaked_bits)
        );
        assert_eq!((ours.seed, theirs.seed), (1, 2), "each has its own randomness");
        assert!(ours.eve_certain_bits.is_some() && theirs.eve_certain_bits.is_none());
        assert_eq!(ours.eve_certain_bits > Some(0), settings.eve != Attack::None);
        assert!(ours.provenance.contains("simulated") && ours.keys_match.is_none());
    }
    let few = Settings { qubits: 20_000, source: decoy, ..Settings::default() };
    let (alice, bob) = run(&few, |_, said| said);
    for report in [alice.report(), bob.report()] {
        assert_eq!(report.abort_reason, Some(AbortReason::NoSecretBits), "so few decoys prove nothing");
    }
}

#[test]
fn an_eavesdropper_ends_the_run_at_both_ends() {
    let eve = Attack::InterceptResend { fraction: 1.0 };
    let (alice, bob) = run(&Settings { qubits: 20_000, eve, ..Settings::default() }, |_, said| said);
    for report in [alice.report(), bob.report()] {
        assert!(matches!(report.abort_reason, Some(AbortReason::ErrorRate { .. })), "{report:?}");
        assert!(report.aborted && report.key.is_empty() && report.qber > 0.2);
    }
}

#[test]
fn what_is_broken_on_its_way_ends_in_one_key_or_none() {
    let line = Line { loss_db: 0.0, noise: 0.02 };
    let settings = Settings { qubits: 12_000, line, ..Settings::default() };
    let mut count = 0;
    run(&settings, |passed, said| {
        count = passed + 1;
        said
    });
    assert!(count > 20, "{count}");
    // The first messages, some between, and the last.
    let places: Vec<_> = (0..10).chain((10..count).step_by(count / 20)).chain(count - 6..count).collect();
    let pulses = Said::Pulses(vec![]).encode();
    let mut ended = 0;
    for place in places {
        for kind in 0..6 {
            let mut before = vec![];
            let (alice, bob) = run(&settings, |passed, mut said| {
                if passed != place {
                    before.clone_from(&said);
                    return said;
                }
                match kind {
                    0 => said.truncate(said.len() / 2),
                    1 => said.clear(),
                    2 => said = vec![0xff; 64],
                    3 => said.clone_from(&before),
                    4 => said.clone_from(&pulses),
                    _ => {
                        let middle = said.len() / 2;
                        said[middle] ^= 0x55;
                    }
                }
                said
            });
            if let (Some(Ok(ours)), Some(Ok(theirs))) = (alice.result(), bob.result()) {
                // One bit of a parity may be wrong, and the hash passes once it is mended. Only the seed of the last step is
                // checked by nothing here: the key is confirmed before it is used.
                assert!(ours.key == theirs.key || place + 1 == count, "{place} {kind}");
            } else {
                ended += 1;
            }
        }
    }
    assert!(ended > 0);
}

#[test]
fn terms_that_make_no_sense_are_refused() {
    let good = Settings::default();
    assert_eq!(decode_terms(&encode_terms(&good), good.seed).unwrap(), good);
    let line = |noise| Line { loss_db: 0.0, noise };
    let decoy = |means, probabilities| Source::Decoy(Intensities { means, probabilities });
    for bad in [
        Settings { qubits: 0, ..good },
        Settings { qubits: MOST_PULSES + 1, ..good },
        Settings { line: line(-0.1), ..good },
        Settings { line: line(f64::NAN), ..good },
        Settings { key_basis: 1.5, ..good },
        Settings { error_limit: f64::INFINITY, ..good },
        Settings { eps_sec: 0.0, ..good },
        Settings { eps_cor: 1.0, ..good },
        Settings { detector: Detector { efficiency: 2.0, dark_counts: 0.0 }, ..good },
        Settings { detector: Detector { efficiency: 1.0, dark_counts: -1.0 }, ..good },
        Settings { source: Source::WeakPulses { mean: 1e9 }, ..good },
        Settings { source: decoy([0.5, 0.2, f64::NAN], [0.4, 0.4, 0.2]), ..good },
        Settings { source: decoy([0.5, 0.2, 0.0], [0.9, 0.4, 0.2]), ..good },
    ] {
        assert!(decode_terms(&encode_terms(&bad), 0).is_err(), "{bad:?}");
    }
    assert!(decode_terms(&[], 0).is_err() && decode_terms(&[0xff; 9], 0).is_err());
}

proptest! {
    #[test]
    fn whatever_arrives_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(said) = Said::decode(&bytes) {
            prop_assert_eq!(Said::decode(&said.encode()), Ok(said));
        }
        let _ = decode_terms(&bytes, 0);
        let settings = Settings { qubits: 64, ..Settings::default() };
        let (mut alice, first) = Alice::begin(&settings);
        alice.handle(&bytes);
        let mut bob = Bob::new(&settings);
        bob.handle(&first);
        bob.handle(&bytes);
        drop((alice.report(), bob.report()));
    }
}
