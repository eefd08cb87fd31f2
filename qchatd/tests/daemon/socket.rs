//! What a socket takes and how it ends.

use bytes::Bytes;
use futures_util::SinkExt;
use qchat_proto::wire::{
    fault::FaultCode,
    frame::client_frame,
    limits,
    pb::{self, client_frame::Body as Request},
};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::{
    MaybeTlsStream,
    tungstenite::{
        self, Message,
        http::{HeaderValue, StatusCode},
        protocol::frame::coding::CloseCode,
    },
};

use crate::support::{
    Database, Device, Server, Socket,
    socket::{Published, envelope, handshake},
};

fn hello(version_min: u32, version_max: u32) -> Message {
    Message::Binary(client_frame(Request::Hello(pb::Hello {
        version_min,
        version_max,
        agent: "test".into(),
    })))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_frames_end_the_connection_and_nothing_else() {
    let server = Server::start(Database::sqlite()).await;
    let alice = Device::register(&server, "alice").await;
    let room = alice.create_room().await;
    let mut bystander = Socket::connect(&alice).await;

    let confirm = Request::Confirm(pb::Confirm { room_id: Bytes::from_static(b"short"), seq: 1 });
    let bad = Some(FaultCode::BadRequest);
    let rows: [(&str, Vec<Message>, Option<FaultCode>, CloseCode); 10] = [
        ("no hello", vec![Message::Binary(client_frame(confirm.clone()))], bad, CloseCode::Protocol),
        ("future", vec![hello(7, 9)], Some(FaultCode::UnsupportedVersion), CloseCode::Protocol),
        ("reversed", vec![hello(1, 0)], Some(FaultCode::UnsupportedVersion), CloseCode::Protocol),
        ("two hellos", vec![hello(1, 1), hello(1, 1)], bad, CloseCode::Protocol),
        ("text", vec![Message::Text("hello".into())], bad, CloseCode::Unsupported),
        ("text later", vec![hello(1, 1), Message::Text("hello".into())], bad, CloseCode::Unsupported),
        ("empty", vec![hello(1, 1), Message::Binary(Bytes::new())], bad, CloseCode::Invalid),
        ("garbage", vec![hello(1, 1), Message::Binary(vec![0xff; 100].into())], bad, CloseCode::Invalid),
        ("short id", vec![hello(1, 1), Message::Binary(client_frame(confirm))], bad, CloseCode::Invalid),
        (
            "10 MB",
            vec![hello(1, 1), Message::Binary(vec![0; 10 * 1024 * 1024].into())],
            Some(FaultCode::TooLarge),
            CloseCode::Size,
        ),
    ];
    for (name, messages, fault, code) in rows {
        let mut socket = Socket::raw(&alice).await;
        for message in messages {
            // The daemon may have hung up on a large one before all of it was sent.
            drop(socket.stream.send(message).await);
        }
        assert_eq!(socket.end().await, (fault, Some(code)), "{name}");
    }
    // Not even WebSocket: an unmasked frame.
    let mut socket = Socket::raw(&alice).await;
    let MaybeTlsStream::Plain(stream) = socket.stream.get_mut() else { panic!() };
    stream.write_all(&[0x82, 0x01, 0x00]).await.unwrap();
    assert_eq!(socket.end().await, (bad, Some(CloseCode::Protocol)));

    let published = bystander.publish(&envelope(&alice, room, 0, "still here")).await;
    assert_eq!(published, Published::Accepted(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envelopes_that_are_wrong_are_refused_by_name() {
    let server = Server::start(Database::sqlite()).await;
    let alice = Device::register(&server, "alice").await;
    let room = alice.create_room().await;
    let mut socket = Socket::connect(&alice).await;
    let mut large = envelope(&alice, room, 5, "");
    large.payload = vec![1; limits::APPLICATION + 1].into();
    let rows = [
        (large.encode(), FaultCode::TooLarge, room.as_bytes().as_slice(), 5),
        (envelope(&alice, room, 5, "").encode(), FaultCode::BadRequest, room.as_bytes().as_slice(), 5),
        (Bytes::from_static(&[0xff; 9]), FaultCode::BadRequest, &[], 0),
        (Bytes::new(), FaultCode::BadRequest, &[], 0),
    ];
    for (request_id, (logged, code, room_id, commit_seq)) in (100_u64..).zip(rows) {
        socket
            .send(Request::Publish(pb::Publish { request_id, envelope: logged, ..Default::default() }))
            .await;
        let refused = socket
            .wait(|body| match body {
                pb::server_frame::Body::Refused(refused) => Some(refused.clone()),
                _ => None,
            })
            .await;
        assert_eq!((refused.request_id, refused.commit_seq), (request_id, commit_seq));
        assert_eq!(refused.room_id, room_id);
        assert_eq!(refused.fault.unwrap().code, code.as_str());
    }
    // The connection lives on.
    let published = socket.publish(&envelope(&alice, room, 0, "fine")).await;
    assert_eq!(published, Published::Accepted(1));
}

#[tokio::test]
async fn only_our_own_pages_and_good_tokens_get_a_socket() {
    let server = Server::start(Database::sqlite()).await;
    let alice = Device::register(&server, "alice").await;
    let (host, token) = (alice.host(), alice.session.access_token.as_str());
    let own = format!("http://{host}");
    for (origin, token, expected) in [
        (None, token, StatusCode::SWITCHING_PROTOCOLS),
        (Some(own.as_str()), token, StatusCode::SWITCHING_PROTOCOLS),
        (Some("https://evil.example"), token, StatusCode::FORBIDDEN),
        (Some("null"), token, StatusCode::FORBIDDEN),
        (None, "forged", StatusCode::UNAUTHORIZED),
        (None, "", StatusCode::UNAUTHORIZED),
    ] {
        let mut request = handshake(host, token);
        if let Some(origin) = origin {
            request.headers_mut().insert("Origin", HeaderValue::from_str(origin).unwrap());
        }
        let status = match tokio_tungstenite::connect_async(request).await {
            Ok((_, response)) => response.status(),
            Err(tungstenite::Error::Http(response)) => response.status(),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(status, expected, "{origin:?} {token}");
    }
}
