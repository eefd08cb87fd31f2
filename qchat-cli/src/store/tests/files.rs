//! Files that this account has put at the daemon: which are to go from there, and which are not.

use std::num::NonZeroU32;

use bytes::Bytes;
use qchat_proto::{
    content::{Attachment, Body, Change, Content, MessageRef, RoomSettings, What},
    crypto::entropy::SystemEntropy,
    file::{FileHash, FileKey, Layout, Sealing},
    ids::{AccountId, DeviceId, FileId, Seq},
    session::ledger::{Ledger, OpenedMessage, OutboxRow, RowState, Want},
};

use super::{ALICE, ALICE_DEVICE, BOB, BOB_DEVICE, ROOM, message, profile, read, state, write};
use crate::store::{Profile, StoreError, Tx};

fn file(n: u8) -> FileId {
    FileId::from_bytes([n; 16])
}

fn said(n: u8) -> Content {
    let sealing = Sealing {
        id: file(n),
        key: FileKey::random(&SystemEntropy).unwrap(),
        layout: Layout::new(5).unwrap(),
    };
    let attachment = Attachment {
        sealing,
        hash: FileHash::try_from(&[7; 48][..]).unwrap(),
        name: "plans".to_owned(),
        media_type: String::new(),
        thumbnail: Bytes::new(),
        duration_ms: 0,
        voice: false,
        caption: String::new(),
    };
    Content::attachment(attachment, 1)
}

fn put(
    tx: &mut Tx,
    n: u8,
    (account, device): (AccountId, DeviceId),
    content: &Content,
) -> Result<(), StoreError> {
    tx.put_message(&OpenedMessage {
        room: ROOM,
        seq: Seq(n.into()),
        message_id: message(n),
        account,
        device,
        epoch: 1,
        content: content.encode(),
    })
}

fn wait(tx: &mut Tx, n: u8) -> Result<(), StoreError> {
    let content = said(n).encode();
    let want = Want::Application(content.clone());
    tx.outbox_push_back(ROOM, &OutboxRow { message_id: message(n), want, state: RowState::Waiting })?;
    tx.put_pending(ROOM, message(n), &content).map(drop)
}

/// What is to go since this was asked last.
fn spent(profile: &Profile) -> Vec<FileId> {
    let spent = read(profile, Tx::spent_files);
    for (room, file) in &spent {
        assert_eq!(*room, ROOM);
        write(profile, |tx| tx.forget_spent(*file));
    }
    spent.into_iter().map(|(_, file)| file).collect()
}

const OWN: (AccountId, DeviceId) = (ALICE, ALICE_DEVICE);
const OWN_ELSEWHERE: (AccountId, DeviceId) = (ALICE, DeviceId::from_bytes([0xa3; 16]));
const THEIRS: (AccountId, DeviceId) = (BOB, BOB_DEVICE);

#[test]
fn a_file_goes_from_the_daemon_with_its_message_where_that_goes_for_everybody() {
    let (_dir, profile) = profile();
    let soon = |n| Content { expires_after: NonZeroU32::new(1), ..said(n) };
    write(&profile, |tx| {
        tx.put_settings(ROOM, &RoomSettings::new("den".into(), vec![BOB]))?;
        tx.put_room(&state(9))?;
        put(tx, 1, OWN, &soon(1))?;
        put(tx, 2, OWN_ELSEWHERE, &said(2))?;
        put(tx, 3, THEIRS, &soon(3))?;
        put(tx, 4, THEIRS, &said(4))?;
        put(tx, 5, OWN, &said(5))?;
        put(tx, 6, OWN, &said(6))?;
        [21, 22, 23].into_iter().try_for_each(|n| wait(tx, n))
    });
    assert!(spent(&profile).is_empty());

    // Deleted for everyone, by an admin and by its author; somebody else's file is theirs to take away.
    let deletion = |(_, device), n| {
        let target = MessageRef { device, id: message(n) };
        Content::new(Body::Change(Change { target, what: What::Delete }), 1)
    };
    write(&profile, |tx| put(tx, 7, THEIRS, &deletion(OWN_ELSEWHERE, 2)));
    assert_eq!(spent(&profile), [file(2)]);
    write(&profile, |tx| put(tx, 8, THEIRS, &deletion(THEIRS, 4)));
    assert!(spent(&profile).is_empty());

    // Its time is over; also that of one that this device alone had deleted before.
    write(&profile, |tx| put(tx, 9, OWN, &soon(9)));
    write(&profile, |tx| tx.delete_messages(ROOM, &[message(9)]));
    assert!(spent(&profile).is_empty());
    assert_eq!(write(&profile, |tx| tx.expire(i64::MAX)), 2);
    assert_eq!(spent(&profile), [file(1), file(9)]);
    assert!(!read(&profile, |tx| tx.is_anything_due(i64::MAX)));

    // It was never sent.
    assert!(write(&profile, |tx| tx.drop_waiting(ROOM, message(21))));
    write(&profile, |tx| tx.delete_messages(ROOM, &[message(22)]));
    assert_eq!(spent(&profile), [file(21), file(22)]);

    // Whoever deletes it from this device alone takes it from nobody else.
    write(&profile, |tx| tx.delete_messages(ROOM, &[message(5)]));
    write(&profile, |tx| tx.delete_messages_before(ROOM, Some(Seq(7))));
    assert!(spent(&profile).is_empty());
    write(&profile, |tx| tx.delete_messages_before(ROOM, None));
    assert_eq!(spent(&profile), [file(23)]);
}
