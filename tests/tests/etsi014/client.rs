//! The client against KMEs that do what the standard says, and against such that do not.

use std::{fs, path::Path, time::Duration};

use qchat_quantum::etsi014::{Client, Credentials, Etsi014Error, KEY_BITS, Key, KeyId, SaeId};
use qchat_tests::kme::{End, Mischief, Pair, Sae};
use zeroize::Zeroizing;

const PATIENCE: Duration = Duration::from_secs(30);

fn pair() -> Pair {
    Pair::start(&[("alice-sae", End::Near), ("bob-sae", End::Far), ("carol-sae", End::Far)])
}

fn credentials(certificate: &Path, key: &Path, authority: &Path) -> Credentials {
    Credentials {
        certificate: fs::read(certificate).unwrap(),
        key: Zeroizing::new(fs::read(key).unwrap()),
        authority: fs::read(authority).unwrap(),
    }
}

fn client(sae: &Sae) -> Client {
    let credentials = credentials(&sae.certificate, &sae.key, &sae.authority);
    Client::new(&sae.url, &credentials, PATIENCE).unwrap()
}

fn id(text: &str) -> SaeId {
    text.parse().unwrap()
}

/// A key of alice's to share with bob.
async fn fresh(pair: &Pair) -> Key {
    let mut keys = client(pair.sae("alice-sae")).enc_keys(&id("bob-sae"), 1, KEY_BITS).await.unwrap();
    assert_eq!(keys.len(), 1);
    keys.remove(0)
}

#[tokio::test]
async fn both_ends_get_the_same_keys_by_their_ids_and_in_their_order() {
    let pair = pair();
    let keys = client(pair.sae("alice-sae")).enc_keys(&id("bob-sae"), 3, KEY_BITS).await.unwrap();
    let ids: Vec<_> = keys.iter().rev().map(|key| key.id).collect();
    let theirs = client(pair.sae("bob-sae")).dec_keys(&id("alice-sae"), &ids).await.unwrap();
    for (key, theirs) in keys.iter().rev().zip(&theirs) {
        assert_eq!((key.id, &key.secret), (theirs.id, &theirs.secret));
        assert_eq!(key.secret.len() * 8, KEY_BITS);
    }
    assert_ne!(keys[0].secret, keys[1].secret);
    assert!(!format!("{keys:?}").contains("secret"), "{keys:?}");
    assert_eq!(
        pair.link().requests(),
        ["POST /api/v1/keys/bob-sae/enc_keys", "POST /api/v1/keys/alice-sae/dec_keys"]
    );
}

#[tokio::test]
async fn a_status_says_what_the_link_can_do() {
    let pair = pair();
    let status = client(pair.sae("alice-sae")).status(&id("bob-sae")).await.unwrap();
    assert_eq!(
        (status.key_size, status.min_key_size, status.max_key_size),
        (Some(256), Some(64), Some(1024))
    );
    assert_eq!(status.slave_sae.as_deref(), Some("bob-sae"));
    assert!(status.stored_key_count.is_some_and(|count| count > 0));
}

#[tokio::test]
async fn a_key_is_for_the_two_that_it_was_made_for() {
    let pair = pair();
    let key = fresh(&pair).await;
    let error = client(pair.sae("carol-sae")).dec_keys(&id("alice-sae"), &[key.id]).await.unwrap_err();
    assert!(matches!(error, Etsi014Error::Unauthorized(_)), "{error}");
    let error = client(pair.sae("alice-sae")).enc_keys(&id("nobody"), 1, KEY_BITS).await.unwrap_err();
    assert!(matches!(&error, Etsi014Error::BadRequest(said) if said.contains("no link leads")), "{error}");
    pair.link().give_out_once();
    let bob = client(pair.sae("bob-sae"));
    assert_eq!(bob.dec_keys(&id("alice-sae"), &[key.id]).await.unwrap()[0].secret, key.secret);
    let error = bob.dec_keys(&id("alice-sae"), &[key.id]).await.unwrap_err();
    assert!(matches!(&error, Etsi014Error::BadRequest(said) if said.contains("given out")), "{error}");
    assert!(error.to_string().contains("ask for another"), "{error}");
}

#[tokio::test]
async fn what_a_kme_does_wrong_is_named_and_no_key_comes_of_it() {
    type Named = fn(&Etsi014Error) -> bool;
    let pair = pair();
    let key = fresh(&pair).await;
    let cases: [(Mischief, Named); 9] = [
        (Mischief::Refuse(400), |error| matches!(error, Etsi014Error::BadRequest(_))),
        (Mischief::Refuse(401), |error| matches!(error, Etsi014Error::Unauthorized(_))),
        (Mischief::Refuse(503), |error| matches!(error, Etsi014Error::Unavailable(_))),
        (Mischief::Refuse(302), |error| matches!(error, Etsi014Error::Answer { status: 302, .. })),
        (Mischief::Gibberish(500), |error| matches!(error, Etsi014Error::Answer { status: 500, .. })),
        (Mischief::Gibberish(200), |error| !error.to_string().is_empty()),
        (Mischief::Truncated, |error| matches!(error, Etsi014Error::Malformed(_))),
        (Mischief::Endless(65 * 1024), |error| matches!(error, Etsi014Error::TooLong(_))),
        (Mischief::Endless(1), |error| matches!(error, Etsi014Error::Malformed(_))),
    ];
    let (alice, bob) = (client(pair.sae("alice-sae")), client(pair.sae("bob-sae")));
    for (mischief, named) in cases {
        for end in [End::Near, End::Far] {
            pair.link().misbehave(end, mischief.clone());
        }
        let errors = [
            alice.enc_keys(&id("bob-sae"), 1, KEY_BITS).await.unwrap_err(),
            bob.dec_keys(&id("alice-sae"), &[key.id]).await.unwrap_err(),
            alice.status(&id("bob-sae")).await.map(drop).unwrap_err(),
        ];
        for error in errors {
            assert!(named(&error), "{mischief:?}: {error}");
            assert!(!error.to_string().contains('\u{1b}'), "{error}");
        }
        pair.link().behave();
    }
}

#[tokio::test]
async fn keys_of_another_size_or_under_other_ids_are_not_taken() {
    let pair = pair();
    let key = fresh(&pair).await;
    pair.link().misbehave(End::Near, Mischief::Short);
    let error = client(pair.sae("alice-sae")).enc_keys(&id("bob-sae"), 1, KEY_BITS).await.unwrap_err();
    assert!(matches!(error, Etsi014Error::Size { got: 248, wanted: 256 }), "{error}");
    pair.link().misbehave(End::Far, Mischief::OtherIds);
    let error = client(pair.sae("bob-sae")).dec_keys(&id("alice-sae"), &[key.id]).await.unwrap_err();
    assert!(matches!(error, Etsi014Error::Missing(missing) if missing == key.id), "{error}");
    pair.link().behave();
    let unknown = KeyId::from_bytes([7; 16]);
    let error = client(pair.sae("bob-sae")).dec_keys(&id("alice-sae"), &[unknown]).await.unwrap_err();
    assert!(matches!(&error, Etsi014Error::BadRequest(said) if said.contains("not found")), "{error}");
}

#[tokio::test]
async fn each_side_believes_the_other_by_its_authority_alone() {
    let (ours, other) = (pair(), pair());
    let (sae, stranger) = (ours.sae("alice-sae"), other.sae("alice-sae"));
    // The KME's certificate is signed by somebody else than this application knows; and the other way round.
    for (certificate, key, authority) in [
        (&sae.certificate, &sae.key, &stranger.authority),
        (&stranger.certificate, &stranger.key, &sae.authority),
    ] {
        let client = Client::new(&sae.url, &credentials(certificate, key, authority), PATIENCE).unwrap();
        let error = client.enc_keys(&id("bob-sae"), 1, KEY_BITS).await.unwrap_err();
        assert!(matches!(error, Etsi014Error::Untrusted { .. }), "{error}");
    }
    assert!(ours.link().requests().is_empty() && ours.link().keys().is_empty());
    // Signed by the right authority, for another host.
    let url = sae.url.replace("127.0.0.1", "localhost");
    let client =
        Client::new(&url, &credentials(&sae.certificate, &sae.key, &sae.authority), PATIENCE).unwrap();
    let error = client.status(&id("bob-sae")).await.unwrap_err();
    assert!(matches!(error, Etsi014Error::Untrusted { .. }), "{error}");
    // An application of the other end.
    let bob = ours.sae("bob-sae");
    let client =
        Client::new(&sae.url, &credentials(&bob.certificate, &bob.key, &bob.authority), PATIENCE).unwrap();
    let error = client.status(&id("bob-sae")).await.unwrap_err();
    assert!(matches!(error, Etsi014Error::Unauthorized(_)), "{error}");
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anything_is_sent() {
    let pair = pair();
    let (alice, bob) = (pair.sae("alice-sae"), pair.sae("bob-sae"));
    let good = || credentials(&alice.certificate, &alice.key, &alice.authority);
    for address in [
        "http://127.0.0.1:1",
        "http://kme.example",
        "kme.example",
        "",
        "ftp://kme",
        "https://kme/?a=b",
        "https://user:secret@kme",
        "https://kme/#x",
        "https://",
    ] {
        let error = Client::new(address, &good(), PATIENCE).unwrap_err();
        assert!(matches!(error, Etsi014Error::Address(_)), "{address}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let secret = String::from_utf8(fs::read(&alice.key).unwrap()).unwrap();
    let line = secret.lines().nth(1).unwrap().to_owned();
    let cases = [
        credentials(&alice.certificate, &bob.key, &alice.authority),
        credentials(&alice.key, &alice.key, &alice.authority),
        credentials(&alice.certificate, &alice.certificate, &alice.authority),
        credentials(&alice.certificate, &alice.key, &alice.key),
        Credentials { key: Zeroizing::new(secret.replace('=', "!").replace("END", "").into()), ..good() },
    ];
    for credentials in cases {
        let error = Client::new(&alice.url, &credentials, PATIENCE).unwrap_err();
        assert!(matches!(error, Etsi014Error::Credentials { .. }), "{error}");
        assert!(!format!("{error} {error:?} {credentials:?}").contains(&line), "{error}");
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::new(&format!("https://{nobody}"), &good(), PATIENCE).unwrap();
    let error = client.status(&id("bob-sae")).await.unwrap_err();
    assert!(matches!(error, Etsi014Error::Unreachable { .. }), "{error}");
    assert!(pair.link().requests().is_empty());
}
