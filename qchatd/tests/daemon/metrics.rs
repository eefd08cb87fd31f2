//! What the daemon counts, as a scraper sees it.

use std::{collections::BTreeSet, fs, path::Path};

use qchat_proto::wire::fault::FaultCode;

use crate::support::{
    Database, Device, Server, Socket, http, on_both,
    socket::{Published, envelope},
};

on_both!(what_happens_is_counted);

async fn what_happens_is_counted(database: Database) {
    let config = database.config(&[("metrics_listen", "127.0.0.1:0")]);
    let server = Server::start_with(database, config).await;
    let alice = Device::register(&server, "alice").await;
    let room = alice.create_room().await;
    let mut socket = Socket::connect(&alice).await;
    for number in 1..=3 {
        let envelope = envelope(&alice, room, 0, "text");
        assert_eq!(socket.publish(&envelope).await, Published::Accepted(number));
        assert_eq!(socket.delivered(room).await, number);
    }
    let stale = envelope(&alice, room, 2, "text");
    let refused = Published::Refused { code: FaultCode::StaleEpoch, room_commit_seq: 0 };
    assert_eq!(socket.publish(&stale).await, refused);
    assert_eq!(socket.seqs(room, 0).await.len(), 3);

    let meters = server.meters().await;
    for (name, value) in [
        ("qchatd_accepted_total", 3.0),
        ("qchatd_refused_total{code=\"stale_epoch\"}", 1.0),
        ("qchatd_failed_total", 0.0),
        ("qchatd_group_sum", 4.0),
        ("qchatd_commit_seconds_count", 4.0),
        ("qchatd_relay_seconds_count", 3.0),
        ("qchatd_delivered_total", 3.0),
        // Of one write in 16, the first included.
        ("qchatd_deliver_seconds_count", 1.0),
        ("qchatd_behind_total", 0.0),
        ("qchatd_waiting", 0.0),
        ("qchatd_sockets", 1.0),
        // Alone it reads nothing of what it has committed itself.
        ("qchatd_read_total", 0.0),
        ("qchatd_deleted_total", 0.0),
        ("qchatd_redis", 0.0),
        ("qchatd_ready", 1.0),
    ] {
        assert_eq!(meters.get(name), Some(&value), "{name}: {meters:?}");
    }
    assert!(meters["qchatd_pages_total"] >= 1.0);

    // Nobody is named, and operators find every meter in the documentation.
    let kinds: BTreeSet<&str> = meters
        .keys()
        .map(|line| line.split('{').next().unwrap())
        .map(|name| {
            ["_bucket", "_sum", "_count", "_total"].iter().fold(name, |name, end| name.trim_end_matches(end))
        })
        .collect();
    let manual =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md")).unwrap();
    for kind in kinds {
        assert!(manual.contains(&format!("| `{kind}` |")), "{kind} is not in docs/operations.md");
    }
    let labels: BTreeSet<&str> =
        meters.keys().filter_map(|line| Some(line.split_once('{')?.1.split_once('=')?.0)).collect();
    assert_eq!(labels, BTreeSet::from(["code", "lane", "le"]));

    // The clients' door shows none of it.
    let answer = http().get(server.url("/metrics")).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    drop(socket);
    server.stop().await;
}
