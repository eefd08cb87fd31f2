//! What is encoded is read back, and whatever is read has one encoding: bytes from anywhere included.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use qchat_proto::{
    content::{Body, Content, MAX_ROOM_NAME, MAX_TEXT, RoomSettings, pad, padded_size, unpad},
    crypto::sign::{Device, Level},
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    session::{
        authenticated::{Authenticated, SIZE},
        resync::Request,
    },
    wire::{
        frame::{Envelope, Kind, MembershipChange, Operation, delta_hash},
        limits,
    },
};

/// Size of a device's signature, bytes.
const SIGNATURE: usize = Device::SIGNATURE;

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::Application, Kind::Commit, Kind::Proposal, Kind::Resync, Kind::Restart])
}

fn hash() -> impl Strategy<Value = [u8; 48]> {
    vec(any::<u8>(), 48).prop_map(|bytes| bytes.try_into().unwrap())
}

prop_compose! {
    fn authenticated()(
        ids in any::<[[u8; 16]; 3]>(),
        kind in kind(),
        numbers in any::<[u64; 3]>(),
        hashes in (hash(), hash()),
    ) -> Authenticated {
        Authenticated {
            room: RoomId::from_bytes(ids[0]),
            message_id: MessageId::from_bytes(ids[1]),
            sender: DeviceId::from_bytes(ids[2]),
            kind,
            commit_seq: Seq(numbers[0]),
            counter: numbers[1],
            head_seq: Seq(numbers[2]),
            head: hashes.0,
            delta_hash: hashes.1,
        }
    }
}

fn delta() -> impl Strategy<Value = Vec<MembershipChange>> {
    let operations = vec![Operation::Remove, Operation::Add, Operation::Readd, Operation::Relist];
    let change = (prop::sample::select(operations), any::<[u8; 16]>());
    vec(change, 0..5).prop_map(|changes| {
        let change = |(device, (operation, account)): (u8, (Operation, [u8; 16]))| MembershipChange {
            operation,
            account: AccountId::from_bytes(account),
            device: DeviceId::from_bytes([device; 16]),
        };
        (0..).zip(changes).map(change).collect()
    })
}

prop_compose! {
    fn envelope()(
        ids in any::<[[u8; 16]; 3]>(),
        kind in kind(),
        commit_seq in any::<u64>(),
        payload in vec(any::<u8>(), 1..500),
        delta in delta(),
    ) -> Envelope {
        Envelope {
            room: RoomId::from_bytes(ids[0]),
            message_id: MessageId::from_bytes(ids[1]),
            sender: DeviceId::from_bytes(ids[2]),
            kind,
            commit_seq: Seq(commit_seq),
            payload: payload.into(),
            delta: if kind.ends_epoch() { delta } else { vec![] },
        }
    }
}

proptest! {
    #[test]
    fn requests_to_be_added_again_have_one_form(
        seq in any::<u64>(),
        signature in vec(any::<u8>(), SIGNATURE),
        key_package in vec(any::<u8>(), 1..600),
        cut in 1..4000_usize,
        version in 2..=u8::MAX,
    ) {
        let key_package = Bytes::from(key_package);
        let request = Request { seq: Seq(seq), signature: signature.try_into().unwrap(), key_package };
        let bytes = request.encode();
        prop_assert_eq!(Request::decode(&bytes), Some(request));
        let short = bytes.slice(..(1 + 8 + SIGNATURE).saturating_sub(cut - 1));
        prop_assert_eq!(Request::decode(&short), None);
        let mut other = bytes.to_vec();
        other[0] = version;
        prop_assert_eq!(Request::decode(&other.into()), None);
    }

    #[test]
    fn whatever_is_read_as_a_request_encodes_to_the_same(
        mut bytes in vec(any::<u8>(), 0..5000),
        version in 0..3_u8,
    ) {
        if let Some(first) = bytes.first_mut() {
            *first = version;
        }
        let read = Request::decode(&bytes.clone().into());
        prop_assert_eq!(read.is_some(), version == 1 && bytes.len() > 1 + 8 + SIGNATURE);
        prop_assert!(read.is_none_or(|read| read.encode() == bytes));
    }

    #[test]
    fn authenticated_data_has_one_form(data in authenticated()) {
        let bytes = data.encode();
        prop_assert_eq!(bytes.len(), SIZE);
        prop_assert_eq!(Authenticated::decode(&bytes), Some(data));
        prop_assert_eq!(Authenticated::decode(&bytes[1..]), None);
        prop_assert_eq!(Authenticated::decode(&[&bytes[..], &[0]].concat()), None);
    }

    #[test]
    fn whatever_is_read_as_authenticated_data_encodes_to_the_same(
        mut bytes in vec(any::<u8>(), SIZE),
        kind in any::<u8>(),
    ) {
        (bytes[0], bytes[49]) = (1, kind);
        let read = Authenticated::decode(&bytes);
        prop_assert_eq!(read.is_some(), (1..=5).contains(&kind));
        prop_assert!(read.is_none_or(|read| read.encode() == bytes));
    }

    #[test]
    fn authenticated_data_fits_its_own_envelope_alone(
        envelope in envelope(),
        other in envelope(),
        (commit_seq, head_seq, seq, counter) in (0..9u64, 0..9u64, 0..9u64, 0..9u64),
    ) {
        let envelope = Envelope { commit_seq: Seq(commit_seq), ..envelope };
        let data = Authenticated {
            room: envelope.room,
            message_id: envelope.message_id,
            sender: envelope.sender,
            kind: envelope.kind,
            commit_seq: envelope.commit_seq,
            counter,
            head_seq: Seq(head_seq),
            head: [0; 48],
            delta_hash: delta_hash(&envelope.delta),
        };
        let fits = commit_seq <= head_seq && head_seq < seq && 1 <= counter && counter <= seq;
        prop_assert_eq!(data.fits(&envelope, Seq(seq)), fits);
        prop_assert!(!data.fits(&other, Seq(seq)));
    }

    #[test]
    fn envelopes_are_read_back(envelope in envelope()) {
        prop_assert_eq!(Envelope::decode(envelope.encode()), Ok(envelope));
    }

    #[test]
    fn decoders_take_any_bytes(bytes in vec(any::<u8>(), 0..600)) {
        let _ = Envelope::decode(Bytes::from(bytes.clone()));
        let _ = Content::decode(&bytes);
        let _ = RoomSettings::decode(&bytes);
        if let Ok(content) = unpad(&bytes) {
            prop_assert_eq!(pad(&content), bytes);
        }
    }

    #[test]
    fn content_is_read_back_out_of_its_bucket(content in vec(any::<u8>(), 0..3000), dirt in any::<(u16, u8)>()) {
        let padded = pad(&content);
        prop_assert_eq!(padded.len(), padded_size(content.len()));
        prop_assert!(padded.len().is_power_of_two() && padded.len() >= 256);
        prop_assert_eq!(unpad(&padded), Ok(Bytes::from(content)));
        let mut dirty = padded.clone();
        let at = usize::from(dirt.0) % dirty.len();
        dirty[at] ^= dirt.1;
        if let Ok(read) = unpad(&dirty) {
            prop_assert_eq!(pad(&read), dirty);
        }
    }

    #[test]
    fn texts_and_settings_are_read_back(text in "\\PC{1,200}", sent in any::<i64>(), admins in vec(any::<[u8; 16]>(), 0..4)) {
        let content = Content::text(text.clone(), sent).unwrap();
        prop_assert_eq!(Content::decode(&content.encode()), Ok(content.clone()));
        prop_assert_eq!(content.body, Body::Text(text.clone()));
        let settings = RoomSettings::new(text, admins.into_iter().map(AccountId::from_bytes).collect());
        let named = settings.name.len() <= MAX_ROOM_NAME && !settings.name.starts_with('@');
        let good = named && !settings.admins.is_empty();
        prop_assert_eq!(RoomSettings::decode(&settings.encode()).ok(), good.then_some(settings));
    }
}

#[test]
fn a_request_holds_a_key_package_of_at_most_its_limit() {
    for (size, good) in [(0, false), (1, true), (limits::KEY_PACKAGE, true), (limits::KEY_PACKAGE + 1, false)]
    {
        let request = Request { seq: Seq(1), signature: [0; SIGNATURE], key_package: vec![0; size].into() };
        assert_eq!(Request::decode(&request.encode()).is_some(), good, "{size}");
        assert!(size > limits::KEY_PACKAGE || request.encode().len() <= limits::RESYNC, "{size}");
    }
}

#[test]
fn a_text_is_neither_empty_nor_longer_than_a_message() {
    for (length, good) in [(0, false), (1, true), (MAX_TEXT, true), (MAX_TEXT + 1, false)] {
        assert_eq!(Content::text("x".repeat(length), 0).is_ok(), good, "{length}");
    }
}
