//! The head: one hash over everything that a room's log holds, so that members who see different logs find out.

use sha2::{Digest, Sha384};

use crate::{
    ids::{RoomId, Seq},
    session::ledger::Head,
};

const LABEL: &[u8] = b"qchat room head v1";

/// h_0, the head of an empty log: 48 zero bytes.
pub const EMPTY: Head = [0; 48];

/// Of a log that this device has not read as a whole: what it missed is no longer kept. No hash comes out like this.
pub const UNKNOWN: Head = [0xff; 48];

/// SHA-384 of logged bytes.
pub fn logged_hash(logged: &[u8]) -> [u8; 48] {
    Sha384::digest(logged).into()
}

/// h_s = SHA-384(label ‖ h_{s−1} ‖ room ‖ s ‖ SHA-384(logged bytes)), s as 8 bytes, big endian. After
/// [`UNKNOWN`] it stays unknown.
pub fn next(before: &Head, room: RoomId, seq: Seq, logged: &[u8]) -> Head {
    if *before == UNKNOWN {
        return UNKNOWN;
    }
    Sha384::new()
        .chain_update(LABEL)
        .chain_update(before)
        .chain_update(room.as_bytes())
        .chain_update(seq.0.to_be_bytes())
        .chain_update(logged_hash(logged))
        .finalize()
        .into()
}
