//! How far a device has got with a room's log.

use crate::{ids::Seq, wire::pb};

/// A receipt: one says all that earlier ones of its device have said. It counts up to the seq before its own.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Receipt {
    /// The device has stored all up to this seq; 0: it does not say.
    pub delivered: Seq,
    /// Its user has seen all up to this seq; 0: it does not say.
    pub read: Seq,
}

impl Receipt {
    pub(super) fn to_wire(self) -> pb::Receipt {
        pb::Receipt { delivered: self.delivered.0, read: self.read.0 }
    }

    pub(super) fn from_wire(raw: pb::Receipt) -> Self {
        Self { delivered: Seq(raw.delivered), read: Seq(raw.read) }
    }

    /// What can be true of one that stands at `seq` itself: nobody has read what comes later.
    #[must_use]
    pub fn before(self, seq: Seq) -> Self {
        let last = Seq(seq.0.saturating_sub(1));
        Self { delivered: self.delivered.min(last), read: self.read.min(last) }
    }
}
