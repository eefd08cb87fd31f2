//! The commands about the server's key directory.

use std::{fs, process::Command};

use qchat_proto::transparency::{AccountEntry, Label};
use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    operator, programs,
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

#[test]
fn a_server_that_was_restored_from_an_older_copy_is_refused_until_its_user_accepts_it() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    alice.json(&["keys", "audit"]);
    let data = daemon.data_directory();
    let database = data.join("qchatd.sqlite3");
    let copy = data.join("copy.sqlite3");
    let backup = Command::new(programs::qchatd())
        .args(["backup", "--data-dir"])
        .args([&data, &copy])
        .output()
        .expect("qchatd runs");
    assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
    let _bob = Client::register(&daemon.url(), "bob");
    alice.json(&["keys", "log", "bob"]);

    assert!(daemon.stop().success());
    fs::rename(&copy, &database).expect("the copy takes its place");
    daemon.restart();
    let _carol = Client::register(&daemon.url(), "carol");
    alice.ok(&["room", "create", "general"]);
    let said = alice.fails(6, &["room", "invite", "general", "carol"]);
    assert!(said.contains("--accept"), "the remedy is said: {said}");
    assert!(alice.fails(6, &["keys", "audit"]).contains("--accept"));
    let audit = &alice.json(&["keys", "audit", "--accept"])[0];
    assert_eq!(audit["from"], json!(0));
    let warnings = audit["warnings"].as_array().expect("warnings");
    assert!(!warnings.is_empty() && warnings.iter().all(|kept| kept["ours"].is_string()), "{audit}");
    alice.ok(&["room", "invite", "general", "carol"]);
}

#[test]
fn an_audit_shows_what_the_server_has_said_of_the_own_account() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let account = alice.json(&["whoami"])[0]["account"].as_str().expect("an id").parse().expect("an id");
    let entry = AccountEntry { account, record: [7; 48], list_version: 1, list: [7; 48] };
    operator::say(&daemon, account, Label::Account(account), &entry.encode());
    // It is published within seconds.
    let told = (0..100).find_map(|_| {
        let audit = alice.json(&["keys", "audit"]).remove(0);
        audit["warnings"].as_array().filter(|warnings| !warnings.is_empty()).cloned()
    });
    let told = told.expect("a warning");
    let said = told[0]["warning"].as_str().expect("a sentence");
    assert!(said.contains("has given out other keys as those of your account"), "{told:?}");
    assert!(alice.ok(&["keys", "audit"]).iter().any(|line| line.starts_with("WARNING")), "it stays known");
}
