//! A file of this machine that is sent: read where it stands, and noticed when it changes meanwhile.

use std::{
    fmt,
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
    /// What is sent in its place, under its name: what was never on a disk.
    pub memory: Option<Memory>,
    /// What it is; empty when nobody knows.
    pub media_type: String,
    /// What is said with it, which may be nothing, and what belongs to that.
    pub draft: Draft,
    /// Whether it was spoken for this conversation.
    pub voice: bool,
    /// How long it plays, milliseconds; 0 when that is not known.
    pub duration_ms: u32,
}

/// Bytes that are sent out of memory.
#[derive(Clone)]
pub struct Memory(Arc<Zeroizing<Vec<u8>>>);

impl Memory {
    /// These.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(Arc::new(bytes))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Memory").field(&self.0.len()).finish()
    }
}

/// Where its bytes are.
#[derive(Clone)]
enum Held {
    File(Arc<File>),
    Memory(Memory),
}

/// It, open.
#[derive(Clone)]
pub(super) struct Open {
    held: Held,
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
        Ok(Self { held: Held::File(Arc::new(file)), path: whole, size, state, alone })
    }

    /// What is in memory, under a name. Nobody can go on with it when it was interrupted.
    pub(super) fn hold(path: &Path, memory: Memory) -> Self {
        let size = u64::try_from(memory.0.len()).unwrap_or(u64::MAX);
        Self { held: Held::Memory(memory), path: path.to_owned(), size, state: Vec::new(), alone: false }
    }

    /// Its place, the same however it was named.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a stretch of it.
    pub(super) fn read(&self, at: u64, length: usize) -> Result<Zeroizing<Vec<u8>>, FileTrouble> {
        let file = match &self.held {
            Held::File(file) => file,
            Held::Memory(Memory(all)) => {
                let from = usize::try_from(at).ok();
                let stretch = from.and_then(|from| all.get(from..from.checked_add(length)?));
                let stretch = stretch.ok_or_else(|| FileTrouble::Changed(self.path.clone()))?;
                return Ok(Zeroizing::new(stretch.to_vec()));
            }
        };
        let mut bytes = Zeroizing::new(vec![0; length]);
        match file.read_exact_at(&mut bytes, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(FileTrouble::Changed(self.path.clone()));
            }
            read => read.map_err(|error| self.failed(&error))?,
        }
        let now = file.metadata().map_err(|error| self.failed(&error))?;
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
