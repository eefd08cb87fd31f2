//! Invitations that somebody between, or the daemon itself, has tampered with.

use std::sync::{Arc, Mutex};

use qchat_proto::wire::{frame::read_client_frame, pb::client_frame};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    proxy::{Answer, Proxy},
};

use crate::person::{Person, room};

/// More of a log than any join may need, in the words of `engine::actor`.
const TOO_LONG: u64 = 100_002;

#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_part_of_a_log_is_not_asked_for() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice]).await;
    alice.engine.invite(tea, vec!["bob".parse().unwrap()]).await.unwrap();

    // The tree first gets lost, so that there is one to give at another place too.
    let tree = Arc::new(Mutex::new(vec![]));
    let kept = Arc::clone(&tree);
    proxy.at_requests(move |request| {
        let kept = Arc::clone(&kept);
        if !request.path.ends_with("/tree") {
            return Answer::Genuine;
        }
        Answer::Changed(Box::new(move |body| {
            *kept.lock().unwrap() = body;
            b"no tree".to_vec()
        }))
    });
    bob.through(&proxy).await;
    bob.read_everything().await;
    bob.engine.join(tea).await.unwrap_err();

    let invitation = format!("/v1/rooms/{tea}/invitation");
    let tree = tree.lock().unwrap().clone();
    proxy.at_requests(move |request| {
        if request.is("GET", &invitation) {
            return Answer::changed(|invitation| invitation["seq"] = TOO_LONG.into());
        }
        if request.path.ends_with("/tree") { Answer::False(200, tree.clone()) } else { Answer::Genuine }
    });
    let error = bob.engine.join(tea).await.unwrap_err().to_string();
    assert!(error.contains("impossible log"), "{error}");
    let asked = proxy.frames().into_iter().filter_map(|frame| read_client_frame(frame.payload.into()).ok());
    assert_eq!(asked.filter(|frame| matches!(frame, client_frame::Body::Fetch(_))).count(), 0);

    // Once the truth is told the invitation is still good.
    proxy.at_requests(|_| Answer::Genuine);
    bob.engine.join(tea).await.unwrap();
    alice.say(tea, "welcome").await;
    assert_eq!(bob.texts(tea, 1).await, ["welcome"]);
}
