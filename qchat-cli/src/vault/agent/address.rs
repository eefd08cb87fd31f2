//! The agent's socket: where it is, who may be at its other end, how long both sides wait.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::{ffi::OsStrExt, fs::MetadataExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use super::AgentError;

/// How long either side waits for the other's few bytes.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The longest that a key may be kept.
pub const LONGEST: Duration = Duration::from_hours(30 * 24);

const SOCKET: &str = "agent.sock";
/// Longest path that fits into `sockaddr_un` on every system that this runs on, bytes.
const MOST_PATH: usize = 100;

/// The socket's address. A path that is too long for one is reached through the opened directory.
pub(super) struct Address {
    pub(super) path: PathBuf,
    short: PathBuf,
    _dir: File,
}

impl Address {
    pub(super) fn of(dir: &Path) -> Result<Self, AgentError> {
        let failed = |source| AgentError::Io { what: "use", path: dir.to_owned(), source };
        let opened = File::open(dir).map_err(failed)?;
        // Whoever could put a socket here could hand us a key of theirs.
        if opened.metadata().map_err(failed)?.uid() != rustix::process::geteuid().as_raw() {
            return Err(AgentError::ForeignPeer);
        }
        let path = dir.join(SOCKET);
        let short = if path.as_os_str().as_bytes().len() <= MOST_PATH {
            path.clone()
        } else {
            PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", opened.as_raw_fd()))
        };
        Ok(Self { path, short, _dir: opened })
    }

    /// What to bind and connect to while this lives.
    pub(super) fn socket(&self) -> &Path {
        &self.short
    }

    pub(super) fn failed(&self, what: &'static str) -> impl FnOnce(io::Error) -> AgentError {
        let path = self.path.clone();
        move |source| AgentError::Io { what, path, source }
    }
}

/// Refuses a peer that runs as another user, and bounds how long it may take.
pub(super) fn check_peer(stream: &UnixStream) -> Result<(), AgentError> {
    let foreign = |_| AgentError::ForeignPeer;
    let peer = rustix::net::sockopt::socket_peercred(stream.as_fd()).map_err(foreign)?;
    if peer.uid != rustix::process::geteuid() {
        return Err(AgentError::ForeignPeer);
    }
    stream.set_read_timeout(Some(PATIENCE)).map_err(|_| AgentError::Protocol)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(|_| AgentError::Protocol)
}
