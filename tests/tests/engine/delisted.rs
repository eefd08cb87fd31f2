//! A device that a member's lie took off the daemon's list of a room, and that is in the room still.

use qchat_cli::{
    engine::{Accept, types::Body},
    store::{StoreError, Tx},
};
use qchat_proto::{
    ids::{MessageId, RoomId, Seq},
    session::ledger::Ledger,
    wire::{
        frame::{Envelope, Kind, MembershipChange, Operation, read_client_frame},
        pb::{client_frame, server_frame},
    },
};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    device::{Socket, hello, noise, publish},
    proxy::{Direction, Proxy},
};

use crate::{
    consent::until,
    person::{Person, eventually, room},
};

/// How far a device has said that it has processed a room, each time that it said so.
fn confirmed(proxy: &Proxy, tea: RoomId) -> Vec<u64> {
    let said = proxy.frames().into_iter().filter(|frame| frame.direction == Direction::ToDaemon);
    let confirmed = said.filter_map(|frame| match read_client_frame(frame.payload.into()) {
        Ok(client_frame::Body::Confirm(confirm)) if confirm.room_id == tea.as_bytes()[..] => {
            Some(confirm.seq)
        }
        _ => None,
    });
    confirmed.collect()
}

/// A commit that nobody can open, in the name of `liar`, whose declared list strikes somebody off. Returns its seq.
async fn strike_off(liar: &Person, whom: &Person, tea: RoomId, server: &str) -> u64 {
    liar.engine.sync().await.unwrap();
    liar.stop().await;
    let (state, session) = liar
        .profile
        .read(|tx: &mut Tx| Ok::<_, StoreError>((tx.room(tea)?, tx.session()?)))
        .map(|(state, session)| (state.unwrap(), session.unwrap()))
        .unwrap();
    let (me, them) = (liar.engine.me(), whom.engine.me());
    let envelope = Envelope {
        room: tea,
        message_id: MessageId::from_bytes(noise(16).try_into().unwrap()),
        sender: me.device,
        kind: Kind::Commit,
        commit_seq: state.commit_seq,
        payload: noise(64).into(),
        delta: vec![MembershipChange {
            operation: Operation::Remove,
            account: them.account,
            device: them.device,
        }],
    };
    let mut socket = Socket::open(server, Some(&session.access_token)).await.unwrap();
    socket.send(hello(1, 1)).await;
    socket.send(publish(1, &envelope)).await;
    loop {
        match socket.answer().await {
            Some(server_frame::Body::Accepted(accepted)) => return accepted.seq,
            Some(server_frame::Body::HelloAck(_)) => {}
            other => panic!("not accepted: {other:?}"),
        }
    }
}

async fn sees(person: &Person, tea: RoomId, words: &str) {
    until(&person.engine, async || {
        let lines = person.engine.timeline(tea, None, 1000).await.unwrap();
        lines.into_iter().any(|line| match line.body {
            Body::Text(text) | Body::Warning(text) => text.contains(words),
            _ => false,
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_taken_off_the_list_confirms_nothing_until_it_is_on_it_again() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    let mallory = Person::register(&daemon.url(), "mallory").await;
    let tea = room("tea", &[&alice, &bob, &mallory]).await;
    bob.through(&proxy).await;
    bob.engine.sync().await.unwrap();
    alice.engine.sync().await.unwrap();
    // Nobody repairs the list meanwhile.
    alice.stop().await;
    let lie = strike_off(&mallory, &bob, tea, &daemon.url()).await;
    sees(&bob, tea, "was skipped").await;
    bob.engine.sync().await.unwrap();
    let cursor = bob.profile.read(|tx: &mut Tx| tx.room(tea)).unwrap().unwrap().cursor;
    assert_eq!(cursor, Seq(lie), "it has read the lie");
    assert!(confirmed(&proxy, tea).iter().all(|seq| *seq < lie), "{:?}", confirmed(&proxy, tea));

    alice.accepting(Accept::Ask).await;
    alice.say(tea, "bob is here still").await;
    sees(&bob, tea, "bob is here still").await;
    let last =
        eventually("bob says how far it is", || confirmed(&proxy, tea).into_iter().find(|seq| *seq > lie));
    last.await;
    assert!(!confirmed(&proxy, tea).contains(&lie), "{:?}", confirmed(&proxy, tea));
}
