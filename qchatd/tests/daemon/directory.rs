//! The key directory: what is said of accounts is in it soon, proved, and there for good, without saying more than it
//! must.

use qchat_proto::{
    crypto::sign::DevicePublicKey,
    ids::AccountId,
    transparency::{
        AccountEntry, Label, NameEntry, Salt, SignedHead, TreeHead, empty_root, entry, verify_append,
        verify_history, verify_lookup, verify_path,
    },
    wire::{
        api::{
            Directory, DirectoryGrowth, DirectoryHead, DirectoryHistory, DirectoryProof, EntryHistory,
            EntryProof, PutDeviceList, ServerInfo,
        },
        fault::FaultCode,
    },
};
use qchatd::{server::Daemon, store};

use crate::{
    farewell,
    support::{
        Database, Device, Server,
        device::{list, random},
        eventually, on_both, program,
    },
};

on_both!(
    what_an_account_says_of_itself_is_proved_soon_and_each_change_after_it,
    the_directory_only_grows_and_any_two_of_its_heads_are_of_one_log,
    accounts_of_before_the_directory_come_into_it_at_the_start,
    an_erased_account_is_told_of_no_more_and_the_tree_is_as_it_was,
    a_directory_of_another_key_file_is_not_served_and_a_new_one_takes_its_operators_word,
);

async fn info(device: &Device) -> ServerInfo {
    device.get("/v1/server").await.unwrap()
}

/// A head that the server has signed.
async fn head(device: &Device, bytes: &[u8]) -> TreeHead {
    let info = info(device).await;
    let key = DevicePublicKey::from_bytes(info.directory_key.as_ref()).unwrap();
    SignedHead::verify(bytes, &key, info.server_id).unwrap().head
}

async fn newest(device: &Device) -> TreeHead {
    let answer: DirectoryHead = device.get("/v1/directory/head").await.unwrap();
    head(device, answer.head.as_ref()).await
}

/// What is said of an account, once it is in the directory.
async fn published(device: &Device, path: &str) -> (Directory, DirectoryProof) {
    let mut found = None;
    eventually("the entry is published", async || {
        let answer: Directory = device.get(path).await.unwrap();
        assert_eq!(answer.pending, answer.proof.is_none());
        found = answer.proof.clone().map(|proof| (answer, proof));
        found.is_some()
    })
    .await;
    found.unwrap()
}

fn salt(proof: &EntryProof) -> Salt {
    Salt(proof.salt.as_ref().try_into().unwrap())
}

/// Checks an answer as a client does; the versions of both entries.
fn check(head: &TreeHead, answer: &Directory, proof: &DirectoryProof, list_version: u64) -> (u64, u64) {
    let account = answer.account_id;
    let of_account =
        AccountEntry::of(account, answer.account_record.as_ref(), list_version, answer.device_list.as_ref());
    let (of_name, of_account) = (NameEntry { account }.encode(), of_account.encode());
    let holds = |label: Label<'_>, said: &[u8], proof: &EntryProof| {
        verify_lookup(head, label, &entry::commitment(&salt(proof), said), proof.proof.as_ref())
    };
    let name = holds(Label::Name(&answer.name), &of_name, &proof.name).unwrap();
    let found = holds(Label::Account(account), &of_account, &proof.account).unwrap();
    assert!(holds(Label::Account(account), &of_name, &proof.account).is_err());
    (name.version, found.version)
}

async fn what_an_account_says_of_itself_is_proved_soon_and_each_change_after_it(database: Database) {
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    let bob = Device::register(&server, "bob").await;
    for (path, person) in
        [("/v1/accounts/by-name/bob".to_owned(), &bob), (format!("/v1/accounts/{}", alice.account), &alice)]
    {
        let (answer, proof) = published(&alice, &path).await;
        assert_eq!(answer.account_record, person.registration.account_record);
        let head = head(&alice, proof.head.as_ref()).await;
        assert_eq!(check(&head, &answer, &proof, 1), (1, 1));
    }
    for version in 2..=3 {
        let device_list = list(bob.account, version, &[(bob.id, &bob.key)]).sign(&bob.identity).unwrap();
        let put = PutDeviceList { device_list: device_list.clone().into(), ..PutDeviceList::default() };
        bob.put("/v1/account/device-list", &put).await.unwrap();
        let (answer, proof) = published(&alice, "/v1/accounts/by-name/bob").await;
        assert_eq!(answer.device_list.as_ref(), device_list, "never the list of before");
        let head = head(&alice, proof.head.as_ref()).await;
        assert_eq!(check(&head, &answer, &proof, version), (1, version));
    }

    let path = format!("/v1/accounts/{}/history", bob.account);
    let history: DirectoryHistory = alice.get(&path).await.unwrap();
    let at = head(&alice, history.head.as_ref()).await;
    let held = |label: Label<'_>, history: &EntryHistory, recent: usize| {
        verify_history(&at, label, recent, history.proof.as_ref()).unwrap()
    };
    let name = held(Label::Name(&bob.name), &history.name, 200);
    assert_eq!(name.iter().map(|held| held.version).collect::<Vec<_>>(), [1]);
    let account = held(Label::Account(bob.account), &history.account, 200);
    assert_eq!(account.iter().map(|held| held.version).collect::<Vec<_>>(), [3, 2, 1]);
    for (held, told) in account.iter().zip(&history.account.said) {
        let salt = Salt(told.salt.as_ref().try_into().unwrap());
        assert_eq!(entry::commitment(&salt, told.said.as_ref()), held.commitment);
        let said = AccountEntry::decode(told.said.as_ref()).unwrap();
        assert_eq!((told.version, said.list_version), (held.version, held.version));
    }
    let recent: DirectoryHistory = alice.get(&format!("{path}?recent=2")).await.unwrap();
    let at = head(&alice, recent.head.as_ref()).await;
    let account = verify_history(&at, Label::Account(bob.account), 2, recent.account.proof.as_ref()).unwrap();
    assert_eq!(account.iter().map(|held| held.version).collect::<Vec<_>>(), [3, 2]);

    for (path, code) in [
        (format!("/v1/accounts/{}/history", AccountId::from_bytes(random())), FaultCode::NotFound),
        ("/v1/directory/head?since=x".to_owned(), FaultCode::BadRequest),
        ("/v1/directory/audit?from=-1".to_owned(), FaultCode::BadRequest),
        ("/v1/accounts/by-name/nobody?since=1".to_owned(), FaultCode::NotFound),
    ] {
        assert_eq!(alice.get::<serde_json::Value>(&path).await.unwrap_err(), code, "{path}");
    }
    let mut stranger = Device::unregistered("mallory");
    stranger.moved_to(&server);
    let refused = stranger.get::<DirectoryHead>("/v1/directory/head").await;
    assert_eq!(refused.unwrap_err(), FaultCode::Unauthenticated);
}

/// Checks that the directory has only grown since it was empty, and gives all its heads but that.
async fn audit(device: &Device) -> Vec<TreeHead> {
    let newest = newest(device).await;
    let mut heads: Vec<TreeHead> = vec![];
    while heads.last().map_or(0, |head| head.epoch) < newest.epoch {
        let from = heads.last().map_or(0, |head| head.epoch);
        let path = format!("/v1/directory/audit?from={from}&to={}", newest.epoch);
        let page: DirectoryGrowth = device.get(&path).await.unwrap();
        assert!(!page.epochs.is_empty() && page.newest >= newest.epoch);
        for step in page.epochs {
            let head = TreeHead::decode(step.head.as_ref()).unwrap();
            let before = heads.last().map_or_else(empty_root, |head| head.root);
            verify_append(&before, &head.root, head.epoch, step.grown.as_ref()).unwrap();
            if let Some(before) = heads.last() {
                assert_eq!((before.epoch + 1, before.hash()), (head.epoch, head.previous));
            }
            heads.push(head);
        }
    }
    assert_eq!(heads.last().map(TreeHead::hash), Some(newest.hash()));
    heads
}

async fn the_directory_only_grows_and_any_two_of_its_heads_are_of_one_log(database: Database) {
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    for number in 0..4 {
        published(&alice, "/v1/accounts/by-name/alice").await;
        let other = Device::register(&server, &format!("other-{number}")).await;
        published(&alice, &format!("/v1/accounts/{}", other.account)).await;
    }
    let heads = audit(&alice).await;
    assert!(heads.len() >= 4, "{}", heads.len());
    for head in &heads {
        let path = format!("/v1/directory/head?since={}", head.epoch);
        let answer: DirectoryHead = alice.get(&path).await.unwrap();
        let newest = self::head(&alice, answer.head.as_ref()).await;
        assert_eq!(verify_path(&newest, answer.path.as_ref(), head.epoch), Ok(head.hash()));
    }
    // Of an epoch that is yet to come nothing is said but the newest.
    let later: DirectoryHead = alice.get("/v1/directory/head?since=999").await.unwrap();
    assert!(later.path.as_ref().is_empty());
    let none: DirectoryGrowth = alice.get("/v1/directory/audit?from=999").await.unwrap();
    assert!(none.epochs.is_empty());
}

async fn accounts_of_before_the_directory_come_into_it_at_the_start(database: Database) {
    let output = program::run(&database, &["admin", "seed", "--accounts", "70", "--rooms", "0"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let server = Server::start(database).await;
    let mut alice = Device::register(&server, "alice").await;
    published(&alice, "/v1/accounts/by-name/user-70").await;
    let database = server.stop().await;

    // As a daemon of before left it.
    for table in ["entries", "values", "nodes", "heads"] {
        database.execute(&format!("DELETE FROM directory_{table}"));
    }
    let server = Server::start(database).await;
    alice.moved_to(&server);
    let names = (1..=70).map(|user| format!("user-{user}")).chain(["alice".to_owned()]);
    for name in names {
        let (answer, proof) = published(&alice, &format!("/v1/accounts/by-name/{name}")).await;
        let head = head(&alice, proof.head.as_ref()).await;
        assert_eq!(check(&head, &answer, &proof, 1), (1, 1), "{name}");
    }
    let heads = audit(&alice).await;
    // In few epochs.
    assert!(heads.len() < 12, "{}", heads.len());
    // An account of which a node that keeps no directory has said nothing is not passed over for good.
    server.database.execute("DELETE FROM directory_entries WHERE label <> salt");
    let unsaid: Directory = alice.get("/v1/accounts/by-name/user-2").await.unwrap();
    assert!(unsaid.pending && unsaid.proof.is_none());
    let (answer, proof) = published(&alice, "/v1/accounts/by-name/user-2").await;
    let head = self::head(&alice, proof.head.as_ref()).await;
    assert_eq!(check(&head, &answer, &proof, 1), (2, 2), "said again");
}

async fn an_erased_account_is_told_of_no_more_and_the_tree_is_as_it_was(database: Database) {
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    let bob = Device::register(&server, "bob").await;
    published(&alice, "/v1/accounts/by-name/bob").await;
    published(&alice, "/v1/accounts/by-name/alice").await;
    let before = newest(&alice).await;
    let mut conn = server.database.connect();
    assert_eq!(store::directory::said_of(&mut conn, bob.account).unwrap().len(), 2);
    farewell::delete(&server, &bob).await;
    assert!(store::directory::said_of(&mut conn, bob.account).unwrap().is_empty());

    let (answer, proof) = published(&alice, "/v1/accounts/by-name/alice").await;
    let head = self::head(&alice, proof.head.as_ref()).await;
    check(&head, &answer, &proof, 1);
    assert_eq!(head, before);
    assert_eq!(audit(&alice).await.last(), Some(&before));
    for path in ["/v1/accounts/by-name/bob".to_owned(), format!("/v1/accounts/{}/history", bob.account)] {
        let refused = alice.get::<serde_json::Value>(&path).await.unwrap_err();
        assert_eq!(refused, FaultCode::AccountDeleted, "{path}");
    }
}

async fn a_directory_of_another_key_file_is_not_served_and_a_new_one_takes_its_operators_word(
    database: Database,
) {
    let server = Server::start(database).await;
    let mut alice = Device::register(&server, "alice").await;
    published(&alice, "/v1/accounts/by-name/alice").await;
    let database = server.stop().await;
    let key = database.dir.path().join("token.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let refused = Daemon::start(database.config(&[])).await.err().unwrap().to_string();
    assert!(refused.contains("token key file"), "{refused}");
    std::fs::write(&key, kept).unwrap();
    let server = Server::start(database).await;
    alice.moved_to(&server);
    let before = info(&alice).await.directory_key;
    let database = server.stop().await;

    std::fs::remove_file(&key).unwrap();
    let output = program::run(&database, &["keys", "reset-directory"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let server = Server::start(database).await;
    alice.moved_to(&server);
    alice.log_in().await;
    assert_ne!(info(&alice).await.directory_key, before);
    let (answer, proof) = published(&alice, "/v1/accounts/by-name/alice").await;
    let head = head(&alice, proof.head.as_ref()).await;
    assert_eq!(check(&head, &answer, &proof, 1), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_share_a_database_keep_one_directory() {
    let database = Database::postgres();
    let [first, second] = [database.config(&[]), database.config(&[])];
    let (first, second) = (Daemon::start(first).await.unwrap(), Daemon::start(second).await.unwrap());
    let at = |daemon: &Daemon| daemon.address().unwrap().to_string();
    let mut people = vec![];
    for number in 0..6 {
        let mut person = Device::unregistered(&format!("person-{number}"));
        person.is_at(&at(if number % 2 == 0 { &first } else { &second }));
        people.push(person);
    }
    let registering = people.iter().map(|person| async {
        person.post::<_, qchat_proto::wire::api::Session>("/v1/accounts", &person.registration).await.unwrap()
    });
    let sessions = futures_util::future::join_all(registering).await;
    for (person, session) in people.iter_mut().zip(sessions) {
        person.session = session;
    }
    for person in &people {
        let (answer, proof) = published(&people[0], &format!("/v1/accounts/by-name/{}", person.name)).await;
        let head = head(&people[0], proof.head.as_ref()).await;
        assert_eq!(check(&head, &answer, &proof, 1), (1, 1));
    }
    let (one, other) = (audit(&people[0]).await, audit(&people[1]).await);
    assert_eq!(one, other);
    first.stop().await;
    second.stop().await;
}
