//! Who is there and who writes, through the built programs: asked for, told as it changes, by their own word, and only where both want
//! that.

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
};
use serde_json::{Value, json};

use crate::terminal::Terminal;

fn told(line: &str, kind: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["type"] == kind).then_some(line)
}

#[test]
fn members_are_told_who_is_there_and_who_writes_and_nobody_who_does_not_want_to_be() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob", "carol"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob, carol] = &clients;
    client::room("general", &[alice, bob, carol]);

    // Off unless wanted, on both sides.
    assert!(alice.fails(6, &["presence"]).contains("presence = on"));
    assert!(alice.fails(6, &["typing", "general"]).contains("typing = on"));
    let asking = ["presence", "bob", "--presence", "on", "--wait", "60", "--json"];

    // Carol listens, and shows nothing of herself.
    let carols = carol.listen("general");
    let bobs = bob.start(&["--presence", "on", "--typing", "on", "listen", "general", "--people", "--json"]);
    let answer = alice.run(&asking).expect_code(0).json();
    // Nobody sits before what listens.
    assert_eq!((&answer[0]["user"], &answer[0]["state"]), (&"bob".into(), &"away".into()));
    // The first time he may have been there only when she had asked already.
    assert_eq!(alice.run(&asking).expect_code(0).json()[0]["state"], "away");
    // Whoever asks is seen, and seen to go.
    let is = |state: &'static str| {
        bobs.wait_for(state, |line| told(line, "presence").filter(|line| line["state"] == state))
    };
    is("away");
    assert_eq!(is("offline")["user"], "alice");
    // Before a screen somebody sits, and writes,
    let mut screen = Terminal::open(&alice.command(&["--presence", "on", "--typing", "on"]), 24, 80);
    assert_eq!(is("online")["user"], "alice");
    let writes = |who: &'static [&'static str]| {
        let heard = bobs
            .wait_for("who writes", |line| told(line, "typing").filter(|line| line["users"] == json!(who)));
        assert_eq!(heard["room"], "general");
    };
    screen.shows("> ");
    screen.press("well");
    writes(&["alice"]);
    drop(bob.run(&["typing", "general", "--typing", "on"]).expect_code(0));
    screen.shows("bob writes");
    screen.press("\u{11}");
    screen.ends_in_order();
    // Whoever goes writes nothing any more, and says so before.
    bobs.wait_for("nobody writes", |line| {
        assert!(told(line, "presence").is_none_or(|line| line["state"] != "offline"), "{line}");
        told(line, "typing").filter(|line| line["users"] == json!([]))
    });
    assert_eq!(is("offline")["user"], "alice");
    // until it is locked.
    let mut screen = Terminal::open(&alice.command(&["--presence", "on", "--lock-after-idle", "1s"]), 24, 80);
    is("online");
    is("away");
    screen.press(&format!("{}\r", alice.passphrase()));
    is("online");
    screen.press("\u{11}");
    screen.ends_in_order();
    let gone = is("offline");
    assert_eq!(gone["user"], "alice");
    assert!(gone["last_seen"].is_string(), "{gone}");
    let carols_state = alice.run(&["presence", "carol", "--presence", "on", "--wait", "1", "--json"]);
    assert_eq!(carols_state.expect_code(0).json()[0]["state"], "offline");

    let writing = alice.run(&["typing", "general", "--typing", "on", "--json"]).expect_code(0).json();
    assert_eq!(writing[0]["done"], "typing");
    writes(&["alice"]);

    // A message comes as ever, and nothing of this is one.
    alice.ok(&["send", "general", "what I wrote"]);
    bobs.wait_for("the message", |line| {
        client::Message::from_line(line).filter(|said| said.body == "what I wrote")
    });
    carols.wait_for("the message", client::Message::from_line);
    let heard = carols.terminate();
    assert!(
        heard.lines.iter().all(|line| told(line, "presence").is_none() && told(line, "typing").is_none())
    );
    assert_eq!(bob.bodies("general"), ["what I wrote"]);

    // One of two programs of bob's ends, and the other is still there; with both he is gone.
    let alices = alice.start(&["--presence", "on", "listen", "general", "--people", "--json"]);
    let sees = |state: &'static str| {
        alices.wait_for(state, |line| told(line, "presence").filter(|line| line["user"] == "bob"))
    };
    assert_eq!(sees("bob")["state"], "away");
    let second = bob.start(&["--presence", "on", "listen", "general", "--json"]);
    bob.ok(&["send", "general", "I am here twice"]);
    second.wait_for("the message", client::Message::from_line);
    drop(second.terminate());
    bob.ok(&["send", "general", "I am still here"]);
    alices.wait_for("the message", |line| {
        assert!(told(line, "presence").is_none_or(|line| line["state"] != "offline"), "{line}");
        client::Message::from_line(line).filter(|said| said.body == "I am still here")
    });
    drop(bobs.terminate());
    assert_eq!(sees("him go")["state"], "offline");
    alice.fails(5, &["presence", "nobody", "--presence", "on"]);
}
