//! The client engine: the one place that decides what is sealed, sent, opened and stored.
//!
//! Clients hold a [`Handle`]: it reads the store, puts what people want into the outbox, and gives events. Behind it one
//! task, the actor, owns the connection; what it does is decided by a core without I/O.

mod access;
mod actor;
mod clock;
mod consent;
mod core;
mod deletion;
mod duties;
mod entropy;
mod error;
mod find;
mod handle;
mod invitations;
mod key_log;
mod parts;
mod people;
mod readmission;
mod register;
mod restart;
mod rooms;
mod server;
mod steps;
mod tidy;
mod transparency;
pub mod types;
mod upkeep;
mod view;

pub use consent::{Accept, NoSuchChoice};
pub use error::EngineError;
pub use handle::{Handle, Me, Options};
pub use register::{Registered, Stage, login, register};
pub use server::{ServerReport, server};
pub use transparency::{AuditReport, Audited, DirectoryFault, Log, Logged, Said};

pub use crate::net::{
    Server,
    tls::{Choice, KeyExchange, Link, Trust},
};
