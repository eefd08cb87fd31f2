//! A disk without room.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    clients::{Clients, Shape},
    crash::settings,
    run::{Run, Scene, Told},
};
use crate::{daemon::Daemon, database::Backend, small_disk::Small};

/// The scenes.
pub const SCENES: &[Scene] = &[Scene {
    name: "disk",
    about: "no room left on the disk of the SQLite database; sometimes kill -9 while it is full",
    on: &[Backend::Sqlite],
    rounds: 3,
    // The database grows by a megabyte in a round, and the disk is small.
    long: 40,
    run: disk,
}];

fn disk(run: &Run) -> Result<Told> {
    let small = Small::mount(96)?;
    let database = format!("sqlite://{}", small.path().join("qchatd.sqlite3").display());
    let mut daemon = Daemon::start_with(Backend::Sqlite, |_| {
        settings().into_iter().chain([("QCHATD_DATABASE", database)]).collect()
    });
    let shape = Shape { payload: 8_000, ..Shape::default() };
    let mut clients = Clients::register(&daemon.url(), shape)?;
    run.rounds(&mut clients, |clients, dice| {
        clients.go_on(Duration::from_micros(dice.u64(0..5_000)))?;
        let refused = |clients: &Clients| clients.tally().refused.get("unavailable").copied().unwrap_or(0);
        let before = refused(clients);
        small.fill()?;
        clients.until("refusals", |clients| refused(clients) > before + 3)?;
        // Where a large transaction was undone, the write-ahead log may have room for a small one yet: what is acknowledged
        // then is durable like everything else.
        clients.go_on(Duration::from_millis(dice.u64(10..200)))?;
        let (status, fault) = clients.create_room()?;
        ensure!(
            status == 503 && fault.contains("\"unavailable\""),
            "a room on a full disk is answered with {status}: {fault}"
        );
        let killed = dice.bool();
        if killed {
            daemon.kill();
        }
        small.free()?;
        if killed {
            daemon.restart();
        }
        clients.acknowledged(10)?;
        let internal = clients.tally().refused.get("internal").copied().unwrap_or(0);
        ensure!(internal == 0, "{internal} messages were refused as if the daemon were at fault");
        Ok(vec![daemon.pid()])
    })
}
