//! Every route and the socket, spoken with a real daemon.

use std::time::Duration;

use qchat_cli::net::{NetError, rest::Client, socket::Socket};
use qchat_proto::{
    identity::LoginProof,
    ids::{RoomId, Seq, ServerId},
    wire::{
        api::{
            ChallengeRequest, ClaimKeyPackages, CreateRoom, Login, MemberStatus, PutDeviceList,
            PutKeyPackages, Refresh,
        },
        fault::FaultCode,
        pb::{Fetch, server_frame},
    },
};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    device::{Device, noise, publish, registration},
};

fn client(daemon: &Daemon) -> Client {
    Client::new(daemon.url().parse().expect("a URL"), Duration::from_mins(1)).expect("a client")
}

fn code<T: std::fmt::Debug>(answer: Result<T, NetError>) -> FaultCode {
    match answer {
        Err(NetError::Fault(fault)) => fault.code,
        other => panic!("no fault: {other:?}"),
    }
}

#[tokio::test]
async fn every_route_reaches_the_daemon() {
    let daemon = Daemon::start(Backend::Sqlite);
    let client = client(&daemon);
    let info = client.server().await.expect("who it is");
    assert!(info.protocol_min <= 1 && info.protocol_max >= 1);

    let (carol, key) = registration("carol");
    let session = client.register(&carol).await.expect("a session");
    assert_eq!(code(client.register(&registration("carol").0).await), FaultCode::NameTaken);
    let token = &session.access_token;

    let by_name = client.directory_by_name(token, &carol.name, None).await.expect("carol");
    let by_id = client.directory(token, carol.account_id, None).await.expect("carol");
    assert_eq!((by_name.account_id, &by_name.account_record), (carol.account_id, &by_id.account_record));
    assert_eq!(
        code(client.directory_by_name(token, &"nobody".parse().expect("a name"), None).await),
        FaultCode::NotFound
    );
    assert_eq!(code(client.directory_by_name("forged", &carol.name, None).await), FaultCode::Unauthenticated);
    let unsigned = PutDeviceList { device_list: noise(100).into(), ..PutDeviceList::default() };
    assert_eq!(code(client.put_device_list(token, &unsigned).await), FaultCode::BadRequest);

    assert_eq!(client.key_package_count(token).await.expect("a count").count, 3);
    let more = PutKeyPackages { key_packages: vec![noise(64).into(), noise(64).into()], last_resort: None };
    assert_eq!(client.put_key_packages(token, &more).await.expect("a count").count, 5);
    let request = ClaimKeyPackages { account_id: carol.account_id, devices: vec![] };
    let claimed = client.claim_key_packages(token, &request).await.expect("one of each device");
    assert_eq!(claimed.key_packages.len(), 1);
    assert_eq!(client.key_package_count(token).await.expect("a count").count, 4);

    let room_id = RoomId::from_bytes([3; 16]);
    let created = client.create_room(token, &CreateRoom { room_id }).await.expect("a room");
    assert_eq!((created.room_id, created.status), (room_id, MemberStatus::Full));
    assert_eq!(client.rooms(token).await.expect("rooms").rooms.len(), 1);
    assert_eq!(client.room(token, room_id).await.expect("the room").commit_seq, Seq(0));
    let nowhere = RoomId::from_bytes([4; 16]);
    assert_eq!(code(client.room(token, nowhere).await), FaultCode::NotFound);
    assert_eq!(code(client.invitation(token, nowhere).await), FaultCode::NotFound);
    assert_eq!(code(client.join(token, nowhere).await), FaultCode::NotFound);
    assert_eq!(code(client.decline(token, nowhere).await), FaultCode::NotFound);

    let asked = ChallengeRequest { account_id: carol.account_id, device_id: carol.device_id };
    let challenge = client.challenge(&asked).await.expect("a challenge");
    let proof = LoginProof {
        nonce: challenge.nonce.as_ref().try_into().expect("32 bytes"),
        server: challenge.server_id,
        expires_at: challenge.expires_at,
        account: carol.account_id,
        device: carol.device_id,
    };
    let login = Login {
        account_id: carol.account_id,
        device_id: carol.device_id,
        nonce: challenge.nonce.clone(),
        signature: proof.sign(&key).expect("a signature").into(),
    };
    let session = client.login(&login).await.expect("a session");
    assert_eq!(code(client.login(&login).await), FaultCode::Unauthenticated, "a nonce is good once");
    let exchange =
        Refresh { refresh_token: session.refresh_token.clone(), idempotency_key: noise(16).into() };
    let session = client.refresh(&exchange).await.expect("the next session");
    client.logout(&session.access_token).await.expect("logged out");
    assert_eq!(code(client.rooms(&session.access_token).await), FaultCode::Unauthenticated);
}

#[tokio::test]
async fn the_socket_carries_frames_until_the_daemon_ends_and_again_when_it_is_back() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let client = client(&daemon);
    let server = client.server().await.expect("who it is").server_id;
    let device = Device::register(&daemon.url(), "alice").await;
    let token = device.session.access_token.clone();
    let room = device.create_room().await;

    let refused = Socket::connect(client.base(), "forged", server).await.map(drop);
    assert_eq!(code(refused), FaultCode::Unauthenticated);
    let other = ServerId::from_bytes([0; 16]);
    assert!(matches!(
        Socket::connect(client.base(), &token, other).await.map(drop),
        Err(NetError::OtherServer)
    ));

    let mut socket = Socket::connect(client.base(), &token, server).await.expect("a socket");
    // The largest payload, so that frames span many reads.
    let envelope = device.envelope(room, Seq(0), noise(64 * 1024));
    socket.send(publish(7, &envelope)).await.expect("sent");
    let (mut accepted, mut delivered) = (None, None);
    while accepted.is_none() || delivered.is_none() {
        match socket.recv().await.expect("a frame") {
            server_frame::Body::Accepted(answer) => accepted = Some((answer.request_id, answer.seq)),
            server_frame::Body::Deliver(pushed) => delivered = pushed.logged,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(accepted, Some((7, 1)));
    assert_eq!(delivered.map(|logged| logged.envelope), Some(envelope.encode()));

    daemon.kill();
    let ended = loop {
        if let Err(error) = socket.recv().await {
            break error;
        }
    };
    assert!(matches!(ended, NetError::Closed(_)), "{ended:?}");
    let gone = Socket::connect(client.base(), &token, server).await.map(drop);
    assert!(matches!(gone, Err(NetError::Unreachable { .. })), "{gone:?}");
    assert!(matches!(client.server().await, Err(NetError::Unreachable { .. })));

    daemon.restart();
    let mut socket = Socket::connect(client.base(), &token, server).await.expect("a socket");
    let fetch = Fetch { request_id: 8, room_id: room.as_bytes().to_vec().into(), after: 0, limit: 0 };
    socket.send(qchat_proto::wire::pb::client_frame::Body::Fetch(fetch)).await.expect("sent");
    match socket.recv().await.expect("a frame") {
        server_frame::Body::Page(page) => {
            assert_eq!((page.request_id, page.envelopes.len(), page.last_seq), (8, 1, 1));
        }
        other => panic!("{other:?}"),
    }
    socket.close().await;
}
