//! Two people with QKD equipment mix its keys into their room: the built programs, a daemon, and a pair of KMEs.

use std::{fs, thread, time::Duration};

use qchat_cli::{
    store::{Profile, StoreError},
    vault,
};
use qchat_proto::{ids::RoomId, mls::psk::PskId, session::ledger::Ledger as _};
use qchat_quantum::etsi014::{Client as Kme, Credentials, SaeId};
use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    kme::{End, Mischief, Pair, Sae},
};
use serde_json::Value;
use zeroize::Zeroizing;

const ADD: &[&str] = &["room", "psk", "add", "lab"];
const ACCEPT: &[&str] = &["room", "psk", "accept", "lab"];
const SHOW: &[&str] = &["room", "show", "lab"];
const SECRET: &str = "only with the key";

struct Scene {
    _daemon: Daemon,
    pair: Pair,
    people: Vec<Client>,
}

/// These people in a room, alice at one end and everybody else at the other; each has its KME in its settings.
fn scene(names: &[&str]) -> Scene {
    let daemon = Daemon::start(Backend::Sqlite);
    let ends = |name: &str| if name == "alice" { End::Near } else { End::Far };
    let ids: Vec<_> = names.iter().map(|name| (format!("{name}-sae"), ends(name))).collect();
    let pair = Pair::start(&ids.iter().map(|(id, end)| (id.as_str(), *end)).collect::<Vec<_>>());
    let mut people: Vec<_> = names.iter().map(|name| Client::register(&daemon.url(), name)).collect();
    people.iter_mut().for_each(Client::unlock);
    client::room("lab", &people.iter().collect::<Vec<_>>());
    for person in &people {
        let peer = if person.name() == "alice" { "bob-sae" } else { "alice-sae" };
        settings(person, pair.sae(&format!("{}-sae", person.name())), peer);
    }
    Scene { _daemon: daemon, pair, people }
}

/// Writes the configuration file of somebody who has QKD equipment.
fn settings(person: &Client, sae: &Sae, peer: &str) {
    let path = person.file(".config/qchat/config.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let lines = [
        ("etsi014", sae.url.clone()),
        ("sae", sae.id.clone()),
        ("peer_sae", peer.to_owned()),
        ("sae_cert", sae.certificate.display().to_string()),
        ("sae_key", sae.key.display().to_string()),
        ("kme_ca", sae.authority.display().to_string()),
    ];
    let lines: Vec<_> = lines.iter().map(|(key, value)| format!("{key} = {value:?}\n")).collect();
    fs::write(path, lines.concat()).unwrap();
}

fn show(person: &Client) -> Value {
    person.json(SHOW).remove(0)
}

/// Everybody writes, and everybody reads all of it.
fn all_talk(people: &[Client], round: &str) {
    let mut said: Vec<_> = people.iter().map(|person| format!("{} {round}", person.name())).collect();
    for (person, text) in people.iter().zip(&said) {
        person.ok(&["send", "lab", text]);
    }
    said.sort();
    for person in people {
        let mut read = person.bodies("lab");
        read.retain(|body| body.ends_with(round));
        read.sort();
        assert_eq!(read, said, "{} reads", person.name());
    }
}

/// What people are told in the room.
fn notices(person: &Client) -> String {
    person.ok(&["history", "lab"]).join("\n")
}

/// From an offer to the epoch that depends on the key.
fn mix(alice: &Client, bob: &Client) -> u64 {
    let offered = alice.json(ADD).remove(0);
    assert_eq!((&offered["done"], &offered["waits_for"]), (&"offered".into(), &serde_json::json!(["bob"])));
    assert_eq!(bob.json(ACCEPT)[0]["done"], "accepted");
    let mixed = alice.json(ADD).remove(0);
    assert_eq!((&mixed["done"], &mixed["key_id"]), (&"mixed".into(), &offered["key_id"]), "{mixed}");
    mixed["epoch"].as_u64().expect("an epoch")
}

#[test]
fn two_people_mix_a_key_of_their_link_into_their_room_and_talk_on() {
    let Scene { pair, people, .. } = &scene(&["alice", "bob"]);
    let [alice, bob] = &people[..] else { panic!("two people") };
    assert_eq!(show(alice)["psk"], Value::Null);
    let link = alice.json(&["room", "psk", "status"]).remove(0);
    assert_eq!((&link["keys"], &link["peer_sae"]), (&25_000.into(), &"bob-sae".into()));
    assert_eq!(pair.link().key_ids().len(), 0, "asking uses none up");
    alice.ok(ADD);
    let offered = &show(bob)["offered_keys"][0];
    assert_eq!(
        (&offered["by"], &offered["key_id"]),
        (&"alice".into(), &pair.link().key_ids()[0].clone().into())
    );
    assert!(notices(bob).contains("alice offers the key"), "{}", notices(bob));
    assert!(bob.ok(ACCEPT)[0].starts_with("accepted "));
    // Nobody waits for the other: whatever alice does next mixes it in.
    alice.ok(ADD);
    let epoch = show(alice)["psk"]["since_epoch"].clone();
    assert!(epoch.as_u64().is_some());
    for person in people {
        let show = show(person);
        assert_eq!(show["psk"], serde_json::json!({ "kind": "quantum-link", "since_epoch": epoch }));
        assert_eq!(show["offered_keys"], serde_json::json!([]));
        let text = person.ok(SHOW).join("\n");
        assert!(
            text.contains(&format!("of a quantum link (ETSI GS QKD 014), since epoch {epoch}")),
            "{text}"
        );
    }
    all_talk(people, "after the key");
    assert_eq!(pair.link().key_ids().len(), 1, "one key was asked for, and no other");
    // The next key takes the place of the first.
    let next = mix(alice, bob);
    assert!(Some(next) > epoch.as_u64());
    all_talk(people, "after the second");
    for key in pair.link().keys() {
        let hex = hex::encode(&key);
        for person in people {
            assert!(!person.said().contains(&hex));
        }
    }
}

#[test]
fn a_key_that_somebody_offers_who_is_blocked_is_neither_shown_nor_taken() {
    let Scene { people, .. } = &scene(&["alice", "bob"]);
    let [alice, bob] = &people[..] else { panic!("two people") };
    alice.ok(ADD);
    assert_eq!(show(bob)["offered_keys"][0]["by"], "alice");
    bob.ok(&["block", "alice"]);
    assert_eq!(show(bob)["offered_keys"], serde_json::json!([]));
    assert!(bob.fails(6, ACCEPT).contains("no key is offered"));
    bob.ok(&["unblock", "alice"]);
    assert_eq!(bob.json(ACCEPT)[0]["done"], "accepted");
}

#[test]
fn whoever_waits_learns_when_the_key_is_mixed_in() {
    let Scene { people, .. } = &scene(&["alice", "bob"]);
    let [alice, bob] = &people[..] else { panic!("two people") };
    thread::scope(|scope| {
        let offering = scope.spawn(|| alice.json(&[ADD, &["--wait", "120"]].concat()).remove(0));
        // Until the offer is there, bob is told that there is none.
        while bob.run(ACCEPT).code == Some(6) {}
        let mixed = offering.join().unwrap();
        assert_eq!(mixed["done"], "mixed", "{mixed}");
        assert_eq!(show(bob)["psk"]["since_epoch"], mixed["epoch"]);
    });
    all_talk(people, "after the wait");
}

#[test]
fn a_wrong_key_at_one_end_is_named_and_the_room_goes_on() {
    let Scene { pair, people, .. } = &scene(&["alice", "bob"]);
    let [alice, bob] = &people[..] else { panic!("two people") };
    let before = show(alice)["epoch"].clone();
    pair.link().misbehave(End::Far, Mischief::WrongKey);
    alice.ok(ADD);
    bob.ok(ACCEPT);
    let said = alice.fails(6, ADD);
    assert!(said.contains("different keys") && said.contains("goes on as it was"), "{said}");
    assert!(notices(alice).contains("a device of bob has another key"), "{}", notices(alice));
    assert!(notices(bob).contains("alice gave up the key"), "{}", notices(bob));
    assert_eq!(show(alice)["epoch"], before, "no commit was made of it");
    all_talk(people, "without a key");
    pair.link().behave();
    mix(alice, bob);
    all_talk(people, "with a good one");
}

#[test]
fn a_third_member_without_the_key_keeps_it_out() {
    let Scene { pair, people, .. } = &scene(&["alice", "bob", "carol"]);
    let [alice, bob, carol] = &people[..] else { panic!("three people") };
    let said = alice.fails(6, ADD);
    assert!(said.contains("bob, carol") && said.contains("--every-device"), "{said}");
    assert!(bob.fails(6, ADD).contains("only an admin"));
    assert!(pair.link().requests().is_empty(), "no key was used up for it");
    let every = [ADD, &["--every-device"]].concat();
    assert_eq!(alice.json(&every)[0]["waits_for"], serde_json::json!(["bob", "carol"]));
    bob.ok(ACCEPT);
    // The key is alice's and bob's: carol's KME does not give it to her.
    assert!(carol.fails(6, ACCEPT).contains("offered to the SAE bob-sae"));
    let pretending = [ACCEPT, &["--sae", "bob-sae"]].concat();
    assert!(carol.fails(4, &pretending).contains("may not have these keys"));
    let waiting = alice.json(&["--timeout", "5", "room", "psk", "add", "lab"]).remove(0);
    assert_eq!((&waiting["done"], &waiting["waits_for"]), (&"offered".into(), &serde_json::json!(["carol"])));
    all_talk(people, "without it");
    // Without her the two go on where they were.
    alice.ok(&["room", "remove", "lab", "carol"]);
    assert_eq!(alice.json(ADD)[0]["done"], "mixed");
    all_talk(&people[..2], "the two");
}

#[test]
fn who_lacks_the_key_cannot_read_although_it_has_everything_else() {
    let Scene { people, .. } = &scene(&["alice", "bob"]);
    let [alice, bob] = &people[..] else { panic!("two people") };
    let offered = alice.json(ADD).remove(0);
    bob.ok(ACCEPT);
    // By hand: the key alone is taken out of bob's profile.
    let room: RoomId = offered["room_id"].as_str().unwrap().parse().unwrap();
    let key: qchat_quantum::etsi014::KeyId = offered["key_id"].as_str().unwrap().parse().unwrap();
    let dir = bob.data_directory().join("bob");
    let profile = Profile::open(&dir, vault::unlock(&dir, bob.passphrase()).unwrap()).unwrap();
    let id = PskId::quantum_link(*key.as_bytes());
    profile
        .write(|tx| {
            assert_eq!(tx.psks(room)?.len(), 1);
            tx.forget_psk(room, id)
        })
        .map_err(|error: StoreError| error)
        .unwrap();
    drop(profile);
    assert_eq!(alice.json(ADD)[0]["done"], "mixed");
    alice.ok(&["send", "lab", SECRET]);
    assert!(!bob.bodies("lab").contains(&SECRET.to_owned()));
    assert_eq!(show(bob)["status"], "stuck");
    // It asks to be added again, and goes on from there; what was said meanwhile it never reads.
    let (helping, returning) = (alice.listen("lab"), bob.listen("lab"));
    returning.wait_for("the way back", |line| line.contains("was added again").then_some(()));
    drop((helping, returning));
    all_talk(people, "after all");
    assert!(!bob.bodies("lab").contains(&SECRET.to_owned()));
    for dir in [dir, alice.data_directory().join("alice")] {
        let passphrase = if dir.ends_with("bob") { bob.passphrase() } else { alice.passphrase() };
        let profile = Profile::open(&dir, vault::unlock(&dir, passphrase).unwrap()).unwrap();
        let left = profile.read(|tx| Ok::<_, StoreError>((tx.psks(room)?.len(), tx.psk_offers(room)?.len())));
        assert_eq!(left.unwrap().0, 0, "a key is deleted when it is used");
    }
}

#[test]
fn a_key_that_was_lost_on_the_way_is_dropped_and_another_offered() {
    let Scene { pair, people, .. } = &scene(&["alice", "bob"]);
    let [alice, bob] = &people[..] else { panic!("two people") };
    pair.link().give_out_once();
    let offered = alice.json(ADD).remove(0);
    // As if bob's machine had died when the key was given out, and before it was stored.
    let sae = pair.sae("bob-sae");
    let credentials = Credentials {
        certificate: fs::read(&sae.certificate).unwrap(),
        key: Zeroizing::new(fs::read(&sae.key).unwrap()),
        authority: fs::read(&sae.authority).unwrap(),
    };
    let kme = Kme::new(&sae.url, &credentials, Duration::from_secs(30)).unwrap();
    let master: SaeId = "alice-sae".parse().unwrap();
    let id = offered["key_id"].as_str().unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(kme.dec_keys(&master, &[id])).unwrap();
    let said = bob.fails(6, ACCEPT);
    assert!(said.contains("given out once only"), "{said}");
    alice.ok(&["room", "psk", "drop", "lab"]);
    assert!(bob.fails(6, ACCEPT).contains("no key is offered"));
    assert!(alice.fails(6, &["room", "psk", "drop", "lab"]).contains("no key waits"));
    mix(alice, bob);
    all_talk(people, "with another");
}

#[test]
fn what_is_missing_or_refused_is_said_and_no_key_is_offered() {
    let Scene { pair, people, .. } = &scene(&["alice", "bob"]);
    let [alice, bob] = &people[..] else { panic!("two people") };
    let said = |arguments: &[&str], code, words: &str| {
        let said = alice.fails(code, &[ADD, arguments].concat());
        assert!(said.contains(words), "{arguments:?}: {said}");
    };
    said(&["--etsi014", "http://127.0.0.1:1"], 2, "https");
    said(&["--sae-key", "/no/such/file"], 2, "/no/such/file");
    said(
        &["--sae-cert", pair.sae("bob-sae").certificate.to_str().unwrap()],
        2,
        "not the key of the certificate",
    );
    said(&["--peer-sae", "a b"], 2, "SAE");
    said(&["--peer-sae", "nobody"], 6, "no link leads");
    said(&["--kme-ca", pair.sae("bob-sae").certificate.to_str().unwrap()], 6, "no secure connection");
    for (status, code) in [(503, 3), (401, 4), (400, 6), (500, 1)] {
        pair.link().misbehave(End::Near, Mischief::Refuse(status));
        said(&[], code, "refused on demand");
    }
    pair.link().misbehave(End::Near, Mischief::Truncated);
    said(&[], 1, "not what ETSI GS QKD 014 says");
    pair.link().misbehave(End::Near, Mischief::Short);
    said(&[], 1, "248 bits");
    pair.link().behave();
    assert_eq!(show(bob)["offered_keys"], serde_json::json!([]));
    alice.ok(ADD);
    for (arguments, words) in
        [(["--peer-sae", "mallory"], "offered by"), (["--sae", "mallory"], "offered to")]
    {
        let said = bob.fails(6, &[ACCEPT, &arguments].concat());
        assert!(said.contains(words), "{said}");
    }
    fs::remove_file(alice.file(".config/qchat/config.toml")).unwrap();
    said(&[], 2, "--etsi014");
    bob.ok(ACCEPT);
    all_talk(people, "all the same");
}

/// Small, seeded, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn whoever_is_killed_between_the_steps_goes_on() {
    let Scene { pair, people, .. } = &scene(&["alice", "bob"]);
    let [alice, bob] = &people[..] else { panic!("two people") };
    let mut dice = Dice(0x5eed_0014);
    for round in 0..3 {
        let before = show(alice)["psk"].clone();
        for (person, arguments) in [(alice, ADD), (alice, ADD), (bob, ACCEPT), (bob, ACCEPT), (alice, ADD)] {
            let mut doing = person.start(arguments);
            // A crash comes when it comes: no event marks it.
            thread::sleep(Duration::from_millis(dice.roll(700)));
            doing.kill();
        }
        // Whatever they have got to, the same commands lead on from there.
        let mut tries = 0;
        while show(alice)["psk"] == before {
            tries += 1;
            assert!(tries < 5, "round {round}: {}", notices(alice));
            alice.ok(&[ADD, &["--timeout", "10"]].concat());
            bob.run(ACCEPT);
        }
        assert_eq!(show(bob)["psk"], show(alice)["psk"]);
        all_talk(people, &format!("after round {round}"));
    }
    assert!(!pair.link().key_ids().is_empty());
}
