//! A clock that jumps by up to a year, forward and back.

use std::{fs, time::Duration};

use anyhow::Result;
use tempfile::NamedTempFile;

use super::{
    clients::{Clients, Shape},
    crash::settings,
    run::{Run, Scene, Told},
};
use crate::{daemon::Daemon, database::Backend, faketime};

/// The scenes.
pub const SCENES: &[Scene] = &[Scene {
    name: "clock",
    about: "the daemon's clock jumps by up to a year, forward or back, and is set right again",
    on: &[Backend::Sqlite, Backend::Postgres],
    rounds: 4,
    long: 100,
    run: clock,
}];

fn clock(run: &Run) -> Result<Told> {
    let offset = NamedTempFile::new()?;
    let faked = faketime::settings(offset.path())?;
    let jump = |seconds: i64| fs::write(offset.path(), format!("{seconds:+}\n"));
    jump(0)?;
    let daemon = Daemon::start_with(run.backend, |_| settings().into_iter().chain(faked).collect());
    let mut clients = Clients::register(&daemon.url(), Shape::default())?;
    run.rounds(&mut clients, |clients, dice| {
        const YEAR: i64 = 366 * 24 * 3600;
        for _ in 0..dice.u8(1..4) {
            jump(dice.i64(-YEAR..=YEAR))?;
            clients.acknowledged(10)?;
            // Tokens of another time are met at the door.
            for _ in 0..dice.u8(0..4) {
                clients.cut(dice.usize(0..clients.count()));
            }
            clients.go_on(Duration::from_micros(dice.u64(0..20_000)))?;
            clients.until("all are back", |clients| clients.open() == clients.count())?;
        }
        jump(0)?;
        clients.acknowledged(10)?;
        Ok(vec![daemon.pid()])
    })
}
