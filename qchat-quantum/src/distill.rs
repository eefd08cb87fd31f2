//! From two correlated strings to one secret key: reconciliation, verification and privacy amplification as a
//! conversation between two state machines, whatever protocol the strings are from.
//!
//! Messages travel over a channel that is authenticated and may be heard by everybody. Bob speaks first.

use std::collections::VecDeque;

use rand::Rng;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    amplify::{
        finite::{Run, binary_entropy, key_length},
        toeplitz,
    },
    bb84::decoy,
    bits::Bits,
    channel::{self, Forged, Side},
    random::{Purpose, stream},
    reconcile::{
        cascade::{Corrector, Question, Reference, Settings},
        verify::{Proof, tag_bits},
    },
};

/// How often strings that turned out unequal are corrected further.
const RETRIES: usize = 2;
/// How many passes each retry adds.
const MORE_PASSES: usize = 7;

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum AbortReason {
    /// Too few bits are left to estimate anything from.
    #[error("too few detections: {detected}")]
    TooFewDetections {
        /// How many there were.
        detected: usize,
    },
    /// The error rate is too high: somebody listens, or the line is bad.
    #[error("the error rate of {measured:.4} is above the limit of {limit:.4}")]
    ErrorRate {
        /// Among the test bits.
        measured: f64,
        /// What was agreed.
        limit: f64,
    },
    /// The correlations can be explained without entanglement.
    #[error("S = {s:.4} ± {error:.4} does not show entanglement")]
    Chsh {
        /// The value measured.
        s: f64,
        /// Its standard error.
        error: f64,
    },
    /// The strings are still unequal.
    #[error("the strings could not be made equal")]
    Verification,
    /// What an eavesdropper may know leaves nothing.
    #[error("no secret bits are left after what may have leaked")]
    NoSecretBits,
    /// The other side said what does not belong to the protocol.
    #[error("the other side broke the protocol")]
    Protocol,
}

/// What both ends say to one another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Bob asks for parities.
    Ask(Vec<Question>),
    /// Alice's answers in the same order.
    Parities(Bits),
    /// Bob has nothing more to ask.
    Corrected,
    /// Alice's hash.
    Verify(Proof),
    /// Bob has the same hash.
    Verified,
    /// The seed of the matrix that shortens both strings.
    Amplify(Bits),
    /// The end, without a key.
    Abort(AbortReason),
}

/// What decides how long the key may be, apart from what leaks during the conversation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Secrecy {
    /// Single photons: test bits in the other basis and their error rate.
    SinglePhotons {
        /// How many were compared.
        test_bits: usize,
        /// How many of them differed.
        errors: usize,
    },
    /// Weak pulses with decoy states.
    Decoy(decoy::Bounds),
}

/// What both ends agreed on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// What is known of the eavesdropper.
    pub secrecy: Secrecy,
    /// For Cascade.
    pub settings: Settings,
    /// How far from secret the key may be.
    pub eps_sec: f64,
    /// How probable unequal keys may be.
    pub eps_cor: f64,
}

impl Terms {
    /// Bits of one hash. They may be compared once and again after each retry, and all of that together has to keep to the bound.
    fn tag_bits(&self, length: usize) -> Option<u32> {
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        let looks = (RETRIES + 1) as f64;
        tag_bits(length, self.eps_cor / looks)
    }

    fn length(&self, bits: usize, leaked: usize) -> usize {
        let length = match self.secrecy {
            Secrecy::SinglePhotons { test_bits, errors } => {
                #[expect(clippy::cast_precision_loss, reason = "counts of bits")]
                let error_rate = if test_bits == 0 { 1.0 } else { errors as f64 / test_bits as f64 };
                key_length(&Run {
                    key_bits: bits as u64,
                    test_bits: test_bits as u64,
                    error_rate,
                    leaked_bits: leaked as u64,
                    eps_sec: self.eps_sec,
                    eps_cor: self.eps_cor,
                })
            }
            Secrecy::Decoy(bounds) => bounds.key_length(leaked as u64, self.eps_sec, self.eps_cor),
        };
        usize::try_from(length).unwrap_or(0).min(bits)
    }
}

/// What came of it at one end.
#[derive(Debug, Clone, PartialEq)]
pub struct Distilled {
    /// The key.
    pub key: Bits,
    /// Parities and hash bits that everybody heard.
    pub leaked_bits: usize,
    /// Parities told, over n·h(Q) for the errors that there were; 1 is the least possible. Bob alone knows it, and
    /// only where there were errors.
    pub efficiency: Option<f64>,
}

/// Alice's end.
pub struct Sender<R> {
    key: Bits,
    terms: Terms,
    reference: Reference,
    hashed: usize,
    random: R,
    result: Option<Result<Distilled, AbortReason>>,
}

impl<R: Rng> Sender<R> {
    /// The end whose string counts. `random` gives hash keys and the seed of the matrix.
    pub fn new(key: Bits, terms: Terms, random: R) -> Self {
        let reference = Reference::new(&key, terms.settings);
        Self { key, terms, reference, hashed: 0, random, result: None }
    }

    /// Takes a message; gives the answer, where there is one.
    pub fn handle(&mut self, message: Message) -> Option<Message> {
        match self.answer(message) {
            Ok(answer) => answer,
            Err(reason) => {
                self.result = Some(Err(reason));
                Some(Message::Abort(reason))
            }
        }
    }

    fn answer(&mut self, message: Message) -> Result<Option<Message>, AbortReason> {
        if self.result.is_some() {
            return Ok(None);
        }
        match message {
            Message::Ask(questions) => {
                let parities = self.reference.answer(&questions).map_err(|_| AbortReason::Protocol)?;
                Ok(Some(Message::Parities(parities)))
            }
            Message::Corrected => {
                let bits = self.terms.tag_bits(self.key.len()).ok_or(AbortReason::NoSecretBits)?;
                self.hashed += bits as usize;
                let mut key = [0; 16];
                self.random.fill_bytes(&mut key);
                Ok(Some(Message::Verify(Proof::new(key, &self.key, bits))))
            }
            Message::Verified if self.hashed > 0 => {
                let leaked_bits = self.reference.leaked() + self.hashed;
                let length = self.terms.length(self.key.len(), leaked_bits);
                if length == 0 {
                    return Err(AbortReason::NoSecretBits);
                }
                let seed = Bits::random(self.key.len() + length - 1, &mut self.random);
                let key =
                    toeplitz::hash(seed.clone(), &self.key, length).map_err(|_| AbortReason::Protocol)?;
                self.result = Some(Ok(Distilled { key, leaked_bits, efficiency: None }));
                Ok(Some(Message::Amplify(seed)))
            }
            Message::Abort(reason) => {
                self.result = Some(Err(reason));
                Ok(None)
            }
            _ => Err(AbortReason::Protocol),
        }
    }

    /// How it ended; nothing before that.
    pub fn result(&self) -> Option<&Result<Distilled, AbortReason>> {
        self.result.as_ref()
    }
}

/// Bob's end.
pub struct Receiver {
    terms: Terms,
    length: usize,
    corrector: Corrector,
    hashed: usize,
    retries: usize,
    verified: bool,
    result: Option<Result<Distilled, AbortReason>>,
}

impl Receiver {
    /// The end whose string is corrected.
    pub fn new(key: &Bits, terms: Terms) -> Self {
        Self {
            terms,
            length: key.len(),
            corrector: Corrector::new(key, terms.settings),
            hashed: 0,
            retries: 0,
            verified: false,
            result: None,
        }
    }

    /// The first message.
    pub fn begin(&mut self) -> Message {
        let questions = self.corrector.ask();
        if questions.is_empty() { Message::Corrected } else { Message::Ask(questions.to_vec()) }
    }

    /// Takes a message; gives the answer, where there is one.
    pub fn handle(&mut self, message: Message) -> Option<Message> {
        match self.answer(message) {
            Ok(answer) => answer,
            Err(reason) => {
                self.result = Some(Err(reason));
                Some(Message::Abort(reason))
            }
        }
    }

    fn answer(&mut self, message: Message) -> Result<Option<Message>, AbortReason> {
        if self.result.is_some() {
            return Ok(None);
        }
        match message {
            Message::Parities(parities) if !self.verified => {
                self.corrector.learn(&parities).map_err(|_| AbortReason::Protocol)?;
                Ok(Some(self.begin()))
            }
            Message::Verify(proof) if !self.verified => {
                let bits = self.terms.tag_bits(self.length);
                if bits != Some(proof.bits) {
                    return Err(AbortReason::Protocol);
                }
                self.hashed += proof.bits as usize;
                if proof.holds(&self.corrector.bits()) {
                    self.verified = true;
                    return Ok(Some(Message::Verified));
                }
                self.retries += 1;
                if self.retries > RETRIES {
                    return Err(AbortReason::Verification);
                }
                self.corrector.extend(MORE_PASSES);
                Ok(Some(self.begin()))
            }
            Message::Amplify(seed) if self.verified => {
                let leaked_bits = self.corrector.leaked() + self.hashed;
                let length = self.terms.length(self.length, leaked_bits);
                if length == 0 {
                    return Err(AbortReason::NoSecretBits);
                }
                let key = toeplitz::hash(seed, &self.corrector.bits(), length)
                    .map_err(|_| AbortReason::Protocol)?;
                self.result = Some(Ok(Distilled { key, leaked_bits, efficiency: self.efficiency() }));
                Ok(None)
            }
            Message::Abort(reason) => {
                self.result = Some(Err(reason));
                Ok(None)
            }
            _ => Err(AbortReason::Protocol),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of bits")]
    fn efficiency(&self) -> Option<f64> {
        let length = self.length as f64;
        let least = length * binary_entropy(self.corrector.corrected() as f64 / length);
        (least > 0.0).then(|| self.corrector.leaked() as f64 / least)
    }

    /// How it ended; nothing before that.
    pub fn result(&self) -> Option<&Result<Distilled, AbortReason>> {
        self.result.as_ref()
    }
}

/// Carries messages to and fro over a [`channel`], whose key comes from the run's seed, Bob's `first` one first, until neither end has
/// more to say. `hear` is whoever listens.
///
/// # Errors
/// [`Forged`], which on one machine means that a message cannot be written.
pub(crate) fn converse<M: Serialize + DeserializeOwned>(
    seed: u64,
    first: &M,
    mut alice: impl FnMut(M) -> Option<M>,
    mut bob: impl FnMut(M) -> Vec<M>,
    mut hear: impl FnMut(&M),
) -> Result<(), Forged> {
    let mut key = [0; 32];
    stream(seed, Purpose::Authentication, 0).fill_bytes(&mut key);
    let (mut alices, mut bobs) = (channel::End::new(Side::Alice, key), channel::End::new(Side::Bob, key));
    hear(first);
    let mut to_alice = VecDeque::from([bobs.seal(first)?]);
    while let Some(sealed) = to_alice.pop_front() {
        let Some(answer) = alice(alices.open(&sealed)?) else { continue };
        hear(&answer);
        for message in bob(bobs.open(&alices.seal(&answer)?)?) {
            hear(&message);
            to_alice.push_back(bobs.seal(&message)?);
        }
    }
    Ok(())
}

/// How a conversation ended that may have ended before distillation began.
pub(crate) fn ended(
    aborted: Option<AbortReason>,
    distilled: Option<&Result<Distilled, AbortReason>>,
) -> Option<Result<&Distilled, AbortReason>> {
    match (aborted, distilled) {
        (Some(reason), _) => Some(Err(reason)),
        (None, distilled) => distilled.map(|result| result.as_ref().map_err(|reason| *reason)),
    }
}
