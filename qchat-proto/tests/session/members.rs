//! Members come, write, change keys and go.

use std::collections::HashMap;

use qchat_proto::{
    content::{Role, SettingsChange},
    ids::{MessageId, RoomId},
    session::{
        error::SessionError,
        ledger::{Change, Notice, Phase, Want},
        outbox,
    },
};

use crate::{
    peer::{NOW, Peer, people},
    relay::Relay,
};

pub(crate) const ROOM: RoomId = RoomId::from_bytes([0xee; 16]);

/// A room of `n` members, created by the first, who is its only admin.
pub(crate) fn room(n: usize) -> (Relay, Vec<Peer>) {
    let mut peers: Vec<Peer> = (0..n).map(|number| Peer::new(number, ROOM)).collect();
    let mut relay = Relay::new(ROOM, peers[0].id());
    let admin = peers[0].device.account();
    peers[0].create(&[admin]);
    if n > 1 {
        let key_packages = peers[1..].iter_mut().map(Peer::key_package).collect();
        peers[0].change(Change::Add(key_packages));
        peers[0].flush(&mut relay);
        peers[0].catch_up(&relay);
        for peer in &mut peers[1..] {
            peer.join(&mut relay);
        }
    }
    (relay, peers)
}

pub(crate) fn settle(relay: &mut Relay, peers: &mut [Peer]) {
    for _ in 0..20 {
        let before = relay.log.len();
        for peer in peers.iter_mut() {
            peer.catch_up(relay);
            peer.flush(relay);
        }
        if relay.log.len() == before && peers.iter_mut().all(|peer| peer.next().is_none()) {
            break;
        }
    }
    for peer in peers.iter_mut() {
        peer.catch_up(relay);
    }
}

fn texts(peers: &[Peer], own: &HashMap<MessageId, String>) -> Vec<Vec<String>> {
    peers.iter().map(|peer| peer.texts(own).into_iter().map(|(_, text)| text).collect()).collect()
}

#[test]
fn everybody_reads_everything_once_and_in_one_order() {
    let (mut relay, mut peers) = room(3);
    let mut own = HashMap::new();
    for round in 0..5 {
        for (number, peer) in peers.iter_mut().enumerate() {
            let text = format!("{number}.{round}");
            own.insert(peer.say(&text), text);
        }
        // Nobody reads before all have written: each sees the others' envelopes after its own.
        for peer in &mut peers {
            peer.flush(&mut relay);
        }
    }
    settle(&mut relay, &mut peers);
    let texts = texts(&peers, &own);
    assert_eq!(texts[0].len(), 15);
    assert_eq!(texts[0], texts[1]);
    assert_eq!(texts[0], texts[2]);
    for peer in &peers {
        assert_eq!(peer.view().notices.iter().filter(|(_, n)| !matches!(n, Notice::Added { .. })).count(), 0);
    }
}

#[test]
fn of_two_racing_commits_the_later_is_refused_and_made_again() {
    let (mut relay, mut peers) = room(3);
    let mut own = HashMap::new();
    peers[0].change(Change::Update);
    peers[1].change(Change::Update);
    for (peer, text) in [(0, "after my commit"), (1, "after mine"), (2, "in between")] {
        own.insert(peers[peer].say(text), text.to_owned());
    }
    for peer in &mut peers {
        peer.flush(&mut relay);
    }
    settle(&mut relay, &mut peers);
    let texts = texts(&peers, &own);
    assert_eq!(texts[0].len(), 3, "{texts:?}");
    assert!(texts[1] == texts[0] && texts[2] == texts[0]);
    let epochs: Vec<_> = peers.iter().map(|peer| peer.view().state.unwrap().epoch).collect();
    // One Add, then both updates.
    assert_eq!(epochs, [3, 3, 3]);
}

#[test]
fn an_own_commit_takes_effect_at_its_seq_and_not_when_it_is_acknowledged() {
    let (mut relay, mut peers) = room(2);
    peers[1].say("before the commit");
    let message = peers[1].next().unwrap();
    peers[0].change(Change::Update);
    let commit = peers[0].next().unwrap();
    // The message is ordered first, sealed in the epoch that the commit ends.
    let first = relay.publish(&message.sealed);
    let second = relay.publish(&commit.sealed);
    peers[0].answered(commit.sealed.commit_seq, commit.message_id, second);
    assert_eq!(peers[0].view().state.unwrap().epoch, 1);
    peers[1].answered(message.sealed.commit_seq, message.message_id, first);
    peers[0].catch_up(&relay);
    assert_eq!(peers[0].view().messages.len(), 1);
    assert_eq!(peers[0].view().state.unwrap().epoch, 2);
}

#[test]
fn a_removed_member_reads_its_removal_and_nothing_after_it() {
    let (mut relay, mut peers) = room(3);
    let target = peers[2].device.account();
    peers[0].change(Change::RemoveAccount(target));
    settle(&mut relay, &mut peers);
    peers[0].say("without carol");
    settle(&mut relay, &mut peers);
    assert!(matches!(peers[2].phase(), Some(Phase::Removed(_))));
    assert_eq!(peers[1].view().messages.len(), 1);
    assert!(peers[2].view().messages.is_empty());
    assert_eq!(peers[1].view().roster.len(), 2);
}

#[test]
fn who_is_no_admin_cannot_remove_others_or_change_settings() {
    let (_, peers) = room(3);
    let target = peers[2].device.account();
    let mine = [
        SettingsChange::Name("mine".to_owned()),
        SettingsChange::Role(peers[1].device.account(), Role::Owner),
        SettingsChange::Role(target, Role::Reader),
        SettingsChange::Ban(target),
    ];
    for change in [Change::RemoveAccount(target)].into_iter().chain(mine.map(Change::Settings)) {
        let mut bob = peers[1].clone();
        bob.change(change.clone());
        let refused =
            qchat_proto::session::outbox::next(&mut bob.ledger, &bob.device, ROOM, crate::peer::NOW);
        assert!(refused.is_err(), "{change:?}");
    }
}

#[test]
fn a_member_that_leaves_is_removed_by_the_next_who_writes() {
    let (mut relay, mut peers) = room(3);
    peers[2].want(Want::Leave);
    settle(&mut relay, &mut peers);
    assert!(matches!(peers[2].phase(), Some(Phase::Leaving(_))));
    let mut own = HashMap::new();
    own.insert(peers[0].say("bye"), "bye".to_owned());
    settle(&mut relay, &mut peers);
    assert!(matches!(peers[2].phase(), Some(Phase::Left(_))));
    assert_eq!(peers[1].texts(&own).len(), 1);
    assert_eq!(peers[1].view().roster.len(), 2);
}

#[test]
fn a_leave_that_a_commit_passed_over_stays_a_duty_for_joiners_too() {
    let (mut relay, mut peers) = room(3);
    // Alice commits an Add of dave without having seen carol's SelfRemove, which is ordered before it.
    let mut dave = Peer::new(3, ROOM);
    let key_package = dave.key_package();
    peers[0].change(Change::Add(vec![key_package]));
    let commit = peers[0].next().unwrap();
    peers[2].want(Want::Leave);
    peers[2].flush(&mut relay);
    let answer = relay.publish(&commit.sealed);
    peers[0].answered(commit.sealed.commit_seq, commit.message_id, answer);
    peers[0].catch_up(&relay);
    dave.join(&mut relay);
    peers.push(dave);
    settle(&mut relay, &mut peers);
    assert!(matches!(peers[2].phase(), Some(Phase::Left(_))), "{:?}", peers[2].phase());
    peers[3].say("hello");
    settle(&mut relay, &mut peers);
    for number in [0, 1] {
        assert_eq!(peers[number].view().messages.len(), 1);
        assert_eq!(peers[number].view().roster.len(), 3);
    }
}

#[test]
fn a_joiner_reads_from_its_join_on_and_knows_the_room() {
    let (mut relay, mut peers) = room(2);
    peers[0].say("before");
    settle(&mut relay, &mut peers);
    let mut carol = Peer::new(2, ROOM);
    let key_package = carol.key_package();
    peers[1].change(Change::Add(vec![key_package]));
    settle(&mut relay, &mut peers);
    peers[0].say("between Add and join");
    settle(&mut relay, &mut peers);
    let invited = carol.invited(&relay);
    let (id, secret) = &invited.key_package;
    assert_eq!(carol.device.peek(&invited.welcome, id, secret).unwrap().settings.name, "tea");
    carol.join(&mut relay);
    peers.push(carol);
    peers[2].say("thanks");
    settle(&mut relay, &mut peers);
    let carol = peers[2].view();
    assert_eq!(carol.messages.len(), 1);
    assert_eq!(carol.settings.unwrap().name, "tea");
    assert_eq!(peers[0].view().messages.len(), 1);
}

#[test]
fn a_removed_account_is_named_by_every_notice() {
    let (mut relay, mut peers) = room(3);
    let carol = people()[2].2;
    peers[0].change(Change::RemoveAccount(carol));
    settle(&mut relay, &mut peers);
    let by = people()[0].2;
    for peer in &peers {
        let notices = peer.view().notices;
        let removed = Notice::Removed { by, accounts: vec![carol] };
        assert!(notices.iter().any(|(_, notice)| *notice == removed), "{notices:?}");
    }
}

#[test]
fn who_asked_to_leave_has_left_for_everybody_whoever_committed_it() {
    let (mut relay, mut peers) = room(3);
    peers[2].want(Want::Leave);
    settle(&mut relay, &mut peers);
    peers[1].say("bob is no admin, and commits it");
    settle(&mut relay, &mut peers);
    let left = Notice::Left { accounts: vec![peers[2].device.account()] };
    for peer in &peers {
        let notices = peer.view().notices;
        assert!(notices.iter().any(|(_, notice)| *notice == left), "{notices:?}");
        assert!(!notices.iter().any(|(_, notice)| matches!(notice, Notice::Removed { .. })), "{notices:?}");
    }
}

#[test]
fn a_leaver_is_shown_what_was_ordered_before_it_left() {
    let (mut relay, mut peers) = room(2);
    peers[0].say("before");
    peers[0].flush(&mut relay);
    // Bob's SelfRemove is acknowledged before he reads what stands before it.
    peers[1].want(Want::Leave);
    peers[1].flush(&mut relay);
    peers[0].say("after");
    peers[0].catch_up(&relay);
    peers[0].flush(&mut relay);
    settle(&mut relay, &mut peers);
    assert_eq!(
        peers[1].texts(&HashMap::new()).into_iter().map(|(_, text)| text).collect::<Vec<_>>(),
        ["before"]
    );
    assert!(matches!(peers[1].phase(), Some(Phase::Left(_))));
}

#[test]
fn leavers_and_joiners_follow_whoever_carries_out_a_leave_that_was_passed_over() {
    let (mut relay, mut peers) = room(3);
    let mut dave = Peer::new(3, ROOM);
    let key_package = dave.key_package();
    // Alice adds dave without having seen carol's SelfRemove; bob, who is no admin, removes carol.
    peers[0].change(Change::Add(vec![key_package]));
    let commit = peers[0].next().unwrap();
    peers[2].want(Want::Leave);
    peers[2].flush(&mut relay);
    let answer = relay.publish(&commit.sealed);
    peers[0].answered(commit.sealed.commit_seq, commit.message_id, answer);
    dave.join(&mut relay);
    peers.push(dave);
    peers[1].catch_up(&relay);
    peers[1].say("bob writes first");
    peers[1].flush(&mut relay);
    settle(&mut relay, &mut peers);
    assert!(matches!(peers[2].phase(), Some(Phase::Left(_))), "{:?}", peers[2].view().notices);
    let (bob, carol) = (peers[1].device.account(), peers[2].device.account());
    for number in [0, 1, 3] {
        let view = peers[number].view();
        assert_eq!(view.roster.len(), 3, "{number}: {:?}", view.notices);
        // Dave knows of the SelfRemove by alice's word alone: what he has seen is that bob removed carol.
        let heard = number != 3;
        let left = Notice::Left { accounts: vec![carol] };
        let removed = Notice::Removed { by: bob, accounts: vec![carol] };
        for (notice, seen) in [(left, heard), (removed, !heard)] {
            let found = view.notices.iter().any(|(_, noticed)| *noticed == notice);
            assert_eq!(found, seen, "{number}: {:?}", view.notices);
        }
        assert!(
            !view.notices.iter().any(|(_, n)| matches!(n, Notice::Rejected { .. })),
            "{:?}",
            view.notices
        );
    }
}

#[test]
fn who_was_removed_can_come_back_and_starts_anew() {
    let (mut relay, mut peers) = room(3);
    for round in 0..2 {
        for peer in &mut peers {
            peer.say("hello");
        }
        settle(&mut relay, &mut peers);
        let key_package = peers[2].key_package();
        let carol = peers[2].device.account();
        peers[0].change(Change::RemoveAccount(carol));
        peers[0].say("without carol");
        peers[0].change(Change::Add(vec![key_package]));
        settle(&mut relay, &mut peers);
        peers[2].join(&mut relay);
        settle(&mut relay, &mut peers);
        for peer in &mut peers {
            peer.say("again");
        }
        settle(&mut relay, &mut peers);
        for peer in &peers {
            let notices = peer.view().notices;
            assert!(!notices.iter().any(|(_, notice)| matches!(notice, Notice::Gap { .. })), "{notices:?}");
            assert_eq!(peer.phase(), Some(Phase::Member));
        }
        // Each reads two of "hello" and of "again" a round; carol was not there for the one between.
        assert_eq!(peers[1].view().messages.len(), 5 * (round + 1));
        assert_eq!(peers[2].view().messages.len(), 4 * (round + 1));
    }
}

#[test]
fn a_change_that_the_rules_refuse_is_given_up_and_holds_nothing_back() {
    let (mut relay, mut peers) = room(3);
    let alice = peers[0].device.account();
    let change = peers[1].change(Change::RemoveAccount(alice));
    peers[1].say("behind it");
    let bob = &mut peers[1];
    let refused = outbox::next(&mut bob.ledger.clone(), &bob.device, ROOM, NOW);
    let Err(SessionError::Unsealable { message_id, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(message_id, change);
    outbox::give_up(&mut bob.ledger, ROOM, message_id).unwrap();
    settle(&mut relay, &mut peers);
    assert_eq!(peers[0].view().messages.len(), 1);
    // What is sealed may stand in the log: it is not given up.
    let id = peers[1].say("sealed");
    let sealed = peers[1].next().unwrap();
    outbox::give_up(&mut peers[1].ledger, ROOM, id).unwrap();
    assert_eq!(peers[1].next(), Some(sealed));
}
