//! The daemon deletes what everybody has, and after a time what somebody has not fetched.

use std::time::Instant;

use qchat_cli::engine::{
    Accept,
    types::{Body, RoomStatus},
};
use qchat_proto::{
    ids::RoomId,
    wire::{
        frame::{Kind, read_server_frame, server_frame},
        limits, pb,
    },
};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    proxy::{Action, Direction, Proxy},
};

use crate::{
    consent::until,
    person::{PATIENCE, Person, eventually, publish, published, room},
};

/// More hours than an envelope is kept for that somebody has not fetched.
const QUARTER: u32 = 91 * 24;

async fn lines(person: &Person, tea: RoomId) -> Vec<String> {
    let lines = person.engine.timeline(tea, None, 1000).await.unwrap();
    let text = |body| match body {
        Body::Text(text) | Body::Warning(text) | Body::Notice(text) => Some(text),
        Body::Poll(_) | Body::File(_) | Body::Deleted(_) | Body::Unknown => None,
    };
    lines.into_iter().filter_map(|line| text(line.body)).collect()
}

async fn has(person: &Person, tea: RoomId, words: &str) -> bool {
    lines(person, tea).await.iter().any(|line| line.contains(words))
}

async fn sees(person: &Person, tea: RoomId, words: &str) {
    until(&person.engine, async || has(person, tea, words).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_after_what_it_missed_was_deleted_says_so_and_is_added_again() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let mut dave = Person::register(&daemon.url(), "dave").await;
    let tea = room("tea", &[&alice, &bob, &dave]).await;
    alice.say(tea, "for all").await;
    sees(&bob, tea, "for all").await;
    sees(&dave, tea, "for all").await;
    bob.stop().await;
    dave.stop().await;
    alice.say(tea, "missed").await;
    alice.engine.update_keys(tea).await.unwrap();
    alice.engine.sync().await.unwrap();
    daemon.age(QUARTER);
    assert!(daemon.sweep() > 2);
    assert_eq!(daemon.sweep(), 0, "all of it is gone");
    // What follows is there.
    alice.say(tea, "kept").await;

    bob.accepting(Accept::Ask).await;
    sees(&bob, tea, "the server no longer keeps what this device has missed").await;
    sees(&alice, tea, "a device of bob asks to be added again").await;
    sees(&bob, tea, "was added again and follows the room").await;
    assert_eq!(bob.engine.room(tea).await.unwrap().summary.status, RoomStatus::Joined);
    let told = lines(&bob, tea).await;
    assert!(!told.iter().any(|line| line == "missed" || line == "kept"), "{told:?}");
    bob.say(tea, "from bob").await;
    sees(&alice, tea, "from bob").await;
    alice.say(tea, "from alice").await;
    sees(&bob, tea, "from alice").await;
    dave.accepting(Accept::Ask).await;
    sees(&dave, tea, "was added again and follows the room").await;
    dave.say(tea, "from dave").await;
    sees(&bob, tea, "from dave").await;
    // Nobody takes it for envelopes that the server has dropped.
    for person in [&alice, &bob, &dave] {
        assert!(!has(person, tea, "never arrived").await, "{:?}", lines(person, tea).await);
    }
}

/// What a daemon that lies says instead of a page: that everything up to `deleted` is gone, of a log up to `last_seq`.
fn gone(page: pb::Page, last_seq: u64, deleted: u64) -> Vec<u8> {
    let page = pb::Page { last_seq, deleted, ..page };
    server_frame(pb::server_frame::Body::Page(page)).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_have_been_deleted_was_not() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    bob.engine.sync().await.unwrap();
    for (last_seq, deleted) in [
        (9, 10),
        (u64::MAX, u64::MAX),
        (limits::SEQ.0 + 1, limits::SEQ.0 + 1),
        (limits::SEQ.0, limits::SEQ.0),
    ] {
        bob.stop().await;
        alice.say(tea, "kept").await;
        // The last one has an envelope, which does not follow.
        proxy.at_frames(move |direction, payload| match read_server_frame(payload.to_vec().into()) {
            Ok(Some(pb::server_frame::Body::Page(page))) if direction == Direction::ToClient => {
                Action::Instead(vec![gone(page, last_seq, deleted)])
            }
            _ => Action::Pass,
        });
        bob.through(&proxy).await;
        let refused = bob.engine.sync().await.unwrap_err();
        assert_eq!(refused.exit_code(), 8, "{deleted}: {refused}");
        let status = bob.engine.room(tea).await.unwrap().summary.status;
        assert_eq!(status, RoomStatus::Joined, "{deleted}");
    }
    bob.accepting(Accept::Ask).await;
    assert_eq!(lines(&bob, tea).await.iter().filter(|line| *line == "kept").count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_of_more_than_there_is_follows_again_once_the_server_is_honest() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    bob.engine.sync().await.unwrap();
    bob.stop().await;
    alice.say(tea, "missed").await;
    // It says that it has deleted all that there will ever be, and lets nobody know that bob asks to be added again.
    proxy.at_frames(|direction, payload| {
        if publish(direction, payload).is_some() {
            return Action::Instead(vec![]);
        }
        match read_server_frame(payload.to_vec().into()) {
            Ok(Some(pb::server_frame::Body::Page(page))) if direction == Direction::ToClient => {
                let page = pb::Page { envelopes: vec![], ..page };
                Action::Instead(vec![gone(page, limits::SEQ.0, limits::SEQ.0)])
            }
            _ => Action::Pass,
        }
    });
    bob.through(&proxy).await;
    sees(&bob, tea, "the server no longer keeps what this device has missed").await;
    eventually("bob asks to be added again", || {
        published(&proxy).into_iter().find(|sent| sent.kind == Kind::Resync)
    })
    .await;

    bob.accepting(Accept::Ask).await;
    sees(&bob, tea, "was added again and follows the room").await;
    assert_eq!(bob.engine.room(tea).await.unwrap().summary.status, RoomStatus::Joined);
    bob.say(tea, "from bob").await;
    sees(&alice, tea, "from bob").await;
    alice.say(tea, "from alice").await;
    sees(&bob, tea, "from alice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_whose_log_is_deleted_says_so() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let tea = alice.engine.create_room("tea".to_owned()).await.unwrap();
    alice.engine.invite(tea, vec!["bob".parse().unwrap()]).await.unwrap();
    until(&bob.engine, async || {
        let rooms = bob.engine.rooms().await.unwrap();
        rooms.iter().any(|room| room.status == RoomStatus::Invited)
    })
    .await;
    daemon.age(QUARTER);
    assert!(daemon.sweep() > 0);
    let refused = bob.engine.join(tea).await.unwrap_err().to_string();
    assert!(refused.contains("no longer keeps what this invitation needs"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_read_that_it_was_removed_keeps_no_log() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    bob.engine.sync().await.unwrap();
    bob.stop().await;
    alice.engine.remove(tea, "bob".parse().unwrap()).await.unwrap();
    alice.say(tea, "without bob").await;
    alice.engine.update_keys(tea).await.unwrap();
    alice.engine.sync().await.unwrap();
    bob.accepting(Accept::Ask).await;
    // Both have confirmed what they can: all up to the last commit goes, which bob's removal is before.
    let (mut deleted, begun) = (0, Instant::now());
    while deleted < 4 {
        assert!(begun.elapsed() < PATIENCE, "only {deleted} envelopes were deleted");
        deleted += daemon.sweep();
        alice.engine.sync().await.unwrap();
    }
    assert_eq!(bob.engine.room(tea).await.unwrap().summary.status, RoomStatus::Removed);
}
