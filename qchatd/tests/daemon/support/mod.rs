//! What the tests share: a daemon on either database, people with keys, and their sockets.

pub(crate) mod database;
pub(crate) mod device;
pub(crate) mod large;
pub(crate) mod program;
pub(crate) mod redis;
pub(crate) mod socket;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use proxy_header::{ProxiedAddress, ProxyHeader};
use qchatd::{config::Config, server::Daemon};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, version::TLS13};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) use self::{database::Database, device::Device, program::Program, redis::Redis, socket::Socket};

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

/// An HTTP client for plain http: it trusts no certificate, and reads none of the system's.
pub(crate) fn http() -> reqwest::Client {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(config).build().unwrap()
}

/// What comes back for these bytes, to the end of the connection; nothing when it is cut off.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut answer = Vec::new();
    if let Ok(mut stream) = TcpStream::connect(address).await
        && stream.write_all(bytes).await.is_ok()
    {
        // What has come before a reset counts.
        drop(stream.read_to_end(&mut answer).await);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request without a body, after which the connection ends.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: qchat\r\nConnection: close\r\n\r\n").into_bytes()
}

/// What a proxy says of its client before anything else.
pub(crate) fn proxied(client: &str) -> Vec<u8> {
    let client: SocketAddr = client.parse().unwrap();
    let here = if client.is_ipv4() { "192.0.2.1:443" } else { "[2001:db8::1]:443" };
    let header = ProxyHeader::with_address(ProxiedAddress::stream(client, here.parse().unwrap()));
    let mut bytes = vec![0; 256];
    let length = header.encode_to_slice_v2(&mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

/// A daemon in this process.
pub(crate) struct Server {
    pub(crate) database: Database,
    pub(crate) daemon: Daemon,
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
        let answer = http().get(format!("http://{address}/metrics")).send().await.unwrap();
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
