//! Engines behind a load balancer, whose nodes are restarted one after the other and killed while everybody writes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use qchat_cli::engine::EngineError;
use qchat_tests::cluster::Cluster;
use tokio::{sync::watch, task::JoinSet};

use crate::person::{PATIENCE, Person, room};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_come_and_go_behind_a_load_balancer_and_nothing_is_lost() {
    const NODES: usize = 3;
    let cluster = Arc::new(Cluster::start(NODES));
    let url = cluster.url();
    let mut people = Vec::new();
    for name in ["alice", "bob", "carol"] {
        people.push(Arc::new(Person::register(&url, name).await));
    }
    let tea = room("tea", &people.iter().map(AsRef::as_ref).collect::<Vec<_>>()).await;

    // Everybody writes until the nodes have come and gone.
    let (over, is_over) = watch::channel(false);
    let mut writing = JoinSet::new();
    for (number, person) in people.iter().cloned().enumerate() {
        let over = is_over.clone();
        writing.spawn(async move {
            let mut sent = Vec::new();
            while !*over.borrow() {
                let text = format!("{number}: {}", sent.len());
                let id = person.engine.send(tea, text.clone()).await.unwrap();
                // Whatever becomes of the node that has it, the engine goes on by itself. Only whoever waits is told.
                let waiting = async {
                    while let Err(error) = person.engine.wait_sent(tea, id).await {
                        assert!(matches!(error, EngineError::Timeout(_)), "{error:?}");
                    }
                };
                tokio::time::timeout(6 * PATIENCE, waiting).await.expect("it is sent at last");
                sent.push(text);
            }
            sent
        });
    }
    let nodes = cluster.clone();
    tokio::task::spawn_blocking(move || {
        for node in 1..=NODES {
            nodes.restart(node);
        }
        for node in 1..=NODES {
            nodes.kill(node);
            nodes.restart(node);
        }
    })
    .await
    .unwrap();
    over.send(true).unwrap();
    let sent: Vec<String> = writing.join_all().await.into_iter().flatten().collect();

    let mut logs = Vec::new();
    for person in &people {
        let reading = tokio::time::timeout(Duration::from_mins(2), person.texts(tea, sent.len()));
        logs.push(reading.await.expect("everything comes"));
    }
    assert_eq!(logs[0].len(), sent.len(), "nothing twice");
    assert_eq!(logs[0].iter().collect::<BTreeSet<_>>(), sent.iter().collect(), "nothing lost");
    assert!(logs.iter().all(|log| *log == logs[0]), "one order: {logs:?}");
    for node in 1..=NODES {
        let log = cluster.log(node);
        assert!(log.contains("Redis carries hints"), "node {node}: {log}");
    }
}
