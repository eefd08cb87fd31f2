//! Who is let in by an invite link, decided when the commit is sealed.

use std::num::NonZeroU32;

use qchat_proto::{
    content::{Role, SettingsChange},
    invite::{InviteLink, LinkSecret},
    session::{ledger::Change, outbox},
};

use crate::{
    members::{ROOM, room, settle},
    peer::{NOW, Peer},
    relay::Relay,
};

fn link(n: u8, uses: u32, expires_at: Option<u64>) -> InviteLink {
    let secret = LinkSecret::from_slice(&[n; 32]).unwrap();
    InviteLink { secret, expires_at, uses: NonZeroU32::new(uses), ask: false, joined: vec![] }
}

/// Alice owns the room of `n`, bob is an admin, carol a member and dave, the fourth, may only read. There is a link for any number of people, one for
/// one, and one that is over.
fn linked(n: usize) -> (Relay, Vec<Peer>, [InviteLink; 3]) {
    let links = [link(1, 0, None), link(2, 1, Some(NOW + 1)), link(3, 0, Some(NOW))];
    let (mut relay, mut peers) = room(n);
    let account = |who: usize| peers[who].device.account();
    let mut changes = vec![SettingsChange::Role(account(1), Role::Admin)];
    changes.extend((n > 3).then(|| SettingsChange::Role(account(3), Role::Reader)));
    changes.extend(links.iter().cloned().map(SettingsChange::Link));
    for change in changes {
        peers[0].change(Change::Settings(change));
    }
    settle(&mut relay, &mut peers);
    (relay, peers, links)
}

/// Lets a newcomer in.
fn let_in(link: &InviteLink, who: &mut Peer) -> Change {
    let key_packages = vec![who.key_package()];
    Change::LetIn { link: link.id(), account: who.device.account(), key_packages }
}

#[test]
fn a_link_lets_in_whom_it_may_by_whoever_may_invite_and_counts() {
    let (relay, peers, [free, counted, over]) = linked(4);
    let unknown = link(4, 0, None);
    let (alice, bob, carol, dave) = (0, 1, 2, 3);
    for (who, link, may) in [
        (alice, &free, true),
        (bob, &counted, true),
        (carol, &free, true),
        // She could not count.
        (carol, &counted, false),
        // Whoever may only read invites nobody.
        (dave, &free, false),
        (alice, &over, false),
        (alice, &unknown, false),
    ] {
        let (mut relay, mut peers, mut new) = (relay.clone(), peers.clone(), Peer::new(4, ROOM));
        let change = let_in(link, &mut new);
        peers[who].change(change);
        let peer = &mut peers[who];
        let sealed = outbox::next(&mut peer.ledger, &peer.device, ROOM, NOW);
        assert_eq!(sealed.is_ok_and(|sealed| sealed.is_some()), may, "{who}: {link:?}");
        if !may {
            continue;
        }
        settle(&mut relay, &mut peers);
        new.join(&mut relay);
        let settings = new.view().settings.unwrap();
        let joined = &settings.link(link.id()).unwrap().joined;
        assert_eq!(*joined, if link.uses.is_some() { vec![new.device.account()] } else { vec![] });
        assert!(peers.iter().all(|peer| peer.view().settings.as_ref() == Some(&settings)));
    }
    // Who is banned comes in by no link, and who is there already is not counted.
    let (mut relay, mut peers, mut new) = (relay, peers, Peer::new(4, ROOM));
    peers[0].change(Change::Settings(SettingsChange::Ban(new.device.account())));
    settle(&mut relay, &mut peers);
    peers[0].change(let_in(&free, &mut new));
    let carol = Change::LetIn {
        link: counted.id(),
        account: peers[2].device.account(),
        key_packages: vec![peers[2].key_package()],
    };
    peers[0].change(carol);
    settle(&mut relay, &mut peers);
    let view = peers[0].view();
    assert_eq!((view.roster.len(), view.outbox.len()), (4, 0));
    assert!(view.settings.unwrap().link(counted.id()).unwrap().joined.is_empty());
}

#[test]
fn of_two_who_let_somebody_in_at_once_by_a_link_for_one_the_second_lets_in_nobody() {
    let (mut relay, mut peers, [_, counted, _]) = linked(3);
    let mut newcomers = [Peer::new(3, ROOM), Peer::new(4, ROOM)];
    for (peer, new) in peers.iter_mut().zip(&mut newcomers) {
        let change = let_in(&counted, new);
        peer.change(change);
    }
    // Both are sealed on the same state.
    let late = peers[1].next().unwrap();
    peers[0].flush(&mut relay);
    peers[0].catch_up(&relay);
    let answer = relay.publish(&late.sealed);
    peers[1].answered(late.sealed.commit_seq, late.message_id, answer);
    settle(&mut relay, &mut peers);
    assert!(newcomers[0].joinable(&relay) && !newcomers[1].joinable(&relay));
    for peer in &peers {
        let view = peer.view();
        assert_eq!((view.roster.len(), view.outbox.len()), (4, 0));
        let joined = view.settings.unwrap().link(counted.id()).unwrap().joined.clone();
        assert_eq!(joined, [newcomers[0].device.account()]);
    }
}
