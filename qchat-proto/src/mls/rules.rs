//! Who may do what to a group: the room's rules, applied alike by every member to every commit, sent or received.
//!
//! - Only members commit; external commits, external senders, ReInit, resumption PSKs and custom proposals are refused.
//! - Any member may add devices; a device id stands for one account in a group.
//! - A member may remove devices of its own account, devices that asked to leave and were passed over, and, as an
//!   admin, any other device save those of admins; as an owner, those, too.
//! - Any member may remove a device and add it again in one commit, under the same account and device key: it could not
//!   follow any more.
//! - Only admins change the settings, only owners say who is an admin or an owner, and a room keeps at least one owner.
//! - Who may only read adds devices of its own account alone, or such as could not follow; who is banned is not added.
//! - A conversation of two people stays one: only devices of the two are added.
//! - Only admins commit external PSKs, and only such whose ids are ours: whoever has none of that name is stopped, and
//!   no member can tell whether the others have one.
//! - Proposals by reference are SelfRemoves only.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use mls_rs::{
    MlsRules,
    group::{GroupContext, Member, Roster, Sender, proposal::Proposal},
    mls_rules::{CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle},
};
use mls_rs_core::{error::IntoAnyError, extension::ExtensionList, identity::SigningIdentity};

use super::{SETTINGS_EXTENSION, identity::QchatIdentity, leaf_credential, membership, psk::PskId};
use crate::{
    content::{Role, RoomSettings},
    identity::LeafCredential,
    ids::{AccountId, DeviceId},
};

/// A commit breaks the room's rules; every member sees that alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It comes from outside the group.
    #[error("only members may commit")]
    NotAMember,
    /// It holds a proposal that rooms do not use.
    #[error("a proposal of a type that rooms do not use")]
    Proposal,
    /// It removes a device that its committer may not remove.
    #[error("only admins may remove other people, and only owners admins")]
    Removal,
    /// It changes the settings without the right to, or to something invalid.
    #[error("only admins may change a room's settings, and only owners who is an admin")]
    Settings,
    /// It adds somebody who is banned, or is made by somebody who may only read.
    #[error("who is banned is not added, and who may only read adds nobody")]
    Addition,
    /// It lets somebody else into a conversation of two, or makes another kind of room of one.
    #[error("a conversation of two people stays theirs")]
    Direct,
    /// It mixes in a pre-shared key without the right to.
    #[error("only admins may commit pre-shared keys")]
    PreSharedKey,
    /// It adds a device under the id of another account's, or one device twice.
    #[error("a device id belongs to one account")]
    Device,
    /// A leaf's credential cannot be read.
    #[error("a malformed credential")]
    Credential,
}

impl IntoAnyError for RuleError {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(self.into())
    }
}

/// The rules, with what they need to know beside the group itself.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) lapsed: Lapsed,
    pub(crate) members: QchatIdentity,
}

/// Devices whose SelfRemove an earlier commit passed over. Clones share them: a group lives longer than they hold.
#[derive(Clone, Default)]
pub(crate) struct Lapsed(Arc<Mutex<BTreeSet<DeviceId>>>);

impl Lapsed {
    /// Replaces them.
    pub(crate) fn set(&self, devices: &[DeviceId]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = devices.iter().copied().collect();
    }

    fn contains(&self, device: &DeviceId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(device)
    }
}

/// Reads the room's settings out of a group context.
pub(crate) fn settings(extensions: &ExtensionList) -> Option<RoomSettings> {
    let extension = extensions.iter().find(|extension| extension.extension_type == SETTINGS_EXTENSION)?;
    RoomSettings::decode(&extension.extension_data).ok()
}

impl Rules {
    fn check(
        &self,
        committer: &LeafCredential,
        roster: &Roster<'_>,
        context: &GroupContext,
        proposals: &ProposalBundle,
    ) -> Result<(), RuleError> {
        let settings = settings(&context.extensions).ok_or(RuleError::Settings)?;
        let role = settings.role(committer.account);
        let (owner, admin) = (role == Role::Owner, role <= Role::Admin);
        let mut added = BTreeSet::new();
        let mut members = None;
        let proposals: Vec<_> = proposals.clone().into_proposals().collect();
        let additions: Vec<_> = proposals
            .iter()
            .filter_map(|info| match &info.proposal {
                Proposal::Add(add) => Some(add.signing_identity().clone()),
                _ => None,
            })
            .collect();
        let removed: BTreeSet<u32> = proposals
            .iter()
            .filter_map(|info| match &info.proposal {
                Proposal::Remove(removal) => Some(removal.to_remove()),
                _ => None,
            })
            .collect();
        let joins: BTreeSet<AccountId> =
            additions.iter().filter_map(|added| leaf_credential(added).map(|leaf| leaf.account)).collect();
        for info in proposals {
            if info.is_by_reference() && !matches!(info.proposal, Proposal::SelfRemove(_)) {
                return Err(RuleError::Proposal);
            }
            if !matches!(info.sender, Sender::Member(_)) {
                return Err(RuleError::NotAMember);
            }
            match info.proposal {
                Proposal::Add(add) => {
                    let new = leaf_credential(add.signing_identity()).ok_or(RuleError::Credential)?;
                    // Envelopes name their senders by device alone.
                    let members = members.get_or_insert_with(|| owners(roster));
                    let taken = members.get(&new.device).is_some_and(|account| *account != new.account);
                    if taken || !added.insert(new.device) {
                        return Err(RuleError::Device);
                    }
                    if settings.direct && !settings.admins.contains(&new.account) {
                        return Err(RuleError::Direct);
                    }
                    let again = members.get(&new.device) == Some(&new.account);
                    let reader = role == Role::Reader && new.account != committer.account && !again;
                    if reader || settings.banned.contains(&new.account) {
                        return Err(RuleError::Addition);
                    }
                }
                Proposal::SelfRemove(_) => {}
                Proposal::Psk(psk) => {
                    let ours = psk.external_psk_id().is_some_and(|id| PskId::decode(id).is_some());
                    if !ours {
                        return Err(RuleError::Proposal);
                    }
                    if !admin {
                        return Err(RuleError::PreSharedKey);
                    }
                }
                Proposal::Remove(removal) => {
                    let member =
                        roster.member_with_index(removal.to_remove()).map_err(|_| RuleError::Removal)?;
                    let target = credential_of(&member)?;
                    let again = additions.iter().any(|added| is_same_device(added, &member.signing_identity));
                    let own = target.account == committer.account;
                    let may = settings.may_remove(committer.account, target.account);
                    if !own && !may && !again && !self.lapsed.contains(&target.device) {
                        return Err(RuleError::Removal);
                    }
                }
                Proposal::GroupContextExtensions(extensions) => {
                    let changed = self::settings(&extensions).filter(|_| extensions.len() == 1);
                    let changed = changed.filter(|_| admin).ok_or(RuleError::Settings)?;
                    let same = changed.direct == settings.direct
                        && (!settings.direct || changed.admins == settings.admins);
                    if !same {
                        return Err(RuleError::Direct);
                    }
                    // A ban and the removal are one commit: nobody stays who could not be added again.
                    let banned = changed.banned.iter().filter(|account| !settings.banned.contains(account));
                    for account in banned {
                        let stays = membership::leaves(roster)
                            .iter()
                            .any(|leaf| leaf.account == *account && !removed.contains(&leaf.index));
                        if stays || joins.contains(account) {
                            return Err(RuleError::Addition);
                        }
                    }
                    let appoints = changed.owners != settings.owners || changed.admins != settings.admins;
                    if appoints && !owner {
                        return Err(RuleError::Settings);
                    }
                }
                _ => return Err(RuleError::Proposal),
            }
        }
        Ok(())
    }
}

/// Whether two leaves are of one device of one account, and signed by one key. Its certificate may have been renewed.
fn is_same_device(one: &SigningIdentity, other: &SigningIdentity) -> bool {
    let of = |identity| leaf_credential(identity).map(|leaf| (leaf.account, leaf.device));
    of(one).is_some() && of(one) == of(other) && one.signature_key == other.signature_key
}

/// Whose each device in the group is.
fn owners(roster: &Roster<'_>) -> BTreeMap<DeviceId, AccountId> {
    membership::leaves(roster).into_iter().map(|leaf| (leaf.device, leaf.account)).collect()
}

fn credential_of(member: &Member) -> Result<LeafCredential, RuleError> {
    leaf_credential(&member.signing_identity).ok_or(RuleError::Credential)
}

impl MlsRules for Rules {
    type Error = RuleError;

    fn filter_proposals(
        &self,
        _direction: CommitDirection,
        source: CommitSource,
        current_roster: &Roster<'_>,
        current_context: &GroupContext,
        proposals: ProposalBundle,
    ) -> Result<ProposalBundle, RuleError> {
        let CommitSource::ExistingMember(member) = source else { return Err(RuleError::NotAMember) };
        self.check(&credential_of(&member)?, current_roster, current_context, &proposals)?;
        for add in proposals.add_proposals() {
            self.members.note_missing(add.proposal.signing_identity());
        }
        Ok(proposals)
    }

    /// Every commit renews its committer's path, so that each one heals; the ratchet tree travels beside the Welcome.
    fn commit_options(
        &self,
        _new_roster: &Roster<'_>,
        _new_context: &GroupContext,
        _proposals: &ProposalBundle,
    ) -> Result<CommitOptions, RuleError> {
        Ok(CommitOptions::new()
            .with_path_required(true)
            .with_ratchet_tree_extension(false)
            .with_single_welcome_message(false)
            .with_allow_external_commit(false))
    }

    /// Handshake messages are encrypted too; content brings its own padding.
    fn encryption_options(
        &self,
        _current_roster: &Roster<'_>,
        _current_context: &GroupContext,
    ) -> Result<EncryptionOptions, RuleError> {
        Ok(EncryptionOptions::new(true, mls_rs::client_builder::PaddingMode::None))
    }
}
