//! What two members' devices say to one another in a simulated run of BB84. What their ends of the run say is bytes here.
//! docs/PROTOCOL.md, "Exercises".

use bytes::Bytes;

use crate::{
    ids::{AccountId, DeviceId},
    wire::pb,
};

/// Most bytes of a part.
pub const MAX_PART: usize = 24 * 1024;
/// Most bytes of the terms of a run.
pub const MAX_TERMS: usize = 512;

/// A step of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exercise {
    /// The run's name: random, chosen by the device that asks.
    pub id: [u8; 16],
    /// What its sender says.
    pub step: ExerciseStep,
}

/// What a device says in a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExerciseStep {
    /// It asks a member to take part.
    Asked {
        /// Whom.
        account: AccountId,
        /// What the run is to be, as its two ends write it: not checked here.
        terms: Bytes,
        /// Whether its key is then mixed into the room.
        mixes: bool,
    },
    /// It takes part.
    Agreed,
    /// A part of what its end says.
    Part {
        /// Counts all parts of this device in this run, from 0.
        number: u32,
        /// Whether what it says ends with it.
        last: bool,
        /// The bytes.
        data: Bytes,
        /// For which device.
        device: DeviceId,
    },
    /// Its end is over.
    Ended {
        /// Bits of its key, as it says; 0 where there is none.
        key_bits: u32,
        /// It was asked and said no.
        declined: bool,
    },
}

impl Exercise {
    pub(super) fn to_wire(&self) -> pb::Exercise {
        use pb::exercise::{Agreed, Asked, Ended, Part, Step};
        let step = match &self.step {
            ExerciseStep::Asked { account, terms, mixes } => Step::Asked(Asked {
                account: Bytes::copy_from_slice(account.as_bytes()),
                terms: terms.clone(),
                mixes: *mixes,
            }),
            ExerciseStep::Agreed => Step::Agreed(Agreed {}),
            ExerciseStep::Part { number, last, data, device } => Step::Part(Part {
                number: *number,
                last: *last,
                data: data.clone(),
                device: Bytes::copy_from_slice(device.as_bytes()),
            }),
            ExerciseStep::Ended { key_bits, declined } => {
                Step::Ended(Ended { key_bits: *key_bits, declined: *declined })
            }
        };
        pb::Exercise { id: Bytes::copy_from_slice(&self.id), step: Some(step) }
    }

    /// `None` for what no version of now says.
    pub(super) fn from_wire(raw: pb::Exercise) -> Option<Self> {
        use pb::exercise::Step;
        let step = match raw.step? {
            Step::Asked(said) if said.terms.len() <= MAX_TERMS => ExerciseStep::Asked {
                account: AccountId::try_from(&said.account[..]).ok()?,
                terms: said.terms,
                mixes: said.mixes,
            },
            Step::Part(said) if said.data.len() <= MAX_PART => ExerciseStep::Part {
                number: said.number,
                last: said.last,
                data: said.data,
                device: DeviceId::try_from(&said.device[..]).ok()?,
            },
            Step::Asked(_) | Step::Part(_) => return None,
            Step::Agreed(_) => ExerciseStep::Agreed,
            Step::Ended(said) => ExerciseStep::Ended { key_bits: said.key_bits, declined: said.declined },
        };
        Some(Self { id: raw.id.as_ref().try_into().ok()?, step })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::content::{Body, Content};

    #[test]
    fn what_is_said_in_a_run_is_read_back_and_what_makes_no_sense_is_unknown() {
        let asked = |terms: usize| ExerciseStep::Asked {
            account: AccountId::from_bytes([4; 16]),
            terms: vec![7; terms].into(),
            mixes: true,
        };
        let part = |size: usize| ExerciseStep::Part {
            number: 9,
            last: false,
            data: vec![1; size].into(),
            device: DeviceId::from_bytes([6; 16]),
        };
        for (step, known) in [
            (asked(40), true),
            (asked(MAX_TERMS + 1), false),
            (ExerciseStep::Agreed, true),
            (part(0), true),
            (part(MAX_PART), true),
            (part(MAX_PART + 1), false),
            (ExerciseStep::Ended { key_bits: 300, declined: false }, true),
            (ExerciseStep::Ended { key_bits: 0, declined: true }, true),
        ] {
            let content = Content::exercise(Exercise { id: [3; 16], step }, 5);
            let body = if known { content.body.clone() } else { Body::Unknown };
            assert_eq!(Content::decode(&content.encode()), Ok(Content { body, ..content }));
        }
        let mut nameless = Exercise { id: [3; 16], step: ExerciseStep::Agreed }.to_wire();
        nameless.id.truncate(15);
        assert_eq!(Exercise::from_wire(nameless.clone()), None);
        nameless.step = None;
        assert_eq!(
            Exercise::from_wire(pb::Exercise::decode(nameless.encode_to_vec().as_slice()).unwrap()),
            None
        );
    }
}
