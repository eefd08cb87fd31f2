//! What the daemon checks before it stores an account or a device list.

use qchat_proto::{
    crypto::{
        entropy::SystemEntropy,
        sign::{AccountSigningKey, DeviceSigningKey},
    },
    identity::{AccountRecord, DeviceCertificate, DeviceList, Recovering, RecoveryProof},
    ids::{AccountId, DeviceId},
    wire::{
        api::{
            AddRecovered, Binary, ClaimKeyPackages, ClaimedKeyPackages, Directory, KeyPackageCount, Proof,
            PutCertificate, PutDeviceList, RecoveryChallenge, RecoveryChallengeRequest, Register, Session,
        },
        fault::{FaultBody, FaultCode},
        limits,
    },
};
use reqwest::StatusCode;

use crate::support::{
    Database, Device, Server, Socket,
    device::{draw, draw_with_recovery, list, now, random},
    http, on_both,
};

on_both!(
    registrations_are_checked,
    device_lists_only_move_forward,
    a_device_gets_a_new_key_with_its_list_and_the_old_one_is_worth_nothing,
    an_identity_key_that_was_replaced_signs_nothing_any_more
);

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
        ("of the last version that there is", own(u64::MAX), &alice, Err(FaultCode::BadRequest)),
        ("of one that no owner comes to", own(1 << 40), &alice, Err(FaultCode::BadRequest)),
        (
            "of the end of time",
            DeviceList { issued_at: u64::MAX - 1, expires_at: u64::MAX, ..own(4) },
            &alice,
            Err(FaultCode::BadRequest),
        ),
        ("newest", own(9), &alice, Ok(())),
    ];
    for (name, list, by, outcome) in rows {
        assert_eq!(put(list, by).await, outcome, "{name}");
    }
}

async fn a_device_gets_a_new_key_with_its_list_and_the_old_one_is_worth_nothing(database: Database) {
    let server = Server::start(database).await;
    let mut alice = Device::register(&server, "alice").await;
    let mallory = Device::register(&server, "mallory").await;
    let key = DeviceSigningKey::generate(&SystemEntropy).unwrap();
    let certificate = |device, key: &DeviceSigningKey, created_at, by: &Device| -> Binary {
        let certificate = DeviceCertificate {
            account: alice.account,
            device,
            device_key: key.public().clone(),
            identity_key_hash: by.identity.public().hash(),
            created_at,
        };
        certificate.sign(&by.identity).unwrap().into()
    };
    let put = async |version, key: &DeviceSigningKey, certificates: Vec<Binary>| {
        let list = list(alice.account, version, &[(alice.id, key)]);
        let device_list = list.sign(&alice.identity).unwrap().into();
        let certificates = certificates
            .into_iter()
            .map(|certificate| PutCertificate { certificate, label: None, grant: None })
            .collect();
        let request = PutDeviceList { device_list, certificates, ..PutDeviceList::default() };
        alice.put("/v1/account/device-list", &request).await
    };
    let (later, other) = (now() + 10, DeviceId::from_bytes(random()));
    let good = certificate(alice.id, &key, later, &alice);
    for (name, certificates) in [
        ("none", vec![]),
        ("of another device", vec![certificate(other, &key, later, &alice)]),
        ("of another key", vec![certificate(alice.id, &mallory.key, later, &alice)]),
        ("by another account", vec![certificate(alice.id, &key, later, &mallory)]),
        ("as old as the one before", vec![certificate(alice.id, &key, now() - 60, &alice)]),
        ("two", vec![good.clone(), certificate(alice.id, &key, later + 1, &alice)]),
        ("one more", vec![good.clone(), certificate(other, &mallory.key, later, &alice)]),
        ("malformed", vec![Binary::from(vec![1, 2, 3])]),
    ] {
        assert_eq!(put(2, &key, certificates).await, Err(FaultCode::BadRequest), "{name}");
    }
    let claim = ClaimKeyPackages { account_id: alice.account, devices: vec![] };
    let mut socket = Socket::connect(&alice).await;
    assert_eq!(put(2, &key, vec![good.clone()]).await, Ok(()));

    // Whatever the old key has opened is closed, and it opens nothing again.
    assert_eq!(socket.end().await.0, Some(FaultCode::Unauthenticated));
    assert_eq!(put(3, &key, vec![]).await, Err(FaultCode::Unauthenticated));
    let login = alice.login(&alice.challenge().await);
    let refused = alice.post::<_, Session>("/v1/sessions", &login).await;
    assert_eq!(refused.unwrap_err(), FaultCode::Unauthenticated);
    let directory: Directory = mallory.get(&format!("/v1/accounts/{}", alice.account)).await.unwrap();
    assert_eq!(directory.device_certificates, [good]);
    // Nobody gets a KeyPackage of the old one.
    let claimed: ClaimedKeyPackages = mallory.post("/v1/key-packages/claim", &claim).await.unwrap();
    assert!(claimed.key_packages.is_empty());

    alice.key = key;
    alice.log_in().await;
    let left: KeyPackageCount = alice.get("/v1/key-packages").await.unwrap();
    assert_eq!(left.count, 0);
}

async fn an_identity_key_that_was_replaced_signs_nothing_any_more(database: Database) {
    let server = Server::start(database).await;
    let (alice, identity, key, recovery) = draw_with_recovery("alice");
    let session = register(&server, &alice).await.unwrap();
    let who = (alice.account_id, alice.device_id);
    let (next, mallory) = (generate(), generate());
    let record = |identity: &AccountSigningKey, recovery: &AccountSigningKey, created_at| -> Binary {
        let record = AccountRecord {
            account: who.0,
            name: alice.name.clone(),
            identity_key: identity.public().clone(),
            recovery_key: recovery.public().clone(),
            created_at,
        };
        record.sign(identity, recovery).unwrap().into()
    };
    let certificate = |by: &AccountSigningKey| {
        let certificate = DeviceCertificate {
            account: who.0,
            device: who.1,
            device_key: key.public().clone(),
            identity_key_hash: by.public().hash(),
            created_at: now() + 20,
        };
        PutCertificate { certificate: certificate.sign(by).unwrap().into(), label: None, grant: None }
    };
    let signed = |version, by: &AccountSigningKey| -> Binary {
        list(who.0, version, &[(who.1, &key)]).sign(by).unwrap().into()
    };
    let put = async |by: &AccountSigningKey, words: &AccountSigningKey, account_record: Option<Binary>| {
        let asked = RecoveryChallengeRequest { name: alice.name.clone(), device_id: who.1 };
        let answer = http().post(server.url("/v1/recovery/challenge")).json(&asked).send().await.unwrap();
        let challenge: RecoveryChallenge = answer.json().await.unwrap();
        let proof = RecoveryProof {
            nonce: challenge.nonce.as_ref().try_into().unwrap(),
            server: challenge.server_id,
            expires_at: challenge.expires_at,
            account: who.0,
            device: who.1,
        };
        let device_list = signed((1 << 16) + 1, by);
        let signature = proof.sign(Recovering::AddDevice { list: device_list.as_ref() }, words).unwrap();
        let put = AddRecovered {
            account_id: who.0,
            device_id: who.1,
            proof: Proof { nonce: challenge.nonce, signature: signature.into() },
            device_list,
            certificate: certificate(by),
            account_record,
        };
        let answer = http().post(server.url("/v1/recovery/device")).json(&put).send().await.unwrap();
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(());
        }
        Err(answer.json::<FaultBody>().await.unwrap().error.code)
    };

    // Whoever has a device can date certificates and lists as late as they are taken.
    let mut late = list(who.0, 1 << 16, &[(who.1, &key)]);
    late.issued_at = now() + 9 * 365 * 24 * 3600;
    late.expires_at = late.issued_at + DeviceList::LIFETIME;
    let stolen = DeviceCertificate {
        account: who.0,
        device: who.1,
        device_key: key.public().clone(),
        identity_key_hash: identity.public().hash(),
        created_at: late.issued_at,
    };
    let certificates = vec![PutCertificate {
        certificate: stolen.sign(&identity).unwrap().into(),
        label: None,
        grant: None,
    }];
    let device_list = late.sign(&identity).unwrap().into();
    let asked = http().put(server.url("/v1/account/device-list")).bearer_auth(&session.access_token);
    let robbing = PutDeviceList { device_list, certificates, ..PutDeviceList::default() };
    assert!(asked.json(&robbing).send().await.unwrap().status().is_success());

    let later = now() + 10;
    let good = record(&next, &recovery, later);
    for (name, by, words, account_record, code) in [
        ("without the words", &next, &mallory, Some(good.clone()), FaultCode::Unauthenticated),
        ("without a record", &next, &recovery, None, FaultCode::BadRequest),
        ("other words", &next, &recovery, Some(record(&next, &mallory, later)), FaultCode::BadRequest),
        ("an older record", &next, &recovery, Some(record(&next, &recovery, 1)), FaultCode::Conflict),
        ("another key's list", &mallory, &recovery, Some(good.clone()), FaultCode::BadRequest),
    ] {
        assert_eq!(put(by, words, account_record).await, Err(code), "{name}");
    }
    assert_eq!(put(&next, &recovery, Some(good.clone())).await, Ok(()));

    // Whoever has the former one and a session: no list, and no way back.
    let before = now() + 100;
    for (name, by, account_record) in [
        ("the former key", &identity, None),
        ("the former record", &identity, Some(alice.account_record.clone())),
        ("words of his own", &identity, Some(record(&identity, &mallory, before))),
    ] {
        let request = PutDeviceList {
            device_list: signed((1 << 16) + 9, by),
            certificates: vec![certificate(by)],
            account_record,
            ..PutDeviceList::default()
        };
        let asked = http().put(server.url("/v1/account/device-list")).bearer_auth(&session.access_token);
        let answer = asked.json(&request).send().await.unwrap();
        assert!(answer.status().is_client_error(), "{name}: {}", answer.status());
    }
    let mallory = Device::register(&server, "mallory").await;
    let directory: Directory = mallory.get(&format!("/v1/accounts/{}", who.0)).await.unwrap();
    assert_eq!(directory.account_record, good);
}

fn generate() -> AccountSigningKey {
    AccountSigningKey::generate(&SystemEntropy).unwrap()
}
