//! How a passphrase opens the database: `vault.json`, and an agent that keeps an opened key warm for a while.
//!
//! The database's key is 32 random bytes. `vault.json`, beside the database, holds it encrypted under a key that
//! Argon2id makes of the passphrase and a salt that no server knows. Nothing on any server helps to open it.

pub mod agent;
mod error;
mod file;
pub mod strength;

pub use error::VaultError;
pub use file::{create, destroy, exists, is, replace, rewrap, unlock};
