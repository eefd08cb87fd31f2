//! Estimators that predict each sample out of those before it: MultiMCW, lag, MultiMMC and LZ78Y (SP 800-90B §6.3.7 to
//! §6.3.10). Each runs several predictors, trusts the one that was right most often so far, and is judged both by how
//! often it was right and by how long it was right in a row.

use std::collections::{HashMap, VecDeque};

use super::{entropy, float, upper_bound};

/// How often predictions were right, and how often in a row.
#[derive(Default)]
struct Score {
    predictions: usize,
    right: usize,
    run: usize,
    longest: usize,
}

impl Score {
    fn note(&mut self, right: bool) {
        self.predictions += 1;
        self.right += usize::from(right);
        self.run = if right { self.run + 1 } else { 0 };
        self.longest = self.longest.max(self.run);
    }

    /// The estimate for an alphabet of so many symbols; nothing for fewer than two predictions.
    fn estimate(&self, symbols: usize) -> Option<f64> {
        if self.predictions < 2 {
            return None;
        }
        let global = if self.right == 0 {
            1.0 - 0.01_f64.powf(1.0 / float(self.predictions))
        } else {
            upper_bound(float(self.right) / float(self.predictions), self.predictions)
        };
        let local = run_probability(self.longest + 1, self.predictions);
        Some(entropy(global.max(local).max(1.0 / float(symbols))))
    }
}

/// The p for which a run of `length` right predictions among `count` is missing with probability 0.99 (§6.3.7 step 7,
/// after Feller): the larger p, the less probable it is that the run is missing.
fn run_probability(length: usize, count: usize) -> f64 {
    let length = float(length);
    let missing = |p: f64| {
        let (q, weight) = (1.0 - p, (1.0 - p) * p.powf(length));
        let x = (0..10).fold(1.0, |x: f64, _| 1.0 + weight * x.powf(length + 1.0));
        (1.0 - p * x).ln() - ((length + 1.0 - length * x) * q).ln() - (float(count) + 1.0) * x.ln()
    };
    let target = 0.99_f64.ln();
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        // Where the root x has no finite value, the run is all but certain.
        if missing(middle) > target {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Predictors that compete: the leader is the one with most right predictions, the latest among equals.
struct Contest {
    scores: Vec<usize>,
    leader: usize,
}

impl Contest {
    fn new(predictors: usize) -> Self {
        Self { scores: vec![0; predictors], leader: 0 }
    }

    fn right(&mut self, predictor: usize) {
        self.scores[predictor] += 1;
        if self.scores[predictor] >= self.scores[self.leader] {
            self.leader = predictor;
        }
    }
}

/// The symbols that there are, in order.
fn alphabet(samples: &[u8]) -> Vec<u8> {
    let mut seen = [false; 256];
    for &sample in samples {
        seen[usize::from(sample)] = true;
    }
    (0..=u8::MAX).filter(|&symbol| seen[usize::from(symbol)]).collect()
}

fn symbols(samples: &[u8]) -> usize {
    alphabet(samples).len()
}

/// How many samples each window holds (§6.3.7).
const WINDOWS: [usize; 4] = [63, 255, 1023, 4095];

/// The most common value among the last so many, the latest among equals.
struct Window {
    size: usize,
    held: VecDeque<u8>,
    counts: [usize; 256],
    latest: [usize; 256],
    most_common: u8,
}

impl Window {
    fn new(size: usize) -> Self {
        let held = VecDeque::with_capacity(size + 1);
        Self { size, held, counts: [0; 256], latest: [0; 256], most_common: 0 }
    }

    fn prediction(&self) -> Option<u8> {
        (self.held.len() == self.size).then_some(self.most_common)
    }

    fn take(&mut self, sample: u8, time: usize, alphabet: &[u8]) {
        self.held.push_back(sample);
        self.counts[usize::from(sample)] += 1;
        self.latest[usize::from(sample)] = time;
        let gone = (self.held.len() > self.size).then(|| self.held.pop_front()).flatten();
        if let Some(gone) = gone {
            self.counts[usize::from(gone)] -= 1;
        }
        let weight = |symbol: u8| (self.counts[usize::from(symbol)], self.latest[usize::from(symbol)]);
        if gone == Some(self.most_common) && gone != Some(sample) {
            self.most_common = alphabet.iter().copied().max_by_key(|&symbol| weight(symbol)).unwrap_or(0);
        } else if weight(sample) > weight(self.most_common) {
            self.most_common = sample;
        }
    }
}

/// §6.3.7: the most common value in windows of 63, 255, 1023 and 4095 samples. Nothing for fewer than 4096 samples.
pub fn multi_mcw(samples: &[u8]) -> Option<f64> {
    if samples.len() <= WINDOWS[3] {
        return None;
    }
    let alphabet = alphabet(samples);
    let mut windows = WINDOWS.map(Window::new);
    let mut contest = Contest::new(windows.len());
    let mut score = Score::default();
    for (time, &sample) in samples.iter().enumerate() {
        if time >= WINDOWS[0] {
            score.note(windows[contest.leader].prediction() == Some(sample));
        }
        for (n, window) in windows.iter_mut().enumerate() {
            if window.prediction() == Some(sample) {
                contest.right(n);
            }
            window.take(sample, time, &alphabet);
        }
    }
    score.estimate(alphabet.len())
}

/// How far back the lag predictors look at most (§6.3.8).
const LAGS: usize = 128;

/// §6.3.8: the value that came 1 to 128 samples ago. Nothing for fewer than three samples.
pub fn lag(samples: &[u8]) -> Option<f64> {
    let mut contest = Contest::new(LAGS);
    let mut score = Score::default();
    for (time, &sample) in samples.iter().enumerate().skip(1) {
        score.note(time.checked_sub(contest.leader + 1).is_some_and(|past| samples[past] == sample));
        for (n, &past) in samples[..time].iter().rev().take(LAGS).enumerate() {
            if past == sample {
                contest.right(n);
            }
        }
    }
    score.estimate(symbols(samples))
}

/// How often each symbol followed one context.
#[derive(Default)]
struct Followers(Vec<(u8, usize)>);

impl Followers {
    /// The most frequent symbol and its count; the largest symbol among equals.
    fn most_common(&self) -> Option<(u8, usize)> {
        self.0.iter().copied().max_by_key(|&(symbol, count)| (count, symbol))
    }
}

/// The last `length` symbols before `end`, at most 16, in one number.
fn context(samples: &[u8], end: usize, length: usize) -> u128 {
    samples[end - length..end].iter().fold(0, |value, &symbol| value << 8 | u128::from(symbol))
}

/// The longest context of the Markov models, and how many transitions each may know (§6.3.9).
const ORDERS: usize = 16;
const TRANSITIONS: usize = 100_000;

/// §6.3.9: Markov models of orders 1 to 16 that learn while they predict. Nothing for fewer than four samples.
pub fn multi_mmc(samples: &[u8]) -> Option<f64> {
    let mut models: Vec<(HashMap<u128, Followers>, usize)> = Vec::new();
    models.resize_with(ORDERS, Default::default);
    let mut contest = Contest::new(ORDERS);
    let mut score = Score::default();
    for (time, &sample) in samples.iter().enumerate().skip(2) {
        let last = samples[time - 1];
        let leader = contest.leader;
        let mut led = None;
        for (n, (model, known)) in models.iter_mut().enumerate().take(time) {
            let order = n + 1;
            if order < time {
                let past = context(samples, time - 1, order);
                let may_add = *known < TRANSITIONS;
                if may_add || model.contains_key(&past) {
                    let followers = &mut model.entry(past).or_default().0;
                    if let Some((_, count)) = followers.iter_mut().find(|(symbol, _)| *symbol == last) {
                        *count += 1;
                    } else if may_add {
                        followers.push((last, 1));
                        *known += 1;
                    }
                }
            }
            let prediction = model
                .get(&context(samples, time, order))
                .and_then(Followers::most_common)
                .map(|(symbol, _)| symbol);
            if n == leader {
                led = prediction;
            }
            if prediction == Some(sample) {
                contest.right(n);
            }
        }
        score.note(led == Some(sample));
    }
    score.estimate(symbols(samples))
}

/// The longest context in the dictionary, and how many it may hold (§6.3.10).
const LONGEST: usize = 16;
const ENTRIES: usize = 65_536;

/// §6.3.10: a dictionary of contexts up to 16 samples, as LZ78 would build it. Nothing for fewer than 20 samples.
pub fn lz78y(samples: &[u8]) -> Option<f64> {
    let mut dictionary: Vec<HashMap<u128, Followers>> = Vec::new();
    dictionary.resize_with(LONGEST + 1, HashMap::new);
    let mut entries = 0;
    let mut score = Score::default();
    for (time, &sample) in samples.iter().enumerate().skip(LONGEST + 1) {
        let last = samples[time - 1];
        for length in (1..=LONGEST).rev() {
            let past = context(samples, time - 1, length);
            if entries < ENTRIES && !dictionary[length].contains_key(&past) {
                dictionary[length].insert(past, Followers::default());
                entries += 1;
            }
            if let Some(Followers(followers)) = dictionary[length].get_mut(&past) {
                match followers.iter_mut().find(|(symbol, _)| *symbol == last) {
                    Some((_, count)) => *count += 1,
                    None => followers.push((last, 1)),
                }
            }
        }
        let mut best: Option<(u8, usize)> = None;
        for length in (1..=LONGEST).rev() {
            let followers = dictionary[length].get(&context(samples, time, length));
            if let Some((symbol, count)) = followers.and_then(Followers::most_common)
                && best.is_none_or(|(_, most)| count > most)
            {
                best = Some((symbol, count));
            }
        }
        score.note(best.map(|(symbol, _)| symbol) == Some(sample));
    }
    score.estimate(symbols(samples))
}
