//! Changes of messages, as profiles keep them: three devices write offline and on, are acknowledged or not, hear things
//! twice and are opened anew; a fourth joins late. What each shows of the log is the same, and what is deleted is nowhere.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use qchat_proto::{
    content::{Body, Change, Content, Emoji, MessageRef, Poll, RoomSettings, What},
    conversation::MAX_CHANGES,
    crypto::secret::Secret,
    identity::{Topic, backup::Item},
    ids::{AccountId, DeviceId, MessageId, Seq},
    session::ledger::{Ledger, OpenedMessage, OutboxRow, RowState, Want},
};

use super::{
    ALICE, ALICE_DEVICE, BOB, BOB_DEVICE, KEY, ROOM, alice, message, profile, read, state, unread, write,
};
use crate::store::{Delivery, Line, LineBody, Profile, StoreError, Tx};

const CAROL: AccountId = AccountId::from_bytes([0xc1; 16]);
const CAROL_DEVICE: DeviceId = DeviceId::from_bytes([0xc2; 16]);
const DEVICES: [(AccountId, DeviceId); 3] = [(ALICE, ALICE_DEVICE), (BOB, BOB_DEVICE), (CAROL, CAROL_DEVICE)];

/// A profile of somebody in the room, whose admin is alice.
fn profile_of(account: AccountId, device: DeviceId) -> (tempfile::TempDir, Profile) {
    let dir = tempfile::tempdir().unwrap();
    let profile = Profile::create(&dir.path().join("profile"), Secret::from_bytes(KEY)).unwrap();
    write(&profile, |tx| {
        tx.put_identity(&crate::store::Identity { account, device, ..alice() })?;
        tx.put_settings(ROOM, &RoomSettings::new("den".into(), vec![ALICE]))?;
        tx.put_room(&state(0))
    });
    (dir, profile)
}

#[derive(Clone)]
struct Entry {
    account: AccountId,
    at: MessageRef,
    content: Bytes,
}

fn receive(tx: &mut Tx, seq: u64, entry: &Entry) -> Result<(), StoreError> {
    let own = tx.identity()?.unwrap().device == entry.at.device;
    let room = tx.room(ROOM)?.unwrap();
    if seq <= room.cursor.0 {
        return Ok(());
    }
    assert_eq!(seq, room.cursor.0 + 1);
    if own {
        tx.outbox_remove(ROOM, entry.at.id)?;
        tx.settle_message(ROOM, entry.at.id, Seq(seq), 1)?;
    } else {
        assert!(!tx.has_message(ROOM, entry.at.device, entry.at.id)?);
        tx.put_message(&opened(seq, entry))?;
    }
    tx.put_room(&state(seq))
}

fn opened(seq: u64, entry: &Entry) -> OpenedMessage {
    OpenedMessage {
        room: ROOM,
        seq: Seq(seq),
        message_id: entry.at.id,
        account: entry.account,
        device: entry.at.device,
        epoch: 1,
        content: entry.content.clone(),
    }
}

fn enqueue(tx: &mut Tx, id: MessageId, content: &Bytes) -> Result<i64, StoreError> {
    let row =
        OutboxRow { message_id: id, want: Want::Application(content.clone()), state: RowState::Waiting };
    tx.outbox_push_back(ROOM, &row)?;
    tx.put_pending(ROOM, id, content)
}

/// What is shown of a message: whether anything is left of it, and what has become of it.
#[derive(PartialEq, Eq, Debug)]
struct Shown {
    content: Option<Bytes>,
    edits: u32,
    text: Option<String>,
    deleted: Option<AccountId>,
    reactions: Vec<(String, Vec<AccountId>)>,
    pinned: Option<AccountId>,
    votes: BTreeMap<AccountId, Vec<u32>>,
    closed: bool,
}

fn shown(line: Line) -> (MessageId, Shown) {
    let LineBody::Message { id, content, state, .. } = line.body else { panic!("a message") };
    let reactions = state.reactions().iter();
    let shown = Shown {
        content: Some(content).filter(|content| content.iter().any(|&byte| byte != 0)),
        edits: state.edits(),
        text: state.edited().map(|edited| edited.text.clone()),
        deleted: state.deleted_by(),
        reactions: reactions.map(|r| (r.emoji.as_str().to_owned(), r.accounts.clone())).collect(),
        pinned: state.pinned_by(),
        votes: state.votes().clone(),
        closed: state.is_closed(),
    };
    (id, shown)
}

fn all(profile: &Profile) -> Vec<(MessageId, Shown)> {
    let lines = read(profile, |tx| tx.lines_before(ROOM, None, 10_000));
    lines.into_iter().map(shown).collect()
}

/// The words that a profile's index has, by message.
fn indexed(profile: &Profile) -> BTreeMap<i64, Vec<String>> {
    let mut words: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (row, _, word) in write(profile, |tx| Ok(tx.indexed())) {
        words.entry(row).or_default().push(word);
    }
    words
}

/// The words that it should have: those of what is shown and in the log.
fn words(profile: &Profile) -> BTreeMap<i64, Vec<String>> {
    let lines = read(profile, |tx| tx.lines_before(ROOM, None, 10_000));
    let lines = lines.into_iter().filter(|line| line.delivery == Delivery::Sent);
    let said = lines.filter_map(|line| {
        let LineBody::Message { content, state, .. } = line.body else { return None };
        let body = Content::decode(&content).ok().map(|content| content.body);
        let said = match (state.deleted_by(), state.edited(), body) {
            (None, Some(edited), _) => edited.text.clone(),
            (None, None, Some(Body::Text(text))) => text,
            (None, None, Some(Body::Poll(poll))) => poll.options().join(" "),
            _ => return None,
        };
        Some((line.row, said.split(' ').map(ToOwned::to_owned).collect()))
    });
    said.collect()
}

#[derive(Clone, Debug)]
enum Step {
    Write { device: usize, target: usize, what: u8 },
    Send(usize),
    Read { device: usize, count: usize, again: usize },
    Reopen(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let device = 0..DEVICES.len();
    prop_oneof![
        6 => (device.clone(), 0..6_usize, 0..14_u8)
            .prop_map(|(device, target, what)| Step::Write { device, target, what }),
        6 => device.clone().prop_map(Step::Send),
        5 => (device.clone(), 0..6_usize, 0..3_usize)
            .prop_map(|(device, count, again)| Step::Read { device, count, again }),
        1 => device.prop_map(Step::Reopen),
    ]
}

fn body(what: u8, target: MessageRef, number: usize) -> Body {
    let change = |what| Body::Change(Change { target, what });
    let emoji = Emoji::new(["+1", "-1"][number % 2]).unwrap();
    let poll = Poll::new("?".to_owned(), vec!["a".to_owned(), "b".to_owned()], 1).unwrap();
    match what {
        0 | 1 => Body::Text(format!("text {number}")),
        2 => Body::Poll(poll),
        3 | 4 => change(What::Edit(format!("edit {number}"))),
        5 => change(What::Delete),
        6 | 7 => change(What::React(emoji)),
        8 => change(What::Unreact(emoji)),
        9 => change(What::Pin),
        10 => change(What::Unpin),
        11 | 12 => change(What::Vote(vec![u32::try_from(number % 3).unwrap()])),
        _ => change(What::Close),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn profiles_that_have_the_same_log_show_the_same(
        steps in prop::collection::vec(step(), 20..90),
        joins in 0..40_u64,
    ) {
        let mut profiles = DEVICES.map(|(account, device)| profile_of(account, device));
        let mut waiting: [Vec<Entry>; 3] = [vec![], vec![], vec![]];
        let mut log: Vec<Entry> = vec![];
        let mut read_to = [0_usize; 3];
        for (number, step) in steps.iter().enumerate() {
            match *step {
                Step::Write { device, target, what } => {
                    let nobody = MessageRef { device: DeviceId::from_bytes([9; 16]), id: message(9) };
                    // One that is known here, be it not in the log yet.
                    let known: Vec<_> = log[..read_to[device]].iter().chain(&waiting[device]).collect();
                    let posts = known.iter().filter(|entry| {
                        !matches!(Content::decode(&entry.content).unwrap().body, Body::Change(_))
                    });
                    let of = posts.clone().nth(target).map_or(nobody, |entry| entry.at);
                    let id = MessageId::from_bytes(u128::try_from(number + 1).unwrap().to_be_bytes());
                    let content = Content::new(body(what, of, number), 1).encode();
                    write(&profiles[device].1, |tx| enqueue(tx, id, &content));
                    let (account, own) = DEVICES[device];
                    waiting[device].push(Entry { account, at: MessageRef { device: own, id }, content });
                }
                Step::Send(device) if !waiting[device].is_empty() => log.push(waiting[device].remove(0)),
                Step::Send(_) => {}
                Step::Read { device, count, again } => {
                    let from = read_to[device].saturating_sub(again);
                    let until = (read_to[device] + count).min(log.len());
                    write(&profiles[device].1, |tx| {
                        (from..until).try_for_each(|at| receive(tx, at as u64 + 1, &log[at]))
                    });
                    read_to[device] = until;
                }
                Step::Reopen(device) => {
                    let dir = profiles[device].1.dir().to_owned();
                    profiles[device].1 = Profile::open(&dir, Secret::from_bytes(KEY)).unwrap();
                }
            }
        }
        // Also where own messages and changes wait, or are acknowledged before the log was read so far.
        for (_, profile) in &profiles {
            prop_assert_eq!(indexed(profile), words(profile));
        }
        for entries in &mut waiting {
            log.append(entries);
        }
        for (_, profile) in &profiles {
            write(profile, |tx| (1..).zip(&log).try_for_each(|(seq, entry)| receive(tx, seq, entry)));
        }
        let [first, second, third] = profiles.each_ref().map(|(_, profile)| all(profile));
        for (_, profile) in &profiles {
            prop_assert_eq!(indexed(profile), words(profile));
        }
        prop_assert_eq!(&first, &second);
        prop_assert_eq!(&first, &third);
        for (id, shown) in &first {
            prop_assert_eq!(shown.content.is_none(), shown.deleted.is_some(), "{}", id);
        }
        // Who joins late sees the same of what was said since.
        let joined = joins.min(log.len() as u64);
        let (_dir, late) = profile_of(AccountId::from_bytes([0xd1; 16]), DeviceId::from_bytes([0xd2; 16]));
        write(&late, |tx| {
            tx.put_room(&state(joined))?;
            (1..).zip(&log).try_for_each(|(seq, entry)| receive(tx, seq, entry))
        });
        let late = all(&late);
        prop_assert_eq!(&first[first.len() - late.len()..], &late[..]);
        // A backup brings all of it back, and nothing that was deleted.
        let (_dir, restored) = profile_of(ALICE, DeviceId::from_bytes([0xe2; 16]));
        let kept = read(&profiles[0].1, |tx| {
            let last = tx.last_line()?;
            tx.kept_lines(0, last)
        });
        write(&restored, |tx| kept.iter().try_for_each(|item| match item {
            Item::Message(message) => tx.restore_message(message),
            _ => Ok(()),
        }));
        write(&restored, |tx| tx.put_room(&state(log.len() as u64)));
        prop_assert_eq!(&first, &all(&restored));
        prop_assert_eq!(indexed(&restored), words(&restored));
    }
}

fn of(id: u8) -> MessageRef {
    MessageRef { device: BOB_DEVICE, id: message(id) }
}

fn said(seq: u64, id: u8, body: Body) -> OpenedMessage {
    let entry = Entry {
        account: BOB,
        at: MessageRef { device: BOB_DEVICE, id: message(id) },
        content: Content::new(body, 1).encode(),
    };
    opened(seq, &entry)
}

fn change(target: MessageRef, what: What) -> Body {
    Body::Change(Change { target, what })
}

#[test]
fn changes_are_neither_lines_nor_unread_and_who_follows_the_log_sees_them() {
    let (_dir, profile) = profile();
    let mention = Content { mentions: vec![ALICE, BOB], ..Content::new(Body::Text("@alice".to_owned()), 1) };
    write(&profile, |tx| {
        tx.put_message(&said(1, 1, Body::Text("one".to_owned())))?;
        tx.put_message(&OpenedMessage { content: mention.encode(), ..said(2, 2, Body::Unknown) })?;
        tx.put_message(&said(3, 3, change(of(1), What::Edit("uno".to_owned()))))?;
        assert!(tx.has_changed_messages());
        // What does nothing is not kept: of a message that is not here, and what is so already.
        tx.put_message(&said(4, 4, change(of(99), What::Edit("canary".to_owned()))))?;
        for seq in [5, 6] {
            tx.put_message(&said(seq.into(), seq, change(of(1), What::React(Emoji::new("+1").unwrap()))))?;
        }
        tx.put_message(&said(7, 7, Body::Text("three".to_owned())))?;
        tx.put_room(&state(7))
    });
    assert_eq!(read(&profile, unread), (3, 1));
    assert_eq!(all(&profile).len(), 3);
    let followed = read(&profile, |tx| tx.settled_lines_after(ROOM, 0, 9));
    let changes = followed.iter().filter(|line| matches!(line.body, LineBody::Change { .. }));
    assert_eq!((followed.len(), changes.count()), (5, 2));
    // Whoever sends under an id that another has sent makes neither impossible to name.
    let copied = MessageRef { device: CAROL_DEVICE, id: message(1) };
    let entry =
        Entry { account: CAROL, at: copied, content: Content::new(Body::Text("x".to_owned()), 1).encode() };
    write(&profile, |tx| tx.put_message(&opened(8, &entry)));
    assert_eq!(read(&profile, |tx| tx.messages_by_prefix(ROOM, "01")), [of(1)]);
    for (prefix, found) in [("01", 1), ("0", 2), ("03", 0), ("01010", 1), ("1", 0)] {
        assert_eq!(read(&profile, |tx| tx.messages_by_prefix(ROOM, prefix)).len(), found, "{prefix}");
    }
    // Of somebody who is blocked there is none that could be first.
    let hers = MessageRef { device: CAROL_DEVICE, id: message(9) };
    let his = MessageRef { device: BOB_DEVICE, id: message(9) };
    let text = Content::new(Body::Text("x".to_owned()), 1).encode();
    write(&profile, |tx| {
        tx.put_message(&opened(9, &Entry { account: CAROL, at: hers, content: text.clone() }))?;
        tx.put_message(&opened(10, &Entry { account: BOB, at: his, content: text }))
    });
    assert_eq!(read(&profile, |tx| tx.messages_by_prefix(ROOM, "09")), [hers]);
    write(&profile, |tx| tx.note_whether(Topic::Blocked(CAROL), true, 1));
    assert_eq!(read(&profile, |tx| tx.messages_by_prefix(ROOM, "09")), [his]);
}

#[test]
fn what_changes_a_message_goes_with_it_from_this_device() {
    let (_dir, profile) = profile();
    let edit = |number: u32| change(of(1), What::Edit(format!("canary {number}")));
    let bodies = |profile: &Profile| {
        read(profile, |tx| tx.kept_lines(0, 99)).into_iter().filter(|item| match item {
            Item::Message(kept) => kept.content.iter().any(|&byte| byte != 0),
            _ => false,
        })
    };
    write(&profile, |tx| {
        tx.put_message(&said(1, 1, Body::Text("canary".to_owned())))?;
        tx.put_message(&said(2, 2, edit(1)))?;
        tx.put_room(&state(2))
    });
    assert_eq!(bodies(&profile).count(), 2);
    write(&profile, |tx| tx.delete_messages(ROOM, &[message(1)]));
    assert_eq!(bodies(&profile).count(), 0);
    write(&profile, |tx| tx.put_message(&said(3, 3, edit(2))));
    assert_eq!(bodies(&profile).count(), 0, "nor does it come back with a later edit");
}

#[test]
fn a_message_goes_when_it_has_had_its_time_with_all_that_has_become_of_it() {
    let (_dir, profile) = profile();
    let text = |seconds| Content {
        expires_after: std::num::NonZeroU32::new(seconds),
        ..Content::new(Body::Text("short".to_owned()), 1)
    };
    write(&profile, |tx| {
        tx.put_message(&OpenedMessage { content: text(60).encode(), ..said(1, 1, Body::Unknown) })?;
        tx.put_message(&OpenedMessage { content: text(0).encode(), ..said(2, 2, Body::Unknown) })?;
        tx.put_message(&said(3, 3, change(of(1), What::Edit("shorter".to_owned()))))?;
        enqueue(tx, message(4), &text(60).encode())?;
        tx.put_room(&state(3))
    });
    let lines = read(&profile, |tx| tx.lines_before(ROOM, None, 9));
    let stored = lines[0].stored_ms;
    let LineBody::Message { expires_ms, .. } = lines[0].body else { panic!("a message") };
    assert_eq!(expires_ms, Some(stored + 60_000));
    assert!(!read(&profile, |tx| tx.is_anything_due(stored + 59_999)));
    assert_eq!(write(&profile, |tx| tx.expire(stored + 59_999)), 0);
    assert!(read(&profile, |tx| tx.is_anything_due(stored + 60_000)));
    // The time of one that waits begins when it is in the log.
    assert_eq!(write(&profile, |tx| tx.expire(stored + 600_000)), 1);
    assert_eq!(read(&profile, |tx| tx.outbox_len(ROOM)), 1);
    assert_eq!(all(&profile).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [message(2), message(4)]);
    write(&profile, |tx| {
        tx.outbox_remove(ROOM, message(4))?;
        tx.settle_message(ROOM, message(4), Seq(4), 1)
    });
    assert!(read(&profile, |tx| tx.is_anything_due(stored + 600_000)));
    assert_eq!(write(&profile, |tx| tx.expire(stored + 600_000)), 1);
    assert_eq!(all(&profile).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [message(2)]);
    assert_eq!(read(&profile, |tx| tx.kept_lines(0, 99)).len(), 1);
    assert!(!read(&profile, |tx| tx.is_anything_due(i64::MAX)));
}

#[test]
fn what_was_to_become_of_a_message_that_is_taken_back_goes_nowhere_either() {
    let (_dir, profile) = profile();
    let text = |text: &str| Content::new(Body::Text(text.to_owned()), 1).encode();
    let own = |id| MessageRef { device: ALICE_DEVICE, id: message(id) };
    let edit = |id| Content::new(change(own(id), What::Edit("canary".to_owned())), 1).encode();
    write(&profile, |tx| {
        tx.put_room(&state(3))?;
        for id in [1, 2] {
            enqueue(tx, message(id), &text("first"))?;
            enqueue(tx, message(id + 10), &edit(id))?;
        }
        // Acknowledged is not unsent, though the inbox has not come to it yet.
        tx.outbox_remove(ROOM, message(2))
    });
    assert!(write(&profile, |tx| tx.drop_waiting(ROOM, message(1))));
    assert!(!write(&profile, |tx| tx.drop_waiting(ROOM, message(2))));
    assert_eq!(read(&profile, |tx| tx.outbox_first(ROOM)).unwrap().message_id, message(12));
    assert_eq!(read(&profile, |tx| tx.outbox_len(ROOM)), 1);
    let left = read(&profile, |tx| tx.kept_lines(0, 99));
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(all(&profile).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [message(2)]);
}

#[test]
fn what_a_backup_brings_back_goes_when_it_would_have_gone() {
    let (_dir, profile) = profile();
    let text = |seconds| Content {
        expires_after: std::num::NonZeroU32::new(seconds),
        ..Content::new(Body::Text("text".to_owned()), 1)
    };
    let mut later = RoomSettings::new("den".into(), vec![ALICE]);
    later.expire_after = std::num::NonZeroU32::new(1);
    write(&profile, |tx| {
        tx.put_message(&OpenedMessage { content: text(60).encode(), ..said(1, 1, Body::Unknown) })?;
        tx.put_message(&OpenedMessage { content: text(0).encode(), ..said(2, 2, Body::Unknown) })?;
        tx.put_room(&state(2))
    });
    let kept = read(&profile, |tx| tx.kept_lines(0, 99));
    let (_dir, restored) = super::profile();
    write(&restored, |tx| {
        // Set since: it counts for what is said from then on.
        tx.put_settings(ROOM, &later)?;
        tx.put_room(&state(2))?;
        kept.iter().try_for_each(|item| match item {
            Item::Message(message) => tx.restore_message(message),
            _ => Ok(()),
        })
    });
    let expires = |profile: &Profile| {
        let lines = read(profile, |tx| tx.lines_before(ROOM, None, 9));
        let expires = lines.into_iter().map(|line| match line.body {
            LineBody::Message { expires_ms, .. } => expires_ms,
            _ => panic!("a message"),
        });
        expires.collect::<Vec<_>>()
    };
    assert_eq!(expires(&restored), expires(&profile));
    assert!(expires(&restored)[0].is_some() && expires(&restored)[1].is_none());
}

#[test]
fn what_cannot_count_is_not_kept_and_its_author_can_delete_a_message_still() {
    let (_dir, profile) = profile();
    let changes = u8::try_from(MAX_CHANGES).unwrap();
    write(&profile, |tx| {
        tx.put_message(&said(1, 1, Body::Text("one".to_owned())))?;
        for seq in 2..changes + 10 {
            let body = change(of(1), What::Edit(seq.to_string()));
            tx.put_message(&said(seq.into(), seq, body))?;
        }
        tx.put_room(&state(200))
    });
    assert_eq!(read(&profile, |tx| tx.settled_lines_after(ROOM, 0, 999)).len(), usize::from(changes) + 1);
    // One that another makes and may not make counts for nobody.
    let by_carol = Entry {
        account: CAROL,
        at: MessageRef { device: CAROL_DEVICE, id: message(199) },
        content: Content::new(change(of(1), What::Delete), 1).encode(),
    };
    write(&profile, |tx| tx.put_message(&opened(199, &by_carol)));
    let (_, shown) = &all(&profile)[0];
    assert_eq!((shown.edits, shown.text.as_deref()), (MAX_CHANGES, Some(&*(changes + 1).to_string())));
    write(&profile, |tx| tx.put_message(&said(200, 200, change(of(1), What::Delete))));
    assert_eq!(all(&profile)[0].1.deleted, Some(BOB));
}
