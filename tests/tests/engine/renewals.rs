//! What is renewed while nobody looks: tokens, KeyPackages, the device list. An answer that gets lost costs nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use qchat_cli::{
    engine::{EngineError, types::Event},
    net::rest::Client,
    store::{SessionTokens, StoreError, Tx},
};
use qchat_proto::{
    crypto::sign::AccountSigningKey,
    identity::{AccountRecord, DeviceList},
    ids::RoomId,
    mls::device::KEY_PACKAGE_LIFETIME,
    wire::{
        api::{ClaimKeyPackages, PutDeviceList},
        fault::FaultCode,
    },
};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    device::now,
    proxy::{Answer, Proxy, Request},
};
use zeroize::Zeroizing;

use crate::person::{PATIENCE, Person, eventually, room};

/// The requests of this kind that clients have made.
fn requests(proxy: &Proxy, method: &str, path: &str) -> Vec<Request> {
    proxy.requests().into_iter().filter(|request| request.is(method, path)).collect()
}

fn count(proxy: &Proxy, method: &str, path: &str) -> usize {
    requests(proxy, method, path).len()
}

/// Answers the first request of this kind otherwise than the rest.
fn first(method: &'static str, path: &'static str, answer: Answer) -> impl FnMut(&Request) -> Answer + Send {
    let mut answer = Some(answer);
    move |request| {
        let answer = if request.is(method, path) { answer.take() } else { None };
        answer.unwrap_or(Answer::Genuine)
    }
}

fn tokens(person: &Person) -> SessionTokens {
    person.profile.read(Tx::session).unwrap().unwrap()
}

/// Puts a token in the place of the good one that looks good, and that no daemon has issued.
fn spoil_token(person: &Person) {
    let spoilt = SessionTokens {
        access_token: Zeroizing::new("looks.good.enough".to_owned()),
        expires_at: now() + 3600,
        ..tokens(person)
    };
    person.profile.write(|tx| tx.put_session(&spoilt)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_looks_good_and_is_refused_is_renewed_once_for_all_processes() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Person::register(&daemon.url(), "alice").await;
    alice.stop().await;
    spoil_token(&alice);
    // Two processes find it refused before either has another one.
    let refused = Arc::new(AtomicUsize::new(0));
    proxy.at_requests(move |request| {
        if request.is("GET", "/v1/socket") {
            refused.fetch_add(1, Ordering::Relaxed);
        } else if request.is("POST", "/v1/sessions") {
            let refused = Arc::clone(&refused);
            return Answer::Changed(Box::new(move |session| {
                let until = Instant::now() + PATIENCE;
                while refused.load(Ordering::Relaxed) < 2 && Instant::now() < until {
                    std::thread::yield_now();
                }
                session
            }));
        }
        Answer::Genuine
    });
    alice.through(&proxy).await;
    let second = alice.second_process(&proxy).await;
    let (here, there) = tokio::join!(alice.engine.sync(), second.sync());
    here.unwrap();
    there.unwrap();
    second.shutdown().await;
    let logins = || count(&proxy, "POST", "/v1/sessions");
    let refreshes = || count(&proxy, "POST", "/v1/sessions/refresh");
    assert_eq!((logins(), refreshes()), (1, 0), "who comes second takes what the first one won");

    // The session that it gave is whole: its refresh token was not used by anybody, and works.
    alice.stop().await;
    let aged = SessionTokens { expires_at: 0, ..tokens(&alice) };
    alice.profile.write(|tx| tx.put_session(&aged)).unwrap();
    alice.through(&proxy).await;
    alice.read_everything().await;
    assert_eq!((logins(), refreshes()), (1, 1));
    assert_ne!(*tokens(&alice).refresh_token, *aged.refresh_token);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_by_a_request_is_renewed_and_the_request_made_again() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Person::register(&daemon.url(), "alice").await;
    let _bob = Person::register(&daemon.url(), "bob").await;
    alice.through(&proxy).await;
    alice.read_everything().await;
    let logins = || count(&proxy, "POST", "/v1/sessions");

    spoil_token(&alice);
    let tea = alice.engine.create_room("tea".to_owned()).await.unwrap();
    assert_eq!(logins(), 1);
    spoil_token(&alice);
    alice.engine.invite(tea, vec!["bob".parse().unwrap()]).await.unwrap();
    assert_eq!(logins(), 2);

    // A daemon that refuses every token is not asked for ever.
    proxy.at_requests(|request| {
        if request.is("POST", "/v1/rooms") {
            return Answer::fault(FaultCode::Unauthenticated);
        }
        Answer::Genuine
    });
    let error = alice.engine.create_room("cake".to_owned()).await.unwrap_err();
    assert!(matches!(error, EngineError::Net(_)) && error.exit_code() == 4, "{error}");
    assert_eq!(logins(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_list_whose_renewal_was_not_answered_is_never_a_fork() {
    const LIST: &str = "/v1/account/device-list";
    let daemon = Daemon::start(Backend::Sqlite);
    // What the daemon already has is not made again; what never arrived is made anew, under another version.
    for (name, answer, last) in [("alice", Answer::Lost, 3), ("alba", Answer::Cut, 4)] {
        let proxy = Proxy::start(daemon.address());
        let mut alice = Person::register(&daemon.url(), name).await;
        alice.stop().await;
        age_device_list(&daemon, &alice).await;

        let carried_out = usize::from(matches!(answer, Answer::Lost));
        proxy.at_requests(first("PUT", LIST, answer));
        alice.through(&proxy).await;
        alice.read_everything().await;
        eventually("the renewal", || (count(&proxy, "PUT", LIST) == 1).then_some(())).await;
        // Not before the daemon has it.
        eventually("its end", || (proxy.lost() == carried_out).then_some(())).await;
        alice.stop().await;
        let (signed, known) = versions(&alice);
        assert_eq!(signed, 3, "what was signed is noted");
        // Where it arrived, the daemon may have said so another way: the account has changed.
        assert!(known == 2 || (known == 3 && carried_out == 1), "{name}: {known}");

        alice.through(&proxy).await;
        let mut events = alice.engine.events();
        alice.read_everything().await;
        eventually("the list", || (versions(&alice) == (last, last)).then_some(())).await;

        // Then all is done.
        for _ in 0..2 {
            alice.through(&proxy).await;
            alice.read_everything().await;
        }
        alice.stop().await;
        assert_eq!(count(&proxy, "PUT", LIST), usize::try_from(last - 2).unwrap());
        while let Ok(event) = events.try_recv() {
            assert!(!matches!(event, Event::Trouble(_)), "{event:?}");
        }
    }
}

/// The version of the last own device list that was signed, and of the one that is known to be at the daemon.
fn versions(person: &Person) -> (u64, u64) {
    let versions = person.profile.read(|tx| {
        let own = tx.identity()?.unwrap();
        Ok::<_, StoreError>((own.list_version, tx.contact(own.account)?.unwrap().pinned.list_version))
    });
    versions.unwrap()
}

/// Lets most of the account's device list's life be over.
async fn age_device_list(daemon: &Daemon, person: &Person) {
    let aged = person.profile.read(|tx| {
        let own = tx.identity()?.unwrap();
        let contact = tx.contact(own.account)?.unwrap();
        let record = AccountRecord::verify(&contact.record).unwrap();
        let mut list = DeviceList::verify(&contact.device_list, &record.identity_key, 0).unwrap();
        list = list.next(own.list_version, now());
        list.expires_at = now() + 3600;
        Ok::<_, StoreError>(list.sign(&AccountSigningKey::from_seed(own.account_key).unwrap()).unwrap())
    });
    let rest = Client::new(daemon.url().parse().unwrap(), PATIENCE).unwrap();
    let put = PutDeviceList { device_list: aged.unwrap().into(), ..PutDeviceList::default() };
    rest.put_device_list(&tokens(person).access_token, &put).await.unwrap();
}

/// Why KeyPackages are renewed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Due {
    /// Half of their life is over.
    Aged,
    /// Others have claimed nearly all.
    Few,
}

#[tokio::test(flavor = "multi_thread")]
async fn key_packages_whose_upload_was_not_answered_are_good_and_so_are_those_before() {
    const UPLOAD: &str = "/v1/key-packages";
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    for (name, due, answer) in [
        ("bob", Due::Aged, Answer::Lost),
        ("bib", Due::Aged, Answer::Cut),
        ("ben", Due::Few, Answer::Lost),
        ("bea", Due::Few, Answer::Cut),
    ] {
        let proxy = Proxy::start(daemon.address());
        let mut bob = Person::register(&daemon.url(), name).await;
        bob.stop().await;
        let before = invited_to(&alice, name, "before").await;
        match due {
            Due::Aged => age_key_packages(&bob),
            Due::Few => claim(&daemon, &alice, &bob, 15).await,
        }

        let carried_out = matches!(answer, Answer::Lost);
        proxy.at_requests(first("POST", UPLOAD, answer));
        bob.through(&proxy).await;
        bob.read_everything().await;
        eventually("the upload", || (count(&proxy, "POST", UPLOAD) == 1).then_some(())).await;
        eventually("its end", || (proxy.lost() == usize::from(carried_out)).then_some(())).await;
        bob.stop().await;
        if due == Due::Few {
            claim(&daemon, &alice, &bob, 4).await;
        }
        // By one of those that were uploaded; or, where the upload never arrived, by the last resort.
        let between = invited_to(&alice, name, "between").await;
        bob.through(&proxy).await;
        bob.read_everything().await;
        if !carried_out {
            eventually("it is made up for", || (count(&proxy, "POST", UPLOAD) == 2).then_some(())).await;
        }
        bob.stop().await;
        let after = invited_to(&alice, name, "after").await;

        bob.through(&proxy).await;
        for room in [before, between, after] {
            bob.engine.join(room).await.unwrap_or_else(|error| panic!("{name}, {due:?}: {error}"));
            bob.say(room, "here I am").await;
            assert_eq!(alice.texts(room, 1).await, ["here I am"]);
        }
        bob.stop().await;
    }
}

async fn invited_to(alice: &Person, name: &str, called: &str) -> RoomId {
    let room = room(called, &[alice]).await;
    alice.engine.invite(room, vec![name.parse().unwrap()]).await.unwrap();
    room
}

/// Lets a little more than half of every KeyPackage's life be over.
fn age_key_packages(person: &Person) {
    let aged = person.profile.write(|tx| {
        for mut secret in tx.key_packages()? {
            secret.expires_at = now() + KEY_PACKAGE_LIFETIME / 2 - 3600;
            tx.put_key_package(&secret)?;
        }
        Ok::<_, StoreError>(())
    });
    aged.unwrap();
}

/// Claims so many of somebody's KeyPackages, for nothing.
async fn claim(daemon: &Daemon, by: &Person, of: &Person, count: usize) {
    let rest = Client::new(daemon.url().parse().unwrap(), PATIENCE).unwrap();
    let token = tokens(by).access_token;
    let request = ClaimKeyPackages { account_id: of.engine.me().account, devices: vec![] };
    for _ in 0..count {
        rest.claim_key_packages(&token, &request).await.unwrap();
    }
}
