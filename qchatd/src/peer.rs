//! Who is at the other end of a connection, as limits and logs know it.

use std::{fmt, net::SocketAddr};

/// The other end of a connection; stands in the extensions of its requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Where it comes from, as the proxy says where there is one; unknown behind a Unix socket.
    pub address: Option<SocketAddr>,
    /// Whether this daemon speaks TLS with it.
    pub encrypted: bool,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => address.fmt(f),
            None => f.write_str("a local socket"),
        }
    }
}
