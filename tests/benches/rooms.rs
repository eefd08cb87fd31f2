//! A large room through the built daemon and the real engine: devices registered over REST, invited by one engine, joined
//! by two more, written in, and made smaller. Prints what each step takes, and the daemon's memory after it.
//!
//! `cargo build --release -p qchatd && cargo bench -p qchat-tests --bench rooms -- 1000`
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may panic")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use qchat_cli::engine::{Handle, NewVault, Options, register, types::Body, types::Inviting};
use qchat_proto::ids::{RoomId, UserName};
use qchat_tests::{daemon::Daemon, database::Backend, device::register_leaf};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// Devices in the room, when nothing else is asked for.
const DEVICES: usize = 1000;
/// Messages of each engine.
const MESSAGES: usize = 20;
/// People who are removed, each with a commit.
const REMOVED: usize = 10;
/// Longer than any step takes.
const PATIENCE: Duration = Duration::from_mins(20);

/// One engine with its profile.
struct Person {
    directory: TempDir,
    engine: Handle,
}

impl Person {
    async fn register(server: &str, name: &str) -> Self {
        let directory = TempDir::with_prefix("qchat-").unwrap();
        let path = directory.path().join("profile");
        let vault = NewVault::new(Zeroizing::new("a passphrase".to_owned()), NewVault::LEAST_MEMORY);
        let (server, name) = (server.parse().unwrap(), name.parse().unwrap());
        let registered = register(&path, server, name, vault, PATIENCE, |_| {}).await.unwrap();
        let options = Options::new(PATIENCE);
        let engine = Handle::start(registered.profile, options).await.unwrap();
        engine.sync().await.unwrap();
        Self { directory, engine }
    }

    /// Waits for so many texts.
    async fn texts(&self, room: RoomId, count: usize) {
        let mut events = self.engine.events();
        loop {
            let lines = self.engine.timeline(room, None, 10_000).await.unwrap();
            if lines.iter().filter(|line| matches!(line.body, Body::Text(_))).count() >= count {
                return;
            }
            drop(tokio::time::timeout(PATIENCE, events.recv()).await.unwrap());
        }
    }

    async fn say(&self, room: RoomId) {
        let id = self.engine.send(room, "x".repeat(100)).await.unwrap();
        self.engine.wait_sent(room, id).await.unwrap();
    }
}

/// What each step takes.
struct Steps<'a> {
    daemon: &'a Daemon,
    start: Instant,
}

impl Steps<'_> {
    fn done(&mut self, what: &str, times: usize) {
        let took = self.start.elapsed();
        let status = fs::read_to_string(format!("/proc/{}/status", self.daemon.pid())).unwrap();
        let memory = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
        };
        let each = took.as_secs_f64() * 1e3 / f64::from(u32::try_from(times).unwrap());
        println!(
            "{what:<52} {:8.1} s  {each:9.1} ms each   daemon {:4} MB, at most {:4} MB",
            took.as_secs_f64(),
            memory("VmRSS:"),
            memory("VmHWM:"),
        );
        self.start = Instant::now();
    }
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let kind = entry.metadata().unwrap();
            if kind.is_dir() { size(&entry.path()) } else { kind.len() }
        })
        .sum()
}

#[tokio::main]
async fn main() {
    let devices = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(DEVICES)
        .max(REMOVED + 4);
    let daemon = Daemon::start(Backend::Sqlite);
    let mut steps = Steps { daemon: &daemon, start: Instant::now() };
    let creator = Person::register(&daemon.url(), "creator").await;
    let early = Person::register(&daemon.url(), "early").await;
    let late = Person::register(&daemon.url(), "late").await;
    steps.done("three profiles register", 3);
    let names: Vec<String> = (3..devices).map(|number| format!("leaf-{number}")).collect();
    let registering = names.iter().map(|name| {
        let url = daemon.url();
        async move { register_leaf(&url, name).await }
    });
    futures_util::stream::iter(registering).buffer_unordered(4).collect::<Vec<()>>().await;
    steps.done(&format!("{} accounts register", names.len()), names.len());

    let room = creator.engine.create_room("crowd".to_owned()).await.unwrap();
    creator.engine.invite(room, vec!["early".parse().unwrap()]).await.unwrap();
    early.engine.sync().await.unwrap();
    early.engine.join(room).await.unwrap();
    steps.done("a room of two", 1);
    let mut everybody: Vec<UserName> = names.iter().map(|name| name.parse().unwrap()).collect();
    everybody.push("late".parse().unwrap());
    let count = everybody.len();
    let began = Instant::now();
    let adding = std::cell::Cell::new(None);
    creator
        .engine
        .invite_with(room, everybody, |far| {
            if matches!(far, Inviting::Adding { done: 0, .. }) {
                adding.set(Some(began.elapsed()));
            }
        })
        .await
        .unwrap();
    let looked_up: Duration = adding.get().unwrap_or_default();
    steps.done(&format!("{count} invited ({:.1} s of it looking up)", looked_up.as_secs_f64()), count);
    early.engine.sync().await.unwrap();
    steps.done("the early member has followed", 1);
    late.engine.sync().await.unwrap();
    steps.done("the late one knows of its invitation", 1);
    late.engine.join(room).await.unwrap();
    late.engine.sync().await.unwrap();
    steps.done("and joins", 1);
    assert_eq!(late.engine.room(room).await.unwrap().members.len(), devices);

    let people = [&creator, &early, &late];
    for person in people {
        for _ in 0..MESSAGES {
            person.say(room).await;
        }
    }
    for person in people {
        person.texts(room, MESSAGES * people.len()).await;
    }
    steps.done("messages of 100 bytes, each sent and read by two", MESSAGES * people.len());
    late.engine.update_keys(room).await.unwrap();
    steps.done("the late member's fresh keys", 1);
    for name in &names[..REMOVED] {
        creator.engine.remove(room, name.parse().unwrap()).await.unwrap();
    }
    steps.done("people removed, one by one", REMOVED);
    for person in people {
        person.engine.sync().await.unwrap();
        assert_eq!(person.engine.room(room).await.unwrap().members.len(), devices - REMOVED);
    }
    steps.done("everybody has followed", 1);
    println!("daemon's files {:5} MB", size(&daemon.data_directory()) / 1_000_000);
    for (name, person) in [("creator", &creator), ("early", &early), ("late", &late)] {
        println!("{name}'s profile {:5} MB", size(person.directory.path()) / 1_000_000);
    }
}
