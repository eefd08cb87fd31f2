//! What reaches the MLS library: KeyPackages, Welcomes with their trees, messages, and groups as they are stored.

use std::sync::LazyLock;

use bytes::Bytes;
use qchat_proto::mls::{anchor::Anchor, device::Device};
use zeroize::Zeroizing;

use crate::{
    edits::edited,
    world::{NOW, ROOM, Room, anchor},
};

static GENUINE: LazyLock<Room> = LazyLock::new(Room::new);

/// A KeyPackage that is accepted is its device's.
pub fn key_packages(input: &[u8]) {
    let room = &*GENUINE;
    let bytes = edited(&[room.key_package.message.to_vec()], input);
    if let Ok(theirs) = room.alice.inspect_key_package(&bytes, NOW) {
        assert_eq!((theirs.account, theirs.device), (room.bob.account(), room.bob.id()));
    }
    let bytes = edited(&[room.welcome.to_vec()], input);
    drop(Device::welcome_key_packages(&bytes));
}

/// Whatever Welcome and tree bob joins by, he is in the room that alice made.
pub fn welcomes(input: &[u8]) {
    static LEAVES: LazyLock<Vec<u32>> =
        LazyLock::new(|| GENUINE.load().leaves().iter().map(|leaf| leaf.index).collect());
    let room = &*GENUINE;
    let (of_tree, input) = input.split_first().map_or((false, input), |(first, rest)| (first % 2 == 1, rest));
    let (mut welcome, mut tree) = (room.welcome.clone(), room.tree.clone());
    if of_tree {
        tree = edited(&[tree.to_vec()], input).into();
    } else {
        welcome = edited(&[welcome.to_vec()], input).into();
    }
    let own = &room.key_package;
    if let Ok(peek) = room.bob.peek(&welcome, &own.id, &own.secret) {
        assert_eq!((peek.room, peek.settings.name.as_str()), (ROOM, "general"));
    }
    if let Ok(joined) = room.bob.join(ROOM, &welcome, &tree, &own.id, &own.secret) {
        let leaves: Vec<_> = joined.group.leaves().iter().map(|leaf| leaf.index).collect();
        assert_eq!(leaves, *LEAVES);
        assert_eq!(joined.inviter.device, room.alice.id());
    }
}

/// A message that opens is one that a member has sealed.
pub fn messages(input: &[u8]) {
    let room = &*GENUINE;
    let bytes = edited(&room.messages, input);
    if let Ok(opened) = room.load().open(&bytes) {
        assert!(room.messages.contains(&bytes), "{opened:?}");
    }
}

/// A stored group is read or refused whatever its bytes have become, and with a tree that is accepted it can be used. With
/// a state of other bytes it need not: the library believes the secrets in there, which an authenticated database keeps.
pub fn stored(input: &[u8]) {
    let room = &*GENUINE;
    let (of_tree, input) = input.split_first().map_or((false, input), |(first, rest)| (first % 2 == 1, rest));
    let mut blob = room.stored.clone();
    if of_tree {
        blob.tree = Bytes::from(edited(&[blob.tree.to_vec()], input));
    } else {
        blob.state = Zeroizing::new(edited(&[blob.state.to_vec()], input));
    }
    let Ok(mut group) = room.bob.load(ROOM, &blob, &[]) else { return };
    if blob.state != room.stored.state {
        return;
    }
    drop(group.settings());
    drop((group.leaves(), group.leaving()));
    drop(group.snapshot());
    for message in &room.messages {
        if let Ok(mut group) = room.bob.load(ROOM, &blob, &[]) {
            drop(group.open(message));
        }
    }
    drop(group.seal(b"padded", vec![]));
}

/// An anchor that is read is written and read the same again.
pub fn anchors(input: &[u8]) {
    let leaving = Anchor { leaving: vec![GENUINE.bob.id(), GENUINE.alice.id()], ..anchor() };
    let bytes = edited(&[anchor().encode(), leaving.encode()], input);
    if let Some(read) = Anchor::decode(&bytes) {
        assert_eq!(Anchor::decode(&read.encode()), Some(read));
    }
}
