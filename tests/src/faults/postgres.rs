//! PostgreSQL's own end: stopped as its owner does, stopped at once, and killed.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::{
    clients::{Clients, Shape},
    crash::settings,
    run::{Run, Scene, Told},
};
use crate::{
    daemon::Daemon,
    database::{Backend, PostgresDatabase},
    workspace_root,
};

/// The scenes.
pub const SCENES: &[Scene] = &[Scene {
    name: "postgres",
    about: "PostgreSQL stopped fast, stopped immediately, or killed with kill -9; then started again",
    on: &[Backend::Postgres],
    rounds: 2,
    long: 100,
    run: postgres,
}];

/// A PostgreSQL server of a scene's own, which ends with its owner.
pub struct Server(TempDir);

/// How it ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// Connections are ended, and all is written.
    Fast,
    /// Nothing is written: the next start recovers.
    Immediate,
    /// The same, and nobody was asked.
    Killed,
    /// One of its processes that serve connections is killed, which ends all connections; it starts again by itself.
    Served,
}

impl Server {
    /// Makes one and starts it.
    ///
    /// # Errors
    /// When contrib/postgres.sh cannot.
    pub fn start() -> Result<Self> {
        let server = Self::place()?;
        server.script::<&str>("start", &[])?;
        Ok(server)
    }

    /// Makes a synchronous standby of another.
    ///
    /// # Errors
    /// When contrib/postgres.sh cannot.
    pub fn standby_of(primary: &Self) -> Result<Self> {
        let server = Self::place()?;
        server.follow(primary)?;
        Ok(server)
    }

    fn place() -> Result<Self> {
        // Not below TMPDIR: PostgreSQL's user must be able to walk there.
        let directory = TempDir::with_prefix_in("qchat-faults-", "/tmp")?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711))?;
        Ok(Self(directory))
    }

    /// Makes it anew as the synchronous standby of another, while it is down.
    ///
    /// # Errors
    /// When contrib/postgres.sh cannot.
    pub fn follow(&self, primary: &Self) -> Result<()> {
        self.script("standby", &[primary.0.path().as_os_str()])
    }

    /// A standby is the primary from now on, and commits nothing until it has a standby of its own.
    ///
    /// # Errors
    /// When contrib/postgres.sh cannot.
    pub fn promote(&self) -> Result<()> {
        self.script::<&str>("promote", &[])
    }

    /// A primary commits by itself from now on.
    ///
    /// # Errors
    /// When contrib/postgres.sh cannot.
    pub fn alone(&self) -> Result<()> {
        self.script::<&str>("alone", &[])
    }

    /// The one value that a query gives in one of its databases.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn ask(&self, database: &str, sql: &str) -> Result<String> {
        let url = self.url()?;
        let (server, _) = url.rsplit_once('/').context("a PostgreSQL URL names a database")?;
        let output = Command::new("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"])
            .args(["--command", sql, "--dbname", &format!("{server}/{database}")])
            .stdin(Stdio::null())
            .output()?;
        ensure!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The URL of a database whose user may create others.
    ///
    /// # Errors
    /// When it never started.
    pub fn url(&self) -> Result<String> {
        Ok(fs::read_to_string(self.0.path().join("url"))?.trim().to_owned())
    }

    /// Starts it again.
    ///
    /// # Errors
    /// When it does not.
    pub fn again(&self) -> Result<()> {
        self.script::<&str>("again", &[])
    }

    /// Ends it, one way or another.
    ///
    /// # Errors
    /// When it goes on.
    pub fn end(&self, how: End) -> Result<()> {
        match how {
            End::Fast => self.script("stop", &["fast"]),
            End::Immediate => self.script("stop", &["immediate"]),
            End::Killed => {
                let (main, others) = self.processes()?;
                kill(&[&[main], &others[..]].concat())
            }
            End::Served => {
                let (_, others) = self.processes()?;
                // Its title says which process serves a connection.
                let serving = others.into_iter().find(|pid| {
                    fs::read_to_string(format!("/proc/{pid}/cmdline"))
                        .is_ok_and(|title| title.starts_with("postgres: qchat "))
                });
                kill(&[serving.context("no process serves a connection")?])
            }
        }
    }

    /// Its first process, and those that this one has started.
    fn processes(&self) -> Result<(u32, Vec<u32>)> {
        let file = fs::read_to_string(self.0.path().join("cluster/data/postmaster.pid"))?;
        let main = file.lines().next().context("postmaster.pid is empty")?.trim().parse()?;
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children"))?;
        Ok((main, children.split_whitespace().map(str::parse).collect::<Result<_, _>>()?))
    }

    fn script<A: AsRef<OsStr>>(&self, action: &str, arguments: &[A]) -> Result<()> {
        let output = Command::new(workspace_root().join("contrib/postgres.sh"))
            .arg(action)
            .arg(self.0.path())
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        ensure!(
            output.status.success(),
            "contrib/postgres.sh {action}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Best effort: it may be down already.
        let _ = self.script::<&str>("stop", &[]);
    }
}

fn kill(pids: &[u32]) -> Result<()> {
    // Those that end with their first process are gone before their turn.
    Command::new("kill")
        .arg("-9")
        .args(pids.iter().map(ToString::to_string))
        .stderr(Stdio::null())
        .status()?;
    Ok(())
}

fn postgres(run: &Run) -> Result<Told> {
    let server = Server::start()?;
    let daemon = Daemon::start_on(Some(PostgresDatabase::create_on(server.url()?)), |_| settings());
    let mut clients = Clients::register(&daemon.url(), Shape::default())?;
    run.rounds(&mut clients, |clients, dice| {
        let ways = [End::Fast, End::Immediate, End::Killed, End::Served];
        let how = dice.choice(ways).context("there are ways")?;
        clients.go_on(Duration::from_micros(dice.u64(0..5_000)))?;
        server.end(how)?;
        if !matches!(how, End::Served) {
            // While it is down everybody is told so, and nobody that something is durable.
            let refused = |clients: &Clients| clients.tally().refused.values().sum::<u64>();
            let before = refused(clients);
            clients.until("refusals", |clients| refused(clients) > before)?;
            server.again()?;
        }
        clients.acknowledged(10)?;
        Ok(vec![daemon.pid()])
    })
}
