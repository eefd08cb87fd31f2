//! Estimators that count: most common value, collision, Markov and compression (SP 800-90B §6.3.1 to §6.3.4).

use super::{Z, entropy, float, upper_bound};

/// §6.3.1: the most common symbol. Nothing for fewer than two samples.
pub fn most_common_value(samples: &[u8]) -> Option<f64> {
    let mut counts = [0_usize; 256];
    for &sample in samples {
        counts[usize::from(sample)] += 1;
    }
    let most = counts.into_iter().max().filter(|_| samples.len() >= 2)?;
    Some(entropy(upper_bound(float(most) / float(samples.len()), samples.len())))
}

/// §6.3.2: how soon a value comes again. Among bits that takes two or three samples, and its mean is 2 + 2p(1−p).
/// Nothing for fewer than two collisions.
pub fn collision(bits: &[u8]) -> Option<f64> {
    let (mut collisions, mut total, mut squares) = (0_usize, 0_usize, 0_usize);
    let mut rest = bits;
    loop {
        let taken = match rest {
            [a, b, ..] if a == b => 2,
            [_, _, _, ..] => 3,
            _ => break,
        };
        collisions += 1;
        total += taken;
        squares += taken * taken;
        rest = &rest[taken..];
    }
    if collisions < 2 {
        return None;
    }
    let mean = float(total) / float(collisions);
    let variance = (float(squares) - float(collisions) * mean * mean) / float(collisions - 1);
    let lower = (mean - Z * variance.max(0.0).sqrt() / float(collisions).sqrt()).max(2.0);
    // 2 + 2p(1−p) never exceeds 2.5: above it any bias is possible but none is shown.
    let probability = if lower >= 2.5 { 0.5 } else { 0.5 + (1.25 - 0.5 * lower).sqrt() };
    Some(entropy(probability))
}

/// How many samples the likeliest path through the chain is long (§6.3.3).
const PATH: i32 = 128;

/// §6.3.3: each bit given the one before it, as the likeliest sequence of 128. Nothing for fewer than two samples.
pub fn markov(bits: &[u8]) -> Option<f64> {
    if bits.len() < 2 {
        return None;
    }
    let mut transitions = [[0_usize; 2]; 2];
    for pair in bits.windows(2) {
        transitions[usize::from(pair[0] & 1)][usize::from(pair[1] & 1)] += 1;
    }
    let ones = bits.iter().filter(|&&bit| bit & 1 == 1).count();
    let first = [float(bits.len() - ones) / float(bits.len()), float(ones) / float(bits.len())];
    let step = |from: usize, to: usize| {
        let leaving = transitions[from][0] + transitions[from][1];
        if leaving == 0 { 0.0 } else { float(transitions[from][to]) / float(leaving) }
    };
    // The likeliest path stays, or alternates, or leaves its first value at once and stays with the other.
    let log_likelihood = [0, 1]
        .into_iter()
        .flat_map(|from| {
            let other = 1 - from;
            let start = first[from].log2();
            let (stay, leave) = (step(from, from).log2(), step(from, other).log2());
            let (back, remain) = (step(other, from).log2(), step(other, other).log2());
            let half = f64::from(PATH / 2);
            [
                start + times(f64::from(PATH - 1), stay),
                start + times(half, leave) + times(half - 1.0, back),
                start + leave + times(f64::from(PATH - 2), remain),
            ]
        })
        .filter(|value| !value.is_nan())
        .fold(f64::NEG_INFINITY, f64::max);
    Some((-log_likelihood / f64::from(PATH)).clamp(0.0, 1.0))
}

fn times(count: f64, logarithm: f64) -> f64 {
    count * logarithm
}

/// Bits in a block, and blocks that fill the dictionary (§6.3.4).
const BLOCK: usize = 6;
const DICTIONARY: usize = 1000;

/// §6.3.4: how long ago the same block of six bits was seen (Maurer's universal statistic). Nothing for fewer than 2,000
/// blocks: the first 1,000 are what the others are compared with, and fewer than as many others say nothing.
pub fn compression(bits: &[u8]) -> Option<f64> {
    let blocks: Vec<usize> = bits
        .chunks_exact(BLOCK)
        .map(|block| block.iter().fold(0, |value, bit| value << 1 | usize::from(bit & 1)))
        .collect();
    let tested = blocks.len().checked_sub(DICTIONARY).filter(|&tested| tested >= DICTIONARY)?;
    let mut seen = [0_usize; 1 << BLOCK];
    let (mut sum, mut squares) = (0.0, 0.0);
    for (n, &block) in blocks.iter().enumerate() {
        if n >= DICTIONARY {
            let distance = float(n + 1 - seen[block]).log2();
            sum += distance;
            squares += distance * distance;
        }
        seen[block] = n + 1;
    }
    let mean = sum / float(tested);
    let deviation = 0.5907 * (squares / float(tested - 1) - mean * mean).max(0.0).sqrt();
    let lower = mean - Z * deviation / float(tested).sqrt();

    let kinds = float(1 << BLOCK);
    let logarithms: Vec<f64> = (1..=blocks.len()).map(|distance| float(distance).log2()).collect();
    let expected = |p: f64| {
        let others = (1.0 - p) / (kinds - 1.0);
        mean_distance(p, &logarithms) + (kinds - 1.0) * mean_distance(others, &logarithms)
    };
    // The expectation falls while p grows from that of uniform blocks.
    let (mut low, mut high) = (1.0 / kinds, 1.0);
    if expected(low) <= lower {
        return Some(1.0);
    }
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if expected(middle) > lower {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(entropy(low) / float(BLOCK))
}

/// G(z) of §6.3.4, the mean of log₂ distance over the tested blocks for a block that comes with probability `z`;
/// `logarithms[u − 1]` is log₂ u.
fn mean_distance(z: f64, logarithms: &[f64]) -> f64 {
    let (mut power, mut inner, mut total) = (1.0, 0.0, 0.0);
    for (index, logarithm) in logarithms.iter().enumerate() {
        // Here `power` is (1−z)^(t−1) and `inner` the sum of log₂(u)·(1−z)^(u−1) over u < t, for t = index + 1.
        if index >= DICTIONARY {
            total += z * z * inner + z * power * logarithm;
        }
        inner += logarithm * power;
        power *= 1.0 - z;
    }
    total / float(logarithms.len() - DICTIONARY)
}
