//! Envelopes and frames as types: once decoded, no field can hold an invalid value.

use bytes::Bytes;
use sha2::{Digest, Sha384};

use super::{
    codec::{self, DecodeError},
    limits, pb,
};
use crate::ids::{AccountId, DeviceId, MessageId, RoomId, Seq};

/// What an envelope carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// An MLS application message.
    Application = 1,
    /// An MLS commit.
    Commit = 2,
    /// An MLS proposal: a SelfRemove.
    Proposal = 3,
    /// A signed request to be added again, outside MLS.
    Resync = 4,
    /// An admin's signed word, outside MLS, that the room goes on with another group.
    Restart = 5,
}

impl Kind {
    /// Reads the kind from its number.
    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::Application),
            2 => Some(Self::Commit),
            3 => Some(Self::Proposal),
            4 => Some(Self::Resync),
            5 => Some(Self::Restart),
            _ => None,
        }
    }

    /// Largest payload of this kind, bytes.
    pub const fn limit(self) -> usize {
        match self {
            Self::Application | Self::Proposal => limits::APPLICATION,
            Self::Commit => limits::COMMIT,
            Self::Resync => limits::RESYNC,
            Self::Restart => limits::RESTART,
        }
    }

    /// Whether it ends an epoch: what is sealed after it must be sealed by who has processed it, and it may declare how
    /// the daemon's member list changes.
    pub const fn ends_epoch(self) -> bool {
        matches!(self, Self::Commit | Self::Restart)
    }
}

/// How the daemon's member list changes for one device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Operation {
    /// Leaves the list; may still read up to and including this commit.
    Remove = 1,
    /// Invited.
    Add = 2,
    /// A member after a resync.
    Readd = 3,
    /// A leaf that the list had lost.
    Relist = 4,
}

/// One line of a commit's declared delta.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MembershipChange {
    /// What happens.
    pub operation: Operation,
    /// Whose device it is.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
}

/// What the relay orders, checked field by field. Its encoded form, the *logged bytes*, is what all members hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// The room.
    pub room: RoomId,
    /// Drawn by the sender, kept through every resend.
    pub message_id: MessageId,
    /// The sender's device.
    pub sender: DeviceId,
    /// What the payload is.
    pub kind: Kind,
    /// The seq of the last commit that the sender had processed when it sealed this.
    pub commit_seq: Seq,
    /// An MLSMessage, or a signed resync request.
    pub payload: Bytes,
    /// For a commit: how the daemon's member list changes.
    pub delta: Vec<MembershipChange>,
}

impl Envelope {
    /// Encodes the logged bytes.
    pub fn encode(&self) -> Bytes {
        codec::encode(&pb::Envelope {
            room_id: Bytes::copy_from_slice(self.room.as_bytes()),
            message_id: Bytes::copy_from_slice(self.message_id.as_bytes()),
            sender_device: Bytes::copy_from_slice(self.sender.as_bytes()),
            kind: self.kind as i32,
            commit_seq: self.commit_seq.0,
            payload: self.payload.clone(),
            delta: self
                .delta
                .iter()
                .map(|change| pb::MembershipChange {
                    operation: change.operation as i32,
                    account_id: Bytes::copy_from_slice(change.account.as_bytes()),
                    device_id: Bytes::copy_from_slice(change.device.as_bytes()),
                })
                .collect(),
        })
    }

    /// Decodes logged bytes.
    ///
    /// # Errors
    /// [`DecodeError`] when a field has the wrong size, an unknown value or too many bytes, when the delta is not a
    /// commit's or names a device twice.
    pub fn decode(logged: Bytes) -> Result<Self, DecodeError> {
        const MALFORMED: DecodeError = DecodeError::Malformed("envelope");
        let limit = limits::COMMIT + limits::DELTA * 64 + 256;
        let raw: pb::Envelope = codec::decode("envelope", logged, limit)?;
        let kind = Kind::from_number(raw.kind).ok_or(MALFORMED)?;
        if raw.payload.len() > kind.limit() {
            return Err(DecodeError::TooLarge {
                what: "payload",
                size: raw.payload.len(),
                limit: kind.limit(),
            });
        }
        if raw.payload.is_empty()
            || raw.delta.len() > limits::DELTA
            || (!raw.delta.is_empty() && !kind.ends_epoch())
        {
            return Err(MALFORMED);
        }
        let delta: Vec<_> = raw.delta.iter().map(membership_change).collect::<Result<_, _>>()?;
        let mut devices: Vec<_> = delta.iter().map(|change| change.device).collect();
        devices.sort_unstable();
        if devices.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(MALFORMED);
        }
        Ok(Self {
            room: codec::id("room id", &raw.room_id)?,
            message_id: codec::id("message id", &raw.message_id)?,
            sender: codec::id("device id", &raw.sender_device)?,
            kind,
            commit_seq: Seq(raw.commit_seq),
            payload: raw.payload,
            delta,
        })
    }
}

fn membership_change(raw: &pb::MembershipChange) -> Result<MembershipChange, DecodeError> {
    let operation = match raw.operation {
        1 => Operation::Remove,
        2 => Operation::Add,
        3 => Operation::Readd,
        4 => Operation::Relist,
        _ => return Err(DecodeError::Malformed("membership change")),
    };
    Ok(MembershipChange {
        operation,
        account: codec::id("account id", &raw.account_id)?,
        device: codec::id("device id", &raw.device_id)?,
    })
}

/// SHA-384 over a delta as the authenticated data covers it: for each change the operation (1 byte), the account id
/// (16) and the device id (16), in order.
pub fn delta_hash(delta: &[MembershipChange]) -> [u8; 48] {
    let mut hash = Sha384::new();
    for change in delta {
        hash.update([change.operation as u8]);
        hash.update(change.account.as_bytes());
        hash.update(change.device.as_bytes());
    }
    hash.finalize().into()
}

/// A Welcome on its way to one invited device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invitation {
    /// Who may open it.
    pub device: DeviceId,
    /// An MLSMessage with a Welcome.
    pub welcome: Bytes,
}

/// An envelope with its place in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logged {
    /// Its seq.
    pub seq: Seq,
    /// The logged bytes.
    pub bytes: Bytes,
}

/// Wraps a client frame's body for the socket.
pub fn client_frame(body: pb::client_frame::Body) -> Bytes {
    codec::encode(&pb::ClientFrame { body: Some(body) })
}

/// Wraps a daemon frame's body for the socket.
pub fn server_frame(body: pb::server_frame::Body) -> Bytes {
    codec::encode(&pb::ServerFrame { body: Some(body) })
}

/// Reads a client frame.
///
/// # Errors
/// [`DecodeError`] when it is over [`limits::FRAME`], not protobuf, or of no known body.
pub fn read_client_frame(bytes: Bytes) -> Result<pb::client_frame::Body, DecodeError> {
    let frame: pb::ClientFrame = codec::decode("frame", bytes, limits::FRAME)?;
    frame.body.ok_or(DecodeError::Malformed("frame"))
}

/// Reads a daemon frame; `None` is one of a kind that this version does not know, to be skipped.
///
/// # Errors
/// [`DecodeError`] when it is over [`limits::FRAME`] or not protobuf.
pub fn read_server_frame(bytes: Bytes) -> Result<Option<pb::server_frame::Body>, DecodeError> {
    let frame: pb::ServerFrame = codec::decode("frame", bytes, limits::FRAME)?;
    Ok(frame.body)
}
