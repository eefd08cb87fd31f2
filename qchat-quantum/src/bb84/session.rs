//! A whole run on one machine: light from Alice past Eve to Bob, then messages until both have ended.

use super::{
    Settings,
    alice::Alice,
    bob::Bob,
    eve::{Eve, cross},
    report::{ON_A_DEVICE, Report, confidence_interval, over_time},
};
use crate::{bits::Bits, distill::converse};

/// Runs BB84 with these settings.
pub fn run(settings: &Settings) -> Report {
    let (alice, pulses) = Alice::prepare(settings);
    let mut eve = Eve::new(settings.eve, &settings.source, &settings.line, settings.seed);
    let mut pulses = eve.tap(pulses);
    if !eve.replaces_line() {
        cross(&mut pulses, settings.line.transmittance(), settings.seed);
    }
    let bob = Bob::measure(settings, &pulses);
    drop(pulses);
    converse_to_the_end(settings, (alice, bob), Some(eve))
}

/// Runs BB84 as one device measured it that played both ends: what comes out of the [circuits](super::circuits) for these settings,
/// qubit by qubit. Nothing where that is of another number.
pub fn on_a_device(settings: &Settings, backend: &str, measured: Bits) -> Option<Report> {
    if measured.len() != settings.qubits {
        return None;
    }
    let (alice, _) = Alice::prepare(settings);
    let bob = Bob::measured(settings, Bob::choose(settings), measured);
    let report = converse_to_the_end(settings, (alice, bob), None);
    Some(Report { backend: backend.to_owned().into(), quantum: true, provenance: ON_A_DEVICE, ..report })
}

/// Messages until both ends have ended.
fn converse_to_the_end(
    settings: &Settings,
    (mut alice, mut bob): (Alice, Bob),
    mut eve: Option<Eve>,
) -> Report {
    let first = bob.begin();
    let hear = |message: &_| eve.iter_mut().for_each(|eve| eve.hear(message));
    // Where it breaks off neither end has a result, and the report says so.
    let conversed =
        converse(settings.seed, &first, |message| alice.handle(message), |answer| bob.handle(answer), hear);
    debug_assert!(conversed.is_ok(), "what one end says the other can read");

    let sifted = bob.sifted();
    let known = eve.map(|eve| eve.knowledge(alice.raw_key(), bob.compared()));
    let mut report = Report {
        qubits: settings.qubits,
        detected: sifted.detected,
        sifted_bits: sifted.matched,
        test_bits: sifted.test_bits,
        qber: sifted.error_rate(),
        qber_interval: confidence_interval(sifted.test_errors, sifted.test_bits),
        qber_over_time: over_time(bob.mistakes()),
        eve_certain_bits: known.map(|(certain, _)| certain),
        eve_guessed_bits: known.map(|(_, guessed)| guessed),
        ..Report::unfinished(settings.eps_sec, settings.eps_cor, settings.seed)
    };
    report.conclude(alice.result(), bob.result());
    report
}
