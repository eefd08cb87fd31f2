//! Where a received file is put: in one directory, under a temporary name until all of it is there and is what was sent.
//!
//! Everything is done inside the directory that was opened first, by names without separators, and through no symbolic link:
//! neither a name nor whoever else can write there leads out of it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags, openat, renameat, renameat_with, statat, unlinkat},
    io::Errno,
};

use super::FileTrouble;

/// Where a file is to be.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The directory.
    pub directory: PathBuf,
    /// The name in it: one component of a path.
    pub name: String,
    /// Whether what is there may be written over.
    pub force: bool,
}

impl Destination {
    /// As it is shown, and as an interrupted attempt is found again.
    pub(super) fn path(&self) -> PathBuf {
        let directory = self.directory.canonicalize().unwrap_or_else(|_| self.directory.clone());
        directory.join(&self.name)
    }
}

/// A file that is being put there.
pub(super) struct Place {
    directory: OwnedFd,
    file: File,
    temporary: String,
    name: String,
    shown: PathBuf,
    force: bool,
}

impl Place {
    /// Opens the directory, and in it a new temporary file, or the one of an earlier attempt.
    pub(super) fn open(to: &Destination, temporary: &str, resume: bool) -> Result<Self, FileTrouble> {
        let shown = to.path();
        let failed = |reason: String| FileTrouble::Unwritable { path: shown.clone(), reason };
        if !is_component(&to.name) || !is_component(temporary) {
            return Err(failed("that is no name of a file".to_owned()));
        }
        let directory = directory(&to.directory).map_err(|error| failed(error.to_string()))?;
        if !to.force && exists(&directory, &to.name) {
            return Err(FileTrouble::Exists(shown));
        }
        let base = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let new = base | OFlags::CREATE | OFlags::EXCL;
        let opened = openat(&directory, temporary, if resume { base } else { new }, Mode::RUSR | Mode::WUSR);
        let file = File::from(opened.map_err(|error| failed(error.to_string()))?);
        let metadata = file.metadata().map_err(|error| failed(error.to_string()))?;
        let own = rustix::process::geteuid().as_raw();
        if !metadata.is_file() || metadata.nlink() != 1 || metadata.uid() != own {
            return Err(failed(format!(
                "{temporary} in that directory is not what an earlier attempt left there"
            )));
        }
        // Until this is dropped. A file system without locks keeps nobody from going on.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(FileTrouble::Busy(shown));
        }
        Ok(Self {
            directory,
            file,
            temporary: temporary.to_owned(),
            name: to.name.clone(),
            shown,
            force: to.force,
        })
    }

    /// Bytes that are there.
    pub(super) fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    pub(super) fn write(&self, at: u64, bytes: &[u8]) -> Result<(), FileTrouble> {
        self.file.write_all_at(bytes, at).map_err(|error| self.failed(&error))
    }

    /// What was written is on disk.
    pub(super) fn sync(&self) -> Result<(), FileTrouble> {
        self.file.sync_data().map_err(|error| self.failed(&error))
    }

    /// All of it is there: it gets its name.
    pub(super) fn finish(&self, size: u64) -> Result<(), FileTrouble> {
        let done = self.file.set_len(size).and_then(|()| self.file.sync_all());
        done.map_err(|error| self.failed(&error))?;
        let renamed = if self.force {
            renameat(&self.directory, &self.temporary, &self.directory, &self.name)
        } else {
            let (here, flags) = (&self.directory, RenameFlags::NOREPLACE);
            match renameat_with(here, &self.temporary, here, &self.name, flags) {
                // A file system that cannot.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if !exists(here, &self.name) => {
                    rustix::fs::linkat(here, &self.temporary, here, &self.name, AtFlags::empty())
                        .and_then(|()| unlinkat(here, &self.temporary, AtFlags::empty()))
                }
                other => other,
            }
        };
        match renamed {
            Err(Errno::EXIST) => return Err(FileTrouble::Exists(self.shown.clone())),
            renamed => renamed.map_err(|error| self.failed(&error.into()))?,
        }
        rustix::fs::fsync(&self.directory).map_err(|error| self.failed(&error.into()))
    }

    /// Takes the temporary file away.
    pub(super) fn discard(&self) {
        // What is left there is hidden, and harmless.
        let _ = unlinkat(&self.directory, &self.temporary, AtFlags::empty());
    }

    fn failed(&self, error: &io::Error) -> FileTrouble {
        FileTrouble::Unwritable { path: self.shown.clone(), reason: error.to_string() }
    }
}

/// Takes away what an attempt has left that was to become this file; that it is not there is as good.
pub(super) fn forget(path: &Path, temporary: &str) -> Result<(), FileTrouble> {
    let failed = |reason: String| FileTrouble::Unwritable { path: path.to_owned(), reason };
    if !is_component(temporary) {
        return Err(failed("that is no name of a file".to_owned()));
    }
    let directory = match directory(path.parent().unwrap_or(Path::new(""))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(|error| failed(error.to_string()))?,
    };
    match unlinkat(&directory, temporary, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn directory(path: &Path) -> io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = i32::try_from(OFlags::DIRECTORY.bits()).unwrap_or(0);
    Ok(OpenOptions::new().read(true).custom_flags(flags).open(path)?.into())
}

/// Whether anything is there under a name, be it a link to nowhere.
fn exists(directory: &OwnedFd, name: &str) -> bool {
    statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

fn is_component(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}
