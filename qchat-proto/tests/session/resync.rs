//! A device that cannot follow asks to be added again, and is: by a request that it has signed, and by nothing else.

use bytes::Bytes;
use mls_rs::MlsMessage;
use qchat_proto::{
    crypto::{entropy::SystemEntropy, sign::DeviceSigningKey, sign::SignatureUse},
    ids::{DeviceId, MessageId, Seq},
    session::{
        inbox, joining,
        ledger::{Change, Notice, OwnRequest, Phase, RowState, Sealed, Want},
        outbox,
        resync::{Request, ask_again},
    },
    wire::{
        frame::{Envelope, Kind, MembershipChange, Operation},
        limits,
    },
};

use crate::{
    hostile::{edited, epoch, has, receive, rejections, seal},
    insider::{Insider, change_of},
    members::{ROOM, room, settle},
    peer::{NOW, Peer, ghost, people},
    relay::{Answer, Relay},
};

const KEY_PACKAGE_LIFETIME: u64 = qchat_proto::mls::device::KEY_PACKAGE_LIFETIME;

/// Alice, bob who means harm, carol whom his commit keeps from following, and dave.
fn hurt() -> (Relay, Vec<Peer>) {
    let (mut relay, mut peers) = room(4);
    let sealed = Insider { spoils: &[2], ..Insider::new(&peers[1]) }.commit(|plan| plan, |_| {});
    assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)));
    for number in [0, 2, 3] {
        peers[number].catch_up(&relay);
    }
    assert!(matches!(peers[2].phase(), Some(Phase::Stuck(_))), "{:?}", peers[2].view().notices);
    assert_eq!(peers[0].phase(), Some(Phase::Member), "{:?}", peers[0].view().notices);
    assert_eq!(peers[3].phase(), Some(Phase::Member), "{:?}", peers[3].view().notices);
    // Bob's own device knows nothing of what was sent with its keys: it takes no part.
    peers.remove(1);
    (relay, peers)
}

const ALICE: usize = 0;
const CAROL: usize = 1;
const DAVE: usize = 2;

/// What carol sends to be added again.
fn request(carol: &mut Peer) -> Bytes {
    carol.next().expect("a request").sealed.envelope
}

fn of(bytes: &Bytes) -> Request {
    Request::decode(&Envelope::decode(bytes.clone()).unwrap().payload).unwrap()
}

/// Whether a follower would commit on reading this next in the log.
fn owes(follower: &Peer, bytes: &Bytes) -> bool {
    let mut follower = follower.clone();
    receive(&mut follower, bytes).unwrap();
    follower.next().is_some()
}

#[test]
fn a_device_that_has_missed_what_is_deleted_is_added_again_and_nothing_of_its_own_is_lost_or_said_twice() {
    let (mut relay, mut peers) = room(3);
    // What it has said is in the log, and it does not know: the answer was lost.
    peers[2].say("sent");
    let sealed = seal(&mut peers[2]);
    assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)));
    peers[2].say("waits");
    peers[0].catch_up(&relay);
    peers[0].change(Change::Update);
    peers[0].flush(&mut relay);
    let until = Seq(relay.log.len() as u64);
    for repeated in [until, until, Seq(1)] {
        let carol = &mut peers[2];
        inbox::missed(&mut carol.ledger, &carol.device, ROOM, repeated).unwrap();
    }
    let told = peers[2].view().notices;
    assert_eq!(told.iter().filter(|(_, notice)| matches!(notice, Notice::Stuck { .. })).count(), 1);
    assert!(matches!(peers[2].phase(), Some(Phase::Stuck(_))));
    assert_eq!(peers[2].cursor(), until);
    for _ in 0..4 {
        settle(&mut relay, &mut peers);
        for peer in peers.iter_mut().filter(|peer| peer.joinable(&relay)).collect::<Vec<_>>() {
            peer.join(&mut relay);
        }
    }
    assert_eq!(peers[2].phase(), Some(Phase::Member), "{:?}", peers[2].view().notices);
    peers[2].say("later");
    settle(&mut relay, &mut peers);
    for peer in &peers {
        let view = peer.view();
        assert!(view.outbox.is_empty(), "{:?}", view.outbox);
        assert!(!view.notices.iter().any(|(_, notice)| matches!(notice, Notice::Gap { .. })));
        let others = if peer.id() == peers[2].id() { 0 } else { 3 };
        assert_eq!(view.messages.len(), others, "{:?}", view.notices);
    }
}

/// What a daemon that lies does after it has named what it claims to have deleted, up to the seq: nothing, or one lie more.
type Lie = fn(&mut Peer, Seq);

#[test]
fn a_device_that_was_told_of_more_than_there_is_goes_back_to_what_it_knows_and_is_added_again() {
    let more: &[(&str, Lie)] = &[
        ("no more", |_, _| {}),
        ("the request is not sent", |carol, _| drop(request(carol))),
        ("the request is said to be in the log", |carol, until| {
            let request = carol.next().expect("a request");
            outbox::accepted(&mut carol.ledger, ROOM, request.message_id, until.next()).unwrap();
        }),
        ("somebody is said to have added it again", |carol, until| {
            let readd = Envelope {
                room: ROOM,
                message_id: MessageId::from_bytes([7; 16]),
                sender: DeviceId::from_bytes([7; 16]),
                kind: Kind::Commit,
                commit_seq: until,
                payload: Bytes::from_static(b"none"),
                delta: vec![change_of(Operation::Readd, carol)],
            };
            receive(carol, &readd.encode()).unwrap();
            ask_again(&mut carol.ledger, ROOM).unwrap();
            drop(request(carol));
        }),
        ("more is said to be deleted", |carol, until| {
            inbox::missed(&mut carol.ledger, &carol.device, ROOM, Seq(until.0 + 9)).unwrap();
        }),
    ];
    let (mut relay, mut peers) = room(3);
    peers[2].say("sent");
    peers[2].flush(&mut relay);
    peers[2].catch_up(&relay);
    peers[2].say("waits");
    let known = peers[2].cursor();
    peers[0].catch_up(&relay);
    peers[0].change(Change::Update);
    peers[0].flush(&mut relay);
    peers[0].catch_up(&relay);
    peers[0].say("missed");
    peers[0].flush(&mut relay);
    let newest = Seq(relay.log.len() as u64);
    for until in [newest.next(), Seq(limits::SEQ.0 - 100)] {
        for (what, lie) in more {
            let what = format!("up to {until}, {what}");
            let (mut relay, mut peers) = (relay.clone(), peers.clone());
            let carol = &mut peers[2];
            inbox::missed(&mut carol.ledger, &carol.device, ROOM, until).unwrap();
            lie(carol, until);
            // From here on the daemon is honest: the log has ended before.
            let back: Vec<bool> =
                (0..2).map(|_| inbox::gone_too_far(&mut carol.ledger, ROOM, newest).unwrap()).collect();
            assert_eq!((back, carol.cursor()), (vec![true, false], known), "{what}");
            for _ in 0..4 {
                settle(&mut relay, &mut peers);
                for peer in peers.iter_mut().filter(|peer| peer.joinable(&relay)).collect::<Vec<_>>() {
                    peer.join(&mut relay);
                }
            }
            assert_eq!(peers[2].phase(), Some(Phase::Member), "{what}: {:?}", peers[2].view().notices);
            peers[0].say("later");
            settle(&mut relay, &mut peers);
            let texts = |peer: &Peer| peer.view().messages.len();
            assert_eq!((texts(&peers[0]), texts(&peers[2])), (2, 1), "{what}");
            for peer in &peers {
                let view = peer.view();
                assert!(view.outbox.is_empty() && rejections(peer).is_empty(), "{what}: {:?}", view.notices);
                assert!(
                    !view.notices.iter().any(|(_, notice)| matches!(notice, Notice::Gap { .. })),
                    "{what}"
                );
                assert_eq!(epoch(peer), epoch(&peers[0]), "{what}");
            }
        }
    }
}

#[test]
fn what_is_no_contradiction_leads_nobody_back() {
    let (mut relay, mut peers) = room(3);
    peers[0].change(Change::Update);
    peers[0].flush(&mut relay);
    let newest = Seq(relay.log.len() as u64);
    // One follows, one cannot follow what it has read itself, and one has missed what is there.
    let sealed = Insider { spoils: &[2], ..Insider::new(&peers[1]) }.commit(|plan| plan, |_| {});
    let stuck = &mut peers[2];
    receive(stuck, &sealed.envelope).unwrap();
    assert!(matches!(stuck.phase(), Some(Phase::Stuck(_))));
    let missed = &mut peers[1];
    inbox::missed(&mut missed.ledger, &missed.device, ROOM, newest).unwrap();
    for (number, newest) in [(0, Seq(0)), (2, Seq(0)), (1, newest), (1, newest.next())] {
        let (before, peer) = (peers[number].view().state, &mut peers[number]);
        assert!(!inbox::gone_too_far(&mut peer.ledger, ROOM, newest).unwrap(), "{number}");
        assert_eq!(peer.view().state, before, "{number}");
    }
}

/// The others have answered its request while it was away, and the answer is deleted.
#[test]
fn a_device_that_has_missed_that_it_was_added_again_asks_once_more() {
    let (mut relay, mut peers) = hurt();
    peers[CAROL].flush(&mut relay);
    for _ in 0..2 {
        peers[ALICE].catch_up(&relay);
        peers[ALICE].flush(&mut relay);
    }
    peers[DAVE].catch_up(&relay);
    let (readded, carol) = (Seq(relay.log.len() as u64), &mut peers[CAROL]);
    let Some(Phase::Stuck(first)) = carol.phase() else { panic!("{:?}", carol.phase()) };
    assert!(relay.welcomes[&carol.id()].seq == readded && first < readded);
    inbox::missed(&mut carol.ledger, &carol.device, ROOM, readded).unwrap();
    // The Welcome needs a part of the log that nobody has.
    relay.welcomes.remove(&carol.id());
    // A request is good for a day.
    for peer in &mut peers {
        peer.now += 24 * 3600;
    }
    for _ in 0..4 {
        settle(&mut relay, &mut peers);
        for peer in peers.iter_mut().filter(|peer| peer.joinable(&relay)).collect::<Vec<_>>() {
            peer.join(&mut relay);
        }
    }
    assert_eq!(peers[CAROL].phase(), Some(Phase::Member), "{:?}", peers[CAROL].view().notices);
}

#[test]
fn a_device_that_cannot_follow_is_added_again_and_reads_and_writes_on() {
    let (mut relay, mut peers) = hurt();
    let carol = peers[CAROL].id();
    peers[CAROL].flush(&mut relay);
    peers[CAROL].catch_up(&relay);
    assert!(peers[CAROL].next().is_none(), "it asks once");
    for follower in [ALICE, DAVE] {
        peers[follower].catch_up(&relay);
        assert!(has(&peers[follower], &Notice::ResyncAsked(carol)));
    }
    // Both owe it, one is first, and the other finds it done.
    let both = [seal(&mut peers[ALICE]), seal(&mut peers[DAVE])];
    let readded = Envelope::decode(both[0].envelope.clone()).unwrap();
    assert_eq!(readded.delta, [change_of(Operation::Readd, &peers[CAROL])]);
    assert!(matches!(relay.publish(&both[0]), Answer::Accepted(_)));
    assert!(matches!(relay.publish(&both[1]), Answer::Stale(_)));
    settle(&mut relay, &mut peers);
    assert_eq!(relay.log.len(), 4, "nobody does it again");
    for follower in [ALICE, DAVE] {
        assert!(has(&peers[follower], &Notice::Readded(carol)));
        assert!(peers[follower].view().asked.is_empty());
        let invitees = peers[follower].view().invitees;
        assert!(invitees.iter().all(|invitee| invitee.device != carol), "it had said yes before");
    }
    peers[CAROL].join(&mut relay);
    assert!(peers[CAROL].view().request.is_none());
    for (number, text) in [(CAROL, "from carol"), (ALICE, "from alice"), (DAVE, "from dave")] {
        peers[number].say(text);
        settle(&mut relay, &mut peers);
    }
    for peer in &peers {
        assert_eq!(peer.phase(), Some(Phase::Member));
        assert_eq!(peer.view().messages.len(), 2, "{:?}", peer.view().notices);
        assert_eq!(epoch(peer), epoch(&peers[ALICE]));
        assert_eq!(peer.view().roster.len(), 4);
        assert!(rejections(peer).is_empty() && peer.view().outbox.is_empty());
        assert!(!peer.view().notices.iter().any(|(_, notice)| matches!(notice, Notice::Gap { .. })));
    }
}

#[test]
fn what_waited_while_a_device_could_not_follow_is_sent_in_its_order() {
    let (mut relay, mut peers) = room(4);
    // One is under way, its answer lost; two wait behind it.
    let texts = ["one", "two", "three"];
    for text in texts {
        peers[2].say(text);
    }
    let lost = seal(&mut peers[2]);
    for logged in [false, true] {
        let (mut relay, mut peers) = (relay.clone(), peers.clone());
        if logged {
            assert!(matches!(relay.publish(&lost), Answer::Accepted(_)));
        }
        peers[1].catch_up(&relay);
        let sealed = Insider { spoils: &[2], ..Insider::new(&peers[1]) }.commit(|plan| plan, |_| {});
        assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)));
        peers.remove(1);
        settle(&mut relay, &mut peers);
        settle(&mut relay, &mut peers);
        assert_eq!(peers[CAROL].view().outbox.len(), if logged { 2 } else { 3 });
        peers[CAROL].join(&mut relay);
        settle(&mut relay, &mut peers);
        assert!(peers[CAROL].view().outbox.is_empty());
        assert_eq!(peers[CAROL].view().settled.len(), 3);
        let got = peers[ALICE].texts(&std::collections::HashMap::new());
        assert_eq!(got.into_iter().map(|(_, text)| text).collect::<Vec<_>>(), texts, "{logged}");
    }
    drop((relay.log.pop(), peers.pop()));
}

#[test]
fn a_request_is_stored_before_it_is_sent_and_the_same_until_it_is_in_the_log() {
    let (mut relay, mut peers) = hurt();
    let carol = &mut peers[CAROL];
    // A crash before the transaction is committed leaves no trace: nothing was sent.
    let before = carol.ledger.clone();
    let uncommitted = request(carol);
    carol.ledger = before;
    let first = request(carol);
    assert_ne!(first, uncommitted);
    let OwnRequest { envelope, logged, .. } = carol.view().request.unwrap();
    assert_eq!((&envelope, logged), (&first, false));
    assert_eq!(carol.ledger.key_packages.len(), 1);
    assert_eq!(request(carol), first);
    // The answer is lost: the log itself says that it arrived.
    assert!(matches!(relay.publish(&seal(carol)), Answer::Accepted(_)));
    assert_eq!(request(carol), first);
    carol.catch_up(&relay);
    assert!(carol.next().is_none());
    // Nobody has answered it in the life of its KeyPackage: it asks anew.
    carol.now = NOW + KEY_PACKAGE_LIFETIME;
    assert_ne!(request(carol), first);
}

type Forgery = fn(&[Peer], &Bytes) -> Bytes;

#[test]
fn a_request_that_its_device_did_not_sign_adds_nobody() {
    let forge: &[(&str, Forgery)] = &[
        ("in another's name", |peers, genuine| edited(genuine, |e| e.sender = peers[ALICE].id())),
        ("under another id", |_, genuine| edited(genuine, |e| e.message_id = MessageId::from_bytes([7; 16]))),
        ("for another seq", |_, genuine| remade(genuine, |request| request.seq = Seq(request.seq.0 - 1))),
        ("with another KeyPackage of the device's", |peers, genuine| {
            let other = peers[CAROL].clone().key_package();
            remade(genuine, |request| request.key_package = other)
        }),
        ("with another's KeyPackage", |peers, genuine| {
            let other = peers[ALICE].clone().key_package();
            remade(genuine, |request| request.key_package = other)
        }),
        ("signed by another key", |_, genuine| {
            let key = DeviceSigningKey::generate(&SystemEntropy).unwrap();
            resigned(genuine, &key, |_| {})
        }),
        ("signed by another member", |_, genuine| resigned(genuine, &people()[1].1, |_| {})),
        ("a bit of its signature flipped", |_, genuine| remade(genuine, |request| request.signature[9] ^= 1)),
        ("garbage", |_, genuine| edited(genuine, |e| e.payload = Bytes::from_static(b"garbage"))),
    ];
    let (_, mut peers) = hurt();
    let genuine = request(&mut peers[CAROL]);
    assert!(owes(&peers[DAVE], &genuine), "the genuine one is answered");
    for (what, forge) in forge {
        let forged = forge(&peers, &genuine);
        assert!(!owes(&peers[DAVE], &forged), "{what}");
        let mut dave = peers[DAVE].clone();
        receive(&mut dave, &forged).unwrap();
        assert_eq!(rejections(&dave).len(), 1, "{what}: shown");
        assert!(dave.view().asked.is_empty(), "{what}");
        // And the genuine one is answered all the same.
        receive(&mut dave, &genuine).unwrap();
        assert_eq!(dave.view().asked.len(), 1, "{what}");
    }
    // A device that follows does not take the daemon's word for its own.
    let alice = peers[ALICE].id();
    receive(&mut peers[ALICE], &edited(&genuine, |e| e.sender = alice)).unwrap();
    assert_eq!(rejections(&peers[ALICE]).len(), 1);
}

/// The request with something changed, under its old signature.
fn remade(genuine: &Bytes, change: impl FnOnce(&mut Request)) -> Bytes {
    edited(genuine, |envelope| {
        let mut request = Request::decode(&envelope.payload).unwrap();
        change(&mut request);
        envelope.payload = request.encode();
    })
}

/// The request with something changed, signed anew.
fn resigned(genuine: &Bytes, key: &DeviceSigningKey, change: impl FnOnce(&mut Request)) -> Bytes {
    edited(genuine, |envelope| {
        let mut request = Request::decode(&envelope.payload).unwrap();
        change(&mut request);
        let signed = [
            &[1][..],
            envelope.room.as_bytes(),
            envelope.message_id.as_bytes(),
            envelope.sender.as_bytes(),
            &request.seq.0.to_be_bytes(),
            &request.key_package,
        ]
        .concat();
        request.signature = key.sign(SignatureUse::Resync, &signed).unwrap().try_into().unwrap();
        envelope.payload = request.encode();
    })
}

#[test]
fn a_device_asks_for_itself_alone_and_for_what_has_happened() {
    let (_, mut peers) = hurt();
    let genuine = request(&mut peers[CAROL]);
    let key = &people()[2].1;
    assert!(owes(&peers[DAVE], &resigned(&genuine, key, |_| {})), "truly signed");
    let (account, device) = (people()[2].2, peers[CAROL].id());
    let another = DeviceId::from_bytes([0x77; 16]);
    let cases: [(&str, Bytes); 3] = [
        ("another device of its account's", ghost(account, another, 2)),
        ("itself, with another device key", ghost(account, device, 2)),
        ("another member's device", peers[ALICE].clone().key_package()),
    ];
    for (what, key_package) in cases {
        let asked = resigned(&genuine, key, |request| request.key_package = key_package);
        assert!(!owes(&peers[DAVE], &asked), "{what}");
    }
    assert!(!owes(&peers[DAVE], &resigned(&genuine, key, |request| request.seq = Seq(99))));
    // Whose KeyPackage has expired is not added, nor is the room held up.
    let mut dave = peers[DAVE].clone();
    receive(&mut dave, &genuine).unwrap();
    dave.now = NOW + KEY_PACKAGE_LIFETIME + 1;
    assert!(dave.next().is_none());
    dave.say("on");
    assert_eq!(Envelope::decode(seal(&mut dave).envelope).unwrap().kind, Kind::Application);
}

#[test]
fn a_request_of_before_that_the_daemon_repeats_adds_nobody_again() {
    let (mut relay, mut peers) = hurt();
    let genuine = request(&mut peers[CAROL]);
    settle(&mut relay, &mut peers);
    settle(&mut relay, &mut peers);
    peers[CAROL].join(&mut relay);
    settle(&mut relay, &mut peers);
    let length = relay.log.len();
    // Dave invites erin, who was not there then, and all of them see the request once more.
    let mut erin = Peer::new(4, ROOM);
    peers[DAVE].change(Change::Add(vec![erin.key_package()]));
    settle(&mut relay, &mut peers);
    erin.join(&mut relay);
    peers.push(erin);
    relay.append(genuine);
    settle(&mut relay, &mut peers);
    assert_eq!(relay.log.len(), length + 2);
    for peer in &mut peers {
        assert!(peer.view().asked.is_empty() && peer.next().is_none());
        assert!(
            rejections(peer).is_empty(),
            "it may have been late: nobody is blamed, its own device included"
        );
        assert_eq!(peer.phase(), Some(Phase::Member));
    }
}

#[test]
fn who_wants_to_leave_or_was_removed_meanwhile_is_not_added_again() {
    // It asked to leave before it could not follow.
    let (mut relay, mut peers) = room(4);
    peers[2].want(Want::Leave);
    peers[2].flush(&mut relay);
    peers[1].catch_up(&relay);
    let asked = {
        let mut stuck = hurt().1;
        request(&mut stuck[CAROL])
    };
    peers.remove(1);
    peers[ALICE].catch_up(&relay);
    receive(&mut peers[ALICE], &asked).unwrap();
    assert!(peers[ALICE].view().asked.is_empty());
    // An admin removes it while its request is on the way.
    let (mut relay, mut peers) = hurt();
    let carol = peers[CAROL].device.account();
    peers[ALICE].change(Change::RemoveAccount(carol));
    peers[ALICE].flush(&mut relay);
    peers[CAROL].flush(&mut relay);
    for _ in 0..2 {
        for follower in [ALICE, DAVE] {
            peers[follower].catch_up(&relay);
            peers[follower].flush(&mut relay);
        }
    }
    for follower in [ALICE, DAVE] {
        assert_eq!(peers[follower].view().roster.len(), 3);
        assert!(peers[follower].view().asked.is_empty() && rejections(&peers[follower]).is_empty());
    }
}

#[test]
fn a_member_may_add_another_again_as_the_very_same_device_only() {
    type Swap = fn(&[Peer]) -> Bytes;
    let swaps: &[(&str, bool, Swap)] = &[
        ("the same device", true, |peers| peers[1].clone().key_package()),
        ("another key of the account's", false, |peers| ghost(people()[1].2, peers[1].id(), 1)),
        ("another device of the account's", false, |_| {
            ghost(people()[1].2, DeviceId::from_bytes([0x55; 16]), 1)
        }),
        ("a stranger", false, |_| Peer::new(3, ROOM).key_package()),
    ];
    for (what, good, key_package) in swaps {
        let (mut relay, mut peers) = room(3);
        let before = epoch(&peers[0]);
        let mut delta = vec![change_of(Operation::Readd, &peers[1])];
        if *what == "a stranger" {
            delta = vec![change_of(Operation::Add, &Peer::new(3, ROOM))];
        }
        if *what == "another device of the account's" {
            let device = DeviceId::from_bytes([0x55; 16]);
            delta = vec![MembershipChange { operation: Operation::Add, account: people()[1].2, device }];
        }
        let key_package = MlsMessage::from_bytes(&key_package(&peers)).unwrap();
        let sealed = Insider { delta, ..Insider::new(&peers[2]) }
            .commit(|plan| plan.remove_member(1).unwrap().add_member(key_package).unwrap(), |_| {});
        assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)), "{what}");
        for peer in &mut peers[..2] {
            peer.catch_up(&relay);
        }
        assert_eq!(epoch(&peers[0]) == before + 1, *good, "{what}: {:?}", peers[0].view().notices);
        assert_eq!(rejections(&peers[0]).is_empty(), *good, "{what}");
        assert_eq!(rejections(&peers[1]).is_empty(), *good, "{what}: both alike");
        // Whom nobody had to add again finds itself outside, and asks.
        assert_eq!(matches!(peers[1].phase(), Some(Phase::Stuck(_))), *good, "{what}");
    }
}

#[test]
fn whoever_is_added_again_with_keys_that_it_has_not_asks_once_more() {
    let (mut relay, mut peers) = hurt();
    peers[CAROL].flush(&mut relay);
    let first = peers[CAROL].view().request.unwrap();
    // An insider, or the daemon itself, names carol in a commit that nobody follows, with no Welcome in it.
    let garbage = Envelope {
        room: ROOM,
        message_id: MessageId::from_bytes([0xcd; 16]),
        sender: people()[1].3,
        kind: Kind::Commit,
        commit_seq: relay.commit_seq,
        payload: Bytes::from_static(b"garbage"),
        delta: vec![change_of(Operation::Readd, &peers[CAROL])],
    };
    let sealed =
        Sealed { envelope: garbage.encode(), commit_seq: relay.commit_seq, welcomes: vec![], tree: None };
    let Answer::Accepted(seq) = relay.publish(&sealed) else { panic!("refused") };
    peers[CAROL].catch_up(&relay);
    assert_eq!(peers[CAROL].phase(), Some(Phase::Stuck(seq)));
    assert!(peers[CAROL].next().is_none(), "not before the Welcome was tried");
    ask_again(&mut peers[CAROL].ledger, ROOM).unwrap();
    let second = request(&mut peers[CAROL]);
    assert_ne!(second, first.envelope);
    assert_eq!(of(&second).seq, seq);
    settle(&mut relay, &mut peers);
    settle(&mut relay, &mut peers);
    peers[CAROL].join(&mut relay);
    // Who follows has nothing to ask again.
    ask_again(&mut peers[CAROL].ledger, ROOM).unwrap();
    assert!(peers[CAROL].next().is_none());
}

#[test]
fn a_welcome_to_another_log_than_the_one_it_has_read_is_not_opened() {
    let (mut relay, mut peers) = hurt();
    peers[CAROL].flush(&mut relay);
    let mut shown = relay.clone();
    let mut others = peers.clone();
    settle(&mut relay, &mut peers);
    // Carol is shown a log in which dave was first.
    others[DAVE].catch_up(&shown);
    others[DAVE].flush(&mut shown);
    assert_ne!(shown.log, relay.log);
    let mut carol = others.remove(CAROL);
    carol.catch_up(&shown);
    let invited = carol.invited(&relay);
    let span = joining::needed_log::<std::convert::Infallible>(&carol.device, &invited).unwrap();
    let log = relay.span(span.after, span.until);
    let before = carol.view();
    let refused = joining::join(&mut carol.ledger, &carol.device, &invited, &log);
    assert!(matches!(refused, Err(qchat_proto::session::error::SessionError::Anchor)), "{refused:?}");
    assert_eq!(carol.view().state, before.state);
    assert!(carol.view().outbox.iter().all(|row| row.state == RowState::Waiting));
}
