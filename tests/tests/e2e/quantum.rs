//! Quantum jobs through the program: what protocols come to, and how keys draw from the pool.

use std::fs;

use qchat_cli::{
    store::quantum::{JobId, NewJob, QuantumStore},
    vault,
};
use qchat_proto::crypto::{entropy::SystemEntropy, secret::Secret};
use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    sqlcipher,
};
use serde_json::Value;

/// A client that has no profile, and knows no server that is there.
fn newcomer() -> Client {
    Client::new("http://127.0.0.1:9", "alice")
}

fn pool(client: &Client) -> (u64, u64) {
    let pool = &client.json(&["quantum", "pool"])[0];
    let bits = |name: &str| pool[name].as_u64().expect("a number");
    (bits("quantum_bits"), bits("simulated_bits"))
}

#[test]
fn protocols_end_as_what_they_met_demands_and_each_run_can_be_repeated() {
    let alice = newcomer();
    for (arguments, aborted) in [
        ("bb84", None),
        ("bb84 --qubits 200000 --noise 0.02 --eve 0.1", None),
        ("bb84 --eve 1", Some("error_rate")),
        ("bb84 --eve 1 --attack breidbart", Some("error_rate")),
        ("bb84 --qubits 100", Some("no_secret_bits")),
        ("bb84 --distance 400 --qubits 1000", Some("too_few_detections")),
        // Nobody notices, and that is the point of decoys.
        ("bb84 --source weak --distance 50 --attack photon-number-splitting --qubits 1000000", None),
        ("bb84 --source decoy --distance 50 --qubits 4000000", None),
        (
            "bb84 --source decoy --distance 50 --attack photon-number-splitting --qubits 1000000",
            Some("no_secret_bits"),
        ),
        ("e91", None),
        ("e91 --eve 1", Some("error_rate")),
        ("e91 --visibility 0.6", Some("error_rate")),
    ] {
        let arguments: Vec<_> = arguments.split(' ').collect();
        let arguments = [&["quantum", "run"], &arguments[..], &["--seed", "7"]].concat();
        let report = &alice.json(&arguments)[0];
        for name in [
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
            assert!(report.get(name).is_some(), "{name} in {report}");
        }
        assert_eq!(report["aborted"], aborted.is_some(), "{arguments:?}: {report}");
        let reason = &report["abort_reason"];
        let named = reason.as_str().or_else(|| reason.as_object()?.keys().next().map(String::as_str));
        assert_eq!(named, aborted, "{arguments:?}");
        assert_eq!(report["final_key_bits"] == 0, aborted.is_some(), "{arguments:?}");
        assert_eq!(report["keys_match"], aborted.is_none(), "{arguments:?}");
        assert!(report["provenance"].as_str().is_some_and(|words| words.contains("simulated")));
        assert_eq!(alice.json(&arguments)[0], *report, "the same seed is the same run");
    }
    assert!(!alice.data_directory().exists(), "nothing is kept where there is no profile");
}

#[test]
fn a_run_is_drawn_for_a_terminal_and_into_a_file_that_was_not_there() {
    let alice = newcomer();
    let svg = alice.file("run.svg");
    let path = svg.to_str().expect("a UTF-8 path");
    let run =
        ["quantum", "run", "bb84", "--qubits", "20000", "--noise", "0.02", "--seed", "1", "--svg", path];
    let shown = alice.ok(&run).join("\n");
    assert!(
        shown.contains("error rate in each twentieth") && shown.contains("kilometres of fibre"),
        "{shown}"
    );
    let plain = alice.file("plain.svg");
    let again = [&["--plain"], &run[..10], &[plain.to_str().expect("a UTF-8 path")]].concat();
    assert!(alice.ok(&again).join("\n").is_ascii());
    let drawing = fs::read_to_string(&svg).expect("a drawing");
    assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"));
    assert_eq!(drawing.matches("<polyline").count(), 2);
    let refused = alice.fails(2, &run);
    assert!(refused.contains("run.svg") && refused.contains("does not exist"), "{refused}");
    assert_eq!(fs::read_to_string(&svg).expect("a drawing"), drawing);
}

#[test]
fn the_chsh_value_tells_a_good_device_from_a_bad_one() {
    let alice = newcomer();
    let s = |noise: &str| {
        let run = ["quantum", "run", "chsh", "--shots", "20000", "--seed", "3", "--noise", noise];
        let report = alice.json(&run)[0].clone();
        (report["s"].as_f64().expect("S"), report["s_error"].as_f64().expect("its error"))
    };
    let (perfect, error) = s("0");
    assert!((perfect - 8_f64.sqrt()).abs() < 5.0 * error, "{perfect} ± {error}");
    let (worse, _) = s("0.02");
    let (useless, _) = s("0.5");
    assert!(perfect > worse && worse > 2.0 && useless < 2.0, "{perfect}, {worse}, {useless}");
}

#[test]
fn each_block_of_the_pool_goes_into_one_key_and_the_keys_say_which() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::new(&daemon.url(), "alice");
    // Who knows the seed knows the bits.
    let known = &alice.json(&["quantum", "run", "qrng", "--seed", "1"])[0];
    assert_eq!((&known["key_bits"], &known["pool_bits"]), (&Value::from(256), &Value::from(0)));
    assert_eq!(pool(&alice), (0, 0));
    let job = &alice.json(&["quantum", "run", "qrng", "--bits", "1024"])[0];
    assert_eq!((&job["quantum"], &job["seed"]), (&Value::from(false), &Value::Null));
    assert_eq!(pool(&alice), (0, 1024), "a simulator's bits are never called quantum");

    // An attempt that fails costs what it drew and nothing else.
    let taken = Client::register(&daemon.url(), "bob");
    let words = alice.file("words");
    let register = |name| ["register", name, "--recovery-file", words.to_str().expect("a UTF-8 path")];
    let refused = alice.fails(6, &register("bob"));
    assert!(refused.contains("taken"), "{refused}");
    assert_eq!(pool(&alice), (0, 256));
    let dir = alice.data_directory().join("alice");
    let draws = || {
        let key = vault::unlock(&dir, alice.passphrase()).expect("the passphrase opens it");
        QuantumStore::open(&dir, key).expect("the database").draws(99).expect("draws").len()
    };
    assert_eq!(draws(), 0, "keys that nobody has are not listed");
    alice.ok(&["quantum", "run", "qrng", "--bits", "1024"]);
    alice.ok(&register("alice"));
    assert_eq!((pool(&alice), draws()), ((0, 512), 3));

    client::room("tea", &[&alice, &taken]);
    alice.ok(&["room", "update-keys", "tea"]);
    let origins = |client: &Client| -> Vec<(String, u64, Option<String>)> {
        let shown = client.json(&["keys", "show"]);
        let own = shown.iter().find(|key| key["me"] == true).expect("the own key");
        let origins = own["drawn_from"].as_array().expect("origins").iter();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        origins
            .map(|origin| {
                let bits = origin["pool_bits"].as_u64().expect("a number");
                (text(&origin["key"]).expect("a key"), bits, text(&origin["room"]))
            })
            .collect()
    };
    let key = |name: &str, bits| (name.to_owned(), bits, None);
    let room = ("room".to_owned(), 256, Some("tea".to_owned()));
    let all = |device| vec![key("recovery", 256), key("account", 256), key("device", device), room.clone()];
    assert_eq!(origins(&alice), all(256));
    assert_eq!(pool(&alice), (0, 256));

    // The last block; the rotation after it goes on without.
    alice.ok(&["keys", "rotate"]);
    assert_eq!(pool(&alice), (0, 0));
    assert_eq!(origins(&alice)[2], key("device", 256));
    alice.ok(&["keys", "rotate"]);
    assert_eq!(origins(&alice)[2], key("device", 0));
    assert_eq!(origins(&taken), [key("recovery", 0), key("account", 0), key("device", 0)]);
    taken.ok(&["send", "tea", "still here"]);
    assert_eq!(alice.bodies("tea"), ["still here"]);
}

#[test]
fn a_block_that_was_used_is_nowhere_in_the_files() {
    let alice = newcomer();
    alice.ok(&["quantum", "run", "qrng", "--bits", "512"]);
    let dir = alice.data_directory().join("alice");
    let key = vault::unlock(&dir, alice.passphrase()).expect("the passphrase opens it");
    let open = || QuantumStore::open(&dir, Secret::from_bytes(*key.expose())).expect("the database");
    let holds = |bytes: &[u8]| {
        let pages = sqlcipher::pages_of(&dir.join("quantum.db"), key.expose());
        pages.iter().any(|page| page.bytes.windows(bytes.len()).any(|window| window == bytes))
    };
    let marked = [0xa5; 32];
    let store = open();
    let id = JobId::random(&SystemEntropy).expect("randomness");
    let job = NewJob { task: "{}", backend: "local", ..NewJob::default() };
    let job = store.add_job(id, &job).expect("a job");
    let measured = store.measured(&job, b"[]", None).expect("it was measured");
    let finish = |store: &QuantumStore| store.finish(&measured, true, &marked, |_| "{}".to_owned());
    assert_eq!(finish(&store).expect("it ends"), Some(32));
    assert!(holds(&marked));
    // A quantum computer's before the simulator's that were there first.
    let drawn = store.draw().expect("the pool").expect("a block");
    assert_eq!((&drawn.bytes[..], drawn.quantum), (&marked[..], true));
    assert!(!holds(&marked));
    assert!(!store.draw().expect("the pool").expect("a block").quantum);
    // The same job again brings nothing again.
    assert_eq!(finish(&open()).expect("it has ended"), None);
    assert_eq!(pool(&alice), (0, 256));
}

#[test]
fn jobs_are_listed_shown_and_found_by_the_beginning_of_their_ids() {
    let alice = newcomer();
    alice.ok(&["quantum", "run", "qrng"]);
    alice.ok(&["quantum", "run", "bb84", "--qubits", "5000"]);
    let jobs = alice.json(&["quantum", "jobs"]);
    let kinds: Vec<_> = jobs.iter().map(|job| (job["kind"].as_str(), job["state"].as_str())).collect();
    assert_eq!(kinds, [(Some("bb84"), Some("done")), (Some("qrng"), Some("done"))]);
    let id = jobs[0]["job"].as_str().expect("an id");
    let shown = &alice.json(&["quantum", "show", &id[..6]])[0];
    assert_eq!((&shown["job"], &shown["qubits"]), (&jobs[0]["job"], &Value::from(5000)));
    // What is run for random bits: a superposition of each qubit, measured.
    let random = jobs[1]["job"].as_str().expect("an id");
    let circuit = &alice.json(&["quantum", "show", random, "--circuits"])[0];
    assert_eq!((&circuit["qubits"], &circuit["shots"]), (&Value::from(16), &Value::from(256)), "{circuit}");
    assert!(circuit["open_qasm"].as_str().is_some_and(|text| text.starts_with("OPENQASM 3.0;")), "{circuit}");
    let drawn = alice.ok(&["quantum", "show", random, "--circuits"]);
    assert_eq!(drawn.iter().filter(|line| line.contains("M→")).count(), 16, "{drawn:?}");
    for (arguments, code, word) in [
        (&["quantum", "show", "zz"][..], 5, "quantum jobs"),
        (&["quantum", "show", ""], 5, "no job is named"),
        (&["quantum", "cancel", id], 6, "is done"),
        (&["quantum", "run", "qrng", "--bits", "100"], 2, "multiple of 256"),
        (&["quantum", "run", "bb84", "--eve", "2"], 2, "from 0 to 1"),
        (&["quantum", "run", "chsh", "--properties", "/nowhere"], 2, "/nowhere"),
    ] {
        let said = alice.fails(code, arguments);
        assert!(said.contains(word), "{arguments:?}: {said}");
    }
    assert!(alice.ok(&["quantum", "resume"]).is_empty());
    // What a simulator would repeat is not computed again; bits for keys are never what was there before.
    for (command, cached) in [
        ("bb84 --qubits 5000 --seed 4", false),
        ("bb84 --qubits 5000 --seed 4", true),
        ("bb84 --qubits 5001 --seed 4", false),
        ("bb84 --qubits 5000 --seed 4 --noise 0.01", false),
        ("chsh --shots 500 --seed 4", false),
        ("chsh --shots 500 --seed 4", true),
        ("chsh --shots 500 --seed 4 --noise 0.1", false),
        ("qrng --seed 4", false),
        ("qrng --seed 4", true),
        ("qrng", false),
        ("qrng", false),
    ] {
        let before = alice.json(&["quantum", "jobs"]).len();
        let arguments: Vec<_> = ["quantum", "run"].into_iter().chain(command.split(' ')).collect();
        let done = &alice.json(&arguments)[0];
        assert_eq!(done["cached"], cached, "{command}: {done}");
        assert_eq!(alice.json(&["quantum", "jobs"]).len() - before, usize::from(!cached), "{command}");
        if cached {
            let said = alice.ok(&arguments).join("\n");
            assert!(said.contains("nothing was computed again"), "{said}");
        }
    }
    assert!(newcomer().fails(4, &["quantum", "jobs"]).contains("no profile"));
}

#[test]
fn a_pool_that_cannot_be_read_keeps_nobody_from_a_new_key() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    alice.ok(&["quantum", "run", "qrng"]);
    let pool = alice.data_directory().join("alice/quantum.db");
    fs::write(&pool, [0x5a; 8192]).expect("a file");
    let rotated = alice.run(&["-v", "keys", "rotate"]).expect_code(0);
    assert!(rotated.stderr.contains("without the quantum pool"), "{}", rotated.stderr);
    let shown = alice.json(&["keys", "show"]);
    assert_eq!(shown[0]["drawn_from"], Value::Array(vec![]), "of what cannot be read nothing is claimed");
    assert!(alice.fails(1, &["quantum", "pool"]).contains("move it away"));
    fs::remove_file(&pool).expect("it is moved away");
    assert_eq!(self::pool(&alice), (0, 0));
}

#[test]
fn bits_that_are_fit_for_nothing_leave_keys_to_the_operating_system() {
    let alice = newcomer();
    // Whatever is there, it reads a zero.
    let stuck = r#"[{"name":"prob_meas0_prep1","value":1.0},{"name":"prob_meas1_prep0","value":0.0}]"#;
    let file = alice.file("properties.json");
    let text = format!(r#"{{"backend_name":"stuck","qubits":[{}],"gates":[]}}"#, [stuck; 16].join(","));
    fs::write(&file, text).expect("a file");
    let said =
        alice.fails(6, &["quantum", "run", "qrng", "--properties", file.to_str().expect("a UTF-8 path")]);
    assert!(said.contains("keys are made of the operating system's randomness alone"), "{said}");
    assert_eq!(self::pool(&alice), (0, 0));
}

#[test]
fn a_device_that_many_jobs_imitate_is_stored_once() {
    let alice = newcomer();
    let qubits = vec![r#"[{"name":"readout_error","value":0.01}]"#; 20].join(",");
    let pairs = (0..19).map(|n| {
        format!(
            r#"{{"gate":"cz","qubits":[{n},{}],"parameters":[{{"name":"gate_error","value":0.01}}]}}"#,
            n + 1
        )
    });
    let gates: Vec<String> = pairs.collect();
    let marked = "a-device-that-is-described-once";
    let text = format!(
        r#"{{"backend_name":"{marked}","qubits":[{qubits}],"gates":[{}],"more":"{}"}}"#,
        gates.join(","),
        "x".repeat(300_000)
    );
    let file = alice.file("properties.json");
    fs::write(&file, &text).expect("a file");
    let path = file.to_str().expect("a UTF-8 path");
    alice.ok(&["quantum", "run", "qrng"]);
    for shots in ["100", "200", "300"] {
        let run = ["quantum", "run", "chsh", "--seed", "1", "--shots", shots, "--properties", path];
        assert_eq!(alice.json(&run)[0]["cached"], false);
        assert_eq!(alice.json(&run)[0]["cached"], true, "it is the same device");
    }
    let size = || fs::metadata(alice.data_directory().join("alice/quantum.db")).expect("a file").len();
    assert!(size() < 600_000, "{} bytes for three jobs", size());
    let dir = alice.data_directory().join("alice");
    let key = vault::unlock(&dir, alice.passphrase()).expect("the passphrase opens it");
    let store = QuantumStore::open(&dir, key).expect("the database");
    assert_eq!(store.devices().expect("devices").len(), 1);
    drop(store);
    alice.ok(&["quantum", "forget", "--all"]);
    let key = vault::unlock(&dir, alice.passphrase()).expect("the passphrase opens it");
    let store = QuantumStore::open(&dir, key).expect("the database");
    assert!(store.devices().expect("devices").is_empty(), "no job names it any more");
    assert_eq!(store.jobs().expect("jobs").len(), 1, "the one whose bits wait in the pool");
}
