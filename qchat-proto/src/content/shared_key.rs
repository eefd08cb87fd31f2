//! What devices say to one another before they mix a key from elsewhere into their room. docs/PROTOCOL.md, "Pre-shared
//! keys".

use bytes::Bytes;

use crate::{
    mls::psk::{PskId, PskKind},
    wire::pb,
};

/// Longest name of an application at a key management entity, bytes.
pub const MAX_SAE: usize = 128;

/// A step towards a key from elsewhere in the room's key schedule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SharedKey {
    /// The room's key that is made of it; of a kind that has short names.
    pub id: PskId,
    /// What its sender says of it.
    pub step: KeyStep,
}

/// What a device says of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyStep {
    /// It has the key, and the others are to get it.
    Offered {
        /// The application that has had the key given out, as its key management entity calls it: not yet fit for a
        /// terminal. Nothing for a key of an exercise, as is the next.
        master: String,
        /// The application that it was given out for.
        slave: String,
    },
    /// It has the key too.
    Held {
        /// Shows that it does ([`crate::mls::psk::Psk::confirmation`]).
        confirmation: [u8; 32],
    },
    /// It has deleted the key.
    GivenUp {
        /// Because somebody else's is another under this name.
        differs: bool,
    },
}

impl SharedKey {
    pub(super) fn to_wire(&self) -> pb::SharedKey {
        use pb::shared_key::{GivenUp, Held, Offered, Step};
        let step = match &self.step {
            KeyStep::Offered { master, slave } => {
                Step::Offered(Offered { master_sae: master.clone(), slave_sae: slave.clone() })
            }
            KeyStep::Held { confirmation } => {
                Step::Held(Held { confirmation: Bytes::copy_from_slice(confirmation) })
            }
            KeyStep::GivenUp { differs } => Step::GivenUp(GivenUp { differs: *differs }),
        };
        let kind = match self.id.kind {
            PskKind::QuantumLink => 0,
            PskKind::Exercise => PskKind::Exercise.number().into(),
        };
        pb::SharedKey { key_id: Bytes::copy_from_slice(&self.id.id[..16]), kind, step: Some(step) }
    }

    /// `None` for what no version of now says.
    pub(super) fn from_wire(raw: pb::SharedKey) -> Option<Self> {
        use pb::shared_key::Step;
        let key_id = raw.key_id.as_ref().try_into().ok()?;
        // One key has one form.
        let (id, sae) = match raw.kind {
            0 => (PskId::quantum_link(key_id), 1..=MAX_SAE),
            kind if kind == u32::from(PskKind::Exercise.number()) => (PskId::exercise(key_id), 0..=0),
            _ => return None,
        };
        let step = match raw.step? {
            Step::Offered(said) => {
                if [&said.master_sae, &said.slave_sae].iter().any(|said| !sae.contains(&said.len())) {
                    return None;
                }
                KeyStep::Offered { master: said.master_sae, slave: said.slave_sae }
            }
            Step::Held(said) => KeyStep::Held { confirmation: said.confirmation.as_ref().try_into().ok()? },
            Step::GivenUp(said) => KeyStep::GivenUp { differs: said.differs },
        };
        Some(Self { id, step })
    }
}
