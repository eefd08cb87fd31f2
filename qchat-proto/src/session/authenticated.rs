//! The authenticated data of every MLS message in a room: what ties a ciphertext to its envelope and to the log before
//! it. docs/PROTOCOL.md, "Authenticated data".

use crate::{
    ids::{DeviceId, MessageId, RoomId, Seq},
    session::ledger::Head,
    wire::frame::{Envelope, Kind, delta_hash},
};

/// Size of the encoded form, bytes.
pub const SIZE: usize = 1 + 16 + 16 + 16 + 1 + 8 + 8 + 8 + 48 + 48;

const VERSION: u8 = 1;

/// What an envelope's sender vouches for beside its payload. Integers are big endian.
///
/// | bytes | content |
/// |---|---|
/// | 1 | version: 1 |
/// | 16 | room id |
/// | 16 | message id |
/// | 16 | sender device id |
/// | 1 | kind |
/// | 8 | `commit_seq`: the last commit that the sender processed |
/// | 8 | counter: the sender's accepted envelopes in this room plus one |
/// | 8 | `head_seq`: the newest envelope that the sender processed |
/// | 48 | head at `head_seq` |
/// | 48 | SHA-384 of the delta |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authenticated {
    /// The room.
    pub room: RoomId,
    /// The message.
    pub message_id: MessageId,
    /// The sender's device.
    pub sender: DeviceId,
    /// What the payload is.
    pub kind: Kind,
    /// The last commit that the sender processed.
    pub commit_seq: Seq,
    /// The sender's accepted envelopes in this room plus one.
    pub counter: u64,
    /// The newest envelope that the sender processed.
    pub head_seq: Seq,
    /// The head there.
    pub head: Head,
    /// SHA-384 of the delta.
    pub delta_hash: [u8; 48],
}

impl Authenticated {
    /// Encodes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SIZE);
        bytes.push(VERSION);
        bytes.extend_from_slice(self.room.as_bytes());
        bytes.extend_from_slice(self.message_id.as_bytes());
        bytes.extend_from_slice(self.sender.as_bytes());
        bytes.push(self.kind as u8);
        bytes.extend_from_slice(&self.commit_seq.0.to_be_bytes());
        bytes.extend_from_slice(&self.counter.to_be_bytes());
        bytes.extend_from_slice(&self.head_seq.0.to_be_bytes());
        bytes.extend_from_slice(&self.head);
        bytes.extend_from_slice(&self.delta_hash);
        bytes
    }

    /// Decodes it; `None` when it has another size, version or an unknown kind.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SIZE] = bytes.try_into().ok()?;
        let (version, rest) = bytes.split_first()?;
        let (room, rest) = rest.split_first_chunk::<16>()?;
        let (message_id, rest) = rest.split_first_chunk::<16>()?;
        let (sender, rest) = rest.split_first_chunk::<16>()?;
        let (kind, rest) = rest.split_first()?;
        let (commit_seq, rest) = rest.split_first_chunk::<8>()?;
        let (counter, rest) = rest.split_first_chunk::<8>()?;
        let (head_seq, rest) = rest.split_first_chunk::<8>()?;
        let (head, rest) = rest.split_first_chunk::<48>()?;
        (*version == VERSION).then_some(())?;
        Some(Self {
            room: RoomId::from_bytes(*room),
            message_id: MessageId::from_bytes(*message_id),
            sender: DeviceId::from_bytes(*sender),
            kind: Kind::from_number(i32::from(*kind))?,
            commit_seq: Seq(u64::from_be_bytes(*commit_seq)),
            counter: u64::from_be_bytes(*counter),
            head_seq: Seq(u64::from_be_bytes(*head_seq)),
            head: *head,
            delta_hash: rest.try_into().ok()?,
        })
    }

    /// Whether this is the authenticated data that belongs to an envelope standing at `seq`: every field that both
    /// have is the same, `commit_seq` ≤ `head_seq` < `seq`, and 1 ≤ `counter` ≤ `seq`.
    pub fn fits(&self, envelope: &Envelope, seq: Seq) -> bool {
        self.room == envelope.room
            && self.message_id == envelope.message_id
            && self.sender == envelope.sender
            && self.kind == envelope.kind
            && self.commit_seq == envelope.commit_seq
            && self.delta_hash == delta_hash(&envelope.delta)
            && self.commit_seq <= self.head_seq
            && self.head_seq < seq
            && (1..=seq.0).contains(&self.counter)
    }
}
