//! The daemon's own end, at any moment.

use std::time::Duration;

use anyhow::Result;

use super::{
    clients::{Clients, Shape},
    run::{Run, Scene, Told},
};
use crate::{daemon::Daemon, database::Backend};

/// The scenes.
pub const SCENES: &[Scene] = &[Scene {
    name: "kill",
    about: "kill -9 of the daemon at a random moment, then a start on the same database",
    on: &[Backend::Sqlite, Backend::Postgres],
    rounds: 10,
    long: 1000,
    run: kill,
}];

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
