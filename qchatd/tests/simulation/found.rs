//! What the simulation has found, each in the few steps that it takes.

use std::sync::Arc;

use bytes::Bytes;
use qchat_proto::ids::{DeviceId, RoomId, Seq};
use qchatd::{
    hub::{Announcement, Hub},
    store::rooms::{Audience, Place},
};

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
