//! Frames that no client of ours sends: each gets its fault, and the daemon goes on for the others.

use qchat_proto::{
    ids::{RoomId, Seq},
    wire::{
        limits,
        pb::{self, client_frame::Body, server_frame},
    },
};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    device::{Device, Socket, hello, noise, publish},
};

/// The code of a fault, inside a refusal or by itself; "closed" when the daemon hung up without one.
fn code(answer: Option<server_frame::Body>) -> String {
    match answer {
        Some(server_frame::Body::Fault(fault)) => fault.code,
        Some(server_frame::Body::Refused(refused)) => {
            refused.fault.map(|fault| fault.code).unwrap_or_default()
        }
        Some(other) => format!("{other:?}"),
        None => "closed".to_owned(),
    }
}

#[tokio::test]
async fn malformed_frames_get_a_fault_and_the_daemon_lives_on() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let device = Device::register(&daemon.url(), "mallory").await;
    let room = device.create_room().await;
    let good = device.envelope(room, Seq(0), noise(200));
    let whole = qchat_proto::wire::frame::client_frame(publish(1, &good)).to_vec();
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("nothing".to_owned(), vec![]),
        ("noise".to_owned(), noise(1000)),
        ("zeros".to_owned(), vec![0; 64]),
        ("a body of no known kind".to_owned(), vec![0xfa, 0x06, 0x01, 0x00]),
        (
            "a length that never ends".to_owned(),
            vec![0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        ("a length beyond the frame".to_owned(), vec![0x12, 0xff, 0xff, 0xff, 0x07]),
    ];
    cases.extend(
        [1, 7, 30, whole.len() - 1]
            .map(|size| (format!("{size} bytes of a publish"), whole[..size].to_vec())),
    );
    for (what, bytes) in cases {
        let mut socket = device.connect().await;
        socket.send_bytes(bytes).await;
        assert_eq!(code(socket.answer().await), "bad_request", "{what}");
        assert!(daemon.is_ready(), "after {what}");
    }
    let mut socket = device.connect().await;
    socket.send_text("{\"hello\": true}").await;
    assert!(matches!(code(socket.answer().await).as_str(), "bad_request" | "closed"));

    // The same device is served as before.
    let mut socket = device.connect().await;
    socket.send(publish(7, &good)).await;
    match socket.answer().await {
        Some(server_frame::Body::Accepted(accepted)) => {
            assert_eq!((accepted.request_id, accepted.seq), (7, 1));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn malformed_envelopes_are_refused_by_their_request() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let device = Device::register(&daemon.url(), "mallory").await;
    let stranger = Device::register(&daemon.url(), "stranger").await;
    let room = device.create_room().await;
    let with = |change: &dyn Fn(&mut qchat_proto::wire::frame::Envelope)| {
        let mut envelope = device.envelope(room, Seq(0), noise(200));
        change(&mut envelope);
        publish(9, &envelope)
    };
    let raw = |envelope: Vec<u8>| {
        Body::Publish(pb::Publish { request_id: 9, envelope: envelope.into(), ..pb::Publish::default() })
    };
    let unknown = RoomId::from_bytes([7; 16]);
    let cases = [
        ("no envelope", raw(vec![]), "bad_request"),
        ("noise for an envelope", raw(noise(300)), "bad_request"),
        ("an empty payload", with(&|envelope| envelope.payload = vec![].into()), "bad_request"),
        (
            "a payload over its limit",
            with(&|envelope| envelope.payload = noise(limits::APPLICATION + 1).into()),
            "too_large",
        ),
        ("another device as its sender", with(&|envelope| envelope.sender = stranger.id), "forbidden"),
        ("a room that does not exist", with(&|envelope| envelope.room = unknown), "not_member"),
        ("an epoch of the future", with(&|envelope| envelope.commit_seq = Seq(99)), "stale_epoch"),
    ];
    let mut socket = device.connect().await;
    for (what, body, expected) in cases {
        socket.send(body).await;
        let answer = socket.answer().await;
        if let Some(server_frame::Body::Refused(refused)) = &answer {
            assert_eq!(refused.request_id, 9, "{what}");
        }
        let found = code(answer);
        // A room that one may not see and one that does not exist look the same.
        assert!(found == expected || (expected == "not_member" && found == "not_found"), "{what}: {found}");
        if found == "bad_request" {
            // After a fault outside a request the daemon may hang up.
            socket = device.connect().await;
        }
        assert!(daemon.is_ready(), "after {what}");
    }
    // Somebody else's room.
    let mut socket = stranger.connect().await;
    socket.send(publish(9, &stranger.envelope(room, Seq(0), noise(200)))).await;
    assert!(matches!(code(socket.answer().await).as_str(), "not_member" | "not_found"));
    socket
        .send(Body::Fetch(pb::Fetch {
            request_id: 3,
            room_id: room.as_bytes().to_vec().into(),
            after: 0,
            limit: 0,
        }))
        .await;
    assert!(matches!(code(socket.answer().await).as_str(), "not_member" | "not_found"));
}

#[tokio::test]
async fn a_message_of_ten_megabytes_ends_its_connection_only() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let device = Device::register(&daemon.url(), "mallory").await;
    let room = device.create_room().await;
    let mut bystander = device.connect().await;
    let mut socket = device.connect().await;
    socket.send_bytes(noise(10_000_000)).await;
    let found = code(socket.answer().await);
    assert!(matches!(found.as_str(), "too_large" | "closed"), "{found}");
    bystander.send(publish(1, &device.envelope(room, Seq(0), noise(200)))).await;
    assert!(matches!(bystander.answer().await, Some(server_frame::Body::Accepted(_))));
    assert!(daemon.is_ready());
}

#[tokio::test]
async fn a_repeated_publish_gets_the_first_seq_again() {
    let daemon = Daemon::start(Backend::Sqlite);
    let device = Device::register(&daemon.url(), "alice").await;
    let room = device.create_room().await;
    let envelopes = [0, 1].map(|_| device.envelope(room, Seq(0), noise(200)));
    let mut seqs = Vec::new();
    for envelope in [&envelopes[0], &envelopes[1], &envelopes[0]] {
        // A connection each time, as after a lost answer.
        let mut socket = device.connect().await;
        socket.send(publish(1, envelope)).await;
        match socket.answer().await {
            Some(server_frame::Body::Accepted(accepted)) => seqs.push(accepted.seq),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seqs, [1, 2, 1]);
}

#[tokio::test]
async fn a_version_that_nobody_speaks_gets_a_fault_with_a_remedy() {
    let daemon = Daemon::start(Backend::Sqlite);
    let device = Device::register(&daemon.url(), "future").await;
    for (min, max) in [(2, 9), (0, 0), (9, 2)] {
        let mut socket =
            Socket::open(&daemon.url(), Some(&device.session.access_token)).await.expect("a socket");
        socket.send(hello(min, max)).await;
        match socket.answer().await {
            Some(server_frame::Body::Fault(fault)) => {
                assert_eq!(fault.code, "unsupported_version", "{min}..={max}");
                assert!(fault.message.contains("upgrade"), "{}", fault.message);
            }
            other => panic!("{min}..={max}: {other:?}"),
        }
        assert_eq!(socket.answer().await, None);
    }
    // Anything before the hello is out of order.
    let mut socket = Socket::open(&daemon.url(), Some(&device.session.access_token)).await.expect("a socket");
    socket.send(Body::Confirm(pb::Confirm { room_id: vec![0; 16].into(), seq: 1 })).await;
    assert_eq!(code(socket.answer().await), "bad_request");
}
