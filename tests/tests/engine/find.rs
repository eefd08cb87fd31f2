//! Which room a name means when several could be meant.

use qchat_cli::engine::EngineError;
use qchat_proto::ids::RoomId;
use qchat_tests::{daemon::Daemon, database::Backend};

use crate::person::{Person, room};

/// What a name leads to.
#[derive(PartialEq, Eq, Debug)]
enum Found {
    Room(RoomId),
    Nothing,
    Several,
}

fn found(answer: Result<RoomId, EngineError>) -> Found {
    match answer {
        Ok(room) => Found::Room(room),
        Err(error @ EngineError::NoSuchRoom(_)) => {
            assert_eq!(error.exit_code(), 5);
            Found::Nothing
        }
        Err(error @ EngineError::AmbiguousRoom(_)) => {
            assert_eq!(error.exit_code(), 2);
            Found::Several
        }
        Err(error) => panic!("{error}"),
    }
}

/// Holds what a name means against what is expected: of all rooms, and of invitations alone.
async fn means(bob: &Person, name: &str, room: Found, invitation: Found) {
    bob.engine.sync().await.unwrap();
    assert_eq!(found(bob.engine.find_room(name).await), room, "{name}");
    assert_eq!(found(bob.engine.find_invitation(name).await), invitation, "an invitation to {name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_means_a_room_one_is_in_before_one_that_is_gone_before_an_invitation() {
    use Found::{Nothing, Room, Several};
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let invite = async |name: &str| {
        let room = room(name, &[&alice]).await;
        alice.engine.invite(room, vec!["bob".parse().unwrap()]).await.unwrap();
        room
    };

    means(&bob, "tea", Nothing, Nothing).await;
    let gone = invite("tea").await;
    means(&bob, "tea", Room(gone), Room(gone)).await;
    bob.engine.join(gone).await.unwrap();
    means(&bob, "tea", Room(gone), Nothing).await;
    alice.engine.remove(gone, "bob".parse().unwrap()).await.unwrap();
    means(&bob, "tea", Room(gone), Nothing).await;
    let invited = invite("tea").await;
    means(&bob, "tea", Room(gone), Room(invited)).await;
    let own = room("tea", &[&bob]).await;
    means(&bob, "tea", Room(own), Room(invited)).await;
    // Nobody can take the name away by inviting once more.
    let also_invited = invite("tea").await;
    means(&bob, "tea", Room(own), Several).await;
    room("tea", &[&bob]).await;
    means(&bob, "tea", Several, Several).await;

    // An id means its room, whatever others are called.
    for room in [gone, own] {
        means(&bob, &room.to_string(), Room(room), Nothing).await;
    }
    for room in [invited, also_invited] {
        means(&bob, &room.to_string(), Room(room), Room(room)).await;
    }
    let impostor = invite(&own.to_string()).await;
    means(&bob, &own.to_string(), Room(own), Room(impostor)).await;
    room(&invited.to_string(), &[&bob]).await;
    means(&bob, &invited.to_string(), Room(invited), Room(invited)).await;
    means(&bob, &RoomId::from_bytes([0; 16]).to_string(), Nothing, Nothing).await;
}
