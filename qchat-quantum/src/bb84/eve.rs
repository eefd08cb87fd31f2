//! Eve, who sits on the line, and hears every message.

use serde::{Deserialize, Serialize};

use super::{
    Message,
    light::{Intensities, Line, Pulse, Source, measure, thin, uniform},
};
use crate::{
    bits::Bits,
    random::{Purpose, stream},
};

/// What Eve does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Nothing.
    None,
    /// Measures a fraction of the pulses in one of the two bases at random, and sends what she saw: 25 % errors.
    InterceptResend {
        /// 0 to 1.
        fraction: f64,
    },
    /// The same in the basis halfway between, where she guesses every bit with 85 %: 25 % errors too.
    Breidbart {
        /// 0 to 1.
        fraction: f64,
    },
    /// Keeps one photon of every pulse that has several until the bases are known, lets the rest pass without loss,
    /// and blocks single photons so that Bob counts as many as he expects: no errors.
    PhotonNumberSplitting,
}

/// What Eve noted of a pulse.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Note {
    Nothing,
    /// The bit that she read, in the basis with this zero.
    Read(u8, bool),
    /// A photon with this polarisation, kept.
    Kept(u8),
}

/// Eve's state.
pub struct Eve {
    strategy: Strategy,
    notes: Vec<Note>,
    /// Notes on detections, then on bits of the key.
    sifted: Vec<Note>,
    /// The probabilities with which a pulse of one photon, and of several, is let pass.
    passes: [f64; 2],
    seed: u64,
}

impl Eve {
    /// Eve for a run; she knows source and line.
    pub fn new(strategy: Strategy, source: &Source, line: &Line, seed: u64) -> Self {
        let passes = match *source {
            Source::SinglePhoton => [1.0, 1.0],
            Source::WeakPulses { mean } => passes(mean, line),
            Source::Decoy(Intensities { means, .. }) => passes(means[0], line),
        };
        Self { strategy, notes: Vec::new(), sifted: Vec::new(), passes, seed }
    }

    /// Whether Eve has her own line without loss in place of the true one.
    pub fn replaces_line(&self) -> bool {
        self.strategy == Strategy::PhotonNumberSplitting
    }

    /// Takes the pulses, and gives those that go on to Bob.
    pub fn tap(&mut self, pulses: Vec<Pulse>) -> Vec<Pulse> {
        if self.strategy == Strategy::None {
            return pulses;
        }
        let mut random = stream(self.seed, Purpose::Eve, 0);
        let mut notes = Vec::with_capacity(pulses.len());
        let sent = pulses
            .into_iter()
            .map(|pulse| {
                let (note, pulse) = match self.strategy {
                    Strategy::InterceptResend { fraction } | Strategy::Breidbart { fraction }
                        if pulse.photons > 0 && uniform(&mut random) < fraction =>
                    {
                        let zero = match self.strategy {
                            Strategy::Breidbart { .. } => 1,
                            _ => {
                                if uniform(&mut random) < 0.5 {
                                    0
                                } else {
                                    2
                                }
                            }
                        };
                        let bit = measure(pulse.angle, zero, &mut random);
                        let angle = if bit { zero + 4 } else { zero };
                        (Note::Read(zero, bit), Pulse { angle, ..pulse })
                    }
                    Strategy::PhotonNumberSplitting => {
                        let passes = self.passes[usize::from(pulse.photons > 1)];
                        let photons =
                            if passes < 1.0 && uniform(&mut random) >= passes { 0 } else { pulse.photons };
                        if photons > 1 {
                            (Note::Kept(pulse.angle), Pulse { photons: photons - 1, ..pulse })
                        } else {
                            (Note::Nothing, Pulse { photons, ..pulse })
                        }
                    }
                    _ => (Note::Nothing, pulse),
                };
                notes.push(note);
                pulse
            })
            .collect();
        self.notes = notes;
        sent
    }

    /// Hears what Alice and Bob say, and keeps what is about the key.
    pub fn hear(&mut self, message: &Message) {
        match message {
            Message::Detected { clicks, test_basis } => {
                let clicked = self.notes.iter().zip(clicks.iter()).filter(|(_, click)| *click);
                // Bits in the test basis are said aloud anyway; they are left out once matches are known.
                self.sifted = clicked
                    .zip(test_basis.iter())
                    .map(|((note, _), test)| if test { Note::Nothing } else { *note })
                    .collect();
                self.notes = Vec::new();
            }
            Message::Sifted { matched, .. } => {
                let sifted = std::mem::take(&mut self.sifted);
                self.sifted = sifted
                    .into_iter()
                    .zip(matched.iter())
                    .filter(|(_, kept)| *kept)
                    .map(|(n, _)| n)
                    .collect();
            }
            _ => {}
        }
    }

    /// How many bits of the raw key, as Alice has them, Eve knows for certain, and how many of all she guesses right at
    /// best, where `test` marks the matches that are no part of the key.
    pub(super) fn knowledge(&self, key: &Bits, test: &Bits) -> (usize, usize) {
        let of_key = self.sifted.iter().zip(test.iter()).filter(|(_, test)| !test).map(|(note, _)| note);
        let (mut certain, mut right) = (0, 0);
        let mut guesses = stream(self.seed, Purpose::Eve, 1);
        let mut noted = 0;
        for (note, bit) in of_key.zip(key.iter()) {
            noted += 1;
            let guess = match *note {
                Note::Nothing => uniform(&mut guesses) < 0.5,
                Note::Read(zero, read) => {
                    certain += usize::from(zero == 0);
                    // Read in the test basis she knows nothing; halfway between, what she read is likely.
                    if zero == 2 { uniform(&mut guesses) < 0.5 } else { read }
                }
                Note::Kept(angle) => {
                    certain += 1;
                    angle == 4
                }
            };
            right += usize::from(guess == bit);
        }
        if noted == 0 { (0, key.len() / 2) } else { (certain, right) }
    }
}

/// How often pulses of one photon and of several may pass without loss, so that as many arrive as over the line.
fn passes(mean: f64, line: &Line) -> [f64; 2] {
    let expected = 1.0 - (-mean * line.transmittance()).exp();
    let one = mean * (-mean).exp();
    let several = 1.0 - (-mean).exp() - one;
    if several >= expected {
        [0.0, if several > 0.0 { expected / several } else { 1.0 }]
    } else {
        [((expected - several) / one).min(1.0), 1.0]
    }
}

/// What arrives over a line: each photon by itself is lost or not.
pub(super) fn cross(pulses: &mut [Pulse], transmittance: f64, seed: u64) {
    if transmittance < 1.0 {
        let mut random = stream(seed, Purpose::Channel, 0);
        for pulse in pulses {
            pulse.photons = thin(pulse.photons, transmittance, &mut random);
        }
    }
}
