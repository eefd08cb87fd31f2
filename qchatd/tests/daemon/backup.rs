//! The restore drill: a copy made while the daemon is written to serves all that was acknowledged before.

use std::{os::unix::fs::PermissionsExt, path::Path};

use qchat_proto::wire::pb::server_frame::Body;
use serde_json::{Value, json};

use crate::support::{
    Database, Device, Program, Server, Socket, program,
    socket::{Published, envelope},
};

/// Envelopes that are acknowledged before the copy.
const BEFORE: u64 = 40;
/// Envelopes that are sent while it is made.
const MEANWHILE: usize = 200;

fn backed_up(database: &Database, file: &Path) -> (Option<i32>, String, Value) {
    let output = program::run(database, &["backup", "--json", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said, serde_json::from_slice(&output.stdout).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_under_load_holds_all_that_was_acknowledged_before() {
    let server = Server::start(Database::sqlite()).await;
    let mut alice = Device::register(&server, "alice").await;
    let room = alice.create_room().await;
    let database = server.stop().await;
    let daemon = Program::start(&database).await;
    alice.is_at(&daemon.address);
    let mut socket = Socket::connect(&alice).await;
    let mut sent = Vec::new();
    for number in 0..BEFORE {
        let envelope = envelope(&alice, room, 0, &format!("before {number}"));
        assert_eq!(socket.publish(&envelope).await, Published::Accepted(number + 1));
        sent.push(envelope.encode());
    }

    for number in 0..MEANWHILE {
        let envelope = envelope(&alice, room, 0, &format!("meanwhile {number}"));
        sent.push(envelope.encode());
        socket.post(&envelope, &[], "").await;
    }
    let restored = tempfile::tempdir().unwrap();
    let file = restored.path().join("qchatd.sqlite3");
    let copying = {
        let (database, file) = (database, file.clone());
        tokio::task::spawn_blocking(move || {
            let done = backed_up(&database, &file);
            (done, database)
        })
    };
    let mut acknowledged = BEFORE;
    while acknowledged < BEFORE + MEANWHILE as u64 {
        match socket.try_next().await {
            Some(Body::Accepted(ack)) => acknowledged = ack.seq,
            Some(_) => {}
            None => panic!("the daemon went away"),
        }
    }
    let ((code, said, told), database) = copying.await.unwrap();
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let held = told["backup"]["envelopes"].as_u64().unwrap();
    assert!(held >= BEFORE, "{told}");
    let stored = std::fs::metadata(&file).unwrap();
    assert_eq!(told["backup"]["bytes"], json!(stored.len()));
    assert_eq!(stored.permissions().mode() & 0o777, 0o600);

    // Never over anything, the copy itself included.
    let (code, said, _) = backed_up(&database, &file);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("exists"), "{said}");
    let (code, said, _) = backed_up(&database, &restored.path().join("no/such/place"));
    assert_eq!(code, Some(1), "{said}");
    drop((socket, daemon));

    // The machine is lost; the copy and the key files are not.
    let keys = [("pepper_file", "pepper.key"), ("token_key_file", "token.key")]
        .map(|(setting, name)| (setting, database.dir.path().join(name)));
    let url = format!("sqlite://{}", file.display());
    let flags = [("database", url.as_str())]
        .into_iter()
        .chain(keys.iter().map(|(setting, path)| (*setting, path.to_str().unwrap())))
        .collect::<Vec<_>>();
    let config = database.config(&flags);
    let server = Server::start_with(database, config).await;
    alice.moved_to(&server);
    alice.log_in().await;
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
    let next = envelope(&alice, room, 0, "after");
    assert_eq!(socket.publish(&next).await, Published::Accepted(held + 1));
    drop(socket);
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
