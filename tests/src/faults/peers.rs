//! Peers that do harm without meaning to, and some that mean it: they vanish without a word, do not read, come all at
//! once, send what is too large or never send the rest, and take all the file descriptors.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use qchat_proto::wire::limits;

use super::{
    clients::{Clients, PATIENCE, Shape},
    crash::settings,
    pipe::Pipe,
    run::{Run, Scene, Told},
    state::Tally,
};
use crate::{daemon::Daemon, database::Backend, programs};

const BOTH: &[Backend] = &[Backend::Sqlite, Backend::Postgres];
const ONE: &[Backend] = &[Backend::Sqlite];

/// The scenes.
pub const SCENES: &[Scene] = &[
    Scene {
        name: "vanished",
        about: "half the clients vanish without a word (half-open TCP) and come back by another connection",
        on: ONE,
        rounds: 3,
        long: 100,
        run: vanished,
    },
    Scene {
        name: "slow",
        about: "half the clients stop reading while the others send more than queues and networks hold",
        on: ONE,
        rounds: 1,
        long: 30,
        run: slow,
    },
    Scene {
        name: "crowd",
        about: "2,000 clients in rooms of 20 lose their connections and come back at once",
        on: BOTH,
        rounds: 1,
        long: 20,
        run: crowd,
    },
    Scene {
        name: "slowloris",
        about: "300 connections whose request never ends, a byte at a time",
        on: ONE,
        rounds: 1,
        long: 20,
        run: slowloris,
    },
    Scene {
        name: "oversize",
        about: "clients that announce frames larger than any may be, and begin to send them",
        on: ONE,
        rounds: 5,
        long: 100,
        run: oversize,
    },
    Scene {
        name: "descriptors",
        about: "no file descriptor left for anything new",
        on: BOTH,
        rounds: 3,
        long: 100,
        run: descriptors,
    },
];

/// Half of the clients come by a pipe.
fn by_pipe(clients: &mut Clients, daemon: &Daemon) -> Result<(Pipe, Vec<usize>)> {
    let pipe = Pipe::start(daemon.address())?;
    let half: Vec<usize> = (0..clients.count()).filter(|device| device % 2 == 1).collect();
    for device in &half {
        clients.route(*device, pipe.address());
    }
    Ok((pipe, half))
}

fn vanished(run: &Run) -> Result<Told> {
    let daemon = Daemon::start_with(run.backend, |_| settings());
    let mut clients = Clients::register(&daemon.url(), Shape::default())?;
    let (pipe, half) = by_pipe(&mut clients, &daemon)?;
    run.rounds(&mut clients, |clients, dice| {
        clients.go_on(Duration::from_micros(dice.u64(0..5_000)))?;
        pipe.stop();
        // The others go on.
        clients.acknowledged(dice.u64(10..100))?;
        // Their own timers tell them; the daemon still has what it takes for open connections.
        pipe.forget();
        for device in &half {
            clients.cut(*device);
        }
        clients.acknowledged(dice.u64(10..100))?;
        Ok(vec![daemon.pid()])
    })
}

fn slow(run: &Run) -> Result<Told> {
    let with = |_: &_| settings().into_iter().chain([("QCHATD_QUEUE", "16".to_owned())]).collect();
    let daemon = Daemon::start_with(run.backend, with);
    let shape = Shape { payload: 48_000, ..Shape::default() };
    let mut clients = Clients::register(&daemon.url(), shape)?;
    let (pipe, _) = by_pipe(&mut clients, &daemon)?;
    run.rounds(&mut clients, |clients, dice| {
        let before = clients.tally().behind;
        pipe.stop();
        clients.acknowledged(dice.u64(400..500))?;
        pipe.go_on();
        // A queue that holds all of it would hold any amount.
        clients.until("who did not read is told to catch up", |clients| clients.tally().behind > before)?;
        clients.acknowledged(10)?;
        Ok(vec![daemon.pid()])
    })
}

fn crowd(run: &Run) -> Result<Told> {
    let daemon = Daemon::start_with(run.backend, |_| settings());
    let seeded = Command::new(programs::qchatd())
        .args(["admin", "seed", "--rooms", "0", "--messages", "0", "--seed"])
        .arg(run.seed.to_string())
        .args(["--accounts", &run.crowd.to_string(), "--data-dir"])
        .arg(daemon.data_directory())
        .envs(daemon.postgres().map(|database| ("QCHATD_DATABASE", database.url())))
        .output()?;
    ensure!(seeded.status.success(), "qchatd admin seed: {}", String::from_utf8_lossy(&seeded.stderr));
    let accounts = run.crowd as usize;
    let shape = Shape { accounts, rooms: accounts / 20, members: 20, senders: 1, window: 1, payload: 300 };
    let mut clients = Clients::seeded(&daemon.url(), run.seed, shape)?;
    clients.until("all are there", |clients| clients.open() == accounts)?;
    run.rounds(&mut clients, |clients, dice| {
        clients.go_on(Duration::from_micros(dice.u64(0..50_000)))?;
        for device in 0..accounts {
            clients.cut(device);
        }
        clients.until("all are back", |clients| clients.open() == accounts)?;
        clients.acknowledged(10)?;
        Ok(vec![daemon.pid()])
    })
}

fn slowloris(run: &Run) -> Result<Told> {
    let daemon = Daemon::start_with(run.backend, |_| settings());
    let mut clients = Clients::register(&daemon.url(), Shape::default())?;
    run.rounds(&mut clients, |clients, dice| {
        const REQUEST: &[u8] = b"GET /v1/server HTTP/1.1\r\nHost: qchat\r\nX-Slow: ";
        let mut slow = Vec::new();
        for _ in 0..300 {
            let mut stream = TcpStream::connect(daemon.address())?;
            stream.write_all(REQUEST.get(..dice.usize(1..REQUEST.len())).unwrap_or(REQUEST))?;
            stream.set_nonblocking(true)?;
            slow.push(stream);
        }
        clients.acknowledged(50)?;
        let until = Instant::now() + PATIENCE;
        while !slow.is_empty() {
            ensure!(Instant::now() < until, "{} of 300 endless requests are still open", slow.len());
            clients.go_on(Duration::from_millis(100))?;
            slow.retain_mut(|stream| is_open(stream) && stream.write_all(b"x").is_ok());
        }
        clients.acknowledged(10)?;
        Ok(vec![daemon.pid()])
    })
}

/// Whether the daemon has not ended a connection; what it says before is passed over.
fn is_open(stream: &mut TcpStream) -> bool {
    let mut said = [0; 1024];
    loop {
        match stream.read(&mut said) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

fn oversize(run: &Run) -> Result<Told> {
    let daemon = Daemon::start_with(run.backend, |_| settings());
    let mut clients = Clients::register(&daemon.url(), Shape::default())?;
    run.rounds(&mut clients, |clients, dice| {
        for _ in 0..dice.u8(1..6) {
            // A masked binary message of 8 bytes' length (RFC 6455 §5.2), the mask zeros.
            let size = (limits::FRAME as u64) << dice.u32(1..40);
            let mut frame = vec![0x82, 0xff];
            frame.extend_from_slice(&size.to_be_bytes());
            frame.extend_from_slice(&[0; 4]);
            frame.resize(frame.len() + dice.usize(0..200_000), 0);
            clients.until("all are there", |clients| clients.open() == clients.count())?;
            let Tally { reconnections, given_up, .. } = *clients.tally();
            clients.say(dice.usize(0..clients.count()), &frame)?;
            clients.until("the daemon hangs up", |clients| clients.tally().reconnections > reconnections)?;
            ensure!(clients.tally().given_up == given_up, "the daemon waits for the rest of {size} bytes");
        }
        clients.acknowledged(10)?;
        Ok(vec![daemon.pid()])
    })
}

fn descriptors(run: &Run) -> Result<Told> {
    /// Files that the daemon may have open: enough for all clients and the database.
    const FILES: u32 = 100;
    /// How often it tries to accept in a second, at most.
    const TRIES: f64 = 10.0;
    let daemon = Daemon::start_with(run.backend, |_| settings());
    let mut clients = Clients::register(&daemon.url(), Shape::default())?;
    // It raises its own limit when it starts.
    let limit = format!("--nofile={FILES}:{FILES}");
    let limited = Command::new("prlimit").args(["--pid", &daemon.pid().to_string(), &limit]).status()?;
    ensure!(limited.success(), "prlimit {limit}: {limited}");
    let tries = || daemon.log().matches("a connection was not accepted").count();
    run.rounds(&mut clients, |clients, dice| {
        let (began, before) = (Instant::now(), tries());
        let mut idle: Vec<TcpStream> = Vec::new();
        while idle.len() < 2 * FILES as usize {
            idle.push(connect(daemon.address())?);
        }
        clients.until("there is no descriptor left", |_| tries() > before)?;
        // Who is in stays in; who comes waits.
        clients.acknowledged(dice.u64(10..60))?;
        clients.cut(dice.usize(0..clients.count()));
        clients.go_on(Duration::from_millis(dice.u64(1..300)))?;
        // It does not try all the time.
        let (tried, seconds) = (tries() - before, began.elapsed().as_secs_f64());
        let most = seconds.mul_add(TRIES, TRIES);
        ensure!(
            f64::from(u32::try_from(tried)?) <= most,
            "{tried} times in {seconds:.3} s it tried to accept"
        );
        drop(idle);
        clients.until("all are back", |clients| clients.open() == clients.count())?;
        clients.acknowledged(10)?;
        Ok(vec![daemon.pid()])
    })
}

/// A connection that says nothing. The daemon's backlog takes what it cannot accept.
fn connect(address: SocketAddr) -> Result<TcpStream> {
    Ok(TcpStream::connect_timeout(&address, PATIENCE)?)
}
