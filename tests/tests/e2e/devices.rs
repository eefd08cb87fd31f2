//! Several machines of one user, each a device of the account: linked, in its rooms, listed and revoked.

use std::sync::{Arc, Mutex};

use qchat_proto::{
    crypto::{entropy::SystemEntropy, hpke, kdf},
    identity::link::{LinkAnswer, OldDevice},
    wire::api::{Binary, OpenLink, PutOpening},
};
use qchat_tests::{
    client::{self, Client, Message, compare},
    daemon::Daemon,
    database::Backend,
    device, on_both, operator,
    process::Process,
    proxy::{Answer, Proxy},
};
use serde_json::Value;

use crate::backups::kill_at;

on_both!(a_second_device_comes_into_the_rooms_and_both_read_and_write, a_revoked_device_is_out_of_everything);

fn code(value: &Value) -> Option<String> {
    value["code"].as_str().map(ToOwned::to_owned)
}

/// The account's devices as one of them lists them.
fn devices(client: &Client) -> Vec<Value> {
    client.json(&["device", "list"])
}

fn text(process: &Process) -> String {
    process.wait_for("message", Message::from_line).body
}

/// The notices of a room.
fn notices(client: &Client, room: &str) -> Vec<String> {
    let lines = client.json(&["history", room, "--limit", "10000"]);
    let notice = |line: &Value| Some(line["body"].as_str().filter(|_| line["type"] == "notice")?.to_owned());
    lines.iter().filter_map(notice).collect()
}

fn a_second_device_comes_into_the_rooms_and_both_read_and_write(backend: Backend) {
    let daemon = Daemon::start(backend);
    let mut users = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    users.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &users;
    client::room("general", &[alice, bob]);
    alice.ok(&["send", "general", "before there was another"]);

    let mut laptop = alice.link("laptop");
    laptop.unlock();
    // It reads and writes in the room without a yes of its own, and has nothing of before.
    laptop.ok(&["send", "general", "from the laptop"]);
    bob.ok(&["send", "general", "to both"]);
    assert_eq!(alice.bodies("general"), ["before there was another", "from the laptop", "to both"]);
    assert_eq!(laptop.bodies("general"), ["from the laptop", "to both"]);
    let senders: Vec<_> = bob.history("general").into_iter().map(|message| message.sender).collect();
    assert_eq!(senders, ["alice", "alice", "bob"]);
    assert!(
        notices(bob, "general").contains(&"alice has a new device".to_owned()),
        "{:?}",
        notices(bob, "general")
    );
    let room = &bob.json(&["room", "show", "general"])[0];
    let of_alice =
        room["members"].as_array().and_then(|members| members.iter().find(|m| m["name"] == "alice"));
    assert_eq!(
        of_alice.map(|alice| (&alice["devices"], &alice["invited"])),
        Some((&2.into(), &false.into()))
    );

    // A room that either makes, both are in; and whoever is invited is invited with all devices.
    laptop.ok(&["room", "create", "mine"]);
    laptop.ok(&["send", "mine", "to myself"]);
    alice.ok(&["send", "mine", "and back"]);
    for device in [alice, &laptop] {
        assert_eq!(device.bodies("mine"), ["to myself", "and back"]);
    }

    // Both are listed, each says that it is itself, and who let the other in.
    let (at_old, at_new) = (devices(alice), devices(&laptop));
    let names = |list: &[Value]| list.iter().map(|device| device["me"] == true).collect::<Vec<_>>();
    assert_eq!((names(&at_old), names(&at_new)), (vec![true, false], vec![true, false]));
    assert_eq!(at_new[0]["name"], "laptop");
    assert_eq!(at_new[0]["added_by"], at_old[0]["device"]);
    assert_eq!((&at_new[1]["device"], &at_new[1]["added_by"]), (&at_old[0]["device"], &Value::Null));
    assert!(at_old.iter().all(|device| device["last_seen"].is_string()), "{at_old:?}");
    // That the other has changed the list of devices is no alarm.
    for device in [alice, &laptop] {
        assert_eq!(device.json(&["keys", "audit"])[0]["warnings"], Value::Array(vec![]));
    }
}

fn a_revoked_device_is_out_of_everything(backend: Backend) {
    let daemon = Daemon::start(backend);
    let mut users = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    users.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &users;
    client::room("general", &[alice, bob]);
    let mut laptop = alice.link("laptop");
    laptop.unlock();
    laptop.ok(&["send", "general", "still here"]);
    let itself = devices(&laptop)[0]["device"].as_str().expect("an id").to_owned();
    let refused = laptop.fails(6, &["device", "revoke", "laptop", "--yes"]);
    assert!(
        refused.contains("logout") && refused.contains("another device"),
        "the remedy is said: {refused}"
    );
    alice.fails(5, &["device", "revoke", "toaster", "--yes"]);

    // Its socket is closed while it listens.
    let listening = laptop.listen("general");
    bob.ok(&["send", "general", "are you there"]);
    assert_eq!(text(&listening), "are you there");
    let revoked = alice.json(&["device", "revoke", "laptop", "--yes"]);
    assert_eq!((&revoked[0]["device"], &revoked[0]["rooms"]), (&itself.as_str().into(), &1.into()));
    listening.wait_until_it_says("offline");
    drop(listening);
    alice.ok(&["send", "general", "without the laptop"]);
    bob.ok(&["send", "general", "nor with it"]);
    laptop.fails(4, &["send", "general", "let me in"]);
    assert_eq!(bob.bodies("general"), ["still here", "are you there", "without the laptop", "nor with it"]);
    assert!(
        notices(bob, "general").contains(&"alice removed a device".to_owned()),
        "{:?}",
        notices(bob, "general")
    );
    assert_eq!(devices(alice).len(), 1);
    // Once more says that there is none.
    alice.fails(5, &["device", "revoke", &itself, "--yes"]);
    // Whoever is invited from now on is invited without it.
    bob.ok(&["room", "create", "second"]);
    bob.ok(&["room", "invite", "second", "alice"]);
    alice.ok(&["room", "join", "second"]);
    let room = &bob.json(&["room", "show", "second"])[0];
    let of_alice =
        room["members"].as_array().and_then(|members| members.iter().find(|m| m["name"] == "alice"));
    assert_eq!(of_alice.map(|alice| &alice["devices"]), Some(&1.into()));
    let lists: Vec<_> =
        bob.json(&["keys", "log", "alice"]).iter().map(|line| line["list_version"].clone()).collect();
    assert_eq!(lists, [Value::Null, 1.into(), 2.into(), 3.into()]);
    assert_eq!(alice.json(&["keys", "audit"])[0]["warnings"], Value::Array(vec![]));
}

#[test]
fn a_revocation_whose_program_is_killed_is_none_or_is_completed() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut users = ["alice", "bob"].map(|name| Client::register(&proxy.url(), name));
    users.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &users;
    client::room("general", &[alice, bob]);
    for (point, revoked) in [
        (("PUT", "/v1/account/device-list", 1, false), false),
        (("PUT", "/v1/account/device-list", 1, true), true),
    ] {
        let mut laptop = alice.link("laptop");
        laptop.unlock();
        laptop.ok(&["send", "general", "still here"]);
        let revoke = ["device", "revoke", "laptop", "--yes"];
        kill_at(&proxy, point, alice, &revoke);
        // The same again: there is nothing left to revoke, or it is revoked now.
        let code = alice.run(&revoke).code;
        assert_eq!(code, Some(if revoked { 5 } else { 0 }), "{point:?}");
        assert_eq!(devices(alice).len(), 1, "{point:?}");
        laptop.fails(4, &["send", "general", "let me in"]);
        // Out of the room before anything is said there.
        alice.ok(&["send", "general", "without it"]);
        let room = &bob.json(&["room", "show", "general"])[0];
        let of_alice =
            room["members"].as_array().and_then(|members| members.iter().find(|m| m["name"] == "alice"));
        assert_eq!(of_alice.map(|alice| &alice["devices"]), Some(&1.into()), "{point:?}");
    }
}

#[test]
fn codes_that_differ_link_nothing_on_either_side() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    // The new device's user says that they differ.
    let laptop = alice.another_machine();
    let link = ["device", "link", "alice", "--json"];
    let mut linking = laptop.start_to_be_told(&link);
    let (code, _) = compare(&alice, &mut linking);
    let wrong = if code.starts_with("00") {
        code.replacen("00", "01", 1)
    } else {
        code.replacen(&code[..2], "00", 1)
    };
    linking.tell(&wrong);
    let said = linking.finish().expect_code(6).stderr;
    assert!(said.contains("same code"), "{said}");
    assert!(!laptop.data_directory().join("alice/profile.db").exists(), "nothing is left");
    // The old device's user does.
    let mut linking = laptop.start_to_be_told(&link);
    let (code, _) = compare(&alice, &mut linking);
    let said = alice.fails(6, &["device", "approve", "--yes", "--code", &wrong]);
    assert!(said.contains("same code"), "{said}");
    linking.tell(&code);
    let said = linking.finish().expect_code(6).stderr;
    assert!(said.contains("over"), "{said}");
    assert_eq!(devices(&alice).len(), 1);
    // A wrong passphrase gets nobody so far; nor does a name that nobody has, and the answers are alike.
    let thief = laptop.run_with_passphrase("not hers", &link).expect_code(4).stderr;
    let nobody = laptop.run(&["device", "link", "nobody", "--json"]).expect_code(4).stderr;
    assert_eq!(thief, nobody);
    // And it can be tried again.
    drop(alice.link("laptop"));
    assert_eq!(devices(&alice).len(), 2);
}

fn encode(bytes: &[u8]) -> String {
    serde_json::to_value(Binary::from(bytes.to_vec())).expect("JSON").as_str().expect("text").to_owned()
}

fn decode(text: &str) -> Vec<u8> {
    serde_json::from_value::<Binary>(text.into()).expect("base64url").as_ref().to_vec()
}

/// Opens what was sealed for `reader`, and seals it for whoever has answered `genuine`.
fn seal_again(reader: &OldDevice, genuine: &[u8], opening: &[u8]) -> Vec<u8> {
    let bound = |answer: &[u8]| [&reader.commitment()[..], &kdf::sha384(&[answer])].concat();
    let (head, rest) = opening.split_at(2);
    let sealed = rest.split_at(hpke::ENCAPSULATED_KEY);
    let info = b"qchat link opening v1";
    let secret = reader.transfer_secret().expose();
    let plain = hpke::open(secret, sealed, info, None, &bound(reader.answer_bytes())).expect("its own");
    let to = LinkAnswer::decode(genuine).expect("an answer").transfer_key;
    let again = hpke::seal(&SystemEntropy, &to, info, None, &bound(genuine), &plain).expect("a key");
    [head, &again.encapsulated_key, &again.ciphertext].concat()
}

/// Who sits between two devices that are being linked, and passes on what each says under another key.
/// What a daemon in the middle has: the genuine answer, and the device that it plays.
type Between = (Vec<u8>, OldDevice);

#[test]
fn a_daemon_between_two_devices_links_nothing() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let proxy = Proxy::start(daemon.address());
    let laptop = Client::new(&proxy.url(), "alice");
    let commitment: Arc<Mutex<[u8; 48]>> = Arc::new(Mutex::new([0; 48]));
    let between: Arc<Mutex<Option<Between>>> = Arc::default();
    proxy.at_requests(move |request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v1/links") => {
            let asked: OpenLink = serde_json::from_slice(&request.body).expect("a link");
            *commitment.lock().expect("a lock") = asked.commitment.as_ref().try_into().expect("48 bytes");
            Answer::Genuine
        }
        // The genuine answer with a key of its own, to read the opening by.
        ("GET", "/v1/link") => {
            let (between, commitment) = (Arc::clone(&between), *commitment.lock().expect("a lock"));
            Answer::changed(move |state| {
                let Some(answer) = state["answer"].as_str().map(decode) else { return };
                let genuine = LinkAnswer::decode(&answer).expect("an answer");
                let mut between = between.lock().expect("a lock");
                let (_, reader) = between.get_or_insert_with(|| {
                    let reader = OldDevice::answer(commitment, genuine, &SystemEntropy);
                    (answer, reader.expect("an answer"))
                });
                state["answer"] = encode(reader.answer_bytes()).into();
            })
        }
        ("PUT", "/v1/link/opening") => {
            let said: PutOpening = serde_json::from_slice(&request.body).expect("an opening");
            let between = between.lock().expect("a lock");
            let (genuine, reader) = between.as_ref().expect("an answer before the opening");
            let again = PutOpening { opening: seal_again(reader, genuine, said.opening.as_ref()).into() };
            Answer::Instead(serde_json::to_vec(&again).expect("JSON"))
        }
        _ => Answer::Genuine,
    });
    let mut linking = laptop.start_to_be_told(&["device", "link", "alice", "--json"]);
    let (at_new, at_old) = compare(&alice, &mut linking);
    assert_ne!(at_new, at_old);
    // Whoever compares says no, on either side: the digits of one are not those of the other.
    alice.fails(6, &["device", "approve", "--yes", "--code", &at_new]);
    linking.tell(&at_old);
    drop(linking.finish().expect_code(6));
    assert_eq!(devices(&alice).len(), 1);
}

#[test]
fn a_device_that_is_listed_without_a_certificate_is_a_ghost() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let laptop = alice.link("laptop");
    assert_eq!(devices(&laptop).len(), 2);
    let proxy = Proxy::start(daemon.address());
    let bob = Client::register(&proxy.url(), "bob");
    bob.ok(&["room", "create", "tea"]);
    proxy.at_requests(|request| {
        if !request.is("GET", "/v1/accounts/by-name/alice") {
            return Answer::Genuine;
        }
        Answer::changed(|directory| {
            let certificates = directory["device_certificates"].as_array_mut().expect("certificates");
            // One is left: either makes a ghost of the other.
            certificates.truncate(1);
        })
    });
    let said = bob.fails(6, &["room", "invite", "tea", "alice"]);
    assert!(said.contains("without a certificate"), "{said}");
    let room = &bob.json(&["room", "show", "tea"])[0];
    assert_eq!(room["members"].as_array().map(Vec::len), Some(1), "{room}");
    proxy.at_requests(|_| Answer::Genuine);
    bob.ok(&["room", "invite", "tea", "alice"]);
}

#[test]
fn an_invitation_is_opened_unasked_only_by_the_hand_of_an_own_device() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let bob = Client::register(&daemon.url(), "bob");
    let account = alice.json(&["whoami"])[0]["account"].as_str().expect("an id").to_owned();
    let proxy = Proxy::start(daemon.address());
    // The daemon says of bob's invitation that alice has made it.
    proxy.at_requests(move |request| {
        let account = account.clone();
        if !(request.method == "GET" && request.path.ends_with("/invitation")) {
            return Answer::Genuine;
        }
        Answer::changed(move |invitation| invitation["inviter"] = account.into())
    });
    let mut misled = alice;
    misled.set_server(&proxy.url());
    bob.ok(&["room", "create", "trap"]);
    bob.ok(&["room", "invite", "trap", "alice"]);
    for _ in 0..2 {
        let rooms = misled.json(&["room", "list"]);
        let trap = rooms.iter().find(|room| room["room"] == "trap").expect("an invitation");
        assert_eq!(trap["status"], "invited", "{trap}");
    }
    let room = &bob.json(&["room", "show", "trap"])[0];
    let of_alice =
        room["members"].as_array().and_then(|members| members.iter().find(|m| m["name"] == "alice"));
    assert_eq!(of_alice.map(|alice| &alice["invited"]), Some(&true.into()));
    // A yes to alice is none to bob, whom the Welcome names; with a yes to him it is a room like any other.
    let said = misled.fails(6, &["room", "join", "trap"]);
    assert!(said.contains("it is bob who invites you"), "{said}");
    misled.ok(&["room", "join", "trap"]);
    misled.ok(&["send", "trap", "by my own will"]);
    assert_eq!(bob.bodies("trap"), ["by my own will"]);
}

#[test]
fn whom_the_account_has_pinned_the_new_device_has_pinned() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let bob = Client::register(&daemon.url(), "bob");
    let eve = Client::register(&daemon.url(), "eve");
    alice.ok(&["verify", "bob"]);
    let mut laptop = alice.link("laptop");
    drop(bob);
    // Before the laptop has met him, somebody else gets his name.
    let account = eve.json(&["whoami"])[0]["account"].as_str().expect("an id").parse().expect("an id");
    let name = |name: &str| name.parse().expect("a name");
    operator::give_name(&daemon, &name("bob"), account, &name("eve"));
    let other = device::directory("bob", account);
    operator::publish(&daemon, &other);
    let proxy = Proxy::start(daemon.address());
    operator::show(&proxy, "bob", &other);
    laptop.set_server(&proxy.url());
    laptop.ok(&["room", "create", "second"]);
    let said = laptop.fails(6, &["room", "invite", "second", "bob"]);
    assert!(said.contains("bob") && said.contains("identity"), "{said}");
}

#[test]
fn what_devices_say_to_each_other_the_server_does_not_have() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let proxy = Proxy::start(daemon.address());
    let mut alice = alice;
    alice.set_server(&proxy.url());
    let name = "the-laptop-in-the-secret-lair";
    let laptop = alice.link(name);
    assert_eq!(devices(&laptop)[0]["name"], name);
    assert_eq!(devices(&alice)[1]["name"], name);
    let passed = proxy.bytes();
    for place in [&name[..12], &encode(name.as_bytes())[..20]] {
        assert!(!passed.windows(place.len()).any(|window| window == place.as_bytes()), "{place} went by");
        assert!(!daemon.log().contains(place), "{place} is in the log");
    }
}

/// The programs on both machines are killed at random moments of a link: afterwards there is no device or a whole one, and
/// linking again works.
#[test]
fn a_link_whose_programs_are_killed_leaves_no_device_or_a_whole_one() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut alice = Client::register(&daemon.url(), "alice");
    alice.unlock();
    let mut whole = 0;
    for round in 0..6 {
        let laptop = alice.another_machine();
        let arguments = ["device", "link", "alice", "--name", "laptop", "--json"];
        let mut linking = laptop.start_to_be_told(&arguments);
        let (code, at_old) = compare(&alice, &mut linking);
        assert_eq!(code, at_old);
        linking.tell(&code);
        let mut approving = alice.start(&["device", "approve", "--yes", "--code", &code]);
        match round {
            // Where the new device has everything stored and has said yes, or is about to.
            0 => linking.wait_until_it_says("yes of the other"),
            1 => {
                linking.wait_until_it_says("yes of the other");
                approving.kill();
            }
            // The old one is through, whatever the new one has of it.
            2 => {
                approving
                    .wait_for("the new device", |line| line.contains("device of this account").then_some(()));
            }
            // Some time.
            _ => std::thread::sleep(std::time::Duration::from_millis(150 * round)),
        }
        linking.kill();
        approving.kill();
        // The same command goes on, or begins anew.
        let before = devices(&alice).len();
        let mut again = laptop.start_to_be_told(&arguments);
        let end = finish_or_compare(&alice, &mut again);
        let output = again.finish();
        assert!(end && output.code == Some(0), "round {round}: {output:?}");
        let after = devices(&alice);
        assert!(after.len() == before || after.len() == before + 1, "round {round}: {before} and {after:?}");
        whole += usize::from(after.len() == before);
        // It is a whole one: it logs in, and what it signs is believed.
        let me = devices(&laptop);
        assert_eq!((me.len(), &me[0]["me"]), (after.len(), &true.into()));
        laptop.ok(&["room", "create", &format!("room {round}")]);
    }
    assert!(whole < 6, "no strike hit before the device was let in");
}

/// Whether a link that was begun before ends by itself; else it is carried through from the beginning.
fn finish_or_compare(old: &Client, linking: &mut Process) -> bool {
    loop {
        if !linking.is_running() {
            return true;
        }
        let said = linking.stderr();
        if said.contains("Waiting for a device") {
            let (code, at_old) = compare(old, linking);
            assert_eq!(code, at_old);
            linking.tell(&code);
            old.ok(&["device", "approve", "--yes", "--code", &code]);
            return true;
        }
        if said.contains("yes of the other") && linking.is_running() {
            // It has said yes; the old device may have to say so still.
            let asked = old.run(&["--timeout", "3", "device", "approve", "--json"]);
            if let Some(code) = asked.json().first().and_then(code) {
                old.ok(&["device", "approve", "--yes", "--code", &code]);
            }
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
