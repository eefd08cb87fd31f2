//! The schema's history: data of every earlier version is carried over, published migrations stay as they are, and what
//! makes no sense is refused by the database itself.

use std::{fs, path::PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use diesel::connection::SimpleConnection;
use qchat_proto::{
    ids::RoomId,
    wire::{
        api::{
            ClaimKeyPackages, ClaimedKeyPackages, Directory, MemberStatus, Refresh, RoomInvitation, Rooms,
            Session,
        },
        fault::FaultCode,
        frame::Envelope,
    },
};
use qchatd::store;
use sha2::{Digest, Sha256};

use crate::support::{
    Database, Device, Server, Socket,
    device::{now, random},
    on_both,
    socket::{Published, envelope},
};

on_both!(what_makes_no_sense_is_refused_by_the_database);

/// The migrations of a database, the oldest first: version and SQL.
fn migrations(database: &Database) -> Vec<(String, String)> {
    let dialect = if database.is_postgres() { "postgres" } else { "sqlite" };
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(dialect);
    let mut folders: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let read = |folder: PathBuf| {
        let version = folder.file_name().unwrap().to_str().unwrap().split('_').next().unwrap().to_owned();
        (version, fs::read_to_string(folder.join("up.sql")).unwrap())
    };
    folders.into_iter().map(read).collect()
}

/// Applies migrations as the daemon of their time did.
fn apply(database: &Database, migrations: &[(String, String)]) {
    database.execute(
        "CREATE TABLE IF NOT EXISTS __diesel_schema_migrations \
         (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    );
    for (version, sql) in migrations {
        database.execute(&format!(
            "BEGIN; {sql}; INSERT INTO __diesel_schema_migrations (version) VALUES ('{version}'); COMMIT"
        ));
    }
}

/// What a daemon of version 1 had stored: Alice, who has invited Bob into a room and written there.
struct Stored {
    alice: Device,
    bob: Device,
    room: RoomId,
    log: Vec<Envelope>,
    refresh_token: [u8; 32],
}

/// Puts it there by SQL alone.
fn store_version_1(database: &Database) -> Stored {
    let (alice, bob) = (Device::unregistered("alice"), Device::unregistered("bob"));
    let blob = |bytes: &[u8]| {
        let hex = hex::encode(bytes);
        if database.is_postgres() { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") }
    };
    let truth = |value: bool| match (database.is_postgres(), value) {
        (true, true) => "true",
        (true, false) => "false",
        (false, true) => "1",
        (false, false) => "0",
    };
    let room = RoomId::from_bytes(random());
    let log = vec![envelope(&alice, room, 0, "a commit"), envelope(&alice, room, 2, "hello")];
    let refresh_token: [u8; 32] = random();
    let session: [u8; 16] = random();
    let now = now();
    let mut sql = vec![format!("INSERT INTO server VALUES (1, {}, {now})", blob(&random::<16>()))];
    for person in [&alice, &bob] {
        let request = &person.registration;
        sql.push(format!(
            "INSERT INTO accounts VALUES ({}, '{}', {}, {}, 1, {}, {}, {}, {now})",
            blob(person.account.as_bytes()),
            person.name,
            blob(request.account_record.as_ref()),
            blob(request.device_list.as_ref()),
            blob(request.auth_salt.as_ref()),
            blob(&random::<16>()),
            blob(&random::<32>()),
        ));
        sql.push(format!(
            "INSERT INTO devices VALUES ({}, {}, {}, {}, {now})",
            blob(person.id.as_bytes()),
            blob(person.account.as_bytes()),
            blob(request.device_certificate.as_ref()),
            truth(true),
        ));
        for (package, last_resort) in
            [(&request.key_packages[0], false), (&request.last_resort_key_package, true)]
        {
            sql.push(format!(
                "INSERT INTO key_packages (device_id, digest, last_resort, claimed, package) \
                 VALUES ({}, {}, {}, {}, {})",
                blob(person.id.as_bytes()),
                blob(&Sha256::digest(package.as_ref())),
                truth(last_resort),
                truth(false),
                blob(package.as_ref()),
            ));
        }
    }
    let (a, b, r) = (blob(alice.id.as_bytes()), blob(bob.id.as_bytes()), blob(room.as_bytes()));
    sql.push(format!("INSERT INTO sessions VALUES ({}, {a}, {now}, {})", blob(&session), now + 9_000));
    sql.push(format!(
        "INSERT INTO refresh_tokens VALUES ({}, {}, {}, NULL, NULL)",
        blob(&Sha256::digest(refresh_token)),
        blob(&session),
        now + 9_000
    ));
    sql.push(format!("INSERT INTO spent_nonces VALUES ({}, {})", blob(&random::<32>()), now + 60));
    sql.push(format!("INSERT INTO rooms VALUES ({r}, {a}, 3, 2, {now})"));
    for (device, account, standing, full, waiting, after) in
        [(&a, alice.account, 1, true, false, 0), (&b, bob.account, 2, false, true, 1)]
    {
        sql.push(format!(
            "INSERT INTO members VALUES ({r}, {device}, {}, {standing}, {}, {}, {after}, NULL, 0, 0, 0)",
            blob(account.as_bytes()),
            truth(full),
            truth(waiting),
        ));
    }
    for (envelope, seq) in log.iter().zip(1..) {
        let bytes = envelope.encode();
        sql.push(format!(
            "INSERT INTO envelopes (room_id, seq, sender_device, message_id, size, logged) \
             VALUES ({r}, {seq}, {a}, {}, {}, {})",
            blob(envelope.message_id.as_bytes()),
            bytes.len(),
            blob(&bytes),
        ));
    }
    sql.push(format!("INSERT INTO ratchet_trees VALUES ({r}, 2, {})", blob(b"a tree")));
    sql.push(format!(
        "INSERT INTO welcomes VALUES ({r}, {b}, 2, {}, {})",
        blob(alice.account.as_bytes()),
        blob(b"a welcome")
    ));
    let mut conn = database.connect();
    for statement in sql {
        conn.batch_execute(&statement).unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
    Stored { alice, bob, room, log, refresh_token }
}

/// Reads it all back through the daemon, and goes on from there.
async fn read_back(database: Database, stored: Stored) {
    let Stored { mut alice, mut bob, room, log, refresh_token } = stored;
    let server = Server::start(database).await;
    alice.moved_to(&server);
    bob.moved_to(&server);
    // Nobody is logged out by an upgrade.
    let refresh = Refresh {
        refresh_token: URL_SAFE_NO_PAD.encode(refresh_token),
        idempotency_key: random::<16>().to_vec().into(),
    };
    alice.session = alice.post::<_, Session>("/v1/sessions/refresh", &refresh).await.unwrap();
    bob.log_in().await;
    for person in [&alice, &bob] {
        let path = format!("/v1/accounts/by-name/{}", person.name);
        let directory: Directory = alice.get(&path).await.unwrap();
        assert_eq!(directory.account_record, person.registration.account_record);
        assert_eq!(directory.device_certificates[0], person.registration.device_certificate);
        let claim = ClaimKeyPackages { account_id: person.account, devices: vec![] };
        for (package, last_resort) in [
            (&person.registration.key_packages[0], false),
            (&person.registration.last_resort_key_package, true),
        ] {
            let claimed: ClaimedKeyPackages = alice.post("/v1/key-packages/claim", &claim).await.unwrap();
            assert_eq!(
                (&claimed.key_packages[0].key_package, claimed.key_packages[0].last_resort),
                (package, last_resort)
            );
        }
    }
    let rooms: Rooms = bob.get("/v1/rooms").await.unwrap();
    assert_eq!((rooms.rooms[0].room_id, rooms.rooms[0].status), (room, MemberStatus::Invited));
    let invitation: RoomInvitation = bob.get(&format!("/v1/rooms/{room}/invitation")).await.unwrap();
    assert_eq!((invitation.welcome.as_ref(), invitation.seq.0), (b"a welcome".as_slice(), 2));
    assert_eq!(bob.tree(room, 2).await.unwrap(), b"a tree");
    let mut a = Socket::connect(&alice).await;
    let page = a.page(room, 0, 0).await.unwrap();
    let bytes: Vec<_> = page.envelopes.iter().map(|logged| logged.envelope.clone()).collect();
    assert_eq!(bytes, log.iter().map(Envelope::encode).collect::<Vec<_>>());
    assert_eq!(a.publish(&log[1]).await, Published::Accepted(2), "what was acknowledged stays so");
    bob.reply(room, "join").await.unwrap();
    let mut b = Socket::connect(&bob).await;
    assert_eq!(b.publish(&envelope(&bob, room, 2, "hello")).await, Published::Accepted(3));
    assert_eq!(bob.room(room).await.unwrap().members.len(), 2);
    assert_eq!(alice.room(RoomId::from_bytes(random())).await.unwrap_err(), FaultCode::NotFound);
    drop((a, b));
    server.stop().await;
}

/// For each version but the newest: a database of that version with what version 1 had stored.
async fn carried_over(fresh: fn() -> Database) {
    let newest = migrations(&fresh()).len();
    assert!(newest > 1, "there is no earlier version");
    for version in 1..newest {
        let database = fresh();
        let migrations = migrations(&database);
        apply(&database, &migrations[..1]);
        let stored = store_version_1(&database);
        apply(&database, &migrations[1..version]);
        let pending = store::pending(&database.url.parse().unwrap()).unwrap().versions;
        assert_eq!(pending.len(), newest - version);
        read_back(database, stored).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_of_every_earlier_version_is_carried_over_on_sqlite() {
    carried_over(Database::sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_of_every_earlier_version_is_carried_over_on_postgres() {
    carried_over(Database::postgres).await;
}

#[test]
fn published_migrations_stay_as_they_are() {
    for (path, digest) in [
        ("sqlite/0001_relay", "67b7c1a7daba45ef"),
        ("sqlite/0002_sessions", "c35e533a95ed1078"),
        ("sqlite/0003_trees", "c06f82b9994d130e"),
        ("sqlite/0004_nodes", "b3ab5e4e1ac49b6d"),
        ("sqlite/0005_retention", "d0cc4cc779e799e7"),
        ("sqlite/0006_room_to_change", "f58777d55dd82411"),
        ("sqlite/0007_links", "0169d447dfe2fa6a"),
        ("sqlite/0008_audit", "c642ee88a6188a05"),
        ("sqlite/0009_erasure", "9ca9b0e2407e7a6e"),
        ("sqlite/0010_backups", "6085daadf1fe4aa5"),
        ("sqlite/0011_directory", "e78f61f63ea4e926"),
        ("sqlite/0012_owed_places", "ff5dd340c46a59b1"),
        ("sqlite/0013_files", "835c7f7f88487469"),
        ("sqlite/0015_notes", "7961351e03fb7bbf"),
        ("sqlite/0016_join_requests", "37290e4226b7104e"),
        ("postgres/0001_relay", "89d700497efd08bc"),
        ("postgres/0002_sessions", "91d6e1aa49fbfdf2"),
        ("postgres/0003_trees", "88cd7d978607fd61"),
        ("postgres/0004_nodes", "eb9ac7b2dd4cd255"),
        ("postgres/0005_retention", "d3216de289f9c095"),
        ("postgres/0006_room_to_change", "f2943728c5564993"),
        ("postgres/0007_links", "b27b7315d7fa2ee3"),
        ("postgres/0008_audit", "b95d16bc5b81cecf"),
        ("postgres/0009_erasure", "60f6896dcbc17c53"),
        ("postgres/0010_backups", "5c0b8ed69e6944df"),
        ("postgres/0011_directory", "5b7f3da06f831dcc"),
        ("postgres/0012_owed_places", "367ee89eb6821503"),
        ("postgres/0013_files", "2084ed89f210bc56"),
        ("postgres/0015_notes", "2551af0a4b29d58b"),
        ("postgres/0016_join_requests", "86d1fe30766837a1"),
    ] {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(path).join("up.sql");
        let found = hex::encode(&Sha256::digest(fs::read(&file).unwrap())[..8]);
        assert_eq!(found, digest, "{path} was changed: databases have it already, so write a new migration");
    }
}

async fn what_makes_no_sense_is_refused_by_the_database(database: Database) {
    apply(&database, &migrations(&database)[..1]);
    let Stored { alice, bob, room, .. } = store_version_1(&database);
    store::migrate(&database.url.parse().unwrap()).unwrap();
    let blob = |bytes: &[u8]| {
        let hex = hex::encode(bytes);
        if database.is_postgres() { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") }
    };
    let (a, b, r) = (blob(alice.id.as_bytes()), blob(bob.id.as_bytes()), blob(room.as_bytes()));
    let nobody = blob(&[0; 16]);
    let tree = |hash: &str, complete: &str, seq: &str| {
        format!(
            "INSERT INTO trees (room_id, device_id, hash, size, complete, seq, touched_at) \
             VALUES ({r}, {a}, {hash}, 1, {complete}, {seq}, 1)"
        )
    };
    // Each with a twin that differs only in what is wrong, and is taken.
    for (what, wrong, right) in [
        (
            "a session of no device",
            format!("INSERT INTO sessions VALUES ({}, {nobody}, 1, 2, NULL)", blob(&[1; 16])),
            format!("INSERT INTO sessions VALUES ({}, {a}, 1, 2, NULL)", blob(&[1; 16])),
        ),
        (
            "a session that ended for no known reason",
            "UPDATE sessions SET ended_by = 3".to_owned(),
            "UPDATE sessions SET ended_by = 2".to_owned(),
        ),
        (
            "a refresh token of no session",
            format!("INSERT INTO refresh_tokens VALUES ({}, {nobody}, 1, NULL, NULL)", blob(&[2; 32])),
            format!(
                "INSERT INTO refresh_tokens VALUES ({}, {}, 1, NULL, NULL)",
                blob(&[2; 32]),
                blob(&[1; 16])
            ),
        ),
        (
            "a refresh token that was used with nothing",
            "UPDATE refresh_tokens SET used_at = 1".to_owned(),
            format!("UPDATE refresh_tokens SET used_at = 1, used_with = {}", blob(&[3; 32])),
        ),
        (
            "a key that ends before it signs",
            format!("INSERT INTO token_keys VALUES ({}, {}, 2, 1)", blob(&[1; 8]), blob(&[1; 32])),
            format!("INSERT INTO token_keys VALUES ({}, {}, 1, 2)", blob(&[1; 8]), blob(&[1; 32])),
        ),
        (
            "a place for another's account",
            format!(
                "UPDATE members SET account_id = {} WHERE device_id = {b}",
                blob(alice.account.as_bytes())
            ),
            format!("UPDATE members SET account_id = {} WHERE device_id = {b}", blob(bob.account.as_bytes())),
        ),
        (
            "a place that confirms less than nothing",
            "UPDATE members SET confirmed = -1".to_owned(),
            "UPDATE members SET confirmed = 1".to_owned(),
        ),
        (
            "a standing that nobody has",
            "UPDATE members SET standing = 5".to_owned(),
            "UPDATE members SET standing = 1".to_owned(),
        ),
        ("a tree of no envelope", tree("NULL", "true", "7"), tree("NULL", "true", "1")),
        (
            "a tree of a commit that is not there as a whole",
            tree("NULL", "false", "NULL"),
            tree(&blob(&[4; 48]), "false", "NULL"),
        ),
        (
            "a part of no tree",
            format!("INSERT INTO tree_parts VALUES (99, 0, {})", blob(b"t")),
            format!("INSERT INTO tree_parts VALUES (1, 7, {})", blob(b"t")),
        ),
        (
            "a Welcome without its tree",
            "UPDATE welcomes SET seq = 7".to_owned(),
            "UPDATE welcomes SET seq = 1".to_owned(),
        ),
        (
            "a Welcome for who has no place",
            format!("UPDATE welcomes SET device_id = {nobody}"),
            format!("UPDATE welcomes SET device_id = {a}"),
        ),
        (
            "a second envelope in one place",
            "UPDATE envelopes SET seq = 1".to_owned(),
            "UPDATE envelopes SET size = 1".to_owned(),
        ),
        (
            "a room whose last commit is yet to come",
            "UPDATE rooms SET commit_seq = 3".to_owned(),
            "UPDATE rooms SET commit_seq = 1".to_owned(),
        ),
        (
            "a package that is neither there nor claimed",
            "UPDATE key_packages SET package = NULL".to_owned(),
            format!("UPDATE key_packages SET package = {}", blob(b"p")),
        ),
        (
            "a file of which nobody knows when it was whole",
            format!(
                "INSERT INTO files VALUES ({}, {r}, {}, {a}, 1, 2, {}, 1, NULL)",
                blob(&[7; 16]),
                blob(alice.account.as_bytes()),
                blob(&[4; 48])
            ),
            format!(
                "INSERT INTO files VALUES ({}, {r}, {}, {a}, 1, 2, {}, 1, 0)",
                blob(&[7; 16]),
                blob(alice.account.as_bytes()),
                blob(&[4; 48])
            ),
        ),
        (
            "a part of no file",
            format!("INSERT INTO file_parts VALUES ({}, 0, {})", blob(&[8; 16]), blob(&[4; 48])),
            format!("INSERT INTO file_parts VALUES ({}, 0, {})", blob(&[7; 16]), blob(&[4; 48])),
        ),
        (
            "a device that rooms still need",
            "DELETE FROM devices".to_owned(),
            "DELETE FROM spent_nonces".to_owned(),
        ),
    ] {
        assert!(database.connect().batch_execute(&wrong).is_err(), "{what}");
        database.connect().batch_execute(&right).unwrap_or_else(|error| panic!("{what}, put right: {error}"));
    }
}
