//! The daemon's own end, at any moment.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;

use super::{
    clients::{Clients, Shape},
    run::{Run, Scene, Told},
};
use crate::{
    daemon::Daemon,
    database::{Backend, PostgresDatabase},
    programs,
};

const BOTH: &[Backend] = &[Backend::Sqlite, Backend::Postgres];

/// The scenes.
pub const SCENES: &[Scene] = &[
    Scene {
        name: "kill",
        about: "kill -9 of the daemon at a random moment, then a start on the same database",
        on: BOTH,
        rounds: 10,
        long: 1000,
        run: kill,
    },
    Scene {
        name: "migration",
        about: "kill -9 of a migration of a new database at random moments until one gets through, then as `kill`",
        on: BOTH,
        rounds: 2,
        long: 50,
        run: migration,
    },
];

/// The settings of every daemon here: nothing of its log but what matters, and no account is told to slow down.
pub fn settings() -> Vec<(&'static str, String)> {
    [
        ("QCHATD_LOG", "warn"),
        ("QCHATD_ACCOUNT_REQUESTS_PER_SECOND", "0"),
        ("QCHATD_ACCOUNT_PUBLISHES_PER_SECOND", "0"),
        ("QCHATD_ACCOUNT_LOGINS_PER_MINUTE", "0"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

fn kill(run: &Run) -> Result<Told> {
    let mut daemon = Daemon::start_with(run.backend, |_| settings());
    let mut clients = Clients::register(&daemon.url(), Shape::default())?;
    run.rounds(&mut clients, |clients, dice| {
        // In the middle of whatever it does then.
        clients.go_on(Duration::from_micros(dice.u64(0..3_000)))?;
        daemon.kill();
        clients.go_on(Duration::from_micros(dice.u64(0..3_000)))?;
        daemon.restart();
        // Sometimes it is killed again before everybody is back.
        if dice.u8(0..4) == 0 {
            clients.go_on(Duration::from_micros(dice.u64(0..30_000)))?;
            daemon.kill();
            daemon.restart();
        }
        Ok(vec![daemon.pid()])
    })
}

fn migration(run: &Run) -> Result<Told> {
    let mut all: Option<Told> = None;
    for round in run.rounds.clone() {
        let dice = &mut run.dice(round).fork();
        let postgres = (run.backend == Backend::Postgres).then(PostgresDatabase::create);
        let url = postgres.as_ref().map(PostgresDatabase::url);
        let mut migrated = Ok(());
        let mut daemon = Daemon::start_on(postgres, |directory| {
            migrated = migrate(&directory.join("data"), url.as_deref(), dice);
            settings()
        });
        migrated.with_context(|| format!("again with: {}", run.replay(round)))?;
        let mut clients = Clients::register(
            &daemon.url(),
            Shape { accounts: 2, rooms: 1, members: 2, ..Shape::default() },
        )?;
        let told = run.only(round).rounds(&mut clients, |clients, dice| {
            clients.go_on(Duration::from_micros(dice.u64(0..3_000)))?;
            daemon.kill();
            daemon.restart();
            Ok(vec![daemon.pid()])
        })?;
        all = Some(match all {
            Some(all) => all.and(&told),
            None => told,
        });
    }
    all.context("no rounds")
}

/// Migrates a database to the end, after several attempts that are killed on the way.
fn migrate(data: &Path, url: Option<&str>, dice: &mut Rng) -> Result<()> {
    fs::DirBuilder::new().mode(0o700).create(data)?;
    let start = || {
        let mut command = Command::new(programs::qchatd());
        command.arg("migrate").env("QCHATD_DATA_DIR", data).envs(url.map(|url| ("QCHATD_DATABASE", url)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
    };
    for _ in 0..dice.u8(5..15) {
        let mut child = start()?;
        let killed = Instant::now() + Duration::from_micros(dice.u64(0..60_000));
        while child.try_wait()?.is_none() {
            if Instant::now() >= killed {
                child.kill()?;
                break;
            }
            thread::sleep(Duration::from_micros(500));
        }
        child.wait()?;
    }
    let last = start()?.wait_with_output()?;
    let said = String::from_utf8_lossy(&last.stderr).into_owned();
    ensure!(last.status.success(), "a migration after some that were killed: {said}");
    Ok(())
}
