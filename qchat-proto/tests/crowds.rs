//! Large rooms: made in chunks, joined through a tree that travels beside the Welcome, written in, and made small again.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed; its helpers stand outside #[test] functions"
)]

mod crowd;

use crowd::{AT_ONCE, Candidate, ROOM, adds, candidates, commit, create, follow, join, removes, say};
use qchat_proto::{
    mls::{
        fault::OpenFault,
        group::{Group, Plan},
    },
    session::ledger::GroupBlob,
    wire::limits,
};

/// What a debug build makes in seconds. A thousand pass too, in minutes; the benchmark `groups` makes as many.
const DEVICES: usize = 200;

/// The group as the next process finds it.
fn stored_and_loaded(candidate: &Candidate, mut group: Group) -> Group {
    let update = group.snapshot().unwrap();
    let blob = GroupBlob { state: update.state, tree: update.tree.expect("a new tree") };
    candidate.device.load(ROOM, &blob, &[]).unwrap()
}

#[test]
fn a_large_room_is_made_joined_written_in_and_made_small_again() {
    let people = candidates(DEVICES);
    let mut creator = create(&people[0]);
    let mut early: Option<Group> = None;
    let mut late: Option<Group> = None;
    for chunk in people[1..].chunks(AT_ONCE) {
        let output = commit(&mut creator, &adds(chunk));
        assert_eq!(output.welcomes.len(), chunk.len());
        assert!(output.message.len() < limits::COMMIT, "{}", output.message.len());
        follow([&mut creator].into_iter().chain(early.as_mut()), &output);
        let newest =
            join(chunk.last().unwrap(), output.welcomes.last().unwrap(), &output.ratchet_tree).unwrap();
        let newest = stored_and_loaded(chunk.last().unwrap(), newest);
        if early.is_none() { early = Some(newest) } else { late = Some(newest) }
    }
    let (mut early, mut late) = (early.unwrap(), late.unwrap());
    assert_eq!(late.leaves().len(), DEVICES);
    let mut all = [&mut creator, &mut early, &mut late];
    for from in 0..all.len() {
        say(&mut all, from, b"everybody hears this");
        let output = commit(all[from], &Plan::default());
        assert!(output.message.len() < limits::COMMIT, "{}", output.message.len());
        follow(all.iter_mut().map(|group| &mut **group), &output);
    }
    // All but those three.
    let (first, last) = (AT_ONCE, DEVICES - 1);
    let gone: Vec<Candidate> = people
        .into_iter()
        .enumerate()
        .filter(|(number, _)| ![0, first, last].contains(number))
        .map(|(_, candidate)| candidate)
        .collect();
    for chunk in gone.chunks(AT_ONCE) {
        let output = commit(all[0], &removes(chunk));
        follow(all.iter_mut().map(|group| &mut **group), &output);
    }
    assert_eq!(all[1].leaves().len(), 3);
    for from in 0..all.len() {
        say(&mut all, from, b"a quiet room");
    }
}

#[test]
fn a_tree_that_is_not_the_one_the_inviter_signed_joins_nothing() {
    let people = candidates(4);
    let mut creator = create(&people[0]);
    let earlier = commit(&mut creator, &adds(&people[1..2]));
    follow([&mut creator], &earlier);
    let output = commit(&mut creator, &adds(&people[2..]));
    let welcome = &output.welcomes[0];
    let flipped = |place: usize| {
        let mut tree = output.ratchet_tree.to_vec();
        tree[place] ^= 1;
        tree.into()
    };
    let size = output.ratchet_tree.len();
    let wrong = [
        ("an earlier tree", earlier.ratchet_tree.clone()),
        ("a bit of the first leaf", flipped(100)),
        ("a bit in the middle", flipped(size / 2)),
        ("a bit of the last leaf", flipped(size - 1)),
        ("half a tree", output.ratchet_tree.slice(..size / 2)),
        ("none", bytes::Bytes::new()),
    ];
    for (what, tree) in wrong {
        let refused = join(&people[2], welcome, &tree).map(drop);
        assert!(matches!(refused, Err(OpenFault::Invalid | OpenFault::Malformed)), "{what}: {refused:?}");
    }
    assert!(join(&people[2], welcome, &output.ratchet_tree).is_ok());
}
