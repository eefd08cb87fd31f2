//! A PostgreSQL server that is lost for good, and a standby that takes its place: two nodes find it by themselves, and what
//! the first one acknowledged is there. The lost one comes back, once as if nothing had happened, and once as it should.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::{
    clients::{Clients, Shape},
    crash::settings,
    postgres::{End, Server},
    run::{Run, Scene, Told},
};
use crate::{
    daemon::Daemon,
    database::{Backend, PostgresDatabase},
    programs,
};

/// The scenes.
pub const SCENES: &[Scene] = &[Scene {
    name: "failover",
    about: "PostgreSQL lost with kill -9 and its synchronous standby promoted; the lost one comes back as a primary, then \
            as a standby",
    on: &[Backend::Postgres],
    rounds: 2,
    long: 30,
    run: failover,
}];

/// A primary and its synchronous standby, which change places.
struct Pair {
    servers: [Server; 2],
    /// Which of them is the primary.
    primary: usize,
    database: String,
}

impl Pair {
    fn start() -> Result<(Self, PostgresDatabase)> {
        let first = Server::start()?;
        let database = PostgresDatabase::create_on(first.url()?);
        let url = database.url();
        let (_, name) = url.rsplit_once('/').context("the URL names a database")?;
        let second = Server::standby_of(&first)?;
        Ok((Self { servers: [first, second], primary: 0, database: name.to_owned() }, database))
    }

    fn primary(&self) -> &Server {
        &self.servers[self.primary]
    }

    fn standby(&self) -> &Server {
        &self.servers[1 - self.primary]
    }

    /// The URL that names both, always in the same order.
    fn url(&self) -> Result<String> {
        let [first, second] = [self.servers[0].url()?, self.servers[1].url()?];
        let (first, _) = first.rsplit_once('/').context("a URL")?;
        let (_, second) = second.rsplit_once('@').context("a URL with a user")?;
        let (second, _) = second.rsplit_once('/').context("a URL")?;
        Ok(format!("{first},{second}/{}", self.database))
    }

    /// What a server answers about the daemons' database.
    fn ask(&self, server: &Server, sql: &str) -> Result<String> {
        server.ask(&self.database, sql)
    }

    /// Ends what the daemons have open at the primary: they connect anew, and choose again.
    fn hang_up(&self) -> Result<()> {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        self.ask(self.primary(), end).map(drop)
    }
}

fn failover(run: &Run) -> Result<Told> {
    let (mut pair, database) = Pair::start()?;
    let keys = TempDir::new()?;
    let key = |name: &str| keys.path().join(name).display().to_string();
    let url = pair.url()?;
    let own = || {
        let own = [
            ("QCHATD_DATABASE", url.clone()),
            ("QCHATD_PEPPER_FILE", key("pepper.key")),
            ("QCHATD_TOKEN_KEY_FILE", key("token.key")),
        ];
        settings().into_iter().chain(own).collect()
    };
    let first = Daemon::start_on(Some(database), |_| own());
    let second = Daemon::start_with(Backend::Sqlite, |_| own());
    let mut clients = Clients::register(&first.url(), Shape::default())?;
    for device in (0..clients.count()).filter(|device| device % 2 == 1) {
        clients.route(device, second.address());
        clients.cut(device);
    }
    run.rounds(&mut clients, |clients, dice| {
        says_what_a_standby_is(&pair)?;
        clients.go_on(Duration::from_micros(dice.u64(0..5_000)))?;
        // Either the primary is dead by then, or it still serves, and cannot commit.
        let dead = dice.bool();
        if dead {
            pair.primary().end(End::Killed)?;
            clients.go_on(Duration::from_millis(dice.u64(0..300)))?;
        }
        pair.standby().promote()?;
        if !dead {
            clients.go_on(Duration::from_millis(dice.u64(0..300)))?;
            pair.primary().end(End::Killed)?;
        }
        pair.primary = 1 - pair.primary;
        waits_for_a_standby(&pair, clients)?;
        pair.primary().alone()?;
        clients.acknowledged(10)?;
        comes_back_unasked(&pair, clients)?;
        // The lost one is made anew, and follows.
        pair.standby().follow(pair.primary())?;
        clients.acknowledged(10)?;
        pair.hang_up()?;
        clients.acknowledged(10)?;
        clients.until("all are there", |clients| clients.open() == clients.count())?;
        Ok(vec![first.pid(), second.pid()])
    })
}

/// A primary that has no standby yet, and was not told to do without one: nothing is acknowledged.
fn waits_for_a_standby(pair: &Pair, clients: &mut Clients) -> Result<()> {
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    clients.until("a commit waits", |_| pair.ask(pair.primary(), waits).is_ok_and(|count| count != "0"))?;
    let before = clients.tally().acknowledged;
    clients.go_on(Duration::from_millis(500))?;
    let further = clients.tally().acknowledged - before;
    ensure!(further == 0, "{further} messages were acknowledged that are on one disk alone");
    Ok(())
}

/// A daemon that is given a standby alone says what is wrong, and what to do.
fn says_what_a_standby_is(pair: &Pair) -> Result<()> {
    let url = pair.standby().url()?;
    let data = TempDir::new()?;
    let output = Command::new(programs::qchatd())
        .arg("check")
        .env("QCHATD_DATABASE", url)
        .env("QCHATD_DATA_DIR", data.path())
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(3) && said.contains("a standby takes no writes"), "{output:?}");
    Ok(())
}

/// The machine of the lost server starts again, and PostgreSQL with it, which knows nothing of what has happened: it takes
/// writes, and commits by itself. Nobody writes to it.
fn comes_back_unasked(pair: &Pair, clients: &mut Clients) -> Result<()> {
    let lost = pair.standby();
    lost.again()?;
    lost.alone()?;
    let state = "SELECT coalesce(sum(next_seq), 0) FROM rooms";
    let before = pair.ask(lost, state)?;
    pair.hang_up()?;
    clients.acknowledged(30)?;
    let after = pair.ask(lost, state)?;
    ensure!(before == after, "a node has written to a primary of former times: {before} became {after}");
    lost.end(End::Killed)
}
