//! The commands about the server's key directory.

use std::process::Command;

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    programs,
};
use serde_json::json;

#[test]
fn the_log_of_somebody_and_an_audit_show_what_the_directory_has_said() {
    let daemon = Daemon::start(Backend::Sqlite);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&alice, &bob]);

    for person in [&alice, &bob] {
        let log = person.json(&["keys", "log", "bob"]);
        let kinds: Vec<_> = log.iter().map(|line| (&line["v"], &line["entry"], &line["version"])).collect();
        let (name, account) = (json!("name"), json!("account"));
        assert_eq!(kinds, [(&json!(1), &name, &json!(1)), (&json!(1), &account, &json!(1))]);
        assert_eq!(log[0]["account"], log[1]["account"]);
        assert_eq!(log[1]["list_version"], json!(1));
    }
    let words = alice.ok(&["keys", "log", "bob"]);
    assert!(words.iter().any(|line| line.contains("the name bob is that of account")), "{words:?}");
    let said = alice.fails(5, &["keys", "log", "nobody"]);
    assert!(said.contains("nobody"), "{said}");

    let audit = &alice.json(&["keys", "audit"])[0];
    assert_eq!((&audit["from"], &audit["leaves"], &audit["warnings"]), (&json!(0), &json!(4), &json!([])));
    let again = &alice.json(&["keys", "audit"])[0];
    assert_eq!((&again["from"], &again["head"]), (&audit["epoch"], &audit["head"]));
    assert_eq!(bob.json(&["keys", "audit", "--from", "1"])[0]["head"], audit["head"], "to be compared");
    assert!(alice.fails(2, &["keys", "audit", "--from", "99"]).contains("newest epoch"));

    // The key by which both know it, as the operator sees it.
    let shown = &alice.json(&["server", "show"])[0];
    let output = Command::new(programs::qchatd())
        .args(["keys", "show", "--json", "--data-dir"])
        .arg(daemon.data_directory())
        .output()
        .expect("qchatd runs");
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(printed["directory_key"], shown["directory_key"]);
    assert_eq!(shown["directory_key_changed"], json!(false));
}

#[test]
fn a_command_ends_with_6_when_the_directory_does_not_hold_what_the_server_says() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let _bob = Client::register(&daemon.url(), "bob");
    alice.json(&["keys", "log", "bob"]);
    // Its database says that what was published said something else.
    daemon.execute("UPDATE directory_entries SET salt = zeroblob(32)");
    alice.ok(&["room", "create", "general"]);
    let said = alice.fails(6, &["room", "invite", "general", "bob"]);
    assert!(said.contains("key directory") && said.contains("bob"), "{said}");
}
