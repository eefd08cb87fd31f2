//! Logins, tokens, and every way to forge one.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use qchat_proto::{
    crypto::kdf,
    wire::{
        api::{Challenge, Login, Refresh, ServerInfo, Session},
        fault::FaultCode,
    },
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Database, Device, Server, Socket,
    device::{now, random},
    on_both,
};

on_both!(only_the_device_logs_in_and_once_per_challenge, refresh_tokens_rotate);

#[tokio::test]
async fn forged_tokens_are_refused() {
    let server = Server::start(Database::sqlite()).await;
    let alice = Device::register(&server, "alice").await;
    let bob = Device::register(&server, "bob").await;
    let info: ServerInfo = alice.get("/v1/server").await.unwrap();
    let master = std::fs::read(server.database.dir.path().join("token.key")).unwrap();
    let key = kdf::derive::<64>(&master, b"qchatd 1 access token").unwrap();

    let part = |token: &str, number: usize| -> Value {
        let part = token.split('.').nth(number).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let (header, claims) = (part(&alice.session.access_token, 0), part(&alice.session.access_token, 1));
    assert_eq!((&header["alg"], &claims["aud"]), (&json!("HS512"), &json!(info.server_id)));
    let kid = header["kid"].as_str().unwrap().to_owned();
    let session_of_bob = part(&bob.session.access_token, 1)["sid"].clone();
    let with = |changes: Value| {
        let mut claims = claims.clone();
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        claims
    };
    let sign = |algorithm, key: &[u8], kid: Option<&str>, claims: &Value| {
        let mut header = Header::new(algorithm);
        header.kid = kid.map(ToOwned::to_owned);
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(key)).unwrap()
    };
    let ours = |changes| sign(Algorithm::HS512, key.expose(), Some(&kid), &with(changes));
    let unsigned = |header: Value| {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&header), part(&claims))
    };
    let mut flipped = alice.session.access_token.clone().into_bytes();
    let last = flipped.len() - 5;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };

    let rows = [
        ("the genuine one", alice.session.access_token.clone(), true),
        ("the same, made by hand", ours(json!({})), true),
        ("another key", sign(Algorithm::HS512, &[7; 64], Some(&kid), &claims), false),
        ("the key file itself", sign(Algorithm::HS512, &master, Some(&kid), &claims), false),
        ("a weaker algorithm", sign(Algorithm::HS256, key.expose(), Some(&kid), &claims), false),
        ("another key id", sign(Algorithm::HS512, key.expose(), Some("x"), &claims), false),
        ("no key id", sign(Algorithm::HS512, key.expose(), None, &claims), false),
        ("alg none", unsigned(json!({"alg": "none", "typ": "JWT", "kid": kid})), false),
        ("alg none, spelled oddly", unsigned(json!({"alg": "nOnE", "kid": kid})), false),
        ("a flipped signature", String::from_utf8(flipped).unwrap(), false),
        ("expired", ours(json!({"exp": now() - 60})), false),
        ("from the future", ours(json!({"nbf": now() + 3600})), false),
        ("another server", ours(json!({"aud": "00000000000000000000000000000000"})), false),
        ("no server", ours(json!({"aud": null})), false),
        ("no expiry", ours(json!({"exp": null})), false),
        ("no beginning", ours(json!({"nbf": null})), false),
        ("another device", ours(json!({"dev": bob.id})), false),
        ("another account", ours(json!({"sub": bob.account})), false),
        ("another's session", ours(json!({"sid": session_of_bob})), false),
        ("no such session", ours(json!({"sid": "00000000000000000000000000000000"})), false),
        ("a refresh token", alice.session.refresh_token.clone(), false),
        ("nothing", String::new(), false),
    ];
    for (name, token, good) in rows {
        let response =
            reqwest::Client::new().get(server.url("/v1/rooms")).bearer_auth(token).send().await.unwrap();
        assert_eq!(response.status().as_u16(), if good { 200 } else { 401 }, "{name}");
    }
}

async fn only_the_device_logs_in_and_once_per_challenge(database: Database) {
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    let bob = Device::register(&server, "bob").await;
    let attempt = async |login: &Login| alice.post::<_, Session>("/v1/sessions", login).await.map(drop);

    let challenge = alice.challenge().await;
    let good = alice.login(&challenge);
    // A failed attempt does not spend the challenge.
    let stolen = Login { account_id: alice.account, device_id: alice.id, ..bob.login(&challenge) };
    let made_up = Challenge { nonce: random::<32>().to_vec().into(), ..challenge.clone() };
    let later = {
        let mut nonce = challenge.nonce.as_ref().to_vec();
        nonce[..8].copy_from_slice(&(challenge.expires_at + 600).to_be_bytes());
        Challenge { nonce: nonce.into(), expires_at: challenge.expires_at + 600, ..challenge.clone() }
    };
    let other_server =
        Challenge { server_id: qchat_proto::ids::ServerId::from_bytes(random()), ..challenge.clone() };
    for (name, login) in [
        ("another's key", stolen),
        ("another's challenge", bob.login(&challenge)),
        ("a made-up challenge", alice.login(&made_up)),
        ("a longer life", alice.login(&later)),
        ("for another server", alice.login(&other_server)),
        ("no nonce", Login { nonce: Vec::new().into(), ..good.clone() }),
        ("no signature", Login { signature: Vec::new().into(), ..good.clone() }),
    ] {
        assert_eq!(attempt(&login).await, Err(FaultCode::Unauthenticated), "{name}");
    }
    // Of many at once, one gets in.
    let outcomes = futures_util::future::join_all((0..8).map(|_| attempt(&good))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert_eq!(attempt(&good).await, Err(FaultCode::Unauthenticated));
}

async fn refresh_tokens_rotate(database: Database) {
    let server = Server::start(database).await;
    let mut alice = Device::register(&server, "alice").await;
    let renew = |token: &str, key: &[u8]| Refresh {
        refresh_token: token.to_owned(),
        idempotency_key: key.to_vec().into(),
    };
    let refresh = async |request: &Refresh| alice.post::<_, Session>("/v1/sessions/refresh", request).await;

    for (name, request, code) in [
        ("unknown", renew(&URL_SAFE_NO_PAD.encode(random::<32>()), b"12345678"), FaultCode::Unauthenticated),
        ("not a token", renew("?", b"12345678"), FaultCode::Unauthenticated),
        ("no key", renew(&alice.session.refresh_token, b""), FaultCode::BadRequest),
    ] {
        assert_eq!(refresh(&request).await.unwrap_err(), code, "{name}");
    }
    // A retry gets the same successor, also when both are underway.
    let first = renew(&alice.session.refresh_token, b"first try");
    let (one, two) = tokio::join!(refresh(&first), refresh(&first));
    let (one, two, three) = (one.unwrap(), two.unwrap(), refresh(&first).await.unwrap());
    assert_eq!((&one.refresh_token, &two.refresh_token), (&two.refresh_token, &three.refresh_token));
    assert_ne!(one.refresh_token, alice.session.refresh_token);
    let second = refresh(&renew(&one.refresh_token, b"second try")).await.unwrap();

    // Used again with another key, a token was stolen: the whole session ends, its socket too.
    let stolen = renew(&alice.session.refresh_token, b"a thief's");
    let mut socket = Socket::connect(&alice).await;
    assert_eq!(refresh(&stolen).await.unwrap_err(), FaultCode::Unauthenticated);
    assert_eq!(socket.end().await.0, Some(FaultCode::Unauthenticated));
    let newest = renew(&second.refresh_token, b"third try");
    assert_eq!(refresh(&newest).await.unwrap_err(), FaultCode::Unauthenticated);
    assert_eq!(alice.get::<Value>("/v1/rooms").await.unwrap_err(), FaultCode::Unauthenticated);

    // Another session of the same device is another family.
    alice.log_in().await;
    let other = alice.session.clone();
    alice.log_in().await;
    alice.call::<(), ()>(Method::DELETE, "/v1/sessions", None).await.unwrap();
    alice.session = other;
    assert!(alice.get::<Value>("/v1/rooms").await.is_ok());
}
