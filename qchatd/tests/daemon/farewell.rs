//! The account as a whole: another passphrase, what is given out of it, and its end.

use diesel::connection::SimpleConnection as _;
use qchat_proto::{
    crypto::kdf,
    identity::{AccountProof, Deed},
    wire::{
        api::{
            Binary, ChangePassphrase, ClaimKeyPackages, DeleteAccount, Directory, ExportAccount, IdentityKey,
            PassphraseSalt, Proof, Refresh, Rooms, Session,
        },
        fault::{FaultBody, FaultCode},
        frame::Operation,
    },
};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::{
    Database, Device, Server, Socket,
    device::random,
    http, on_both,
    socket::{Published, commit, envelope},
};

on_both!(
    only_who_has_the_passphrase_and_the_device_changes_the_passphrase,
    an_account_is_given_out_whole_to_its_owner_and_nothing_of_others,
    an_erased_account_leaves_its_id_and_what_others_need,
);

/// A device's word for a deed.
async fn proof(device: &Device, deed: Deed<'_>) -> Proof {
    let challenge = device.challenge().await;
    let proof = AccountProof {
        nonce: challenge.nonce.as_ref().try_into().unwrap(),
        server: challenge.server_id,
        expires_at: challenge.expires_at,
        account: device.account,
        device: device.id,
    };
    Proof { nonce: challenge.nonce, signature: proof.sign(deed, &device.key).unwrap().into() }
}

/// Deletes a device's account.
pub(crate) async fn delete(server: &Server, device: &Device) {
    let token = random::<32>();
    let request = DeleteAccount {
        account_id: device.account,
        device_id: device.id,
        auth_key: device.registration.auth_key.clone(),
        token: token.to_vec().into(),
        proof: proof(device, Deed::Delete { token: &token }).await,
    };
    let answer = http().post(server.url("/v1/account/delete")).json(&request).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
}

async fn change(device: &Device, old: &Binary, new: &Binary, salt: &Binary) -> ChangePassphrase {
    let deed = Deed::ChangePassphrase { auth_key: new.as_ref(), auth_salt: salt.as_ref() };
    ChangePassphrase {
        auth_key: old.clone(),
        new_auth_key: new.clone(),
        new_auth_salt: salt.clone(),
        proof: proof(device, deed).await,
    }
}

async fn only_who_has_the_passphrase_and_the_device_changes_the_passphrase(database: Database) {
    const PATH: &str = "/v1/account/passphrase";
    let server = Server::start(database).await;
    let mut alice = Device::register(&server, "alice").await;
    let bob = Device::register(&server, "bob").await;
    // Another session of the account, which stands for one of another device.
    let other = alice.session.clone();
    alice.log_in().await;
    let key = || Binary::from(random::<32>().to_vec());
    let (old, new, salt) =
        (alice.registration.auth_key.clone(), key(), Binary::from(random::<16>().to_vec()));
    let good = change(&alice, &old, &new, &salt).await;

    let wrong = change(&alice, &key(), &new, &salt).await;
    let for_another_key = ChangePassphrase { new_auth_key: key(), ..change(&alice, &old, &new, &salt).await };
    let bobs = ChangePassphrase {
        proof: change(&bob, &old, &new, &salt).await.proof,
        ..change(&alice, &old, &new, &salt).await
    };
    let for_export = ChangePassphrase {
        proof: proof(&alice, Deed::Export).await,
        ..change(&alice, &old, &new, &salt).await
    };
    let short =
        ChangePassphrase { new_auth_salt: Binary::default(), ..change(&alice, &old, &new, &salt).await };
    for (what, request, code) in [
        ("another passphrase", wrong, FaultCode::Forbidden),
        ("a proof for another key", for_another_key, FaultCode::Forbidden),
        ("another's proof", bobs, FaultCode::Forbidden),
        ("a proof for another deed", for_export, FaultCode::Forbidden),
        ("no salt", short, FaultCode::BadRequest),
    ] {
        assert_eq!(alice.put(PATH, &request).await.unwrap_err(), code, "{what}");
    }
    let stored: PassphraseSalt = alice.get(PATH).await.unwrap();
    assert_eq!(stored.auth_salt, alice.registration.auth_salt, "nothing has changed");

    let mut socket = {
        let mine = std::mem::replace(&mut alice.session, other.clone());
        let socket = Socket::connect(&alice).await;
        alice.session = mine;
        socket
    };
    alice.put(PATH, &good).await.unwrap();
    let stored: PassphraseSalt = alice.get(PATH).await.unwrap();
    assert_eq!(stored.auth_salt, salt);
    // The other session is over; its device proves itself anew without being told to ask its user.
    assert_eq!(socket.end().await.0, Some(FaultCode::Unauthenticated));
    let refresh = Refresh {
        refresh_token: other.refresh_token.clone(),
        idempotency_key: random::<16>().to_vec().into(),
    };
    let refused = alice.post::<_, Session>("/v1/sessions/refresh", &refresh).await.unwrap_err();
    assert_eq!(refused, FaultCode::Unauthenticated);

    // The same words again are none; the same change by a new proof is done already.
    assert_eq!(alice.put(PATH, &change(&alice, &old, &new, &salt).await).await, Ok(()));
    let back = change(&alice, &old, &key(), &salt).await;
    assert_eq!(alice.put(PATH, &back).await.unwrap_err(), FaultCode::Forbidden, "the old one is over");
    let (next, next_salt) = (key(), Binary::from(random::<16>().to_vec()));
    let onward = change(&alice, &new, &next, &next_salt).await;
    let both = futures_util::future::join_all((0..3).map(|_| alice.put(PATH, &onward))).await;
    assert!(both.iter().any(Result::is_ok), "{both:?}");
    assert_eq!(alice.put(PATH, &change(&alice, &next, &key(), &salt).await).await, Ok(()));
}

/// The lines of an export.
async fn exported(server: &Server, device: &Device, proof: Proof) -> Result<Vec<Value>, FaultCode> {
    let response = http()
        .post(server.url("/v1/account/export"))
        .bearer_auth(&device.session.access_token)
        .json(&ExportAccount { proof })
        .send()
        .await
        .unwrap();
    if response.status() != StatusCode::OK {
        return Err(response.json::<FaultBody>().await.unwrap().error.code);
    }
    let text = response.text().await.unwrap();
    Ok(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

async fn an_account_is_given_out_whole_to_its_owner_and_nothing_of_others(database: Database) {
    const SENT: u64 = 150;
    let server = Server::start(database).await;
    let (alice, bob) = (Device::register(&server, "alice").await, Device::register(&server, "bob").await);
    let room = alice.create_room().await;
    let (mut a, mut b) = (Socket::connect(&alice).await, Socket::connect(&bob).await);
    let add = commit(&alice, room, 0, &[(Operation::Add, &bob)]);
    assert_eq!(a.invite(&add, &[bob.id]).await, Published::Accepted(1));
    let of_bob = exported(&server, &bob, proof(&bob, Deed::Export).await).await.unwrap();
    assert!(of_bob.iter().any(|line| line["kind"] == "invitation"));
    bob.reply(room, "join").await.unwrap();
    let mut sent = vec![hex::encode(add.message_id.as_bytes())];
    for seq in 0..SENT {
        let text = envelope(&alice, room, 1, "of alice");
        assert_eq!(a.publish(&text).await, Published::Accepted(2 * seq + 2));
        let other = envelope(&bob, room, 1, "of bob");
        assert_eq!(b.publish(&other).await, Published::Accepted(2 * seq + 3));
        sent.push(hex::encode(text.message_id.as_bytes()));
    }

    let good = proof(&alice, Deed::Export).await;
    let lines = exported(&server, &alice, good.clone()).await.unwrap();
    for (what, refused) in [
        ("once is once", good),
        ("a proof for another deed", proof(&alice, Deed::Delete { token: &[7; 32] }).await),
        ("another's proof", proof(&bob, Deed::Export).await),
    ] {
        assert_eq!(exported(&server, &alice, refused).await.unwrap_err(), FaultCode::Forbidden, "{what}");
    }
    let (end, lines) = lines.split_last().unwrap();
    assert_eq!((&end["kind"], end["lines"].as_u64()), (&Value::from("end"), Some(lines.len() as u64)));
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).collect::<Vec<_>>();
    assert_eq!(of("account")[0]["name"], "alice");
    assert_eq!(of("device")[0]["device"], alice.id.to_string());
    assert_eq!((of("session").len(), of("key_package").len(), of("room").len()), (1, 4, 1));
    assert_eq!(of("room")[0]["room"], room.to_string());
    assert_eq!(of("directory_entry").len(), 2, "of the name and the account");
    assert!(of("directory_entry").iter().all(|line| line["salt"].is_string() && line["said"].is_string()));
    let messages: Vec<_> =
        of("envelope").iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect();
    assert_eq!(messages, sent);
    assert!(of("envelope").iter().all(|line| line["bytes"].is_string()));
    // No secret that others could use, and nobody else's: Bob is named by his id, in Alice's own commit at most.
    let text = lines.iter().map(Value::to_string).collect::<String>();
    for stranger in ["\"bob\"", &bob.session.access_token, &alice.session.refresh_token, &bob.id.to_string()]
    {
        assert!(!text.contains(stranger), "{stranger}");
    }
    let mut conn = server.database.connect();
    let stored = qchatd::store::accounts::by_id(&mut conn, alice.account).unwrap().unwrap();
    for secret in [stored.verifier.hash.to_vec(), stored.verifier.salt.to_vec()] {
        let shown = serde_json::to_string(&Binary::from(secret)).unwrap();
        assert!(!text.contains(shown.trim_matches('"')));
    }
}

async fn an_erased_account_leaves_its_id_and_what_others_need(database: Database) {
    const PATH: &str = "/v1/account/delete";
    let server = Server::start(database).await;
    let (alice, bob) = (Device::register(&server, "alice").await, Device::register(&server, "bob").await);
    let room = alice.create_room().await;
    let (mut a, mut b) = (Socket::connect(&alice).await, Socket::connect(&bob).await);
    let add = commit(&alice, room, 0, &[(Operation::Add, &bob)]);
    assert_eq!(a.invite(&add, &[bob.id]).await, Published::Accepted(1));
    bob.reply(room, "join").await.unwrap();
    assert_eq!(a.publish(&envelope(&alice, room, 1, "history")).await, Published::Accepted(2));
    // An invitation that Alice has not answered.
    let other = bob.create_room().await;
    let add = commit(&bob, other, 0, &[(Operation::Add, &alice)]);
    assert_eq!(b.invite(&add, &[alice.id]).await, Published::Accepted(1));

    let token = random::<32>();
    let request = async |token: &[u8], auth_key: &Binary, by: &Device| DeleteAccount {
        account_id: alice.account,
        device_id: alice.id,
        auth_key: auth_key.clone(),
        token: token.to_vec().into(),
        proof: proof(by, Deed::Delete { token }).await,
    };
    let delete = async |request: &DeleteAccount| {
        let answer = http().post(server.url(PATH)).json(request).send().await.unwrap();
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(());
        }
        Err(answer.json::<FaultBody>().await.unwrap().error.code)
    };
    let key = &alice.registration.auth_key;
    let guess = Binary::from(random::<32>().to_vec());
    let nobody = DeleteAccount {
        account_id: qchat_proto::ids::AccountId::from_bytes(random()),
        ..request(&token, key, &alice).await
    };
    let for_another_token =
        DeleteAccount { token: random::<32>().to_vec().into(), ..request(&token, key, &alice).await };
    for (what, wrong) in [
        ("another passphrase", request(&token, &guess, &alice).await),
        ("another's proof", request(&token, key, &bob).await),
        ("nobody's account", nobody),
        ("a proof for another token", for_another_token),
    ] {
        assert_eq!(delete(&wrong).await, Err(FaultCode::Forbidden), "{what}");
    }
    assert!(alice.get::<Rooms>("/v1/rooms").await.is_ok(), "nothing has changed");

    let good = request(&token, key, &alice).await;
    assert_eq!(delete(&good).await, Ok(()));
    // The answer was lost: the same again is done already. Whoever does not know the token is told nothing.
    assert_eq!(delete(&good).await, Ok(()));
    let again = DeleteAccount { auth_key: vec![0; 32].into(), ..request(&token, key, &alice).await };
    assert_eq!(delete(&again).await, Ok(()));
    assert_eq!(delete(&request(&random::<32>(), key, &alice).await).await, Err(FaultCode::Forbidden));

    // Nothing lets Alice in.
    assert_eq!(a.end().await.0, Some(FaultCode::Unauthenticated));
    assert_eq!(alice.get::<Rooms>("/v1/rooms").await.unwrap_err(), FaultCode::Unauthenticated);
    let login = alice.login(&alice.challenge().await);
    let refused = alice.post::<_, Session>("/v1/sessions", &login).await.unwrap_err();
    assert_eq!(refused, FaultCode::AccountDeleted);

    // Others are told, and nobody gets the name.
    for path in ["/v1/accounts/by-name/alice".to_owned(), format!("/v1/accounts/{}", alice.account)] {
        let (status, fault) = bob.call::<(), Directory>(Method::GET, &path, None).await.unwrap_err();
        assert_eq!((status.as_u16(), fault.code), (410, FaultCode::AccountDeleted), "{path}");
    }
    let claim = ClaimKeyPackages { account_id: alice.account, devices: vec![] };
    assert_eq!(
        bob.post::<_, Value>("/v1/key-packages/claim", &claim).await.unwrap_err(),
        FaultCode::NotFound
    );
    let namesake = Device::unregistered("alice");
    let taken = http().post(server.url("/v1/accounts")).json(&namesake.registration).send().await.unwrap();
    assert_eq!(taken.status(), StatusCode::CONFLICT);
    let again = http().post(server.url("/v1/accounts")).json(&alice.registration).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::CONFLICT);

    // The rooms go on: her places are given up, her history stays, and her key for those who check it later.
    let members = bob.room(room).await.unwrap().members;
    assert_eq!(members.iter().map(|member| member.account_id).collect::<Vec<_>>(), [bob.account]);
    assert_eq!(bob.room(other).await.unwrap().members.len(), 1);
    assert_eq!(b.seqs(room, 0).await.last(), Some(&2));
    let remove = commit(&bob, room, 1, &[(Operation::Remove, &alice)]);
    assert_eq!(b.publish(&remove).await, Published::Accepted(3));
    let path = format!("/v1/accounts/{}/identity-key", alice.account);
    let kept: IdentityKey = bob.get(&path).await.unwrap();
    assert_eq!(kept.identity_key.as_ref(), alice.identity.public().as_bytes());
    let path = format!("/v1/accounts/{}/identity-key", bob.account);
    assert_eq!(bob.get::<IdentityKey>(&path).await.unwrap_err(), FaultCode::NotFound);

    // Nothing of her name or keys is in the database but for that one, and a hash that the pepper keys.
    let database = server.stop().await;
    let pepper = std::fs::read(database.dir.path().join("pepper.key")).unwrap();
    let mut conn = database.connect();
    let erased = qchatd::store::erased::by_id(&mut conn, alice.account).unwrap().unwrap();
    assert_eq!(erased.name, kdf::hmac_sha384(&pepper, b"qchatd name of an erased account v1alice"));
    assert!(qchatd::store::accounts::by_id(&mut conn, alice.account).unwrap().is_none());
    let devices = qchatd::store::accounts::devices(&mut conn, alice.account).unwrap();
    assert!(devices.iter().all(|device| !device.listed && device.certificate.is_empty()));
    assert_eq!(devices.len(), 1);
    assert_eq!(database_holds(&database, "SELECT count(*) AS count FROM sessions"), 1, "bob's");
    let welcomes = database_holds(&database, "SELECT count(*) AS count FROM welcomes");
    assert_eq!(welcomes, 1, "bob's, which he has not confirmed");
    let packages = database_holds(&database, "SELECT count(*) AS count FROM key_packages");
    assert_eq!(packages, 4, "bob's");
    let said = database_holds(&database, "SELECT count(*) AS count FROM directory_entries");
    assert_eq!(said, 2, "bob's");
    let names = "SELECT count(*) AS count FROM accounts WHERE name LIKE '%alice%'";
    assert_eq!(database_holds(&database, names), 0);
    // A tombstone that holds more is refused by the database itself.
    let filled = "UPDATE accounts SET name = 'alice' WHERE deleted_at IS NOT NULL";
    assert!(database.connect().batch_execute(filled).is_err());
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    count: i64,
}

fn database_holds(database: &Database, sql: &str) -> i64 {
    use diesel::RunQueryDsl;

    let counted: Count = diesel::sql_query(sql).get_result(&mut database.connect()).unwrap();
    counted.count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_session_known_and_unknown_names_are_answered_alike() {
    let server = Server::start(Database::sqlite()).await;
    let alice = Device::register(&server, "alice").await;
    let asked = async |method: Method, path: String| {
        let answer = http().request(method, server.url(&path)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    for (method, known, unknown) in [
        (Method::GET, "/v1/accounts/by-name/alice".to_owned(), "/v1/accounts/by-name/nobody".to_owned()),
        (
            Method::GET,
            format!("/v1/accounts/{}", alice.account),
            "/v1/accounts/00000000000000000000000000000000".to_owned(),
        ),
        (
            Method::GET,
            format!("/v1/accounts/{}/identity-key", alice.account),
            "/v1/accounts/00000000000000000000000000000000/identity-key".to_owned(),
        ),
    ] {
        let (one, other) = (asked(method.clone(), known.clone()).await, asked(method, unknown).await);
        assert_eq!(one.0, StatusCode::UNAUTHORIZED, "{known}");
        assert_eq!(one, other, "{known}");
    }
}
