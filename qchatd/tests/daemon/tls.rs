//! TLS between the daemon and PostgreSQL, as the database URL asks for it.
//!
//! contrib/test.sh says where a PostgreSQL with TLS runs; without it the test has contrib/postgres.sh start one.

use std::{
    env,
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl, sql_query, sql_types::Bool};
use qchatd::store::{self, StoreError, Target};

use crate::support::{Database, Device, Postgres, Server};

/// A PostgreSQL that offers TLS.
struct Offered {
    url: String,
    /// Who signed its certificate.
    root: String,
    /// Who did not.
    other: String,
    _started: Option<Postgres>,
}

fn offered() -> Offered {
    let given = |name| env::var(name).ok();
    if let (Some(url), Some(root), Some(other)) = (
        given("QCHAT_TEST_POSTGRES_URL"),
        given("QCHAT_TEST_POSTGRES_ROOT_CERT"),
        given("QCHAT_TEST_POSTGRES_OTHER_CERT"),
    ) {
        return Offered { url, root, other, _started: None };
    }
    let started = Postgres::start();
    Offered { url: started.url(), root: started.root(), other: started.other(), _started: Some(started) }
}

#[derive(QueryableByName)]
struct Encrypted {
    #[diesel(sql_type = Bool)]
    encrypted: bool,
}

/// Whether every connection of others to this database is encrypted; there is one at least.
fn is_encrypted(database: &Database) -> bool {
    let query = "SELECT coalesce(bool_and(ssl), false) AS encrypted FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut conn = PgConnection::establish(&database.url).unwrap();
    sql_query(query).get_result::<Encrypted>(&mut conn).unwrap().encrypted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_to_postgres_is_encrypted_and_its_certificate_checked_when_the_url_says_so() {
    let offered = offered();
    let password = offered.url.split(':').nth(2).unwrap().split('@').next().unwrap().to_owned();
    let verified = |root: &str| format!("sslmode=verify-full&sslrootcert={root}");

    // What the daemon does over TLS is what it does without.
    for (query, encrypted) in [
        (verified(&offered.root), true),
        ("sslmode=require".to_owned(), true),
        ("sslmode=disable".to_owned(), false),
    ] {
        let server = Server::start(Database::postgres_at(&format!("{}?{query}", offered.url))).await;
        let alice = Device::register(&server, "alice").await;
        alice.create_room().await;
        assert_eq!(is_encrypted(&server.database), encrypted, "{query}");
        server.stop().await;
    }

    let by_name = offered.url.replace("@127.0.0.1:", "@localhost:");
    for (what, url, says) in [
        (
            "signed by somebody else",
            format!("{}?{}", offered.url, verified(&offered.other)),
            "certificate verify failed",
        ),
        (
            "made out to another host",
            format!("{by_name}?{}", verified(&offered.root)),
            "does not match host name",
        ),
        (
            "nobody to trust",
            format!("{}?{}", offered.url, verified("/nowhere/root.crt")),
            "root certificate file",
        ),
    ] {
        let target: Target = url.parse().unwrap();
        match store::pending(&target) {
            Err(StoreError::Unavailable(reason)) => {
                assert!(reason.contains(says) && !reason.contains(&password), "{what}: {reason}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn a_postgres_without_tls_gets_nothing_from_a_daemon_that_requires_it() {
    // It never comes to reading it.
    let file = tempfile::NamedTempFile::new().unwrap();
    for mode in ["require", "verify-ca", "verify-full"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // As a PostgreSQL without TLS answers, or whoever sits in between and takes the TLS away.
        let plain = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 8];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(b"N").unwrap();
            let mut rest = Vec::new();
            // A reset is as good as an end; whoever goes on in the clear waits for an answer.
            stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            drop(stream.read_to_end(&mut rest));
            (request, rest)
        });
        let url = format!(
            "postgres://qchat:secret@127.0.0.1:{port}/qchat?sslmode={mode}&sslrootcert={}",
            file.path().display()
        );
        match store::pending(&url.parse().unwrap()) {
            Err(StoreError::Unavailable(reason)) => {
                assert!(reason.contains("does not support SSL") && !reason.contains("secret"), "{reason}");
            }
            other => panic!("{mode}: {other:?}"),
        }
        // The request for TLS (its length, and the code 80877103), and not a byte of user or password.
        let (request, rest) = plain.join().unwrap();
        assert_eq!((request, rest), ([0, 0, 0, 8, 4, 210, 22, 47], Vec::new()), "{mode}");
    }
}
