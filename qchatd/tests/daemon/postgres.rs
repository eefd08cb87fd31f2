//! A PostgreSQL that is there and of no use: it takes no writes, or no further connection. What operators are told, and
//! clients.

use diesel::{Connection as _, PgConnection, connection::SimpleConnection};
use qchat_proto::wire::fault::FaultCode;
use reqwest::StatusCode;

use crate::support::{
    Database, Device, Server, Socket, eventually, http, program,
    socket::{Published, envelope},
};

/// Settings of the database for all who connect from now on, its daemons among them.
fn alter(database: &Database, setting: &str) {
    let name = database.url.rsplit_once('/').unwrap().1;
    let mut conn = PgConnection::establish(&std::env::var("QCHAT_TEST_POSTGRES_URL").unwrap()).unwrap();
    conn.batch_execute(&format!("ALTER DATABASE {name} {setting}")).unwrap();
    conn.batch_execute(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    ))
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_no_writes_is_unavailable_until_it_does() {
    let server = Server::start(Database::postgres()).await;
    let alice = Device::register(&server, "alice").await;
    let room = alice.create_room().await;
    let mut socket = Socket::connect(&alice).await;
    assert_eq!(socket.publish(&envelope(&alice, room, 0, "before")).await, Published::Accepted(1));

    alter(&server.database, "SET default_transaction_read_only = on");
    let published = socket.publish(&envelope(&alice, room, 0, "meanwhile")).await;
    assert!(matches!(published, Published::Refused { code: FaultCode::Unavailable, .. }), "{published:?}");
    let client = http();
    let ready = async || client.get(server.url("/health/ready")).send().await.unwrap().status();
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
    let checked = program::run(&server.database, &["check"]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(3), "{said}");
    assert!(said.contains("takes no writes"), "{said}");

    alter(&server.database, "RESET default_transaction_read_only");
    eventually("the database takes writes", async || ready().await == StatusCode::OK).await;
    assert_eq!(socket.publish(&envelope(&alice, room, 0, "after")).await, Published::Accepted(2));
    drop(socket);
    server.stop().await;
}

#[test]
fn a_database_that_takes_no_further_connection_says_what_to_do() {
    let mut database = Database::postgres();
    let mut conn = PgConnection::establish(&database.url).unwrap();
    let role = format!("limited_{}", database.url.rsplit_once('_').unwrap().1);
    conn.batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'p' CONNECTION LIMIT 0")).unwrap();
    let url = database.url.clone();
    let (_, server) = url.rsplit_once('@').unwrap();
    database.url = format!("postgres://{role}:p@{server}");
    let checked = program::run(&database, &["check"]);
    conn.batch_execute(&format!("DROP ROLE {role}")).unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(3), "{said}");
    for part in ["too many connections", "raise it, or lower database_connections"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains(":p@"), "{said}");
}
