//! What the relay accepts, refuses and lets whom read.

use qchat_proto::wire::{
    api::{MemberStatus, RoomInvitation},
    fault::FaultCode,
    frame::{Kind, Operation},
    limits,
};

use crate::support::{
    Database, Device, Server, Socket, on_both,
    socket::{Published, commit, envelope},
};

on_both!(
    a_resend_gets_the_old_seq_whatever_happened_since,
    commits_race_and_one_wins,
    what_follows_a_message_that_failed_fails_too,
    an_invitee_reads_and_does_not_publish_before_it_joins,
    a_removed_device_reads_up_to_its_removal,
    a_decliner_is_out,
    resync_is_for_those_who_were_members,
    a_restart_ends_an_epoch_like_a_commit,
    deltas_have_to_make_sense,
    pages_are_bounded_by_number_and_bytes,
    concurrent_publishers_share_one_order,
);

const ACCEPTED: fn(u64) -> Published = Published::Accepted;

fn refused(code: FaultCode) -> Published {
    Published::Refused { code, room_commit_seq: 0 }
}

fn stale(room_commit_seq: u64) -> Published {
    Published::Refused { code: FaultCode::StaleEpoch, room_commit_seq }
}

/// Alice and Bob, both full members of a room at commit 1.
async fn pair(server: &Server) -> (Device, Socket, Device, Socket, qchat_proto::ids::RoomId) {
    let alice = Device::register(server, "alice").await;
    let bob = Device::register(server, "bob").await;
    let room = alice.create_room().await;
    let mut a = Socket::connect(&alice).await;
    let b = Socket::connect(&bob).await;
    let add = commit(&alice, room, 0, &[(Operation::Add, &bob)]);
    assert_eq!(a.invite(&add, &[bob.id]).await, ACCEPTED(1));
    bob.reply(room, "join").await.unwrap();
    (alice, a, bob, b, room)
}

async fn a_resend_gets_the_old_seq_whatever_happened_since(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, bob, mut b, room) = pair(&server).await;
    let text = envelope(&bob, room, 1, "hello");
    assert_eq!(b.publish(&text).await, ACCEPTED(2));
    assert_eq!(b.publish(&text).await, ACCEPTED(2));
    // The epoch moves on and the sender is removed: its acknowledged message stays acknowledged.
    assert_eq!(a.publish(&commit(&alice, room, 1, &[(Operation::Remove, &bob)])).await, ACCEPTED(3));
    assert_eq!(b.publish(&text).await, ACCEPTED(2));
    assert_eq!(b.publish(&envelope(&bob, room, 3, "new")).await, refused(FaultCode::NotMember));
    assert_eq!(a.seqs(room, 0).await, [1, 2, 3]);
    // The same id from another device is another message.
    let mut same_id = envelope(&alice, room, 3, "mine");
    same_id.message_id = text.message_id;
    assert_eq!(a.publish(&same_id).await, ACCEPTED(4));
}

async fn commits_race_and_one_wins(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, bob, mut b, room) = pair(&server).await;
    let (first, second) = (commit(&alice, room, 1, &[]), commit(&bob, room, 1, &[]));
    let (sent_a, sent_b) = (a.post(&first, &[], "").await, b.post(&second, &[], "").await);
    let outcomes = [a.outcome(sent_a).await, b.outcome(sent_b).await];
    assert!(outcomes.contains(&ACCEPTED(2)) && outcomes.contains(&stale(2)), "{outcomes:?}");
    assert_eq!(b.publish(&envelope(&bob, room, 1, "old epoch")).await, stale(2));
    assert_eq!(b.publish(&envelope(&bob, room, 3, "no such epoch")).await, stale(2));
    assert_eq!(b.publish(&envelope(&bob, room, 2, "new epoch")).await, ACCEPTED(3));
}

async fn what_follows_a_message_that_failed_fails_too(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, bob, mut b, room) = pair(&server).await;
    let text = |commit_seq, text| envelope(&bob, room, commit_seq, text);
    // Sent without waiting, each in its place.
    let (one, two, three) = (text(1, "one"), text(1, "two"), text(1, "three"));
    let sent = [
        b.post(&one, &[], "").await,
        b.post_after(&two, one.message_id).await,
        b.post_after(&three, two.message_id).await,
    ];
    for (request, seq) in sent.into_iter().zip(2..) {
        assert_eq!(b.outcome(request).await, ACCEPTED(seq));
    }
    // What was refused before it, and what was never sent, leave nothing to follow: whatever else would be said of it.
    let long = "x".repeat(limits::APPLICATION + 1);
    let (large, next) = (text(1, &long), text(0, "next"));
    let sent = [b.post(&large, &[], "").await, b.post_after(&next, large.message_id).await];
    assert_eq!(b.outcome(sent[0]).await, refused(FaultCode::TooLarge));
    assert_eq!(b.outcome(sent[1]).await, refused(FaultCode::OutOfOrder));
    // Another's message of that id is not one of this device.
    let hers = envelope(&alice, room, 1, "hers");
    assert_eq!(a.publish(&hers).await, ACCEPTED(5));
    let sent = b.post_after(&text(1, "after hers"), hers.message_id).await;
    assert_eq!(b.outcome(sent).await, refused(FaultCode::OutOfOrder));
    // One that is there already stays there, whatever it is said to follow.
    let again = b.post_after(&two, large.message_id).await;
    assert_eq!(b.outcome(again).await, ACCEPTED(3));
    assert_eq!(a.seqs(room, 0).await, [1, 2, 3, 4, 5]);
}

async fn an_invitee_reads_and_does_not_publish_before_it_joins(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, _bob, _b, room) = pair(&server).await;
    for text in ["two", "three"] {
        a.publish(&envelope(&alice, room, 1, text)).await;
    }
    let carol = Device::register(&server, "carol").await;
    let mut c = Socket::connect(&carol).await;
    assert_eq!(carol.room(room).await.unwrap_err(), FaultCode::NotFound);
    assert_eq!(c.page(room, 0, 0).await.unwrap_err(), FaultCode::NotFound);
    let add = commit(&alice, room, 1, &[(Operation::Add, &carol)]);
    assert_eq!(a.invite(&add, &[carol.id]).await, ACCEPTED(4));
    c.hinted(room).await;
    assert_eq!(c.delivered(room).await, 4);
    // From the commit that the adding commit was sealed under: the joiner hashes what came between.
    assert_eq!(c.seqs(room, 0).await, [2, 3, 4]);
    assert_eq!(carol.room(room).await.unwrap().status, MemberStatus::Invited);
    let invitation: RoomInvitation = carol.get(&format!("/v1/rooms/{room}/invitation")).await.unwrap();
    assert_eq!((invitation.seq.0, invitation.inviter), (4, alice.account));
    assert_eq!(invitation.welcome.as_ref(), format!("welcome {}", carol.id).as_bytes());
    assert_eq!(carol.tree(room, 4).await.unwrap(), b"a tree");

    let text = envelope(&carol, room, 4, "too early");
    assert_eq!(c.publish(&text).await, refused(FaultCode::NotMember));
    carol.reply(room, "join").await.unwrap();
    carol.reply(room, "join").await.unwrap();
    assert_eq!(c.publish(&text).await, ACCEPTED(5));
    assert_eq!(a.publish(&envelope(&alice, room, 4, "welcome")).await, ACCEPTED(6));
    assert_eq!((c.delivered(room).await, c.delivered(room).await), (5, 6));
}

async fn a_removed_device_reads_up_to_its_removal(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, bob, mut b, room) = pair(&server).await;
    assert_eq!(a.publish(&commit(&alice, room, 1, &[(Operation::Remove, &bob)])).await, ACCEPTED(2));
    assert_eq!(a.publish(&envelope(&alice, room, 2, "without bob")).await, ACCEPTED(3));
    assert_eq!((b.delivered(room).await, b.delivered(room).await), (1, 2));
    assert_eq!(b.seqs(room, 0).await, [1, 2]);
    assert_eq!(b.page(room, 0, 0).await.unwrap().last_seq, 2);
    let seen = bob.room(room).await.unwrap();
    assert_eq!((seen.status, seen.last_seq.0, seen.members.len()), (MemberStatus::Removed, 2, 0));
    // Added again, it reads its old membership and the new one, not what came between.
    assert_eq!(a.publish(&commit(&alice, room, 2, &[])).await, ACCEPTED(4));
    let again = commit(&alice, room, 4, &[(Operation::Add, &bob)]);
    assert_eq!(a.invite(&again, &[bob.id]).await, ACCEPTED(5));
    assert_eq!(b.seqs(room, 0).await, [1, 2, 5]);
    assert_eq!(b.delivered(room).await, 5);
}

async fn a_decliner_is_out(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, _bob, _b, room) = pair(&server).await;
    let carol = Device::register(&server, "carol").await;
    let mut c = Socket::connect(&carol).await;
    let add = commit(&alice, room, 1, &[(Operation::Add, &carol)]);
    assert_eq!(a.invite(&add, &[carol.id]).await, ACCEPTED(2));
    carol.reply(room, "decline").await.unwrap();
    carol.reply(room, "decline").await.unwrap();
    assert_eq!(carol.reply(room, "join").await, Err(FaultCode::NotFound));
    let invitation = carol.get::<RoomInvitation>(&format!("/v1/rooms/{room}/invitation")).await;
    assert_eq!(invitation.unwrap_err(), FaultCode::NotFound);
    assert_eq!(carol.room(room).await.unwrap().status, MemberStatus::Removed);
    assert_eq!(alice.room(room).await.unwrap().members.len(), 2);
    a.publish(&envelope(&alice, room, 2, "without carol")).await;
    a.publish(&commit(&alice, room, 2, &[(Operation::Remove, &carol)])).await;
    assert_eq!(c.seqs(room, 0).await, [2]);
    assert_eq!(alice.reply(room, "decline").await, Err(FaultCode::Conflict));
}

async fn resync_is_for_those_who_were_members(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, bob, mut b, room) = pair(&server).await;
    let carol = Device::register(&server, "carol").await;
    let mut c = Socket::connect(&carol).await;
    let resync = |device: &Device| qchat_proto::wire::frame::Envelope {
        kind: Kind::Resync,
        ..envelope(device, room, 0, "a signed request")
    };
    assert_eq!(a.publish(&commit(&alice, room, 1, &[(Operation::Remove, &bob)])).await, ACCEPTED(2));
    assert_eq!(b.publish(&resync(&bob)).await, ACCEPTED(3));
    assert_eq!(c.publish(&resync(&carol)).await, refused(FaultCode::NotMember));
    // Re-added, it is full without being asked, reads on from where it stood, and finds its Welcome.
    let readd = commit(&alice, room, 2, &[(Operation::Readd, &bob)]);
    assert_eq!(a.invite(&readd, &[bob.id]).await, ACCEPTED(4));
    assert_eq!(b.seqs(room, 1).await, [2, 3, 4]);
    assert_eq!(b.publish(&envelope(&bob, room, 4, "back")).await, ACCEPTED(5));
    let invitation: RoomInvitation = bob.get(&format!("/v1/rooms/{room}/invitation")).await.unwrap();
    assert_eq!(invitation.seq.0, 4);
}

async fn a_restart_ends_an_epoch_like_a_commit(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, bob, mut b, room) = pair(&server).await;
    let restart = |device: &Device, under, delta: &[_]| qchat_proto::wire::frame::Envelope {
        kind: Kind::Restart,
        ..commit(device, room, under, delta)
    };
    assert_eq!(a.publish(&restart(&alice, 0, &[])).await, stale(1));
    assert_eq!(a.invite(&restart(&alice, 1, &[(Operation::Readd, &bob)]), &[bob.id]).await, ACCEPTED(2));
    assert_eq!(b.publish(&envelope(&bob, room, 1, "of before")).await, stale(2));
    let invitation: RoomInvitation = bob.get(&format!("/v1/rooms/{room}/invitation")).await.unwrap();
    assert_eq!(invitation.seq.0, 2);
    assert_eq!(b.publish(&envelope(&bob, room, 2, "of after")).await, ACCEPTED(3));
    // It is no way back for who was removed, as a request is.
    assert_eq!(a.publish(&commit(&alice, room, 2, &[(Operation::Remove, &bob)])).await, ACCEPTED(4));
    assert_eq!(b.publish(&restart(&bob, 4, &[])).await, refused(FaultCode::NotMember));
}

async fn deltas_have_to_make_sense(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, bob, mut b, room) = pair(&server).await;
    let carol = Device::register(&server, "carol").await;
    let mut stranger = commit(&alice, room, 1, &[(Operation::Add, &carol)]);
    stranger.delta[0].account = bob.account;
    let no_welcome = commit(&alice, room, 1, &[(Operation::Add, &carol)]);
    let spare_welcome = commit(&alice, room, 1, &[]);
    let impostor = envelope(&bob, room, 1, "as bob");
    let rows: [(_, &[_], _); 4] = [
        (&stranger, &[carol.id], FaultCode::BadRequest),
        (&no_welcome, &[], FaultCode::BadRequest),
        (&spare_welcome, &[carol.id], FaultCode::BadRequest),
        (&impostor, &[], FaultCode::Forbidden),
    ];
    for (envelope, invited, code) in rows {
        let outcome =
            if invited.is_empty() { a.publish(envelope).await } else { a.invite(envelope, invited).await };
        assert_eq!(outcome, refused(code), "{envelope:?}");
    }
    // A commit that removes a device which never had a place gives it none.
    assert_eq!(a.publish(&commit(&alice, room, 1, &[(Operation::Remove, &carol)])).await, ACCEPTED(2));
    assert_eq!(carol.room(room).await.unwrap_err(), FaultCode::NotFound);
    // A member that is added once more is asked again, and keeps what it could read.
    let twice = commit(&alice, room, 2, &[(Operation::Add, &bob)]);
    assert_eq!(a.invite(&twice, &[bob.id]).await, ACCEPTED(3));
    assert_eq!(b.publish(&envelope(&bob, room, 3, "hm")).await, refused(FaultCode::NotMember));
    assert_eq!(b.seqs(room, 0).await, [1, 2, 3]);
    bob.reply(room, "join").await.unwrap();
    // Delisted by mistake and listed again: full as before; an invitee stays invited and keeps its Welcome.
    let add = commit(&alice, room, 3, &[(Operation::Add, &carol)]);
    assert_eq!(a.invite(&add, &[carol.id]).await, ACCEPTED(4));
    let both = [(Operation::Remove, &bob), (Operation::Remove, &carol)];
    assert_eq!(a.publish(&commit(&alice, room, 4, &both)).await, ACCEPTED(5));
    let both = [(Operation::Relist, &bob), (Operation::Relist, &carol)];
    assert_eq!(a.publish(&commit(&alice, room, 5, &both)).await, ACCEPTED(6));
    assert_eq!(b.publish(&envelope(&bob, room, 6, "still here")).await, ACCEPTED(7));
    assert_eq!(carol.room(room).await.unwrap().status, MemberStatus::Invited);
    let invitation: RoomInvitation = carol.get(&format!("/v1/rooms/{room}/invitation")).await.unwrap();
    assert_eq!(invitation.seq.0, 4);
}

async fn pages_are_bounded_by_number_and_bytes(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, _bob, _b, room) = pair(&server).await;
    let large = "x".repeat(limits::APPLICATION);
    let mut sent = Vec::new();
    for _ in 0..30 {
        sent.push(a.post(&envelope(&alice, room, 1, &large), &[], "").await);
        // Neither side may wait for the other to read.
        if sent.len() % 10 == 0 {
            a.outcome(*sent.last().unwrap()).await;
        }
    }
    let page = a.page(room, 0, 3).await.unwrap();
    assert_eq!(page.envelopes.iter().map(|logged| logged.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(page.last_seq, 31);
    let page = a.page(room, 1, 0).await.unwrap();
    let bytes: usize = page.envelopes.iter().map(|logged| logged.envelope.len()).sum();
    assert!(page.envelopes.len() == 14 && bytes <= limits::PAGE_BYTES, "{} {bytes}", page.envelopes.len());
    assert_eq!(a.seqs(room, 0).await, (1..=31).collect::<Vec<_>>());
    assert_eq!(a.page(room, u64::MAX, 0).await.unwrap().envelopes, []);
    // A single envelope larger than a page makes a page.
    let mut commit = commit(&alice, room, 1, &[]);
    commit.payload = vec![7; limits::COMMIT].into();
    assert_eq!(a.publish(&commit).await, ACCEPTED(32));
    assert_eq!(a.page(room, 31, 0).await.unwrap().envelopes[0].envelope, commit.encode());
}

async fn concurrent_publishers_share_one_order(database: Database) {
    const EACH: usize = 100;
    let server = Server::start(database).await;
    let (alice, mut a, bob, mut b, room) = pair(&server).await;
    let publish = |device: Device, mut socket: Socket| async move {
        let mut acked = Vec::new();
        for round in 0..EACH / 20 {
            let mut sent = Vec::new();
            for number in 0..20 {
                let text = format!("{} {round} {number}", device.name);
                sent.push(socket.post(&envelope(&device, room, 1, &text), &[], "").await);
            }
            for request in sent {
                let Published::Accepted(seq) = socket.outcome(request).await else { panic!("refused") };
                acked.push(seq);
            }
        }
        let mut delivered = Vec::new();
        while delivered.len() < 2 * EACH {
            let seq = socket.delivered(room).await;
            if seq > 1 {
                delivered.push(seq);
            }
        }
        (acked, delivered)
    };
    a.aside.clear();
    b.aside.clear();
    let (from_a, from_b) = tokio::join!(publish(alice, a), publish(bob, b));
    let order: Vec<u64> = (2..2 + 2 * EACH as u64).collect();
    assert_eq!((&from_a.1, &from_b.1), (&order, &order));
    // Each sender's own are in the order in which it sent them, and every seq is somebody's.
    assert!(from_a.0.is_sorted() && from_b.0.is_sorted());
    let mut all = [from_a.0, from_b.0].concat();
    all.sort_unstable();
    assert_eq!(all, order);
}
