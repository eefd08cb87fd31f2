//! Every encoding of the identity formats: what was written is read back, everything else is refused without a panic.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod identity_owner;

use std::sync::LazyLock;

use identity_owner::{NOW, Owner};
use proptest::{prelude::*, sample::Index};
use qchat_proto::{
    crypto::{hpke, sign::SignatureUse},
    identity::{
        AccountRecord, DeviceCertificate, DeviceList, DeviceName, IdentityError, LeafCredential,
        ListedDevice, Pinned, RecoveryKey,
        link::{LinkAnswer, LinkHello},
    },
    ids::{AccountId, DeviceId, ServerId, UserName},
};

static ALICE: LazyLock<Owner> = LazyLock::new(|| Owner::new("alice", 2));
const SIGNATURE: usize = 4691;

/// A decoder, reduced to whether it accepts, and an encoding that it accepts.
type Decoder = (&'static str, fn(&[u8]) -> Result<(), IdentityError>, fn() -> Vec<u8>);

const VERIFIED: [Decoder; 3] = [
    ("record", |bytes| AccountRecord::verify(bytes).map(drop), || ALICE.record(NOW)),
    (
        "certificate",
        |bytes| DeviceCertificate::verify(bytes, ALICE.identity.public()).map(drop),
        || ALICE.certificates().remove(0),
    ),
    ("list", |bytes| DeviceList::verify(bytes, ALICE.identity.public(), NOW).map(drop), || ALICE.list(1)),
];

const PLAIN: [Decoder; 4] = [
    ("credential", |bytes| LeafCredential::decode(bytes).map(drop), || credential().encode()),
    ("pin", |bytes| Pinned::decode(bytes).map(drop), || pinned().encode()),
    ("hello", |bytes| LinkHello::decode(bytes).map(drop), || hello().encode()),
    ("answer", |bytes| LinkAnswer::decode(bytes).map(drop), || link_answer().encode()),
];

fn hello() -> LinkHello {
    LinkHello {
        server: ServerId::from_bytes([1; 16]),
        account_name: ALICE.name.clone(),
        device: DeviceId::from_bytes([2; 16]),
        device_key: ALICE.devices[0].1.public().clone(),
        transfer_key: hpke::derive_key_pair(&[3; 32]).1,
        name: DeviceName::new("laptop").unwrap(),
    }
}

fn link_answer() -> LinkAnswer {
    LinkAnswer {
        server: ServerId::from_bytes([1; 16]),
        account: ALICE.account,
        device: DeviceId::from_bytes([2; 16]),
        identity_key_hash: [3; 48],
        recovery_key_hash: [4; 48],
        transfer_key: hpke::derive_key_pair(&[3; 32]).1,
        nonce: [5; 32],
    }
}

fn credential() -> LeafCredential {
    LeafCredential::from_certificate(&ALICE.certificates()[0]).unwrap()
}

fn pinned() -> Pinned {
    Pinned {
        account: ALICE.account,
        identity_key_hash: [1; 48],
        recovery_key_hash: [2; 48],
        record_created_at: 3,
        list_version: 4,
        list_hash: [5; 48],
    }
}

#[test]
fn an_encoding_has_one_length_one_version_and_one_kind() {
    for (what, decode, encoded) in VERIFIED.into_iter().chain(PLAIN) {
        let good = encoded();
        assert_eq!(decode(&good), Ok(()), "{what}");
        for length in (0..good.len()).step_by(7).chain(good.len() - 100..good.len()) {
            let cut = decode(&good[..length]);
            assert!(matches!(cut, Err(IdentityError::Malformed(_))), "{what} of {length} bytes: {cut:?}");
        }
        let longer = decode(&[&good[..], &[0]].concat());
        assert!(matches!(longer, Err(IdentityError::Malformed(_))), "{what}: {longer:?}");
        for (at, value) in [(0, 0), (0, 2), (1, 0), (1, good[1] ^ 1), (1, 0xff)] {
            let mut other = good.clone();
            other[at] = value;
            assert!(
                matches!(decode(&other), Err(IdentityError::Malformed(_))),
                "{what}, byte {at} is {value}"
            );
        }
    }
}

#[test]
fn a_signature_does_not_make_a_second_encoding_good() {
    let identity = &ALICE.identity;
    let list = ALICE.list(1);
    let list = &list[..list.len() - SIGNATURE];
    let (head, devices) = list.split_at(2 + 16 + 24 + 1);
    let swapped = [head, &devices[64..], &devices[..64]].concat();
    let doubled = [head, &devices[..64], &devices[..64]].concat();
    let fewer = [&head[..42], &[1], devices].concat();
    let more = [&head[..42], &[3], devices].concat();
    let mut many = [&head[..42], &[101]].concat();
    (0..101).for_each(|n| many.extend([n; 64]));
    let mut backwards = list.to_vec();
    backwards[34..42].copy_from_slice(&(NOW - 1).to_be_bytes());
    let trailing = [list, &[0]].concat();
    for (what, bytes) in [
        ("devices out of order", swapped),
        ("a device twice", doubled),
        ("more devices than said", fewer),
        ("fewer devices than said", more),
        ("101 devices", many),
        ("over before it began", backwards),
        ("a byte too many", trailing),
    ] {
        let signature = identity.sign(SignatureUse::DeviceList, &bytes).unwrap();
        let signed = [bytes, signature].concat();
        let verified = DeviceList::verify(&signed, identity.public(), NOW);
        assert_eq!(verified, Err(IdentityError::Malformed("device list")), "{what}");
    }

    let record = ALICE.record(NOW);
    let body = &record[..record.len() - 2 * SIGNATURE];
    let keys = &body[2 + 16 + 1 + 5..];
    let named = |length: u8, name: &[u8]| [&body[..18], &[length], name, keys].concat();
    let one_key = [&body[..24], &keys[..2624], &keys[..2624], &keys[5248..]].concat();
    for (what, bytes) in [
        ("an empty name", named(0, b"")),
        ("a name in capitals", named(5, b"Alice")),
        ("a name with an escape", named(5, b"a\x1b[0m")),
        ("a name that is not UTF-8", named(2, b"\xff\xfe")),
        ("a name that is too long", named(33, &[b'a'; 33])),
        ("a name longer than said", named(4, b"alice")),
        ("a name shorter than said", named(6, b"alice")),
        ("one key as both", one_key),
    ] {
        let signatures = [&ALICE.identity, &ALICE.recovery]
            .map(|key| key.sign(SignatureUse::AccountRecord, &bytes).unwrap());
        let signed = [bytes, signatures.concat()].concat();
        assert_eq!(AccountRecord::verify(&signed), Err(IdentityError::Malformed("account record")), "{what}");
    }
}

#[test]
fn a_statement_is_not_taken_for_another() {
    // A certificate's bytes under the list's label, and the other way round.
    let certificate = ALICE.certificates().remove(0);
    let body = &certificate[..certificate.len() - SIGNATURE];
    let other_use = ALICE.identity.sign(SignatureUse::DeviceList, body).unwrap();
    let verified = DeviceCertificate::verify(&[body, &other_use].concat(), ALICE.identity.public());
    assert_eq!(verified, Err(IdentityError::Forged("device certificate")));
    for (n, (_, _, encoded)) in VERIFIED.iter().chain(&PLAIN).enumerate() {
        for (m, (what, decode, _)) in VERIFIED.iter().chain(&PLAIN).enumerate() {
            assert_eq!(decode(&encoded()).is_ok(), n == m, "{what}");
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, change: &(u8, Index, Vec<u8>)) {
    let (kind, at, new) = change;
    let at = at.index(bytes.len() + 1);
    match kind {
        0 => bytes.truncate(at),
        1 => drop(bytes.splice(at..at, new.iter().copied())),
        2 => drop(bytes.drain(at..(at + new.len()).min(bytes.len()))),
        _ => bytes.iter_mut().skip(at).zip(new).for_each(|(byte, new)| *byte = *new),
    }
}

fn change() -> impl Strategy<Value = (u8, Index, Vec<u8>)> {
    (0_u8..5, any::<Index>(), prop::collection::vec(any::<u8>(), 1..20))
}

proptest! {
    #[test]
    fn random_bytes_are_no_statement(bytes: Vec<u8>, kind in 0_u8..12) {
        let with_head = [&[1, kind][..], &bytes].concat();
        for (what, decode, _) in VERIFIED.into_iter().chain(PLAIN) {
            prop_assert!(decode(&bytes).is_err(), "{}", what);
            prop_assert!(decode(&with_head).is_err(), "{}", what);
        }
    }

    #[test]
    fn a_changed_statement_is_never_believed(changes in prop::collection::vec(change(), 1..4)) {
        static GOOD: LazyLock<Vec<Vec<u8>>> =
            LazyLock::new(|| VERIFIED.iter().map(|(_, _, encoded)| encoded()).collect());
        for ((what, decode, _), good) in VERIFIED.iter().zip(&*GOOD) {
            let mut changed = good.clone();
            for change in &changes {
                mutate(&mut changed, change);
            }
            prop_assert_eq!(decode(&changed).is_ok(), changed == *good, "{}", what);
        }
    }

    #[test]
    fn what_decodes_is_encoded_the_same_again(changes in prop::collection::vec(change(), 0..4)) {
        static GOOD: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| {
            [credential().encode(), pinned().encode(), hello().encode(), link_answer().encode()]
        });
        let [mut credential, mut pin, mut hello, mut answer] = GOOD.clone();
        for change in &changes {
            for bytes in [&mut credential, &mut pin, &mut hello, &mut answer] {
                mutate(bytes, change);
            }
        }
        if let Ok(decoded) = LinkHello::decode(&hello) {
            prop_assert_eq!(decoded.encode(), hello);
        }
        if let Ok(decoded) = LinkAnswer::decode(&answer) {
            prop_assert_eq!(decoded.encode(), answer);
        }
        if let Ok(decoded) = LeafCredential::decode(&credential) {
            prop_assert_eq!(decoded.encode(), credential);
        }
        if let Ok(decoded) = Pinned::decode(&pin) {
            prop_assert_eq!(decoded.encode(), pin);
        }
    }

    #[test]
    fn statements_are_read_as_they_were_written(
        account: [u8; 16],
        name in "[a-z0-9][a-z0-9._-]{0,31}",
        [created_at, version] in any::<[u64; 2]>(),
        (issued_at, life) in (0..u64::MAX / 2, 1..u64::MAX / 2),
        devices in prop::collection::btree_map(any::<[u8; 16]>(), any::<[u8; 24]>(), 0..=100),
    ) {
        let account = AccountId::from_bytes(account);
        let (identity, recovery) = (&ALICE.identity, &ALICE.recovery);
        let record = AccountRecord {
            account,
            name: name.parse::<UserName>().unwrap(),
            identity_key: identity.public().clone(),
            recovery_key: recovery.public().clone(),
            created_at,
        };
        let encoded = record.sign(identity, recovery).unwrap();
        prop_assert_eq!(AccountRecord::verify(&encoded).unwrap(), record);

        let list = DeviceList {
            account,
            version,
            issued_at,
            expires_at: issued_at + life,
            devices: devices
                .into_iter()
                .map(|(device, half)| ListedDevice {
                    device: DeviceId::from_bytes(device),
                    device_key_hash: [half, half].concat().try_into().unwrap(),
                })
                .collect(),
        };
        let encoded = list.sign(identity).unwrap();
        prop_assert_eq!(&DeviceList::verify(&encoded, identity.public(), issued_at).unwrap(), &list);
        for listed in &list.devices {
            prop_assert_eq!(list.listed(listed.device), Some(listed));
        }

        let certificate = DeviceCertificate {
            account,
            device: DeviceId::from_bytes(*account.as_bytes()),
            device_key: ALICE.devices[0].1.public().clone(),
            identity_key_hash: identity.public().hash(),
            created_at,
        };
        let encoded = certificate.sign(identity).unwrap();
        prop_assert_eq!(&DeviceCertificate::verify(&encoded, identity.public()).unwrap(), &certificate);
        let credential = LeafCredential::from_certificate(&encoded).unwrap();
        prop_assert_eq!(&LeafCredential::decode(&credential.encode()).unwrap(), &credential);
        let again = credential.verify(certificate.device_key.clone(), identity.public());
        prop_assert_eq!(again.unwrap(), certificate);

        let pin = Pinned { account, record_created_at: created_at, list_version: version, ..pinned() };
        prop_assert_eq!(Pinned::decode(&pin.encode()).unwrap(), pin);
    }

    #[test]
    fn random_words_are_no_recovery_key(text in any::<String>(), words in prop::collection::vec("[a-z]{3,8}", 24)) {
        prop_assert!(RecoveryKey::from_words(&text).is_err());
        prop_assert!(RecoveryKey::from_words(&words.join(" ")).is_err());
    }
}
