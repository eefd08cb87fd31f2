//! What owners, admins, members and readers may do, held against every client by every other.

use mls_rs::{Extension, extension::ExtensionType};
use qchat_proto::{
    content::{Content, Role, SettingsChange, pad},
    session::{
        ledger::{Change, Phase},
        outbox,
    },
    wire::frame::Kind,
};

use crate::{
    hostile::rejections,
    insider::Insider,
    members::{ROOM, room, settle},
    peer::{NOW, Peer},
    relay::{Answer, Relay},
};

/// Alice owns the room, bob is an admin, carol a member and dave may only read.
fn roles() -> (Relay, Vec<Peer>) {
    let (mut relay, mut peers) = room(4);
    for (who, role) in [(1, Role::Admin), (3, Role::Reader)] {
        let account = peers[who].device.account();
        peers[0].change(Change::Settings(SettingsChange::Role(account, role)));
    }
    settle(&mut relay, &mut peers);
    (relay, peers)
}

#[test]
fn every_role_may_do_what_it_may_and_no_more() {
    let (_, peers) = roles();
    let account = |who: usize| peers[who].device.account();
    let setting = |change| Change::Settings(change);
    let role = |who, role| setting(SettingsChange::Role(account(who), role));
    let name = || setting(SettingsChange::Name("another".to_owned()));
    let invite = || Change::Add(vec![Peer::new(4, ROOM).key_package()]);
    let (alice, bob, carol, dave) = (0, 1, 2, 3);
    for (who, may, change) in [
        (alice, true, role(bob, Role::Owner)),
        (alice, true, role(bob, Role::Member)),
        (alice, true, Change::RemoveAccount(account(bob))),
        (alice, true, setting(SettingsChange::Ban(account(bob)))),
        (alice, false, role(alice, Role::Member)),
        (bob, true, name()),
        (bob, true, role(carol, Role::Reader)),
        (bob, true, role(dave, Role::Member)),
        (bob, true, Change::RemoveAccount(account(carol))),
        (bob, true, setting(SettingsChange::Ban(account(carol)))),
        (bob, false, role(carol, Role::Admin)),
        (bob, false, role(bob, Role::Owner)),
        (bob, false, role(alice, Role::Member)),
        (bob, false, Change::RemoveAccount(account(alice))),
        (bob, false, setting(SettingsChange::Ban(account(alice)))),
        (carol, true, invite()),
        (carol, false, name()),
        (carol, false, Change::RemoveAccount(account(dave))),
        (dave, true, Change::Update),
        (dave, false, invite()),
        (dave, false, role(dave, Role::Member)),
    ] {
        let mut peer = peers[who].clone();
        peer.change(change.clone());
        let sealed = outbox::next(&mut peer.ledger, &peer.device, ROOM, NOW);
        assert_eq!(sealed.is_ok_and(|sealed| sealed.is_some()), may, "{who}: {change:?}");
    }
}

#[test]
fn what_somebody_says_who_may_only_read_is_shown_by_nobody() {
    let (mut relay, mut peers) = roles();
    // A client of his own seals it all the same.
    let text = pad(&Content::text("listen", 0).unwrap().encode());
    let sealed = Insider { kind: Kind::Application, ..Insider::new(&peers[3]) }.text(&text);
    assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)));
    for peer in &mut peers[..3] {
        peer.catch_up(&relay);
        assert!(peer.view().messages.is_empty());
        let said: Vec<_> = rejections(peer).into_iter().map(|(_, _, reason)| reason).collect();
        assert_eq!(said, ["its sender may only read in this room"]);
    }
    // What he wrote before he could know fails, and holds up nothing.
    let (mut relay, mut peers) = roles();
    let failed = peers[3].say("listen");
    peers[3].change(Change::Update);
    settle(&mut relay, &mut peers);
    let dave = peers[3].view();
    assert_eq!((&dave.failed[..], dave.outbox.len()), (&[failed][..], 0));
    peers[2].say("goes on");
    settle(&mut relay, &mut peers);
    assert!(peers.iter().all(|peer| peer.view().messages.len() <= 1 && rejections(peer).is_empty()));
}

#[test]
fn who_is_banned_is_out_and_not_added_until_that_is_ended() {
    let (mut relay, mut peers) = roles();
    let carol = peers[2].device.account();
    peers[1].change(Change::Settings(SettingsChange::Ban(carol)));
    settle(&mut relay, &mut peers);
    assert!(matches!(peers[2].phase(), Some(Phase::Removed(_))));
    let again = |peers: &mut [Peer]| {
        let key_package = peers[2].key_package();
        let mut alice = peers[0].clone();
        alice.change(Change::Add(vec![key_package]));
        outbox::next(&mut alice.ledger, &alice.device, ROOM, NOW).is_ok()
    };
    assert!(!again(&mut peers));
    peers[1].change(Change::Settings(SettingsChange::Unban(carol)));
    settle(&mut relay, &mut peers[..2]);
    assert!(again(&mut peers));
}

#[test]
fn two_changes_of_the_settings_at_once_are_both_made() {
    let (mut relay, mut peers) = roles();
    // Both are sealed on the same state; the second one is refused as stale, and made anew.
    let demoted = peers[1].device.account();
    peers[0].change(Change::Settings(SettingsChange::Role(demoted, Role::Member)));
    peers[1].change(Change::Settings(SettingsChange::Topic("tea".to_owned())));
    let late = peers[1].next().unwrap();
    peers[0].flush(&mut relay);
    peers[0].catch_up(&relay);
    let answer = relay.publish(&late.sealed);
    assert!(matches!(answer, Answer::Stale(_)));
    peers[1].answered(late.sealed.commit_seq, late.message_id, answer);
    peers[1].catch_up(&relay);
    // An admin that is none any more has no way back by what it wanted before.
    let bob = &mut peers[1];
    let refused = outbox::next(&mut bob.ledger, &bob.device, ROOM, NOW);
    assert!(refused.is_err());
    assert_eq!(peers[0].view().settings.unwrap().role(demoted), Role::Member);

    let (mut relay, mut peers) = roles();
    peers[0].change(Change::Settings(SettingsChange::Name("den".to_owned())));
    peers[1].change(Change::Settings(SettingsChange::Topic("tea".to_owned())));
    settle(&mut relay, &mut peers);
    let settings = peers[2].view().settings.unwrap();
    assert_eq!((&*settings.name, &*settings.topic), ("den", "tea"));
}

#[test]
fn a_ban_that_removes_nobody_is_no_ban() {
    let (mut relay, mut peers) = roles();
    let carol = peers[2].device.account();
    let mut settings = peers[1].view().settings.unwrap();
    settings.banned.push(carol);
    // A client of bob's own leaves her in the room, where nobody could add her again.
    let settings = Extension::new(ExtensionType::new(0xf0a1), settings.encode());
    let sealed = Insider::new(&peers[1])
        .commit(|plan| plan.set_group_context_ext(vec![settings].into()).unwrap(), |_| {});
    assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)));
    peers[0].catch_up(&relay);
    assert_eq!(rejections(&peers[0]).len(), 1);
    assert!(peers[0].view().settings.unwrap().banned.is_empty());
}

#[test]
fn who_is_removed_comes_back_as_a_member() {
    let (mut relay, mut peers) = roles();
    let bob = peers[1].device.account();
    peers[0].change(Change::RemoveAccount(bob));
    settle(&mut relay, &mut peers);
    let settings = peers[2].view().settings.unwrap();
    assert_eq!((settings.role(bob), settings.admins.len()), (Role::Member, 1));
}
