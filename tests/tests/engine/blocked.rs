//! A member's identity changes while texts wait: they go on waiting, and whoever it is about can be removed, or the room
//! left.

use qchat_cli::engine::EngineError;
use qchat_proto::{
    ids::RoomId,
    wire::{fault::FaultCode, frame::Kind},
};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    device,
    proxy::{Action, Answer, Proxy, Request},
};

use crate::person::{Person, publish, published, room, trouble};

const WRITTEN: &str = "written before anybody knew";

/// A room of three in which one has become somebody else, with a text of another's that was written before.
struct Changed {
    _daemon: Daemon,
    proxy: Proxy,
    alice: Person,
    bob: Person,
    carol: Person,
    tea: RoomId,
}

impl Changed {
    /// `sealed`: the text has been sealed by then, and nobody knows what has become of it.
    async fn noticed_too_late(sealed: bool) -> Self {
        let daemon = Daemon::start(Backend::Sqlite);
        let proxy = Proxy::start(daemon.address());
        let mut alice = Person::register(&daemon.url(), "alice").await;
        let bob = Person::register(&daemon.url(), "bob").await;
        let carol = Person::register(&daemon.url(), "carol").await;
        let tea = room("tea", &[&alice, &bob, &carol]).await;
        alice.engine.sync().await.unwrap();

        if sealed {
            proxy.at_frames(|direction, payload| match publish(direction, payload) {
                Some(_) => Action::Instead(vec![]),
                None => Action::Pass,
            });
            alice.through(&proxy).await;
            alice.engine.send(tea, WRITTEN.to_owned()).await.unwrap();
            proxy.wait_for("the text", |frames| {
                frames.iter().find_map(|frame| publish(frame.direction, &frame.payload))
            });
        }
        // No socket, so that what was written waits; and another identity under a pinned name.
        let swapped = device::directory("bob", bob.engine.me().account);
        let lies = move |request: &Request| match request.path.as_str() {
            _ if request.is("GET", "/v1/accounts/by-name/bob") => Answer::other_account(&swapped),
            "/v1/socket" => Answer::fault(FaultCode::Unavailable),
            _ => Answer::Genuine,
        };
        proxy.at_requests(lies);
        alice.through(&proxy).await;
        proxy.at_frames(|_, _| Action::Pass);
        if !sealed {
            alice.engine.send(tea, WRITTEN.to_owned()).await.unwrap();
        }
        let other = alice.engine.create_room("other".to_owned()).await.unwrap();
        let error = alice.engine.invite(other, vec!["bob".parse().unwrap()]).await.unwrap_err();
        assert!(matches!(&error, EngineError::IdentityChanged(name) if name.as_str() == "bob"), "{error}");
        let error = alice.engine.send(tea, "written after".to_owned()).await.unwrap_err();
        assert_eq!(error.exit_code(), 6, "{error}");

        // The text is looked at, and stays.
        let mut events = alice.engine.events();
        proxy.at_requests(|_| Answer::Genuine);
        alice.engine.sync().await.unwrap();
        trouble(&mut events, "has changed").await;
        let changed = Self { _daemon: daemon, proxy, alice, bob, carol, tea };
        assert_eq!(changed.kinds(), if sealed { vec![Kind::Application] } else { vec![] });
        assert_eq!(changed.alice.engine.room(tea).await.unwrap().waiting, 1);
        changed
    }

    /// What has been put on the wire, in this order.
    fn kinds(&self) -> Vec<Kind> {
        published(&self.proxy).iter().map(|envelope| envelope.kind).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_not_sent_to_a_changed_member_and_removing_them_sets_it_free() {
    let changed = Changed::noticed_too_late(false).await;
    let Changed { alice, bob, carol, tea, .. } = &changed;
    alice.engine.remove(*tea, "bob".parse().unwrap()).await.unwrap();
    assert_eq!(carol.texts(*tea, 1).await, [WRITTEN]);
    assert_eq!(changed.kinds(), [Kind::Commit, Kind::Application], "nothing left before the removal");
    bob.engine.sync().await.unwrap();
    assert_eq!(bob.texts(*tea, 0).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_with_a_changed_member_can_be_left() {
    let changed = Changed::noticed_too_late(false).await;
    let Changed { alice, bob, carol, tea, .. } = &changed;
    alice.engine.leave(*tea).await.unwrap();
    assert_eq!(changed.kinds(), [Kind::Proposal], "the wish to leave alone");
    carol.say(*tea, "bye").await;
    for person in [bob, carol] {
        assert_eq!(person.texts(*tea, 1).await, ["bye"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_was_sealed_before_the_change_is_sent_again_only_to_let_the_removal_follow() {
    let changed = Changed::noticed_too_late(true).await;
    let Changed { proxy, alice, carol, tea, .. } = &changed;
    alice.engine.remove(*tea, "bob".parse().unwrap()).await.unwrap();
    assert_eq!(carol.texts(*tea, 1).await, [WRITTEN]);
    assert_eq!(changed.kinds(), [Kind::Application, Kind::Application, Kind::Commit]);
    let published = published(proxy);
    assert_eq!(published[0], published[1], "the same sealing");
}
