//! Who is there and who writes, through the built programs: asked for, told as it changes, by their own word, and only where both want
//! that.

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
};
use serde_json::{Value, json};

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
    assert_eq!((&answer[0]["user"], &answer[0]["state"]), (&"bob".into(), &"online".into()));
    // The first time he may have been there only when she had asked already.
    assert_eq!(alice.run(&asking).expect_code(0).json()[0]["state"], "online");
    // Whoever asks is seen, and seen to go.
    bobs.wait_for("alice", |line| told(line, "presence").filter(|line| line["state"] == "online"));
    let gone =
        bobs.wait_for("alice to go", |line| told(line, "presence").filter(|line| line["state"] == "offline"));
    assert_eq!(gone["user"], "alice");
    assert!(gone["last_seen"].is_string(), "{gone}");
    let carols_state = alice.run(&["presence", "carol", "--presence", "on", "--wait", "1", "--json"]);
    assert_eq!(carols_state.expect_code(0).json()[0]["state"], "offline");

    let writing = alice.run(&["typing", "general", "--typing", "on", "--json"]).expect_code(0).json();
    assert_eq!(writing[0]["done"], "typing");
    let heard = bobs.wait_for("alice to write", |line| told(line, "typing"));
    assert_eq!((&heard["room"], &heard["users"]), (&"general".into(), &json!(["alice"])));

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

    // Bob ends, and is not there; when he was is known.
    drop(bobs.terminate());
    let after =
        alice.run(&["presence", "bob", "--presence", "on", "--wait", "1", "--json"]).expect_code(0).json();
    assert_eq!(after[0]["state"], "offline");
    assert!(after[0]["last_seen"].is_string(), "{after:?}");
    alice.fails(5, &["presence", "nobody", "--presence", "on"]);
}
