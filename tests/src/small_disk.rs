//! A disk that can be full.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

/// A small file system in memory, unmounted with its owner.
pub struct Small(TempDir);

impl Small {
    /// One of so many mebibytes.
    ///
    /// # Errors
    /// Without root, or sudo that asks for no password.
    pub fn mount(mebibytes: u32) -> Result<Self> {
        let small = Self(TempDir::with_prefix("qchat-full-")?);
        let owner = File::open(small.0.path())?.metadata()?;
        let (uid, gid) = {
            use std::os::unix::fs::MetadataExt as _;
            (owner.uid(), owner.gid())
        };
        let options = format!("size={mebibytes}m,mode=700,uid={uid},gid={gid}");
        let mut said = String::new();
        for before in [&[][..], &["sudo", "-n"]] {
            match run(before, &["mount", "-t", "tmpfs", "-o", &options, "tmpfs"], small.0.path()) {
                Ok(()) => return Ok(small),
                Err(error) => said = error.to_string(),
            }
        }
        bail!("a file system of its own takes root, or sudo that asks for no password: {said}")
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no byte.
    ///
    /// # Errors
    /// What the system says.
    pub fn fill(&self) -> Result<()> {
        let mut filler = File::create(self.0.path().join("filler"))?;
        for size in [64 * 1024, 512] {
            let block = vec![0x5a; size];
            loop {
                match filler.write(&block) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("filling the disk"),
                }
            }
        }
        Ok(())
    }

    /// Gives back what [`Small::fill`] has taken.
    ///
    /// # Errors
    /// What the system says.
    pub fn free(&self) -> Result<()> {
        std::fs::remove_file(self.0.path().join("filler")).context("freeing the disk")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Whoever mounted it may unmount it; what is left is a directory in /tmp.
        for before in [&[][..], &["sudo", "-n"]] {
            if run(before, &["umount", "-l"], self.0.path()).is_ok() {
                return;
            }
        }
    }
}

fn run(before: &[&str], command: &[&str], path: &Path) -> Result<()> {
    let words = [before, command].concat();
    let (program, arguments) = words.split_first().context("a command")?;
    let output = Command::new(program).args(arguments).arg(path).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
