//! What people who hold an invite link ask the members of its room: it waits, is told, and is forgotten.

use qchat_proto::{
    identity,
    ids::{AccountId, RoomId},
    wire::{
        api::{JoinRequests, KeyPackageCount, PutJoinRequest},
        fault::FaultCode,
        limits,
    },
};

use reqwest::Method;

use crate::{
    links::hinted,
    support::{Database, Device, Server, Socket, on_both},
};

on_both!(a_request_waits_for_the_members_of_its_room_until_one_of_them_has_answered);

fn says(byte: u8) -> PutJoinRequest {
    PutJoinRequest { request: vec![byte; identity::JoinRequest::SIZE].into() }
}

async fn answer(by: &Device, at: &str) -> Result<(), FaultCode> {
    by.call(Method::DELETE, at, None::<&()>).await.map_err(|(_, fault)| fault.code)
}

async fn seen(by: &Device) -> Vec<(RoomId, AccountId, u8)> {
    let waiting: JoinRequests = by.get("/v1/account/join-requests").await.unwrap();
    let some: KeyPackageCount = by.get("/v1/key-packages").await.unwrap();
    assert_eq!(some.join_requests, !waiting.requests.is_empty());
    let each = waiting.requests.iter();
    let mut seen: Vec<_> =
        each.map(|waits| (waits.room_id, waits.account_id, waits.request.as_ref()[0])).collect();
    seen.sort_by_key(|(_, _, said)| *said);
    seen
}

async fn a_request_waits_for_the_members_of_its_room_until_one_of_them_has_answered(database: Database) {
    let server = Server::start(database).await;
    let [alice, bob, carol] = [
        Device::register(&server, "alice").await,
        Device::register(&server, "bob").await,
        Device::register(&server, "carol").await,
    ];
    let room = alice.create_room().await;
    let at = format!("/v1/rooms/{room}/join-request");
    let answered = |who: &Device| format!("/v1/rooms/{room}/join-requests/{}", who.account);
    let mut socket = Socket::connect(&alice).await;

    bob.put(&at, &says(1)).await.unwrap();
    hinted(&mut socket).await;
    bob.put(&at, &says(2)).await.unwrap();
    carol.put(&at, &says(3)).await.unwrap();
    assert_eq!(seen(&alice).await, [(room, bob.account, 2), (room, carol.account, 3)]);
    // Whoever only asks sees nothing, and answers nobody but takes back what is theirs.
    assert_eq!(seen(&bob).await, []);
    assert_eq!(answer(&bob, &answered(&carol)).await.unwrap_err(), FaultCode::NotFound);
    answer(&bob, &answered(&bob)).await.unwrap();
    assert_eq!(seen(&alice).await, [(room, carol.account, 3)]);
    answer(&alice, &answered(&carol)).await.unwrap();
    answer(&alice, &answered(&carol)).await.unwrap();
    assert_eq!(seen(&alice).await, []);

    for (at, said, fault) in [
        (&at, PutJoinRequest { request: vec![1; 9].into() }, FaultCode::BadRequest),
        (&format!("/v1/rooms/{}/join-request", RoomId::from_bytes([9; 16])), says(1), FaultCode::NotFound),
    ] {
        assert_eq!(bob.put(at, &said).await.unwrap_err(), fault);
    }
}

#[tokio::test]
async fn so_many_wait_in_a_room_and_no_more() {
    let server = Server::start(Database::sqlite()).await;
    let alice = Device::register(&server, "alice").await;
    let room = alice.create_room().await;
    let at = format!("/v1/rooms/{room}/join-request");
    let mut last = None;
    for n in 0..limits::JOIN_REQUESTS {
        let guest = Device::register(&server, &format!("guest{n}")).await;
        guest.put(&at, &says(1)).await.unwrap();
        last = Some(guest);
    }
    let late = Device::register(&server, "late").await;
    assert_eq!(late.put(&at, &says(1)).await.unwrap_err(), FaultCode::RateLimited);
    // Who waits there already may say something else.
    last.unwrap().put(&at, &says(2)).await.unwrap();
    assert_eq!(seen(&alice).await.len() as u64, limits::JOIN_REQUESTS);
}
