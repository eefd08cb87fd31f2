//! Cascade between two ends that exchange nothing but questions and parities.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use qchat_quantum::{
    bits::Bits,
    reconcile::cascade::{CascadeError, Corrector, Question, Reference, Settings},
};
use rand::{Rng, SeedableRng, rngs::ChaCha8Rng};

/// `bits` with errors at this rate.
fn noisy(bits: &Bits, rate: f64, random: &mut impl Rng) -> Bits {
    bits.iter().map(|bit| bit ^ (f64::from(random.next_u32()) < rate * 4_294_967_296.0)).collect()
}

fn run(alice: &mut Reference, bob: &mut Corrector) {
    loop {
        let questions = bob.ask();
        if questions.is_empty() {
            return;
        }
        let answers = alice.answer(questions).unwrap();
        bob.learn(&answers).unwrap();
    }
}

fn entropy(p: f64) -> f64 {
    -p * p.log2() - (1.0 - p) * (1.0 - p).log2()
}

#[test]
fn errors_are_found_at_every_rate_with_little_more_than_the_least_leak() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    // In whole frames, and in strings that leave some of the last one's places empty.
    let frames = [(0.01, 1.06), (0.02, 1.06), (0.03, 1.06), (0.05, 1.06), (0.08, 1.09), (0.11, 1.09)];
    let frames = frames.map(|(rate, most)| (20 << 14, rate, most));
    let others = [45_000, 16_500, 12_000, 9_000, 5_000].map(|length| (length, 0.02, 1.1));
    for (length, rate, most) in frames.into_iter().chain(others) {
        let correct = Bits::random(length, &mut random);
        let received = noisy(&correct, rate, &mut random);
        let settings = Settings { seed: 1, error_rate: rate };
        let (mut alice, mut bob) = (Reference::new(&correct, settings), Corrector::new(&received, settings));
        run(&mut alice, &mut bob);
        assert_eq!(bob.bits(), correct, "at {rate}");
        assert_eq!(bob.corrected(), correct.distance(&received));
        assert_eq!(alice.leaked(), bob.leaked());
        #[expect(clippy::cast_precision_loss)]
        let efficiency = {
            let rate = correct.distance(&received) as f64 / length as f64;
            bob.leaked() as f64 / (length as f64 * entropy(rate))
        };
        assert!((1.0..most).contains(&efficiency), "f = {efficiency} at {rate} of {length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_length_any_rate_and_any_guess_of_the_rate_is_corrected(
        length in 0usize..40_000, rate in 0.0..0.2, guess in 0.0..0.5, seed: u64,
    ) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let correct = Bits::random(length, &mut random);
        let received = noisy(&correct, rate, &mut random);
        let settings = Settings { seed, error_rate: guess };
        let (mut alice, mut bob) = (Reference::new(&correct, settings), Corrector::new(&received, settings));
        run(&mut alice, &mut bob);
        // A pair of errors that hid in all passes shows in the hash that both compare next; further passes find it.
        if bob.bits() != correct {
            bob.extend(20);
            run(&mut alice, &mut bob);
        }
        prop_assert_eq!(bob.bits(), correct);
        prop_assert_eq!(alice.leaked(), bob.leaked());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn parities_that_are_not_true_come_to_an_end(
        length in 1usize..40_000, rate in 0.0..0.1, lies in 0.0..0.6, seed: u64,
    ) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let correct = Bits::random(length, &mut random);
        let received = noisy(&correct, rate, &mut random);
        let settings = Settings { seed, error_rate: rate };
        let (mut alice, mut bob) = (Reference::new(&correct, settings), Corrector::new(&received, settings));
        loop {
            let questions = bob.ask();
            if questions.is_empty() {
                break;
            }
            let answers = noisy(&alice.answer(questions).unwrap(), lies, &mut random);
            if let Err(error) = bob.learn(&answers) {
                prop_assert_eq!(error, CascadeError::Contradiction);
                break;
            }
        }
        prop_assert!(bob.corrected() <= length, "a bit is changed once");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let settings = Settings { seed: 1, error_rate: 0.01 };
    let bits = Bits::zeros(20_000);
    let mut alice = Reference::new(&bits, settings);
    for (frame, pass, block) in [(2, 0, 1), (0, 64, 1), (0, 0, 0), (0, 0, 1 << 15), (u32::MAX, 255, u16::MAX)]
    {
        assert_eq!(alice.answer(&[Question { frame, pass, block }]), Err(CascadeError::Question));
    }
    assert_eq!(alice.leaked(), 0);
    let mut bob = Corrector::new(&bits, settings);
    let asked = bob.ask().len();
    assert_eq!(bob.learn(&Bits::zeros(asked - 1)), Err(CascadeError::Answers { asked, answered: asked - 1 }));
    bob.learn(&Bits::zeros(asked)).unwrap();
}
