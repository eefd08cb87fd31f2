//! A network that parts one of two nodes from the database, from Redis, from its clients, or from several of them, without a
//! word to anybody: the node lives in a network namespace of its own, whose links go down and up.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::{
    clients::{Clients, Shape},
    crash::settings,
    cuts::{COMMIT, through_pipe},
    pipe::{Cut, Pipe},
    run::{Run, Scene, Told},
};
use crate::{
    daemon::{Daemon, free_address},
    database::{Backend, PostgresDatabase},
    redis::Redis,
};

/// The scenes.
pub const SCENES: &[Scene] = &[STALLED, PARTITION];

const STALLED: Scene = Scene {
    name: "stalled",
    about: "the way of one of two nodes to PostgreSQL stands still before a COMMIT: the other node goes on",
    on: &[Backend::Postgres],
    rounds: 1,
    long: 50,
    run: stalled,
};

const PARTITION: Scene = Scene {
    name: "partition",
    about: "one of two nodes parted from PostgreSQL, Redis, its clients, or several of them, for up to half a minute (takes root)",
    on: &[Backend::Postgres],
    // Namespaces take root, which the tests do not have everywhere.
    rounds: 0,
    long: 20,
    run: partition,
};

/// A network namespace with a link for clients, one for the database and one for Redis, gone with its owner.
struct Apart {
    name: String,
    /// The third byte of its addresses.
    net: u8,
}

/// Which link. The host has the first address of each, the namespace the second.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Clients,
    Database,
    Redis,
}

impl Link {
    const ALL: [Self; 3] = [Self::Clients, Self::Database, Self::Redis];

    /// Its end in the namespace.
    fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Database => "database",
            Self::Redis => "redis",
        }
    }
}

impl Apart {
    fn make() -> Result<Self> {
        let id = std::process::id();
        let apart = Self { name: format!("qf{id}"), net: u8::try_from(id % 250)? };
        ip(&["netns", "add", &apart.name])?;
        ip(&["-n", &apart.name, "link", "set", "lo", "up"])?;
        for link in Link::ALL {
            let (here, there) = (apart.device(link), link.name());
            ip(&["link", "add", &here, "type", "veth", "peer", "name", there, "netns", &apart.name])?;
            ip(&["addr", "add", &format!("{}/30", apart.address(link, 1)), "dev", &here])?;
            ip(&["-n", &apart.name, "addr", "add", &format!("{}/30", apart.address(link, 2)), "dev", there])?;
            ip(&["link", "set", &here, "up"])?;
            ip(&["-n", &apart.name, "link", "set", there, "up"])?;
        }
        Ok(apart)
    }

    /// The host's end of a link.
    fn device(&self, link: Link) -> String {
        format!("{}{}", self.name, &link.name()[..1])
    }

    fn address(&self, link: Link, end: u8) -> IpAddr {
        let first = match link {
            Link::Clients => 0,
            Link::Database => 4,
            Link::Redis => 8,
        };
        Ipv4Addr::new(10, 203, self.net, first + end).into()
    }

    fn set(&self, links: &[Link], state: &str) -> Result<()> {
        links.iter().try_for_each(|link| ip(&["link", "set", &self.device(*link), state]))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // The links go with it.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("ip, of iproute2")?;
    ensure!(
        output.status.success(),
        "ip {}: {} (network namespaces take root)",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Two nodes on one database and one Redis, half of the clients at each.
struct Nodes {
    clients: Clients,
    first: Daemon,
    second: Daemon,
    /// The second one's way to the database.
    way: Pipe,
    /// And the one to Redis.
    _hints: Pipe,
    _redis: Redis,
}

impl Nodes {
    /// Starts them; the second one by `program`, on this address. Its ways to the database and to Redis begin at others.
    fn start(program: &[&str], address: SocketAddr, [way, hints]: [IpAddr; 2]) -> Result<Self> {
        let keys = TempDir::new()?;
        let shared = || {
            let key = |name: &str| keys.path().join(name).display().to_string();
            [("QCHATD_PEPPER_FILE", key("pepper.key")), ("QCHATD_TOKEN_KEY_FILE", key("token.key"))]
        };
        let database = PostgresDatabase::create();
        let (way, url) = through_pipe(&database.url(), way)?;
        let redis = Redis::start()?;
        let hints = Pipe::on(hints, redis.address())?;
        let at = |address: SocketAddr| ("QCHATD_REDIS_URL", format!("redis://{address}"));
        let first = Daemon::start_on(Some(database), |_| {
            settings().into_iter().chain(shared()).chain([at(redis.address())]).collect()
        });
        let second = Daemon::start_within(program, address, |_| {
            let own = [("QCHATD_DATABASE", url), ("QCHATD_INSECURE_HTTP", "true".to_owned())];
            settings().into_iter().chain(shared()).chain(own).chain([at(hints.address())]).collect()
        });
        let mut clients = Clients::register(&first.url(), Shape::default())?;
        for device in (0..clients.count()).filter(|device| device % 2 == 1) {
            clients.route(device, address);
            clients.cut(device);
        }
        Ok(Self { clients, first, second, way, _hints: hints, _redis: redis })
    }
}

fn stalled(run: &Run) -> Result<Told> {
    let Nodes { mut clients, first, second, way, _hints, _redis } =
        Nodes::start(&[], free_address(), [Ipv4Addr::LOCALHOST.into(); 2])?;
    run.rounds(&mut clients, |clients, dice| {
        let before = way.cuts();
        let mut left = 1 + dice.u8(0..3);
        way.at(move |bytes| {
            let commits = bytes.windows(COMMIT.len()).any(|part| part == COMMIT);
            left = left.saturating_sub(u8::from(commits));
            if commits && left == 0 { Cut::Hold } else { Cut::Not }
        });
        clients.until("a commit stands still", |_| way.cuts() > before)?;
        way.at(|_| Cut::Not);
        // What it has locked is wanted by the other node, and by its own clients when they come to that one.
        clients.acknowledged(dice.u64(50..200))?;
        way.cut();
        clients.until("all are there", |clients| clients.open() == clients.count())?;
        clients.acknowledged(10)?;
        Ok(vec![first.pid(), second.pid()])
    })
}

fn partition(run: &Run) -> Result<Told> {
    let apart = Apart::make()?;
    let address = SocketAddr::new(apart.address(Link::Clients, 2), 8470);
    let program = ["ip", "netns", "exec", &apart.name];
    let ways = [Link::Database, Link::Redis].map(|link| apart.address(link, 1));
    let Nodes { mut clients, first, second, way: _way, _hints, _redis } =
        Nodes::start(&program, address, ways)?;
    run.rounds(&mut clients, |clients, dice| {
        const LINKS: [&[Link]; 6] = [
            &[Link::Clients],
            &[Link::Database],
            &[Link::Redis],
            &[Link::Clients, Link::Database],
            &[Link::Database, Link::Redis],
            &Link::ALL,
        ];
        let links = dice.choice(LINKS).context("there are links")?;
        let time = dice.choice([200, 3_000, 25_000]).context("there are times")?;
        clients.go_on(Duration::from_micros(dice.u64(0..5_000)))?;
        apart.set(links, "down")?;
        // The other node goes on, also with what the one that is gone has locked.
        let went_on = clients.acknowledged(50).and_then(|()| clients.go_on(Duration::from_millis(time)));
        apart.set(links, "up")?;
        went_on?;
        clients.until("all are back", |clients| clients.open() == clients.count())?;
        clients.acknowledged(10)?;
        Ok(vec![first.pid(), second.pid()])
    })
}
