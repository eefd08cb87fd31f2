//! The daemon as its operator meets it: where it listens, what it says of its health, how it ends.

use std::process::Command;

use qchat_tests::{daemon::Daemon, database::Backend, on_both, process::Process, programs};
use tempfile::TempDir;

on_both!(a_daemon_says_how_it_is_and_ends_in_order);

fn a_daemon_says_how_it_is_and_ends_in_order(backend: Backend) {
    let mut daemon = Daemon::start(backend);
    assert!(daemon.get("/health/live").starts_with("HTTP/1.1 200"));
    assert!(daemon.get("/health/ready").starts_with("HTTP/1.1 200"));
    assert!(daemon.get("/v1/server").contains("\"server_id\""));
    assert!(daemon.get("/no/such/path").contains("\"not_found\""));
    let server = daemon.get("/v1/server");
    assert!(daemon.stop().success());
    daemon.restart();
    let id = |answer: &str| answer.split("\"server_id\"").nth(1).map(|rest| rest[..35].to_owned());
    assert_eq!(id(&daemon.get("/v1/server")), id(&server), "it is the same server after a restart");
}

#[test]
fn a_daemon_listens_in_the_clear_beyond_loopback_only_when_told_to() {
    let directory = TempDir::with_prefix("qchatd-").expect("a temporary directory");
    let serve = |listen: &str, more: &[&str]| {
        let mut command = Command::new(programs::qchatd());
        command.arg("serve").arg("--data-dir").arg(directory.path().join("data")).args(["--listen", listen]);
        command.arg("--address-file").arg(directory.path().join("address")).args(more);
        Process::start(&mut command)
    };
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let output = serve(listen, &[]).finish();
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains("--insecure-http"), "the remedy is said: {}", output.stderr);
        assert!(!directory.path().join("address").exists());
    }
}

#[test]
fn a_second_daemon_on_the_same_address_says_so() {
    let daemon = Daemon::start(Backend::Sqlite);
    let directory = TempDir::with_prefix("qchatd-").expect("a temporary directory");
    let mut command = Command::new(programs::qchatd());
    command.arg("serve").arg("--data-dir").arg(directory.path().join("data"));
    command.arg("--listen").arg(daemon.address().to_string());
    let output = Process::start(&mut command).finish();
    assert!(matches!(output.code, Some(1..)), "{output:?}");
    assert!(output.stderr.contains(&daemon.address().to_string()), "{}", output.stderr);
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
}
