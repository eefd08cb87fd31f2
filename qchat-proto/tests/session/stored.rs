//! The stored group: its state and, apart from it, its ratchet tree.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use mls_rs::{client_builder::ClientBuilder, group::ExportedTree};
use mls_rs_core::group::{EpochRecord, GroupState, GroupStateStorage};
use qchat_proto::{
    crypto::entropy::SystemEntropy,
    mls::{fault::MlsFault, identity::QchatIdentity, provider::QchatCrypto},
    session::ledger::{Change, GroupBlob},
};
use zeroize::Zeroizing;

use crate::{
    members::{ROOM, room, settle},
    peer::Peer,
};

fn stored(peer: &Peer) -> GroupBlob {
    peer.ledger.group_of(ROOM).unwrap().as_ref().clone()
}

#[test]
fn only_a_commit_writes_the_ratchet_tree() {
    let (mut relay, mut peers) = room(3);
    let before = peers.iter().map(stored).collect::<Vec<_>>();
    peers[0].say("tea?");
    peers[1].say("please");
    settle(&mut relay, &mut peers);
    for (peer, before) in peers.iter().zip(&before) {
        let now = stored(peer);
        assert!(now.state != before.state, "every message uses up keys");
        assert_eq!(now.tree.as_ptr(), before.tree.as_ptr(), "the very bytes that were stored");
        assert!(now.tree.len() > 3 * 9_000, "{}", now.tree.len());
        assert!(now.state.len() < 10_000, "{}", now.state.len());
    }
    peers[2].change(Change::Update);
    settle(&mut relay, &mut peers);
    for (peer, before) in peers.iter().zip(&before) {
        assert_ne!(stored(peer).tree, before.tree);
    }
}

#[test]
fn a_state_without_its_own_tree_is_refused() {
    let (mut relay, mut peers) = room(3);
    let earlier = stored(&peers[1]);
    peers[0].change(Change::Update);
    settle(&mut relay, &mut peers);
    let now = stored(&peers[1]);
    assert!(peers[1].device.load(ROOM, &now, &[]).is_ok());

    let mut flipped = now.tree.to_vec();
    let place = flipped.len() / 2;
    flipped[place] ^= 1;
    let bad: [(&str, Bytes); 5] = [
        ("no tree", Bytes::new()),
        ("the tree of the epoch before", earlier.tree.clone()),
        ("one flipped bit", flipped.into()),
        ("half a tree", now.tree.slice(..place)),
        ("no bytes of a tree", Bytes::from_static(b"\xff\xff\xff\xff")),
    ];
    for (what, tree) in bad {
        let blob = GroupBlob { state: now.state.clone(), tree };
        let refused = peers[1].device.load(ROOM, &blob, &[]).map(drop);
        assert!(matches!(refused, Err(MlsFault::StoredTree)), "{what}: {refused:?}");
    }
    let older = GroupBlob { state: earlier.state, tree: now.tree };
    assert!(matches!(peers[1].device.load(ROOM, &older, &[]).map(drop), Err(MlsFault::StoredTree)));
}

/// Takes what the library writes.
#[derive(Clone)]
struct Whole(Arc<Mutex<Zeroizing<Vec<u8>>>>);

impl GroupStateStorage for Whole {
    type Error = Infallible;

    fn state(&self, _group_id: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(Some(self.0.lock().unwrap().clone()))
    }
    fn epoch(&self, _group_id: &[u8], _epoch: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(None)
    }
    fn write(
        &mut self,
        state: GroupState,
        _inserts: Vec<EpochRecord>,
        _updates: Vec<EpochRecord>,
    ) -> Result<(), Infallible> {
        *self.0.lock().unwrap() = state.data;
        Ok(())
    }
    fn max_epoch_id(&self, _group_id: &[u8]) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }
}

#[test]
fn a_state_that_was_stored_with_its_tree_inside_is_read() {
    let (_, peers) = room(2);
    let apart = stored(&peers[1]);
    let storage = Whole(Arc::new(Mutex::new(apart.state.clone())));
    let client = ClientBuilder::new()
        .crypto_provider(QchatCrypto::new(Arc::new(SystemEntropy)))
        .group_state_storage(storage.clone())
        .identity_provider(QchatIdentity::new(peers[1].keys()))
        .build();
    let tree = ExportedTree::from_bytes(&apart.tree).unwrap();
    let mut group = client.load_group_with_ratchet_tree(ROOM.as_bytes(), tree).unwrap();
    group.write_to_storage().unwrap();
    let whole = GroupBlob { state: storage.0.lock().unwrap().clone(), tree: Bytes::new() };
    assert!(whole.state.len() > apart.state.len() + apart.tree.len());

    let mut loaded = peers[1].device.load(ROOM, &whole, &[]).unwrap();
    let update = loaded.snapshot().unwrap();
    assert_eq!(update.tree.unwrap(), apart.tree, "the next writing sets them apart");
    assert_eq!(update.state, apart.state);
}
