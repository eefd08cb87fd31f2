//! The client engine: the one place that decides what is sealed, sent, opened and stored.
//!
//! Clients hold a [`Handle`]: it reads the store, puts what people want into the outbox, and gives events. Behind it one
//! task, the actor, owns the connection; what it does is decided by a core without I/O.

mod access;
mod activity;
mod actor;
mod appearing;
mod backup;
mod claims;
mod clock;
mod consent;
mod core;
mod deletion;
mod departure;
mod devices;
mod direct;
mod duties;
mod entropy;
mod error;
mod exercises;
mod export;
mod files;
mod find;
mod handle;
mod invitations;
mod invite_links;
mod key_log;
mod mentions;
mod notes;
mod old_copy;
mod origins;
mod own;
mod parts;
mod passphrase;
mod people;
mod permission;
pub(crate) mod pictures;
mod place;
mod presence;
mod profiles;
mod quantum;
mod readmission;
mod receipts;
mod recovering;
pub mod recovery;
mod register;
mod restart;
mod rooms;
mod roster;
mod rotation;
mod said;
mod search;
mod server;
mod settings;
mod shared_keys;
mod shown;
mod steady;
mod steps;
mod tidy;
mod transparency;
mod trust;
pub mod types;
mod unread_line;
mod upkeep;
mod view;
mod waiting;
mod writing;

pub use activity::{activity, activity_moment, activity_words};
pub use backup::{KeptBackup, Made, Making, Offer, RestoreStage, Restored, restore};
pub use consent::{Accept, NoSuchChoice};
pub use departure::{delete_account, deletion_has_begun, destroy_profile};
pub use devices::{Applicant, LinkStage, Revoked, TakenBack, host_name, link};
pub use error::EngineError;
pub use exercises::{ExerciseAsked, ExerciseRun, Heard};
pub use export::export;
pub use files::{Destination, FileTrouble, FoundFile, Memory, Source, Transfer};
pub use handle::{Handle, Me, Options};
pub use invite_links::{Admission, LinkTerms};
pub use notes::{Mark, Noted};
pub use old_copy::Recovered;
pub use origins::Origin;
pub use parts::whoami;
pub use passphrase::{Change, change_passphrase, passphrase_change_is_unfinished};
pub use place::{NewVault, quantum};
pub use presence::{Appearance, Presence, Standing as PresenceStanding};
pub use quantum::{QuantumJob, QuantumOverview};
pub use receipts::Reached;
pub use register::{Registered, Stage, login, register};
pub use roster::MemberDevice;
pub use rotation::Rotated;
pub use search::{Hit, Hits, Part};
pub use server::{ServerReport, server};
pub use shared_keys::{KeyInRoom, KeyOutcome};
pub use transparency::{AuditReport, Audited, DirectoryFault, Log, Logged, Said};
pub use trust::{ChangeKind, Comparison, IdentityChange};
pub use waiting::{Unsent, UnsentState};
pub use writing::{Draft, Retracted};

pub use qchat_proto::session::ledger::KeyLife;

pub use crate::net::{
    Server,
    tls::{Choice, KeyExchange, Link, Trust},
};
