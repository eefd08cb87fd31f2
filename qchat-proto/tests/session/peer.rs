//! A person with one device, and what the test does with it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

use bytes::Bytes;
use qchat_proto::{
    content::{Content, RoomSettings},
    crypto::{
        entropy::{Entropy, EntropyError, SystemEntropy},
        sign::{AccountPublicKey, AccountSigningKey, DevicePublicKey, DeviceSigningKey},
    },
    identity::DeviceCertificate,
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    mls::{
        device::{Device, OwnKeyPackage},
        identity::AccountKeys,
    },
    session::{
        inbox, joining,
        ledger::{Change, Ledger, Phase, Want},
        outbox::{self, Outgoing},
    },
};

use crate::{
    ledger::{Memory, Room},
    relay::{Answer, Relay, Welcomed},
};

pub(crate) const NOW: u64 = 1_800_000_000;

/// The identity keys that everyone has pinned.
#[derive(Default)]
pub(crate) struct Keys(Mutex<HashMap<(AccountId, [u8; 48]), AccountPublicKey>>, Mutex<Vec<AccountId>>);

impl Keys {
    /// The directory has said that this account has no key but those that are pinned.
    pub(crate) fn has_no_other(&self, account: AccountId) {
        self.1.lock().unwrap().push(account);
    }
}

impl AccountKeys for Keys {
    fn account_key(&self, account: AccountId, hash: &[u8; 48]) -> Option<AccountPublicKey> {
        self.0.lock().unwrap().get(&(account, *hash)).cloned()
    }

    fn is_no_key(&self, account: AccountId, _hash: &[u8; 48]) -> bool {
        self.1.lock().unwrap().contains(&account)
    }
}

/// SplitMix64: a seed makes the same run again.
pub(crate) struct Dice(Mutex<u64>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    pub(crate) fn roll(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `sides`.
    pub(crate) fn below(&self, sides: usize) -> usize {
        usize::try_from(self.roll() % sides as u64).unwrap()
    }

    pub(crate) fn chance(&self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }
}

impl Entropy for Dice {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in out.chunks_mut(8) {
            let bytes = self.roll().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

/// Account keys are slow to make; every test shares these.
pub(crate) fn people() -> &'static [(AccountSigningKey, DeviceSigningKey, AccountId, DeviceId)] {
    static PEOPLE: OnceLock<Vec<(AccountSigningKey, DeviceSigningKey, AccountId, DeviceId)>> =
        OnceLock::new();
    PEOPLE.get_or_init(|| {
        (1..=5)
            .map(|number| {
                (
                    AccountSigningKey::generate(&SystemEntropy).unwrap(),
                    DeviceSigningKey::generate(&SystemEntropy).unwrap(),
                    AccountId::from_bytes([number; 16]),
                    DeviceId::from_bytes([0x10 + number; 16]),
                )
            })
            .collect()
    })
}

#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) device: Device,
    pub(crate) ledger: Memory,
    pub(crate) room: RoomId,
    /// Its clock, seconds since the Unix epoch.
    pub(crate) now: u64,
    key_packages: Vec<(Vec<u8>, zeroize::Zeroizing<Vec<u8>>)>,
    dice: Arc<Dice>,
    keys: Arc<Keys>,
}

/// A certificate of `created_at`, seconds since the Unix epoch.
pub(crate) fn certificate(
    account: AccountId,
    device: DeviceId,
    key: &DeviceSigningKey,
    signer: usize,
    created_at: u64,
) -> Vec<u8> {
    let identity_key = &people()[signer].0;
    let certificate = DeviceCertificate {
        account,
        device,
        device_key: key.public().clone(),
        identity_key_hash: identity_key.public().hash(),
        created_at,
    };
    certificate.sign(identity_key).unwrap()
}

/// A KeyPackage of a device that is whose it says only if `signer` is.
pub(crate) fn ghost(account: AccountId, device: DeviceId, signer: usize) -> Bytes {
    let key = DeviceSigningKey::generate(&SystemEntropy).unwrap();
    let mut peer =
        Peer::with(&certificate(account, device, &key, signer, NOW), &key, 0, RoomId::from_bytes([0; 16]));
    // Not the keys of the person whose number it has.
    peer.reseed(u64::MAX);
    peer.key_package()
}

impl Peer {
    pub(crate) fn new(number: usize, room: RoomId) -> Self {
        let (_, signing_key, account, device) = &people()[number];
        Self::with(&certificate(*account, *device, signing_key, number, NOW), signing_key, number, room)
    }

    /// Gives this device another signature key, with a certificate of `created_at`; it still has the one before.
    pub(crate) fn rotate(&mut self, number: usize, created_at: u64) -> DevicePublicKey {
        let (_, former, account, device) = &people()[number];
        let key = DeviceSigningKey::generate(&SystemEntropy).unwrap();
        let new = certificate(*account, *device, &key, number, created_at);
        let before = certificate(*account, *device, former, number, NOW);
        let rotated = Device::new(&new, &key, self.dice.clone(), self.keys.clone()).unwrap();
        self.device = rotated.with_former(&before, former).unwrap();
        key.public().clone()
    }

    /// The key that a device's leaf has in the group of this one.
    pub(crate) fn key_of(&self, device: DeviceId) -> DevicePublicKey {
        let blob = self.ledger.group_of(self.room).unwrap();
        let group = self.device.load(self.room, &blob, &[]).unwrap();
        group.device_key(device).unwrap().1
    }

    /// Another device of a person, with the key and id of the one that `number` would be.
    pub(crate) fn further(person: usize, number: usize, room: RoomId) -> Self {
        let (_, signing_key, _, device) = &people()[number];
        let account = people()[person].2;
        Self::with(&certificate(account, *device, signing_key, person, NOW), signing_key, number, room)
    }

    fn with(certificate: &[u8], signing_key: &DeviceSigningKey, number: usize, room: RoomId) -> Self {
        let keys = Arc::new(Keys::default());
        let dice = Arc::new(Dice::new(number as u64));
        let device = Device::new(certificate, signing_key, dice.clone(), keys.clone()).unwrap();
        let peer =
            Self { device, ledger: Memory::default(), room, now: NOW, key_packages: vec![], dice, keys };
        (0..people().len()).for_each(|number| peer.pin(number));
        peer
    }

    pub(crate) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys)
    }

    /// Pins a person's identity key.
    pub(crate) fn pin(&self, number: usize) {
        let (identity_key, _, account, _) = &people()[number];
        let public = identity_key.public().clone();
        self.keys.0.lock().unwrap().insert((*account, public.hash()), public);
    }

    /// Forgets a person's identity key.
    pub(crate) fn unpin(&self, number: usize) {
        let (_, _, account, _) = people()[number];
        self.keys.0.lock().unwrap().retain(|(pinned, _), _| *pinned != account);
    }

    /// Learns that a person has no key but those that are pinned.
    pub(crate) fn has_no_key(&self, number: usize) {
        self.keys.has_no_other(people()[number].2);
    }

    /// Starts this device's randomness anew.
    pub(crate) fn reseed(&self, seed: u64) {
        *self.dice.0.lock().unwrap() = seed;
    }

    pub(crate) fn id(&self) -> DeviceId {
        self.device.id()
    }

    pub(crate) fn view(&self) -> Room {
        self.ledger.view(self.room)
    }

    pub(crate) fn phase(&self) -> Option<Phase> {
        self.view().state.map(|state| state.phase)
    }

    pub(crate) fn create(&mut self, admins: &[AccountId]) {
        self.create_with(&RoomSettings::new("tea".to_owned(), admins.to_vec()));
    }

    pub(crate) fn create_with(&mut self, settings: &RoomSettings) {
        joining::create(&mut self.ledger, &self.device, self.room, settings, NOW).unwrap();
    }

    pub(crate) fn key_package(&mut self) -> Bytes {
        self.make_key_package(false)
    }

    pub(crate) fn last_resort_key_package(&mut self) -> Bytes {
        self.make_key_package(true)
    }

    fn make_key_package(&mut self, last_resort: bool) -> Bytes {
        let OwnKeyPackage { id, message, secret } =
            self.device.key_packages(1, last_resort, NOW).unwrap().remove(0);
        self.key_packages.push((id, secret));
        message
    }

    pub(crate) fn want(&mut self, want: Want) -> MessageId {
        outbox::enqueue(&mut self.ledger, &self.device, self.room, want).unwrap()
    }

    pub(crate) fn say(&mut self, text: &str) -> MessageId {
        let content = Content::text(text, 0).unwrap().encode();
        self.want(Want::Application(content))
    }

    pub(crate) fn change(&mut self, change: Change) -> MessageId {
        self.want(Want::Commit(change))
    }

    pub(crate) fn next(&mut self) -> Option<Outgoing> {
        outbox::next(&mut self.ledger, &self.device, self.room, self.now).unwrap()
    }

    pub(crate) fn answered(&mut self, sealed_under: Seq, id: MessageId, answer: Answer) {
        match answer {
            Answer::Accepted(seq) => outbox::accepted(&mut self.ledger, self.room, id, seq).unwrap(),
            Answer::Stale(seq) => {
                outbox::refused_as_stale(&mut self.ledger, self.room, id, sealed_under, seq).unwrap();
            }
            Answer::NotMember | Answer::OutOfOrder => {}
        }
    }

    /// Sends what is due until nothing is, without reading.
    pub(crate) fn flush(&mut self, relay: &mut Relay) {
        while let Some(out) = self.next() {
            let answer = relay.publish(&out.sealed);
            self.answered(out.sealed.commit_seq, out.message_id, answer);
            if !matches!(answer, Answer::Accepted(_)) {
                break;
            }
        }
    }

    pub(crate) fn cursor(&mut self) -> Seq {
        let room = self.room;
        self.ledger.room(room).unwrap().map_or(Seq(0), |state| state.cursor)
    }

    /// Reads one envelope; whether there was one.
    pub(crate) fn receive(&mut self, relay: &Relay) -> bool {
        if self.phase().is_none_or(|phase| matches!(phase, Phase::Removed(_) | Phase::Left(_))) {
            return false;
        }
        let seq = self.cursor().next();
        let Some(logged) = relay.at(seq).filter(|_| relay.readable(self.id(), seq)) else { return false };
        let mut transaction = self.ledger.clone();
        inbox::receive(&mut transaction, &self.device, self.room, &logged, self.now).unwrap();
        self.ledger = transaction;
        true
    }

    pub(crate) fn catch_up(&mut self, relay: &Relay) {
        while self.receive(relay) {}
    }

    pub(crate) fn joinable(&self, relay: &Relay) -> bool {
        let news = match self.phase() {
            None => true,
            Some(Phase::Removed(at) | Phase::Left(at)) => {
                relay.welcomes.get(&self.id()).is_some_and(|welcome| welcome.seq > at)
            }
            // Unasked, once it has read the commit that added it again.
            Some(Phase::Stuck(at)) => relay.welcomes.get(&self.id()).is_some_and(|welcome| {
                let read = self.view().state.is_some_and(|state| state.cursor >= welcome.seq);
                welcome.seq >= at && read && self.view().request.is_some()
            }),
            Some(Phase::Member | Phase::Leaving(_)) => false,
        };
        news && relay.invites(self.id())
    }

    /// What it keeps of the KeyPackage that a Welcome is for.
    pub(crate) fn key_package_for(&self, welcome: &[u8]) -> (Vec<u8>, zeroize::Zeroizing<Vec<u8>>) {
        let wanted = Device::welcome_key_packages(welcome).unwrap();
        let requested = self.ledger.key_packages.iter().map(|keys| (**keys).clone());
        let mut kept = self.key_packages.iter().cloned().chain(requested);
        kept.find(|(id, _)| wanted.contains(id)).expect("its KeyPackage")
    }

    pub(crate) fn invited(&self, relay: &Relay) -> joining::Invited {
        let Welcomed { seq, invitation, ratchet_tree, .. } = relay.welcomes[&self.id()].clone();
        let key_package = self.key_package_for(&invitation.welcome);
        // Whoever was in the room and cannot follow opens it unasked.
        let accepted = !matches!(self.phase(), Some(Phase::Stuck(_)));
        let welcome = invitation.welcome;
        joining::Invited { room: self.room, seq, welcome, ratchet_tree, accepted, key_package }
    }

    pub(crate) fn join(&mut self, relay: &mut Relay) {
        assert!(self.joinable(relay));
        let invited = self.invited(relay);
        let span = joining::needed_log::<std::convert::Infallible>(&self.device, &invited).unwrap();
        let log = relay.span(span.after, span.until);
        joining::join(&mut self.ledger, &self.device, &invited, &log).unwrap();
        relay.join(self.id());
    }

    /// The texts that this device has, own ones included, in order of seq.
    pub(crate) fn texts(&self, own: &HashMap<MessageId, String>) -> Vec<(Seq, String)> {
        let view = self.view();
        let mut texts: Vec<(Seq, String)> = view
            .messages
            .iter()
            .map(|message| {
                let content = Content::decode(&message.content).unwrap();
                let qchat_proto::content::Body::Text(text) = content.body else { panic!("not a text") };
                (message.seq, text)
            })
            .chain(view.settled.iter().map(|(seq, id)| (*seq, own[id].clone())))
            .collect();
        texts.sort();
        texts
    }
}
