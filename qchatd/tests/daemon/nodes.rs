//! Several daemons on one PostgreSQL, and a PostgreSQL that goes away.

use diesel::{Connection, PgConnection, connection::SimpleConnection};
use futures_util::future::join_all;
use qchat_proto::{
    ids::RoomId,
    wire::{
        api::{PutDeviceList, Refresh, Session},
        fault::FaultCode,
        frame::Operation,
    },
};
use qchatd::server::Daemon;
use reqwest::{Method, StatusCode};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::{
    Database, Device, Server, Socket,
    device::{list, random},
    http,
    socket::{Published, commit, envelope},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_one_order_per_room() {
    const EACH: usize = 60;
    let database = Database::postgres();
    let config = database.config(&[]);
    let first = Server::start(database).await;
    let second = Daemon::start(config).await.unwrap();
    let alice = Device::register(&first, "alice").await;
    let mut bob = Device::register(&first, "bob").await;
    bob.is_at(&second.address().unwrap().to_string());

    // Several rooms, so that groups of both nodes lock overlapping sets of them.
    let mut a = Socket::connect(&alice).await;
    let mut rooms = Vec::new();
    for _ in 0..4 {
        let room = alice.create_room().await;
        let add = commit(&alice, room, 0, &[(Operation::Add, &bob)]);
        a.invite(&add, &[bob.id]).await;
        bob.reply(room, "join").await.unwrap();
        rooms.push(room);
    }
    let mut b = Socket::connect(&bob).await;
    for number in 0..EACH {
        let room = rooms[number % rooms.len()];
        let text = number.to_string();
        let (from_a, from_b) = (envelope(&alice, room, 1, &text), envelope(&bob, room, 1, &text));
        let (sent_a, sent_b) = tokio::join!(a.post(&from_a, &[], ""), b.post(&from_b, &[], ""));
        if number % 10 == 9 {
            for outcome in [a.outcome(sent_a).await, b.outcome(sent_b).await] {
                assert!(matches!(outcome, Published::Accepted(_)), "{outcome:?}");
            }
        }
    }
    for room in rooms {
        let (at_first, at_second) = (a.seqs(room, 0).await, b.seqs(room, 0).await);
        assert_eq!(at_first, at_second);
        assert_eq!(at_first, (1..=1 + 2 * EACH as u64 / 4).collect::<Vec<_>>());
    }
    drop((a, b));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_ends_has_no_socket_at_another() {
    let database = Database::postgres();
    let config = database.config(&[]);
    let first = Server::start(database).await;
    let second = Daemon::start(config).await.unwrap();
    let at_second = second.address().unwrap().to_string();
    let mut bob = Device::register(&first, "bob").await;
    bob.is_at(&at_second);
    let mut bystander = Socket::connect(&bob).await;
    let refresh = async |alice: &Device, token: &str| {
        let request =
            Refresh { refresh_token: token.to_owned(), idempotency_key: random::<16>().to_vec().into() };
        alice.post::<_, Session>("/v1/sessions/refresh", &request).await
    };
    for how in ["a logout", "a logout everywhere", "a refresh token used twice", "an empty device list"] {
        let mut alice = Device::register(&first, &how.replace(' ', "_")).await;
        alice.is_at(&at_second);
        let mut socket = Socket::connect(&alice).await;
        alice.moved_to(&first);
        match how {
            "a logout" => alice.call::<(), ()>(Method::DELETE, "/v1/sessions", None).await.unwrap(),
            "a logout everywhere" => {
                alice.call::<(), ()>(Method::DELETE, "/v1/account/sessions", None).await.unwrap();
            }
            "a refresh token used twice" => {
                let token = alice.session.refresh_token.clone();
                refresh(&alice, &token).await.unwrap();
                assert_eq!(refresh(&alice, &token).await.unwrap_err(), FaultCode::SessionEnded);
            }
            _ => {
                let device_list = list(alice.account, 2, &[]).sign(&alice.identity).unwrap().into();
                alice
                    .put(
                        "/v1/account/device-list",
                        &PutDeviceList { device_list, ..PutDeviceList::default() },
                    )
                    .await
                    .unwrap();
            }
        }
        let ended = (Some(FaultCode::Unauthenticated), Some(CloseCode::Policy));
        assert_eq!(socket.end().await, ended, "{how}");
    }
    // Whose session goes on keeps its socket.
    let nowhere = bystander.page(RoomId::from_bytes(random()), 0, 1).await;
    assert_eq!(nowhere.unwrap_err(), FaultCode::NotFound);
    drop(bystander);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_drops_its_connections_is_found_again() {
    let server = Server::start(Database::postgres()).await;
    let alice = Device::register(&server, "alice").await;
    let room = alice.create_room().await;
    let mut socket = Socket::connect(&alice).await;
    for seq in 1..4 {
        // What was pooled is dead; a request finds that out and connects anew.
        PgConnection::establish(&server.database.url)
            .unwrap()
            .batch_execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .unwrap();
        let published = socket.publish(&envelope(&alice, room, 0, "still there?")).await;
        assert_eq!(published, Published::Accepted(seq));
        assert_eq!(
            join_all((0..8).map(|_| alice.room(room))).await.into_iter().filter_map(Result::ok).count(),
            8
        );
    }

    // Gone for good: it says so, and lives.
    let name = server.database.url.rsplit_once('/').unwrap().1.to_owned();
    PgConnection::establish(&std::env::var("QCHAT_TEST_POSTGRES_URL").unwrap())
        .unwrap()
        .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .unwrap();
    let http = http();
    let status = async |path| http.get(server.url(path)).send().await.unwrap().status();
    assert_eq!(status("/health/ready").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status("/health/live").await, StatusCode::OK);
    let published = socket.publish(&envelope(&alice, room, 0, "lost")).await;
    assert!(matches!(published, Published::Refused { code: FaultCode::Unavailable, .. }));
    assert_eq!(alice.room(room).await.unwrap_err(), FaultCode::Unavailable);
}
