//! Rooms between two engines.

use qchat_cli::engine::types::{Body, RoomStatus};
use qchat_proto::{
    content::SettingsChange,
    ids::MessageId,
    session::ledger::{Change, Ledger as _, OutboxRow, RowState, Want},
};
use qchat_tests::{daemon::Daemon, database::Backend};

use crate::person::Person;

#[tokio::test(flavor = "multi_thread")]
async fn who_declines_is_taken_out_of_the_group_by_the_next_who_writes() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let room = alice.engine.create_room("tea".to_owned()).await.unwrap();
    alice.engine.invite(room, vec!["bob".parse().unwrap()]).await.unwrap();
    assert_eq!(alice.engine.room(room).await.unwrap().members.len(), 2);

    bob.engine.sync().await.unwrap();
    bob.engine.leave(room).await.unwrap();
    assert!(bob.engine.rooms().await.unwrap().iter().all(|room| room.status == RoomStatus::Left));
    assert!(bob.engine.send(room, "no".to_owned()).await.is_err());
    alice.engine.sync().await.unwrap();
    alice.say(room, "alone again").await;
    alice.engine.sync().await.unwrap();
    let members = alice.engine.room(room).await.unwrap().members;
    assert_eq!(members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>(), ["alice"]);
    // Bob may be asked again, and is asked.
    alice.engine.invite(room, vec!["bob".parse().unwrap()]).await.unwrap();
    bob.engine.sync().await.unwrap();
    let asked = bob.engine.rooms().await.unwrap();
    assert_eq!((asked.len(), asked[0].status), (1, RoomStatus::Invited));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_said_to_have_left_and_who_is_removed_to_have_been_removed() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let carol = Person::register(&daemon.url(), "carol").await;
    let room = crate::person::room("tea", &[&alice, &bob, &carol]).await;
    bob.engine.leave(room).await.unwrap();
    alice.say(room, "without bob").await;
    for person in [&alice, &bob, &carol] {
        person.engine.sync().await.unwrap();
    }
    alice.engine.remove(room, "carol".parse().unwrap()).await.unwrap();
    carol.engine.sync().await.unwrap();
    for (person, said, unsaid) in [
        (&alice, &["bob left", "alice removed carol"][..], "removed bob"),
        (&bob, &["you left; messages from here on cannot be read"], "removed"),
        (&carol, &["bob left", "alice removed you; messages from here on cannot be read"], "removed bob"),
    ] {
        let notices: Vec<_> = person
            .engine
            .timeline(room, None, 100)
            .await
            .unwrap()
            .into_iter()
            .filter_map(|line| if let Body::Notice(sentence) = line.body { Some(sentence) } else { None })
            .collect();
        for sentence in said {
            assert!(notices.iter().any(|notice| notice == sentence), "{sentence}: {notices:?}");
        }
        assert!(!notices.iter().any(|notice| notice.contains(unsaid)), "{unsaid}: {notices:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_can_never_be_made_holds_up_nothing_that_waits_behind_it() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let room = crate::person::room("tea", &[&alice, &bob]).await;
    // As it is left where somebody was an admin when they asked for it, and is none any more.
    let settings = SettingsChange::Name("mine".to_owned());
    let change = OutboxRow {
        message_id: MessageId::from_bytes([7; 16]),
        want: Want::Commit(Change::Settings(settings)),
        state: RowState::Waiting,
    };
    bob.profile.write(|tx| tx.outbox_push_back(room, &change)).unwrap();
    bob.say(room, "after that").await;
    assert_eq!(alice.texts(room, 1).await, ["after that"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_talk_through_the_daemon() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let room = alice.engine.create_room("tea".to_owned()).await.unwrap();
    alice.engine.invite(room, vec!["bob".parse().unwrap()]).await.unwrap();
    alice.say(room, "hello bob").await;

    bob.engine.sync().await.unwrap();
    let found = bob.engine.find_room("tea").await.unwrap();
    assert_eq!(found, room);
    let rooms = bob.engine.rooms().await.unwrap();
    assert_eq!((rooms[0].status, rooms[0].invited_by.as_deref()), (RoomStatus::Invited, Some("alice")));
    bob.engine.join(room).await.unwrap();
    bob.say(room, "hello alice").await;

    let expected = ["hello bob", "hello alice"];
    assert_eq!(alice.texts(room, 2).await, expected);
    assert_eq!(bob.texts(room, 2).await, expected);
    bob.engine.update_keys(room).await.unwrap();
    alice.say(room, "in a new epoch").await;
    assert_eq!(bob.texts(room, 3).await[2], "in a new epoch");
    let details = bob.engine.room(room).await.unwrap();
    assert_eq!(details.members.len(), 2);
    assert_eq!(details.epoch, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_whose_commits_race_all_get_through() {
    let daemon = Daemon::start(Backend::Sqlite);
    let people = [
        Person::register(&daemon.url(), "alice").await,
        Person::register(&daemon.url(), "bob").await,
        Person::register(&daemon.url(), "carol").await,
    ];
    let room = crate::person::room("tea", &people.each_ref()).await;
    for round in 0..3 {
        let renewing = people.each_ref().map(|person| person.engine.update_keys(room));
        let [alice, bob, carol] = renewing;
        let (alice, bob, carol) = tokio::join!(alice, bob, carol);
        for renewed in [alice, bob, carol] {
            renewed.unwrap();
        }
        people[round].say(room, &format!("round {round}")).await;
    }
    for person in &people {
        assert_eq!(person.texts(room, 3).await, ["round 0", "round 1", "round 2"]);
        assert_eq!(
            person.engine.room(room).await.unwrap().epoch,
            people[0].engine.room(room).await.unwrap().epoch
        );
    }
}
