//! Two accounts and a room, made once for each run.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use qchat_proto::{
    content::RoomSettings,
    crypto::{
        entropy::{Entropy, EntropyError},
        sign::{AccountPublicKey, AccountSigningKey, DeviceSigningKey},
    },
    identity::{AccountRecord, DeviceCertificate, DeviceList, ListedDevice, RecoveryKey},
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq, UserName},
    mls::{
        anchor::Anchor,
        device::{Device, OwnKeyPackage},
        group::{CommitOutput, Group, Plan},
        identity::AccountKeys,
    },
    session::ledger::GroupBlob,
};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const ROOM: RoomId = RoomId::from_bytes([0xc0; 16]);

/// The same bytes in every run, so that a finding is found again.
#[derive(Default)]
pub(crate) struct Repeated(AtomicU64);

impl Entropy for Repeated {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in out.chunks_mut(8) {
            // SplitMix64 (Steele, Lea, Flood 2014).
            let mut word = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let word = word ^ (word >> 31);
            chunk.copy_from_slice(&word.to_be_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// An account with one device, and every statement about it.
pub(crate) struct Owner {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) name: UserName,
    pub(crate) identity: AccountSigningKey,
    pub(crate) recovery: AccountSigningKey,
    pub(crate) key: DeviceSigningKey,
    pub(crate) record: Vec<u8>,
    pub(crate) certificate: Vec<u8>,
    pub(crate) list: Vec<u8>,
}

impl Owner {
    pub(crate) fn new(name: &str, number: u8, entropy: &dyn Entropy) -> Self {
        let account = AccountId::from_bytes([number; 16]);
        let device = DeviceId::from_bytes([0x10 + number; 16]);
        let name: UserName = name.parse().expect("a name");
        let identity = AccountSigningKey::generate(entropy).expect("a key");
        let recovery = RecoveryKey::generate(entropy).expect("a key").signing_key().expect("a key");
        let key = DeviceSigningKey::generate(entropy).expect("a key");
        let record = AccountRecord {
            account,
            name: name.clone(),
            identity_key: identity.public().clone(),
            recovery_key: recovery.public().clone(),
            created_at: NOW,
        };
        let certificate = DeviceCertificate {
            account,
            device,
            device_key: key.public().clone(),
            identity_key_hash: identity.public().hash(),
            created_at: NOW,
        };
        let list = DeviceList {
            account,
            version: 1,
            issued_at: NOW,
            expires_at: NOW + DeviceList::LIFETIME,
            devices: vec![ListedDevice { device, device_key_hash: key.public().hash() }],
        };
        Self {
            record: record.sign(&identity, &recovery).expect("a record"),
            certificate: certificate.sign(&identity).expect("a certificate"),
            list: list.sign(&identity).expect("a list"),
            account,
            device,
            name,
            identity,
            recovery,
            key,
        }
    }
}

struct Keys(Vec<AccountPublicKey>);

impl AccountKeys for Keys {
    fn account_key(&self, _account: AccountId, hash: &[u8; 48]) -> Option<AccountPublicKey> {
        self.0.iter().find(|key| key.hash() == *hash).cloned()
    }
}

/// Bob's side of a room of alice, bob and carol, and all that reaches him.
pub(crate) struct Room {
    pub(crate) bob: Device,
    pub(crate) alice: Device,
    pub(crate) key_package: OwnKeyPackage,
    pub(crate) welcome: Bytes,
    pub(crate) tree: Bytes,
    pub(crate) stored: GroupBlob,
    /// An application message, a proposal and a commit, for bob as he is stored.
    pub(crate) messages: Vec<Vec<u8>>,
}

impl Room {
    pub(crate) fn new() -> Self {
        let entropy = Arc::new(Repeated::default());
        let owners = [("alice", 1), ("bob", 2), ("carol", 3)]
            .map(|(name, number)| Owner::new(name, number, &*entropy));
        let keys: Arc<dyn AccountKeys> =
            Arc::new(Keys(owners.iter().map(|owner| owner.identity.public().clone()).collect()));
        let [alice, bob, carol] = owners.map(|owner| {
            let entropy: Arc<dyn Entropy> = entropy.clone();
            Device::new(&owner.certificate, &owner.key, entropy, keys.clone()).expect("a device")
        });
        let settings = RoomSettings::new("general".to_owned(), vec![alice.account()]);
        let mut group = alice.create(ROOM, &settings, NOW).expect("a group");
        let [key_package, carols] = [&bob, &carol].map(|device| {
            device.key_packages(1, false, NOW).expect("a KeyPackage").pop().expect("one KeyPackage")
        });
        let add = vec![key_package.message.clone(), carols.message.clone()];
        let CommitOutput { message, welcomes, ratchet_tree: tree } =
            group.commit(&Plan { add, ..Plan::default() }, &anchor(), vec![], NOW).expect("a commit");
        group.open(&message).expect("the creator follows");
        let welcome_for = |key_package: &OwnKeyPackage| {
            let is_for = |welcome: &&Bytes| {
                Device::welcome_key_packages(welcome).is_ok_and(|ids| ids.contains(&key_package.id))
            };
            welcomes.iter().find(is_for).expect("a Welcome for each").clone()
        };
        let joined = |device: &Device, own: &OwnKeyPackage| -> Group {
            let joined = device.join(ROOM, &welcome_for(own), &tree, &own.id, &own.secret);
            joined.expect("who was added joins").group
        };
        let update = joined(&bob, &key_package).snapshot().expect("a state");
        let stored = GroupBlob { state: update.state, tree: update.tree.expect("a tree") };
        let said = group.seal(b"padded", vec![7; 9]).expect("a message");
        let leave = joined(&carol, &carols).propose_leave(vec![8; 9]).expect("a proposal");
        let mut renamed = settings;
        renamed.name = "renamed".to_owned();
        let plan = Plan { settings: Some(renamed), ..Plan::default() };
        let commit = group.commit(&plan, &anchor(), vec![9; 9], NOW).expect("a commit").message;
        Self {
            welcome: welcome_for(&key_package),
            bob,
            alice,
            key_package,
            tree,
            stored,
            messages: [said, leave, commit].map(|message| message.to_vec()).to_vec(),
        }
    }

    pub(crate) fn load(&self) -> Group {
        self.bob.load(ROOM, &self.stored, &[]).expect("the stored group")
    }
}

pub(crate) fn anchor() -> Anchor {
    Anchor { head_seq: Seq(0), head: [0; 48], message_id: MessageId::from_bytes([1; 16]), leaving: vec![] }
}
