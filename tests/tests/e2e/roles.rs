//! What people may do in a room, through the built programs.

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
};
use serde_json::{Value, json};

fn role_of(shown: &Value, name: &str) -> Option<String> {
    let members = shown["members"].as_array()?;
    let member = members.iter().find(|member| member["name"] == name)?;
    Some(member["role"].as_str()?.to_owned())
}

#[test]
fn rooms_are_renamed_and_people_appointed_silenced_banned_and_let_in_again() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob", "carol"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob, carol] = &clients;
    client::room("general", &[alice, bob, carol]);
    alice.ok(&["room", "role", "general", "bob", "admin"]);
    for (who, code, arguments) in [
        (carol, 6, &["room", "topic", "general", "tea"][..]),
        (carol, 6, &["room", "ban", "general", "bob"]),
        (bob, 0, &["room", "rename", "general", "lobby"]),
        (bob, 0, &["room", "topic", "lobby", "All about tea"]),
        (bob, 6, &["room", "role", "lobby", "carol", "admin"]),
        (bob, 6, &["room", "remove", "lobby", "alice"]),
        (bob, 0, &["room", "role", "lobby", "carol", "reader"]),
        (bob, 2, &["room", "role", "lobby", "carol", "king"]),
        (bob, 2, &["room", "rename", "lobby", "@carol"]),
        (bob, 5, &["room", "ban", "lobby", "nobody"]),
        (alice, 6, &["room", "role", "lobby", "alice", "member"]),
        (alice, 6, &["room", "leave", "lobby"]),
        (carol, 6, &["room", "invite", "lobby", "alice"]),
        (bob, 0, &["send", "lobby", "read this"]),
    ] {
        drop(who.run(arguments).expect_code(code));
    }
    let why = carol.fails(6, &["send", "lobby", "may I?"]);
    assert!(why.contains("only read"), "{why}");
    assert_eq!(carol.bodies("lobby"), ["read this"]);
    let shown = &carol.json(&["room", "show", "lobby"])[0];
    assert_eq!((&shown["topic"], &shown["banned"]), (&"All about tea".into(), &json!([])));
    let roles = ["alice", "bob", "carol"].map(|name| role_of(shown, name));
    assert_eq!(roles, ["owner", "admin", "reader"].map(|role| Some(role.to_owned())));
    assert!(carol.ok(&["room", "show", "lobby"]).join("\n").contains("bob (1 device, admin)"));

    bob.ok(&["room", "ban", "lobby", "carol"]);
    assert!(bob.fails(6, &["room", "invite", "lobby", "carol"]).contains("banned"));
    assert_eq!(bob.json(&["room", "show", "lobby"])[0]["banned"], json!(["carol"]));
    assert_eq!(carol.json(&["room", "list"])[0]["status"], "removed");
    bob.ok(&["room", "unban", "lobby", "carol"]);
    bob.ok(&["room", "invite", "lobby", "carol"]);
    carol.ok(&["room", "join", "lobby"]);
    carol.ok(&["send", "lobby", "back"]);
    assert_eq!(alice.bodies("lobby"), ["read this", "back"]);
    let shown = &alice.json(&["room", "show", "lobby"])[0];
    assert_eq!(role_of(shown, "carol").as_deref(), Some("member"));
}
