//! How a device follows and writes a room's log: pure steps over a [`ledger::Ledger`], without sockets or clock.

pub mod ledger;
