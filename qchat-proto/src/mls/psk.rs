//! External pre-shared keys (RFC 9420 §8.4): secrets that members have from elsewhere and that a commit mixes into the
//! next epoch. Whoever lacks one cannot follow. docs/PROTOCOL.md, "Pre-shared keys".

use mls_rs_core::psk::{ExternalPskId, PreSharedKey};

use crate::{
    crypto::{kdf, secret::Secret},
    ids::{DeviceId, RoomId},
};

const LABEL: &[u8; 12] = b"qchat psk v1";

/// Where a pre-shared key comes from; ids of different kinds never meet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PskKind {
    /// A key of a quantum key distribution link (ETSI GS QKD 014).
    QuantumLink = 1,
    /// What two members came to in a simulated run of BB84: no more secret than the room in which they did.
    Exercise = 3,
}

impl PskKind {
    /// The number that stands for it in names.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// What [`PskKind::number`] gave.
    pub fn of_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::QuantumLink),
            3 => Some(Self::Exercise),
            _ => None,
        }
    }
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
    /// The name of a key of a quantum link: its UUID there (RFC 9562 §4, 16 bytes), and 16 zero bytes.
    pub fn quantum_link(key_id: [u8; 16]) -> Self {
        Self::short(PskKind::QuantumLink, key_id)
    }

    /// The name of the key of an exercise: its id, and 16 zero bytes.
    pub fn exercise(id: [u8; 16]) -> Self {
        Self::short(PskKind::Exercise, id)
    }

    fn short(kind: PskKind, short: [u8; 16]) -> Self {
        let mut id = [0; 32];
        id[..16].copy_from_slice(&short);
        Self { kind, id }
    }

    /// The UUID that [`PskId::quantum_link`] was given; `None` for any other name.
    pub fn key_id(&self) -> Option<[u8; 16]> {
        let (key_id, zeros) = self.id.split_first_chunk::<16>()?;
        (self.kind == PskKind::QuantumLink && zeros.iter().all(|&byte| byte == 0)).then_some(*key_id)
    }

    /// As it stands in a proposal: the label, the kind, the name.
    pub fn encode(&self) -> Vec<u8> {
        [&LABEL[..], &[self.kind.number()], &self.id].concat()
    }

    /// Reads what [`PskId::encode`] wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, id) = bytes.strip_prefix(LABEL)?.split_first()?;
        let kind = PskKind::of_number(*kind)?;
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
    /// A room's key out of one of a quantum link: HKDF-SHA-384(salt `qchat qkd key v1`, the key, room ‖ name). So the same key
    /// in two rooms makes two that tell nothing of one another.
    pub fn of_quantum_link(room: RoomId, key_id: [u8; 16], key: &[u8; 32]) -> Self {
        let id = PskId::quantum_link(key_id);
        let secret = derive(b"qchat qkd key v1", key, &[room.as_bytes(), &id.encode()]);
        Self { id, secret }
    }

    /// A room's key out of that of an exercise, which has 256 bits or more: HKDF-SHA-384(salt `qchat exercise key v1`, the key,
    /// room ‖ name).
    pub fn of_exercise(room: RoomId, exercise: [u8; 16], key: &[u8]) -> Self {
        let id = PskId::exercise(exercise);
        let secret = derive(b"qchat exercise key v1", key, &[room.as_bytes(), &id.encode()]);
        Self { id, secret }
    }

    /// What shows the others that a device holds this key, and tells them nothing of it: HKDF-SHA-384(salt `qchat psk held v1`,
    /// the key, room ‖ name ‖ device).
    pub fn confirmation(&self, room: RoomId, device: DeviceId) -> [u8; 32] {
        *self.confirms(room, device).expose()
    }

    /// Whether this is that device's [`Psk::confirmation`].
    pub fn is_confirmed_by(&self, room: RoomId, device: DeviceId, confirmation: &[u8; 32]) -> bool {
        self.confirms(room, device).ct_eq(&Secret::from_bytes(*confirmation))
    }

    fn confirms(&self, room: RoomId, device: DeviceId) -> Secret<32> {
        let said = [&room.as_bytes()[..], &self.id.encode(), device.as_bytes()];
        derive(b"qchat psk held v1", self.secret.expose(), &said)
    }

    pub(super) fn entry(&self) -> (Vec<u8>, PreSharedKey) {
        (self.id.encode(), PreSharedKey::new(self.secret.expose().to_vec()))
    }
}

fn derive(salt: &[u8], key: &[u8], info: &[&[u8]]) -> Secret<32> {
    let extracted = kdf::extract(salt, key);
    #[expect(clippy::expect_used, reason = "32 bytes of at most 12,240")]
    Secret::fill_with(|out| kdf::expand(extracted.expose(), &info.concat(), out)).expect("one hash at most")
}
