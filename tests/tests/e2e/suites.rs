//! What is of another cipher suite: the daemon cannot tell and takes it, the client says what it is and goes on.

use std::sync::Arc;

use bytes::Bytes;
use qchat_proto::{
    crypto::{
        entropy::SystemEntropy,
        sign::{AccountPublicKey, DeviceSigningKey},
    },
    ids::{AccountId, Seq},
    mls::{self, identity::AccountKeys},
    wire::{
        api::{self, Binary},
        frame::{Kind, MembershipChange, Operation},
        pb::{self, client_frame, server_frame},
    },
};
use qchat_tests::{
    client::Client,
    daemon::Daemon,
    database::Backend,
    device::{Device, now, registration},
    http,
};

/// `MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519` (RFC 9420 §17.1).
const OTHER_SUITE: [u8; 2] = [0, 1];

struct Nobody;

impl AccountKeys for Nobody {
    fn account_key(&self, _account: AccountId, _hash: &[u8; 48]) -> Option<AccountPublicKey> {
        None
    }
}

/// A KeyPackage in which nothing is out of the ordinary but its suite.
fn key_package(registering: &api::Register, key: &DeviceSigningKey) -> Binary {
    let certificate = registering.device_certificate.as_ref();
    let device = mls::device::Device::new(certificate, key, Arc::new(SystemEntropy), Arc::new(Nobody))
        .expect("a device");
    let made = device.key_packages(1, false, now()).expect("a KeyPackage").remove(0);
    let mut message = made.message.to_vec();
    // MLSMessage: version, wire format; KeyPackage: version, suite (RFC 9420 §6, §10).
    message[6..8].copy_from_slice(&OTHER_SUITE);
    message.into()
}

#[test]
fn a_key_package_of_another_suite_is_not_invited_and_the_reason_is_said() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let (mut registering, key) = registration("mallory");
    let other = key_package(&registering, &key);
    registering.key_packages = vec![other.clone()];
    registering.last_resort_key_package = other;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let registered = runtime.block_on(async {
        let request = http::client().post(format!("{}/v1/accounts", daemon.url()));
        request.json(&registering).send().await.expect("an answer").status()
    });
    assert_eq!(registered, 201, "the daemon cannot tell");

    alice.ok(&["room", "create", "general"]);
    // A one-time KeyPackage, then the last resort.
    for _ in 0..2 {
        let said = alice.fails(6, &["room", "invite", "general", "mallory"]);
        assert!(said.contains("mallory") && said.contains("cipher suite"), "{said}");
    }
    let room = &alice.json(&["room", "show", "general"])[0];
    assert_eq!(room["members"].as_array().map(Vec::len), Some(1), "{room}");
    alice.ok(&["send", "general", "alone, as before"]);
    assert!(daemon.is_ready());
}

#[test]
fn an_invitation_of_another_suite_is_not_opened_and_the_reason_is_said() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let bob = Client::register(&daemon.url(), "bob");
    let account: AccountId =
        bob.json(&["whoami"])[0]["account"].as_str().expect("an account").parse().expect("an id");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let room = runtime.block_on(async {
        let mallory = Device::register(&daemon.url(), "mallory").await;
        let room = mallory.create_room().await;
        let device = mallory.claim_key_packages(account).await.key_packages[0].device_id;
        let mut envelope = mallory.envelope(room, Seq(0), vec![1]);
        envelope.kind = Kind::Commit;
        envelope.delta = vec![MembershipChange { operation: Operation::Add, account, device }];
        // MLSMessage: version, wire format; Welcome: suite, no secrets, four bytes of GroupInfo (RFC 9420 §12.4.3.1).
        let welcome = [&[0, 1, 0, 3][..], &OTHER_SUITE, &[0, 4, 1, 2, 3, 4]].concat();
        let publish = pb::Publish {
            request_id: 1,
            envelope: envelope.encode(),
            welcomes: vec![pb::Invitation {
                device_id: Bytes::copy_from_slice(device.as_bytes()),
                welcome: welcome.into(),
            }],
            tree_hash: Bytes::copy_from_slice(mallory.put_tree(room, vec![1]).await.as_bytes()),
            after: Bytes::new(),
        };
        let mut socket = mallory.connect().await;
        socket.send(client_frame::Body::Publish(publish)).await;
        let answer = socket.answer().await;
        assert!(
            matches!(answer, Some(server_frame::Body::Accepted(_))),
            "the daemon cannot tell: {answer:?}"
        );
        room.to_string()
    });

    let said = bob.fails(6, &["room", "join", &room]);
    assert!(said.contains("cipher suite"), "{said}");
    bob.ok(&["room", "create", "general"]);
    bob.ok(&["send", "general", "undisturbed"]);
    assert!(daemon.is_ready());
}
