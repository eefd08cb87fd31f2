//! One story on both databases: what a small group does in its first days. Every query of the store runs in it.

use bytes::Bytes;
use qchat_proto::{
    ids::RoomId,
    wire::{
        api::{
            ClaimKeyPackages, ClaimedKeyPackages, Directory, KeyPackageCount, MemberStatus, PutDeviceList,
            PutKeyPackages, Refresh, RoomInvitation, Rooms, ServerInfo, Session,
        },
        fault::FaultCode,
        frame::Operation,
        pb::{self, client_frame::Body as Request},
    },
};
use reqwest::Method;

use crate::support::{
    Database, Device, Server, Socket,
    device::{list, random},
    on_both,
    socket::{Published, commit, envelope},
};

on_both!(a_group_comes_together_and_apart);

async fn a_group_comes_together_and_apart(database: Database) {
    let server = Server::start(database).await;
    let mut alice = Device::register(&server, "alice").await;
    let mut bob = Device::register(&server, "bob").await;
    let info: ServerInfo = alice.get("/v1/server").await.unwrap();

    // The directory, by both keys.
    let by_name: Directory = alice.get("/v1/accounts/by-name/bob").await.unwrap();
    let by_id: Directory = alice.get(&format!("/v1/accounts/{}", bob.account)).await.unwrap();
    for answer in [by_name, by_id] {
        assert_eq!((answer.account_id, &answer.name), (bob.account, &bob.name));
        assert_eq!(answer.account_record, bob.registration.account_record);
        assert_eq!(answer.device_list, bob.registration.device_list);
        assert_eq!(answer.device_certificates, [bob.registration.device_certificate.clone()]);
    }
    assert_eq!(alice.get::<Directory>("/v1/accounts/by-name/nobody").await.unwrap_err(), FaultCode::NotFound);

    // KeyPackages: one of the registered ones; after a renewal the new ones, then the new last resort.
    let claim = ClaimKeyPackages { account_id: bob.account, devices: vec![bob.id] };
    let claimed: ClaimedKeyPackages = alice.post("/v1/key-packages/claim", &claim).await.unwrap();
    assert_eq!(claimed.key_packages[0].key_package, bob.registration.key_packages[0]);
    let upload = PutKeyPackages {
        key_packages: vec![random::<99>().to_vec().into(), bob.registration.key_packages[0].clone()],
        last_resort: Some(random::<99>().to_vec().into()),
    };
    let left: KeyPackageCount = bob.post("/v1/key-packages", &upload).await.unwrap();
    assert_eq!(left.count, 1, "those left are replaced, and a claimed package does not come back");
    let mut last = None;
    for _ in 0..2 {
        let claim = ClaimKeyPackages { account_id: bob.account, devices: vec![] };
        let mut claimed: ClaimedKeyPackages = alice.post("/v1/key-packages/claim", &claim).await.unwrap();
        last = claimed.key_packages.pop();
    }
    let last = last.unwrap();
    assert_eq!((Some(last.key_package), last.last_resort), (upload.last_resort, true));
    let left: KeyPackageCount = bob.get("/v1/key-packages").await.unwrap();
    assert_eq!(left.count, 0);

    // A room, an invitation, a conversation.
    let room = alice.create_room().await;
    let taken = bob.post::<_, ()>("/v1/rooms", &serde_json::json!({ "room_id": room })).await;
    assert_eq!(taken.unwrap_err(), FaultCode::Conflict);
    let mut a = Socket::connect(&alice).await;
    assert_eq!(a.publish(&commit(&alice, room, 0, &[])).await, Published::Accepted(1));
    let add = commit(&alice, room, 1, &[(Operation::Add, &bob)]);
    assert_eq!(a.invite(&add, &[bob.id]).await, Published::Accepted(2));
    let rooms: Rooms = bob.get("/v1/rooms").await.unwrap();
    assert_eq!((rooms.rooms[0].room_id, rooms.rooms[0].status), (room, MemberStatus::Invited));
    bob.reply(room, "join").await.unwrap();
    let mut b = Socket::connect(&bob).await;
    assert_eq!(b.publish(&envelope(&bob, room, 2, "hello")).await, Published::Accepted(3));
    let seen = alice.room(room).await.unwrap();
    assert_eq!((seen.last_seq.0, seen.commit_seq.0, seen.members.len()), (3, 2, 2));

    // A restart loses nothing: not the sessions, not the log, not who we are.
    drop((a, b));
    let server = Server::start(server.stop().await).await;
    alice.moved_to(&server);
    bob.moved_to(&server);
    let again: ServerInfo = alice.get("/v1/server").await.unwrap();
    assert_eq!(again.server_id, info.server_id);
    let mut a = Socket::connect(&alice).await;
    let mut b = Socket::connect(&bob).await;
    assert_eq!((a.seqs(room, 0).await, b.seqs(room, 0).await), (vec![1, 2, 3], vec![2, 3]));

    // Bob has opened his Welcome when he confirms what comes after it.
    let confirm = |room: RoomId, seq| {
        Request::Confirm(pb::Confirm { room_id: Bytes::copy_from_slice(room.as_bytes()), seq })
    };
    b.send(confirm(room, 3)).await;
    b.page(room, 3, 1).await.unwrap();
    drop((a, b));
    let server = Server::start(server.stop().await).await;
    alice.moved_to(&server);
    bob.moved_to(&server);
    let invitation = bob.get::<RoomInvitation>(&format!("/v1/rooms/{room}/invitation")).await;
    assert_eq!(invitation.unwrap_err(), FaultCode::NotFound);

    // Tokens are renewed, sessions closed and opened again.
    let renew = Refresh {
        refresh_token: bob.session.refresh_token.clone(),
        idempotency_key: random::<16>().to_vec().into(),
    };
    let renewed: Session = bob.post("/v1/sessions/refresh", &renew).await.unwrap();
    bob.session = renewed;
    bob.call::<(), ()>(Method::DELETE, "/v1/sessions", None).await.unwrap();
    assert_eq!(bob.room(room).await.unwrap_err(), FaultCode::Unauthenticated);
    bob.log_in().await;
    assert_eq!(bob.room(room).await.unwrap().status, MemberStatus::Full);

    // Bob takes his device off his list: its session and its socket end.
    let mut b = Socket::connect(&bob).await;
    let newer = list(bob.account, 2, &[]).sign(&bob.identity).unwrap();
    bob.put(
        "/v1/account/device-list",
        &PutDeviceList { device_list: newer.into(), ..PutDeviceList::default() },
    )
    .await
    .unwrap();
    assert_eq!(b.end().await.0, Some(FaultCode::Unauthenticated));
    assert_eq!(bob.room(room).await.unwrap_err(), FaultCode::Unauthenticated);
    let directory: Directory = alice.get("/v1/accounts/by-name/bob").await.unwrap();
    assert!(directory.device_certificates.is_empty());

    // And Alice removes its leaf.
    let mut a = Socket::connect(&alice).await;
    let remove = commit(&alice, room, 2, &[(Operation::Remove, &bob)]);
    assert_eq!(a.publish(&remove).await, Published::Accepted(4));
    assert_eq!(alice.room(room).await.unwrap().members.len(), 1);
    server.stop().await;
}
