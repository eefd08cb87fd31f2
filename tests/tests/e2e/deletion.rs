//! Messages deleted from one device: gone there, from the disk too, and nowhere else.

use std::{fs, path::PathBuf};

use qchat_cli::vault;
use qchat_proto::crypto::secret::Secret;
use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    sqlcipher,
};

/// A profile's disk, as one who has the passphrase reads it.
struct Disk {
    dir: PathBuf,
    key: Secret<32>,
}

impl Disk {
    fn of(client: &Client) -> Self {
        let dir = client.data_directory().join(client.name());
        let key = vault::unlock(&dir, client.passphrase()).expect("the passphrase opens it");
        Self { dir, key }
    }

    fn holds(&self, text: &str) -> bool {
        let pages = sqlcipher::pages(&self.dir, self.key.expose());
        pages.iter().any(|page| page.bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    }
}

#[test]
fn who_deletes_a_message_has_it_no_more_and_the_others_keep_theirs() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    let (alices, bobs) = (Disk::of(alice), Disk::of(bob));
    client::room("general", &[alice, bob]);
    let texts =
        ["canary of the first", "canary of the second", "canary of the third", "canary of the fourth"];
    for text in texts {
        alice.ok(&["send", "general", text]);
    }
    let messages = bob.history("general");
    let id = |n: usize| messages[n].id.as_str();
    let fourth = messages[3].seq.to_string();
    let unknown = "0123456789abcdef0123456789abcdef";
    for (arguments, code, word, left) in [
        (&["general"][..], 2, "ID", &texts[..]),
        (&["general", "no-id"], 2, "hexadecimal", &texts),
        (&["general", id(0), "--all"], 2, "--all", &texts),
        (&["nowhere", id(0)], 5, "nowhere", &texts),
        (&["general", unknown], 5, unknown, &texts),
        (&["general", id(0)], 0, "deleted 1 message of general from this device", &texts[1..]),
        (&["general", id(0)], 5, id(0), &texts[1..]),
        (&["general", id(1), unknown], 8, unknown, &texts[2..]),
        (&["general", "--before", &fourth], 0, "deleted 1 message", &texts[3..]),
        (&["general", "--before", "1"], 0, "deleted 0 messages", &texts[3..]),
    ] {
        let output = bob.run(&[&["delete", "--here"], arguments].concat()).expect_code(code);
        let said = format!("{}{}", output.lines.join("\n"), output.stderr);
        assert!(said.contains(word), "{arguments:?}: {said}");
        assert_eq!(bob.bodies("general"), left, "after {arguments:?}");
        for text in texts {
            assert_eq!(bobs.holds(text), left.contains(&text), "{text} after {arguments:?}");
        }
    }
    assert_eq!(alice.bodies("general"), texts, "everybody else has theirs");

    // What alice wrote herself; and it stays away, whatever comes after.
    let deleted = alice.json(&["delete", "general", "--all", "--yes"]);
    assert_eq!(deleted.len(), 1);
    assert_eq!((&deleted[0]["v"], &deleted[0]["done"]), (&1.into(), &"deleted".into()));
    assert_eq!((&deleted[0]["room"], &deleted[0]["messages"]), (&"general".into(), &4.into()));
    alice.ok(&["room", "update-keys", "general"]);
    bob.ok(&["send", "general", "and on"]);
    assert_eq!(alice.bodies("general"), ["and on"]);
    for text in texts {
        assert!(!alices.holds(text), "{text}");
    }
    // Who has ended in order has left nothing in the log.
    let log = fs::metadata(alices.dir.join("profile.db-wal"));
    assert_eq!(log.map_or(0, |log| log.len()), 0);
}

#[test]
fn a_message_that_waits_is_not_sent_once_it_is_deleted() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    let alices = Disk::of(alice);
    client::room("general", &[alice, bob]);
    daemon.kill();
    alice.fails(3, &["--timeout", "2", "send", "general", "regretted at once"]);
    assert!(alices.holds("regretted at once"));
    // Needs no server.
    alice.ok(&["delete", "general", "--all", "--yes"]);
    assert!(!alices.holds("regretted at once"));
    daemon.restart();
    alice.ok(&["send", "general", "meant"]);
    assert_eq!(bob.bodies("general"), ["meant"]);
    assert_eq!(alice.bodies("general"), ["meant"]);
}
