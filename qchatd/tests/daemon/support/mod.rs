//! What the tests share: a daemon on either database, people with keys, and their sockets.

pub(crate) mod database;
pub(crate) mod device;
pub(crate) mod program;
pub(crate) mod socket;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use qchatd::{config::Config, server::Daemon};

pub(crate) use self::{database::Database, device::Device, program::Program, socket::Socket};

/// Makes a test for each database out of an async function that takes a [`Database`].
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::Database::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::Database::postgres()).await;
            })*
        }
    };
}
pub(crate) use on_both;

/// Waits until something has come true that nobody announces.
pub(crate) async fn eventually(what: &str, mut is_true: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_true().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let came = tokio::time::timeout(Duration::from_mins(1), waiting).await;
    assert!(came.is_ok(), "{what}: not within a minute");
}

/// A daemon in this process.
pub(crate) struct Server {
    pub(crate) database: Database,
    daemon: Daemon,
}

impl Server {
    pub(crate) async fn start(database: Database) -> Self {
        let config = database.config(&[]);
        Self::start_with(database, config).await
    }

    pub(crate) async fn start_with(database: Database, config: Config) -> Self {
        let daemon = Daemon::start(config).await.unwrap();
        Self { database, daemon }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.daemon.address().unwrap()
    }

    /// What it counts, as a scraper reads it: each line's name with its labels, and its value.
    pub(crate) async fn meters(&self) -> BTreeMap<String, f64> {
        let address = self.daemon.metrics_address().unwrap();
        let answer = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        let text = answer.text().await.unwrap();
        assert!(text.ends_with("# EOF\n"), "{text}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').unwrap();
                (name.to_owned(), value.parse().unwrap())
            })
            .collect()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Drains; the database stays.
    pub(crate) async fn stop(self) -> Database {
        self.daemon.stop().await;
        self.database
    }
}
