//! A key that `unlock` keeps warm: without the passphrase until `lock`, and never where others could read it.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use qchat_cli::vault;
use qchat_tests::{
    client::Client,
    daemon::Daemon,
    database::Backend,
    search::{Needle, assert_nowhere_below, assert_nowhere_in},
};

/// The process ids of agents for this user's profile.
fn agents(client: &Client) -> Vec<u32> {
    let data = client.data_directory();
    let data = data.to_str().expect("a UTF-8 path");
    let processes = fs::read_dir("/proc").expect("a list of processes");
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|id| {
            // One that ends while it is looked at is none; nor is one that has ended, which has no command line.
            let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains(data) && line.trim_end_matches('\0').ends_with("\0agent")
        })
        .collect()
}

#[test]
fn an_unlocked_profile_needs_no_passphrase_until_it_is_locked() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let profile = alice.data_directory().join("alice");
    alice.ok(&["unlock", "--for", "600"]);
    drop(alice.run_with_passphrase("wrong", &["whoami"]).expect_code(0));

    let socket = profile.join("agent.sock");
    assert_eq!(fs::metadata(&socket).expect("a socket").permissions().mode() & 0o777, 0o600);
    let key = vault::unlock(&profile, alice.passphrase()).expect("the key");
    let secrets = [
        Needle::new("the database's key", key.expose()),
        Needle::new("the passphrase", alice.passphrase().as_bytes()),
    ];
    assert_nowhere_below(&alice.data_directory(), &secrets);
    let [agent] = agents(&alice)[..] else { panic!("one agent: {:?}", agents(&alice)) };
    for place in ["cmdline", "environ"] {
        // An ordinary user may not even read the environment of a process that hides its memory.
        let shown = fs::read(format!("/proc/{agent}/{place}")).unwrap_or_default();
        assert_nowhere_in(place, &shown, &secrets);
    }

    alice.ok(&["lock"]);
    assert!(!socket.exists());
    drop(alice.run_with_passphrase("wrong", &["whoami"]).expect_code(4));

    // An agent that is killed is as good as locked, and in nobody's way.
    alice.ok(&["unlock", "--for", "600"]);
    for agent in agents(&alice) {
        let killed = Command::new("kill").args(["-9", &agent.to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()));
    }
    drop(alice.run_with_passphrase("wrong", &["whoami"]).expect_code(4));
    alice.ok(&["unlock", "--for", "600"]);
    drop(alice.run_with_passphrase("wrong", &["whoami"]).expect_code(0));
    alice.ok(&["lock"]);
}
