//! External pre-shared keys (RFC 9420 §8.4): secrets that members have from elsewhere and that a commit mixes into the
//! next epoch. Whoever lacks one cannot follow. docs/PROTOCOL.md, "Pre-shared keys".

use mls_rs_core::psk::{ExternalPskId, PreSharedKey};

use crate::crypto::secret::Secret;

const LABEL: &[u8; 12] = b"qchat psk v1";

/// Where a pre-shared key comes from; ids of different kinds never meet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PskKind {
    /// A key of a quantum key distribution link (ETSI GS QKD 014).
    QuantumLink = 1,
    /// The secret of an invitation link.
    InviteLink = 2,
}

/// A pre-shared key's public name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PskId {
    /// Where it comes from.
    pub kind: PskKind,
    /// Its name there.
    pub id: [u8; 32],
}

impl PskId {
    /// As it stands in a proposal: the label, the kind, the name.
    pub fn encode(&self) -> Vec<u8> {
        [&LABEL[..], &[self.kind as u8], &self.id].concat()
    }

    /// Reads what [`PskId::encode`] wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, id) = bytes.strip_prefix(LABEL)?.split_first()?;
        let kind = match kind {
            1 => PskKind::QuantumLink,
            2 => PskKind::InviteLink,
            _ => return None,
        };
        Some(Self { kind, id: id.try_into().ok()? })
    }

    pub(super) fn external(&self) -> ExternalPskId {
        ExternalPskId::new(self.encode())
    }
}

/// A pre-shared key that this device has.
pub struct Psk {
    /// Its name.
    pub id: PskId,
    /// The key.
    pub secret: Secret<32>,
}

impl Psk {
    pub(super) fn entry(&self) -> (Vec<u8>, PreSharedKey) {
        (self.id.encode(), PreSharedKey::new(self.secret.expose().to_vec()))
    }
}
