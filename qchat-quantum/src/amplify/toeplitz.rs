//! Hashing by a random Toeplitz matrix over GF(2): a two-universal family (Krawczyk 1994), by which the leftover hash
//! lemma turns weak or partly known bits into short uniform ones.
//!
//! The product is a convolution, done with fast Fourier transforms over floating-point numbers. Bits enter as ±1, so
//! that sums stay small, and every sum is known modulo 4 beforehand: a rounding error shows as a distance from
//! the next allowed value. Single precision leaves distances around 10⁻³ of the gap; should any come near its half, the
//! product is computed again in double precision, where errors stay below 10⁻⁴ for all lengths that are allowed.
//!
//! Real numbers a₀ … of a transform of size 2h go in as the h complex ones aⱼ + i·aⱼ₊ₕ, turned by ωʲ with ωʰ = i: products of such
//! spectra are convolutions in which what wraps around comes back negative. It comes to places that nobody reads, and a transform of
//! half the size needs no step between real and complex numbers, which would take half as long again.

use std::{
    cell::RefCell,
    mem::take,
    ops::{Deref, DerefMut, Range},
    sync::{Arc, Mutex, PoisonError},
};

use fearless_simd::{Level, dispatch};
use rayon::prelude::*;
use rustfft::{Fft, FftNum, FftPlanner, num_complex::Complex};

use crate::bits::Bits;

/// The most bits of input, and of output.
pub const LARGEST: usize = 1 << 30;

/// Outputs and inputs are cut into blocks of this many bits, so that transforms stay within the processor's cache.
const BLOCK: usize = 1 << 16;
/// Frequencies that are multiplied together: those of all blocks of a million bits stay in the fastest cache.
const TILE: usize = 1 << 7;

/// Sizes of transforms whose tables a thread keeps, the last ones.
const KEPT: usize = 4;

/// Vectors that are kept for spectra: those of a million bits, 20 MiB. The system takes memory back, and clears it for the next, which
/// takes longer than the transforms.
static ROOM: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());
const ROOMS: usize = 80;
/// How many tiles apart spectra begin at most.
const PLACES: usize = 128;

thread_local! {
    /// Keeps the tables of transforms, which take longer to make than a product.
    static SINGLE: RefCell<Vec<Arc<Transform<f32>>>> = const { RefCell::new(vec![]) };
    /// Keeps what transforms work in, all zeros: asking the system for megabytes takes as long as a transform.
    static WORKSPACE: RefCell<Workspace<f32>> = RefCell::new(Workspace::default());
}

/// What a transform works in.
#[derive(Default)]
struct Workspace<T> {
    values: Vec<T>,
    spectrum: Vec<Complex<T>>,
    scratch: Vec<Complex<T>>,
}

/// A precision.
trait Real: FftNum + Into<f64> {
    /// A workspace that holds nothing of what was done before.
    fn borrow() -> Workspace<Self>;

    /// Keeps one that holds nothing for the next who borrows.
    fn give_back(workspace: Workspace<Self>);

    /// The transform of this size, which is even.
    fn transform(size: usize) -> Arc<Transform<Self>>;

    /// Room for numbers that was used before, or none.
    fn room() -> Vec<Self>;

    /// Keeps room for whoever asks next, as far as it is little.
    fn keep_room(room: Vec<Self>);
}

impl Real for f32 {
    fn room() -> Vec<Self> {
        ROOM.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn keep_room(room: Vec<Self>) {
        let mut rooms = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.len() < ROOMS && room.capacity() <= 2 * BLOCK {
            rooms.push(room);
        }
    }

    fn borrow() -> Workspace<Self> {
        // Taken out, so that work within work has one of its own.
        WORKSPACE.take()
    }

    fn give_back(workspace: Workspace<Self>) {
        WORKSPACE.replace(workspace);
    }

    fn transform(size: usize) -> Arc<Transform<Self>> {
        SINGLE.with_borrow_mut(|kept| {
            if let Some(known) = kept.iter().find(|known| 2 * known.half == size) {
                return known.clone();
            }
            kept.truncate(KEPT - 1);
            kept.insert(0, Arc::new(Transform::new(size)));
            kept[0].clone()
        })
    }
}

impl Real for f64 {
    fn room() -> Vec<Self> {
        Vec::new()
    }

    fn keep_room(_: Vec<Self>) {}

    fn borrow() -> Workspace<Self> {
        Workspace::default()
    }

    fn give_back(_: Workspace<Self>) {}

    fn transform(size: usize) -> Arc<Transform<Self>> {
        Arc::new(Transform::new(size))
    }
}

/// A workspace for several transforms one after the other. Nothing of them is in it afterwards: it may be a key.
struct Lent<T: Real>(Workspace<T>);

impl<T: Real> Lent<T> {
    fn new() -> Self {
        Self(T::borrow())
    }
}

impl<T: Real> Deref for Lent<T> {
    type Target = Workspace<T>;

    fn deref(&self) -> &Workspace<T> {
        &self.0
    }
}

impl<T: Real> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut Workspace<T> {
        &mut self.0
    }
}

impl<T: Real> Drop for Lent<T> {
    fn drop(&mut self) {
        /// Where it was longer before, too.
        fn wipe<N: Copy>(numbers: &mut Vec<N>, zero: N) {
            numbers.fill(zero);
            numbers.resize(numbers.capacity(), zero);
        }
        let zero = Complex::new(T::zero(), T::zero());
        wipe(&mut self.0.values, T::zero());
        wipe(&mut self.0.spectrum, zero);
        wipe(&mut self.0.scratch, zero);
        T::give_back(Workspace {
            values: take(&mut self.0.values),
            spectrum: take(&mut self.0.spectrum),
            scratch: take(&mut self.0.scratch),
        });
    }
}

/// The transforms of one size, 2h real numbers.
struct Transform<T> {
    half: usize,
    forward: Arc<dyn Fft<T>>,
    inverse: Arc<dyn Fft<T>>,
    /// The real parts of ωʲ, and the imaginary ones.
    turns: (Vec<T>, Vec<T>),
    signs: Signs<T>,
    /// What the processor does at once.
    level: Level,
}

impl<T: Real> Transform<T> {
    fn new(size: usize) -> Self {
        let half = size / 2;
        let mut planner = FftPlanner::new();
        let angle = |n: usize| std::f64::consts::FRAC_PI_2 * float(n) / float(half);
        let number = |value: f64| T::from_f64(value).unwrap_or_else(T::zero);
        let turns = (0..half).map(|n| number(angle(n).cos())).collect();
        let turns = (turns, (0..half).map(|n| number(angle(n).sin())).collect());
        let (forward, inverse) = (planner.plan_fft_forward(half), planner.plan_fft_inverse(half));
        Self { half, forward, inverse, turns, signs: signs(), level: Level::new() }
    }

    /// From bits, after `skipped` places of nothing and with nothing behind, to their spectrum.
    fn forward(&self, at: &mut Workspace<T>, bits: &Bits, skipped: usize) {
        at.fit(self.half, self.forward.get_inplace_scratch_len());
        at.expand(&self.signs, bits, skipped);
        let (real, imaginary) = at.values.split_at(self.half);
        let turns = self.turns.0.iter().zip(&self.turns.1);
        let values = real.iter().zip(imaginary).zip(turns);
        for (one, ((&a, &b), (&c, &d))) in at.spectrum.iter_mut().zip(values) {
            *one = Complex { re: a * c - b * d, im: a * d + b * c };
        }
        self.forward.process_with_scratch(&mut at.spectrum, &mut at.scratch);
    }

    /// From a spectrum to those values that begin at `first`.
    fn back(&self, at: &mut Workspace<T>, first: usize, count: usize) {
        at.fit(self.half, self.inverse.get_inplace_scratch_len());
        self.inverse.process_with_scratch(&mut at.spectrum, &mut at.scratch);
        let half = self.half;
        let (reals, rest) =
            (first.min(half)..(first + count).min(half), first.max(half)..(first + count).max(half));
        let (real, imaginary) = at.values.split_at_mut(half);
        let turned = |range: Range<usize>| {
            let turns = self.turns.0[range.clone()].iter().zip(&self.turns.1[range.clone()]);
            at.spectrum[range].iter().zip(turns)
        };
        for (value, (one, (&c, &d))) in real[reals.clone()].iter_mut().zip(turned(reals)) {
            *value = one.re * c + one.im * d;
        }
        let rest = rest.start - half..rest.end - half;
        for (value, (one, (&c, &d))) in imaginary[rest.clone()].iter_mut().zip(turned(rest)) {
            *value = one.im * c - one.re * d;
        }
    }
}

impl<T: FftNum> Workspace<T> {
    /// Room for a transform to half as many complex numbers as there are values.
    fn fit(&mut self, half: usize, scratch: usize) {
        let zero = Complex::new(T::zero(), T::zero());
        self.values.resize(2 * half, T::zero());
        self.spectrum.resize(half, zero);
        self.scratch.resize(scratch, zero);
    }

    /// Bits as values.
    fn expand(&mut self, signs: &Signs<T>, bits: &Bits, skipped: usize) {
        let (before, rest) = self.values.split_at_mut(skipped);
        let (values, behind) = rest.split_at_mut(bits.len());
        before.fill(T::zero());
        behind.fill(T::zero());
        let (whole, part) = values.as_chunks_mut::<8>();
        let mut bytes = bits.words().iter().flat_map(|word| word.to_le_bytes());
        for (values, byte) in whole.iter_mut().zip(&mut bytes) {
            *values = signs[usize::from(byte)];
        }
        if let Some(byte) = bytes.next() {
            let signs = &signs[usize::from(byte)];
            part.copy_from_slice(&signs[..part.len()]);
        }
    }
}

/// The matrix cannot be made or applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ToeplitzError {
    /// The seed has another length than inputs + outputs − 1.
    #[error("a Toeplitz matrix of {inputs} by {outputs} takes {} bits of seed, not {seed}", inputs + outputs - 1)]
    Seed {
        /// Bits in.
        inputs: usize,
        /// Bits out.
        outputs: usize,
        /// Bits of seed that came.
        seed: usize,
    },
    /// More bits than one product takes.
    #[error("a Toeplitz matrix has at most {LARGEST} bits of input and of output")]
    Size,
    /// The input has another length than the matrix takes.
    #[error("the matrix takes {0} bits, not {1}")]
    Input(usize, usize),
}

/// A matrix that was prepared for any number of inputs.
///
/// Output bit i is the sum over j of seed bit (inputs − 1 + i − j) times input bit j: the first row is the seed's
/// first `inputs` bits backwards, the first column goes on from there.
pub struct Toeplitz {
    inputs: usize,
    outputs: usize,
    seed: Bits,
    /// Nothing where the matrix has no places.
    single: Option<Plan<f32>>,
}

impl Toeplitz {
    /// The matrix for a seed of `inputs + outputs − 1` bits, which must be uniform, may be public, and must not be known
    /// before the input is fixed.
    ///
    /// # Errors
    /// [`ToeplitzError::Seed`], [`ToeplitzError::Size`].
    pub fn new(seed: Bits, inputs: usize, outputs: usize) -> Result<Self, ToeplitzError> {
        if inputs > LARGEST || outputs > LARGEST {
            return Err(ToeplitzError::Size);
        }
        let single = if inputs == 0 || outputs == 0 {
            None
        } else if seed.len() == inputs + outputs - 1 {
            Some(Plan::new(&seed, inputs, outputs))
        } else {
            return Err(ToeplitzError::Seed { inputs, outputs, seed: seed.len() });
        };
        Ok(Self { inputs, outputs, seed, single })
    }

    /// The product of matrix and input.
    ///
    /// # Errors
    /// [`ToeplitzError::Input`].
    pub fn apply(&self, input: &Bits) -> Result<Bits, ToeplitzError> {
        if input.len() != self.inputs {
            return Err(ToeplitzError::Input(self.inputs, input.len()));
        }
        let Some(single) = &self.single else {
            return Ok(Bits::zeros(self.outputs));
        };
        let (product, clear) = single.apply(&self.seed, input);
        if clear {
            return Ok(product);
        }
        let double = Plan::<f64>::new(&self.seed, self.inputs, self.outputs);
        Ok(double.apply(&self.seed, input).0)
    }
}

/// Hashes one input: [`Toeplitz::new`] and [`Toeplitz::apply`].
///
/// # Errors
/// Those of both.
pub fn hash(seed: Bits, input: &Bits, outputs: usize) -> Result<Bits, ToeplitzError> {
    Toeplitz::new(seed, input.len(), outputs)?.apply(input)
}

/// The matrix as blocks: block row b and block column a need only the spectrum number b − a.
struct Plan<T: Real> {
    inputs: usize,
    outputs: usize,
    block: usize,
    columns: usize,
    /// Whether the whole matrix is one block.
    one: bool,
    /// For b − a = −(columns − 1) first.
    spectra: Vec<Spectrum<T>>,
    transform: Arc<Transform<T>>,
}

impl<T: Real> Plan<T> {
    fn new(seed: &Bits, inputs: usize, outputs: usize) -> Self {
        let block = BLOCK.min(inputs.max(outputs).next_power_of_two());
        let (rows, columns) = (outputs.div_ceil(block), inputs.div_ceil(block));
        let one = rows == 1 && columns == 1;
        // What wraps around in a matrix of one block lands before the first place that is read.
        let size = if one { transform_size(inputs + outputs - 1) } else { 2 * block };
        let transform = T::transform(size);
        let spectra = (0..(rows + columns).saturating_sub(1))
            .into_par_iter()
            .map_init(Lent::new, |at, n| {
                // Where the block begins in the seed; the first blocks may begin before it.
                let begin = if one { inputs } else { inputs + n * block };
                let before = if one { inputs } else { columns * block };
                let skipped = before.saturating_sub(begin);
                let length = if one { size } else { 2 * block - 1 };
                let part = seed.slice(begin.saturating_sub(before), length.saturating_sub(skipped));
                transform.forward(at, &part, skipped);
                Spectrum::of(&at.spectrum, n, false)
            })
            .collect();
        Self { inputs, outputs, block, columns, one, spectra, transform }
    }

    /// The product, and whether every sum was clear.
    fn apply(&self, seed: &Bits, input: &Bits) -> (Bits, bool) {
        if let ([spectrum], true) = (&self.spectra[..], self.one) {
            return self.apply_one(spectrum, seed, input);
        }
        let inputs: Vec<_> = (0..self.columns)
            .into_par_iter()
            .map_init(Lent::new, |at, a| {
                self.transform.forward(at, &input.slice(a * self.block, self.block), 0);
                Spectrum::of(&at.spectrum, self.spectra.len() + a, true)
            })
            .collect();
        let rows = self.spectra.len() + 1 - self.columns;
        // Frequencies in tiles: so many of all spectra stay in the cache while each meets all others.
        let mut tiles = vec![Complex::new(T::zero(), T::zero()); rows * self.transform.half];
        tiles.par_chunks_mut(rows * TILE).enumerate().for_each(|(tile, sums)| {
            let range = tile * TILE..((tile + 1) * TILE).min(self.transform.half);
            dispatch!(self.transform.level, _ => multiply(self, &inputs, &range, sums));
        });
        let count = rows;
        let rows: Vec<(Bits, bool)> = (0..rows)
            .into_par_iter()
            .map_init(Lent::new, |at, b| {
                at.fit(self.transform.half, 0);
                for (part, tile) in at.spectrum.chunks_mut(TILE).zip(tiles.chunks(count * TILE)) {
                    part.copy_from_slice(&tile[b * part.len()..][..part.len()]);
                }
                self.round(at, seed, input, b)
            })
            .collect();
        let clear = rows.iter().all(|(_, clear)| *clear);
        let words = rows.into_iter().flat_map(|(bits, _)| bits.words().to_vec()).collect();
        (Bits::from_words(words, self.outputs), clear)
    }

    /// The same for a matrix of one block: all in the workspace.
    fn apply_one(&self, spectrum: &Spectrum<T>, seed: &Bits, input: &Bits) -> (Bits, bool) {
        let mut at = Lent::new();
        self.transform.forward(&mut at, input, 0);
        let (re, im) = spectrum.part(&(0..self.transform.half));
        for (one, (&c, &d)) in at.spectrum.iter_mut().zip(re.iter().zip(im)) {
            let Complex { re: a, im: b } = *one;
            *one = Complex { re: a * c - b * d, im: a * d + b * c };
        }
        self.round(&mut at, seed, input, 0)
    }

    /// The parities behind the sums of block row `b`, whose spectrum is in the workspace. Over n places with K ones in the input and S
    /// ones in that part of the seed, bits as ±1 are equal in v = (sum + n)/2 places, and v = n − K − S + 2P, where P counts the places
    /// with two ones. So v must come out whole, and of a parity that is known before.
    fn round(&self, at: &mut Workspace<T>, seed: &Bits, input: &Bits, b: usize) -> (Bits, bool) {
        /// Added to a number below 2⁵¹ it leaves the nearest whole one in the lowest bits.
        const WHOLE: f64 = 6_755_399_441_055_744.0;
        let scale = 0.5 / float(self.transform.half);
        let offset = 0.5 * float(self.inputs);
        let first = if self.one { self.inputs } else { self.block } - 1;
        let start = b * self.block;
        let length = self.block.min(self.outputs - start);
        self.transform.back(at, first, length);
        // K + S − n modulo 4, and what is added to it from place to place.
        let known = input.count_ones() + seed.slice(start, self.inputs).count_ones();
        let mut known = (known.wrapping_sub(self.inputs) & 3) as u64;
        let (leaving, coming) = (seed.slice(start, length), seed.slice(start + self.inputs, length));
        let (mut words, mut clear, mut odd) = (Vec::with_capacity(length.div_ceil(64)), true, 0);
        let mut equal = [0_u64; 64];
        for (n, values) in at.values[first..first + length].chunks(64).enumerate() {
            let leaving = leaving.words().get(n).copied().unwrap_or(0);
            let coming = coming.words().get(n).copied().unwrap_or(0);
            for (equal, &value) in equal.iter_mut().zip(values) {
                let places = value.into() * scale + offset;
                let whole = places + WHOLE;
                clear &= (places - (whole - WHOLE)).abs() < 0.25;
                *equal = whole.to_bits();
            }
            // Both bits of the count of equal places modulo 4, for all places of the word.
            let (mut ones, mut twos) = (0, 0);
            for (bit, equal) in equal[..values.len()].iter().enumerate() {
                ones |= (equal & 1) << bit;
                twos |= (equal >> 1 & 1) << bit;
            }
            let counts = Counts::from(known, coming, leaving);
            known = counts.after;
            let mask = u64::MAX >> (64 - values.len());
            odd |= (ones ^ counts.ones) & mask;
            words.push((twos ^ counts.twos ^ (ones & counts.ones)) & mask);
        }
        (Bits::from_words(words, length), clear && odd == 0)
    }
}

/// One tile of the spectra of all block rows, one row after the other. Inlined, because only that is compiled for the widest registers
/// that a processor may have.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it would be compiled for the least of processors")]
fn multiply<T: Real>(plan: &Plan<T>, inputs: &[Spectrum<T>], range: &Range<usize>, sums: &mut [Complex<T>]) {
    let (mut re, mut im) = ([T::zero(); TILE], [T::zero(); TILE]);
    let (re, im) = (&mut re[..range.len()], &mut im[..range.len()]);
    for (b, sums) in sums.chunks_exact_mut(range.len()).enumerate() {
        re.fill(T::zero());
        im.fill(T::zero());
        // The block columns meet the spectra backwards.
        for (one, two) in inputs.iter().zip(plan.spectra[b..b + plan.columns].iter().rev()) {
            let (one, two) = (one.part(range), two.part(range));
            let (one, two) = (one.0.iter().zip(one.1), two.0.iter().zip(two.1));
            for ((re, im), ((a, b), (c, d))) in re.iter_mut().zip(im.iter_mut()).zip(one.zip(two)) {
                *re = *re + (*a * *c - *b * *d);
                *im = *im + (*a * *d + *b * *c);
            }
        }
        for (sum, (&re, &im)) in sums.iter_mut().zip(re.iter().zip(im.iter())) {
            *sum = Complex { re, im };
        }
    }
}

/// A count modulo 4 before each of 64 places, a bit of it in each word, and after them.
struct Counts {
    ones: u64,
    twos: u64,
    after: u64,
}

impl Counts {
    /// It begins with `known`; where `coming` has a bit it grows by one, and where `leaving` has one it shrinks.
    fn from(known: u64, coming: u64, leaving: u64) -> Self {
        // −1 is 3.
        let (mut ones, mut twos) = (coming ^ leaving, leaving & !coming);
        for shift in [1, 2, 4, 8, 16, 32] {
            let (more, twice) = (ones << shift, twos << shift);
            twos ^= twice ^ (ones & more);
            ones ^= more;
        }
        let all = (ones >> 63) + (twos >> 63) * 2;
        // Before the place, and with what there was.
        (ones, twos) = (ones << 1, twos << 1);
        let (begun_one, begun_two) = (u64::MAX * (known & 1), u64::MAX * (known >> 1 & 1));
        Self { ones: ones ^ begun_one, twos: twos ^ begun_two ^ (ones & begun_one), after: (known + all) & 3 }
    }
}

/// Eight bits as numbers, +1 for zero and −1 for one, for each byte.
type Signs<T> = Vec<[T; 8]>;

fn signs<T: FftNum>() -> Signs<T> {
    (0..=u8::MAX)
        .map(|byte| std::array::from_fn(|bit| if byte >> bit & 1 == 1 { -T::one() } else { T::one() }))
        .collect()
}

/// A spectrum as two vectors, which multiply faster than one of pairs.
struct Spectrum<T: Real> {
    re: Vec<T>,
    im: Vec<T>,
    /// Where it begins in each.
    begin: [usize; 2],
    /// Whether it is of a key: what was public needs no wiping.
    secret: bool,
}

impl<T: Real> Spectrum<T> {
    /// The `place`th of those that are multiplied together: none begins where another does, or all would be kept in the same few lines
    /// of the processor's cache.
    fn of(spectrum: &[Complex<T>], place: usize, secret: bool) -> Self {
        let (mut re, mut im) = (T::room(), T::room());
        let places = if spectrum.len() < BLOCK { 1 } else { PLACES };
        let begin = [2 * place, 2 * place + 1].map(|place| place % places * TILE);
        re.resize(begin[0], T::zero());
        im.resize(begin[1], T::zero());
        re.extend(spectrum.iter().map(|value| value.re));
        im.extend(spectrum.iter().map(|value| value.im));
        Self { re, im, begin, secret }
    }

    /// Some of it: real parts, imaginary parts.
    fn part(&self, range: &Range<usize>) -> (&[T], &[T]) {
        let [re, im] = self.begin.map(|begin| begin + range.start..begin + range.end);
        (&self.re[re], &self.im[im])
    }
}

impl<T: Real> Drop for Spectrum<T> {
    fn drop(&mut self) {
        for numbers in [&mut self.re, &mut self.im] {
            if self.secret {
                numbers.fill(T::zero());
            }
            numbers.clear();
            T::keep_room(take(numbers));
        }
    }
}

/// The smallest 2ᵃ or 3·2ᵃ from `least` on that is even: sizes for which the transforms are quick.
fn transform_size(least: usize) -> usize {
    let power = least.next_power_of_two().max(2);
    if power >= 8 && power / 4 * 3 >= least { power / 4 * 3 } else { power }
}

#[expect(clippy::cast_precision_loss, reason = "bits in memory are far fewer than 2⁵²")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::{Purpose, stream};

    /// The product as the matrix says it.
    fn by_rows(seed: &Bits, input: &Bits, outputs: usize) -> Bits {
        let inputs = input.len();
        let mut backwards = Bits::zeros(inputs);
        for j in 0..inputs {
            backwards.set(inputs - 1 - j, input.get(j));
        }
        (0..outputs)
            .map(|i| {
                let row = seed.slice(i, inputs);
                let ones: u32 =
                    row.words().iter().zip(backwards.words()).map(|(a, b)| (a & b).count_ones()).sum();
                ones % 2 == 1
            })
            .collect()
    }

    proptest! {
        #[test]
        fn products_are_those_of_the_matrix(inputs in 1usize..700, outputs in 1usize..700, seed: u64) {
            let mut random = stream(seed, Purpose::Public, 0);
            let seed = Bits::random(inputs + outputs - 1, &mut random);
            let input = Bits::random(inputs, &mut random);
            prop_assert_eq!(hash(seed.clone(), &input, outputs).unwrap(), by_rows(&seed, &input, outputs));
        }
    }

    #[test]
    fn products_of_many_blocks_are_those_of_the_matrix() {
        let mut random = stream(1, Purpose::Public, 0);
        for (inputs, outputs) in
            [(131_072, 100), (131_073, 65), (300_000, 1), (64, 262_145), (300_000, 140_000)]
        {
            let seed = Bits::random(inputs + outputs - 1, &mut random);
            let input = Bits::random(inputs, &mut random);
            let ours = hash(seed.clone(), &input, outputs).unwrap();
            // Every row of the large ones would take minutes; their first, last and some between do.
            let rows: Vec<usize> = (0..outputs).step_by(outputs.div_ceil(300)).chain([outputs - 1]).collect();
            for i in rows {
                let row = by_rows(&seed.slice(i, inputs), &input, 1);
                assert_eq!(ours.get(i), row.get(0), "{inputs} to {outputs}, output {i}");
            }
        }
    }

    #[test]
    fn inputs_and_seeds_without_any_randomness_are_hashed_as_exactly() {
        let (inputs, outputs) = (300_000, 140_000);
        let ones = |length: usize| Bits::from_words(vec![u64::MAX; length.div_ceil(64)], length);
        let all = hash(ones(inputs + outputs - 1), &ones(inputs), outputs).unwrap();
        assert_eq!(all.count_ones(), 0, "an even number of ones in each row");
        let all = hash(ones(inputs + outputs), &ones(inputs + 1), outputs).unwrap();
        assert_eq!(all.count_ones(), outputs, "an odd number");
        let none = hash(Bits::zeros(inputs + outputs - 1), &ones(inputs), outputs).unwrap();
        assert_eq!(none.count_ones(), 0);
    }

    #[test]
    fn counts_are_those_of_counting() {
        let mut random = stream(3, Purpose::Public, 0);
        let words = Bits::random(2 * 64 * 50, &mut random);
        for (n, pair) in (0..).zip(words.words().chunks(2)) {
            let (coming, leaving) = (pair[0], pair[1]);
            let mut known = n % 4;
            let counts = Counts::from(known, coming, leaving);
            for place in 0..64 {
                assert_eq!((counts.ones >> place & 1) + 2 * (counts.twos >> place & 1), known, "{place}");
                known = (known + 4 + (coming >> place & 1) - (leaving >> place & 1)) % 4;
            }
            assert_eq!(counts.after, known);
        }
    }

    #[test]
    fn a_workspace_holds_nothing_afterwards() {
        let mut random = stream(4, Purpose::Public, 0);
        for (inputs, outputs) in [(1_000, 500), (140_000, 70_000)] {
            let seed = Bits::random(inputs + outputs - 1, &mut random);
            let input = Bits::random(inputs, &mut random);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            let clean = pool.install(|| {
                hash(seed, &input, outputs).unwrap();
                WORKSPACE.with_borrow(|at| {
                    let zeros = |values: &[Complex<f32>]| values.iter().all(|value| value.norm_sqr() == 0.0);
                    assert!(!at.values.is_empty(), "it is kept");
                    at.values.iter().all(|value| *value == 0.0) && zeros(&at.spectrum) && zeros(&at.scratch)
                })
            });
            assert!(clean);
        }
    }

    #[test]
    fn single_and_double_precision_agree() {
        let mut random = stream(2, Purpose::Public, 0);
        let (inputs, outputs) = (100_000, 50_000);
        let seed = Bits::random(inputs + outputs - 1, &mut random);
        let input = Bits::random(inputs, &mut random);
        let single = Plan::<f32>::new(&seed, inputs, outputs).apply(&seed, &input);
        let double = Plan::<f64>::new(&seed, inputs, outputs).apply(&seed, &input);
        assert!(single.1 && double.1);
        assert_eq!(single.0, double.0);
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        let seed = |length| Bits::zeros(length);
        assert_eq!(
            hash(seed(10), &seed(8), 4).unwrap_err(),
            ToeplitzError::Seed { inputs: 8, outputs: 4, seed: 10 }
        );
        let matrix = Toeplitz::new(seed(11), 8, 4).unwrap();
        assert_eq!(matrix.apply(&seed(7)).unwrap_err(), ToeplitzError::Input(8, 7));
        assert_eq!(hash(seed(0), &seed(0), 0).unwrap(), seed(0));
        assert_eq!(hash(seed(0), &seed(0), 5).unwrap(), seed(5));
        assert_eq!(hash(seed(7), &seed(8), 0).unwrap(), seed(0));
    }
}
