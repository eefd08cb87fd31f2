//! Two people compare keys through the built programs: by digits, by a scanned text, on a terminal; and what a daemon that
//! swaps keys comes to.

use std::process::Command;

use qchat_proto::ids::AccountId;
use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    device, operator,
    proxy::{Answer, Proxy},
};
use serde_json::Value;

use crate::terminal::Terminal;

fn pair(daemon: &Daemon) -> [Client; 2] {
    let mut pair = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    pair.iter_mut().for_each(Client::unlock);
    pair
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}")).to_owned()
}

/// What a client shows of its number with somebody.
fn number(client: &Client, user: &str) -> Value {
    client.json(&["verify", user]).remove(0)
}

/// How far a client trusts somebody.
fn status(client: &Client, user: &str) -> String {
    let all = client.json(&["verify", "--status"]);
    let found = all.iter().find(|trusted| trusted["name"] == user);
    text(found.unwrap_or_else(|| panic!("{user} in {all:?}")), "status")
}

/// Whether a room's texts from others are shown as of somebody who is verified.
fn texts_verified(client: &Client, sender: &str) -> Vec<bool> {
    let lines = client.json(&["history", "general"]);
    let texts = lines.iter().filter(|line| line["type"] == "text" && line["sender"] == sender);
    texts.map(|line| line["verified"].as_bool().expect("a yes or no")).collect()
}

#[test]
fn two_people_verify_one_another_by_what_the_other_side_shows_and_by_nothing_else() {
    let daemon = Daemon::start(Backend::Sqlite);
    let [alice, bob] = &pair(&daemon);
    client::room("general", &[alice, bob]);
    bob.ok(&["send", "general", "hello"]);
    assert_eq!((status(alice, "bob"), texts_verified(alice, "bob")), ("unverified".into(), vec![false]));
    let (here, there) = (number(alice, "bob"), number(bob, "alice"));
    let digits = text(&here, "number");
    assert_eq!((digits.len(), &here["number"], &here["emoji"]), (60, &there["number"], &there["emoji"]));
    assert_eq!((here["emoji"].as_array().map(Vec::len), &here["done"]), (Some(7), &Value::Null));

    // For people: groups to read out, emoji with their names, a picture without colours where there is no terminal.
    let shown = alice.ok(&["verify", "bob"]).join("\n");
    let groups: Vec<_> = digits.as_bytes().chunks(5).map(String::from_utf8_lossy).collect();
    assert!(groups.chunks(4).all(|row| shown.contains(&row.join(" "))), "{shown}");
    assert!(
        shown.contains(&text(&here["emoji"][0], "name")) && shown.contains(&text(&here, "code")),
        "{shown}"
    );
    assert!(shown.contains('▀') && !shown.contains('\u{1b}'), "{shown}");
    let shown = alice.ok(&["verify", "bob", "--no-qr"]).join("\n");
    assert!(!shown.contains(['▀', '▄', '█']) && shown.contains(&text(&here, "code")), "{shown}");
    assert_eq!(status(alice, "bob"), "unverified", "whoever only looks has compared nothing");

    let last = if digits.ends_with('0') { '1' } else { '0' };
    let wrong = format!("{}{last}", &digits[..59]);
    for (code, arguments) in [
        (6, vec!["--number", wrong.as_str(), "--yes"]),
        (2, vec!["--number", &digits[..59], "--yes"]),
        (2, vec!["--number", digits.as_str()]),
        (2, vec!["--yes"]),
        (2, vec!["--number", digits.as_str(), "--scan", "-"]),
        (6, vec!["--scan", here["code"].as_str().unwrap_or_default()]),
        (2, vec!["--scan", "QCHAT-VERIFY:1:00"]),
    ] {
        let said = alice.fails(code, &[vec!["verify", "bob"], arguments.clone()].concat());
        assert!(!said.contains("panicked"), "{said}");
        assert_eq!(status(alice, "bob"), "unverified", "{arguments:?}");
    }
    for arguments in [["verify", "alice"], ["verify", "nobody"]] {
        assert!(matches!(alice.run(&arguments).code, Some(2 | 5)), "{arguments:?}");
    }

    let done = &alice.json(&["verify", "bob", "--number", &groups.join(" "), "--yes"])[0];
    assert_eq!((&done["done"], &done["status"]), (&"verified".into(), &"verified".into()), "{done}");
    assert!(done["since"].is_string(), "{done}");
    assert_eq!((status(alice, "bob"), texts_verified(alice, "bob")), ("verified".into(), vec![true]));
    assert!(alice.ok(&["history", "general"]).iter().any(|line| line.contains("bob ✓: hello")));
    let keys = alice.json(&["keys", "show"]);
    assert!(keys.iter().any(|key| key["name"] == "bob" && key["verified"] == true), "{keys:?}");
    let room = &alice.json(&["room", "show", "general"])[0];
    let members = room["members"].as_array().expect("members");
    assert!(members.iter().any(|member| member["name"] == "bob" && member["verified"] == true), "{room}");

    // The other side by the text of the QR code, scanned into a pipe.
    let scanned = format!("{}\n", text(&here, "code"));
    let done = bob.run_with_input(&["verify", "alice", "--scan", "-", "--json"], scanned.as_bytes());
    assert_eq!(done.expect_code(0).json()[0]["done"], "verified");
    assert_eq!(status(bob, "alice"), "verified");

    alice.ok(&["verify", "bob", "--revoke"]);
    assert_eq!((status(alice, "bob"), texts_verified(alice, "bob")), ("unverified".into(), vec![false]));
    assert_eq!(alice.json(&["verify", "bob", "--accept"])[0]["done"], "unchanged");
}

#[test]
fn on_a_terminal_it_shows_a_code_and_asks() {
    let daemon = Daemon::start(Backend::Sqlite);
    let [alice, bob] = &pair(&daemon);
    let digits = text(&number(bob, "alice"), "number");
    // As a person runs it: it may ask.
    let asking = |arguments: &[&str]| {
        let told = alice.command(arguments);
        let mut command = Command::new(told.get_program());
        command.args(told.get_args().filter(|argument| *argument != "--no-input"));
        for (name, value) in told.get_envs() {
            command.env(name, value.expect("only values are set"));
        }
        command.current_dir(told.get_current_dir().expect("a directory"));
        command
    };
    for (answer, words, verified) in
        [("n\r", "was not verified", "unverified"), ("y\r", "verified bob", "verified")]
    {
        let mut screen = Terminal::open(&asking(&["verify", "bob"]), 50, 100);
        screen.shows(&digits[..5]);
        screen.shows("Does bob's qchat show the same number?");
        screen.wait_for("a code", |screen| screen.contains('▀'));
        screen.press(answer);
        screen.shows(words);
        assert_eq!(status(alice, "bob"), verified);
    }
}

#[test]
fn an_invitation_of_one_who_is_verified_is_accepted_unasked_and_no_other() {
    let daemon = Daemon::start(Backend::Sqlite);
    let [alice, bob] = &pair(&daemon);
    let mallory = Client::register(&daemon.url(), "mallory");
    let digits = text(&number(alice, "bob"), "number");
    bob.ok(&["verify", "alice", "--number", &digits, "--yes"]);
    for (inviter, room) in [(alice, "tea"), (&mallory, "trap")] {
        inviter.ok(&["room", "create", room]);
        inviter.ok(&["room", "invite", room, "bob"]);
    }
    // It joins as it listens, and hears what is said.
    let mut listening = bob.start(&["--accept-invites", "verified", "listen", "--json", "--limit", "1"]);
    while alice.json(&["room", "show", "tea"])[0]["members"]
        .as_array()
        .expect("members")
        .iter()
        .any(|member| member["invited"] == true)
    {
        assert!(listening.is_running());
    }
    alice.ok(&["send", "tea", "welcome"]);
    assert!(listening.finish().expect_code(0).lines.iter().any(|line| line.contains("welcome")));
    let rooms = bob.json(&["room", "list"]);
    let standing =
        |room: &str| rooms.iter().find(|found| found["room"] == room).map(|found| text(found, "status"));
    assert_eq!((standing("tea"), standing("trap")), (Some("joined".into()), Some("invited".into())));
}

#[test]
fn a_daemon_that_swaps_keys_is_found_out_by_the_number_and_later_stops_what_is_sent() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let [mut alice, bob] = pair(&daemon);
    let account: AccountId = text(&bob.json(&["whoami"])[0], "account").parse().expect("an account's id");
    let there = number(&bob, "alice");

    // Somebody else under the asked name, and a name that only looks like it.
    alice.set_server(&proxy.url());
    operator::show(&proxy, "bob", &device::directory("mallory", account));
    alice.fails(6, &["verify", "bob"]);
    proxy.at_requests(|request| {
        if !request.is("GET", "/v1/accounts/by-name/bob") {
            return Answer::Genuine;
        }
        Answer::changed(|answer| answer["name"] = "bоb".into())
    });
    assert!(matches!(alice.run(&["verify", "bob"]).code, Some(3 | 6)));
    alice.fails(2, &["verify", "bоb"]);
    assert!(alice.json(&["verify", "--status"]).is_empty(), "nobody of all these is known");

    // Other keys than its key directory says.
    let swapped = device::directory("bob", account);
    operator::show(&proxy, "bob", &swapped);
    let said = alice.fails(6, &["verify", "bob"]);
    assert!(said.contains("key directory"), "{said}");
    assert!(alice.json(&["verify", "--status"]).is_empty(), "nobody of all these is known");

    // First use, and the key directory lies to everybody: the numbers of the two sides differ.
    operator::publish(&daemon, &swapped);
    let here = number(&alice, "bob");
    assert_ne!(here["number"], there["number"]);
    let said = alice.fails(6, &["verify", "bob", "--number", &text(&there, "number"), "--yes"]);
    assert!(said.contains("false keys"), "{said}");
    alice.fails(6, &["verify", "bob", "--scan", &text(&there, "code")]);
    bob.fails(6, &["verify", "alice", "--scan", &text(&here, "code")]);
    assert_eq!((status(&alice, "bob"), status(&bob, "alice")), ("unverified".into(), "unverified".into()));
}

#[test]
fn a_later_swap_stops_with_the_reason_and_the_command_and_goes_on_once_it_is_accepted() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let [mut alice, bob] = pair(&daemon);
    client::room("general", &[&alice, &bob]);
    bob.ok(&["send", "general", "hello"]);
    let digits = text(&number(&bob, "alice"), "number");
    alice.ok(&["verify", "bob", "--number", &digits, "--yes"]);
    let account = text(&bob.json(&["whoami"])[0], "account").parse().expect("an account's id");
    let swapped = device::directory("bob", account);
    operator::publish(&daemon, &swapped);
    operator::show(&proxy, "bob", &swapped);
    alice.set_server(&proxy.url());
    let said = alice.fails(6, &["verify", "bob"]);
    assert!(said.contains("bob") && said.contains("qchat verify bob --accept"), "{said}");
    let said = alice.fails(6, &["send", "general", "to whom?"]);
    assert!(said.contains("bob") && said.contains("qchat verify bob --accept"), "{said}");
    assert_eq!((status(&alice, "bob"), texts_verified(&alice, "bob")), ("changed".into(), vec![false]));
    assert!(alice.ok(&["verify", "--status"])[0].starts_with("CHANGED"));
    let keys = alice.json(&["keys", "show"]);
    assert!(
        keys.iter().any(|key| key["name"] == "bob" && key["changed"] == true && key["verified"] == false)
    );
    let room = &alice.json(&["room", "show", "general"])[0];
    assert_eq!(room["blocked_by"], "bob");
    let history = alice.ok(&["history", "general"]).join("\n");
    assert!(history.contains("! the identity key of bob has changed"), "{history}");

    let mut screen = Terminal::open(&alice.command(&[]), 24, 80);
    screen.shows("bob !: hello");
    screen.shows("nothing is sent");
    screen.shows("--accept");
    screen.press("\u{11}");
    screen.ends_in_order();

    // Looked at, and not accepted.
    let looked = alice.run(&["verify", "bob", "--accept", "--json"]);
    let looked = looked.expect_code(6).json().remove(0);
    assert_eq!(
        (&looked["done"], &looked["change"], &looked["by_recovery_key"]),
        (&Value::Null, &"unvouched".into(), &false.into())
    );
    assert_ne!(looked["old_fingerprint"], looked["new_fingerprint"]);
    alice.fails(6, &["send", "general", "still to whom?"]);
    let accepted = &alice.json(&["verify", "bob", "--accept", "--yes"])[0];
    assert_eq!(
        (&accepted["done"], &accepted["new_fingerprint"]),
        (&"accepted".into(), &looked["new_fingerprint"])
    );
    assert_eq!((status(&alice, "bob"), texts_verified(&alice, "bob")), ("unverified".into(), vec![false]));
    alice.ok(&["send", "general", "on we go"]);
    assert!(
        alice.ok(&["history", "general"]).join("\n").contains("you accepted the changed identity of bob")
    );
    alice.fails(6, &["verify", "bob", "--number", &digits, "--yes"]);
}
