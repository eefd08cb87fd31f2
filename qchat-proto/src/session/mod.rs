//! How a device follows and writes a room's log: pure steps over a [`ledger::Ledger`], without sockets or clock.

mod announce;
pub mod authenticated;
pub mod ephemeral;
pub mod error;
mod groups;
pub mod head;
pub mod inbox;
pub mod joining;
pub mod ledger;
mod list;
pub mod outbox;
pub mod restart;
pub mod resync;
pub mod shared_key;
