//! What two ends of a joint run say to one another, as bytes: protobuf, with the fields that docs/PROTOCOL.md lists under
//! "Exercises". The other end may be anybody: what does not make sense is refused, and nothing is larger than a run needs.

use prost::{Message as _, Oneof};

use crate::{
    bb84::{
        self, Message,
        light::{Detector, Intensities, Line, Pulse, Source},
    },
    bits::Bits,
    distill::{self, AbortReason},
    reconcile::{cascade::Question, verify::Proof},
};

/// Most pulses of a joint run.
pub const MOST_PULSES: usize = 100_000;
/// Largest message of one, bytes.
pub const LARGEST: usize = 512 * 1024;
/// Most photons of a pulse that can be told: a pulse of a weak laser has more with a probability far below 10⁻³⁰.
const MOST_PHOTONS: u8 = 31;

/// The bytes are no message of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no message of a run of BB84")]
pub struct Malformed;

/// One thing that an end says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Alice's simulator: the pulses as they arrive.
    Pulses(Vec<Pulse>),
    /// Either end: a message of the protocol.
    Message(Message),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Frame {
    #[prost(oneof = "Step", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
    step: Option<Step>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Step {
    #[prost(bytes = "vec", tag = "1")]
    Pulses(Vec<u8>),
    #[prost(message, tag = "2")]
    Detected(Detected),
    #[prost(message, tag = "3")]
    Sifted(Sifted),
    #[prost(message, tag = "4")]
    Compared(Compared),
    #[prost(message, tag = "5")]
    Ask(Ask),
    #[prost(message, tag = "6")]
    Parities(BitString),
    #[prost(message, tag = "7")]
    Corrected(Nothing),
    #[prost(message, tag = "8")]
    Verify(Tag),
    #[prost(message, tag = "9")]
    Verified(Nothing),
    #[prost(message, tag = "10")]
    Amplify(BitString),
    #[prost(message, tag = "11")]
    Abort(Abort),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Nothing {}

#[derive(Clone, PartialEq, prost::Message)]
struct BitString {
    #[prost(uint32, tag = "1")]
    length: u32,
    #[prost(bytes = "vec", tag = "2")]
    bytes: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Detected {
    #[prost(message, optional, tag = "1")]
    clicks: Option<BitString>,
    #[prost(message, optional, tag = "2")]
    test_basis: Option<BitString>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sifted {
    #[prost(message, optional, tag = "1")]
    matched: Option<BitString>,
    #[prost(bytes = "vec", tag = "2")]
    intensities: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    test_bits: Option<BitString>,
    #[prost(fixed64, tag = "4")]
    permutations: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Compared {
    #[prost(uint32, repeated, tag = "1")]
    errors: Vec<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Ask {
    #[prost(uint32, repeated, tag = "1")]
    frames: Vec<u32>,
    #[prost(bytes = "vec", tag = "2")]
    passes: Vec<u8>,
    #[prost(uint32, repeated, tag = "3")]
    blocks: Vec<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Tag {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
    #[prost(uint32, tag = "3")]
    bits: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Abort {
    #[prost(uint32, tag = "1")]
    reason: u32,
    #[prost(double, tag = "2")]
    measured: f64,
    #[prost(double, tag = "3")]
    limit: f64,
    #[prost(uint32, tag = "4")]
    detected: u32,
}

/// What a run is to be: what Alice asks Bob for. Eve and the loss of the line are Alice's simulator's, and no business of Bob's.
#[derive(Clone, PartialEq, prost::Message)]
struct Terms {
    #[prost(uint32, tag = "1")]
    pulses: u32,
    #[prost(uint32, tag = "2")]
    source: u32,
    #[prost(double, repeated, tag = "3")]
    means: Vec<f64>,
    #[prost(double, repeated, tag = "4")]
    probabilities: Vec<f64>,
    #[prost(double, tag = "5")]
    noise: f64,
    #[prost(double, tag = "6")]
    efficiency: f64,
    #[prost(double, tag = "7")]
    dark_counts: f64,
    #[prost(double, tag = "8")]
    key_basis: f64,
    #[prost(double, tag = "9")]
    error_limit: f64,
    #[prost(double, tag = "10")]
    eps_sec: f64,
    #[prost(double, tag = "11")]
    eps_cor: f64,
}

/// What both ends must know of a run before it begins.
pub fn encode_terms(settings: &bb84::Settings) -> Vec<u8> {
    let (source, means, probabilities) = match settings.source {
        Source::SinglePhoton => (1, vec![], vec![]),
        Source::WeakPulses { mean } => (2, vec![mean], vec![]),
        Source::Decoy(Intensities { means, probabilities }) => (3, means.to_vec(), probabilities.to_vec()),
    };
    let terms = Terms {
        pulses: length(settings.qubits),
        source,
        means,
        probabilities,
        noise: settings.line.noise,
        efficiency: settings.detector.efficiency,
        dark_counts: settings.detector.dark_counts,
        key_basis: settings.key_basis,
        error_limit: settings.error_limit,
        eps_sec: settings.eps_sec,
        eps_cor: settings.eps_cor,
    };
    terms.encode_to_vec()
}

/// What [`encode_terms`] wrote, with this end's own seed.
///
/// # Errors
/// [`Malformed`] for what makes no sense, and for more than [`MOST_PULSES`].
pub fn decode_terms(bytes: &[u8], seed: u64) -> Result<bb84::Settings, Malformed> {
    let terms = Terms::decode(bytes).map_err(|_| Malformed)?;
    let share = |value: f64| (0.0..=1.0).contains(&value);
    let epsilon = |value: f64| (1e-30..=0.1).contains(&value);
    let mean = |value: f64| (0.0..=2.0).contains(&value);
    let source = match (terms.source, &terms.means[..], &terms.probabilities[..]) {
        (1, [], []) => Source::SinglePhoton,
        (2, &[value], []) if mean(value) => Source::WeakPulses { mean: value },
        (3, means, probabilities)
            if means.iter().copied().all(mean)
                && probabilities.iter().copied().all(share)
                && (probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9 =>
        {
            Source::Decoy(Intensities {
                means: means.try_into().map_err(|_| Malformed)?,
                probabilities: probabilities.try_into().map_err(|_| Malformed)?,
            })
        }
        _ => return Err(Malformed),
    };
    let qubits = terms.pulses as usize;
    let sound = (1..=MOST_PULSES).contains(&qubits)
        && [terms.noise, terms.efficiency, terms.dark_counts, terms.key_basis, terms.error_limit]
            .into_iter()
            .all(share)
        && epsilon(terms.eps_sec)
        && epsilon(terms.eps_cor);
    if !sound {
        return Err(Malformed);
    }
    Ok(bb84::Settings {
        qubits,
        source,
        line: Line { loss_db: 0.0, noise: terms.noise },
        detector: Detector { efficiency: terms.efficiency, dark_counts: terms.dark_counts },
        eve: bb84::eve::Strategy::None,
        key_basis: terms.key_basis,
        error_limit: terms.error_limit,
        eps_sec: terms.eps_sec,
        eps_cor: terms.eps_cor,
        seed,
    })
}

impl Said {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let step = match self {
            Self::Pulses(pulses) => Step::Pulses(pulses.iter().copied().map(byte_of).collect()),
            Self::Message(message) => step_of(message),
        };
        Frame { step: Some(step) }.encode_to_vec()
    }

    /// What [`Said::encode`] wrote.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > LARGEST {
            return Err(Malformed);
        }
        let step = Frame::decode(bytes).map_err(|_| Malformed)?.step.ok_or(Malformed)?;
        let message = match step {
            Step::Pulses(bytes) if bytes.len() <= MOST_PULSES => {
                return Ok(Self::Pulses(bytes.into_iter().map(pulse_of).collect()));
            }
            Step::Detected(said) => {
                Message::Detected { clicks: bits(said.clicks)?, test_basis: bits(said.test_basis)? }
            }
            Step::Sifted(said) => Message::Sifted {
                matched: bits(said.matched)?,
                intensities: said.intensities,
                test_bits: bits(said.test_bits)?,
                permutations: said.permutations,
            },
            Step::Compared(said) if said.errors.len() <= 3 => {
                Message::Compared { errors: said.errors.into_iter().map(|errors| errors as usize).collect() }
            }
            Step::Pulses(_) | Step::Compared(_) => return Err(Malformed),
            Step::Ask(said) => Message::Distill(distill::Message::Ask(questions(&said)?)),
            Step::Parities(said) => Message::Distill(distill::Message::Parities(bits(Some(said))?)),
            Step::Corrected(_) => Message::Distill(distill::Message::Corrected),
            Step::Verify(said) => Message::Distill(distill::Message::Verify(Proof {
                key: said.key.try_into().map_err(|_| Malformed)?,
                tag: u128::from_le_bytes(said.value.try_into().map_err(|_| Malformed)?),
                bits: said.bits,
            })),
            Step::Verified(_) => Message::Distill(distill::Message::Verified),
            Step::Amplify(said) => Message::Distill(distill::Message::Amplify(bits(Some(said))?)),
            Step::Abort(said) => Message::Abort(reason(&said)?),
        };
        Ok(Self::Message(message))
    }
}

fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Polarisation in the low three bits, photons above. What has none has no polarisation either.
fn byte_of(pulse: Pulse) -> u8 {
    if pulse.photons == 0 { 0 } else { pulse.angle & 7 | pulse.photons.min(MOST_PHOTONS) << 3 }
}

fn pulse_of(byte: u8) -> Pulse {
    let photons = byte >> 3;
    Pulse { angle: if photons == 0 { 0 } else { byte & 7 }, photons }
}

fn string(bits: &Bits) -> BitString {
    BitString { length: length(bits.len()), bytes: bits.to_bytes() }
}

fn bits(said: Option<BitString>) -> Result<Bits, Malformed> {
    let said = said.ok_or(Malformed)?;
    let length = said.length as usize;
    if said.bytes.len() != length.div_ceil(8) {
        return Err(Malformed);
    }
    let whole = Bits::from_bytes(&said.bytes);
    let bits = whole.slice(0, length);
    // One string has one form.
    if bits.count_ones() == whole.count_ones() { Ok(bits) } else { Err(Malformed) }
}

fn questions(said: &Ask) -> Result<Vec<Question>, Malformed> {
    if said.frames.len() != said.blocks.len() || said.passes.len() != said.blocks.len() {
        return Err(Malformed);
    }
    let asked = said.frames.iter().zip(&said.passes).zip(&said.blocks);
    asked
        .map(|((&frame, &pass), &block)| {
            Ok(Question { frame, pass, block: u16::try_from(block).map_err(|_| Malformed)? })
        })
        .collect()
}

fn step_of(message: &Message) -> Step {
    use distill::Message as Distill;
    match message {
        Message::Detected { clicks, test_basis } => {
            Step::Detected(Detected { clicks: Some(string(clicks)), test_basis: Some(string(test_basis)) })
        }
        Message::Sifted { matched, intensities, test_bits, permutations } => Step::Sifted(Sifted {
            matched: Some(string(matched)),
            intensities: intensities.clone(),
            test_bits: Some(string(test_bits)),
            permutations: *permutations,
        }),
        Message::Compared { errors } => {
            Step::Compared(Compared { errors: errors.iter().map(|errors| length(*errors)).collect() })
        }
        Message::Distill(Distill::Ask(asked)) => Step::Ask(Ask {
            frames: asked.iter().map(|question| question.frame).collect(),
            passes: asked.iter().map(|question| question.pass).collect(),
            blocks: asked.iter().map(|question| question.block.into()).collect(),
        }),
        Message::Distill(Distill::Parities(parities)) => Step::Parities(string(parities)),
        Message::Distill(Distill::Corrected) => Step::Corrected(Nothing {}),
        Message::Distill(Distill::Verify(Proof { key, tag, bits })) => {
            Step::Verify(Tag { key: key.to_vec(), value: tag.to_le_bytes().to_vec(), bits: *bits })
        }
        Message::Distill(Distill::Verified) => Step::Verified(Nothing {}),
        Message::Distill(Distill::Amplify(seed)) => Step::Amplify(string(seed)),
        Message::Distill(Distill::Abort(reason)) | Message::Abort(reason) => Step::Abort(abort(*reason)),
    }
}

fn abort(reason: AbortReason) -> Abort {
    let none = Abort { reason: 0, measured: 0.0, limit: 0.0, detected: 0 };
    match reason {
        AbortReason::TooFewDetections { detected } => Abort { reason: 1, detected: length(detected), ..none },
        AbortReason::ErrorRate { measured, limit } => Abort { reason: 2, measured, limit, ..none },
        AbortReason::Verification => Abort { reason: 3, ..none },
        AbortReason::NoSecretBits => Abort { reason: 4, ..none },
        // There are no pairs here.
        AbortReason::Protocol | AbortReason::Chsh { .. } => Abort { reason: 5, ..none },
    }
}

fn reason(said: &Abort) -> Result<AbortReason, Malformed> {
    let share = |value: f64| (0.0..=1.0).contains(&value);
    Ok(match said.reason {
        1 => AbortReason::TooFewDetections { detected: said.detected as usize },
        2 if share(said.measured) && share(said.limit) => {
            AbortReason::ErrorRate { measured: said.measured, limit: said.limit }
        }
        3 => AbortReason::Verification,
        4 => AbortReason::NoSecretBits,
        5 => AbortReason::Protocol,
        _ => return Err(Malformed),
    })
}
