//! Another signature key for a device: at the daemon, in its rooms, and whatever is interrupted on the way.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use qchat_cli::{
    net::{NetError, rest::Client as Rest},
    store::{Identity, Profile, StoreError, Tx},
    vault,
};
use qchat_proto::{
    crypto::sign::{AccountSigningKey, DeviceSigningKey},
    identity::{DeviceCertificate, DeviceList, ListedDevice, LoginProof},
    session::ledger::Ledger,
    wire::{
        api::{Binary, ChallengeRequest, Login, PutDeviceList},
        fault::FaultCode,
    },
};
use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    device::now,
    proxy::{Answer, Proxy},
};

use crate::person::{PATIENCE, Person, eventually, room};

const LIST: &str = "/v1/account/device-list";

fn identity(person: &Person) -> Identity {
    person.profile.read(Tx::identity).unwrap().unwrap()
}

/// How many keys this device had before, and whether one is on its way.
fn keys(person: &Person) -> (i64, bool) {
    person.profile.read(|tx| Ok::<_, StoreError>((tx.key_number()?, tx.next_key()?.is_some()))).unwrap()
}

/// Logs in with these keys, as whoever has a copy of them would.
async fn log_in(server: &str, own: Identity) -> Result<(), FaultCode> {
    let rest = Rest::new(server.parse().unwrap(), PATIENCE).unwrap();
    let request = ChallengeRequest { account_id: own.account, device_id: own.device };
    let challenge = rest.challenge(&request).await.unwrap();
    let proof = LoginProof {
        nonce: challenge.nonce.as_ref().try_into().unwrap(),
        server: challenge.server_id,
        expires_at: challenge.expires_at,
        account: own.account,
        device: own.device,
    };
    let signature = proof.sign(&DeviceSigningKey::from_seed(own.device_key).unwrap()).unwrap();
    let login = Login {
        account_id: own.account,
        device_id: own.device,
        nonce: challenge.nonce,
        signature: Binary::from(signature),
    };
    match rest.login(&login).await {
        Ok(_) => Ok(()),
        Err(NetError::Fault(fault)) => Err(fault.code),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_key_is_known_to_the_daemon_and_in_every_room_and_the_old_one_opens_nothing() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let rooms = [room("tea", &[&alice, &bob]).await, room("cake", &[&bob, &alice]).await];
    let _alone = room("alone", &[&bob]).await;
    alice.engine.mark_verified(&alice.engine.compare(&bob.engine.me().name).await.unwrap()).await.unwrap();
    let number = alice.engine.compare(&bob.engine.me().name).await.unwrap().number;
    let before = identity(&bob);
    let invited = room("before", &[&alice]).await;
    alice.engine.invite(invited, vec!["bob".parse().unwrap()]).await.unwrap();

    let rotated = bob.engine.rotate_keys().await.unwrap();
    let after = identity(&bob);
    let hash = DeviceSigningKey::from_seed(after.device_key).unwrap().public().hash();
    assert_eq!((rotated.device, rotated.hash, rotated.waiting.len()), (before.device, hash, 0));
    let mut known = rotated.rooms.clone();
    known.sort_unstable();
    let mut expected = rooms.to_vec();
    expected.sort_unstable();
    assert_eq!(known, expected);
    assert_eq!(keys(&bob), (1, false));
    assert_eq!(log_in(&daemon.url(), before).await, Err(FaultCode::Unauthenticated));
    assert_eq!(log_in(&daemon.url(), identity(&bob)).await, Ok(()));

    // Everything goes on, without a word of warning (`texts` would find one); nobody has to compare anything anew.
    for room in rooms {
        alice.say(room, "hello").await;
        bob.say(room, "hello yourself").await;
        assert_eq!(alice.texts(room, 2).await, ["hello", "hello yourself"]);
    }
    let comparison = alice.engine.compare(&bob.engine.me().name).await.unwrap();
    assert_eq!(comparison.number, number);
    let trusted = alice.engine.trusted().await.unwrap();
    assert!(trusted.iter().all(|trusted| trusted.standing == qchat_cli::engine::types::Standing::Verified));
    // By a KeyPackage of before, and by one of the new key.
    bob.engine.join(invited).await.unwrap();
    let later = room("after", &[&alice, &bob]).await;
    for room in [invited, later] {
        bob.say(room, "in here, too").await;
        assert_eq!(alice.texts(room, 1).await, ["in here, too"]);
    }
    // Once more, for a device that has had others.
    bob.engine.rotate_keys().await.unwrap();
    assert_eq!(keys(&bob), (2, false));
    bob.say(later, "again").await;
    assert_eq!(alice.texts(later, 2).await, ["in here, too", "again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_interrupted_goes_on_at_the_next_connection() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    let mut said = 0;
    for (round, (method, path, carried_out)) in [
        ("PUT", LIST, false),
        ("PUT", LIST, true),
        ("POST", "/v1/sessions", false),
        ("POST", "/v1/sessions", true),
        ("POST", "/v1/key-packages", false),
        ("POST", "/v1/key-packages", true),
    ]
    .into_iter()
    .enumerate()
    {
        let case = format!("{method} {path}, carried out: {carried_out}");
        let proxy = Proxy::start(daemon.address());
        let old = identity(&bob);
        bob.through(&proxy).await;
        bob.read_everything().await;
        let failures = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&failures);
        proxy.at_requests(move |request| {
            if !request.is(method, path) {
                return Answer::Genuine;
            }
            count.fetch_add(1, Ordering::Relaxed);
            if carried_out { Answer::Lost } else { Answer::Cut }
        });
        let error = bob.engine.rotate_keys().await.unwrap_err();
        assert!(failures.load(Ordering::Relaxed) > 0, "{case}: {error}");
        // The program ends here. Another one begins, and asks for nothing but what is new.
        bob.stop().await;
        proxy.at_requests(|_| Answer::Genuine);
        bob.through(&proxy).await;
        bob.read_everything().await;
        let wanted = (i64::try_from(round).unwrap() + 1, false);
        eventually(&case, || (keys(&bob) == wanted).then_some(())).await;
        said += 1;
        bob.say(tea, "here").await;
        alice.texts(tea, said).await;
        assert_eq!(log_in(&daemon.url(), old).await, Err(FaultCode::Unauthenticated), "{case}");
        assert_eq!(log_in(&daemon.url(), identity(&bob)).await, Ok(()), "{case}");
        // KeyPackages of the new key are there, and good.
        let published = || bob.profile.read(Tx::last_resort_expiry).unwrap();
        eventually("KeyPackages", || published().map(drop)).await;
        let invited = room(&format!("room {round}"), &[&alice]).await;
        alice.engine.invite(invited, vec!["bob".parse().unwrap()]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_another_device_was_quicker_with_stands_beside_the_new_key() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    // As another device of bob's would: a list of the next version, which this one has never seen.
    let own = identity(&bob);
    let account = AccountSigningKey::from_seed(own.account_key).unwrap();
    let certificate = DeviceCertificate::verify(&own.certificate, account.public()).unwrap();
    let list = DeviceList {
        account: own.account,
        version: 2,
        issued_at: now(),
        expires_at: now() + DeviceList::LIFETIME,
        devices: vec![ListedDevice { device: own.device, device_key_hash: certificate.device_key.hash() }],
    };
    let rest = Rest::new(daemon.url().parse().unwrap(), PATIENCE).unwrap();
    let token = bob.profile.read(Tx::session).unwrap().unwrap().access_token;
    let put = PutDeviceList { device_list: list.sign(&account).unwrap().into(), ..PutDeviceList::default() };
    rest.put_device_list(&token, &put).await.unwrap();

    bob.engine.rotate_keys().await.unwrap();
    assert_eq!(keys(&bob), (1, false));
    // What this device does by itself when its account has changed may have been quicker, and have made one more.
    assert!(identity(&bob).list_version > 2);
    bob.say(tea, "hello").await;
    assert_eq!(alice.texts(tea, 1).await, ["hello"]);
    alice.engine.compare(&bob.engine.me().name).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_of_the_profile_goes_on_with_the_new_key() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    let second = bob.second_process(&proxy).await;
    second.sync().await.unwrap();
    bob.engine.rotate_keys().await.unwrap();
    // Its session is over and its key is another: it logs in by what the profile has now, and seals with that.
    let id = second.send(tea, "from the other one".to_owned()).await.unwrap();
    second.wait_sent(tea, id).await.unwrap();
    second.update_keys(tea).await.unwrap();
    let cake = second.create_room("cake".to_owned()).await.unwrap();
    second.invite(cake, vec!["alice".parse().unwrap()]).await.unwrap();
    alice.engine.join(cake).await.unwrap();
    alice.say(cake, "hello").await;
    assert_eq!(alice.texts(tea, 1).await, ["from the other one"]);
    second.shutdown().await;
}

/// The program is killed at points that the wire shows, and what was begun is whole in the end.
#[test]
fn a_rotation_that_is_killed_anywhere_leaves_a_device_that_works() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    for client in &mut clients {
        client.unlock();
        client.set_server(&proxy.url());
    }
    let [alice, bob] = &clients;
    client::room("tea", &[alice, bob]);
    let dir = bob.data_directory().join("bob");
    let profile = Profile::open(&dir, vault::unlock(&dir, bob.passphrase()).unwrap()).unwrap();
    let keys =
        || profile.read(|tx| Ok::<_, StoreError>((tx.key_number()?, tx.next_key()?.is_some()))).unwrap();
    let seen = || proxy.requests().len() + proxy.frames().len();
    let (mut point, mut killed, mut texts) = (1, 0, vec![]);
    loop {
        let before = seen();
        let mut rotating = bob.start(&["keys", "rotate"]);
        while rotating.is_running() && seen() < before + point {
            std::thread::yield_now();
        }
        let ended = !rotating.is_running();
        if ended {
            assert_eq!(rotating.finish().code, Some(0));
        } else {
            drop(rotating);
            killed += 1;
        }
        // The next command works, whatever is still under way.
        texts.push(format!("after {point}"));
        bob.ok(&["send", "tea", &texts[texts.len() - 1]]);
        if ended {
            break;
        }
        point += 1 + point / 4;
        assert!(point < 500, "it never ends by itself");
    }
    assert!(killed > 5, "{killed}");
    assert_eq!(alice.bodies("tea"), texts);
    bob.ok(&["keys", "rotate"]);
    let (number, pending) = keys();
    assert!(number > 1 && !pending, "{number} keys, another is on its way: {pending}");
    let room = profile.read(|tx| Ok::<_, StoreError>(tx.rooms()?[0].state.room)).unwrap();
    assert!(profile.read(|tx| tx.renewal(room)).unwrap().unwrap().at > 0, "fresh keys are owed no more");
    alice.ok(&["room", "create", "cake"]);
    alice.ok(&["room", "invite", "cake", "bob"]);
    bob.ok(&["room", "join", "cake"]);
    bob.ok(&["send", "cake", "in the end"]);
    assert_eq!(alice.bodies("cake"), ["in the end"]);
}
