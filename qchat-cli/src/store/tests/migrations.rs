//! Databases of every earlier version, with what that version wrote into them, read by this one.

use std::fs;

use bytes::Bytes;
use diesel::{connection::SimpleConnection, prelude::*};
use diesel_migrations::MigrationHarness;
use qchat_proto::{
    content::RoomSettings,
    crypto::secret::Secret,
    ids::Seq,
    session::ledger::{Asked, Invitee, Ledger, ListedDevice, Phase, Renewal, RowState, Want},
};

use super::{ALICE, ALICE_DEVICE, BOB, BOB_DEVICE, KEY, ROOM, message, read, unread, write};
use crate::store::{Delivery, LineBody, Profile, Tx, connect, profile::MIGRATIONS, schema::room_settings};

/// What all versions wrote alike. Ids as in the other tests: 01 is the room, a1/a2 are alice, b1/b2 bob.
const SINCE_1: &str = "
INSERT INTO identity VALUES (1, x'a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1', x'a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2',
    'alice', 'http://127.0.0.1:1/', x'09090909090909090909090909090909', randomblob(64), randomblob(64), x'0707', 3);
INSERT INTO session VALUES (1, 'access', 5, 'refresh', NULL);
INSERT INTO rooms (room, phase, phase_seq, cursor, head, commit_seq, accepted, epoch, read_seq, active_ms)
    VALUES (x'01010101010101010101010101010101', 0, 0, 8, zeroblob(48), 2, 4, 6, 1, 77);
INSERT INTO heads VALUES (x'01010101010101010101010101010101', 8, zeroblob(48));
INSERT INTO counters VALUES (x'01010101010101010101010101010101', x'b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2', 5);
INSERT INTO listed VALUES (x'01010101010101010101010101010101', x'b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1', x'b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2');
INSERT INTO roster VALUES (x'01010101010101010101010101010101', x'b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1', x'b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2');
INSERT INTO lapsed VALUES (x'01010101010101010101010101010101', x'b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2');
INSERT INTO own VALUES (x'01010101010101010101010101010101', x'05050505050505050505050505050505', zeroblob(48));
INSERT INTO timeline (room, place, seq, message_id, account, device, epoch, stored_ms, delivery, body) VALUES
    (x'01010101010101010101010101010101', 1, 1, x'01010101010101010101010101010101', x'b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1',
     x'b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2', 5, 70, 1, x'6f6e65'),
    (x'01010101010101010101010101010101', 3, 3, x'03030303030303030303030303030303', x'b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1',
     x'b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2', 6, 72, 1, x'7468726565'),
    (x'01010101010101010101010101010101', 2, 2, NULL, NULL, NULL, 0, 71, 1, CAST('{\"notice\":\"clone\"}' AS BLOB)),
    (x'01010101010101010101010101010101', 9223372036854775807, NULL, x'04040404040404040404040404040404',
     x'a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1', x'a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2', 0, 73, 0, x'66f66f');
INSERT INTO outbox VALUES
    (x'01010101010101010101010101010101', 0, x'04040404040404040404040404040404', 0, x'66f66f', 2, 3, NULL),
    (x'01010101010101010101010101010101', 1, x'0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a', 0, x'796573', 0, 0, NULL),
    (x'01010101010101010101010101010101', 2, x'0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b', 5, x'', 0, 0, NULL);
";
const GROUP_1: &str =
    "INSERT INTO groups (room, state) VALUES (x'01010101010101010101010101010101', x'aabb');";
const GROUP_2: &str = "
INSERT INTO groups (room, state, version) VALUES (x'01010101010101010101010101010101', x'aabb', 99);
INSERT INTO trees VALUES (x'01010101010101010101010101010101', x'ccdd');";
const SINCE_3: &str = "INSERT INTO invitees VALUES (x'01010101010101010101010101010101', x'b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2', 55);";
const SINCE_4: &str = "INSERT INTO renewals VALUES (x'01010101010101010101010101010101', 66, 2);";
const SINCE_5: &str = "
INSERT INTO added VALUES (x'01010101010101010101010101010101', x'b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2', 4);
INSERT INTO asked VALUES (x'01010101010101010101010101010101', x'b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2', x'eeee');
INSERT INTO requests VALUES (x'01010101010101010101010101010101', x'06060606060606060606060606060606', x'ffff', 2, 88, 1);";
const PACKAGE_1: &str = "INSERT INTO key_packages VALUES (x'11', x'2222', 90, 0);";
const PACKAGE_6: &str = "INSERT INTO key_packages VALUES (x'11', x'2222', 90, 0, 0);";

/// A database as `version` left it, rows included.
fn of_version(version: usize, settings: &RoomSettings) -> (tempfile::TempDir, Profile) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("profile.db");
    fs::write(&path, "").unwrap();
    let mut conn = connect::open(&path, &Secret::from_bytes(KEY)).unwrap();
    let migrations = conn.pending_migrations(MIGRATIONS).unwrap();
    conn.run_migrations(&migrations[..version]).unwrap();
    for (since, until, sql) in [
        (1, 7, SINCE_1),
        (1, 2, GROUP_1),
        (2, 7, GROUP_2),
        (3, 7, SINCE_3),
        (4, 7, SINCE_4),
        (5, 7, SINCE_5),
        (1, 6, PACKAGE_1),
        (6, 7, PACKAGE_6),
    ] {
        if (since..until).contains(&version) {
            conn.batch_execute(sql).unwrap();
        }
    }
    let room = room_settings::room.eq(&ROOM.as_bytes()[..]);
    let row = (room, room_settings::name.eq("den"), room_settings::settings.eq(settings.encode()));
    diesel::insert_into(room_settings::table).values(row).execute(&mut conn).unwrap();
    conn.batch_execute(&format!("PRAGMA user_version = {version}")).unwrap();
    drop(conn);
    let profile = Profile::open(dir.path(), Secret::from_bytes(KEY)).unwrap();
    (dir, profile)
}

#[test]
fn a_database_of_every_earlier_version_is_read_whole() {
    let settings = RoomSettings::new("den".into(), vec![ALICE]);
    let bob = ListedDevice { account: BOB, device: BOB_DEVICE };
    for version in 1..=6 {
        let (_dir, profile) = of_version(version, &settings);
        let own = read(&profile, Tx::identity).unwrap();
        assert_eq!((own.account, own.device, own.list_version), (ALICE, ALICE_DEVICE, 3), "{version}");
        assert_eq!((own.server_url.as_str(), own.server_key), ("http://127.0.0.1:1/", None));
        assert_eq!(*read(&profile, Tx::session).unwrap().refresh_token, "refresh");

        let room = read(&profile, |tx| tx.room_row(ROOM)).unwrap();
        assert_eq!((room.state.phase, room.state.cursor, room.state.epoch), (Phase::Member, Seq(8), 6));
        assert_eq!((room.read_seq, room.active_ms), (Seq(1), Some(77)), "{version}");
        assert_eq!(read(&profile, unread).0, 1, "{version}");
        assert_eq!(room.settings.as_ref(), Some(&settings));
        let lines = read(&profile, |tx| tx.lines_before(ROOM, None, 9));
        let found: Vec<_> = lines.iter().map(|line| (line.row, line.seq, line.delivery)).collect();
        let sent = Delivery::Sent;
        let expected = [
            (1, Some(Seq(1)), sent),
            (3, Some(Seq(2)), sent),
            (2, Some(Seq(3)), sent),
            (4, None, Delivery::Pending),
        ];
        assert_eq!(found, expected, "{version}");
        assert!(matches!(&lines[0].body, LineBody::Message { content, .. } if content == "one"));
        assert!(matches!(lines[1].body, LineBody::Notice(_)));
        assert!(read(&profile, |tx| tx.has_message(ROOM, BOB_DEVICE, message(3))));

        // What waits: a text of the timeline, one that no line shows, and a change.
        for (id, want, state) in [
            (4, Want::Application(Bytes::from_static(b"f\xf6o")), RowState::Stale(Seq(3))),
            (10, Want::Application(Bytes::from_static(b"yes")), RowState::Waiting),
        ] {
            let row = read(&profile, |tx| tx.outbox_row(ROOM, message(id))).unwrap();
            assert_eq!((row.want, row.state), (want, state), "{version}");
        }
        assert_eq!(read(&profile, |tx| tx.outbox_len(ROOM)), 3);

        let group = read(&profile, |tx| tx.group(ROOM)).unwrap();
        let tree: &[u8] = if version < 2 { b"" } else { b"\xcc\xdd" };
        assert_eq!((&group.state[..], &group.tree[..]), (&b"\xaa\xbb"[..], tree), "{version}");
        let package = read(&profile, |tx| tx.key_package(&[0x11])).unwrap();
        assert_eq!(
            (&package.data[..], package.expires_at, package.published),
            (&b"\x22\x22"[..], 90, version < 6)
        );

        assert_eq!(read(&profile, |tx| tx.head(ROOM, Seq(8))), Some([0; 48]));
        assert_eq!(read(&profile, |tx| tx.counter(ROOM, BOB_DEVICE)), Some(5));
        assert_eq!(read(&profile, |tx| tx.listed(ROOM)), [bob]);
        assert_eq!(read(&profile, |tx| tx.roster(ROOM)), [bob]);
        assert_eq!(read(&profile, |tx| tx.lapsed(ROOM)), [BOB_DEVICE]);
        assert_eq!(read(&profile, |tx| tx.own(ROOM, message(5))), Some([0; 48]));
        let invitees = [Invitee { device: BOB_DEVICE, since: 55 }];
        assert_eq!(read(&profile, |tx| tx.invitees(ROOM)), invitees[usize::from(version < 3)..]);
        let renewal = Renewal { at: 66, accepted: 2 };
        assert_eq!(read(&profile, |tx| tx.renewal(ROOM)), (version >= 4).then_some(renewal));
        assert_eq!(read(&profile, |tx| tx.added_at(ROOM, BOB_DEVICE)), (version >= 5).then_some(Seq(4)));
        let asked = [Asked { device: BOB_DEVICE, key_package: Bytes::from_static(b"\xee\xee") }];
        assert_eq!(read(&profile, |tx| tx.asked(ROOM)), asked[usize::from(version < 5)..]);
        let request = read(&profile, |tx| tx.request(ROOM));
        let request = request.map(|request| (request.message_id, request.expires_at, request.logged));
        assert_eq!(request, (version >= 5).then_some((message(6), 88, true)), "{version}");

        // And it goes on from there: a row has never stood for two lines.
        let row = write(&profile, |tx| tx.put_pending(ROOM, message(20), b"later"));
        assert_eq!(row, 5, "{version}");
        assert_eq!(write(&profile, |tx| tx.delete_messages(ROOM, &[message(1)])).deleted, 1);
    }
}
