//! A file of this machine that is sent: read where it stands, and noticed when it changes meanwhile.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{FlockOperation, OFlags, flock};
use zeroize::Zeroizing;

use super::FileTrouble;
use crate::engine::writing::Draft;

/// A file to be sent, and what is said with it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What it is; empty when nobody knows.
    pub media_type: String,
    /// What is said with it, which may be nothing, and what belongs to that.
    pub draft: Draft,
    /// Whether it was spoken for this conversation.
    pub voice: bool,
    /// How long it plays, milliseconds; 0 when that is not known.
    pub duration_ms: u32,
}

/// It, open.
#[derive(Clone)]
pub(super) struct Open {
    file: Arc<File>,
    path: PathBuf,
    pub(super) size: u64,
    /// What tells whether it has changed.
    pub(super) state: Vec<u8>,
    /// Whether no other process of ours is sending it.
    pub(super) alone: bool,
}

impl Open {
    pub(super) fn begin(path: &Path) -> Result<Self, FileTrouble> {
        let unreadable = |reason: String| FileTrouble::Unreadable { path: path.to_owned(), reason };
        let failed = |error: io::Error| unreadable(error.to_string());
        let whole = path.canonicalize().map_err(failed)?;
        // A pipe must not keep this waiting.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&whole).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(unreadable("it is no regular file".to_owned()));
        }
        let alone = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        let (size, state) = (metadata.len(), state(&metadata));
        Ok(Self { file: Arc::new(file), path: whole, size, state, alone })
    }

    /// Its place, the same however it was named.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a stretch of it.
    pub(super) fn read(&self, at: u64, length: usize) -> Result<Zeroizing<Vec<u8>>, FileTrouble> {
        let mut bytes = Zeroizing::new(vec![0; length]);
        match self.file.read_exact_at(&mut bytes, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(FileTrouble::Changed(self.path.clone()));
            }
            read => read.map_err(|error| self.failed(&error))?,
        }
        let now = self.file.metadata().map_err(|error| self.failed(&error))?;
        if state(&now) == self.state { Ok(bytes) } else { Err(FileTrouble::Changed(self.path.clone())) }
    }

    fn failed(&self, error: &io::Error) -> FileTrouble {
        FileTrouble::Unreadable { path: self.path.clone(), reason: error.to_string() }
    }
}

/// What is another when a file is another, or was written to: device, inode, size, time of the last change.
fn state(metadata: &Metadata) -> Vec<u8> {
    let mut state = Vec::with_capacity(48);
    for part in [metadata.dev(), metadata.ino(), metadata.len()] {
        state.extend_from_slice(&part.to_be_bytes());
    }
    for part in [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()] {
        state.extend_from_slice(&part.to_be_bytes());
    }
    state
}
