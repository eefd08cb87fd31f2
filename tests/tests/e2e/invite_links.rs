//! Invite links through the programs: who has one comes in, as long as it is good, and nobody else does.

use qchat_tests::{client::Client, daemon::Daemon, database::Backend, on_both};

on_both!(who_has_a_link_comes_in_until_it_is_used_up_or_revoked);

/// Registers people who are not asked for their passphrases again.
fn people<const N: usize>(daemon: &Daemon, names: [&str; N]) -> [Client; N] {
    let mut clients = names.map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    clients
}

fn link(by: &Client, more: &[&str]) -> (String, String) {
    let made = by.json(&[&["room", "link", "create", "general"], more].concat()).remove(0);
    let text = |key: &str| made[key].as_str().expect(key).to_owned();
    (text("link"), text("id"))
}

fn members(of: &Client) -> Vec<String> {
    let shown = of.json(&["room", "show", "general"]).remove(0);
    let members = shown["members"].as_array().expect("members").iter();
    members.map(|member| member["name"].as_str().expect("a name").to_owned()).collect()
}

fn who_has_a_link_comes_in_until_it_is_used_up_or_revoked(backend: Backend) {
    let daemon = Daemon::start(backend);
    let [alice, bob, carol, dave] = people(&daemon, ["alice", "bob", "carol", "dave"]);
    alice.ok(&["room", "create", "general"]);
    let (once, _) = link(&alice, &["--uses", "1"]);
    let listening = alice.listen("general");

    // Somebody who is there lets him in.
    assert_eq!(bob.ok(&["room", "join", &once]), ["joined general"]);
    alice.ok(&["send", "general", "welcome"]);
    assert!(bob.bodies("general").contains(&"welcome".to_owned()));
    assert_eq!(bob.ok(&["room", "join", &once]), ["joined general"], "he is in");

    // It was for one.
    let failed = carol.fails(8, &["--timeout", "3", "room", "join", &once]);
    assert!(failed.contains("nobody has answered yet"), "{failed}");
    let shown = alice.json(&["room", "link", "list", "general"]).remove(0);
    assert_eq!(
        (&shown["uses"], &shown["left"], &shown["link"]),
        (&1.into(), &0.into(), &serde_json::Value::Null)
    );

    // From a file, which no other user of the machine sees as they would an argument; any member answers where nobody is counted.
    drop(listening);
    let (free, id) = link(&alice, &[]);
    let listening = bob.listen("general");
    drop(carol.run_with_input(&["room", "join", "-"], free.as_bytes()).expect_code(0));
    drop(listening);
    assert_eq!(alice.ok(&["room", "link", "show", "general", &id[..6]])[..], *std::slice::from_ref(&free));

    // Only an admin makes and ends links; ended, it opens nothing.
    assert!(bob.fails(6, &["room", "link", "create", "general"]).contains("only an admin"));
    assert!(bob.fails(6, &["room", "link", "revoke", "general", &id]).contains("only an admin"));
    alice.ok(&["room", "link", "revoke", "general", &id[..6]]);
    let listening = alice.listen("general");
    dave.fails(8, &["--timeout", "3", "room", "join", &free]);
    drop(listening);
    assert!(alice.fails(6, &["room", "link", "show", "general", &id]).contains("no invite link"));
    let mut there = members(&alice);
    there.sort();
    there.dedup();
    assert_eq!(there, ["alice", "bob", "carol"]);
}

#[test]
fn where_nobody_is_there_who_asks_comes_in_once_somebody_is() {
    let daemon = Daemon::start(Backend::Sqlite);
    let [alice, bob] = people(&daemon, ["alice", "bob"]);
    alice.ok(&["room", "create", "general"]);
    let (free, _) = link(&alice, &[]);
    bob.fails(8, &["--timeout", "2", "room", "join", &free]);
    // Whatever she does next lets him in, and whatever he does next takes him there.
    alice.ok(&["send", "general", "is anybody there?"]);
    let mut listening = bob.start(&["listen", "--json"]);
    let mut looks = 0..20;
    assert!(looks.any(|_| members(&alice).contains(&"bob".to_owned())), "he is in");
    alice.ok(&["send", "general", "you are"]);
    listening.wait_for("what she says", |line| line.contains("you are").then_some(()));
    listening.kill();
}

#[test]
fn an_admin_says_yes_or_no_where_the_link_asks() {
    let daemon = Daemon::start(Backend::Sqlite);
    let [alice, bob, carol] = people(&daemon, ["alice", "bob", "carol"]);
    alice.ok(&["room", "create", "general"]);
    let (asks, _) = link(&alice, &["--ask", "--uses", "5", "--expires", "1d"]);
    let listening = alice.start(&["listen", "general"]);
    bob.fails(8, &["--timeout", "2", "room", "join", &asks]);
    listening.wait_until_it_says("bob asks to be let into general");
    carol.fails(8, &["--timeout", "2", "room", "join", &asks]);
    drop(listening);
    let waiting = alice.json(&["room", "request", "list"]);
    let mut names: Vec<_> = waiting.iter().map(|waits| waits["user"].as_str().expect("a name")).collect();
    names.sort_unstable();
    assert_eq!(names, ["bob", "carol"]);

    alice.ok(&["room", "request", "decline", "general", "carol"]);
    assert_eq!(alice.ok(&["room", "request", "accept", "general", "bob"]), ["let bob into general"]);
    assert!(alice.json(&["room", "request", "list", "general"]).is_empty());
    assert!(alice.fails(6, &["room", "request", "accept", "general", "carol"]).contains("does not wait"));
    assert_eq!(bob.ok(&["room", "join", &asks]), ["joined general"]);
    assert_eq!(alice.json(&["room", "link", "list", "general"])[0]["left"], 4);
    // Whoever is removed could come back, which is said; whoever is banned does not.
    let said = alice.run(&["room", "remove", "general", "bob"]).expect_code(0).stderr;
    assert!(said.contains("may come back") && said.contains("qchat room ban"), "{said}");
    alice.ok(&["room", "ban", "general", "bob"]);
    bob.fails(8, &["--timeout", "2", "room", "join", &asks]);
    assert!(alice.json(&["room", "request", "list"]).is_empty());
}

#[test]
fn a_room_that_does_not_know_the_link_is_not_entered_unasked() {
    let daemon = Daemon::start(Backend::Sqlite);
    let [alice, bob] = people(&daemon, ["alice", "bob"]);
    alice.ok(&["room", "create", "general"]);
    let (free, _) = link(&alice, &[]);
    // Another secret in the same place: whoever lets him in now cannot have it from the link.
    let (kept, last) = free.split_at(free.len() - 8);
    let other = format!("{kept}{}{}", if last.starts_with('A') { 'B' } else { 'A' }, &last[1..]);
    let listening = alice.listen("general");
    bob.fails(8, &["--timeout", "3", "room", "join", &other]);
    drop(listening);
    assert_eq!(members(&alice), ["alice"]);
    alice.ok(&["room", "invite", "general", "bob"]);
    let said = bob.run(&["room", "list", "--json"]).expect_code(0);
    let status = |listed: Vec<serde_json::Value>| listed[0]["status"].as_str().expect("a status").to_owned();
    assert_eq!(status(said.json()), "invited");
    assert_eq!(status(bob.json(&["room", "list"])), "invited");
    // It is an invitation, to be accepted as any other.
    bob.ok(&["room", "join", "general"]);
    assert_eq!(status(bob.json(&["room", "list"])), "joined");
}

#[test]
fn what_is_no_link_or_one_of_another_server_is_refused_with_the_reason() {
    let daemons = [Daemon::start(Backend::Sqlite), Daemon::start(Backend::Sqlite)];
    let [alice] = people(&daemons[0], ["alice"]);
    let [bob] = people(&daemons[1], ["bob"]);
    alice.ok(&["room", "create", "general"]);
    let (free, _) = link(&alice, &[]);
    assert!(bob.fails(6, &["room", "join", &free]).contains("another server"));
    assert!(alice.fails(2, &["room", "join", &free[..free.len() - 1]]).contains("no invite link"));
    for (more, why) in [(&["--uses", "101"][..], "1 to 100"), (&["--expires", "soon"], "never")] {
        let failed = alice.fails(2, &[&["room", "link", "create", "general"], more].concat());
        assert!(failed.contains(why), "{failed}");
    }
    let [dave] = people(&daemons[0], ["dave"]);
    alice.ok(&["send", "@dave", "hi"]);
    assert!(alice.fails(6, &["room", "link", "create", "@dave"]).contains("stays theirs"));
    drop(dave);
}
