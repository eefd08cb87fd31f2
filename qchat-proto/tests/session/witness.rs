//! Which key sealed an envelope, read from its sender data (RFC 9420 §6.3.2) with a group's stored state, for messages
//! of every content type. Nothing is opened, so nothing is used up, and refused envelopes are read like accepted ones.
//!
//! [`KeyUses`] holds the invariant: one (epoch, leaf, content type, generation) seals one plaintext.
//!
//! The file stands alone so that tests of other packages can take it in by its path.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test takes what it needs")]

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use mls_rs::{
    MlsMessage,
    client_builder::{
        BaseConfig, ClientBuilder, WithCryptoProvider, WithGroupStateStorage, WithIdentityProvider,
    },
    group::ExportedTree,
};
use mls_rs_core::{
    crypto::{
        CipherSuite, CipherSuiteProvider, CryptoProvider, HpkeCiphertext, HpkePsk, HpkePublicKey,
        HpkeSecretKey, SignaturePublicKey, SignatureSecretKey,
    },
    group::{EpochRecord, GroupState, GroupStateStorage},
};
use qchat_proto::{
    crypto::{entropy::SystemEntropy, sign::AccountPublicKey},
    ids::{AccountId, RoomId},
    mls::{
        identity::{AccountKeys, QchatIdentity},
        provider::{QchatCrypto, QchatSuite, Receiver, SUITE, Sender, SuiteError},
    },
    session::ledger::GroupBlob,
};
use zeroize::Zeroizing;

/// The key that sealed a message, by its place in the epoch's secret tree.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct KeyUse {
    pub epoch: Epoch,
    pub leaf: u32,
    /// 1 application, 2 proposal, 3 commit; the last two share one ratchet.
    pub content_type: u8,
    pub generation: u32,
}

/// An epoch, told apart from another of the same number by its authenticator (RFC 9420 §8.7).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Epoch {
    pub number: u64,
    pub authenticator: Vec<u8>,
}

/// All keys that were seen in use.
#[derive(Clone, Default, Debug)]
pub struct KeyUses(HashMap<(Epoch, u32, bool, u32), Vec<u8>>);

impl KeyUses {
    /// Notes that `key` sealed `message`, which has left its device.
    ///
    /// # Errors
    /// The key, when it has sealed another message before.
    pub fn note(&mut self, key: &KeyUse, message: &[u8]) -> Result<(), KeyUse> {
        // RFC 9420 §9: a leaf has one ratchet for handshake messages and one for application messages.
        let place = (key.epoch.clone(), key.leaf, key.content_type == 1, key.generation);
        let first = self.0.entry(place).or_insert_with(|| message.to_vec());
        if first == message { Ok(()) } else { Err(key.clone()) }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// The epoch that a stored group is in.
pub fn epoch(room: RoomId, blob: &GroupBlob) -> Epoch {
    epoch_of(&load(room, blob, &Tap::new()))
}

/// The key that sealed `message` (an MLSMessage); `None` when it is not of the epoch that the group is in, or forged.
pub fn key_use(room: RoomId, blob: &GroupBlob, message: &[u8]) -> Option<KeyUse> {
    let message = MlsMessage::from_bytes(message).ok()?;
    let tap = Tap::new();
    let mut group = load(room, blob, &tap);
    if message.epoch()? != group.current_epoch() || message.group_id()? != group.group_id() {
        return None;
    }
    let content_type = content_type(&message)?;
    // So that the group's own messages are read too instead of being recognised.
    group.clear_pending_commit();
    group.clear_proposal_cache();
    // Fails: the tap ends the opening after the sender data.
    drop(group.process_incoming_message(message));
    let sender_data = tap.suite.sender_data.lock().unwrap().take()?;
    let (leaf, rest) = sender_data.split_first_chunk::<4>()?;
    let (generation, _) = rest.split_first_chunk::<4>()?;
    Some(KeyUse {
        epoch: epoch_of(&group),
        leaf: u32::from_be_bytes(*leaf),
        content_type,
        generation: u32::from_be_bytes(*generation),
    })
}

/// The content type stands behind version, wire format, group id and epoch (RFC 9420 §6, §6.3).
fn content_type(message: &MlsMessage) -> Option<u8> {
    let bytes = message.to_bytes().ok()?;
    let group_id = message.group_id()?.len();
    bytes.get(2 + 2 + 1 + group_id + 8).copied()
}

fn epoch_of(group: &mls_rs::Group<Config>) -> Epoch {
    let authenticator = group.epoch_authenticator().expect("an authenticator").as_bytes().to_vec();
    Epoch { number: group.current_epoch(), authenticator }
}

type Config =
    WithIdentityProvider<QchatIdentity, WithGroupStateStorage<Stored, WithCryptoProvider<Tap, BaseConfig>>>;

fn load(room: RoomId, blob: &GroupBlob, tap: &Tap) -> mls_rs::Group<Config> {
    let client = ClientBuilder::new()
        .crypto_provider(tap.clone())
        .group_state_storage(Stored::of(blob))
        .identity_provider(QchatIdentity::new(Arc::new(Nobody)))
        .build();
    let tree = ExportedTree::from_bytes(&blob.tree).expect("a stored tree");
    client.load_group_with_ratchet_tree(room.as_bytes(), tree).expect("a stored group")
}

struct Nobody;

impl AccountKeys for Nobody {
    fn account_key(&self, _account: AccountId, _hash: &[u8; 48]) -> Option<AccountPublicKey> {
        None
    }
}

/// A stored group, for reading only.
#[derive(Clone)]
pub struct Stored(Zeroizing<Vec<u8>>);

impl Stored {
    pub fn of(blob: &GroupBlob) -> Self {
        Self(blob.state.clone())
    }
}

impl GroupStateStorage for Stored {
    type Error = Infallible;

    fn state(&self, _group_id: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(Some(self.0.clone()))
    }
    fn epoch(&self, _group_id: &[u8], _epoch_id: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(None)
    }
    fn write(
        &mut self,
        _state: GroupState,
        _inserts: Vec<EpochRecord>,
        _updates: Vec<EpochRecord>,
    ) -> Result<(), Infallible> {
        Ok(())
    }
    fn max_epoch_id(&self, _group_id: &[u8]) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }
}

/// The suite, with an ear on the first ciphertext that is opened: in a private message that is the sender data.
#[derive(Clone)]
pub struct Tap {
    suite: TappedSuite,
}

#[derive(Clone)]
pub struct TappedSuite {
    inner: QchatSuite,
    /// What is sealed to these comes out spoiled.
    spoiled: Arc<Vec<HpkePublicKey>>,
    sender_data: Arc<Mutex<Option<Zeroizing<Vec<u8>>>>>,
}

impl Tap {
    pub fn new() -> Self {
        Self::spoiling(vec![])
    }

    /// Spoils what is sealed to some keys: who has them cannot follow a commit's path.
    pub fn spoiling(keys: Vec<HpkePublicKey>) -> Self {
        let inner = QchatCrypto::new(Arc::new(SystemEntropy)).suite().clone();
        Self { suite: TappedSuite { inner, spoiled: Arc::new(keys), sender_data: Arc::default() } }
    }
}

impl CryptoProvider for Tap {
    type CipherSuiteProvider = TappedSuite;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        vec![SUITE]
    }
    fn cipher_suite_provider(&self, cipher_suite: CipherSuite) -> Option<TappedSuite> {
        (cipher_suite == SUITE).then(|| self.suite.clone())
    }
}

macro_rules! delegate {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $($argument: $type),*) -> $result {
            self.inner.$name($($argument),*)
        })*
    };
}

type Done<T> = Result<T, SuiteError>;

impl CipherSuiteProvider for TappedSuite {
    type Error = SuiteError;
    type HpkeContextS = Sender;
    type HpkeContextR = Receiver;

    fn aead_open(
        &self,
        key: &[u8],
        ciphertext: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Done<Zeroizing<Vec<u8>>> {
        let mut sender_data = self.sender_data.lock().unwrap();
        if sender_data.is_some() {
            return Err(SuiteError::Size);
        }
        let opened = self.inner.aead_open(key, ciphertext, aad, nonce)?;
        *sender_data = Some(opened.clone());
        Ok(opened)
    }

    fn hpke_seal(
        &self,
        key: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        pt: &[u8],
    ) -> Done<HpkeCiphertext> {
        let mut sealed = self.inner.hpke_seal(key, info, aad, pt)?;
        if self.spoiled.contains(key) {
            sealed.ciphertext[0] ^= 1;
        }
        Ok(sealed)
    }

    delegate! {
        fn cipher_suite() -> CipherSuite;
        fn hash(data: &[u8]) -> Done<Vec<u8>>;
        fn mac(key: &[u8], data: &[u8]) -> Done<Vec<u8>>;
        fn aead_seal(key: &[u8], data: &[u8], aad: Option<&[u8]>, nonce: &[u8]) -> Done<Vec<u8>>;
        fn aead_key_size() -> usize;
        fn aead_nonce_size() -> usize;
        fn kdf_extract(salt: &[u8], ikm: &[u8]) -> Done<Zeroizing<Vec<u8>>>;
        fn kdf_expand(prk: &[u8], info: &[u8], len: usize) -> Done<Zeroizing<Vec<u8>>>;
        fn kdf_extract_size() -> usize;
        fn hpke_seal_psk(
            key: &HpkePublicKey, info: &[u8], aad: Option<&[u8]>, pt: &[u8], psk: HpkePsk<'_>
        ) -> Done<HpkeCiphertext>;
        fn hpke_open(
            ciphertext: &HpkeCiphertext, secret: &HpkeSecretKey, public: &HpkePublicKey, info: &[u8],
            aad: Option<&[u8]>
        ) -> Done<Zeroizing<Vec<u8>>>;
        fn hpke_open_psk(
            ciphertext: &HpkeCiphertext, secret: &HpkeSecretKey, public: &HpkePublicKey, info: &[u8],
            aad: Option<&[u8]>, psk: HpkePsk<'_>
        ) -> Done<Zeroizing<Vec<u8>>>;
        fn hpke_setup_s(key: &HpkePublicKey, info: &[u8]) -> Done<(Vec<u8>, Sender)>;
        fn hpke_setup_r(
            kem_output: &[u8], secret: &HpkeSecretKey, public: &HpkePublicKey, info: &[u8]
        ) -> Done<Receiver>;
        fn kem_derive(ikm: &[u8]) -> Done<(HpkeSecretKey, HpkePublicKey)>;
        fn kem_generate() -> Done<(HpkeSecretKey, HpkePublicKey)>;
        fn kem_public_key_validate(key: &HpkePublicKey) -> Done<()>;
        fn random_bytes(out: &mut [u8]) -> Done<()>;
        fn signature_key_generate() -> Done<(SignatureSecretKey, SignaturePublicKey)>;
        fn signature_key_derive_public(secret: &SignatureSecretKey) -> Done<SignaturePublicKey>;
        fn sign(secret: &SignatureSecretKey, data: &[u8]) -> Done<Vec<u8>>;
        fn verify(key: &SignaturePublicKey, signature: &[u8], data: &[u8]) -> Done<()>;
    }
}
