//! What is kept of simulated runs with other members, whatever those say.

use qchat_proto::{
    content::{Exercise, ExerciseStep, MAX_PART},
    ids::{AccountId, DeviceId, Seq},
    mls::membership::Leaf,
    session::ledger::Ledger,
};

use super::{ALICE, ALICE_DEVICE, BOB, BOB_DEVICE, ROOM, profile, read, write};
use crate::store::{Profile, StoredExercise};

const ID: [u8; 16] = [7; 16];
const CAROL: AccountId = AccountId::from_bytes([0xc1; 16]);
const CAROL_DEVICE: DeviceId = DeviceId::from_bytes([0xc2; 16]);
const OTHER_OF_ALICE: DeviceId = DeviceId::from_bytes([0xa3; 16]);

fn leaf() -> Leaf {
    Leaf { account: BOB, device: BOB_DEVICE, identity_key_hash: [0; 48], certified_at: 0, index: 1 }
}

fn hear(profile: &Profile, (account, device): (AccountId, DeviceId), step: ExerciseStep) {
    let sender = Leaf { account, device, ..leaf() };
    write(profile, |tx| tx.put_exercise(ROOM, Seq(1), &sender, &Exercise { id: ID, step }));
}

fn asked(account: AccountId, terms: u8) -> ExerciseStep {
    ExerciseStep::Asked { account, terms: vec![terms].into(), mixes: false }
}

fn part(number: u32, device: DeviceId, size: usize) -> ExerciseStep {
    ExerciseStep::Part { number, last: false, data: vec![1; size].into(), device }
}

fn runs(profile: &Profile) -> Vec<StoredExercise> {
    read(profile, |tx| tx.exercises(ROOM))
}

/// How many steps are held of the run that a device has asked for.
fn held(profile: &Profile, asker: DeviceId) -> usize {
    let (mut count, mut after) = (0, 0);
    while let Some(step) = read(profile, |tx| tx.exercise_step_after(ROOM, asker, after)) {
        (count, after) = (count + 1, step.row);
    }
    count
}

#[test]
fn what_this_account_is_asked_for_is_kept_and_what_others_say_of_it_is_not() {
    let (_dir, profile) = profile();
    let (bob, carol) = ((BOB, BOB_DEVICE), (CAROL, CAROL_DEVICE));
    hear(&profile, bob, asked(CAROL, 1));
    hear(&profile, bob, part(0, ALICE_DEVICE, 9));
    assert!(runs(&profile).is_empty(), "others are asked");
    hear(&profile, bob, asked(ALICE, 2));
    hear(&profile, bob, asked(ALICE, 3));
    hear(&profile, carol, asked(ALICE, 4));
    let terms: Vec<_> = runs(&profile).iter().map(|run| run.terms.clone()).collect();
    assert_eq!(terms, [[3], [4]], "the newest of each device");
    hear(&profile, bob, part(0, ALICE_DEVICE, 9));
    assert_eq!(held(&profile, BOB_DEVICE), 0, "nobody has said yes");
    write(&profile, |tx| tx.take_part(ROOM, BOB_DEVICE));
    hear(&profile, bob, part(0, ALICE_DEVICE, 9));
    // A run of the same name does not make carol's words bob's.
    hear(&profile, carol, part(1, ALICE_DEVICE, 9));
    assert_eq!((held(&profile, BOB_DEVICE), held(&profile, CAROL_DEVICE)), (1, 0));
    // Another of this account's devices was quicker.
    hear(&profile, bob, part(1, OTHER_OF_ALICE, 9));
    assert_eq!(runs(&profile).len(), 1);
    assert_eq!(held(&profile, BOB_DEVICE), 0);
    hear(&profile, carol, ExerciseStep::Ended { key_bits: 0, declined: false });
    assert!(runs(&profile).is_empty(), "who has asked asks no more");
}

#[test]
fn no_more_is_kept_of_a_run_than_one_needs() {
    let (_dir, profile) = profile();
    let own = StoredExercise {
        id: ID,
        device: ALICE_DEVICE,
        account: ALICE,
        peer: BOB,
        terms: vec![1],
        mixes: true,
        takes_part: true,
    };
    let bob = (BOB, BOB_DEVICE);
    // By its size, and by its number.
    for size in [MAX_PART, 0] {
        let most = write(&profile, |tx| {
            tx.put_exercise_asked(ROOM, &own)?;
            let sender = leaf();
            for number in 0..9_000 {
                let said = Exercise { id: ID, step: part(number, ALICE_DEVICE, size) };
                tx.put_exercise(ROOM, Seq(1), &sender, &said)?;
                if tx.exercises(ROOM)?.is_empty() {
                    return Ok(number);
                }
            }
            Ok(u32::MAX)
        });
        assert!(most == if size == 0 { 8_192 } else { 170 }, "{most}");
        assert!(runs(&profile).is_empty() && held(&profile, ALICE_DEVICE) == 0);
    }
    hear(&profile, bob, part(0, ALICE_DEVICE, 9));
    assert_eq!(held(&profile, ALICE_DEVICE), 0, "it is over");
}
