//! A device gets another signature key: it goes on in its rooms whatever it was in the middle of, the others see it without
//! alarm, and nobody leads its leaf back to a key that it had before.

use std::collections::HashMap;

use mls_rs_core::crypto::SignatureSecretKey;
use qchat_proto::{
    content::Content,
    crypto::{
        entropy::SystemEntropy,
        sign::{DevicePublicKey, DeviceSigningKey},
    },
    mls::{identity::signing_identity, provider::secret_key},
    session::{
        ledger::{Change, Phase, Want},
        restart,
    },
    wire::frame::{Envelope, Kind},
};

use crate::{
    hostile::rejections,
    insider::Insider,
    members::{ROOM, room, settle},
    peer::{NOW, Peer, certificate, people},
    relay::{Answer, Relay},
};

const BOB: usize = 1;

/// The key that bob's leaf has for each of them.
fn keys_of_bob(peers: &[Peer]) -> Vec<DevicePublicKey> {
    peers.iter().map(|peer| peer.key_of(peers[BOB].id())).collect()
}

fn kinds(relay: &Relay, since: usize) -> Vec<Kind> {
    relay.log[since..].iter().map(|bytes| Envelope::decode(bytes.clone()).unwrap().kind).collect()
}

#[test]
fn a_device_with_a_new_key_puts_it_into_its_room_before_it_says_more_and_nobody_is_alarmed() {
    let (mut relay, mut peers) = room(3);
    let told: Vec<_> = peers.iter().map(|peer| peer.view().notices.len()).collect();
    let before = peers[0].key_of(peers[BOB].id());
    let new = peers[BOB].rotate(BOB, NOW + 1);
    assert_ne!(before, new);
    let since = relay.log.len();
    let mut own = HashMap::new();
    for text in ["one", "two"] {
        own.insert(peers[BOB].say(text), text.to_owned());
    }
    settle(&mut relay, &mut peers);
    assert_eq!(kinds(&relay, since), [Kind::Commit, Kind::Application, Kind::Application]);
    assert_eq!(keys_of_bob(&peers), [new.clone(), new.clone(), new]);
    for (number, peer) in peers.iter().enumerate() {
        let own = if number == BOB { own.clone() } else { HashMap::new() };
        let texts: Vec<_> = peer.texts(&own).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["one", "two"]);
        assert_eq!(peer.view().notices.len(), told[number], "{:?}", peer.view().notices);
    }
    // Any commit of its would have done, and none does it again.
    let since = relay.log.len();
    peers[BOB].change(Change::Update);
    peers[0].say("and on");
    settle(&mut relay, &mut peers);
    assert_eq!(kinds(&relay, since), [Kind::Application, Kind::Commit]);
    assert_eq!(peers[2].texts(&HashMap::new()).len(), 3);
}

#[test]
fn a_refused_commit_is_made_again_with_the_new_key() {
    let (mut relay, mut peers) = room(3);
    let new = peers[BOB].rotate(BOB, NOW + 1);
    peers[BOB].change(Change::Update);
    let mine = peers[BOB].next().unwrap();
    peers[0].change(Change::Update);
    peers[0].flush(&mut relay);
    let answer = relay.publish(&mine.sealed);
    assert!(matches!(answer, Answer::Stale(_)));
    peers[BOB].answered(mine.sealed.commit_seq, mine.message_id, answer);
    settle(&mut relay, &mut peers);
    assert_eq!(keys_of_bob(&peers), [new.clone(), new.clone(), new]);
}

/// What a certificate of bob's for this key puts into a leaf, and what signs for it.
fn leaf(
    created_at: u64,
    key: &DeviceSigningKey,
    signer: usize,
) -> (SignatureSecretKey, mls_rs_core::identity::SigningIdentity) {
    let (_, _, account, device) = &people()[BOB];
    let certificate = certificate(*account, *device, key, signer, created_at);
    (secret_key(key), signing_identity(&certificate, key.public()).unwrap())
}

#[test]
fn nobody_leads_a_leaf_back_to_a_key_that_it_had_or_to_one_that_its_account_did_not_certify() {
    let (mut relay, mut peers) = room(3);
    let new = peers[BOB].rotate(BOB, NOW + 10);
    peers[BOB].change(Change::Update);
    settle(&mut relay, &mut peers);
    assert_eq!(keys_of_bob(&peers)[0], new);
    let (_, former, ..) = &people()[BOB];
    let another = DeviceSigningKey::generate(&SystemEntropy).unwrap();
    for (what, (signer, identity), follows) in [
        ("the key before", leaf(NOW, former, BOB), false),
        ("another key of the same age", leaf(NOW + 10, &another, BOB), false),
        ("a newer one by another account", leaf(NOW + 11, &another, 0), false),
        ("a newer one", leaf(NOW + 11, &another, BOB), true),
    ] {
        let mut relay = relay.clone();
        let mut others = [peers[0].clone(), peers[2].clone()];
        let commit = Insider::new(&peers[BOB])
            .commit(|plan| plan.set_new_signing_identity(signer.clone(), identity.clone()), |_| {});
        assert!(matches!(relay.publish(&commit), Answer::Accepted(_)), "{what}");
        for other in &mut others {
            // The directory has said so.
            other.has_no_key(BOB);
            other.catch_up(&relay);
            assert_eq!(other.phase(), Some(Phase::Member), "{what}");
            let expected = if follows { another.public() } else { &new };
            assert_eq!(other.key_of(peers[BOB].id()), *expected, "{what}");
            assert_eq!(rejections(other).is_empty(), follows, "{what}: {:?}", other.view().notices);
        }
    }
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

#[test]
fn who_cannot_follow_is_known_by_the_key_that_its_leaf_has_and_comes_back_with_the_new_one() {
    let (mut relay, mut peers) = room(4);
    let hurt = Insider { spoils: &[2], ..Insider::new(&peers[BOB]) }.commit(|plan| plan, |_| {});
    assert!(matches!(relay.publish(&hurt), Answer::Accepted(_)));
    // Bob's own device knows nothing of that: it takes no part.
    let (mut carol, alice) = (peers.remove(2), peers.remove(0));
    carol.catch_up(&relay);
    assert!(matches!(carol.phase(), Some(Phase::Stuck(_))));
    // While nobody has added it again, it gets a new key.
    let new = carol.rotate(2, NOW + 1);
    let mut peers = vec![alice, carol];
    go_on(&mut relay, &mut peers);
    assert_eq!(rejections(&peers[0]), []);
    peers[1].say("here again");
    go_on(&mut relay, &mut peers);
    let texts: Vec<_> = peers[0].texts(&HashMap::new()).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["here again"]);
    assert_eq!((peers[0].key_of(peers[1].id()), rejections(&peers[0])), (new, vec![]));
}

#[test]
fn an_admin_restarts_a_room_by_the_key_that_the_others_know_and_puts_the_new_one_in_then() {
    let (mut relay, mut peers) = room(3);
    let hurt = Insider { spoils: &[0, 1, 2, 3], ..Insider::new(&peers[2]) }.commit(|plan| plan, |_| {});
    assert!(matches!(relay.publish(&hurt), Answer::Accepted(_)));
    peers.truncate(2);
    go_on(&mut relay, &mut peers);
    assert!(peers.iter().all(|peer| matches!(peer.phase(), Some(Phase::Stuck(_)))));
    let new = peers[0].rotate(0, NOW + 1);
    let packages = vec![peers[BOB].key_package()];
    let alice = &mut peers[0];
    restart::want(&mut alice.ledger, &alice.device, ROOM, packages).unwrap();
    go_on(&mut relay, &mut peers);
    for peer in &peers {
        assert_eq!(peer.phase(), Some(Phase::Member), "{:?}", peer.view().notices);
    }
    peers[0].say("on we go");
    go_on(&mut relay, &mut peers);
    let texts: Vec<_> = peers[BOB].texts(&HashMap::new()).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["on we go"]);
    assert_eq!(peers[BOB].key_of(peers[0].id()), new);
}

#[test]
fn an_invitation_by_a_key_package_of_before_is_good_and_the_leaf_gets_the_new_key() {
    let (mut relay, mut peers) = room(2);
    let mut carol = Peer::new(2, ROOM);
    let package = carol.key_package();
    peers[0].change(Change::Add(vec![package]));
    settle(&mut relay, &mut peers);
    let secret = carol.invited(&relay).key_package.1;
    assert!(carol.device.is_of_newest_key(&secret));
    let new = carol.rotate(2, NOW + 1);
    assert!(!carol.device.is_of_newest_key(&secret));
    carol.join(&mut relay);
    carol.want(Want::Application(Content::joined(0).encode()));
    peers.push(carol);
    settle(&mut relay, &mut peers);
    for peer in &peers {
        assert_eq!(peer.key_of(peers[2].id()), new);
        assert_eq!(rejections(peer), []);
    }
}
