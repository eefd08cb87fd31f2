//! MLS groups (RFC 9420) of one cipher suite, behind types of our own: the library is named nowhere else.

pub mod anchor;
pub mod device;
pub mod fault;
pub mod group;
pub mod group_id;
pub mod identity;
pub mod membership;
pub mod provider;
pub mod psk;
pub mod rules;
mod staging;
mod stored;

use mls_rs_core::{extension::ExtensionType, identity::SigningIdentity};

use crate::identity::LeafCredential;

/// The group context extension that holds the room's settings (RFC 9420 §17.3, private use).
pub(crate) const SETTINGS_EXTENSION: ExtensionType = ExtensionType::new(0xf0a1);
/// The GroupInfo extension that holds the joiner's anchor.
pub(crate) const ANCHOR_EXTENSION: ExtensionType = ExtensionType::new(0xf0a2);

/// Reads a leaf's credential; `None` when it is of another type or malformed.
pub(crate) fn leaf_credential(identity: &SigningIdentity) -> Option<LeafCredential> {
    identity::leaf_credential(identity).ok()
}
