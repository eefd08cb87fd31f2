//! What the daemon checks before it stores an account or a device list.

use qchat_proto::{
    identity::DeviceList,
    ids::{AccountId, DeviceId},
    wire::{
        api::{Binary, PutDeviceList, Register, Session},
        fault::{FaultBody, FaultCode},
        limits,
    },
};
use reqwest::StatusCode;

use crate::support::{
    Database, Device, Server,
    device::{draw, list, now, random},
    http, on_both,
};

on_both!(registrations_are_checked, device_lists_only_move_forward);

async fn register(server: &Server, request: &Register) -> Result<Session, FaultCode> {
    let response = http().post(server.url("/v1/accounts")).json(request).send().await.unwrap();
    if response.status() == StatusCode::CREATED {
        Ok(response.json().await.unwrap())
    } else {
        Err(response.json::<FaultBody>().await.unwrap().error.code)
    }
}

async fn registrations_are_checked(database: Database) {
    let server = Server::start(database).await;
    let (good, identity, key) = draw("alice");
    let (other, _, _) = draw("mallory");
    let bad = |change: fn(&mut Register, &Register)| {
        let mut request = good.clone();
        change(&mut request, &other);
        request
    };
    let expired = DeviceList {
        issued_at: now() - 20,
        expires_at: now() - 10,
        ..list(good.account_id, 1, &[(good.device_id, &key)])
    };
    let wider = {
        let mut devices = [(good.device_id, &key), (DeviceId::from_bytes(random()), &key)];
        devices.sort_by_key(|(device, _)| *device);
        list(good.account_id, 1, &devices)
    };
    let with_list =
        |list: DeviceList| Register { device_list: list.sign(&identity).unwrap().into(), ..good.clone() };
    let rows = [
        ("another name", bad(|request, _| request.name = "bob".parse().unwrap())),
        ("another account", bad(|request, other| request.account_id = other.account_id)),
        ("another device", bad(|request, other| request.device_id = other.device_id)),
        ("another's record", bad(|request, other| request.account_record = other.account_record.clone())),
        ("another's list", bad(|request, other| request.device_list = other.device_list.clone())),
        (
            "another's certificate",
            bad(|request, other| request.device_certificate = other.device_certificate.clone()),
        ),
        (
            "a forged record",
            bad(|request, _| {
                let mut bytes = request.account_record.as_ref().to_vec();
                *bytes.last_mut().unwrap() ^= 1;
                request.account_record = bytes.into();
            }),
        ),
        ("a short key", bad(|request, _| request.auth_key = vec![0; 31].into())),
        ("a short salt", bad(|request, _| request.auth_salt = vec![0; 15].into())),
        ("no last resort", bad(|request, _| request.last_resort_key_package = Binary::default())),
        ("an expired list", with_list(expired)),
        ("a list of more", with_list(wider)),
        ("a list of none", with_list(list(good.account_id, 1, &[]))),
    ];
    for (name, request) in rows {
        assert_eq!(register(&server, &request).await.unwrap_err(), FaultCode::BadRequest, "{name}");
    }
    let large = bad(|request, _| request.last_resort_key_package = vec![0; limits::KEY_PACKAGE + 1].into());
    assert_eq!(register(&server, &large).await.unwrap_err(), FaultCode::TooLarge);

    // Once, and again after a lost answer; not by someone without the password, and not under the same name.
    let first = register(&server, &good).await.unwrap();
    let retried = register(&server, &good).await.unwrap();
    assert_ne!(first.refresh_token, retried.refresh_token);
    let guess = bad(|request, _| request.auth_key = random::<32>().to_vec().into());
    assert_eq!(register(&server, &guess).await.unwrap_err(), FaultCode::NameTaken);
    let (namesake, _, _) = draw("alice");
    assert_eq!(register(&server, &namesake).await.unwrap_err(), FaultCode::NameTaken);
}

async fn device_lists_only_move_forward(database: Database) {
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    let mallory = Device::register(&server, "mallory").await;
    let put = async |list: DeviceList, by: &Device| {
        let device_list = list.sign(&by.identity).unwrap().into();
        alice.put("/v1/account/device-list", &PutDeviceList { device_list, ..PutDeviceList::default() }).await
    };
    let own = |version| list(alice.account, version, &[(alice.id, &alice.key)]);
    let ghost = DeviceId::from_bytes(random());
    let rows = [
        ("newer", own(3), &alice, Ok(())),
        ("the same", own(3), &alice, Err(FaultCode::Conflict)),
        ("older", own(2), &alice, Err(FaultCode::Conflict)),
        ("another's signature", own(4), &mallory, Err(FaultCode::BadRequest)),
        (
            "another account",
            list(AccountId::from_bytes(random()), 4, &[(alice.id, &alice.key)]),
            &alice,
            Err(FaultCode::BadRequest),
        ),
        ("a ghost", list(alice.account, 4, &[(ghost, &alice.key)]), &alice, Err(FaultCode::BadRequest)),
        (
            "another key",
            list(alice.account, 4, &[(alice.id, &mallory.key)]),
            &alice,
            Err(FaultCode::BadRequest),
        ),
        ("newest", own(9), &alice, Ok(())),
    ];
    for (name, list, by, outcome) in rows {
        assert_eq!(put(list, by).await, outcome, "{name}");
    }
}
