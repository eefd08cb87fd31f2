//! A run whose ends are two people's devices: each has its own randomness and its own state machine, and what passes between
//! them is bytes. The light is simulated all the same: Alice's end has the source, the line and Eve, and sends the pulses
//! as numbers. Whoever reads the channel reads those too, so that no key of such a run is more secret than its channel.

pub mod wire;

use super::{
    Message, Settings, alice, bob,
    eve::{Eve, cross},
    report::{Report, confidence_interval, over_time},
};
use crate::{
    bits::Bits,
    distill::{AbortReason, Distilled},
};
use wire::Said;

/// What stands beside every joint run.
pub const PROVENANCE: &str = "simulated: the photons were numbers out of one end's simulator, sent through the room like any \
    message; the key is no more secret than the room";

/// Alice's end: she asks for the run, and her simulator has the light.
pub struct Alice {
    settings: Settings,
    machine: alice::Alice,
    eve: Eve,
    /// Bob's bases of his detections, then of the matches.
    test_basis: Bits,
    aborted: Option<AbortReason>,
}

/// Bob's end: he measures what arrives.
pub struct Bob {
    settings: Settings,
    /// Nothing before the pulses have come.
    machine: Option<bob::Bob>,
    aborted: Option<AbortReason>,
}

impl Alice {
    /// The end that sends; with the first thing that it says.
    pub fn begin(settings: &Settings) -> (Self, Vec<u8>) {
        let (machine, pulses) = alice::Alice::prepare(settings);
        let mut eve = Eve::new(settings.eve, &settings.source, &settings.line, settings.seed);
        let mut pulses = eve.tap(pulses);
        if !eve.replaces_line() {
            cross(&mut pulses, settings.line.transmittance(), settings.seed);
        }
        let alice = Self { settings: *settings, machine, eve, test_basis: Bits::new(), aborted: None };
        (alice, Said::Pulses(pulses).encode())
    }

    /// Takes what the other end says; gives what is said to it, in order. What makes no sense ends the run.
    pub fn handle(&mut self, said: &[u8]) -> Vec<Vec<u8>> {
        if self.result().is_some() {
            return vec![];
        }
        let Ok(Said::Message(message)) = Said::decode(said) else {
            self.aborted = Some(AbortReason::Protocol);
            return vec![Said::Message(Message::Abort(AbortReason::Protocol)).encode()];
        };
        self.eve.hear(&message);
        if let Message::Detected { test_basis, .. } = &message {
            self.test_basis.clone_from(test_basis);
        }
        let answer = self.machine.handle(message);
        if let Some(message) = &answer {
            self.eve.hear(message);
            if let Message::Sifted { matched, .. } = message {
                self.test_basis = self.test_basis.select(matched);
            }
        }
        answer.map(|message| Said::Message(message).encode()).into_iter().collect()
    }

    /// How it ended; nothing before that.
    pub fn result(&self) -> Option<Result<&Distilled, AbortReason>> {
        self.aborted.map(Err).or_else(|| self.machine.result())
    }

    /// What this end knows of the run.
    pub fn report(&self) -> Report {
        let sifted = *self.machine.sifted();
        let (certain, guessed) = self.eve.knowledge(self.machine.raw_key(), &self.test_basis);
        let mut report = Report {
            eve_certain_bits: Some(certain),
            eve_guessed_bits: Some(guessed),
            ..report(&self.settings, sifted)
        };
        report.conclude_one(self.result());
        report
    }
}

impl Bob {
    /// The end that receives.
    pub fn new(settings: &Settings) -> Self {
        Self { settings: *settings, machine: None, aborted: None }
    }

    /// As [`Alice::handle`].
    pub fn handle(&mut self, said: &[u8]) -> Vec<Vec<u8>> {
        if self.result().is_some() {
            return vec![];
        }
        let messages = match (Said::decode(said), &mut self.machine) {
            (Ok(Said::Pulses(pulses)), machine @ None) if pulses.len() == self.settings.qubits => {
                vec![machine.insert(bob::Bob::measure(&self.settings, &pulses)).begin()]
            }
            (Ok(Said::Message(message)), Some(machine)) => machine.handle(message),
            // Nothing was sent, and the other end has given up.
            (Ok(Said::Message(Message::Abort(reason))), None) => {
                self.aborted = Some(reason);
                vec![]
            }
            _ => {
                self.aborted = Some(AbortReason::Protocol);
                vec![Message::Abort(AbortReason::Protocol)]
            }
        };
        messages.into_iter().map(|message| Said::Message(message).encode()).collect()
    }

    /// How it ended; nothing before that.
    pub fn result(&self) -> Option<Result<&Distilled, AbortReason>> {
        self.aborted.map(Err).or_else(|| self.machine.as_ref().and_then(bob::Bob::result))
    }

    /// What this end knows of the run: nothing of Eve.
    pub fn report(&self) -> Report {
        let sifted = self.machine.as_ref().map(|machine| *machine.sifted()).unwrap_or_default();
        let mut report = report(&self.settings, sifted);
        if let Some(machine) = &self.machine {
            report.qber_over_time = over_time(machine.mistakes());
        }
        report.conclude_one(self.result());
        report
    }
}

fn report(settings: &Settings, sifted: super::Sifted) -> Report {
    Report {
        qubits: settings.qubits,
        detected: sifted.detected,
        sifted_bits: sifted.matched,
        test_bits: sifted.test_bits,
        qber: sifted.error_rate(),
        qber_interval: confidence_interval(sifted.test_errors, sifted.test_bits),
        provenance: PROVENANCE,
        ..Report::unfinished(settings.eps_sec, settings.eps_cor, settings.seed)
    }
}
