//! Two nodes on one PostgreSQL: Redis lost, a node killed, a node restarted, and a node that the network parts from
//! everything but its clients.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use url::Url;

use super::{
    clients::{Clients, Shape},
    run::{Run, Scene, Told},
};
use crate::{cluster::Cluster, database::Backend, load::measure::Times};

const POSTGRES: &[Backend] = &[Backend::Postgres];

/// The scenes.
pub const SCENES: &[Scene] = &[
    Scene {
        name: "redis",
        about: "Redis between two nodes flushed, killed, stopped for a while; then back, and empty",
        on: POSTGRES,
        rounds: 3,
        long: 100,
        run: redis,
    },
    Scene {
        name: "nodes",
        about: "one of two nodes killed, or drained, behind HAProxy; its clients go to the other; then started again",
        on: POSTGRES,
        rounds: 3,
        long: 100,
        run: nodes,
    },
];

/// The process whose id is in a file of the cluster's.
fn pid(cluster: &Cluster, of: &str) -> Result<u32> {
    let path: PathBuf = cluster.directory().join(of).join("pid");
    Ok(fs::read_to_string(&path).with_context(|| path.display().to_string())?.trim().parse()?)
}

fn daemons(cluster: &Cluster) -> Result<Vec<u32>> {
    ["node-1", "node-2"].iter().map(|node| pid(cluster, node)).collect()
}

fn signal(pid: u32, signal: &str) -> Result<()> {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status()?;
    ensure!(sent.success(), "kill {signal} {pid}: {sent}");
    Ok(())
}

fn redis(run: &Run) -> Result<Told> {
    let cluster = Cluster::start(2);
    let mut clients = Clients::register(&cluster.url(), Shape::default())?;
    run.rounds(&mut clients, |clients, dice| {
        clients.go_on(Duration::from_micros(dice.u64(0..5_000)))?;
        match dice.u8(0..3) {
            0 => {
                let url = Url::parse(fs::read_to_string(cluster.directory().join("redis/url"))?.trim())?;
                let flushed = Command::new("redis-cli")
                    .env("REDISCLI_AUTH", url.password().context("Redis has a password")?)
                    .args(["-p", &url.port().context("Redis has a port")?.to_string(), "flushall"])
                    .stdin(Stdio::null())
                    .output()?;
                // Its exit code says nothing of what Redis has answered.
                ensure!(flushed.stdout.starts_with(b"OK"), "redis-cli flushall: {flushed:?}");
            }
            1 => {
                cluster.kill_redis();
                clients.acknowledged(dice.u64(10..200))?;
                cluster.restart_redis();
            }
            _ => {
                // Connections stay open, and nobody answers.
                let redis = pid(&cluster, "redis")?;
                signal(redis, "-STOP")?;
                let went_on = clients.acknowledged(dice.u64(10..200));
                signal(redis, "-CONT")?;
                went_on?;
            }
        }
        clients.acknowledged(10)?;
        daemons(&cluster)
    })
}

/// Whether a process runs; one that has ended and waits for its parent to be told does not.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything.
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

fn nodes(run: &Run) -> Result<Told> {
    let cluster = Cluster::start(2);
    let mut clients = Clients::register(&cluster.url(), Shape { accounts: 12, ..Shape::default() })?;
    clients.wait_as_clients_do();
    let (mut killed, mut drained) = (Times::new()?, Times::new()?);
    let told = run.rounds(&mut clients, |clients, dice| {
        clients.go_on(Duration::from_micros(dice.u64(0..5_000)))?;
        clients.last_for_a_while();
        let node = dice.usize(1..3);
        let process = pid(&cluster, &format!("node-{node}"))?;
        let kills = dice.bool();
        signal(process, if kills { "-KILL" } else { "-TERM" })?;
        clients.until("the node has ended", |_| !runs(process))?;
        // While it is down, so that they can only be at the other.
        clients.acknowledged(dice.u64(10..100))?;
        clients.until("all are elsewhere", |clients| clients.open() == clients.count())?;
        clients.returns(if kills { &mut killed } else { &mut drained });
        cluster.restart(node);
        clients.acknowledged(10)?;
        daemons(&cluster)
    })?;
    Ok(Told { killed_ms: Some(killed.quantiles()), drained_ms: Some(drained.quantiles()), ..told })
}
