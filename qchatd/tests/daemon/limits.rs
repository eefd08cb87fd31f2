//! What one address and one account may ask for, and that nobody else is the worse for it. Addresses are those that a
//! proxy says, since loopback has no limits.

use std::{net::SocketAddr, time::Instant};

use qchat_proto::wire::{
    fault::{FaultBody, FaultCode},
    pb::server_frame::Body,
};
use reqwest::{Method, StatusCode, header};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{
    Database, Device, Server, Socket, eventually, exchange, get, proxied,
    socket::{Published, envelope},
};

const OK: &str = "HTTP/1.1 200 ";

async fn behind_a_proxy(settings: &[(&'static str, &str)]) -> Server {
    let database = Database::sqlite();
    let config = database.config(&[&[("proxy_protocol", "true")], settings].concat());
    Server::start_with(database, config).await
}

async fn from(client: &str, address: SocketAddr, request: &[u8]) -> String {
    exchange(address, &[&proxied(client)[..], request].concat()).await
}

/// The fault of a 429, whose header says the same.
fn limited(answer: &str) -> u32 {
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let fault = serde_json::from_str::<FaultBody>(body).unwrap().error;
    let seconds = fault.retry_after.unwrap();
    assert_eq!(fault.code, FaultCode::RateLimited);
    assert!(fault.message.contains(&format!("try again in {seconds} s")), "{}", fault.message);
    assert!(head.to_ascii_lowercase().contains(&format!("retry-after: {seconds}\r\n")), "{head}");
    seconds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_so_many_connections_and_no_more() {
    let server = behind_a_proxy(&[("address_connections", "2")]).await;
    let address = server.address();
    let mut held = Vec::new();
    let request = get("/v1/server");
    let mut answer = String::new();
    eventually("both are counted", async || {
        // Anew each time: who asks for nothing is hung up on after 5 s.
        held.clear();
        for port in 1..=2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&proxied(&format!("[2001:db8:1:1::{port}]:{port}"))).await.unwrap();
            held.push(stream);
        }
        answer = from("[2001:db8:1:1:ffff::1]:3", address, &request).await;
        !answer.starts_with(OK)
    })
    .await;
    assert_eq!(limited(&answer), 1);
    for other in ["[2001:db8:1:2::1]:3", "203.0.113.1:3", "127.0.0.1:3"] {
        assert!(from(other, address, &request).await.starts_with(OK), "{other}");
    }
    drop(held);
    eventually("the places are given back", async || {
        from("[2001:db8:1:1:ffff::1]:3", address, &request).await.starts_with(OK)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_too_often_is_hung_up_on() {
    let server = behind_a_proxy(&[("address_connections_per_second", "1")]).await;
    let (address, request) = (server.address(), get("/v1/server"));
    let mut served = 0;
    eventually("one is too many", async || {
        served += 1;
        from("203.0.113.1:1", address, &request).await.is_empty()
    })
    .await;
    assert!(served > 10, "ten may come at once: {served}");
    for other in ["203.0.113.2:1", "127.0.0.1:1"] {
        assert!(from(other, address, &request).await.starts_with(OK), "{other}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registrations_and_logins_of_an_address_are_limited() {
    let server =
        behind_a_proxy(&[("address_registrations_per_minute", "1"), ("address_logins_per_minute", "1")])
            .await;
    let post = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}")
            .into_bytes()
    };
    for (client, path) in [
        ("203.0.113.1:1", "/v1/accounts"),
        ("203.0.113.1:1", "/v1/sessions"),
        ("203.0.113.2:1", "/v1/sessions/refresh"),
    ] {
        let first = from(client, server.address(), &post(path)).await;
        assert!(first.starts_with("HTTP/1.1 400 "), "{path}: {first}");
        let seconds = limited(&from(client, server.address(), &post(path)).await);
        assert!((1..=60).contains(&seconds), "{path}: {seconds}");
        // Loopback has no limit.
        for _ in 0..3 {
            let answer = from("127.0.0.1:1", server.address(), &post(path)).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_logs_in_so_often_and_nobody_else_can_use_that_up() {
    let database = Database::sqlite();
    let config =
        database.config(&[("account_logins_per_minute", "2"), ("account_registrations_per_minute", "2")]);
    let server = Server::start_with(database, config).await;
    let (mut alice, bob) = (Device::register(&server, "alice").await, Device::register(&server, "bob").await);
    // Logins that do not prove themselves do not count.
    for _ in 0..5 {
        let mut forged = bob.login(&alice.challenge().await);
        (forged.account_id, forged.device_id) = (alice.account, alice.id);
        let refused = alice.post::<_, serde_json::Value>("/v1/sessions", &forged).await;
        assert_eq!(refused.unwrap_err(), FaultCode::Unauthenticated);
    }
    for _ in 0..2 {
        alice.log_in().await;
    }
    let login = alice.login(&alice.challenge().await);
    let refused = alice.call::<_, serde_json::Value>(Method::POST, "/v1/sessions", Some(&login)).await;
    let (status, fault) = refused.unwrap_err();
    assert_eq!((status, fault.code), (StatusCode::TOO_MANY_REQUESTS, FaultCode::RateLimited));
    assert!(fault.retry_after.is_some_and(|seconds| (1..=30).contains(&seconds)), "{fault:?}");

    // Nor is a registration repeated for ever, which would try passwords.
    let register = async |person: &Device| {
        crate::support::http()
            .post(server.url("/v1/accounts"))
            .json(&person.registration)
            .send()
            .await
            .unwrap()
    };
    for _ in 0..2 {
        assert_eq!(register(&alice).await.status(), StatusCode::CREATED);
    }
    let refused = register(&alice).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(register(&bob).await.status(), StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_asks_so_often_and_the_others_go_on() {
    let database = Database::sqlite();
    let config = database.config(&[("account_requests_per_second", "1"), ("metrics_listen", "127.0.0.1:0")]);
    let server = Server::start_with(database, config).await;
    let (alice, bob) = (Device::register(&server, "alice").await, Device::register(&server, "bob").await);
    let mut asked = 0;
    eventually("one is too many", async || {
        asked += 1;
        alice.get::<serde_json::Value>("/v1/rooms").await == Err(FaultCode::RateLimited)
    })
    .await;
    assert!(asked > 10, "ten may come at once: {asked}");
    let counted = server.meters().await;
    assert_eq!(counted.get("qchatd_limited_total{limit=\"account_requests\"}"), Some(&1.0), "{counted:?}");
    assert!(bob.get::<serde_json::Value>("/v1/rooms").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_slowed_and_nothing_of_it_is_lost() {
    const MESSAGES: u64 = 40;
    const EACH_SECOND: u64 = 10;
    let database = Database::sqlite();
    let config = database.config(&[("account_publishes_per_second", "10")]);
    let server = Server::start_with(database, config).await;
    let alice = Device::register(&server, "alice").await;
    let room = alice.create_room().await;
    let (mut flood, mut receiver) = (Socket::connect(&alice).await, Socket::connect(&alice).await);
    let began = Instant::now();
    let mut sent = Vec::new();
    for number in 0..MESSAGES {
        sent.push(flood.post(&envelope(&alice, room, 0, &number.to_string()), &[], "").await);
    }
    for (number, request) in (1..).zip(sent) {
        assert_eq!(flood.outcome(request).await, Published::Accepted(number));
        assert_eq!(receiver.delivered(room).await, number);
    }
    // A second's worth at once, and then at the rate: not a question of how fast the machine is.
    let least = (MESSAGES - EACH_SECOND) / EACH_SECOND - 1;
    assert!(began.elapsed().as_secs() >= least, "{:?}", began.elapsed());
    assert_eq!(receiver.seqs(room, 0).await, (1..=MESSAGES).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_floods_has_to_wait_in_the_sending_and_gets_deliveries_meanwhile() {
    let database = Database::sqlite();
    let config = database.config(&[("account_publishes_per_second", "8")]);
    let server = Server::start_with(database, config).await;
    let (alice, bob) = (Device::register(&server, "alice").await, Device::register(&server, "bob").await);
    let (room, other) = (alice.create_room().await, bob.create_room().await);
    let mut listening = Socket::connect(&alice).await;
    let mut flood = Socket::connect(&alice).await;
    // Each counts as eight, and all of them are more than the network's buffers hold.
    let text = "x".repeat(60_000);
    let flooding = tokio::spawn({
        let envelopes: Vec<_> = (0..400).map(|_| envelope(&alice, room, 0, &text)).collect();
        async move {
            for envelope in &envelopes {
                flood.post(envelope, &[], "").await;
            }
        }
    });
    let began = Instant::now();
    for seq in 1..=3 {
        assert_eq!(listening.delivered(room).await, seq);
    }
    // One in a second, however fast the machine is.
    assert!(began.elapsed().as_millis() >= 900, "{:?}", began.elapsed());
    // Others are not slowed.
    let mut socket = Socket::connect(&bob).await;
    for seq in 1..=8 {
        assert_eq!(socket.publish(&envelope(&bob, other, 0, "hello")).await, Published::Accepted(seq));
    }
    let far = listening.aside.iter().filter(|body| matches!(body, Body::Deliver(_))).count();
    assert!(!flooding.is_finished(), "24 MB were taken, and {far} more delivered");
    flooding.abort();
}
