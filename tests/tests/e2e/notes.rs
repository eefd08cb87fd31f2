//! How people want rooms and one another to be treated, and what they show of themselves, through the built programs: on all devices of
//! an account, and where it is nobody's business at none but these.

use std::fs;

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    faketime, on_both,
    process::Process,
};
use serde_json::{Value, json};

fn listed(client: &Client, arguments: &[&str]) -> Vec<String> {
    let rooms = client.json(&[&["room", "list"], arguments].concat());
    rooms.iter().map(|room| room["room"].as_str().unwrap_or_default().to_owned()).collect()
}

fn mark_of<'a>(rooms: &'a [Value], name: &str) -> &'a Value {
    rooms.iter().find(|room| room["room"] == name).unwrap_or_else(|| panic!("no {name} in {rooms:?}"))
}

on_both!(marks_of_rooms_are_kept_on_all_devices_and_counted_by_none);

fn marks_of_rooms_are_kept_on_all_devices_and_counted_by_none(backend: Backend) {
    let daemon = Daemon::start(backend);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    let mut phone = alice.link("phone");
    phone.unlock();
    for name in ["tea", "work", "old"] {
        client::room(name, &[alice, bob]);
    }
    for (mark, room) in [("favourite", "tea"), ("muted", "work"), ("archived", "old")] {
        let marked = alice.json(&["room", "mark", room, mark]);
        assert_eq!((&marked[0]["done"], &marked[0]["mark"]), (&"marked".into(), &mark.into()));
        assert_eq!(marked[0]["told"], true);
    }
    for room in ["tea", "work", "old"] {
        bob.ok(&["send", room, "hello @alice"]);
    }
    for device in [alice, &phone] {
        assert_eq!(listed(device, &[]), ["tea", "work"]);
        let all = device.json(&["room", "list", "--all"]);
        assert_eq!((&all[0]["room"], &all[2]["room"]), (&"tea".into(), &"old".into()));
        for (room, mark) in [("tea", "favourite"), ("work", "muted"), ("old", "archived")] {
            for other in ["favourite", "muted", "archived"] {
                assert_eq!(mark_of(&all, room)[other], Value::from(mark == other), "{room} {other}");
            }
            assert_eq!(mark_of(&all, room)["unread"], 1);
        }
        let unread = device.json(&["unread"]);
        assert_eq!((&unread[0]["unread"], &unread[0]["mentions"]), (&1.into(), &1.into()));
        assert_eq!(device.json(&["unread", "--all"])[0]["unread"], 3);
        assert_eq!(device.json(&["unread", "work"])[0]["unread"], 1);
    }
    // The other device takes it back, and the first learns of that.
    phone.ok(&["room", "mark", "old", "archived", "--remove"]);
    alice.ok(&["send", "tea", "and on"]);
    assert_eq!(mark_of(&alice.json(&["room", "list"]), "old")["archived"], false);
    // Nobody else knows anything of it.
    assert_eq!(mark_of(&bob.json(&["room", "list"]), "work")["muted"], false);
    assert!(bob.history("work").iter().all(|message| message.sender == "bob"));
    alice.fails(5, &["room", "mark", "nowhere", "muted"]);
}

/// A command that ends at once may leave what other devices have noted to the next one.
fn learns_who_is_blocked(device: &Client, names: &[&str]) {
    let knows = |_| {
        device.ok(&["room", "list"]);
        let blocked = device.json(&["block"]);
        blocked.iter().map(|blocked| blocked["user"].as_str().unwrap_or_default()).eq(names.iter().copied())
    };
    assert!((0..20).any(knows), "{names:?}");
}

#[test]
fn who_is_blocked_is_not_heard_of_any_more_and_not_told() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob", "mallory"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob, mallory] = &clients;
    let mut phone = alice.link("phone");
    phone.unlock();
    client::room("general", &[alice, bob, mallory]);
    mallory.ok(&["send", "@alice", "direct annoyance"]);
    alice.ok(&["send", "@mallory", "hello"]);
    let first = mallory.json(&["send", "general", "annoyance of before"]);
    let first = first[0]["id"].as_str().expect("an id");
    bob.ok(&["history", "general"]);
    bob.ok(&["send", "general", "sense", "--reply-to", first]);
    assert_eq!(alice.bodies("general").len(), 2);
    let lines = alice.history("general").len();

    assert_eq!(alice.json(&["block", "mallory"])[0]["told"], true);
    mallory.ok(&["send", "general", "annoyance @alice of after"]);
    mallory.ok(&["room", "create", "trap"]);
    mallory.ok(&["room", "invite", "trap", "alice"]);
    let hers = mallory.json(&["send", "@alice", "are you there?"]);
    assert_eq!(hers[0]["done"], "sent");
    for device in [alice, &phone] {
        learns_who_is_blocked(device, &["mallory"]);
        assert_eq!(device.bodies("general"), ["sense"]);
        let text = device.ok(&["history", "general"]).join("\n");
        assert!(!text.contains("annoyance"), "{text}");
        assert!(!listed(device, &["--all"]).contains(&"trap".to_owned()));
        assert_eq!(device.json(&["search", "annoyance"]), Vec::<Value>::new());
        assert_eq!(device.json(&["unread", "--all"])[0]["mentions"], 0);
        assert_eq!(device.json(&["block"])[0]["user"], "mallory");
        assert!(device.fails(6, &["room", "join", "trap"]).contains("blocked"));
        let refused = device.fails(6, &["send", "@mallory", "no"]);
        assert!(refused.contains("qchat unblock mallory"), "{refused}");
    }
    assert!(lines > alice.history("general").len());
    alice.fails(2, &["block", "alice"]);
    alice.fails(5, &["block", "nobody"]);

    // What she has written meanwhile is seen afterwards.
    phone.ok(&["unblock", "mallory"]);
    learns_who_is_blocked(alice, &[]);
    assert_eq!(alice.bodies("general"), ["annoyance of before", "sense", "annoyance @alice of after"]);
    assert_eq!(alice.json(&["block"]), Vec::<Value>::new());
    alice.ok(&["send", "@mallory", "let us talk"]);
    assert_eq!(mallory.bodies("@alice").last().map(String::as_str), Some("let us talk"));
}

#[test]
fn who_is_blocked_is_not_seen_through_others_either() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["mallory", "alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [mallory, alice, bob] = &clients;
    let said =
        |by: &Client, arguments: &[&str]| by.json(arguments)[0]["id"].as_str().expect("an id").to_owned();
    // Hers, so that she may pin.
    client::room("general", &[mallory, alice, bob]);
    client::room("trap", &[bob, alice]);
    let hers = said(mallory, &["send", "general", "annoyance"]);
    let sense = said(bob, &["send", "general", "sense"]);
    let poll = said(bob, &["poll", "create", "general", "Tea?", "yes", "no"]);
    let answer = said(bob, &["send", "general", "why?", "--reply-to", &hers]);
    mallory.ok(&["react", "general", &sense, "👎"]);
    mallory.ok(&["react", "general", &sense, "👍"]);
    bob.ok(&["react", "general", &sense, "👍"]);
    mallory.ok(&["pin", "general", &sense]);
    mallory.ok(&["poll", "vote", "general", &poll, "yes"]);
    bob.ok(&["poll", "vote", "general", &poll, "no"]);
    alice.ok(&["send", "@mallory", "hello"]);
    mallory.ok(&["room", "join", "@alice"]);
    alice.ok(&["send", "@mallory", "regretted", "--at", "365d"]);
    let run = ["quantum", "run", "bb84", "--room", "general", "--with", "alice", "--qubits", "1000"];
    let run = mallory.start(&run);
    alice.listen("general").wait_for("the request", |line| line.contains("simulated run").then_some(()));
    mallory.ok(&["room", "create", "trap"]);
    mallory.ok(&["room", "invite", "trap", "alice"]);
    // As long as nobody is blocked.
    let seen = alice.ok(&["history", "general"]).join("\n");
    for words in ["👎", "pinned by mallory", "(1: mallory) yes", "annoyance", "asks you for"] {
        assert!(seen.contains(words), "no {words} in {seen}");
    }

    alice.ok(&["block", "mallory"]);
    let seen = alice.json(&["history", "general"]);
    let line = |id: &str| seen.iter().find(|line| line["id"] == id).expect("a line").clone();
    assert_eq!(line(&sense)["reactions"], json!([{"emoji": "👍", "by": ["bob"], "me": false}]));
    assert_eq!(line(&sense)["pinned_by"], Value::Null);
    let options = json!([{"text": "yes", "by": [], "me": false}, {"text": "no", "by": ["bob"], "me": false}]);
    assert_eq!(line(&poll)["poll"]["options"], options);
    let hidden = json!({"id": hers, "sender": "mallory", "excerpt": null, "blocked": true});
    assert_eq!(line(&answer)["reply_to"], hidden);
    let text = alice.ok(&["history", "general"]).join("\n");
    assert!(text.contains("↪ mallory: (blocked)") && !text.contains("asks you for"), "{text}");
    // Not even by its id is there anything of hers; and nobody is asked for anything by her.
    alice.fails(5, &["react", "general", &hers, "👍"]);
    alice.fails(5, &["quantum", "answer", "general", "--decline"]);
    drop(run);
    // A name that she has given another room as well is the one that it was before she did.
    bob.ok(&["room", "create", "den"]);
    bob.ok(&["room", "invite", "den", "alice"]);
    mallory.ok(&["room", "create", "den"]);
    mallory.ok(&["room", "invite", "den", "alice"]);
    alice.ok(&["room", "join", "den"]);
    alice.ok(&["send", "den", "here I am"]);
    assert_eq!(bob.bodies("den"), ["here I am"]);

    // Nor does what becomes of messages bring her back to whoever listens.
    let listening = alice.listen("general");
    mallory.ok(&["edit", "general", &hers, "annoyance, edited"]);
    mallory.ok(&["unpin", "general", &sense]);
    bob.ok(&["react", "general", &hers, "🙄"]);
    bob.ok(&["send", "general", "the end"]);
    listening.wait_for("the end", |line| {
        assert!(!line.contains("mallory") && !line.contains("annoyance"), "{line}");
        line.contains("the end").then_some(())
    });
    drop(listening);

    // What she has pinned is not pinned here, until somebody else does that.
    mallory.ok(&["room", "role", "general", "alice", "admin"]);
    mallory.ok(&["pin", "general", &sense]);
    let pinned_by = |who: &Client| {
        let seen = who.json(&["history", "general"]);
        seen.iter().find(|line| line["id"] == sense).expect("a line")["pinned_by"].clone()
    };
    assert_eq!((pinned_by(alice), pinned_by(bob)), (Value::Null, json!("mallory")));
    alice.ok(&["pin", "general", &sense]);
    assert_eq!((pinned_by(alice), pinned_by(bob)), (json!("alice"), json!("alice")));
    alice.ok(&["unpin", "general", &sense]);
    assert_eq!((pinned_by(alice), pinned_by(bob)), (Value::Null, Value::Null));

    // Nor does anybody wait for her.
    let bobs = bob.start(&["listen", "general", "--receipts", "on"]);
    alice.ok(&["send", "general", "all here?", "--wait", "delivered"]);
    drop(bobs);

    // What was to be sent to her later is not.
    let offset = alice.file("offset");
    fs::write(&offset, "+400d").expect("an offset");
    let mut later = alice.command(&["room", "list"]);
    later.envs(faketime::settings(&offset).expect("the library that sets clocks"));
    drop(Process::start(&mut later).finish());
    // It is not lost: whoever wrote it is told what became of it. So long after, keys are due, and nothing else waits.
    let waits = alice.json(&["outbox", "list"]);
    let (failed, waits): (Vec<_>, Vec<_>) =
        waits.into_iter().partition(|waits| waits["state"] == "cannot be sent");
    assert!(waits.iter().all(|waits| waits["type"] == "change of the group"), "{waits:?}");
    let [failed] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!((&failed["room"], &failed["excerpt"]), (&"@mallory".into(), &"regretted".into()));
    alice.ok(&["outbox", "drop", failed["id"].as_str().expect("an id")]);
    let waits = alice.json(&["outbox", "list"]);
    assert!(waits.iter().all(|waits| waits["state"] != "cannot be sent"), "{waits:?}");
    alice.ok(&["unblock", "mallory"]);
    assert_eq!(mallory.bodies("@alice"), ["hello"]);
}

#[test]
fn what_somebody_shows_of_themselves_reaches_members_and_whoever_comes_later() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob", "carol", "eve"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob, carol, eve] = &clients;
    client::room("general", &[alice, bob]);
    let picture = alice.file("me.png");
    fs::write(&picture, b"\x89PNG\r\n\x1a\nnot much of a picture").expect("a picture");
    let path = picture.to_str().expect("a path");
    let shown = alice.json(&[
        "profile",
        "set",
        "--name",
        "Al \u{1b}[31mice",
        "--status",
        "reading",
        "--avatar",
        path,
    ]);
    assert_eq!((&shown[0]["status"], &shown[0]["avatar"]), (&"reading".into(), &"png".into()));

    let seen = bob.json(&["profile", "show", "alice"]);
    assert_eq!((&seen[0]["user"], &seen[0]["status"]), (&"alice".into(), &"reading".into()));
    let copy = bob.file("alice.png");
    bob.ok(&["profile", "show", "alice", "--avatar", copy.to_str().expect("a path")]);
    assert_eq!(fs::read(&copy).ok(), fs::read(&picture).ok());
    // Nothing is written over, and nothing steers a terminal.
    bob.fails(2, &["profile", "show", "alice", "--avatar", copy.to_str().expect("a path")]);
    assert!(bob.ok(&["profile", "show", "alice"]).iter().all(|line| !line.contains('\u{1b}')));
    assert!(bob.ok(&["room", "show", "general"]).iter().any(|line| line.contains("alice “Al")));
    // It is no message, and nothing unread.
    assert!(bob.bodies("general").is_empty());
    assert_eq!(bob.json(&["unread", "--all"])[0]["unread"], 0);

    // Who comes later is told by whoever of hers runs.
    alice.ok(&["room", "invite", "general", "carol"]);
    carol.ok(&["room", "join", "general"]);
    alice.ok(&["profile", "set", "--status", "writing"]);
    let seen = carol.json(&["profile", "show", "alice"]);
    assert_eq!((&seen[0]["status"], &seen[0]["avatar"]), (&"writing".into(), &"png".into()));
    // Who shares no room knows nothing, and the server neither.
    assert_eq!(eve.json(&["profile", "show", "alice"])[0]["status"], "");
    alice.fails(2, &["profile", "set", "--status", &"x".repeat(257)]);
    fs::write(&picture, b"no picture").expect("a file");
    alice.fails(2, &["profile", "set", "--avatar", path]);
    alice.ok(&["profile", "set", "--name", "", "--no-avatar"]);
    let seen = bob.json(&["profile", "show", "alice"]);
    assert_eq!((&seen[0]["name"], &seen[0]["avatar"]), (&"".into(), &Value::Null));
}
