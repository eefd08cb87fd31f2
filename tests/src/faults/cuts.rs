//! Connections that end at the worst moments: around a commit, whose outcome nobody knows then, and around an
//! acknowledgement, which the sender never sees.

use std::{
    net::{IpAddr, Ipv4Addr, ToSocketAddrs as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, Result};
use fastrand::Rng;
use qchat_proto::wire::{
    frame,
    pb::{client_frame, server_frame},
};
use url::Url;

use super::{
    clients::{Clients, Shape},
    crash::settings,
    pipe::{Cut, Pipe},
    run::{Run, Scene, Told},
};
use crate::{
    daemon::Daemon,
    database::{Backend, PostgresDatabase},
    proxy::{Action, Direction, Proxy},
};

/// The scenes.
pub const SCENES: &[Scene] = &[
    Scene {
        name: "commits",
        about: "connections to PostgreSQL cut before a COMMIT reaches it, and before its answer comes back",
        on: &[Backend::Postgres],
        rounds: 10,
        long: 500,
        run: commits,
    },
    Scene {
        name: "answers",
        about: "connections of clients cut before and after a message, and before and after its acknowledgement",
        on: &[Backend::Sqlite, Backend::Postgres],
        rounds: 10,
        long: 500,
        run: answers,
    },
];

/// A simple query, as libpq sends it.
pub const COMMIT: &[u8] = b"COMMIT\0";

/// A pipe at this address to the server of a URL, and the URL that leads through it, in the clear.
///
/// # Errors
/// When the URL names no server.
pub fn through_pipe(url: &str, at: IpAddr) -> Result<(Pipe, String)> {
    let mut url = Url::parse(url)?;
    let host = url.host_str().context("the URL has no host")?;
    let port = url.port_or_known_default().unwrap_or(5432);
    let target = (host, port).to_socket_addrs()?.next().context("nobody is there")?;
    let pipe = Pipe::on(at, target)?;
    url.set_ip_host(pipe.address().ip()).ok().context("the URL takes no address")?;
    url.set_port(Some(pipe.address().port())).ok().context("the URL takes no port")?;
    url.set_query(Some("sslmode=disable"));
    Ok((pipe, url.to_string()))
}

fn commits(run: &Run) -> Result<Told> {
    let database = PostgresDatabase::create();
    let (pipe, url) = through_pipe(&database.url(), Ipv4Addr::LOCALHOST.into())?;
    let daemon = Daemon::start_on(Some(database), |_| {
        settings().into_iter().chain([("QCHATD_DATABASE", url)]).collect()
    });
    let mut clients = Clients::register(&daemon.url(), Shape::default())?;
    run.rounds(&mut clients, |clients, dice| {
        let before = pipe.cuts();
        let wanted = dice.u64(1..4);
        let mut choices = dice.fork();
        let mut left = wanted;
        pipe.at(move |bytes| {
            if left == 0 || !bytes.windows(COMMIT.len()).any(|part| part == COMMIT) || choices.u8(0..3) > 0 {
                return Cut::Not;
            }
            left -= 1;
            if choices.bool() { Cut::Before } else { Cut::After }
        });
        clients.until("commits are cut", |_| pipe.cuts() >= before + wanted)?;
        clients.acknowledged(10)?;
        Ok(vec![daemon.pid()])
    })
}

/// What is cut around.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Message,
    Acknowledgement,
}

fn answers(run: &Run) -> Result<Told> {
    let daemon = Daemon::start_with(run.backend, |_| settings());
    let mut clients = Clients::register(&daemon.url(), Shape::default())?;
    run.rounds(&mut clients, |clients, dice| {
        // A proxy remembers all that has gone by: each round has its own.
        let proxy = Proxy::start(daemon.address());
        let by = Url::parse(&proxy.url())?;
        let by = by.socket_addrs(|| None)?.into_iter().next().context("a proxy has an address")?;
        let wanted = dice.u64(2..6);
        let cuts = Arc::new(AtomicU64::new(0));
        proxy.at_frames(rule(dice.fork(), wanted, Arc::clone(&cuts)));
        for device in 0..clients.count() {
            clients.route(device, by);
            clients.cut(device);
        }
        clients.until("connections are cut", |_| cuts.load(Ordering::Acquire) >= wanted)?;
        clients.acknowledged(10)?;
        for device in 0..clients.count() {
            clients.route(device, daemon.address());
            clients.cut(device);
        }
        clients.acknowledged(10)?;
        Ok(vec![daemon.pid()])
    })
}

/// Cuts so many connections, each around a message or an acknowledgement.
fn rule(
    mut dice: Rng,
    wanted: u64,
    cuts: Arc<AtomicU64>,
) -> impl FnMut(Direction, &[u8]) -> Action + Send + 'static {
    move |direction, payload| {
        let what = match direction {
            Direction::ToDaemon => match frame::read_client_frame(payload.to_vec().into()) {
                Ok(client_frame::Body::Publish(_)) => What::Message,
                _ => return Action::Pass,
            },
            Direction::ToClient => match frame::read_server_frame(payload.to_vec().into()) {
                Ok(Some(server_frame::Body::Accepted(_))) => What::Acknowledgement,
                _ => return Action::Pass,
            },
        };
        if cuts.load(Ordering::Acquire) >= wanted || dice.u8(0..6) > 0 {
            return Action::Pass;
        }
        cuts.fetch_add(1, Ordering::AcqRel);
        // A message that was passed on is acknowledged to nobody; one that was not is not there at all.
        match (what, dice.bool()) {
            (_, true) => Action::CutBefore,
            (_, false) => Action::CutAfter,
        }
    }
}
