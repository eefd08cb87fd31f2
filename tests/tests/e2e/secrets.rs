//! What must not be found is looked for: in every file of both sides, in every log, on the wire.

use std::fs;

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::{Backend, PostgresDatabase},
    on_both,
    proxy::Proxy,
    search::{self, Needle},
};

on_both!(no_plaintext_and_no_passphrase_is_stored_logged_or_sent);

const CANARY: &str = "canary-4f1d the heron lands at noon";
const ROOM: &str = "room-canary-77ab";

fn no_plaintext_and_no_passphrase_is_stored_logged_or_sent(backend: Backend) {
    let mut daemon = Daemon::start(backend);
    let proxy = Proxy::start(daemon.address());
    let alice = Client::register(&proxy.url(), "alice-canary");
    let bob = Client::register(&proxy.url(), "bob");
    client::room(ROOM, &[&alice, &bob]);
    alice.ok(&["-v", "send", ROOM, CANARY]);
    bob.ok(&["-v", "send", ROOM, &format!("re: {CANARY}")]);
    assert_eq!(bob.bodies(ROOM).len(), 2);
    assert_eq!(alice.bodies(ROOM).len(), 2);
    alice.ok(&["room", "update-keys", ROOM]);
    alice.run_with_passphrase("wrong passphrase of alice", &["history", ROOM]).expect_code(4).lines.clear();

    let mut needles = vec![Needle::new("the message", CANARY.as_bytes())];
    needles.push(Needle::new("the room's name", ROOM.as_bytes()));
    needles.push(Needle::new("a wrong passphrase", b"wrong passphrase of alice"));
    for client in [&alice, &bob] {
        needles.push(Needle::new("a passphrase", client.passphrase().as_bytes()));
        let words = fs::read_to_string(client.recovery_file()).expect("the recovery file");
        for words in words.split_whitespace().collect::<Vec<_>>().windows(3) {
            needles.push(Needle::new("recovery words", words.join(" ").as_bytes()));
        }
    }

    // The search itself works: the daemon knows its accounts by name.
    let known = Needle::new("a name", b"alice-canary");
    let mut stored: Vec<u8> = search::files(daemon.directory())
        .iter()
        .flat_map(|file| fs::read(file).unwrap_or_default())
        .collect();
    stored.extend(daemon.postgres().map(PostgresDatabase::dump).unwrap_or_default());
    assert!(known.is_in(&stored) && known.is_in(&proxy.bytes()));

    search::assert_nowhere_in("what the daemon stores or logs", &stored, &needles);
    search::assert_nowhere_in("what went over the wire", &proxy.bytes(), &needles);
    if let Some(password) = daemon.postgres().and_then(PostgresDatabase::password) {
        let needle = Needle::new("the database's password", password.as_bytes());
        search::assert_nowhere_in("the daemon's log", daemon.log().as_bytes(), &[needle]);
    }
    for client in [&alice, &bob] {
        search::assert_nowhere_below(&client.data_directory(), &needles);
    }
    // Nor is it in what stays behind when the daemon has ended in order and folded its log into the database.
    daemon.stop();
    search::assert_nowhere_below(daemon.directory(), &needles);
    for client in [&alice, &bob] {
        let said = client.said();
        // What a user asked to read is printed; what opens the profile never is.
        let passphrase = Needle::new("a passphrase", client.passphrase().as_bytes());
        search::assert_nowhere_in("what the client said", said.as_bytes(), &[passphrase]);
    }
}

#[test]
fn files_with_secrets_belong_to_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    alice.ok(&["room", "create", "general"]);
    let mut files = search::files(&alice.data_directory());
    files.push(alice.recovery_file());
    files.extend(search::files(&daemon.data_directory()));
    for file in files {
        let mode = fs::metadata(&file).map(|found| found.permissions().mode()).unwrap_or_default();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", file.display());
    }
    // A file with recovery words is never overwritten.
    let bob = Client::new(&daemon.url(), "bob");
    fs::write(bob.recovery_file(), "older words").expect("a file");
    let path = bob.recovery_file();
    let refused = bob.run(&["register", "bob", "--recovery-file", path.to_str().expect("a UTF-8 path")]);
    assert_ne!(refused.code, Some(0));
    assert_eq!(fs::read_to_string(&path).expect("the file"), "older words");
}
