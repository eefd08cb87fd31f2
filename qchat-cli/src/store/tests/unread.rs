//! What a room's row says is unread, against a count of what was said: whatever is written, read, deleted and blocked, in any order.

use bytes::Bytes;
use proptest::prelude::*;
use qchat_proto::{
    content::{Body, Change, Content, MessageRef, RoomSettings, What},
    crypto::secret::Secret,
    identity::Topic,
    ids::{AccountId, DeviceId, MessageId, Seq},
    session::ledger::{Ledger, OpenedMessage},
};

use super::{ALICE, BOB, BOB_DEVICE, KEY, ROOM, alice, profile, read, state, unread, write};
use crate::store::Profile;

const CAROL: AccountId = AccountId::from_bytes([0xc1; 16]);
/// Who speaks, alice from her other device.
const OTHERS: [(AccountId, DeviceId); 3] =
    [(BOB, BOB_DEVICE), (CAROL, DeviceId::from_bytes([0xc2; 16])), (ALICE, DeviceId::from_bytes([0xa3; 16]))];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// One of the others says something, to alice or to nobody.
    Says(usize, bool),
    /// Alice does, from this device.
    Sends,
    /// The sender of a message deletes it for everyone.
    Deletes(usize),
    /// This device deletes it for itself.
    Forgets(usize),
    /// Up to this message.
    Reads(usize),
    Blocks(AccountId, bool),
    /// The room itself is put in; what came before waits for it.
    Joins,
}

struct Said {
    by: AccountId,
    at: MessageRef,
    seq: u64,
    mentions: bool,
    forgotten: bool,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..OTHERS.len(), any::<bool>()).prop_map(|(who, mentions)| Step::Says(who, mentions)),
        1 => Just(Step::Sends),
        1 => (0..40_usize).prop_map(Step::Deletes),
        1 => (0..40_usize).prop_map(Step::Forgets),
        2 => (0..40_usize).prop_map(Step::Reads),
        1 => (prop_oneof![Just(BOB), Just(CAROL)], any::<bool>()).prop_map(|(who, so)| Step::Blocks(who, so)),
        1 => Just(Step::Joins),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_room_knows_what_is_unread_whatever_happens(steps in prop::collection::vec(any_step(), 1..40)) {
        let (_dir, profile) = profile();
        write(&profile, |tx| tx.put_settings(ROOM, &RoomSettings::new("den".into(), vec![ALICE])));
        let (mut log, mut said, mut blocked) = (0, Vec::<Said>::new(), Vec::new());
        let (mut joined, mut mark, mut now) = (false, 0, 0);
        for step in steps {
            let id = MessageId::from_bytes([u8::try_from(log + 1).unwrap(); 16]);
            let opened = |(account, device), content: &Content| OpenedMessage {
                room: ROOM,
                seq: Seq(log + 1),
                message_id: id,
                account,
                device,
                epoch: 1,
                content: content.encode(),
            };
            match step {
                Step::Says(who, mentions) => {
                    let (by, device) = OTHERS[who];
                    let text = Content::new(Body::Text("hear".to_owned()), 1);
                    let text = Content { mentions: if mentions { vec![ALICE] } else { vec![] }, ..text };
                    write(&profile, |tx| tx.put_message(&opened(OTHERS[who], &text)));
                    log += 1;
                    said.push(Said { by, at: MessageRef { device, id }, seq: log, mentions, forgotten: false });
                }
                Step::Sends => write(&profile, |tx| {
                    let text: Bytes = Content::new(Body::Text("said".to_owned()), 1).encode();
                    tx.put_pending(ROOM, id, &text)?;
                    log += 1;
                    tx.settle_message(ROOM, id, Seq(log), 1)
                }),
                Step::Deletes(which) => {
                    let Some(target) = said.get_mut(which) else { continue };
                    let change = Body::Change(Change { target: target.at, what: What::Delete });
                    let by = (target.by, target.at.device);
                    write(&profile, |tx| tx.put_message(&opened(by, &Content::new(change, 1))));
                    log += 1;
                    target.mentions = false;
                }
                Step::Forgets(which) => {
                    let Some(target) = said.get_mut(which) else { continue };
                    write(&profile, |tx| tx.delete_messages(ROOM, &[target.at.id]));
                    target.forgotten = true;
                }
                Step::Reads(which) => {
                    let Some(until) = said.get(which) else { continue };
                    write(&profile, |tx| tx.mark_read(ROOM, Seq(until.seq)));
                    if joined {
                        mark = mark.max(until.seq);
                    }
                }
                Step::Blocks(who, so) => {
                    now += 1;
                    write(&profile, |tx| tx.note_whether(Topic::Blocked(who), so, now));
                    blocked.retain(|account| *account != who);
                    blocked.extend(so.then_some(who));
                }
                Step::Joins => {
                    write(&profile, |tx| tx.put_room(&state(log)));
                    joined = true;
                }
            }
            let counted = said.iter().filter(|said| {
                joined && said.seq > mark && said.by != ALICE && !said.forgotten && !blocked.contains(&said.by)
            });
            let expected = counted.fold((0, 0), |(all, to_me), said| (all + 1, to_me + u64::from(said.mentions)));
            prop_assert_eq!(read(&profile, unread), expected, "{:?}", step);
        }
    }
}

#[test]
fn what_was_put_in_before_it_was_known_whose_profile_it_is_is_counted_by_whose_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let profile = Profile::create(&dir.path().join("alice"), Secret::from_bytes(KEY)).unwrap();
    write(&profile, |tx| {
        tx.put_room(&state(0))?;
        for (seq, (account, device)) in (1..).zip(OTHERS) {
            tx.put_message(&OpenedMessage {
                room: ROOM,
                seq: Seq(seq),
                message_id: MessageId::from_bytes([u8::try_from(seq).unwrap(); 16]),
                account,
                device,
                epoch: 1,
                content: Content::new(Body::Text("said".to_owned()), 1).encode(),
            })?;
        }
        tx.put_identity(&alice())
    });
    assert_eq!(read(&profile, unread), (2, 0), "bob's and carol's");
    write(&profile, |tx| tx.mark_read(ROOM, Seq(3)));
    assert_eq!(read(&profile, unread), (0, 0));
}
