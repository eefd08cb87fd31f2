//! Keys, crashes, several processes, and what reaches the disk.

use std::{fs, os::unix::fs::PermissionsExt, panic::AssertUnwindSafe, time::Duration};

use qchat_proto::{
    crypto::secret::Secret,
    identity::Pinned,
    ids::{MessageId, RoomId, Seq},
    invite::LinkSecret,
    session::ledger::{GroupUpdate, Ledger, ListedDevice, RoomState},
};
use zeroize::Zeroizing;

use super::{ALICE, BOB, BOB_DEVICE, KEY, ROOM, alice, message, other_process, profile, read, state, write};
use crate::store::{
    AccountKey, Contact, KeyPackageSecret, Line, LineBody, Profile, SessionTokens, Standing, StoreError, Tx,
};

const CANARY: &[u8] = b"canary-4f1d2a-the-plaintext-that-must-not-be-found";

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn nothing_stored_is_readable_in_the_files_and_only_their_owner_may_open_them() {
    let (_dir, profile) = profile();
    write(&profile, |tx| {
        tx.put_room(&state(0))?;
        tx.put_pending(ROOM, message(1), CANARY)?;
        let tree = Some(CANARY.repeat(1000).into());
        tx.put_group(ROOM, &GroupUpdate { state: Zeroizing::new(CANARY.repeat(1000)), tree })
    });
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(profile.dir()), 0o700);
    // Once with all of it in the write-ahead log, once in the database itself.
    for _ in 0..2 {
        let mut bytes = 0;
        for file in fs::read_dir(profile.dir()).unwrap() {
            let path = file.unwrap().path();
            let content = fs::read(&path).unwrap();
            bytes += content.len();
            for needle in [CANARY, b"SQLite format 3", &KEY, &[0xd1; 64]] {
                assert!(!contains(&content, needle), "{}", path.display());
            }
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        assert!(bytes > 40_000);
        assert!(profile.checkpoint(Duration::ZERO).unwrap());
        assert_eq!(fs::metadata(profile.dir().join("profile.db-wal")).unwrap().len(), 0);
    }
    let found = read(&profile, |tx| tx.lines_before(ROOM, None, 1));
    assert_eq!(found.len(), 1);
}

#[test]
fn a_wrong_key_a_missing_profile_and_a_second_creation_are_named() {
    let (dir, profile) = profile();
    let path = profile.dir().to_owned();
    drop(profile);
    let wrong = Profile::open(&path, Secret::from_bytes([1; 32])).unwrap_err();
    assert!(matches!(wrong, StoreError::WrongKey), "{wrong:?}");
    for text in [wrong.to_string(), format!("{wrong:?}")] {
        assert!(!text.contains("0101") && !text.to_lowercase().contains("pragma"), "{text}");
    }
    let nowhere = dir.path().join("nobody");
    assert!(matches!(Profile::open(&nowhere, Secret::from_bytes(KEY)), Err(StoreError::Missing(_))));
    assert!(!nowhere.exists());
    assert!(matches!(Profile::create(&path, Secret::from_bytes(KEY)), Err(StoreError::Exists(_))));
    let again = Profile::open(&path, Secret::from_bytes(KEY)).unwrap();
    assert_eq!(read(&again, Tx::identity).unwrap().account, ALICE);
    drop(again);

    fs::write(path.join("profile.db"), [0x55; 8192]).unwrap();
    assert!(matches!(Profile::open(&path, Secret::from_bytes(KEY)), Err(StoreError::WrongKey)));
    Profile::destroy(&path).unwrap();
    assert!(!Profile::exists(&path));
}

const TEXT: [u8; 900] = [0x6d; 900];

/// All that the tests' profile holds, or why it cannot be read.
fn everything(path: &std::path::Path) -> Result<(Vec<u8>, usize, Option<RoomState>), StoreError> {
    let profile = Profile::open(path, Secret::from_bytes(KEY))?;
    profile.read(|tx| {
        let own = tx.identity()?.ok_or(StoreError::Corrupt("identity"))?;
        let lines = tx.lines_before(ROOM, None, 10_000)?;
        let whole =
            |line: &&Line| matches!(&line.body, LineBody::Message { content, .. } if content[..] == TEXT);
        Ok((own.certificate, lines.iter().filter(whole).count(), tx.room(ROOM)?))
    })
}

#[test]
fn a_torn_or_altered_database_gives_all_that_was_stored_or_a_named_error() {
    let (dir, profile) = profile();
    let path = profile.dir().to_owned();
    write(&profile, |tx| {
        tx.put_room(&state(7))?;
        for n in 0..250 {
            tx.put_pending(ROOM, message(n), &TEXT)?;
        }
        Ok(())
    });
    assert!(profile.checkpoint(Duration::ZERO).unwrap());
    drop(profile);
    let file = path.join("profile.db");
    let whole = fs::read(&file).unwrap();
    let expected = everything(&path).unwrap();
    assert_eq!(expected.1, 250);
    let mut damages: Vec<(String, Vec<u8>)> = vec![];
    // Two places in each page; a tear at each page's edge, and within.
    for page in 0..whole.len() / 4096 {
        for place in [page * 4096 + 17, page * 4096 + 4090] {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << (page % 8);
            damages.push((format!("a flipped bit at {place}"), flipped));
        }
        for length in [page * 4096, page * 4096 + 1234] {
            damages.push((format!("torn after {length}"), whole[..length].to_vec()));
        }
    }
    let (mut named, mut read) = (0, 0);
    for (what, damaged) in damages {
        let torn = damaged.len() < whole.len();
        fs::write(&file, &damaged).unwrap();
        match everything(&path) {
            // A page that holds nothing of it.
            Ok(found) if !torn => {
                assert_eq!(found, expected, "{what}");
                read += 1;
            }
            Ok(_) => panic!("{what}: read"),
            Err(error @ (StoreError::Damaged(_) | StoreError::WrongKey)) => {
                assert!(error.to_string().contains("qchat profile recover"), "{what}: {error}");
                named += 1;
            }
            Err(error) => panic!("{what}: {error:?}"),
        }
        assert!(fs::read(&file).unwrap() == damaged, "{what}: it was written to");
        for other in ["profile.db-wal", "profile.db-shm"] {
            drop(fs::remove_file(path.join(other)));
        }
    }
    // Each table that is empty has a page in which nothing is missed.
    assert!(named > 2 * read, "{named} named, {read} read");
    fs::write(&file, &whole).unwrap();
    assert_eq!(everything(&path).unwrap(), expected);
    drop(dir);
}

#[test]
fn a_newer_profile_is_refused() {
    use diesel::connection::SimpleConnection;
    let (_dir, profile) = profile();
    write(&profile, |tx| Ok(tx.conn.batch_execute("PRAGMA user_version = 9999")?));
    let refused = Profile::open(profile.dir(), Secret::from_bytes(KEY));
    assert!(matches!(refused, Err(StoreError::TooNew)), "{refused:?}");
}

#[test]
fn what_a_failed_or_crashed_transaction_wrote_is_gone() {
    let (_dir, profile) = profile();
    let other = other_process(&profile);
    let failed: Result<(), StoreError> = profile.write(|tx| {
        tx.put_room(&state(5))?;
        Err(StoreError::Range)
    });
    assert!(matches!(failed, Err(StoreError::Range)));
    // The thread dies with the transaction open: the connection is dropped, as by a killed process.
    let crash = std::panic::catch_unwind(AssertUnwindSafe(|| {
        profile.write::<(), StoreError>(|tx| {
            tx.put_room(&state(6))?;
            tx.put_pending(ROOM, message(1), CANARY)?;
            panic!("crash");
        })
    }));
    assert!(crash.is_err());
    for profile in [&profile, &other] {
        assert_eq!(read(profile, |tx| tx.room(ROOM)), None);
        assert!(read(profile, |tx| tx.lines_before(ROOM, None, 9)).is_empty());
    }
    // And nobody is locked out.
    write(&profile, |tx| tx.put_room(&state(7)));
    write(&other, |tx| tx.put_room(&state(8)));
    assert_eq!(read(&profile, |tx| tx.room(ROOM)), Some(state(8)));
}

#[test]
fn a_log_that_is_in_use_is_emptied_by_the_next_who_can() {
    let (_dir, profile) = profile();
    let other = other_process(&profile);
    let log = || fs::metadata(profile.dir().join("profile.db-wal")).unwrap().len();
    write(&profile, |tx| tx.put_room(&state(1)));
    other
        .read(|tx| {
            tx.room(ROOM)?;
            write(&profile, |tx| tx.put_room(&state(2)));
            assert!(!profile.checkpoint(Duration::ZERO)?, "somebody reads what is older");
            assert!(log() > 0);
            // Nobody is kept from writing by that.
            write(&profile, |tx| tx.put_room(&state(3)));
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert!(other.checkpoint(Duration::ZERO).unwrap());
    assert_eq!(log(), 0);
    assert_eq!(read(&profile, |tx| tx.room(ROOM)), Some(state(3)));
}

#[test]
fn a_read_transaction_cannot_write() {
    let (_dir, profile) = profile();
    assert!(profile.read(|tx| tx.put_room(&state(1))).is_err());
    assert_eq!(read(&profile, |tx| tx.room(ROOM)), None);
}

#[tokio::test]
async fn two_processes_write_at_once_and_lose_nothing() {
    const EACH: u64 = 40;
    let (_dir, profile) = profile();
    profile.write(|tx| tx.put_room(&state(0))).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for process in 0..2u8 {
        let own = other_process(&profile);
        for task in 0..2u8 {
            let own = own.clone();
            tasks.spawn(async move {
                for n in 0..EACH {
                    own.write_async(move |tx| {
                        // Read, then write: another writer in between would lose an increment.
                        let mut room = tx.room(ROOM)?.unwrap();
                        room.accepted += 1;
                        tx.put_room(&room)?;
                        let id = [process, task, u8::try_from(n).unwrap()];
                        tx.put_pending(
                            ROOM,
                            MessageId::from_bytes([
                                id[0], id[1], id[2], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                            ]),
                            &id,
                        )?;
                        Ok::<_, StoreError>(())
                    })
                    .await
                    .unwrap();
                }
            });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let (room, lines) = profile
        .read_async(|tx| Ok::<_, StoreError>((tx.room(ROOM)?.unwrap(), tx.lines_before(ROOM, None, 1000)?)))
        .await
        .unwrap();
    assert_eq!(room.accepted, 4 * EACH);
    assert_eq!(lines.len() as u64, 4 * EACH);
    assert!(lines.is_sorted_by_key(|line| line.row));
}

#[tokio::test]
async fn a_change_by_another_process_is_noticed_and_an_own_one_is_not() {
    let (_dir, profile) = profile();
    let other = other_process(&profile);
    let before = profile.data_version_async().await.unwrap();
    write(&profile, |tx| tx.put_room(&state(1)));
    read(&profile, |tx| tx.room(ROOM));
    assert_eq!(profile.data_version_async().await.unwrap(), before);
    write(&other, |tx| tx.put_room(&state(2)));
    let after = profile.data_version_async().await.unwrap();
    assert_ne!(after, before);
    // Nor does emptying the log.
    write(&profile, |tx| tx.put_room(&state(3)));
    assert!(profile.checkpoint(Duration::ZERO).unwrap());
    assert_eq!(profile.data_version_async().await.unwrap(), after);
}

#[tokio::test]
async fn the_lock_excludes_other_processes_until_it_is_dropped() {
    let (_dir, profile) = profile();
    let other = other_process(&profile);
    let held = profile.lock(Duration::ZERO).await.unwrap();
    assert!(matches!(other.lock(Duration::ZERO).await, Err(StoreError::Locked)));
    let waiting = tokio::spawn(async move { other.lock(Duration::from_secs(30)).await.map(drop) });
    drop(held);
    waiting.await.unwrap().unwrap();
}

#[test]
fn identity_session_and_key_packages_are_kept_and_forgotten() {
    let (_dir, profile) = profile();
    let own = read(&profile, Tx::identity).unwrap();
    assert!(own.device_key.ct_eq(&alice().device_key) && own.account_key.ct_eq(&alice().account_key));
    assert_eq!(
        (own.device, own.server_id, own.certificate),
        (alice().device, alice().server_id, alice().certificate)
    );
    write(&profile, |tx| tx.put_own_list_version(4));
    assert_eq!(read(&profile, Tx::identity).unwrap().list_version, 4);

    let mut tokens = SessionTokens {
        access_token: Zeroizing::new("access".into()),
        expires_at: 5,
        refresh_token: Zeroizing::new("refresh".into()),
        refresh_attempt: None,
    };
    for attempt in [None, Some([3; 16])] {
        tokens.refresh_attempt = attempt;
        write(&profile, |tx| tx.put_session(&tokens));
        let found = read(&profile, Tx::session).unwrap();
        assert_eq!(*found.refresh_token, "refresh");
        assert_eq!(found.refresh_attempt, attempt);
    }
    assert!(!format!("{tokens:?}").contains("refresh"));
    write(&profile, Tx::forget_session);
    assert!(read(&profile, Tx::session).is_none());

    write(&profile, |tx| {
        for (id, expires_at, last_resort) in [(1, 10, false), (2, 20, false), (3, u64::MAX, true)] {
            let data = Zeroizing::new(vec![id; 50]);
            tx.put_key_package(&KeyPackageSecret {
                id: vec![id; 48],
                data,
                expires_at,
                last_resort,
                published: true,
            })?;
        }
        Ok(())
    });
    assert_eq!(read(&profile, Tx::key_packages).len(), 3);
    let found = read(&profile, |tx| tx.key_package(&[2; 48])).unwrap();
    assert_eq!((&found.data[..], found.expires_at, found.last_resort), (&[2; 50][..], 20, false));
    assert_eq!(write(&profile, |tx| tx.forget_expired_key_packages(15)), 1);
    write(&profile, |tx| tx.forget_key_package(&[2; 48]));
    assert_eq!(read(&profile, Tx::key_packages).len(), 1);
    assert!(read(&profile, |tx| tx.key_package(&[3; 48])).unwrap().last_resort);
}

#[test]
fn contacts_are_pinned_and_a_name_belongs_to_one_of_them() {
    let (_dir, profile) = profile();
    let mut bob = Contact {
        account: BOB,
        name: "bob".parse().unwrap(),
        record: vec![1; 10],
        pinned: Pinned {
            account: BOB,
            identity_key_hash: [2; 48],
            recovery_key_hash: [3; 48],
            record_created_at: 4,
            list_version: 5,
            list_hash: [6; 48],
        },
        device_list: vec![7; 10],
        first_seen_ms: 8,
        changed_record: None,
        verified: false,
        since_ms: None,
    };
    write(&profile, |tx| tx.put_contact(&bob));
    bob.changed_record = Some(vec![9; 10]);
    bob.verified = true;
    bob.since_ms = Some(10);
    write(&profile, |tx| tx.put_contact(&bob));
    assert_eq!(read(&profile, |tx| tx.contact(BOB)).as_ref(), Some(&bob));
    assert_eq!(read(&profile, |tx| tx.contact_by_name(&bob.name)).as_ref(), Some(&bob));
    assert_eq!(read(&profile, Tx::contacts), [bob.clone()]);
    for (changed, verified, standing) in [
        (false, false, Standing::Unverified),
        (false, true, Standing::Verified),
        (true, false, Standing::Changed),
        (true, true, Standing::Changed),
    ] {
        let changed_record = changed.then(|| vec![9; 10]);
        assert_eq!(Contact { changed_record, verified, ..bob.clone() }.standing(), standing);
    }

    // Only in a room that the changed person is in.
    let other = RoomId::from_bytes([9; 16]);
    write(&profile, |tx| {
        let member = |account| ListedDevice { account, device: BOB_DEVICE };
        tx.put_roster(ROOM, &[member(ALICE), member(BOB)])?;
        tx.put_roster(other, &[member(ALICE)])
    });
    assert_eq!(read(&profile, |tx| tx.changed_member(ROOM)).as_ref(), Some(&bob.name));
    assert_eq!(read(&profile, |tx| tx.changed_member(other)), None);
    assert_eq!(read(&profile, |tx| tx.rooms_with(BOB)), [ROOM]);

    let impostor = Contact { account: ALICE, ..bob.clone() };
    assert!(profile.write(|tx| tx.put_contact(&impostor)).is_err());
    assert_eq!(read(&profile, |tx| tx.contact_by_name(&bob.name)), Some(bob));

    let key = AccountKey { account: BOB, public_key: vec![5; 2000] };
    write(&profile, |tx| tx.put_account_key(&[2; 48], &key));
    write(&profile, |tx| tx.put_account_key(&[2; 48], &AccountKey { account: ALICE, public_key: vec![] }));
    assert_eq!(read(&profile, |tx| tx.account_key(&[2; 48])), Some(key));
    assert_eq!(read(&profile, |tx| tx.account_key(&[3; 48])), None);
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let (_dir, profile) = profile();
    let huge = profile.write(|tx| tx.put_head(ROOM, Seq(u64::MAX), &[0; 48]));
    assert!(matches!(huge, Err(StoreError::Range)));
}

#[test]
fn what_was_asked_by_a_link_is_kept_for_each_room_until_it_is_old_or_taken_back() {
    let (_dir, profile) = profile();
    let (other, secret) = (RoomId::from_bytes([2; 16]), LinkSecret::from_slice(&[7; 32]).unwrap());
    let asked = |room, after| read(&profile, move |tx| tx.link_request(room, after));
    assert_eq!(asked(ROOM, 0), None);
    for at in [50, 100] {
        let secret = secret.clone();
        write(&profile, move |tx| tx.put_link_request(ROOM, &secret, at));
    }
    assert_eq!((asked(ROOM, 100), asked(ROOM, 101), asked(other, 0)), (Some(secret), None, None));
    write(&profile, |tx| tx.forget_link_request(ROOM));
    assert_eq!(asked(ROOM, 0), None);
}

#[test]
fn a_line_above_what_is_unread_is_kept_for_each_room_until_it_is_taken_away() {
    let (_dir, profile) = profile();
    let other = RoomId::from_bytes([2; 16]);
    let line = |room| read(&profile, move |tx| tx.unread_line(room));
    assert_eq!(line(ROOM), None);
    for row in [7, 9] {
        write(&profile, move |tx| tx.put_unread_line(ROOM, Some(row)));
        assert_eq!((line(ROOM), line(other)), (Some(row), None));
    }
    write(&profile, |tx| tx.put_unread_line(ROOM, None));
    assert_eq!(line(ROOM), None);
}
