//! What crosses the network in the clear to both ends: frames, envelopes, REST bodies; and what is inside a sealed
//! message: content, authenticated data.

use std::{fmt::Debug, num::NonZeroU32};

use bytes::Bytes;
use qchat_proto::{
    content::{
        Attachment, Body, Change, Content, Emoji, Exercise, ExerciseStep, KeyStep, MessageRef, Profile, Receipt,
        RoomSettings, SharedKey, What, pad, unpad,
    },
    file::{FileHash, FileKey, Layout, Sealing, safe_name},
    ids::{AccountId, DeviceId, FileId, LinkId, MessageId, RoomId, Seq, ServerId},
    mls::psk::PskId,
    session::{authenticated::Authenticated, resync::Request},
    wire::{
        api,
        fault::{Fault, FaultBody, FaultCode},
        frame::{
            Envelope, Kind, MembershipChange, Operation, client_frame, delta_hash, read_client_frame,
            read_server_frame, server_frame,
        },
        pb::{self, client_frame::Body as Client, server_frame::Body as Server},
    },
};
use serde::{Serialize, de::DeserializeOwned};

use crate::edits::edited;

const ROOM: RoomId = RoomId::from_bytes([1; 16]);
const MESSAGE: MessageId = MessageId::from_bytes([2; 16]);
const DEVICE: DeviceId = DeviceId::from_bytes([3; 16]);
const ACCOUNT: AccountId = AccountId::from_bytes([4; 16]);

fn envelope(kind: Kind) -> Envelope {
    let change = |operation, device| MembershipChange {
        operation,
        account: ACCOUNT,
        device: DeviceId::from_bytes([device; 16]),
    };
    Envelope {
        room: ROOM,
        message_id: MESSAGE,
        sender: DEVICE,
        kind,
        commit_seq: Seq(5),
        payload: Bytes::from_static(b"payload"),
        delta: match kind {
            Kind::Commit => vec![change(Operation::Add, 1), change(Operation::Remove, 2)],
            _ => vec![],
        },
    }
}

/// Frames of both directions: what is read is written and read the same again.
pub fn frames(input: &[u8]) {
    let id = |byte: u8| Bytes::from(vec![byte; 16]);
    let fault = pb::Fault { code: "stale_epoch".into(), message: "later".into(), retry_after: 3 };
    let logged = pb::Logged { seq: 9, envelope: envelope(Kind::Application).encode() };
    let genuine = [
        client_frame(Client::Hello(pb::Hello {
            version_min: 1,
            version_max: 1,
            agent: "qchat/0.1.0".into(),
        })),
        client_frame(Client::Publish(pb::Publish {
            request_id: 1,
            envelope: envelope(Kind::Commit).encode(),
            welcomes: vec![pb::Invitation { device_id: id(3), welcome: id(9) }],
            tree_hash: Bytes::from(vec![8; 48]),
            after: id(4),
        })),
        client_frame(Client::Fetch(pb::Fetch { request_id: 2, room_id: id(1), after: 7, limit: 100 })),
        client_frame(Client::Confirm(pb::Confirm { room_id: id(1), seq: 3 })),
        client_frame(Client::Ephemeral(pb::Ephemeral { room_id: id(1), sealed: id(9), ..Default::default() })),
        server_frame(Server::HelloAck(pb::HelloAck { version: 1, server_id: id(5), ..Default::default() })),
        server_frame(Server::Refused(pb::Refused {
            request_id: 1,
            fault: Some(fault),
            ..Default::default()
        })),
        server_frame(Server::Page(pb::Page {
            request_id: 2,
            room_id: id(1),
            envelopes: vec![logged.clone(), logged.clone()],
            last_seq: 10,
            deleted: 6,
        })),
        server_frame(Server::Deliver(pb::Deliver { room_id: id(1), logged: Some(logged) })),
        server_frame(Server::Ephemeral(pb::Ephemeral { room_id: id(1), sender_device: id(2), sealed: id(9) })),
    ];
    let bytes = Bytes::from(edited(&genuine.map(|frame| frame.to_vec()), input));
    if let Ok(body) = read_client_frame(bytes.clone()) {
        assert_eq!(read_client_frame(client_frame(body.clone())), Ok(body));
    }
    if let Ok(Some(body)) = read_server_frame(bytes) {
        if let Server::Fault(fault) = &body {
            let fault = Fault::from(fault.clone());
            assert_eq!(Fault::from(pb::Fault::from(&fault)), fault);
        }
        assert_eq!(read_server_frame(server_frame(body.clone())), Ok(Some(body)));
    }
}

/// Envelopes: what is read is written and read the same again.
pub fn envelopes(input: &[u8]) {
    let genuine = [Kind::Application, Kind::Commit, Kind::Proposal, Kind::Resync]
        .map(|kind| envelope(kind).encode().to_vec());
    if let Ok(envelope) = Envelope::decode(edited(&genuine, input).into()) {
        assert_eq!(Envelope::decode(envelope.encode()).as_ref(), Ok(&envelope));
    }
}

/// Content, its padding and the room's settings: one padded form, and what is read is written and read the same again.
pub fn content(input: &[u8]) {
    let text = Content::text("hello", 1_800_000_000_000).map(|content| content.encode()).unwrap_or_default();
    let settings = RoomSettings::new("general".to_owned(), vec![ACCOUNT]);
    let target = MessageRef { device: DeviceId::from_bytes([1; 16]), id: MessageId::from_bytes([2; 16]) };
    let change = |what| {
        let content = Content {
            reply_to: Some(target),
            mentions: vec![ACCOUNT],
            expires_after: NonZeroU32::new(60),
            ..Content::new(Body::Change(Change { target, what }), 1)
        };
        content.encode().to_vec()
    };
    let key = SharedKey { id: PskId::quantum_link([7; 16]), step: KeyStep::Held { confirmation: [9; 32] } };
    let part = ExerciseStep::Part { number: 3, last: true, data: vec![1; 40].into(), device: DEVICE };
    let asked = ExerciseStep::Asked { account: ACCOUNT, terms: vec![2; 60].into(), mixes: true };
    let avatar = Bytes::from_static(b"\x89PNG\r\n\x1a\n...");
    let shown = Profile { name: "Alice A.".to_owned(), status: "away".to_owned(), avatar };
    let exercise = |step| Content::exercise(Exercise { id: [5; 16], step }, 1).encode().to_vec();
    let file = attachment().map(|attachment| Content::attachment(attachment, 1).encode().to_vec());
    let genuine = [
        pad(&text),
        text.to_vec(),
        file.unwrap_or_default(),
        Content::joined(-1).encode().to_vec(),
        Content::shared_key(key, 1).encode().to_vec(),
        change(What::Edit("hello again".to_owned())),
        change(What::React(Emoji::new("+1").expect("a reaction"))),
        change(What::Vote(vec![0, 1])),
        Content::new(Body::Receipt(Receipt { delivered: Seq(9), read: Seq(8) }), 1).encode().to_vec(),
        Content::new(Body::Profile(shown), 1).encode().to_vec(),
        exercise(part),
        exercise(asked),
        settings.encode(),
    ];
    let bytes = edited(&genuine, input);
    if let Ok(inner) = unpad(&bytes) {
        assert_eq!(pad(&inner), bytes);
    }
    assert_eq!(unpad(&pad(&bytes)).as_deref(), Ok(&bytes[..]));
    if let Ok(content) = Content::decode(&bytes) {
        let again = Content::decode(&content.encode());
        assert!(content.body == Body::Unknown || again.as_ref() == Ok(&content), "{content:?}");
        if let Body::Attachment(attachment) = &content.body {
            let name = attachment.safe_name();
            assert_eq!(safe_name(&name), name);
            assert!(!name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']), "{name:?}");
        }
    }
    if let Ok(settings) = RoomSettings::decode(&bytes) {
        assert_eq!(RoomSettings::decode(&settings.encode()), Ok(settings));
    }
}

fn attachment() -> Option<Attachment> {
    Some(Attachment {
        sealing: Sealing {
            id: FileId::from_bytes([5; 16]),
            key: FileKey::from_slice(&[6; 32])?,
            layout: Layout::new(70_000)?,
        },
        hash: FileHash::try_from(&[7_u8; 48][..]).ok()?,
        name: "../a\u{202e}.b".to_owned(),
        media_type: "text/plain".to_owned(),
        thumbnail: Bytes::new(),
        duration_ms: 5,
        voice: true,
        caption: "look".to_owned(),
    })
}

/// Authenticated data and requests to be added again: one encoding each.
pub fn authenticated(input: &[u8]) {
    let envelope = envelope(Kind::Commit);
    let genuine = Authenticated {
        room: envelope.room,
        message_id: envelope.message_id,
        sender: envelope.sender,
        kind: envelope.kind,
        commit_seq: envelope.commit_seq,
        counter: 3,
        head_seq: Seq(6),
        head: [7; 48],
        delta_hash: delta_hash(&envelope.delta),
    };
    assert!(genuine.fits(&envelope, Seq(7)));
    let request =
        Request { seq: Seq(4), signature: [8; 3373], key_package: Bytes::from_static(b"key package") };
    let bytes = edited(&[genuine.encode(), request.encode().to_vec()], input);
    if let Some(read) = Authenticated::decode(&bytes) {
        assert_eq!(read.encode(), bytes);
        // What stands in an envelope beside its place in the log is covered: another value fits another envelope.
        let counted =
            Authenticated { counter: read.counter, head_seq: read.head_seq, head: read.head, ..genuine };
        assert!(read == counted || !read.fits(&envelope, Seq(7)));
    }
    let bytes = Bytes::from(bytes);
    if let Some(read) = Request::decode(&bytes) {
        assert_eq!(read.encode(), bytes);
    }
}

/// Every body of the REST interface, requests and answers: what is read is written and read the same again.
pub fn rest(input: &[u8]) {
    fn read<T: Serialize + DeserializeOwned + Debug>(json: &[u8]) {
        let Ok(body) = serde_json::from_slice::<T>(json) else { return };
        let written = serde_json::to_vec(&body).expect("a body is written");
        let again: T = serde_json::from_slice(&written).expect("what was written is read");
        assert_eq!(serde_json::to_vec(&again).expect("a body is written"), written);
        // What a log may hold of it.
        drop(format!("{body:?}"));
    }
    let binary = |byte: u8| api::Binary::from(vec![byte; 5]);
    let json = |written: Result<Vec<u8>, serde_json::Error>| written.expect("a body is written");
    let room = api::Room {
        room_id: ROOM,
        status: api::MemberStatus::Invited,
        last_seq: Seq(3),
        commit_seq: Seq(2),
        confirmed: Some(Seq(1)),
        members: vec![api::RoomMember {
            account_id: ACCOUNT,
            device_id: DEVICE,
            status: api::MemberStatus::Full,
        }],
    };
    let genuine = [
        json(serde_json::to_vec(&api::Register {
            name: "alice".parse().expect("a name"),
            account_id: ACCOUNT,
            device_id: DEVICE,
            auth_key: binary(1),
            auth_salt: binary(2),
            account_record: binary(3),
            device_list: binary(4),
            device_certificate: binary(5),
            key_packages: vec![binary(6)],
            last_resort_key_package: binary(7),
        })),
        json(serde_json::to_vec(&api::Challenge {
            nonce: binary(1),
            server_id: ServerId::from_bytes([5; 16]),
            expires_at: 9,
        })),
        json(serde_json::to_vec(&api::Rooms { rooms: vec![room] })),
        json(serde_json::to_vec(&api::RoomInvitation {
            room_id: ROOM,
            seq: Seq(1),
            inviter: ACCOUNT,
            welcome: binary(1),
        })),
        json(serde_json::to_vec(&api::ClaimedKeyPackages {
            key_packages: vec![api::ClaimedKeyPackage {
                device_id: DEVICE,
                key_package: binary(1),
                last_resort: true,
            }],
        })),
        json(serde_json::to_vec(&FaultBody { error: Fault::new(FaultCode::StaleEpoch, "later") })),
        json(serde_json::to_vec(&api::PutDeviceList {
            device_list: binary(1),
            certificates: vec![api::PutCertificate {
                certificate: binary(2),
                label: Some(binary(3)),
                grant: Some(binary(4)),
            }],
            account_record: Some(binary(5)),
            link_id: Some(LinkId::from_bytes([6; 16])),
        })),
        json(serde_json::to_vec(&api::PendingLink {
            link_id: LinkId::from_bytes([6; 16]),
            commitment: binary(1),
            created_at: 9,
            expires_in: 600,
            answered_by: Some(DEVICE),
            opening: Some(binary(2)),
            confirmed: true,
        })),
        json(serde_json::to_vec(&api::Activity {
            entries: vec![api::ActivityEntry {
                seq: 9,
                first_at: 1,
                last_at: 2,
                times: 3,
                act: "sign_in".to_owned(),
                outcome: "done".to_owned(),
                actor: "account".to_owned(),
                device_id: Some(DEVICE),
                from: Some("203.0.113.0/24".to_owned()),
            }],
            before: Some(9),
        })),
        json(serde_json::to_vec(&api::DeleteAccount {
            account_id: ACCOUNT,
            device_id: DEVICE,
            auth_key: binary(1),
            token: binary(2),
            proof: api::Proof { nonce: binary(3), signature: binary(4) },
        })),
        json(serde_json::to_vec(&api::Session {
            access_token: "a.b.c".to_owned(),
            expires_in: 900,
            refresh_token: "r".to_owned(),
        })),
    ];
    let bytes = edited(&genuine, input);
    read::<api::ServerInfo>(&bytes);
    read::<api::Register>(&bytes);
    read::<api::Session>(&bytes);
    read::<api::Directory>(&bytes);
    read::<api::DirectoryHead>(&bytes);
    read::<api::DirectoryGrowth>(&bytes);
    read::<api::DirectoryHistory>(&bytes);
    read::<api::PutDeviceList>(&bytes);
    read::<api::ChallengeRequest>(&bytes);
    read::<api::Challenge>(&bytes);
    read::<api::Login>(&bytes);
    read::<api::Refresh>(&bytes);
    read::<api::PutKeyPackages>(&bytes);
    read::<api::KeyPackageCount>(&bytes);
    read::<api::ClaimKeyPackages>(&bytes);
    read::<api::ClaimedKeyPackages>(&bytes);
    read::<api::CreateRoom>(&bytes);
    read::<api::Room>(&bytes);
    read::<api::Rooms>(&bytes);
    read::<api::RoomInvitation>(&bytes);
    read::<api::Devices>(&bytes);
    read::<api::PutLabel>(&bytes);
    read::<api::SaltRequest>(&bytes);
    read::<api::Salt>(&bytes);
    read::<api::OpenLink>(&bytes);
    read::<api::LinkSession>(&bytes);
    read::<api::LinkState>(&bytes);
    read::<api::PutOpening>(&bytes);
    read::<api::PendingLink>(&bytes);
    read::<api::RecoveryChallengeRequest>(&bytes);
    read::<api::RecoveryChallenge>(&bytes);
    read::<api::Recover>(&bytes);
    read::<api::Recovered>(&bytes);
    read::<api::AddRecovered>(&bytes);
    read::<api::Backups>(&bytes);
    read::<api::Chunks>(&bytes);
    read::<api::PutBackup>(&bytes);
    read::<api::PutAnswer>(&bytes);
    read::<api::Granted>(&bytes);
    read::<api::Activity>(&bytes);
    read::<api::PassphraseSalt>(&bytes);
    read::<api::ChangePassphrase>(&bytes);
    read::<api::ExportAccount>(&bytes);
    read::<api::DeleteAccount>(&bytes);
    read::<api::IdentityKey>(&bytes);
    read::<FaultBody>(&bytes);
}
