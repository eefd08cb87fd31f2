//! The figures of this crate: `cargo bench -p qchat-quantum --bench figures`, each the best of some runs on one thread, or as many
//! as `RAYON_NUM_THREADS` says.
//! Words behind `--` choose: simulators, key, bb84, cascade, toeplitz. Products of matrices allocate much: glibc gives
//! memory back and takes it again unless `MALLOC_TRIM_THRESHOLD_` and `MALLOC_MMAP_THRESHOLD_` are large.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark may panic, and prints"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use qchat_quantum::{
    amplify::{finite::binary_entropy, toeplitz::Toeplitz},
    bb84::{self, light::Line},
    bits::Bits,
    circuit::{Circuit, random_bits},
    noise::NoiseModel,
    qrng::harvest::harvest,
    reconcile::cascade::{Corrector, Reference, Settings},
    simulator::{stabilizer, state_vector},
};
use rand::{Rng, SeedableRng, rngs::ChaCha8Rng};

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let threads =
        std::env::var("RAYON_NUM_THREADS").ok().and_then(|threads| threads.parse().ok()).unwrap_or(1);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let all: [(&str, fn()); 5] = [
        ("simulators", simulators),
        ("key", random_key),
        ("bb84", protocol),
        ("cascade", cascade),
        ("toeplitz", toeplitz),
    ];
    for (name, figures) in all {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            pool.install(figures);
        }
    }
}

/// The best of `runs`.
fn best(runs: usize, mut work: impl FnMut()) -> Duration {
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .min()
        .unwrap()
}

fn megabits(bits: usize, time: Duration) -> f64 {
    bits as f64 / time.as_secs_f64() / 1e6
}

fn simulators() {
    let measured =
        |circuit| (0..20).fold(circuit, |circuit: qchat_quantum::circuit::Builder, n| circuit.measure(n, n));
    let all = (0..20).fold(Circuit::builder(20, 20), qchat_quantum::circuit::Builder::h);
    let all = measured((1..20).fold(all, |circuit, n| circuit.cx(n - 1, n))).build().unwrap();
    let one = measured((1..20).fold(Circuit::builder(20, 20).h(0), |circuit, n| circuit.cx(n - 1, n)))
        .build()
        .unwrap();
    for (what, circuit) in [("H on each, CX chain", &all), ("H on one, CX chain", &one)] {
        for (how, sample) in [
            ("state vector", state_vector::sample as fn(&_, &_, _, _) -> _),
            ("stabilizer", stabilizer::sample),
        ] {
            let time = best(20, || {
                black_box(sample(circuit, &NoiseModel::default(), 1024, 1_u64.into()).unwrap());
            });
            println!("20 qubits, {what}, 1024 shots, {how}: {:.2} ms", time.as_secs_f64() * 1e3);
        }
    }
    let bits = random_bits(100_000).unwrap();
    let time = best(5, || {
        black_box(stabilizer::sample(&bits, &NoiseModel::default(), 4096, 1_u64.into()).unwrap());
    });
    println!(
        "random bits, 100,000 qubits × 4096 shots, stabilizer: {:.0} Mbit/s",
        megabits(100_000 * 4096, time)
    );
}

/// 256 bits as a job makes them: simulated, tested, estimated, extracted.
fn random_key() {
    let circuit = random_bits(16).unwrap();
    let time = best(10, || {
        let measured = stabilizer::sample(&circuit, &NoiseModel::default(), 256, 3_u64.into()).unwrap();
        assert!(black_box(harvest(&measured, 0.9).unwrap()).bytes.len() >= 32);
    });
    println!(
        "256-bit key out of 4096 simulated bits, tests and estimators: {:.2} ms",
        time.as_secs_f64() * 1e3
    );
}

fn protocol() {
    for noise in [0.0, 0.01, 0.03] {
        let line = Line { loss_db: 0.0, noise };
        let settings = bb84::Settings { qubits: 1_000_000, line, seed: 1, ..bb84::Settings::default() };
        let mut report = None;
        let time = best(5, || report = Some(bb84::run(&settings)));
        let report = report.unwrap();
        println!(
            "BB84, 1,000,000 qubits, noise {noise}: {:.0} ms, f = {:?}, {} secret bits",
            time.as_secs_f64() * 1e3,
            report.reconciliation_efficiency,
            report.final_key_bits
        );
    }
}

fn cascade() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for rate in [0.01, 0.02, 0.03, 0.04, 0.05, 0.08, 0.11] {
        let (frames, runs) = (64, 50);
        let length = frames << 14;
        let (mut leaked, mut least, mut wrong, mut rounds) = (0, 0.0, 0, 0);
        let mut fastest = Duration::MAX;
        for run in 0..runs {
            let correct = Bits::random(length, &mut random);
            let limit = (rate * 4_294_967_296.0) as u32;
            let received: Bits = correct.iter().map(|bit| bit ^ (random.next_u32() < limit)).collect();
            let settings = Settings { seed: run, error_rate: rate };
            let start = Instant::now();
            let (mut alice, mut bob) =
                (Reference::new(&correct, settings), Corrector::new(&received, settings));
            rounds = 0;
            loop {
                let questions = bob.ask();
                if questions.is_empty() {
                    break;
                }
                rounds += 1;
                let answers = alice.answer(questions).unwrap();
                bob.learn(&answers).unwrap();
            }
            let corrected = bob.bits();
            fastest = fastest.min(start.elapsed());
            leaked += bob.leaked();
            least += length as f64 * binary_entropy(correct.distance(&received) as f64 / length as f64);
            wrong += (0..frames)
                .filter(|frame| corrected.slice(frame << 14, 1 << 14) != correct.slice(frame << 14, 1 << 14))
                .count();
        }
        println!(
            "cascade at {rate}: f = {:.4}, {wrong} of {} frames wrong, {:.1} Mbit/s, {rounds} rounds",
            leaked as f64 / least,
            frames * runs as usize,
            megabits(length, fastest)
        );
    }
}

fn toeplitz() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for power in [14, 16, 18, 20] {
        let inputs = 1 << power;
        let outputs = inputs / 2;
        let seed = Bits::random(inputs + outputs - 1, &mut random);
        let input = Bits::random(inputs, &mut random);
        let fresh = best(50, || {
            let matrix = Toeplitz::new(seed.clone(), inputs, outputs).unwrap();
            black_box(matrix.apply(&input).unwrap());
        });
        let matrix = Toeplitz::new(seed.clone(), inputs, outputs).unwrap();
        let again = best(50, || {
            black_box(matrix.apply(&input).unwrap());
        });
        println!(
            "toeplitz 2^{power} to half: {:.0} Mbit/s with a fresh seed, {:.0} Mbit/s with a prepared one",
            megabits(inputs, fresh),
            megabits(inputs, again)
        );
    }
}
