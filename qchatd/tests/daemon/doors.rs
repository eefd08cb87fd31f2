//! What every connection passes: proxies that say who their client is, headers, other origins, the end of file
//! descriptors, and a drain.

use std::process::Stdio;

use http::HeaderMap;
use qchat_proto::wire::fault::{FaultBody, FaultCode};
use qchatd::{config::Config, server::Daemon, socket::Pings};
use reqwest::{Method, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::{Database, Device, Program, Server, Socket, eventually, exchange, get, proxied, socket};

const OK: &str = "HTTP/1.1 200 ";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_says_who_its_client_is_and_nobody_else_does() {
    let database = Database::sqlite();
    let path = database.dir.path().join("proxy.sock");
    let listen = format!("127.0.0.1:0,unix:{}", path.display());
    let environment = [("QCHATD_LISTEN", listen.as_str()), ("QCHATD_PROXY_PROTOCOL", "true")];
    let program = Program::start_with(&database, "", Stdio::null(), &environment).await;
    let address = program.address.parse().unwrap();
    for (client, name) in
        [("203.0.113.7:999", "203.0.113.7:999"), ("[2001:db8:9::7]:999", "[2001:db8:9::7]:999")]
    {
        let answer = exchange(address, &[proxied(client), get("/v1/server")].concat()).await;
        assert!(answer.starts_with(OK), "{answer}");
        assert!(Program::log(&database).contains(&format!("\"peer\":\"{name}\"")), "{name}");
    }
    // Over the Unix socket as well.
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(&[proxied("203.0.113.8:1"), get("/v1/server")].concat()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with(OK) && Program::log(&database).contains("203.0.113.8:1"), "{answer}");

    let first = b"PROXY TCP4 203.0.113.9 192.0.2.1 1 443\r\n".to_vec();
    let mut half = proxied("203.0.113.9:1");
    half.truncate(20);
    for (what, bytes) in [
        ("no header", get("/v1/server")),
        ("version 1", [first, get("/v1/server")].concat()),
        ("not to its end, in time", half),
    ] {
        assert_eq!(exchange(address, &bytes).await, "", "{what}");
    }
    assert!(!Program::log(&database).contains("203.0.113.9"));
    drop(program);

    // From an address that is no proxy's, the same header is worth nothing.
    let config = database.config(&[("proxy_protocol", "true"), ("proxy_trusted", "192.0.2.0/24")]);
    let server = Server::start_with(database, config).await;
    for bytes in [[proxied("203.0.113.7:1"), get("/v1/server")].concat(), get("/v1/server")] {
        assert_eq!(exchange(server.address(), &bytes).await, "");
    }
}

#[tokio::test]
async fn a_header_of_a_proxy_is_no_request_where_none_is_expected() {
    let server = Server::start(Database::sqlite()).await;
    let answer = exchange(server.address(), &[proxied("203.0.113.7:1"), get("/v1/server")].concat()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

fn assert_secure(headers: &HeaderMap, what: &str) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(headers.get(name).map(|value| value.to_str().unwrap()), Some(value), "{what}");
    }
    // Who cannot be reached by TLS must not promise it.
    assert!(!headers.contains_key("strict-transport-security"), "{what}");
}

#[tokio::test]
async fn every_answer_is_safe_from_browsers_and_pages_of_other_origins_get_none() {
    let server = Server::start(Database::sqlite()).await;
    let alice = Device::register(&server, "alice").await;
    let http = crate::support::http();
    let own = server.url("");
    for (method, path, origin, status) in [
        (Method::GET, "/v1/server", None, StatusCode::OK),
        (Method::GET, "/v1/server", Some(own.as_str()), StatusCode::OK),
        (Method::GET, "/v1/server", Some("https://evil.example"), StatusCode::FORBIDDEN),
        (Method::GET, "/health/live", Some("null"), StatusCode::FORBIDDEN),
        (Method::GET, "/v1/rooms", None, StatusCode::OK),
        (Method::GET, "/v1/rooms", Some("https://evil.example"), StatusCode::FORBIDDEN),
        (Method::POST, "/v1/rooms", Some("https://evil.example"), StatusCode::FORBIDDEN),
        (Method::DELETE, "/v1/account/sessions", Some("https://evil.example"), StatusCode::FORBIDDEN),
        (Method::GET, "/v1/nothing", None, StatusCode::NOT_FOUND),
        (Method::PUT, "/v1/server", None, StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/v1/socket", None, StatusCode::UPGRADE_REQUIRED),
    ] {
        let mut request = http
            .request(method.clone(), server.url(path))
            .bearer_auth(&alice.session.access_token)
            .body(String::new());
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{method} {path} {origin:?}");
        assert_secure(response.headers(), path);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_answers_no_ping_is_dropped() {
    let database = Database::sqlite();
    let config = database.config(&[]);
    let usual = config.pings;
    assert!(usual.dead > 2 * usual.every, "one of them may be lost");
    let pings = Pings { every: usual.every / 200, dead: usual.dead / 20 };
    let server = Server::start_with(database, Config { pings, ..config }).await;
    let alice = Device::register(&server, "alice").await;
    let mut socket = Socket::connect(&alice).await;
    // Takes what comes, as a link that is up in one direction does, and never says a word.
    let (stream, mut bytes) = (socket.stream.get_mut(), Vec::new());
    drop(stream.read_to_end(&mut bytes).await);
    assert!(bytes.len() >= 4 && bytes.chunks(2).all(|ping| ping == [0x89, 0]), "{bytes:02x?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_file_descriptors_the_daemon_waits_and_goes_on() {
    let database = Database::sqlite();
    let program = Program::start_with(&database, "ulimit -Sn 40 && ulimit -Hn 64", Stdio::null(), &[]).await;
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(TcpStream::connect(&program.address).await.unwrap());
    }
    eventually("there are no descriptors left", async || {
        Program::log(&database).contains("a connection was not accepted")
    })
    .await;
    drop(held);
    let answer = exchange(program.address.parse().unwrap(), &get("/health/ready")).await;
    assert!(answer.starts_with(OK), "{answer}");
}

/// A request whose body does not come to its end yet.
async fn half_a_request(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = "POST /v1/sessions HTTP/1.1\r\nHost: qchat\r\nContent-Length: 2\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    // Another request's answer shows that the daemon has had the time to read it.
    assert!(exchange(server.address(), &get("/health/ready")).await.starts_with(OK));
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_in_a_drain_is_told_when_to_come_back() {
    let server = Server::start(Database::sqlite()).await;
    let address = server.address();
    let mut half = half_a_request(&server).await;
    let draining = tokio::spawn(server.stop());
    let mut answer = String::new();
    eventually("the drain has begun", async || {
        answer = exchange(address, &get("/v1/server")).await;
        // Who came just before it, and has not asked yet, is hung up on.
        !answer.starts_with(OK) && !answer.is_empty()
    })
    .await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let fault = serde_json::from_str::<FaultBody>(body).unwrap().error;
    assert_eq!(fault.code, FaultCode::Unavailable);
    let retry_after = fault.retry_after.unwrap();
    assert!(head.to_ascii_lowercase().contains(&format!("retry-after: {retry_after}\r\n")), "{head}");
    assert!((1..=2).contains(&retry_after), "{retry_after}");
    for (path, status) in [("/health/live", "200"), ("/health/ready", "503")] {
        let answer = exchange(address, &get(path)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
    // What was underway is answered, and then the drain is over.
    half.write_all(b"}").await.unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    draining.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_are_closed_with_1012_and_times_to_come_back_that_differ() {
    let server = Server::start(Database::sqlite()).await;
    let alice = Device::register(&server, "alice").await;
    let mut sockets = Vec::new();
    for _ in 0..40 {
        sockets.push(Socket::connect(&alice).await);
    }
    let draining = tokio::spawn(server.stop());
    let mut times = Vec::new();
    for mut socket in sockets {
        let (fault, code) = socket.farewell().await;
        assert_eq!((fault.code, code), (FaultCode::Unavailable, CloseCode::Restart));
        times.push(fault.retry_after.unwrap());
    }
    draining.await.unwrap();
    assert!(times.iter().all(|time| (1..=2).contains(time)), "{times:?}");
    // All the same by chance: once in 2³⁹ runs.
    assert!(times.contains(&1) && times.contains(&2), "{times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_does_not_end_does_not_hold_up_the_end() {
    let database = Database::sqlite();
    let config = database.config(&[("drain_seconds", "6")]);
    let server = Server { database, daemon: Daemon::start(config).await.unwrap() };
    let mut half = half_a_request(&server).await;
    server.stop().await;
    let mut rest = Vec::new();
    drop(half.read_to_end(&mut rest).await);
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_compressed_whatever_is_asked_for() {
    const ASKED: &str = "Accept-Encoding: gzip, deflate, br, zstd;q=1.0, *;q=0.5";
    let server = Server::start(Database::sqlite()).await;
    let alice = Device::register(&server, "alice").await;
    let token = &alice.session.access_token;
    let long = "a".repeat(300);
    let paths = [
        "/v1/server".to_owned(),
        // What is asked for stands in the answer.
        "/v1/accounts/by-name/alice".to_owned(),
        format!("/v1/accounts/{}", alice.account),
        "/v1/account/export-of-nothing".to_owned(),
        format!("/v1/rooms/{long}"),
        "/v1/account/notes".to_owned(),
    ];
    for path in paths {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{ASKED}\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let answer = exchange(server.address(), request.as_bytes()).await.to_ascii_lowercase();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("content-encoding"), "{path}: {head}");
        assert!(body.contains('{'), "{path}: {body}");
    }
    // Nor is what comes compressed taken apart.
    let gzip = [0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xab, 0xae, 0x05, 0x00];
    let mut request = format!(
        "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        gzip.len()
    )
    .into_bytes();
    request.extend(gzip);
    assert!(exchange(server.address(), &request).await.starts_with("HTTP/1.1 400 "));
    // Nor does the socket compress.
    let mut offer = socket::handshake(alice.host(), token);
    let extension = "permessage-deflate; client_max_window_bits".parse().unwrap();
    offer.headers_mut().insert("Sec-WebSocket-Extensions", extension);
    let (_, answer) = tokio_tungstenite::connect_async(offer).await.unwrap();
    assert_eq!(answer.headers().get("Sec-WebSocket-Extensions"), None);
}
