//! What a room's groups are called (RFC 9420 §8.1, the group id): the room, and which of its groups in a row.

use crate::ids::{RoomId, Seq};

/// Size of a group id, bytes.
const SIZE: usize = 16 + 8;

/// Names a room's group. A room has one group for its whole life, unless an owner restarts it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupId {
    /// The room.
    pub room: RoomId,
    /// 0 for the group that the room was created with; for another, the newest envelope that the admin who made it had
    /// read. A later group has a greater one.
    pub generation: Seq,
}

impl GroupId {
    /// Encodes it: room id (16) ‖ generation (8, big endian).
    pub fn encode(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let (room, generation) = bytes.split_at_mut(16);
        room.copy_from_slice(self.room.as_bytes());
        generation.copy_from_slice(&self.generation.0.to_be_bytes());
        bytes
    }

    /// Decodes it; `None` when it has another size.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SIZE] = bytes.try_into().ok()?;
        let (room, generation) = bytes.split_first_chunk::<16>()?;
        let generation = generation.first_chunk::<8>()?;
        Some(Self { room: RoomId::from_bytes(*room), generation: Seq(u64::from_be_bytes(*generation)) })
    }
}
