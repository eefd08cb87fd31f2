//! Jobs from the first look at a backend to the last bit.

use std::{sync::Arc, time::Duration};

use qchat_quantum::{
    backend::{Backend, BackendError, Local, Origin, Replay},
    circuit::{Builder, Circuit, TwoQubit, random_bits},
    ibm::{
        Availability, Client, Device, Expected, IbmError, Job, JobId, JobState, Pace, Program, Submission,
        Written,
        poll::{self, Progress},
        submit_once,
    },
    noise::NoiseModel,
};
use qchat_tests::ibm::{BACKEND, Control, End, Fake, OFFLINE, PAUSED, Route};

use super::{QUBITS, job, submission};

async fn ended(client: &Client, id: &JobId) -> Job {
    let pace = Pace { first: Duration::from_millis(1), ..Pace::POLLING };
    poll::wait(client, id, &pace, |_| {}).await.expect("it ends")
}

#[tokio::test]
async fn a_bell_pair_goes_all_the_way_by_either_program() {
    let bell = Circuit::builder(2, 2).h(0).cx(0, 1).measure(0, 0).measure(1, 1).build().expect("a circuit");
    for program in [Program::Sampler, Program::Executor] {
        let fake = Fake::start(Control { queued: 2, running: 1, late_results: 1, ..Control::default() });
        let client = fake.client();

        let listed = client.backends().await.expect("backends");
        let online: Vec<_> =
            listed.iter().filter(|one| one.availability == Availability::Online && !one.simulator).collect();
        assert_eq!((online[0].name.as_str(), online[0].qubits), (BACKEND, Some(QUBITS)));
        assert!(client.status(BACKEND).await.expect("a status").operational);
        let target = client.target(BACKEND).await.expect("a target");
        assert_eq!((target.entangler, target.couplings.len()), (TwoQubit::Cz, 2 * (QUBITS - 1)));

        let lowered = bell.lower(&target).expect("two neighbours");
        let written = Written::new(&lowered).expect("two bits");
        assert!(written.qasm.contains("measure $7"), "the qubit that is read best: {}", written.qasm);
        let submission = Submission { circuits: vec![written], program, shots: 1000, ..submission() };
        let id = submit_once(&client, &submission).await.expect("an id");

        let mut seen = Vec::new();
        let pace = Pace { first: Duration::from_millis(1), ..Pace::POLLING };
        let job = poll::wait(&client, &id, &pace, |progress| match progress {
            Progress::Job(job) => seen.push(job.state.to_string()),
            Progress::Trouble(error) => panic!("{error}"),
        });
        let job = job.await.expect("it ends");
        assert_eq!(seen, ["queued", "queued", "running", "completed"]);
        assert_eq!(job.charged_seconds, Some(2.0));

        let expected = submission.expected();
        assert!(
            client.results(&id, &expected).await.expect("an answer").is_none(),
            "they come a little later"
        );
        let kept: Expected =
            serde_json::from_value(serde_json::to_value(&expected).expect("JSON")).expect("JSON");
        let results = client.results(&id, &kept).await.expect("an answer").expect("results");
        let counts = results[0].counts();
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["00", "11"], "{program:?}");
        assert!(counts.values().all(|count| (400..600).contains(count)), "{counts:?}");

        let usage = client.usage().await.expect("a usage");
        assert_eq!((usage.consumed.to_bits(), usage.remaining), (2.0_f64.to_bits(), Some(598.0)));
        assert_eq!(fake.jobs().len(), 1);
        assert_eq!(fake.requests(Route::Token), 1, "one token does for all");
    }
}

#[tokio::test]
async fn each_circuit_has_its_bits_in_their_places() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    for program in [Program::Sampler, Program::Executor] {
        // Ones at bits 1, 6 and 19 of 20, then one of one bit.
        let ones = [1, 6, 19].into_iter().fold(Circuit::builder(20, 20), Builder::x);
        let ones =
            (0..20).fold(ones, |circuit, qubit| circuit.measure(qubit, qubit)).build().expect("a circuit");
        let zero = Circuit::builder(1, 1).measure(0, 0).build().expect("a circuit");
        let submission = Submission { program, ..job(&[ones, zero], 70) };
        let id = client.submit(&submission).await.expect("an id");
        ended(&client, &id).await;
        let results = client.results(&id, &submission.expected()).await.expect("an answer").expect("results");
        assert_eq!(results.len(), 2);
        for bit in 0..20 {
            let count = if [1, 6, 19].contains(&bit) { 70 } else { 0 };
            assert_eq!(
                results[0].column(bit).expect("a column").count_ones(),
                count,
                "{program:?}: bit {bit}"
            );
        }
        assert_eq!((results[1].bits(), results[1].column(0).expect("a column").count_ones()), (1, 0));
    }
}

#[tokio::test]
async fn noise_of_the_device_is_seen_in_the_results() {
    let fake = Fake::start(Control { noise: NoiseModel::uniform(0.0, 0.0, 0.1), ..Control::default() });
    let client = fake.client();
    let submission = job(&[Circuit::builder(1, 1).measure(0, 0).build().expect("a circuit")], 1000);
    let id = client.submit(&submission).await.expect("an id");
    ended(&client, &id).await;
    let results = client.results(&id, &submission.expected()).await.expect("an answer").expect("results");
    let wrong = results[0].column(0).expect("a column").count_ones();
    assert!((50..150).contains(&wrong), "{wrong} of 1,000");
}

#[tokio::test]
async fn a_job_that_waits_can_be_cancelled_once_and_costs_nothing() {
    let fake = Fake::start(Control { queued: u32::MAX, ..Control::default() });
    let client = fake.client();
    let id = client.submit(&submission()).await.expect("an id");
    assert_eq!(client.job(&id).await.expect("a job").state, JobState::Queued { position: None });
    client.cancel(&id).await.expect("cancelled");
    let job = ended(&client, &id).await;
    assert!(
        matches!(&job.state, JobState::Cancelled { reason } if reason.contains("by the user")),
        "{job:?}"
    );
    let error = client.cancel(&id).await.expect_err("it has ended");
    assert!(matches!(error, IbmError::Final(_)), "{error:?}");
    assert_eq!(client.usage().await.expect("a usage").consumed.to_bits(), 0.0_f64.to_bits());
}

#[tokio::test]
async fn jobs_that_end_badly_say_why() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    for (end, cost, shown, charged) in [
        (End::Cancelled("Maintenance\u{1b}[2J.".to_owned()), None, "cancelled: Maintenance\\u{1b}[2J.", 0.0),
        (
            End::Failed(6000, "Too hot.".to_owned()),
            None,
            "failed with code 6000: Too hot; ask for fewer bits",
            2.0,
        ),
        (End::Completed, Some(1), "cancelled: it ran for longer", 1.0),
    ] {
        fake.change(|control| control.end = end);
        let submission = Submission { cost, ..submission() };
        let id = client.submit(&submission).await.expect("an id");
        let job = ended(&client, &id).await;
        assert!(job.state.to_string().starts_with(shown), "{}", job.state);
        assert_eq!(job.charged_seconds, Some(charged));
        assert!(client.results(&id, &submission.expected()).await.expect("an answer").is_none());
    }
}

#[tokio::test]
async fn private_results_are_kept_before_they_are_read_as_they_come_once() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    let submission = Submission { private: true, ..submission() };
    let id = client.submit(&submission).await.expect("an id");
    ended(&client, &id).await;
    let raw = client.raw_results(&id).await.expect("an answer").expect("results");
    assert!(client.raw_results(&id).await.expect("an answer").is_none(), "a second time there are none");
    let kept = qchat_quantum::ibm::Raw::new(raw.text().to_vec().into());
    let wrong = Expected { shots: 99, ..submission.expected() };
    kept.read(&wrong).expect_err("not what was asked for");
    assert_eq!(kept.read(&submission.expected()).expect("results")[0].shots(), 100);
}

#[tokio::test]
async fn a_circuit_of_another_device_is_refused_at_once_or_in_the_queue() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    let text = "OPENQASM 3.0;\nbit[1] c;\nh $0;\nc[0] = measure $0;\n";
    let circuits = vec![Written { qasm: text.to_owned(), bits: 1 }];
    let submission = Submission { circuits, ..submission() };
    let error = client.submit(&submission).await.expect_err("no h");
    assert!(matches!(&error, IbmError::Circuit(said) if said.code.as_deref() == Some("1517")), "{error:?}");
    assert!(error.to_string().contains("h on qubits (0,)"), "{error}");
    assert!(fake.jobs().is_empty());

    fake.change(|control| control.late_validation = true);
    let id = client.submit(&submission).await.expect("an id");
    let state = ended(&client, &id).await.state;
    assert!(matches!(state, JobState::Failed { code: Some(1517), .. }), "{state:?}");
    assert!(state.to_string().contains("lower the circuits for this backend"), "{state}");
}

#[tokio::test]
async fn who_has_used_up_the_time_is_told_to_wait() {
    let fake = Fake::start(Control { limit: 2.0, ..Control::default() });
    let client = fake.client();
    let id = client.submit(&submission()).await.expect("an id");
    ended(&client, &id).await;
    let error = submit_once(&client, &submission()).await.expect_err("used up");
    assert!(matches!(error, IbmError::UsageLimit(_)), "{error:?}");
    let usage = client.usage().await.expect("a usage");
    assert!(usage.reached && usage.remaining == Some(0.0) && usage.period.is_some(), "{usage:?}");
    assert_eq!(fake.jobs().len(), 1);
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    let at = |backend: &str| Submission { backend: backend.to_owned(), ..submission() };
    let nobody: JobId = "d0".parse().expect("an id");
    for (error, has) in [
        (client.status("ibm_nowhere").await.expect_err("no backend"), "no such backend"),
        (client.target("ibm_nowhere").await.expect_err("no backend"), "no such backend"),
        (client.submit(&at("ibm_nowhere")).await.expect_err("no backend"), "no such backend"),
        (client.submit(&at(OFFLINE)).await.expect_err("offline"), "not available"),
        (client.job(&nobody).await.expect_err("no job"), "no such job"),
        (
            client.results(&nobody, &submission().expected()).await.map(drop).expect_err("no job"),
            "no such job",
        ),
        (client.cancel(&nobody).await.expect_err("no job"), "no such job"),
        (client.status("../jobs").await.expect_err("a path"), "cannot be the name"),
    ] {
        assert!(error.to_string().contains(has), "{error}");
    }
    assert!(!client.status(PAUSED).await.expect("a status").operational);
    assert_eq!(fake.requests(Route::Any), 0);
}

#[tokio::test]
async fn several_tasks_share_a_client_and_its_token() {
    let fake = Fake::start(Control { queued: 1, ..Control::default() });
    let client = Arc::new(fake.client());
    let tasks = (0..4).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            let submission = submission();
            client.target(BACKEND).await?;
            let id = submit_once(&client, &submission).await?;
            let pace = Pace { first: Duration::from_millis(1), ..Pace::POLLING };
            poll::wait(&client, &id, &pace, |_| {}).await?;
            let cancelled = client.cancel(&id).await;
            assert!(cancelled.is_err(), "it has ended");
            client.results(&id, &submission.expected()).await
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic").expect("an answer").expect("results");
    }
    assert_eq!((fake.jobs().len(), fake.requests(Route::Token)), (4, 1));
}

#[tokio::test]
async fn many_random_bits_are_about_half_ones() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    let submission = job(&[random_bits(QUBITS).expect("a circuit")], 2000);
    let id = client.submit(&submission).await.expect("an id");
    ended(&client, &id).await;
    let results = client.results(&id, &submission.expected()).await.expect("an answer").expect("results");
    let bits = results[0].concatenated();
    assert_eq!(bits.len(), 40_000);
    assert!((19_000..21_000).contains(&bits.count_ones()));
}

/// How often the two qubits of a pair are read alike.
async fn alike(backend: &impl Backend, pair: &Circuit) -> usize {
    let samples = backend.run(std::slice::from_ref(pair), 400).await.expect("samples");
    let counts = samples[0].counts();
    ["00", "11"].iter().filter_map(|outcome| counts.get(*outcome)).sum()
}

#[tokio::test]
async fn whatever_runs_circuits_says_where_its_bits_are_from() {
    let pair = Circuit::builder(2, 2).h(0).cx(0, 1).measure(0, 0).measure(1, 1).build().expect("a circuit");
    let fake = Fake::start(Control { queued: 1, running: 1, late_results: 1, ..Control::default() });
    let client = fake.client();
    let pace = Pace { first: Duration::from_millis(1), ..Pace::POLLING };
    let open = Device::open(&client, BACKEND, Program::Sampler).await.expect("a device");
    let device = open.paced(pace).at_most(20);
    assert_eq!((device.name(), device.origin(), device.qubits()), (BACKEND, Origin::Device, QUBITS));
    assert_eq!(alike(&device, &pair).await, 400);

    let simulator = Local::noisy(0.5).seeded(Some(1));
    assert_eq!((simulator.name(), simulator.origin()), ("local", Origin::Simulator));
    let some = alike(&simulator, &pair).await;
    assert!((100..300).contains(&some), "{some} of 400, by noise");
    assert_eq!(alike(&simulator, &pair).await, some, "the same seed");

    let id = fake.jobs()[0].id.parse().expect("an id");
    let results = client.raw_results(&id).await.expect("an answer").expect("results");
    let expected = Expected { program: Program::Sampler, shots: 400, bits: vec![2] };
    let replay = Replay::new(BACKEND, results, expected);
    assert_eq!((replay.name(), replay.origin()), ("replay of ibm_fake", Origin::Recording));
    assert_eq!((alike(&replay, &pair).await, replay.width()), (400, 2));
    assert!([Origin::Recording, Origin::Simulator].iter().all(|origin| !origin.is_quantum()));
    assert_eq!(fake.jobs().len(), 1, "nothing is paid for twice");
    let other = replay.run(&[pair.clone(), pair], 400).await.expect_err("of other circuits");
    assert!(other.to_string().contains("400 shots of 2 circuits"), "{other}");

    // A device that cannot run it, and a job that gives nothing.
    let wide = random_bits(QUBITS + 1).expect("a circuit");
    assert!(matches!(device.run(&[wide], 1).await, Err(BackendError::Lower { .. })));
    fake.change(|control| control.end = End::Failed(1517, "not native".to_owned()));
    let failed = device.run(&[random_bits(1).expect("a circuit")], 1).await.expect_err("it fails");
    assert!(matches!(&failed, BackendError::Ibm(IbmError::Ended(why)) if why.contains("1517")), "{failed}");
}
