//! Who is trusted: numbers that show swapped keys, changes that stop what is sent until they are accepted, and yeses that
//! are for whoever it really is.

use qchat_cli::engine::{
    Accept, ChangeKind, EngineError,
    types::{Body, Message, RoomStatus, Standing, Trusted},
};
use qchat_proto::{
    crypto::{
        entropy::SystemEntropy,
        sign::{AccountSigningKey, DeviceSigningKey},
    },
    identity::{AccountRecord, DeviceCertificate, DeviceList, ListedDevice, RecoveryKey},
    ids::{DeviceId, RoomId, UserName},
    safety::Checked,
    wire::api::Directory,
};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    device::{self, Device, now},
    operator,
    proxy::{Answer, Proxy},
};

use crate::{
    consent::until,
    person::{Person, next, room},
};

fn name(name: &str) -> UserName {
    name.parse().unwrap()
}

/// Has the daemon show this of bob from now on, and its key directory say so.
fn shows(daemon: &Daemon, proxy: &Proxy, directory: &Directory) {
    operator::publish(daemon, directory);
    operator::show(proxy, "bob", directory);
}

async fn trusted(person: &Person, wanted: &str) -> Trusted {
    let all = person.engine.trusted().await.unwrap();
    all.into_iter().find(|trusted| trusted.name.as_str() == wanted).unwrap()
}

async fn lines(person: &Person, room: RoomId) -> Vec<Message> {
    person.engine.timeline(room, None, 100).await.unwrap()
}

/// How far the senders of the texts in a room are trusted: verified, changed.
async fn senders(person: &Person, room: RoomId) -> Vec<(String, bool, bool)> {
    let senders = lines(person, room).await.into_iter().filter_map(|line| line.sender);
    senders.filter(|sender| !sender.me).map(|sender| (sender.name, sender.verified, sender.changed)).collect()
}

async fn blocked_by(person: &Person, room: RoomId) -> Option<String> {
    person.engine.room(room).await.unwrap().summary.blocked_by
}

/// Both compare, and find the same.
async fn verify_one_another(one: &Person, other: &Person) {
    for (here, there) in [(one, other), (other, one)] {
        let comparison = here.engine.compare(&there.engine.me().name).await.unwrap();
        let theirs = there.engine.compare(&here.engine.me().name).await.unwrap();
        assert_eq!(comparison.number.digits(), theirs.number.digits());
        assert_eq!(comparison.number.check(&theirs.number.code()), Checked::Matches);
        here.engine.mark_verified(&comparison).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_the_daemon_swaps_at_first_use_show_in_the_number_of_both_sides() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let theirs = bob.engine.compare(&name("alice")).await.unwrap();
    // Of one who is lied to about nobody it is the same.
    alice.through(&proxy).await;
    let comparison = alice.engine.compare(&name("bob")).await.unwrap();
    assert!(comparison.fresh);
    assert_eq!(comparison.number.digits(), theirs.number.digits());
    // What is known is compared without the daemon, too.
    proxy.at_requests(|_| Answer::Cut);
    let offline = alice.engine.compare(&name("bob")).await.unwrap();
    assert!(!offline.fresh);
    assert_eq!(offline.number, comparison.number);
    let error = alice.engine.compare(&name("carol")).await.unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    alice.stop().await;

    let eve = Device::register(&daemon.url(), "eve").await;
    for (account, checked) in [(bob.engine.me().account, Checked::Differs), (eve.account, Checked::Elsewhere)]
    {
        // A profile that has never heard of bob.
        let mut carol = Person::register(&daemon.url(), &format!("carol-{}", account.as_bytes()[0])).await;
        let seen = bob.engine.compare(&carol.engine.me().name).await.unwrap();
        if account == eve.account {
            operator::give_name(&daemon, &name("bob"), account, &name("eve"));
        }
        shows(&daemon, &proxy, &device::directory("bob", account));
        carol.through(&proxy).await;
        let comparison = carol.engine.compare(&name("bob")).await.unwrap();
        assert_ne!(comparison.number.digits(), seen.number.digits());
        assert_eq!(comparison.number.check(&seen.number.code()), checked);
        assert_eq!(seen.number.check(&comparison.number.code()), checked);
        assert_eq!(trusted(&carol, "bob").await.standing, Standing::Unverified);
        carol.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_swap_ends_the_trust_and_the_sending_until_it_is_accepted_and_verifies_nobody() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    bob.say(tea, "hello").await;
    alice.texts(tea, 1).await;
    let unverified = trusted(&alice, "bob").await;
    assert_eq!(unverified.standing, Standing::Unverified);
    assert_eq!(senders(&alice, tea).await, [("bob".to_owned(), false, false)]);
    verify_one_another(&alice, &bob).await;
    let verified = trusted(&alice, "bob").await;
    assert_eq!(verified.standing, Standing::Verified);
    assert!(verified.since >= unverified.since);
    assert_eq!(senders(&alice, tea).await, [("bob".to_owned(), true, false)]);
    let verified_number = alice.engine.compare(&name("bob")).await.unwrap();

    let swapped = device::directory("bob", bob.engine.me().account);
    shows(&daemon, &proxy, &swapped);
    alice.through(&proxy).await;
    let error = alice.engine.compare(&name("bob")).await.unwrap_err();
    assert!(matches!(error, EngineError::IdentityChanged(_)), "{error}");
    assert!(error.to_string().contains("qchat verify bob --accept"), "{error}");
    let changed = trusted(&alice, "bob").await;
    assert_eq!((changed.standing, changed.fingerprint), (Standing::Changed, verified.fingerprint));
    assert_eq!(senders(&alice, tea).await, [("bob".to_owned(), false, true)]);
    assert_eq!(blocked_by(&alice, tea).await.as_deref(), Some("bob"));
    let error = alice.engine.send(tea, "to whom?".to_owned()).await.unwrap_err();
    assert_eq!(error.exit_code(), 6, "{error}");
    let error = alice.engine.mark_verified(&verified_number).await.unwrap_err();
    assert!(
        matches!(error, EngineError::IdentityChanged(_)),
        "what was compared before counts no more: {error}"
    );
    // Looked at again, it is told once.
    alice.engine.compare(&name("bob")).await.unwrap_err();
    let told = lines(&alice, tea).await;
    let warnings =
        told.iter().filter(|line| matches!(&line.body, Body::Warning(words) if words.contains("bob")));
    assert_eq!(warnings.count(), 1, "{told:?}");

    let change = alice.engine.identity_change(&name("bob")).await.unwrap().unwrap();
    let swapped_key = AccountRecord::verify(swapped.account_record.as_ref()).unwrap().identity_key.hash();
    assert_eq!(
        (change.kind, change.old, change.new),
        (ChangeKind::Unvouched, verified.fingerprint, swapped_key)
    );
    alice.engine.accept_change(&change).await.unwrap();
    let accepted = trusted(&alice, "bob").await;
    assert_eq!((accepted.standing, accepted.fingerprint), (Standing::Unverified, swapped_key));
    assert_eq!(senders(&alice, tea).await, [("bob".to_owned(), false, false)]);
    assert_eq!(blocked_by(&alice, tea).await, None);
    alice.say(tea, "to whoever you are").await;
    assert!(lines(&alice, tea).await.iter().any(|line| format!("{:?}", line.body).contains("you accepted")));
    // Again it would be the same: the next one is another change.
    let error = alice.engine.accept_change(&change).await.unwrap_err();
    assert!(matches!(error, EngineError::IdentityChanged(_)), "{error}");
    assert!(alice.engine.identity_change(&name("bob")).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_is_taken_back_stops_until_the_user_says_so_and_a_recovery_is_told_from_a_strangers_key()
{
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Person::register(&daemon.url(), "alice").await;
    let (bob, words) = Person::register_with_words(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    verify_one_another(&alice, &bob).await;
    let genuine = trusted(&alice, "bob").await.fingerprint;

    alice.through(&proxy).await;
    shows(&daemon, &proxy, &device::directory("bob", bob.engine.me().account));
    alice.engine.compare(&name("bob")).await.unwrap_err();
    operator::take_back(&daemon, bob.engine.me().account);
    proxy.at_requests(|_| Answer::Genuine);
    let error = alice.engine.compare(&name("bob")).await.unwrap_err();
    assert_eq!(error.exit_code(), 6, "{error}");
    assert_eq!(blocked_by(&alice, tea).await.as_deref(), Some("bob"));
    let change = alice.engine.identity_change(&name("bob")).await.unwrap().unwrap();
    assert_eq!((change.kind, change.old, change.new), (ChangeKind::TakenBack, genuine, genuine));
    alice.engine.accept_change(&change).await.unwrap();
    assert_eq!(trusted(&alice, "bob").await.standing, Standing::Unverified);
    alice.say(tea, "as before").await;
    assert_eq!(bob.texts(tea, 1).await, ["as before"]);

    // Bob has recovered his account: the key that alice knows beside the other one has signed.
    let recovery = RecoveryKey::from_words(&words).unwrap().signing_key().unwrap();
    shows(&daemon, &proxy, &recovered(&bob, &recovery));
    let change = alice.engine.identity_change(&name("bob")).await.unwrap().unwrap();
    assert_eq!(change.kind, ChangeKind::ByRecoveryKey);
    assert!(matches!(alice.engine.send(tea, "?".to_owned()).await, Err(EngineError::IdentityChanged(_))));
    alice.engine.accept_change(&change).await.unwrap();
    assert_eq!(trusted(&alice, "bob").await.standing, Standing::Unverified);
    // The record of before is not shown to alice again without her noticing.
    proxy.at_requests(|_| Answer::Genuine);
    let error = alice.engine.compare(&name("bob")).await.unwrap_err();
    assert_eq!(error.exit_code(), 6, "{error}");
}

/// What the directory says of somebody who has recovered the account with another identity key.
fn recovered(person: &Person, recovery: &AccountSigningKey) -> Directory {
    let (me, created_at) = (person.engine.me(), now() + 5);
    let identity = AccountSigningKey::generate(&SystemEntropy).unwrap();
    let key = DeviceSigningKey::generate(&SystemEntropy).unwrap();
    let device = DeviceId::random(&SystemEntropy).unwrap();
    let record = AccountRecord {
        account: me.account,
        name: me.name.clone(),
        identity_key: identity.public().clone(),
        recovery_key: recovery.public().clone(),
        created_at,
    };
    let certificate = DeviceCertificate {
        account: me.account,
        device,
        device_key: key.public().clone(),
        identity_key_hash: identity.public().hash(),
        created_at,
    };
    let list = DeviceList {
        account: me.account,
        version: 9,
        issued_at: created_at,
        expires_at: created_at + DeviceList::LIFETIME,
        devices: vec![ListedDevice { device, device_key_hash: key.public().hash() }],
    };
    Directory {
        name: me.name.clone(),
        account_id: me.account,
        account_record: record.sign(&identity, recovery).unwrap().into(),
        device_list: list.sign(&identity).unwrap().into(),
        device_certificates: vec![certificate.sign(&identity).unwrap().into()],
        proof: None,
        pending: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_to_one_leads_into_no_room_of_another_whatever_the_daemon_says() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let mallory = Person::register(&daemon.url(), "mallory").await;
    verify_one_another(&alice, &bob).await;
    let trap = room("trap", &[&mallory]).await;
    mallory.engine.invite(trap, vec![name("bob")]).await.unwrap();

    let (lie, path) = (alice.engine.me().account.to_string(), format!("/v1/rooms/{trap}/invitation"));
    proxy.at_requests(move |request| {
        if request.is("GET", &path) {
            let lie = lie.clone();
            return Answer::changed(move |invitation| invitation["inviter"] = lie.into());
        }
        Answer::Genuine
    });
    bob.through_accepting(&proxy, Accept::Verified).await;
    let mut events = bob.engine.events();
    loop {
        let rooms = bob.engine.rooms().await.unwrap();
        assert!(rooms.iter().all(|room| room.status == RoomStatus::Invited), "nothing is joined: {rooms:?}");
        // And it is shown who it is.
        if rooms.iter().any(|room| room.invited_by.as_deref() == Some("mallory")) {
            break;
        }
        next(&mut events).await;
    }

    // Shown the truth, the user may still want to.
    bob.engine.join(trap).await.unwrap();
    // And the genuine one is accepted unasked.
    let tea = room("tea", &[&alice]).await;
    alice.engine.invite(tea, vec![name("bob")]).await.unwrap();
    let engine = bob.engine.clone();
    until(&bob.engine, async || {
        let rooms = engine.rooms().await.unwrap();
        rooms.iter().any(|room| room.id == tea && room.status == RoomStatus::Joined)
    })
    .await;
}
