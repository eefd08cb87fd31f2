//! Where in the log a joiner begins: an extension of the GroupInfo in its Welcome, signed by who added it.

use bytes::Bytes;
use mls_rs::ExtensionList;
use mls_rs_core::extension::Extension;
use prost::Message;

use super::ANCHOR_EXTENSION;
use crate::{
    ids::{DeviceId, MessageId, Seq},
    session::ledger::Head,
    wire::pb,
};

/// The point in the log from which a joiner computes heads, signed by the member who added it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anchor {
    /// The newest envelope that member had processed.
    pub head_seq: Seq,
    /// The head there.
    pub head: Head,
    /// The commit that adds the joiner.
    pub message_id: MessageId,
    /// Devices whose SelfRemove an earlier commit passed over.
    pub leaving: Vec<DeviceId>,
}

impl Anchor {
    /// The protobuf `JoinAnchor`.
    pub fn encode(&self) -> Vec<u8> {
        let encoded = pb::JoinAnchor {
            head_seq: self.head_seq.0,
            head: Bytes::copy_from_slice(&self.head),
            message_id: Bytes::copy_from_slice(self.message_id.as_bytes()),
            leaving: self.leaving.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect(),
        };
        encoded.encode_to_vec()
    }

    /// Reads what [`Self::encode`] writes; `None` when it is malformed.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let raw = pb::JoinAnchor::decode(bytes).ok()?;
        let leaving = raw.leaving.iter().map(|id| DeviceId::try_from(&id[..])).collect::<Result<_, _>>();
        Some(Self {
            head_seq: Seq(raw.head_seq),
            head: raw.head.as_ref().try_into().ok()?,
            message_id: MessageId::try_from(&raw.message_id[..]).ok()?,
            leaving: leaving.ok()?,
        })
    }

    /// The GroupInfo's extensions: this one alone.
    pub(super) fn extensions(&self) -> ExtensionList {
        vec![Extension::new(ANCHOR_EXTENSION, self.encode())].into()
    }

    /// The anchor among a GroupInfo's extensions.
    pub(super) fn read(extensions: &ExtensionList) -> Option<Self> {
        let extension = extensions.iter().find(|extension| extension.extension_type == ANCHOR_EXTENSION)?;
        Self::decode(&extension.extension_data)
    }
}
