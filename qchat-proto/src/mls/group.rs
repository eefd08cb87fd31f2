//! One group in memory: seal, open, commit. Nothing here is kept until the caller stores [`Group::snapshot`].

use bytes::Bytes;
use mls_rs::{
    MlsMessage,
    group::{CommitEffect, ReceivedMessage, Sender, proposal::Proposal},
};
use mls_rs_core::{
    crypto::{SignaturePublicKey, SignatureSecretKey},
    identity::SigningIdentity,
    time::MlsTime,
};

use super::{
    anchor::Anchor,
    device::{Config, settings_extensions},
    fault::{MlsFault, OpenFault},
    group_id::GroupId,
    identity::Missing,
    leaf_credential,
    membership::{self, Leaf},
    psk::{Psk, PskId},
    rules::{Lapsed, settings},
    staging::Staging,
    stored,
};
use crate::{
    content::RoomSettings,
    crypto::{secret::Secret, sign::DevicePublicKey},
    identity::LeafCredential,
    ids::{DeviceId, RoomId, Seq},
    session::ledger::{GroupUpdate, ListedDevice},
};

/// A group in memory. It may serve one operation after the other as long as each one's outcome is stored.
pub struct Group {
    inner: mls_rs::Group<Config>,
    staging: Staging,
    lapsed: Lapsed,
    /// The hash of the tree that is stored; empty when none is.
    stored_tree: Vec<u8>,
    missing: Missing,
    id: GroupId,
    own: DeviceId,
}

/// What a commit shall do beside committing the proposals that are waiting.
#[derive(Clone, Default, Debug)]
pub struct Plan {
    /// KeyPackages (MLSMessage) to add.
    pub add: Vec<Bytes>,
    /// Devices to remove.
    pub remove: Vec<DeviceId>,
    /// New settings.
    pub settings: Option<RoomSettings>,
    /// Pre-shared keys to mix into the next epoch; they must be at hand ([`Group::set_psks`]).
    pub psks: Vec<PskId>,
    /// Another key for this device's leaf.
    pub key: Option<NewKey>,
}

/// A key that takes the place of the one in this device's leaf, with the credential that vouches for it.
#[derive(Clone)]
pub struct NewKey {
    pub(super) identity: SigningIdentity,
    pub(super) signer: SignatureSecretKey,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewKey")
    }
}

/// A commit of ours, to be sent; it takes effect when [`Group::open`] meets it again.
pub struct CommitOutput {
    /// The MLSMessage.
    pub message: Bytes,
    /// A Welcome for each added device.
    pub welcomes: Vec<Bytes>,
    /// The tree after the commit, when there are Welcomes.
    pub ratchet_tree: Bytes,
}

/// What an opened message was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Opened {
    /// Application data.
    Application {
        /// Who sealed it.
        sender: Leaf,
        /// Its authenticated data.
        authenticated_data: Vec<u8>,
        /// The padded content.
        data: Vec<u8>,
    },
    /// A SelfRemove, now waiting to be committed.
    SelfRemove {
        /// Who wants to leave.
        sender: Leaf,
        /// Its authenticated data.
        authenticated_data: Vec<u8>,
    },
    /// A commit; the group is in the next epoch.
    Commit {
        /// Who committed, as a leaf of the epoch before.
        committer: Leaf,
        /// Its authenticated data.
        authenticated_data: Vec<u8>,
        /// Whom it added.
        added: Vec<ListedDevice>,
        /// Whether this device is no longer a member.
        removed: bool,
        /// The pre-shared keys that it has mixed in.
        psks: Vec<PskId>,
    },
}

impl Group {
    pub(crate) fn new(
        inner: mls_rs::Group<Config>,
        staging: Staging,
        lapsed: Lapsed,
        missing: Missing,
        id: GroupId,
        own: DeviceId,
    ) -> Self {
        Self { inner, staging, lapsed, stored_tree: vec![], missing, id, own }
    }

    /// The tree came from storage: it need not be written until it changes.
    pub(super) fn tree_is_stored(&mut self) {
        self.stored_tree.clone_from(&self.inner.context().tree_hash);
    }

    /// Which pre-shared keys are at hand from now on, and no others.
    pub fn set_psks(&mut self, psks: &[Psk]) {
        self.staging.set_psks(psks);
    }

    /// Which devices any member may remove from now on.
    pub(crate) fn set_lapsed(&mut self, devices: &[DeviceId]) {
        self.lapsed.set(devices);
    }

    /// The room.
    pub fn room(&self) -> RoomId {
        self.id.room
    }

    /// Which of the room's groups in a row it is.
    pub fn generation(&self) -> Seq {
        self.id.generation
    }

    /// The current epoch.
    pub fn epoch(&self) -> u64 {
        self.inner.current_epoch()
    }

    /// A secret of this epoch, for a use outside MLS (RFC 9420 §8.5). Nothing of the group changes by it.
    ///
    /// # Errors
    /// [`MlsFault`] when the library fails.
    pub fn export<const N: usize>(&self, label: &[u8], context: &[u8]) -> Result<Secret<N>, MlsFault> {
        let secret = self.inner.export_secret(label, context, N)?;
        Secret::from_slice(secret.as_bytes()).ok_or(MlsFault::Library)
    }

    /// The room's settings.
    ///
    /// # Errors
    /// [`MlsFault::Settings`] when they cannot be read; no group that was created or joined here has such.
    pub fn settings(&self) -> Result<RoomSettings, MlsFault> {
        settings(self.inner.context().extensions()).ok_or(MlsFault::Settings)
    }

    /// All leaves, by device.
    pub fn leaves(&self) -> Vec<Leaf> {
        membership::leaves(&self.inner.roster())
    }

    /// The key that signs for this device's own leaf; `None` cannot happen in a group that it is in.
    pub(crate) fn own_key(&self) -> Option<&SignaturePublicKey> {
        self.inner.current_member_signing_identity().ok().map(|identity| &identity.signature_key)
    }

    pub(crate) fn leaf(&self, index: u32) -> Option<Leaf> {
        membership::leaf(&self.inner.member_at_index(index)?)
    }

    /// A device's leaf and the key that it signs with; `None` when it has none.
    pub fn device_key(&self, device: DeviceId) -> Option<(Leaf, DevicePublicKey)> {
        let roster = self.inner.roster();
        roster.members_iter().find_map(|member| {
            let leaf = membership::leaf(&member).filter(|leaf| leaf.device == device)?;
            Some((leaf, DevicePublicKey::from_bytes(&member.signing_identity.signature_key).ok()?))
        })
    }

    /// All leaves, each with the key that it signs with.
    pub fn signers(&self) -> Vec<(Leaf, DevicePublicKey)> {
        let roster = self.inner.roster();
        let signer = |member: mls_rs::group::Member| {
            Some((
                membership::leaf(&member)?,
                DevicePublicKey::from_bytes(&member.signing_identity.signature_key).ok()?,
            ))
        };
        roster.members_iter().filter_map(signer).collect()
    }

    /// Devices other than this one whose SelfRemove waits to be committed.
    pub fn leaving(&self) -> Vec<DeviceId> {
        let cached = self.inner.get_cached_proposals();
        let mut devices: Vec<_> = cached
            .iter()
            .filter(|cached| matches!(cached.proposal(), Proposal::SelfRemove(_)))
            .filter_map(|cached| match cached.sender() {
                Sender::Member(index) => self.leaf(*index).map(|leaf| leaf.device),
                _ => None,
            })
            .filter(|&device| device != self.own)
            .collect();
        devices.sort_unstable();
        devices
    }

    /// Whether a commit of ours waits to come back.
    pub fn has_pending_commit(&self) -> bool {
        self.inner.has_pending_commit()
    }

    /// Puts the pending commit into effect: nobody else is in the group who could commit before.
    pub(super) fn apply_commit(&mut self) -> Result<(), MlsFault> {
        self.inner.apply_pending_commit()?;
        Ok(())
    }

    /// Forgets the commit that was refused.
    pub fn abandon_commit(&mut self) {
        self.inner.clear_pending_commit();
    }

    /// Whether this device has asked to be removed in this epoch.
    pub fn has_proposed_leave(&self) -> bool {
        let own = Sender::Member(self.inner.current_member_index());
        self.inner.get_cached_proposals().iter().any(|cached| *cached.sender() == own)
    }

    /// Forgets this device's own proposal, which was refused. The library forgets all proposals or none, and a commit
    /// of another's that is forgotten could not be followed: so nothing is done while others wait, and the caller
    /// commits those first.
    pub fn abandon_own_proposal(&mut self) {
        if self.leaving().is_empty() {
            self.inner.clear_proposal_cache();
        }
    }

    /// Seals padded content.
    ///
    /// # Errors
    /// [`MlsFault`] when a proposal waits to be committed first, or the library fails.
    pub fn seal(&mut self, padded: &[u8], authenticated_data: Vec<u8>) -> Result<Bytes, MlsFault> {
        let message = self.inner.encrypt_application_message(padded, authenticated_data)?;
        Ok(message.to_bytes()?.into())
    }

    /// Asks the others to remove this device.
    ///
    /// # Errors
    /// [`MlsFault`] when it asked already in this epoch, or the library fails.
    pub fn propose_leave(&mut self, authenticated_data: Vec<u8>) -> Result<Bytes, MlsFault> {
        Ok(self.inner.propose_self_remove(authenticated_data)?.to_bytes()?.into())
    }

    /// Makes a commit of the plan and of every proposal that waits. `now` (seconds since the Unix epoch) judges the
    /// life of the KeyPackages.
    ///
    /// # Errors
    /// [`MlsFault`] when the plan breaks the rules, names no member, or the library fails.
    pub fn commit(
        &mut self,
        plan: &Plan,
        anchor: &Anchor,
        authenticated_data: Vec<u8>,
        now: u64,
    ) -> Result<CommitOutput, MlsFault> {
        let leaves = self.leaves();
        let leaving = self.leaving();
        let extensions = plan.settings.as_ref().map(settings_extensions).transpose()?;
        let mut builder = self
            .inner
            .commit_builder()
            .authenticated_data(authenticated_data)
            .commit_time(MlsTime::from(now))
            .set_group_info_ext(anchor.extensions());
        for key_package in &plan.add {
            builder = builder.add_member(MlsMessage::from_bytes(key_package)?)?;
        }
        for device in &plan.remove {
            if leaving.contains(device) {
                continue;
            }
            let leaf = leaves.iter().find(|leaf| leaf.device == *device).ok_or(MlsFault::NoSuchMember)?;
            builder = builder.remove_member(leaf.index)?;
        }
        for psk in &plan.psks {
            builder = builder.add_external_psk(psk.external())?;
        }
        if let Some(extensions) = extensions {
            builder = builder.set_group_context_ext(extensions)?;
        }
        if let Some(NewKey { identity, signer }) = &plan.key {
            builder = builder.set_new_signing_identity(signer.clone(), identity.clone());
        }
        let output = builder.build()?;
        let welcomes = output
            .welcome_messages()
            .iter()
            .map(|welcome| welcome.to_bytes().map(Bytes::from))
            .collect::<Result<Vec<_>, _>>()?;
        let ratchet_tree = match output.ratchet_tree() {
            Some(tree) if !welcomes.is_empty() => tree.to_bytes()?.into(),
            _ => Bytes::new(),
        };
        Ok(CommitOutput { message: output.commit_message().to_bytes()?.into(), welcomes, ratchet_tree })
    }

    /// Opens a message, our own pending commit among them. After an error the group in memory may be spoiled: the
    /// library takes a ratchet key before it checks the ciphertext. Drop it without storing.
    ///
    /// # Errors
    /// [`OpenFault`], sorted by what the receiver has to do.
    pub fn open(&mut self, message: &[u8]) -> Result<Opened, OpenFault> {
        let message = MlsMessage::from_bytes(message).map_err(|_| OpenFault::Malformed)?;
        if message.group_id() != Some(&self.id.encode()[..]) {
            return Err(OpenFault::Invalid);
        }
        if message.wire_format() != mls_rs::WireFormat::PrivateMessage {
            return Err(OpenFault::Malformed);
        }
        match message.epoch() {
            Some(epoch) if epoch < self.epoch() => return Err(OpenFault::PastEpoch),
            Some(epoch) if epoch > self.epoch() => return Err(OpenFault::FutureEpoch),
            Some(_) => {}
            None => return Err(OpenFault::Malformed),
        }
        let received = self
            .inner
            .process_incoming_message(message)
            .map_err(|error| OpenFault::from_library(&error, &self.missing))?;
        // A committer cannot remove itself, so its leaf is there in the next epoch too.
        let leaf = |index: u32| self.leaf(index).ok_or(OpenFault::Invalid);
        match received {
            ReceivedMessage::ApplicationMessage(message) => Ok(Opened::Application {
                sender: leaf(message.sender_index)?,
                authenticated_data: message.authenticated_data.clone(),
                data: message.data().to_vec(),
            }),
            ReceivedMessage::Proposal(message) => {
                let mls_rs::group::ProposalSender::Member(index) = message.sender else {
                    return Err(OpenFault::Invalid);
                };
                if !matches!(message.proposal, Proposal::SelfRemove(_)) {
                    return Err(OpenFault::Invalid);
                }
                Ok(Opened::SelfRemove {
                    sender: leaf(index)?,
                    authenticated_data: message.authenticated_data,
                })
            }
            ReceivedMessage::Commit(message) => {
                let (epoch, removed) = match &message.effect {
                    CommitEffect::NewEpoch(epoch) => (epoch, false),
                    CommitEffect::Removed { new_epoch, .. } => (new_epoch, true),
                    CommitEffect::ReInit(_) => return Err(OpenFault::Invalid),
                };
                let added = epoch.applied_proposals.iter().filter_map(|info| match &info.proposal {
                    Proposal::Add(add) => leaf_credential(add.signing_identity()),
                    _ => None,
                });
                let psks = epoch.applied_proposals.iter().filter_map(|info| match &info.proposal {
                    Proposal::Psk(psk) => PskId::decode(psk.external_psk_id()?),
                    _ => None,
                });
                Ok(Opened::Commit {
                    committer: leaf(message.committer)?,
                    psks: psks.collect(),
                    added: added
                        .map(|LeafCredential { account, device, .. }| ListedDevice { account, device })
                        .collect(),
                    authenticated_data: message.authenticated_data,
                    removed,
                })
            }
            _ => Err(OpenFault::Malformed),
        }
    }

    /// What to store: the state, and the tree when it is not the one that was loaded or stored last. Both belong into one
    /// transaction; when that fails, this group must be dropped.
    ///
    /// # Errors
    /// [`MlsFault`] when the library fails.
    pub fn snapshot(&mut self) -> Result<GroupUpdate, MlsFault> {
        self.inner.write_to_storage_without_ratchet_tree()?;
        let state = stored::without_index(&self.staging.take_group().ok_or(MlsFault::Library)?)?;
        let mut tree = None;
        if self.stored_tree != self.inner.context().tree_hash {
            tree = Some(self.inner.export_tree().to_bytes()?.into());
            self.tree_is_stored();
        }
        Ok(GroupUpdate { state, tree })
    }
}
