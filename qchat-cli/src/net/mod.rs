//! The network: REST, the socket, and when to try again.
