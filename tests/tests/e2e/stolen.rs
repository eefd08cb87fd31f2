//! An account is taken back by the recovery words from whoever has one of its devices, be they slower or quicker.

use std::{sync::mpsc, time::Instant};

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    on_both,
    process::DEADLINE,
    proxy::{Answer, Proxy},
};
use serde_json::Value;

use crate::backups::killed_at;

on_both!(a_stolen_device_loses_the_account, a_thief_who_has_revoked_the_owner_loses_it_all_the_same);

fn words(client: &Client) -> String {
    client.recovery_file().to_str().expect("a UTF-8 path").to_owned()
}

fn devices(client: &Client) -> Vec<Value> {
    client.json(&["device", "list"])
}

/// alice with another device that somebody else has by now, and bob, all in a room.
fn robbed(daemon: &Daemon) -> [Client; 3] {
    robbed_and_another_by(daemon, &daemon.url())
}

/// The same, where bob has another way to the daemon.
fn robbed_and_another_by(daemon: &Daemon, way: &str) -> [Client; 3] {
    let mut users =
        [("alice", daemon.url().as_str()), ("bob", way)].map(|(name, url)| Client::register(url, name));
    users.iter_mut().for_each(Client::unlock);
    let [alice, bob] = users;
    client::room("general", &[&alice, &bob]);
    let mut stolen = alice.link("laptop");
    stolen.unlock();
    stolen.ok(&["send", "general", "before the theft"]);
    [alice, bob, stolen]
}

/// The owner takes the account back; what is printed.
fn taken_back(owner: &Client) -> Value {
    owner.json(&["device", "revoke", "--stolen", "--recovery-file", &words(owner), "--yes"]).remove(0)
}

/// Others are stopped until they accept what the recovery key vouches for.
fn accepts(other: &Client, room: &str) {
    let said = other.fails(6, &["send", room, "to whom?"]);
    assert!(said.contains("verify alice --accept"), "{said}");
    let accepted = &other.json(&["verify", "alice", "--accept", "--yes"])[0];
    assert_eq!((&accepted["done"], &accepted["by_recovery_key"]), (&"accepted".into(), &true.into()));
}

#[test]
fn what_was_noted_is_sealed_anew_for_the_key_that_the_thief_does_not_have() {
    let daemon = Daemon::start(Backend::Sqlite);
    let [alice, _bob, _stolen] = robbed(&daemon);
    alice.ok(&["room", "mark", "general", "muted"]);
    alice.ok(&["block", "bob"]);
    taken_back(&alice);
    // Whatever of hers connects next puts it there.
    alice.ok(&["room", "list"]);
    // A device that has the new key alone can read it.
    let mut tablet = alice.link("tablet");
    tablet.unlock();
    let general = tablet.json(&["room", "list", "--all"]).remove(0);
    assert_eq!((&general["room"], &general["muted"]), (&"general".into(), &true.into()));
    assert_eq!(tablet.json(&["block"])[0]["user"], "bob");
}

fn a_stolen_device_loses_the_account(backend: Backend) {
    let daemon = Daemon::start(backend);
    let [alice, bob, stolen] = robbed(&daemon);
    alice.ok(&["backup", "create"]);
    let before = text(&alice.json(&["keys", "show"])[0], "fingerprint");
    // Not by whoever has no words, not by those of another, and not the device that it is run on.
    alice.fails(4, &["device", "revoke", "laptop", "--stolen", "--yes"]);
    alice.fails(6, &["device", "revoke", "--stolen", "--recovery-file", &words(&bob), "--yes"]);
    let this = text(&devices(&alice)[0], "device");
    let by_words = ["--stolen", "--yes", "--recovery-file", &words(&alice)];
    alice.fails(6, &[&["device", "revoke", this.as_str()][..], &by_words].concat());
    assert_eq!(devices(&alice).len(), 2);

    let taken = taken_back(&alice);
    let [lost] = &taken["revoked"].as_array().expect("devices")[..] else { panic!("{taken}") };
    assert_eq!(
        (&taken["done"], &taken["rooms"], &taken["waiting"]),
        (&"taken_back".into(), &1.into(), &0.into())
    );
    assert_ne!(taken["fingerprint"], before);
    let left = devices(&alice);
    assert_eq!((left.len(), &left[0]["device"], &left[0]["me"]), (1, &this.into(), &true.into()));
    assert!(left[0]["name"].is_string(), "it is known by its name under the new key: {left:?}");
    assert_eq!(alice.json(&["keys", "show"])[0]["fingerprint"], taken["fingerprint"]);
    for refused in
        [&["send", "general", "let me in"][..], &["device", "revoke", "--yes", lost.as_str().expect("an id")]]
    {
        stolen.fails(4, refused);
    }
    // What it did is no alarm to itself.
    assert_eq!(alice.json(&["keys", "audit"])[0]["warnings"], Value::Array(vec![]));

    alice.ok(&["send", "general", "it is me"]);
    accepts(&bob, "general");
    bob.ok(&["send", "general", "hello again"]);
    // What was written before it was known waits until the change is accepted.
    let said = ["it is me", "to whom?", "hello again"];
    for reader in [&alice, &bob] {
        assert_eq!(reader.bodies("general")[1..], said);
    }
    let heard = stolen.run(&["history", "general"]).lines;
    assert!(!heard.iter().any(|line| line.contains("it is me")), "{heard:?}");

    // The words open the next backup, and a device that is linked now comes into the room.
    assert_eq!(alice.json(&["backup", "create"])[0]["version"], 2);
    let mut phone = alice.link("phone");
    phone.unlock();
    phone.ok(&["send", "general", "from the phone"]);
    assert_eq!(bob.bodies("general")[4..], ["from the phone"]);
    let restored = alice.another_machine();
    let by_words = ["backup", "restore", "alice", "--recovery-file", &words(&alice), "--yes"];
    drop(restored.json(&by_words));
    assert_eq!(restored.bodies("general"), ["before the theft", "it is me", "to whom?", "hello again"]);
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}")).to_owned()
}

fn a_thief_who_has_revoked_the_owner_loses_it_all_the_same(backend: Backend) {
    let daemon = Daemon::start(backend);
    let [alice, bob, stolen] = robbed(&daemon);
    let owner = text(&devices(&alice)[0], "device");
    stolen.ok(&["device", "revoke", &owner, "--yes"]);
    alice.fails(4, &["device", "list"]);
    stolen.ok(&["send", "general", "it is all mine"]);

    let taken = taken_back(&alice);
    assert_eq!(taken["revoked"].as_array().map(Vec::len), Some(1));
    assert_eq!(devices(&alice).len(), 1);
    stolen.fails(4, &["send", "general", "let me in"]);
    // The rooms that the thief has removed it from are to be entered anew.
    assert_eq!(bob.json(&["verify", "alice", "--accept", "--yes"])[0]["done"], "accepted");
    added_again(&alice, &bob);
    alice.ok(&["send", "general", "back"]);
    assert_eq!(bob.bodies("general"), ["before the theft", "it is all mine", "back"]);
}

/// Waits until somebody's device is in the room again by what another one does whenever it is connected.
fn added_again(owner: &Client, other: &Client) {
    let until = Instant::now() + DEADLINE;
    while owner.json(&["room", "list"]).first().is_none_or(|room| room["status"] != "invited") {
        assert!(Instant::now() < until, "nobody has added it: {:?}", other.run(&["verify", "alice"]));
        other.ok(&["room", "show", "general"]);
    }
    owner.ok(&["room", "join", "general"]);
}

#[test]
fn a_look_that_began_before_a_change_was_accepted_does_not_undo_that() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let [alice, bob, stolen] = robbed_and_another_by(&daemon, &proxy.url());
    let owner = text(&devices(&alice)[0], "device");
    stolen.ok(&["device", "revoke", &owner, "--yes"]);
    taken_back(&alice);

    // What bob's client asks first about her comes to it when he has accepted already.
    let path = format!("/v1/accounts/{}", text(&alice.json(&["whoami"])[0], "account"));
    let (began, has_begun) = mpsc::channel();
    let (accepted, once_accepted) = mpsc::channel::<()>();
    let mut held = Some((began, once_accepted));
    proxy.at_requests(move |request| {
        let Some((began, once_accepted)) = held.take_if(|_| request.is("GET", &path)) else {
            return Answer::Genuine;
        };
        Answer::Changed(Box::new(move |body| {
            began.send(()).expect("the test waits");
            // The end of the test releases it, too.
            let _ = once_accepted.recv();
            body
        }))
    });
    let listening = bob.start(&["listen", "--limit", "1"]);
    has_begun.recv_timeout(DEADLINE).expect("bob's client looks who is owed a place");
    assert_eq!(bob.json(&["verify", "alice", "--accept", "--yes"])[0]["done"], "accepted");
    drop(accepted);
    added_again(&alice, &bob);
    alice.ok(&["send", "general", "back"]);
    // It ends when it is done with what it had begun.
    drop(listening.finish().expect_code(0));
    bob.ok(&["send", "general", "welcome back"]);
    assert_eq!(bob.bodies("general")[1..], ["back", "welcome back"]);
}

#[test]
fn an_account_that_was_being_taken_back_when_the_program_was_killed_is_taken_back_once() {
    let daemon = Daemon::start(Backend::Sqlite);
    for (name, point) in [
        ("one", ("POST", "/v1/recovery", 1, true)),
        ("two", ("POST", "/v1/recovery/device", 1, false)),
        ("three", ("POST", "/v1/recovery/device", 1, true)),
        ("four", ("POST", "/v1/key-packages", 1, true)),
    ] {
        let proxy = Proxy::start(daemon.address());
        let mut owner = Client::register(&proxy.url(), name);
        owner.unlock();
        owner.ok(&["room", "create", "notes"]);
        let stolen = owner.link("laptop");
        let taking = ["device", "revoke", "--stolen", "--recovery-file", &words(&owner), "--yes"];
        killed_at(&proxy, point, &owner, &taking);
        proxy.at_requests(|_| Answer::Genuine);
        assert_eq!(devices(&owner).len(), 1, "{point:?}");
        assert_eq!(owner.json(&["keys", "audit"])[0]["warnings"], Value::Array(vec![]), "{point:?}");
        owner.ok(&["send", "notes", "still mine"]);
        stolen.fails(4, &["device", "list"]);
    }
}
