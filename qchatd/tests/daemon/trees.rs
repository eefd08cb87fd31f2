//! Ratchet trees: put there ahead of the commit that names them, given out to whom it adds.

use bytes::Bytes;
use qchat_proto::{
    ids::RoomId,
    wire::{
        fault::FaultCode,
        frame::{Envelope, Invitation, Operation},
        limits,
        tree::TreeHash,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    Database, Device, Program, Server, Socket,
    device::random,
    on_both,
    socket::{Published, commit},
};

on_both!(
    a_tree_of_the_size_of_a_thousand_devices_goes_ahead_of_its_commit,
    what_is_no_tree_of_a_member_is_not_taken,
    a_device_has_one_staged_tree_in_a_room,
    a_commit_without_its_tree_changes_nothing,
    a_tree_is_given_to_whom_its_commit_adds_and_goes_with_the_last_welcome,
    a_killed_daemon_keeps_a_tree_that_it_has_taken,
);

/// What 1,050 devices take, and what changes with each call.
fn large() -> Vec<u8> {
    let mut tree = vec![7; 12_000_000];
    tree[..32].copy_from_slice(&random::<32>());
    tree
}

fn welcome(device: &Device) -> [Invitation; 1] {
    [Invitation { device: device.id, welcome: Bytes::from_static(b"welcome") }]
}

/// Publishes a commit that adds one device and names a tree.
async fn add(socket: &mut Socket, envelope: &Envelope, device: &Device, tree: TreeHash) -> Published {
    let request = socket.post_naming(envelope, &welcome(device), Some(tree)).await;
    socket.outcome(request).await
}

const MISSING: Published = Published::Refused { code: FaultCode::MissingTree, room_commit_seq: 0 };

async fn pair(server: &Server) -> (Device, Socket, Device, RoomId) {
    let alice = Device::register(server, "alice").await;
    let bob = Device::register(server, "bob").await;
    let room = alice.create_room().await;
    let socket = Socket::connect(&alice).await;
    (alice, socket, bob, room)
}

async fn a_tree_of_the_size_of_a_thousand_devices_goes_ahead_of_its_commit(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, bob, room) = pair(&server).await;
    let tree = large();
    alice.trees().put(room, tree.clone()).await.unwrap();
    alice.trees().put(room, tree.clone()).await.unwrap();
    let commit = commit(&alice, room, 0, &[(Operation::Add, &bob)]);
    assert_eq!(add(&mut a, &commit, &bob, TreeHash::of(&tree)).await, Published::Accepted(1));
    // An answer that was lost: the same bytes again, with or without the tree.
    assert_eq!(add(&mut a, &commit, &bob, TreeHash::of(&tree)).await, Published::Accepted(1));
    alice.trees().put(room, tree.clone()).await.unwrap();
    assert_eq!(add(&mut a, &commit, &bob, TreeHash::of(&tree)).await, Published::Accepted(1));
    assert!(bob.tree(room, 1).await.unwrap() == tree, "as it was put there");
    drop(a);
    server.stop().await;
}

async fn what_is_no_tree_of_a_member_is_not_taken(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, bob, room) = pair(&server).await;
    let (mine, theirs) = (alice.trees(), bob.trees());
    let hash = TreeHash::of(b"a tree");
    let too_large = vec![0; limits::RATCHET_TREE + 1];
    let name_of_large = TreeHash::of(&too_large);
    let elsewhere = RoomId::from_bytes(random());
    for (what, outcome, wanted) in [
        ("nobody's room", mine.put(elsewhere, b"a tree".to_vec()).await, FaultCode::NotMember),
        ("of who is no member", theirs.put(room, b"a tree".to_vec()).await, FaultCode::NotMember),
        ("of another name", mine.put_as(room, hash, "another tree").await, FaultCode::BadRequest),
        ("nothing", mine.put(room, vec![]).await, FaultCode::BadRequest),
        ("too large", mine.put_as(room, name_of_large, too_large).await, FaultCode::TooLarge),
    ] {
        assert_eq!(outcome, Err(wanted), "{what}");
    }
    // Who writes on for ever is cut off.
    let token = &alice.session.access_token;
    let head = |length: &str| {
        format!(
            "PUT /v1/rooms/{room}/trees/{hash} HTTP/1.1\r\nhost: qchatd\r\nauthorization: Bearer {token}\r\n\
             {length}\r\n\r\n"
        )
    };
    let mut endless = TcpStream::connect(server.address()).await.unwrap();
    endless.write_all(head("transfer-encoding: chunked").as_bytes()).await.unwrap();
    let chunk = [b"100000\r\n", &vec![0; 1 << 20][..], b"\r\n"].concat();
    let mut taken = 0;
    while endless.write_all(&chunk).await.is_ok() {
        taken += 1;
        assert!(taken < 128, "{taken} MiB");
    }
    // Who goes away halfway has left nothing that counts.
    let mut half = TcpStream::connect(server.address()).await.unwrap();
    half.write_all(head("content-length: 6").as_bytes()).await.unwrap();
    half.write_all(b"a t").await.unwrap();
    half.shutdown().await.unwrap();
    drop(half.read_to_end(&mut vec![]).await);

    let commit = commit(&alice, room, 0, &[(Operation::Add, &bob)]);
    for name in [hash, name_of_large, TreeHash::of(b"another tree"), TreeHash::of(b"")] {
        assert_eq!(add(&mut a, &commit, &bob, name).await, MISSING);
    }
    // Who is only invited puts nothing there either.
    assert_eq!(a.invite(&commit, &[bob.id]).await, Published::Accepted(1));
    assert_eq!(theirs.put(room, b"a tree".to_vec()).await, Err(FaultCode::NotMember));
    drop(a);
    server.stop().await;
}

async fn a_device_has_one_staged_tree_in_a_room(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, bob, room) = pair(&server).await;
    let other_room = alice.create_room().await;
    alice.trees().put(room, b"the first".to_vec()).await.unwrap();
    alice.trees().put(other_room, b"elsewhere".to_vec()).await.unwrap();
    alice.trees().put(room, b"the second".to_vec()).await.unwrap();
    let first = commit(&alice, room, 0, &[(Operation::Add, &bob)]);
    assert_eq!(add(&mut a, &first, &bob, TreeHash::of(b"the first")).await, MISSING);
    // Nor is one of another room, or another's, taken for it.
    assert_eq!(add(&mut a, &first, &bob, TreeHash::of(b"elsewhere")).await, MISSING);
    assert_eq!(add(&mut a, &first, &bob, TreeHash::of(b"the second")).await, Published::Accepted(1));
    bob.reply(room, "join").await.unwrap();
    bob.trees().put(room, b"bob's".to_vec()).await.unwrap();
    let carol = Device::register(&server, "carol").await;
    let second = commit(&alice, room, 1, &[(Operation::Add, &carol)]);
    assert_eq!(add(&mut a, &second, &carol, TreeHash::of(b"bob's")).await, MISSING);
    // A tree belongs to one commit.
    assert_eq!(add(&mut a, &second, &carol, TreeHash::of(b"the second")).await, MISSING);
    drop(a);
    server.stop().await;
}

async fn a_commit_without_its_tree_changes_nothing(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, bob, room) = pair(&server).await;
    let commit = commit(&alice, room, 0, &[(Operation::Add, &bob)]);
    let tree = TreeHash::of(b"a tree");
    assert_eq!(add(&mut a, &commit, &bob, tree).await, MISSING);
    assert_eq!(a.seqs(room, 0).await, Vec::<u64>::new());
    assert_eq!(bob.room(room).await.unwrap_err(), FaultCode::NotFound);
    alice.trees().put(room, b"a tree".to_vec()).await.unwrap();
    assert_eq!(add(&mut a, &commit, &bob, tree).await, Published::Accepted(1), "the same bytes");
    // A name goes with Welcomes, and Welcomes with a name.
    let next = crate::support::socket::commit(&alice, room, 1, &[]);
    let request = a.post_naming(&next, &[], Some(tree)).await;
    let malformed = Published::Refused { code: FaultCode::BadRequest, room_commit_seq: 0 };
    assert_eq!(a.outcome(request).await, malformed);
    let carol = Device::register(&server, "carol").await;
    let next = crate::support::socket::commit(&alice, room, 1, &[(Operation::Add, &carol)]);
    let request = a.post_naming(&next, &welcome(&carol), None).await;
    assert_eq!(a.outcome(request).await, malformed);
    drop(a);
    server.stop().await;
}

async fn a_tree_is_given_to_whom_its_commit_adds_and_goes_with_the_last_welcome(database: Database) {
    let server = Server::start(database).await;
    let (alice, mut a, bob, room) = pair(&server).await;
    let carol = Device::register(&server, "carol").await;
    let first = commit(&alice, room, 0, &[(Operation::Add, &bob)]);
    assert_eq!(a.invite(&first, &[bob.id]).await, Published::Accepted(1));
    // The tree of a later commit takes nothing from an invitation of before.
    let second = commit(&alice, room, 1, &[(Operation::Add, &carol)]);
    alice.trees().put(room, b"the second".to_vec()).await.unwrap();
    assert_eq!(add(&mut a, &second, &carol, TreeHash::of(b"the second")).await, Published::Accepted(2));
    assert_eq!(bob.tree(room, 1).await.unwrap(), b"a tree");
    assert_eq!(carol.tree(room, 2).await.unwrap(), b"the second");
    for (who, seq) in [(&bob, 2), (&carol, 1), (&alice, 1), (&alice, 2), (&bob, 0), (&bob, u64::MAX)] {
        assert_eq!(who.tree(room, seq).await.unwrap_err(), FaultCode::NotFound, "{} {seq}", who.name);
    }
    carol.reply(room, "decline").await.unwrap();
    assert_eq!(carol.tree(room, 2).await.unwrap_err(), FaultCode::NotFound);
    assert_eq!(bob.tree(room, 1).await.unwrap(), b"a tree");
    drop(a);
    server.stop().await;
}

async fn a_killed_daemon_keeps_a_tree_that_it_has_taken(database: Database) {
    let server = Server::start(database).await;
    let (mut alice, a, mut bob, room) = pair(&server).await;
    drop(a);
    let database = server.stop().await;
    let mut program = Program::start(&database).await;
    alice.is_at(&program.address);
    let tree = large();
    alice.trees().put(room, tree.clone()).await.unwrap();
    program.kill();
    let program = Program::start(&database).await;
    alice.is_at(&program.address);
    bob.is_at(&program.address);
    let mut a = Socket::connect(&alice).await;
    let commit = commit(&alice, room, 0, &[(Operation::Add, &bob)]);
    assert_eq!(add(&mut a, &commit, &bob, TreeHash::of(&tree)).await, Published::Accepted(1));
    assert!(bob.tree(room, 1).await.unwrap() == tree, "as it was put there");
}
