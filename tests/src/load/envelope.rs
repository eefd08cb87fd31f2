//! Envelopes that are well formed outside and random inside, one template for each sender: a message is the template
//! with another message id.
//!
//! Message ids are spread over all values, as those that clients draw, and yet say which sender's and which message of
//! his it is.

use anyhow::{Context as _, Result};
use qchat_proto::{
    ids::{DeviceId, MessageId, RoomId, Seq},
    wire::{
        frame::{self, Envelope, Kind},
        pb,
    },
};

use super::frames::put_binary;

/// Multiplying by it permutes the 64-bit numbers; this is its inverse (Steele and Vigna's spreading constants).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const GATHER: u64 = 0xf1de_83e1_9937_733d;

/// Message ids of one run of the tool.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    run: u64,
}

impl Ids {
    /// Ids that no other run has, if `run` is random.
    pub fn new(run: u64) -> Self {
        Self { run }
    }

    /// The id of a sender's message.
    pub fn id(self, sender: u32, number: u32) -> MessageId {
        let spread = (u64::from(sender) << 32 | u64::from(number)) ^ self.run;
        let spread = spread.wrapping_mul(SPREAD).swap_bytes().wrapping_mul(SPREAD);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&spread.to_be_bytes());
        bytes[8..].copy_from_slice(&self.run.to_be_bytes());
        MessageId::from_bytes(bytes)
    }

    /// Which sender's message has this id; `None` when it is of another run.
    pub fn read(self, id: MessageId) -> Option<(u32, u32)> {
        let (first, second) = id.as_bytes().split_at(8);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        if number(second) != self.run {
            return None;
        }
        let gathered = number(first).wrapping_mul(GATHER).swap_bytes().wrapping_mul(GATHER) ^ self.run;
        Some((u32::try_from(gathered >> 32).ok()?, u32::try_from(gathered & u64::from(u32::MAX)).ok()?))
    }
}

/// A sender's frame, complete but for the message id.
pub struct Template {
    bytes: Vec<u8>,
    at: usize,
}

impl Template {
    /// A publish of `payload` in `room`.
    ///
    /// # Errors
    /// Never, with a payload that has no zeros at random.
    pub fn new(room: RoomId, sender: DeviceId, commit_seq: Seq, payload: Vec<u8>) -> Result<Self> {
        const MARK: [u8; 16] = *b"\0message id here";
        let envelope = Envelope {
            room,
            message_id: MessageId::from_bytes(MARK),
            sender,
            kind: Kind::Application,
            commit_seq,
            payload: payload.into(),
            delta: Vec::new(),
        };
        let request = pb::Publish {
            request_id: 1,
            envelope: envelope.encode(),
            welcomes: Vec::new(),
            tree_hash: Vec::new().into(),
            after: Vec::new().into(),
        };
        let mut bytes = Vec::new();
        put_binary(&mut bytes, &frame::client_frame(pb::client_frame::Body::Publish(request)));
        let at = bytes.windows(MARK.len()).position(|window| window == MARK).context("no message id")?;
        Ok(Self { bytes, at })
    }

    /// Appends the frame with this id.
    pub fn put(&self, out: &mut Vec<u8>, id: MessageId) {
        let start = out.len() + self.at;
        out.extend_from_slice(&self.bytes);
        if let Some(place) = out.get_mut(start..start + 16) {
            place.copy_from_slice(id.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_and_those_of_other_runs_are_not() {
        let ids = Ids::new(0x0123_4567_89ab_cdef);
        let mut firsts = Vec::new();
        for (sender, number) in [(0, 0), (0, 1), (1, 0), (399, 70_000), (u32::MAX, u32::MAX)] {
            let id = ids.id(sender, number);
            assert_eq!(ids.read(id), Some((sender, number)));
            assert_eq!(Ids::new(1).read(id), None);
            firsts.push(id.as_bytes()[0]);
        }
        firsts.sort_unstable();
        firsts.dedup();
        assert!(firsts.len() > 3, "{firsts:?}");
    }
}
