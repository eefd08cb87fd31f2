//! The agent's socket: where it is, who may be at its other end, how long both sides wait.

use std::{os::unix::net::UnixStream, path::Path, time::Duration};

use super::AgentError;
use crate::local::{Address, expect_same_user};

/// How long either side waits for the other's few bytes.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The longest that a key may be kept.
pub const LONGEST: Duration = Duration::from_hours(30 * 24);

const SOCKET: &str = "agent.sock";

/// The socket's address.
pub(super) fn address(dir: &Path) -> Result<Address, AgentError> {
    Ok(Address::of(dir, SOCKET)?)
}

/// Refuses a peer that runs as another user, and bounds how long it may take.
pub(super) fn check_peer(stream: &UnixStream) -> Result<(), AgentError> {
    expect_same_user(stream)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(|_| AgentError::Protocol)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(|_| AgentError::Protocol)
}
