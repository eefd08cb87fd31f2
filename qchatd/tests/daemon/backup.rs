//! The restore drill: a copy made while the daemon is written to serves all that was acknowledged before, by whatever the
//! database is copied with.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl, sql_query, sql_types::BigInt};
use qchat_proto::wire::{api::MemberStatus, frame::Operation, pb::server_frame::Body};
use serde_json::{Value, json};

use crate::support::{
    Database, Device, Program, Server, Socket, on_both, program,
    socket::{Published, commit, envelope},
};

on_both!(a_copy_made_under_load_holds_all_that_was_acknowledged_before);

/// Envelopes that are acknowledged before the copy.
const BEFORE: u64 = 40;
/// Envelopes that are sent while it is made.
const MEANWHILE: usize = 200;

fn backed_up(database: &Database, file: &Path) -> (Option<i32>, String, Value) {
    let output = program::run(database, &["backup", "--json", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said, serde_json::from_slice(&output.stdout).unwrap_or_default())
}

/// A copy, in a database of its own, and how many envelopes it holds.
struct Copy {
    database: Database,
    held: u64,
}

impl Copy {
    /// Makes one of a database that a daemon writes to, as operators do.
    fn of(database: &Database) -> Self {
        if database.is_postgres() { Self::by_dump(database) } else { Self::by_backup(database) }
    }

    fn by_backup(database: &Database) -> Self {
        let copy = Database::sqlite();
        let file = copy.dir.path().join("qchatd.sqlite3");
        let (code, said, told) = backed_up(database, &file);
        assert_eq!((code, said.as_str()), (Some(0), ""));
        let stored = std::fs::metadata(&file).unwrap();
        assert_eq!(told["backup"]["bytes"], json!(stored.len()));
        assert_eq!(stored.permissions().mode() & 0o777, 0o600);
        // Never over anything, the copy itself included.
        let (code, said, _) = backed_up(database, &file);
        assert_eq!(code, Some(6), "{said}");
        assert!(said.contains("exists"), "{said}");
        let (code, said, _) = backed_up(database, &copy.dir.path().join("no/such/place"));
        assert_eq!(code, Some(1), "{said}");
        Self { database: copy, held: told["backup"]["envelopes"].as_u64().unwrap() }
    }

    fn by_dump(database: &Database) -> Self {
        let copy = Database::postgres();
        let file = copy.dir.path().join("qchatd.dump");
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).arg(&file).stdin(Stdio::null()).output();
            let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run("pg_dump", &["--format=custom", "--dbname", &database.url, "--file"]);
        run("pg_restore", &["--dbname", &copy.url, "--no-owner", "--single-transaction", "--exit-on-error"]);
        let mut conn = PgConnection::establish(&copy.url).unwrap();
        let held: Count = sql_query("SELECT count(*) AS count FROM envelopes").get_result(&mut conn).unwrap();
        Self { database: copy, held: u64::try_from(held.count).unwrap() }
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

async fn a_copy_made_under_load_holds_all_that_was_acknowledged_before(database: Database) {
    let server = Server::start(database).await;
    let mut alice = Device::register(&server, "alice").await;
    let mut bob = Device::register(&server, "bob").await;
    let room = alice.create_room().await;
    let database = server.stop().await;
    let daemon = Program::start(&database).await;
    alice.is_at(&daemon.address);
    bob.is_at(&daemon.address);
    let mut socket = Socket::connect(&alice).await;
    let add = commit(&alice, room, 0, &[(Operation::Add, &bob)]);
    assert_eq!(socket.invite(&add, &[bob.id]).await, Published::Accepted(1));
    bob.reply(room, "join").await.unwrap();
    let mut sent = vec![add.encode()];
    for number in 1..BEFORE {
        let envelope = envelope(&alice, room, 1, &format!("before {number}"));
        assert_eq!(socket.publish(&envelope).await, Published::Accepted(number + 1));
        sent.push(envelope.encode());
    }

    for number in 0..MEANWHILE {
        let envelope = envelope(&alice, room, 1, &format!("meanwhile {number}"));
        sent.push(envelope.encode());
        socket.post(&envelope, &[], "").await;
    }
    let copying = tokio::task::spawn_blocking(move || (Copy::of(&database), database));
    let mut acknowledged = BEFORE;
    while acknowledged < BEFORE + MEANWHILE as u64 {
        match socket.try_next().await {
            Some(Body::Accepted(ack)) => acknowledged = ack.seq,
            Some(_) => {}
            None => panic!("the daemon went away"),
        }
    }
    let (Copy { database: copy, held }, database) = copying.await.unwrap();
    assert!(held >= BEFORE, "{held}");
    drop((socket, daemon));

    // The machine is lost; the copy and the key files are not.
    let keys = [("pepper_file", "pepper.key"), ("token_key_file", "token.key")]
        .map(|(setting, name)| (setting, database.dir.path().join(name)));
    let flags: Vec<_> = keys.iter().map(|(setting, path)| (*setting, path.to_str().unwrap())).collect();
    let config = copy.config(&flags);
    let server = Server::start_with(copy, config).await;
    for device in [&mut alice, &mut bob] {
        device.moved_to(&server);
        device.log_in().await;
        let room = device.room(room).await.unwrap();
        assert_eq!((room.status, room.last_seq.0, room.members.len()), (MemberStatus::Full, held, 2));
    }
    let mut socket = Socket::connect(&alice).await;
    let mut log = Vec::new();
    loop {
        let page = socket.page(room, log.len() as u64, 0).await.unwrap();
        if page.envelopes.is_empty() {
            break;
        }
        log.extend(page.envelopes.into_iter().map(|logged| logged.envelope));
    }
    assert_eq!(log.len() as u64, held);
    assert_eq!(log, sent[..log.len()]);
    let mut at_bob = Socket::connect(&bob).await;
    assert_eq!(at_bob.page(room, held - 1, 0).await.unwrap().last_seq, held);
    let next = envelope(&alice, room, 1, "after");
    assert_eq!(socket.publish(&next).await, Published::Accepted(held + 1));
    assert_eq!(at_bob.delivered(room).await, held + 1);
    drop((socket, at_bob));
    server.stop().await;
}

#[test]
fn a_database_that_is_no_file_is_not_copied() {
    let database = Database::postgres();
    let dir = tempfile::tempdir().unwrap();
    let (code, said, _) = backed_up(&database, &dir.path().join("copy"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("pg_dump"), "{said}");
    assert!(!dir.path().join("copy").exists());
}
