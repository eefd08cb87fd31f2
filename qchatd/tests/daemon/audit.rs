//! The audit log: what is noted and who sees it, that failing often costs little, and that the chain shows what was done to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::BigInt};
use qchat_proto::{
    ids::{AccountId, DeviceId},
    wire::{
        api::{Activity, ActivityEntry, Login, PutDeviceList, Refresh, Session},
        fault::FaultCode,
    },
};
use qchatd::{
    server::Daemon,
    service::audit::verify::{Broken, Whole, Why, verify},
    store::{
        StoreError,
        audit::{self, Act, Actor, Draft, Entry, Outcome, Which},
    },
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Database, Device, Program, Server, Socket,
    device::{list, random},
    eventually, exchange, http, on_both, program, proxied,
};

on_both!(
    what_is_done_to_an_account_is_noted_and_its_owner_sees_it,
    a_thousand_wrong_sign_ins_are_a_few_entries,
    what_waits_is_written_at_a_drain,
    the_first_entry_that_is_not_what_was_written_is_named,
    the_database_lets_nobody_change_the_audit_log,
    what_was_kept_for_its_time_goes_and_the_chain_holds,
    what_operators_do_is_noted,
);

/// All entries, the oldest first.
fn entries(database: &Database) -> Vec<Entry> {
    audit::after(&mut database.connect(), Which::default(), 0, 100_000).unwrap()
}

fn verified(database: &Database) -> Result<Whole, Broken> {
    verify(&mut database.connect(), None).unwrap()
}

/// What a device's owner is shown, page by page, newest first.
async fn activity(device: &Device, page: u32) -> Vec<ActivityEntry> {
    let (mut shown, mut before) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/account/activity?limit={page}{before}");
        let next: Activity = device.get(&path).await.unwrap();
        assert!(next.entries.len() <= page as usize);
        shown.extend(next.entries);
        match next.before {
            Some(seq) => before = format!("&before={seq}"),
            None => return shown,
        }
    }
}

/// What was done and what became of it, and how often. In which entry the second time is counted depends on the minute.
fn deeds(shown: &[ActivityEntry]) -> BTreeMap<(&str, &str), u64> {
    let mut deeds = BTreeMap::new();
    for entry in shown {
        *deeds.entry((entry.act.as_str(), entry.outcome.as_str())).or_default() += entry.times;
    }
    deeds
}

async fn what_is_done_to_an_account_is_noted_and_its_owner_sees_it(database: Database) {
    let server = Server::start(database).await;
    let mut alice = Device::register(&server, "alice").await;
    let mallory = Device::register(&server, "mallory").await;
    let attempt =
        async |login: &Login| mallory.post::<_, Session>("/v1/sessions", login).await.map(drop).unwrap_err();

    // Mallory in Alice's name, and in that of nobody.
    let forged =
        Login { account_id: alice.account, device_id: alice.id, ..mallory.login(&alice.challenge().await) };
    assert_eq!(attempt(&forged).await, FaultCode::Unauthenticated);
    let mut nobody = Device::unregistered("nobody");
    nobody.moved_to(&server);
    let unknown = nobody.login(&nobody.challenge().await);
    assert_eq!(attempt(&unknown).await, FaultCode::Unauthenticated);
    // A good login once, and the same again.
    let login = alice.login(&alice.challenge().await);
    let first = alice.session.clone();
    alice.session = alice.post("/v1/sessions", &login).await.unwrap();
    assert_eq!(attempt(&login).await, FaultCode::Unauthenticated);
    // A stolen refresh token.
    let refresh = |token: &str| Refresh {
        refresh_token: token.to_owned(),
        idempotency_key: random::<16>().to_vec().into(),
    };
    let renewed: Session = alice.post("/v1/sessions/refresh", &refresh(&first.refresh_token)).await.unwrap();
    for token in [&first.refresh_token, &renewed.refresh_token] {
        let stolen = alice.post::<_, Session>("/v1/sessions/refresh", &refresh(token)).await;
        assert_eq!(stolen.unwrap_err(), FaultCode::SessionEnded);
    }
    let unknown = refresh("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert!(mallory.post::<_, Session>("/v1/sessions/refresh", &unknown).await.is_err());
    let bad = http().get(server.url("/v1/rooms")).bearer_auth("forged").send().await.unwrap();
    assert_eq!(bad.status(), 401);
    // A new list with the same device; out, in, and out everywhere.
    let newer = list(alice.account, 2, &[(alice.id, &alice.key)]).sign(&alice.identity).unwrap().into();
    alice
        .put(
            "/v1/account/device-list",
            &PutDeviceList { device_list: newer, account_record: None, certificates: vec![], link_id: None },
        )
        .await
        .unwrap();
    alice.call::<(), ()>(Method::DELETE, "/v1/sessions", None).await.unwrap();
    alice.log_in().await;
    alice.call::<(), ()>(Method::DELETE, "/v1/account/sessions", None).await.unwrap();
    // A guess at the passphrase by whoever knows the rest.
    let guess = {
        let mut request = alice.registration.clone();
        request.auth_key = random::<32>().to_vec().into();
        request
    };
    let guessed = http().post(server.url("/v1/accounts")).json(&guess).send().await.unwrap();
    assert_eq!(guessed.status(), 409);
    alice.log_in().await;

    // Once each is an entry by now. What comes again within a minute is counted, and written when the minute is over.
    let once: [(_, i64); 8] = [
        (("register", "done"), 1),
        (("sign_in", "wrong_proof"), 2),
        (("sign_in", "done"), 3),
        (("refresh", "token_reused"), 1),
        (("change_device_list", "done"), 1),
        (("sign_out", "done"), 1),
        (("sign_out_everywhere", "done"), 1),
        (("register", "wrong_passphrase"), 1),
    ];
    let expected =
        once.iter().map(|(deed, times)| (*deed, times.unsigned_abs())).collect::<BTreeMap<_, u64>>();
    let mut shown = Vec::new();
    eventually("all is written", async || {
        shown = activity(&alice, 4).await;
        deeds(&shown).len() == expected.len()
    })
    .await;
    let found = deeds(&shown);
    assert!(found.iter().all(|(deed, times)| *times <= expected[deed]), "{found:?}");
    assert!(shown.is_sorted_by_key(|entry| std::cmp::Reverse(entry.seq)));
    for entry in &shown {
        let proved = entry.outcome == "done";
        assert_eq!(entry.actor, if proved { "account" } else { "unknown" });
        assert_eq!(entry.device_id, Some(alice.id));
        assert_eq!(entry.from.as_deref(), Some("127.0.0.0/24"));
    }
    assert!(activity(&alice, 200).await.len() >= shown.len());
    assert_eq!(deeds(&activity(&mallory, 200).await), BTreeMap::from([(("register", "done"), 1)]));
    for bad in ["limit=-1", "before=x", "who=bob"] {
        let asked = alice.get::<Activity>(&format!("/v1/account/activity?{bad}")).await;
        assert_eq!(asked.unwrap_err(), FaultCode::BadRequest, "{bad}");
    }

    // What nobody's account has to do with is in the log, too. Nothing in it names or lets in anybody.
    let database = server.stop().await;
    let all = entries(&database);
    let of_nobody: BTreeSet<_> = all
        .iter()
        .filter(|entry| entry.says.account.is_none())
        .map(|entry| (entry.says.act, entry.says.outcome))
        .collect();
    let expected = [
        (Act::SignIn, Outcome::WrongProof),
        (Act::Refresh, Outcome::BadToken),
        (Act::Access, Outcome::BadToken),
    ];
    assert_eq!(of_nobody, BTreeSet::from(expected));
    for ((act, outcome), times) in once {
        let of = all.iter().filter(|entry| {
            (entry.says.act.word(), entry.says.outcome.word()) == (act, outcome)
                && entry.says.account == Some(alice.account)
        });
        assert_eq!(of.map(|entry| entry.says.times).sum::<i64>(), times, "{act} {outcome}");
    }
    assert_eq!(verified(&database).unwrap().last, i64::try_from(all.len()).unwrap());
    let exported = run(&database, &["export"]);
    assert!(exported.contains(&alice.account.to_string()));
    let text = format!("{all:?}");
    for secret in [&alice.session.access_token, &alice.session.refresh_token, &first.refresh_token] {
        assert!(!text.contains(secret.as_str()) && !exported.contains(secret.as_str()));
    }
    assert!(!text.contains("alice") && !text.contains("mallory"));
}

/// Runs `qchatd admin audit`, which has to succeed.
fn run(database: &Database, args: &[&str]) -> String {
    let output = program::run(database, &[&["admin", "audit"], args].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Posts JSON from an address that a proxy vouches for; gives status and answer.
async fn post_from(client: &str, address: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: qchat\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(address, &[&proxied(client)[..], head.as_bytes()].concat()).await;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
    (status.unwrap_or_else(|| panic!("{answer}")), body.unwrap_or_default())
}

async fn a_thousand_wrong_sign_ins_are_a_few_entries(database: Database) {
    const WRONG: u32 = 1_000;
    let config = database.config(&[
        ("proxy_protocol", "true"),
        ("address_logins_per_minute", "100"),
        ("address_connections_per_second", "0"),
    ]);
    let alice = Device::unregistered("alice");
    let server = Server::start_with(database, config).await;
    let address = server.address();
    let registered = post_from("203.0.113.7:1", address, "/v1/accounts", &json!(alice.registration)).await;
    assert_eq!(registered.0, 201);
    // Against Alice from one address; then in the names of ever other accounts, from ever other addresses.
    let wrong = |account: AccountId, device: DeviceId| json!({"account_id": account, "device_id": device, "nonce": "", "signature": ""});
    let forged = async || {
        let asked = json!({"account_id": alice.account, "device_id": alice.id});
        let (_, answer) = post_from("203.0.113.7:1", address, "/v1/sessions/challenge", &asked).await;
        json!({"account_id": alice.account, "device_id": alice.id, "nonce": answer["nonce"], "signature": ""})
    };
    let (mut limited, mut attempt) = (0, Value::Null);
    for number in 0..WRONG {
        if number % 100 == 0 {
            attempt = forged().await;
        }
        let (status, _) = post_from("203.0.113.99:1", address, "/v1/sessions", &attempt).await;
        limited += u32::from(status == 429);
        assert!(matches!(status, 401 | 429), "{status}");
        let somebody = wrong(AccountId::from_bytes(random()), DeviceId::from_bytes(random()));
        let client = format!("10.{}.{}.1:1", number / 256, number % 256);
        assert_eq!(post_from(&client, address, "/v1/sessions", &somebody).await.0, 401);
    }
    assert!(limited > 0);
    let database = server.stop().await;
    let all = entries(&database);
    let times = |outcome, account: Option<AccountId>| -> i64 {
        let of = all.iter().filter(|entry| entry.says.outcome == outcome && entry.says.account == account);
        of.map(|entry| entry.says.times).sum()
    };
    // Nothing is lost in the counting.
    assert_eq!(times(Outcome::WrongProof, Some(alice.account)), i64::from(WRONG - limited));
    assert_eq!(times(Outcome::WrongProof, None), i64::from(WRONG));
    assert_eq!(times(Outcome::RateLimited, None), i64::from(limited));
    // Some 70 kinds in each minute that it took, twice each at most.
    assert!(all.len() < 600, "{}", all.len());
    let alices: Vec<_> = all.iter().filter(|entry| entry.says.account == Some(alice.account)).collect();
    let from: BTreeSet<_> = alices.iter().map(|entry| entry.says.peer.as_deref()).collect();
    assert_eq!(from, BTreeSet::from([Some("203.0.113.0/24")]));
    assert_eq!(verified(&database).unwrap().last, i64::try_from(all.len()).unwrap());
}

async fn what_waits_is_written_at_a_drain(database: Database) {
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    for _ in 0..5 {
        let bad = http().get(server.url("/v1/rooms")).bearer_auth("forged").send().await.unwrap();
        assert_eq!(bad.status(), 401);
    }
    let database = server.stop().await;
    let all: Vec<_> = entries(&database)
        .into_iter()
        .map(|entry| (entry.says.act, entry.says.account, entry.says.times))
        .collect();
    let expected = [(Act::Register, Some(alice.account), 1), (Act::Access, None, 1), (Act::Access, None, 4)];
    assert_eq!(all, expected);
    // The chain goes on where it was.
    let server = Server::start(database).await;
    Device::register(&server, "bob").await;
    let database = server.stop().await;
    assert_eq!(verified(&database).unwrap().last, 4);
}

/// A chain of `count` entries, by itself.
fn chain(database: &Database, count: i64) {
    let mut conn = database.connect();
    for number in 0..count {
        let says = Draft {
            account: Some(AccountId::from_bytes([1; 16])),
            peer: Some("203.0.113.0/24".to_owned()),
            ..Draft::new(1_000 + number, Act::SignIn, Outcome::Done, Actor::Account)
        };
        audit::append(&mut conn, &[says]).unwrap();
    }
}

/// What whoever rules the database can do to the log.
fn tamper(database: &Database, sql: &str) {
    let (off, on) = if database.is_postgres() {
        ("ALTER TABLE audit DISABLE TRIGGER USER", "ALTER TABLE audit ENABLE TRIGGER USER")
    } else {
        ("DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_kept", "")
    };
    database.execute(off);
    for statement in sql.split(';').filter(|statement| !statement.trim().is_empty()) {
        database.execute(statement);
    }
    if !on.is_empty() {
        database.execute(on);
    }
}

async fn the_first_entry_that_is_not_what_was_written_is_named(database: Database) {
    let fresh: fn() -> Database = if database.is_postgres() { Database::postgres } else { Database::sqlite };
    let blob = |bytes: &[u8]| {
        let hex = hex::encode(bytes);
        if database.is_postgres() { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") }
    };
    let hash = blob(&[7; 48]);
    let rows = [
        ("nothing", String::new(), Ok(())),
        ("another act", "UPDATE audit SET act = 5 WHERE seq = 7".to_owned(), Err((7, Why::Altered))),
        (
            "an act that there is not",
            "UPDATE audit SET act = 250 WHERE seq = 7".to_owned(),
            Err((7, Why::Altered)),
        ),
        (
            "another account",
            format!("UPDATE audit SET account_id = {} WHERE seq = 7", blob(&[2; 16])),
            Err((7, Why::Altered)),
        ),
        ("another time", "UPDATE audit SET first_at = 1 WHERE seq = 1".to_owned(), Err((1, Why::Altered))),
        (
            "another address",
            "UPDATE audit SET peer = NULL WHERE seq = 20".to_owned(),
            Err((20, Why::Altered)),
        ),
        ("another hash", format!("UPDATE audit SET hash = {hash} WHERE seq = 7"), Err((7, Why::Altered))),
        (
            "two that have changed places",
            "UPDATE audit SET seq = 99 WHERE seq = 7; UPDATE audit SET seq = 7 WHERE seq = 8; \
             UPDATE audit SET seq = 8 WHERE seq = 99"
                .to_owned(),
            Err((7, Why::Altered)),
        ),
        ("one is gone", "DELETE FROM audit WHERE seq = 7".to_owned(), Err((7, Why::Missing))),
        ("the first is gone", "DELETE FROM audit WHERE seq = 1".to_owned(), Err((1, Why::Forgotten))),
        ("the last is gone", "DELETE FROM audit WHERE seq = 20".to_owned(), Err((19, Why::Cut))),
        ("all are gone", "DELETE FROM audit".to_owned(), Err((0, Why::Cut))),
        (
            "one was put past the end",
            format!(
                "INSERT INTO audit (seq, first_at, last_at, times, act, outcome, actor, hash) \
                 VALUES (21, 1, 1, 1, 1, 1, 1, {hash})"
            ),
            Err((21, Why::Altered)),
        ),
        ("the end is another", format!("UPDATE audit_head SET hash = {hash}"), Err((20, Why::Cut))),
    ];
    for (what, sql, outcome) in rows {
        let database = fresh();
        qchatd::store::migrate(&database.url.parse().unwrap()).unwrap();
        chain(&database, 20);
        tamper(&database, &sql);
        let found = verified(&database);
        assert_eq!(found.map(drop).map_err(|broken| (broken.seq, broken.why)), outcome, "{what}");
        let told = program::run(&database, &["admin", "audit", "verify"]);
        let said = String::from_utf8_lossy(&told.stderr).into_owned();
        match outcome {
            Ok(()) => assert_eq!(told.status.code(), Some(0), "{what}: {said}"),
            Err((seq, _)) => {
                assert_eq!(told.status.code(), Some(6), "{what}: {said}");
                assert!(said.contains(&seq.to_string()), "{what}: {said}");
            }
        }
    }

    // A log that was written anew from a place on holds by itself, and has not the hash that was kept.
    let database = fresh();
    qchatd::store::migrate(&database.url.parse().unwrap()).unwrap();
    chain(&database, 20);
    let kept = hex::encode(verified(&database).unwrap().hash);
    let told: Value =
        serde_json::from_str(&run(&database, &["verify", "--json", "--includes", &kept])).unwrap();
    assert_eq!(told, json!({"v": 1, "audit": {"first": 1, "last": 20, "hash": kept}}));
    chain(&database, 1);
    run(&database, &["verify", "--includes", &kept]);
    let before = entries(&database)[14].hash;
    let to_15 =
        format!("DELETE FROM audit WHERE seq > 15; UPDATE audit_head SET seq = 15, hash = {}", blob(&before));
    tamper(&database, &to_15);
    chain(&database, 6);
    run(&database, &["verify"]);
    let told = program::run(&database, &["admin", "audit", "verify", "--includes", &kept]);
    assert_eq!(told.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&told.stderr).contains("was replaced"));
}

async fn the_database_lets_nobody_change_the_audit_log(database: Database) {
    use diesel::connection::SimpleConnection;

    qchatd::store::migrate(&database.url.parse().unwrap()).unwrap();
    chain(&database, 3);
    let mut forbidden =
        vec!["UPDATE audit SET times = 2", "DELETE FROM audit WHERE seq = 3", "DELETE FROM audit"];
    if database.is_postgres() {
        forbidden.push("TRUNCATE audit");
    }
    for sql in forbidden {
        assert!(database.connect().batch_execute(sql).is_err(), "{sql}");
    }
    assert_eq!(verified(&database).unwrap().last, 3);
    // Entries that make no sense have no place in it either.
    let mut conn = database.connect();
    let nonsense = Draft { last_at: 1, ..Draft::new(2, Act::Backup, Outcome::Done, Actor::Operator) };
    assert!(matches!(audit::append(&mut conn, &[nonsense]), Err(StoreError::Query(_))));
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

async fn what_was_kept_for_its_time_goes_and_the_chain_holds(database: Database) {
    qchatd::store::migrate(&database.url.parse().unwrap()).unwrap();
    let age = |hours: u32| {
        database.execute(&format!(
            "WITH RECURSIVE passed (hour) AS (SELECT 1 UNION ALL SELECT hour + 1 FROM passed WHERE hour < {hours}) \
             INSERT INTO hours (id, noted_at, envelope, key_package, audit) \
             SELECT hour + (SELECT coalesce(max(id), 0) FROM hours), 0, 0, 0, (SELECT seq FROM audit_head) FROM passed"
        ));
    };
    let sweep = |days: &str| -> u64 {
        let output = program::run(&database, &["admin", "sweep", "--json", "--audit-retention-days", days]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        said["swept"]["audit"].as_u64().unwrap()
    };
    // More than go at once.
    chain(&database, 1_203);
    age(1);
    assert_eq!(sweep("1"), 0, "they are an hour old");
    age(48);
    assert_eq!((sweep("0"), sweep("3")), (0, 0));
    // The sweeps before are entries, too, of which the first is as old.
    assert_eq!(sweep("1"), 1_204);
    let whole = verified(&database).unwrap();
    assert_eq!((whole.first, sweep("1")), (1_205, 0), "not again on the same day");
    let all = entries(&database);
    let forgotten: Vec<_> =
        all.iter().filter_map(|entry| entry.says.deleted).map(|deleted| deleted.until).collect();
    assert_eq!(forgotten, [500, 1_000, 1_204]);
    // The hash of what is gone stands for it: another in its place breaks the chain.
    let checkpoint = all.iter().rfind(|entry| entry.says.deleted.is_some()).unwrap().seq;
    let (hash, flipped) = if database.is_postgres() {
        ("deleted_hash", "set_byte(deleted_hash, 0, 255 - get_byte(deleted_hash, 0))")
    } else {
        ("deleted_hash", "zeroblob(48)")
    };
    age(49);
    assert!(sweep("1") > 0);
    let whole = verified(&database).unwrap();
    assert!(whole.first > checkpoint);
    tamper(&database, &format!("UPDATE audit SET {hash} = {flipped} WHERE deleted_until IS NOT NULL"));
    let broken = verified(&database).unwrap_err();
    assert_eq!(broken.why, Why::Altered);
    let left: Count =
        sql_query("SELECT count(*) AS count FROM audit").get_result(&mut database.connect()).unwrap();
    assert!(left.count < 20, "{}", left.count);
}

async fn what_operators_do_is_noted(database: Database) {
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    let bob = Device::register(&server, "bob").await;
    eventually("both are noted", async || {
        activity(&alice, 9).await.len() == 1 && activity(&bob, 9).await.len() == 1
    })
    .await;
    let database = server.stop().await;
    let backup = database.dir.path().join("copy");
    let copied = program::run(&database, &["backup", backup.to_str().unwrap()]).status.code();
    assert_eq!(copied, Some(if database.is_postgres() { 2 } else { 0 }));
    assert_eq!(program::run(&database, &["keys", "rotate"]).status.code(), Some(0));
    assert_eq!(program::run(&database, &["admin", "sweep"]).status.code(), Some(0));
    assert_eq!(program::run(&database, &["admin", "seed", "--accounts", "1"]).status.code(), Some(6));
    let listed = run(&database, &["list", "--account", "alice", "--json"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let line: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    assert_eq!((&line["act"], &line["name"], &line["seq"]), (&json!("register"), &json!("alice"), &json!(1)));
    // That somebody read what is noted about Alice is about Alice.
    let listed = run(&database, &["list", "--account", &alice.account.to_string()]);
    let words: Vec<_> = listed.lines().collect();
    assert_eq!(words.len(), 3, "{listed}");
    assert!(
        words[0].contains(&format!("register done by account, account alice ({})", alice.account)),
        "{listed}"
    );
    assert!(words[1].contains("read_audit done by operator, account alice"), "{listed}");

    let file = database.dir.path().join("exported.jsonl");
    run(&database, &["export", "--output", file.to_str().unwrap()]);
    let exported = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let deeds: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["act"].as_str().unwrap(),
                line["outcome"].as_str().unwrap(),
                line["actor"].as_str().unwrap(),
            )
        })
        .collect();
    let copied = if database.is_postgres() { "failed" } else { "done" };
    let expected = [
        ("register", "done", "account"),
        ("register", "done", "account"),
        ("backup", copied, "operator"),
        ("rotate_keys", "done", "operator"),
        ("sweep", "done", "operator"),
        ("seed", "failed", "operator"),
        ("read_audit", "done", "operator"),
        ("read_audit", "done", "operator"),
        ("read_audit", "done", "operator"),
    ];
    assert_eq!(deeds, expected);
    // Never over anything, and only what was asked for.
    let again = program::run(&database, &["admin", "audit", "export", "--output", file.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(run(&database, &["export", "--since", "2999-01-01"]), "");
    assert_eq!(run(&database, &["list", "--limit", "2"]).lines().count(), 2);
    let nobody = program::run(&database, &["admin", "audit", "list", "--account", "nobody"]);
    assert_eq!(nobody.status.code(), Some(1));
    run(&database, &["verify"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_add_to_one_chain_and_no_message_waits_for_it() {
    let database = Database::postgres();
    let config = database.config(&[]);
    let first = Server::start(database).await;
    let second = Daemon::start(config).await.unwrap();
    let mut people = Vec::new();
    for number in 0..4 {
        people.push(Device::register(&first, &format!("user-{number}")).await);
    }
    let addresses = [first.address().to_string(), second.address().unwrap().to_string()];
    for _ in 0..5 {
        for (person, address) in people.iter_mut().zip(addresses.iter().cycle()) {
            person.is_at(address);
            person.log_in().await;
            person.call::<(), ()>(Method::DELETE, "/v1/sessions", None).await.unwrap();
        }
    }
    // Somebody holds the end of the chain: messages go on.
    let mut alice = people.swap_remove(0);
    alice.log_in().await;
    let room = alice.create_room().await;
    let mut socket = Socket::connect(&alice).await;
    let mut held = first.database.connect();
    sql_query("BEGIN").execute(&mut held).unwrap();
    let _: Count = sql_query("SELECT seq AS count FROM audit_head FOR UPDATE").get_result(&mut held).unwrap();
    for seq in 1..=20 {
        let envelope = crate::support::socket::envelope(&alice, room, 0, "text");
        assert_eq!(socket.publish(&envelope).await, crate::support::socket::Published::Accepted(seq));
        assert_eq!(socket.delivered(room).await, seq);
    }
    sql_query("COMMIT").execute(&mut held).unwrap();
    drop(socket);
    second.stop().await;
    let database = first.stop().await;
    let all = entries(&database);
    assert_eq!(verified(&database).unwrap().last, i64::try_from(all.len()).unwrap());
    let signed_in = all.iter().filter(|entry| entry.says.act == Act::SignIn);
    assert_eq!(signed_in.map(|entry| entry.says.times).sum::<i64>(), 21);
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_kept_as_coarsely_as_is_configured() {
    for (setting, kept) in
        [("none", None), ("prefix", Some("2001:db8:7::/48")), ("full", Some("2001:db8:7:7::7"))]
    {
        let database = Database::sqlite();
        let config = database.config(&[("proxy_protocol", "true"), ("audit_addresses", setting)]);
        let server = Server::start_with(database, config).await;
        let alice = Device::unregistered("alice");
        let registration = json!(alice.registration);
        let (status, _) =
            post_from("[2001:db8:7:7::7]:1", server.address(), "/v1/accounts", &registration).await;
        assert_eq!(status, 201);
        let database = server.stop().await;
        let all = entries(&database);
        assert_eq!(all[0].says.peer.as_deref(), kept, "{setting}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_noted_half_a_second_ago_outlives_a_killed_daemon() {
    let database = Database::sqlite();
    let mut program = Program::start(&database).await;
    let mut alice = Device::unregistered("alice");
    alice.is_at(&program.address);
    let registered = http()
        .post(format!("http://{}/v1/accounts", program.address))
        .json(&alice.registration)
        .send()
        .await
        .unwrap();
    alice.session = registered.json().await.unwrap();
    eventually("it is written", async || !activity(&alice, 9).await.is_empty()).await;
    program.kill();
    assert_eq!(verified(&database).unwrap().last, 1);
}
