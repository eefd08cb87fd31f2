//! Killed at any moment, the daemon keeps what it acknowledged.

use qchat_proto::wire::pb::server_frame::Body;

use crate::support::{Database, Device, Program, Server, Socket, on_both, socket::envelope};

on_both!(a_killed_daemon_loses_and_doubles_nothing);

async fn a_killed_daemon_loses_and_doubles_nothing(database: Database) {
    // Registered in process, then served by the program.
    let server = Server::start(database).await;
    let mut alice = Device::register(&server, "alice").await;
    let room = alice.create_room().await;
    let database = server.stop().await;
    let mut acked: Vec<(u64, bytes::Bytes)> = Vec::new();
    let mut unanswered = Vec::new();
    for round in 0..3_usize {
        let mut program = Program::start(&database).await;
        alice.is_at(&program.address);
        let mut socket = Socket::connect(&alice).await;
        // What was sent and not answered is sent again, the same bytes; then something new.
        let resent = std::mem::take(&mut unanswered);
        let new = (0..50).map(|number| envelope(&alice, room, 0, &format!("{round} {number}")));
        let mut sent = Vec::new();
        for envelope in resent.into_iter().chain(new) {
            sent.push((socket.post(&envelope, &[], "").await, envelope));
        }
        // Killed after a few answers, in the middle of the rest.
        let mut answers = 0;
        while let Some(body) = socket.try_next().await {
            if let Body::Accepted(ack) = body {
                let place = sent.iter().position(|(request, _)| *request == ack.request_id).unwrap();
                acked.push((ack.seq, sent.remove(place).1.encode()));
                answers += 1;
                if answers == 5 * (round + 1) {
                    program.kill();
                }
            }
        }
        unanswered = sent.into_iter().map(|(_, envelope)| envelope).collect();
    }
    let server = Server::start(database).await;
    alice.moved_to(&server);
    let mut socket = Socket::connect(&alice).await;
    let mut log = Vec::new();
    loop {
        let page = socket.page(room, log.len() as u64, 0).await.unwrap();
        if page.envelopes.is_empty() {
            break;
        }
        log.extend(page.envelopes.into_iter().map(|logged| (logged.seq, logged.envelope)));
    }
    assert!(log.iter().map(|(seq, _)| *seq).eq(1..=log.len() as u64), "a gap in the log");
    for entry in &acked {
        assert!(log.contains(entry), "seq {} was acknowledged and is gone", entry.0);
    }
    let mut bytes: Vec<_> = log.iter().map(|(_, bytes)| bytes).collect();
    bytes.sort_unstable();
    assert!(bytes.windows(2).all(|pair| pair[0] != pair[1]), "stored twice");
    drop(socket);
    server.stop().await;
}
