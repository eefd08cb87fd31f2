//! The estimators and health tests held to what NIST's own tool says (SP800-90B_EntropyAssessment, `ea_non_iid -v`), and
//! to the numbers that SP 800-90B prints with its definitions.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use qchat_quantum::qrng::{
    estimate::{Estimates, collision, estimates, markov, most_common_value, tuples},
    health::{HealthError, HealthTests, proportion_cutoff, repetition_cutoff},
};

/// SplitMix64, so that the sequences which NIST's tool was given can be made again.
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }
}

const LENGTH: usize = 20_000;

fn byte(value: u64) -> u8 {
    u8::try_from(value).unwrap()
}

/// Uniform symbols of so many bits.
fn uniform(bits: u32) -> Vec<u8> {
    let mut generator = Generator(1);
    (0..LENGTH).map(|_| byte(generator.next() >> (64 - bits))).collect()
}

/// Ones with probability 0.3.
fn biased() -> Vec<u8> {
    let mut generator = Generator(2);
    (0..LENGTH).map(|_| u8::from(generator.next() >> 56 < 77)).collect()
}

/// Each bit equals the one before with probability 0.75.
fn sticky() -> Vec<u8> {
    let mut generator = Generator(3);
    let mut bits = vec![0];
    while bits.len() < LENGTH {
        let last = bits[bits.len() - 1];
        bits.push(if generator.next() >> 56 < 192 { last } else { 1 - last });
    }
    bits
}

/// A pattern of seven bits with 5 % errors.
fn periodic() -> Vec<u8> {
    let mut generator = Generator(4);
    (0..LENGTH).map(|n| [0, 1, 1, 0, 1, 0, 0][n % 7] ^ u8::from(generator.next() >> 56 < 13)).collect()
}

/// The lower of two numbers below 16.
fn skewed() -> Vec<u8> {
    let mut generator = Generator(5);
    (0..LENGTH)
        .map(|_| {
            let value = generator.next();
            byte((value >> 60).min(value >> 56 & 15))
        })
        .collect()
}

/// In the order of SP 800-90B §6.3.
fn listed(estimates: &Estimates) -> [Option<f64>; 10] {
    [
        estimates.most_common_value,
        estimates.collision,
        estimates.markov,
        estimates.compression,
        estimates.t_tuple,
        estimates.lrs,
        estimates.multi_mcw,
        estimates.lag,
        estimates.multi_mmc,
        estimates.lz78y,
    ]
}

#[test]
fn every_estimator_says_what_nists_tool_says() {
    let none = f64::NAN;
    #[rustfmt::skip]
    let table = [
        ("uniform", uniform(1), [0.950_631_577, 0.798_115_090, 0.973_031_994, 0.684_128_329, 0.891_245_030, 0.920_009_047,
            0.982_829_247, 0.977_149_843, 0.968_159_519, 0.957_102_263]),
        ("biased", biased(), [0.499_190_628, 0.496_375_053, 0.521_095_217, 0.301_466_592, 0.499_190_628, 0.759_377_789,
            0.499_767_953, 0.756_063_389, 0.499_655_363, 0.499_701_243]),
        ("sticky", sticky(), [0.972_825_684, 0.204_635_751, 0.409_148_029, 0.256_016_415, 0.420_008_764, 0.671_138_878,
            0.672_171_142, 0.390_020_812, 0.390_136_844, 0.390_474_959]),
        ("periodic", periodic(), [0.803_562_966, 0.550_592_912, 0.832_682_691, 0.235_795_255, 0.121_867_260, 0.181_975_058,
            0.807_624_832, 0.146_625_023, 0.100_587_778, 0.806_877_797]),
        ("skewed", skewed(), [2.958_185_302, none, none, none, 2.909_381_885, 3.519_509_803,
            3.053_210_379, 3.516_011_501, 3.054_537_797, 3.063_293_946]),
        ("bytes", uniform(8), [7.263_119_252, none, none, none, 7.263_119_252, 7.624_018_156,
            7.474_381_336, 6.970_854_799, 6.970_830_686, 6.970_468_836]),
    ];
    for (name, samples, expected) in table {
        let estimates = estimates(&samples);
        for (n, (ours, nist)) in listed(&estimates).into_iter().zip(expected).enumerate() {
            match ours {
                Some(ours) => {
                    assert!((ours - nist).abs() < 1e-6, "{name}, §6.3.{}: {ours}, not {nist}", n + 1);
                }
                None => assert!(nist.is_nan(), "{name}, §6.3.{}: nothing, not {nist}", n + 1),
            }
        }
        let lowest = expected.into_iter().filter(|value| !value.is_nan()).fold(f64::INFINITY, f64::min);
        assert!((estimates.lowest().unwrap() - lowest).abs() < 1e-6, "{name}");
    }
}

#[test]
fn the_examples_printed_in_the_standard_come_out() {
    let ternary = [0, 1, 1, 2, 0, 1, 2, 2, 0, 1, 0, 1, 1, 0, 2, 2, 1, 0, 2, 1];
    let binary = [
        1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0,
        1, 0, 1, 1, 1, 0,
    ];
    for (section, ours, printed) in [
        ("6.3.1", most_common_value(&ternary), 0.5363),
        ("6.3.2", collision(&binary), 0.4483),
        ("6.3.3", markov(&binary), 0.761),
    ] {
        assert!((ours.unwrap() - printed).abs() < 6e-4, "§{section}: {ours:?}, not {printed}");
    }
}

#[test]
fn what_is_certain_has_no_entropy_and_too_few_samples_have_no_estimate() {
    for constant in [vec![0; 10_000], vec![1; 10_000]] {
        let estimates = estimates(&constant);
        assert!(estimates.lowest().unwrap() < 1e-3, "{estimates:?}");
        assert!(
            listed(&estimates).into_iter().flatten().all(|entropy| (0.0..0.01).contains(&entropy)),
            "{estimates:?}"
        );
    }
    for length in 0..20 {
        let estimates = estimates(&[0, 1].repeat(10)[..length]);
        assert_eq!((estimates.compression, estimates.multi_mcw), (None, None));
        assert_eq!(estimates.most_common_value.is_some(), length >= 2);
    }
}

proptest! {
    #[test]
    fn counts_of_tuples_are_those_of_looking_at_each(samples in prop::collection::vec(0u8..3, 2..400)) {
        let length = samples.len();
        let counts = |size: usize| {
            let mut tuples: Vec<&[u8]> = samples.windows(size).collect();
            tuples.sort_unstable();
            tuples.chunk_by(|a, b| a == b).map(<[&[u8]]>::len).collect::<Vec<_>>()
        };
        let float = |n: usize| f64::from(u32::try_from(n).unwrap());
        let entropy = |p: f64| -(p + 2.575_829_303_548_901 * (p * (1.0 - p) / float(length - 1)).sqrt()).min(1.0).log2();
        let (mut frequent, mut repeated) = (None::<f64>, None::<f64>);
        let mut ended = false;
        for size in 1..length {
            let counts = counts(size);
            let places = float(length - size + 1);
            let most = counts.iter().copied().max().unwrap();
            ended |= most < 35;
            let (best, p) = if ended {
                let pairs: f64 = counts.iter().map(|&count| float(count) * (float(count) - 1.0)).sum();
                (&mut repeated, pairs / places / (places - 1.0))
            } else {
                (&mut frequent, float(most) / places)
            };
            if most >= 2 {
                *best = Some(best.unwrap_or(0.0).max(p.powf(1.0 / float(size))));
            }
        }
        let ours = tuples(&samples);
        for (ours, theirs) in [(ours.t_tuple, frequent.map(entropy)), (ours.lrs, repeated.map(entropy))] {
            prop_assert_eq!(ours.is_some(), theirs.is_some());
            prop_assert!((ours.unwrap_or(0.0) - theirs.unwrap_or(0.0)).abs() < 1e-9, "{:?} {:?}", ours, theirs);
        }
    }
}

#[test]
fn cutoffs_are_those_of_the_standard() {
    let alpha = 2_f64.powi(-20);
    for (entropy, repetition, proportion) in
        [(1.0, 21, 589), (0.5, 41, 793), (0.1, 201, 991), (0.01, 2001, 1025)]
    {
        assert_eq!(repetition_cutoff(entropy, alpha).unwrap(), repetition);
        assert_eq!(proportion_cutoff(entropy, alpha, 1024).unwrap(), proportion);
    }
    for entropy in [0.0, -1.0, 1.01, f64::NAN, f64::INFINITY] {
        assert_eq!(repetition_cutoff(entropy, alpha), Err(HealthError::Entropy));
        assert_eq!(HealthTests::new(entropy).unwrap_err(), HealthError::Entropy);
    }
}

#[test]
fn a_source_that_sticks_or_leans_is_stopped_and_stays_stopped() {
    let mut generator = Generator(6);
    let mut healthy = || generator.next() >> 63 == 1;
    let start: Vec<bool> = (0..1024).map(|_| healthy()).collect();
    let mut tests = HealthTests::start_up(1.0, start.iter().copied()).unwrap();
    for _ in 0..100_000 {
        tests.feed(healthy()).unwrap();
    }
    // Twenty equal samples in a row may be chance, the twenty-first is not.
    tests.feed(false).unwrap();
    for _ in 0..20 {
        tests.feed(true).unwrap();
    }
    assert_eq!(tests.feed(true), Err(HealthError::Repetition(21)));
    assert_eq!(tests.feed(false), Err(HealthError::Repetition(21)), "a failure lasts");

    // Four of five samples equal: no long runs, but far too many of one value.
    let leaning = (0..1024).map(|n| n % 5 != 4);
    let failure = HealthTests::start_up(1.0, leaning.clone().collect::<Vec<_>>().into_iter()).unwrap_err();
    assert_eq!(failure, HealthError::Proportion(589));
    let expected_to_lean = HealthTests::start_up(0.2, leaning.collect::<Vec<_>>().into_iter());
    assert!(expected_to_lean.is_ok(), "{expected_to_lean:?}");

    let few = HealthTests::start_up(1.0, start[..1023].iter().copied()).unwrap_err();
    assert_eq!(few, HealthError::TooFew(1023));
}
