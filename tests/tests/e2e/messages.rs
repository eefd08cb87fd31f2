//! What people expect of messages, through the built programs: answers, edits, deletions, reactions, pins, polls, mentions,
//! and messages that disappear.

use std::fs;

use qchat_cli::vault;
use qchat_tests::{
    client::{self, Client, Message},
    daemon::Daemon,
    database::Backend,
    faketime,
    process::Process,
    sqlcipher,
};
use serde_json::{Value, json};

fn line<'a>(history: &'a [Value], id: &str) -> &'a Value {
    history.iter().find(|line| line["id"] == id).unwrap_or_else(|| panic!("no {id} in {history:?}"))
}

fn send(client: &Client, arguments: &[&str]) -> String {
    let sent = client.json(&[&["send", "general"], arguments].concat());
    sent[0]["id"].as_str().expect("an id").to_owned()
}

#[test]
fn messages_are_answered_edited_reacted_to_pinned_and_deleted_for_everyone() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    client::room("general", &[alice, bob]);
    let first = send(alice, &["canary of the first"]);
    let answer = send(bob, &["hello @alice, @nobody", "--reply-to", &first]);
    let polled = alice.json(&["poll", "create", "general", "Tea?", "yes", "no"]);
    let poll = polled[0]["id"].as_str().expect("an id").to_owned();

    for (who, code, arguments) in [
        (bob, 0, &["react", "general", &first[..8], "👍"][..]),
        (alice, 0, &["react", "general", &first, "👍"]),
        (bob, 0, &["react", "general", &first, "❤️"]),
        (bob, 0, &["react", "general", &first, "❤️", "--remove"]),
        (bob, 2, &["react", "general", &first, "two words"]),
        (bob, 2, &["react", "general", "nothing", "👍"]),
        (bob, 5, &["react", "general", "0123456789abcdef", "👍"]),
        (alice, 0, &["edit", "general", &first, "canary of the edit, @bob"]),
        (bob, 6, &["edit", "general", &first, "not mine"]),
        (alice, 6, &["edit", "general", &poll, "no text"]),
        (alice, 0, &["pin", "general", &answer]),
        (bob, 6, &["unpin", "general", &answer]),
        (bob, 0, &["poll", "vote", "general", &poll, "yes"]),
        (bob, 0, &["poll", "vote", "general", &poll, "2"]),
        (alice, 0, &["poll", "vote", "general", &poll, "no"]),
        (bob, 2, &["poll", "vote", "general", &poll, "maybe"]),
        (bob, 6, &["poll", "close", "general", &poll]),
        (alice, 0, &["poll", "close", "general", &poll]),
        (bob, 6, &["poll", "vote", "general", &poll, "yes"]),
        (bob, 6, &["delete", "general", &first]),
    ] {
        drop(who.run(arguments).expect_code(code));
    }
    for who in [alice, bob] {
        let history = who.json(&["history", "general"]);
        let first = line(&history, &first);
        assert_eq!((&first["body"], &first["edits"]), (&"canary of the edit, @bob".into(), &1.into()));
        assert_eq!(first["mentions"], json!(["bob"]));
        assert_eq!(first["reactions"], json!([{"emoji": "👍", "by": ["bob", "alice"], "me": true}]));
        let answer = line(&history, &answer);
        let excerpt = json!({"id": first["id"], "sender": "alice", "excerpt": "canary of the edit, @bob"});
        assert_eq!((&answer["reply_to"], &answer["pinned_by"]), (&excerpt, &"alice".into()));
        assert_eq!(answer["mentions"], json!(["alice"]));
        let poll = line(&history, &poll);
        assert_eq!((&poll["type"], &poll["body"]), (&"poll".into(), &"Tea?".into()));
        assert_eq!(poll["poll"]["closed"], true);
        let no = json!({"text": "no", "by": poll["poll"]["options"][1]["by"], "me": true});
        assert_eq!(poll["poll"]["options"], json!([{"text": "yes", "by": [], "me": false}, no]));
        assert_eq!(no["by"].as_array().map(Vec::len), Some(2));
        let text = who.ok(&["history", "general", "--ids"]).join("\n");
        for words in
            ["(edited)", "[👍 bob, alice]", "↪ alice: canary", "2. (2: ", "┆ [👍 bob, alice]", "(closed)"]
        {
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    let room = alice.json(&["room", "list"]);
    assert_eq!((&room[0]["unread"], &room[0]["mentions"]), (&1.into(), &1.into()));
    // Whoever listens hears what becomes of earlier messages.
    let listening = bob.listen("general");
    let gone = alice.json(&["delete", "general", &first]);
    assert_eq!((&gone[0]["done"], &gone[0]["of"]), (&"deleted".into(), &first.as_str().into()));
    let heard = listening.wait_for("the deletion", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["change"]["type"] == "delete").then_some(line)
    });
    assert_eq!((&heard["id"], &heard["type"]), (&first.as_str().into(), &"deleted".into()));
    assert_eq!((&heard["change"]["by"], &heard["deleted_by"]), (&"alice".into(), &"alice".into()));
    drop(listening);
    for who in [alice, bob] {
        let history = who.json(&["history", "general"]);
        let first = line(&history, &first);
        assert_eq!((&first["type"], &first["body"]), (&"deleted".into(), &Value::Null));
        assert_eq!((&first["deleted_by"], &first["reactions"]), (&"alice".into(), &Value::Null));
        assert_eq!(line(&history, &answer)["reply_to"]["excerpt"], Value::Null);
        let dir = who.data_directory().join(who.name());
        let key = vault::unlock(&dir, who.passphrase()).expect("the passphrase opens it");
        for page in sqlcipher::pages(&dir, key.expose()) {
            for canary in ["canary of the first", "canary of the edit"] {
                let found = page.bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
                assert!(!found, "{canary} stands on {} of {}", page.place, who.name());
            }
        }
    }
    // An admin deletes what others wrote.
    alice.ok(&["delete", "general", &answer]);
    assert_eq!(line(&bob.json(&["history", "general"]), &answer)["deleted_by"], "alice");
    assert!(bob.fails(6, &["edit", "general", &answer, "still there?"]).contains("deleted"));
}

#[test]
fn changes_are_made_offline_and_shown_at_once_and_what_has_not_left_is_taken_back() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    client::room("general", &[alice, bob]);
    let first = send(alice, &["first"]);
    assert_eq!(bob.bodies("general"), ["first"]);
    daemon.kill();
    alice.fails(3, &["--timeout", "2", "edit", "general", &first, "second"]);
    alice.fails(3, &["--timeout", "2", "send", "general", "regretted"]);
    bob.fails(3, &["--timeout", "2", "react", "general", &first, "👍"]);
    let shown = |who: &Client| who.run(&["history", "general", "--json", "--timeout", "2"]).json();
    assert_eq!(line(&shown(alice), &first)["body"], "second");
    assert_eq!(line(&shown(bob), &first)["reactions"][0]["emoji"], "👍");
    // It is named by nothing that scripts are shown, since it is in no log: all that waits goes.
    alice.ok(&["delete", "general", "--all", "--yes"]);
    daemon.restart();
    bob.ok(&["send", "general", "and on"]);
    alice.ok(&["send", "general", "so be it"]);
    bob.ok(&["history", "general"]);
    let history = bob.json(&["history", "general"]);
    assert_eq!(
        (&line(&history, &first)["body"], &line(&history, &first)["edits"]),
        (&"second".into(), &1.into())
    );
    assert_eq!(bob.bodies("general"), ["second", "and on", "so be it"]);
}

#[test]
fn a_message_that_disappears_is_gone_from_every_device() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    client::room("general", &[alice, bob]);
    let kept = send(alice, &["stays", "--expire", "8h"]);
    send(alice, &["soon gone", "--expire", "5m"]);
    let expiring = bob.json(&["history", "general"]);
    assert!(line(&expiring, &kept)["expires_at"].is_string());
    let offset = bob.file("offset");
    fs::write(&offset, "+3600").expect("an offset");
    for who in [alice, bob] {
        assert_eq!(who.bodies("general"), ["stays", "soon gone"]);
        let mut later = who.command(&["history", "general", "--json"]);
        later.envs(faketime::settings(&offset).expect("the library that sets clocks"));
        let later = Process::start(&mut later).finish().expect_code(0).json();
        let left: Vec<_> = later.iter().filter_map(Message::from_json).map(|message| message.body).collect();
        assert_eq!(left, ["stays"]);
        assert_eq!(who.bodies("general"), ["stays"], "it is not only left out");
        let dir = who.data_directory().join(who.name());
        let key = vault::unlock(&dir, who.passphrase()).expect("the passphrase opens it");
        let pages = sqlcipher::pages(&dir, key.expose());
        let canary = b"soon gone";
        assert!(!pages.iter().any(|page| page.bytes.windows(canary.len()).any(|window| window == canary)));
    }
}

#[test]
fn two_people_find_the_same_conversation_whoever_begins_and_nobody_else_gets_in() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob", "carol"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob, carol] = &clients;
    // Both begin before either has heard of the other's.
    let first = alice.json(&["send", "@bob", "from alice"]);
    assert_eq!(first[0]["room"], "@bob");
    let answer = bob.json(&["send", "@alice", "from bob"]);
    assert_eq!(answer[0]["room_id"], first[0]["room_id"], "what was begun is taken up");
    assert_eq!(alice.bodies("@bob"), ["from alice", "from bob"]);
    assert_eq!(bob.bodies("@alice"), ["from alice", "from bob"]);

    // Two conversations that were begun at once: the one with the lower id is gone on with, by both.
    let other = carol.json(&["send", "@bob", "from carol"]);
    let rooms = bob.json(&["room", "list"]);
    let invited = rooms.iter().find(|room| room["status"] == "invited").expect("an invitation");
    assert_eq!((&invited["room"], &invited["direct"]), (&"@carol".into(), &true.into()));
    assert_eq!(invited["room_id"], other[0]["room_id"]);

    for (who, code, arguments) in [
        (alice, 6, &["room", "invite", "@bob", "carol"][..]),
        (alice, 2, &["send", "@alice", "to myself"]),
        (alice, 5, &["send", "@nobody", "hello"]),
        (alice, 5, &["history", "@carol"]),
    ] {
        drop(who.run(arguments).expect_code(code));
    }
    assert_eq!(alice.json(&["room", "show", "@bob"])[0]["members"].as_array().map(Vec::len), Some(2));
    // An invitation to a conversation is found by who invites, and no room by a person's name.
    bob.ok(&["room", "join", "@carol"]);
    assert_eq!(bob.bodies("@carol"), ["from carol"]);
    let named = alice.fails(2, &["room", "create", "@bob"]);
    assert!(named.contains("does not begin with @"), "{named}");
}

#[test]
fn the_longest_text_is_sent_whatever_belongs_to_it() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    client::room("general", &[alice, bob]);
    let first = send(alice, &["first"]);
    let longest = "x".repeat(32 * 1024 - 5) + " @bob";
    let sent = alice.run_with_input(&["send", "general", "-", "--reply-to", &first], longest.as_bytes());
    drop(sent.expect_code(0));
    assert_eq!(bob.bodies("general"), ["first", &longest]);
}

#[test]
fn receipts_say_whom_a_message_has_reached_and_what_is_read_is_counted_no_more() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob", "carol"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob, carol] = &clients;
    client::room("general", &[alice, bob, carol]);
    let unread = |who: &Client, arguments: &[&str]| {
        let unread = &who.json(&[&["unread"], arguments].concat())[0];
        (unread["unread"].as_u64(), unread["mentions"].as_u64(), unread["rooms"].as_array().map(Vec::len))
    };
    let silent = alice.fails(3, &["send", "general", "anybody?", "--wait", "delivered", "--timeout", "3"]);
    assert!(silent.contains("nobody"), "{silent}");
    let bobs = bob.start(&["listen", "general", "--receipts", "on"]);
    let some = alice.fails(8, &["send", "general", "and now?", "--wait", "delivered", "--timeout", "10"]);
    assert!(some.contains("carol") && !some.contains("bob"), "{some}");
    let carols = carol.start(&["listen", "general", "--receipts", "on"]);
    alice.ok(&["send", "general", "@carol, all here?", "--wait", "delivered"]);
    let history = alice.json(&["history", "general"]);
    assert_eq!(history.last().expect("a message")["delivered_to"].as_array().map(Vec::len), Some(2));
    assert_eq!(history.last().expect("a message")["read_by"], Value::Null);

    assert_eq!(unread(carol, &[]), (Some(3), Some(1), Some(1)));
    assert_eq!(unread(bob, &["general"]), (Some(3), Some(0), Some(1)));
    carol.ok(&["unread", "--clear", "general"]);
    assert_eq!(unread(carol, &[]), (Some(0), Some(0), Some(0)));
    bob.ok(&["unread", "--clear"]);
    // Both engines that listen have told so far what was read in other processes, and tell what is read now.
    let reading = alice.start(&["send", "general", "and read?", "--wait", "read", "--timeout", "60"]);
    for (who, listening) in [(bob, &bobs), (carol, &carols)] {
        listening.wait_for("the message", |line| line.contains("and read?").then_some(()));
        assert_eq!(unread(who, &[]).0, Some(1));
        who.ok(&["unread", "--clear"]);
    }
    drop(reading.finish().expect_code(0));
}

#[test]
fn the_room_s_time_counts_where_it_is_shorter_and_only_admins_set_it() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    client::room("general", &[alice, bob]);
    let before = send(alice, &["said before"]);
    bob.fails(6, &["room", "expire", "general", "1h"]);
    alice.ok(&["room", "expire", "general", "1h"]);
    bob.ok(&["history", "general"]);
    assert_eq!(bob.json(&["room", "show", "general"])[0]["expire_after"], 3600);
    let (longer, shorter) =
        (send(bob, &["longer", "--expire", "8h"]), send(bob, &["shorter", "--expire", "5m"]));
    alice.ok(&["room", "expire", "general", "off"]);
    let after = send(alice, &["said after"]);
    for who in [alice, bob] {
        let history = who.json(&["history", "general"]);
        let left = |id: &str| {
            let line = line(&history, id);
            let time = |name: &str| {
                let text = line[name].as_str()?;
                time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()
            };
            Some((time("expires_at")? - time("sent_at")?).whole_minutes())
        };
        assert_eq!((left(&before), left(&after)), (None, None), "{}", who.name());
        assert!(left(&longer).is_some_and(|minutes| (59..=62).contains(&minutes)));
        assert!(left(&shorter).is_some_and(|minutes| (4..=7).contains(&minutes)));
    }
}

#[test]
fn a_clock_that_is_set_ahead_while_a_program_runs_deletes_nothing() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    client::room("general", &[alice, bob]);
    alice.ok(&["send", "general", "for a day", "--expire", "1d"]);
    bob.ok(&["history", "general"]);
    // What is due by that clock is sent by the look at the clock that deletes what has had its time.
    alice.ok(&["send", "general", "in three days", "--at", "3d"]);
    let offset = alice.file("offset");
    fs::write(&offset, "+0").expect("an offset");
    let mut listening = alice.command(&["listen", "general", "--json"]);
    listening.envs(faketime::settings(&offset).expect("the library that sets clocks"));
    let listening = Process::start(&mut listening);
    bob.ok(&["send", "general", "are you there?"]);
    listening.wait_for("bob's message", |line| line.contains("are you there").then_some(()));
    fs::write(&offset, "+345600").expect("an offset");
    let bobs = bob.listen("general");
    bobs.wait_for("what was due", |line| line.contains("in three days").then_some(()));
    drop(listening);
    assert!(alice.bodies("general").contains(&"for a day".to_owned()));
}

#[test]
fn what_is_not_sent_yet_is_shown_given_up_and_sent_at_its_time() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    client::room("general", &[alice, bob]);
    alice.ok(&["draft", "general", "Dear all,"]);
    assert_eq!(alice.json(&["draft"])[0]["draft"], "Dear all,");
    alice.ok(&["draft", "general", "--clear"]);
    assert!(alice.json(&["draft"]).is_empty());

    daemon.kill();
    alice.fails(3, &["send", "general", "meant", "--timeout", "2"]);
    alice.fails(3, &["send", "general", "regretted", "--timeout", "2"]);
    let waiting = alice.json(&["outbox", "list"]);
    let bodies: Vec<_> = waiting.iter().map(|row| row["excerpt"].as_str().unwrap_or_default()).collect();
    assert_eq!(bodies, ["meant", "regretted"]);
    let regretted = waiting[1]["id"].as_str().expect("an id");
    alice.fails(5, &["outbox", "drop", "0123456789abcdef0123456789abcdef"]);
    alice.ok(&["outbox", "drop", &regretted[..12]]);
    daemon.restart();
    alice.ok(&["outbox", "retry"]);
    assert!(alice.json(&["outbox", "list"]).is_empty());
    assert_eq!(bob.bodies("general"), ["meant"]);

    alice.fails(2, &["send", "general", "when?", "--at", "some day"]);
    let later = alice.json(&["send", "general", "in a year", "--at", "365d"]);
    assert_eq!(later[0]["done"], "scheduled");
    alice.ok(&["send", "general", "in a moment", "--at", "1s"]);
    let bobs = bob.listen("general");
    // Whatever runs then sends it.
    let listening = alice.start(&["listen", "general"]);
    bobs.wait_for("the message", |line| line.contains("in a moment").then_some(()));
    drop((listening, bobs));
    let waiting = alice.json(&["outbox", "list"]);
    assert_eq!((waiting.len(), &waiting[0]["state"]), (1, &"scheduled".into()));
    alice.ok(&["outbox", "drop", waiting[0]["id"].as_str().expect("an id")]);
    assert!(alice.json(&["outbox", "list"]).is_empty());
}
