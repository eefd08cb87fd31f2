//! What crosses the network between `qchat` and `qchatd`: frames, REST bodies and faults.

pub mod api;
pub mod chunk;
pub mod codec;
pub mod fault;
pub mod frame;
pub mod server_key;
pub mod trace;
pub mod tree;

/// The generated types of `proto/qchat/v1/*.proto`; the `.proto` files document them.
#[allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated code")]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/qchat.v1.rs"));
}

/// The protocol versions this build speaks, oldest and newest.
pub const VERSIONS: std::ops::RangeInclusive<u32> = 1..=1;

/// Picks the newest version that both sides speak.
pub fn negotiate(theirs: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let newest = (*VERSIONS.end()).min(*theirs.end());
    let oldest = (*VERSIONS.start()).max(*theirs.start());
    (oldest <= newest).then_some(newest)
}

/// Sizes that both sides keep to.
pub mod limits {
    use crate::ids::Seq;

    /// Largest application or proposal payload, bytes: the longest text, padded to 64 KiB, with what MLS adds, of which the
    /// signature of ML-DSA-65 is the most.
    pub const APPLICATION: usize = 72 * 1024;
    /// Largest commit payload, bytes: 4 MiB. The largest that clients make adds 100 devices: 2.8 MB in a room of 1,000 of
    /// which hardly any has made a commit yet, 16.2 kB for each that it adds and 1.2 kB for each that was there, so that
    /// rooms of 2,000 fit. Removing 100 takes 1.1 MB there, fresh keys 1.2 MB at most.
    pub const COMMIT: usize = 4 * 1024 * 1024;
    /// Largest request to be added again, bytes: a KeyPackage, a signature and a few numbers.
    pub const RESYNC: usize = 72 * 1024;
    /// Largest word that a room goes on with another group, bytes: a signature and a few numbers.
    pub const RESTART: usize = 4 * 1024;
    /// Largest ratchet tree, bytes: 24 MiB. A device takes 11.4 kB of it, so that some 2,200 fit. It travels by REST and in
    /// no frame.
    pub const RATCHET_TREE: usize = 24 * 1024 * 1024;
    /// Largest WebSocket message, bytes: 6 MiB. Room for a commit and its Welcomes, 5 kB each.
    pub const FRAME: usize = 6 * 1024 * 1024;
    /// Largest REST body, bytes.
    pub const BODY: usize = 2 * 1024 * 1024;
    /// The last seq that a room can have: 2⁶³ − 1.
    pub const SEQ: Seq = Seq(i64::MAX.unsigned_abs());
    /// Most envelopes in a page.
    pub const PAGE_ENVELOPES: u32 = 500;
    /// Bytes of envelopes after which a page ends (it holds one envelope at least).
    pub const PAGE_BYTES: usize = 1024 * 1024;
    /// Most KeyPackages in one upload.
    pub const KEY_PACKAGES: usize = 100;
    /// Largest KeyPackage, bytes.
    pub const KEY_PACKAGE: usize = 64 * 1024;
    /// Largest answer to a new device, bytes, and largest opening.
    pub const LINK: usize = 8 * 1024;
    /// Largest grant to a device, bytes: 1.25 MiB, which some 5,000 contacts fill, and which fits into a body as base64url.
    pub const GRANT: usize = 1280 * 1024;
    /// Largest device label, bytes.
    pub const LABEL: usize = 256;
    /// Largest notes of an account, bytes: 256 KiB, which some 3,000 rooms and people fill.
    pub const NOTES: usize = 256 * 1024 + 64;
    /// Most join requests that wait in a room.
    pub const JOIN_REQUESTS: u64 = 64;
    /// Most join requests that travel at once.
    pub const JOIN_REQUESTS_AT_ONCE: i64 = 256;
    /// Largest part of a backup, bytes: 256 KiB.
    pub const BACKUP_CHUNK: usize = 256 * 1024;
    /// Most parts of a backup, without the one that names the others, whose size this is: 1.9 GiB in all.
    pub const BACKUP_CHUNKS: usize = 8_000;
    /// Most devices of an account that have a backup, those that are gone included.
    pub const BACKUPS: usize = 16;
    /// Largest sealed statement that nobody keeps, bytes; there is one size.
    pub const EPHEMERAL: usize = 3412;
    /// Most changes in one commit's delta.
    pub const DELTA: usize = 200;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_wins() {
        assert_eq!(negotiate(1..=9), Some(1));
        assert_eq!(negotiate(2..=9), None);
        assert_eq!(negotiate(0..=0), None);
    }
}
