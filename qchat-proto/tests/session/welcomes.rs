//! Who comes in, and how: KeyPackages, leaves and Welcomes that are not what they should be.

use std::{collections::BTreeSet, convert::Infallible};

use bytes::Bytes;
use qchat_proto::{
    content::{Role, SettingsChange},
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    mls::{
        device::{Device, KEY_PACKAGE_LIFETIME},
        fault::OpenFault,
        identity::MissingKey,
    },
    session::{
        error::SessionError,
        joining,
        ledger::{Change, Phase},
        outbox,
    },
    wire::frame::{Kind, Logged},
};

use crate::{
    hostile::{edited, receive, rejections, seal},
    ledger::Memory,
    members::{ROOM, room, settle},
    peer::{NOW, Peer, ghost, people},
    relay::{Answer, Relay},
};

#[test]
fn a_leaf_waits_until_the_key_that_certifies_it_is_pinned() {
    let (mut relay, mut peers) = room(2);
    let mut carol = Peer::new(2, ROOM);
    let (account, hash) = (people()[2].2, people()[2].0.public().hash());
    peers[1].unpin(2);
    let key_package = carol.key_package();
    // Neither is a KeyPackage taken on trust.
    let strange = peers[1].device.inspect_key_package(&key_package, NOW);
    assert!(matches!(strange, Err(OpenFault::UnknownAccounts(missing)) if missing[0].account == account));
    peers[0].change(Change::Add(vec![key_package]));
    peers[0].flush(&mut relay);
    let commit = relay.log[relay.log.len() - 1].clone();
    let before = peers[1].view().state;
    let Err(SessionError::UnknownAccounts(missing)) = receive(&mut peers[1], &commit) else {
        panic!("taken")
    };
    assert_eq!((missing[0].account, missing[0].identity_key_hash), (account, hash));
    assert_eq!(peers[1].view().state, before);
    peers[1].pin(2);
    receive(&mut peers[1], &commit).unwrap();
    assert_eq!(peers[1].view().roster.len(), 3);
    carol.unpin(1);
    let invited = carol.invited(&relay);
    let unknown = joining::needed_log::<Infallible>(&carol.device, &invited);
    assert!(matches!(unknown, Err(SessionError::UnknownAccounts(_))));
    carol.pin(1);
    carol.join(&mut relay);
}

#[test]
fn all_keys_that_are_missing_are_named_at_once() {
    let (mut relay, mut peers) = room(2);
    let (mut carol, mut dave) = (Peer::new(2, ROOM), Peer::new(3, ROOM));
    let accounts = |missing: Vec<MissingKey>| -> BTreeSet<AccountId> {
        missing.into_iter().map(|missing| missing.account).collect()
    };
    for stranger in [2, 3] {
        peers[1].unpin(stranger);
    }
    peers[0].change(Change::Add(vec![carol.key_package(), dave.key_package()]));
    peers[0].flush(&mut relay);
    let commit = relay.log[relay.log.len() - 1].clone();
    let Err(SessionError::UnknownAccounts(missing)) = receive(&mut peers[1], &commit) else {
        panic!("taken")
    };
    assert_eq!(accounts(missing), BTreeSet::from([people()[2].2, people()[3].2]));
    for member in [0, 1, 3] {
        carol.unpin(member);
    }
    let unknown = joining::needed_log::<Infallible>(&carol.device, &carol.invited(&relay));
    let Err(SessionError::UnknownAccounts(missing)) = unknown else { panic!("joined") };
    assert_eq!(accounts(missing), BTreeSet::from([people()[0].2, people()[1].2, people()[3].2]));
}

#[test]
fn a_leaf_whose_key_nobody_has_does_not_hold_the_room_up() {
    let (mut relay, mut peers) = room(3);
    let mut ghost = Peer::new(3, ROOM);
    // Alice alone takes the key for genuine: she made it up.
    peers[1].unpin(3);
    peers[2].unpin(3);
    let key_package = ghost.key_package();
    peers[0].change(Change::Add(vec![key_package]));
    peers[0].flush(&mut relay);
    let commit = relay.log[relay.log.len() - 1].clone();
    for peer in &mut peers[1..] {
        assert!(matches!(receive(peer, &commit), Err(SessionError::UnknownAccounts(_))));
        peer.has_no_key(3);
        receive(peer, &commit).unwrap();
        assert_eq!(peer.view().roster.len(), 3);
        assert_eq!(rejections(peer).len(), 1);
    }
    // The others go on among themselves, and take the ghost off the daemon's list.
    peers[1].say("without the ghost");
    settle(&mut relay, &mut peers[1..]);
    assert_eq!(peers[2].view().messages.len(), 1);
    assert!(!relay.status.contains_key(&ghost.id()));
}

#[test]
fn a_key_package_that_is_not_what_it_should_be_adds_nobody() {
    let genuine = Peer::new(2, ROOM).key_package();
    let flip = |at: usize| {
        let mut bytes = genuine.to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    };
    let (_, _, bob, bobs_device) = people()[1];
    let offered: Vec<(&str, Bytes, u64)> = vec![
        ("expired", genuine.clone(), NOW + KEY_PACKAGE_LIFETIME + 3600),
        ("not yet valid", genuine.clone(), NOW - 7 * 24 * 3600),
        ("of another suite", flip(7), NOW),
        ("of another version", flip(5), NOW),
        ("altered", flip(2000), NOW),
        ("cut", genuine.slice(..genuine.len() - 1), NOW),
        ("no KeyPackage", Bytes::from_static(b"hello"), NOW),
        ("in an account's name without its key", ghost(bob, DeviceId::from_bytes([0x66; 16]), 4), NOW),
        // Certified by somebody who is in order, under the id of a device of bob's.
        ("under another's device id", ghost(people()[3].2, bobs_device, 3), NOW),
    ];
    let (_, peers) = room(2);
    let sealed = |key_package: Bytes, now: u64| {
        let mut alice = peers[0].clone();
        alice.change(Change::Add(vec![key_package]));
        outbox::next(&mut alice.ledger, &alice.device, ROOM, now)
    };
    assert!(matches!(sealed(genuine.clone(), NOW), Ok(Some(_))));
    for (what, key_package, now) in offered {
        let next = sealed(key_package, now);
        assert!(matches!(next, Ok(None) | Err(SessionError::Unsealable { .. })), "{what}: {next:?}");
    }
}

#[test]
fn a_welcome_that_does_not_fit_joins_nothing() {
    let (mut relay, mut peers) = room(2);
    let (mut carol, mut dave) = (Peer::new(2, ROOM), Peer::new(3, ROOM));
    let key_package = dave.key_package();
    peers[0].change(Change::Add(vec![key_package]));
    settle(&mut relay, &mut peers);
    let key_package = carol.key_package();
    peers[0].change(Change::Add(vec![key_package]));
    let commit = seal(&mut peers[0]);
    peers[1].say("ordered between");
    peers[1].flush(&mut relay);
    assert!(matches!(relay.publish(&commit), Answer::Accepted(_)));
    let invited = carol.invited(&relay);
    let other = dave.invited(&relay);
    let span = joining::needed_log::<std::convert::Infallible>(&carol.device, &invited).unwrap();
    let log = relay.span(span.after, span.until);
    assert_eq!(log.len(), 2);

    let with = |edit: fn(&mut joining::Invited, &joining::Invited)| {
        let mut changed = invited.clone();
        edit(&mut changed, &other);
        (changed, log.clone())
    };
    let within = |edit: fn(&mut Vec<Logged>)| {
        let mut changed = log.clone();
        edit(&mut changed);
        (invited.clone(), changed)
    };
    let lies = [
        ("another tree", with(|invited, other| invited.ratchet_tree = other.ratchet_tree.clone())),
        ("half a tree", with(|invited, _| invited.ratchet_tree = invited.ratchet_tree.slice(..2000))),
        ("no tree", with(|invited, _| invited.ratchet_tree = Bytes::new())),
        ("half a Welcome", with(|invited, _| invited.welcome = invited.welcome.slice(..500))),
        ("another's Welcome", with(|invited, other| invited.welcome = other.welcome.clone())),
        ("another's KeyPackage", with(|invited, other| invited.key_package = other.key_package.clone())),
        ("another room", with(|invited, _| invited.room = RoomId::from_bytes([1; 16]))),
        ("another place", with(|invited, _| invited.seq = invited.seq.next())),
        ("a place before its anchor", with(|invited, _| invited.seq = Seq(1))),
        ("no log", within(Vec::clear)),
        ("a log without its beginning", within(|log| drop(log.remove(0)))),
        ("a log without the commit", within(|log| drop(log.pop()))),
        (
            "another commit's id",
            within(|log| {
                log[1].bytes = edited(&log[1].bytes, |e| e.message_id = MessageId::from_bytes([1; 16]));
            }),
        ),
        (
            "another committer",
            within(|log| {
                log[1].bytes = edited(&log[1].bytes, |e| e.sender = DeviceId::from_bytes([1; 16]));
            }),
        ),
        (
            "a delta without the joiner",
            within(|log| log[1].bytes = edited(&log[1].bytes, |e| e.delta.clear())),
        ),
    ];
    for (what, (invited, log)) in lies {
        let mut ledger = Memory::default();
        let joined = joining::join(&mut ledger, &carol.device, &invited, &log);
        assert!(joined.is_err(), "{what}");
        assert!(ledger.view(invited.room).state.is_none(), "{what}");
        assert!(ledger.group_of(invited.room).is_none(), "{what}");
    }
    carol.join(&mut relay);
}

#[test]
fn a_joiner_that_is_shown_another_log_finds_out_with_the_first_message() {
    let (mut relay, mut peers) = room(2);
    let mut carol = Peer::new(2, ROOM);
    let key_package = carol.key_package();
    peers[0].change(Change::Add(vec![key_package]));
    let commit = seal(&mut peers[0]);
    peers[1].say("ordered between");
    peers[1].flush(&mut relay);
    assert!(matches!(relay.publish(&commit), Answer::Accepted(_)));
    let mut shown = relay.clone();
    let between = shown.log.len() - 2;
    shown.log[between] = edited(&shown.log[between], |e| e.message_id = MessageId::from_bytes([1; 16]));
    carol.join(&mut shown);
    peers[0].catch_up(&relay);
    peers[0].say("to carol");
    peers[0].flush(&mut relay);
    receive(&mut carol, &relay.log[relay.log.len() - 1]).unwrap();
    assert!(rejections(&carol)[0].2.contains("different history"));
}

#[test]
fn a_welcome_is_never_used_to_go_back() {
    let (mut relay, mut peers) = room(1);
    let mut bob = Peer::new(1, ROOM);
    let key_package = bob.last_resort_key_package();
    peers[0].change(Change::Add(vec![key_package]));
    settle(&mut relay, &mut peers);
    let invited = bob.invited(&relay);
    let span = joining::needed_log::<std::convert::Infallible>(&bob.device, &invited).unwrap();
    let log = relay.span(span.after, span.until);
    bob.join(&mut relay);
    peers.push(bob);
    peers[1].say("sealed once");
    settle(&mut relay, &mut peers);
    let again = |peer: &Peer| joining::join(&mut peer.ledger.clone(), &peer.device, &invited, &log);
    // As a member, and after its removal, when the daemon could have the same keys seal another text.
    assert!(matches!(again(&peers[1]), Err(SessionError::Joined)));
    peers[0].change(Change::RemoveAccount(people()[1].2));
    settle(&mut relay, &mut peers);
    assert!(matches!(peers[1].phase(), Some(Phase::Removed(_))));
    assert!(matches!(again(&peers[1]), Err(SessionError::Joined)));
    let settings = peers[0].view().settings.unwrap();
    let created = joining::create(&mut peers[0].ledger.clone(), &peers[0].device, ROOM, &settings, NOW);
    assert!(matches!(created, Err(SessionError::Joined)));
}

#[test]
fn a_last_resort_key_package_joins_more_than_one_room() {
    let rooms = [ROOM, RoomId::from_bytes([0xdd; 16])];
    let mut bob = Peer::new(1, ROOM);
    let key_package = bob.last_resort_key_package();
    for room in rooms {
        let mut alice = Peer::new(0, room);
        let mut relay = Relay::new(room, alice.id());
        alice.create(&[alice.device.account()]);
        alice.change(Change::Add(vec![key_package.clone()]));
        alice.flush(&mut relay);
        bob.room = room;
        bob.join(&mut relay);
        alice.catch_up(&relay);
        alice.say("welcome");
        alice.flush(&mut relay);
        bob.catch_up(&relay);
        assert_eq!(bob.view().messages.len(), 1);
    }
}

#[test]
fn a_welcome_says_whose_key_package_it_needs() {
    let (relay, mut peers) = {
        let (mut relay, mut peers) = room(1);
        let mut bob = Peer::new(1, ROOM);
        let key_package = bob.key_package();
        peers[0].change(Change::Add(vec![key_package]));
        settle(&mut relay, &mut peers);
        peers.push(bob);
        (relay, peers)
    };
    let invited = peers[1].invited(&relay);
    let needed = Device::welcome_key_packages(&invited.welcome).unwrap();
    assert_eq!(needed, std::slice::from_ref(&invited.key_package.0));
    assert_eq!(Device::welcome_key_packages(b"no Welcome"), Err(OpenFault::Malformed));
    let (_, secret) = &invited.key_package;
    assert!(peers[0].device.peek(&invited.welcome, b"another", secret).is_err());
    peers.truncate(1);
}

#[test]
fn a_joiner_removes_nobody_on_the_daemons_word() {
    let (mut relay, mut peers) = room(2);
    let mut carol = Peer::new(2, ROOM);
    // Carol may remove others; what she believes of bob would be carried out.
    let appointed = SettingsChange::Role(carol.device.account(), Role::Admin);
    peers[0].change(Change::Settings(appointed));
    settle(&mut relay, &mut peers);
    let key_package = carol.key_package();
    peers[0].change(Change::Add(vec![key_package]));
    let commit = peers[0].next().unwrap();
    // The daemon puts into the log, where carol can open nothing, that bob asked to leave.
    let forged = edited(&commit.sealed.envelope, |envelope| {
        envelope.kind = Kind::Proposal;
        envelope.sender = peers[1].id();
        envelope.message_id = MessageId::from_bytes([1; 16]);
        envelope.delta = vec![];
        envelope.payload = Bytes::from_static(b"I leave");
    });
    relay.append(forged);
    assert!(matches!(relay.publish(&commit.sealed), Answer::Accepted(_)));
    carol.join(&mut relay);
    carol.say("hello");
    carol.flush(&mut relay);
    carol.catch_up(&relay);
    peers[0].catch_up(&relay);
    for peer in [&carol, &peers[0]] {
        assert_eq!(peer.view().roster.len(), 3);
    }
    assert_eq!(peers[0].view().messages.len(), 1);
}
