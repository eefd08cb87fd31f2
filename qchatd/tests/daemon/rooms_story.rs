//! The part of the store's story that the relay's core lives on: a room, its log, and who stands where in it. Told to
//! whatever keeps to the relay's interface: both databases, and the simulation's.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use qchat_proto::{
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    wire::tree::TreeHash,
};
use qchatd::store::{
    RoomQueries, envelopes,
    relay::{Changes, NewEnvelope, NewWelcome, Wanted},
    rooms::{Audience, Member, Place, RoomState, Span, Standing},
    trees::TreeId,
};

/// An id of one repeated byte, which a failed assertion shows at a glance.
macro_rules! id {
    ($kind:ident, $byte:expr) => {
        $kind::from_bytes([$byte; 16])
    };
}
pub(crate) use id;

/// What the story needs beside the interface.
pub(crate) trait Stage: RoomQueries {
    /// Puts a whole tree there, as its device does ahead of a commit.
    fn stage(&mut self, room: RoomId, device: DeviceId, hash: TreeHash) -> TreeId;
    /// Whether a tree is kept.
    fn keeps(&mut self, tree: TreeId) -> bool;
    /// Whether a Welcome waits.
    fn has_welcome(&mut self, room: RoomId, device: DeviceId) -> bool;
}

pub(crate) fn full(device: DeviceId, account: AccountId) -> Member {
    Member {
        device,
        account,
        standing: Standing::Full,
        once_full: true,
        waiting: false,
        reads: Span { after: Seq(0), until: None },
        past: Span::EMPTY,
    }
}

/// A room of Alice's (account 1, device 11), into which she invites Bob (account 2, device 12), who joins and is removed.
/// Both are there, and in no room yet.
#[expect(clippy::too_many_lines, reason = "one story, in its order")]
pub(crate) fn tell(conn: &mut impl Stage) {
    let (alice, bob) = (id!(AccountId, 1), id!(AccountId, 2));
    let (phone, laptop, nobody) = (id!(DeviceId, 11), id!(DeviceId, 12), id!(DeviceId, 13));
    let (room, other, nowhere) = (id!(RoomId, 71), id!(RoomId, 72), id!(RoomId, 79));
    let now = 1_000;

    for created in [true, false] {
        assert_eq!(conn.create(room, &full(phone, alice), now).unwrap(), created);
    }
    conn.create(other, &full(phone, alice), now).unwrap();
    assert_eq!((conn.creator(room).unwrap(), conn.creator(nowhere).unwrap()), (Some(phone), None));
    let fresh = RoomState { next_seq: Seq(1), commit_seq: Seq(0) };
    assert_eq!((conn.state(room).unwrap(), conn.state(nowhere).unwrap()), (Some(fresh), None));
    assert_eq!(conn.member(room, phone).unwrap(), Some(full(phone, alice)));
    assert_eq!(conn.member(room, laptop).unwrap(), None);
    assert_eq!(conn.audience_versions(&[laptop, nobody]).unwrap(), [(laptop, 0)]);

    // An invitation, by one group of publications.
    let invited = Member {
        standing: Standing::Invited,
        once_full: false,
        waiting: true,
        reads: Span { after: Seq(1), until: None },
        ..full(laptop, bob)
    };
    let envelope = |seq: u8| NewEnvelope {
        room,
        seq: Seq(seq.into()),
        sender: phone,
        message: id!(MessageId, seq),
        logged: Bytes::from(vec![seq; 9]),
    };
    let hash = TreeHash::of(b"tree");
    let tree = conn.stage(room, phone, hash);
    let wanted = Wanted {
        rooms: BTreeSet::from([room, nowhere]),
        places: BTreeSet::from([(room, phone), (room, laptop)]),
        named: BTreeSet::from([laptop, nobody]),
        envelopes: BTreeSet::from([(room, phone, id!(MessageId, 3)), (room, phone, id!(MessageId, 7))]),
        trees: BTreeSet::from([hash]),
    };
    let snapshot = conn.load(&wanted).unwrap();
    assert_eq!(snapshot.rooms, HashMap::from([(room, fresh)]));
    assert_eq!(snapshot.members, HashMap::from([((room, phone), full(phone, alice))]));
    assert_eq!(snapshot.accounts, HashMap::from([(laptop, bob)]));
    assert_eq!(snapshot.accepted, HashMap::new());
    assert_eq!(snapshot.staged, HashMap::from([((room, phone, hash), tree)]));
    let welcome = NewWelcome {
        seq: Seq(2),
        inviter: alice,
        welcome: Bytes::from_static(b"welcome"),
        log_after: Seq(1),
    };
    let come = RoomState { next_seq: Seq(4), commit_seq: Seq(2) };
    let changes = Changes {
        envelopes: vec![envelope(1), envelope(2), envelope(3)],
        rooms: BTreeMap::from([(room, come)]),
        members: HashMap::from([((room, laptop), invited.clone())]),
        trees: vec![(tree, Seq(2))],
        welcomes: HashMap::from([((room, laptop), Some(welcome))]),
    };
    conn.save(&changes, now).unwrap();
    let snapshot = conn.load(&wanted).unwrap();
    assert_eq!(snapshot.rooms, HashMap::from([(room, come)]));
    assert_eq!(snapshot.members[&(room, laptop)], invited);
    assert_eq!(snapshot.accepted, HashMap::from([((room, phone, id!(MessageId, 3)), Seq(3))]));
    assert_eq!(snapshot.staged, HashMap::new(), "its commit has it");
    let again = Changes { trees: vec![(tree, Seq(3))], ..Changes::default() };
    assert!(conn.save(&again, now).is_err(), "a tree has one commit");

    // Who stands where.
    assert_eq!(conn.followers(room).unwrap(), [full(phone, alice), invited.clone()]);
    let places = conn.places(room, &[laptop, nobody]).unwrap();
    assert_eq!(places, std::slice::from_ref(&invited));
    let audience = |conn: &mut _, device| {
        let audiences = RoomQueries::audiences(conn, &[device, nobody]).unwrap();
        assert_eq!(audiences.len(), 1, "devices that there are");
        audiences[&device].clone()
    };
    let place = Place { room, follows: true, after: Seq(1), last: Seq(3) };
    assert_eq!(audience(conn, laptop), Audience { version: 1, places: vec![place] });
    let rooms_of_phone: BTreeSet<RoomId> =
        audience(conn, phone).places.iter().map(|place| place.room).collect();
    assert_eq!(rooms_of_phone, BTreeSet::from([room, other]), "the rooms that it has made");
    for (known, ahead) in [(0, vec![room]), (2, vec![room]), (3, vec![]), (u64::MAX, vec![])] {
        let asked = [(room, Seq(known)), (nowhere, Seq(0))];
        assert_eq!(conn.ahead(&asked).unwrap(), ahead, "{known}");
    }

    // The log, as far as each may read it.
    let page = |conn: &mut _, reader: &Member, after, limit| -> Vec<u64> {
        let page = RoomQueries::page(conn, room, reader, Seq(after), Seq(3), limit).unwrap();
        assert_eq!(page.deleted, Seq(0));
        page.envelopes.iter().map(|logged| logged.seq.0).collect()
    };
    assert_eq!(page(conn, &full(phone, alice), 0, 10), [1, 2, 3]);
    assert_eq!(page(conn, &full(phone, alice), 1, 1), [2]);
    assert_eq!(page(conn, &invited, 0, 10), [2, 3]);

    // Several logs at once, each from where it is known, as far as a number and a size allow.
    let changes = Changes {
        envelopes: (1..=2).map(|seq| NewEnvelope { room: other, ..envelope(seq) }).collect(),
        rooms: BTreeMap::from([(other, RoomState { next_seq: Seq(3), commit_seq: Seq(0) })]),
        ..Changes::default()
    };
    conn.save(&changes, now).unwrap();
    let following = |conn: &mut _, known: &[(RoomId, u64)], each, bytes| {
        let known = known.iter().map(|(room, seq)| (*room, Seq(*seq))).collect();
        let (entries, more) = RoomQueries::following(conn, &known, each, bytes).unwrap();
        let entries: Vec<_> = entries.into_iter().map(|entry| (entry.room, entry.seq.0)).collect();
        (entries, more)
    };
    for (known, each, bytes, entries, more) in [
        (vec![(room, 1), (other, 0)], 9, 99, vec![(room, 2), (room, 3), (other, 1), (other, 2)], vec![]),
        (vec![(room, 3), (other, 1)], 9, 99, vec![(other, 2)], vec![]),
        (vec![(room, 0), (other, 1)], 2, 99, vec![(room, 1), (room, 2), (other, 2)], vec![room]),
        (vec![(room, 0), (other, 0)], 9, 10, vec![(room, 1), (room, 2)], vec![room, other]),
        (vec![(nowhere, 0)], 9, 99, vec![], vec![]),
    ] {
        assert_eq!(following(conn, &known, each, bytes), (entries, more), "{known:?} {each} {bytes}");
    }

    // Bob joins; what he has opened is deleted. Then he is removed, and what is left reads no further.
    let place_of_bob = |conn: &mut _, member: &Member| {
        let members = HashMap::from([((room, laptop), member.clone())]);
        RoomQueries::save(conn, &Changes { members, ..Changes::default() }, now).unwrap();
    };
    place_of_bob(conn, &full(laptop, bob));
    assert_eq!(conn.audience_versions(&[laptop]).unwrap(), [(laptop, 2)]);
    conn.confirm(room, laptop, Seq(1)).unwrap();
    assert!(conn.has_welcome(room, laptop) && conn.keeps(tree));
    conn.confirm(room, laptop, Seq(3)).unwrap();
    assert!(!conn.has_welcome(room, laptop));
    assert!(!conn.keeps(tree), "a tree goes with its last Welcome");
    let removed = Member {
        standing: Standing::Removed,
        reads: Span { after: Seq(1), until: Some(Seq(2)) },
        ..full(laptop, bob)
    };
    place_of_bob(conn, &removed);
    assert_eq!(conn.member(room, laptop).unwrap(), Some(removed.clone()));
    assert_eq!(audience(conn, laptop).places, [], "it has read all that it may");
    let removed_later = Member { reads: Span { until: Some(Seq(4)), ..removed.reads }, ..removed.clone() };
    place_of_bob(conn, &removed_later);
    let out = Place { follows: false, ..place };
    assert_eq!(audience(conn, laptop).places, [out], "it has not read that it was removed");
    // Before it has joined it confirms what it could read in the membership before, and no more.
    let past = Span { after: Seq(0), until: Some(Seq(3)) };
    place_of_bob(conn, &Member { waiting: true, past, ..removed_later.clone() });
    conn.confirm(room, laptop, Seq(9)).unwrap();
    assert_eq!(audience(conn, laptop).places, [out]);
    place_of_bob(conn, &removed_later);
    conn.confirm(room, laptop, Seq(9)).unwrap();
    assert_eq!(audience(conn, laptop).places, []);
    place_of_bob(conn, &Member { standing: Standing::Declined, ..removed.clone() });
    assert_eq!(audience(conn, laptop).places, [Place { last: Seq(2), ..out }]);
    assert_eq!(conn.followers(room).unwrap(), [full(phone, alice)]);
    assert_eq!(page(conn, &removed, 0, 10), [2]);
    assert_eq!(envelopes::last_readable(&removed, Seq(3)), Seq(2));
    // Added anew it reads what it could read, and what comes; nothing in between.
    let back = Member { reads: Span { after: Seq(2), until: None }, past: removed.reads, ..invited };
    place_of_bob(conn, &Member { past: Span { after: Seq(0), until: Some(Seq(1)) }, ..back });
    let back = conn.member(room, laptop).unwrap().unwrap();
    assert_eq!(page(conn, &back, 0, 10), [1, 3]);
}
