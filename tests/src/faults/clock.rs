//! A clock that jumps by up to a year, forward and back. libfaketime stands between the daemon and the machine's clock; the
//! time that has passed stays the true one, as on a machine whose clock is set.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;

use super::{
    clients::{Clients, Shape},
    crash::settings,
    run::{Run, Scene, Told},
};
use crate::{daemon::Daemon, database::Backend};

/// The scenes.
pub const SCENES: &[Scene] = &[Scene {
    name: "clock",
    about: "the daemon's clock jumps by up to a year, forward or back, and is set right again",
    on: &[Backend::Sqlite, Backend::Postgres],
    rounds: 4,
    long: 100,
    run: clock,
}];

/// Where Debian has the library.
fn library() -> Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib")?.filter_map(Result::ok).map(|folder| folder.path());
    let found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file());
    found.context("libfaketime is missing: on Debian or Ubuntu it is in the package faketime")
}

fn clock(run: &Run) -> Result<Told> {
    let (library, offset) = (library()?, NamedTempFile::new()?);
    let jump = |seconds: i64| fs::write(offset.path(), format!("{seconds:+}\n"));
    jump(0)?;
    let daemon = Daemon::start_with(run.backend, |_| {
        let faked = [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", offset.path().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        settings().into_iter().chain(faked).collect()
    });
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
