//! Keys of a quantum link: offered, held, mixed in once everybody has one, and given up where somebody has another.

use qchat_proto::{
    content::{Body, Content, KeyStep, SharedKey},
    ids::Seq,
    mls::psk::{Psk, PskId, PskKind},
    session::{
        inbox,
        ledger::{Change, Ledger as _, Notice, Phase, Want},
        shared_key::{self, MixedKey},
    },
};

use crate::{
    members::{ROOM, room, settle},
    peer::Peer,
    relay::Relay,
};

const KEY_ID: [u8; 16] = [0x51; 16];
const KEY: [u8; 32] = [0xa5; 32];
const ALICE: usize = 0;
const BOB: usize = 1;

fn say(peer: &mut Peer, said: SharedKey) {
    peer.want(Want::Application(Content::shared_key(said, 0).encode()));
}

fn of_link(key_id: [u8; 16], key: [u8; 32]) -> Psk {
    Psk::of_quantum_link(ROOM, key_id, &key)
}

fn offer(peer: &mut Peer, key_id: [u8; 16], key: [u8; 32]) {
    let saes = ("alice-sae", "bob-sae");
    let said = shared_key::offer(&mut peer.ledger, &peer.device, ROOM, &of_link(key_id, key), saes).unwrap();
    say(peer, said);
}

fn hold(peer: &mut Peer, key_id: [u8; 16], key: [u8; 32]) {
    let said = shared_key::hold(&mut peer.ledger, &peer.device, ROOM, &of_link(key_id, key)).unwrap();
    say(peer, said.expect("an offer"));
}

fn epochs(peers: &[Peer]) -> Vec<u64> {
    peers.iter().map(|peer| peer.view().state.unwrap().epoch).collect()
}

/// Whether everybody still reads what everybody says.
fn all_follow(relay: &mut Relay, peers: &mut [Peer]) -> bool {
    for peer in peers.iter_mut() {
        peer.say("still here");
    }
    settle(relay, peers);
    let texts = |peer: &Peer| {
        let said = peer.view().messages.into_iter().filter(|message| {
            matches!(Content::decode(&message.content), Ok(Content { body: Body::Text(_), .. }))
        });
        said.count()
    };
    let counts: Vec<_> = peers.iter().map(texts).collect();
    counts.iter().all(|count| *count == counts[0] && *count > 0)
}

fn mixed(peer: &Peer) -> bool {
    let kind = PskKind::QuantumLink;
    peer.view()
        .notices
        .iter()
        .any(|(_, notice)| matches!(notice, Notice::KeyMixed { kind: of, .. } if *of == kind))
}

#[test]
fn a_key_that_all_hold_is_mixed_in_and_deleted() {
    for members in [2, 3] {
        let (mut relay, mut peers) = room(members);
        let before = epochs(&peers)[ALICE];
        offer(&mut peers[ALICE], KEY_ID, KEY);
        settle(&mut relay, &mut peers);
        for peer in 1..members {
            assert_eq!(epochs(&peers), vec![before; members], "{peer} has said nothing yet");
            assert!(!mixed(&peers[ALICE]));
            let known = &peers[peer].view().offers;
            assert_eq!(
                (known.len(), known[0].master.as_str(), known[0].slave.as_str()),
                (1, "alice-sae", "bob-sae")
            );
            hold(&mut peers[peer], KEY_ID, KEY);
            settle(&mut relay, &mut peers);
        }
        let id = PskId::quantum_link(KEY_ID);
        for peer in &peers {
            let view = peer.view();
            assert!(mixed(peer), "{:?}", view.notices);
            assert_eq!(view.mixed, Some(MixedKey { id, epoch: before + 1 }));
            assert!(view.psks.is_empty() && view.offers.is_empty());
        }
        assert!(all_follow(&mut relay, &mut peers));
    }
}

#[test]
fn who_has_lost_the_key_by_then_reads_nothing_more_until_it_is_added_again() {
    let (mut relay, mut peers) = room(2);
    offer(&mut peers[ALICE], KEY_ID, KEY);
    settle(&mut relay, &mut peers);
    hold(&mut peers[BOB], KEY_ID, KEY);
    peers[BOB].flush(&mut relay);
    // The proof that the secret is in the keys: all that bob has beside it does not open the next epoch.
    peers[BOB].ledger.forget_psk(ROOM, PskId::quantum_link(KEY_ID)).unwrap();
    peers[ALICE].catch_up(&relay);
    peers[ALICE].flush(&mut relay);
    peers[ALICE].catch_up(&relay);
    peers[ALICE].say("only with the key");
    peers[ALICE].flush(&mut relay);
    peers[BOB].catch_up(&relay);
    assert!(mixed(&peers[ALICE]));
    assert!(matches!(peers[BOB].phase(), Some(Phase::Stuck(_))));
    let read = peers[BOB].view().messages;
    assert!(!read.iter().any(|message| message.content.ends_with(b"only with the key")));
}

#[test]
fn another_key_under_the_name_is_named_before_anything_depends_on_it() {
    let (mut relay, mut peers) = room(2);
    let before = epochs(&peers);
    offer(&mut peers[ALICE], KEY_ID, KEY);
    settle(&mut relay, &mut peers);
    hold(&mut peers[BOB], KEY_ID, [0x5a; 32]);
    settle(&mut relay, &mut peers);
    let bob = peers[BOB].id();
    let notices = peers[ALICE].view().notices;
    assert!(notices.iter().any(|(_, notice)| *notice == Notice::KeyDiffers(bob)), "{notices:?}");
    let given_up = peers[BOB].view().messages.into_iter().any(|message| {
        let said = SharedKey { id: PskId::quantum_link(KEY_ID), step: KeyStep::GivenUp { differs: true } };
        Content::decode(&message.content).is_ok_and(|content| content.body == Body::SharedKey(said))
    });
    assert!(given_up);
    for peer in &peers {
        assert!(peer.view().psks.is_empty() && peer.view().offers.is_empty());
    }
    assert_eq!(epochs(&peers), before, "the group goes on as it was");
    assert!(all_follow(&mut relay, &mut peers));
    // Another key does.
    offer(&mut peers[ALICE], [1; 16], KEY);
    settle(&mut relay, &mut peers);
    hold(&mut peers[BOB], [1; 16], KEY);
    settle(&mut relay, &mut peers);
    assert!(peers.iter().all(mixed) && all_follow(&mut relay, &mut peers));
}

#[test]
fn nobody_says_for_another_that_it_holds_the_key() {
    let (mut relay, mut peers) = room(3);
    offer(&mut peers[ALICE], KEY_ID, KEY);
    settle(&mut relay, &mut peers);
    hold(&mut peers[BOB], KEY_ID, KEY);
    settle(&mut relay, &mut peers);
    // Carol, who has no key and a client that does not mind, repeats what bob has said.
    peers[2].ledger.add_psk(ROOM, PskId::quantum_link(KEY_ID), [0; 32]);
    let confirmation = Psk::of_quantum_link(ROOM, KEY_ID, &KEY).confirmation(ROOM, peers[BOB].id());
    say(&mut peers[2], SharedKey { id: PskId::quantum_link(KEY_ID), step: KeyStep::Held { confirmation } });
    settle(&mut relay, &mut peers);
    assert!(!peers.iter().any(mixed) && all_follow(&mut relay, &mut peers));
}

#[test]
fn whoever_comes_meanwhile_is_waited_for_and_no_commit_leaves_anybody_behind() {
    let (mut relay, mut peers) = room(2);
    let mut carol = Peer::new(2, ROOM);
    offer(&mut peers[ALICE], KEY_ID, KEY);
    settle(&mut relay, &mut peers);
    peers[BOB].change(Change::Add(vec![carol.key_package()]));
    settle(&mut relay, &mut peers);
    hold(&mut peers[BOB], KEY_ID, KEY);
    settle(&mut relay, &mut peers);
    assert!(!peers.iter().any(mixed), "carol, who is invited, has no key");
    carol.join(&mut relay);
    peers.push(carol);
    settle(&mut relay, &mut peers);
    assert!(!peers.iter().any(mixed) && all_follow(&mut relay, &mut peers));
    // Without her it is due.
    let carol = peers.pop().unwrap().device.account();
    peers[ALICE].change(Change::RemoveAccount(carol));
    settle(&mut relay, &mut peers);
    assert!(peers.iter().all(mixed) && all_follow(&mut relay, &mut peers));
}

#[test]
fn who_is_added_again_holds_no_key_of_before_whatever_it_still_had_to_say() {
    for told in [true, false] {
        let (mut relay, mut peers) = room(3);
        offer(&mut peers[ALICE], KEY_ID, KEY);
        settle(&mut relay, &mut peers);
        hold(&mut peers[BOB], KEY_ID, KEY);
        if told {
            settle(&mut relay, &mut peers);
            assert_eq!(peers[ALICE].view().offers[0].holders, [peers[BOB].id()]);
        }
        // Bob misses a part of the log, asks to be added again, and is.
        peers[ALICE].say("missed");
        peers[ALICE].flush(&mut relay);
        let until = Seq(relay.log.len() as u64);
        let bob = &mut peers[BOB];
        inbox::missed(&mut bob.ledger, &bob.device, ROOM, until).unwrap();
        for _ in 0..4 {
            settle(&mut relay, &mut peers);
            for peer in peers.iter_mut().filter(|peer| peer.joinable(&relay)).collect::<Vec<_>>() {
                peer.join(&mut relay);
            }
        }
        assert_eq!(peers[BOB].phase(), Some(Phase::Member));
        assert!(peers[BOB].view().psks.is_empty() && peers[BOB].view().offers.is_empty());
        let offers = peers[ALICE].view().offers;
        assert!(offers.iter().all(|offer| offer.holders.is_empty()), "{offers:?}");
        // Carol's yes alone does not make it due.
        hold(&mut peers[2], KEY_ID, KEY);
        settle(&mut relay, &mut peers);
        assert!(!peers.iter().any(mixed) && follow(&mut relay, &mut peers));
        offer(&mut peers[ALICE], [3; 16], KEY);
        settle(&mut relay, &mut peers);
        for peer in &mut peers[1..] {
            hold(peer, [3; 16], KEY);
        }
        settle(&mut relay, &mut peers);
        assert!(peers.iter().all(mixed) && follow(&mut relay, &mut peers));
    }
}

/// Whether nobody is stuck after everybody has written.
fn follow(relay: &mut Relay, peers: &mut [Peer]) -> bool {
    for peer in peers.iter_mut() {
        peer.say("still here");
    }
    settle(relay, peers);
    peers.iter().all(|peer| peer.phase() == Some(Phase::Member) && peer.view().outbox.is_empty())
}

#[test]
fn what_is_given_up_is_deleted_and_not_mixed_in() {
    for giver in [ALICE, BOB] {
        let (mut relay, mut peers) = room(3);
        offer(&mut peers[ALICE], KEY_ID, KEY);
        settle(&mut relay, &mut peers);
        hold(&mut peers[BOB], KEY_ID, KEY);
        settle(&mut relay, &mut peers);
        let said = shared_key::give_up(&mut peers[giver].ledger, ROOM, PskId::quantum_link(KEY_ID)).unwrap();
        say(&mut peers[giver], said.expect("a key"));
        settle(&mut relay, &mut peers);
        assert!(peers[giver].view().psks.is_empty());
        if giver == ALICE {
            assert!(peers.iter().all(|peer| peer.view().psks.is_empty() && peer.view().offers.is_empty()));
        } else {
            hold(&mut peers[2], KEY_ID, KEY);
            settle(&mut relay, &mut peers);
            assert!(peers[ALICE].view().offers[0].holders == [peers[2].id()]);
        }
        assert!(!peers.iter().any(mixed) && all_follow(&mut relay, &mut peers));
    }
}

#[test]
fn an_offer_of_somebody_who_could_not_commit_it_is_not_taken_and_a_later_one_replaces_the_first() {
    let (mut relay, mut peers) = room(2);
    offer(&mut peers[BOB], [9; 16], KEY);
    offer(&mut peers[ALICE], KEY_ID, KEY);
    settle(&mut relay, &mut peers);
    hold(&mut peers[BOB], KEY_ID, KEY);
    offer(&mut peers[ALICE], [2; 16], KEY);
    settle(&mut relay, &mut peers);
    let names = |peer: &Peer, of: &Peer| {
        let offers = peer.view().offers;
        offers.iter().filter(|offer| offer.device == of.id()).map(|offer| offer.id).collect::<Vec<_>>()
    };
    assert!(names(&peers[ALICE], &peers[BOB]).is_empty());
    assert_eq!(names(&peers[BOB], &peers[ALICE]), [PskId::quantum_link([2; 16])]);
    assert!(!peers[BOB].view().psks.iter().any(|(id, _)| *id == PskId::quantum_link(KEY_ID)));
    let bob = &mut peers[BOB];
    let held = shared_key::hold(&mut bob.ledger, &bob.device, ROOM, &of_link(KEY_ID, KEY)).unwrap();
    assert!(held.is_none());
    assert!(!peers.iter().any(mixed));
}

#[test]
fn keys_of_rooms_and_confirmations_of_devices_tell_nothing_of_one_another() {
    let other = qchat_proto::ids::RoomId::from_bytes([0x0f; 16]);
    let (_, peers) = room(2);
    let key = Psk::of_quantum_link(ROOM, KEY_ID, &KEY);
    assert_eq!((key.id.key_id(), key.id.kind), (Some(KEY_ID), PskKind::QuantumLink));
    assert_eq!(PskId { kind: PskKind::Exercise, ..key.id }.key_id(), None);
    let mut longer = key.id;
    longer.id[16] = 1;
    assert_eq!(longer.key_id(), None);
    let elsewhere = Psk::of_quantum_link(other, KEY_ID, &KEY);
    assert!(!key.secret.ct_eq(&elsewhere.secret) && *key.secret.expose() != KEY);
    let [alice, bob] = [peers[ALICE].id(), peers[BOB].id()];
    let said = key.confirmation(ROOM, bob);
    assert!(key.is_confirmed_by(ROOM, bob, &said));
    assert!(!key.is_confirmed_by(ROOM, alice, &said) && !key.is_confirmed_by(other, bob, &said));
    assert!(!Psk::of_quantum_link(ROOM, KEY_ID, &[0; 32]).is_confirmed_by(ROOM, bob, &said));
}
