//! Invitations: who has answered is found out by each member alone, and what nobody answers is withdrawn.

use qchat_proto::{
    content::{Content, Role, SettingsChange},
    session::ledger::{Change, INVITATION_LIFETIME, Notice, Phase, Want},
};

use crate::{
    members::{ROOM, room, settle},
    peer::{NOW, Peer},
    relay::Relay,
};

/// A room of an admin and a member, and somebody whom the admin has invited.
fn invited() -> (Relay, Vec<Peer>, Peer) {
    let (mut relay, mut peers) = room(2);
    peers[1].want(Want::Application(Content::joined(0).encode()));
    settle(&mut relay, &mut peers);
    let mut invitee = Peer::new(2, ROOM);
    peers[0].change(Change::Add(vec![invitee.key_package()]));
    settle(&mut relay, &mut peers);
    (relay, peers, invitee)
}

/// Whether a device withdraws something when its clock stands at `now`.
fn withdraws(relay: &mut Relay, peers: &mut [Peer], number: usize, now: u64) -> bool {
    let before = relay.log.len();
    peers[number].now = now;
    peers[number].change(Change::Withdraw);
    settle(relay, peers);
    assert!(peers[number].view().outbox.is_empty(), "the row stays");
    relay.log.len() > before
}

#[test]
fn an_invitation_that_nobody_answers_is_withdrawn_after_seven_days() {
    let (mut relay, mut peers, invitee) = invited();
    assert!(!withdraws(&mut relay, &mut peers, 0, NOW + INVITATION_LIFETIME - 1));
    assert!(withdraws(&mut relay, &mut peers, 0, NOW + INVITATION_LIFETIME));
    for peer in &peers {
        assert_eq!(peer.view().roster.len(), 2);
        assert!(peer.view().invitees.is_empty());
        let by = peers[0].device.account();
        let removed = Notice::Removed { by, accounts: vec![invitee.device.account()] };
        assert!(peer.view().notices.iter().any(|(_, notice)| *notice == removed));
    }
    assert!(!relay.invites(invitee.id()));
}

#[test]
fn only_who_may_remove_withdraws() {
    let (mut relay, mut peers, _) = invited();
    assert!(!withdraws(&mut relay, &mut peers, 1, NOW + INVITATION_LIFETIME));
    assert_eq!(peers[1].view().roster.len(), 3);
}

#[test]
fn who_has_been_heard_is_not_withdrawn() {
    let joined = || Want::Application(Content::joined(0).encode());
    let text = || Want::Application(Content::text("hello", 0).unwrap().encode());
    for (what, want) in
        [("its yes", joined()), ("a text", text()), ("a commit", Want::Commit(Change::Update))]
    {
        let (mut relay, mut peers, mut invitee) = invited();
        invitee.join(&mut relay);
        invitee.want(want);
        invitee.flush(&mut relay);
        peers.push(invitee);
        // Wanted before the answer was read, decided after.
        peers[0].now = NOW + INVITATION_LIFETIME;
        peers[0].change(Change::Withdraw);
        settle(&mut relay, &mut peers);
        assert!(!withdraws(&mut relay, &mut peers, 0, NOW + INVITATION_LIFETIME), "{what}");
        assert_eq!(peers[2].phase(), Some(Phase::Member), "{what}");
    }
}

/// Only the device itself says that it has joined.
#[test]
fn the_daemons_word_that_somebody_has_joined_keeps_no_silent_invitation() {
    let (mut relay, mut peers, invitee) = invited();
    relay.join(invitee.id());
    assert!(withdraws(&mut relay, &mut peers, 0, NOW + INVITATION_LIFETIME));
}

#[test]
fn a_yes_is_told_to_the_others_once_and_is_no_message() {
    let (mut relay, mut peers, mut invitee) = invited();
    let account = invitee.device.account();
    invitee.join(&mut relay);
    invitee.want(Want::Application(Content::joined(0).encode()));
    peers.push(invitee);
    settle(&mut relay, &mut peers);
    for peer in &peers[..2] {
        let view = peer.view();
        let told = view.notices.iter().filter(|(_, notice)| *notice == Notice::Joined(account)).count();
        assert_eq!((told, view.messages.len()), (1, 0));
    }
}

#[test]
fn an_invitation_of_an_admin_is_an_owners_to_withdraw_and_stops_nobody_else() {
    let (mut relay, mut peers, invitee) = invited();
    for account in [peers[1].device.account(), invitee.device.account()] {
        peers[0].change(Change::Settings(SettingsChange::Role(account, Role::Admin)));
    }
    settle(&mut relay, &mut peers);
    assert!(!withdraws(&mut relay, &mut peers, 1, NOW + INVITATION_LIFETIME));
    assert!(withdraws(&mut relay, &mut peers, 0, NOW + INVITATION_LIFETIME));
}

/// Somebody who joined later saw no Add: what it does not know it does not act on.
#[test]
fn who_joined_later_withdraws_nobody_that_was_there() {
    let (mut relay, mut peers, _silent) = invited();
    let mut later = Peer::new(3, ROOM);
    let appointed = SettingsChange::Role(later.device.account(), Role::Admin);
    peers[0].change(Change::Settings(appointed));
    peers[0].change(Change::Add(vec![later.key_package()]));
    settle(&mut relay, &mut peers);
    later.join(&mut relay);
    later.say("hello");
    peers.push(later);
    settle(&mut relay, &mut peers);
    assert!(!withdraws(&mut relay, &mut peers, 2, NOW + 2 * INVITATION_LIFETIME));
    assert!(withdraws(&mut relay, &mut peers, 0, NOW + 2 * INVITATION_LIFETIME));
}
