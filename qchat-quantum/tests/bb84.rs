//! BB84 and E91 as whole runs, and CHSH from circuits.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test computes with small numbers, and fails by panicking"
)]

use qchat_quantum::{
    bb84::{
        self, Message,
        alice::Alice,
        bob::Bob,
        decoy::{Bounds, Counts, bounds},
        eve::Strategy,
        light::{Detector, Intensities, Line, Source},
        report::confidence_interval,
        run,
    },
    bits::Bits,
    chsh::{Chsh, Setting, circuits},
    distill::{self, AbortReason},
    e91,
    noise::NoiseModel,
    simulator::state_vector,
};

fn near(value: f64, expected: f64, tolerance: f64) -> bool {
    (value - expected).abs() <= tolerance
}

#[test]
fn without_eve_both_get_the_same_key_and_a_report_of_it() {
    let settings =
        bb84::Settings { line: Line { loss_db: 0.0, noise: 0.02 }, seed: 1, ..bb84::Settings::default() };
    let report = run(&settings);
    assert!(!report.aborted && report.keys_match == Some(true), "{report:?}");
    assert!(
        near(report.qber, 0.02, 0.006) && near(report.sifted_bits as f64, 62_500.0, 1000.0),
        "{report:?}"
    );
    assert!(report.qber_interval[0] < report.qber && report.qber < report.qber_interval[1]);
    assert!(report.reconciliation_efficiency.unwrap() < 1.08, "{report:?}");
    assert!((20_000..45_000).contains(&report.final_key_bits), "{report:?}");
    assert!(near(report.key.count_ones() as f64, report.final_key_bits as f64 / 2.0, 500.0));
    assert_eq!(report, run(&settings), "a seed gives the same run");
    assert_ne!(report.key, run(&bb84::Settings { seed: 2, ..settings }).key);

    let json = serde_json::to_value(&report).unwrap();
    for field in [
        "backend",
        "qubits",
        "sifted_bits",
        "qber",
        "reconciliation_efficiency",
        "leaked_bits",
        "final_key_bits",
        "aborted",
        "abort_reason",
        "eps_sec",
        "eps_cor",
        "seed",
        "provenance",
    ] {
        assert!(json.get(field).is_some(), "{field}");
    }
    assert!(json.get("key").is_none() && json["provenance"].as_str().unwrap().contains("simulated"));
}

#[test]
fn a_perfect_line_leaves_nothing_to_correct() {
    let report = run(&bb84::Settings { qubits: 20_000, ..bb84::Settings::default() });
    assert_eq!((report.qber, report.reconciliation_efficiency, report.keys_match), (0.0, None, Some(true)));
}

#[test]
fn whoever_measures_and_resends_is_noticed_in_proportion() {
    for (eve, qber, certain, guessed) in [
        (Strategy::InterceptResend { fraction: 1.0 }, 0.25, 0.5, 0.75),
        (Strategy::Breidbart { fraction: 1.0 }, 0.25, 0.0, 0.8536),
        (Strategy::InterceptResend { fraction: 0.3 }, 0.075, 0.15, 0.575),
    ] {
        let report = run(&bb84::Settings { eve, seed: 3, ..bb84::Settings::default() });
        assert!(near(report.qber, qber, 0.03), "{report:?}");
        let key = (report.sifted_bits - report.test_bits) as f64;
        assert!(near(report.eve_certain_bits.unwrap() as f64 / key, certain, 0.01), "{report:?}");
        assert!(near(report.eve_guessed_bits.unwrap() as f64 / key, guessed, 0.01), "{report:?}");
        if qber > 0.11 {
            assert!(matches!(report.abort_reason, Some(AbortReason::ErrorRate { .. })), "{report:?}");
            assert_eq!((report.final_key_bits, report.key.len()), (0, 0));
        } else {
            // She may listen a little: what she can know is taken off the key.
            assert!(report.final_key_bits < key as usize - report.eve_certain_bits.unwrap());
        }
    }
    // A few bits can never be enough: 1,000 pulses leave nothing after the price of a finite test.
    let few = run(&bb84::Settings { qubits: 1000, ..bb84::Settings::default() });
    assert_eq!(few.abort_reason, Some(AbortReason::NoSecretBits));
    let none = run(&bb84::Settings { qubits: 0, ..bb84::Settings::default() });
    assert_eq!(none.abort_reason, Some(AbortReason::TooFewDetections { detected: 0 }));
}

/// The most errors among so many test bits with which Alice goes on.
fn tolerated(settings: &bb84::Settings, test_bits: usize) -> usize {
    // A first run tells which pulses she sends in the test basis.
    let (mut alice, _) = Alice::prepare(settings);
    let all = Bits::from_words(vec![u64::MAX; settings.qubits.div_ceil(64)], settings.qubits);
    let detected = Message::Detected { clicks: all.clone(), test_basis: all.clone() };
    let Some(Message::Sifted { matched: test, .. }) = alice.handle(detected) else { panic!() };
    assert!(test.count_ones() >= test_bits);
    let mut left = test_bits;
    let clicks: Bits = test
        .iter()
        .map(|test| {
            let counts = !test || left > 0;
            left -= usize::from(test && counts);
            counts
        })
        .collect();
    let goes_on = |errors: usize| {
        let (mut alice, _) = Alice::prepare(settings);
        let detected = Message::Detected { clicks: clicks.clone(), test_basis: test.select(&clicks) };
        let Some(Message::Sifted { test_bits: told, .. }) = alice.handle(detected) else { panic!() };
        assert_eq!(told.len(), test_bits);
        let answer = alice.handle(Message::Compared { errors: vec![errors] });
        assert!(matches!(answer, None | Some(Message::Abort(AbortReason::ErrorRate { .. }))), "{answer:?}");
        answer.is_none()
    };
    (0..=test_bits).take_while(|&errors| goes_on(errors)).last().unwrap()
}

#[test]
fn whoever_measures_and_resends_everything_is_missed_less_than_once_in_a_hundred_million_runs() {
    // Every test bit that Eve has measured is wrong with 1/4 by itself: she is missed when a binomial variable is small.
    let settings = bb84::Settings { qubits: 5_000, seed: 11, ..bb84::Settings::default() };
    let missed = |test_bits: usize| {
        let tolerated = tolerated(&settings, test_bits);
        let mut term = 0.75_f64.powf(test_bits as f64);
        let mut sum = term;
        for errors in 1..=tolerated {
            term *= (test_bits - errors + 1) as f64 / errors as f64 / 3.0;
            sum += term;
        }
        (tolerated, sum)
    };
    let (tolerated, probability) = missed(256);
    assert_eq!(tolerated, 27);
    // P(X ≤ 27) for X of 256 at 1/4, in exact arithmetic: 4.84609657…e-9.
    assert!(near(probability, 4.846_096_57e-9, 1e-16) && probability < 1e-8, "{probability:e}");
    assert!(missed(128).1 > probability, "fewer bits miss more");
}

#[test]
fn splitting_photons_goes_unnoticed_but_for_decoy_states() {
    let line = Line { loss_db: 7.0, noise: 0.01 };
    let base =
        bb84::Settings { qubits: 300_000, line, key_basis: 0.55, seed: 4, ..bb84::Settings::default() };
    let detector = Detector { efficiency: 0.9, dark_counts: 1e-6 };
    let weak = bb84::Settings { source: Source::WeakPulses { mean: 0.5 }, detector, ..base };
    let (honest, split) = (run(&weak), run(&bb84::Settings { eve: Strategy::PhotonNumberSplitting, ..weak }));
    assert!(!honest.aborted && !split.aborted, "{split:?}");
    assert!(
        near(split.detected as f64 / honest.detected as f64, 1.0, 0.03),
        "Bob counts what he expects: {split:?}"
    );
    assert!(near(split.qber, honest.qber, 0.005), "and sees no errors: {split:?}");
    assert!(
        split.eve_certain_bits.unwrap() > (split.sifted_bits - split.test_bits) * 8 / 10,
        "but Eve knows most of it: {split:?}"
    );
    assert!(split.final_key_bits > 0, "and without decoys nobody knows that");

    let source = Source::Decoy(Intensities::default());
    let decoys = bb84::Settings { qubits: 3_000_000, source, detector, ..base };
    let (honest, split) =
        (run(&decoys), run(&bb84::Settings { eve: Strategy::PhotonNumberSplitting, ..decoys }));
    assert!(!honest.aborted && honest.keys_match == Some(true) && honest.final_key_bits > 1000, "{honest:?}");
    assert_eq!(split.abort_reason, Some(AbortReason::NoSecretBits), "{split:?}");
}

#[test]
fn decoy_bounds_hold_for_what_was_sent() {
    // Counts as they are expected for yields 1 − (1 − η)ⁿ and errors e: the bound lies below the truth, and near it.
    let intensities = Intensities { means: [0.5, 0.1, 0.0002], probabilities: [0.5, 0.3, 0.2] };
    let (pulses, eta, error) = (1e12, 0.1, 0.01);
    let gain = |n: usize| pulses * intensities.probabilities[n] * (1.0 - (-eta * intensities.means[n]).exp());
    let counts = Counts {
        key: [0, 1, 2].map(|n| gain(n) as usize),
        test: [0, 1, 2].map(|n| gain(n) as usize),
        errors: [0, 1, 2].map(|n| (error * gain(n)) as usize),
    };
    let Bounds { single, phase_error, vacuum } = bounds(&intensities, &counts, 1e-10).unwrap();
    let means = intensities.means.iter().zip(intensities.probabilities);
    let truth: f64 = pulses * eta * means.map(|(mean, p)| p * mean * (-mean).exp()).sum::<f64>();
    assert!(single <= truth && single > 0.95 * truth, "{single} of {truth}");
    assert!(phase_error >= error && phase_error < 1.4 * error, "{phase_error}");
    assert!(vacuum >= 0.0 && vacuum < 0.001 * truth);
    for means in [[0.1, 0.5, 0.0], [0.5, 0.3, 0.2], [0.5, 0.1, 0.1], [f64::NAN, 0.1, 0.0]] {
        assert_eq!(bounds(&Intensities { means, ..intensities }, &counts, 1e-10), None, "{means:?}");
    }
    assert_eq!(bounds(&intensities, &Counts::default(), 1e-10), None);
}

#[test]
fn messages_that_do_not_belong_end_the_run() {
    let settings = bb84::Settings { qubits: 5000, ..bb84::Settings::default() };
    let start = || {
        let (alice, pulses) = Alice::prepare(&settings);
        (alice, Bob::measure(&settings, &pulses))
    };
    let sifted = |(mut alice, bob): (Alice, Bob)| alice.handle(bob.begin()).unwrap();
    let Message::Sifted { matched, intensities, test_bits, permutations } = sifted(start()) else { panic!() };
    let aborted = Some(Message::Abort(AbortReason::Protocol));
    for wrong in [
        Message::Detected { clicks: Bits::zeros(4999), test_basis: Bits::new() },
        Message::Detected { clicks: Bits::zeros(5000), test_basis: Bits::zeros(1) },
        Message::Compared { errors: vec![0] },
        Message::Distill(distill::Message::Verified),
    ] {
        let (mut alice, _) = start();
        assert_eq!(alice.handle(wrong), aborted);
        assert!(matches!(alice.result(), Some(Err(AbortReason::Protocol))));
    }
    let bits = |n| Bits::zeros(n);
    for wrong in [
        Message::Sifted { matched: bits(3), intensities: vec![], test_bits: bits(0), permutations },
        Message::Sifted { matched: matched.clone(), intensities: vec![], test_bits: bits(1), permutations },
        Message::Sifted {
            matched: matched.clone(),
            intensities: vec![9],
            test_bits: test_bits.clone(),
            permutations,
        },
        Message::Distill(distill::Message::Corrected),
        Message::Detected { clicks: bits(0), test_basis: bits(0) },
    ] {
        let (_, mut bob) = start();
        assert_eq!(bob.handle(wrong), aborted.clone().into_iter().collect::<Vec<_>>());
    }
    // In the middle of it: too few parities, a hash of another length, a seed before the hash.
    for wrong in [
        distill::Message::Parities(bits(1)),
        distill::Message::Amplify(bits(100)),
        distill::Message::Ask(vec![]),
    ] {
        let (_, mut bob) = start();
        let matched = matched.clone();
        let message = Message::Sifted {
            matched,
            intensities: intensities.clone(),
            test_bits: test_bits.clone(),
            permutations,
        };
        assert_eq!(bob.handle(message).len(), 2);
        let answer = bob.handle(Message::Distill(wrong));
        assert_eq!(answer, [Message::Distill(distill::Message::Abort(AbortReason::Protocol))]);
    }
    // Every message survives its own JSON.
    let text = serde_json::to_string(&sifted(start())).unwrap();
    assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), sifted(start()));
}

#[test]
fn entangled_pairs_give_a_key_and_show_that_they_are_entangled() {
    let good = e91::run(&e91::Settings { visibility: 0.96, seed: 5, ..e91::Settings::default() });
    assert!(!good.aborted && good.keys_match == Some(true) && good.final_key_bits > 1000, "{good:?}");
    let [s, error] = good.chsh.unwrap();
    assert!(near(s, 0.96 * e91::TSIRELSON, 5.0 * error), "{good:?}");
    assert!(
        near(good.qber, 0.02, 0.006) && near(good.sifted_bits as f64, 200_000.0 / 9.0, 700.0),
        "{good:?}"
    );

    let tapped = e91::run(&e91::Settings { eve: 1.0, seed: 6, error_limit: 0.5, ..e91::Settings::default() });
    let [s, error] = tapped.chsh.unwrap();
    assert!(s < 2.0 + 5.0 * error, "{tapped:?}");
    assert!(matches!(tapped.abort_reason, Some(AbortReason::Chsh { .. })), "{tapped:?}");
    let noticed = e91::run(&e91::Settings { eve: 1.0, seed: 6, ..e91::Settings::default() });
    assert!(matches!(noticed.abort_reason, Some(AbortReason::ErrorRate { .. })), "{noticed:?}");
    assert!(noticed.eve_certain_bits > Some(0) && noticed.eve_guessed_bits > noticed.eve_certain_bits);
    let none = e91::run(&e91::Settings { pairs: 0, ..e91::Settings::default() });
    assert_eq!(none.abort_reason, Some(AbortReason::TooFewDetections { detected: 0 }));
}

#[test]
fn chsh_is_what_circuits_give_with_its_error() {
    let settings = |noise: &NoiseModel| {
        circuits().unwrap().map(|circuit| {
            let samples = state_vector::sample(&circuit, noise, 20_000, 8_u64.into()).unwrap();
            Setting::from_samples(&samples, 0, 1)
        })
    };
    let perfect = Chsh::from_counts(&settings(&NoiseModel::default())).unwrap();
    assert!(
        near(perfect.s, e91::TSIRELSON, 5.0 * perfect.error) && near(perfect.error, 0.01, 1e-3),
        "{perfect:?}"
    );
    assert!(perfect.deviations() > 50.0);
    // Both readings wrong with probability r: every correlation shrinks by (1 − 2r)².
    let noisy = Chsh::from_counts(&settings(&NoiseModel::uniform(0.0, 0.0, 0.1))).unwrap();
    assert!(near(noisy.s, 0.64 * e91::TSIRELSON, 5.0 * noisy.error) && noisy.deviations() < 0.0, "{noisy:?}");

    let counted = Chsh::from_counts(
        &[(75, 25), (80, 20), (90, 10), (30, 70)].map(|(equal, different)| Setting { equal, different }),
    );
    let by_hand = ((1.0 - 0.25 + 1.0 - 0.36 + 1.0 - 0.64 + 1.0 - 0.16) / 100.0_f64).sqrt();
    let counted = counted.unwrap();
    assert!(near(counted.s, 2.3, 1e-12) && near(counted.error, by_hand, 1e-12), "{counted:?}");
    assert_eq!(Chsh::from_counts(&[Setting::default(); 4]), None);
}

#[test]
fn intervals_are_wilsons() {
    for (successes, trials, low, high) in
        [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 1000, 0.0054, 0.0183)]
    {
        let [a, b] = confidence_interval(successes, trials);
        assert!(near(a, low, 1e-4) && near(b, high, 1e-4), "{successes} of {trials}: {a} to {b}");
    }
}
