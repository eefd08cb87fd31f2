//! Quantum jobs on a quantum computer, through the program: a stand-in for IBM Quantum runs them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    process::Command,
};

use qchat_quantum::noise::{NoiseModel, Readout};
use qchat_tests::{
    client::Client,
    daemon::Daemon,
    database::Backend,
    faketime,
    ibm::{BACKEND, CRN, Control, End, Fake, KEY, Mishap, PAUSED, Route},
    process::{Output, Process},
    small_disk::Small,
};
use serde_json::Value;

/// A user with an account at the stand-in.
struct User {
    client: Client,
    key_file: PathBuf,
    url: String,
    identity: String,
}

impl User {
    fn new(fake: &Fake) -> Self {
        Self::of(Client::new("http://127.0.0.1:9", "alice"), fake)
    }

    fn of(client: Client, fake: &Fake) -> Self {
        let key_file = client.file("api-key");
        fs::write(&key_file, format!("{KEY}\n")).expect("a file");
        fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).expect("its mode");
        let config = fake.config();
        Self { client, key_file, url: config.api_url.to_string(), identity: config.iam_url.to_string() }
    }

    /// The command with what it takes to reach the stand-in.
    fn quantum<'a>(&'a self, command: &'a str) -> Vec<&'a str> {
        let key_file = self.key_file.to_str().expect("a UTF-8 path");
        let account = [
            "--ibm-crn",
            CRN,
            "--ibm-key-file",
            key_file,
            "--ibm-url",
            &self.url,
            "--ibm-iam-url",
            &self.identity,
        ];
        ["quantum"].into_iter().chain(command.split(' ')).chain(account).collect()
    }

    fn json(&self, command: &str) -> Vec<Value> {
        self.client.json(&self.quantum(command))
    }

    /// Bits in the pool: of a quantum computer's, of a simulator's.
    fn pool(&self) -> (Value, Value) {
        let level = &self.json("pool")[0];
        (level["quantum_bits"].clone(), level["simulated_bits"].clone())
    }

    /// Goes on with all jobs; where it is not known whether one was submitted, when that is certain.
    fn resume_to_the_end(&self) {
        let resumed = self.client.run(&self.quantum("resume"));
        if resumed.code == Some(3) {
            assert!(resumed.stderr.contains("it is not known yet whether"), "{resumed:?}");
            drop(self.later("+16m", "resume").expect_code(0));
        }
    }

    /// Does something when so much time has passed, by the clock.
    fn later(&self, offset: &str, command: &str) -> Output {
        let file = self.client.file("offset");
        fs::write(&file, offset).expect("an offset");
        let mut later = self.client.command(&self.quantum(command));
        later.envs(faketime::settings(&file).expect("the library that sets clocks"));
        Process::start(&mut later).finish()
    }

    fn jobs(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        self.json("jobs").iter().map(|job| (text(&job["state"]), text(&job["backend"]))).collect()
    }
}

fn all_requests(fake: &Fake) -> usize {
    let routes =
        [Route::Token, Route::Backends, Route::Submit, Route::List, Route::Job, Route::Results, Route::Usage];
    routes.into_iter().map(|route| fake.requests(route)).sum()
}

#[test]
fn bits_of_a_quantum_computer_come_into_the_pool_and_are_called_so() {
    let fake = Fake::start(Control { queued: 1, running: 1, late_results: 1, ..Control::default() });
    let user = User::new(&fake);
    let names: Vec<_> = user.json("backends").iter().map(|backend| backend["name"].clone()).collect();
    assert!(names.contains(&"local".into()) && names.contains(&BACKEND.into()), "{names:?}");

    // Nobody is asked, and nothing is spent.
    let asked = user.client.fails(2, &user.quantum("run qrng --backend ibm"));
    assert!(asked.contains("--yes"), "{asked}");
    let dear = user.client.fails(6, &user.quantum("run qrng --backend ibm --yes --ibm-budget 9"));
    assert!(dear.contains("--ibm-budget"), "{dear}");
    assert!(fake.jobs().is_empty());

    let report = &user.json("run qrng --backend ibm --bits 512 --yes")[0];
    assert_eq!((&report["backend"], &report["quantum"]), (&Value::from(BACKEND), &Value::from(true)));
    assert!(
        report["provenance"]
            .as_str()
            .is_some_and(|words| words.contains("its operator") || words.contains("whose operator"))
    );
    assert_eq!((&report["quantum_seconds"], &report["fallback"]), (&Value::from(2.0), &Value::Null));
    assert_eq!(user.pool(), (512.into(), 0.into()));

    let submitted = &user.json("run chsh --shots 2000 --backend ibm_fake --yes --detach")[0];
    assert_eq!(submitted["state"], "queued");
    assert_eq!(user.json("resume")[0]["state"], "done");
    let shown = &user.json(&format!("show {}", submitted["job"].as_str().expect("an id")))[0];
    assert!(shown["s"].as_f64().is_some_and(|s| s > 2.5), "{shown}");
    assert_eq!(fake.jobs().len(), 2);
    let usage = &user.json("usage")[0];
    assert_eq!((&usage["used_seconds"], &usage["limit_seconds"]), (&4.0.into(), &600.0.into()), "{usage}");
    assert_eq!((&usage["spent_seconds"], &usage["budget_seconds"]), (&4.0.into(), &60.0.into()), "{usage}");

    let cancelled = &user.json("run qrng --backend ibm --yes --detach")[0];
    let id = cancelled["job"].as_str().expect("an id");
    assert_eq!(user.json(&format!("cancel {id}"))[0]["state"], "cancelled");
    assert_eq!(fake.requests(Route::Cancel), 1);
    assert!(user.json("resume").is_empty());
}

#[test]
fn the_simulator_takes_what_a_quantum_computer_does_not_and_everything_says_so() {
    let failed = || End::Failed(1517, "not native".to_owned());
    let refused = Mishap::Status(409, None);
    let storm = Mishap::Status(503, None);
    let zeros = Readout { one_for_zero: 0.0, zero_for_one: 1.0 };
    for (what, control, mishap, charged, word) in [
        ("a job that fails", Control { end: failed(), ..Control::default() }, None, 1, "1517"),
        ("no time left", Control::default(), Some((Route::Submit, 1, refused)), 0, "used up its time"),
        ("a service that is down", Control::default(), Some((Route::Backends, 99, storm.clone())), 0, "503"),
        ("a use that nobody tells", Control::default(), Some((Route::Usage, 99, storm)), 0, "503"),
        (
            "a job that the service ends",
            Control { end: End::Cancelled("maintenance".to_owned()), ..Control::default() },
            None,
            1,
            "maintenance",
        ),
        (
            "bits that are not random",
            Control { noise: NoiseModel { readout: zeros, ..NoiseModel::default() }, ..Control::default() },
            None,
            1,
            "nothing of what was measured is used",
        ),
    ] {
        let fake = Fake::start(control);
        if let Some((route, times, mishap)) = &mishap {
            fake.happen(*route, *times, mishap);
        }
        let user = User::new(&fake);
        let output = user.client.run(&user.quantum("run qrng --backend ibm --yes --json"));
        let output = output.expect_code(0);
        let report = &output.json()[0];
        assert_eq!((&report["backend"], &report["quantum"]), (&"local".into(), &false.into()), "{what}");
        let why = report["fallback"]["why"].as_str().expect("a reason");
        assert!(why.contains(word), "{what}: {why}");
        assert!(
            output.stderr.contains("this ran on local") && output.stderr.contains(word),
            "{}",
            output.stderr
        );
        assert!(report["provenance"].as_str().is_some_and(|words| words.contains("simulator")));
        assert_eq!(user.pool(), (0.into(), 256.into()), "{what}");
        assert_eq!(fake.jobs().len(), charged, "{what}");
    }
    // Where that is not wanted, nothing comes of it.
    let fake = Fake::start(Control { end: failed(), ..Control::default() });
    let user = User::new(&fake);
    let said = user.client.fails(6, &user.quantum("run qrng --backend ibm --yes --no-fallback"));
    assert!(said.contains("1517"), "{said}");
    assert_eq!(user.pool(), (0.into(), 0.into()));
}

#[test]
fn a_job_whose_program_is_killed_at_any_moment_is_finished_later_and_paid_once() {
    for requests in 1..=16 {
        let fallback = requests % 2 == 0;
        // It is in each state for a while.
        let fake = Fake::start(Control { queued: 2, running: 2, late_results: 2, ..Control::default() });
        if requests % 3 == 0 {
            // It has arrived, and the program does not get to know.
            fake.happen(Route::Submit, 1, &Mishap::Lost);
        }
        let user = User::new(&fake);
        user.json("run qrng");
        let command = "run qrng --backend ibm --yes --no-fallback";
        let command = if fallback { command.trim_end_matches(" --no-fallback") } else { command };
        killed_after(requests, &fake, &user, command);
        // What the stand-in was at when the program died, it does all the same.
        user.resume_to_the_end();
        let jobs = user.jobs();
        let charged = fake.jobs();
        let what = format!("after {requests} requests, with fallback {fallback}: {jobs:?}, {charged:?}");
        assert!(charged.len() <= 1 && jobs.len() <= 2, "{what}");
        assert!(jobs.iter().all(|(state, _)| state == "done"), "{what}");
        assert_eq!(charged.len(), jobs.iter().filter(|(_, backend)| backend == BACKEND).count(), "{what}");
    }
}

#[test]
fn a_fallback_that_is_killed_at_any_moment_is_finished_later_and_brings_its_bits_once() {
    for requests in 5..=10 {
        let failed = End::Failed(1517, "not native".to_owned());
        let fake = Fake::start(Control { end: failed, ..Control::default() });
        let user = User::new(&fake);
        user.json("run qrng");
        killed_after(requests, &fake, &user, "run qrng --backend ibm --yes");
        user.resume_to_the_end();
        let jobs = user.jobs();
        assert!(
            jobs.iter().all(|job| *job == ("done".to_owned(), "local".to_owned())),
            "{requests}: {jobs:?}"
        );
        assert!(fake.jobs().len() <= 1, "{requests}: {:?}", fake.jobs());
        assert_eq!(user.pool(), (0.into(), (256 * jobs.len()).into()), "{requests}: {jobs:?}");
    }
}

/// Runs a command until the stand-in has seen so many requests, and kills it.
fn killed_after(requests: usize, fake: &Fake, user: &User, command: &str) {
    let mut running = user.client.start(&user.quantum(command));
    while all_requests(fake) < requests && running.is_running() {
        std::thread::yield_now();
    }
    running.kill();
}

#[test]
fn a_full_disk_costs_no_results_that_are_paid_for() {
    let small = Small::mount(16).expect("a file system of its own");
    let fake = Fake::start(Control { queued: u32::MAX, ..Control::default() });
    let client = Client::new("http://127.0.0.1:9", "alice");
    symlink(small.path(), client.data_directory()).expect("a link");
    let user = User::of(client, &fake);
    user.json("run qrng");
    user.json("run qrng --backend ibm --yes --detach");

    // It is full when the results come.
    let waiting = user.client.start(&user.quantum("resume"));
    while fake.requests(Route::Job) < 2 {
        std::thread::yield_now();
    }
    small.fill().expect("no byte left");
    fake.change(|control| control.queued = 0);
    let full = waiting.finish();
    assert!(full.code != Some(0) && full.stderr.contains("disk is full"), "{full:?}");
    // And when somebody wants to spend more.
    let full = user.client.run(&user.quantum("run chsh --backend ibm --yes"));
    assert!(full.code != Some(0) && full.stderr.contains("disk is full"), "{full:?}");
    assert!(!full.stderr.contains("damaged"), "{full:?}");
    assert_eq!(fake.jobs().len(), 1, "nothing is submitted that cannot be written down");

    small.free().expect("room again");
    let ended = user.json("resume");
    assert_eq!((ended.len(), &ended[0]["state"]), (1, &"done".into()), "{ended:?}");
    assert_eq!((user.pool(), fake.jobs().len()), ((256.into(), 256.into()), 1));
}

#[test]
fn the_executor_runs_jobs_where_it_is_asked_for() {
    let fake = Fake::start(Control::default());
    let user = User::new(&fake);
    let report = &user.json("run chsh --shots 2000 --backend ibm --yes --ibm-executor")[0];
    assert!(report["s"].as_f64().is_some_and(|s| s > 2.5), "{report}");
    user.json("run qrng --backend ibm --yes");
    // It goes on with what it was given, whatever is asked for now.
    user.json("run qrng --backend ibm --yes --detach --ibm-executor");
    assert_eq!(user.json("resume")[0]["state"], "done");
    let executed: Vec<bool> = fake.jobs().iter().map(|job| job.executor).collect();
    assert_eq!((executed, user.pool()), (vec![true, false, true], (512.into(), 0.into())));
}

#[test]
fn jobs_that_run_elsewhere_are_shown_as_they_are_there() {
    let fake = Fake::start(Control { queued: 1_000, ..Control::default() });
    let user = User::new(&fake);
    let id = user.json("run chsh --shots 500 --backend ibm --yes --detach")[0]["job"].clone();
    let id = id.as_str().expect("an id");
    let waiting = &user.json("jobs")[0];
    let remote = &waiting["remote"];
    assert_eq!((&waiting["state"], &remote["state"]), (&"queued".into(), &"queued".into()));
    let before = remote["before"].as_u64().expect("a number");
    assert!(before < 1_000 && remote["starts_at"] == "2026-11-30T12:00:00Z", "{remote}");
    let shown = user.client.ok(&user.quantum(&format!("show {id}"))).join("\n");
    assert!(shown.contains(" before it, thought to start 2026-11-30"), "{shown}");

    // Where nobody says its place, how many wait for the device.
    fake.change(|control| control.tells_places = false);
    let remote = &user.json("jobs")[0]["remote"];
    assert_eq!((&remote["before"], &remote["queue"]), (&Value::Null, &1.into()));
    // Where nobody says anything, what was known.
    fake.happen(Route::Job, 1, &Mishap::Status(503, None));
    for account in [true, false] {
        let words = if account { user.quantum("jobs") } else { vec!["quantum", "jobs"] };
        let unknown = user.client.run(&words).expect_code(0);
        assert!(unknown.stderr.contains("as they were known last"), "{unknown:?}");
        assert!(unknown.lines.iter().any(|line| line.contains("queued")), "{unknown:?}");
    }

    // A moment that no calendar has elsewhere is none.
    let odd = r#"{"position_in_queue":null,"estimated_start_time":"9999-12-31T23:59:59-01:00"}"#;
    fake.happen(Route::Metrics, 1, &Mishap::Instead(odd.as_bytes().to_vec()));
    assert_eq!(user.json("jobs")[0]["remote"]["starts_at"], Value::Null);

    fake.change(|control| control.queued = 0);
    let ended = user.client.ok(&user.quantum("jobs")).join("\n");
    assert!(ended.contains("has ended there (completed)"), "{ended}");
    assert_eq!(user.json("resume")[0]["state"], "done");
    assert_eq!(user.json("jobs")[0]["remote"], Value::Null);
}

#[test]
fn a_report_is_made_again_of_what_was_measured_and_says_so() {
    let fake = Fake::start(Control { noise: NoiseModel::uniform(0.0, 0.01, 0.01), ..Control::default() });
    let user = User::new(&fake);
    let file = user.client.file("results.json");
    let path = file.to_str().expect("a UTF-8 path");
    for (command, name) in [
        ("run chsh --shots 500 --backend ibm --yes", "s"),
        ("run bb84 --qubits 600 --seed 4 --backend ibm --yes", "qber"),
        ("run qrng --backend ibm --yes", "entropy"),
    ] {
        let kept = &user.json(command)[0];
        let id = kept["job"].as_str().expect("an id");
        let pool = user.pool();
        let again = &user.json(&format!("replay {id}"))[0];
        let facts = |name: &str| again[name].clone();
        assert_eq!((&facts(name), facts("unchanged")), (&kept[name], true.into()), "{command}: {again}");
        assert_eq!((facts("replayed"), facts("quantum")), (true.into(), false.into()), "{command}");
        assert_eq!(facts("backend"), format!("replay of {BACKEND}"));
        assert!(facts("provenance").as_str().is_some_and(|words| words.contains("measured before")));
        let save = format!("replay {id} --save {path}");
        if name == "entropy" {
            let refused = user.client.fails(6, &user.quantum(&save));
            assert!(refused.contains("gone into keys"), "{refused}");
            assert!(!file.exists());
        } else {
            user.json(&save);
            assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
            // Nobody is asked then.
            let asked = all_requests(&fake);
            let read = format!("quantum replay {id} --results {path}");
            let words: Vec<&str> = read.split(' ').collect();
            assert_eq!(user.client.json(&words)[0]["unchanged"], true);
            assert_eq!(all_requests(&fake), asked);
            assert!(user.client.fails(2, &user.quantum(&save)).contains("does not exist"));
            fs::remove_file(&file).expect("it is removed");
        }
        assert_eq!(
            (user.pool(), fake.jobs().iter().filter(|job| job.seconds > 0.0).count()),
            (pool, fake.jobs().len())
        );
    }
    // Results of another job, or none, are nobody's.
    let chsh = user.json("jobs")[2]["job"].as_str().expect("an id").to_owned();
    let bb84 = user.json("jobs")[1]["job"].as_str().expect("an id").to_owned();
    user.json(&format!("replay {bb84} --save {path}"));
    let wrong = user.client.fails(2, &user.quantum(&format!("replay {chsh} --results {path}")));
    assert!(wrong.contains("does not hold the results of job"), "{wrong}");
    for text in ["", "<html>sorry</html>", "{\"results\":"] {
        fs::write(&file, text).expect("a file");
        user.client.fails(2, &user.quantum(&format!("replay {chsh} --results {path}")));
    }
    let local = user.json("run chsh --shots 500")[0]["job"].as_str().expect("an id").to_owned();
    let refused = user.client.fails(6, &user.quantum(&format!("replay {local}")));
    assert!(refused.contains("no quantum computer"), "{refused}");
}

#[test]
fn jobs_that_are_over_are_forgotten_and_what_they_cost_is_not() {
    let fake = Fake::start(Control { queued: 1, ..Control::default() });
    let user = User::new(&fake);
    let paid = user.json("run chsh --shots 500 --backend ibm --yes")[0]["job"].clone();
    let local = user.json("run bb84 --qubits 5000")[0]["job"].clone();
    let bits = user.json("run qrng --backend ibm --yes")[0]["job"].clone();
    let open = user.json("run chsh --shots 499 --backend ibm --yes --detach")[0]["job"].clone();
    let text = |id: &Value| id.as_str().expect("an id").to_owned();
    for (id, words) in [(&bits, "wait in the pool"), (&open, "is not over")] {
        let refused = user.client.fails(6, &user.quantum(&format!("forget {}", text(id))));
        assert!(refused.contains(words), "{refused}");
    }
    assert!(user.client.fails(2, &user.quantum("forget")).contains("--all"));
    let forgotten = user.json(&format!("forget {}", text(&local)));
    assert_eq!(
        (forgotten.len(), &forgotten[0]["forgotten"], &forgotten[0]["job"]),
        (1, &true.into(), &local)
    );
    assert!(user.client.fails(5, &user.quantum(&format!("show {}", text(&local)))).contains("no job"));
    let all = user.client.run(&user.quantum("forget --all")).expect_code(0);
    assert!(all.stderr.contains("one job is kept"), "{all:?}");
    let ids: Vec<Value> = user.json("jobs").iter().map(|job| job["job"].clone()).collect();
    assert_eq!(ids, [open, bits]);
    // 2 s for each that has run, 10 s for the one that may: with one more that may take 10 s, 24.
    let dear =
        user.client.fails(6, &user.quantum("run chsh --shots 500 --backend ibm --yes --ibm-budget 23"));
    assert!(dear.contains("9 of the 23 s"), "{dear}");
    assert_eq!(user.pool(), (256.into(), 0.into()));
    drop(paid);
}

#[test]
fn the_key_is_found_in_the_keyring_until_it_is_taken_out() {
    const SCRIPT: &str = r#"set -e
        printf 'the keyring' | gnome-keyring-daemon --unlock --components=secrets >/dev/null
        "$QCHAT" quantum key < "$KEY_FILE" 2>&1
        "$QCHAT" quantum backends
        "$QCHAT" quantum key --forget 2>&1
        "$QCHAT" quantum backends && exit 9
        exit $?"#;
    let fake = Fake::start(Control::default());
    let user = User::new(&fake);
    let runtime = user.client.file("runtime");
    fs::create_dir(&runtime).expect("a directory");
    let usual = user.client.command(&[]);
    let mut command = Command::new("dbus-run-session");
    command.args(["--", "sh", "-c", SCRIPT]);
    command.env_clear().envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("QCHAT", usual.get_program()).env("KEY_FILE", &user.key_file);
    command.env("QCHAT_DATA_DIR", user.client.data_directory()).env("QCHAT_NO_INPUT", "1");
    command
        .env("QCHAT_IBM_CRN", CRN)
        .env("QCHAT_IBM_URL", &user.url)
        .env("QCHAT_IBM_IAM_URL", &user.identity);
    command.env("XDG_RUNTIME_DIR", &runtime);
    let output = Process::start(&mut command).finish().expect_code(4);
    let said = output.lines.join("\n");
    assert!(said.contains("the keyring holds the API key") && said.contains(BACKEND), "{output:?}");
    assert!(output.stderr.contains("quantum key"), "{output:?}");
    assert!(!said.contains(KEY) && !output.stderr.contains(KEY));
}

#[test]
fn no_odd_answer_makes_a_job_that_is_paid_for_be_forgotten() {
    let odd = |text: &str| Mishap::Instead(text.as_bytes().to_vec());
    for (what, route, mishap) in [
        ("a page for a browser", Route::Job, odd("<html>sorry</html>")),
        ("a state that nobody knows", Route::Job, odd(r#"{"state":{"status":"Thinking"}}"#)),
        ("a refusal that nobody knows", Route::Job, Mishap::Status(400, None)),
        ("a way elsewhere", Route::Job, Mishap::Elsewhere("http://127.0.0.1:9/".to_owned())),
        ("results that are none", Route::Results, odd("<html>sorry</html>")),
        ("results of something else", Route::Results, odd(r#"{"results":[]}"#)),
        ("a job that is not there yet", Route::Job, Mishap::Status(404, None)),
        ("a request that takes too long", Route::Job, Mishap::Status(408, None)),
    ] {
        let fake = Fake::start(Control::default());
        fake.happen(route, 1, &mishap);
        let user = User::new(&fake);
        let output = user.client.run(&user.quantum("run qrng --backend ibm --yes"));
        assert_ne!(output.code, Some(0), "{what}");
        let [(state, backend)] = &user.jobs()[..] else { panic!("{what}: {:?}", user.jobs()) };
        assert!(["queued", "running"].contains(&&**state) && backend == BACKEND, "{what}: {state} {backend}");
        assert_eq!(user.json("resume")[0]["state"], "done", "{what}");
        assert_eq!((fake.jobs().len(), user.pool()), (1, (256.into(), 0.into())), "{what}");
    }
    // Results that are not there yet, where the job has ended, are asked for again at once.
    let fake = Fake::start(Control::default());
    fake.happen(Route::Results, 1, &Mishap::Status(404, None));
    let user = User::new(&fake);
    assert_eq!(user.json("run qrng --backend ibm --yes")[0]["backend"], BACKEND);
    assert_eq!((fake.jobs().len(), user.pool()), (1, (256.into(), 0.into())));
}

#[test]
fn what_ran_elsewhere_than_where_it_was_asked_for_says_so_whoever_gets_to_know_of_it() {
    let fake = Fake::start(Control { end: End::Failed(6000, "Too hot".to_owned()), ..Control::default() });
    let user = User::new(&fake);
    user.json("run qrng --backend ibm --yes --detach");
    let resumed = user.client.run(&user.quantum("resume")).expect_code(0);
    assert!(resumed.stderr.contains("this ran on local, not on ibm_fake"), "{resumed:?}");
    for words in [resumed.lines, user.client.ok(&user.quantum("jobs"))] {
        let [line] = &words[..] else { panic!("{words:?}") };
        assert!(line.contains("instead of ibm_fake") && line.contains("Too hot"), "{line}");
        assert!(line.contains("ask for fewer bits or qubits at a time"), "a remedy: {line}");
    }
}

#[test]
fn a_job_is_gone_on_with_by_the_account_that_it_was_given_to_alone() {
    let fake = Fake::start(Control { queued: 1, ..Control::default() });
    let user = User::new(&fake);
    user.json("run qrng --backend ibm --yes --detach");
    let other = CRN.replace("0d5e-1", "0d5e-2");
    for command in ["resume", "cancel"] {
        let id = user.json("jobs")[0]["job"].as_str().expect("an id").to_owned();
        let command = format!("{command} {id}");
        let words = user.quantum(&command).into_iter();
        let words: Vec<_> = words.map(|word| if word == CRN { &*other } else { word }).collect();
        let said = user.client.fails(6, &words);
        assert!(said.contains("--ibm-crn"), "{said}");
    }
    assert_eq!(user.json("resume")[0]["state"], "done");
    assert_eq!(fake.jobs().len(), 1);
}

#[test]
fn what_has_ended_before_it_is_cancelled_is_not_thrown_away() {
    let fake = Fake::start(Control::default());
    let user = User::new(&fake);
    // It has run to its end when its results are asked for.
    fake.happen(Route::Results, 1, &Mishap::Status(400, None));
    drop(user.client.run(&user.quantum("run qrng --backend ibm --yes")));
    let id = user.json("jobs")[0]["job"].as_str().expect("an id").to_owned();
    let said = user.client.fails(6, &user.quantum(&format!("cancel {id}")));
    assert!(said.contains("resume"), "{said}");
    assert_eq!(user.json("resume")[0]["state"], "done");
    assert_eq!(user.pool(), (256.into(), 0.into()));
}

#[test]
fn the_key_is_found_in_the_environment() {
    let fake = Fake::start(Control::default());
    let user = User::new(&fake);
    let words: Vec<&str> = user.quantum("backends");
    let without = [&words[..4], &words[6..]].concat();
    let mut command = user.client.command(&without);
    let output = Process::start(command.env("QCHAT_IBM_API_KEY", KEY)).finish().expect_code(0);
    assert!(output.lines.iter().any(|line| line.contains(BACKEND)), "{:?}", output.lines);
    drop(user.client.run(&without).expect_code(4));
}

#[test]
fn the_doctor_looks_at_the_devices_and_says_what_to_do() {
    let fake = Fake::start(Control::default());
    let mut daemon = Daemon::start(Backend::Sqlite);
    let user = User::of(Client::register(&daemon.url(), "alice"), &fake);
    let account: Vec<&str> = user.quantum("x").into_iter().skip(2).collect();
    let doctor = [&["doctor"], &account[..]].concat();
    let found = user.client.json(&doctor);
    let verdict = |about: &str| {
        let about =
            |finding: &&Value| finding["detail"].as_str().is_some_and(|detail| detail.contains(about));
        found.iter().find(about).map(|finding| finding["verdict"].clone()).unwrap_or_default()
    };
    let good = ["MiB free", "answers", "does not leave this machine", "local is available", BACKEND];
    for about in good {
        assert_eq!(verdict(about), "good", "{about}: {found:?}");
    }
    assert_eq!(verdict(PAUSED), "warning");
    // What does not work is said, and nothing else kept from being looked at.
    daemon.stop();
    fake.happen(Route::Backends, 99, &Mishap::Status(503, None));
    let output = user.client.run(&doctor).expect_code(8);
    let problems: Vec<_> = output.lines.iter().filter(|line| line.starts_with("PROBLEM")).collect();
    assert_eq!(problems.len(), 2, "{:?}", output.lines);
}

#[test]
fn a_job_that_is_not_listed_yet_is_submitted_again_by_nobody() {
    // In the second case for longer than anybody looks for it.
    for unlisted in [8, 40] {
        let fake = Fake::start(Control { unlisted, ..Control::default() });
        fake.happen(Route::Submit, 1, &Mishap::Lost);
        let user = User::new(&fake);
        user.json("run qrng");
        let unknown = user.client.fails(3, &user.quantum("run qrng --backend ibm --yes"));
        assert!(unknown.contains("not known whether"), "{unknown}");
        if unlisted > 8 {
            for command in ["resume", "cancel"] {
                let id = user.json("jobs")[0]["job"].as_str().expect("an id").to_owned();
                let unknown = user.client.fails(3, &user.quantum(&format!("{command} {id}")));
                assert!(unknown.contains("not known yet") && unknown.contains("15 min"), "{unknown}");
            }
            // Nor does a clock that was set back make it certain.
            assert_eq!(user.later("-20m", "resume").code, Some(3));
            assert_eq!(fake.jobs().len(), 1);
            fake.change(|control| control.unlisted = 0);
        }
        let resuming = [(); 2].map(|()| user.client.start(&user.quantum("resume")));
        for resuming in resuming {
            let ended = resuming.finish().expect_code(0);
            assert!(ended.lines.iter().all(|line| line.contains("done")), "{ended:?}");
        }
        assert_eq!(fake.jobs().len(), 1);
        assert_eq!(user.pool(), (256.into(), 256.into()));
    }
    // One that was refused is not there, and what it might have cost is not spent.
    let fake = Fake::start(Control::default());
    fake.happen(Route::Submit, 1, &Mishap::Status(403, None));
    let user = User::new(&fake);
    user.client.fails(6, &user.quantum("run qrng --backend ibm --yes"));
    assert_eq!(user.jobs(), [("prepared".to_owned(), BACKEND.to_owned())]);
    assert_eq!(user.json("usage")[0]["spent_seconds"], 0.0);
    assert_eq!(user.json("resume")[0]["state"], "done");
    assert_eq!(fake.jobs().len(), 1);
    // One that never arrived is submitted when that is certain.
    let fake = Fake::start(Control::default());
    fake.happen(Route::Submit, 1, &Mishap::Cut);
    let user = User::new(&fake);
    user.json("run qrng");
    user.client.fails(3, &user.quantum("run qrng --backend ibm --yes"));
    user.client.fails(3, &user.quantum("resume"));
    assert!(fake.jobs().is_empty());
    drop(user.later("+16m", "resume").expect_code(0));
    assert_eq!((fake.jobs().len(), user.pool()), (1, (256.into(), 256.into())));
}

#[test]
fn the_api_key_is_in_no_argument_file_or_word() {
    let fake = Fake::start(Control { repeats_secrets: true, queued: 1, ..Control::default() });
    let user = User::new(&fake);
    user.client.ok(&[&["-vv"], &user.quantum("run qrng --backend ibm --yes")[..]].concat());
    fake.revoke_tokens();
    user.client.run(&[&["-vv"], &user.quantum("backends")[..]].concat());
    fs::write(&user.key_file, "another-key-that-is-refused").expect("a file");
    let refused = user.client.run(&[&["-vv"], &user.quantum("backends")[..]].concat());
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    let said = user.client.said();
    for secret in
        [KEY, "another-key-that-is-refused"].into_iter().chain(fake.issued().iter().map(String::as_str))
    {
        assert!(!said.contains(secret), "said");
        for file in walk(&user.client.data_directory()) {
            let bytes = fs::read(&file).expect("a file");
            assert!(
                !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
                "{}",
                file.display()
            );
        }
    }
    let elsewhere = |argument| if argument == user.url { "http://192.0.2.1/api/v1" } else { argument };
    let plain: Vec<_> = user.quantum("backends").into_iter().map(elsewhere).collect();
    let plain = user.client.fails(6, &plain);
    assert!(plain.contains("plain http"), "{plain}");
}

#[test]
fn how_the_devices_do_is_kept_and_told_to_whoever_watches() {
    let fake = Fake::start(Control::default());
    let user = User::new(&fake);
    user.json("run qrng");
    for shots in ["1000", "2000"] {
        user.json(&format!("run chsh --backend ibm_fake --yes --shots {shots}"));
    }
    let health = user.json("health");
    let of = |name: &str| health.iter().find(|backend| backend["name"] == name).expect("it is listed");
    let device = of(BACKEND);
    assert_eq!((&device["available"], &of(PAUSED)["available"]), (&true.into(), &false.into()));
    let number = |name: &str| device[name].as_f64().expect("a number");
    assert!(
        number("s") > 2.5
            && number("s_error") < 0.1
            && number("readout_error") > 0.0
            && number("gate_error") > 0.0
    );
    assert!(device["calibrated"].as_str().is_some_and(|calibrated| calibrated.starts_with("20")), "{device}");
    // Two values, and the look of now.
    assert_eq!(device["history"].as_array().expect("a history").len(), 3);
    assert_eq!(user.json("health").iter().find(|backend| backend["name"] == BACKEND).expect("it is listed")["history"].as_array().expect("a history").len(), 4);

    let metrics = user.client.ok(&user.quantum("health --prometheus"));
    let value = |backend: &str| format!("qchat_quantum_backend_available{{backend=\"{backend}\"}} ");
    assert!(
        metrics.contains(&(value(BACKEND) + "1")) && metrics.contains(&(value(PAUSED) + "0")),
        "{metrics:?}"
    );
    let types = metrics.iter().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!(types, 4, "each name once: {metrics:?}");
    // What the alerts watch is what is printed.
    let rules = qchat_tests::workspace_root().join("contrib/prometheus/qchat-quantum.rules.yml");
    let rules = fs::read_to_string(rules).expect("the alerts");
    let watched: Vec<&str> = rules
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("qchat_quantum_"))
        .filter(|word| *word != "qchat_quantum" && !word.ends_with("prom"))
        .collect();
    assert!(watched.len() >= 2, "{watched:?}");
    for name in watched {
        assert!(metrics.iter().any(|line| line.starts_with(&format!("{name}{{"))), "{name}: {metrics:?}");
    }
    // Where nobody answers, those that are known take no jobs.
    fake.happen(Route::Backends, 99, &Mishap::Status(503, None));
    let gone = user.client.run(&user.quantum("health --prometheus")).expect_code(0);
    assert!(gone.lines.contains(&(value(BACKEND) + "0")), "{gone:?}");
    assert!(gone.lines.contains(&(value("local") + "1")) && gone.stderr.contains("503"), "{gone:?}");
}

fn walk(dir: &PathBuf) -> Vec<PathBuf> {
    let mut files = vec![];
    for entry in fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            files.extend(walk(&entry));
        } else {
            files.push(entry);
        }
    }
    files
}

#[test]
fn a_device_that_plays_both_ends_of_the_protocol_is_called_so() {
    let fake = Fake::start(Control::default());
    let user = User::new(&fake);
    for (command, code, words) in [
        ("run bb84 --backend ibm --yes --eve 0.5 --qubits 600", 2, "no light, line or Eve"),
        ("run bb84 --backend ibm --yes --source decoy --qubits 600", 2, "no light, line or Eve"),
        ("run bb84 --backend ibm --yes", 2, "20000 at most"),
        ("run bb84 --backend ibm --qubits 600", 2, "--yes"),
        ("run bb84 --backend ibm --qubits 600 --yes --ibm-budget 1", 6, "--ibm-budget"),
    ] {
        let said = user.client.fails(code, &user.quantum(command));
        assert!(said.contains(words), "{command}: {said}");
    }
    assert!(fake.jobs().is_empty());
    let report = &user.json("run bb84 --backend ibm_fake --yes --qubits 3000 --seed 3")[0];
    assert_eq!((&report["backend"], &report["quantum"]), (&BACKEND.into(), &true.into()), "{report}");
    assert_eq!((&report["qubits"], &report["detected"]), (&3000.into(), &3000.into()));
    assert!(report["qber"].as_f64().is_some_and(|rate| rate < 0.1), "{report}");
    assert!(
        report["provenance"].as_str().is_some_and(|words| words.contains("played both ends")),
        "{report}"
    );
    assert_eq!((&report["eve_certain_bits"], &report["fallback"]), (&Value::Null, &Value::Null));
    assert_eq!(fake.jobs().len(), 1);
    let shown = user.client.ok(&user.quantum("jobs")).join("\n");
    assert!(shown.contains("bb84") && shown.contains(BACKEND), "{shown}");
    // Where the device does not do it, the simulator does, and says so.
    let fake = Fake::start(Control { end: End::Failed(1517, "not native".to_owned()), ..Control::default() });
    let fallen = &User::new(&fake).json("run bb84 --backend ibm --yes --qubits 2000 --seed 3")[0];
    assert_eq!((&fallen["backend"], &fallen["quantum"]), (&"local".into(), &false.into()), "{fallen}");
    assert!(fallen["fallback"]["why"].as_str().is_some_and(|why| why.contains("1517")), "{fallen}");
    assert!(fallen["provenance"].as_str().is_some_and(|words| words.contains("simulated")), "{fallen}");
}

#[test]
fn who_deletes_the_account_hears_of_jobs_that_are_paid_for_first() {
    let fake = Fake::start(Control { queued: 1_000, ..Control::default() });
    let daemon = Daemon::start(Backend::Sqlite);
    let user = User::of(Client::register(&daemon.url(), "alice"), &fake);
    user.json("run chsh --backend ibm_fake --yes --detach");
    let asked = user.client.fails(2, &["account", "delete"]);
    assert!(asked.contains("1 quantum job runs elsewhere") && asked.contains("--keep-profile"), "{asked}");
    let done = user.client.run(&["account", "delete", "--yes"]).expect_code(0);
    assert!(done.stderr.contains("1 quantum job runs elsewhere"), "{}", done.stderr);
}
