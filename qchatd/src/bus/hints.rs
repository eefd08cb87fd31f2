//! What nodes tell each other: where to look, and never what is there. A hint is believed only so far that the database
//! is asked. With them goes what members tell those who are there, sealed: nobody keeps it, and it may be lost.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use prost::Message;
use qchat_proto::{
    ids::{DeviceId, RoomId, Seq},
    wire::limits,
};

/// As `store::sessions` names them. This file names nothing else of the daemon's, so that the fuzzer can take it in.
type SessionId = [u8; 16];

/// Places to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Rooms whose logs have come so far.
    pub(super) rooms: BTreeMap<RoomId, Seq>,
    /// Devices whose places in rooms have changed.
    pub(super) devices: BTreeSet<DeviceId>,
    /// Sessions that were ended.
    pub(super) ended: BTreeSet<SessionId>,
    /// Devices that are no longer listed.
    pub(super) delisted: BTreeSet<DeviceId>,
    /// Devices whose accounts have changed.
    pub(super) accounts: BTreeSet<DeviceId>,
    /// What was counted against limits: each as the number of the limit and whom it concerns.
    pub(super) charged: Vec<(u8, [u8; 8])>,
    /// What members tell those who are there: room, sender's device, and what is sealed.
    pub(super) whispered: Vec<(RoomId, DeviceId, Bytes)>,
    /// Hints were lost: look at everything.
    pub(super) everything: bool,
}

/// As they travel. A node of another version reads what it knows of it.
#[derive(Clone, PartialEq, Message)]
struct Wire {
    /// Who says it, so that a node passes over its own.
    #[prost(bytes = "bytes", tag = "1")]
    node: Bytes,
    #[prost(message, repeated, tag = "2")]
    rooms: Vec<Room>,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    devices: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    ended: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    delisted: Vec<Bytes>,
    /// The number of the limit, and 8 bytes.
    #[prost(bytes = "bytes", repeated, tag = "6")]
    charged: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "7")]
    accounts: Vec<Bytes>,
    /// Room, device, and what is sealed.
    #[prost(bytes = "bytes", repeated, tag = "8")]
    whispered: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct Room {
    #[prost(bytes = "bytes", tag = "1")]
    id: Bytes,
    #[prost(uint64, tag = "2")]
    seq: u64,
}

impl Hints {
    pub(super) fn created(room: RoomId, device: DeviceId) -> Self {
        Self { rooms: BTreeMap::from([(room, Seq(0))]), devices: BTreeSet::from([device]), ..Self::default() }
    }

    pub(super) fn ended(sessions: &HashSet<SessionId>) -> Self {
        Self { ended: sessions.iter().copied().collect(), ..Self::default() }
    }

    pub(super) fn delisted(devices: &[DeviceId]) -> Self {
        Self { delisted: devices.iter().copied().collect(), ..Self::default() }
    }

    pub(super) fn accounts(devices: &[DeviceId]) -> Self {
        Self { accounts: devices.iter().copied().collect(), ..Self::default() }
    }

    /// Says that some were lost.
    pub fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    pub(super) fn charged(limit: u8, whom: [u8; 8]) -> Self {
        Self { charged: vec![(limit, whom)], ..Self::default() }
    }

    pub(super) fn whispered(room: RoomId, sender: DeviceId, sealed: Bytes) -> Self {
        Self { whispered: vec![(room, sender, sealed)], ..Self::default() }
    }

    /// Takes out what nobody keeps, if there is any.
    pub(super) fn take_whispered(&mut self) -> Option<Self> {
        let whispered = std::mem::take(&mut self.whispered);
        (!whispered.is_empty()).then(|| Self { whispered, ..Self::default() })
    }

    /// Adds what others say.
    pub(super) fn merge(&mut self, other: Self) {
        for (room, seq) in other.rooms {
            let known = self.rooms.entry(room).or_default();
            *known = seq.max(*known);
        }
        self.devices.extend(other.devices);
        self.ended.extend(other.ended);
        self.delisted.extend(other.delisted);
        self.accounts.extend(other.accounts);
        self.charged.extend(other.charged);
        self.whispered.extend(other.whispered);
        self.everything |= other.everything;
    }

    pub(super) fn encode(&self, node: &[u8]) -> Vec<u8> {
        let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        let rooms = self.rooms.iter().map(|(room, seq)| Room { id: copy(room.as_bytes()), seq: seq.0 });
        Wire {
            node: copy(node),
            rooms: rooms.collect(),
            devices: self.devices.iter().map(|device| copy(device.as_bytes())).collect(),
            ended: self.ended.iter().map(|session| copy(session)).collect(),
            delisted: self.delisted.iter().map(|device| copy(device.as_bytes())).collect(),
            accounts: self.accounts.iter().map(|device| copy(device.as_bytes())).collect(),
            charged: self.charged.iter().map(|(limit, whom)| copy(&[&[*limit][..], whom].concat())).collect(),
            whispered: self
                .whispered
                .iter()
                .map(|(room, sender, sealed)| {
                    [room.as_bytes(), &sender.as_bytes()[..], sealed].concat().into()
                })
                .collect(),
        }
        .encode_to_vec()
    }

    /// Whether there is nothing to look at.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the hints of others, and who sent them; what makes no sense is passed over.
    pub(super) fn decode(bytes: &[u8], own: &[u8]) -> Option<(Bytes, Self)> {
        let wire = Wire::decode(bytes).ok().filter(|wire| wire.node != own)?;
        let devices =
            |raw: &[Bytes]| raw.iter().filter_map(|bytes| DeviceId::try_from(&bytes[..]).ok()).collect();
        let hints = Self {
            rooms: wire
                .rooms
                .iter()
                .filter_map(|room| Some((RoomId::try_from(&room.id[..]).ok()?, Seq(room.seq))))
                .collect(),
            devices: devices(&wire.devices),
            ended: wire.ended.iter().filter_map(|bytes| bytes[..].try_into().ok()).collect(),
            delisted: devices(&wire.delisted),
            accounts: devices(&wire.accounts),
            charged: wire
                .charged
                .iter()
                .filter_map(|bytes| {
                    let (limit, whom) = bytes.split_first()?;
                    Some((*limit, whom.try_into().ok()?))
                })
                .collect(),
            whispered: wire
                .whispered
                .iter()
                .filter_map(|bytes| {
                    let (room, rest) = bytes.split_at_checked(16)?;
                    let (sender, sealed) = rest.split_at_checked(16)?;
                    let sealed =
                        (sealed.len() == limits::EPHEMERAL).then(|| Bytes::copy_from_slice(sealed))?;
                    Some((RoomId::try_from(room).ok()?, DeviceId::try_from(sender).ok()?, sealed))
                })
                .collect(),
            everything: false,
        };
        Some((wire.node, hints))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_arrive_as_they_were_meant_at_others_and_not_at_home() {
        let (room, device) = (RoomId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
        let mut hints = Hints {
            rooms: BTreeMap::from([(room, Seq(7))]),
            devices: BTreeSet::from([device]),
            ended: BTreeSet::from([[3; 16]]),
            delisted: BTreeSet::from([DeviceId::from_bytes([4; 16])]),
            accounts: BTreeSet::from([DeviceId::from_bytes([7; 16])]),
            charged: vec![(1, [5; 8]), (1, [5; 8]), (9, [6; 8])],
            whispered: vec![(room, device, Bytes::from(vec![8; limits::EPHEMERAL]))],
            everything: false,
        };
        let bytes = hints.encode(b"a node");
        let decoded = Hints::decode(&bytes, b"another");
        assert_eq!(decoded, Some((Bytes::from_static(b"a node"), hints.clone())));
        assert_eq!(Hints::decode(&bytes, b"a node"), None);
        assert_eq!(Hints::decode(b"noise", b"another"), None);
        // An id of the wrong size is no id.
        let short = || vec![Bytes::from_static(b"short")];
        let odd = Wire { devices: short(), whispered: short(), ..Wire::default() };
        let decoded = Hints::decode(&odd.encode_to_vec(), b"another");
        assert!(decoded.is_some_and(|(_, hints)| hints.is_empty()));
        // The newest counts, in whichever order they come.
        for seq in [9, 8] {
            hints.merge(Hints { rooms: BTreeMap::from([(room, Seq(seq))]), ..Hints::default() });
        }
        assert_eq!(hints.rooms[&room], Seq(9));
    }
}
