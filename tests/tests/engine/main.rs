//! The client engine in this process, against the built daemon.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod blocked;
mod cluster;
mod consent;
mod cuts;
mod deleted;
mod delisted;
mod directory;
mod disk;
mod find;
mod invitations;
mod kept;
mod keys;
mod messages;
mod person;
mod refusals;
mod registration;
mod renewals;
mod resync;
mod reuse;
mod rooms;
mod rotation;
mod theft;
mod trees;
mod trust;
#[path = "../../../qchat-proto/tests/session/witness.rs"]
mod witness;
