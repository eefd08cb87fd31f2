//! Connections to the database that are all in use: who waits is refused after a while, messages go on, and it is over when
//! it is over.

use std::{sync::mpsc, time::Duration};

use diesel::{Connection as _, PgConnection, RunQueryDsl, connection::SimpleConnection, sql_query};
use futures_util::{StreamExt, stream::FuturesUnordered};
use qchat_proto::{
    ids::ServerId,
    wire::{
        api::Directory,
        fault::{FaultBody, FaultCode},
        frame::Operation,
    },
};
use qchatd::{
    server::Daemon,
    store::{self, Lane, Store, StoreError, Usage},
};
use reqwest::{StatusCode, header};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::support::{
    Database, Device, Server, Socket, eventually, http, on_both,
    socket::{Published, commit, envelope},
};

on_both!(who_waits_in_vain_is_refused_and_no_other_lane_is_touched);

/// Takes a connection until what is returned is dropped.
async fn taken(store: &Store) -> (mpsc::Sender<()>, JoinHandle<Result<(), StoreError>>) {
    let (release, held) = mpsc::channel();
    let (here, came) = oneshot::channel();
    let store = store.clone();
    let task = tokio::spawn(async move {
        store
            .read(move |_| {
                let _ = here.send(());
                let _ = held.recv();
                Ok(())
            })
            .await
    });
    came.await.unwrap();
    (release, task)
}

async fn ask(store: &Store) -> Result<(), StoreError> {
    store
        .read(|conn| {
            sql_query("SELECT 1").execute(conn)?;
            Ok(())
        })
        .await
}

fn usage(store: &Store, lane: Lane) -> Usage {
    store.usage().into_iter().find(|usage| usage.lane == lane).unwrap()
}

async fn who_waits_in_vain_is_refused_and_no_other_lane_is_touched(database: Database) {
    let target = database.url.parse().unwrap();
    store::migrate(&target).unwrap();
    // Long enough for a connection to be made on a busy machine.
    let store = Store::open(&target, 2, Duration::from_secs(3)).unwrap();
    let (first, second) = (taken(&store).await, taken(&store).await);
    assert!(matches!(ask(&store).await, Err(StoreError::Busy)));
    let full = Usage { lane: Lane::Requests, used: 2, waiting: 0, refused: 1 };
    assert_eq!(usage(&store, Lane::Requests), full);

    for lane in [Lane::Writer, Lane::Delivery] {
        ask(&store.on(lane)).await.unwrap();
        assert_eq!(usage(&store, lane), Usage { lane, used: 0, waiting: 0, refused: 0 });
    }
    let id = ServerId::from_bytes([7; 16]);
    let written = store.on(Lane::Writer).write(move |conn| store::server::identify(conn, id, 1)).await;
    assert_eq!(written.unwrap(), id);
    store.ready().await.unwrap();

    // Who waits is served as soon as there is one.
    let waiting = tokio::spawn({
        let store = store.clone();
        async move {
            loop {
                match ask(&store).await {
                    Err(StoreError::Busy) => {}
                    done => return done,
                }
            }
        }
    });
    eventually("somebody waits", async || usage(&store, Lane::Requests).waiting == 1).await;
    drop(first.0);
    waiting.await.unwrap().unwrap();
    drop(second.0);
    for task in [first.1, second.1] {
        task.await.unwrap().unwrap();
    }
    ask(&store).await.unwrap();
    eventually("all are free", async || usage(&store, Lane::Requests).used == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_take_all_connections_keep_no_message_from_anybody() {
    let database = Database::postgres();
    let settings =
        [("database_connections", "2"), ("database_wait_seconds", "1"), ("metrics_listen", "127.0.0.1:0")];
    let (config, other) = (database.config(&settings), database.config(&settings));
    let server = Server::start_with(database, config).await;
    let second = Daemon::start(other).await.unwrap();
    let alice = Device::register(&server, "alice").await;
    let mut bob = Device::register(&server, "bob").await;
    bob.is_at(&second.address().unwrap().to_string());
    let room = alice.create_room().await;
    let mut a = Socket::connect(&alice).await;
    let add = commit(&alice, room, 0, &[(Operation::Add, &bob)]);
    assert_eq!(a.invite(&add, &[bob.id]).await, Published::Accepted(1));
    bob.reply(room, "join").await.unwrap();
    let mut b = Socket::connect(&bob).await;
    assert_eq!(b.seqs(room, 0).await, [1]);

    // A table that somebody has locked: whoever asks for an account waits, and keeps its connection.
    let mut locking = PgConnection::establish(&server.database.url).unwrap();
    locking.batch_execute("BEGIN; LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE").unwrap();
    let client = http();
    let ask = || {
        let request =
            client.get(server.url("/v1/accounts/by-name/alice")).bearer_auth(&alice.session.access_token);
        async move { request.send().await.unwrap() }
    };
    let mut asked: FuturesUnordered<_> = (0..5).map(|_| ask()).collect();
    for _ in 0..3 {
        let refused = asked.next().await.unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
        assert_eq!(refused.json::<FaultBody>().await.unwrap().error.code, FaultCode::Unavailable);
    }
    for seq in 2..8 {
        assert_eq!(a.publish(&envelope(&alice, room, 1, "it goes on")).await, Published::Accepted(seq));
        assert_eq!(b.delivered(room).await, seq);
    }
    assert_eq!(http().get(server.url("/health/ready")).send().await.unwrap().status(), StatusCode::OK);
    let meters = server.meters().await;
    for (name, least) in [
        ("qchatd_database_used{lane=\"requests\"}", 2.0),
        ("qchatd_database_refused_total{lane=\"requests\"}", 3.0),
        ("qchatd_ready", 1.0),
    ] {
        assert!(meters[name] >= least, "{name}: {meters:?}");
    }
    assert!(meters["qchatd_database_refused_total{lane=\"writer\"}"] < 1.0);

    // Who had a connection is answered once the table is free, and so is everybody from then on.
    locking.batch_execute("COMMIT").unwrap();
    while let Some(answer) = asked.next().await {
        assert_eq!(answer.json::<Directory>().await.unwrap().name, alice.name);
    }
    assert!(ask().await.status().is_success());
    drop((a, b));
    second.stop().await;
    server.stop().await;
}
