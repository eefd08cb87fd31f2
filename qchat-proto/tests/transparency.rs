//! The key directory as its clients check it, against trees that the library makes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use akd::{
    AkdLabel, AkdValue, AppendOnlyProof, Directory,
    append_only_zks::AzksParallelismConfig,
    auditor::audit_verify,
    ecvrf::HardCodedAkdVRF,
    storage::{StorageManager, memory::AsyncInMemoryDatabase},
    verify::history::HistoryParams,
};
use akd_core::{NonMembershipProof, configuration::Configuration as _};
use futures_util::FutureExt;
use proptest::prelude::*;
use qchat_proto::{
    crypto::{
        entropy::SystemEntropy,
        sign::{DeviceSigningKey, SignatureUse},
    },
    ids::{AccountId, ServerId, UserName},
    transparency::{
        AccountEntry, Hashes, Label, NameEntry, SignedHead, TransparencyError, TreeHead, encode_append,
        encode_history, encode_lookup, entry, head, path_from, verify_append, verify_history, verify_lookup,
        verify_path,
    },
};

const SERVER: ServerId = ServerId::from_bytes([7; 16]);

/// What would wait for nothing.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

struct Tree {
    directory: Directory<Hashes, AsyncInMemoryDatabase, HardCodedAkdVRF>,
    roots: Vec<[u8; 32]>,
}

impl Tree {
    fn new() -> Self {
        let storage = StorageManager::new_no_cache(AsyncInMemoryDatabase::new());
        let directory =
            now(Directory::new(storage, HardCodedAkdVRF, AzksParallelismConfig::disabled())).unwrap();
        let empty = now(directory.get_epoch_hash()).unwrap();
        Self { directory, roots: vec![empty.1] }
    }

    /// Writes these, each under its label.
    fn publish(&mut self, entries: &[(Label<'_>, [u8; 48])]) {
        let entries = entries.iter().map(|(label, held)| (AkdLabel(label.bytes()), AkdValue(held.to_vec())));
        self.roots.push(now(self.directory.publish(entries.collect())).unwrap().1);
    }

    fn head(&self) -> TreeHead {
        let vrf_key = now(self.directory.get_public_key()).unwrap().as_bytes().to_owned();
        let epoch = self.roots.len() - 1;
        TreeHead {
            server: SERVER,
            epoch: epoch as u64,
            root: self.roots[epoch],
            vrf_key,
            at: 5,
            previous: [0; 48],
            skip: [0; 48],
        }
    }

    fn lookup(&self, label: Label<'_>) -> akd::LookupProof {
        now(self.directory.lookup(AkdLabel(label.bytes()))).unwrap().0
    }

    fn history(&self, label: Label<'_>, recent: usize) -> akd::HistoryProof {
        let params = HistoryParams::MostRecent(recent);
        now(self.directory.key_history(&AkdLabel(label.bytes()), params)).unwrap().0
    }

    fn append(&self, epoch: u64) -> AppendOnlyProof {
        now(self.directory.audit(epoch - 1, epoch)).unwrap()
    }
}

fn account(number: u16) -> AccountId {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    AccountId::from_bytes(id)
}

/// Something to write.
fn held(number: u16) -> [u8; 48] {
    entry::commitment(&entry::Salt([9; 32]), &number.to_be_bytes())
}

/// A tree of many accounts, the first of which was written three times.
fn grown() -> Tree {
    let mut tree = Tree::new();
    tree.publish(&[(Label::Account(account(0)), held(0))]);
    let many: Vec<_> = (1..40).map(|number| (Label::Account(account(number)), held(number))).collect();
    tree.publish(&many);
    tree.publish(&[(Label::Account(account(0)), held(100))]);
    tree.publish(&[(Label::Account(account(0)), held(101)), (Label::Account(account(50)), held(50))]);
    tree
}

#[test]
fn what_a_label_holds_is_proved_and_nothing_else_is() {
    let tree = grown();
    let head = tree.head();
    for (number, holds, version, epoch) in [(0, 101, 3, 4), (7, 7, 1, 2), (50, 50, 1, 4)] {
        let label = Label::Account(account(number));
        let proof = encode_lookup(&tree.lookup(label));
        let found = verify_lookup(&head, label, &held(holds), &proof).unwrap();
        assert_eq!((found.version, found.epoch), (version, epoch));
        assert!(proof.len() < 2000, "{}", proof.len());

        let other = Label::Account(account(8));
        let old = TreeHead { root: tree.roots[3], epoch: 3, ..head };
        let foreign = TreeHead { vrf_key: [0x58; 32], ..head };
        for refused in [
            verify_lookup(&head, label, &held(999), &proof),
            verify_lookup(&head, other, &held(holds), &proof),
            verify_lookup(&old, label, &held(holds), &proof),
            verify_lookup(&foreign, label, &held(holds), &proof),
        ] {
            assert!(matches!(refused, Err(TransparencyError::False(_))), "{refused:?}");
        }
        // None of these bytes can be another, and none be missing.
        for at in (0..proof.len()).step_by(5) {
            let mut edited = proof.clone();
            edited[at] ^= 1;
            assert!(verify_lookup(&head, label, &held(holds), &edited).is_err(), "byte {at}");
        }
        assert!(verify_lookup(&head, label, &held(holds), &proof[..proof.len() - 1]).is_err());
        assert!(verify_lookup(&head, label, &held(holds), &[&proof[..], &[0]].concat()).is_err());
    }
    // What was held before is not the newest any more, whatever proof of then is shown.
    let mut before = Tree::new();
    before.publish(&[(Label::Account(account(0)), held(0))]);
    let proof = encode_lookup(&before.lookup(Label::Account(account(0))));
    assert!(verify_lookup(&head, Label::Account(account(0)), &held(0), &proof).is_err());
}

#[test]
fn an_ancestor_of_what_is_there_does_not_prove_that_it_is_not() {
    let tree = grown();
    let head = tree.head();
    let label = Label::Account(account(0));
    // Of version 2 it is to be said that nothing has followed it: that it was never marked as stale. It was.
    let newest = tree.lookup(label);
    let old =
        now(tree.directory.key_history(&AkdLabel(label.bytes()), HistoryParams::MostRecent(3))).unwrap().0;
    let second = &old.update_proofs[1];
    let stale = old.update_proofs[0].previous_version_proof.clone().unwrap();
    // The root is an ancestor of everything, and its two children are not the label itself.
    let first = &stale.sibling_proofs[0];
    let below = stale.sibling_proofs[1].clone();
    let here = akd_core::AzksElement {
        label: below.label,
        value: {
            let mut value = stale.hash_val;
            let mut at = stale.label;
            for way in stale.sibling_proofs[1..].iter().rev() {
                let (own, other) = ((value, at), (way.siblings[0].value, way.siblings[0].label));
                let (left, right) =
                    if way.direction == akd_core::Direction::Left { (own, other) } else { (other, own) };
                value = Hashes::compute_parent_hash_from_children(
                    &left.0,
                    &left.1.value::<Hashes>(),
                    &right.0,
                    &right.1.value::<Hashes>(),
                );
                at = way.label;
            }
            value
        },
    };
    let children = match first.direction {
        akd_core::Direction::Left => [here, first.siblings[0]],
        akd_core::Direction::Right => [first.siblings[0], here],
    };
    let root = akd_core::NodeLabel::root();
    let absence = NonMembershipProof {
        label: stale.label,
        longest_prefix: root,
        longest_prefix_children: children,
        longest_prefix_membership_proof: akd_core::MembershipProof {
            label: root,
            hash_val: akd_core::AzksValue(head.root),
            sibling_proofs: vec![],
        },
    };
    let lie = akd::LookupProof {
        epoch: second.epoch,
        value: second.value.clone(),
        version: 2,
        existence_vrf_proof: second.existence_vrf_proof.clone(),
        existence_proof: second.existence_proof.clone(),
        marker_vrf_proof: second.existence_vrf_proof.clone(),
        marker_proof: second.existence_proof.clone(),
        freshness_vrf_proof: old.update_proofs[0].previous_version_vrf_proof.clone().unwrap(),
        freshness_proof: absence,
        commitment_nonce: second.commitment_nonce.clone(),
    };
    // The library itself believes it.
    let believed = akd_core::verify::lookup_verify::<Hashes>(
        &head.vrf_key,
        head.root,
        head.epoch,
        AkdLabel(label.bytes()),
        lie.clone(),
    );
    assert_eq!(believed.unwrap().version, 2);
    let refused = verify_lookup(&head, label, &held(100), &encode_lookup(&lie));
    assert!(matches!(refused, Err(TransparencyError::Malformed(_))), "{refused:?}");
    assert!(verify_lookup(&head, label, &held(101), &encode_lookup(&newest)).is_ok());
}

#[test]
fn all_that_a_label_has_held_is_proved_and_that_nothing_came_after() {
    let tree = grown();
    let head = tree.head();
    let label = Label::Account(account(0));
    for (recent, versions) in [(10, &[3, 2, 1][..]), (2, &[3, 2]), (1, &[3])] {
        let proof = encode_history(&tree.history(label, recent));
        let found = verify_history(&head, label, recent, &proof).unwrap();
        assert_eq!(found.iter().map(|held| held.version).collect::<Vec<_>>(), versions);
        assert_eq!(found[0].commitment, held(101));
        for at in (0..proof.len()).step_by(11) {
            let mut edited = proof.clone();
            edited[at] ^= 1;
            assert!(verify_history(&head, label, recent, &edited).is_err(), "{recent}: byte {at}");
        }
        let later = verify_history(&TreeHead { epoch: 20, ..head }, label, recent, &proof);
        assert!(later.is_err(), "markers belong to an epoch");
    }
    // One that ends before the newest, and one that begins after the first.
    let mut short = tree.history(label, 10);
    short.update_proofs.remove(0);
    assert!(verify_history(&head, label, 10, &encode_history(&short)).is_err());
    let mut late = tree.history(label, 10);
    late.update_proofs.pop();
    assert!(verify_history(&head, label, 10, &encode_history(&late)).is_err());
    // Numbers at the end of all: the library would count on from them.
    for number in [u64::MAX, u64::MAX - 1, 1 << 63, 1 << 48] {
        for at in 0..3 {
            let mut far = tree.history(label, 10);
            let update = &mut far.update_proofs[at];
            (update.version, update.epoch) = (number, number);
            assert!(verify_history(&head, label, 10, &encode_history(&far)).is_err(), "{number}, {at}");
        }
        let beyond = TreeHead { epoch: number, ..head };
        let proof = encode_history(&tree.history(label, 10));
        assert!(verify_history(&beyond, label, 10, &proof).is_err(), "{number}");
        let proof = encode_lookup(&akd::LookupProof { version: number, epoch: number, ..tree.lookup(label) });
        assert!(verify_lookup(&head, label, &held(101), &proof).is_err(), "{number}");
        assert!(verify_lookup(&beyond, label, &held(101), &proof).is_err(), "{number}");
    }
}

#[test]
fn a_tree_that_has_only_grown_proves_it_as_the_auditor_of_the_library_sees_it() {
    let tree = grown();
    for epoch in 1..tree.roots.len() {
        let proof = tree.append(epoch as u64);
        let (before, after) = (tree.roots[epoch - 1], tree.roots[epoch]);
        now_audit(vec![before, after], proof.clone()).unwrap();
        let bytes = encode_append(&proof.proofs[0]);
        let came = verify_append(&before, &after, epoch as u64, &bytes).unwrap();
        assert_eq!(came, proof.proofs[0].inserted.len());
        for (before, after, at) in
            [(after, after, epoch as u64), (before, before, epoch as u64), (before, after, epoch as u64 + 1)]
        {
            assert!(verify_append(&before, &after, at, &bytes).is_err());
        }
        for at in 0..bytes.len() {
            let mut edited = bytes.clone();
            edited[at] ^= 1;
            assert!(verify_append(&before, &after, epoch as u64, &edited).is_err(), "{epoch}: byte {at}");
        }
    }
}

/// The library's auditor wants a runtime of tokio's.
fn now_audit(hashes: Vec<[u8; 32]>, proof: AppendOnlyProof) -> Result<(), akd::errors::AkdError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(audit_verify::<Hashes>(hashes, proof))
}

#[test]
fn entries_say_one_thing_and_are_read_back() {
    let name: UserName = "alice".parse().unwrap();
    let of_name = NameEntry { account: account(3) };
    assert_eq!(NameEntry::decode(&of_name.encode()), Some(of_name));
    let of_account = AccountEntry { account: account(3), record: [1; 48], list_version: 9, list: [2; 48] };
    assert_eq!(AccountEntry::decode(&of_account.encode()), Some(of_account));
    assert_eq!(NameEntry::decode(&of_account.encode()), None);
    assert_eq!(AccountEntry::decode(&of_name.encode()), None);
    assert_ne!(Label::Name(&name).bytes(), Label::Account(account(3)).bytes());
    let (one, other) = (entry::Salt([1; 32]), entry::Salt([2; 32]));
    assert_ne!(entry::commitment(&one, &of_name.encode()), entry::commitment(&other, &of_name.encode()));
}

/// A log of heads up to an epoch.
fn log(last: u64) -> Vec<TreeHead> {
    let mut heads: Vec<TreeHead> = vec![];
    for epoch in 0..=last {
        let hash = |epoch: u64| heads[usize::try_from(epoch).unwrap()].hash();
        let (previous, skip) =
            if epoch == 0 { ([0; 48], [0; 48]) } else { (hash(epoch - 1), hash(head::lower(epoch))) };
        let root = [u8::try_from(epoch % 251).unwrap(); 32];
        heads.push(TreeHead { server: SERVER, epoch, root, vrf_key: [3; 32], at: 5 + epoch, previous, skip });
    }
    heads
}

fn path(heads: &[TreeHead], from: u64, to: u64) -> Vec<u8> {
    path_from(from, to)
        .into_iter()
        .flat_map(|epoch| heads[usize::try_from(epoch).unwrap()].encode())
        .collect()
}

#[test]
fn a_head_is_believed_under_its_key_for_its_server_and_use() {
    let key = DeviceSigningKey::generate(&SystemEntropy).unwrap();
    let other = DeviceSigningKey::generate(&SystemEntropy).unwrap();
    let head = log(5)[5];
    let signed = head.sign(&key).unwrap();
    let bytes = signed.encode();
    assert_eq!(bytes.len(), 193 + 3373);
    assert_eq!(SignedHead::verify(&bytes, key.public(), SERVER), Ok(signed));
    let elsewhere = ServerId::from_bytes([8; 16]);
    assert_eq!(SignedHead::verify(&bytes, key.public(), elsewhere), Err(TransparencyError::OtherServer));
    assert_eq!(SignedHead::verify(&bytes, other.public(), SERVER), Err(TransparencyError::Forged));
    let of_login = [head.encode(), key.sign(SignatureUse::Login, &head.encode()).unwrap()].concat();
    assert_eq!(SignedHead::verify(&of_login, key.public(), SERVER), Err(TransparencyError::Forged));
    for at in [0, 1, 17, 25, 57, 89, 97, 145, 193, 3500] {
        let mut edited = bytes.clone();
        edited[at] ^= 1;
        assert!(SignedHead::verify(&edited, key.public(), SERVER).is_err(), "byte {at}");
    }
}

#[test]
fn few_heads_lead_from_any_to_any_older_one() {
    let heads = log(130);
    for from in 0..=130 {
        for to in 0..=from {
            let path = path(&heads, from, to);
            assert!(path.len() <= 40 * TreeHead::SIZE, "{from} to {to}: {}", path.len());
            let of = |epoch: u64| heads[usize::try_from(epoch).unwrap()];
            assert_eq!(verify_path(&of(from), &path, to), Ok(of(to).hash()));
        }
    }
    // Where a log is years old, too.
    assert!(path_from(1 << 40, (1 << 40) - (1 << 39) - 1).len() < 800);
}

proptest! {
    #[test]
    fn no_other_way_leads_between_two_heads(from in 1u64..200, back in 1u64..200, at in 0usize..8000, bit in 0u8..8) {
        let heads = log(from);
        let to = from.saturating_sub(back);
        let genuine = path(&heads, from, to);
        let newest = heads[usize::try_from(from).unwrap()];
        prop_assert!(verify_path(&newest, &genuine, from + 1).is_err());
        prop_assert!(verify_path(&newest, &[&genuine[..], &newest.encode()].concat(), to).is_err());
        if !genuine.is_empty() {
            let mut edited = genuine.clone();
            let at = at % edited.len();
            edited[at] ^= 1 << bit;
            prop_assert!(verify_path(&newest, &edited, to).is_err());
            prop_assert!(verify_path(&newest, &genuine[TreeHead::SIZE..], to).is_err());
        }
    }
}
