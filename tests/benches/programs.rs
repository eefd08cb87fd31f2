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
    process::Process,
};

const SENDS: usize = 50;
const STARTS: usize = 10;
const CALLS: u32 = 4000;

fn line(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let millis = |place: usize| times[place].as_secs_f64() * 1000.0;
    let (best, median, worst) = (millis(0), millis(times.len() / 2), millis(times.len() - 1));
    println!("{what:<44} median {median:7.1} ms   best {best:7.1}   worst {worst:7.1}   n={}", times.len());
}

/// One program says much, in a conversation of two, and does not wait for an answer before it says the next.
fn called(alice: &Client, bob: &Client) {
    let mut rpc = alice.start_to_be_told(&["rpc"]);
    let call = |id: u32| {
        let params = serde_json::json!({ "room": "tea", "text": format!("message {id} of ordinary length") });
        serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": "send", "params": params }).to_string()
    };
    let answers = |rpc: &mut Process, count: u32| {
        let mut answered = 0;
        rpc.wait_for("answers", |line| {
            assert!(line.contains("\"seq\""), "{line}");
            answered += 1;
            (answered == count).then_some(())
        });
    };
    rpc.tell(&call(0));
    answers(&mut rpc, 1);
    let begun = Instant::now();
    // So many at once that the pipe's end is never empty.
    for chunk in (1..=CALLS).collect::<Vec<_>>().chunks(200) {
        let lines: Vec<String> = chunk.iter().map(|id| call(*id) + "\n").collect();
        rpc.tell_bytes(lines.concat().as_bytes());
    }
    answers(&mut rpc, CALLS);
    let took = begun.elapsed();
    println!("qchat rpc, send, n=2, from one program       {:7.0}/s", f64::from(CALLS) / took.as_secs_f64());
    drop(rpc.hang_up().expect_code(0));
    let heard = bob.history("tea");
    assert!(heard.last().is_some_and(|last| last.body.starts_with(&format!("message {CALLS} "))));
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
    called(&alice, &bob);

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
