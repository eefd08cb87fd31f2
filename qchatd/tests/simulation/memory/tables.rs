//! What the database in memory holds, by the databases' keys.

use std::collections::BTreeMap;

use bytes::Bytes;
use qchat_proto::{
    ids::{AccountId, DeviceId, RoomId, Seq},
    wire::tree::TreeHash,
};
use qchatd::store::{
    relay::{EnvelopeKey, NewWelcome},
    rooms::{Member, RoomState},
    trees::{StagedKey, TreeId},
};

#[derive(Clone, Default)]
pub(super) struct Tables {
    /// The account, and the version of the device's list of rooms.
    pub(super) devices: BTreeMap<DeviceId, (AccountId, u64)>,
    /// Who created a room, and how far it has come.
    pub(super) rooms: BTreeMap<RoomId, (DeviceId, RoomState)>,
    /// Places, and how far each is confirmed.
    pub(super) members: BTreeMap<(RoomId, DeviceId), (Member, Seq)>,
    /// The logs.
    pub(super) envelopes: BTreeMap<(RoomId, Seq), Bytes>,
    /// Where each envelope stands in its log.
    pub(super) accepted: BTreeMap<EnvelopeKey, Seq>,
    /// The Welcomes that wait.
    pub(super) welcomes: BTreeMap<(RoomId, DeviceId), NewWelcome>,
    /// Trees: staged until they have the seq of a commit.
    pub(super) trees: BTreeMap<TreeId, (StagedKey, Option<Seq>)>,
    /// Trees that there ever were.
    pub(super) planted: TreeId,
}

impl Tables {
    /// A device has one staged tree in a room at most.
    pub(super) fn stage(&mut self, room: RoomId, device: DeviceId, hash: TreeHash) -> TreeId {
        self.trees.retain(|_, ((of, by, _), seq)| seq.is_some() || (*of, *by) != (room, device));
        self.planted += 1;
        self.trees.insert(self.planted, ((room, device, hash), None));
        self.planted
    }

    /// Deletes the trees of a room's commits that no Welcome needs.
    pub(super) fn drop_unused(&mut self, room: RoomId) {
        let Self { trees, welcomes, .. } = self;
        let needed = |seq: Seq| welcomes.iter().any(|((of, _), welcome)| *of == room && welcome.seq == seq);
        trees.retain(|_, ((of, ..), seq)| *of != room || seq.is_none_or(needed));
    }

    /// Says that the places of a device have changed.
    pub(super) fn advance_audience(&mut self, device: DeviceId) {
        if let Some((_, version)) = self.devices.get_mut(&device) {
            *version += 1;
        }
    }
}
