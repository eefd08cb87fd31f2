//! Devices and a relay without sockets or clock: what the session promises, under order, loss and crashes.

mod hostile;
mod ledger;
mod members;
mod peer;
mod random;
mod relay;
