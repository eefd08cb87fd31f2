//! What several daemons on one PostgreSQL deliver, with Redis between them, without it, and while it goes wrong.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use futures_util::future::join_all;
use prost::Message;
use qchat_proto::{
    ids::RoomId,
    wire::{
        api::ServerInfo,
        fault::FaultCode,
        frame::{Envelope, Operation},
        pb::server_frame::Body,
    },
};
use qchatd::server::Daemon;
use reqwest::Method;
use serde_json::Value;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::ephemeral::{heard, whisper};
use crate::support::{
    Database, Device, Program, Redis, Server, Socket, eventually,
    socket::{Published, commit, envelope},
};

/// Two nodes in this process, on one database.
struct Nodes {
    first: Server,
    second: Daemon,
}

impl Nodes {
    async fn start(redis: Option<&Redis>) -> Self {
        // Nobody is told to catch up: what is delivered is the point.
        Self::start_with(redis, ("queue", "100000")).await
    }

    async fn start_with(redis: Option<&Redis>, setting: (&'static str, &str)) -> Self {
        let database = Database::postgres();
        let url = redis.map(Redis::url).unwrap_or_default();
        let settings = [("redis_url", url.as_str()), setting];
        let settings = if redis.is_some() { &settings[..] } else { &settings[1..] };
        let (one, other) = (database.config(settings), database.config(settings));
        let nodes = Self {
            first: Server::start_with(database, one).await,
            second: Daemon::start(other).await.unwrap(),
        };
        if redis.is_some() {
            nodes.hear_of_redis("up").await;
        }
        nodes
    }

    fn addresses(&self) -> [String; 2] {
        [self.first.address().to_string(), self.second.address().unwrap().to_string()]
    }

    /// Waits until both say this of Redis.
    async fn hear_of_redis(&self, state: &str) {
        for address in self.addresses() {
            eventually(&format!("Redis is {state}"), async || redis_at(&address).await == state).await;
        }
    }

    /// Somebody whose home is one of the nodes.
    async fn person(&self, name: &str, node: usize) -> Device {
        let mut device = Device::register(&self.first, name).await;
        device.is_at(&self.addresses()[node]);
        device
    }

    /// A room of several, made by the first.
    async fn room(&self, people: &[&Device]) -> RoomId {
        let room = people[0].create_room().await;
        let mut socket = Socket::connect(people[0]).await;
        let added: Vec<_> = people[1..].iter().map(|device| (Operation::Add, *device)).collect();
        let ids: Vec<_> = people[1..].iter().map(|device| device.id).collect();
        let add = commit(people[0], room, 0, &added);
        assert_eq!(socket.invite(&add, &ids).await, Published::Accepted(1));
        for device in &people[1..] {
            device.reply(room, "join").await.unwrap();
        }
        room
    }

    async fn stop(self) {
        self.second.stop().await;
        self.first.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_keeps_reaches_members_at_the_other_node_and_only_by_redis() {
    let mut redis = Redis::start().await;
    let nodes = Nodes::start(Some(&redis)).await;
    let (alice, bob) = (nodes.person("alice", 0).await, nodes.person("bob", 1).await);
    let room = nodes.room(&[&alice, &bob]).await;
    let (mut a, mut b) = (Socket::connect(&alice).await, Socket::connect(&bob).await);
    a.send(whisper(room, 1)).await;
    assert_eq!(heard(&mut b).await, (alice.id.as_bytes().to_vec(), 1));
    b.send(whisper(room, 2)).await;
    assert_eq!(heard(&mut a).await, (bob.id.as_bytes().to_vec(), 2));
    redis.kill();
    nodes.hear_of_redis("down").await;
    a.send(whisper(room, 3)).await;
    // What is kept comes all the same, later.
    assert_eq!(a.publish(&envelope(&alice, room, 1, "kept")).await, Published::Accepted(2));
    assert_eq!(b.delivered(room).await, 2);
    assert!(b.aside.iter().all(|body| !matches!(body, Body::Ephemeral(_))));
    nodes.stop().await;
}

/// What a node says of Redis.
async fn redis_at(address: &str) -> String {
    let answer = crate::support::http().get(format!("http://{address}/health/ready")).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.json::<Value>().await.unwrap()["redis"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_counts_by_the_minute_counts_at_all_nodes_that_redis_connects() {
    const LOGINS: usize = 10;
    for with_redis in [true, false] {
        let redis = if with_redis { Some(Redis::start().await) } else { None };
        let nodes = Nodes::start_with(redis.as_ref(), ("account_logins_per_minute", "10")).await;
        let mut alice = nodes.person("alice", 0).await;
        for _ in 0..LOGINS {
            alice.log_in().await;
        }
        alice.is_at(&nodes.addresses()[1]);
        let mut taken = 0;
        eventually("too many logins", async || {
            let login = alice.login(&alice.challenge().await);
            let answer = alice.post::<_, Value>("/v1/sessions", &login).await;
            taken += usize::from(answer.is_ok());
            answer.is_err_and(|code| code == FaultCode::RateLimited)
        })
        .await;
        // What the first node has counted is known at the other at once, or never.
        assert_eq!(taken < LOGINS, with_redis, "{taken} logins at the other node, with Redis: {with_redis}");
        nodes.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_node_drains_goes_to_another_at_once_if_one_is_known() {
    for with_redis in [true, false] {
        let redis = if with_redis { Some(Redis::start().await) } else { None };
        let mut nodes = Nodes::start_with(redis.as_ref(), ("metrics_listen", "127.0.0.1:0")).await;
        let mut alice = nodes.person("alice", 0).await;
        let mut socket = Socket::connect(&alice).await;
        let known = if with_redis { 2 } else { 1 };
        eventually("a node hears of the other", async || {
            nodes.first.meters().await["qchatd_nodes"].to_string() == known.to_string()
        })
        .await;
        let other = nodes.addresses()[1].clone();
        let draining = tokio::spawn(nodes.first.stop());
        let (fault, code) = socket.farewell().await;
        assert_eq!((fault.code, code), (FaultCode::Unavailable, CloseCode::Restart));
        assert_eq!(fault.retry_after.is_none(), with_redis, "{fault:?}");
        alice.is_at(&other);
        drop(Socket::connect(&alice).await);
        nodes.first = Server::start(draining.await.unwrap()).await;
        nodes.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_and_goes_at_one_node_is_heard_of_at_the_other() {
    for with_redis in [true, false] {
        let redis = if with_redis { Some(Redis::start().await) } else { None };
        let nodes = Nodes::start(redis.as_ref()).await;
        let alice = nodes.person("alice", 0).await;
        let bob = nodes.person("bob", 1).await;
        let carol = nodes.person("carol", 1).await;
        let (mut a, mut b) = (Socket::connect(&alice).await, Socket::connect(&bob).await);

        // Bob is invited at another node than his, where nobody follows the room.
        let room = alice.create_room().await;
        assert_eq!(
            a.invite(&commit(&alice, room, 0, &[(Operation::Add, &bob)]), &[bob.id]).await,
            Published::Accepted(1)
        );
        b.hinted(room).await;
        bob.reply(room, "join").await.unwrap();
        assert_eq!(b.seqs(room, 0).await, [1]);
        for seq in 2..6 {
            let (socket, device) = if seq % 2 == 0 { (&mut a, &alice) } else { (&mut b, &bob) };
            assert_eq!(socket.publish(&envelope(device, room, 1, "hello")).await, Published::Accepted(seq));
        }
        for seq in 2..6 {
            assert_eq!(b.delivered(room).await, seq);
        }
        // Carol, where the room is followed already: from the commit that adds her on.
        let mut c = Socket::connect(&carol).await;
        assert_eq!(
            a.invite(&commit(&alice, room, 1, &[(Operation::Add, &carol)]), &[carol.id]).await,
            Published::Accepted(6)
        );
        c.hinted(room).await;
        carol.reply(room, "join").await.unwrap();
        assert_eq!(b.publish(&envelope(&bob, room, 6, "welcome")).await, Published::Accepted(7));
        assert_eq!((b.delivered(room).await, b.delivered(room).await), (6, 7));
        while c.delivered(room).await < 7 {}

        // Bob is removed by Alice: he is told of that, and of nothing after it.
        assert_eq!(
            a.publish(&commit(&alice, room, 6, &[(Operation::Remove, &bob)])).await,
            Published::Accepted(8)
        );
        assert_eq!(a.publish(&envelope(&alice, room, 8, "he is gone")).await, Published::Accepted(9));
        assert_eq!((c.delivered(room).await, c.delivered(room).await), (8, 9));
        assert_eq!(b.delivered(room).await, 8);
        b.hinted(room).await;
        // His socket has got all that it gets: an answer comes behind.
        assert_eq!(b.page(room, 0, 0).await.unwrap().last_seq, 8);
        assert!(!b.aside.iter().any(|body| matches!(body, Body::Deliver(_))), "{:?}", b.aside);

        // And comes back, with a second connection at the other node.
        let mut elsewhere = nodes.addresses();
        let mut bob_too = bob;
        bob_too.is_at(&std::mem::take(&mut elsewhere[0]));
        let mut b2 = Socket::connect(&bob_too).await;
        let back = commit(&alice, room, 8, &[(Operation::Add, &bob_too)]);
        assert_eq!(a.invite(&back, &[bob_too.id]).await, Published::Accepted(10));
        b.hinted(room).await;
        b2.hinted(room).await;
        assert_eq!(a.publish(&envelope(&alice, room, 10, "again")).await, Published::Accepted(11));
        for socket in [&mut b, &mut b2] {
            while socket.delivered(room).await < 11 {}
        }
        drop((a, b, b2, c));
        nodes.stop().await;
    }
}

/// What happens to Redis while two nodes write to one room.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    None,
    Lives,
    Killed,
    KilledAndBack,
    Flushed,
    Frozen,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_connection_gets_each_envelope_once_and_in_order_whatever_becomes_of_redis() {
    const EACH: u64 = 60;
    const PEOPLE: usize = 4;
    for fate in [Fate::None, Fate::Lives, Fate::Killed, Fate::KilledAndBack, Fate::Flushed, Fate::Frozen] {
        let mut redis = if fate == Fate::None { None } else { Some(Redis::start().await) };
        let nodes = Nodes::start(redis.as_ref()).await;
        let people =
            join_all((0..PEOPLE).map(|number| nodes.person(["a", "b", "c", "d"][number], number % 2))).await;
        let room = nodes.room(&people.iter().collect::<Vec<_>>()).await;
        let sockets = join_all(people.iter().map(Socket::connect)).await;
        let total = 1 + EACH * PEOPLE as u64;

        let (at, reached) = tokio::sync::watch::channel(0_u64);
        let writing = sockets.into_iter().zip(&people).map(|(mut socket, device)| {
            let at = at.clone();
            async move {
                for number in 0..EACH {
                    let published = socket.publish(&envelope(device, room, 1, &number.to_string())).await;
                    assert!(matches!(published, Published::Accepted(_)), "{published:?}");
                    at.send_modify(|at| *at += 1);
                }
                let mut seqs = Vec::new();
                // What came before this connection followed is fetched.
                while seqs.last() != Some(&total) {
                    seqs.push(socket.delivered(room).await);
                }
                assert_eq!(seqs, (2..=total).collect::<Vec<_>>(), "{fate:?}");
                assert!(socket.aside.iter().all(|body| !matches!(body, Body::Behind(_) | Body::Deliver(_))));
            }
        });
        let striking = async {
            let mut reached = reached;
            reached.wait_for(|at| *at >= total / 4).await.unwrap();
            let Some(redis) = &mut redis else { return };
            match fate {
                Fate::Killed | Fate::KilledAndBack => redis.kill(),
                Fate::Flushed => assert!(redis.command(&[b"FLUSHALL"]).starts_with("+OK")),
                Fate::Frozen => redis.freeze(),
                Fate::None | Fate::Lives => {}
            }
            reached.wait_for(|at| *at >= total / 2).await.unwrap();
            if fate == Fate::KilledAndBack {
                redis.restart().await;
            }
        };
        tokio::join!(join_all(writing), striking);

        if let Some(redis) = &mut redis {
            match fate {
                Fate::Killed => {
                    nodes.hear_of_redis("down").await;
                    redis.restart().await;
                }
                Fate::Frozen => {
                    nodes.hear_of_redis("down").await;
                    redis.thaw();
                }
                _ => {}
            }
            // It is found again without anybody's help.
            nodes.hear_of_redis("up").await;
        }
        nodes.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_between_nodes_does_not_wait_for_their_looks() {
    // A look comes every 2 s: by looks alone this would take minutes, and the test gives up after one.
    const TURNS: u64 = 150;
    let redis = Redis::start().await;
    let nodes = Nodes::start(Some(&redis)).await;
    let (alice, bob) = (nodes.person("alice", 0).await, nodes.person("bob", 1).await);
    let room = nodes.room(&[&alice, &bob]).await;
    let (mut a, mut b) = (Socket::connect(&alice).await, Socket::connect(&bob).await);
    let talk = async {
        for turn in 0..TURNS {
            let (from, to, device) =
                if turn % 2 == 0 { (&mut a, &mut b, &alice) } else { (&mut b, &mut a, &bob) };
            assert_eq!(from.publish(&envelope(device, room, 1, "tick")).await, Published::Accepted(turn + 2));
            assert_eq!(to.delivered(room).await, turn + 2);
            assert_eq!(from.delivered(room).await, turn + 2);
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), talk).await.expect("it is not live");
    drop((a, b));
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_at_one_node_closes_the_socket_at_the_other_without_waiting_for_its_look() {
    // As above: by looks alone this would take longer than the minute after which the test gives up.
    const TURNS: usize = 90;
    let redis = Redis::start().await;
    let nodes = Nodes::start(Some(&redis)).await;
    let [first, second] = nodes.addresses();
    let mut alice = nodes.person("alice", 0).await;
    let turns = async {
        for _ in 0..TURNS {
            alice.is_at(&second);
            let mut socket = Socket::connect(&alice).await;
            alice.is_at(&first);
            alice.call::<(), ()>(Method::DELETE, "/v1/sessions", None).await.unwrap();
            assert_eq!(socket.end().await, (Some(FaultCode::Unauthenticated), Some(CloseCode::Policy)));
            alice.log_in().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), turns).await.expect("it is not at once");
    nodes.stop().await;
}

/// A hint, as nodes send it.
#[derive(Clone, PartialEq, Message)]
struct Hint {
    #[prost(bytes = "vec", tag = "1")]
    node: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    rooms: Vec<RoomAt>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    devices: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    ended: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    delisted: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct RoomAt {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    seq: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_controls_redis_makes_nodes_look_and_nothing_else() {
    let redis = Redis::start().await;
    let nodes = Nodes::start(Some(&redis)).await;
    let (alice, bob) = (nodes.person("alice", 0).await, nodes.person("bob", 1).await);
    let room = nodes.room(&[&alice, &bob]).await;
    let (mut a, mut b) = (Socket::connect(&alice).await, Socket::connect(&bob).await);
    let info: ServerInfo = alice.get("/v1/server").await.unwrap();
    let channel = format!("qchat:{}", info.server_id);
    let sessions = nodes.first.database.sessions();
    assert!(sessions.len() >= 2, "{sessions:?}");
    let id = |bytes: &[u8]| bytes.to_vec();
    let forged = Hint {
        node: id(b"forger"),
        rooms: vec![
            RoomAt { id: id(room.as_bytes()), seq: u64::MAX },
            RoomAt { id: id(room.as_bytes()), seq: 1 },
            RoomAt { id: id(b"short"), seq: 9 },
        ],
        devices: vec![id(alice.id.as_bytes()), id(bob.id.as_bytes()), vec![]],
        ended: sessions,
        delisted: vec![id(alice.id.as_bytes()), id(bob.id.as_bytes())],
    };
    for seq in 2..40 {
        for payload in [forged.encode_to_vec(), b"noise".to_vec(), Vec::new()] {
            // Both nodes get it.
            assert_eq!(redis.command(&[b"PUBLISH", channel.as_bytes(), &payload]), ":2\r\n+OK\r\n");
        }
        let (socket, device) = if seq % 2 == 0 { (&mut a, &alice) } else { (&mut b, &bob) };
        assert_eq!(socket.publish(&envelope(device, room, 1, "undeterred")).await, Published::Accepted(seq));
    }
    for socket in [&mut a, &mut b] {
        let mut seqs = Vec::new();
        while seqs.last() != Some(&39) {
            seqs.push(socket.delivered(room).await);
        }
        assert_eq!(seqs, (2..40).collect::<Vec<_>>());
        assert!(socket.aside.is_empty(), "{:?}", socket.aside);
    }
    drop((a, b));
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_by_a_node_that_dies_is_delivered_by_the_others_once() {
    const EACH: usize = 150;
    let redis = Redis::start().await;
    let nodes = Nodes::start(Some(&redis)).await;
    let mut alice = nodes.person("alice", 0).await;
    let bob = nodes.person("bob", 1).await;
    let room = nodes.room(&[&alice, &bob]).await;
    let mut b = Socket::connect(&bob).await;
    let envelopes: Vec<Envelope> =
        (0..EACH).map(|number| envelope(&alice, room, 1, &number.to_string())).collect();

    // A third node, in a process of its own, which is killed with envelopes in flight.
    let mut third = Program::start_with(
        &nodes.first.database,
        "",
        Stdio::null(),
        &[("QCHATD_REDIS_URL", &redis.url()), ("QCHATD_QUEUE", "100000")],
    )
    .await;
    alice.is_at(&third.address);
    let mut a = Socket::connect(&alice).await;
    for envelope in &envelopes {
        a.post(envelope, &[], "").await;
    }
    let mut acknowledged = BTreeSet::new();
    while acknowledged.len() < 20 {
        match a.try_next().await {
            Some(Body::Accepted(accepted)) => acknowledged.insert(accepted.message_id),
            Some(_) => true,
            None => break,
        };
    }
    third.kill();
    while let Some(body) = a.try_next().await {
        if let Body::Accepted(accepted) = body {
            acknowledged.insert(accepted.message_id);
        }
    }
    // The client goes on elsewhere, and sends again what nobody has acknowledged.
    alice.is_at(&nodes.addresses()[0]);
    let mut a = Socket::connect(&alice).await;
    for envelope in &envelopes {
        if !acknowledged.contains(envelope.message_id.as_bytes().as_slice()) {
            let published = a.publish(envelope).await;
            assert!(matches!(published, Published::Accepted(_)), "{published:?}");
        }
    }
    let mut got = Vec::new();
    while got.len() < EACH {
        let logged = b
            .wait(|body| match body {
                Body::Deliver(deliver) => deliver.logged.clone(),
                _ => None,
            })
            .await;
        assert_eq!(logged.seq, got.len() as u64 + 2, "no gap, nothing twice");
        got.push(Envelope::decode(logged.envelope).unwrap().message_id);
    }
    let unique: BTreeSet<_> = got.iter().collect();
    assert_eq!(unique, envelopes.iter().map(|envelope| &envelope.message_id).collect());
    drop((a, b));
    nodes.stop().await;
}

/// A certificate authority, and a certificate for 127.0.0.1 that it has signed.
fn certificates(dir: &Path) {
    let openssl = |args: &[&str]| {
        let output = Command::new("openssl").args(args).current_dir(dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    for name in ["root", "other"] {
        let (subject, out, keyout) = (format!("/CN={name}"), format!("{name}.crt"), format!("{name}.key"));
        let args = ["req", "-x509", "-days", "30", "-subj", &subject, "-out", &out, "-keyout", &keyout];
        openssl(&[&args[..], &key].concat());
    }
    let request = ["req", "-subj", "/CN=redis", "-out", "redis.csr", "-keyout", "redis.key"];
    openssl(&[&request[..], &key].concat());
    fs::write(dir.join("names"), "subjectAltName = IP:127.0.0.1\n").unwrap();
    openssl(&[
        "x509",
        "-req",
        "-in",
        "redis.csr",
        "-CA",
        "root.crt",
        "-CAkey",
        "root.key",
        "-CAcreateserial",
        "-days",
        "30",
        "-extfile",
        "names",
        "-out",
        "redis.crt",
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_to_redis_is_encrypted_and_its_certificate_checked() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let path = |name: &str| dir.path().join(name).display().to_string();
    let args = [
        "--requirepass",
        "dragon-secret",
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        &path("redis.crt"),
        "--tls-key-file",
        &path("redis.key"),
        "--port",
        "0",
        "--tls-port",
    ];
    let redis = Redis::start_with(&args.map(ToOwned::to_owned)).await;
    let url = |scheme: &str, password: &str| format!("{scheme}://:{password}@127.0.0.1:{}", redis.port());
    for (url, root, state) in [
        (url("rediss", "dragon-secret"), "root.crt", "up"),
        (url("rediss", "dragon-secret"), "other.crt", "down"),
        (url("rediss", "wrong-secret"), "root.crt", "down"),
        (url("redis", "dragon-secret"), "", "down"),
    ] {
        let database = Database::postgres();
        let file = path("url");
        fs::write(&file, format!("{url}\n")).unwrap();
        let root = if root.is_empty() { String::new() } else { path(root) };
        let settings = [("QCHATD_REDIS_URL_FILE", &*file), ("QCHATD_REDIS_ROOT_CERT", &root)];
        let node = Program::start_with(&database, "", Stdio::null(), &settings).await;
        let said = if state == "up" { "Redis carries hints" } else { "Redis is not there" };
        eventually(said, async || Program::log(&database).contains(said)).await;
        assert_eq!(redis_at(&node.address).await, state, "{url} {root}");
        drop(node);
        // It logs everything that it can.
        let log = Program::log(&database);
        assert!(!log.contains("-secret"), "{log}");
        assert_eq!(log.matches(said).count(), 1, "once, not in a loop");
    }
}
