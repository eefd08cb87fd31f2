//! Unix sockets in a profile's directory: where they are, and who may be at their other end.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
};

/// Longest path that fits into `sockaddr_un` on every system that this runs on, bytes.
const MOST_PATH: usize = 100;

/// A socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The directory, or the process at the other end, is another user's.
    #[error("the socket belongs to another user; refusing to use it")]
    Foreign,
    /// The system refused.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A socket's address. A path that is too long for one is reached through the opened directory.
pub(crate) struct Address {
    /// Where it is.
    pub(crate) path: PathBuf,
    short: PathBuf,
    _dir: File,
}

impl Address {
    /// The socket `name` of the profile in `dir`.
    ///
    /// # Errors
    /// [`LocalError`].
    pub(crate) fn of(dir: &Path, name: &str) -> Result<Self, LocalError> {
        let failed = |source| LocalError::Io { what: "use", path: dir.to_owned(), source };
        let opened = File::open(dir).map_err(failed)?;
        // Whoever could put a socket here could pass for the one that is meant.
        if opened.metadata().map_err(failed)?.uid() != rustix::process::geteuid().as_raw() {
            return Err(LocalError::Foreign);
        }
        let path = dir.join(name);
        let short = if path.as_os_str().as_bytes().len() <= MOST_PATH {
            path.clone()
        } else {
            PathBuf::from(format!("/proc/self/fd/{}/{name}", opened.as_raw_fd()))
        };
        Ok(Self { path, short, _dir: opened })
    }

    /// What to bind and connect to while this lives.
    pub(crate) fn socket(&self) -> &Path {
        &self.short
    }

    /// Says what was tried with it.
    pub(crate) fn failed(&self, what: &'static str) -> impl FnOnce(io::Error) -> LocalError {
        let path = self.path.clone();
        move |source| LocalError::Io { what, path, source }
    }
}

/// Refuses a peer that runs as another user.
///
/// # Errors
/// [`LocalError::Foreign`], also where the system does not say who it is.
pub(crate) fn expect_same_user(stream: &impl AsFd) -> Result<(), LocalError> {
    let peer = rustix::net::sockopt::socket_peercred(stream.as_fd()).map_err(|_| LocalError::Foreign)?;
    if peer.uid == rustix::process::geteuid() { Ok(()) } else { Err(LocalError::Foreign) }
}
