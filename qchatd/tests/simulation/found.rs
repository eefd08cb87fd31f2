//! What the simulation has found, each in the few steps that it takes.

use std::{cell::Cell, future::ready, sync::Arc, time::Duration};

use bytes::Bytes;
use qchat_proto::ids::{DeviceId, RoomId, Seq};
use qchatd::{
    hub::{Announcement, Attached, Hub},
    store::rooms::{Audience, Place},
};
use tokio::time::timeout;

/// Two devices of a node that reads a room's log: the one that leaves was the last to follow the room there, and the one
/// that was added after that is not forgotten.
#[test]
fn a_device_that_was_added_after_the_last_other_left_is_looked_at_again() {
    let room = RoomId::from_bytes([1; 16]);
    let [leaver, newcomer] = [2, 3].map(|byte| DeviceId::from_bytes([byte; 16]));
    let hub = Arc::new(Hub::default());
    let audience = |version, after, last| {
        let place = Place { room, follows: true, after: Seq(after), last: Seq(last) };
        Audience { version, places: vec![place] }
    };
    let first = hub.attach(leaver, [0; 16], 8);
    assert!(first.follow(audience(1, 0, 10)));
    let (second, third) = (hub.attach(newcomer, [0; 16], 8), hub.attach(newcomer, [0; 16], 8));
    assert!(second.follow(Audience::default()));

    // The database knows more than the node has read: another node has removed the one, and added the other.
    let newer = audience(1, 12, 13);
    assert_eq!(hub.reconcile(newcomer, &newer), [room, room]);
    assert!(third.follow(newer.clone()));
    let envelope = |seq, joined, left| Announcement {
        room,
        envelope: Some((Seq(seq), Bytes::from_static(b"commit"))),
        joined,
        invited: Vec::new(),
        left,
    };
    hub.replay(room, Seq(11), Some(&envelope(11, vec![], vec![leaver])));
    assert_eq!(hub.delivered(room), None, "nobody follows it any more");
    hub.replay(room, Seq(13), Some(&envelope(13, vec![newcomer], vec![])));

    let known = hub.audiences().into_iter().find(|(device, _)| *device == newcomer);
    assert_eq!(known, Some((newcomer, 0)), "what is known of it is not all");
    assert_eq!(hub.reconcile(newcomer, &newer), []);
    assert!(second.follows(room) && third.follows(room));
    let known = hub.audiences().into_iter().find(|(device, _)| *device == newcomer);
    assert_eq!((hub.delivered(room), known), (Some(Seq(13)), Some((newcomer, 1))));
}

/// What was read of a device before it was removed comes late, when another device here follows the room from after that:
/// the log, from where it is read, does not say that the first has left.
#[test]
fn a_removed_device_follows_no_room_by_an_old_list() {
    let room = RoomId::from_bytes([1; 16]);
    let [removed, other] = [2, 3].map(|byte| DeviceId::from_bytes([byte; 16]));
    let hub = Arc::new(Hub::default());
    let audience = |version, last| Audience {
        version,
        places: vec![Place { room, follows: true, after: Seq(5), last: Seq(last) }],
    };
    let (early, late) = (hub.attach(removed, [0; 16], 8), hub.attach(removed, [0; 16], 8));
    assert!(early.follow(Audience::default()));
    let following = hub.attach(other, [0; 16], 8);
    assert!(following.follow(audience(1, 14)));

    assert_eq!(hub.reconcile(removed, &audience(1, 7)), []);
    assert!(!late.follow(audience(1, 7)), "it has to be read once more");
    assert!(!early.follows(room) && !late.follows(room));
    assert!(hub.audiences().contains(&(removed, 0)), "the next look reads it once more");
    // Had it not been removed, it would say so.
    assert_eq!(hub.reconcile(removed, &audience(1, 15)), []);
    assert!(late.follow(audience(1, 15)));
    assert!(early.follows(room) && late.follows(room));
}

/// A device that was removed and added again, before its node has read of either: its list of rooms says that it follows,
/// and the log then that it has left.
#[test]
fn a_device_that_is_back_is_looked_at_again_after_its_removal_is_read() {
    let room = RoomId::from_bytes([1; 16]);
    let device = DeviceId::from_bytes([2; 16]);
    let hub = Arc::new(Hub::default());
    let audience = |version, after, last| {
        let place = Place { room, follows: true, after: Seq(after), last: Seq(last) };
        Audience { version, places: vec![place] }
    };
    let attached = hub.attach(device, [0; 16], 8);
    assert!(attached.follow(audience(1, 0, 10)));
    let back = audience(3, 11, 13);
    hub.reconcile(device, &back);
    let removal = Announcement {
        room,
        envelope: Some((Seq(11), Bytes::from_static(b"commit"))),
        joined: Vec::new(),
        invited: Vec::new(),
        left: vec![device],
    };
    hub.replay(room, Seq(11), Some(&removal));
    assert_eq!((hub.delivered(room), attached.follows(room)), (None, false));
    assert_eq!(hub.audiences(), [(device, 0)], "the next look reads its list once more");
    assert_eq!(hub.reconcile(device, &back), []);
    assert_eq!((hub.delivered(room), attached.follows(room)), (Some(Seq(13)), true));
}

/// A device that another node adds and removes before its own has begun to follow the room for it: nobody here reads the
/// log that says so.
#[test]
fn a_device_that_came_and_went_before_its_node_looked_is_told_once_each_time() {
    let room = RoomId::from_bytes([1; 16]);
    let device = DeviceId::from_bytes([2; 16]);
    let hub = Arc::new(Hub::default());
    let out = |version, last| {
        let place = Place { room, follows: false, after: Seq(3), last: Seq(last) };
        Audience { version, places: vec![place] }
    };
    let hints = |attached: &Attached| {
        let mut frames = Vec::new();
        attached.take(&mut frames, 8);
        frames.len()
    };
    let attached = hub.attach(device, [0; 16], 8);
    assert!(attached.follow(Audience::default()));
    for (audience, told) in [(out(2, 6), 1), (out(3, 6), 0), (out(5, 9), 1)] {
        assert_eq!(hub.reconcile(device, &audience), []);
        assert_eq!((hints(&attached), attached.follows(room)), (told, false), "{audience:?}");
    }
    // Who comes asks by itself, and is told of what follows.
    let later = hub.attach(device, [0; 16], 8);
    assert!(later.follow(out(5, 9)));
    hub.reconcile(device, &out(7, 12));
    assert_eq!(hints(&later), 1);

    // One that follows gets the log as far as it may read it, although the list says already that it is out.
    let follower = DeviceId::from_bytes([3; 16]);
    let attached = hub.attach(follower, [0; 16], 8);
    let place = Place { room, follows: true, after: Seq(3), last: Seq(12) };
    assert!(attached.follow(Audience { version: 1, places: vec![place] }));
    assert_eq!(hub.reconcile(follower, &out(2, 13)), [room]);
    assert!(attached.follows(room));
    let removal = Announcement {
        room,
        envelope: Some((Seq(13), Bytes::from_static(b"commit"))),
        joined: Vec::new(),
        invited: Vec::new(),
        left: vec![follower],
    };
    hub.replay(room, Seq(13), Some(&removal));
    assert_eq!((hints(&attached), attached.follows(room)), (2, false), "the commit, and a hint");
    assert_eq!(hub.reconcile(follower, &out(2, 13)), []);
    assert_eq!(hints(&attached), 0);
}

/// Another device here follows the room from further on than a device's list of rooms says that it has come, and the
/// database stays behind.
#[tokio::test(start_paused = true)]
async fn a_list_that_stays_too_old_is_asked_for_ever_more_slowly() {
    let room = RoomId::from_bytes([1; 16]);
    let [device, other] = [2, 3].map(|byte| DeviceId::from_bytes([byte; 16]));
    let hub = Arc::new(Hub::default());
    let audience = |last| Audience {
        version: 1,
        places: vec![Place { room, follows: true, after: Seq(0), last: Seq(last) }],
    };
    let ahead = hub.attach(other, [0; 16], 8);
    assert!(ahead.follow(audience(9)));
    let (attached, asked) = (hub.attach(device, [0; 16], 8), Cell::new(0_u64));
    let settled = attached.settle(|| {
        asked.set(asked.get() + 1);
        let last = if asked.get() < 20 { 7 } else { 9 };
        ready(Ok::<_, ()>(audience(last)))
    });
    tokio::pin!(settled);
    assert!(timeout(Duration::from_secs(10), &mut settled).await.is_err());
    assert!((2..20).contains(&asked.get()), "{asked:?} times in 10 s");
    assert_eq!(timeout(Duration::from_mins(1), settled).await, Ok(Ok(())));
    assert!(attached.follows(room));
}
