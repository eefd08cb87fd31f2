//! E91, simulated: pairs of entangled qubits, a key where both ends measured alike, and a CHSH test where they did not
//! (Ekert, Physical Review Letters 67, 661, 1991).
//!
//! The devices are trusted: key lengths are those of BB84 with the same error rate, and S only tells whether there was
//! entanglement at all. On one machine all of it is a demonstration.

use std::f64::consts::{FRAC_PI_4, SQRT_2};

use rand::{Rng, rngs::ChaCha8Rng};
use serde::{Deserialize, Serialize};

use crate::{
    bb84::{
        ERROR_LIMIT,
        light::uniform,
        report::{Report, confidence_interval, over_time},
    },
    bits::Bits,
    chsh::{Chsh, Setting},
    distill::{self, AbortReason, Distilled, Receiver, Secrecy, Sender, Terms, converse},
    random::{Purpose, stream},
    reconcile::cascade,
};

/// The angles of the three settings of each end, in quarters of a half turn of the Bloch sphere. Equal angles give the key,
/// Alice's first and last with Bob's first and last give S.
const ALICE: [u8; 3] = [0, 1, 2];
const BOB: [u8; 3] = [1, 2, 3];

/// Everything that a run depends on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How many pairs the source sends.
    pub pairs: usize,
    /// How much of each pair is entangled and how much is noise: 1 is perfect, 0 is noise alone (a Werner state).
    pub visibility: f64,
    /// The fraction of pairs that Eve measures and sends on, in one of the two bases that keys are made from.
    pub eve: f64,
    /// The probability with which a bit of the key is compared and given up.
    pub test: f64,
    /// The error rate above which both give up.
    pub error_limit: f64,
    /// How far from secret the key may be.
    pub eps_sec: f64,
    /// How probable unequal keys may be.
    pub eps_cor: f64,
    /// What all randomness of the run comes from.
    pub seed: u64,
}

impl Default for Settings {
    /// 100,000 perfect pairs.
    fn default() -> Self {
        Self {
            pairs: 100_000,
            visibility: 1.0,
            eve: 0.0,
            test: 0.25,
            error_limit: ERROR_LIMIT,
            eps_sec: 1e-10,
            eps_cor: 1e-15,
            seed: 0,
        }
    }
}

/// What Alice and Bob say to one another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Bob: his setting for each pair.
    Measured(Vec<u8>),
    /// Alice: her settings, her results of pairs that give no key, which bits of the key are compared, and those.
    Sifted {
        /// One a pair.
        settings: Vec<u8>,
        /// One bit for each pair with unequal angles, in order.
        unequal: Bits,
        /// One bit for each pair with equal angles: whether it is compared.
        compared: Bits,
        /// The compared bits.
        test_bits: Bits,
        /// What the permutations of the reconciliation come from.
        permutations: u64,
    },
    /// Bob: how many of the compared bits differed, and the counts for S.
    Compared {
        /// Differing test bits.
        errors: usize,
        /// As [`Chsh::from_counts`] takes them.
        settings: [Setting; 4],
    },
    /// The rest of the conversation.
    Distill(distill::Message),
    /// The end, without a key.
    Abort(AbortReason),
}

/// Eve, between the source and both ends.
struct Eve {
    /// The fraction of pairs that she measures and sends on.
    fraction: f64,
    random: ChaCha8Rng,
    /// Her angle and result for the pairs that she measured.
    notes: Vec<Option<(u8, bool)>>,
    /// What she heard of which bits of the key were compared, and given up.
    compared: Bits,
}

impl Eve {
    fn new(settings: &Settings) -> Self {
        let random = stream(settings.seed, Purpose::Eve, 0);
        Self { fraction: settings.eve, random, notes: Vec::new(), compared: Bits::new() }
    }

    /// What she measures of a pair, in one of the two bases that keys are made from; nothing of most.
    fn tap(&mut self) -> Option<(u8, bool)> {
        let note = (uniform(&mut self.random) < self.fraction).then(|| {
            let angle = if self.random.next_u32() & 1 == 0 { ALICE[1] } else { ALICE[2] };
            (angle, self.random.next_u32() & 1 == 1)
        });
        self.notes.push(note);
        note
    }

    /// Hears what everybody may.
    fn hear(&mut self, message: &Message) {
        if let Message::Sifted { compared, .. } = message {
            self.compared.clone_from(compared);
        }
    }
}

/// The source of pairs, with the noise of the line.
struct Pairs {
    visibility: f64,
    random: ChaCha8Rng,
}

impl Pairs {
    fn new(settings: &Settings) -> Self {
        Self { visibility: settings.visibility, random: stream(settings.seed, Purpose::Channel, 0) }
    }

    /// The results of a pair for both ends' angles: of one that was measured on the way each end's is like that, and nothing else.
    fn measure(&mut self, alice: u8, bob: u8, tapped: Option<(u8, bool)>) -> (bool, bool) {
        let cosine = |a: u8, b: u8| (f64::from(a.abs_diff(b)) * FRAC_PI_4).cos();
        if let Some((angle, result)) = tapped {
            let mut like = |own: u8| {
                let differs = uniform(&mut self.random) >= f64::midpoint(1.0, cosine(own, angle));
                result ^ differs
            };
            return (like(alice), like(bob));
        }
        let result = self.random.next_u32() & 1 == 1;
        let equal = f64::midpoint(1.0, self.visibility * cosine(alice, bob));
        (result, result ^ (uniform(&mut self.random) >= equal))
    }
}

/// One end: its settings and results.
struct End {
    settings: Vec<u8>,
    results: Bits,
}

fn choose(pairs: usize, random: &mut impl Rng) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, reason = "below 3")]
    (0..pairs).map(|_| ((u64::from(random.next_u32()) * 3) >> 32) as u8).collect()
}

fn are_settings(settings: &[u8]) -> bool {
    settings.iter().all(|&setting| setting < 3)
}

/// The pairs with equal angles, as a mask.
fn equal(alice: &[u8], bob: &[u8]) -> Bits {
    alice.iter().zip(bob).map(|(&a, &b)| ALICE[usize::from(a)] == BOB[usize::from(b)]).collect()
}

fn inverted(mask: &Bits) -> Bits {
    mask.iter().map(|bit| !bit).collect()
}

/// Whether to go on after the comparison; both ends decide alike.
fn terms(
    settings: &Settings,
    (errors, test_bits): (usize, usize),
    counts: &[Setting; 4],
    permutations: u64,
) -> Result<Terms, AbortReason> {
    let chsh = Chsh::from_counts(counts).filter(|_| test_bits > 0);
    let chsh = chsh.ok_or(AbortReason::TooFewDetections { detected: settings.pairs })?;
    #[expect(clippy::cast_precision_loss, reason = "counts of bits")]
    let (measured, least) = (errors as f64 / test_bits as f64, 0.5 / test_bits as f64);
    if measured > settings.error_limit {
        return Err(AbortReason::ErrorRate { measured, limit: settings.error_limit });
    }
    if chsh.deviations() < 3.0 {
        return Err(AbortReason::Chsh { s: chsh.s, error: chsh.error });
    }
    Ok(Terms {
        secrecy: Secrecy::SinglePhotons { test_bits, errors },
        settings: cascade::Settings { seed: permutations, error_rate: measured.max(least) },
        eps_sec: settings.eps_sec,
        eps_cor: settings.eps_cor,
    })
}

struct Alice {
    settings: Settings,
    end: End,
    random: ChaCha8Rng,
    permutations: u64,
    key: Bits,
    test_bits: usize,
    sender: Option<Sender<ChaCha8Rng>>,
    aborted: Option<AbortReason>,
}

impl Alice {
    fn handle(&mut self, message: Message) -> Option<Message> {
        self.answer(message).unwrap_or_else(|reason| {
            self.aborted = Some(reason);
            Some(Message::Abort(reason))
        })
    }

    fn answer(&mut self, message: Message) -> Result<Option<Message>, AbortReason> {
        match message {
            Message::Measured(theirs) if self.key.is_empty() => {
                if theirs.len() != self.end.settings.len() || !are_settings(&theirs) {
                    return Err(AbortReason::Protocol);
                }
                let equal = equal(&self.end.settings, &theirs);
                let sifted = self.end.results.select(&equal);
                let compared: Bits =
                    (0..sifted.len()).map(|_| uniform(&mut self.random) < self.settings.test).collect();
                let test_bits = sifted.select(&compared);
                self.test_bits = test_bits.len();
                self.key = sifted.select(&inverted(&compared));
                Ok(Some(Message::Sifted {
                    settings: self.end.settings.clone(),
                    unequal: self.end.results.select(&inverted(&equal)),
                    compared,
                    test_bits,
                    permutations: self.permutations,
                }))
            }
            Message::Compared { errors, settings } if self.sender.is_none() && errors <= self.test_bits => {
                let terms = terms(&self.settings, (errors, self.test_bits), &settings, self.permutations)?;
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

    fn result(&self) -> Option<Result<&Distilled, AbortReason>> {
        distill::ended(self.aborted, self.sender.as_ref().and_then(Sender::result))
    }
}

struct Bob {
    settings: Settings,
    end: End,
    receiver: Option<Receiver>,
    sifted: usize,
    test_bits: usize,
    errors: usize,
    /// Of every test bit, whether it differed.
    mistakes: Bits,
    chsh: Option<Chsh>,
    aborted: Option<AbortReason>,
}

impl Bob {
    fn handle(&mut self, message: Message) -> Vec<Message> {
        self.answer(message).unwrap_or_else(|reason| {
            self.aborted = Some(reason);
            vec![Message::Abort(reason)]
        })
    }

    fn answer(&mut self, message: Message) -> Result<Vec<Message>, AbortReason> {
        match message {
            Message::Sifted { settings, unequal, compared, test_bits, permutations }
                if self.receiver.is_none() =>
            {
                if settings.len() != self.end.settings.len() || !are_settings(&settings) {
                    return Err(AbortReason::Protocol);
                }
                let equal = equal(&settings, &self.end.settings);
                let sifted = self.end.results.select(&equal);
                let others = inverted(&equal);
                if unequal.len() != others.count_ones()
                    || compared.len() != sifted.len()
                    || test_bits.len() != compared.count_ones()
                {
                    return Err(AbortReason::Protocol);
                }
                let counts = self.correlate(&settings, &others, &unequal);
                self.chsh = Chsh::from_counts(&counts);
                self.sifted = sifted.len();
                self.test_bits = test_bits.len();
                self.mistakes = sifted
                    .select(&compared)
                    .iter()
                    .zip(test_bits.iter())
                    .map(|(own, theirs)| own != theirs)
                    .collect();
                self.errors = self.mistakes.count_ones();
                let terms = terms(&self.settings, (self.errors, self.test_bits), &counts, permutations)?;
                let mut receiver = Receiver::new(&sifted.select(&inverted(&compared)), terms);
                let first = receiver.begin();
                self.receiver = Some(receiver);
                Ok(vec![Message::Compared { errors: self.errors, settings: counts }, Message::Distill(first)])
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

    /// Counts results of the four settings of S: its negative term is Alice's first angle with Bob's last.
    fn correlate(&self, alice: &[u8], others: &Bits, unequal: &Bits) -> [Setting; 4] {
        let mut counts = [Setting::default(); 4];
        let own = self.end.results.select(others);
        let settings = alice.iter().zip(&self.end.settings).zip(others.iter()).filter(|(_, other)| *other);
        for (((&a, &b), _), (own, theirs)) in settings.zip(own.iter().zip(unequal.iter())) {
            let place = match (a, b) {
                (2, 0) => 0,
                (2, 2) => 1,
                (0, 0) => 2,
                (0, 2) => 3,
                _ => continue,
            };
            counts[place].note(own, theirs);
        }
        counts
    }

    fn result(&self) -> Option<Result<&Distilled, AbortReason>> {
        distill::ended(self.aborted, self.receiver.as_ref().and_then(Receiver::result))
    }
}

/// The largest S that quantum mechanics allows.
pub const TSIRELSON: f64 = 2.0 * SQRT_2;

/// Runs E91 with these settings.
pub fn run(settings: &Settings) -> Report {
    let mut alice_random = stream(settings.seed, Purpose::Alice, 0);
    let mut bob_random = stream(settings.seed, Purpose::Bob, 0);
    let (alice_settings, bob_settings) =
        (choose(settings.pairs, &mut alice_random), choose(settings.pairs, &mut bob_random));
    let (mut pairs, mut eve) = (Pairs::new(settings), Eve::new(settings));
    let (mut alice_results, mut bob_results) = (Bits::new(), Bits::new());
    for (&a, &b) in alice_settings.iter().zip(&bob_settings) {
        let (alice, bob) = pairs.measure(ALICE[usize::from(a)], BOB[usize::from(b)], eve.tap());
        alice_results.push(alice);
        bob_results.push(bob);
    }
    let mask = equal(&alice_settings, &bob_settings);
    let permutations = alice_random.next_u64();
    let mut alice = Alice {
        settings: *settings,
        end: End { settings: alice_settings, results: alice_results },
        random: alice_random,
        permutations,
        key: Bits::new(),
        test_bits: 0,
        sender: None,
        aborted: None,
    };
    let mut bob = Bob {
        settings: *settings,
        end: End { settings: bob_settings, results: bob_results },
        receiver: None,
        sifted: 0,
        test_bits: 0,
        errors: 0,
        mistakes: Bits::new(),
        chsh: None,
        aborted: None,
    };
    let first = Message::Measured(bob.end.settings.clone());
    // Where it breaks off neither end has a result, and the report says so.
    let conversed = converse(
        settings.seed,
        &first,
        |message| alice.handle(message),
        |answer| bob.handle(answer),
        |message| eve.hear(message),
    );
    debug_assert!(conversed.is_ok(), "what one end says the other can read");

    let (certain, guessed) = knowledge(&eve, &alice, &mask);
    #[expect(clippy::cast_precision_loss, reason = "counts of bits")]
    let qber = if bob.test_bits == 0 { 0.0 } else { bob.errors as f64 / bob.test_bits as f64 };
    let mut report = Report {
        qubits: settings.pairs,
        detected: settings.pairs,
        sifted_bits: bob.sifted,
        test_bits: bob.test_bits,
        qber,
        qber_interval: confidence_interval(bob.errors, bob.test_bits),
        qber_over_time: over_time(&bob.mistakes),
        eve_certain_bits: Some(certain),
        eve_guessed_bits: Some(guessed),
        chsh: bob.chsh.map(|chsh| [chsh.s, chsh.error]),
        ..Report::unfinished(settings.eps_sec, settings.eps_cor, settings.seed)
    };
    report.conclude(alice.result(), bob.result());
    report
}

/// How many bits of the raw key Eve read in the right basis, and how many she guesses.
fn knowledge(eve: &Eve, alice: &Alice, equal: &Bits) -> (usize, usize) {
    let sifted = eve.notes.iter().zip(&alice.end.settings).zip(equal.iter()).filter(|(_, equal)| *equal);
    let of_key = sifted.zip(eve.compared.iter()).filter(|(_, compared)| !compared).map(|((pair, _), _)| pair);
    let mut guesses = stream(alice.settings.seed, Purpose::Eve, 1);
    let (mut certain, mut right) = (0, 0);
    for ((note, &setting), bit) in of_key.zip(alice.key.iter()) {
        let guess = note.map_or_else(|| guesses.next_u32() & 1 == 1, |(_, result)| result);
        certain += usize::from(note.is_some_and(|(angle, _)| angle == ALICE[usize::from(setting)]));
        right += usize::from(guess == bit);
    }
    (certain, right)
}
