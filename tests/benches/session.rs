//! What sealing and opening a message costs with its transaction on disk, in a room of ten devices.
//!
//! `cargo bench -p qchat-tests --bench session`
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use qchat_cli::store::{Identity, Profile, StoreError, Tx};
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
        ledger::{Change, Ledger, Renewal, Sealed, Want},
        outbox,
    },
    wire::frame::Logged,
};
use tempfile::TempDir;

const ROOM: RoomId = RoomId::from_bytes([7; 16]);
const NOW: u64 = 1_800_000_000;
const DEVICES: u8 = 10;

#[derive(Default)]
struct Keys(Mutex<HashMap<[u8; 48], AccountPublicKey>>);

impl AccountKeys for Keys {
    fn account_key(&self, _account: AccountId, hash: &[u8; 48]) -> Option<AccountPublicKey> {
        self.0.lock().unwrap().get(hash).cloned()
    }
}

#[derive(Debug)]
#[expect(dead_code, reason = "read by the panic that shows it")]
struct Failed(Box<dyn std::error::Error>);

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self(Box::new(error))
    }
}

impl From<SessionError<StoreError>> for Failed {
    fn from(error: SessionError<StoreError>) -> Self {
        Self(Box::new(error))
    }
}

struct Person {
    device: Device,
    profile: Profile,
    _directory: TempDir,
}

impl Person {
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
        let profile = Profile::create(directory.path(), Secret::random(&SystemEntropy).unwrap()).unwrap();
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
        Self { device, profile, _directory: directory }
    }

    fn write<T>(&self, work: impl FnOnce(&mut Tx) -> Result<T, Failed>) -> T {
        self.profile.write(work).unwrap()
    }

    /// Puts a text into outbox and timeline, as the engine does before it answers.
    fn enqueue(&self, text: &str) {
        let content = Content::text(text, 0).unwrap().encode();
        self.write(|tx| {
            let id = outbox::enqueue(tx, &self.device, ROOM, Want::Application(content.clone()))?;
            Ok(tx.put_pending(ROOM, id, &content)?)
        });
    }

    fn next(&self) -> (qchat_proto::ids::MessageId, Sealed) {
        let out = self.write(|tx| Ok(outbox::next(tx, &self.device, ROOM, NOW)?)).unwrap();
        (out.message_id, out.sealed)
    }

    fn accepted(&self, sealed: &Sealed, seq: Seq) {
        let id = qchat_proto::wire::frame::Envelope::decode(sealed.envelope.clone()).unwrap().message_id;
        self.write(|tx| Ok(outbox::accepted(tx, ROOM, id, seq)?));
    }

    fn receive(&self, seq: Seq, bytes: &Bytes) {
        let logged = Logged { seq, bytes: bytes.clone() };
        self.write(|tx| Ok(inbox::receive(tx, &self.device, ROOM, &logged, NOW)?));
    }
}

/// A room of ten devices: alice, who made it, bob, who joined, and the log so far.
fn room() -> (Person, Person, Vec<Bytes>) {
    let keys = Arc::new(Keys::default());
    let mut people: Vec<Person> = (0..DEVICES).map(|number| Person::new(number, &keys)).collect();
    let mut packages: Vec<_> = people[1..]
        .iter()
        .map(|person| person.device.key_packages(1, false, NOW).unwrap().remove(0))
        .collect();
    let alice = people.remove(0);
    let bob = people.remove(0);
    let settings = RoomSettings::new("tea".to_owned(), vec![alice.device.account()]);
    alice.write(|tx| Ok(joining::create(tx, &alice.device, ROOM, &settings, NOW)?));
    let add = Change::Add(packages.iter().map(|own| own.message.clone()).collect());
    alice.write(|tx| Ok(outbox::enqueue(tx, &alice.device, ROOM, Want::Commit(add))?));
    let (_, sealed) = alice.next();
    let id = qchat_proto::wire::frame::Envelope::decode(sealed.envelope.clone()).unwrap().message_id;
    let ratchet_tree = alice.write(|tx| Ok(tx.outbox_tree(ROOM, id)?)).unwrap();
    alice.accepted(&sealed, Seq(1));
    alice.receive(Seq(1), &sealed.envelope);
    let theirs = packages.remove(0);
    let welcome = sealed.welcomes.iter().find(|welcome| welcome.device == bob.device.id()).unwrap();
    let invited = joining::Invited {
        room: ROOM,
        seq: Seq(1),
        welcome: welcome.welcome.clone(),
        ratchet_tree,
        accepted: true,
        key_package: (theirs.id, theirs.secret),
    };
    let log = [Logged { seq: Seq(1), bytes: sealed.envelope.clone() }];
    bob.write(|tx| Ok(joining::join(tx, &bob.device, &invited, &log)?));
    // Nobody renews keys in the middle of a measurement.
    alice.write(|tx| Ok(tx.put_renewal(ROOM, Renewal { at: NOW, accepted: u64::MAX >> 1 })?));
    (alice, bob, vec![sealed.envelope])
}

/// The daemon's part: the envelope is in the log, acknowledged and read by its sender.
fn sent(sender: &Person, log: &mut Vec<Bytes>, sealed: &Sealed) {
    log.push(sealed.envelope.clone());
    let seq = Seq(log.len() as u64);
    sender.accepted(sealed, seq);
    sender.receive(seq, &sealed.envelope);
}

fn messages(c: &mut Criterion) {
    let text = "x".repeat(100);
    let mut group = c.benchmark_group("10 devices, 100 B, SQLCipher with synchronous=FULL");
    group.sample_size(50).measurement_time(Duration::from_secs(8));

    let (alice, bob, mut log) = room();
    for (name, of_sealing) in [("put into the outbox", false), ("seal and persist", true)] {
        group.bench_function(name, |b| {
            b.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    let start = Instant::now();
                    alice.enqueue(&text);
                    let enqueued = start.elapsed();
                    let start = Instant::now();
                    let (_, sealed) = alice.next();
                    spent += if of_sealing { start.elapsed() } else { enqueued };
                    sent(&alice, &mut log, &sealed);
                }
                spent
            });
        });
    }

    let mut read = 1;
    group.bench_function("open and persist", |b| {
        b.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                if read == log.len() {
                    alice.enqueue(&text);
                    let (_, sealed) = alice.next();
                    sent(&alice, &mut log, &sealed);
                }
                let seq = Seq(read as u64 + 1);
                let start = Instant::now();
                bob.receive(seq, &log[read]);
                spent += start.elapsed();
                read += 1;
            }
            spent
        });
    });
    group.finish();
}

criterion_group!(benches, messages);
criterion_main!(benches);
