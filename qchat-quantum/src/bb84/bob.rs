//! Bob: he measures what arrives, and corrects his bits.

use super::{
    Message, Settings, Sifted, decoy,
    light::{Pulse, Source, measure, thin, uniform},
    terms,
};
use crate::{
    bits::Bits,
    distill::{self, AbortReason, Distilled, Receiver},
    random::{Purpose, stream},
};

/// Bob's state.
pub struct Bob {
    settings: Settings,
    clicks: Bits,
    /// Of every detection: what he measured, and whether in the test basis.
    bits: Bits,
    test_basis: Bits,
    /// Of every match, whether it was compared.
    compared: Bits,
    /// Of every test bit, whether it differed.
    mistakes: Bits,
    sifted: Sifted,
    receiver: Option<Receiver>,
    aborted: Option<AbortReason>,
}

impl Bob {
    /// Measures the pulses, each in a basis chosen at random.
    pub fn measure(settings: &Settings, pulses: &[Pulse]) -> Self {
        let mut random = stream(settings.seed, Purpose::Bob, 0);
        let (mut clicks, mut bits, mut test_basis) = (Bits::new(), Bits::new(), Bits::new());
        let detector = settings.detector;
        for pulse in pulses {
            let seen = pulse.photons > 0 && thin(pulse.photons, detector.efficiency, &mut random) > 0;
            let dark = !seen && detector.dark_counts > 0.0 && uniform(&mut random) < detector.dark_counts;
            clicks.push(seen || dark);
            if seen || dark {
                let test = uniform(&mut random) >= settings.key_basis;
                let bit = if seen {
                    let noisy = settings.line.noise > 0.0 && uniform(&mut random) < settings.line.noise;
                    measure(pulse.angle, if test { 2 } else { 0 }, &mut random) ^ noisy
                } else {
                    uniform(&mut random) < 0.5
                };
                bits.push(bit);
                test_basis.push(test);
            }
        }
        Self::seen(settings, clicks, test_basis, bits)
    }

    /// In which basis he measures each qubit, where all arrive: whether in the test basis.
    pub(super) fn choose(settings: &Settings) -> Bits {
        let mut random = stream(settings.seed, Purpose::Bob, 0);
        (0..settings.qubits).map(|_| uniform(&mut random) >= settings.key_basis).collect()
    }

    /// What a device has measured for him of every qubit.
    pub(super) fn measured(settings: &Settings, test_basis: Bits, bits: Bits) -> Self {
        let clicks = (0..bits.len()).map(|_| true).collect();
        Self::seen(settings, clicks, test_basis, bits)
    }

    fn seen(settings: &Settings, clicks: Bits, test_basis: Bits, bits: Bits) -> Self {
        Self {
            settings: *settings,
            clicks,
            bits,
            test_basis,
            compared: Bits::new(),
            mistakes: Bits::new(),
            sifted: Sifted::default(),
            receiver: None,
            aborted: None,
        }
    }

    /// The first message.
    pub fn begin(&self) -> Message {
        Message::Detected { clicks: self.clicks.clone(), test_basis: self.test_basis.clone() }
    }

    /// Takes a message of Alice's; gives the answers in order.
    pub fn handle(&mut self, message: Message) -> Vec<Message> {
        match self.answer(message) {
            Ok(answers) => answers,
            Err(reason) => {
                self.aborted = Some(reason);
                vec![Message::Abort(reason)]
            }
        }
    }

    fn answer(&mut self, message: Message) -> Result<Vec<Message>, AbortReason> {
        match message {
            Message::Sifted { matched, intensities, test_bits, permutations }
                if self.receiver.is_none() && self.aborted.is_none() =>
            {
                let errors = self.compare(&matched, &intensities, &test_bits)?;
                let counts = self.counts(&intensities, &errors);
                let kinds = if intensities.is_empty() { 1 } else { 3 };
                let compared = Message::Compared { errors: errors[..kinds].to_vec() };
                let terms = match terms(&self.settings, &self.sifted, &counts, permutations) {
                    Ok(terms) => terms,
                    // Alice comes to the same by what was compared.
                    Err(reason) => {
                        self.aborted = Some(reason);
                        return Ok(vec![compared, Message::Abort(reason)]);
                    }
                };
                let own = self.bits.select(&matched);
                let key: Bits = own
                    .iter()
                    .zip(self.compared.iter())
                    .filter(|(_, test)| !test)
                    .map(|(bit, _)| bit)
                    .collect();
                let mut receiver = Receiver::new(&key, terms);
                let first = receiver.begin();
                self.receiver = Some(receiver);
                Ok(vec![compared, Message::Distill(first)])
            }
            Message::Distill(message) => {
                let receiver = self.receiver.as_mut().ok_or(AbortReason::Protocol)?;
                Ok(receiver.handle(message).map(Message::Distill).into_iter().collect())
            }
            Message::Abort(reason) => {
                self.aborted = Some(reason);
                Ok(Vec::new())
            }
            _ => Err(AbortReason::Protocol),
        }
    }

    /// Counts the errors among the test bits, by intensity.
    fn compare(
        &mut self,
        matched: &Bits,
        intensities: &[u8],
        test_bits: &Bits,
    ) -> Result<[usize; 3], AbortReason> {
        let count = matched.count_ones();
        let with_decoys = matches!(self.settings.source, Source::Decoy(_));
        if matched.len() != self.bits.len()
            || intensities.len() != if with_decoys { count } else { 0 }
            || intensities.iter().any(|&intensity| intensity > 2)
        {
            return Err(AbortReason::Protocol);
        }
        self.compared = self.test_basis.select(matched);
        if self.compared.count_ones() != test_bits.len() {
            return Err(AbortReason::Protocol);
        }
        let own = self.bits.select(matched);
        let mut theirs = test_bits.iter();
        let mut errors = [0; 3];
        for (n, (bit, test)) in own.iter().zip(self.compared.iter()).enumerate() {
            if test {
                let differs = theirs.next() != Some(bit);
                self.mistakes.push(differs);
                if differs {
                    errors[usize::from(intensities.get(n).copied().unwrap_or(0))] += 1;
                }
            }
        }
        self.sifted = Sifted {
            detected: self.bits.len(),
            matched: count,
            test_bits: test_bits.len(),
            test_errors: errors.iter().sum(),
        };
        Ok(errors)
    }

    fn counts(&self, intensities: &[u8], errors: &[usize; 3]) -> decoy::Counts {
        let mut counts = decoy::Counts { errors: *errors, ..decoy::Counts::default() };
        for (n, test) in self.compared.iter().enumerate() {
            counts.add(intensities.get(n).copied(), test);
        }
        counts
    }

    /// What is left after sifting.
    pub fn sifted(&self) -> &Sifted {
        &self.sifted
    }

    /// Of every test bit in its order, whether it differed.
    pub(super) fn mistakes(&self) -> &Bits {
        &self.mistakes
    }

    /// Of every match, whether it was compared and is no part of the key.
    pub(super) fn compared(&self) -> &Bits {
        &self.compared
    }

    /// How it ended; nothing before that.
    pub fn result(&self) -> Option<Result<&Distilled, AbortReason>> {
        distill::ended(self.aborted, self.receiver.as_ref().and_then(Receiver::result))
    }
}
