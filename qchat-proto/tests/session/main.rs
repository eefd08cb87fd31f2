//! Devices and a relay without sockets or clock: what the session promises, under order, loss and crashes.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed; its helpers stand outside #[test] functions"
)]

mod devices;
mod hostile;
mod insider;
mod insiders;
mod invitations;
mod invite_links;
mod judge;
mod ledger;
mod members;
mod peer;
mod properties;
mod random;
mod relay;
mod renewals;
mod restarts;
mod resync;
mod roles;
mod rotation;
mod shared_keys;
mod stored;
mod welcomes;
mod witness;
mod world;
