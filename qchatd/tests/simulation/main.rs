//! Deterministic simulation of the relay's core: ordering, group commit, fan-out and catching up, as the product does
//! them, over a database in memory, in virtual time, with faults by a seed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a step that fails is the failure of its test")]
#![expect(clippy::print_stdout, reason = "how far a long run came")]

mod chance;
mod client;
mod found;
mod memory;
mod node;
mod plan;
#[path = "../daemon/rooms_story.rs"]
mod rooms_story;
mod weather;
mod world;

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use qchat_proto::{
    ids::{AccountId, DeviceId, RoomId},
    wire::tree::TreeHash,
};
use qchatd::store::trees::TreeId;

use self::{
    memory::{Calm, Connection, Memory},
    rooms_story::{Stage, id},
};

/// Seeds of a run in CI.
const SEEDS: u64 = 2_000;

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, and not {text}")))
}

/// `QCHAT_SIMULATION_SEED` runs that one alone and prints its steps; else as many as `QCHAT_SIMULATION_SEEDS` says, from
/// `QCHAT_SIMULATION_FIRST` on.
#[test]
fn whatever_befalls_the_relay_the_promise_holds() {
    if let Some(seed) = number("QCHAT_SIMULATION_SEED") {
        world::run(seed, true).unwrap();
        return;
    }
    let first = number("QCHAT_SIMULATION_FIRST").unwrap_or(1);
    let end = first + number("QCHAT_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let (next, steps) = (AtomicU64::new(first), AtomicU64::new(0));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return None;
            }
            match world::run(seed, false) {
                Ok((_, some)) => steps.fetch_add(some, Ordering::Relaxed),
                Err(why) => {
                    next.store(end, Ordering::Relaxed);
                    return Some((seed, why));
                }
            };
        }
    };
    let failures: Vec<(u64, String)> = thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        running.into_iter().filter_map(|worker| worker.join().unwrap()).collect()
    });
    if let Some((seed, why)) = failures.first() {
        panic!(
            "seed {seed}: {why}\nto see it again, step by step:\n    \
             QCHAT_SIMULATION_SEED={seed} cargo test --workspace --locked --test simulation whatever -- --nocapture"
        );
    }
    println!("{} runs, {} steps", end - first, steps.into_inner());
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in 1..=40 {
        assert_eq!(world::run(seed, false), world::run(seed, false), "seed {seed}");
    }
    assert_ne!(world::run(1, false), world::run(2, false));
}

impl Stage for Connection {
    fn stage(&mut self, room: RoomId, device: DeviceId, hash: TreeHash) -> TreeId {
        Self::stage(self, room, device, hash)
    }

    fn keeps(&mut self, tree: TreeId) -> bool {
        Self::keeps(self, tree)
    }

    fn has_welcome(&mut self, room: RoomId, device: DeviceId) -> bool {
        Self::has_welcome(self, room, device)
    }
}

#[test]
fn the_simulations_database_does_what_the_others_do() {
    let memory = Memory::new(Calm);
    let mut conn = memory.lock();
    conn.add_device(id!(AccountId, 1), id!(DeviceId, 11));
    conn.add_device(id!(AccountId, 2), id!(DeviceId, 12));
    rooms_story::tell(&mut *conn);
}
