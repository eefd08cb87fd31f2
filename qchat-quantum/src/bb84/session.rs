//! A whole run on one machine: light from Alice past Eve to Bob, then messages until both have ended.

use std::collections::VecDeque;

use super::{
    Settings,
    alice::Alice,
    bob::Bob,
    eve::{Eve, cross},
    report::{PROVENANCE, Report, confidence_interval, over_time},
};
use crate::distill::AbortReason;

/// Runs BB84 with these settings.
pub fn run(settings: &Settings) -> Report {
    let (mut alice, pulses) = Alice::prepare(settings);
    let mut eve = Eve::new(settings.eve, &settings.source, &settings.line, settings.seed);
    let mut pulses = eve.tap(pulses);
    if !eve.replaces_line() {
        cross(&mut pulses, settings.line.transmittance(), settings.seed);
    }
    let mut bob = Bob::measure(settings, &pulses);
    drop(pulses);

    let mut to_alice = VecDeque::from([bob.begin()]);
    while let Some(message) = to_alice.pop_front() {
        eve.hear(&message);
        if let Some(answer) = alice.handle(message) {
            eve.hear(&answer);
            to_alice.extend(bob.handle(answer));
        }
    }

    let sifted = bob.sifted();
    let (certain, guessed) = eve.knowledge(alice.raw_key(), bob.compared());
    let mut report = Report {
        backend: "local",
        qubits: settings.qubits,
        detected: sifted.detected,
        sifted_bits: sifted.matched,
        test_bits: sifted.test_bits,
        qber: sifted.error_rate(),
        qber_interval: confidence_interval(sifted.test_errors, sifted.test_bits),
        qber_over_time: over_time(bob.mistakes()),
        reconciliation_efficiency: None,
        leaked_bits: 0,
        final_key_bits: 0,
        aborted: true,
        abort_reason: Some(AbortReason::Protocol),
        eps_sec: settings.eps_sec,
        eps_cor: settings.eps_cor,
        seed: settings.seed,
        keys_match: false,
        eve_certain_bits: certain,
        eve_guessed_bits: guessed,
        chsh: None,
        provenance: PROVENANCE,
        key: crate::bits::Bits::new(),
    };
    report.conclude(alice.result(), bob.result());
    report
}
