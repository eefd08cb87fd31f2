//! What the built programs cost a person who waits: a send from a script, a daemon's start, its memory.
//!
//! `cargo build --release && cargo bench -p qchat-tests --bench programs`
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may panic")]

use std::{
    fs,
    time::{Duration, Instant},
};

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
};

const SENDS: usize = 50;
const STARTS: usize = 10;

fn line(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let millis = |place: usize| times[place].as_secs_f64() * 1000.0;
    let (best, median, worst) = (millis(0), millis(times.len() / 2), millis(times.len() - 1));
    println!("{what:<44} median {median:7.1} ms   best {best:7.1}   worst {worst:7.1}   n={}", times.len());
}

fn main() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let bob = Client::register(&daemon.url(), "bob");
    client::room("tea", &[&alice, &bob]);
    let sends = |count: usize| -> Vec<Duration> {
        (0..count)
            .map(|_| {
                let start = Instant::now();
                alice.ok(&["send", "tea", "a message of ordinary length"]);
                start.elapsed()
            })
            .collect()
    };
    line("qchat send, passphrase given (Argon2id)", sends(10));
    alice.ok(&["unlock", "--for", "600"]);
    line("qchat send, vault key warm", sends(SENDS));
    alice.ok(&["lock"]);

    let starts = (0..STARTS)
        .map(|_| {
            daemon.kill();
            let start = Instant::now();
            daemon.restart();
            start.elapsed()
        })
        .collect();
    line("qchatd ready, existing SQLite database", starts);

    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let rss = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("VmRSS: unknown");
    println!("qchatd idle, resident memory                 {}", rss.trim_start_matches("VmRSS:").trim());
}
