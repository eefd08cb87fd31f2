//! A disk without room.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use super::{
    clients::{Clients, Shape},
    crash::settings,
    run::{Run, Scene, Told},
};
use crate::{daemon::Daemon, database::Backend};

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

/// A small file system in memory, unmounted with its owner.
struct Small(TempDir);

impl Small {
    fn mount(mebibytes: u32) -> Result<Self> {
        let small = Self(TempDir::with_prefix("qchat-full-")?);
        let owner = File::open(small.0.path())?.metadata()?;
        let (uid, gid) = {
            use std::os::unix::fs::MetadataExt as _;
            (owner.uid(), owner.gid())
        };
        let options = format!("size={mebibytes}m,mode=700,uid={uid},gid={gid}");
        let mut said = String::new();
        for before in [&[][..], &["sudo", "-n"]] {
            match run(before, &["mount", "-t", "tmpfs", "-o", &options, "tmpfs"], small.0.path()) {
                Ok(()) => return Ok(small),
                Err(error) => said = error.to_string(),
            }
        }
        bail!("a file system of its own takes root, or sudo that asks for no password: {said}")
    }

    /// Leaves no byte.
    fn fill(&self) -> Result<()> {
        let mut filler = File::create(self.0.path().join("filler"))?;
        for size in [64 * 1024, 512] {
            let block = vec![0x5a; size];
            loop {
                match filler.write(&block) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("filling the disk"),
                }
            }
        }
        Ok(())
    }

    fn free(&self) -> Result<()> {
        std::fs::remove_file(self.0.path().join("filler")).context("freeing the disk")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Whoever mounted it may unmount it; what is left is a directory in /tmp.
        for before in [&[][..], &["sudo", "-n"]] {
            if run(before, &["umount", "-l"], self.0.path()).is_ok() {
                return;
            }
        }
    }
}

fn run(before: &[&str], command: &[&str], path: &Path) -> Result<()> {
    let words = [before, command].concat();
    let (program, arguments) = words.split_first().context("a command")?;
    let output = Command::new(program).args(arguments).arg(path).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

fn disk(run: &Run) -> Result<Told> {
    let small = Small::mount(96)?;
    let database = format!("sqlite://{}", small.0.path().join("qchatd.sqlite3").display());
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
