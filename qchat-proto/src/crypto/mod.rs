//! The primitives, one file per idea. Nothing here knows of MLS, accounts or the wire.

pub mod aead;
pub mod entropy;
pub mod hpke;
pub mod kdf;
pub mod password;
pub mod secret;
pub mod sign;
