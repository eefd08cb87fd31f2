//! A connection that breaks at the worst moments, which only something between both programs can choose.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use qchat_proto::wire::{
    frame::{read_client_frame, read_server_frame},
    pb::{client_frame, server_frame},
};
use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    on_both,
    proxy::{Action, Direction, Proxy},
};

on_both!(an_acknowledgement_that_never_arrives_doubles_nothing);

/// Which frame a connection is cut at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cut {
    /// The request is lost.
    BeforePublish,
    /// The request arrives, its sender is gone.
    AfterPublish,
    /// The answer is lost.
    BeforeAccepted,
}

impl Cut {
    fn at(self, direction: Direction, payload: &[u8]) -> Action {
        let payload = payload.to_vec();
        let publish = direction == Direction::ToDaemon
            && matches!(read_client_frame(payload.clone().into()), Ok(client_frame::Body::Publish(_)));
        let accepted = direction == Direction::ToClient
            && matches!(read_server_frame(payload.into()), Ok(Some(server_frame::Body::Accepted(_))));
        match self {
            Self::BeforePublish if publish => Action::CutBefore,
            Self::AfterPublish if publish => Action::CutAfter,
            Self::BeforeAccepted if accepted => Action::CutBefore,
            _ => Action::Pass,
        }
    }
}

fn an_acknowledgement_that_never_arrives_doubles_nothing(backend: Backend) {
    let daemon = Daemon::start(backend);
    let (mut alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&alice, &bob]);
    let mut expected = Vec::new();
    for cut in [Cut::BeforePublish, Cut::AfterPublish, Cut::BeforeAccepted] {
        let cuts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&cuts);
        let proxy = Proxy::with_rule(daemon.address(), move |direction, payload| {
            // Two cuts, then the link holds.
            match cut.at(direction, payload) {
                Action::Pass => Action::Pass,
                action if counted.fetch_add(1, Ordering::Relaxed) < 2 => action,
                _ => Action::Pass,
            }
        });
        alice.set_server(&proxy.url());
        let body = format!("through {cut:?}");
        alice.ok(&["send", "general", &body]);
        // A request that is lost is made again each time; one that arrived is found in the log instead.
        let least = if cut == Cut::BeforePublish { 3 } else { 1 };
        assert!(cuts.load(Ordering::Relaxed) >= least, "{cut:?} was never met");
        // A resend is the same stored bytes.
        let published: Vec<_> = proxy
            .frames()
            .into_iter()
            .filter(|frame| frame.direction == Direction::ToDaemon)
            .filter_map(|frame| match read_client_frame(frame.payload.into()) {
                Ok(client_frame::Body::Publish(publish)) => Some(publish.envelope),
                _ => None,
            })
            .collect();
        assert!(published.len() >= least as usize, "{cut:?}");
        assert!(published.windows(2).all(|pair| pair[0] == pair[1]), "{cut:?}");
        expected.push(body);
    }
    assert_eq!(bob.bodies("general"), expected);
    assert_eq!(alice.bodies("general"), expected);
}

#[test]
fn a_listener_takes_up_where_the_link_broke() {
    let daemon = Daemon::start(Backend::Sqlite);
    let (alice, mut bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&alice, &bob]);
    let proxy = Proxy::start(daemon.address());
    bob.set_server(&proxy.url());
    let listening = bob.listen("general");
    for number in 0..3 {
        let body = format!("message {number}");
        alice.ok(&["send", "general", &body]);
        let next = listening.wait_for(&body, client::Message::from_line);
        assert_eq!(next.body, body, "each message once and in order");
        proxy.cut_all();
    }
}
