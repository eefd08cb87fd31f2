//! Pages, delivery, unread counts and the order of lines.

use bytes::Bytes;
use qchat_proto::{
    content::RoomSettings,
    ids::{RoomId, Seq},
    session::ledger::{Ledger, Notice, OpenedMessage, OutboxRow, RowState, Want},
};

use super::{ALICE, ALICE_DEVICE, BOB, BOB_DEVICE, ROOM, message, profile, read, state, unread, write};
use crate::store::{Delivery, InvitationRow, Line, LineBody, Profile, StoreError, Tx};

/// Bob's message with this seq arrives.
pub(super) fn receive(tx: &mut Tx, seq: u8) -> Result<(), StoreError> {
    tx.put_message(&OpenedMessage {
        room: ROOM,
        seq: Seq(seq.into()),
        message_id: message(seq),
        account: BOB,
        device: BOB_DEVICE,
        epoch: 1,
        content: Bytes::from(vec![seq]),
    })?;
    tx.put_room(&state(seq.into()))
}

/// Alice writes a message.
fn enqueue(tx: &mut Tx, id: u8) -> Result<i64, StoreError> {
    let row = OutboxRow {
        message_id: message(id),
        want: Want::Application(Bytes::from(vec![id])),
        state: RowState::Waiting,
    };
    tx.outbox_push_back(ROOM, &row)?;
    tx.put_pending(ROOM, message(id), &[id])
}

/// What the lines say, one byte each; a notice is 0.
fn said(lines: &[Line]) -> Vec<u8> {
    lines
        .iter()
        .map(|line| match &line.body {
            LineBody::Message { content, .. } => content[0],
            LineBody::Notice(_) | LineBody::Change { .. } => 0,
        })
        .collect()
}

#[test]
fn a_reader_that_asks_on_gets_the_log_once_and_in_order_whenever_own_messages_are_acknowledged() {
    let (_dir, profile) = profile();
    let mut last = 0;
    let mut heard = Vec::new();
    let mut listen = |profile: &Profile| {
        let lines = read(profile, |tx| tx.settled_lines_after(ROOM, last, 2));
        if let Some(line) = lines.last() {
            last = line.row;
        }
        heard.extend(lines.iter().map(|line| line.seq.unwrap().0));
    };
    write(&profile, |tx| tx.put_room(&state(0)));
    write(&profile, |tx| enqueue(tx, 103));
    write(&profile, |tx| receive(tx, 1));
    listen(&profile);
    // Acknowledged as number 3 before number 2 has been seen.
    write(&profile, |tx| tx.settle_message(ROOM, message(103), Seq(3), 1));
    listen(&profile);
    write(&profile, |tx| receive(tx, 2));
    listen(&profile);
    write(&profile, |tx| tx.put_room(&state(3)));
    write(&profile, |tx| receive(tx, 4));
    for _ in 0..3 {
        listen(&profile);
    }
    assert_eq!(heard, [1, 2, 3, 4]);
}

#[test]
fn pages_follow_the_log_and_end_with_what_is_pending() {
    let (_dir, profile) = profile();
    let rows = write(&profile, |tx| {
        tx.put_room(&state(0))?;
        let rows = [enqueue(tx, 101)?, enqueue(tx, 102)?, enqueue(tx, 103)?];
        for seq in 1..=4 {
            receive(tx, seq)?;
        }
        tx.put_notice(ROOM, Seq(4), &Notice::Clone)?;
        tx.mark_failed(ROOM, message(101))?;
        receive(tx, 5)?;
        tx.settle_message(ROOM, message(102), Seq(6), 1)?;
        tx.put_room(&state(6))?;
        Ok(rows)
    });
    // 101 failed after seq 4 and stands there for good; its row is lower than that of the line it follows.
    let all = read(&profile, |tx| tx.lines_before(ROOM, None, 100));
    let order = [1, 2, 3, 101, 4, 0, 5, 102, 103];
    assert_eq!(said(&all), order);
    assert_eq!(
        all.iter()
            .map(|line| line.delivery)
            .filter(|&delivery| delivery != Delivery::Sent)
            .collect::<Vec<_>>(),
        [Delivery::Failed, Delivery::Pending],
    );
    assert_eq!(all[7].row, rows[1]);
    assert_eq!(all[7].seq, Some(Seq(6)));

    for size in 1..=order.len() {
        let (mut backwards, mut before) = (Vec::new(), None);
        loop {
            let page = read(&profile, |tx| tx.lines_before(ROOM, before, size));
            let Some(first) = page.first() else { break };
            before = Some(first.row);
            backwards.splice(..0, said(&page));
        }
        assert_eq!(backwards, order, "pages of {size}");
        let (mut forwards, mut after) = (Vec::new(), 0);
        loop {
            let page = read(&profile, |tx| tx.lines_after(ROOM, after, size));
            let Some(last) = page.last() else { break };
            after = last.row;
            forwards.extend(said(&page));
        }
        assert_eq!(forwards, order, "pages of {size}");
    }
    let by_seq = |before: Option<u64>, limit| {
        said(&read(&profile, |tx| tx.lines_before_seq(ROOM, before.map(Seq), limit)))
    };
    assert_eq!(by_seq(None, 2), [5, 102]);
    assert_eq!(by_seq(Some(5), 2), [4, 0]);
    assert_eq!(by_seq(Some(2), 9), [1]);
    assert!(by_seq(Some(1), 9).is_empty());
    assert_eq!(by_seq(Some(u64::MAX), 1), [102]);
    assert_eq!(said(&read(&profile, |tx| tx.lines_after_seq(ROOM, Seq(4), 9))), [5, 102]);
    assert_eq!(read(&profile, |tx| tx.lines_before(RoomId::from_bytes([5; 16]), None, 9)), []);
}

#[test]
fn an_own_message_goes_from_pending_to_sent_or_failed() {
    let (_dir, profile) = profile();
    write(&profile, |tx| {
        tx.put_room(&state(1))?;
        enqueue(tx, 1)?;
        enqueue(tx, 2)
    });
    assert!(
        !read(&profile, |tx| tx.has_message(ROOM, ALICE_DEVICE, message(1))),
        "pending is not in the log"
    );
    assert_eq!(read(&profile, |tx| tx.outbox_len(ROOM)), 2);
    assert_eq!(read(&profile, Tx::outbox_rooms), [ROOM]);
    write(&profile, |tx| {
        tx.outbox_remove(ROOM, message(1))?;
        tx.settle_message(ROOM, message(1), Seq(2), 7)?;
        tx.outbox_fail_all(ROOM)
    });
    let sent = read(&profile, |tx| tx.own_message(ROOM, message(1))).unwrap();
    assert_eq!((sent.seq, sent.epoch, sent.delivery), (Some(Seq(2)), 7, Delivery::Sent));
    let content = Bytes::from_static(&[1]);
    let LineBody::Message { id, account, device, content: said, .. } = sent.body else { panic!("a message") };
    assert_eq!((id, account, device, said), (message(1), ALICE, ALICE_DEVICE, content));
    let failed = read(&profile, |tx| tx.own_message(ROOM, message(2))).unwrap();
    assert_eq!((failed.seq, failed.delivery), (None, Delivery::Failed));
    assert!(read(&profile, |tx| tx.has_message(ROOM, ALICE_DEVICE, message(1))));
    assert_eq!(read(&profile, |tx| tx.own_message(ROOM, message(3))), None);
    // A failed message that the daemon had accepted after all is sent.
    write(&profile, |tx| tx.settle_message(ROOM, message(2), Seq(3), 7));
    assert_eq!(read(&profile, |tx| tx.own_message(ROOM, message(2))).unwrap().delivery, Delivery::Sent);
}

#[test]
fn unread_counts_what_others_said_after_the_mark() {
    let (_dir, profile) = profile();
    write(&profile, |tx| {
        tx.put_room(&state(0))?;
        tx.put_settings(ROOM, &RoomSettings::new("den".into(), vec![ALICE]))?;
        for seq in 1..=5 {
            receive(tx, seq)?;
        }
        tx.put_notice(ROOM, Seq(5), &Notice::Clone)?;
        enqueue(tx, 100)
    });
    for (mark, count, read_seq) in [(0, 5, 0), (2, 3, 2), (1, 3, 2), (5, 0, 5)] {
        write(&profile, |tx| tx.mark_read(ROOM, Seq(mark)));
        let room = read(&profile, |tx| tx.room_row(ROOM)).unwrap();
        assert_eq!((read(&profile, unread).0, room.read_seq), (count, Seq(read_seq)), "{mark}");
        assert_eq!(room.state, state(5));
        assert_eq!(room.settings.as_ref().map(|settings| settings.name.as_str()), Some("den"));
        assert!(room.active_ms.is_some());
        assert_eq!(read(&profile, Tx::rooms), [room]);
    }
}

#[test]
fn rooms_are_found_by_id_or_by_name_invitations_included() {
    let (_dir, profile) = profile();
    let invited = InvitationRow {
        room: RoomId::from_bytes([2; 16]),
        seq: Seq(3),
        inviter: BOB,
        direct: false,
        name: Some("den".into()),
    };
    write(&profile, |tx| {
        tx.put_room(&state(0))?;
        tx.put_settings(ROOM, &RoomSettings::new("den".into(), vec![ALICE]))?;
        tx.put_invitation(&InvitationRow { name: None, ..invited.clone() })?;
        tx.put_invitation(&invited)
    });
    let find = |name: &str| read(&profile, |tx| tx.find_rooms(name));
    assert_eq!(find("den"), [ROOM, invited.room]);
    assert_eq!(find(&ROOM.to_string()), [ROOM]);
    assert_eq!(find(&invited.room.to_string()), [invited.room]);
    assert_eq!(find("DEN"), []);
    assert_eq!(find(&RoomId::from_bytes([3; 16]).to_string()), []);
    assert_eq!(read(&profile, Tx::invitations), std::slice::from_ref(&invited));
    write(&profile, |tx| tx.forget_invitation(invited.room));
    assert_eq!(find("den"), [ROOM]);
}

#[test]
fn pages_and_counts_never_read_a_whole_room() {
    use diesel::{RunQueryDsl, sql_query, sql_types::Text};

    #[derive(diesel::QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }

    let (_dir, profile) = profile();
    for (query, plan) in [
        (
            "SELECT count(*), sum(mentions_me) FROM timeline WHERE room = ?1 AND place > ?2 AND account <> ?3 \
             AND of_message IS NULL AND deleted = 0",
            "SEARCH timeline USING COVERING INDEX timeline_place (room=? AND place>?)",
        ),
        (
            "SELECT * FROM timeline WHERE room = ?1 AND of_message IS NULL AND deleted = 0 AND place <= ?2 \
             AND (place < ?2 OR \"row\" < ?3) ORDER BY place DESC, \"row\" DESC LIMIT 50",
            "SEARCH timeline USING INDEX timeline_place (room=? AND place<?)",
        ),
        (
            "SELECT * FROM timeline WHERE room = ?1 AND of_message IS NULL AND deleted = 0 AND place >= ?2 AND place <= ?4 \
             AND (place > ?2 OR \"row\" > ?3) ORDER BY place, \"row\" LIMIT 50",
            "SEARCH timeline USING INDEX timeline_place (room=? AND place>? AND place<?)",
        ),
        (
            "SELECT * FROM timeline WHERE room = ?1 AND deleted = 0 AND delivery <> 0 AND place >= ?2 AND place <= ?4 \
             AND (place > ?2 OR \"row\" > ?3) ORDER BY place, \"row\" LIMIT 50",
            "SEARCH timeline USING INDEX timeline_log (room=? AND place>? AND place<?)",
        ),
        (
            "SELECT * FROM timeline WHERE room = ?1 AND of_message = ?2 AND of_device = ?3 AND of_message IS NOT NULL \
             AND deleted = 0 ORDER BY place, \"row\"",
            "SEARCH timeline USING INDEX timeline_changes (room=? AND of_message=? AND of_device=?)",
        ),
        (
            "SELECT device FROM timeline WHERE room = ?1 AND message_id BETWEEN ?2 AND ?3 AND message_id IS NOT NULL \
             AND of_message IS NULL AND deleted = 0 LIMIT 2",
            "SEARCH timeline USING INDEX timeline_id (room=? AND message_id>? AND message_id<?)",
        ),
        (
            "SELECT 1 FROM timeline WHERE expires_ms IS NOT NULL AND deleted = 0 AND expires_ms <= ?1",
            "SEARCH timeline USING COVERING INDEX timeline_expires (expires_ms>? AND expires_ms<?)",
        ),
        (
            "SELECT 1 FROM timeline WHERE room = ?1 AND device = ?2 AND message_id = ?3 \
             AND message_id IS NOT NULL AND seq IS NOT NULL",
            "SEARCH timeline USING INDEX timeline_message (room=? AND device=? AND message_id=?)",
        ),
        (
            "SELECT * FROM outbox WHERE room = ?1 ORDER BY position LIMIT 1",
            "SEARCH outbox USING INDEX sqlite_autoindex_outbox_1 (room=?)",
        ),
        (
            "SELECT name FROM contacts WHERE changed_record IS NOT NULL \
             AND EXISTS (SELECT 1 FROM roster WHERE roster.account = contacts.account AND room = ?1) ORDER BY name LIMIT 1",
            "SCAN contacts USING INDEX contacts_changed",
        ),
    ] {
        let steps = write(&profile, |tx| {
            Ok(sql_query(format!("EXPLAIN QUERY PLAN {query}")).load::<Step>(&mut tx.conn)?)
        });
        let steps: Vec<_> = steps.iter().map(|step| step.detail.as_str()).collect();
        assert_eq!(steps[0], plan, "{query}");
        assert!(steps[1..].iter().all(|step| !step.contains("TEMP B-TREE")), "{steps:?}");
    }
}
