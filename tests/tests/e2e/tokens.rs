//! Access tokens: forged, altered, expired and missing ones open nothing.

use std::fs;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use qchat_proto::crypto::kdf;
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    device::{Device, Socket, now},
    http,
};
use serde_json::{Value, json};
use sha2::Sha512;
use tokio_tungstenite::tungstenite::Error as SocketError;

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn decode(part: &str) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[tokio::test]
async fn forged_and_altered_tokens_open_nothing() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let [mallory, alice] =
        [Device::register(&daemon.url(), "mallory").await, Device::register(&daemon.url(), "alice").await];
    let token = mallory.session.access_token.clone();
    let [header, claims, signature] =
        token.split('.').collect::<Vec<_>>().try_into().expect("a JWT has three parts");
    let altered = |name: &str, value: Value| {
        let mut claims = decode(claims);
        claims[name] = value;
        format!("{header}.{}.{signature}", encode(&claims))
    };
    let other_signature = alice.session.access_token.rsplit('.').next().unwrap_or_default();
    let none = encode(&json!({"alg": "none", "typ": "JWT"}));
    let weak = {
        let mut weak = decode(header);
        weak["alg"] = json!("HS256");
        encode(&weak)
    };
    let mut device_claim = decode(claims);
    for value in device_claim.as_object_mut().expect("claims").values_mut() {
        if *value == json!(mallory.id.to_string()) {
            *value = json!(alice.id.to_string());
        }
        if *value == json!(mallory.account.to_string()) {
            *value = json!(alice.account.to_string());
        }
    }
    let http = http::client();
    for (what, token) in [
        ("nothing", String::new()),
        ("no token at all", "open sesame".to_owned()),
        ("no algorithm", format!("{none}.{claims}.")),
        ("no algorithm and a signature", format!("{none}.{claims}.{signature}")),
        ("a weaker algorithm", format!("{weak}.{claims}.{signature}")),
        ("a later expiry", altered("exp", json!(4_000_000_000_u64))),
        ("somebody else's ids", format!("{header}.{}.{signature}", encode(&device_claim))),
        ("somebody else's signature", format!("{header}.{claims}.{other_signature}")),
        ("a shortened signature", token[..token.len() - 2].to_owned()),
        ("the refresh token", mallory.session.refresh_token.clone()),
    ] {
        let response = http
            .get(format!("{}/v1/rooms", daemon.url()))
            .bearer_auth(&token)
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), 401, "{what}");
        let body: Value = response.json().await.expect("a fault");
        assert_eq!(body["error"]["code"], "unauthenticated", "{what}");
        match Socket::open(&daemon.url(), Some(&token)).await {
            Err(SocketError::Http(response)) => assert_eq!(response.status(), 401, "{what}"),
            other => panic!("{what}: {:?}", other.err()),
        }
    }
    let response = http.get(format!("{}/v1/rooms", daemon.url())).bearer_auth(&token).send().await;
    assert_eq!(response.expect("an answer").status(), 200, "the genuine one still does");
    assert!(daemon.is_ready());
    let log = daemon.log();
    for secret in [signature, mallory.session.refresh_token.as_str()] {
        assert!(!log.contains(secret), "a token stands in the log");
    }
}

/// Signs claims as the daemon does, with the key out of its own files and database: what no attacker can do, and the only way to
/// meet an expired token without waiting for it.
fn signed(daemon: &Daemon, header: &str, claims: &Value) -> String {
    let master = fs::read(daemon.data_directory().join("token.key")).expect("the daemon's token key");
    let root = kdf::derive::<64>(&master, b"qchatd 1 access token").expect("a key");
    let database = daemon.postgres().expect("a daemon on PostgreSQL");
    let salt = hex::decode(database.value("SELECT encode(salt, 'hex') FROM token_keys")).expect("hex");
    let info = [b"qchatd 2 access token ".as_slice(), &salt].concat();
    let key = kdf::derive::<64>(root.expose(), &info).expect("a key");
    let signed = format!("{header}.{}", encode(claims));
    let mut mac = Hmac::<Sha512>::new_from_slice(key.expose()).expect("a key of any size");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn an_expired_token_opens_nothing() {
    let daemon = Daemon::start(Backend::Postgres);
    let alice = Device::register(&daemon.url(), "alice").await;
    let mut parts = alice.session.access_token.split('.');
    let (header, claims) = (parts.next().unwrap_or_default(), parts.next().map(decode).unwrap_or_default());
    let http = http::client();
    for (after, status) in [(60, 200_u16), (-60, 401), (-86_400, 401)] {
        let mut claims = claims.clone();
        claims["exp"] = json!(i64::try_from(now()).expect("seconds") + after);
        let token = signed(&daemon, header, &claims);
        let answer = http.get(format!("{}/v1/rooms", daemon.url())).bearer_auth(&token).send().await;
        assert_eq!(answer.expect("an answer").status(), status, "expires in {after} s");
        let socket = Socket::open(&daemon.url(), Some(&token)).await;
        assert_eq!(socket.is_ok(), status == 200, "expires in {after} s");
    }
}

#[tokio::test]
async fn a_login_proves_the_device_key_and_a_refresh_token_works_once() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut alice = Device::register(&daemon.url(), "alice").await;
    let first = alice.session.access_token.clone();
    alice.login().await;
    assert_ne!(alice.session.access_token, first);

    let http = http::client();
    let refresh = |token: String, key: u8| {
        let body = json!({"refresh_token": token, "idempotency_key": URL_SAFE_NO_PAD.encode([key; 16])});
        http.post(format!("{}/v1/sessions/refresh", daemon.url())).json(&body).send()
    };
    let used = alice.session.refresh_token.clone();
    let answer = refresh(used.clone(), 1).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let next: Value = answer.json().await.expect("a session");
    // A retry whose answer was lost gets the same successor.
    let retry: Value = refresh(used.clone(), 1).await.expect("an answer").json().await.expect("a session");
    assert_eq!(retry["refresh_token"], next["refresh_token"]);
    // Whoever uses it a second time otherwise ends the whole family.
    assert_eq!(refresh(used, 2).await.expect("an answer").status(), 401);
    let successor = next["refresh_token"].as_str().unwrap_or_default().to_owned();
    assert_eq!(refresh(successor, 3).await.expect("an answer").status(), 401);
}

#[tokio::test]
async fn tokens_are_taken_from_the_header_only_and_foreign_pages_are_turned_away() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Device::register(&daemon.url(), "alice").await;
    let http = http::client();
    let token = &alice.session.access_token;
    for query in ["token", "access_token", "authorization"] {
        let answer = http.get(format!("{}/v1/rooms?{query}={token}", daemon.url())).send().await;
        assert_eq!(answer.expect("an answer").status(), 401, "{query}");
    }
    let answer = http.get(format!("{}/v1/rooms", daemon.url())).header("cookie", format!("token={token}"));
    assert_eq!(answer.send().await.expect("an answer").status(), 401);
    let answer = http
        .get(format!("{}/v1/socket", daemon.url()))
        .bearer_auth(token)
        .header("origin", "https://evil.example")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .send()
        .await;
    assert_eq!(answer.expect("an answer").status(), 403);
}
