//! Files through the built programs, over loopback: how fast they go up and down, and what memory both ends take meanwhile.
//!
//! `cargo build --release && cargo bench -p qchat-tests --bench files`; `QCHAT_BENCH_MEGABYTES` says of which size (2,000).
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may panic")]

use std::{
    fs::{self, File},
    io::Write,
    thread,
    time::{Duration, Instant},
};

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
};

/// Resident memory now and at its highest, kB.
fn memory(pid: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some((field("VmRSS")?, field("VmHWM")?))
}

/// Runs a command; how long it took, and the most memory that it and the daemon were seen to have.
fn run(client: &Client, daemon: &Daemon, arguments: &[&str]) -> (Duration, u64, u64, String) {
    let begun = Instant::now();
    let mut process = client.start(arguments);
    let (mut of_client, mut of_daemon) = (0, 0);
    while process.is_running() {
        if let Some((_, most)) = memory(process.id()) {
            of_client = most.max(of_client);
        }
        if let Some((now, _)) = memory(daemon.pid()) {
            of_daemon = now.max(of_daemon);
        }
        thread::sleep(Duration::from_millis(10));
    }
    let took = begun.elapsed();
    let lines = process.finish().expect_code(0).lines;
    (took, of_client, of_daemon, lines.join("\n"))
}

fn main() {
    let megabytes =
        std::env::var("QCHAT_BENCH_MEGABYTES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000_u64);
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    client::room("tea", &[alice, bob]);
    let path = alice.file("large");
    let mut file = File::create(&path).unwrap();
    let mut block = vec![0_u8; 1_000_000];
    let mut state = 1_u64;
    for _ in 0..megabytes {
        for word in block.chunks_exact_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block).unwrap();
    }
    file.sync_all().unwrap();
    let tell = |what: &str, (took, of_client, of_daemon, _): &(Duration, u64, u64, String)| {
        let ms = u64::try_from(took.as_millis()).unwrap().max(1);
        println!(
            "{what:<10} {megabytes} MB in {ms} ms: {} MB/s; qchat {of_client} kB, qchatd {of_daemon} kB resident",
            megabytes * 1000 / ms
        );
    };
    let sent =
        run(alice, &daemon, &["--timeout", "600", "send", "tea", "--file", path.to_str().unwrap(), "--json"]);
    tell("upload", &sent);
    let sent: serde_json::Value = serde_json::from_str(&sent.3).unwrap();
    let target = bob.file("got");
    let id = sent["file_id"].as_str().unwrap();
    let got =
        run(bob, &daemon, &["--timeout", "600", "file", "get", "tea", id, "-o", target.to_str().unwrap()]);
    tell("download", &got);
    assert_eq!(fs::metadata(&target).unwrap().len(), megabytes * 1_000_000);
}
