//! What members tell those who are there: whoever is in the epoch hears it, nobody else, and nobody says it for another.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed; its helpers stand outside #[test] functions"
)]

mod crowd;

use crowd::{adds, candidates, commit, create, follow, join, removes, say};
use qchat_proto::{
    mls::group::Plan,
    session::ephemeral::{Statement, Voices, What},
    wire::limits,
};

const SAID: Statement = Statement { what: What::Writing, asks: false, at_ms: 1_800_000_000_000 };

#[test]
fn who_is_in_the_epoch_hears_what_its_sender_has_signed_and_nothing_else() {
    let people = candidates(3);
    let mut alice = create(&people[0]);
    let output = commit(&mut alice, &adds(&people[1..]));
    follow([&mut alice], &output);
    let mut bob = join(&people[1], &output.welcomes[0], &output.ratchet_tree).unwrap();
    let mut carol = join(&people[2], &output.welcomes[1], &output.ratchet_tree).unwrap();
    let (from, as_bob, as_carol) = (people[0].device.id(), people[1].device.id(), people[2].device.id());
    let mut voices = [&alice, &bob, &carol].map(|group| Voices::of(group).unwrap());
    for what in [What::Online, What::Away, What::Gone, What::Writing, What::Paused] {
        let said = Statement { what, asks: what == What::Online, ..SAID };
        let sealed = voices[0].seal(&people[0].device, said).unwrap();
        assert_eq!(sealed.len(), limits::EPHEMERAL);
        for heard in &voices[1..] {
            assert_eq!(heard.open(from, &sealed), Some((people[0].device.account(), said)));
        }
        // No other's, no longer, no other byte.
        assert_eq!(voices[1].open(as_bob, &sealed), None);
        assert_eq!(voices[1].open(as_carol, &sealed), None);
        for place in [0, 11, 12, 30, limits::EPHEMERAL - 1] {
            let mut other = sealed.to_vec();
            other[place] ^= 1;
            assert_eq!(voices[1].open(from, &other), None, "{place}");
        }
        assert_eq!(voices[1].open(from, &sealed[1..]), None);
        assert_eq!(voices[1].open(from, &[]), None);
    }
    // Two of the same are not the same bytes.
    let sealed = [(); 2].map(|()| voices[0].seal(&people[0].device, SAID).unwrap());
    assert_ne!(sealed[0], sealed[1]);
    // It is nothing of the group's: everybody goes on as if nothing had been said.
    say(&mut [&mut alice, &mut bob, &mut carol], 0, b"and on");

    // Whoever is removed hears no more, and is not heard.
    let output = commit(&mut alice, &removes(&people[2..]));
    follow([&mut alice, &mut bob], &output);
    let old = voices[0].seal(&people[0].device, SAID).unwrap();
    let of_carol = voices[2].seal(&people[2].device, SAID).unwrap();
    voices[0] = Voices::of(&alice).unwrap();
    voices[1] = Voices::of(&bob).unwrap();
    let new = voices[0].seal(&people[0].device, SAID).unwrap();
    assert!(voices[1].open(from, &new).is_some());
    assert_eq!(voices[2].open(from, &new), None);
    assert_eq!(voices[1].open(from, &old), None);
    assert_eq!(voices[1].open(as_carol, &of_carol), None);
    // The same members in another epoch are others.
    let output = commit(&mut bob, &Plan::default());
    follow([&mut alice, &mut bob], &output);
    assert_eq!(Voices::of(&bob).unwrap().open(from, &new), None);
}

#[test]
fn a_member_who_has_all_keys_cannot_say_anything_for_another() {
    let people = candidates(3);
    let mut alice = create(&people[0]);
    let output = commit(&mut alice, &adds(&people[1..]));
    follow([&mut alice], &output);
    let bob = join(&people[1], &output.welcomes[0], &output.ratchet_tree).unwrap();
    let carol = join(&people[2], &output.welcomes[1], &output.ratchet_tree).unwrap();
    let (alice_id, bob_id) = (people[0].device.id(), people[1].device.id());
    // Carol opens what Alice said, and seals it under the key that all members have for Bob.
    let key = carol.export::<32>(b"qchat ephemeral v1", alice_id.as_bytes()).unwrap();
    let sealed = Voices::of(&alice).unwrap().seal(&people[0].device, SAID).unwrap();
    let room = crowd::ROOM;
    let associated = |device: &[u8]| [&room.as_bytes()[..], device].concat();
    let (nonce, rest) = sealed.split_first_chunk().unwrap();
    let open = qchat_proto::crypto::aead::open;
    let plain = open(key.expose(), nonce, &associated(alice_id.as_bytes()), rest).unwrap();
    let key = carol.export::<32>(b"qchat ephemeral v1", bob_id.as_bytes()).unwrap();
    let forged = qchat_proto::crypto::aead::seal(key.expose(), nonce, &associated(bob_id.as_bytes()), &plain);
    let forged = [&nonce[..], &forged.unwrap()].concat();
    assert_eq!(Voices::of(&alice).unwrap().open(bob_id, &forged), None);
    assert_eq!(Voices::of(&bob).unwrap().open(bob_id, &forged), None);
    // Nor another time, under Alice's own key.
    let mut later = plain.to_vec();
    later[10] ^= 1;
    let key = carol.export::<32>(b"qchat ephemeral v1", alice_id.as_bytes()).unwrap();
    let forged =
        qchat_proto::crypto::aead::seal(key.expose(), nonce, &associated(alice_id.as_bytes()), &later);
    let forged = [&nonce[..], &forged.unwrap()].concat();
    assert_eq!(Voices::of(&bob).unwrap().open(alice_id, &forged), None);
}
