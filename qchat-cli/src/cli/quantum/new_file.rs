//! A file that a command is to make.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use crate::cli::failure::{Failure, Outcome};

/// A file that did not exist. It is there from the start, so that nothing is done for a name that is taken, and gone again when nothing
/// was written.
pub(super) struct NewFile<'a> {
    path: &'a Path,
    file: fs::File,
    written: bool,
}

impl<'a> NewFile<'a> {
    /// Makes it with these permissions, less what the process's mask takes.
    pub(super) fn reserve(path: &'a Path, mode: u32) -> Outcome<Self> {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(mode).open(path).map_err(|error| {
            Failure::usage(format!(
                "cannot make {}: {error}; name a file that does not exist",
                path.display()
            ))
        })?;
        Ok(Self { path, file, written: false })
    }

    /// Writes all of it.
    pub(super) fn write(mut self, content: &[u8]) -> Outcome {
        self.file
            .write_all(content)
            .map_err(|error| Failure::unexpected(format!("cannot write {}: {error}", self.path.display())))?;
        self.written = true;
        Ok(())
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if !self.written {
            drop(fs::remove_file(self.path));
        }
    }
}
