//! Alice: she sends bits in two bases, and knows what counts.

use rand::Rng;

use super::{
    Message, Settings, Sifted, decoy,
    light::{Basis, Pulse, Source, photons, uniform},
    terms,
};
use crate::{
    bits::Bits,
    distill::{self, AbortReason, Distilled, Sender},
    random::{Purpose, stream},
};

/// Alice's state.
pub struct Alice {
    settings: Settings,
    bits: Bits,
    test_basis: Bits,
    /// Of every pulse; empty where there is one alone.
    intensities: Vec<u8>,
    key: Bits,
    sifted: Sifted,
    counts: decoy::Counts,
    permutations: u64,
    sender: Option<Sender<rand::rngs::ChaCha8Rng>>,
    aborted: Option<AbortReason>,
}

impl Alice {
    /// Chooses bits, bases and intensities, and gives the pulses to send.
    pub fn prepare(settings: &Settings) -> (Self, Vec<Pulse>) {
        let mut random = stream(settings.seed, Purpose::Alice, 0);
        let bits = Bits::random(settings.qubits, &mut random);
        let test_basis: Bits =
            (0..settings.qubits).map(|_| uniform(&mut random) >= settings.key_basis).collect();
        let mut intensities = Vec::new();
        let pulses = (0..settings.qubits)
            .map(|n| {
                let basis = if test_basis.get(n) { Basis::Test } else { Basis::Key };
                let photons = match settings.source {
                    Source::SinglePhoton => 1,
                    Source::WeakPulses { mean } => photons(mean, &mut random),
                    Source::Decoy(decoy) => {
                        let draw = uniform(&mut random);
                        let [signal, weak, _] = decoy.probabilities;
                        let chosen = u8::from(draw >= signal) + u8::from(draw >= signal + weak);
                        intensities.push(chosen);
                        photons(decoy.means[usize::from(chosen)], &mut random)
                    }
                };
                Pulse { angle: Pulse::angle(basis, bits.get(n)), photons }
            })
            .collect();
        let alice = Self {
            settings: *settings,
            bits,
            test_basis,
            intensities,
            key: Bits::new(),
            sifted: Sifted::default(),
            counts: decoy::Counts::default(),
            permutations: random.next_u64(),
            sender: None,
            aborted: None,
        };
        (alice, pulses)
    }

    /// Takes a message of Bob's; gives the answer, where there is one.
    pub fn handle(&mut self, message: Message) -> Option<Message> {
        match self.answer(message) {
            Ok(answer) => answer,
            Err(reason) => {
                self.aborted = Some(reason);
                Some(Message::Abort(reason))
            }
        }
    }

    fn answer(&mut self, message: Message) -> Result<Option<Message>, AbortReason> {
        match message {
            Message::Detected { clicks, test_basis }
                if self.sifted.detected == 0 && self.aborted.is_none() =>
            {
                self.sift(&clicks, &test_basis).map(Some)
            }
            Message::Compared { errors } if self.sifted.matched > 0 && self.sender.is_none() => {
                let kinds = if self.intensities.is_empty() { 1 } else { 3 };
                if errors.len() != kinds
                    || errors.iter().zip(self.counts.test).any(|(errors, test)| *errors > test)
                {
                    return Err(AbortReason::Protocol);
                }
                self.counts.errors[..kinds].copy_from_slice(&errors);
                self.sifted.test_errors = errors.iter().sum();
                let terms = terms(&self.settings, &self.sifted, &self.counts, self.permutations)?;
                let random = stream(self.settings.seed, Purpose::Alice, 1);
                self.sender = Some(Sender::new(self.key.clone(), terms, random));
                Ok(None)
            }
            Message::Distill(message) => {
                let sender = self.sender.as_mut().ok_or(AbortReason::Protocol)?;
                Ok(sender.handle(message).map(Message::Distill))
            }
            Message::Abort(reason) => {
                self.aborted = Some(reason);
                Ok(None)
            }
            _ => Err(AbortReason::Protocol),
        }
    }

    fn sift(&mut self, clicks: &Bits, test_basis: &Bits) -> Result<Message, AbortReason> {
        if clicks.len() != self.bits.len() || clicks.count_ones() != test_basis.len() {
            return Err(AbortReason::Protocol);
        }
        let own_basis = self.test_basis.select(clicks);
        let own_bits = self.bits.select(clicks);
        let mut own_intensities = self.intensities.iter().zip(clicks.iter()).filter(|(_, click)| *click);
        let (mut matched, mut test_bits, mut intensities) = (Bits::new(), Bits::new(), Vec::new());
        for ((own, theirs), bit) in own_basis.iter().zip(test_basis.iter()).zip(own_bits.iter()) {
            let intensity = own_intensities.next().map(|(intensity, _)| *intensity);
            matched.push(own == theirs);
            if own == theirs {
                intensities.extend(intensity);
                self.counts.add(intensity, own);
                (if own { &mut test_bits } else { &mut self.key }).push(bit);
            }
        }
        self.sifted = Sifted {
            detected: test_basis.len(),
            matched: matched.count_ones(),
            test_bits: test_bits.len(),
            test_errors: 0,
        };
        Ok(Message::Sifted { matched, intensities, test_bits, permutations: self.permutations })
    }

    /// Her bits, and which of them are in the test basis.
    pub(super) fn choices(&self) -> (&Bits, &Bits) {
        (&self.bits, &self.test_basis)
    }

    /// What is left after sifting, as far as she knows it.
    pub fn sifted(&self) -> &Sifted {
        &self.sifted
    }

    /// Her bits of the key before it was corrected and shortened.
    pub fn raw_key(&self) -> &Bits {
        &self.key
    }

    /// How it ended; nothing before that.
    pub fn result(&self) -> Option<Result<&Distilled, AbortReason>> {
        distill::ended(self.aborted, self.sender.as_ref().and_then(Sender::result))
    }
}
