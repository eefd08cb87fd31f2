//! The way to the daemon: REST, the socket, and when to try again. Nothing here knows what it carries.

mod error;
pub mod reconnect;
pub mod rest;
pub mod socket;

pub use error::NetError;
