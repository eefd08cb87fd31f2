//! A client that does not read costs a bounded queue, and catches up from the log without loss or repetition.

use std::collections::BTreeSet;

use bytes::Bytes;
use qchat_proto::wire::pb::{self, client_frame::Body as Request, server_frame::Body};

use crate::support::{
    Database, Device, Server, Socket, on_both,
    socket::{Published, envelope},
};

on_both!(
    a_slow_client_is_told_to_catch_up,
    who_does_not_read_the_pages_it_asked_for_keeps_nobody_from_theirs,
);

async fn a_slow_client_is_told_to_catch_up(database: Database) {
    const MESSAGES: u64 = 300;
    let config = database.config(&[("queue", "4")]);
    let server = Server::start_with(database, config).await;
    let alice = Device::register(&server, "alice").await;
    let room = alice.create_room().await;
    let mut slow = Socket::connect(&alice).await;
    let mut quick = Socket::connect(&alice).await;
    // More than the network buffers of both sides hold.
    let text = "x".repeat(60_000);
    for _ in 0..MESSAGES {
        let published = quick.publish(&envelope(&alice, room, 0, &text)).await;
        assert!(matches!(published, Published::Accepted(_)));
        quick.aside.clear();
    }

    let (mut seen, mut cursor) = (Vec::new(), 0);
    let mut fell_behind = false;
    while cursor < MESSAGES {
        match slow.next().await {
            Body::Deliver(deliver) => {
                let seq = deliver.logged.unwrap().seq;
                // One that was dropped before it is behind us in the log: it is fetched, this one then too.
                if seq == cursor + 1 {
                    seen.push(seq);
                    cursor = seq;
                }
            }
            Body::Behind(behind) => {
                fell_behind = true;
                let missed = slow.seqs(room, cursor).await;
                assert!(missed.last().is_some_and(|last| *last >= behind.last_seq));
                cursor = *missed.last().unwrap();
                seen.extend(missed);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(fell_behind);
    assert_eq!(seen, (1..=MESSAGES).collect::<Vec<_>>());
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());

    // Nothing of it stays behind: deliveries flow again.
    let Published::Accepted(seq) = quick.publish(&envelope(&alice, room, 0, "after")).await else { panic!() };
    loop {
        let body = match slow.aside.pop_front() {
            Some(body) => body,
            None => slow.next().await,
        };
        if let Body::Deliver(deliver) = body
            && deliver.logged.unwrap().seq == seq
        {
            break;
        }
    }
}

async fn who_does_not_read_the_pages_it_asked_for_keeps_nobody_from_theirs(database: Database) {
    const MESSAGES: u64 = 17;
    const DEAF: usize = 4;
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    let room = alice.create_room().await;
    let mut reader = Socket::connect(&alice).await;
    // A page of the most bytes that there are in one.
    let text = "x".repeat(60_000);
    for _ in 0..MESSAGES {
        assert!(matches!(reader.publish(&envelope(&alice, room, 0, &text)).await, Published::Accepted(_)));
    }
    let mut deaf = Vec::new();
    for _ in 0..DEAF {
        let mut socket = Socket::connect(&alice).await;
        // More than the network buffers of both sides hold, and no more than the daemon reads ahead.
        for request_id in 1..=32 {
            let room_id = Bytes::copy_from_slice(room.as_bytes());
            socket.send(Request::Fetch(pb::Fetch { request_id, room_id, after: 0, limit: 0 })).await;
        }
        deaf.push(socket);
    }
    for _ in 0..50 {
        let seqs: Vec<_> =
            reader.page(room, 0, 0).await.unwrap().envelopes.iter().map(|logged| logged.seq).collect();
        assert_eq!(seqs, (1..=MESSAGES).collect::<Vec<_>>());
    }
}
