//! A room of many devices, each of an account of its own. One tree of a thousand devices takes tens of megabytes in
//! memory, so only those who are asked for join; the others are leaves that nobody watches.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test or benchmark takes what it needs")]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use qchat_proto::{
    content::RoomSettings,
    crypto::{
        entropy::SystemEntropy,
        sign::{AccountPublicKey, AccountSigningKey, DeviceSigningKey},
    },
    identity::DeviceCertificate,
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    mls::{
        anchor::Anchor,
        device::{Device, OwnKeyPackage},
        fault::OpenFault,
        group::{CommitOutput, Group, Opened, Plan},
        identity::AccountKeys,
    },
};

pub const ROOM: RoomId = RoomId::from_bytes([0xc0; 16]);
pub const NOW: u64 = 1_800_000_000;
/// As many as a client adds in one commit.
pub const AT_ONCE: usize = 50;

/// The identity keys that everyone has pinned.
#[derive(Default)]
pub struct Pinned(Mutex<HashMap<[u8; 48], AccountPublicKey>>);

impl AccountKeys for Pinned {
    fn account_key(&self, _account: AccountId, hash: &[u8; 48]) -> Option<AccountPublicKey> {
        self.0.lock().unwrap().get(hash).cloned()
    }
}

/// A device that can be added.
pub struct Candidate {
    pub device: Device,
    pub key_package: OwnKeyPackage,
}

fn id(number: usize) -> [u8; 16] {
    (number as u128 + 1).to_be_bytes()
}

/// Makes devices with real certificates.
pub fn candidates(count: usize) -> Vec<Candidate> {
    let keys = Arc::new(Pinned::default());
    (0..count)
        .map(|number| {
            let account = AccountSigningKey::generate(&SystemEntropy).unwrap();
            let key = DeviceSigningKey::generate(&SystemEntropy).unwrap();
            keys.0.lock().unwrap().insert(account.public().hash(), account.public().clone());
            let certificate = DeviceCertificate {
                account: AccountId::from_bytes(id(number)),
                device: DeviceId::from_bytes(id(number)),
                device_key: key.public().clone(),
                identity_key_hash: account.public().hash(),
                created_at: NOW,
            };
            let certificate = certificate.sign(&account).unwrap();
            let keys: Arc<dyn AccountKeys> = keys.clone();
            let device = Device::new(&certificate, &key, Arc::new(SystemEntropy), keys).unwrap();
            let key_package = device.key_packages(1, false, NOW).unwrap().remove(0);
            Candidate { device, key_package }
        })
        .collect()
}

pub fn anchor() -> Anchor {
    Anchor { head_seq: Seq(0), head: [0; 48], message_id: MessageId::from_bytes([1; 16]), leaving: vec![] }
}

pub fn create(creator: &Candidate) -> Group {
    let settings = RoomSettings::new("crowd".to_owned(), vec![creator.device.account()]);
    creator.device.create(ROOM, &settings, NOW).unwrap()
}

/// A commit of `group`'s, not yet in effect.
pub fn commit(group: &mut Group, plan: &Plan) -> CommitOutput {
    group.commit(plan, &anchor(), vec![], NOW).unwrap()
}

pub fn adds(candidates: &[Candidate]) -> Plan {
    Plan { add: candidates.iter().map(|new| new.key_package.message.clone()).collect(), ..Plan::default() }
}

pub fn removes(candidates: &[Candidate]) -> Plan {
    Plan { remove: candidates.iter().map(|gone| gone.device.id()).collect(), ..Plan::default() }
}

pub fn join(candidate: &Candidate, welcome: &Bytes, tree: &Bytes) -> Result<Group, OpenFault> {
    let OwnKeyPackage { id, secret, .. } = &candidate.key_package;
    candidate.device.join(ROOM, welcome, tree, id, secret).map(|joined| joined.group)
}

/// Everybody follows a commit, its maker included.
pub fn follow<'a>(groups: impl IntoIterator<Item = &'a mut Group>, output: &CommitOutput) {
    for group in groups {
        let opened = group.open(&output.message).unwrap();
        assert!(matches!(opened, Opened::Commit { .. }), "{opened:?}");
    }
}

/// The member at `from` says something that all the others open.
pub fn say(groups: &mut [&mut Group], from: usize, text: &[u8]) -> Bytes {
    let message = groups[from].seal(text, vec![]).unwrap();
    for (place, group) in groups.iter_mut().enumerate().filter(|(place, _)| *place != from) {
        let Ok(Opened::Application { data, .. }) = group.open(&message) else { panic!("member {place}") };
        assert_eq!(data, text);
    }
    message
}
