//! The wire protocol and the cryptographic protocol of qchat, without I/O: no runtime, no database, no file system,
//! no clock. Time and randomness are arguments. `docs/PROTOCOL.md` is its specification.

pub mod content;
pub mod conversation;
pub mod crypto;
pub mod emoji;
pub mod file;
pub mod identity;
pub mod ids;
pub mod invite;
pub mod mls;
pub mod safety;
pub mod sanitize;
pub mod session;
pub mod transparency;
pub mod vault;
pub mod wire;
