//! The file of a database, whichever it is: made for its owner alone, brought up to date, and deleted.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use diesel::{SqliteConnection, connection::SimpleConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use super::{ProfileLock, StoreError, connect};

/// How long opening waits for another process that brings the schema up to date.
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes the file in `dir`, which is made (mode 0700) with its parents when missing. Gives the directory without links, and whether
/// the file is new.
///
/// # Errors
/// [`StoreError::File`].
pub(super) fn create(dir: &Path, name: &str) -> Result<(PathBuf, bool), StoreError> {
    let failed = |source| StoreError::File { what: "create", path: dir.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let dir = dir.canonicalize().map_err(failed)?;
    let path = dir.join(name);
    // SQLite gives its other files the mode of this one.
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(_) => Ok((dir, true)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok((dir, false)),
        Err(source) => Err(StoreError::File { what: "create", path, source }),
    }
}

/// Deletes the file, and what SQLite has beside it.
///
/// # Errors
/// [`StoreError::File`].
pub(super) fn destroy(dir: &Path, name: &str) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm"] {
        let path = dir.join(format!("{name}{suffix}"));
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::File { what: "delete", path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Brings the schema up to date, one process at a time: the one that has the lock of this name. `fill` does what statements of a
/// migration cannot; where it is interrupted it goes on with the next opening.
///
/// # Errors
/// [`StoreError::TooNew`], [`StoreError::Migration`], [`StoreError::Locked`].
pub(super) fn migrate(
    conn: &mut SqliteConnection,
    migrations: EmbeddedMigrations,
    dir: &Path,
    lock: &'static str,
    fill: impl FnOnce(&mut SqliteConnection) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    use diesel::migration::MigrationSource;

    let failed = |error: Box<dyn std::error::Error + Send + Sync>| StoreError::Migration(error.to_string());
    let known = MigrationSource::<diesel::sqlite::Sqlite>::migrations(&migrations).map_err(failed)?.len();
    let newest = i64::try_from(known).map_err(|_| StoreError::Range)?;
    // Cheaper than asking the migrations' own table each time a program starts.
    match connect::number(conn, "user_version")? {
        version if version == newest => return Ok(()),
        version if version > newest => return Err(StoreError::TooNew),
        _ => {}
    }
    let _lock = ProfileLock::take(dir, lock, PATIENCE)?;
    conn.run_pending_migrations(migrations).map_err(failed)?;
    // Before the version says that all is done.
    fill(conn)?;
    conn.batch_execute(&format!("PRAGMA user_version = {newest}"))?;
    Ok(())
}
