//! The directory of an account: what an honest server answers is believed, and each lie has its own refusal.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod identity_owner;

use identity_owner::{NOW, Owner};
use qchat_proto::{
    crypto::sign::AccountSigningKey,
    identity::{
        AccountProof, AccountRecord, Answer, Asked, Deed, DeviceCertificate, DeviceList, IdentityError,
        LeafCredential, ListedDevice, LoginProof, Pinned, VerifiedDirectory, verify_directory,
    },
    ids::{AccountId, DeviceId, ServerId, UserName},
};

/// An answer whose parts can be exchanged for worse ones.
struct Parts {
    record: Vec<u8>,
    list: Vec<u8>,
    certificates: Vec<Vec<u8>>,
}

impl Parts {
    fn honest(owner: &Owner) -> Self {
        Self { record: owner.record(NOW), list: owner.list(7), certificates: owner.certificates() }
    }

    fn ask(&self, owner: &Owner, pinned: Option<&Pinned>) -> Result<VerifiedDirectory, IdentityError> {
        verify_directory(Asked::Name(&owner.name), &self.answer(), pinned, NOW)
    }

    fn answer(&self) -> Answer<'_> {
        Answer {
            record: &self.record,
            list: &self.list,
            certificates: self.certificates.iter().map(Vec::as_slice).collect(),
        }
    }
}

#[test]
fn an_honest_answer_is_believed_and_pinned() {
    let alice = Owner::new("alice", 3);
    let mut parts = Parts::honest(&alice);
    parts.certificates.reverse();
    parts.certificates.push(alice.certificate(DeviceId::from_bytes([99; 16]), &alice.devices[0].1));
    let directory = parts.ask(&alice, None).unwrap();
    assert_eq!(directory.record.name, alice.name);
    assert_eq!(directory.list, alice.list_of(7));
    assert_eq!(directory.list.expires_at - NOW, 2_592_000, "30 days");
    let devices: Vec<_> = directory.certificates.iter().map(|certificate| certificate.device).collect();
    assert_eq!(devices, alice.devices.iter().map(|(device, _)| *device).collect::<Vec<_>>());
    assert!(directory.certificate(DeviceId::from_bytes([99; 16])).is_none(), "unlisted, so unused");
    for certificate in &directory.certificates {
        assert_eq!(directory.certificate(certificate.device), Some(certificate));
    }
    let by_id = verify_directory(Asked::Account(alice.account), &parts.answer(), None, NOW);
    assert_eq!(by_id, Ok(directory.clone()));

    let pin = Pinned::decode(&directory.pin().encode()).unwrap();
    assert_eq!(pin, directory.pin());
    parts.ask(&alice, Some(&pin)).unwrap();
    // Signed again the list has other bytes and says the same; a newer one replaces it.
    parts.list = alice.list(7);
    parts.ask(&alice, Some(&pin)).unwrap();
    parts.list = alice.list(8);
    assert_eq!(parts.ask(&alice, Some(&pin)).unwrap().pin().list_version, 8);
}

type Lie<'a> = Box<dyn Fn(&mut Parts) + 'a>;

#[test]
fn every_lie_about_a_directory_has_its_refusal() {
    let alice = Owner::new("alice", 2);
    let mallory = Owner::new("alice", 2);
    let pin = Parts::honest(&alice).ask(&alice, None).unwrap().pin();
    let (first, first_key) = &alice.devices[0];
    let forged = |what| IdentityError::Forged(what);
    let other = |what, about| IdentityError::Mismatch { what, about };
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };

    let cases: Vec<(&str, Lie<'_>, IdentityError)> = vec![
        (
            "the account id is changed",
            Box::new(|parts| parts.record = flipped(&parts.record, 2)),
            forged("account record"),
        ),
        (
            "the identity key's signature is broken",
            Box::new(|parts| parts.record = flipped(&parts.record, parts.record.len() - 4691 - 1)),
            forged("account record"),
        ),
        (
            "the recovery key's signature is broken",
            Box::new(|parts| parts.record = flipped(&parts.record, parts.record.len() - 1)),
            forged("account record"),
        ),
        (
            "another account under the same name",
            Box::new(|parts| *parts = Parts::honest(&mallory)),
            other("account record", "account"),
        ),
        (
            "new keys for the account",
            Box::new(|parts| {
                let taken = Owner { account: alice.account, ..Owner::new("alice", 2) };
                *parts = Parts::honest(&taken);
            }),
            IdentityError::IdentityChanged { account: alice.account, by_recovery_key: false },
        ),
        (
            "a new recovery key under the old identity key",
            Box::new(|parts| {
                let taken = Owner {
                    account: alice.account,
                    identity: AccountSigningKey::from_seed(copy(alice.identity.seed())).unwrap(),
                    ..Owner::new("alice", 0)
                };
                *parts = Parts::honest(&taken);
            }),
            IdentityError::IdentityChanged { account: alice.account, by_recovery_key: false },
        ),
        (
            "an identity key rotated with the recovery key",
            Box::new(|parts| {
                let recovered = Owner {
                    account: alice.account,
                    recovery: AccountSigningKey::from_seed(copy(alice.recovery.seed())).unwrap(),
                    ..Owner::new("alice", 2)
                };
                *parts = Parts { record: recovered.record(NOW + 1), ..Parts::honest(&recovered) };
            }),
            IdentityError::IdentityChanged { account: alice.account, by_recovery_key: true },
        ),
        (
            "the record of before",
            Box::new(|parts| parts.record = alice.record(NOW - 1)),
            IdentityError::RolledBack { what: "account record", known: NOW, offered: NOW - 1 },
        ),
        (
            "a list by another identity key",
            Box::new(|parts| {
                let list = DeviceList { account: alice.account, ..mallory.list_of(8) };
                parts.list = list.sign(&mallory.identity).unwrap();
            }),
            forged("device list"),
        ),
        (
            "a device added to the list",
            Box::new(|parts| {
                let at = 2 + 16 + 24 + 1;
                parts.list = flipped(&parts.list, at + 20);
            }),
            forged("device list"),
        ),
        (
            "a list of before a revocation",
            Box::new(|parts| parts.list = alice.list(6)),
            IdentityError::RolledBack { what: "device list", known: 7, offered: 6 },
        ),
        (
            "two lists of one version",
            Box::new(|parts| {
                let mut list = alice.list_of(7);
                list.devices.pop();
                parts.list = list.sign(&alice.identity).unwrap();
            }),
            IdentityError::Forked { version: 7 },
        ),
        (
            "a list whose time is over",
            Box::new(|parts| {
                let list = DeviceList { issued_at: NOW - 9, expires_at: NOW, ..alice.list_of(8) };
                parts.list = list.sign(&alice.identity).unwrap();
            }),
            IdentityError::Expired { what: "device list", expired_at: NOW, now: NOW },
        ),
        (
            "a list of another account",
            Box::new(|parts| {
                let list = DeviceList { account: mallory.account, ..alice.list_of(8) };
                parts.list = list.sign(&alice.identity).unwrap();
            }),
            other("device list", "account"),
        ),
        (
            "a listed device without its certificate",
            Box::new(|parts| drop(parts.certificates.remove(0))),
            IdentityError::GhostDevice { device: *first },
        ),
        (
            "a certificate for another key than the listed one",
            Box::new(|parts| {
                parts.certificates[0] = alice.certificate(*first, &mallory.devices[0].1);
            }),
            IdentityError::GhostDevice { device: *first },
        ),
        (
            "a certificate by another identity key",
            Box::new(|parts| {
                let certificate = DeviceCertificate {
                    account: alice.account,
                    device: *first,
                    device_key: first_key.public().clone(),
                    identity_key_hash: mallory.identity.public().hash(),
                    created_at: NOW,
                };
                parts.certificates[0] = certificate.sign(&mallory.identity).unwrap();
            }),
            other("device certificate", "identity key"),
        ),
        (
            "a certificate whose signature is broken",
            Box::new(|parts| {
                parts.certificates[0] = flipped(&parts.certificates[0], parts.certificates[0].len() - 100);
            }),
            forged("device certificate"),
        ),
        (
            "a certificate for another account by the same key",
            Box::new(|parts| {
                let certificate = DeviceCertificate {
                    account: mallory.account,
                    device: *first,
                    device_key: first_key.public().clone(),
                    identity_key_hash: alice.identity.public().hash(),
                    created_at: NOW,
                };
                parts.certificates[0] = certificate.sign(&alice.identity).unwrap();
            }),
            other("device certificate", "account"),
        ),
    ];
    for (lie, tell, refusal) in cases {
        let mut parts = Parts::honest(&alice);
        tell(&mut parts);
        assert_eq!(parts.ask(&alice, Some(&pin)).err(), Some(refusal), "{lie}");
    }

    let honest = Parts::honest(&alice);
    let bob: UserName = "bob".parse().unwrap();
    let asked = verify_directory(Asked::Name(&bob), &honest.answer(), None, NOW);
    assert_eq!(asked.err(), Some(other("account record", "name")));
    let asked = verify_directory(Asked::Account(mallory.account), &honest.answer(), None, NOW);
    assert_eq!(asked.err(), Some(other("account record", "account")));
}

fn copy(seed: &qchat_proto::crypto::secret::Secret<64>) -> qchat_proto::crypto::secret::Secret<64> {
    qchat_proto::crypto::secret::Secret::from_bytes(*seed.expose())
}

#[test]
fn a_leaf_credential_is_its_certificate_for_its_own_key_only() {
    let alice = Owner::new("alice", 2);
    let mallory = Owner::new("mallory", 1);
    let encoded = &alice.certificates()[0];
    let certificate = DeviceCertificate::verify(encoded, alice.identity.public()).unwrap();
    let credential = LeafCredential::from_certificate(encoded).unwrap();
    let credential = LeafCredential::decode(&credential.encode()).unwrap();
    let identity = alice.identity.public();
    let key = |n: usize| alice.devices[n].1.public().clone();
    assert_eq!(credential.verify(key(0), identity), Ok(certificate));

    let forged = Err(IdentityError::Forged("device certificate"));
    assert_eq!(credential.verify(key(1), identity), forged);
    let wrong = IdentityError::Mismatch { what: "device certificate", about: "identity key" };
    assert_eq!(credential.verify(key(0), mallory.identity.public()), Err(wrong));
    for changed in [
        LeafCredential { account: mallory.account, ..credential.clone() },
        LeafCredential { device: DeviceId::from_bytes([0; 16]), ..credential.clone() },
        LeafCredential { certificate_created_at: 0, ..credential.clone() },
        LeafCredential { certificate_signature: vec![0; 4691], ..credential.clone() },
        LeafCredential { certificate_signature: vec![], ..credential.clone() },
    ] {
        assert_eq!(changed.verify(key(0), identity), forged);
    }
}

#[test]
fn a_login_proof_is_good_for_one_nonce_server_and_time() {
    let alice = Owner::new("alice", 2);
    let proof = LoginProof {
        nonce: [5; 32],
        server: ServerId::from_bytes([6; 16]),
        expires_at: NOW + 60,
        account: alice.account,
        device: alice.devices[0].0,
    };
    let key = alice.devices[0].1.public();
    let signature = proof.sign(&alice.devices[0].1).unwrap();
    assert_eq!(proof.verify(&signature, key, NOW), Ok(()));

    let late = proof.verify(&signature, key, NOW + 60);
    assert!(matches!(late, Err(IdentityError::Expired { .. })), "{late:?}");
    let forged = Err(IdentityError::Forged("login proof"));
    assert_eq!(proof.verify(&signature, alice.devices[1].1.public(), NOW), forged);
    for changed in [
        LoginProof { nonce: [4; 32], ..proof.clone() },
        LoginProof { server: ServerId::from_bytes([7; 16]), ..proof.clone() },
        LoginProof { expires_at: NOW + 61, ..proof.clone() },
        LoginProof { account: AccountId::from_bytes([0; 16]), ..proof.clone() },
        LoginProof { device: alice.devices[1].0, ..proof.clone() },
    ] {
        assert_eq!(changed.verify(&signature, key, NOW), forged);
    }
}

#[test]
fn an_account_proof_is_good_for_one_deed_and_what_it_is_done_with() {
    let alice = Owner::new("alice", 2);
    let proof = AccountProof {
        nonce: [5; 32],
        server: ServerId::from_bytes([6; 16]),
        expires_at: NOW + 60,
        account: alice.account,
        device: alice.devices[0].0,
    };
    let key = alice.devices[0].1.public();
    let change =
        |key: &'static [u8], salt: &'static [u8]| Deed::ChangePassphrase { auth_key: key, auth_salt: salt };
    let deeds = [
        change(&[1; 32], &[2; 16]),
        change(&[1; 32], &[3; 16]),
        change(&[3; 32], &[2; 16]),
        Deed::Export,
        Deed::Delete { token: &[1; 32] },
        Deed::Delete { token: &[] },
    ];
    let forged = Err(IdentityError::Forged("account proof"));
    for (made, deed) in deeds.iter().enumerate() {
        let signature = proof.sign(*deed, &alice.devices[0].1).unwrap();
        for (judged, other) in deeds.iter().enumerate() {
            let verified = proof.verify(*other, &signature, key, NOW);
            assert_eq!(
                verified,
                if made == judged { Ok(()) } else { forged.clone() },
                "{deed:?} as {other:?}"
            );
        }
        let late = proof.verify(*deed, &signature, key, NOW + 60);
        assert!(matches!(late, Err(IdentityError::Expired { .. })), "{late:?}");
        assert_eq!(proof.verify(*deed, &signature, alice.devices[1].1.public(), NOW), forged);
        for changed in [
            AccountProof { nonce: [4; 32], ..proof.clone() },
            AccountProof { server: ServerId::from_bytes([7; 16]), ..proof.clone() },
            AccountProof { expires_at: NOW + 61, ..proof.clone() },
            AccountProof { account: AccountId::from_bytes([0; 16]), ..proof.clone() },
            AccountProof { device: alice.devices[1].0, ..proof.clone() },
        ] {
            assert_eq!(changed.verify(*deed, &signature, key, NOW), forged);
        }
        // Nor is it a login proof, or the reverse.
        let AccountProof { nonce, server, expires_at, account, device } = proof.clone();
        let login = LoginProof { nonce, server, expires_at, account, device };
        assert!(login.verify(&signature, key, NOW).is_err());
        assert_eq!(proof.verify(*deed, &login.sign(&alice.devices[0].1).unwrap(), key, NOW), forged);
    }
}

#[test]
fn statements_that_contradict_themselves_are_never_signed() {
    let alice = Owner::new("alice", 2);
    let mallory = Owner::new("mallory", 1);
    let list = alice.list_of(1);
    let malformed = Some(IdentityError::Malformed("device list"));
    for devices in [
        list.devices.iter().rev().copied().collect::<Vec<_>>(),
        vec![list.devices[0]; 2],
        (0..101_u8)
            .map(|n| ListedDevice { device: DeviceId::from_bytes([n; 16]), device_key_hash: [0; 48] })
            .collect(),
    ] {
        let list = DeviceList { devices, ..list.clone() };
        assert_eq!(list.sign(&alice.identity).err(), malformed);
    }
    let list = DeviceList { expires_at: list.issued_at, ..list };
    assert_eq!(list.sign(&alice.identity).err(), malformed);

    let mut record = AccountRecord::verify(&alice.record(NOW)).unwrap();
    let wrong_key = Some(IdentityError::Mismatch { what: "account record", about: "key" });
    assert_eq!(record.sign(&mallory.identity, &alice.recovery).err(), wrong_key);
    assert_eq!(record.sign(&alice.identity, &mallory.recovery).err(), wrong_key);
    record.recovery_key = record.identity_key.clone();
    let malformed = Some(IdentityError::Malformed("account record"));
    assert_eq!(record.sign(&alice.identity, &alice.identity).err(), malformed);
}
