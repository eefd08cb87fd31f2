//! Keys of QKD equipment: a client and a pair of KMEs that speak ETSI GS QKD 014.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed; its helpers stand outside #[test] functions"
)]

mod client;
mod rooms;
