//! Writes that wait for one another.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
};

use diesel::connection::SimpleConnection as _;
use futures_util::{FutureExt as _, future::join_all};
use qchat_proto::session::ledger::Ledger;

use super::{ROOM, other_process, profile, read, state, write};
use crate::store::{Profile, StoreError};

/// Keeps the profile's writer until the sender is used or dropped.
fn occupy(profile: &Profile) -> (mpsc::Sender<()>, thread::JoinHandle<()>) {
    let (release, released) = mpsc::channel();
    let (begin, begun) = mpsc::channel();
    let profile = profile.clone();
    let thread = thread::spawn(move || {
        let held = profile.write(|_| {
            begin.send(()).unwrap();
            let _ = released.recv();
            Ok::<_, StoreError>(())
        });
        held.unwrap();
    });
    begun.recv().unwrap();
    (release, thread)
}

#[tokio::test]
async fn writes_are_carried_out_in_their_order_and_one_that_fails_leaves_the_others_alone() {
    let (_dir, profile) = profile();
    let (release, holder) = occupy(&profile);
    let order = Arc::new(Mutex::new(vec![]));
    let writes: Vec<_> = (1..=200)
        .map(|number| {
            let order = Arc::clone(&order);
            profile.write_async(move |tx| {
                order.lock().unwrap().push(number);
                let before = tx.room(ROOM)?.map_or(0, |room| room.cursor.0);
                tx.put_room(&state(number))?;
                if number % 3 == 0 { Err(StoreError::Forgotten) } else { Ok(before) }
            })
        })
        .collect();
    // Nobody waits for it, and it is carried out.
    drop(profile.write_async(|tx| tx.put_room(&state(999))));
    drop(release);
    let mut last = 0;
    for (number, written) in (1..).zip(join_all(writes).await) {
        if number % 3 == 0 {
            assert!(matches!(written, Err(StoreError::Forgotten)), "{written:?}");
        } else {
            assert_eq!(written.unwrap(), last, "what the one before has left");
            last = number;
        }
    }
    assert_eq!(*order.lock().unwrap(), (1..=200).collect::<Vec<_>>());
    profile.write_async(|_| Ok::<_, StoreError>(())).await.unwrap();
    assert_eq!(read(&other_process(&profile), |tx| tx.room(ROOM)), Some(state(999)));
    holder.join().unwrap();
}

#[tokio::test]
async fn nothing_is_said_to_be_durable_that_went_with_another_one() {
    let (_dir, profile) = profile();
    let (release, holder) = occupy(&profile);
    let before = profile.write_async(|tx| tx.put_room(&state(1)));
    let panics = profile.write_async(|tx| -> Result<(), StoreError> {
        tx.put_room(&state(2))?;
        panic!("as a defect would");
    });
    let after = profile.write_async(|tx| tx.put_room(&state(3)));
    drop(release);
    assert!(matches!(before.await, Err(StoreError::Together)));
    assert!(std::panic::AssertUnwindSafe(panics).catch_unwind().await.is_err());
    after.await.unwrap();
    assert_eq!(read(&profile, |tx| tx.room(ROOM)), Some(state(3)));
    profile.write_async(|tx| tx.put_room(&state(4))).await.unwrap();
    assert_eq!(read(&profile, |tx| tx.room(ROOM)), Some(state(4)));
    holder.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_comes_as_the_last_one_is_done_is_not_forgotten() {
    let (_dir, profile) = profile();
    let writers = (0..8).map(|_| {
        let profile = profile.clone();
        tokio::spawn(async move {
            for _ in 0..200 {
                profile.write_async(|_| Ok::<_, StoreError>(())).await.unwrap();
            }
        })
    });
    for written in join_all(writers).await {
        written.unwrap();
    }
}

#[test]
fn a_runtime_that_ends_leaves_nobody_waiting_and_the_next_one_writes() {
    let (_dir, profile) = profile();
    let ending = tokio::runtime::Runtime::new().unwrap();
    let handle = ending.handle().clone();
    ending.shutdown_background();
    let entered = handle.enter();
    let writing = profile.write_async(|tx| tx.put_room(&state(1)));
    assert!(matches!(writing.now_or_never(), Some(Err(StoreError::Abandoned))));
    drop(entered);
    let next = tokio::runtime::Runtime::new().unwrap();
    next.block_on(async { profile.write_async(|tx| tx.put_room(&state(2))).await.unwrap() });
    assert_eq!(read(&profile, |tx| tx.room(ROOM)), Some(state(2)));
}

#[tokio::test]
async fn of_a_full_disk_everybody_is_told_the_truth() {
    let (_dir, profile) = profile();
    write(&profile, |tx| tx.put_room(&state(1)));
    // No page more than there are.
    write(&profile, |tx| Ok(tx.conn.batch_execute("PRAGMA max_page_count = 1")?));
    let (release, holder) = occupy(&profile);
    let small = |cursor| profile.write_async(move |tx| tx.put_room(&state(cursor)));
    let before = small(2);
    let large = profile.write_async(|tx| tx.put_draft(ROOM, &"x".repeat(4_000_000)));
    let after = small(3);
    drop(release);
    let (before, large, after) = (before.await, large.await, after.await);
    assert!(matches!(large, Err(StoreError::DiskFull)), "{large:?}");
    let said = if after.is_ok() {
        state(3)
    } else if before.is_ok() {
        state(2)
    } else {
        state(1)
    };
    assert_eq!(read(&other_process(&profile), |tx| tx.room(ROOM)), Some(said), "{before:?} {after:?}");
    // There is room again, for who asks again.
    write(&profile, |tx| Ok(tx.conn.batch_execute("PRAGMA max_page_count = 1000000")?));
    small(4).await.unwrap();
    assert_eq!(read(&profile, |tx| tx.room(ROOM)), Some(state(4)));
    holder.join().unwrap();
}
