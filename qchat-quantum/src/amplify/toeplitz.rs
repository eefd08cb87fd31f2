//! Hashing by a random Toeplitz matrix over GF(2): a two-universal family (Krawczyk 1994), by which the leftover hash
//! lemma turns weak or partly known bits into short uniform ones.
//!
//! The product is a convolution, done with fast Fourier transforms over floating-point numbers. Bits enter as ±1, so
//! that sums stay small, and every sum is known modulo 4 beforehand: a rounding error shows as a distance from
//! the next allowed value. Single precision leaves distances around 10⁻³ of the gap; should any come near its half, the
//! product is computed again in double precision, where errors stay below 10⁻⁴ for all lengths that are allowed.

use std::{cell::RefCell, sync::Arc};

use rayon::prelude::*;
use realfft::{ComplexToReal, FftNum, RealFftPlanner, RealToComplex, num_complex::Complex};

use crate::bits::Bits;

/// The most bits of input, and of output.
pub const LARGEST: usize = 1 << 30;

/// Outputs and inputs are cut into blocks of this many bits, so that transforms stay within the processor's cache.
const BLOCK: usize = 1 << 16;
/// Frequencies that are multiplied together.
const TILE: usize = 1 << 10;

thread_local! {
    /// Keeps the tables of the transforms, which take longer to make than a product.
    static SINGLE: RefCell<RealFftPlanner<f32>> = RefCell::new(RealFftPlanner::new());
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
    /// Lends a workspace. It holds nothing of what was done before, and nothing of it afterwards.
    fn lend<R>(work: impl FnOnce(&mut Workspace<Self>) -> R) -> R;
}

impl Real for f32 {
    fn lend<R>(work: impl FnOnce(&mut Workspace<Self>) -> R) -> R {
        // Taken out, so that work within work has one of its own.
        let mut lent = WORKSPACE.take();
        let done = work(&mut lent);
        lent.clear();
        WORKSPACE.replace(lent);
        done
    }
}

impl Real for f64 {
    fn lend<R>(work: impl FnOnce(&mut Workspace<Self>) -> R) -> R {
        work(&mut Workspace::default())
    }
}

impl<T: FftNum> Workspace<T> {
    /// What was in it may be a key.
    fn clear(&mut self) {
        let zero = Complex::new(T::zero(), T::zero());
        self.values.fill(T::zero());
        self.spectrum.fill(zero);
        self.scratch.fill(zero);
    }

    /// Room for a transform of this size.
    fn fit(&mut self, size: usize, scratch: usize) {
        let zero = Complex::new(T::zero(), T::zero());
        self.values.resize(size, T::zero());
        self.spectrum.resize(size / 2 + 1, zero);
        self.scratch.resize(scratch, zero);
    }

    /// Transforms bits after `skipped` places of nothing and with nothing behind.
    fn transform(&mut self, forward: &dyn RealToComplex<T>, signs: &Signs<T>, bits: &Bits, skipped: usize) {
        self.fit(forward.len(), forward.get_scratch_len());
        let (before, rest) = self.values.split_at_mut(skipped);
        let (values, behind) = rest.split_at_mut(bits.len());
        before.fill(T::zero());
        behind.fill(T::zero());
        let words = bits.words().iter().flat_map(|word| word.to_le_bytes());
        let (whole, part) = values.as_chunks_mut::<8>();
        let mut bytes = words;
        for (values, byte) in whole.iter_mut().zip(&mut bytes) {
            *values = signs[usize::from(byte)];
        }
        if let Some(byte) = bytes.next() {
            let signs = &signs[usize::from(byte)];
            part.copy_from_slice(&signs[..part.len()]);
        }
        // The lengths are those that the transform itself gave.
        let _ = forward.process_with_scratch(&mut self.values, &mut self.spectrum, &mut self.scratch);
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
            Some(SINGLE.with_borrow_mut(|planner| Plan::new(planner, &seed, inputs, outputs)))
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
        let double = Plan::<f64>::new(&mut RealFftPlanner::new(), &self.seed, self.inputs, self.outputs);
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
    signs: Signs<T>,
    forward: Arc<dyn RealToComplex<T>>,
    inverse: Arc<dyn ComplexToReal<T>>,
}

impl<T: Real> Plan<T> {
    fn new(planner: &mut RealFftPlanner<T>, seed: &Bits, inputs: usize, outputs: usize) -> Self {
        let block = BLOCK.min(inputs.max(outputs).next_power_of_two());
        let (rows, columns) = (outputs.div_ceil(block), inputs.div_ceil(block));
        let one = rows == 1 && columns == 1;
        // What wraps around in a matrix of one block lands before the first place that is read.
        let size = if one { transform_size(inputs + outputs - 1) } else { 2 * block };
        let signs = signs();
        let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let spectra = (0..(rows + columns).saturating_sub(1))
            .into_par_iter()
            .map(|n| {
                // Where the block begins in the seed; the first blocks may begin before it.
                let begin = if one { inputs } else { inputs + n * block };
                let before = if one { inputs } else { columns * block };
                let skipped = before.saturating_sub(begin);
                let length = if one { size } else { 2 * block - 1 };
                let part = seed.slice(begin.saturating_sub(before), length.saturating_sub(skipped));
                Spectrum::of(&*forward, &signs, &part, skipped)
            })
            .collect();
        Self { inputs, outputs, block, columns, one, spectra, signs, forward, inverse }
    }

    /// The product, and whether every sum was clear.
    fn apply(&self, seed: &Bits, input: &Bits) -> (Bits, bool) {
        if let ([spectrum], true) = (&self.spectra[..], self.one) {
            return self.apply_one(spectrum, seed, input);
        }
        let inputs: Vec<_> = (0..self.columns)
            .into_par_iter()
            .map(|a| {
                let part = input.slice(a * self.block, self.block);
                Spectrum::of(&*self.forward, &self.signs, &part, 0)
            })
            .collect();
        let rows = self.spectra.len() + 1 - self.columns;
        // Frequencies in tiles: so many of all spectra stay in the cache while each meets all others.
        let tiles: Vec<Vec<Spectrum<T>>> = (0..self.forward.complex_len().div_ceil(TILE))
            .into_par_iter()
            .map(|tile| (0..rows).map(|b| self.multiply(&inputs, b, tile)).collect())
            .collect();
        let rows: Vec<(Bits, bool)> = (0..rows)
            .into_par_iter()
            .map(|b| {
                let parts = tiles.iter().flat_map(|tile| tile[b].re.iter().zip(&tile[b].im));
                T::lend(|at| {
                    at.fit(self.inverse.len(), self.inverse.get_scratch_len());
                    for (sum, (&re, &im)) in at.spectrum.iter_mut().zip(parts) {
                        *sum = Complex { re, im };
                    }
                    self.back(at);
                    self.round(seed, input, b, &at.values)
                })
            })
            .collect();
        let clear = rows.iter().all(|(_, clear)| *clear);
        let words = rows.into_iter().flat_map(|(bits, _)| bits.words().to_vec()).collect();
        (Bits::from_words(words, self.outputs), clear)
    }

    /// The same for a matrix of one block: all in the workspace.
    fn apply_one(&self, spectrum: &Spectrum<T>, seed: &Bits, input: &Bits) -> (Bits, bool) {
        T::lend(|at| {
            at.transform(&*self.forward, &self.signs, input, 0);
            for (one, (&c, &d)) in at.spectrum.iter_mut().zip(spectrum.re.iter().zip(&spectrum.im)) {
                let Complex { re: a, im: b } = *one;
                *one = Complex { re: a * c - b * d, im: a * d + b * c };
            }
            at.fit(self.inverse.len(), self.inverse.get_scratch_len());
            self.back(at);
            self.round(seed, input, 0, &at.values)
        })
    }

    /// From the spectrum to the values.
    fn back(&self, at: &mut Workspace<T>) {
        // Only lengths can be wrong, and the parts that the transform ignores hold rounding errors.
        let _ = self.inverse.process_with_scratch(&mut at.spectrum, &mut at.values, &mut at.scratch);
    }

    /// One tile of the spectrum of block row `b`.
    fn multiply(&self, inputs: &[Spectrum<T>], b: usize, tile: usize) -> Spectrum<T> {
        let range = tile * TILE..((tile + 1) * TILE).min(self.forward.complex_len());
        let mut sum = Spectrum { re: vec![T::zero(); range.len()], im: vec![T::zero(); range.len()] };
        for (a, input) in inputs.iter().enumerate() {
            let other = &self.spectra[b + self.columns - 1 - a];
            let one = input.re[range.clone()].iter().zip(&input.im[range.clone()]);
            let two = other.re[range.clone()].iter().zip(&other.im[range.clone()]);
            for ((re, im), ((a, b), (c, d))) in sum.re.iter_mut().zip(&mut sum.im).zip(one.zip(two)) {
                *re = *re + (*a * *c - *b * *d);
                *im = *im + (*a * *d + *b * *c);
            }
        }
        sum
    }

    /// The parities behind the sums of block row `b`. Over n places with K ones in the input and S ones in that part of the
    /// seed, bits as ±1 are equal in v = (sum + n)/2 places, and v = n − K − S + 2P, where P counts the places with
    /// two ones. So v must come out whole, and of a parity that is known before.
    fn round(&self, seed: &Bits, input: &Bits, b: usize, values: &[T]) -> (Bits, bool) {
        let scale = 0.5 / float(values.len());
        let offset = 0.5 * float(self.inputs);
        let first = if self.one { self.inputs } else { self.block } - 1;
        let start = b * self.block;
        let length = self.block.min(self.outputs - start);
        // K + S − n; a length of less than 2³¹ is all that memory allows.
        let mut known =
            int(input.count_ones()) + int(seed.slice(start, self.inputs).count_ones()) - int(self.inputs);
        let (leaving, coming) = (seed.slice(start, length), seed.slice(start + self.inputs, length));
        let (mut words, mut worst, mut odd) = (Vec::with_capacity(length.div_ceil(64)), 0.0_f64, 0);
        let (mut doubled, mut equal) = ([0_i32; 64], [0_i32; 64]);
        for (n, values) in values[first..first + length].chunks(64).enumerate() {
            let leaving = leaving.words().get(n).copied().unwrap_or(0);
            let coming = coming.words().get(n).copied().unwrap_or(0);
            for (bit, doubled) in doubled.iter_mut().enumerate() {
                *doubled = known;
                known += i32::from(coming >> bit & 1 == 1) - i32::from(leaving >> bit & 1 == 1);
            }
            for (equal, &value) in equal.iter_mut().zip(values) {
                let places = value.into() * scale + offset;
                #[expect(clippy::cast_possible_truncation, reason = "a count of places, rounded")]
                let whole = (places + 0.5) as i32;
                worst = worst.max((places - f64::from(whole)).abs());
                *equal = whole;
            }
            let mut word = 0;
            for bit in 0..values.len() {
                let twice = equal[bit] + doubled[bit];
                odd |= twice & 1;
                word |= u64::from(twice & 2 == 2) << bit;
            }
            words.push(word);
        }
        (Bits::from_words(words, length), worst < 0.25 && odd == 0)
    }
}

fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Eight bits as numbers, +1 for zero and −1 for one, for each byte.
type Signs<T> = Vec<[T; 8]>;

fn signs<T: FftNum>() -> Signs<T> {
    (0..=u8::MAX)
        .map(|byte| std::array::from_fn(|bit| if byte >> bit & 1 == 1 { -T::one() } else { T::one() }))
        .collect()
}

/// A spectrum as two vectors, which multiply faster than one of pairs.
struct Spectrum<T> {
    re: Vec<T>,
    im: Vec<T>,
}

impl<T: Real> Spectrum<T> {
    /// As [`Workspace::transform`] has it.
    fn of(forward: &dyn RealToComplex<T>, signs: &Signs<T>, bits: &Bits, skipped: usize) -> Self {
        T::lend(|at| {
            at.transform(forward, signs, bits, skipped);
            Self {
                re: at.spectrum.iter().map(|value| value.re).collect(),
                im: at.spectrum.iter().map(|value| value.im).collect(),
            }
        })
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
    fn single_and_double_precision_agree() {
        let mut random = stream(2, Purpose::Public, 0);
        let (inputs, outputs) = (100_000, 50_000);
        let seed = Bits::random(inputs + outputs - 1, &mut random);
        let input = Bits::random(inputs, &mut random);
        let single =
            Plan::<f32>::new(&mut RealFftPlanner::new(), &seed, inputs, outputs).apply(&seed, &input);
        let double =
            Plan::<f64>::new(&mut RealFftPlanner::new(), &seed, inputs, outputs).apply(&seed, &input);
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
