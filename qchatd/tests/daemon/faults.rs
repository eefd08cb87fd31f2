//! Every failure over HTTP is a fault with its code and status.

use qchat_proto::wire::{
    fault::{FaultBody, FaultCode},
    limits,
};
use reqwest::{Method, StatusCode, header};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Database, Device, Server, http};

#[tokio::test]
async fn whatever_is_asked_wrongly_is_a_fault() {
    let server = Server::start(Database::sqlite()).await;
    let alice = Device::register(&server, "alice").await;
    let access = alice.session.access_token.as_str();
    let token = Some(access);
    let http = http();
    let long = "x".repeat(limits::BODY + 1);
    let huge = "x".repeat(10 * 1024 * 1024);
    let rows = [
        (Method::GET, "/", None, "", 404, FaultCode::NotFound),
        (Method::GET, "/v1/nothing", None, "", 404, FaultCode::NotFound),
        (Method::GET, "/v2/server", None, "", 404, FaultCode::NotFound),
        (Method::DELETE, "/v1/server", None, "", 405, FaultCode::BadRequest),
        (Method::PUT, "/v1/rooms", token, "", 405, FaultCode::BadRequest),
        (Method::GET, "/v1/rooms", None, "", 401, FaultCode::Unauthenticated),
        (Method::GET, "/v1/rooms", Some("x.y.z"), "", 401, FaultCode::Unauthenticated),
        (Method::GET, "/v1/rooms?token=x", None, "", 401, FaultCode::Unauthenticated),
        (Method::GET, "/v1/accounts/by-name/alice", None, "", 401, FaultCode::Unauthenticated),
        (Method::GET, "/v1/accounts/by-name/alice", Some("x.y.z"), "", 401, FaultCode::Unauthenticated),
        (Method::GET, "/v1/accounts/by-name/nobody", token, "", 404, FaultCode::NotFound),
        (Method::GET, "/v1/accounts/by-name", token, "", 404, FaultCode::NotFound),
        (Method::GET, "/v1/rooms/not-an-id", token, "", 404, FaultCode::NotFound),
        (Method::GET, "/v1/rooms/00000000000000000000000000000000", token, "", 404, FaultCode::NotFound),
        (Method::GET, "/v1/accounts/by-name/%00%1b%5b", token, "", 404, FaultCode::NotFound),
        (Method::GET, "/v1/accounts/00000000000000000000000000000000", token, "", 404, FaultCode::NotFound),
        (Method::POST, "/v1/rooms", token, "", 400, FaultCode::BadRequest),
        (Method::POST, "/v1/rooms", token, "{\"room_id\":1}", 400, FaultCode::BadRequest),
        (Method::POST, "/v1/rooms", token, "{\"room_id\":\"00\"}", 400, FaultCode::BadRequest),
        (Method::POST, "/v1/accounts", None, "[[[[", 400, FaultCode::BadRequest),
        (Method::POST, "/v1/accounts", None, "\u{1b}]0;title\u{7}", 400, FaultCode::BadRequest),
        (Method::POST, "/v1/sessions", None, &long, 413, FaultCode::TooLarge),
        (Method::POST, "/v1/accounts", None, &huge, 413, FaultCode::TooLarge),
        (Method::GET, "/v1/socket", token, "", 426, FaultCode::UnsupportedVersion),
    ];
    for (method, path, token, body, status, code) in rows {
        let mut request = http.request(method.clone(), server.url(path)).body(body.to_owned());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        let context = format!("{method} {path} {}", body.len());
        assert_eq!(response.status().as_u16(), status, "{context}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json", "{context}");
        let fault = response.json::<FaultBody>().await.unwrap().error;
        assert_eq!(fault.code, code, "{context}");
        assert!(!fault.message.is_empty() && !fault.message.contains('\u{1b}'), "{context}");
    }
    // A token of good form counts in the header only, with its scheme.
    let bare = http.get(server.url("/v1/rooms")).header(header::AUTHORIZATION, access);
    assert_eq!(bare.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    for path in ["/health/live", "/health/ready", "/v1/server"] {
        assert_eq!(http.get(server.url(path)).send().await.unwrap().status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_off() {
    let server = Server::start(Database::sqlite()).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET /v1/server HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}
