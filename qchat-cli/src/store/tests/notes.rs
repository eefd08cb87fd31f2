//! Notes of an account: whatever its devices note, in whichever order they meet what lies at the daemon, and whatever old piece it shows
//! them again, they end with the same.

use proptest::prelude::*;
use qchat_proto::{
    content::{Body, Content, Profile as Shown},
    identity::{Note, Topic},
    ids::{DeviceId, Seq},
    session::ledger::{Ledger as _, OpenedMessage},
};

use super::{ALICE, BOB, ROOM, alice, message, profile, read, write};
use crate::store::{Identity, Profile, Tx};

const TOPICS: [Topic; 3] = [Topic::Muted(ROOM), Topic::Blocked(BOB), Topic::Favourite(ROOM)];

/// What the daemon has, all that it ever had.
struct Daemon(Vec<Vec<Note>>);

impl Daemon {
    fn newest(&self) -> (u64, Vec<Note>) {
        (self.0.len() as u64, self.0.last().cloned().unwrap_or_default())
    }

    /// What a device does when it looks; `late` so many versions, as a daemon shows it that brings back old ones.
    fn sync(&mut self, device: &Profile, late: usize) {
        let place = self.0.len().saturating_sub(late);
        let shown = if place == 0 { vec![] } else { self.0[place - 1].clone() };
        let version = self.newest().0;
        write(device, |tx| tx.merge_notes(&shown, version, 1_000));
        let (_, untold) = read(device, Tx::notes_version);
        if untold {
            let all = read(device, Tx::notes);
            self.0.push(all.clone());
            let version = self.newest().0;
            write(device, |tx| tx.told_notes(&all, version));
        }
    }
}

fn device(number: u8) -> (tempfile::TempDir, Profile) {
    let (dir, profile) = profile();
    let device = DeviceId::from_bytes([number; 16]);
    write(&profile, |tx| tx.put_identity(&Identity { account: ALICE, device, ..alice() }));
    (dir, profile)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn devices_that_have_looked_agree(steps in prop::collection::vec((0..3_usize, 0..4_usize, any::<bool>(), 0..3_usize), 1..40)) {
        let devices = [1, 2, 3].map(device);
        let mut daemon = Daemon(vec![]);
        for (time, (which, what, so, late)) in steps.into_iter().enumerate() {
            let (_, profile) = &devices[which];
            match TOPICS.get(what) {
                Some(topic) => {
                    let now = i64::try_from(time).unwrap();
                    write(profile, |tx| tx.note_whether(*topic, so, now));
                }
                None => daemon.sync(profile, late),
            }
        }
        for _ in 0..2 {
            for (_, profile) in &devices {
                daemon.sync(profile, 0);
            }
        }
        let notes = devices.each_ref().map(|(_, profile)| read(profile, Tx::notes));
        prop_assert_eq!(&notes[0], &notes[1]);
        prop_assert_eq!(&notes[0], &notes[2]);
        prop_assert_eq!(&daemon.newest().1, &notes[0]);
        for (_, profile) in &devices {
            prop_assert!(!read(profile, Tx::notes_version).1, "all is told");
        }
    }
}

#[test]
fn of_two_profiles_of_the_same_moment_all_devices_have_one_which_is_told_as_the_later() {
    let devices = [1, 2].map(device);
    let mut daemon = Daemon(vec![]);
    for (name, (_, profile)) in (1..).zip(&devices) {
        write(profile, |tx| tx.note(Topic::Profile, &[name], 50));
        daemon.sync(profile, 0);
    }
    for _ in 0..2 {
        for (_, profile) in &devices {
            daemon.sync(profile, 0);
        }
    }
    let [one, other] =
        devices.each_ref().map(|(_, profile)| read(profile, |tx| tx.noted(Topic::Profile)).unwrap());
    assert_eq!((&one, &one.value[..]), (&other, &[2][..]));
    assert!(one.at_ms > 50, "whoever has heard the other, of that moment, hears of this one");
    assert!(devices.iter().all(|(_, profile)| !read(profile, Tx::notes_version).1), "and all is told");
}

#[test]
fn what_a_device_whose_clock_is_ahead_has_told_a_room_is_followed_by_what_another_one_notes() {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let (_dir, profile) = profile();
    let now = crate::store::convert::now_ms();
    let body = Body::Profile(Shown { name: "Ali".to_owned(), ..Shown::default() });
    let told = OpenedMessage {
        room: ROOM,
        seq: Seq(1),
        message_id: message(1),
        account: ALICE,
        device: DeviceId::from_bytes([2; 16]),
        epoch: 1,
        content: Content::new(body, now + 365 * DAY_MS).encode(),
    };
    write(&profile, |tx| tx.put_message(&told));
    let last = read(&profile, Tx::last_profile_told);
    assert!(last > now, "later than that");
    // Else the account's other devices would pass over the note that comes after it.
    assert!(last < now + DAY_MS - 60_000, "{}", last - now);
}

#[test]
fn the_newest_word_counts_and_what_a_later_version_notes_is_passed_on() {
    let (_dir, profile) = device(1);
    let block = |so, now| write(&profile, |tx| tx.note_whether(Topic::Blocked(BOB), so, now));
    block(true, 10);
    assert!(read(&profile, |tx| tx.is_blocked(BOB)) && !read(&profile, |tx| tx.is_blocked(ALICE)));
    // A clock that went back does not lose the last word, nor is it none where nothing changes: another device may have said
    // otherwise meanwhile.
    block(false, 5);
    block(true, 5);
    block(true, 5);
    let own = read(&profile, |tx| tx.noted(Topic::Blocked(BOB))).unwrap();
    assert_eq!(own.at_ms, 13);
    let older = Note { value: vec![], at_ms: 12, ..own.clone() };
    let later = Note { kind: 77, subject: vec![1], value: vec![2], ..own.clone() };
    assert!(write(&profile, |tx| tx.merge_notes(&[older, later.clone()], 3, 100)));
    assert!(read(&profile, |tx| tx.is_blocked(BOB)));
    assert_eq!(read(&profile, Tx::notes), [own.clone(), later.clone()]);
    assert_eq!(read(&profile, Tx::notes_version), (3, true));

    // Nobody has the last word for ever, or keeps what makes no sense here.
    let (kind, me) = Topic::Blocked(ALICE).key();
    let senseless = [
        Note { value: vec![], at_ms: i64::MAX, ..own.clone() },
        Note { subject: me, ..own.clone() },
        Note { kind, subject: vec![1; 15], ..own.clone() },
        Note { kind: u32::MAX, subject: vec![], ..own.clone() },
    ];
    assert!(!write(&profile, |tx| tx.merge_notes(&senseless, 4, 100)));
    assert_eq!(read(&profile, Tx::notes), [own.clone(), later.clone()]);
    assert!(read(&profile, Tx::notes_version).1, "what is not there is told");
    // But for what a device says whose clock is days ahead, nobody puts theirs there again and again.
    let ahead = [Note { at_ms: i64::MAX, ..own.clone() }, later.clone()];
    write(&profile, |tx| tx.merge_notes(&ahead, 5, 100));
    assert_eq!(read(&profile, Tx::notes_version), (5, false));
    // What is not so any more is forgotten some day.
    block(false, 20);
    write(&profile, |tx| tx.merge_notes(&[], 6, 400 * 24 * 3600 * 1000));
    assert_eq!(read(&profile, Tx::notes).len(), 1);
}
