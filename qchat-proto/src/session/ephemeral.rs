//! What members tell those who are there now, and nobody keeps: that somebody is there, or writes. It is sealed under keys that
//! are exported from the epoch, so that it takes no key of a message, and signed by the device, so that no other member can say it.
//! docs/PROTOCOL.md, "Presence and typing".

use std::collections::HashMap;

use bytes::Bytes;

use crate::{
    crypto::{
        aead,
        secret::Secret,
        sign::{DevicePublicKey, SignatureUse},
    },
    ids::{AccountId, DeviceId, RoomId},
    mls::{device::Device, fault::MlsFault, group::Group},
    wire::limits,
};

const LABEL: &[u8] = b"qchat ephemeral v1";
const VERSION: u8 = 1;
/// Version, what, whether it asks, and when.
const STATEMENT: usize = 11;

/// What a device says of its user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum What {
    /// They are there.
    Online = 1,
    /// A program runs, and they are not at it.
    Away = 2,
    /// The program has ended.
    Gone = 3,
    /// They write something in this room.
    Writing = 4,
    /// They do so no more.
    Paused = 5,
}

impl What {
    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Online),
            2 => Some(Self::Away),
            3 => Some(Self::Gone),
            4 => Some(Self::Writing),
            5 => Some(Self::Paused),
            _ => None,
        }
    }
}

/// What a device tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Statement {
    /// What.
    pub what: What,
    /// Whether it wants to know the same of the others.
    pub asks: bool,
    /// When it says so, milliseconds since the Unix epoch by its own clock.
    pub at_ms: i64,
}

impl Statement {
    fn encode(&self) -> [u8; STATEMENT] {
        let mut bytes = [0; STATEMENT];
        bytes[0] = VERSION;
        bytes[1] = self.what as u8;
        bytes[2] = u8::from(self.asks);
        bytes[3..].copy_from_slice(&self.at_ms.to_be_bytes());
        bytes
    }

    /// `None`: another version, or no statement.
    fn decode(bytes: &[u8; STATEMENT]) -> Option<Self> {
        let [VERSION, what, asks @ 0..=1, at_ms @ ..] = *bytes else { return None };
        Some(Self { what: What::from_number(what)?, asks: asks == 1, at_ms: i64::from_be_bytes(at_ms) })
    }
}

/// The keys of one epoch of a room for such statements.
pub struct Voices {
    room: RoomId,
    /// What a statement is bound to: the group and its epoch.
    bound: [u8; 16],
    epoch: u64,
    own_key: Vec<u8>,
    members: HashMap<DeviceId, Voice>,
}

struct Voice {
    account: AccountId,
    key: Secret<{ aead::KEY }>,
    signer: DevicePublicKey,
}

impl Voices {
    /// Those of a group as it is.
    ///
    /// # Errors
    /// [`MlsFault`] when the library fails.
    pub fn of(group: &Group) -> Result<Self, MlsFault> {
        let mut members = HashMap::new();
        for (leaf, signer) in group.signers() {
            let key = group.export(LABEL, leaf.device.as_bytes())?;
            members.insert(leaf.device, Voice { account: leaf.account, key, signer });
        }
        let mut bound = [0; 16];
        bound[..8].copy_from_slice(&group.generation().0.to_be_bytes());
        bound[8..].copy_from_slice(&group.epoch().to_be_bytes());
        let own_key = group.own_key().map(|key| key.to_vec()).unwrap_or_default();
        Ok(Self { room: group.room(), bound, epoch: group.epoch(), own_key, members })
    }

    /// The epoch that they are of.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Seals a statement of this device.
    ///
    /// # Errors
    /// [`MlsFault`] when this device is not in the group, or there is no randomness.
    pub fn seal(&self, device: &Device, statement: Statement) -> Result<Bytes, MlsFault> {
        let own = self.members.get(&device.id()).ok_or(MlsFault::NoSuchMember)?;
        let said = statement.encode();
        let signature =
            device.under(&self.own_key).sign(SignatureUse::Ephemeral, &self.signed(device.id(), &said))?;
        let mut nonce = [0; aead::NONCE];
        device.entropy().fill(&mut nonce).map_err(|_| MlsFault::Library)?;
        let plain = [&said[..], &signature].concat();
        let sealed = aead::seal(own.key.expose(), &nonce, &self.associated(device.id()), &plain);
        Ok([&nonce[..], &sealed.map_err(|_| MlsFault::Library)?].concat().into())
    }

    /// Opens what `sender` is said to have sealed. `None` is anything but a statement of that device in this epoch: it says nothing.
    pub fn open(&self, sender: DeviceId, sealed: &[u8]) -> Option<(AccountId, Statement)> {
        let voice = self.members.get(&sender).filter(|_| sealed.len() == limits::EPHEMERAL)?;
        let (nonce, sealed) = sealed.split_first_chunk()?;
        let plain = aead::open(voice.key.expose(), nonce, &self.associated(sender), sealed).ok()?;
        let (said, signature) = plain.split_first_chunk::<STATEMENT>()?;
        voice.signer.verify(SignatureUse::Ephemeral, &self.signed(sender, said), signature).ok()?;
        Some((voice.account, Statement::decode(said)?))
    }

    fn associated(&self, sender: DeviceId) -> Vec<u8> {
        [&self.room.as_bytes()[..], sender.as_bytes()].concat()
    }

    fn signed(&self, sender: DeviceId, said: &[u8; STATEMENT]) -> Vec<u8> {
        [&said[..], self.room.as_bytes(), sender.as_bytes(), &self.bound].concat()
    }
}
