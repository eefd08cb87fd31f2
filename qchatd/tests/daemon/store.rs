//! The store's queries themselves: one story on both databases that runs every one of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
};

use bytes::Bytes;
use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Text};
use qchat_proto::{
    ids::{AccountId, DeviceId, FileId, LinkId, MessageId, RoomId, Seq, ServerId},
    wire::{chunk::ChunkId, tree::TreeHash},
};
use qchatd::store::{
    self, Connection, StoreError,
    accounts::{self, Account, Device, Verifier},
    audit::{self, Act, Actor, Draft, Entry, Outcome, Which},
    backups::{self, Backup},
    envelopes,
    erased::{self, Erased},
    export,
    files::{self, File, State},
    join_requests::{self, JoinRequest},
    key_packages::{self, KeyPackage},
    links::{self, Link},
    notes,
    owed::{self, Owed},
    relay::{self, Changes, NewEnvelope, NewWelcome},
    retention::{self, Kept, Log, Place as NeedOf, Waiting},
    rooms::{self, Member, RoomState, Span, Standing},
    server,
    sessions::{self, Ended, Found, Owner},
    token_keys::{self, TokenKey},
    trees::{self, StoredTree, TreeId},
};

use crate::{
    directory_story,
    rooms_story::{self, Stage, full, id},
    support::{Database, on_both},
};

on_both!(every_query_does_on_both_databases_what_it_says);

/// A database with its tables and nothing in them.
pub(crate) fn empty(database: &Database) -> Connection {
    store::migrate(&database.url.parse().unwrap()).unwrap();
    database.connect()
}

impl Stage for Connection {
    fn stage(&mut self, room: RoomId, device: DeviceId, hash: TreeHash) -> TreeId {
        let tree = trees::begin(self, room, device, &hash, 1).unwrap().unwrap();
        assert!(trees::append(self, tree, 0, b"tree", 1).unwrap() && trees::complete(self, tree, 1).unwrap());
        tree
    }

    fn keeps(&mut self, tree: TreeId) -> bool {
        trees::part(self, tree, 0).unwrap().is_some()
    }

    fn has_welcome(&mut self, room: RoomId, device: DeviceId) -> bool {
        rooms::welcome(self, room, device).unwrap().is_some()
    }
}

/// Two accounts, a room, and what becomes of them, told to the store function by function.
#[expect(clippy::too_many_lines, reason = "one story, in its order")]
pub(crate) fn story(conn: &mut Connection) {
    let (alice, bob) = (id!(AccountId, 1), id!(AccountId, 2));
    let (phone, laptop) = (id!(DeviceId, 11), id!(DeviceId, 12));

    // Who the database is, it stays.
    let first = server::identify(conn, id!(ServerId, 90), 5).unwrap();
    assert_eq!(server::identify(conn, id!(ServerId, 91), 6).unwrap(), first);

    // Accounts and devices.
    assert!(!accounts::any(conn).unwrap());
    for (account, name, device) in [(alice, "alice", phone), (bob, "bob", laptop)] {
        let new = Account {
            id: account,
            name: name.parse().unwrap(),
            record: vec![3; 9],
            device_list: vec![4; 9],
            device_list_version: 1,
            auth_salt: [5; 16],
            verifier: Verifier { salt: [6; 16], hash: [7; 32] },
        };
        accounts::insert(conn, &new, 100).unwrap();
        assert!(accounts::any(conn).unwrap());
        let found = accounts::by_name(conn, &new.name).unwrap().unwrap();
        assert_eq!((found.id, found.auth_salt, found.verifier.hash), (account, [5; 16], [7; 32]));
        assert_eq!(accounts::by_id(conn, account).unwrap().unwrap().name, new.name);
        assert_eq!(accounts::lock(conn, account).unwrap().unwrap().name, new.name);
        let new = Device { id: device, account, certificate: vec![8; 9], listed: true };
        accounts::insert_device(conn, &new, 100).unwrap();
        assert_eq!(accounts::device(conn, device).unwrap().unwrap().account, account);
        assert_eq!(accounts::devices(conn, account).unwrap().len(), 1);
    }
    assert!(accounts::by_name(conn, &"carol".parse().unwrap()).unwrap().is_none());
    assert!(accounts::by_id(conn, id!(AccountId, 3)).unwrap().is_none());
    assert!(accounts::lock(conn, id!(AccountId, 3)).unwrap().is_none());
    for (version, replaced) in [(3, true), (3, false), (2, false), (4, true)] {
        let outcome = accounts::replace_device_list(conn, alice, &[9; 9], version).unwrap();
        assert_eq!(outcome, replaced, "version {version}");
    }

    assert_eq!(accounts::device_list_version(conn, alice).unwrap(), Some(4));
    assert_eq!(accounts::device_list_version(conn, id!(AccountId, 3)).unwrap(), None);
    accounts::replace_record(conn, alice, &[10; 9]).unwrap();
    assert_eq!(accounts::by_id(conn, alice).unwrap().unwrap().record, [10; 9]);
    accounts::recertify(conn, phone, &[11; 9]).unwrap();
    assert_eq!(accounts::device(conn, phone).unwrap().unwrap().certificate, [11; 9]);
    let known = |conn: &mut Connection| {
        let known = accounts::known_devices(conn, alice).unwrap();
        known.into_iter().map(|known| (known.device, known.label, known.last_seen)).collect::<Vec<_>>()
    };
    assert_eq!(known(conn), [(phone, None, None)]);
    accounts::label_device(conn, phone, &[12; 9]).unwrap();
    for (hour, seen) in [(7200, 7200), (3600, 7200), (10_800, 10_800)] {
        accounts::seen(conn, phone, hour).unwrap();
        assert_eq!(known(conn), [(phone, Some(vec![12; 9]), Some(seen))]);
    }

    directory_story::key_directory(conn, alice, bob);

    // Links: one for each account, found by its token, each with its time; and what is sealed for a device.
    let link = |number, created_at| Link {
        account: alice,
        id: id!(LinkId, number),
        created_at,
        expires_at: created_at + 600,
        commitment: vec![number; 48],
        answered: None,
        opening: None,
        confirmed: false,
    };
    links::begin(conn, &link(1, 100), &[1; 32]).unwrap();
    links::begin(conn, &link(2, 200), &[2; 32]).unwrap();
    assert_eq!(links::by_token(conn, &[1; 32], 200).unwrap(), None, "another was begun");
    assert_eq!(links::by_token(conn, &[2; 32], 799).unwrap(), Some(link(2, 200)));
    assert_eq!(links::by_token(conn, &[2; 32], 800).unwrap(), None);
    assert_eq!(links::of_account(conn, alice, 800).unwrap(), None);
    assert_eq!(links::of_account(conn, bob, 200).unwrap(), None);
    let further = Link {
        answered: Some((phone, vec![3; 9])),
        opening: Some(vec![4; 9]),
        confirmed: true,
        ..link(2, 200)
    };
    links::advance(conn, &further).unwrap();
    assert_eq!(links::of_account(conn, alice, 799).unwrap(), Some(further));
    links::end(conn, alice).unwrap();
    assert_eq!(links::of_account(conn, alice, 200).unwrap(), None);
    for sealed in [vec![5; 9], vec![6; 9]] {
        links::keep_grant(conn, phone, &sealed, 100).unwrap();
        assert_eq!(links::grant(conn, phone).unwrap(), Some(sealed));
    }
    links::forget_grant(conn, phone).unwrap();
    assert_eq!(links::grant(conn, phone).unwrap(), None);
    links::begin(conn, &link(3, 100), &[3; 32]).unwrap();
    links::keep_grant(conn, phone, &[7; 9], 100).unwrap();
    links::expire(conn, 699, 100).unwrap();
    assert!(
        links::of_account(conn, alice, 699).unwrap().is_some()
            && links::grant(conn, phone).unwrap().is_some()
    );
    links::expire(conn, 700, 101).unwrap();
    assert!(
        links::of_account(conn, alice, 699).unwrap().is_none()
            && links::grant(conn, phone).unwrap().is_none()
    );

    // Sessions: open, found, extended, renewed, ended, forgotten.
    let now = 1_000;
    let owner = Owner { account: alice, device: phone };
    let names: [_; 4] = [[21; 16], [22; 16], [23; 16], [24; 16]];
    for (session, device) in names.iter().zip([phone, phone, laptop, laptop]) {
        sessions::open(conn, session, device, now, now + 50).unwrap();
        sessions::insert_token(conn, &[session[0]; 32], session, now + 50).unwrap();
    }
    assert_eq!(sessions::find(conn, &names[0], now).unwrap(), Some(Found { owner, ended: None }));
    assert_eq!(sessions::find(conn, &names[0], now + 50).unwrap(), None);
    sessions::extend(conn, &names[0], now + 90).unwrap();
    assert!(sessions::find(conn, &names[0], now + 50).unwrap().is_some());
    sessions::use_token(conn, &[21; 32], &names[0], now, &[31; 32]).unwrap();
    let token = sessions::token(conn, &[21; 32]).unwrap().unwrap();
    assert_eq!((token.session, token.used), (names[0], Some((now, vec![31; 32]))));
    assert!(sessions::token(conn, &[99; 32]).unwrap().is_none());
    let open = |conn: &mut Connection| -> BTreeSet<u8> {
        let open = sessions::open_among(conn, &[names.as_slice(), &[[99; 16]]].concat(), now).unwrap();
        open.iter().map(|session| session[0]).collect()
    };
    assert_eq!(open(conn), BTreeSet::from([21, 22, 23, 24]));
    accounts::list_device(conn, laptop, false).unwrap();
    assert_eq!(open(conn), BTreeSet::from([21, 22]), "devices that are listed");
    accounts::list_device(conn, laptop, true).unwrap();
    sessions::end(conn, &names[0], Ended::Reuse).unwrap();
    assert_eq!(
        sessions::find(conn, &names[0], now).unwrap(),
        Some(Found { owner, ended: Some(Ended::Reuse) })
    );
    assert_eq!(sessions::end_all(conn, alice, Ended::Everywhere).unwrap(), [names[1]], "what was open");
    assert_eq!(sessions::find(conn, &names[0], now).unwrap().unwrap().ended, Some(Ended::Reuse));
    assert_eq!(sessions::find(conn, &names[1], now).unwrap().unwrap().ended, Some(Ended::Everywhere));
    sessions::close(conn, &names[2]).unwrap();
    assert!(sessions::token(conn, &[23; 32]).unwrap().is_none(), "its tokens go with it");
    assert_eq!(open(conn), BTreeSet::from([24]));
    sessions::close_all(conn, laptop).unwrap();
    assert_eq!(open(conn), BTreeSet::new());
    for (nonce, spent) in [([1; 32], true), ([1; 32], false), ([2; 32], true)] {
        assert_eq!(sessions::spend_nonce(conn, &nonce, now + 60, now).unwrap(), spent);
    }

    // The keys of access tokens, each with its successor.
    token_keys::lock(conn).unwrap();
    let key = |byte, signs_from| TokenKey { id: [byte; 8], salt: [byte; 32], signs_from, ends_at: None };
    for (byte, now) in [(1, 10), (2, 20), (3, 100)] {
        token_keys::succeed(conn, &key(byte, now), now + 30, now).unwrap();
    }
    let kept: Vec<_> = token_keys::all(conn).unwrap().iter().map(|key| (key.id[0], key.ends_at)).collect();
    assert_eq!(kept, [(2, Some(130)), (3, None)], "the first had ended");

    // KeyPackages: each once, the last resort again and again.
    let package = |byte| KeyPackage { digest: [byte; 32], bytes: vec![byte; 9] };
    key_packages::insert(conn, laptop, &[package(1), package(2)]).unwrap();
    key_packages::renew(conn, laptop, &package(3)).unwrap();
    assert!(key_packages::any(conn, laptop).unwrap() && !key_packages::any(conn, phone).unwrap());
    key_packages::insert(conn, phone, &[package(6)]).unwrap();
    key_packages::withdraw(conn, phone).unwrap();
    assert!(!key_packages::any(conn, phone).unwrap());
    key_packages::insert(conn, laptop, &[package(4), package(5), package(4)]).unwrap();
    assert_eq!(key_packages::count(conn, laptop).unwrap(), 2);
    let claimed: Vec<_> = (0..4).map(|_| key_packages::claim(conn, laptop).unwrap().unwrap()).collect();
    assert_eq!(
        claimed.iter().map(|(bytes, last)| (bytes[0], *last)).collect::<Vec<_>>(),
        [(4, false), (5, false), (3, true), (3, true)]
    );
    assert!(key_packages::claim(conn, phone).unwrap().is_none());

    // What the relay's core asks, in rooms of its own.
    rooms_story::tell(conn);

    // What else there is to a room: Alice's, into which she invites Bob.
    let room = id!(RoomId, 41);
    assert!(rooms::create(conn, room, &full(phone, alice), now).unwrap());
    assert_eq!(rooms::lock(conn, room).unwrap(), Some(RoomState { next_seq: Seq(1), commit_seq: Seq(0) }));
    let invited = Member { standing: Standing::Invited, waiting: true, ..full(laptop, bob) };
    // A tree goes ahead of its commit, in parts, and takes the place of the one that the device had begun in the room.
    let hash = TreeHash::of(b"tree");
    let other = trees::begin(conn, room, phone, &TreeHash::of(b"another"), now).unwrap().unwrap();
    assert!(trees::append(conn, other, 0, b"anot", now).unwrap());
    let tree = trees::begin(conn, room, phone, &hash, now).unwrap().unwrap();
    assert!(!trees::append(conn, other, 1, b"her", now).unwrap(), "it has given way");
    for (number, part) in [(0, b"tr"), (1, b"ee")] {
        assert!(trees::append(conn, tree, number, part, now).unwrap());
    }
    let staged = |conn: &mut Connection| {
        trees::staged(conn, &[phone.as_bytes().as_slice()], &[hash.as_bytes().as_slice()]).unwrap()
    };
    assert_eq!(staged(conn), [], "not before it is there as a whole");
    // Two processes put the same one there: the first that ends has done it.
    let twin = trees::begin(conn, room, phone, &hash, now).unwrap().unwrap();
    assert!(trees::complete(conn, tree, now).unwrap());
    assert!(
        !trees::append(conn, twin, 0, b"tree", now).unwrap() && !trees::complete(conn, twin, now).unwrap()
    );
    assert_eq!(trees::begin(conn, room, phone, &hash, now).unwrap(), None, "it is there");
    assert_eq!(staged(conn), [((room, phone, hash), tree)]);
    // A device has a few in all its rooms together.
    let rooms_of_phone: Vec<_> = (50..54).map(|number| id!(RoomId, number)).collect();
    for more in &rooms_of_phone {
        rooms::create(conn, *more, &full(phone, alice), now).unwrap();
        trees::begin(conn, *more, phone, &hash, now).unwrap().unwrap();
    }
    assert_eq!(staged(conn), [], "the oldest has given way");
    let tree = trees::begin(conn, room, phone, &hash, now).unwrap().unwrap();
    for (number, part) in [(0, b"tr"), (1, b"ee")] {
        assert!(trees::append(conn, tree, number, part, now).unwrap());
    }
    assert!(trees::complete(conn, tree, now).unwrap());

    let welcome = NewWelcome {
        seq: Seq(2),
        inviter: alice,
        welcome: Bytes::from_static(b"welcome"),
        log_after: Seq(1),
    };
    let come = RoomState { next_seq: Seq(4), commit_seq: Seq(2) };
    let logged = |seq: u8| NewEnvelope {
        room,
        seq: Seq(seq.into()),
        sender: phone,
        message: id!(MessageId, seq),
        logged: Bytes::from(vec![seq; 9]),
    };
    let changes = Changes {
        envelopes: vec![logged(1), logged(2), logged(3)],
        rooms: BTreeMap::from([(room, come)]),
        members: HashMap::from([((room, laptop), invited.clone())]),
        trees: vec![(tree, Seq(2))],
        welcomes: HashMap::from([((room, laptop), Some(welcome))]),
    };
    relay::save(conn, &changes, now).unwrap();
    assert_eq!(staged(conn), []);
    assert!(trees::attach(conn, tree, Seq(3), now).is_err(), "it has its commit");
    assert_eq!(rooms::of_device(conn, laptop).unwrap().first(), Some(&(room, come, invited, Seq(0))));
    let version = rooms::audience_versions(conn, &[laptop]).unwrap()[0].1;
    rooms::advance_audiences(conn, &BTreeSet::from([laptop])).unwrap();
    rooms::advance_audiences(conn, &BTreeSet::new()).unwrap();
    assert_eq!(rooms::audience_versions(conn, &[laptop]).unwrap(), [(laptop, version + 1)]);
    assert_eq!(envelopes::newest(conn, room).unwrap(), Seq(3));
    assert_eq!(envelopes::newest(conn, id!(RoomId, 42)).unwrap(), Seq(0));
    let waiting = rooms::welcome(conn, room, laptop).unwrap().unwrap();
    assert_eq!((waiting.seq, waiting.inviter), (Seq(2), alice));
    trees::drop_unused(conn, room).unwrap();
    let stored = StoredTree { id: tree, size: 4 };
    assert_eq!(trees::of_welcome(conn, room, laptop, Seq(2)).unwrap(), Some(stored));
    assert_eq!(trees::of_welcome(conn, room, laptop, Seq(1)).unwrap(), None);
    assert_eq!(trees::part(conn, tree, 1).unwrap(), Some(b"ee".to_vec()));
    assert_eq!(trees::part(conn, tree, 2).unwrap(), None);

    // What retention goes by: who needs what, and what is there.
    assert_eq!(retention::rooms_after(conn, None, 9).unwrap(), [room, id!(RoomId, 71), id!(RoomId, 72)]);
    assert_eq!(retention::rooms_after(conn, Some(room), 1).unwrap(), [id!(RoomId, 71)]);
    let log = Log { room, commit_seq: Seq(2), deleted_until: Seq(0) };
    for locked in [false, true] {
        assert_eq!(retention::log(conn, room, locked).unwrap(), Some(log));
        assert_eq!(retention::log(conn, id!(RoomId, 42), locked).unwrap(), None);
    }
    let kept = retention::oldest(conn, room, Seq(1), 9).unwrap();
    assert!(matches!(kept[..], [Kept { seq: Seq(2), size: 9, .. }, Kept { seq: Seq(3), .. }]), "{kept:?}");
    assert_eq!(retention::oldest(conn, room, Seq(0), 1).unwrap().len(), 1);
    let mut needs = retention::places(conn, room).unwrap();
    needs.sort_by_key(|need| need.member.device);
    let [NeedOf { welcome: None, .. }, NeedOf { member, welcome, confirmed: Seq(0) }] = &needs[..] else {
        panic!("{needs:?}");
    };
    assert_eq!(member.standing, Standing::Invited);
    assert_eq!(*welcome, Some(Waiting { log_after: Seq(1), commit: kept[0].row }));

    // Hours, by which ages are told: one at a time, whatever the clock does.
    assert_eq!(retention::hours_ago(conn, 0).unwrap(), None);
    for (now, counted) in [(5_000, true), (5_100, false), (8_600, true), (8_599, true), (90_000, true)] {
        assert_eq!(retention::count_hour(conn, now - 3600, now, 2).unwrap(), counted, "{now}");
    }
    let newest = retention::hours_ago(conn, 0).unwrap().unwrap();
    assert_eq!(newest.0, kept[1].row);
    assert_eq!(retention::hours_ago(conn, 2).unwrap(), Some(newest));
    assert_eq!(retention::hours_ago(conn, 3).unwrap(), None, "it is forgotten");

    // Bob joins, and is removed.
    rooms::put_member(conn, room, &full(laptop, bob)).unwrap();
    rooms::confirm(conn, room, laptop, Seq(3)).unwrap();
    assert!(rooms::welcome(conn, room, laptop).unwrap().is_none());
    let removed = Member {
        standing: Standing::Removed,
        reads: Span { after: Seq(1), until: Some(Seq(2)) },
        ..full(laptop, bob)
    };
    rooms::put_member(conn, room, &removed).unwrap();

    // He says that he knows, and no more than he may read.
    let confirmed = |conn: &mut Connection| {
        let needs = retention::places(conn, room).unwrap();
        needs.iter().find(|need| need.member.device == laptop).unwrap().confirmed
    };
    for (until, past, waiting, said, noted) in
        [(9, 0, false, 7, 7), (9, 0, false, 99, 9), (99, 10, true, 99, 10), (99, 10, false, 99, 99)]
    {
        let reads = Span { after: Seq(1), until: Some(Seq(until)) };
        let past = Span { after: Seq(0), until: Some(Seq(past)) };
        rooms::put_member(conn, room, &Member { reads, past, waiting, ..removed.clone() }).unwrap();
        rooms::confirm(conn, room, laptop, Seq(said)).unwrap();
        assert_eq!(confirmed(conn), Seq(noted), "{until} {said}");
    }
    rooms::put_member(conn, room, &removed).unwrap();

    // The oldest envelopes are deleted: who comes for them is told, and their ids are known still.
    retention::delete(conn, room, Seq(0), Seq(2)).unwrap();
    assert_eq!(rooms::log(conn, room).unwrap(), Some((come, Seq(2))));
    assert_eq!(retention::oldest(conn, room, Seq(2), 9).unwrap().len(), 1);
    for (reader, after, seqs, deleted) in [
        (full(phone, alice), 0, vec![3], 2),
        (full(phone, alice), 1, vec![3], 2),
        (full(phone, alice), 2, vec![3], 0),
        (full(phone, alice), 3, vec![], 0),
        (removed.clone(), 0, vec![], 2),
        (removed.clone(), 2, vec![], 0),
        // What lies between two memberships is nothing that it has missed.
        (Member { reads: Span { after: Seq(2), until: None }, ..full(phone, alice) }, 0, vec![3], 0),
        (
            Member {
                past: Span { after: Seq(0), until: Some(Seq(1)) },
                reads: Span { after: Seq(2), until: None },
                ..full(phone, alice)
            },
            0,
            vec![3],
            2,
        ),
    ] {
        let page = envelopes::page(conn, room, &reader, Seq(after), Seq(3), 9).unwrap();
        let found: Vec<_> = page.envelopes.iter().map(|logged| logged.seq.0).collect();
        assert_eq!((found, page.deleted.0), (seqs, deleted), "{reader:?} after {after}");
    }
    retention::delete(conn, room, Seq(2), Seq(3)).unwrap();
    assert_eq!(retention::rooms_after(conn, None, 1).unwrap(), [id!(RoomId, 71)]);

    // Sessions that nobody comes back to, and claimed KeyPackages, are forgotten a few at a time.
    for session in [[61; 16], [62; 16], [63; 16]] {
        sessions::open(conn, &session, laptop, now, now + i64::from(session[0])).unwrap();
    }
    let (mut last, mut forgotten) = (None, Vec::new());
    while let Some((session, some)) = retention::forget_sessions(conn, last, now + 62, 2).unwrap() {
        last = Some(session);
        forgotten.push(some);
    }
    assert_eq!(forgotten, [1, 2, 0], "one of those above had expired, too");
    assert!(sessions::find(conn, &[63; 16], now + 62).unwrap().is_some());
    let (mut last, mut count) = (0, 0);
    while let Some((row, some)) = retention::forget_claimed(conn, last, newest.1, 1).unwrap() {
        (last, count) = (row, count + some);
    }
    assert_eq!(count, 2, "the two that were claimed");
    key_packages::insert(conn, laptop, &[package(4)]).unwrap();
    assert_eq!(key_packages::count(conn, laptop).unwrap(), 1, "it may come again");

    // The audit log: a chain, from whose beginning alone something is deleted, and that says so.
    let acts = |act, account| Draft { account, ..Draft::new(now, act, Outcome::Done, Actor::Account) };
    let drafts =
        [acts(Act::Register, Some(alice)), acts(Act::SignOut, Some(bob)), acts(Act::RotateKeys, None)];
    let appended = audit::append(conn, &drafts).unwrap();
    assert_eq!((appended.seq, appended), (3, audit::head(conn).unwrap()));
    let seqs = |entries: Vec<Entry>| entries.iter().map(|entry| entry.seq).collect::<Vec<_>>();
    let (all, of_bob) = (Which::default(), Which { account: Some(bob), since: Some(now) });
    assert_eq!(seqs(audit::after(conn, all, 1, 9).unwrap()), [2, 3]);
    assert_eq!(seqs(audit::before(conn, all, Some(3), 9).unwrap()), [2, 1]);
    assert_eq!(seqs(audit::after(conn, of_bob, 0, 9).unwrap()), [2]);
    assert_eq!(seqs(audit::before(conn, of_bob, None, 9).unwrap()), [2]);
    assert!(audit::stored(conn, 2, 9).unwrap().iter().all(|(seq, entry)| *seq == 3 && entry.is_some()));
    assert_eq!(audit::hours_ago(conn, 0).unwrap(), Some(0), "what was the newest when the hour was counted");
    assert_eq!(audit::forget(conn, 2, 1, now).unwrap(), 1, "one at most");
    assert_eq!(audit::checkpoint(conn, 1).unwrap().map(|entry| entry.seq), Some(4));
    assert_eq!(audit::head(conn).unwrap().deleted_until, 1);

    // What is staged goes after an hour; the Welcome of who was removed before it joined after a week.
    let lost = trees::begin(conn, room, phone, &hash, now).unwrap().unwrap();
    trees::expire(conn, now + 3600).unwrap();
    assert!(trees::append(conn, lost, 0, b"tr", now).unwrap());
    trees::expire(conn, now + 3601).unwrap();
    assert!(!trees::append(conn, lost, 1, b"ee", now).unwrap());
    let unwanted = trees::begin(conn, room, phone, &hash, now).unwrap().unwrap();
    trees::forget(conn, unwanted).unwrap();
    assert!(!trees::complete(conn, unwanted, now).unwrap());
    let tree = trees::begin(conn, room, phone, &hash, now).unwrap().unwrap();
    assert!(trees::append(conn, tree, 0, b"tree", now).unwrap() && trees::complete(conn, tree, now).unwrap());
    let welcome = NewWelcome {
        seq: Seq(3),
        inviter: alice,
        welcome: Bytes::from_static(b"welcome"),
        log_after: Seq(1),
    };
    let changes = Changes {
        trees: vec![(tree, Seq(3))],
        welcomes: HashMap::from([((room, laptop), Some(welcome))]),
        ..Changes::default()
    };
    relay::save(conn, &changes, now).unwrap();
    let week = 7 * 24 * 3600;
    trees::expire(conn, now + week).unwrap();
    assert!(rooms::welcome(conn, room, laptop).unwrap().is_some());
    trees::expire(conn, now + week + 1).unwrap();
    assert!(rooms::welcome(conn, room, laptop).unwrap().is_none());
    assert_eq!(trees::part(conn, tree, 0).unwrap(), None);
    farewell(conn, room, alice, now);
}

/// An account whose passphrase is changed, that is given out, and erased.
fn farewell(conn: &mut Connection, room: RoomId, inviter: AccountId, now: i64) {
    let (carol, tablet) = (id!(AccountId, 4), id!(DeviceId, 14));
    let verifier = |byte| Verifier { salt: [byte; 16], hash: [byte; 32] };
    let account = Account {
        id: carol,
        name: "carol".parse().unwrap(),
        record: vec![3; 9],
        device_list: vec![4; 9],
        device_list_version: 1,
        auth_salt: [5; 16],
        verifier: verifier(1),
    };
    accounts::insert(conn, &account, 700).unwrap();
    let device = Device { id: tablet, account: carol, certificate: vec![8; 9], listed: true };
    accounts::insert_device(conn, &device, 701).unwrap();
    assert_eq!(accounts::name(conn, carol).unwrap(), Some(account.name));
    for (before, changed) in [(1, true), (1, false), (2, true)] {
        let outcome = accounts::replace_verifier(conn, carol, &verifier(before), &[9; 16], &verifier(2));
        assert_eq!(outcome.unwrap(), changed, "{before}");
    }
    let sessions = [[31; 16], [32; 16]];
    for session in &sessions {
        sessions::open(conn, session, tablet, now, now + 50).unwrap();
    }
    assert_eq!(sessions::close_others(conn, carol, &sessions[0]).unwrap(), [sessions[1]]);

    let package = KeyPackage { digest: [14; 32], bytes: vec![14; 9] };
    key_packages::insert(conn, tablet, &[package]).unwrap();
    let staged = trees::begin(conn, room, tablet, &TreeHash::of(b"staged"), now).unwrap().unwrap();
    assert!(trees::append(conn, staged, 0, b"staged", now).unwrap());
    assert!(trees::complete(conn, staged, now).unwrap());
    let welcome =
        NewWelcome { seq: Seq(20), inviter, welcome: Bytes::from_static(b"hello"), log_after: Seq(1) };
    let envelope = NewEnvelope {
        room,
        seq: Seq(20),
        sender: tablet,
        message: id!(MessageId, 140),
        logged: Bytes::from_static(b"of carol"),
    };
    let changes = Changes {
        envelopes: vec![envelope],
        members: HashMap::from([((room, tablet), full(tablet, carol))]),
        trees: vec![(staged, Seq(20))],
        welcomes: HashMap::from([((room, tablet), Some(welcome))]),
        ..Changes::default()
    };
    relay::save(conn, &changes, now).unwrap();

    assert_eq!(export::created_at(conn, carol).unwrap(), Some(700));
    let devices = export::devices(conn, carol).unwrap();
    assert_eq!(
        devices.iter().map(|device| (device.id, device.created_at)).collect::<Vec<_>>(),
        [(tablet, 701)]
    );
    assert_eq!(export::sessions(conn, tablet).unwrap().len(), 1);
    assert_eq!(export::key_packages(conn, tablet).unwrap()[0].package, Some(vec![14; 9]));
    let places = export::places(conn, tablet).unwrap();
    assert_eq!(places.iter().map(|place| (place.room, place.standing)).collect::<Vec<_>>(), [(room, 1)]);
    assert_eq!(export::welcome(conn, room, tablet).unwrap().unwrap().welcome, b"hello");
    assert_eq!(export::trees(conn, tablet).unwrap(), [(room, 6)]);
    let sent = export::envelopes(conn, room, tablet, 19).unwrap();
    assert_eq!(sent.iter().map(|sent| (sent.seq, sent.size)).collect::<Vec<_>>(), [(20, 8)]);
    assert_eq!(export::logged(conn, sent[0].row).unwrap(), Some(b"of carol".to_vec()));

    // Backups: parts that wait for a head, parts of the newest head, and parts of none any more, which go.
    let own = (carol, tablet);
    let part = |byte: u8| ChunkId::from_bytes([byte; 32]);
    for (byte, until) in [(1, now + 10), (2, now + 20), (1, now + 30)] {
        backups::put_chunk(conn, own, part(byte), &[byte; 5], until).unwrap();
    }
    assert_eq!(backups::missing(conn, tablet, &[part(1), part(3)], now + 30).unwrap(), [part(3)]);
    assert_eq!(backups::chunk(conn, own, part(1)).unwrap(), Some(vec![1; 5]));
    assert_eq!(backups::chunk(conn, (inviter, tablet), part(1)).unwrap(), None, "another's");
    let newest = Backup { device: tablet, version: 1, head: vec![7; 9], made_at: now };
    backups::put(conn, carol, &newest, &[part(1)], now + 15).unwrap();
    assert_eq!(backups::of_device(conn, tablet).unwrap(), Some(newest.clone()));
    assert_eq!(backups::of_account(conn, carol).unwrap(), [newest]);
    assert_eq!((backups::total(conn, carol).unwrap(), backups::size(conn, tablet).unwrap()), (10, 5));
    backups::expire(conn, now + 19).unwrap();
    assert_eq!(backups::total(conn, carol).unwrap(), 10);
    backups::expire(conn, now + 20).unwrap();
    assert_eq!(backups::total(conn, carol).unwrap(), 5);
    let parts = backups::chunks_after(conn, carol, 0, 9).unwrap();
    assert_eq!(
        parts.iter().map(|(_, device, part)| (*device, *part)).collect::<Vec<_>>(),
        [(tablet, part(1))]
    );
    assert!(backups::forget(conn, own).unwrap() && !backups::forget(conn, own).unwrap());
    backups::put_chunk(conn, own, part(4), &[4; 5], now + 10).unwrap();
    backups::erase(conn, carol).unwrap();
    assert_eq!(backups::total(conn, carol).unwrap(), 0);

    // Files: one that comes part by part, is whole, and goes by its age; one that never becomes whole; one that is deleted.
    let file = |number| File {
        id: id!(FileId, number),
        room,
        account: carol,
        device: tablet,
        size: 100,
        state: State::Coming,
        hash: None,
    };
    for number in [1, 2, 3] {
        files::begin(conn, &file(number), now).unwrap();
    }
    let (one, two, three) = (file(1).id, file(2).id, file(3).id);
    assert_eq!(files::by_id(conn, one).unwrap(), Some(file(1)));
    assert_eq!(files::by_id(conn, id!(FileId, 9)).unwrap(), None);
    assert_eq!(files::lock(conn, two).unwrap(), Some(file(2)));
    assert_eq!((files::total(conn, carol).unwrap(), files::total(conn, inviter).unwrap()), (300, 0));
    assert!(files::count(conn, carol).unwrap() > 0 && files::count(conn, inviter).unwrap() == 0);
    for (number, byte, before) in [(0, 1, None), (2, 3, None), (2, 4, Some([3; 48]))] {
        assert_eq!(files::put_part(conn, one, number, &[byte; 48], now).unwrap(), before);
    }
    assert_eq!(files::contiguous(conn, one).unwrap(), 1);
    assert_eq!(files::put_part(conn, one, 1, &[2; 48], now + 5).unwrap(), None);
    assert_eq!((files::contiguous(conn, one).unwrap(), files::contiguous(conn, two).unwrap()), (3, 0));
    assert_eq!(files::digests(conn, one, 0, 9).unwrap(), [[1; 48], [2; 48], [4; 48]]);
    assert_eq!(files::digests(conn, one, 1, 1).unwrap(), [[2; 48]]);
    assert_eq!(files::part(conn, one, 2).unwrap(), Some([4; 48]));
    assert_eq!(files::part(conn, one, 3).unwrap(), None);
    files::complete(conn, one, &[9; 48]).unwrap();
    let whole = File { state: State::Whole, hash: Some([9; 48]), ..file(1) };
    assert_eq!(files::of_account(conn, carol, None).unwrap(), [whole.clone(), file(2), file(3)]);
    assert_eq!(files::of_account(conn, carol, Some(two)).unwrap(), [file(3)]);
    assert_eq!(files::expire(conn, now, Some(1)).unwrap(), 0, "an hour has not passed");
    files::give_up(conn, three).unwrap();
    assert_eq!(files::going(conn).unwrap(), [three]);
    files::forget(conn, two).unwrap();
    files::forget(conn, three).unwrap();
    assert_eq!(
        (files::by_id(conn, two).unwrap().is_some(), files::by_id(conn, three).unwrap()),
        (true, None)
    );
    assert_eq!(files::expire(conn, now, None).unwrap(), 0);
    assert_eq!(files::expire(conn, now + 1, Some(0)).unwrap(), 2);
    assert_eq!(files::going(conn).unwrap().len(), 2);
    files::forget(conn, one).unwrap();
    assert_eq!(files::digests(conn, one, 0, 9).unwrap(), Vec::<[u8; 48]>::new(), "parts go with their file");
    files::forget(conn, two).unwrap();
    files::begin(conn, &file(4), now).unwrap();
    files::give_up_begun(conn, tablet).unwrap();
    assert_eq!(files::going(conn).unwrap(), [file(4).id]);
    files::forget(conn, file(4).id).unwrap();
    files::begin(conn, &file(5), now).unwrap();

    // Places that a device is owed: seen by those who are in the rooms, while it is listed and has no place there.
    let spare = id!(DeviceId, 151);
    let device = Device { id: spare, account: carol, certificate: vec![8; 9], listed: true };
    accounts::insert_device(conn, &device, 702).unwrap();
    let place = Owed { room, account: carol, device: spare };
    for at in [now, now + 5] {
        owed::owe(conn, (carol, spare), at).unwrap();
        assert_eq!(owed::seen_by(conn, tablet).unwrap(), [place]);
    }
    assert_eq!((owed::seen_by(conn, spare).unwrap(), owed::to(conn, spare).unwrap()), (vec![], vec![room]));
    assert!(owed::witnesses(conn, spare).unwrap().contains(&tablet));
    accounts::list_device(conn, spare, false).unwrap();
    assert_eq!(owed::seen_by(conn, tablet).unwrap(), []);
    accounts::list_device(conn, spare, true).unwrap();
    owed::expire(conn, now + 5).unwrap();
    assert_eq!(owed::seen_by(conn, tablet).unwrap(), [place]);
    owed::expire(conn, now + 6).unwrap();
    assert_eq!(owed::to(conn, spare).unwrap(), []);
    owed::owe(conn, (carol, spare), now).unwrap();
    owed::forget(conn, spare).unwrap();
    assert_eq!(owed::to(conn, spare).unwrap(), []);
    owed::owe(conn, (carol, spare), now).unwrap();

    // Notes of an account: each takes the place of the one that it follows, and of no other.
    assert_eq!((notes::find(conn, carol).unwrap(), notes::version(conn, carol).unwrap()), (None, 0));
    for (after, sealed, done) in [
        (1, b"early", false),
        (0, b"first", true),
        (0, b"again", false),
        (1, b"other", true),
        (1, b"late.", false),
    ] {
        assert_eq!(notes::put(conn, carol, after, sealed).unwrap(), done, "{after}");
    }
    assert!(!notes::put(conn, carol, u64::MAX, b"never").unwrap());
    assert_eq!(notes::find(conn, carol).unwrap(), Some((2, b"other".to_vec())));
    assert_eq!(notes::version(conn, carol).unwrap(), 2);

    // What somebody asks the members of a room waits, the newest of each, until it is answered or has waited for long.
    let asks = |account, request: &[u8]| JoinRequest { room, account, request: request.to_vec() };
    assert_eq!(join_requests::seen_by(conn, tablet, 9).unwrap(), []);
    for (request, at) in
        [(asks(carol, b"first"), 1), (asks(carol, b"again"), 3), (asks(inviter, b"other"), 2)]
    {
        join_requests::put(conn, &request, now + at).unwrap();
    }
    let both = [asks(carol, b"again"), asks(inviter, b"other")];
    assert_eq!(join_requests::count(conn, room).unwrap(), 2);
    assert_eq!(join_requests::count(conn, id!(RoomId, 99)).unwrap(), 0);
    let full = join_requests::who_may_answer(conn, room).unwrap();
    assert!(!full.is_empty());
    for device in full {
        let mut seen = join_requests::seen_by(conn, device, 9).unwrap();
        seen.sort_by_key(|waits| waits.request.clone());
        assert_eq!(seen, both);
        assert_eq!(join_requests::seen_by(conn, device, 1).unwrap().len(), 1);
    }
    assert_eq!(join_requests::of_account(conn, carol).unwrap(), [asks(carol, b"again")]);
    join_requests::expire(conn, now + 2).unwrap();
    assert_eq!(join_requests::count(conn, room).unwrap(), 2);
    join_requests::expire(conn, now + 3).unwrap();
    assert_eq!(join_requests::of_account(conn, inviter).unwrap(), []);
    join_requests::forget(conn, room, inviter).unwrap();
    assert_eq!(join_requests::count(conn, room).unwrap(), 1);

    let kept = Erased { account: carol, name: [1; 48], token: [2; 32], identity_key: vec![3; 9] };
    assert_eq!(erased::by_id(conn, carol).unwrap(), None);
    assert_eq!(erased::rooms(conn, carol).unwrap(), [room]);
    assert_eq!(erased::leave(conn, room, carol).unwrap(), [tablet]);
    assert!(rooms::welcome(conn, room, tablet).unwrap().is_none());
    for erased in [true, false] {
        assert_eq!(erased::erase(conn, &kept, now).unwrap(), erased);
    }
    assert_eq!(erased::by_id(conn, carol).unwrap(), Some(kept));
    assert!(erased::had_name(conn, &[1; 48]).unwrap() && !erased::had_name(conn, &[9; 48]).unwrap());
    assert_eq!(accounts::name(conn, carol).unwrap(), None);
    assert!(sessions::find(conn, &sessions[0], now).unwrap().is_none());
    assert!(export::key_packages(conn, tablet).unwrap().is_empty());
    assert_eq!(owed::to(conn, spare).unwrap(), []);
    assert_eq!(notes::find(conn, carol).unwrap(), None);
    assert_eq!(join_requests::of_account(conn, carol).unwrap(), []);
    assert_eq!(files::going(conn).unwrap(), [file(5).id], "what was never whole");
}

async fn every_query_does_on_both_databases_what_it_says(database: Database) {
    let mut conn = empty(&database);
    story(&mut conn);
    // Taken ids and names are conflicts, whichever database says so.
    let taken = Account {
        id: id!(AccountId, 9),
        name: "alice".parse().unwrap(),
        record: vec![],
        device_list: vec![],
        device_list_version: 1,
        auth_salt: [0; 16],
        verifier: Verifier { salt: [0; 16], hash: [0; 32] },
    };
    assert!(matches!(accounts::insert(&mut conn, &taken, 1), Err(StoreError::Conflict)));
}

#[test]
fn the_story_leaves_no_query_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let told = concat!(include_str!("store.rs"), include_str!("directory_story.rs"));
    let of_rooms = include_str!("rooms_story.rs");
    let (mut found, mut missing) = (0, Vec::new());
    for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let module = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let source = fs::read_to_string(if file.is_dir() { file.join("mod.rs") } else { file }).unwrap();
        for (at, _) in source.match_indices("\npub fn ") {
            let signature = source[at + 8..].split('{').next().unwrap();
            let name = signature.split(['(', '<']).next().unwrap();
            if signature.contains("conn: &mut Connection") {
                found += 1;
                if !told.contains(&format!("{module}::{name}(conn"))
                    && !of_rooms.contains(&format!("conn.{name}("))
                    && !of_rooms.contains(&format!("RoomQueries::{name}(conn"))
                {
                    missing.push(format!("{module}::{name}"));
                }
            }
        }
    }
    assert!(found > 30, "only {found} queries were found");
    assert_eq!(missing, Vec::<String>::new());
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Foreign keys, indexes and columns of a database, in words that both databases share.
fn shape(conn: &mut Connection) -> BTreeSet<String> {
    let query = match conn {
        Connection::Sqlite(_) => {
            r#"SELECT 'key ' || t.name || ' (' || group_concat(f."from", ', ') || ') REFERENCES ' || f."table" || '('
                   || group_concat(f."to", ', ') || ')'
                   || CASE f.on_delete WHEN 'NO ACTION' THEN '' ELSE ' ON DELETE ' || f.on_delete END AS line
               FROM sqlite_master t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table' GROUP BY t.name, f.id
               UNION ALL
               SELECT CASE i."unique" WHEN 1 THEN 'unique ' ELSE 'index ' END || t.name || ' ('
                   || (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno))
                   || ')'
               FROM sqlite_master t, pragma_index_list(t.name) i WHERE t.type = 'table'
               UNION ALL
               SELECT 'column ' || t.name || '.' || c.name
                   || CASE WHEN c."notnull" = 1 OR c.pk > 0 THEN ' NOT NULL' ELSE '' END
               FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'"#
        }
        Connection::Postgres(_) => {
            "SELECT 'key ' || conrelid::regclass || ' ' || replace(pg_get_constraintdef(oid), 'FOREIGN KEY ', '') AS line \
             FROM pg_constraint WHERE contype = 'f' \
             UNION ALL \
             SELECT CASE WHEN indisunique THEN 'unique ' ELSE 'index ' END || indrelid::regclass || ' (' || \
                 (SELECT string_agg(attname, ', ' ORDER BY place) \
                  FROM unnest(indkey::int2[]) WITH ORDINALITY AS k (number, place) \
                  JOIN pg_attribute a ON a.attrelid = indrelid AND a.attnum = k.number) || ')' \
             FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE c.relnamespace = 'public'::regnamespace \
             UNION ALL \
             SELECT 'column ' || table_name || '.' || column_name || \
                 CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END \
             FROM information_schema.columns WHERE table_schema = 'public'"
        }
    };
    let lines: Vec<Line> = match conn {
        Connection::Sqlite(conn) => sql_query(query).load(conn).unwrap(),
        Connection::Postgres(conn) => sql_query(query).load(conn).unwrap(),
    };
    lines
        .into_iter()
        .map(|line| line.line)
        // SQLite's rowid needs no index; the books of the migrations are not ours.
        .filter(|line| {
            !line.starts_with("unique ") || !line.ends_with(" (id)") && line != "unique audit (seq)"
        })
        .filter(|line| !line.contains("__diesel") && !line.contains("sqlite_"))
        .filter(|line| line != "unique directory_heads (epoch)")
        .collect()
}

#[test]
fn both_databases_have_the_same_columns_keys_and_indexes() {
    let (sqlite, postgres) = (Database::sqlite(), Database::postgres());
    let (of_sqlite, of_postgres) = (shape(&mut empty(&sqlite)), shape(&mut empty(&postgres)));
    let differing: Vec<_> = of_sqlite.symmetric_difference(&of_postgres).collect();
    assert!(differing.is_empty(), "{differing:#?}");
    assert!(of_sqlite.contains("key welcomes (room_id, device_id) REFERENCES members(room_id, device_id)"));
    assert!(of_sqlite.contains("unique envelopes (room_id, seq)"));
}
