//! Keeps an opened key warm for a chosen time, so that scripts do not pay Argon2id with each command.
//!
//! `qchat unlock` starts a process of its own that holds the database's key in memory and serves it over a Unix socket
//! in the profile's directory, to processes of the same user alone, until the time is over or `qchat lock` ends it. The
//! key reaches that process through a pipe; it never stands in an argument, in the environment or in a file.

mod address;
mod client;
mod message;
mod server;

pub use address::LONGEST;
pub use client::{key, lock, remaining, start};
pub use server::{Agent, serve};

use std::time::Duration;

use crate::local::LocalError;

/// How long a key is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keeping {
    /// At most: 1 second to 30 days.
    pub lifetime: Duration,
    /// And not after nobody has asked for it for so long; the same bounds.
    pub idle: Option<Duration>,
}

/// The agent cannot be started, reached or believed.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// An agent for this profile is running already; it can be locked first.
    #[error("an agent holds this profile's key already; end it with `qchat lock`")]
    Running,
    /// What came over the socket or pipe is not the agent's protocol.
    #[error("the agent gave an answer that makes no sense")]
    Protocol,
    /// The agent's process ended before it was ready.
    #[error("the agent's process did not start")]
    Start,
    /// The time is zero or over 30 days.
    #[error("a key can be kept for 1 second to 30 days")]
    Lifetime,
    /// The socket cannot be used.
    #[error(transparent)]
    Socket(#[from] LocalError),
}
