//! How committed envelopes reach the hubs. One daemon has one hub; what runs between several nodes belongs here too.

mod local;

pub use local::Bus;
