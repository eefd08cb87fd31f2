//! Backups: what a device keeps at a server that can neither read nor forge it, for whoever has the recovery words.
//!
//! ```text
//! recovery words ─┬─ recovery signing key ── signs ──► BackupKey: the public key that backups are sealed to
//!                 └─ backup key (X-Wing) ◄── sealed to it: account identity key, backup secret
//! BackupHead: version, hash of the head before, how much there is, what is sealed; signed by the account identity key
//!    └─ names the index, a chunk that names all other chunks
//! backup secret ─► chunks: each under a key of its own, named by a keyed hash of what is in it
//! ```
//!
//! Creating one needs no words: the profile holds the signed [`BackupKey`]. Each device has a series of its own, with its
//! own secret, since no device can open what another one has sealed.
//!
//! docs/PROTOCOL.md, "Backups".

mod chunk;
mod head;
mod item;
mod key;

pub use chunk::{BackupSecret, ChunkError};
pub use head::{BackupHead, OpenedHead};
pub use item::{Item, KeptMessage, KeptNotice, KeptRoom};
pub use key::BackupKey;
