//! What both ends of a reconciliation derive from public numbers: frames, permutations, sizes of blocks, and the tree of
//! parities over a permuted frame.

use rand::Rng;

use crate::{
    bits::Bits,
    random::{Purpose, stream},
};

/// log₂ of the bits in a frame.
pub(crate) const DEPTH: u32 = 14;
/// Bits in a frame, those that fill it up included.
pub(crate) const FRAME: usize = 1 << DEPTH;
/// The most passes that can be asked for.
pub(crate) const MOST_PASSES: usize = 64;

const WORDS: usize = FRAME / 64;

/// Frames are all treated alike: pass by pass the same permutations and blocks.
pub(super) struct Schedule {
    seed: u64,
    error_rate: f64,
    filled: Filled,
    passes: Vec<Permutation>,
}

/// How many bits of the string stand in a frame. Its other places are empty, and lie evenly among those that are not, so that the
/// halves of a block have as many bits, or one more.
#[derive(Clone, Copy)]
pub(super) struct Filled(usize);

/// `forward[n]` is the bit of the frame that stands at place n; `back` is its inverse.
pub(super) struct Permutation {
    pub(super) forward: Vec<u16>,
    pub(super) back: Vec<u16>,
}

impl Schedule {
    /// For a string of so many bits.
    pub(super) fn new(seed: u64, error_rate: f64, length: usize) -> Self {
        let filled = Filled(per_frame(length));
        // Empty places have no errors.
        #[expect(clippy::cast_precision_loss, reason = "at most 2¹⁴")]
        let error_rate = error_rate * filled.0 as f64 / FRAME as f64;
        Self { seed, error_rate, filled, passes: Vec::new() }
    }

    /// How many bits stand in a frame.
    pub(super) fn filled(&self) -> Filled {
        self.filled
    }

    /// Makes the permutations up to this pass.
    pub(super) fn prepare(&mut self, pass: usize) {
        while self.passes.len() <= pass {
            self.passes.push(Permutation::random(self.seed, self.passes.len(), self.filled));
        }
    }

    /// A pass that was prepared.
    pub(super) fn pass(&self, pass: usize) -> &Permutation {
        &self.passes[pass]
    }

    /// How deep in the tree the blocks of a pass lie: blocks of pass 0 are about as long as errors are apart, those of
    /// pass 1 four times as long, and all further ones half a frame (Martínez-Mateo et al. 2015, variant 7).
    pub(super) fn depth(&self, pass: usize) -> u32 {
        let first = (1.0 / self.error_rate.clamp(1e-4, 0.25)).log2().ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 2 and 14")]
        let first = first as u32;
        match pass {
            0 => DEPTH - first.min(DEPTH - 1),
            1 => DEPTH - (first + 2).min(DEPTH - 1),
            _ => 1,
        }
    }
}

impl Filled {
    /// How many bits of the string stand below a node of a tree.
    pub(super) fn in_node(self, node: usize) -> usize {
        let depth = node.ilog2();
        let before = |node: usize| ((node - (1 << depth)) * self.0) >> depth;
        before(node + 1) - before(node)
    }
}

impl Permutation {
    /// Fisher and Yates' shuffle of the bits of the string, between which the empty places lie evenly.
    fn random(seed: u64, pass: usize, filled: Filled) -> Self {
        let mut random = stream(seed, Purpose::Public, pass as u64);
        let (mut bits, empty): (Vec<u16>, Vec<u16>) =
            (0..=u16::MAX).take(FRAME).partition(|&bit| usize::from(bit) < filled.0);
        for last in (1..bits.len()).rev() {
            // The bias of a 64-bit product over 2¹⁴ choices is below 2⁻⁵⁰.
            let chosen = (u128::from(random.next_u64()) * (last as u128 + 1)) >> 64;
            #[expect(clippy::cast_possible_truncation, reason = "below FRAME")]
            bits.swap(last, chosen as usize);
        }
        let (mut bits, mut empty) = (bits.into_iter(), empty.into_iter());
        let place = |place| if filled.in_node(FRAME + place) > 0 { bits.next() } else { empty.next() };
        let forward: Vec<u16> = (0..FRAME).filter_map(place).collect();
        let mut back = vec![0; FRAME];
        for (place, &bit) in (0..=u16::MAX).zip(&forward) {
            back[usize::from(bit)] = place;
        }
        Self { forward, back }
    }
}

/// The parity of every node over a permuted frame. Node 1 is the whole frame, 2n and 2n + 1 are the halves of n, and
/// FRAME + p is the bit at place p.
pub(super) struct Tree(Vec<u64>);

impl Tree {
    pub(super) fn new(frame: &[u8; FRAME], permutation: &Permutation) -> Self {
        let mut words = vec![0; 2 * WORDS];
        for (word, places) in words[WORDS..].iter_mut().zip(permutation.forward.as_chunks::<64>().0) {
            *word = places.iter().rev().fold(0, |word, &bit| word << 1 | u64::from(frame[usize::from(bit)]));
        }
        for n in (1..WORDS).rev() {
            words[n] = pairs(words[2 * n]) | pairs(words[2 * n + 1]) << 32;
        }
        words[0] = pairs_below(words[1]);
        Self(words)
    }

    pub(super) fn parity(&self, node: usize) -> bool {
        self.0[node / 64] >> (node % 64) & 1 == 1
    }

    /// Notes that the bit at a place changed.
    pub(super) fn flip(&mut self, place: usize) {
        let mut node = FRAME + place;
        while node > 0 {
            self.0[node / 64] ^= 1 << (node % 64);
            node /= 2;
        }
    }
}

/// The parities of neighbouring bits, in the lower half.
fn pairs(word: u64) -> u64 {
    let mut word = (word ^ word >> 1) & 0x5555_5555_5555_5555;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        word = (word | word >> shift) & mask;
    }
    word
}

/// Nodes 1 to 63 in one word, out of nodes 64 to 127.
fn pairs_below(mut level: u64) -> u64 {
    let mut nodes = 0;
    for width in [32, 16, 8, 4, 2, 1] {
        level = pairs(level);
        nodes |= level << width;
    }
    nodes
}

/// How many bits of a string of this length stand in each of its frames but the last: as many in all, so that none has far fewer
/// than the others, for which its blocks would be too small.
pub(super) fn per_frame(length: usize) -> usize {
    length.div_ceil(length.div_ceil(FRAME).max(1))
}

/// The string cut into frames of one byte a bit, each filled up with zeros.
pub(super) fn frames(bits: &Bits) -> Vec<Box<[u8; FRAME]>> {
    let per_frame = per_frame(bits.len());
    (0..bits.len().div_ceil(FRAME))
        .map(|n| {
            let mut frame = Box::new([0; FRAME]);
            for (place, bit) in frame.iter_mut().zip(bits.slice(n * per_frame, per_frame).iter()) {
                *place = u8::from(bit);
            }
            frame
        })
        .collect()
}
