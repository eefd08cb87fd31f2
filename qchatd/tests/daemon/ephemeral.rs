//! What members tell those who are there: whom the daemon hands it to, what it refuses, and how much of it.

use bytes::Bytes;
use qchat_proto::{
    ids::RoomId,
    wire::{
        fault::FaultCode,
        frame::Operation,
        limits,
        pb::{self, client_frame::Body as Request, server_frame::Body},
    },
};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::{
    Database, Device, Server, Socket,
    socket::{Published, commit, envelope},
};

pub(crate) fn whisper(room: RoomId, mark: u8) -> Request {
    Request::Ephemeral(pb::Ephemeral {
        room_id: Bytes::copy_from_slice(room.as_bytes()),
        sender_device: Bytes::from_static(b"somebody else..."),
        sealed: Bytes::from(vec![mark; limits::EPHEMERAL]),
    })
}

/// What is heard next in a room, and of whom.
pub(crate) async fn heard(socket: &mut Socket) -> (Vec<u8>, u8) {
    socket
        .wait(|body| match body {
            Body::Ephemeral(said) => Some((said.sender_device.to_vec(), said.sealed[0])),
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_hear_it_others_are_not_heard_and_nothing_of_it_is_kept() {
    let server = Server::start(Database::sqlite()).await;
    let [alice, bob, eve] = [
        Device::register(&server, "alice").await,
        Device::register(&server, "bob").await,
        Device::register(&server, "eve").await,
    ];
    let room = alice.create_room().await;
    let mut a = Socket::connect(&alice).await;
    let mut b = Socket::connect(&bob).await;
    let mut e = Socket::connect(&eve).await;
    let add = commit(&alice, room, 0, &[(Operation::Add, &bob)]);
    assert_eq!(a.invite(&add, &[bob.id]).await, Published::Accepted(1));
    bob.reply(room, "join").await.unwrap();
    assert_eq!(b.delivered(room).await, 1);
    // Eve is not in the room; what she says goes nowhere, and costs her nothing.
    e.send(whisper(room, 1)).await;
    assert_eq!(e.page(room, 0, 0).await, Err(FaultCode::NotFound));
    a.send(whisper(room, 2)).await;
    assert_eq!(heard(&mut b).await, (alice.id.as_bytes().to_vec(), 2));
    b.send(whisper(room, 3)).await;
    assert_eq!(heard(&mut a).await, (bob.id.as_bytes().to_vec(), 3));
    // The log has nothing of it, and who connects later neither.
    assert_eq!(a.seqs(room, 0).await, [1]);
    let mut again = Socket::connect(&bob).await;
    a.send(whisper(room, 4)).await;
    assert_eq!(heard(&mut again).await.1, 4);
    // More than an account may say is dropped; what is kept is not.
    for _ in 0..300 {
        a.send(whisper(room, 5)).await;
    }
    assert_eq!(a.publish(&envelope(&alice, room, 1, "kept")).await, Published::Accepted(2));
    assert_eq!(b.delivered(room).await, 2);
    let said = b.aside.iter().filter(|body| matches!(body, Body::Ephemeral(_))).count();
    assert!((1..200).contains(&said), "{said}");
    // A removed device neither says nor hears anything more.
    assert_eq!(
        a.publish(&commit(&alice, room, 1, &[(Operation::Remove, &bob)])).await,
        Published::Accepted(3)
    );
    assert_eq!(b.delivered(room).await, 3);
    b.send(whisper(room, 6)).await;
    assert_eq!(b.page(room, 3, 0).await.map(|page| page.envelopes.len()), Ok(0));
    assert!(a.aside.iter().all(|body| !matches!(body, Body::Ephemeral(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_size_is_no_statement() {
    let server = Server::start(Database::sqlite()).await;
    let alice = Device::register(&server, "alice").await;
    let room = alice.create_room().await;
    let room_id = Bytes::copy_from_slice(room.as_bytes());
    for (room_id, size) in [
        (room_id.clone(), limits::EPHEMERAL - 1),
        (room_id.clone(), limits::EPHEMERAL + 1),
        (Bytes::from_static(b"no room"), limits::EPHEMERAL),
    ] {
        let mut socket = Socket::connect(&alice).await;
        let sealed = Bytes::from(vec![0; size]);
        socket.send(Request::Ephemeral(pb::Ephemeral { room_id, sender_device: Bytes::new(), sealed })).await;
        assert_eq!(socket.end().await, (Some(FaultCode::BadRequest), Some(CloseCode::Invalid)), "{size}");
    }
}
