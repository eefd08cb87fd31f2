//! What becomes of a room when the daemon refuses: what passes is tried again, what does not holds up nothing else, and
//! no answer makes the client say less or more than it was told to.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use qchat_cli::engine::{
    EngineError,
    types::{Connection, Delivery, Event},
};
use qchat_proto::{
    ids::{MessageId, RoomId, Seq},
    wire::{
        fault::{Fault, FaultCode},
        frame::{Envelope, read_client_frame, server_frame},
        pb::{self, client_frame, server_frame as server},
    },
};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    proxy::{Action, Answer, Direction, Proxy},
};

use crate::person::{Person, next, publish, published, room, trouble};

/// A request for a page of a room's log.
fn fetch(direction: Direction, payload: &[u8]) -> Option<pb::Fetch> {
    match read_client_frame(payload.to_vec().into()) {
        Ok(client_frame::Body::Fetch(fetch)) if direction == Direction::ToDaemon => Some(fetch),
        _ => None,
    }
}

/// A refusal as the daemon would write it.
fn refused(request_id: u64, code: FaultCode, room_commit_seq: Seq) -> Vec<u8> {
    let fault = pb::Fault::from(&Fault::new(code, "says somebody between"));
    let refused = pb::Refused {
        request_id,
        room_commit_seq: room_commit_seq.0,
        fault: Some(fault),
        ..pb::Refused::default()
    };
    server_frame(server::Body::Refused(refused)).to_vec()
}

/// Faults that each end a connection, to be met one after the other.
fn passing() -> Arc<Mutex<VecDeque<FaultCode>>> {
    Arc::new(Mutex::new([FaultCode::Unavailable, FaultCode::Internal, FaultCode::RateLimited].into()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_fault_ends_the_connection_and_the_next_one_reads_on() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;

    // In answer to a page.
    bob.stop().await;
    alice.say(tea, "hello").await;
    let pages = passing();
    let left = Arc::clone(&pages);
    proxy.at_frames(move |direction, payload| {
        let Some(fetch) = fetch(direction, payload) else { return Action::Pass };
        let code = left.lock().unwrap().pop_front();
        code.map_or(Action::Pass, |code| Action::Reply(refused(fetch.request_id, code, Seq(0))))
    });
    bob.through(&proxy).await;
    bob.read_everything().await;
    assert_eq!(bob.texts(tea, 1).await, ["hello"]);
    assert!(pages.lock().unwrap().is_empty(), "every fault was met");

    // In answer to a key that a commit names.
    let carol = Person::register(&daemon.url(), "carol").await;
    let directory = format!("/v1/accounts/{}", carol.engine.me().account);
    let keys = passing();
    let left = Arc::clone(&keys);
    proxy.at_requests(move |request| {
        let code = request.is("GET", &directory).then(|| left.lock().unwrap().pop_front()).flatten();
        code.map_or(Answer::Genuine, Answer::fault)
    });
    alice.engine.invite(tea, vec!["carol".parse().unwrap()]).await.unwrap();
    carol.engine.join(tea).await.unwrap();
    carol.say(tea, "hello from carol").await;
    bob.read_everything().await;
    assert_eq!(bob.texts(tea, 2).await[1], "hello from carol");
    assert!(keys.lock().unwrap().is_empty(), "every fault was met");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_when_to_come_back_does_not_come_sooner() {
    const SECONDS: u32 = 2;
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    bob.stop().await;
    alice.say(tea, "hello").await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let times = Arc::clone(&asked);
    proxy.at_frames(move |direction, payload| {
        let Some(fetch) = fetch(direction, payload) else { return Action::Pass };
        let mut times = times.lock().unwrap();
        times.push(Instant::now());
        if times.len() > 1 {
            return Action::Pass;
        }
        let fault = Fault { retry_after: Some(SECONDS), ..Fault::new(FaultCode::Unavailable, "restarting") };
        let refused = pb::Refused {
            request_id: fetch.request_id,
            fault: Some((&fault).into()),
            ..pb::Refused::default()
        };
        Action::Reply(server_frame(server::Body::Refused(refused)).to_vec())
    });
    bob.through(&proxy).await;
    assert_eq!(bob.texts(tea, 1).await, ["hello"]);
    let asked = asked.lock().unwrap();
    let waited = asked[1].duration_since(asked[0]);
    assert!(waited >= Duration::from_secs(SECONDS.into()), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_cannot_be_read_on_keeps_no_other_from_being_read() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let mut rooms = vec![];
    for name in ["tea", "cake"] {
        rooms.push(room(name, &[&alice, &bob]).await);
    }
    // Whichever is asked for first.
    for (round, &blocked) in rooms.iter().enumerate() {
        bob.stop().await;
        for &room in &rooms {
            alice.say(room, "hello").await;
        }
        proxy.at_frames(move |direction, payload| match fetch(direction, payload) {
            Some(fetch) if fetch.room_id == blocked.as_bytes()[..] => {
                Action::Reply(refused(fetch.request_id, FaultCode::Forbidden, Seq(0)))
            }
            _ => Action::Pass,
        });
        bob.through(&proxy).await;
        let error = bob.engine.sync().await.unwrap_err();
        assert!(matches!(&error, EngineError::Partial(rooms) if *rooms == [blocked]), "{error}");
        assert_eq!(error.exit_code(), 8);
        for &room in &rooms {
            let read = if room == blocked { round } else { round + 1 };
            assert_eq!(bob.texts(room, read).await.len(), read);
        }
    }
    // The next connection tries again.
    let mut events = bob.engine.events();
    proxy.at_frames(|_, _| Action::Pass);
    proxy.cut_all();
    while !matches!(next(&mut events).await, Event::Connection(Connection::Online(_))) {}
    bob.read_everything().await;
    for room in rooms {
        assert_eq!(bob.texts(room, 2).await, ["hello", "hello"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_as_stale_that_names_no_newer_commit_uses_one_key_and_holds_the_row() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    alice.through(&proxy).await;
    alice.read_everything().await;

    let mut lies = 0;
    proxy.at_frames(move |direction, payload| {
        let Some(publish) = publish(direction, payload) else { return Action::Pass };
        // A client that believes it would go on for ever.
        lies += 1;
        if lies > 10 {
            return Action::Pass;
        }
        let under = Envelope::decode(publish.envelope).unwrap().commit_seq;
        Action::Reply(refused(publish.request_id, FaultCode::StaleEpoch, under))
    });
    let mut events = alice.engine.events();
    alice.engine.send(tea, "held".to_owned()).await.unwrap();
    trouble(&mut events, "contradicts itself").await;
    assert_eq!(published(&proxy).len(), 1, "it is not sealed again");
    assert_eq!(alice.engine.room(tea).await.unwrap().waiting, 1);

    // What is sealed is sent again as it is once the room moves on, and only then sealed anew.
    proxy.at_frames(|_, _| Action::Pass);
    bob.engine.update_keys(tea).await.unwrap();
    assert_eq!(bob.texts(tea, 1).await, ["held"]);
    let sealings: BTreeSet<_> = published(&proxy).into_iter().map(|envelope| envelope.payload).collect();
    assert_eq!(sealings.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_refusal_of_an_older_sealing_takes_nothing_out() {
    let daemon = Daemon::start(Backend::Sqlite);
    let (slow, held) = (Proxy::start(daemon.address()), Proxy::start(daemon.address()));
    let mut alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let tea = room("tea", &[&alice, &bob]).await;
    alice.through(&slow).await;
    alice.read_everything().await;

    // The first process sends, and hears nothing.
    let withhold = |direction, payload: &[u8]| match publish(direction, payload) {
        Some(_) => Action::Instead(vec![]),
        None => Action::Pass,
    };
    slow.at_frames(withhold);
    let id = alice.engine.send(tea, "sealed twice".to_owned()).await.unwrap();
    let (connection, request_id) = slow.wait_for("the first sealing", |frames| {
        let found = frames.iter().find_map(|f| Some((f.connection, publish(f.direction, &f.payload)?)));
        found.map(|(connection, publish)| (connection, publish.request_id))
    });

    // The second one learns that the room has moved on, and seals anew.
    bob.engine.update_keys(tea).await.unwrap();
    let first = published(&slow)[0].clone();
    held.at_frames(move |direction, payload| match publish(direction, payload) {
        Some(publish) if publish.envelope != first.encode() => Action::Instead(vec![]),
        _ => Action::Pass,
    });
    let second = alice.second_process(&held).await;
    held.wait_for("the second sealing", |frames| {
        let sealings = frames.iter().filter_map(|f| publish(f.direction, &f.payload));
        (sealings.map(|publish| publish.envelope).collect::<BTreeSet<_>>().len() == 2).then_some(())
    });

    // Only now the first one is refused.
    let mut events = alice.engine.events();
    slow.say(connection, Direction::ToClient, &refused(request_id, FaultCode::Forbidden, Seq(0)));
    trouble(&mut events, "says somebody between").await;
    assert_eq!(delivery(&alice, tea, id).await, Some(Delivery::Pending));
    assert_eq!(alice.engine.room(tea).await.unwrap().waiting, 1);

    held.at_frames(|_, _| Action::Pass);
    held.cut_all();
    second.wait_sent(tea, id).await.unwrap();
    assert_eq!(bob.texts(tea, 1).await, ["sealed twice"]);
    assert_eq!(delivery(&alice, tea, id).await, Some(Delivery::Sent));
    second.shutdown().await;
}

async fn delivery(person: &Person, room: RoomId, id: MessageId) -> Option<Delivery> {
    let lines = person.engine.timeline(room, None, 100).await.unwrap();
    lines.into_iter().find(|line| line.id == Some(id)).map(|line| line.delivery)
}
