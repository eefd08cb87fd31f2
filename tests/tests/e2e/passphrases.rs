//! Where the passphrase comes from besides a file: a command, the agent with a time for idleness, the desktop's keyring.

use std::{fs, process::Command};

use qchat_tests::{
    client::Client,
    daemon::Daemon,
    database::Backend,
    process::{Output, Process},
    search::{Needle, assert_nowhere_in},
};

/// Runs a command of the user's without the file that has the passphrase.
fn run(client: &Client, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let usual = client.command(arguments);
    let mut command = Command::new(usual.get_program());
    let words: Vec<_> = usual.get_args().collect();
    let file = words.iter().position(|word| *word == "--passphrase-file").expect("the file is named");
    command.args(&words[..file]).args(&words[file + 2..]);
    command.env_clear().envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.envs(environment.iter().copied());
    Process::start(&mut command).finish()
}

#[test]
fn a_command_may_print_the_passphrase_and_what_fails_is_said_without_it() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let file = alice.passphrase_file();
    let print = format!("cat '{}'", file.display());
    drop(run(&alice, &[], &["whoami"]).expect_code(4));
    drop(run(&alice, &[], &["--passphrase-command", &print, "whoami"]).expect_code(0));
    drop(run(&alice, &[("QCHAT_PASSPHRASE_COMMAND", &print)], &["whoami"]).expect_code(0));
    let settings = alice.file("config.toml");
    fs::write(&settings, format!("passphrase_command = \"{print}\"\n")).expect("settings");
    let settings = settings.to_str().expect("a UTF-8 path");
    drop(run(&alice, &[("QCHAT_CONFIG", settings)], &["whoami"]).expect_code(0));
    // It gets no secret that this program has in its environment.
    let seen = alice.file("seen");
    let shows = format!("sh -c \"env > '{}'; cat '{}'\"", seen.display(), file.display());
    let secrets = [("QCHAT_IBM_API_KEY", "an-api-key"), ("QCHAT_WEBHOOK", "https://hooks.example/secret")];
    drop(run(&alice, &secrets, &["--passphrase-command", &shows, "whoami"]).expect_code(0));
    let seen = fs::read_to_string(seen).expect("its environment");
    assert!(seen.contains("HOME=") && !seen.contains("an-api-key") && !seen.contains("secret"), "{seen}");
    // What is said nearer by counts, and two at once make no sense.
    let path = file.to_str().expect("a UTF-8 path");
    drop(run(&alice, &[("QCHAT_CONFIG", settings)], &["--passphrase-file", path, "whoami"]).expect_code(0));
    let both = ["--passphrase-file", path, "--passphrase-command", &print, "whoami"];
    assert!(run(&alice, &[], &both).expect_code(2).stderr.contains("one of"));

    let failing = format!("sh -c \"cat '{path}'; echo locked >&2; exit 3\"");
    for (command, code, words) in [
        (failing.as_str(), 4, "exit status: 3"),
        ("sh -c 'echo locked >&2'", 4, "printed no passphrase"),
        ("/nonexistent/manager", 4, "cannot be started"),
        ("printf wrong", 4, "passphrase is wrong"),
        ("printf 'unclosed", 2, "cannot be read"),
    ] {
        let failed = run(&alice, &[], &["-vv", "--passphrase-command", command, "whoami"]).expect_code(code);
        assert!(failed.stderr.contains(words), "{command}: {}", failed.stderr);
        assert_eq!(failed.stderr.contains("locked\n"), command.contains("echo locked"), "{}", failed.stderr);
        let passphrase = Needle::new("the passphrase", alice.passphrase().as_bytes());
        assert_nowhere_in(command, failed.stderr.as_bytes(), &[passphrase]);
    }
}

#[test]
fn a_guess_costs_what_the_owner_has_said_when_the_passphrase_was_set() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::new(&daemon.url(), "alice");
    let cost = || {
        let vault = fs::read(alice.data_directory().join("alice/vault.json")).expect("a vault");
        let vault: serde_json::Value = serde_json::from_slice(&vault).expect("JSON");
        vault["memory_kib"].as_u64().expect("a number") / 1024
    };
    alice.ok(&["register", "alice", "--no-confirm", "--vault-memory", "65"]);
    assert_eq!(cost(), 65);
    let new = alice.file("new-passphrase");
    fs::write(&new, "quite another staple of horses").expect("a file");
    let new = new.to_str().expect("a path");
    alice.ok(&["account", "password", "--new-passphrase-file", new, "--vault-memory", "66"]);
    assert_eq!(cost(), 66);
    drop(alice.run_with_passphrase("quite another staple of horses", &["whoami"]).expect_code(0));
    assert!(alice.fails(2, &["whoami", "--vault-memory", "63"]).contains("guessed too cheaply"));
}

#[test]
fn a_key_that_is_not_used_is_forgotten_and_used_it_is_kept() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let refused = alice.fails(2, &["unlock", "--for", "1h", "--idle", "0"]);
    assert!(refused.contains("1 second"), "{refused}");
    alice.ok(&["unlock", "--for", "1h", "--idle", "20m"]);
    drop(run(&alice, &[], &["whoami"]).expect_code(0));
    alice.ok(&["lock"]);
    alice.ok(&["unlock", "--for", "1h", "--lock-after-idle", "1s"]);
    let socket = alice.data_directory().join("alice").join("agent.sock");
    // The agent takes its socket away when it ends: there is no other event to wait for from outside.
    while socket.exists() {
        std::thread::yield_now();
    }
    drop(run(&alice, &[], &["whoami"]).expect_code(4));
}

#[test]
fn without_a_keyring_it_is_said_what_else_there_is() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    drop(alice.run_with_passphrase("wrong", &["unlock", "--remember"]).expect_code(4));
    let said = alice.fails(4, &["unlock", "--remember"]);
    assert!(said.contains("Secret Service") && said.contains("--passphrase-command"), "{said}");
    // Nothing is left that would make the next command look for it.
    assert!(!alice.data_directory().join("alice").join("in-keyring").exists());
    alice.ok(&["whoami"]);
    alice.ok(&["lock", "--forget"]);
}

#[test]
fn a_key_in_the_keyring_opens_the_profile_until_it_is_taken_out() {
    const SCRIPT: &str = r#"set -e
        printf 'the keyring' | gnome-keyring-daemon --unlock --components=secrets >/dev/null
        "$QCHAT" --passphrase-file "$PASSPHRASE" unlock --remember
        "$QCHAT" whoami
        "$QCHAT" lock 2>&1
        "$QCHAT" whoami
        "$QCHAT" lock --forget
        if "$QCHAT" whoami 2>/dev/null; then exit 9; fi"#;
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let runtime = alice.file("runtime");
    fs::create_dir(&runtime).expect("a directory");
    let usual = alice.command(&[]);
    let mut command = Command::new("dbus-run-session");
    command.args(["--", "sh", "-c", SCRIPT]);
    command.env_clear().envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("QCHAT", usual.get_program()).env("PASSPHRASE", alice.passphrase_file());
    command.env("QCHAT_DATA_DIR", alice.data_directory()).env("QCHAT_PROFILE", "alice");
    command.env("QCHAT_NO_INPUT", "1").env("XDG_RUNTIME_DIR", &runtime);
    let output = Process::start(&mut command).finish().expect_code(0);
    assert!(output.lines.iter().any(|line| line.contains("lock --forget")), "{output:?}");
    let key = qchat_cli::vault::unlock(&alice.data_directory().join("alice"), alice.passphrase());
    let key = key.expect("the key");
    assert_nowhere_in("what was said", output.stderr.as_bytes(), &[Needle::new("the key", key.expose())]);
}
