//! Frames and envelopes: what was written is read back, and nothing that arrives makes the decoder panic.

use bytes::Bytes;
use proptest::{prelude::*, sample::Index};
use prost::Message;
use qchat_proto::{
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    wire::{
        codec::DecodeError,
        frame::{
            Envelope, Kind, MembershipChange, Operation, client_frame, delta_hash, read_client_frame,
            read_server_frame, server_frame,
        },
        limits,
        pb::{self, client_frame::Body as Client, server_frame::Body as Server},
    },
};

fn blob(most: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..most).prop_map(Bytes::from)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::Application, Kind::Commit, Kind::Proposal, Kind::Resync, Kind::Restart])
}

fn change(device: [u8; 16], account: [u8; 16], operation: u8) -> MembershipChange {
    let operation = match operation % 4 {
        0 => Operation::Remove,
        1 => Operation::Add,
        2 => Operation::Readd,
        _ => Operation::Relist,
    };
    MembershipChange {
        operation,
        account: AccountId::from_bytes(account),
        device: DeviceId::from_bytes(device),
    }
}

prop_compose! {
    fn envelope()(
        ids in any::<[[u8; 16]; 3]>(),
        kind in kind(),
        commit_seq: u64,
        payload in prop::collection::vec(any::<u8>(), 1..300),
        delta in prop::collection::btree_map(any::<[u8; 16]>(), any::<([u8; 16], u8)>(), 0..8),
    ) -> Envelope {
        Envelope {
            room: RoomId::from_bytes(ids[0]),
            message_id: MessageId::from_bytes(ids[1]),
            sender: DeviceId::from_bytes(ids[2]),
            kind,
            commit_seq: Seq(commit_seq),
            payload: payload.into(),
            delta: delta
                .into_iter()
                .filter(|_| kind.ends_epoch())
                .map(|(device, (account, operation))| change(device, account, operation))
                .collect(),
        }
    }
}

prop_compose! {
    fn fault()(code in "[a-z_]{0,20}", message: String, retry_after: u32) -> pb::Fault {
        pb::Fault { code, message, retry_after }
    }
}

prop_compose! {
    fn logged()(seq: u64, envelope in blob(100)) -> pb::Logged {
        pb::Logged { seq, envelope }
    }
}

fn client() -> impl Strategy<Value = Client> {
    let welcome =
        (blob(20), blob(100)).prop_map(|(device_id, welcome)| pb::Invitation { device_id, welcome });
    prop_oneof![
        (any::<u32>(), any::<u32>(), any::<String>()).prop_map(|(version_min, version_max, agent)| {
            Client::Hello(pb::Hello { version_min, version_max, agent })
        }),
        (any::<u64>(), blob(300), prop::collection::vec(welcome, 0..4), blob(100), blob(20)).prop_map(
            |(request_id, envelope, welcomes, tree_hash, after)| {
                Client::Publish(pb::Publish { request_id, envelope, welcomes, tree_hash, after })
            }
        ),
        (any::<u64>(), blob(20), any::<u64>(), any::<u32>()).prop_map(
            |(request_id, room_id, after, limit)| {
                Client::Fetch(pb::Fetch { request_id, room_id, after, limit })
            }
        ),
        (blob(20), any::<u64>()).prop_map(|(room_id, seq)| Client::Confirm(pb::Confirm { room_id, seq })),
    ]
}

fn server() -> impl Strategy<Value = Server> {
    prop_oneof![
        (any::<u32>(), blob(20), any::<[u32; 2]>()).prop_map(|(version, server_id, limits)| {
            let [max_application, max_handshake] = limits;
            Server::HelloAck(pb::HelloAck { version, server_id, max_application, max_handshake })
        }),
        (any::<[u64; 2]>(), blob(20), blob(20)).prop_map(|([request_id, seq], room_id, message_id)| {
            Server::Accepted(pb::Accepted { request_id, room_id, message_id, seq })
        }),
        (any::<[u64; 3]>(), blob(20), blob(20), prop::option::of(fault())).prop_map(
            |([request_id, commit_seq, room_commit_seq], room_id, message_id, fault)| {
                Server::Refused(pb::Refused {
                    request_id,
                    room_id,
                    message_id,
                    commit_seq,
                    room_commit_seq,
                    fault,
                })
            }
        ),
        (any::<[u64; 3]>(), blob(20), prop::collection::vec(logged(), 0..4)).prop_map(
            |([request_id, last_seq, deleted], room_id, envelopes)| {
                Server::Page(pb::Page { request_id, room_id, envelopes, last_seq, deleted })
            }
        ),
        (blob(20), prop::option::of(logged()))
            .prop_map(|(room_id, logged)| Server::Deliver(pb::Deliver { room_id, logged })),
        (blob(20), any::<u64>())
            .prop_map(|(room_id, last_seq)| Server::Behind(pb::Behind { room_id, last_seq })),
        blob(20).prop_map(|room_id| Server::RoomHint(pb::RoomHint { room_id })),
        fault().prop_map(Server::Fault),
    ]
}

fn damaged(bytes: &Bytes, (kind, at, new): &(u8, Index, Vec<u8>)) -> Bytes {
    let mut bytes = bytes.to_vec();
    let at = at.index(bytes.len() + 1);
    match kind {
        0 => bytes.truncate(at),
        1 => drop(bytes.splice(at..at, new.iter().copied())),
        _ => bytes.iter_mut().skip(at).zip(new).for_each(|(byte, new)| *byte = *new),
    }
    bytes.into()
}

fn damage() -> impl Strategy<Value = (u8, Index, Vec<u8>)> {
    (0_u8..4, any::<Index>(), prop::collection::vec(any::<u8>(), 1..12))
}

proptest! {
    #[test]
    fn an_envelope_is_read_as_it_was_written(envelope in envelope()) {
        prop_assert_eq!(Envelope::decode(envelope.encode()), Ok(envelope));
    }

    #[test]
    fn a_frame_is_read_as_it_was_written(client in client(), server in server()) {
        prop_assert_eq!(read_client_frame(client_frame(client.clone())), Ok(client));
        prop_assert_eq!(read_server_frame(server_frame(server.clone())), Ok(Some(server)));
    }

    #[test]
    fn random_bytes_never_panic(bytes in blob(400)) {
        let _ = Envelope::decode(bytes.clone());
        let _ = read_client_frame(bytes.clone());
        let _ = read_server_frame(bytes);
    }

    #[test]
    fn damaged_frames_never_panic(
        envelope in envelope(),
        client in client(),
        server in server(),
        damage in prop::collection::vec(damage(), 1..4),
    ) {
        let spoil = |bytes: Bytes| damage.iter().fold(bytes, |bytes, damage| damaged(&bytes, damage));
        if let Ok(read) = Envelope::decode(spoil(envelope.encode())) {
            // Whatever is let through is a valid envelope.
            prop_assert_eq!(Envelope::decode(read.encode()), Ok(read));
        }
        let _ = read_client_frame(spoil(client_frame(client)));
        let _ = read_server_frame(spoil(server_frame(server)));
    }

    #[test]
    fn a_delta_hash_says_what_in_which_order(mut delta in prop::collection::vec(any::<([u8; 16], [u8; 16], u8)>(), 2..6)) {
        let of = |delta: &[([u8; 16], [u8; 16], u8)]| {
            delta_hash(&delta.iter().map(|&(device, account, operation)| change(device, account, operation)).collect::<Vec<_>>())
        };
        let hash = of(&delta);
        prop_assert_ne!(hash, of(&delta[1..]));
        let (device, account, operation) = delta[0];
        delta[0] = (account, device, operation);
        prop_assert!(account == device || of(&delta) != hash);
        delta[0] = (device, account, operation.wrapping_add(1));
        prop_assert_ne!(of(&delta), hash);
    }
}

fn raw(change: impl FnOnce(&mut pb::Envelope)) -> Result<Envelope, DecodeError> {
    let mut raw = pb::Envelope {
        room_id: vec![1; 16].into(),
        message_id: vec![2; 16].into(),
        sender_device: vec![3; 16].into(),
        kind: Kind::Commit as i32,
        commit_seq: 7,
        payload: vec![4; 10].into(),
        delta: vec![pb::MembershipChange {
            operation: 2,
            account_id: vec![5; 16].into(),
            device_id: vec![6; 16].into(),
        }],
    };
    change(&mut raw);
    Envelope::decode(raw.encode_to_vec().into())
}

type Change = fn(&mut pb::Envelope);

#[test]
fn every_malformed_envelope_is_refused() {
    assert!(raw(|_| {}).is_ok());
    let malformed: [(&str, Change); 17] = [
        ("no room", |raw| raw.room_id = Bytes::new()),
        ("a short room id", |raw| raw.room_id = vec![1; 15].into()),
        ("a long message id", |raw| raw.message_id = vec![1; 17].into()),
        ("no sender", |raw| raw.sender_device = Bytes::new()),
        ("no kind", |raw| raw.kind = 0),
        ("an unknown kind", |raw| raw.kind = 6),
        ("a negative kind", |raw| raw.kind = -1),
        ("no payload", |raw| raw.payload = Bytes::new()),
        ("a delta without a commit", |raw| raw.kind = Kind::Application as i32),
        ("a delta with a proposal", |raw| raw.kind = Kind::Proposal as i32),
        ("a delta with a resync", |raw| raw.kind = Kind::Resync as i32),
        ("a change without operation", |raw| raw.delta[0].operation = 0),
        ("a change with an unknown operation", |raw| raw.delta[0].operation = 5),
        ("a change of no account", |raw| raw.delta[0].account_id = Bytes::new()),
        ("a change of a short device", |raw| raw.delta[0].device_id = vec![6; 4].into()),
        ("a device twice", |raw| {
            let mut again = raw.delta[0].clone();
            again.operation = 1;
            raw.delta.push(again);
        }),
        ("more changes than allowed", |raw| {
            raw.delta = (0..=limits::DELTA)
                .map(|n| pb::MembershipChange {
                    operation: 1,
                    account_id: vec![5; 16].into(),
                    device_id: u128::try_from(n).unwrap().to_be_bytes().to_vec().into(),
                })
                .collect();
        }),
    ];
    for (what, change) in malformed {
        let refused = raw(change);
        assert!(matches!(refused, Err(DecodeError::Malformed(_))), "{what}: {refused:?}");
    }
}

#[test]
fn sizes_are_kept_to_the_byte() {
    for (kind, limit) in [
        (Kind::Application, limits::APPLICATION),
        (Kind::Proposal, limits::APPLICATION),
        (Kind::Commit, limits::COMMIT),
        (Kind::Resync, limits::RESYNC),
        (Kind::Restart, limits::RESTART),
    ] {
        let sized = |size: usize| {
            raw(|raw| {
                raw.kind = kind as i32;
                raw.payload = vec![0; size].into();
                raw.delta.clear();
            })
        };
        assert!(sized(limit).is_ok(), "{kind:?}");
        let refused = sized(limit + 1);
        assert_eq!(
            refused,
            Err(DecodeError::TooLarge { what: "payload", size: limit + 1, limit }),
            "{kind:?}"
        );
    }
    // The largest honest commit fits, and nothing near ten megabytes is even read.
    let largest = raw(|raw| {
        raw.payload = vec![0; limits::COMMIT].into();
        raw.delta = (0..limits::DELTA)
            .map(|n| pb::MembershipChange {
                operation: 4,
                account_id: vec![5; 16].into(),
                device_id: u128::try_from(n).unwrap().to_be_bytes().to_vec().into(),
            })
            .collect();
        raw.commit_seq = u64::MAX;
    });
    assert!(largest.is_ok());
    let huge = Bytes::from(vec![0; limits::FRAME + 1]);
    let too_large = DecodeError::TooLarge { what: "frame", size: limits::FRAME + 1, limit: limits::FRAME };
    assert_eq!(read_client_frame(huge.clone()), Err(too_large.clone()));
    assert_eq!(read_server_frame(huge.clone()), Err(too_large));
    assert!(matches!(Envelope::decode(huge), Err(DecodeError::TooLarge { what: "envelope", .. })));
}

#[test]
fn a_body_from_the_future_is_refused_by_the_daemon_and_skipped_by_clients() {
    // Field 99, length-delimited, empty: tag 99 << 3 | 2.
    for bytes in [&b""[..], &[0x9a, 0x06, 0x00]] {
        let bytes = Bytes::copy_from_slice(bytes);
        assert_eq!(read_client_frame(bytes.clone()), Err(DecodeError::Malformed("frame")));
        assert_eq!(read_server_frame(bytes), Ok(None));
    }
}
