//! How often the daemon allocates memory for a delivery in rooms of a hundred. The daemon runs in this process, whose
//! allocator counts; so does the load, whose own allocations are counted with it.
//!
//! `cargo bench -p qchat-tests --bench allocations`; on the PostgreSQL that `QCHAT_TEST_POSTGRES_URL` names with
//! `-- postgres`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may panic")]

use std::{alloc::System, time::Duration};

use qchat_tests::{
    database::PostgresDatabase,
    load::{
        account::{Account, Rest, Source},
        live::{self, Load, Pace},
        measure::Progress,
        pages::Pagers,
        rooms::{self, Room},
    },
};
use qchatd::{config, server::Daemon};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROOMS: usize = 4;
const MEMBERS: usize = 100;

/// Allocations and deliveries of a run, connecting included.
fn run(rest: &Rest, accounts: &[Account], rooms: &[Room], seconds: u64) -> (f64, f64) {
    let load = Load {
        rooms: ROOMS,
        members: MEMBERS,
        senders: MEMBERS,
        payload: 4096,
        pace: Pace::Window(1),
        warm_up: Duration::ZERO,
        duration: Duration::from_secs(seconds),
        storm: None,
        reconnect: false,
        pid: None,
    };
    let region = Region::new(ALLOCATOR);
    let outcome = live::run(rest, accounts, rooms, load, Pagers::default(), &Progress::new(true)).unwrap();
    assert_eq!(outcome.breaches, 0);
    let allocations = region.change().allocations + region.change().reallocations;
    let deliveries = u32::try_from(outcome.acknowledged).unwrap() * u32::try_from(MEMBERS).unwrap();
    (f64::from(u32::try_from(allocations).unwrap()), f64::from(deliveries))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let directory = TempDir::with_prefix("qchat-").unwrap();
    let postgres = std::env::args().any(|argument| argument == "postgres").then(PostgresDatabase::create);
    let mut given =
        vec![("data_dir", directory.path().display().to_string()), ("listen", "127.0.0.1:0".to_owned())];
    given.extend(postgres.as_ref().map(|database| ("database", database.url())));
    let daemon = Daemon::start(config::load(None, &given).unwrap().config).await.unwrap();
    let rest = Rest::new(format!("http://{}/", daemon.address().unwrap()).parse().unwrap()).unwrap();
    let progress = Progress::new(true);
    let accounts = rest.accounts(Source::Register, ROOMS * MEMBERS, &progress).await.unwrap();
    let first = rooms::make(&rest, &accounts, ROOMS, MEMBERS, &progress).await.unwrap();
    let second = rooms::make(&rest, &accounts, ROOMS, MEMBERS, &progress).await.unwrap();
    let both = tokio::task::spawn_blocking(move || {
        (run(&rest, &accounts, &first, 2), run(&rest, &accounts, &second, 8))
    });
    let ((few, short), (many, long)) = both.await.unwrap();
    println!(
        "{:.3} allocations a delivery ({:.0} deliveries, {MEMBERS} members in a room)",
        (many - few) / (long - short),
        long - short
    );
    daemon.stop().await;
}
