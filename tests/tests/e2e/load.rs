//! The load tool against the daemon: each kind of load, briefly, with its own check that the relay's promise was kept.

use std::process::Command;

use qchat_tests::{certificate::Pair, daemon::Daemon, database::Backend, on_both};
use serde_json::Value;

/// Each kind of load.
const LOADS: [&str; 7] = [
    "relay --rooms 3 --members 4 --payload 500 --warm-up 0 --duration 1",
    "relay --rooms 2 --members 2 --rate 50 --warm-up 0 --duration 1",
    "relay --rooms 2 --members 3 --warm-up 0 --duration 1 --storm 0.3",
    "idle --connections 20 --hold 0.1",
    "resume --connections 4 --at-once 2 --duration 0.5",
    "storm --connections 20",
    "engines --rooms 1 --members 2 --rate 5 --warm-up 0 --duration 1",
];

on_both!(each_kind_of_load_is_put_on_a_daemon_that_keeps_its_promise);

fn each_kind_of_load_is_put_on_a_daemon_that_keeps_its_promise(backend: Backend) {
    put_on(&Daemon::start(backend), &LOADS);
}

#[test]
fn each_kind_of_load_is_put_on_a_daemon_over_tls() {
    let daemon = Daemon::start_with_tls(Backend::Sqlite, &Pair::self_signed("127.0.0.1"), &[]);
    // Whole clients verify the certificate, which the tool does not.
    put_on(&daemon, &LOADS[..6]);
}

fn put_on(daemon: &Daemon, loads: &[&str]) {
    for load in loads {
        let output = Command::new(env!("CARGO_BIN_EXE_qchat-load"))
            .args(["--server", &daemon.url(), "--pid", &daemon.pid().to_string(), "--quiet", "--json"])
            .args(load.split(' '))
            .output()
            .expect("the load tool");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{load}: {said}");
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(told.is_object(), "{load}: {told}");
        if let Some(rate) = told.get("deliveries_per_second") {
            assert!(rate.as_f64().is_some_and(|rate| rate > 0.0), "{load}: {told}");
        }
    }
}
