//! Logins, tokens, and every way to forge one.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Binary};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use qchat_proto::{
    crypto::kdf,
    ids::RoomId,
    wire::{
        api::{Challenge, Login, Refresh, ServerInfo, Session},
        fault::FaultCode,
    },
};
use qchatd::{
    server::Daemon,
    store::{
        Connection,
        token_keys::{self, TokenKey},
    },
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::{
    Database, Device, Program, Server, Socket,
    device::{now, random},
    eventually, http, on_both, program,
    socket::handshake,
};

on_both!(
    only_the_device_logs_in_and_once_per_challenge,
    refresh_tokens_rotate,
    a_late_retry_is_no_theft_unless_somebody_has_gone_on,
    a_copy_of_the_database_opens_no_session,
    a_logout_everywhere_ends_every_session_of_the_account_and_no_other,
    a_session_that_expires_loses_its_sockets,
    keys_change_on_all_nodes_and_nobody_is_logged_out,
);

#[tokio::test]
async fn forged_tokens_are_refused_alike_and_never_logged() {
    let server = Server::start(Database::sqlite()).await;
    let mut alice = Device::register(&server, "alice").await;
    let bob = Device::register(&server, "bob").await;
    let info: ServerInfo = alice.get("/v1/server").await.unwrap();
    let database = server.stop().await;
    let master = std::fs::read(database.dir.path().join("token.key")).unwrap();
    let root = kdf::derive::<64>(&master, b"qchatd 1 access token").unwrap();
    let rows = token_keys::all(&mut database.connect()).unwrap();
    let key_of = |salt: &[u8; 32]| {
        kdf::derive::<64>(root.expose(), &[b"qchatd 2 access token ".as_slice(), salt].concat()).unwrap()
    };
    let key = key_of(&rows[0].salt);
    // A key whose time is over, and one that the database has never heard of.
    let over = TokenKey { id: *b"long ago", salt: [1; 32], signs_from: 1, ends_at: Some(2) };
    database.execute(&format!(
        "INSERT INTO token_keys VALUES (x'{}', x'{}', 1, 2)",
        hex::encode(over.id),
        hex::encode(over.salt)
    ));

    // The built program, with all that it can log.
    let program = Program::start(&database).await;
    alice.is_at(&program.address);

    let part = |token: &str, number: usize| -> Value {
        let part = token.split('.').nth(number).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let genuine = alice.session.access_token.clone();
    let (header, claims) = (part(&genuine, 0), part(&genuine, 1));
    assert_eq!((&header["alg"], &claims["aud"]), (&json!("HS512"), &json!(info.server_id)));
    let kid = header["kid"].as_str().unwrap().to_owned();
    assert_eq!(kid, hex::encode(rows[0].id));
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
    let mut flipped = genuine.clone().into_bytes();
    let last = flipped.len() - 5;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    let (body, signature) = genuine.rsplit_once('.').unwrap();

    let rows = [
        ("the genuine one", genuine.clone(), true),
        ("the same, made by hand", ours(json!({})), true),
        ("another key", sign(Algorithm::HS512, &[7; 64], Some(&kid), &claims), false),
        ("the key file itself", sign(Algorithm::HS512, &master, Some(&kid), &claims), false),
        ("what all keys are derived from", sign(Algorithm::HS512, root.expose(), Some(&kid), &claims), false),
        ("what the database holds", sign(Algorithm::HS512, &rows[0].salt, Some(&kid), &claims), false),
        ("HS256 in place of HS512", sign(Algorithm::HS256, key.expose(), Some(&kid), &claims), false),
        ("HS384 in place of HS512", sign(Algorithm::HS384, key.expose(), Some(&kid), &claims), false),
        (
            "a key whose time is over",
            sign(Algorithm::HS512, key_of(&over.salt).expose(), Some(&hex::encode(over.id)), &claims),
            false,
        ),
        ("another key id", sign(Algorithm::HS512, key.expose(), Some("x"), &claims), false),
        ("no key id", sign(Algorithm::HS512, key.expose(), None, &claims), false),
        ("alg none", unsigned(json!({"alg": "none", "typ": "JWT", "kid": kid})), false),
        ("alg none, spelled oddly", unsigned(json!({"alg": "nOnE", "kid": kid})), false),
        ("alg none with a signature", unsigned(json!({"alg": "none", "kid": kid})) + signature, false),
        ("a flipped signature", String::from_utf8(flipped).unwrap(), false),
        ("a truncated signature", genuine[..genuine.len() - 2].to_owned(), false),
        ("no signature", format!("{body}."), false),
        ("two parts", body.to_owned(), false),
        ("one part", genuine.split('.').next().unwrap().to_owned(), false),
        ("expired", ours(json!({"exp": now() - 60})), false),
        ("not valid yet", ours(json!({"nbf": now() + 3600})), false),
        ("issued in the future", ours(json!({"iat": now() + 3600})), false),
        ("another server", ours(json!({"aud": "00000000000000000000000000000000"})), false),
        ("no server", ours(json!({"aud": null})), false),
        ("no expiry", ours(json!({"exp": null})), false),
        ("no beginning", ours(json!({"nbf": null})), false),
        ("no issue", ours(json!({"iat": null})), false),
        ("another device", ours(json!({"dev": bob.id})), false),
        ("another account", ours(json!({"sub": bob.account})), false),
        ("another's session", ours(json!({"sid": session_of_bob})), false),
        ("no such session", ours(json!({"sid": "00000000000000000000000000000000"})), false),
        ("a refresh token", alice.session.refresh_token.clone(), false),
        ("nothing", String::new(), false),
    ];
    let http = http();
    let mut faults = Vec::new();
    for (name, token, good) in &rows {
        let asked = http.get(format!("http://{}/v1/rooms", program.address));
        let response = asked.bearer_auth(token).send().await.unwrap();
        assert_eq!(response.status().as_u16(), if *good { 200 } else { 401 }, "{name}");
        let upgraded = tokio_tungstenite::connect_async(handshake(&program.address, token)).await;
        assert_eq!(upgraded.is_ok(), *good, "{name}");
        if !good {
            faults.push((*name, response.text().await.unwrap()));
        }
    }
    let no_header = http.get(format!("http://{}/v1/rooms", program.address)).send().await.unwrap();
    faults.push(("no header", no_header.text().await.unwrap()));
    for (name, fault) in &faults {
        assert_eq!(fault, &faults[0].1, "{name} is told from {}", faults[0].0);
    }
    let log = Program::log(&database);
    assert!(log.contains("\"ready\""), "the log is the daemon's");
    for (name, token, _) in &rows {
        // The header of a token says nothing; what follows it does.
        for part in token.split('.').skip(usize::from(token.contains('.'))).filter(|part| part.len() > 20) {
            assert!(!log.contains(part), "{name} stands in the log");
        }
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

    // Used again with another key, a token was stolen: the whole session ends, its socket too, for the thief as for
    // the owner, and both are told why.
    let stolen = renew(&alice.session.refresh_token, b"a thief's");
    let mut socket = Socket::connect(&alice).await;
    assert_eq!(refresh(&stolen).await.unwrap_err(), FaultCode::SessionEnded);
    assert_eq!(socket.end().await.0, Some(FaultCode::Unauthenticated));
    for (whose, request) in [
        ("the owner's newest", renew(&second.refresh_token, b"third try")),
        ("the owner's retry", renew(&one.refresh_token, b"second try")),
        ("the thief's", stolen),
    ] {
        let (status, fault) = alice
            .call::<_, Session>(Method::POST, "/v1/sessions/refresh", Some(&request))
            .await
            .expect_err(whose);
        assert_eq!((status.as_u16(), fault.code), (401, FaultCode::SessionEnded), "{whose}");
        assert!(fault.message.contains("used twice"), "{whose}: {}", fault.message);
    }
    for session in [one, second] {
        alice.session = session;
        assert_eq!(alice.get::<Value>("/v1/rooms").await.unwrap_err(), FaultCode::SessionEnded);
    }

    // Another session of the same device is another family.
    alice.log_in().await;
    let other = alice.session.clone();
    alice.log_in().await;
    alice.call::<(), ()>(Method::DELETE, "/v1/sessions", None).await.unwrap();
    assert_eq!(alice.get::<Value>("/v1/rooms").await.unwrap_err(), FaultCode::Unauthenticated);
    alice.session = other;
    assert!(alice.get::<Value>("/v1/rooms").await.is_ok());
}

async fn a_late_retry_is_no_theft_unless_somebody_has_gone_on(database: Database) {
    let server = Server::start(database).await;
    let mut alice = Device::register(&server, "alice").await;
    let renew = |token: &str, key: &[u8]| Refresh {
        refresh_token: token.to_owned(),
        idempotency_key: key.to_vec().into(),
    };
    // Whether the successor was used, and what a repetition that comes too late is then answered.
    for (gone_on, code) in [(false, FaultCode::Unauthenticated), (true, FaultCode::SessionEnded)] {
        alice.log_in().await;
        let refresh =
            async |request: &Refresh| alice.post::<_, Session>("/v1/sessions/refresh", request).await;
        let first = renew(&alice.session.refresh_token, b"first try");
        let next = refresh(&first).await.unwrap();
        if gone_on {
            refresh(&renew(&next.refresh_token, b"second try")).await.unwrap();
        }
        server.database.execute("UPDATE refresh_tokens SET used_at = used_at - 31");
        assert_eq!(refresh(&first).await.unwrap_err(), code);
        // Either way nothing of the session is good any more.
        assert_eq!(refresh(&renew(&next.refresh_token, b"third try")).await.unwrap_err(), code);
        assert_eq!(alice.get::<Value>("/v1/rooms").await.unwrap_err(), code);
    }
}

#[derive(QueryableByName)]
struct Stored {
    #[diesel(sql_type = Binary)]
    bytes: Vec<u8>,
}

async fn a_copy_of_the_database_opens_no_session(database: Database) {
    let server = Server::start(database).await;
    let mut alice = Device::register(&server, "alice").await;
    let refresh = async |token: &str| {
        let request =
            Refresh { refresh_token: token.to_owned(), idempotency_key: random::<16>().to_vec().into() };
        alice.post::<_, Session>("/v1/sessions/refresh", &request).await
    };
    let renewed = refresh(&alice.session.refresh_token).await.unwrap();
    // All that is stored of tokens, of used ones too: none of it is one.
    let query = sql_query(
        "SELECT digest AS bytes FROM refresh_tokens UNION ALL \
         SELECT used_with FROM refresh_tokens WHERE used_with IS NOT NULL",
    );
    let stored: Vec<Stored> = match server.database.connect() {
        Connection::Sqlite(mut conn) => query.load(&mut conn).unwrap(),
        Connection::Postgres(mut conn) => query.load(&mut conn).unwrap(),
    };
    assert_eq!(stored.len(), 3);
    for row in stored {
        let outcome = refresh(&URL_SAFE_NO_PAD.encode(row.bytes)).await;
        assert_eq!(outcome.unwrap_err(), FaultCode::Unauthenticated);
    }
    alice.session = refresh(&renewed.refresh_token).await.unwrap();
    assert!(alice.get::<Value>("/v1/rooms").await.is_ok());
}

async fn a_logout_everywhere_ends_every_session_of_the_account_and_no_other(database: Database) {
    let server = Server::start(database).await;
    let mut alice = Device::register(&server, "alice").await;
    let bob = Device::register(&server, "bob").await;
    let first = alice.session.clone();
    let mut first_socket = Socket::connect(&alice).await;
    alice.log_in().await;
    let mut second_socket = Socket::connect(&alice).await;
    let mut bobs = Socket::connect(&bob).await;

    alice.call::<(), ()>(Method::DELETE, "/v1/account/sessions", None).await.unwrap();
    for socket in [&mut first_socket, &mut second_socket] {
        assert_eq!(socket.end().await, (Some(FaultCode::Unauthenticated), Some(CloseCode::Policy)));
    }
    for session in [first, alice.session.clone()] {
        alice.session = session;
        let refresh = Refresh {
            refresh_token: alice.session.refresh_token.clone(),
            idempotency_key: random::<16>().to_vec().into(),
        };
        let refreshed = alice.post::<_, Session>("/v1/sessions/refresh", &refresh).await;
        assert_eq!(refreshed.unwrap_err(), FaultCode::SessionEnded);
        assert_eq!(alice.get::<Value>("/v1/rooms").await.unwrap_err(), FaultCode::SessionEnded);
        let again = alice.call::<(), ()>(Method::DELETE, "/v1/account/sessions", None).await;
        assert_eq!(again.unwrap_err().1.code, FaultCode::SessionEnded);
    }
    // Bob notices nothing, and Alice's device logs in anew.
    assert_eq!(bobs.page(RoomId::from_bytes(random()), 0, 1).await.unwrap_err(), FaultCode::NotFound);
    assert!(bob.get::<Value>("/v1/rooms").await.is_ok());
    alice.log_in().await;
    assert!(alice.get::<Value>("/v1/rooms").await.is_ok());
}

async fn a_session_that_expires_loses_its_sockets(database: Database) {
    let server = Server::start(database).await;
    let mut alice = Device::register(&server, "alice").await;
    let mut socket = Socket::connect(&alice).await;
    server.database.execute("UPDATE sessions SET expires_at = 1");
    assert_eq!(socket.end().await, (Some(FaultCode::Unauthenticated), Some(CloseCode::Policy)));
    alice.log_in().await;
    Socket::connect(&alice).await;
}

/// The id of the key that signed a device's access token.
fn kid(device: &Device) -> Option<String> {
    jsonwebtoken::decode_header(&device.session.access_token).unwrap().kid
}

async fn keys_change_on_all_nodes_and_nobody_is_logged_out(database: Database) {
    let config = database.config(&[]);
    let server = Server::start(database).await;
    // Several nodes share PostgreSQL only.
    let second =
        if server.database.is_postgres() { Some(Daemon::start(config).await.unwrap()) } else { None };
    let other =
        second.as_ref().map_or_else(|| server.address(), |daemon| daemon.address().unwrap()).to_string();
    let mut alice = Device::register(&server, "alice").await;
    let before = alice.session.clone();
    let old = kid(&alice);

    let output = program::run(&server.database, &["keys", "rotate"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), printed.lines().count()), (Some(0), 2), "{printed}");
    eventually("the new key signs", async || {
        alice.log_in().await;
        kid(&alice) != old
    })
    .await;
    // What the new key signs is taken at the other node at once, and what the old one signed still is at both.
    let after = alice.session.clone();
    for session in [&after, &before] {
        for address in [&server.address().to_string(), &other] {
            alice.session = session.clone();
            alice.is_at(address);
            assert!(alice.get::<Value>("/v1/rooms").await.is_ok(), "{address}");
        }
    }
    assert!(printed.contains(&kid(&alice).unwrap()));

    // Its time is over: the tokens it signed are not good, and whoever has one renews it.
    server.database.execute("UPDATE token_keys SET signs_from = 1, ends_at = 2 WHERE ends_at IS NOT NULL");
    eventually("the old key's tokens are refused", async || {
        alice.get::<Value>("/v1/rooms").await == Err(FaultCode::Unauthenticated)
    })
    .await;
    let refresh = Refresh {
        refresh_token: alice.session.refresh_token.clone(),
        idempotency_key: random::<16>().to_vec().into(),
    };
    alice.session = alice.post("/v1/sessions/refresh", &refresh).await.unwrap();
    assert_ne!(kid(&alice), old);
    assert!(alice.get::<Value>("/v1/rooms").await.is_ok());
    // A key that has signed for long enough is followed by another without anybody's doing.
    server.database.execute("UPDATE token_keys SET signs_from = 1 WHERE ends_at IS NULL");
    let signing = kid(&alice);
    eventually("a key of old age has a successor", async || {
        alice.log_in().await;
        kid(&alice) != signing
    })
    .await;
    if let Some(second) = second {
        second.stop().await;
    }
}
