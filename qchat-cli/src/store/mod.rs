//! One encrypted database per profile: everything this device remembers, each change in one durable transaction.
//!
//! [`Profile`] opens the database and runs transactions; [`Tx`] is what a transaction may do. The protocol's memory
//! (`qchat_proto::session::ledger::Ledger`) is implemented for it, beside the queries that screens need.

mod acts;
mod backups;
mod changes;
mod connect;
mod contacts;
mod convert;
mod deletions;
mod directory;
mod drafts;
mod error;
mod exercises;
mod file;
mod files;
mod groups;
mod history;
mod identity;
mod invitees;
mod kept;
mod key_packages;
mod ledger;
mod link_requests;
mod links;
mod lock;
mod notes;
mod notice;
mod old_copy;
mod outbox;
mod own;
mod prepared;
mod profile;
mod profiles;
pub mod quantum;
mod queue;
mod receipts;
mod recovery;
mod renewals;
mod resyncs;
mod rooms;
mod rotation;
mod scheduled;
mod schema;
mod search;
mod seen;
mod session;
mod shared_keys;
mod states;
mod timeline;
mod tx;
mod unread_lines;

pub use acts::PassphraseChange;
pub use backups::{OwnBackups, Restoring};
pub use contacts::{AccountKey, Contact, Standing};
pub use deletions::Deletion;
pub use directory::{DirectoryState, Evidence, HeardHead, OwnEntry};
pub use error::StoreError;
pub use exercises::{HeardStep, StoredExercise};
pub use files::{Download, Upload};
pub use identity::Identity;
pub use key_packages::KeyPackageSecret;
pub use links::{Answered, Handed, Linking};
pub use lock::ProfileLock;
pub use outbox::{Waiting, WaitingState};
pub use profile::Profile;
pub use profiles::ToldProfile;
pub use receipts::Progress;
pub use rooms::{InvitationRow, RoomRow};
pub use rotation::{AccountIdentity, DeviceKey, NextKey};
pub use scheduled::Scheduled;
pub use search::{
    find::{Found, Has, Part, Search},
    highlight::highlights,
    terms::Term,
};
pub use session::SessionTokens;
pub use timeline::{Delivery, Line, LineBody};
pub use tx::Tx;

#[cfg(test)]
mod tests;
