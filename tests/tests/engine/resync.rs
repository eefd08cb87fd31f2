//! A device that cannot follow a room finds its way back by itself, with the help of whoever else is there.

use qchat_cli::{
    engine::{
        Accept,
        types::{Body, RoomStatus},
    },
    store::{StoreError, Tx},
};
use qchat_proto::{
    ids::RoomId,
    session::ledger::{GroupUpdate, Ledger},
    wire::{fault::FaultCode, frame::Kind},
};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    proxy::{Action, Answer, Proxy, Request},
};

use crate::{
    consent::until,
    person::{Person, publish, published, room},
};

/// Ends the engine and leads this device's keys back to those of before the others' last commit: what follows is of an
/// epoch that it cannot reach. `renews`: somebody who commits in between.
async fn falls_behind(person: &Person, renews: &Person, tea: RoomId) {
    person.engine.sync().await.unwrap();
    let old = person.profile.read(|tx: &mut Tx| tx.group(tea)).unwrap().unwrap();
    renews.engine.update_keys(tea).await.unwrap();
    person.engine.sync().await.unwrap();
    person.stop().await;
    let old = GroupUpdate { state: old.state, tree: Some(old.tree) };
    person.profile.write(|tx: &mut Tx| tx.put_group(tea, &old)).map_err(|error: StoreError| error).unwrap();
}

/// What stands in a person's timeline, warnings and notices in words.
async fn lines(person: &Person, tea: RoomId) -> Vec<String> {
    let lines = person.engine.timeline(tea, None, 1000).await.unwrap();
    lines
        .into_iter()
        .filter_map(|line| match line.body {
            Body::Text(text) | Body::Warning(text) | Body::Notice(text) => Some(text),
            Body::Poll(_) | Body::File(_) | Body::Deleted(_) | Body::Unknown => None,
        })
        .collect()
}

async fn has(person: &Person, tea: RoomId, words: &str) -> bool {
    lines(person, tea).await.iter().any(|line| line.contains(words))
}

async fn sees(person: &Person, tea: RoomId, words: &str) {
    until(&person.engine, async || has(person, tea, words).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_cannot_follow_is_added_again_and_both_talk_on() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    alice.say(tea, "one").await;
    assert_eq!(bob.texts(tea, 1).await, ["one"]);
    falls_behind(&bob, &alice, tea).await;
    alice.say(tea, "not for bob").await;
    // The first answer to bob's request is lost with its connection; the second time it is the same.
    let mut cut = false;
    proxy.at_frames(move |direction, payload| {
        if cut || publish(direction, payload).is_none() {
            return Action::Pass;
        }
        cut = true;
        Action::CutAfter
    });
    bob.through(&proxy).await;
    sees(&bob, tea, "was added again and follows the room").await;
    assert!(has(&bob, tea, "cannot follow the room any more").await);
    sees(&alice, tea, "a device of bob asks to be added again").await;
    sees(&alice, tea, "a device of bob was added again").await;
    let asked: Vec<_> = published(&proxy).into_iter().filter(|sent| sent.kind == Kind::Resync).collect();
    assert!((1..=2).contains(&asked.len()) && asked.iter().all(|again| *again == asked[0]), "{asked:?}");

    assert_eq!(bob.engine.room(tea).await.unwrap().summary.status, RoomStatus::Joined);
    bob.say(tea, "from bob").await;
    sees(&alice, tea, "from bob").await;
    alice.say(tea, "from alice").await;
    sees(&bob, tea, "from alice").await;
    assert!(!has(&bob, tea, "not for bob").await);
    assert!(!lines(&alice, tea).await.iter().any(|line| line.contains("never arrived")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_added_again_while_it_was_away_returns_with_the_next_connection() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    falls_behind(&bob, &alice, tea).await;
    alice.say(tea, "not for bob").await;
    // Bob asks, and reads that he was added again, but the Welcome does not come through.
    proxy.at_requests(|request: &Request| {
        if request.path.ends_with("/invitation") {
            Answer::fault(FaultCode::Unavailable)
        } else {
            Answer::Genuine
        }
    });
    bob.through(&proxy).await;
    sees(&alice, tea, "a device of bob was added again").await;
    bob.engine.sync().await.unwrap();
    assert_eq!(bob.engine.room(tea).await.unwrap().summary.status, RoomStatus::Stuck);
    assert!(bob.engine.send(tea, "hm".to_owned()).await.is_err());
    bob.accepting(Accept::Ask).await;
    sees(&bob, tea, "was added again and follows the room").await;
    bob.say(tea, "from bob").await;
    sees(&alice, tea, "from bob").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_nobody_follows_goes_on_when_its_admin_restarts_it() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let carol = Person::register(&daemon.url(), "carol").await;
    let tea = room("tea", &[&alice, &bob, &carol]).await;
    let refused = alice.engine.restart(tea).await.unwrap_err();
    assert_eq!(refused.exit_code(), 6, "{refused}: she follows");
    // Neither alice nor bob can follow, and carol, who could, has gone.
    falls_behind(&alice, &carol, tea).await;
    falls_behind(&bob, &carol, tea).await;
    carol.say(tea, "not for you").await;
    carol.engine.sync().await.unwrap();
    carol.stop().await;
    alice.accepting(Accept::Ask).await;
    bob.accepting(Accept::Ask).await;
    for person in [&alice, &bob] {
        sees(person, tea, "cannot follow the room any more").await;
        let status = person.engine.room(tea).await.unwrap().summary.status;
        assert_eq!(status, RoomStatus::Stuck);
    }
    let refused = bob.engine.restart(tea).await.unwrap_err();
    assert_eq!(refused.exit_code(), 6, "{refused}: he is no admin");

    assert_eq!(alice.engine.restart(tea).await.unwrap(), []);
    sees(&bob, tea, "alice restarted the room").await;
    until(&bob.engine, async || bob.engine.room(tea).await.unwrap().summary.status == RoomStatus::Joined)
        .await;
    bob.say(tea, "from bob").await;
    sees(&alice, tea, "from bob").await;
    // Who could follow goes along when she is back.
    let mut carol = carol;
    carol.accepting(Accept::Ask).await;
    sees(&carol, tea, "alice restarted the room").await;
    sees(&carol, tea, "from bob").await;
    carol.say(tea, "here again").await;
    for person in [&alice, &bob] {
        sees(person, tea, "here again").await;
        assert!(!has(person, tea, "not for you").await);
        assert!(!lines(person, tea).await.iter().any(|line| line.contains("never arrived")));
    }
}
