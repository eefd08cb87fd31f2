//! Invitations between two engines: withdrawn when nobody answers, accepted unasked where the user chose so.

use qchat_cli::{
    engine::{
        Accept, Handle,
        types::{Event, RoomStatus},
    },
    store::{StoreError, Tx},
};
use qchat_proto::{
    ids::RoomId,
    session::ledger::{INVITATION_LIFETIME, Invitee, Ledger},
};
use qchat_tests::{daemon::Daemon, database::Backend};

use crate::person::{Person, next};

/// Waits for what only the engine's own work can bring about.
async fn until(engine: &Handle, mut done: impl AsyncFnMut() -> bool) {
    let mut events = engine.events();
    while !done().await {
        assert!(!matches!(next(&mut events).await, Event::Trouble(_)));
    }
}

/// Makes every invitation of a room as old as one that nobody has answered in time.
fn age(person: &Person, room: RoomId) {
    person
        .profile
        .write(|tx: &mut Tx| {
            let aged: Vec<Invitee> = tx
                .invitees(room)?
                .into_iter()
                .map(|invitee| Invitee { since: invitee.since - INVITATION_LIFETIME, ..invitee })
                .collect();
            tx.put_invitees(room, &aged)
        })
        .map_err(|error: StoreError| error)
        .unwrap();
}

/// Who is in a room, and whether they are still to answer.
async fn members(engine: &Handle, room: RoomId) -> Vec<(String, bool)> {
    let details = engine.room(room).await.unwrap();
    details.members.into_iter().map(|member| (member.name, member.invited)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_that_nobody_answers_is_withdrawn_and_one_that_was_answered_is_not() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let carol = Person::register(&daemon.url(), "carol").await;
    let room = alice.engine.create_room("tea".to_owned()).await.unwrap();
    let both = vec!["bob".parse().unwrap(), "carol".parse().unwrap()];
    alice.engine.invite(room, both).await.unwrap();
    let invited = |name: &str| (name.to_owned(), true);
    let named = |name: &str| (name.to_owned(), false);
    assert_eq!(members(&alice.engine, room).await, [named("alice"), invited("bob"), invited("carol")]);

    // Alice is away for a week. Bob says yes meanwhile, and nothing else: it has to be read before anything is withdrawn.
    alice.stop().await;
    bob.engine.sync().await.unwrap();
    bob.engine.join(room).await.unwrap();
    let engine = bob.engine.clone();
    until(&bob.engine, async || engine.room(room).await.unwrap().waiting == 0).await;
    age(&alice, room);
    alice.accepting(Accept::Ask).await;
    until(&alice.engine, async || members(&alice.engine, room).await == [named("alice"), named("bob")]).await;
    let told = alice.engine.timeline(room, None, 100).await.unwrap();
    assert!(told.iter().any(|line| format!("{:?}", line.body).contains("bob has joined")), "{told:?}");

    carol.engine.sync().await.unwrap();
    until(&carol.engine, async || carol.engine.rooms().await.unwrap().is_empty()).await;
    assert!(carol.engine.join(room).await.is_err());
    bob.say(room, "still here").await;
    assert_eq!(alice.texts(room, 1).await, ["still here"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_are_accepted_unasked_only_as_the_user_chose() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let mut bob = Person::register(&daemon.url(), "bob").await;
    for (number, (accept, verified, joins)) in [
        (Accept::Ask, true, false),
        (Accept::Verified, false, false),
        (Accept::Verified, true, true),
        (Accept::All, false, true),
    ]
    .into_iter()
    .enumerate()
    {
        let case = format!("{accept:?}, verified: {verified}");
        let room = alice.engine.create_room(format!("room {number}")).await.unwrap();
        if number > 0 {
            bob.profile
                .write(|tx: &mut Tx| {
                    let mut contact = tx.contact(alice.engine.me().account)?.unwrap();
                    contact.verified = verified;
                    tx.put_contact(&contact)
                })
                .map_err(|error: StoreError| error)
                .unwrap();
        }
        bob.accepting(accept).await;
        alice.engine.invite(room, vec!["bob".parse().unwrap()]).await.unwrap();
        let engine = bob.engine.clone();
        let status = async || {
            let rooms = engine.rooms().await.unwrap();
            rooms.into_iter().find(|summary| summary.id == room).map(|summary| summary.status)
        };
        let expected = if joins { RoomStatus::Joined } else { RoomStatus::Invited };
        until(&bob.engine, async || status().await == Some(expected)).await;
        if joins {
            alice.say(room, "welcome").await;
            assert_eq!(bob.texts(room, 1).await, ["welcome"], "{case}");
        } else {
            // A round trip later it is still only an invitation.
            bob.engine.sync().await.unwrap();
            assert_eq!(status().await, Some(expected), "{case}");
            bob.engine.leave(room).await.unwrap();
        }
    }
}
