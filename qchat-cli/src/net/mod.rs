//! The way to the daemon: TLS, REST, the socket, and when to try again. Nothing here knows what it carries.

mod base;
mod error;
pub mod reconnect;
pub mod rest;
pub mod socket;
pub mod tls;
mod untrusted;
pub mod webhook;

use self::tls::Link;
pub use base::{Base, Server};
pub use error::NetError;
pub use untrusted::Untrusted;

/// How the way to a daemon is protected, as a connection of its own shows.
///
/// # Errors
/// [`NetError`], when there is no connection or the server is not trusted.
pub async fn look(base: &Base) -> Result<Link, NetError> {
    Ok(base.connect().await?.1)
}
