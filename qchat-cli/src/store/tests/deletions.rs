//! Deleting messages from this device: what goes, what cannot, and what must stay as it was.

use bytes::Bytes;
use qchat_proto::{
    ids::{MessageId, Seq},
    session::ledger::{Ledger, OutboxRow, RowState, Sealed, Want},
};

use super::{
    ALICE_DEVICE, BOB_DEVICE, ROOM, message, profile, read, state, timeline::receive, unread, write,
};
use crate::store::{Deletion, Delivery, LineBody, Profile, StoreError, Tx};

fn shown(profile: &Profile) -> Vec<MessageId> {
    let lines = read(profile, |tx| tx.lines_before(ROOM, None, 99));
    assert_eq!(lines, read(profile, |tx| tx.lines_after(ROOM, 0, 99)));
    let ids = lines.iter().map(|line| match &line.body {
        LineBody::Message { id, .. } => *id,
        LineBody::Notice(_) | LineBody::Change { .. } => panic!("no notices here"),
    });
    ids.collect()
}

fn waiting(tx: &mut Tx, id: u8, state: RowState) -> Result<i64, StoreError> {
    let text = Bytes::from(vec![id; 40]);
    let row = OutboxRow { message_id: message(id), want: Want::Application(text.clone()), state };
    tx.outbox_push_back(ROOM, &row)?;
    tx.put_pending(ROOM, message(id), &text)
}

#[test]
fn a_deleted_message_leaves_its_place_and_nothing_of_what_it_said() {
    let (_dir, profile) = profile();
    write(&profile, |tx| {
        tx.put_room(&state(0))?;
        (1..=6).try_for_each(|seq| receive(tx, seq))
    });
    let row_of_four = read(&profile, |tx| tx.lines_before(ROOM, None, 99))[3].row;
    let all: Vec<_> = (1..=6).map(message).collect();
    assert_eq!(shown(&profile), all);
    assert_eq!(read(&profile, unread).0, 6);
    let deletion = write(&profile, |tx| tx.delete_messages(ROOM, &[message(4), message(99), message(2)]));
    assert_eq!(deletion, Deletion { deleted: 2, unknown: vec![message(99)], on_their_way: vec![] });
    assert_eq!(shown(&profile), [message(1), message(3), message(5), message(6)]);
    assert_eq!(read(&profile, Tx::deleted_messages), 2);
    let room = read(&profile, |tx| tx.room_row(ROOM)).unwrap();
    assert_eq!((read(&profile, unread).0, room.state), (4, state(6)));
    // It is known when it comes again, and whoever reads on from it goes on where it stood.
    assert!(read(&profile, |tx| tx.has_message(ROOM, BOB_DEVICE, message(4))));
    assert_eq!(read(&profile, |tx| tx.lines_after(ROOM, row_of_four, 9)).len(), 2);
    assert_eq!(read(&profile, |tx| tx.lines_before(ROOM, Some(row_of_four), 9)).len(), 2);

    let deletion = write(&profile, |tx| tx.delete_messages_before(ROOM, Some(Seq(5))));
    assert_eq!(deletion.deleted, 2);
    assert_eq!(shown(&profile), [message(5), message(6)]);
    assert_eq!(write(&profile, |tx| tx.delete_messages_before(ROOM, None)).deleted, 2);
    assert!(shown(&profile).is_empty());
}

#[test]
fn an_own_message_is_deleted_before_it_is_sealed_or_after_it_is_sent_and_not_between() {
    let sealed = || {
        RowState::Sealed(Sealed {
            envelope: Bytes::from_static(b"sealed"),
            commit_seq: Seq(1),
            welcomes: vec![],
            tree: None,
        })
    };
    let (_dir, profile) = profile();
    write(&profile, |tx| {
        tx.put_room(&state(3))?;
        for (id, state) in
            [(1, sealed()), (2, RowState::Stale(Seq(2))), (3, RowState::Waiting), (4, sealed())]
        {
            waiting(tx, id, state)?;
        }
        // Acknowledged; the inbox has not come to it yet.
        tx.outbox_remove(ROOM, message(4))
    });
    let deletion = write(&profile, |tx| tx.delete_messages_before(ROOM, None));
    let on_their_way = vec![message(1), message(2)];
    assert_eq!(deletion, Deletion { deleted: 2, unknown: vec![], on_their_way });
    assert_eq!(shown(&profile), [message(1), message(2)]);
    // What waits has lost nothing of its text, and what was taken back is not sent.
    let first = read(&profile, |tx| tx.outbox_first(ROOM)).unwrap();
    assert_eq!(first.want, Want::Application(Bytes::from(vec![1; 40])));
    assert_eq!(read(&profile, |tx| tx.outbox_row(ROOM, message(3))), None);
    let own = |id| read(&profile, |tx| tx.own_message(ROOM, message(id))).unwrap();
    assert_eq!(own(3).delivery, Delivery::Failed);
    // The inbox comes to the acknowledged one: it is known, and stays deleted.
    write(&profile, |tx| tx.settle_message(ROOM, message(4), Seq(4), 1));
    assert!(read(&profile, |tx| tx.has_message(ROOM, ALICE_DEVICE, message(4))));
    assert_eq!(own(4).delivery, Delivery::Sent);
    assert_eq!(shown(&profile), [message(1), message(2)]);
}
