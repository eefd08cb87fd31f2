//! Two members run BB84 in simulation over their room, and mix the key in; or somebody does not keep to it.

use std::{thread, time::Duration};

use qchat_cli::{
    engine::{Handle, Heard, Options},
    store::Profile,
    vault,
};
use qchat_proto::ids::RoomId;
use qchat_quantum::bb84::{
    Settings,
    joint::{Alice, wire::encode_terms},
};
use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
};
use serde_json::{Value, json};

const PULSES: &str = "12000";
const PATIENCE: Duration = Duration::from_mins(2);

/// These people in a room; alice made it.
fn scene(names: &[&str]) -> (Daemon, Vec<Client>) {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut people: Vec<_> = names.iter().map(|name| Client::register(&daemon.url(), name)).collect();
    people.iter_mut().for_each(Client::unlock);
    client::room("lab", &people.iter().collect::<Vec<_>>());
    (daemon, people)
}

fn show(person: &Client) -> Value {
    person.json(&["room", "show", "lab"]).remove(0)
}

fn ask<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let run = ["quantum", "run", "bb84", "--room", "lab", "--with", "bob", "--qubits", PULSES, "--json"];
    [&run, more].concat()
}

const ANSWER: [&str; 7] = ["quantum", "answer", "lab", "--yes", "--wait", "120", "--json"];

/// What people are told in the room.
fn notices(person: &Client) -> String {
    person.ok(&["history", "lab"]).join("\n")
}

fn talk(people: &[&Client], text: &str) {
    people[0].ok(&["send", "lab", text]);
    for person in people {
        assert!(person.bodies("lab").contains(&text.to_owned()), "{} reads", person.name());
    }
}

/// The engine of somebody's profile, for what the program itself does not do.
async fn engine(person: &Client) -> (Handle, RoomId) {
    let dir = person.data_directory().join(person.name());
    let profile =
        Profile::open(&dir, vault::unlock(&dir, person.passphrase()).expect("a vault")).expect("a profile");
    let engine = Handle::start(profile, Options::new(PATIENCE)).await.expect("an engine");
    engine.sync().await.expect("all that is there");
    let room = engine.find_room("lab").await.expect("the room");
    (engine, room)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

#[test]
fn two_people_run_the_protocol_over_their_room_and_its_key_is_mixed_in_as_what_it_is() {
    let (_daemon, people) = scene(&["alice", "bob"]);
    let [alice, bob] = &people[..] else { panic!("two people") };
    let (ours, theirs) = thread::scope(|scope| {
        let answering = scope.spawn(|| bob.run(&ANSWER).expect_code(0).json().remove(0));
        let ours = alice.run(&ask(&["--noise", "0.01", "--psk"])).expect_code(0).json().remove(0);
        (ours, answering.join().expect("an answer"))
    });
    assert_eq!((&ours["role"], &theirs["role"]), (&json!("alice"), &json!("bob")));
    assert_eq!((&ours["with"], &theirs["with"]), (&json!("bob"), &json!("alice")));
    for name in
        ["exercise", "qubits", "sifted_bits", "test_bits", "qber", "leaked_bits", "final_key_bits", "psk"]
    {
        assert_eq!(ours[name], theirs[name], "{name}");
    }
    assert_ne!(ours["seed"], theirs["seed"], "each end has its own randomness");
    assert_eq!((&ours["aborted"], &theirs["aborted"]), (&json!(false), &json!(false)));
    assert!(ours["final_key_bits"].as_u64().is_some_and(|bits| bits >= 256), "{ours}");
    assert!(ours["provenance"].as_str().is_some_and(|words| words.contains("simulated")), "{ours}");
    for person in [alice, bob] {
        let show_json = show(person);
        assert_eq!(show_json["psk"], ours["psk"]);
        assert_eq!(show_json["psk"]["kind"], "simulated-bb84");
        assert_eq!(show_json["offered_keys"], json!([]));
        let text = person.ok(&["room", "show", "lab"]).join("\n");
        assert!(text.contains("of a simulated BB84 exercise, which adds no secrecy"), "{text}");
        let told = notices(person);
        assert!(told.contains("mixed the key of a simulated run of BB84 in"), "{told}");
        // The conversation itself is not for people.
        assert!(told.lines().count() < 40, "{told}");
    }
    talk(&[bob, alice], "after the run");
}

#[test]
fn an_eavesdropper_shows_at_both_ends_and_nothing_is_mixed_in() {
    let (_daemon, people) = scene(&["alice", "bob"]);
    let [alice, bob] = &people[..] else { panic!("two people") };
    thread::scope(|scope| {
        let answering = scope.spawn(|| bob.run(&ANSWER).expect_code(6));
        let ours = alice.run(&ask(&["--eve", "1", "--psk"])).expect_code(6);
        for output in [ours, answering.join().expect("an answer")] {
            assert!(output.stderr.contains("nothing was mixed in"), "{}", output.stderr);
            let report = output.json().remove(0);
            assert!(report["abort_reason"]["error_rate"]["measured"].as_f64() > Some(0.2), "{report}");
            assert_eq!((&report["final_key_bits"], &report["psk"]), (&json!(0), &Value::Null));
        }
    });
    for person in [alice, bob] {
        assert_eq!((&show(person)["psk"], &show(person)["offered_keys"]), (&Value::Null, &json!([])));
        assert!(notices(person).contains("no key"), "{}", notices(person));
    }
    talk(&[alice, bob], "as before");
}

#[test]
fn nobody_computes_without_a_yes_and_no_key_goes_where_it_cannot() {
    let (_daemon, people) = scene(&["alice", "bob", "carol"]);
    let [alice, bob, carol] = &people[..] else { panic!("three people") };
    // Before anything is said.
    assert!(alice.fails(6, &ask(&["--psk"])).contains("bob, carol"));
    let from_carol = ["quantum", "run", "bb84", "--room", "lab", "--with", "alice", "--psk"];
    assert!(carol.fails(6, &from_carol).contains("only an admin"));
    assert!(alice.fails(2, &ask(&["--qubits", "100001"])).contains("100000 pulses at most"));
    assert!(alice.fails(2, &ask(&["--backend", "ibm"])).contains("--backend"));
    assert!(bob.fails(5, &["quantum", "answer", "lab"]).contains("nobody asks"));
    thread::scope(|scope| {
        let asking = scope.spawn(|| alice.fails(6, &ask(&[])));
        while !notices(bob).contains("alice asks you for a simulated run of BB84 (12000 pulses)") {}
        assert!(notices(carol).contains("alice asks bob for"), "{}", notices(carol));
        let undecided = bob.fails(2, &["quantum", "answer", "lab"]);
        assert!(undecided.contains("alice asks this device") && undecided.contains("--yes"), "{undecided}");
        assert!(carol.fails(5, &["quantum", "answer", "lab"]).contains("nobody asks"));
        bob.ok(&["quantum", "answer", "lab", "--decline"]);
        let said = asking.join().expect("an answer");
        assert!(said.contains("bob has declined"), "{said}");
    });
    assert!(bob.fails(5, &["quantum", "answer", "lab"]).contains("nobody asks"));
    // A run in a room of three is between two all the same.
    thread::scope(|scope| {
        let answering = scope.spawn(|| bob.run(&ANSWER).expect_code(0).json().remove(0));
        let ours = alice.run(&ask(&[])).expect_code(0).json().remove(0);
        assert_eq!(answering.join().expect("an answer")["final_key_bits"], ours["final_key_bits"]);
        assert_eq!(ours["psk"], Value::Null);
    });
    talk(&[alice, bob, carol], "all the same");
}

#[test]
fn whoever_breaks_the_protocol_is_named_and_nothing_is_used() {
    let (_daemon, people) = scene(&["alice", "bob"]);
    let [alice, bob] = &people[..] else { panic!("two people") };
    // What bob's end says instead of the first, and of the second message.
    for (after, garbage) in [(1, vec![0xff; 60_000]), (1, vec![]), (2, vec![0x0a, 0x00])] {
        thread::scope(|scope| {
            let asking = scope.spawn(|| alice.run(&ask(&["--psk"])).expect_code(6));
            block_on(async {
                let (engine, room) = engine(bob).await;
                let asked = engine.exercise_comes(room, PATIENCE).await.expect("an invitation");
                let terms = qchat_quantum::bb84::joint::wire::decode_terms(&asked.terms, 1).expect("terms");
                let mut end = qchat_quantum::bb84::joint::Bob::new(&terms);
                let mut run = engine.agree_to_exercise(room, &asked).await.expect("a run");
                for _ in 0..after {
                    let Heard::Said(said) = run.next(PATIENCE).await.expect("a message") else {
                        panic!("an end")
                    };
                    let answers = end.handle(&said);
                    if after > 1 {
                        run.say(&answers[..1]).await.expect("an answer");
                    }
                }
                run.say(std::slice::from_ref(&garbage)).await.expect("garbage");
                // Until alice has had enough of it, which she says.
                while !matches!(run.next(PATIENCE).await.expect("an end"), Heard::Ended) {}
                engine.shutdown().await;
            });
            let output = asking.join().expect("an end");
            assert!(
                output.stderr.contains("the protocol was broken in the run with bob"),
                "{}",
                output.stderr
            );
            assert_eq!(output.json()[0]["abort_reason"], "protocol");
        });
        assert_eq!((&show(alice)["psk"], &show(alice)["offered_keys"]), (&Value::Null, &json!([])));
    }
    // Alice's end: terms that make no sense or are too large, then garbage in the place of pulses.
    let settings = Settings::default();
    let huge = encode_terms(&Settings { qubits: 10_000_000, ..settings });
    for terms in [vec![0xff; 20], huge] {
        block_on(async {
            let (engine, room) = engine(alice).await;
            let bob = bob.name().parse().expect("a name");
            let asked = engine.ask_exercise(room, &bob, terms, false).await;
            drop(asked.expect("a run"));
            engine.sync().await.expect("all said");
            engine.shutdown().await;
        });
        let said = bob.fails(6, &["quantum", "answer", "lab", "--yes"]);
        assert!(said.contains("makes no sense"), "{said}");
    }
    bob.ok(&["quantum", "answer", "lab", "--decline"]);
    for garbage in [vec![0x0a, 0x01, 0x08], Alice::begin(&Settings { qubits: 5, ..settings }).1] {
        thread::scope(|scope| {
            let answering = scope.spawn(|| bob.run(&ANSWER).expect_code(6));
            block_on(async {
                let (engine, room) = engine(alice).await;
                let name = bob.name().parse().expect("a name");
                let run = engine.ask_exercise(room, &name, encode_terms(&settings), true).await;
                let mut run = run.expect("a run");
                run.agreed(PATIENCE).await.expect("a yes");
                run.say(&[garbage]).await.expect("garbage");
                while !matches!(run.next(PATIENCE).await.expect("an end"), Heard::Ended) {}
                engine.shutdown().await;
            });
            let output = answering.join().expect("an end");
            assert!(
                output.stderr.contains("the protocol was broken in the run with alice"),
                "{}",
                output.stderr
            );
        });
        assert_eq!((&show(bob)["psk"], &show(bob)["offered_keys"]), (&Value::Null, &json!([])));
    }
    talk(&[alice, bob], "all the same");
}
