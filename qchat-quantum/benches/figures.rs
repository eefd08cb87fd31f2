//! The figures of this crate: `cargo bench -p qchat-quantum --bench figures`, each the best of some runs in one thread.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use qchat_quantum::{amplify::toeplitz::Toeplitz, bits::Bits};
use rand::{SeedableRng, rngs::ChaCha8Rng};

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(toeplitz);
}

/// The best of `runs`.
fn best(runs: usize, mut work: impl FnMut()) -> Duration {
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..runs).map(|_| time(&mut work)).min().unwrap()
}

fn megabits(bits: usize, time: Duration) -> f64 {
    bits as f64 / time.as_secs_f64() / 1e6
}

fn toeplitz() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for power in [14, 16, 18, 20] {
        let inputs = 1 << power;
        let outputs = inputs / 2;
        let seed = Bits::random(inputs + outputs - 1, &mut random);
        let input = Bits::random(inputs, &mut random);
        let fresh = best(20, || {
            let matrix = Toeplitz::new(seed.clone(), inputs, outputs).unwrap();
            std::hint::black_box(matrix.apply(&input).unwrap());
        });
        let matrix = Toeplitz::new(seed.clone(), inputs, outputs).unwrap();
        let again = best(20, || {
            std::hint::black_box(matrix.apply(&input).unwrap());
        });
        println!(
            "toeplitz 2^{power} to half: {:.0} Mbit/s with a fresh seed, {:.0} Mbit/s with a prepared one",
            megabits(inputs, fresh),
            megabits(inputs, again)
        );
    }
}
