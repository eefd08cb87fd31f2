//! Groups that stay in memory between transactions, judged by the keys that seal: several processes share a profile, and
//! transactions fail.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use qchat_cli::store::{Identity, LineBody, Profile, StoreError, Tx};
use qchat_proto::{
    content::{Content, RoomSettings},
    crypto::{
        entropy::SystemEntropy,
        secret::Secret,
        sign::{AccountPublicKey, AccountSigningKey, DeviceSigningKey},
    },
    identity::DeviceCertificate,
    ids::{AccountId, DeviceId, RoomId, Seq, ServerId},
    mls::{device::Device, identity::AccountKeys},
    session::{
        error::SessionError,
        inbox, joining,
        ledger::{Change, Ledger, Sealed, Want},
        outbox,
    },
    wire::frame::{Envelope, Logged},
};
use tempfile::TempDir;

use crate::witness::{KeyUse, KeyUses, key_use};

const ROOM: RoomId = RoomId::from_bytes([7; 16]);
const NOW: u64 = 1_800_000_000;

#[derive(Default)]
struct Keys(Mutex<HashMap<[u8; 48], AccountPublicKey>>);

impl AccountKeys for Keys {
    fn account_key(&self, _account: AccountId, hash: &[u8; 48]) -> Option<AccountPublicKey> {
        self.0.lock().unwrap().get(hash).cloned()
    }
}

#[derive(Debug)]
enum Failed {
    Store(#[expect(dead_code, reason = "shown by a panic")] StoreError),
    Session(#[expect(dead_code, reason = "shown by a panic")] SessionError<StoreError>),
    /// What a test does to its own transaction.
    OnPurpose,
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SessionError<StoreError>> for Failed {
    fn from(error: SessionError<StoreError>) -> Self {
        Self::Session(error)
    }
}

/// An identity of its own, to store.
pub(crate) fn identity(number: u8) -> Identity {
    let account = AccountSigningKey::generate(&SystemEntropy).unwrap();
    let key = DeviceSigningKey::generate(&SystemEntropy).unwrap();
    Identity {
        account: AccountId::from_bytes([number; 16]),
        device: DeviceId::from_bytes([0x80 + number; 16]),
        name: format!("person{number}").parse().unwrap(),
        server_url: "http://127.0.0.1:1".to_owned(),
        server_key: None,
        server_id: ServerId::from_bytes([0; 16]),
        device_key: Secret::from_bytes(*key.seed().expose()),
        account_key: Secret::from_bytes(*account.seed().expose()),
        certificate: vec![],
        list_version: 1,
    }
}

/// Somebody whose profile two processes have open.
struct Somebody {
    device: Device,
    processes: [Profile; 2],
    _directory: TempDir,
}

impl Somebody {
    fn new(number: u8, keys: &Arc<Keys>) -> Self {
        let account = AccountSigningKey::generate(&SystemEntropy).unwrap();
        let key = DeviceSigningKey::generate(&SystemEntropy).unwrap();
        keys.0.lock().unwrap().insert(account.public().hash(), account.public().clone());
        let certificate = DeviceCertificate {
            account: AccountId::from_bytes([number; 16]),
            device: DeviceId::from_bytes([0x80 + number; 16]),
            device_key: key.public().clone(),
            identity_key_hash: account.public().hash(),
            created_at: NOW,
        };
        let certificate = certificate.sign(&account).unwrap();
        let keys: Arc<dyn AccountKeys> = keys.clone();
        let device = Device::new(&certificate, &key, Arc::new(SystemEntropy), keys).unwrap();
        let directory = TempDir::new().unwrap();
        let secret = || Secret::from_bytes([number; 32]);
        let profile = Profile::create(directory.path(), secret()).unwrap();
        let own = Identity {
            account: device.account(),
            device: device.id(),
            name: format!("person{number}").parse().unwrap(),
            server_url: "http://127.0.0.1:1".to_owned(),
            server_key: None,
            server_id: ServerId::from_bytes([0; 16]),
            device_key: Secret::from_bytes(*key.seed().expose()),
            account_key: Secret::from_bytes(*account.seed().expose()),
            certificate,
            list_version: 1,
        };
        profile.write(|tx| tx.put_identity(&own)).unwrap();
        let other = Profile::open(directory.path(), secret()).unwrap();
        Self { device, processes: [profile, other], _directory: directory }
    }

    /// One transaction of one of the processes.
    fn write<T>(&self, process: usize, work: impl FnOnce(&mut Tx) -> Result<T, Failed>) -> T {
        self.processes[process].write(work).unwrap()
    }

    /// One that does its work and then fails.
    fn fail<T>(&self, process: usize, work: impl FnOnce(&mut Tx) -> Result<T, Failed>) -> T {
        let mut done = None;
        let failed = self.processes[process].write(|tx| {
            done = Some(work(tx)?);
            Err::<(), _>(Failed::OnPurpose)
        });
        assert!(matches!(failed, Err(Failed::OnPurpose)), "{failed:?}");
        done.unwrap()
    }

    fn want(&self, process: usize, want: Want) {
        self.write(process, |tx| Ok(outbox::enqueue(tx, &self.device, ROOM, want)?));
    }

    fn say(&self, process: usize, text: &str) {
        self.want(process, Want::Application(Content::text(text, 0).unwrap().encode()));
    }

    fn seal(&self, tx: &mut Tx) -> Result<Sealed, Failed> {
        Ok(outbox::next(tx, &self.device, ROOM, NOW)?.expect("something to say").sealed)
    }

    fn receive(&self, tx: &mut Tx, log: &[Sealed], seq: usize) -> Result<(), Failed> {
        let logged = Logged { seq: Seq(seq as u64), bytes: log[seq - 1].envelope.clone() };
        Ok(inbox::receive(tx, &self.device, ROOM, &logged, NOW)?)
    }

    /// Reads the whole log; what was read before is passed over.
    fn catch_up(&self, process: usize, log: &[Sealed]) {
        for seq in 2..=log.len() {
            self.write(process, |tx| self.receive(tx, log, seq));
        }
    }

    /// The key that an own sealing used.
    fn key_of(&self, sealed: &Sealed) -> KeyUse {
        let blob = self.write(0, |tx| Ok(tx.group(ROOM)?)).unwrap();
        key_use(ROOM, &blob, &Envelope::decode(sealed.envelope.clone()).unwrap().payload)
            .expect("of this epoch")
    }

    fn texts(&self) -> Vec<Seq> {
        let lines = self.processes[0].read(|tx| tx.lines_before(ROOM, None, 1000)).unwrap();
        lines
            .iter()
            .filter(|line| matches!(line.body, LineBody::Message { .. }))
            .filter_map(|line| line.seq)
            .collect()
    }
}

/// A room of two, and its log.
fn room() -> (Somebody, Somebody, Vec<Sealed>) {
    let keys = Arc::new(Keys::default());
    let (alice, bob) = (Somebody::new(1, &keys), Somebody::new(2, &keys));
    let settings = RoomSettings::new("tea".to_owned(), vec![alice.device.account()]);
    alice.write(0, |tx| Ok(joining::create(tx, &alice.device, ROOM, &settings, NOW)?));
    let theirs = bob.device.key_packages(1, false, NOW).unwrap().remove(0);
    alice.want(0, Want::Commit(Change::Add(vec![theirs.message])));
    let sealed = alice.write(0, |tx| alice.seal(tx));
    let mut log = vec![];
    let id = Envelope::decode(sealed.envelope.clone()).unwrap().message_id;
    let ratchet_tree = alice.write(0, |tx| Ok(tx.outbox_tree(ROOM, id)?)).unwrap();
    sent(&alice, 0, &mut log, sealed.clone());
    let invited = joining::Invited {
        room: ROOM,
        seq: Seq(1),
        welcome: sealed.welcomes[0].welcome.clone(),
        ratchet_tree,
        accepted: true,
        key_package: (theirs.id, theirs.secret),
    };
    let logged = [Logged { seq: Seq(1), bytes: sealed.envelope }];
    bob.write(0, |tx| Ok(joining::join(tx, &bob.device, &invited, &logged)?));
    (alice, bob, log)
}

/// The daemon's part: what was sealed is in the log, acknowledged and read by its sender.
fn sent(sender: &Somebody, process: usize, log: &mut Vec<Sealed>, sealed: Sealed) {
    let id = Envelope::decode(sealed.envelope.clone()).unwrap().message_id;
    log.push(sealed);
    let seq = log.len();
    sender.write(process, |tx| Ok(outbox::accepted(tx, ROOM, id, Seq(seq as u64))?));
    sender.write(process, |tx| sender.receive(tx, log, seq));
}

#[test]
fn processes_that_take_turns_use_no_key_twice_and_open_everything() {
    let (alice, bob, mut log) = room();
    let mut uses = KeyUses::default();
    // Runs of one process, turns of both, and an epoch that one of them begins while the other keeps the one before.
    for (round, process) in [0, 0, 1, 0, 1, 1, 0, 1].into_iter().enumerate() {
        for (who, process) in [(&alice, process), (&bob, 1 - process)] {
            who.catch_up(process, &log);
            if round == 4 && who.device.id() == alice.device.id() {
                who.want(1 - process, Want::Commit(Change::Update));
                let sealed = who.write(process, |tx| who.seal(tx));
                sent(who, process, &mut log, sealed);
            }
            who.say(process, &format!("message {round}"));
            let sealed = who.write(process, |tx| who.seal(tx));
            let payload = Envelope::decode(sealed.envelope.clone()).unwrap().payload;
            assert_eq!(uses.note(&who.key_of(&sealed), &payload), Ok(()), "round {round}");
            sent(who, process, &mut log, sealed);
        }
    }
    alice.catch_up(0, &log);
    assert_eq!(alice.texts().len(), bob.texts().len(), "what the other wrote");
    assert_eq!((alice.texts().len(), uses.len()), (8, 16));
}

#[test]
fn a_transaction_that_failed_leaves_no_group_behind() {
    let (alice, bob, mut log) = room();
    for round in 0..3 {
        alice.say(0, &format!("message {round}"));
        // What is sealed here never leaves the device, so its key is still to be used.
        let lost = alice.fail(0, |tx| alice.seal(tx));
        let sealed = alice.write(0, |tx| alice.seal(tx));
        assert_ne!(lost.envelope, sealed.envelope);
        assert_eq!(alice.key_of(&lost), alice.key_of(&sealed), "sealed from what is stored");
        sent(&alice, 0, &mut log, sealed);
        // Opening uses a key up for good, but only once it is stored.
        bob.fail(0, |tx| bob.receive(tx, &log, round + 2));
        bob.write(0, |tx| bob.receive(tx, &log, round + 2));
        assert_eq!(bob.texts().len(), round + 1);
    }
}
