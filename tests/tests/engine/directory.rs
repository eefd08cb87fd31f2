//! A server that says false things of accounts, or shows people different key directories, is found out.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use qchat_cli::{
    engine::{DirectoryFault, EngineError, types::Body},
    store::Tx,
};
use qchat_proto::{ids::RoomId, transparency::Label};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    device::{self, Device},
    http, operator,
    proxy::{Answer, Proxy, Request},
};
use serde_json::Value;

use crate::person::{Person, eventually, eventually_async, room, trouble};

/// Whether it asks for the account of this name.
fn asks_for(request: &Request, name: &str) -> bool {
    request.is("GET", &format!("/v1/accounts/by-name/{name}"))
}

/// Lets somebody be looked up as an invitation does; why that is refused.
async fn refusal(person: &Person, name: &str) -> EngineError {
    let room = person.engine.create_room("a room".to_owned()).await.unwrap();
    person.engine.invite(room, vec![name.parse().unwrap()]).await.unwrap_err()
}

/// Whether this device has taken over anything about somebody.
fn is_pinned(person: &Person, name: &str) -> bool {
    let name = name.parse().unwrap();
    person.profile.read(|tx: &mut Tx| tx.contact_by_name(&name)).unwrap().is_some()
}

/// Another byte in the middle of what stands there in base64url.
fn spoil(value: &mut Value) {
    let mut bytes = URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    *value = Value::from(URL_SAFE_NO_PAD.encode(bytes));
}

type Lie = fn(&mut Value);

#[tokio::test(flavor = "multi_thread")]
async fn what_the_key_directory_does_not_say_of_somebody_is_not_believed() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let mallory = Person::register(&daemon.url(), "mallory").await;
    alice.through(&proxy).await;
    alice.engine.sync().await.unwrap();

    // Other keys under the true name and account, or under another account; all properly signed, the tree honest.
    let swapped = device::directory("bob", bob.engine.me().account);
    let elsewhere = device::directory("bob", mallory.engine.me().account);
    for other in [swapped, elsewhere] {
        proxy.at_requests(move |request| {
            if asks_for(request, "bob") { Answer::other_account(&other) } else { Answer::Genuine }
        });
        let error = refusal(&alice, "bob").await;
        assert!(matches!(&error, EngineError::Directory(DirectoryFault::False { .. })), "{error}");
        assert_eq!(error.exit_code(), 6);
        assert!(!is_pinned(&alice, "bob"));
    }

    // A proof that is none.
    let lies: [(&str, Lie); 5] = [
        ("the proof of the account", |answer| spoil(&mut answer["proof"]["account"]["proof"])),
        ("the proof of the name", |answer| spoil(&mut answer["proof"]["name"]["proof"])),
        ("a salt", |answer| spoil(&mut answer["proof"]["account"]["salt"])),
        ("one proof for the other", |answer| {
            answer["proof"]["name"] = answer["proof"]["account"].clone();
        }),
        ("the head", |answer| spoil(&mut answer["proof"]["head"])),
    ];
    for (what, lie) in lies {
        proxy.at_requests(
            move |request| {
                if asks_for(request, "bob") { Answer::changed(lie) } else { Answer::Genuine }
            },
        );
        let error = refusal(&alice, "bob").await;
        let refused =
            matches!(&error, EngineError::Directory(DirectoryFault::False { .. } | DirectoryFault::Head(_)));
        assert!(refused && error.exit_code() == 6, "{what}: {error}");
        assert!(!is_pinned(&alice, "bob"), "{what}");
    }

    // None at all, and one that is promised and never comes.
    let missing: [(bool, &str); 2] = [(false, "does not prove"), (true, "has not put bob into")];
    for (pending, said) in missing {
        proxy.at_requests(move |request| {
            if !asks_for(request, "bob") {
                return Answer::Genuine;
            }
            Answer::changed(move |answer| {
                answer.as_object_mut().unwrap().remove("proof");
                answer["pending"] = Value::from(pending);
            })
        });
        let error = refusal(&alice, "bob").await;
        assert!(error.to_string().contains(said) && error.exit_code() == 6, "{error}");
        assert!(!is_pinned(&alice, "bob"));
    }

    proxy.at_requests(|_| Answer::Genuine);
    room("tea", &[&alice, &bob]).await;
    assert!(is_pinned(&alice, "bob"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_back_in_its_directory_is_refused_by_name() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Person::register(&daemon.url(), "alice").await;
    let _bob = Person::register(&daemon.url(), "bob").await;
    alice.through(&proxy).await;
    alice.engine.sync().await.unwrap();

    // The answer of now, kept by the server for later.
    let kept: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let keeping = Arc::clone(&kept);
    proxy.at_requests(move |request| {
        if !asks_for(request, "bob") {
            return Answer::Genuine;
        }
        let keeping = Arc::clone(&keeping);
        Answer::Changed(Box::new(move |body| {
            *keeping.lock().unwrap() = Some(body.clone());
            body
        }))
    });
    alice.engine.key_log("bob".parse().unwrap()).await.unwrap();
    let _carol = Person::register(&daemon.url(), "carol").await;
    alice.engine.key_log("carol".parse().unwrap()).await.unwrap();

    let old = kept.lock().unwrap().clone().unwrap();
    proxy.at_requests(move |request| {
        if asks_for(request, "bob") { Answer::False(200, old.clone()) } else { Answer::Genuine }
    });
    let error = refusal(&alice, "bob").await;
    assert!(matches!(&error, EngineError::Directory(DirectoryFault::RolledBack { .. })), "{error}");
    assert_eq!(error.exit_code(), 6);
    // It stays known.
    let evidence = alice.profile.read(Tx::evidence).unwrap();
    assert!(evidence.iter().any(|kept| kept.what.contains("gone back") && kept.theirs.is_some()));
    proxy.at_requests(|_| Answer::Genuine);
    alice.engine.key_log("bob".parse().unwrap()).await.unwrap();
}

/// A second daemon with everything that the first one has: who owns both can show people either.
fn fork(daemon: &mut Daemon) -> Daemon {
    assert!(daemon.stop().success());
    let from = daemon.data_directory();
    let fork = Daemon::start_with(Backend::Sqlite, |directory| {
        let to = directory.join("data");
        fs::create_dir(&to).unwrap();
        for file in fs::read_dir(&from).unwrap() {
            let file = file.unwrap();
            // What people have sent lies in a directory: there is nothing.
            if file.file_type().unwrap().is_file() {
                fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }
        vec![]
    });
    daemon.restart();
    fork
}

/// What the fork answers to a request about the directory.
fn forked_answer(fork: &str, token: &str, path: &str) -> Answer {
    let (url, token) = (format!("{fork}{path}"), token.to_owned());
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async move {
            let answer = http::client().get(url).bearer_auth(token).send().await.unwrap();
            (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
        })
    });
    let (status, body) = asking.join().unwrap();
    Answer::False(status, body)
}

/// The warnings of a room's timeline.
async fn warnings(person: &Person, room: RoomId) -> Vec<String> {
    let lines = person.engine.timeline(room, None, 100).await.unwrap();
    let warning = |body| match body {
        Body::Warning(text) => Some(text),
        _ => None,
    };
    lines.into_iter().filter_map(|line| warning(line.body)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_who_are_shown_different_directories_find_out_as_soon_as_they_talk() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    alice.say(tea, "before").await;
    assert_eq!(bob.texts(tea, 1).await, ["before"]);
    alice.stop().await;
    bob.stop().await;

    // From here on the server keeps two directories, and shows bob the other one.
    let fork = fork(&mut daemon);
    let spy = Device::register(&fork.url(), "dora").await;
    let proxy = Proxy::start(daemon.address());
    let (url, token) = (fork.url(), spy.session.access_token.clone());
    proxy.at_requests(move |request| {
        let of_the_directory =
            ["/v1/accounts/", "/v1/directory/"].iter().any(|path| request.path.starts_with(path));
        if request.method == "GET" && of_the_directory {
            return forked_answer(&url, &token, &request.path);
        }
        Answer::Genuine
    });
    let mut alice = alice;
    let direct = Proxy::start(daemon.address());
    alice.through(&direct).await;
    let _carol = Person::register(&daemon.url(), "carol").await;
    alice.engine.key_log("carol".parse().unwrap()).await.unwrap();
    bob.through(&proxy).await;
    bob.engine.key_log("dora".parse().unwrap()).await.unwrap();

    // Nobody can tell, until one of them says something.
    assert_eq!(warnings(&bob, tea).await, Vec::<String>::new());
    let mut events = bob.engine.events();
    alice.say(tea, "hello").await;
    trouble(&mut events, "different directories").await;
    let said = warnings(&bob, tea).await;
    assert!(said.iter().any(|said| said.contains("alice") && said.contains("at epoch")), "{said:?}");
    let evidence = bob.profile.read(Tx::evidence).unwrap();
    assert!(evidence.iter().any(|kept| kept.ours.is_some() && kept.theirs.is_some()), "{evidence:?}");

    // Nor can the server go back to one directory for both.
    proxy.at_requests(|_| Answer::Genuine);
    let error = refusal(&bob, "carol").await;
    let known = matches!(
        &error,
        EngineError::Directory(DirectoryFault::Forked { .. } | DirectoryFault::RolledBack { .. })
    );
    assert!(known && error.exit_code() == 6, "{error}");
    // Unless its user says so.
    bob.engine.accept_directory().await.unwrap();
    bob.engine.key_log("carol".parse().unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_kept_at_an_old_head_learns_it_from_whoever_sees_a_newer_one() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    bob.through(&proxy).await;

    // From here on the head of now is the newest for bob.
    let kept: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    proxy.at_requests(move |request| {
        if !request.is("GET", "/v1/directory/head") {
            return Answer::Genuine;
        }
        if let Some(old) = kept.lock().unwrap().clone() {
            return Answer::False(200, old);
        }
        let kept = Arc::clone(&kept);
        Answer::Changed(Box::new(move |body| {
            *kept.lock().unwrap() = Some(body.clone());
            body
        }))
    });
    bob.engine.audit_directory(None, |_| {}).await.unwrap();
    let _carol = Person::register(&daemon.url(), "carol").await;
    alice.engine.key_log("carol".parse().unwrap()).await.unwrap();
    let mut events = bob.engine.events();
    alice.say(tea, "hello").await;
    trouble(&mut events, "has not shown this device").await;
    assert!(warnings(&bob, tea).await.iter().any(|said| said.contains("alice")));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_who_are_shown_one_directory_are_warned_of_nothing() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    for number in 0..3 {
        // Each has seen another epoch, the one sooner than the other.
        let name = format!("person-{number}");
        let _more = Person::register(&daemon.url(), &name).await;
        let (one, other) = if number % 2 == 0 { (&alice, &bob) } else { (&bob, &alice) };
        one.engine.key_log(name.parse().unwrap()).await.unwrap();
        one.say(tea, &name).await;
        other.texts(tea, number + 1).await;
        eventually("what was heard is compared", || {
            other.profile.read(Tx::heard).unwrap().is_empty().then_some(())
        })
        .await;
    }
    for person in [&alice, &bob] {
        assert_eq!(warnings(person, tea).await, Vec::<String>::new());
        assert_eq!(person.profile.read(Tx::evidence).unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_says_of_an_account_without_its_owner_is_shown_to_its_owner() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let me = alice.engine.me().account;
    // What this device has said itself is nothing to be told.
    alice.engine.key_log("alice".parse().unwrap()).await.unwrap();
    alice.stop().await;
    assert_eq!(alice.profile.read(Tx::evidence).unwrap(), []);

    let name = "alice".parse().unwrap();
    let [mut entry, mut mapping] = [vec![1, 2], vec![1, 1]];
    entry.extend(me.as_bytes());
    entry.extend([7; 104]);
    mapping.extend([9; 16]);
    operator::say(&daemon, me, Label::Account(me), &entry);
    operator::say(&daemon, me, Label::Name(&name), &mapping);
    // Published by itself, within seconds.
    let spy = Device::register(&daemon.url(), "spy").await;
    let history = format!("{}/v1/accounts/{me}/history", daemon.url());
    eventually_async("it is published", async || {
        let asked = http::client().get(&history).bearer_auth(&spy.session.access_token).send().await.unwrap();
        let told: Value = asked.json().await.unwrap();
        ["name", "account"].iter().all(|of| told[of]["said"].as_array().is_some_and(|said| said.len() == 2))
    })
    .await;

    let mut alice = alice;
    let direct = Proxy::start(daemon.address());
    alice.through(&direct).await;
    eventually("the owner is told", || (alice.profile.read(Tx::evidence).unwrap().len() == 2).then_some(()))
        .await;
    let told = alice.profile.read(Tx::evidence).unwrap();
    assert!(told.iter().any(|told| told.what.contains("given out other keys")), "{told:?}");
    assert!(told.iter().any(|told| told.what.contains("has given your name alice to account")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_loses_or_changes_anything_fails_its_audit() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Person::register(&daemon.url(), "alice").await;
    for name in ["bob", "carol"] {
        let _person = Person::register(&daemon.url(), name).await;
        alice.engine.key_log(name.parse().unwrap()).await.unwrap();
    }
    alice.through(&proxy).await;
    let spoilt: [(&str, Lie); 3] = [
        ("otherwise than by adding", |answer| spoil(&mut answer["epochs"][1]["grown"])),
        ("it has two", |answer| spoil(&mut answer["epochs"][1]["head"])),
        ("does not show", |answer| answer["epochs"] = Value::Array(vec![])),
    ];
    for (said, lie) in spoilt {
        proxy.at_requests(move |request| {
            let audits = request.path.starts_with("/v1/directory/audit");
            if audits { Answer::changed(lie) } else { Answer::Genuine }
        });
        let error = alice.engine.audit_directory(None, |_| {}).await.unwrap_err();
        assert!(error.to_string().contains(said), "{said}: {error}");
        assert_eq!(error.exit_code(), 6, "{said}: {error}");
    }
    proxy.at_requests(|_| Answer::Genuine);
    let report = alice.engine.audit_directory(None, |_| {}).await.unwrap();
    assert!(report.from == 0 && report.to >= 3 && report.leaves >= 6, "{report:?}");
    // The next one goes on from there; and any other epoch will do.
    let again = alice.engine.audit_directory(None, |_| {}).await.unwrap();
    assert_eq!((again.from, again.leaves), (report.to, 0));
    let part = alice.engine.audit_directory(Some(2), |_| {}).await.unwrap();
    assert_eq!((part.from, part.head), (2, report.head));
    assert!(matches!(alice.engine.audit_directory(Some(99), |_| {}).await, Err(EngineError::Invalid(_))));
}
