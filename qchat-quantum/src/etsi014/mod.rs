//! A client of the key delivery interface of QKD equipment: ETSI GS QKD 014 V1.1.1. Two users whose key management entities
//! (KMEs) are the ends of one link get the same keys from them, each at its own end: the *master* has fresh keys given out,
//! tells the *slave* their ids, and the slave asks its own KME for the keys with these ids.
//!
//! Both know their KME by an authority's certificate, and the KME knows them by theirs (§4.3): whose keys they are is
//! decided by it. The KMEs see every key, and so does who controls them.
//!
//! This module alone of the crate does I/O, and none but to the KME: whoever uses it reads the files.

mod client;
mod error;
mod ids;
mod tls;
mod wire;

pub use client::Client;
pub use error::Etsi014Error;
pub use ids::{IdError, KeyId, SaeId};
pub use tls::Credentials;
pub use wire::{KEY_BITS, Key, Status};
