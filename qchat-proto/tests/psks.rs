//! Pre-shared keys in commits: who has one follows, who has none is stuck, and joiners need one only when asked.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed; its helpers stand outside #[test] functions"
)]

mod crowd;

use crowd::{Candidate, ROOM, adds, candidates, commit, create, follow, join, say};
use qchat_proto::{
    crypto::secret::Secret,
    mls::{
        device::OwnKeyPackage,
        fault::OpenFault,
        group::{Group, Plan},
        psk::{Psk, PskId, PskKind},
    },
};

const ID: PskId = PskId { kind: PskKind::QuantumLink, id: [7; 32] };

fn psk(id: PskId, secret: u8) -> Psk {
    Psk { id, secret: Secret::from_bytes([secret; 32]) }
}

/// A room of so many, all of them in memory.
fn room(people: &[Candidate]) -> Vec<Group> {
    let mut creator = create(&people[0]);
    let output = commit(&mut creator, &adds(&people[1..]));
    follow([&mut creator], &output);
    let joined = people[1..]
        .iter()
        .zip(&output.welcomes)
        .map(|(person, welcome)| join(person, welcome, &output.ratchet_tree).unwrap());
    [creator].into_iter().chain(joined).collect()
}

fn with_psk() -> Plan {
    Plan { psks: vec![ID], ..Plan::default() }
}

#[test]
fn members_with_the_key_follow_and_one_without_or_with_another_is_stuck_alone() {
    let people = candidates(5);
    let mut groups = room(&people);
    let at_hand = [
        vec![psk(ID, 1)],
        vec![psk(PskId { id: [8; 32], ..ID }, 9), psk(ID, 1)],
        vec![],
        vec![psk(ID, 2)],
        // The same name of another kind is another name.
        vec![psk(PskId { kind: PskKind::Exercise, ..ID }, 1)],
    ];
    for (group, psks) in groups.iter_mut().zip(&at_hand) {
        group.set_psks(psks);
    }
    let output = commit(&mut groups[0], &with_psk());
    let [first, second, rest @ ..] = &mut groups[..] else { panic!("five members") };
    follow([&mut *first, &mut *second], &output);
    for group in rest {
        assert_eq!(group.open(&output.message), Err(OpenFault::Private));
    }
    say(&mut [first, second], 0, b"mixed in");
}

#[test]
fn a_commit_with_a_key_that_its_maker_lacks_is_not_made() {
    let people = candidates(2);
    let mut groups = room(&people);
    let plan = with_psk();
    let made = groups[0].commit(&plan, &crowd::anchor(), vec![], crowd::NOW).map(drop);
    assert!(made.is_err());
    groups[0].set_psks(&[psk(ID, 1)]);
    groups[0].set_psks(&[]);
    let made = groups[0].commit(&plan, &crowd::anchor(), vec![], crowd::NOW).map(drop);
    assert!(made.is_err(), "a key is at hand until the next is set, and not longer");
    let [first, second] = &mut groups[..] else { panic!("two members") };
    say(&mut [first, second], 0, b"nothing has happened");
}

#[test]
fn a_joiner_needs_the_key_only_if_its_welcome_asks_for_it() {
    let mut people = candidates(4);
    let (later, people) = (people.pop().unwrap(), people);
    let (asked, members) = people.split_last().unwrap();
    let mut groups = room(members);
    for group in &mut groups {
        group.set_psks(&[psk(ID, 1)]);
    }
    let output = commit(&mut groups[0], &Plan { psks: vec![ID], ..adds(std::slice::from_ref(asked)) });
    follow(&mut groups, &output);
    let (welcome, tree) = (&output.welcomes[0], &output.ratchet_tree);
    let without = join(asked, welcome, tree).map(drop);
    assert_eq!(without, Err(OpenFault::Private));
    let OwnKeyPackage { id, secret, .. } = &asked.key_package;
    let with = |psks: &[Psk]| asked.device.join_with(ROOM, welcome, tree, id, secret, psks);
    assert!(with(&[psk(ID, 2)]).is_err(), "another secret under its name");
    let mut joined = with(&[psk(ID, 1)]).unwrap().group;

    let output = commit(&mut joined, &adds(std::slice::from_ref(&later)));
    follow(groups.iter_mut().chain([&mut joined]), &output);
    let mut last = join(&later, &output.welcomes[0], &output.ratchet_tree).unwrap();
    say(&mut [&mut last, &mut joined, &mut groups[0]], 0, b"nobody asked me for a key");
}

#[test]
fn a_name_is_read_back_and_nothing_else_is_a_name() {
    for kind in [PskKind::QuantumLink, PskKind::Exercise] {
        let id = PskId { kind, id: [3; 32] };
        let encoded = id.encode();
        assert_eq!(PskId::decode(&encoded), Some(id));
        let mut unknown = encoded.clone();
        unknown[12] = 9;
        for bad in [&encoded[..44], &[&encoded[..], &[0]].concat(), &unknown, b"", b"psk"] {
            assert_eq!(PskId::decode(bad), None);
        }
    }
}
