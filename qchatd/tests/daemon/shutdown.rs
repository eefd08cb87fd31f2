//! A drain answers what was asked, says 1012, and keeps what it acknowledged.

use qchat_proto::wire::pb::server_frame::Body;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::{Database, Device, Server, Socket, on_both, socket::envelope};

on_both!(what_is_acknowledged_in_a_drain_is_there_after_it);

async fn what_is_acknowledged_in_a_drain_is_there_after_it(database: Database) {
    let server = Server::start(database).await;
    let mut alice = Device::register(&server, "alice").await;
    let room = alice.create_room().await;
    let mut socket = Socket::connect(&alice).await;
    for number in 0..20 {
        socket.post(&envelope(&alice, room, 0, &number.to_string()), &[], "").await;
    }
    // At least one is in before the drain begins.
    let mut acked = vec![socket.outcome(1).await];
    let draining = tokio::spawn(server.stop());
    let mut accepted = Vec::new();
    let mut end = None;
    while end.is_none() {
        use futures_util::StreamExt;
        use tokio_tungstenite::tungstenite::Message;
        match socket.stream.next().await {
            Some(Ok(Message::Binary(bytes))) => {
                if let Some(Body::Accepted(ack)) = qchat_proto::wire::frame::read_server_frame(bytes).unwrap()
                {
                    accepted.push(ack.seq);
                }
            }
            Some(Ok(Message::Close(frame))) => end = Some(frame.unwrap().code),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(end, Some(CloseCode::Restart));
    // The aside ones were read while waiting for the first.
    accepted.extend(socket.aside.iter().filter_map(|body| match body {
        Body::Accepted(ack) => Some(ack.seq),
        _ => None,
    }));
    acked.extend(accepted.into_iter().map(crate::support::socket::Published::Accepted));
    drop(socket);

    let server = Server::start(draining.await.unwrap()).await;
    alice.moved_to(&server);
    let mut socket = Socket::connect(&alice).await;
    let kept = socket.seqs(room, 0).await;
    for outcome in acked {
        let crate::support::socket::Published::Accepted(seq) = outcome else { panic!("{outcome:?}") };
        assert!(kept.contains(&seq), "{seq} was acknowledged and is gone");
    }
    drop(socket);
    server.stop().await;
}
