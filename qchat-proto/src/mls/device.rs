//! This device as an MLS client: it makes KeyPackages, creates, loads and joins groups.

use std::sync::Arc;

use bytes::Bytes;
use mls_rs::{
    Client, ExtensionList, KeyPackage, MlsMessage,
    client_builder::{
        BaseConfig, ClientBuilder, WithCryptoProvider, WithGroupStateStorage, WithIdentityProvider,
        WithKeyPackageRepo, WithMlsRules, WithPskStore,
    },
    extension::recommended::LastResortKeyPackageExt,
    group::ExportedTree,
    identity::SigningIdentity,
};
use mls_rs_codec::{MlsDecode, MlsEncode};
use mls_rs_core::{
    crypto::SignatureSecretKey,
    extension::{Extension, MlsExtension},
    key_package::KeyPackageData,
    time::MlsTime,
};
use zeroize::Zeroizing;

use super::{
    SETTINGS_EXTENSION,
    anchor::Anchor,
    fault::{MlsFault, OpenFault},
    group::{CommitOutput, Group, NewKey, Plan},
    group_id::GroupId,
    identity::{AccountKeys, Missing, QchatIdentity, signing_identity},
    leaf_credential,
    membership::Leaf,
    provider::{QchatCrypto, SUITE, secret_key},
    psk::Psk,
    rules::{Lapsed, Rules, settings},
    staging::Staging,
    stored,
};
use crate::{
    content::RoomSettings,
    crypto::{
        entropy::Entropy,
        secret::Secret,
        sign::{DevicePublicKey, DeviceSigningKey, SignatureUse},
    },
    identity::{IdentityError, LeafCredential},
    ids::{AccountId, DeviceId, RoomId, Seq},
    session::ledger::{GroupBlob, KeyLife},
};

pub(crate) type Config = WithIdentityProvider<
    QchatIdentity,
    WithMlsRules<
        Rules,
        WithKeyPackageRepo<
            Staging,
            WithPskStore<
                Staging,
                WithGroupStateStorage<Staging, WithCryptoProvider<QchatCrypto, BaseConfig>>,
            >,
        >,
    >,
>;

/// How long a KeyPackage may be used, seconds: 90 days.
pub const KEY_PACKAGE_LIFETIME: u64 = 90 * 24 * 3600;

/// A KeyPackage of ours: the public part to publish and the secret part to keep until it is used.
pub struct OwnKeyPackage {
    /// Its reference (RFC 9420 §5.2), by which a Welcome names it.
    pub id: Vec<u8>,
    /// The MLSMessage to publish.
    pub message: Bytes,
    /// The encoded secrets.
    pub secret: Zeroizing<Vec<u8>>,
}

/// Whose KeyPackage somebody handed us, once its signatures and its certificate have been verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoteKeyPackage {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
    /// SHA-384 of the account identity key that certifies it.
    pub identity_key_hash: [u8; 48],
    /// When it was certified, seconds since the Unix epoch by its account's devices.
    pub certified_at: u64,
    /// The key that the device signs with.
    pub device_key: DevicePublicKey,
}

/// What a Welcome says before it is opened: claims, until the join verifies them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peek {
    /// The room.
    pub room: RoomId,
    /// Its settings.
    pub settings: RoomSettings,
}

/// A group just joined.
pub struct Joined {
    /// The group, not yet stored.
    pub group: Group,
    /// Where to start hashing.
    pub anchor: Anchor,
    /// Who committed the Add.
    pub inviter: Leaf,
    /// The KeyPackage that was used, to be deleted unless it is the last-resort one.
    pub key_package: Vec<u8>,
}

/// A key of this device's, with what it puts into leaves beside it.
#[derive(Clone)]
struct LeafKey {
    identity: SigningIdentity,
    signer: SignatureSecretKey,
}

/// This device's keys and certificate, from which every group operation starts. Clones share what they have verified.
#[derive(Clone)]
pub struct Device {
    account: AccountId,
    id: DeviceId,
    key: LeafKey,
    /// Those that it had before, which leaves and KeyPackages of its may still have.
    former: Vec<LeafKey>,
    key_life: KeyLife,
    entropy: Arc<dyn Entropy>,
    crypto: QchatCrypto,
    members: QchatIdentity,
}

impl Device {
    /// Puts the device together from its certificate (encoded) and the key that it certifies. `keys` finds the account
    /// identity keys that certify other leaves.
    ///
    /// # Errors
    /// [`IdentityError`] when the certificate is malformed.
    pub fn new(
        certificate: &[u8],
        signing_key: &DeviceSigningKey,
        entropy: Arc<dyn Entropy>,
        keys: Arc<dyn AccountKeys>,
    ) -> Result<Self, IdentityError> {
        let credential = LeafCredential::from_certificate(certificate)?;
        Ok(Self {
            account: credential.account,
            id: credential.device,
            key: LeafKey::new(certificate, signing_key)?,
            former: vec![],
            key_life: KeyLife::default(),
            crypto: QchatCrypto::new(entropy.clone()),
            entropy,
            members: QchatIdentity::new(keys),
        })
    }

    /// Renews keys after this time and so many envelopes.
    #[must_use]
    pub fn with_key_life(self, key_life: KeyLife) -> Self {
        Self { key_life, ..self }
    }

    /// The same device, drawing its random bytes from elsewhere.
    #[must_use]
    pub fn drawing_from(&self, entropy: Arc<dyn Entropy>) -> Self {
        Self { crypto: QchatCrypto::new(entropy.clone()), entropy, ..self.clone() }
    }

    /// How long this device uses its keys in a room.
    pub fn key_life(&self) -> KeyLife {
        self.key_life
    }

    /// Adds a key that this device had before, with its certificate (encoded). Until every leaf of its has the new one, and
    /// every KeyPackage is over, it signs for those that have not.
    ///
    /// # Errors
    /// [`IdentityError`] when the certificate is malformed, [`IdentityError::Mismatch`] when it is of another device.
    pub fn with_former(
        mut self,
        certificate: &[u8],
        signing_key: &DeviceSigningKey,
    ) -> Result<Self, IdentityError> {
        let credential = LeafCredential::from_certificate(certificate)?;
        if (credential.account, credential.device) != (self.account, self.id) {
            return Err(IdentityError::Mismatch { what: "device certificate", about: "device" });
        }
        self.former.push(LeafKey::new(certificate, signing_key)?);
        Ok(self)
    }

    /// This device as it is where a leaf or a KeyPackage of its has this key: with the key that signs for it. Itself where
    /// that is the newest, and where it has no such key.
    #[must_use]
    pub(crate) fn under(&self, key: &[u8]) -> Self {
        let of = |known: &&LeafKey| &known.identity.signature_key[..] == key;
        let known = self.former.iter().find(of).unwrap_or(&self.key);
        Self { key: known.clone(), ..self.clone() }
    }

    /// The account.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The device.
    pub fn id(&self) -> DeviceId {
        self.id
    }

    /// A number of this device's own, for spreading what many devices do by the clock.
    pub fn jitter(&self) -> u64 {
        let (number, _) = self.id.as_bytes().split_first_chunk().unwrap_or((&[0; 8], &[]));
        u64::from_be_bytes(*number)
    }

    /// Where this device's random bytes come from.
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    /// Signs outside MLS, with the key that signs for this device's leaves.
    pub(crate) fn sign(&self, usage: SignatureUse, message: &[u8]) -> Result<Vec<u8>, MlsFault> {
        let seed = Secret::from_slice(self.key.signer.as_bytes()).ok_or(MlsFault::Library)?;
        let key = DeviceSigningKey::from_seed(seed).map_err(|_| MlsFault::Library)?;
        key.sign(usage, message).map_err(|_| MlsFault::Library)
    }

    fn client(&self, staging: &Staging, lapsed: &Lapsed) -> Client<Config> {
        let rules = Rules { lapsed: lapsed.clone(), members: self.members.clone() };
        ClientBuilder::new()
            .crypto_provider(self.crypto.clone())
            .group_state_storage(staging.clone())
            .psk_store(staging.clone())
            .key_package_repo(staging.clone())
            .mls_rules(rules)
            .identity_provider(self.members.clone())
            .extension_types([SETTINGS_EXTENSION, LastResortKeyPackageExt::extension_type()])
            .key_package_lifetime(std::time::Duration::from_secs(KEY_PACKAGE_LIFETIME))
            .signing_identity(self.key.identity.clone(), self.key.signer.clone(), SUITE)
            .build()
    }

    /// What a commit puts into this device's leaf, if that has another key than this device has now.
    pub fn new_key_for(&self, group: &Group) -> Option<NewKey> {
        let LeafKey { identity, signer } = &self.key;
        (group.own_key() != Some(&identity.signature_key))
            .then(|| NewKey { identity: identity.clone(), signer: signer.clone() })
    }

    fn missing(&self) -> Missing {
        self.members.missing()
    }

    /// Makes KeyPackages, valid from `now` (seconds since the Unix epoch) for [`KEY_PACKAGE_LIFETIME`].
    ///
    /// # Errors
    /// [`MlsFault`] when the entropy source or the library fails.
    pub fn key_packages(
        &self,
        count: usize,
        last_resort: bool,
        now: u64,
    ) -> Result<Vec<OwnKeyPackage>, MlsFault> {
        (0..count).map(|_| self.key_package(last_resort, now)).collect()
    }

    fn key_package(&self, last_resort: bool, now: u64) -> Result<OwnKeyPackage, MlsFault> {
        let staging = Staging::default();
        let client = self.client(&staging, &Lapsed::default());
        let mut extensions = ExtensionList::new();
        if last_resort {
            extensions.set_from(LastResortKeyPackageExt)?;
        }
        let message = client.generate_key_package_message(
            extensions,
            ExtensionList::new(),
            Some(MlsTime::from(now)),
        )?;
        let (id, data) = staging.take_key_packages().pop().ok_or(MlsFault::Library)?;
        Ok(OwnKeyPackage {
            id,
            message: message.to_bytes()?.into(),
            secret: Zeroizing::new(data.mls_encode_to_vec().map_err(|_| MlsFault::Library)?),
        })
    }

    /// Verifies a KeyPackage that is about to be added: suite, signatures, life, certificate.
    ///
    /// # Errors
    /// [`OpenFault::UnknownAccounts`] when the account's key must be fetched first, otherwise what is wrong with it.
    pub fn inspect_key_package(&self, message: &[u8], now: u64) -> Result<RemoteKeyPackage, OpenFault> {
        let message = of_the_suite(message)?;
        let key_package = message.as_key_package().ok_or(OpenFault::Malformed)?;
        let credential = leaf_credential(key_package.signing_identity()).ok_or(OpenFault::Malformed)?;
        let device_key = DevicePublicKey::from_bytes(&key_package.signing_identity().signature_key)
            .map_err(|_| OpenFault::Malformed)?;
        let staging = Staging::default();
        let client = self.client(&staging, &Lapsed::default());
        // A throwaway group is how the library validates a KeyPackage in full, its lifetime included.
        let scratch = client.create_group(
            settings_extensions(&RoomSettings::new("-".to_owned(), vec![self.account()]))
                .map_err(|_| OpenFault::Malformed)?,
            ExtensionList::new(),
            Some(MlsTime::from(now)),
        );
        let mut scratch = scratch.map_err(|error| OpenFault::from_library(&error, &self.missing()))?;
        scratch
            .process_incoming_message_with_time(message, MlsTime::from(now))
            .map_err(|error| OpenFault::from_library(&error, &self.missing()))?;
        Ok(RemoteKeyPackage {
            account: credential.account,
            device: credential.device,
            identity_key_hash: credential.identity_key_hash,
            certified_at: credential.certificate_created_at,
            device_key,
        })
    }

    /// Creates a group with this device as its only leaf.
    ///
    /// # Errors
    /// [`MlsFault`] when the entropy source or the library fails.
    pub fn create(&self, room: RoomId, settings: &RoomSettings, now: u64) -> Result<Group, MlsFault> {
        self.create_group(GroupId { room, generation: Seq(0) }, settings, now)
    }

    fn create_group(&self, id: GroupId, settings: &RoomSettings, now: u64) -> Result<Group, MlsFault> {
        let staging = Staging::default();
        let lapsed = Lapsed::default();
        let client = self.client(&staging, &lapsed);
        let inner = client.create_group_with_id(
            id.encode().to_vec(),
            settings_extensions(settings)?,
            ExtensionList::new(),
            Some(MlsTime::from(now)),
        )?;
        Ok(self.group(inner, staging, lapsed, id))
    }

    /// Creates the group that a room goes on with: this device and those whose KeyPackages are given, in its epoch 1.
    /// Its id says that it comes after the envelope at the anchor. Nobody but those who are added needs its commit.
    ///
    /// # Errors
    /// [`MlsFault`] when a KeyPackage cannot be added, or the library fails.
    pub fn create_again(
        &self,
        room: RoomId,
        settings: &RoomSettings,
        add: Vec<Bytes>,
        anchor: &Anchor,
        now: u64,
    ) -> Result<(Group, CommitOutput), MlsFault> {
        let mut group = self.create_group(GroupId { room, generation: anchor.head_seq }, settings, now)?;
        let output = group.commit(&Plan { add, ..Plan::default() }, anchor, vec![], now)?;
        group.apply_commit()?;
        Ok((group, output))
    }

    /// Loads a stored group. `lapsed` are the devices that any member may remove.
    ///
    /// # Errors
    /// [`MlsFault::StoredState`] or another when the stored state cannot be read; [`MlsFault::StoredTree`] when the tree
    /// beside it is missing or another's.
    pub fn load(&self, room: RoomId, blob: &GroupBlob, lapsed: &[DeviceId]) -> Result<Group, MlsFault> {
        let context = stored::context(&blob.state)?;
        let expected = context.tree_hash;
        let id =
            GroupId::decode(&context.group_id).filter(|id| id.room == room).ok_or(MlsFault::StoredState)?;
        let staging = Staging::with_group(blob.state.clone());
        let rule = Lapsed::default();
        rule.set(lapsed);
        let client = self.client(&staging, &rule);
        if blob.tree.is_empty() {
            // Written before trees were stored apart: it holds its own, unless that is gone.
            let inner = client.load_group(&id.encode())?;
            if stored::tree_hash(&inner.export_tree()).is_none_or(|hash| expected != hash) {
                return Err(MlsFault::StoredTree);
            }
            return Ok(self.group(inner, staging, rule, id));
        }
        let tree = ExportedTree::from_bytes(&blob.tree).map_err(|_| MlsFault::StoredTree)?;
        if stored::tree_hash(&tree).is_none_or(|hash| expected != hash) {
            return Err(MlsFault::StoredTree);
        }
        let inner = client.load_group_with_ratchet_tree(&id.encode(), tree)?;
        let mut group = self.group(inner, staging, rule, id);
        group.tree_is_stored();
        Ok(group)
    }

    fn group(&self, inner: mls_rs::Group<Config>, staging: Staging, lapsed: Lapsed, id: GroupId) -> Group {
        Group::new(inner, staging, lapsed, self.missing(), id, self.id)
    }

    /// Whether a KeyPackage of ours was made with the key that this device has now, by its secrets: a leaf that it becomes
    /// has the newest key, or is to be given it.
    pub fn is_of_newest_key(&self, secret: &[u8]) -> bool {
        let data = KeyPackageData::mls_decode(&mut &*secret).ok();
        let package = data.and_then(|data| KeyPackage::mls_decode(&mut &*data.key_package_bytes).ok());
        package.is_some_and(|package| *package.signing_identity() == self.key.identity)
    }

    /// The references of the KeyPackages that a Welcome is for.
    ///
    /// # Errors
    /// [`OpenFault::Malformed`] when it is no Welcome, [`OpenFault::Suite`] when it is one of another suite.
    pub fn welcome_key_packages(welcome: &[u8]) -> Result<Vec<Vec<u8>>, OpenFault> {
        let message = of_the_suite(welcome)?;
        Ok(message.welcome_key_package_references().into_iter().map(|id| id.to_vec()).collect())
    }

    /// Reads the name and settings out of a Welcome without joining and without using its KeyPackage up.
    ///
    /// # Errors
    /// [`OpenFault`] when this device cannot open it.
    pub fn peek(&self, welcome: &[u8], id: &[u8], secret: &[u8]) -> Result<Peek, OpenFault> {
        let message = MlsMessage::from_bytes(welcome).map_err(|_| OpenFault::Malformed)?;
        let (client, ..) = self.joining_client(id, secret)?;
        let info = client
            .examine_welcome_message(&message)
            .map_err(|error| OpenFault::from_library(&error, &self.missing()))?;
        let context = info.group_context();
        Ok(Peek {
            room: GroupId::decode(context.group_id()).ok_or(OpenFault::Malformed)?.room,
            settings: settings(context.extensions()).ok_or(OpenFault::Malformed)?,
        })
    }

    /// Joins by a Welcome and the ratchet tree that belongs to it.
    ///
    /// # Errors
    /// [`OpenFault::UnknownAccounts`] when keys of members must be fetched first; otherwise what is wrong with it.
    pub fn join(
        &self,
        room: RoomId,
        welcome: &[u8],
        ratchet_tree: &[u8],
        id: &[u8],
        secret: &[u8],
    ) -> Result<Joined, OpenFault> {
        self.join_with(room, welcome, ratchet_tree, id, secret, &[])
    }

    /// [`Device::join`] with pre-shared keys at hand, should the Welcome ask for them.
    ///
    /// # Errors
    /// As there; [`OpenFault::Private`] when it asks for one that is missing.
    pub fn join_with(
        &self,
        room: RoomId,
        welcome: &[u8],
        ratchet_tree: &[u8],
        id: &[u8],
        secret: &[u8],
        psks: &[Psk],
    ) -> Result<Joined, OpenFault> {
        let message = MlsMessage::from_bytes(welcome).map_err(|_| OpenFault::Malformed)?;
        let tree = ExportedTree::from_bytes(ratchet_tree).map_err(|_| OpenFault::Malformed)?;
        let (client, staging, lapsed) = self.joining_client(id, secret)?;
        staging.set_psks(psks);
        // Of the tree that the inviter has signed, and no other, the daemon may have this device ask for everybody's keys.
        let signed = client
            .examine_welcome_message(&message)
            .map_err(|error| OpenFault::from_library(&error, &self.missing()))?;
        if stored::tree_hash(&tree).is_none_or(|hash| signed.group_context().tree_hash != hash) {
            return Err(OpenFault::Invalid);
        }
        for member in tree.roster().members_iter() {
            self.members.note_missing(&member.signing_identity);
        }
        let missing = self.missing().take();
        if !missing.is_empty() {
            return Err(OpenFault::UnknownAccounts(missing));
        }
        let (inner, info) = client
            .join_group(Some(tree), &message, None)
            .map_err(|error| OpenFault::from_library(&error, &self.missing()))?;
        let anchor = Anchor::read(info.group_info_extensions()).ok_or(OpenFault::Malformed)?;
        let named = GroupId::decode(inner.group_id()).filter(|named| named.room == room);
        let named = named.ok_or(OpenFault::Malformed)?;
        let settings = settings(inner.context().extensions()).ok_or(OpenFault::Malformed)?;
        staging.set_psks(&[]);
        let group = self.group(inner, staging, lapsed, named);
        // A commit lets nobody else into a conversation of two, but whoever makes a group may begin with anybody in it.
        if settings.direct && !group.leaves().iter().all(|leaf| settings.admins.contains(&leaf.account)) {
            return Err(OpenFault::Invalid);
        }
        let inviter = group.leaf(info.sender).ok_or(OpenFault::Malformed)?;
        Ok(Joined { group, anchor, inviter, key_package: id.to_vec() })
    }

    fn joining_client(
        &self,
        id: &[u8],
        secret: &[u8],
    ) -> Result<(Client<Config>, Staging, Lapsed), OpenFault> {
        let staging = Staging::default();
        let data = KeyPackageData::mls_decode(&mut &*secret).map_err(|_| OpenFault::Malformed)?;
        // The leaf that it becomes has the key that it was made with, which may not be the newest.
        let package =
            KeyPackage::mls_decode(&mut &*data.key_package_bytes).map_err(|_| OpenFault::Malformed)?;
        let device = self.under(&package.signing_identity().signature_key);
        staging.add_key_package(id.to_vec(), data);
        let lapsed = Lapsed::default();
        Ok((device.client(&staging, &lapsed), staging, lapsed))
    }
}

impl LeafKey {
    fn new(certificate: &[u8], signing_key: &DeviceSigningKey) -> Result<Self, IdentityError> {
        let identity = signing_identity(certificate, signing_key.public())?;
        Ok(Self { identity, signer: secret_key(signing_key) })
    }
}

/// Reads a KeyPackage or Welcome, which says which suite it is of.
fn of_the_suite(message: &[u8]) -> Result<MlsMessage, OpenFault> {
    let message = MlsMessage::from_bytes(message).map_err(|_| OpenFault::Malformed)?;
    match message.cipher_suite() {
        Some(SUITE) => Ok(message),
        Some(_) => Err(OpenFault::Suite),
        None => Err(OpenFault::Malformed),
    }
}

/// The group context's extensions: the settings alone.
pub(crate) fn settings_extensions(settings: &RoomSettings) -> Result<ExtensionList, MlsFault> {
    RoomSettings::decode(&settings.encode()).map_err(|_| MlsFault::Settings)?;
    Ok(vec![Extension::new(SETTINGS_EXTENSION, settings.encode())].into())
}
