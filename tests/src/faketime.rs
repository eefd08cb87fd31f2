//! A clock that is set: libfaketime stands between a program and the machine's clock. The time that has passed stays the
//! true one, as on a machine whose clock is set.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// Where Debian has the library.
fn library() -> Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib")?.filter_map(Result::ok).map(|folder| folder.path());
    let found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file());
    found.context("libfaketime is missing: on Debian or Ubuntu it is in the package faketime")
}

/// The environment of a program whose clock is off by what the file says, which is read anew at each look at the clock:
/// `+60` is a minute ahead.
///
/// # Errors
/// Without the library.
pub fn settings(offset: &Path) -> Result<[(&'static str, String); 5]> {
    Ok([
        ("LD_PRELOAD", library()?.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", offset.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ])
}
