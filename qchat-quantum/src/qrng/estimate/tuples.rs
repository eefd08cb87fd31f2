//! Estimators over repeated tuples: t-tuple and longest repeated substring (SP 800-90B §6.3.5 and §6.3.6).
//!
//! Both need to know how often tuples of every length come. Sorting all suffixes puts equal tuples side by side; runs of
//! common prefixes then give the counts for all lengths at once, also where the samples repeat for ever.

use super::{entropy, float, upper_bound};

/// How often a tuple must come to count as frequent (§6.3.5).
const FREQUENT: usize = 35;

/// What repeated tuples say about the min-entropy, in bits a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuples {
    /// §6.3.5: tuples that come at least 35 times; nothing when none does.
    pub t_tuple: Option<f64>,
    /// §6.3.6: tuples that come less often, but twice; nothing when there are none.
    pub lrs: Option<f64>,
}

/// Both estimates.
pub fn tuples(samples: &[u8]) -> Tuples {
    let length = samples.len();
    if length < 2 {
        return Tuples { t_tuple: None, lrs: None };
    }
    let Repetitions { most, pairs } = repetitions(samples);
    let frequent = most.iter().skip(1).take_while(|&&count| count >= FREQUENT).count();
    let places = |tuple: usize| float(length - tuple + 1);
    let per_sample = |probability: f64, tuple: usize| probability.powf(1.0 / float(tuple));
    let estimate = |highest: Option<f64>| Some(entropy(upper_bound(highest?, length)));
    Tuples {
        t_tuple: estimate(
            (1..=frequent)
                .map(|tuple| per_sample(float(most[tuple]) / places(tuple), tuple))
                .reduce(f64::max),
        ),
        lrs: estimate(
            (frequent + 1..most.len())
                .map(|tuple| {
                    let all = places(tuple) * (places(tuple) - 1.0) / 2.0;
                    per_sample(pairs[tuple] / all, tuple)
                })
                .reduce(f64::max),
        ),
    }
}

/// By length of the tuple, up to the longest that comes twice: how often the most frequent one comes, and how many pairs
/// of places hold equal tuples. Index 0 is not used.
struct Repetitions {
    most: Vec<usize>,
    pairs: Vec<f64>,
}

fn repetitions(samples: &[u8]) -> Repetitions {
    let order = sorted_suffixes(samples);
    let common = common_prefixes(samples, &order);
    let longest = common.iter().copied().max().unwrap_or(0);
    let mut most = vec![0; longest + 2];
    let mut pair_changes = vec![0.0; longest + 2];

    // A maximal run of neighbours whose common prefixes have at least `depth` symbols is one tuple of each length
    // above what its surroundings share, up to `depth`. The stack holds runs that are still open: (depth, start).
    let mut open: Vec<(usize, usize)> = Vec::new();
    for end in 0..=common.len() {
        let shared = common.get(end).copied().unwrap_or(0);
        let mut start = end;
        while let Some(&(depth, begun)) = open.last() {
            if depth <= shared {
                break;
            }
            open.pop();
            start = begun;
            let outside = open.last().map_or(0, |&(depth, _)| depth).max(shared);
            let count = end - begun + 1;
            let pairs = float(count) * float(count - 1) / 2.0;
            most[depth] = most[depth].max(count);
            pair_changes[depth] += pairs;
            pair_changes[outside] -= pairs;
        }
        if shared > 0 && open.last().is_none_or(|&(depth, _)| depth < shared) {
            open.push((shared, start));
        }
    }
    // Whatever a longer tuple has, each of its prefixes has at least.
    let mut pairs = vec![0.0; longest + 2];
    for tuple in (1..=longest).rev() {
        most[tuple] = most[tuple].max(most[tuple + 1]);
        pairs[tuple] = pairs[tuple + 1] + pair_changes[tuple];
    }
    most.truncate(longest + 1);
    pairs.truncate(longest + 1);
    Repetitions { most, pairs }
}

/// Where the suffixes start, in lexicographic order (Manber and Myers 1993: doubling the sorted prefix each round).
fn sorted_suffixes(samples: &[u8]) -> Vec<usize> {
    let length = samples.len();
    let mut order: Vec<usize> = (0..length).collect();
    order.sort_by_key(|&start| samples[start]);
    let mut rank = vec![0_usize; length];
    for pair in 1..length {
        let step = usize::from(samples[order[pair]] != samples[order[pair - 1]]);
        rank[order[pair]] = rank[order[pair - 1]] + step;
    }
    let (mut by_second, mut next) = (Vec::with_capacity(length), vec![0; length]);
    let mut sorted = 1;
    while sorted < length && rank[order[length - 1]] + 1 < length {
        // Ordered by the second half: those without one first, the others as their second halves are ordered.
        by_second.clear();
        by_second.extend(length - sorted..length);
        by_second.extend(order.iter().filter(|&&start| start >= sorted).map(|start| start - sorted));
        let mut places = vec![0_usize; length + 1];
        for &value in &rank {
            places[value + 1] += 1;
        }
        for value in 0..length {
            places[value + 1] += places[value];
        }
        for &start in &by_second {
            let place = &mut places[rank[start]];
            order[*place] = start;
            *place += 1;
        }
        let key = |start: usize| (rank[start], rank.get(start + sorted));
        next[order[0]] = 0;
        for pair in 1..length {
            let step = usize::from(key(order[pair]) != key(order[pair - 1]));
            next[order[pair]] = next[order[pair - 1]] + step;
        }
        std::mem::swap(&mut rank, &mut next);
        sorted *= 2;
    }
    order
}

/// How many symbols neighbours in the order share at their beginnings (Kasai et al. 2001).
fn common_prefixes(samples: &[u8], order: &[usize]) -> Vec<usize> {
    let mut place = vec![0; order.len()];
    for (n, &start) in order.iter().enumerate() {
        place[start] = n;
    }
    let mut common = vec![0; order.len().saturating_sub(1)];
    let mut shared = 0_usize;
    for start in 0..samples.len() {
        if let Some(&neighbour) = order.get(place[start] + 1) {
            let equal = samples[start + shared..].iter().zip(&samples[neighbour + shared..]);
            shared += equal.take_while(|(a, b)| a == b).count();
            common[place[start]] = shared;
            shared = shared.saturating_sub(1);
        } else {
            shared = 0;
        }
    }
    common
}
