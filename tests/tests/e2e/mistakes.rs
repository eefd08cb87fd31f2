//! What users get wrong, and what they are told: a clear sentence and the documented exit code.

use std::fs;

use qchat_tests::{
    client::{self, Client},
    daemon::{self, Daemon},
    database::Backend,
    on_both,
};

on_both!(each_mistake_has_its_exit_code);

fn each_mistake_has_its_exit_code(backend: Backend) {
    let mut daemon = Daemon::start(backend);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&alice, &bob]);
    let long = "x".repeat(40 * 1024);
    let unknown_id = "0123456789abcdef0123456789abcdef";
    for (arguments, code, word) in [
        // 2: usage
        (&["no-such-command"][..], 2, "no-such-command"),
        (&["send"], 2, "ROOM"),
        (&["room", "create", ""], 2, "name"),
        (&["history", "general", "--limit", "many"], 2, "many"),
        (&["send", "general", ""], 2, "empty"),
        (&["send", "general", &long], 2, "bytes"),
        // 5: not found
        (&["send", "nowhere", "hello"], 5, "nowhere"),
        (&["history", unknown_id], 5, unknown_id),
        (&["room", "show", "nowhere"], 5, "nowhere"),
        (&["room", "join", "nowhere"], 5, "nowhere"),
        (&["room", "invite", "general", "nobody-of-that-name"], 5, "nobody-of-that-name"),
        (&["room", "remove", "general", "nobody-of-that-name"], 5, "nobody-of-that-name"),
        // 6: refused
        (&["room", "invite", "general", "bob"], 6, "bob"),
    ] {
        let said = alice.fails(code, arguments);
        assert!(said.to_lowercase().contains(&word.to_lowercase()), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        assert!(daemon.is_ready(), "after {arguments:?}");
    }

    let wrong = alice.run_with_passphrase("not the passphrase", &["history", "general"]).expect_code(4);
    assert!(wrong.stderr.contains("passphrase") && wrong.lines.is_empty(), "{wrong:?}");

    let recovery = alice.file("second-recovery");
    let impostor = Client::new(&daemon.url(), "impostor");
    let taken = impostor
        .fails(6, &["register", "alice", "--recovery-file", recovery.to_str().expect("a UTF-8 path")]);
    assert!(taken.contains("alice"), "{taken}");

    let stranger = Client::new(&daemon.url(), "stranger");
    let said = stranger.fails(4, &["history", "general"]);
    assert!(said.contains("register"), "what to do next is said: {said}");
    let said = stranger.fails(2, &["register", "Not A Name"]);
    assert!(said.contains("name"), "{said}");

    // After all of that, both still talk.
    alice.ok(&["send", "general", "still here"]);
    assert_eq!(bob.bodies("general"), ["still here"]);
}

#[test]
fn who_was_logged_out_from_elsewhere_is_told_and_logs_in_by_hand() {
    let daemon = Daemon::start(Backend::Postgres);
    let alice = Client::register(&daemon.url(), "alice");
    alice.ok(&["room", "create", "general"]);
    for (ended_by, says) in [(1, "all sessions of this account were ended"), (2, "was used twice")] {
        // As a logout on another device, or a copy of a token in use somewhere else, leaves it.
        daemon.execute(&format!("UPDATE sessions SET ended_by = {ended_by}"));
        let said = alice.fails(4, &["--timeout", "5", "send", "general", "kept for later"]);
        assert!(said.contains(says), "{said}");
        // The device could prove itself at once, and does not: that is for its user to decide.
        let said = alice.fails(4, &["--timeout", "5", "send", "general", "this too"]);
        assert!(said.contains("logged out"), "{said}");
        alice.ok(&["login"]);
        alice.ok(&["send", "general", "logged in"]);
    }
    alice.ok(&["logout", "--everywhere"]);
    let open = "SELECT count(*) FROM sessions WHERE ended_by IS NULL";
    assert_eq!(daemon.postgres().expect("a daemon on PostgreSQL").value(open), "0");
    alice.fails(4, &["--timeout", "5", "send", "general", "kept for later"]);
    alice.ok(&["login"]);
    alice.ok(&["send", "general", "logged in again"]);
}

#[test]
fn ten_megabytes_are_refused_before_they_leave() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    alice.ok(&["room", "create", "general"]);
    let output = alice.run_with_input(&["send", "general", "-"], &vec![b'x'; 10_000_000]).expect_code(2);
    assert!(output.stderr.contains("at most"), "{}", output.stderr);
    assert!(daemon.is_ready());
    alice.ok(&["send", "general", "a short one"]);
    assert_eq!(alice.bodies("general"), ["a short one"]);
}

#[test]
fn without_a_daemon_the_exit_code_says_network_and_nothing_is_lost() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&alice, &bob]);
    daemon.kill();
    let said = alice.fails(3, &["--timeout", "2", "send", "general", "written offline"]);
    assert!(!said.contains("panicked"), "{said}");
    daemon.restart();
    alice.ok(&["send", "general", "written online"]);
    assert_eq!(bob.bodies("general"), ["written offline", "written online"]);
}

#[test]
fn plain_http_is_refused_except_to_loopback() {
    for server in ["http://chat.example.org", "http://192.0.2.1:8080", "ftp://127.0.0.1", "not a url"] {
        let alice = Client::new(server, "alice");
        let output = alice.run(&["--timeout", "5", "register", "alice", "--no-confirm"]);
        assert!(matches!(output.code, Some(2 | 6)), "{server}: {output:?}");
        assert!(!alice.data_directory().join("alice").exists(), "{server}: a profile was made");
    }
}

#[test]
fn a_recovery_file_holds_words_that_were_shown_to_nobody_else() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let words = fs::read_to_string(alice.recovery_file()).expect("the recovery file");
    let words =
        words.lines().rfind(|line| line.split_whitespace().count() == 24).expect("24 words in a line");
    assert!(!alice.said().contains(words), "they went to the file, not to the screen");
    assert!(!daemon.log().contains(words));
}

#[test]
fn a_profile_of_another_server_is_not_sent_to_this_one() {
    let (first, second) = (Daemon::start(Backend::Sqlite), Daemon::start(Backend::Sqlite));
    let mut alice = Client::register(&first.url(), "alice");
    alice.ok(&["room", "create", "general"]);
    alice.set_server(&second.url());
    let output = alice.run(&["--timeout", "5", "send", "general", "to whom?"]);
    assert!(matches!(output.code, Some(4 | 6)), "{output:?}");
    assert_ne!(daemon::free_address(), first.address());
}
