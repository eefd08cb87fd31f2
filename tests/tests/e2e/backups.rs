//! Backups: made without the words, restored by them on a machine that has nothing, refused where they are not whole, true and
//! the newest that the client knows of; and gone on with wherever a program was killed.

use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    time::Instant,
};

use qchat_cli::{store::Profile, vault};
use qchat_proto::{crypto::entropy::SystemEntropy, identity::backup::BackupSecret, wire::fault::FaultCode};
use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    on_both,
    process::DEADLINE,
    proxy::{Answer, Proxy, Request},
};
use serde_json::Value;

on_both!(a_lost_machine_comes_back_by_its_words, what_a_device_has_at_the_server_goes_with_it);

fn words(client: &Client) -> String {
    client.recovery_file().to_str().expect("a UTF-8 path").to_owned()
}

/// Restores `lost` on a machine that has nothing.
fn restore(lost: &Client, new: &Client, more: &[&str]) -> Vec<Value> {
    let words = words(lost);
    new.json(&[&["backup", "restore", lost.name(), "--recovery-file", &words, "--yes"], more].concat())
}

fn refused(lost: &Client, new: &Client, code: i32) -> String {
    let words = words(lost);
    new.fails(code, &["backup", "restore", lost.name(), "--recovery-file", &words, "--yes"])
}

fn made(client: &Client) -> Value {
    client.json(&["backup", "create"]).remove(0)
}

fn a_lost_machine_comes_back_by_its_words(backend: Backend) {
    let daemon = Daemon::start(backend);
    let mut users = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    users.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &users;
    client::room("general", &[alice, bob]);
    alice.ok(&["send", "general", "one"]);
    bob.ok(&["send", "general", "two"]);
    alice.ok(&["history", "general"]);

    // Only what is new travels, and no words are needed.
    let first = made(alice);
    assert_eq!((&first["version"], &first["messages"]), (&1.into(), &2.into()), "{first}");
    assert!(first["sent_chunks"].as_u64() >= Some(3), "{first}");
    let second = made(alice);
    assert_eq!((&second["version"], &second["sent_chunks"]), (&2.into(), &0.into()), "{second}");
    alice.ok(&["send", "general", "three"]);
    let third = made(alice);
    assert_eq!((&third["version"], &third["messages"]), (&3.into(), &3.into()), "{third}");
    let listed = alice.json(&["backup", "list"]);
    assert_eq!((listed.len(), &listed[0]["version"], &listed[0]["me"]), (1, &3.into(), &true.into()));
    bob.ok(&["send", "general", "after the backup"]);

    let mut new = alice.another_machine();
    let printed = restore(alice, &new, &[]);
    let (offer, restored) = (&printed[0], &printed[1]);
    assert_eq!((&offer["backup"]["version"], &offer["backup"]["messages"]), (&3.into(), &3.into()));
    assert!(offer["backup"]["created_at"].is_string() && offer["list_signed_at"].is_string(), "{offer}");
    assert_eq!((&restored["done"], &restored["rooms"]), (&"restored".into(), &1.into()), "{restored}");
    new.unlock();
    assert_eq!(new.bodies("general"), ["one", "two", "three"]);
    // It is a new device, whose key the account has certified, beside the lost one.
    let devices = new.json(&["device", "list"]);
    assert_eq!(devices.len(), 2);
    assert_eq!((&devices[0]["device"], &devices[0]["me"]), (&restored["device"], &true.into()));
    assert_ne!(devices[0]["device"], listed[0]["device"]);
    let until = Instant::now() + DEADLINE;
    while !new.json(&["account", "activity"]).iter().any(|entry| entry["act"] == "recover") {
        assert!(Instant::now() < until, "the recovery is not noted");
    }
    // It is in no room until somebody adds it, which nobody has to be asked for.
    let said = new.fails(6, &["send", "general", "let me in"]);
    assert!(said.contains("invite you again"), "{said}");
    enter(&new, bob, "general");
    new.ok(&["send", "general", "back again"]);
    bob.ok(&["send", "general", "welcome"]);
    assert_eq!(new.bodies("general"), ["one", "two", "three", "back again", "welcome"]);
    assert_eq!(bob.bodies("general").last().map(String::as_str), Some("welcome"));
    bob.fails(6, &["room", "invite", "general", "alice"]);
    // The lost one is revoked from it, and its own backups begin.
    new.ok(&["device", "revoke", listed[0]["device"].as_str().expect("an id"), "--yes"]);
    let fourth = made(&new);
    assert_eq!((&fourth["version"], &fourth["messages"]), (&1.into(), &5.into()), "{fourth}");
    // The profile is in use: nothing is restored over it.
    let said = refused(alice, &new, 4);
    assert!(said.contains("belongs to alice"), "{said}");
}

#[test]
fn who_has_copied_a_profile_opens_no_backup_under_the_next_secret() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut alice = Client::register(&daemon.url(), "alice");
    alice.unlock();
    alice.ok(&["room", "create", "notes"]);
    alice.ok(&["send", "notes", "to remember"]);
    made(&alice);
    let secret = || {
        let dir = alice.data_directory().join("alice");
        let profile = Profile::open(&dir, vault::unlock(&dir, alice.passphrase()).expect("a key"));
        let drawn = BackupSecret::generate(&SystemEntropy).expect("random bytes");
        let kept = profile.expect("a profile").write(|tx| tx.keep_backup_secret(&drawn)).expect("a secret");
        *kept.secret().expose()
    };
    let stolen = secret();
    assert_eq!(made(&alice)["sent_chunks"], 0, "the same again");
    // Everything is sent anew: under the ids of another secret.
    for (what, renew) in
        [("a new key", &["keys", "rotate"][..]), ("by hand", &["backup", "create", "--anew"])]
    {
        alice.ok(renew);
        let after = made(&alice);
        let sent = after["sent_chunks"].as_u64();
        assert_eq!(sent > Some(0), what == "a new key", "{what}: {after}");
        assert_ne!(secret(), stolen, "{what}");
    }
    let new = alice.another_machine();
    restore(&alice, &new, &[]);
    assert_eq!(new.bodies("notes"), ["to remember"]);
}

fn what_a_device_has_at_the_server_goes_with_it(backend: Backend) {
    let daemon = Daemon::start(backend);
    let mut alice = Client::register(&daemon.url(), "alice");
    alice.unlock();
    alice.ok(&["room", "create", "notes"]);
    alice.ok(&["send", "notes", "to remember"]);
    made(&alice);
    let id = alice.json(&["backup", "list"])[0]["device"].as_str().expect("an id").to_owned();
    let export = alice.file("export");
    alice.ok(&["account", "export", "--output", export.to_str().expect("a UTF-8 path")]);
    let heads = fs::read_to_string(export.join("backups.jsonl")).expect("backups");
    let parts = fs::read_to_string(export.join("backup_chunks.jsonl")).expect("their parts");
    assert_eq!(heads.lines().count(), 1, "{heads}");
    assert!(parts.lines().count() >= 2 && parts.contains(&id), "{parts}");
    assert!(!parts.contains("remember"));
    alice.ok(&["backup", "delete", &id, "--yes"]);
    alice.fails(5, &["backup", "delete", &id, "--yes"]);
    assert!(alice.json(&["backup", "list"]).is_empty());
    let said = refused(&alice, &alice.another_machine(), 5);
    assert!(said.contains("no such backup"), "{said}");
    // Lost at the server without a word: said, and overcome on purpose alone.
    let said = alice.fails(6, &["backup", "create"]);
    assert!(said.contains("lost the backup"), "{said}");
    let anew = alice.json(&["backup", "create", "--anew"]).remove(0);
    assert_eq!(anew["version"], 2, "{anew}");
    let (lost, nobody) = (alice.another_machine(), alice.another_machine());
    let words = words(&alice);
    alice.ok(&["account", "delete", "--yes", "--keep-profile"]);
    let gone = lost.fails(4, &["backup", "restore", "alice", "--recovery-file", &words, "--yes"]);
    let none = nobody.fails(4, &["backup", "restore", "nobody", "--recovery-file", &words, "--yes"]);
    assert_eq!(gone, none);
}

/// Lets a device come into a room that another device of the account is in.
fn enter(device: &Client, other: &Client, room: &str) {
    for _ in 0..50 {
        other.ok(&["room", "show", room]);
        let rooms = device.json(&["room", "list"]);
        if rooms.iter().any(|found| found["room"] == room && found["status"] == "joined") {
            return;
        }
    }
    panic!("{:?}", device.json(&["room", "list"]));
}

#[test]
fn who_is_restored_comes_back_by_whom_it_knows_and_by_nobody_else() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut users = ["alice", "bob", "eve"].map(|name| Client::register(&daemon.url(), name));
    users.iter_mut().for_each(Client::unlock);
    let [alice, bob, eve] = &users;
    for room in ["general", "second"] {
        client::room(room, &[alice, bob]);
    }
    alice.ok(&["send", "general", "before"]);
    made(alice);
    // Whom the account has not met before it is lost.
    bob.ok(&["room", "invite", "general", "eve"]);
    eve.ok(&["room", "join", "general"]);
    eve.ok(&["send", "general", "I am new"]);
    let mut new = alice.another_machine();
    drop(restore(alice, &new, &[]));
    new.unlock();
    let status = |room: &str| {
        let rooms = new.json(&["room", "list"]);
        let found = rooms.iter().find(|found| found["room"] == room).expect("a room");
        found["status"].as_str().expect("a status").to_owned()
    };
    let until = Instant::now() + DEADLINE;
    while status("general") != "invited" {
        assert!(Instant::now() < until, "eve has not added it");
        eve.ok(&["room", "show", "general"]);
    }
    // It waits for a yes, and bob adds nobody who is there.
    bob.ok(&["room", "show", "general"]);
    enter(&new, bob, "second");
    assert_eq!(status("general"), "invited");
    new.ok(&["room", "join", "general"]);
    new.ok(&["send", "general", "by my own yes"]);
    assert_eq!(eve.bodies("general").last().map(String::as_str), Some("by my own yes"));
}

#[test]
fn a_linked_device_has_a_backup_of_its_own_and_other_devices_add_who_is_restored() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut alice = Client::register(&daemon.url(), "alice");
    alice.unlock();
    alice.ok(&["room", "create", "notes"]);
    let mut laptop = alice.link("laptop");
    laptop.unlock();
    // Nobody has told it the key for backups, and no backup has: the words do.
    let said = laptop.fails(4, &["backup", "create"]);
    assert!(said.contains("recovery words"), "{said}");
    let bob = Client::register(&daemon.url(), "bob");
    laptop.fails(6, &["backup", "create", "--recovery-file", &words(&bob)]);
    alice.ok(&["send", "notes", "from the first"]);
    made(&alice);
    // Now a backup does.
    enter(&laptop, &alice, "notes");
    laptop.ok(&["send", "notes", "from the laptop"]);
    made(&laptop);
    let listed = laptop.json(&["backup", "list"]);
    assert_eq!(listed.len(), 2, "{listed:?}");
    let of = |me: bool| {
        let found = listed.iter().find(|backup| backup["me"] == me).expect("a backup");
        found["device"].as_str().expect("an id").to_owned()
    };

    let mut new = alice.another_machine();
    let printed = restore(&alice, &new, &["--from", &of(false)]);
    assert_eq!(printed[0]["others"], 1, "{printed:?}");
    new.unlock();
    assert_eq!(new.bodies("notes"), ["from the first"]);
    // Whoever of the account comes online adds it.
    laptop.ok(&["send", "notes", "to all three"]);
    enter(&new, &laptop, "notes");
    new.ok(&["send", "notes", "here I am"]);
    assert_eq!(laptop.bodies("notes").last().map(String::as_str), Some("here I am"));
}

/// Tells when somebody asks for something, and lets it go on when it is dropped.
struct Stopper {
    stopped: Receiver<()>,
    go_on: Sender<()>,
}

/// Stops the nth request of this method whose path holds that, before the daemon has it or after.
fn stop_at(proxy: &Proxy, (method, path, nth, after): Point) -> Stopper {
    let ((tell, stopped), (go_on, told)) = (mpsc::channel(), mpsc::channel());
    let (mut count, mut channels) = (0, Some((tell, told)));
    proxy.at_requests(move |request| {
        let there =
            if path.ends_with('/') { request.path.contains(path) } else { request.path.ends_with(path) };
        count += usize::from(request.method == method && there);
        if count != nth {
            return Answer::Genuine;
        }
        let Some((tell, told)) = channels.take() else { return Answer::Genuine };
        let stop = move || {
            let _ = tell.send(());
            let _ = told.recv();
        };
        if after {
            return Answer::Changed(Box::new(move |body| {
                stop();
                body
            }));
        }
        stop();
        Answer::Cut
    });
    Stopper { stopped, go_on }
}

/// Method, end of the path (or a part of it, if that ends with a slash), which of them, and whether the daemon has done it.
pub(crate) type Point = (&'static str, &'static str, usize, bool);

/// Kills a command at a point of its way, and runs it again.
pub(crate) fn killed_at(proxy: &Proxy, point: Point, client: &Client, arguments: &[&str]) {
    kill_at(proxy, point, client, arguments);
    client.ok(arguments);
}

/// Kills a command at a point of its way.
pub(crate) fn kill_at(proxy: &Proxy, point: Point, client: &Client, arguments: &[&str]) {
    let stopper = stop_at(proxy, point);
    let mut process = client.start(arguments);
    stopper.stopped.recv().expect("it comes so far");
    process.kill();
    drop(stopper.go_on);
    proxy.at_requests(|_| Answer::Genuine);
}

#[test]
fn a_killed_backup_and_a_killed_restore_go_on() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Client::register(&proxy.url(), "alice");
    alice.unlock();
    alice.ok(&["room", "create", "notes"]);
    let mut version = 0;
    for (round, point) in [
        ("POST", "/backup/missing", 1, true),
        ("PUT", "/backup/chunks/", 1, false),
        ("PUT", "/backup/chunks/", 2, true),
        ("PUT", "/v1/account/backup", 1, false),
        ("PUT", "/v1/account/backup", 1, true),
    ]
    .into_iter()
    .enumerate()
    {
        alice.ok(&["send", "notes", &format!("thing {round}")]);
        killed_at(&proxy, point, &alice, &["backup", "create"]);
        let now = alice.json(&["backup", "list"])[0]["version"].as_u64().expect("a version");
        assert!(now > version, "{now} after {version} at {point:?}");
        version = now;
    }

    let words = words(&alice);
    let restore = ["backup", "restore", "alice", "--recovery-file", &words, "--yes"];
    let mut devices = 1;
    for point in [
        ("POST", "/v1/recovery/device", 1, false),
        ("POST", "/v1/recovery/device", 1, true),
        ("GET", "/chunks/", 2, true),
        ("GET", "/v1/accounts/", 1, true),
        ("POST", "/v1/key-packages", 1, false),
    ] {
        let new = alice.another_machine();
        killed_at(&proxy, point, &new, &restore);
        assert_eq!(new.bodies("notes").len(), 5, "{point:?}");
        // One device has come of it, and no half of another.
        let now = alice.json(&["device", "list"]).len();
        assert_eq!(now, devices + 1, "{point:?}");
        devices = now;
    }
}

/// A daemon that does not tell the truth about a backup, and what is said of it.
type Lie = (&'static str, fn(&Request, &Value) -> Answer, i32, &'static str);

#[test]
fn a_backup_that_is_not_whole_or_not_true_is_refused_with_its_reason() {
    const LIES: [Lie; 6] = [
        (
            "a missing part",
            |request, _| lie(request, "/chunks/", || Answer::fault(FaultCode::NotFound)),
            6,
            "is missing",
        ),
        (
            "a damaged part",
            |request, _| lie(request, "/chunks/", || changed(|body| body[9] ^= 1)),
            6,
            "damaged",
        ),
        (
            "a forged head",
            |request, _| lie(request, "/v1/recovery", || head(|bytes| bytes[40] ^= 1)),
            6,
            "forged",
        ),
        (
            "a cut head",
            |request, _| lie(request, "/v1/recovery", || head(|bytes| bytes.truncate(999))),
            6,
            "malformed",
        ),
        (
            "an older account",
            |request, first| {
                let first = first.clone();
                lie(request, "/v1/recovery", move || {
                    Answer::changed(move |answer| answer["directory"] = first["directory"].clone())
                })
            },
            6,
            "rolled back",
        ),
        (
            "no backup",
            |request, _| {
                lie(request, "/v1/recovery", || {
                    Answer::changed(|answer| answer["backups"] = Value::Array(vec![]))
                })
            },
            5,
            "no such backup",
        ),
    ];
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Client::register(&proxy.url(), "alice");
    alice.unlock();
    alice.ok(&["room", "create", "notes"]);
    alice.ok(&["send", "notes", "to remember"]);
    made(&alice);
    // What the server says of the account now, to be said again when it is no longer so.
    let first = Arc::new(Mutex::new(Value::Null));
    let heard = Arc::clone(&first);
    proxy.at_requests(move |request| {
        let heard = Arc::clone(&heard);
        if !request.is("POST", "/v1/recovery") {
            return Answer::Genuine;
        }
        Answer::changed(move |answer| *heard.lock().expect("a lock") = answer.clone())
    });
    drop(restore(&alice, &alice.another_machine(), &[]));
    // The next backup is made knowing of the device that was added.
    assert_eq!(alice.json(&["device", "list"]).len(), 2);
    made(&alice);
    let first = first.lock().expect("a lock").clone();
    assert!(first["directory"].is_object());

    for (what, rule, code, why) in LIES {
        let first = first.clone();
        proxy.at_requests(move |request| rule(request, &first));
        let new = alice.another_machine();
        let said = refused(&alice, &new, code);
        assert!(said.contains(why), "{what}: {said}");
        // Afterwards the same command goes on, or begins anew.
        proxy.at_requests(|_| Answer::Genuine);
        drop(restore(&alice, &new, &[]));
        assert_eq!(new.bodies("notes"), ["to remember"], "{what}");
    }
    let bob = Client::register(&proxy.url(), "bob");
    let (theirs, new) = (words(&bob), alice.another_machine());
    new.fails(4, &["backup", "restore", "alice", "--recovery-file", &theirs, "--yes"]);
    let refused = new.fails(2, &["backup", "restore", "alice", "--recovery-file", &words(&alice)]);
    assert!(refused.contains("--yes"), "{refused}");
    assert!(!new.data_directory().join("alice/profile.db").exists(), "nothing is left");
}

fn lie(request: &Request, path: &str, answer: impl FnOnce() -> Answer) -> Answer {
    let chunks = path == "/chunks/" && request.method == "GET" && request.path.contains(path);
    if chunks || request.is("POST", path) { answer() } else { Answer::Genuine }
}

fn changed(change: impl FnOnce(&mut Vec<u8>) + Send + 'static) -> Answer {
    Answer::Changed(Box::new(move |mut body| {
        change(&mut body);
        body
    }))
}

fn head(change: impl FnOnce(&mut Vec<u8>) + Send + 'static) -> Answer {
    use qchat_proto::wire::api::Binary;

    Answer::changed(move |answer| {
        let heads = answer["backups"].as_array_mut().expect("backups");
        let head: Binary = serde_json::from_value(heads[0]["head"].clone()).expect("base64url");
        let mut bytes = head.as_ref().to_vec();
        change(&mut bytes);
        heads[0]["head"] = serde_json::to_value(Binary::from(bytes)).expect("JSON");
        heads.truncate(1);
    })
}

#[test]
fn a_server_that_shows_a_device_an_older_backup_of_its_own_is_refused() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Client::register(&proxy.url(), "alice");
    alice.unlock();
    alice.ok(&["room", "create", "notes"]);
    let seen = Arc::new(Mutex::new(vec![]));
    let heard = Arc::clone(&seen);
    proxy.at_requests(move |request| {
        let heard = Arc::clone(&heard);
        if !request.is("GET", "/v1/account/backups") {
            return Answer::Genuine;
        }
        Answer::changed(move |answer| heard.lock().expect("a lock").push(answer.clone()))
    });
    for _ in 0..3 {
        made(&alice);
    }
    let old = seen.lock().expect("a lock")[1].clone();
    assert_eq!(old["backups"].as_array().map(Vec::len), Some(1));
    proxy.at_requests(move |request| {
        let old = old.clone();
        if !request.is("GET", "/v1/account/backups") {
            return Answer::Genuine;
        }
        Answer::changed(move |answer| *answer = old)
    });
    let said = alice.fails(6, &["backup", "create"]);
    assert!(
        said.contains("version 1") && said.contains("version 3") && said.contains("rolled back"),
        "{said}"
    );
    proxy.at_requests(|_| Answer::Genuine);
    assert_eq!(made(&alice)["version"], 4);
}

#[test]
fn the_server_has_nothing_of_a_backup_that_it_could_read() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut users = ["alice", "bob"].map(|name| Client::register(&proxy.url(), name));
    users.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &users;
    client::room("the-secret-lair", &[alice, bob]);
    alice.ok(&["send", "the-secret-lair", "the password is swordfish"]);
    made(alice);
    drop(restore(alice, &alice.another_machine(), &[]));
    let passed = proxy.bytes();
    let words = fs::read_to_string(alice.recovery_file()).expect("words");
    let two: Vec<_> = words.split_whitespace().take(2).collect();
    for secret in ["secret-lair", "swordfish", &two.join(" ")] {
        assert!(!passed.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} went by");
        assert!(!daemon.log().contains(secret), "{secret} is in the log");
    }
}

#[test]
fn a_backup_is_made_by_the_clock_where_that_is_wanted_and_no_more_than_the_server_keeps() {
    let daemon =
        Daemon::start_with(Backend::Sqlite, |_| vec![("QCHATD_ACCOUNT_BACKUP_BYTES", "20000".to_owned())]);
    let mut alice = Client::register(&daemon.url(), "alice");
    alice.unlock();
    alice.ok(&["room", "create", "notes"]);
    alice.ok(&["send", "notes", "to remember"]);
    // Off by default.
    alice.ok(&["room", "list"]);
    assert!(alice.json(&["backup", "list"]).is_empty());
    let listening = alice.start(&["--backup-interval", "12h", "listen", "notes", "--json"]);
    let versions: BTreeSet<u64> = std::iter::repeat_with(|| alice.json(&["backup", "list"]))
        .take(100)
        .find(|list| !list.is_empty())
        .into_iter()
        .flatten()
        .filter_map(|backup| backup["version"].as_u64())
        .collect();
    assert_eq!(versions, BTreeSet::from([1]));
    drop(listening);
    for part in 0..4 {
        let text = "x".repeat(16_000 + part);
        drop(alice.run_with_input(&["send", "notes", "-"], text.as_bytes()).expect_code(0));
    }
    let said = alice.fails(6, &["backup", "create"]);
    assert!(said.contains("20000 bytes"), "{said}");
}
