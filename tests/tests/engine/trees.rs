//! Ratchet trees, which go to the daemon ahead of the commits that name them, and come from it to joiners.

use futures_util::StreamExt;
use qchat_proto::{
    ids::{RoomId, UserName},
    wire::{fault::FaultCode, pb},
};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    device::register_leaf,
    proxy::{Action, Answer, Proxy, Request},
};

use crate::person::{Person, publish, room};

/// Devices whose tree is larger than 4 MiB.
const MANY: usize = 370;

/// What becomes of a tree on its way.
type Lie = fn(Vec<u8>) -> Vec<u8>;

fn puts(request: &Request) -> bool {
    request.method == "PUT" && request.path.contains("/trees/")
}

/// Every publication that brings Welcomes, as often as it was sent.
fn adding(proxy: &Proxy) -> Vec<pb::Publish> {
    let published = proxy.frames().into_iter().filter_map(|frame| publish(frame.direction, &frame.payload));
    published.filter(|publish| !publish.welcomes.is_empty()).collect()
}

fn all_puts(proxy: &Proxy) -> Vec<Request> {
    proxy.requests().into_iter().filter(puts).collect()
}

/// Alice behind a proxy, in a room of her own; bob, whom she may invite.
async fn alone(daemon: &Daemon, proxy: &Proxy) -> (Person, Person, RoomId) {
    let mut alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    alice.through(proxy).await;
    let room = room("tea", &[&alice]).await;
    (alice, bob, room)
}

async fn comes_together(alice: &Person, bob: &Person, room: RoomId) {
    bob.engine.sync().await.unwrap();
    bob.engine.join(room).await.unwrap();
    alice.say(room, "hello").await;
    assert_eq!(bob.texts(room, 1).await, ["hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_interrupted_between_a_tree_and_its_commit_goes_on_with_the_same_bytes() {
    let daemon = Daemon::start(Backend::Sqlite);
    // The connection breaks when the commit is on its way; the daemon says that it took the tree, and did not; the way
    // of the tree breaks.
    for (what, wanted_puts, wanted_publications) in
        [("the commit is cut off", 1, 2), ("the tree is lost", 2, 2), ("the tree is cut off", 2, 1)]
    {
        let proxy = Proxy::start(daemon.address());
        let (alice, bob, room) = alone_as(&daemon, &proxy, what).await;
        let mut first = true;
        if what == "the commit is cut off" {
            proxy.at_frames(move |direction, payload| {
                let cuts = publish(direction, payload).is_some_and(|publish| !publish.welcomes.is_empty());
                if cuts && std::mem::take(&mut first) { Action::CutBefore } else { Action::Pass }
            });
        } else {
            proxy.at_requests(move |request| match puts(request) && std::mem::take(&mut first) {
                true if what == "the tree is lost" => Answer::False(204, vec![]),
                true => Answer::Cut,
                false => Answer::Genuine,
            });
        }
        alice.engine.invite(room, vec![bob.engine.me().name.clone()]).await.unwrap();
        let (puts, published) = (all_puts(&proxy), adding(&proxy));
        assert_eq!((puts.len(), published.len()), (wanted_puts, wanted_publications), "{what}");
        for put in &puts {
            assert!(*put == puts[0] && !put.body.is_empty(), "{what}");
        }
        for again in &published {
            assert!(again.envelope == published[0].envelope, "{what}");
            assert!(again.welcomes == published[0].welcomes, "{what}");
            assert!(puts[0].path.ends_with(&hex::encode(&again.tree_hash)), "{what}");
        }
        comes_together(&alice, &bob, room).await;
    }
}

/// [`alone`] under names of their own.
async fn alone_as(daemon: &Daemon, proxy: &Proxy, what: &str) -> (Person, Person, RoomId) {
    let suffix = what.replace(' ', "-");
    let mut alice = Person::register(&daemon.url(), &format!("a-{suffix}")).await;
    let bob = Person::register(&daemon.url(), &format!("b-{suffix}")).await;
    alice.through(proxy).await;
    let room = room("tea", &[&alice]).await;
    (alice, bob, room)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_ended_between_a_tree_and_its_commit_goes_on_when_it_starts_again() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let (mut alice, bob, room) = alone(&daemon, &proxy).await;
    // The commit never gets through, and then the program is gone.
    proxy.at_frames(|direction, payload| match publish(direction, payload) {
        Some(publish) if !publish.welcomes.is_empty() => Action::CutBefore,
        _ => Action::Pass,
    });
    let handle = alice.engine.clone();
    let inviting = tokio::spawn(async move { handle.invite(room, vec!["bob".parse().unwrap()]).await });
    proxy.wait_for("the commit", |frames| {
        frames.iter().any(|frame| publish(frame.direction, &frame.payload).is_some()).then_some(())
    });
    alice.stop().await;
    inviting.abort();
    let sealed = adding(&proxy).remove(0);

    let again = Proxy::start(daemon.address());
    alice.through(&again).await;
    alice.engine.sync().await.unwrap();
    bob.engine.sync().await.unwrap();
    again.wait_for("the commit", |frames| {
        let mut published = frames.iter().filter_map(|frame| publish(frame.direction, &frame.payload));
        published.find(|publish| !publish.welcomes.is_empty()).map(|publish| {
            assert!(publish.envelope == sealed.envelope && publish.welcomes == sealed.welcomes);
        })
    });
    alice.say(room, "first").await;
    comes_together_after(&alice, &bob, room).await;
}

async fn comes_together_after(alice: &Person, bob: &Person, room: RoomId) {
    bob.engine.sync().await.unwrap();
    bob.engine.join(room).await.unwrap();
    alice.say(room, "hello").await;
    assert_eq!(bob.texts(room, 2).await, ["first", "hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_the_daemon_has_changed_joins_nothing_and_the_true_one_does() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let room = room("tea", &[&alice]).await;
    alice.engine.invite(room, vec!["bob".parse().unwrap()]).await.unwrap();
    bob.through(&proxy).await;
    bob.engine.sync().await.unwrap();
    let lies: [(&str, Lie); 5] = [
        ("a bit of it", |mut tree| {
            let middle = tree.len() / 2;
            tree[middle] ^= 1;
            tree
        }),
        ("half of it", |tree| tree[..tree.len() / 2].to_vec()),
        ("nothing", |_| vec![]),
        ("noise", |tree| vec![7; tree.len()]),
        ("more than any room has", |_| vec![0; 25 * 1024 * 1024]),
    ];
    for (what, lie) in lies {
        proxy.at_requests(move |request| {
            if request.path.ends_with("/tree") { Answer::Changed(Box::new(lie)) } else { Answer::Genuine }
        });
        let error = bob.engine.join(room).await.unwrap_err();
        assert!([3, 6].contains(&error.exit_code()), "{what}: {error}");
        assert!(bob.engine.room(room).await.is_err(), "{what}");
    }
    proxy.at_requests(|request| {
        if request.path.ends_with("/tree") { Answer::fault(FaultCode::NotFound) } else { Answer::Genuine }
    });
    assert_eq!(bob.engine.join(room).await.unwrap_err().exit_code(), 5);
    proxy.at_requests(|_| Answer::Genuine);
    comes_together(&alice, &bob, room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_whose_tree_fits_no_frame_is_joined_and_written_in() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let carol = Person::register(&daemon.url(), "carol").await;
    let names: Vec<String> = (0..MANY).map(|number| format!("leaf-{number}")).collect();
    let registering = names.iter().map(|name| {
        let url = daemon.url();
        async move { register_leaf(&url, name).await }
    });
    futures_util::stream::iter(registering).buffer_unordered(4).collect::<Vec<()>>().await;
    let room = room("crowd", &[&alice, &carol]).await;
    let mut invited: Vec<UserName> = names.iter().map(|name| name.parse().unwrap()).collect();
    invited.push("bob".parse().unwrap());
    alice.engine.invite(room, invited).await.unwrap();
    // Neither who follows all these commits nor who joins has met any of them before.
    bob.engine.sync().await.unwrap();
    bob.engine.join(room).await.unwrap();
    alice.say(room, "hello everybody").await;
    for person in [&bob, &carol] {
        assert_eq!(person.texts(room, 1).await, ["hello everybody"]);
        assert_eq!(person.engine.room(room).await.unwrap().members.len(), MANY + 3);
    }
    bob.say(room, "hello").await;
    assert_eq!(alice.texts(room, 2).await.len(), 2);
}
