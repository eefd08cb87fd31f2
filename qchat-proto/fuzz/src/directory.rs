//! The key directory: heads, the ways between them, and proofs. No edit of one is believed, and none ends the program.

use std::sync::LazyLock;

use akd::{
    AkdLabel, AkdValue, AzksParallelismConfig, Directory, HistoryParams,
    ecvrf::HardCodedAkdVRF,
    storage::{StorageManager, memory::AsyncInMemoryDatabase},
};
use futures_util::FutureExt;
use qchat_proto::{
    crypto::sign::DeviceSigningKey,
    ids::{AccountId, ServerId},
    transparency::{
        AccountEntry, Hashes, Label, NameEntry, SignedHead, TreeHead, empty_root, encode_append,
        encode_history, encode_lookup, verify_append, verify_history, verify_lookup, verify_path,
    },
};

use crate::{edits::edited, world::Repeated};

const SERVER: ServerId = ServerId::from_bytes([7; 16]);
const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);
const HELD: [u8; 48] = [3; 48];

struct Genuine {
    key: DeviceSigningKey,
    head: TreeHead,
    signed: Vec<u8>,
    path: Vec<u8>,
    lookup: Vec<u8>,
    history: Vec<u8>,
    grown: Vec<u8>,
    before: [u8; 32],
}

/// What would wait for nothing.
fn now<T, E: std::fmt::Debug>(future: impl Future<Output = Result<T, E>>) -> T {
    future.now_or_never().expect("it waits for nothing").expect("a tree")
}

static GENUINE: LazyLock<Genuine> = LazyLock::new(|| {
    let key = DeviceSigningKey::generate(&Repeated::default()).expect("a key");
    let storage = StorageManager::new_no_cache(AsyncInMemoryDatabase::new());
    let tree = Directory::<Hashes, _, _>::new(storage, HardCodedAkdVRF, AzksParallelismConfig::disabled());
    let tree = now(tree);
    let vrf_key = *now(tree.get_public_key()).as_bytes();
    let label = AkdLabel(Label::Account(ACCOUNT).bytes());
    let mut head = TreeHead {
        server: SERVER,
        epoch: 0,
        root: empty_root(),
        vrf_key,
        at: 1,
        previous: [0; 48],
        skip: [0; 48],
    };
    let mut heads = vec![head];
    let mut before = head.root;
    for epoch in 1..=6_u8 {
        let other = (
            AkdLabel(Label::Account(AccountId::from_bytes([epoch + 1; 16])).bytes()),
            AkdValue(HELD.to_vec()),
        );
        let held = if epoch == 6 { HELD } else { [epoch; 48] };
        before = head.root;
        let root = now(tree.publish(vec![other, (label.clone(), AkdValue(held.to_vec()))])).1;
        let lower = usize::from(epoch & (epoch - 1));
        head =
            TreeHead { epoch: epoch.into(), root, previous: head.hash(), skip: heads[lower].hash(), ..head };
        heads.push(head);
    }
    Genuine {
        signed: head.sign(&key).expect("a signature").encode(),
        path: [heads[4].encode(), heads[3].encode()].concat(),
        lookup: encode_lookup(&now(tree.lookup(label.clone())).0),
        history: encode_history(&now(tree.key_history(&label, HistoryParams::MostRecent(3))).0),
        grown: encode_append(&now(tree.audit(5, 6)).proofs[0]),
        key,
        head,
        before,
    }
});

/// Heads, ways, proofs and entries.
pub fn directory(input: &[u8]) {
    let genuine = &*GENUINE;
    let Genuine { key, head, signed, path, lookup, history, grown, before } = genuine;
    let account = AccountEntry { account: ACCOUNT, record: [1; 48], list_version: 2, list: [3; 48] }.encode();
    let name = NameEntry { account: ACCOUNT }.encode();
    let all = [signed, path, lookup, history, grown, &account, &name].map(Clone::clone);
    let bytes = edited(&all, input);
    let label = Label::Account(ACCOUNT);
    if SignedHead::verify(&bytes, key.public(), SERVER).is_ok() {
        assert_eq!(bytes, *signed);
    }
    if let Ok(read) = TreeHead::decode(&bytes) {
        assert_eq!(read.encode(), bytes);
    }
    assert_eq!(verify_path(head, &bytes, 2).is_ok(), bytes == *path);
    assert_eq!(verify_lookup(head, label, &HELD, &bytes).is_ok(), bytes == *lookup);
    assert_eq!(verify_history(head, label, 3, &bytes).is_ok(), bytes == *history);
    if verify_append(before, &head.root, 6, &bytes).is_ok() && bytes != *grown {
        // The same nodes in another order are the same proof.
        let (mut one, mut other) = (bytes.clone(), grown.clone());
        one.sort_unstable();
        other.sort_unstable();
        assert_eq!(one, other);
    }
    if let Some(read) = AccountEntry::decode(&bytes) {
        assert_eq!(read.encode(), bytes);
    }
    if let Some(read) = NameEntry::decode(&bytes) {
        assert_eq!(read.encode(), bytes);
    }
}
