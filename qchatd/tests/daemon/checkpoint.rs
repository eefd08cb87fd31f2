//! SQLite's write-ahead log is moved into the database while the daemon writes, and begun anew.

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Integer};
use qchat_proto::wire::limits;
use qchatd::store::Connection;

use crate::support::{
    Database, Device, Server, Socket, eventually,
    socket::{Published, envelope},
};

#[derive(QueryableByName)]
struct Log {
    #[diesel(sql_type = Integer)]
    log: i32,
    #[diesel(sql_type = Integer)]
    checkpointed: i32,
}

/// How many pages the log has, and how many of them are in the database.
fn log(conn: &mut Connection) -> Log {
    let Connection::Sqlite(conn) = conn else { panic!("SQLite has a log") };
    sql_query("PRAGMA wal_checkpoint(NOOP)").get_result(conn).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_write_ahead_log_is_moved_and_begun_anew() {
    /// Pages of 4 KiB, some more than are moved together, and far fewer than the writer moves by itself.
    const PAGES: usize = 10_000;
    let database = Database::sqlite();
    let config = database.config(&[("account_publishes_per_second", "0")]);
    let mut conn = database.connect();
    let server = Server::start_with(database, config).await;
    let alice = Device::register(&server, "alice").await;
    let room = alice.create_room().await;
    let mut socket = Socket::connect(&alice).await;
    let mut publish = async |text: &str| {
        let published = socket.publish(&envelope(&alice, room, 0, text)).await;
        assert!(matches!(published, Published::Accepted(_)), "{published:?}");
        socket.aside.clear();
    };
    let large = "x".repeat(limits::APPLICATION - 100);
    for _ in 0..PAGES * 4096 / large.len() {
        publish(&large).await;
    }
    eventually("the log is moved", async || {
        let log = log(&mut conn);
        log.log - log.checkpointed < 8192
    })
    .await;
    eventually("the log begins anew", async || {
        publish("more").await;
        log(&mut conn).log < 1000
    })
    .await;
    server.stop().await;
}
