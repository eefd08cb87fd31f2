//! The account as a whole, by the built programs: what its owner is shown of it, another passphrase in spite of crashes, what is
//! given out, and its end.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    on_both,
    process::Process,
    proxy::{Answer, Proxy},
};
use serde_json::Value;

on_both!(an_account_is_watched_changed_given_out_and_deleted);

const NEW: &str = "gravel-mustard-lantern-9";

/// Writes a passphrase file of a user.
fn passphrase_file(client: &Client, name: &str, passphrase: &str) -> String {
    let file = client.file(name);
    fs::write(&file, passphrase).expect("a passphrase file");
    file.display().to_string()
}

fn an_account_is_watched_changed_given_out_and_deleted(backend: Backend) {
    let daemon = Daemon::start(backend);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&alice, &bob]);
    alice.ok(&["send", "general", "said by alice"]);
    assert_eq!(bob.bodies("general"), ["said by alice"]);

    // What was done to the account: it is written within a moment.
    let until = Instant::now() + Duration::from_mins(1);
    while alice.json(&["account", "activity"]).is_empty() {
        assert!(Instant::now() < until, "nothing is noted");
    }
    let shown = alice.json(&["account", "activity", "--limit", "1"]);
    assert_eq!(
        (&shown[0]["v"], &shown[0]["act"], &shown[0]["outcome"]),
        (&1.into(), &"register".into(), &"done".into())
    );
    assert_eq!(shown[0]["this_device"], true);
    let words = alice.ok(&["account", "activity"]);
    assert!(words[0].contains("register, by this device"), "{words:?}");

    // Another passphrase: the old one opens nothing any more.
    let new = passphrase_file(&alice, "new", NEW);
    let said = alice
        .run_with_passphrase("not the passphrase", &["account", "password", "--new-passphrase-file", &new]);
    drop(said.expect_code(4));
    for (weak, why) in
        [("short", "15"), ("passwordpassword", "first that are tried"), ("alicealicealice", "first")]
    {
        let weak = passphrase_file(&alice, "weak", weak);
        let said = alice.fails(2, &["account", "password", "--new-passphrase-file", &weak]);
        assert!(said.contains(why), "{said}");
    }
    alice.ok(&["account", "password", "--new-passphrase-file", &new]);
    drop(alice.run(&["whoami"]).expect_code(4));
    drop(alice.run_with_passphrase(NEW, &["send", "general", "with the new one"]).expect_code(0));
    assert_eq!(bob.bodies("general"), ["said by alice", "with the new one"]);

    // What the server holds, as a directory and as an archive, once each.
    let directory = alice.file("export").display().to_string();
    drop(alice.run_with_passphrase(NEW, &["account", "export", "-o", &directory]).expect_code(0));
    let read = |name: &str| fs::read_to_string(alice.file("export").join(name)).expect(name);
    assert!(read("README.txt").contains("the account alice"));
    assert_eq!(read("account.jsonl").lines().count(), 1);
    let sent: Vec<Value> =
        read("envelopes.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(sent.len() >= 3 && !read("envelopes.jsonl").contains("said by alice"), "{}", sent.len());
    assert!(read("activity.jsonl").contains("change_passphrase"));
    drop(alice.run_with_passphrase(NEW, &["account", "export", "-o", &directory]).expect_code(6));
    let archive = alice.file("export.tar").display().to_string();
    let told = alice
        .run_with_passphrase(NEW, &["account", "export", "-o", &archive, "--json"])
        .expect_code(0)
        .json();
    assert!(told[0]["lines"].as_u64().is_some_and(|lines| lines > 10), "{told:?}");
    assert!(fs::metadata(&archive).expect("the archive").len() > 10_000);

    // Its end. Nobody is asked without a terminal.
    drop(alice.run_with_passphrase(NEW, &["account", "delete"]).expect_code(2));
    let done =
        alice.run_with_passphrase(NEW, &["account", "delete", "--yes", "--json"]).expect_code(0).json();
    assert_eq!(done[0]["done"], "account and profile deleted");
    assert!(!alice.data_directory().join("alice").exists(), "nothing of the profile is left");
    let said = bob.fails(5, &["room", "invite", "general", "alice"]);
    assert!(said.contains("alice has deleted that account"), "{said}");
    let taken = Client::new(&daemon.url(), "alice").fails(6, &["register", "alice", "--no-confirm"]);
    assert!(taken.contains("taken"), "{taken}");
    // The room goes on without her, and her words stay Bob's.
    bob.ok(&["send", "general", "goes on"]);
    assert_eq!(bob.bodies("general"), ["said by alice", "with the new one", "goes on"]);
    let members = bob.json(&["room", "show", "general"])[0]["members"].clone();
    assert_eq!(members.as_array().expect("members").len(), 1, "{members}");
    let carol = Client::register(&daemon.url(), "carol");
    bob.ok(&["room", "invite", "general", "carol"]);
    carol.ok(&["room", "join", "general"]);
    carol.ok(&["send", "general", "hello"]);
    assert_eq!(bob.bodies("general").last().map(String::as_str), Some("hello"));
}

/// Which of these passphrases opens the profile: one, and only one.
fn opens<'a>(client: &Client, passphrases: [&'a str; 2]) -> &'a str {
    let opens: Vec<&str> = passphrases
        .into_iter()
        .filter(|passphrase| client.run_with_passphrase(passphrase, &["whoami"]).code == Some(0))
        .collect();
    assert_eq!(opens.len(), 1, "{opens:?}");
    opens[0]
}

#[test]
fn a_killed_change_of_passphrase_leaves_one_that_opens_and_can_be_finished() {
    const KILLS: u32 = 8;
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let first = alice.passphrase().to_owned();
    let (a, b) = (passphrase_file(&alice, "a", &first), passphrase_file(&alice, "b", NEW));
    let command = |old: &str, new: &str| {
        let mut command = alice.command(&[]);
        // The last one given counts.
        command.args(["--passphrase-file", old, "account", "password", "--new-passphrase-file", new]);
        command
    };
    // How long one takes that nobody disturbs.
    let start = Instant::now();
    Process::start(&mut command(&a, &b)).finish().expect_code(0).lines.clear();
    let whole = start.elapsed();

    let mut now = NEW;
    for kill in 1..=KILLS {
        let (old, new, wanted) = if now == NEW { (&b, &a, first.as_str()) } else { (&a, &b, NEW) };
        let mut change = Process::start(&mut command(old, new));
        // A crash comes when it comes: the strikes are spread over all of it, the last ones past its end.
        thread::sleep(whole * kill / (KILLS - 1));
        change.kill();
        now = opens(&alice, [&first, NEW]);
        // Whatever has been done by then, the same again from the one that opens leads to what was wanted.
        let (from, to) = if now == NEW { (&b, &a) } else { (&a, &b) };
        let finishing = if now == wanted { None } else { Some((from, to)) };
        if let Some((from, to)) = finishing {
            Process::start(&mut command(from, to)).finish().expect_code(0).lines.clear();
            now = opens(&alice, [&first, NEW]);
            assert_eq!(now, wanted, "after strike {kill}");
        }
    }
    // Daemon and vault agree: who deletes the account has to have the passphrase that the daemon knows.
    alice.run_with_passphrase(now, &["account", "delete", "--yes"]).expect_code(0).lines.clear();
}

#[test]
fn an_answer_that_is_lost_leaves_the_old_passphrase_and_a_change_that_is_finished_later() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Client::register(&daemon.url(), "alice");
    alice.set_server(&proxy.url());
    let new = passphrase_file(&alice, "new", NEW);
    let other = passphrase_file(&alice, "other", "heron-umbrella-noon-17");
    for answer in [|| Answer::Lost, || Answer::Cut] {
        proxy.at_requests(move |request| {
            if request.is("PUT", "/v1/account/passphrase") { answer() } else { Answer::Genuine }
        });
        let output = alice.run(&["--timeout", "5", "account", "password", "--new-passphrase-file", &new]);
        drop(output.expect_code(3));
        // The old one opens the profile, which says what is to be done.
        let said = alice.run(&["whoami"]).expect_code(0).stderr;
        assert!(said.contains("qchat account password"), "{said}");
    }
    proxy.at_requests(|_| Answer::Genuine);
    // Another one than was begun: what was begun is settled first.
    alice.ok(&["account", "password", "--new-passphrase-file", &other]);
    drop(alice.run(&["whoami"]).expect_code(4));
    drop(alice.run_with_passphrase(NEW, &["whoami"]).expect_code(4));
    let said = alice.run_with_passphrase("heron-umbrella-noon-17", &["whoami"]).expect_code(0).stderr;
    assert!(!said.contains("interrupted"), "{said}");
    drop(alice.run_with_passphrase("heron-umbrella-noon-17", &["account", "delete", "--yes"]).expect_code(0));
}

#[test]
fn an_interrupted_deletion_is_repeated_and_the_profile_goes_last() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Client::register(&daemon.url(), "alice");
    alice.set_server(&proxy.url());
    for answer in [|| Answer::Cut, || Answer::Lost] {
        proxy.at_requests(
            move |request| {
                if request.is("POST", "/v1/account/delete") { answer() } else { Answer::Genuine }
            },
        );
        drop(alice.run(&["--timeout", "5", "account", "delete", "--yes"]).expect_code(3));
        alice.ok(&["whoami"]);
    }
    // By now it is done, and nobody logs in; the server says so once more, and then the profile may go.
    proxy.at_requests(|_| Answer::Genuine);
    let kept = alice.json(&["account", "delete", "--yes", "--keep-profile"]);
    assert_eq!(kept[0]["done"], "account deleted, profile kept");
    alice.ok(&["whoami"]);
    alice.ok(&["account", "delete", "--yes"]);
    assert!(!alice.data_directory().join("alice/profile.db").exists());
}

#[test]
fn a_weak_passphrase_registers_nobody() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::new(&daemon.url(), "alice");
    for (weak, why) in [("fourteen chars", "14 characters"), ("passwordpassword", "first that are tried")] {
        let output = alice.run_with_passphrase(weak, &["register", "alice", "--no-confirm"]).expect_code(2);
        assert!(output.stderr.contains(why), "{}", output.stderr);
        assert!(!alice.data_directory().join("alice").exists());
    }
    drop(
        alice
            .run_with_passphrase("lantern gravel mustard", &["register", "alice", "--no-confirm"])
            .expect_code(0),
    );
}
