//! A room that nobody can follow goes on when an owner restarts it, and when nobody else does.

use bytes::Bytes;
use qchat_proto::{
    content::{Body, Content, Role, RoomSettings, SettingsChange},
    crypto::sign::SignatureUse,
    ids::{DeviceId, MessageId, Seq},
    mls::{anchor::Anchor, fault::OpenFault, group::Plan},
    session::{
        authenticated::Authenticated,
        error::SessionError,
        head, inbox, joining,
        ledger::{Change, Ledger as _, Notice, Phase, RowState, Want},
        restart::{self, Statement},
    },
    wire::{
        frame::{Envelope, Kind, Operation},
        limits,
        tree::TreeHash,
    },
};

use crate::{
    hostile::{epoch, has, receive, rejections, seal},
    insider::{Insider, change_of},
    ledger::trees,
    members::{ROOM, room, settle},
    peer::{Peer, people},
    relay::{Answer, Relay},
};

const ALICE: usize = 0;
const CAROL: usize = 1;
const DAVE: usize = 2;

/// Alice, the admin, carol and dave, in a room with bob, who makes a commit that alice cannot follow. Bob's own device
/// knows nothing of what was sent with its keys: it takes no part.
fn hurt(before: impl FnOnce(&mut Relay, &mut [Peer])) -> (Relay, Vec<Peer>) {
    let (mut relay, mut peers) = room(4);
    let (bob, mut peers) = (peers.remove(1), peers);
    before(&mut relay, &mut peers);
    let sealed = Insider { spoils: &[0], ..Insider::new(&bob) }.commit(|plan| plan, |_| {});
    assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)));
    for peer in &mut peers {
        peer.catch_up(&relay);
    }
    assert!(is_stuck(&peers[ALICE]) && !is_stuck(&peers[DAVE]), "{:?}", peers[ALICE].view().notices);
    (relay, peers)
}

const ALL: &[usize] = &[0, 1, 2, 3];

fn is_stuck(peer: &Peer) -> bool {
    matches!(peer.phase(), Some(Phase::Stuck(_)))
}

/// Wants a restart with KeyPackages of the others.
fn wants(peers: &mut [Peer], who: usize) -> Result<MessageId, SessionError<std::convert::Infallible>> {
    let others = (0..peers.len()).filter(|other| *other != who);
    let key_packages = others.map(|other| peers[other].key_package()).collect();
    let peer = &mut peers[who];
    restart::want(&mut peer.ledger, &peer.device, ROOM, key_packages)
}

/// Reads, joins where a Welcome waits, and sends, until nothing moves.
fn go_on(relay: &mut Relay, peers: &mut [Peer]) {
    for _ in 0..4 {
        settle(relay, peers);
        for peer in peers.iter_mut().filter(|peer| peer.joinable(relay)).collect::<Vec<_>>() {
            peer.join(relay);
        }
    }
}

fn texts(peer: &Peer) -> Vec<String> {
    let messages = peer.view().messages;
    let text = |content| match Content::decode(content).unwrap().body {
        Body::Text(text) => text,
        other => panic!("{other:?}"),
    };
    messages.iter().map(|message| text(&message.content)).collect()
}

#[test]
fn a_room_whose_log_was_deleted_before_anybody_had_it_goes_on_when_an_admin_restarts_it() {
    let (mut relay, mut peers) = room(3);
    // Two commits and a text that nobody has, made by a copy of the last one's keys.
    let mut gone = peers[2].clone();
    gone.change(Change::Update);
    gone.flush(&mut relay);
    gone.catch_up(&relay);
    gone.change(Change::Update);
    gone.flush(&mut relay);
    let until = Seq(relay.log.len() as u64);
    for peer in &mut peers {
        inbox::missed(&mut peer.ledger, &peer.device, ROOM, until).unwrap();
    }
    go_on(&mut relay, &mut peers);
    assert!(peers.iter().all(is_stuck), "all have asked, and nobody can answer");
    wants(&mut peers, ALICE).unwrap();
    go_on(&mut relay, &mut peers);
    for peer in &peers {
        assert_eq!(peer.phase(), Some(Phase::Member), "{:?}", peer.view().notices);
    }
    peers[2].say("follows");
    go_on(&mut relay, &mut peers);
    peers[1].say("too");
    go_on(&mut relay, &mut peers);
    assert_eq!(texts(&peers[ALICE]), ["follows", "too"]);
    // Their heads are known again: who sees another log is found out.
    assert!(peers.iter().all(|peer| peer.view().state.unwrap().head != head::UNKNOWN));
}

#[test]
fn a_restart_that_was_made_for_a_place_that_never_was_is_given_up() {
    let (mut relay, mut peers) = room(3);
    let newest = Seq(relay.log.len() as u64);
    let until = Seq(limits::SEQ.0 - 100);
    let alice = &mut peers[ALICE];
    inbox::missed(&mut alice.ledger, &alice.device, ROOM, until).unwrap();
    // The daemon makes a commit up, too.
    let made_up = Envelope {
        room: ROOM,
        message_id: MessageId::from_bytes([7; 16]),
        sender: DeviceId::from_bytes([7; 16]),
        kind: Kind::Commit,
        commit_seq: until,
        payload: Bytes::from_static(b"none"),
        delta: vec![],
    };
    receive(alice, &made_up.encode()).unwrap();
    wants(&mut peers, ALICE).unwrap();
    let sealed = peers[ALICE].next().expect("a restart").sealed;
    assert_eq!(Envelope::decode(sealed.envelope).unwrap().kind, Kind::Restart);
    let alice = &mut peers[ALICE];
    assert!(inbox::gone_too_far(&mut alice.ledger, ROOM, newest).unwrap());
    assert_eq!(alice.view().outbox, []);
    go_on(&mut relay, &mut peers);
    for peer in &peers {
        assert_eq!(peer.phase(), Some(Phase::Member), "{:?}", peer.view().notices);
        assert!(rejections(peer).is_empty());
    }
}

#[test]
fn a_room_that_nobody_can_follow_goes_on_when_an_admin_restarts_it() {
    let (mut relay, mut peers) = room(4);
    peers[1].say("waits");
    let sealed = Insider { spoils: ALL, ..Insider::new(&peers[3]) }.commit(|plan| plan, |_| {});
    assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)));
    settle(&mut relay, &mut peers);
    assert!(peers.iter().all(is_stuck), "nobody can follow, whoever did it included");
    go_on(&mut relay, &mut peers);
    assert!(peers.iter().all(is_stuck), "all have asked, and nobody can answer");

    wants(&mut peers, ALICE).unwrap();
    go_on(&mut relay, &mut peers);
    let alice = people()[ALICE].2;
    for peer in &peers {
        assert_eq!(peer.phase(), Some(Phase::Member), "{:?}", peer.view().notices);
        assert!(has(peer, &Notice::Restarted(alice)));
        assert_eq!(peer.view().roster.len(), 4);
        assert_eq!(peer.view().settings.unwrap().admins, [alice]);
    }
    peers[2].say("follows");
    go_on(&mut relay, &mut peers);
    peers[ALICE].change(Change::Update);
    peers[ALICE].say("too");
    go_on(&mut relay, &mut peers);
    assert_eq!(texts(&peers[3]), ["waits", "follows", "too"]);
    assert_eq!(texts(&peers[1]), ["follows", "too"], "and its own, which waited");
    for peer in &peers {
        assert!(peer.view().outbox.is_empty(), "{:?}", peer.view().outbox);
        assert!(!peer.view().notices.iter().any(|(_, notice)| matches!(notice, Notice::Gap { .. })));
    }
    // And once more: each group of the room has its own name.
    let sealed = Insider { spoils: ALL, ..Insider::new(&peers[2]) }.commit(|plan| plan, |_| {});
    assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)));
    go_on(&mut relay, &mut peers);
    assert!(peers.iter().all(is_stuck));
    wants(&mut peers, ALICE).unwrap();
    go_on(&mut relay, &mut peers);
    peers[1].say("again");
    go_on(&mut relay, &mut peers);
    assert_eq!(texts(&peers[2]).last().unwrap(), "again");
}

#[test]
fn only_an_admin_that_cannot_follow_may_restart_a_room() {
    let (_, mut peers) = hurt(|_, _| {});
    assert!(matches!(wants(&mut peers, CAROL), Err(SessionError::NotWriting(Phase::Member))), "it follows");
    assert!(wants(&mut peers, ALICE).is_ok());
    assert!(matches!(wants(&mut peers, ALICE), Err(SessionError::Restarting)), "once is enough");
    let (_, mut peers) = bob_alone_hurt();
    assert!(matches!(wants(&mut peers, 1), Err(SessionError::NotOwner)), "it is no admin");
    let (_, mut peers) = hurt(|relay, peers| {
        peers[ALICE].want(Want::Leave);
        peers[ALICE].flush(relay);
    });
    let refused = wants(&mut peers, ALICE);
    assert!(matches!(refused, Err(SessionError::NotWriting(_))), "it had asked to leave: {refused:?}");
}

/// Alice means harm, bob cannot follow, carol and dave do.
fn bob_alone_hurt() -> (Relay, Vec<Peer>) {
    let (mut relay, mut peers) = room(4);
    let sealed = Insider { spoils: &[1], ..Insider::new(&peers[0]) }.commit(|plan| plan, |_| {});
    assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)));
    for peer in &mut peers[1..] {
        peer.catch_up(&relay);
    }
    assert!(is_stuck(&peers[1]) && !is_stuck(&peers[2]));
    (relay, peers)
}

#[test]
fn who_still_follows_goes_along_and_sees_who_was_left_behind() {
    let (mut relay, mut peers) = hurt(|_, _| {});
    // The daemon's list has lost dave since.
    let delta = vec![change_of(Operation::Remove, &peers[DAVE])];
    let strike = Insider { delta, ..Insider::new(&peers[CAROL]) }.envelope("garbage");
    assert!(matches!(relay.publish(&strike), Answer::Accepted(_)));
    peers[ALICE].catch_up(&relay);
    wants(&mut peers, ALICE).unwrap();
    let sent = seal(&mut peers[ALICE]);
    assert!(matches!(relay.publish(&sent), Answer::Accepted(_)));
    for peer in &mut peers[..DAVE] {
        peer.catch_up(&relay);
    }
    // The daemon cuts him off at the strike; read by somebody who can, the restart removes him.
    while peers[DAVE].cursor() < Seq(relay.log.len() as u64) {
        let next = relay.at(peers[DAVE].cursor().next()).unwrap();
        receive(&mut peers[DAVE], &next.bytes).unwrap();
    }
    assert!(matches!(peers[DAVE].phase(), Some(Phase::Removed(_))), "{:?}", peers[DAVE].phase());
    assert!(peers[DAVE].ledger.group_of(ROOM).is_none());
    peers[CAROL].join(&mut relay);
    let (alice, dave) = (people()[0].2, people()[3].2);
    for who in [ALICE, CAROL] {
        let notices = peers[who].view().notices;
        let removed = |notice: &Notice| matches!(notice, Notice::Removed { by, accounts } if *by == alice && accounts.contains(&dave));
        assert!(notices.iter().any(|(_, notice)| removed(notice)), "{notices:?}");
    }
}

type Forgery = fn(&mut [Peer], &Envelope) -> Envelope;

/// Signs again what a change has made of an admin's statement, with the keys of the device that it names.
fn said(genuine: &Envelope, by: &Peer, number: usize, change: fn(&mut Authenticated)) -> Envelope {
    let mut vouched = Statement::decode(&genuine.payload).unwrap().vouched;
    vouched.sender = by.id();
    change(&mut vouched);
    let signed = [&[1][..], &vouched.encode()].concat();
    let signature = people()[number].1.sign(SignatureUse::Restart, &signed).unwrap().try_into().unwrap();
    let payload = Statement { vouched, signature }.encode();
    Envelope { sender: by.id(), payload, ..genuine.clone() }
}

#[test]
fn a_restart_that_no_admin_has_signed_for_this_place_is_skipped_by_all_who_follow() {
    let forgeries: &[(&str, Forgery)] = &[
        ("no statement", |_, genuine| Envelope { payload: "garbage".into(), ..genuine.clone() }),
        ("by a member who is no admin", |peers, genuine| said(genuine, &peers[DAVE], 3, |_| {})),
        ("by nobody of the room", |_, genuine| said(genuine, &Peer::new(4, ROOM), 4, |_| {})),
        ("in the admin's name by another key", |peers, genuine| said(genuine, &peers[ALICE], 3, |_| {})),
        ("signed for another use", |peers, genuine| {
            let vouched = Statement::decode(&genuine.payload).unwrap().vouched;
            let signed = [&[1][..], &vouched.encode()].concat();
            let key = &people()[ALICE].1;
            let signature = key.sign(SignatureUse::Resync, &signed).unwrap().try_into().unwrap();
            assert_eq!(vouched.sender, peers[ALICE].id());
            Envelope { payload: Statement { vouched, signature }.encode(), ..genuine.clone() }
        }),
        ("under another message id", |_, genuine| Envelope {
            message_id: MessageId::from_bytes([1; 16]),
            ..genuine.clone()
        }),
        ("with another delta", |peers, genuine| {
            let mut delta = genuine.delta.clone();
            delta.retain(|change| change.device != peers[CAROL].id());
            Envelope { delta, ..genuine.clone() }
        }),
        ("of a log that never was", |peers, genuine| {
            said(genuine, &peers[ALICE], ALICE, |v| v.head = [7; 48])
        }),
        ("from the future", |peers, genuine| said(genuine, &peers[ALICE], ALICE, |v| v.head_seq = Seq(99))),
        ("in place of the first group", |peers, genuine| {
            said(genuine, &peers[ALICE], ALICE, |v| v.head_seq = Seq(0))
        }),
        ("for another room", |peers, genuine| {
            said(genuine, &peers[ALICE], ALICE, |v| v.room = qchat_proto::ids::RoomId::from_bytes([1; 16]))
        }),
        ("called a commit", |_, genuine| Envelope { kind: Kind::Commit, ..genuine.clone() }),
    ];
    for (what, forge) in forgeries {
        let (mut relay, mut peers) = hurt(|_, _| {});
        wants(&mut peers, ALICE).unwrap();
        let genuine = seal(&mut peers[ALICE]).envelope;
        let forged = forge(&mut peers, &Envelope::decode(genuine.clone()).unwrap());
        let seq = relay.append(forged.encode());
        relay.commit_seq = seq;
        let before = epoch(&peers[CAROL]);
        peers[CAROL].catch_up(&relay);
        assert_eq!(peers[CAROL].phase(), Some(Phase::Member), "{what}: {:?}", peers[CAROL].view().notices);
        assert_eq!(rejections(&peers[CAROL]).last().map(|(at, ..)| *at), Some(seq), "{what}");
        assert_eq!(epoch(&peers[CAROL]), before, "{what}");
        // Whoever cannot follow is led nowhere by it either.
        peers[ALICE].catch_up(&relay);
        assert!(is_stuck(&peers[ALICE]), "{what}");
        assert_eq!(peers[ALICE].view().state.unwrap().generation, Seq(0), "{what}");
        // And the genuine one, sealed again, goes through after it.
        let answer = Answer::Stale(seq);
        let id = Envelope::decode(genuine.clone()).unwrap().message_id;
        let under = Envelope::decode(genuine).unwrap().commit_seq;
        peers[ALICE].answered(under, id, answer);
        go_on(&mut relay, &mut peers[..DAVE]);
        peers[CAROL].say("goes on");
        go_on(&mut relay, &mut peers[..DAVE]);
        assert_eq!(texts(&peers[ALICE]), ["goes on"], "{what}: {:?}", peers[ALICE].view().notices);
    }
}

#[test]
fn a_restart_of_before_that_the_daemon_repeats_ends_nothing() {
    let (mut relay, mut peers) = hurt(|_, _| {});
    wants(&mut peers, ALICE).unwrap();
    let restart = seal(&mut peers[ALICE]).envelope;
    go_on(&mut relay, &mut peers);
    relay.append(restart);
    for peer in &mut peers {
        peer.catch_up(&relay);
        assert_eq!(peer.phase(), Some(Phase::Member), "{:?}", peer.view().notices);
        assert_eq!(rejections(peer).len(), 1);
    }
}

#[test]
fn a_welcome_into_a_group_of_somebody_elses_making_is_refused() {
    // Bob cannot follow; carol, who is no admin, makes another group of the room and adds him there.
    const BOB: usize = 1;
    const CAROL: usize = 2;
    let (mut relay, mut peers) = bob_alone_hurt();
    settle(&mut relay, &mut peers[BOB..=BOB]);
    peers[CAROL].catch_up(&relay);
    let room_key = peers[BOB].key_package();
    let state = peers[CAROL].view().state.unwrap();
    let (message_id, settings) = (MessageId::from_bytes([9; 16]), peers[CAROL].view().settings.unwrap());
    let anchor = Anchor { head_seq: state.cursor, head: state.head, message_id, leaving: vec![] };
    let mut settings = settings;
    settings.admins.push(people()[CAROL].2);
    let made = peers[CAROL].device.create_again(ROOM, &settings, vec![room_key], &anchor, peers[CAROL].now);
    let (_, output) = made.unwrap();
    let delta = vec![change_of(Operation::Readd, &peers[BOB])];
    for kind in [Kind::Commit, Kind::Restart] {
        let (mut relay, mut peers) = (relay.clone(), peers.clone());
        let mut sealed = Insider { delta: delta.clone(), kind, ..Insider::new(&peers[CAROL]) }.envelope("x");
        let mut envelope = Envelope::decode(sealed.envelope.clone()).unwrap();
        envelope.message_id = message_id;
        sealed.envelope = envelope.encode();
        trees::keep(&output.ratchet_tree);
        sealed.tree = Some(TreeHash::of(&output.ratchet_tree));
        sealed.welcomes = vec![qchat_proto::wire::frame::Invitation {
            device: peers[BOB].id(),
            welcome: output.welcomes[0].clone(),
        }];
        assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)));
        peers[BOB].catch_up(&relay);
        let invited = peers[BOB].invited(&relay);
        let span = joining::needed_log::<std::convert::Infallible>(&peers[BOB].device, &invited).unwrap();
        let log = relay.span(span.after, span.until);
        let bob = &mut peers[BOB];
        let refused = joining::join(&mut bob.ledger.clone(), &bob.device, &invited, &log);
        // What cannot follow does not even note the place of a restart by no admin.
        let expected = matches!(refused, Err(SessionError::NotOwner))
            || (kind == Kind::Restart && matches!(refused, Err(SessionError::Joined)));
        assert!(expected, "{kind:?}: {refused:?}");
    }
}

#[test]
fn of_two_restarts_the_later_is_given_up_and_its_admin_goes_along() {
    let (mut relay, mut peers) = {
        let mut peers: Vec<Peer> = (0..3).map(|number| Peer::new(number, ROOM)).collect();
        let mut relay = Relay::new(ROOM, peers[0].id());
        peers[0].create(&[people()[ALICE].2, people()[1].2]);
        let key_packages = peers[1..].iter_mut().map(Peer::key_package).collect();
        peers[0].change(Change::Add(key_packages));
        peers[0].flush(&mut relay);
        peers[0].catch_up(&relay);
        for peer in &mut peers[1..] {
            peer.join(&mut relay);
        }
        (relay, peers)
    };
    let sealed = Insider { spoils: ALL, ..Insider::new(&peers[2]) }.commit(|plan| plan, |_| {});
    assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)));
    settle(&mut relay, &mut peers);
    wants(&mut peers, ALICE).unwrap();
    wants(&mut peers, 1).unwrap();
    let (first, second) = (peers[ALICE].next().unwrap(), peers[1].next().unwrap());
    let answer = relay.publish(&second.sealed);
    peers[1].answered(second.sealed.commit_seq, second.message_id, answer);
    let answer = relay.publish(&first.sealed);
    assert!(matches!(answer, Answer::Stale(_)));
    peers[ALICE].answered(first.sealed.commit_seq, first.message_id, answer);
    assert_eq!(peers[ALICE].next(), None, "it waits until it has read what was ordered before");
    go_on(&mut relay, &mut peers);
    for peer in &peers {
        assert_eq!(peer.phase(), Some(Phase::Member), "{:?}", peer.view().notices);
        assert!(peer.view().outbox.is_empty());
    }
    let states: Vec<_> = peers.iter().map(|peer| peer.view().state.unwrap().generation).collect();
    assert!(states.iter().all(|generation| *generation == states[0] && *generation > Seq(0)), "{states:?}");
    peers[ALICE].say("one room");
    go_on(&mut relay, &mut peers);
    assert_eq!(texts(&peers[1]), ["one room"]);
}

#[test]
fn who_had_asked_to_leave_is_left_behind_or_asks_again() {
    #[derive(Debug, PartialEq)]
    enum Asks {
        /// Before the commit that alice cannot follow: she has opened it.
        Before,
        /// After that: she reads that it was asked, and cannot open it.
        After,
        /// Once her word is sealed, but before it is in the log.
        Late,
    }
    for asks in [Asks::Before, Asks::After, Asks::Late] {
        let leave = |relay: &mut Relay, peers: &mut [Peer]| {
            peers[CAROL].want(Want::Leave);
            peers[CAROL].flush(relay);
            assert!(matches!(peers[CAROL].phase(), Some(Phase::Leaving(_))));
        };
        let (mut relay, mut peers) = hurt(|relay, peers| {
            if asks == Asks::Before {
                leave(relay, peers);
            }
        });
        assert!(is_stuck(&peers[ALICE]), "{asks:?}");
        if asks == Asks::After {
            leave(&mut relay, &mut peers);
        }
        peers[ALICE].catch_up(&relay);
        wants(&mut peers, ALICE).unwrap();
        let restart = seal(&mut peers[ALICE]);
        if asks == Asks::Late {
            leave(&mut relay, &mut peers);
        }
        assert!(matches!(relay.publish(&restart), Answer::Accepted(_)), "{asks:?}");
        for peer in &mut peers {
            peer.catch_up(&relay);
        }
        let goes = matches!(peers[CAROL].phase(), Some(Phase::Left(_)));
        assert_eq!(goes, asks != Asks::Late, "{asks:?}: {:?}", peers[CAROL].phase());
        go_on(&mut relay, &mut peers);
        peers[DAVE].say("who is left?");
        go_on(&mut relay, &mut peers);
        assert!(matches!(peers[CAROL].phase(), Some(Phase::Left(_))), "{asks:?}: {:?}", peers[CAROL].phase());
        assert!(
            peers[ALICE].view().roster.iter().all(|listed| listed.device != peers[CAROL].id()),
            "{asks:?}"
        );
        assert_eq!(texts(&peers[ALICE]), ["who is left?"], "{asks:?}");
    }
}

#[test]
fn a_restart_that_waits_for_its_answer_is_not_overtaken_by_an_older_welcome() {
    let (mut relay, mut peers) = hurt(|_, _| {});
    // Carol has heard that alice cannot follow, and adds her again; that Welcome does not get through at first.
    settle(&mut relay, &mut peers[..CAROL]);
    settle(&mut relay, &mut peers[CAROL..=CAROL]);
    peers[ALICE].catch_up(&relay);
    assert!(peers[ALICE].joinable(&relay));
    wants(&mut peers, ALICE).unwrap();
    let restart = peers[ALICE].next().unwrap();
    let invited = peers[ALICE].invited(&relay);
    let span = joining::needed_log::<std::convert::Infallible>(&peers[ALICE].device, &invited).unwrap();
    let log = relay.span(span.after, span.until);
    let alice = &mut peers[ALICE];
    let overtaking = joining::join(&mut alice.ledger.clone(), &alice.device, &invited, &log);
    assert!(matches!(overtaking, Err(SessionError::Restarting)), "{overtaking:?}");
    assert!(matches!(relay.publish(&restart.sealed), Answer::Accepted(_)));
    go_on(&mut relay, &mut peers);
    peers[ALICE].say("back");
    go_on(&mut relay, &mut peers);
    assert_eq!(texts(&peers[CAROL]), ["back"]);
    assert!(peers[CAROL].view().state.unwrap().generation > Seq(0));
}

#[test]
fn a_welcome_of_after_a_restart_was_sealed_makes_it_void() {
    let (mut relay, mut peers) = hurt(|_, _| {});
    settle(&mut relay, &mut peers[..CAROL]);
    wants(&mut peers, ALICE).unwrap();
    let restart = peers[ALICE].next().unwrap();
    settle(&mut relay, &mut peers[CAROL..=CAROL]);
    // Once she has read that she was added, her own is in the log before that or never.
    peers[ALICE].catch_up(&relay);
    assert!(!peers[ALICE].view().outbox.iter().any(|row| matches!(row.state, RowState::Sealed(_))));
    assert!(matches!(relay.publish(&restart.sealed), Answer::Stale(_)));
    peers[ALICE].join(&mut relay);
    peers[ALICE].say("back");
    settle(&mut relay, &mut peers);
    assert_eq!(texts(&peers[CAROL]), ["back"]);
    assert_eq!(peers[CAROL].view().state.unwrap().generation, Seq(0));
}

#[test]
fn a_restart_that_the_daemon_logs_late_or_again_leads_nobody_away() {
    // Late: alice's restart is sealed, carol's commit goes before it, dave cannot follow, carol does.
    let (mut relay, mut peers) = hurt(|_, _| {});
    wants(&mut peers, ALICE).unwrap();
    let late = peers[ALICE].next().unwrap().sealed.envelope;
    peers[CAROL].change(Change::Update);
    peers[CAROL].flush(&mut relay);
    let seq = relay.append(late);
    relay.commit_seq = seq;
    for peer in &mut peers {
        peer.catch_up(&relay);
        assert_eq!(peer.view().state.unwrap().generation, Seq(0), "{:?}", peer.view().notices);
    }
    assert!(is_stuck(&peers[ALICE]), "she does not follow her own word alone");
    assert_eq!(peers[CAROL].phase(), Some(Phase::Member));

    // Again: carol has read that the room was restarted, and not opened her Welcome yet.
    let (mut relay, mut peers) = hurt(|_, _| {});
    wants(&mut peers, ALICE).unwrap();
    let restart = seal(&mut peers[ALICE]);
    assert!(matches!(relay.publish(&restart), Answer::Accepted(_)));
    peers[CAROL].catch_up(&relay);
    let state = peers[CAROL].view().state.unwrap();
    relay.append(restart.envelope);
    peers[CAROL].catch_up(&relay);
    let after = peers[CAROL].view().state.unwrap();
    assert_eq!((after.phase, after.generation), (state.phase, state.generation));
    peers[CAROL].join(&mut relay);
}

#[test]
fn key_packages_that_do_not_go_together_keep_nobody_else_behind() {
    let (mut relay, mut peers) = hurt(|_, _| {});
    let others = [CAROL, DAVE].map(|other| peers[other].key_package());
    // Dave's comes twice, the second time expired when it is looked at; a stranger's is of nobody in the room.
    let stranger = Peer::new(4, ROOM).key_package();
    let mut key_packages = others.to_vec();
    key_packages.extend([others[1].clone(), stranger, bytes::Bytes::from_static(b"garbage")]);
    let alice = &mut peers[ALICE];
    restart::want(&mut alice.ledger, &alice.device, ROOM, key_packages).unwrap();
    go_on(&mut relay, &mut peers);
    assert_eq!(peers[ALICE].view().roster.len(), 3, "{:?}", peers[ALICE].view().notices);
    assert!(peers.iter().all(|peer| peer.phase() == Some(Phase::Member)));
}

#[test]
fn who_was_not_in_the_room_leads_nobody_on_in_it_unasked() {
    // Bob cannot follow. The daemon answers his request with an account of its own, whose group has the room's name.
    const BOB: usize = 1;
    let (mut relay, mut peers) = bob_alone_hurt();
    settle(&mut relay, &mut peers[BOB..=BOB]);
    let bob = &mut peers[BOB];
    let mallory = Peer::new(4, ROOM);
    let state = bob.view().state.unwrap();
    let settings = RoomSettings::new("tea".to_owned(), vec![mallory.device.account()]);
    let message_id = MessageId::from_bytes([9; 16]);
    let anchor = Anchor { head_seq: state.cursor, head: state.head, message_id, leaving: vec![] };
    let mut group = mallory.device.create(ROOM, &settings, mallory.now).unwrap();
    while group.epoch() <= state.epoch {
        let commit = group.commit(&Plan::default(), &anchor, vec![], mallory.now).unwrap();
        group.open(&commit.message).unwrap();
    }
    let plan = Plan { add: vec![bob.key_package()], ..Plan::default() };
    let output = group.commit(&plan, &anchor, vec![], mallory.now).unwrap();
    let envelope = Envelope {
        room: ROOM,
        message_id,
        sender: mallory.id(),
        kind: Kind::Commit,
        commit_seq: state.commit_seq,
        payload: "x".into(),
        delta: vec![change_of(Operation::Readd, bob)],
    };
    let seq = relay.append(envelope.encode());
    bob.catch_up(&relay);
    let wanted = bob.key_package_for(&output.welcomes[0]);
    let mut invited = joining::Invited {
        room: ROOM,
        seq,
        welcome: output.welcomes[0].clone(),
        ratchet_tree: output.ratchet_tree,
        accepted: false,
        key_package: wanted,
    };
    let span = joining::needed_log::<std::convert::Infallible>(&bob.device, &invited).unwrap();
    let log = relay.span(span.after, span.until);
    let refused = joining::join(&mut bob.ledger.clone(), &bob.device, &invited, &log);
    assert!(matches!(refused, Err(SessionError::Stranger)), "{refused:?}");
    // A person may say yes to it, who sees whose invitation it is.
    invited.accepted = true;
    joining::join(&mut bob.ledger, &bob.device, &invited, &log).unwrap();
}

#[test]
fn a_restart_makes_no_conversation_of_two_out_of_another_room() {
    let (mut relay, mut peers) = hurt(|_, _| {});
    // A client of alice's own takes another group for the old one: a conversation with carol.
    let mut two = [Peer::new(0, ROOM), Peer::new(2, ROOM)];
    let mut elsewhere = Relay::new(ROOM, two[0].id());
    let accounts = two.each_ref().map(|peer| peer.device.account());
    two[0].create_with(&RoomSettings::direct("two".to_owned(), accounts));
    let key_package = two[1].key_package();
    two[0].change(Change::Add(vec![key_package]));
    settle(&mut elsewhere, &mut two[..1]);
    let [mallory, _] = &mut two;
    let (state, listed) = (peers[ALICE].view().state.unwrap(), peers[ALICE].view().listed);
    mallory.ledger.put_room(&state).unwrap();
    mallory.ledger.put_listed(ROOM, &listed).unwrap();
    let key_package = peers[CAROL].key_package();
    restart::want(&mut mallory.ledger, &mallory.device, ROOM, vec![key_package]).unwrap();
    let sealed = mallory.next().expect("a restart").sealed;
    assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)));

    let carol = &mut peers[CAROL];
    carol.catch_up(&relay);
    assert!(carol.joinable(&relay));
    let invited = carol.invited(&relay);
    let span = joining::needed_log::<std::convert::Infallible>(&carol.device, &invited).unwrap();
    let log = relay.span(span.after, span.until);
    let joined = joining::join(&mut carol.ledger, &carol.device, &invited, &log);
    assert!(matches!(joined, Err(SessionError::Welcome(OpenFault::Invalid))), "{joined:?}");
    assert!(is_stuck(carol));
}

#[test]
fn an_admin_who_is_no_owner_restarts_nothing() {
    let (mut relay, mut peers) = room(4);
    let dave = peers[3].device.account();
    peers[0].change(Change::Settings(SettingsChange::Role(dave, Role::Admin)));
    settle(&mut relay, &mut peers);
    let (bob, mut peers) = (peers.remove(1), peers);
    let sealed = Insider { spoils: &[3], ..Insider::new(&bob) }.commit(|plan| plan, |_| {});
    assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)));
    for peer in &mut peers {
        peer.catch_up(&relay);
    }
    assert!(is_stuck(&peers[DAVE]), "{:?}", peers[DAVE].view().notices);
    assert!(matches!(wants(&mut peers, DAVE), Err(SessionError::NotOwner)));
}
