//! How a registration ends when something comes between: it is over, or it is taken up again; never half of it.

use std::path::Path;

use qchat_cli::{
    engine::{EngineError, Handle, NewVault, Options, Registered, register},
    store::Profile,
    vault,
};
use qchat_proto::wire::fault::FaultCode;
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    proxy::{Answer, Proxy},
};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::person::{PASSPHRASE, PATIENCE};

async fn attempt(dir: &Path, proxy: &Proxy) -> Result<Registered, EngineError> {
    let (server, name) = (proxy.url().parse().unwrap(), "alice".parse().unwrap());
    let passphrase = Zeroizing::new(PASSPHRASE.to_owned());
    register(dir, server, name, NewVault::new(passphrase, NewVault::LEAST_MEMORY), PATIENCE, |_| {}).await
}

/// What becomes of the request that creates the account.
fn answer_registrations(proxy: &Proxy, answer: impl Fn() -> Answer + Send + 'static) {
    proxy.at_requests(
        move |request| {
            if request.is("POST", "/v1/accounts") { answer() } else { Answer::Genuine }
        },
    );
}

fn is_kept(dir: &Path) -> bool {
    assert_eq!(vault::exists(dir), Profile::exists(dir), "a vault without a database, or the reverse");
    vault::exists(dir)
}

/// The account that requests to create one have named, each.
fn accounts_asked_for(proxy: &Proxy) -> Vec<String> {
    let requests = proxy.requests().into_iter().filter(|request| request.is("POST", "/v1/accounts"));
    let body = requests.map(|request| serde_json::from_slice::<serde_json::Value>(&request.body).unwrap());
    body.map(|body| body["account_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_says_no_ends_a_registration_and_any_other_leaves_it_open() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    for (code, over) in [
        (FaultCode::NameTaken, true),
        (FaultCode::BadRequest, true),
        (FaultCode::Conflict, true),
        (FaultCode::Forbidden, true),
        (FaultCode::TooLarge, true),
        (FaultCode::RateLimited, true),
        (FaultCode::UnsupportedVersion, true),
        // After these the account may exist, and only the keys made here can use it.
        (FaultCode::Unavailable, false),
        (FaultCode::Internal, false),
    ] {
        let home = TempDir::with_prefix("qchat-").unwrap();
        let dir = home.path().join("profile");
        answer_registrations(&proxy, move || Answer::fault(code));
        let error = attempt(&dir, &proxy).await.err().expect("a refusal");
        assert!(matches!(&error, EngineError::Net(_)), "{code:?}: {error}");
        assert_eq!(is_kept(&dir), !over, "{code:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_whose_answer_was_lost_is_taken_up_again_with_the_same_account() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let home = TempDir::with_prefix("qchat-").unwrap();
    let dir = home.path().join("profile");
    answer_registrations(&proxy, || Answer::Lost);
    attempt(&dir, &proxy).await.err().expect("no answer");
    assert!(is_kept(&dir));

    // While the daemon cannot say whether the account exists, nothing is thrown away either.
    proxy.at_requests(|_| Answer::fault(FaultCode::Unavailable));
    attempt(&dir, &proxy).await.err().expect("no answer");
    assert!(is_kept(&dir));

    proxy.at_requests(|_| Answer::Genuine);
    let registered = attempt(&dir, &proxy).await.unwrap();
    assert!(registered.recovery_words.is_some(), "they were kept");
    let options = Options::new(PATIENCE);
    let alice = Handle::start(registered.profile, options).await.unwrap();
    alice.sync().await.unwrap();
    alice.create_room("tea".to_owned()).await.unwrap();
    assert_eq!(accounts_asked_for(&proxy), [alice.me().account.to_string()]);
    alice.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_never_arrived_is_cleared_and_begins_anew() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let home = TempDir::with_prefix("qchat-").unwrap();
    let dir = home.path().join("profile");
    answer_registrations(&proxy, || Answer::Cut);
    attempt(&dir, &proxy).await.err().expect("no answer");
    assert!(is_kept(&dir));

    proxy.at_requests(|_| Answer::Genuine);
    let said = attempt(&dir, &proxy).await.err().expect("it is cleared").to_string();
    assert!(said.contains("register again"), "{said}");
    assert!(!is_kept(&dir));
    let registered = attempt(&dir, &proxy).await.unwrap();
    assert!(registered.recovery_words.is_some());
    let asked = accounts_asked_for(&proxy);
    assert!(asked.len() == 2 && asked[0] != asked[1], "an account that may exist is not asked for again");
}
