//! What a group costs by its size, with real certificates in its leaves: times, bytes, memory. Prints a table.
//!
//! `cargo bench -p qchat-proto --bench groups`
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark may panic, and prints"
)]
#![allow(missing_docs, reason = "a program, not an interface")]

#[path = "../tests/crowd/mod.rs"]
mod crowd;

use std::{
    fmt::Write as _,
    hint::black_box,
    time::{Duration, Instant},
};

use crowd::{AT_ONCE, NOW, ROOM, adds, candidates, commit, create, follow, join};
use qchat_proto::{
    content,
    mls::group::{Group, Plan},
    session::ledger::GroupBlob,
};

const SIZES: [usize; 4] = [2, 10, 100, 1000];
/// How many groups of each size are held at once to see what one takes: more bytes than the sizes before gave back.
const LOADED: [usize; 4] = [500, 300, 100, 30];
/// What is said: 100 bytes, padded as every message is.
const TEXT: [u8; 100] = [b'x'; 100];

/// Rows of the table, each with a value for each size.
#[derive(Default)]
struct Table(Vec<(&'static str, Vec<String>)>);

impl Table {
    fn put(&mut self, name: &'static str, value: String) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => self.0.push((name, vec![value])),
        }
    }

    fn time(&mut self, name: &'static str, times: Vec<Duration>) {
        self.put(name, format!("{:.2} ms", median(times).as_secs_f64() * 1e3));
    }

    fn bytes(&mut self, name: &'static str, bytes: usize) {
        let mut digits = bytes.to_string();
        for place in (1..digits.len())
            .rev()
            .filter(|place| (digits.len() - place).is_multiple_of(3))
            .collect::<Vec<_>>()
        {
            digits.insert(place, ',');
        }
        self.put(name, digits);
    }

    fn print(&self) {
        let mut text = String::from("| devices |");
        for size in SIZES {
            let _ = write!(text, " {size} |");
        }
        text.push_str("\n|---|");
        text.push_str(&"---|".repeat(SIZES.len()));
        for (name, values) in &self.0 {
            let _ = write!(text, "\n| {name} | {} |", values.join(" | "));
        }
        println!("{text}");
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}

/// The process's resident memory, bytes (proc(5)).
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn main() {
    let rounds = 20;
    let mut table = Table::default();
    let mut people = candidates(SIZES[SIZES.len() - 1]);
    for (size, loaded) in SIZES.into_iter().zip(LOADED) {
        // Nobody is in the group twice, so each round of sizes starts from fresh KeyPackages.
        let mut packages = vec![];
        for person in &mut people[..size] {
            let (made, time) = timed(|| person.device.key_packages(1, false, NOW).unwrap().remove(0));
            packages.push(time);
            person.key_package = made;
        }
        table.time("make a KeyPackage", packages);
        table.bytes("KeyPackage, bytes", people[0].key_package.message.len());

        let (mut creator, time) = timed(|| create(&people[0]));
        table.time("create", vec![time]);

        let start = Instant::now();
        let mut newest: Option<Group> = None;
        for chunk in people[1..size].chunks(AT_ONCE) {
            let (output, making) = timed(|| commit(&mut creator, &adds(chunk)));
            let ((), applying) = timed(|| follow([&mut creator], &output));
            if chunk.last().unwrap().device.id() == people[size - 1].device.id() {
                table.time("commit that adds the last (up to 50)", vec![making]);
                table.time("adding commit, followed by its maker", vec![applying]);
                table.bytes("adding commit, bytes", output.message.len());
                table.bytes("one Welcome, bytes", output.welcomes[0].len());
                table.bytes("ratchet tree, bytes", output.ratchet_tree.len());
                let newcomer = chunk.last().unwrap();
                let welcome = output.welcomes.last().unwrap();
                let (joined, time) = timed(|| join(newcomer, welcome, &output.ratchet_tree).unwrap());
                table.time("join", vec![time]);
                newest = Some(joined);
            }
        }
        table.time("all adds", vec![start.elapsed()]);

        let mut member = newest.unwrap();
        let (cold, time) = timed(|| commit(&mut member, &Plan::default()));
        table.time("a member's first commit", vec![time]);
        table.bytes("first commit, bytes", cold.message.len());
        let ((), time) = timed(|| follow([&mut creator], &cold));
        table.time("first commit, processed by another", vec![time]);
        follow([&mut member], &cold);

        let (mut making, mut processing, mut bytes) = (vec![], vec![], 0);
        for _ in 0..rounds {
            let (warm, time) = timed(|| commit(&mut member, &Plan::default()));
            making.push(time);
            bytes = warm.message.len();
            let ((), time) = timed(|| follow([&mut creator], &warm));
            processing.push(time);
            follow([&mut member], &warm);
        }
        table.time("a member's further commits", making);
        table.bytes("further commits, bytes", bytes);
        table.time("further commits, processed by another", processing);

        let padded = content::pad(&TEXT);
        let (mut sealing, mut opening, mut bytes) = (vec![], vec![], 0);
        for _ in 0..rounds {
            let (message, time) = timed(|| member.seal(&padded, vec![0; 200]).unwrap());
            sealing.push(time);
            bytes = message.len();
            let (opened, time) = timed(|| creator.open(&message));
            opening.push(time);
            let _ = black_box(opened.unwrap());
        }
        table.time("seal", sealing);
        table.time("open", opening);
        table.bytes("message of 100 bytes, bytes", bytes);

        let first = creator.snapshot().unwrap();
        let mut writing = vec![];
        let mut state = first.state.len();
        for _ in 0..rounds {
            let (update, time) = timed(|| creator.snapshot().unwrap());
            writing.push(time);
            state = update.state.len();
            assert!(update.tree.is_none());
        }
        table.time("state to be stored, after a message", writing);
        table.bytes("stored with each message, bytes", state);
        let tree = first.tree.unwrap();
        table.bytes("stored with each epoch besides, bytes", tree.len());
        let blob = GroupBlob { state: first.state, tree };
        let mut loading = vec![];
        for _ in 0..5 {
            let (group, time) = timed(|| people[0].device.load(ROOM, &blob, &[]).unwrap());
            loading.push(time);
            drop(group);
        }
        table.time("load", loading);
        let before = resident();
        let kept: Vec<Group> =
            (0..loaded).map(|_| people[0].device.load(ROOM, &blob, &[]).unwrap()).collect();
        table.bytes("memory of a loaded group, bytes", resident().saturating_sub(before) / kept.len());
    }
    table.print();
}
