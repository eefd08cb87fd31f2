//! Two devices of one account that meet through a server, and everybody who may stand between them.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod identity_owner;

use identity_owner::{NOW, Owner};
use qchat_proto::{
    crypto::{
        entropy::SystemEntropy,
        secret::Secret,
        sign::{AccountSigningKey, DeviceSigningKey},
    },
    identity::{
        Answer, Asked, DeviceCertificate, DeviceList, DeviceName, IdentityError, ListedDevice,
        link::{Grant, HandedContact, LinkAnswer, LinkError, LinkHello, NewDevice, OldDevice, Transcript},
        verify_directory,
    },
    ids::{DeviceId, ServerId},
};

const SERVER: ServerId = ServerId::from_bytes([7; 16]);

fn new_device(name: &str) -> NewDevice {
    NewDevice::draw(SERVER, name.parse().unwrap(), DeviceName::new("laptop").unwrap(), &SystemEntropy)
        .unwrap()
}

/// What a device of `owner` answers with.
fn own(owner: &Owner) -> LinkAnswer {
    LinkAnswer {
        server: SERVER,
        account: owner.account,
        device: owner.devices[0].0,
        identity_key_hash: owner.identity.public().hash(),
        recovery_key_hash: owner.recovery.public().hash(),
        transfer_key: vec![],
        nonce: [0; 32],
    }
}

fn old_device(owner: &Owner, commitment: [u8; 48]) -> OldDevice {
    OldDevice::answer(commitment, own(owner), &SystemEntropy).unwrap()
}

/// What makes the device that said `hello` one of `owner`'s.
fn grant(owner: &Owner, hello: &LinkHello) -> Grant {
    let mut list = owner.list_of(1).next(0, NOW);
    list.add(ListedDevice { device: hello.device, device_key_hash: hello.device_key.hash() });
    let certificate = DeviceCertificate {
        account: owner.account,
        device: hello.device,
        device_key: hello.device_key.clone(),
        identity_key_hash: owner.identity.public().hash(),
        created_at: list.issued_at,
    };
    Grant {
        account_key: seed(&owner.identity),
        record: owner.record(NOW),
        certificate: certificate.sign(&owner.identity).unwrap(),
        list: list.sign(&owner.identity).unwrap(),
        contacts: vec![],
    }
}

fn seed(key: &AccountSigningKey) -> Secret<64> {
    Secret::from_bytes(*key.seed().expose())
}

/// The first three messages between two devices.
fn meeting(new: &NewDevice, owner: &Owner) -> (OldDevice, LinkAnswer, [Transcript; 2], LinkHello) {
    let old = old_device(owner, new.commitment());
    let (answer, at_new) = new.meet(old.answer_bytes()).unwrap();
    let opening = new.opening(old.answer_bytes(), &SystemEntropy).unwrap();
    let (hello, at_old) = old.open(&opening, &owner.name).unwrap();
    (old, answer, [at_new, at_old], hello)
}

/// How a grant is spoilt.
type Change<'a> = Box<dyn Fn(&mut Grant) + 'a>;

#[test]
fn two_devices_show_the_same_code_and_the_grant_makes_the_new_one_a_device_of_the_account() {
    let (alice, bob) = (Owner::new("alice", 1), Owner::new("bob", 1));
    let new = new_device("alice");
    let (old, answer, [at_new, at_old], hello) = meeting(&new, &alice);
    assert_eq!(at_new.code().digits(), at_old.code().digits());
    assert!(at_old.code().is(&at_new.code().digits()));
    assert_eq!((&hello, hello.name.as_str()), (new.hello(), "laptop"));

    let bobs = (bob.record(NOW), bob.list(1), bob.certificates());
    let directory =
        Answer { record: &bobs.0, list: &bobs.1, certificates: bobs.2.iter().map(Vec::as_slice).collect() };
    let pinned = verify_directory(Asked::Name(&bob.name), &directory, None, NOW).unwrap().pin();
    let known = HandedContact { name: bob.name, pinned, verified: true, first_seen_ms: -5, changed: None };
    let changed =
        HandedContact { verified: false, changed: Some((vec![1, 2, 3], vec![4; 70_000])), ..known.clone() };
    let contacts = vec![known, changed];
    let sealed = Grant { contacts: contacts.clone(), ..grant(&alice, &hello) }
        .seal(&hello, &at_old, &SystemEntropy)
        .unwrap();

    // Both may have been stopped and started again meanwhile.
    let restored = OldDevice::restore(
        *old.commitment(),
        old.answer_bytes().to_vec(),
        Secret::from_bytes(*old.transfer_secret().expose()),
    )
    .unwrap();
    let opening = new.opening(old.answer_bytes(), &SystemEntropy).unwrap();
    assert_eq!(restored.open(&opening, &alice.name).unwrap().1, at_old);
    let again = NewDevice::restore(
        new.hello_bytes().to_vec(),
        Secret::from_bytes(*new.nonce().expose()),
        Secret::from_bytes(*new.key().seed().expose()),
        Secret::from_bytes(*new.transfer_secret().expose()),
    )
    .unwrap();
    let (_, transcript) = again.meet(old.answer_bytes()).unwrap();
    let opened = again.accept(&answer, &transcript, &sealed, NOW).unwrap();
    assert!(opened.account_key.ct_eq(alice.identity.seed()));
    assert_eq!(opened.contacts, contacts);
    let first = &alice.certificates()[0];
    let answer = Answer {
        record: &opened.record,
        list: &opened.list,
        certificates: [first, &opened.certificate].map(Vec::as_slice).to_vec(),
    };
    let directory = verify_directory(Asked::Account(alice.account), &answer, None, NOW).unwrap();
    assert_eq!(directory.certificate(new.hello().device).unwrap().device_key, *again.key().public());
}

#[test]
fn whoever_stands_between_two_devices_has_them_show_different_codes() {
    let (alice, mallory) = (Owner::new("alice", 1), Owner::new("alice", 1));
    let new = new_device("alice");
    let codes_differ = |at_new: &Transcript, at_old: &Transcript| {
        assert_ne!(at_new.code().digits(), at_old.code().digits());
    };

    // A device of its own towards the old one, and an account of its own towards the new one.
    let (_, _, [at_new, _], _) = meeting(&new, &mallory);
    let own_device = new_device("alice");
    let (_, _, [_, at_old], hello) = meeting(&own_device, &alice);
    codes_differ(&at_new, &at_old);
    // What the old one grants then is not for the new one, nor what the liar could make of it.
    let sealed = grant(&alice, &hello).seal(&hello, &at_old, &SystemEntropy).unwrap();
    let (answer, transcript) = new.meet(old_device(&mallory, new.commitment()).answer_bytes()).unwrap();
    assert_eq!(new.accept(&answer, &transcript, &sealed, NOW).err(), Some(LinkError::Sealed));

    // The genuine account's answer with another key to open to, so that it learns the hello, which it passes on.
    let old = old_device(&alice, new.commitment());
    let genuine = LinkAnswer::decode(old.answer_bytes()).unwrap();
    let reading = OldDevice::answer(new.commitment(), genuine.clone(), &SystemEntropy).unwrap();
    let (_, at_new) = new.meet(reading.answer_bytes()).unwrap();
    let opening = new.opening(reading.answer_bytes(), &SystemEntropy).unwrap();
    let (hello, _) = reading.open(&opening, &alice.name).unwrap();
    assert_eq!(hello, *new.hello());
    let passed_on = NewDevice::restore(
        new.hello_bytes().to_vec(),
        Secret::from_bytes(*new.nonce().expose()),
        Secret::from_bytes(*new.key().seed().expose()),
        Secret::from_bytes([0; 32]),
    )
    .unwrap();
    let opening = passed_on.opening(old.answer_bytes(), &SystemEntropy).unwrap();
    let (_, at_old) = old.open(&opening, &alice.name).unwrap();
    codes_differ(&at_new, &at_old);

    // Everything genuine but one field of the answer.
    let changes: [fn(&mut LinkAnswer); 4] = [
        |answer| answer.device = DeviceId::from_bytes([9; 16]),
        |answer| answer.identity_key_hash = [9; 48],
        |answer| answer.recovery_key_hash = [9; 48],
        |answer| answer.nonce = [9; 32],
    ];
    for change in changes {
        let mut changed = genuine.clone();
        change(&mut changed);
        let (_, at_new) = new.meet(&changed.encode()).unwrap();
        codes_differ(&at_new, &at_old);
    }
}

#[test]
fn a_new_device_opens_what_it_has_committed_to_and_nothing_else() {
    let alice = Owner::new("alice", 1);
    let (new, other) = (new_device("alice"), new_device("alice"));
    let old = old_device(&alice, new.commitment());
    let sealed_for_another_commitment = other.opening(old.answer_bytes(), &SystemEntropy).unwrap();
    assert_eq!(old.open(&sealed_for_another_commitment, &alice.name).err(), Some(LinkError::Sealed));
    // Bound to the genuine commitment, with another's key in the hello: who knows both seals it anew.
    let forged = NewDevice::restore(
        new.hello_bytes().to_vec(),
        Secret::from_bytes([1; 32]),
        Secret::from_bytes(*new.key().seed().expose()),
        Secret::from_bytes([0; 32]),
    )
    .unwrap();
    let opening = forged.opening(old.answer_bytes(), &SystemEntropy).unwrap();
    assert!(matches!(old.open(&opening, &alice.name).err(), Some(LinkError::Sealed | LinkError::Commitment)));
    for (server, name, about) in
        [(ServerId::from_bytes([8; 16]), "alice", "server"), (SERVER, "alison", "account")]
    {
        let laptop = DeviceName::new("laptop").unwrap();
        let strange = NewDevice::draw(server, name.parse().unwrap(), laptop, &SystemEntropy).unwrap();
        let old = old_device(&alice, strange.commitment());
        let opening = strange.opening(old.answer_bytes(), &SystemEntropy).unwrap();
        assert_eq!(old.open(&opening, &alice.name).err(), Some(LinkError::Mismatch(about)));
        let met = strange.meet(old.answer_bytes()).err();
        assert_eq!(met, (about == "server").then_some(LinkError::Mismatch("server")));
    }
}

#[test]
fn every_lie_in_a_grant_has_its_refusal() {
    let (alice, mallory) = (Owner::new("alice", 1), Owner::new("alice", 1));
    let new = new_device("alice");
    let (_, answer, [transcript, _], hello) = meeting(&new, &alice);
    let mismatch = LinkError::Mismatch;
    let another = DeviceSigningKey::generate(&SystemEntropy).unwrap();
    let certificate = |device, key: &DeviceSigningKey, by: &Owner| {
        let certificate = DeviceCertificate {
            account: by.account,
            device,
            device_key: key.public().clone(),
            identity_key_hash: by.identity.public().hash(),
            created_at: NOW,
        };
        certificate.sign(&by.identity).unwrap()
    };
    let lists = |change: fn(&mut DeviceList)| {
        let mut list = DeviceList::verify(&grant(&alice, &hello).list, alice.identity.public(), NOW).unwrap();
        change(&mut list);
        list.sign(&alice.identity).unwrap()
    };
    let rows: Vec<(&str, Change<'_>, LinkError)> = vec![
        (
            "the key of another account",
            Box::new(|grant| grant.account_key = seed(&mallory.identity)),
            mismatch("account"),
        ),
        (
            "another account's record",
            Box::new(|grant| grant.record = mallory.record(NOW)),
            mismatch("account"),
        ),
        (
            "all of another account",
            Box::new(|grant| *grant = self::grant(&mallory, &hello)),
            mismatch("account"),
        ),
        (
            "another recovery key",
            Box::new(|grant| {
                let stolen = Owner {
                    account: alice.account,
                    name: alice.name.clone(),
                    identity: AccountSigningKey::from_seed(seed(&alice.identity)).unwrap(),
                    recovery: AccountSigningKey::generate(&SystemEntropy).unwrap(),
                    devices: vec![],
                };
                grant.record = stolen.record(NOW);
            }),
            mismatch("account"),
        ),
        (
            "a certificate of another device",
            Box::new(|grant| grant.certificate = certificate(alice.devices[0].0, new.key(), &alice)),
            mismatch("device"),
        ),
        (
            "a certificate of another key",
            Box::new(|grant| grant.certificate = certificate(hello.device, &another, &alice)),
            mismatch("device"),
        ),
        (
            "a certificate by another account",
            Box::new(|grant| grant.certificate = certificate(hello.device, new.key(), &mallory)),
            IdentityError::Mismatch { what: "device certificate", about: "identity key" }.into(),
        ),
        (
            "a list without the device",
            Box::new(|grant| grant.list = alice.list(2)),
            IdentityError::Mismatch { what: "device list", about: "device" }.into(),
        ),
        (
            "a list with another key of it",
            Box::new(|grant| {
                grant.list =
                    lists(|list| list.devices.iter_mut().for_each(|listed| listed.device_key_hash = [0; 48]));
            }),
            IdentityError::Mismatch { what: "device list", about: "device" }.into(),
        ),
        (
            "a list that is over",
            Box::new(|grant| {
                grant.list = lists(|list| (list.issued_at, list.expires_at) = (NOW - 9, NOW - 1));
            }),
            IdentityError::Expired { what: "device list", expired_at: NOW - 1, now: NOW }.into(),
        ),
        (
            "another account's list",
            Box::new(|grant| grant.list = self::grant(&mallory, &hello).list),
            IdentityError::Forged("device list").into(),
        ),
    ];
    let accept = |sealed: &[u8]| new.accept(&answer, &transcript, sealed, NOW).map(drop);
    let seal = |grant: &Grant| grant.seal(&hello, &transcript, &SystemEntropy).unwrap();
    for (what, change, refusal) in rows {
        let mut changed = grant(&alice, &hello);
        change(&mut changed);
        assert_eq!(accept(&seal(&changed)), Err(refusal), "{what}");
    }
    let good = seal(&grant(&alice, &hello));
    assert_eq!(accept(&good), Ok(()));
    for place in [2, 2 + 1120, good.len() - 1] {
        let mut altered = good.clone();
        altered[place] ^= 1;
        assert_eq!(accept(&altered), Err(LinkError::Sealed), "{place}");
    }
    let malformed = LinkError::from(IdentityError::Malformed("grant to a new device"));
    for length in [0, 1, 2, 2 + 1120] {
        assert_eq!(accept(&good[..length]), Err(malformed.clone()), "{length}");
    }
    // One that was sealed after another conversation of the same two.
    let (_, _, [other, _], _) = meeting(&new, &alice);
    let elsewhere = grant(&alice, &hello).seal(&hello, &other, &SystemEntropy).unwrap();
    assert_eq!(accept(&elsewhere), Err(LinkError::Sealed));
    // What the answer named is what counts: the same grant for an answer that named somebody else.
    for change in
        [(|answer: &mut LinkAnswer| answer.identity_key_hash = [1; 48]) as fn(&mut LinkAnswer), |answer| {
            answer.recovery_key_hash = [1; 48];
        }]
    {
        let mut named = answer.clone();
        change(&mut named);
        assert_eq!(new.accept(&named, &transcript, &good, NOW).map(drop), Err(mismatch("account")));
    }
}

#[test]
fn a_list_excludes_those_who_were_certified_before_it_and_are_not_on_it() {
    let alice = Owner::new("alice", 3);
    let first = DeviceList { devices: vec![], ..alice.list_of(1) };
    // Two devices whose clocks are an hour apart.
    let mut added = first.next(0, NOW - 3600);
    let [(one, key), (other, _), (never, _)] = &alice.devices[..] else { panic!("three devices") };
    let certified_at = added.issued_at;
    added.add(ListedDevice { device: *one, device_key_hash: key.public().hash() });
    assert!((certified_at, added.version) > (first.issued_at, first.version));
    assert!(!first.excludes(*one, certified_at), "an older list says nothing about it");
    assert!(!added.excludes(*one, certified_at));
    let mut revoked = added.next(added.version + 5, NOW - 7200);
    assert_eq!(revoked.version, added.version + 6);
    assert!(!revoked.excludes(*one, certified_at));
    revoked.devices.clear();
    assert!(revoked.excludes(*one, certified_at));
    assert!(!revoked.excludes(*other, revoked.issued_at + 1), "it may have been added since");
    assert!(revoked.excludes(*never, NOW - 9000));
    assert_eq!(DeviceList::stored(&revoked.sign(&alice.identity).unwrap()), Ok(revoked));
}
