//! A client that does not read costs a bounded queue, and catches up from the log without loss or repetition.

use std::collections::BTreeSet;

use qchat_proto::wire::pb::server_frame::Body;

use crate::support::{
    Database, Device, Server, Socket, on_both,
    socket::{Published, envelope},
};

on_both!(a_slow_client_is_told_to_catch_up);

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
