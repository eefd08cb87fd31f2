//! Copies an SQLite database while a daemon writes to it. PostgreSQL has tools of its own for that.

use std::{fs, io, os::unix::fs::OpenOptionsExt, path::Path};

use diesel::{
    Connection as _, RunQueryDsl, SqliteConnection,
    sql_types::{BigInt, Text},
};

use super::{Connection, StoreError, Target, connection};

/// No copy was made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Not a database in a file.
    #[error(
        "{0} is not a file that can be copied: use pg_dump --format=custom, or PostgreSQL's continuous archiving"
    )]
    NotAFile(String),
    /// The copy's place is taken.
    #[error("{0} exists; a backup never writes over anything: choose another name")]
    Exists(String),
    /// The copy cannot be written.
    #[error("{path}: {source}")]
    File {
        /// The copy, or its directory.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The copy is not whole; it was deleted.
    #[error("the copy is damaged ({0}) and was deleted: check the disk, then the database with qchatd check")]
    Damaged(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its size, bytes.
    pub bytes: u64,
    /// Envelopes in it.
    pub envelopes: u64,
}

#[derive(diesel::QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Copies the database as it is at one moment into a new file, mode 0600, which is durable and checked when this returns.
/// Writers go on meanwhile: the copy is read in one transaction of the write-ahead log. Blocks the thread, for as long as the
/// disk takes to read and write all of it.
///
/// # Errors
/// See [`BackupError`]. Nothing is left behind then.
pub fn backup(source: &Target, copy: &Path) -> Result<Copied, BackupError> {
    let Target::Sqlite(path) = source else { return Err(BackupError::NotAFile(source.to_string())) };
    if !path.exists() {
        return Err(StoreError::Unavailable(format!("{}: no such file", path.display())).into());
    }
    let Some(shown) = copy.to_str() else {
        return Err(BackupError::File {
            path: copy.display().to_string(),
            source: io::Error::new(io::ErrorKind::InvalidInput, "its name is not UTF-8"),
        });
    };
    // SQLite writes into an empty file, and keeps its mode.
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(copy) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(BackupError::Exists(shown.to_owned()));
        }
        Err(source) => return Err(BackupError::File { path: shown.to_owned(), source }),
    }
    let copied = copy_into(source, copy, shown);
    if copied.is_err() {
        // Half a copy is none.
        drop(fs::remove_file(copy));
    }
    copied
}

fn copy_into(source: &Target, copy: &Path, shown: &str) -> Result<Copied, BackupError> {
    let Connection::Sqlite(mut conn) = connection::connect(source)? else {
        return Err(BackupError::NotAFile(source.to_string()));
    };
    diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(shown).execute(&mut conn).map_err(StoreError::from)?;
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| BackupError::File { path, source }
    };
    fs::File::open(copy).and_then(|file| file.sync_all()).map_err(failed(copy))?;
    // The name is durable once its directory is.
    let parent = copy.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed(parent))?;

    // As it is: nothing in it is changed by looking.
    let mut conn = SqliteConnection::establish(shown).map_err(StoreError::connect)?;
    let checked: Vec<Word> = diesel::sql_query("SELECT quick_check AS word FROM pragma_quick_check")
        .load(&mut conn)
        .map_err(StoreError::from)?;
    if let Some(wrong) = checked.iter().find(|line| line.word != "ok") {
        return Err(BackupError::Damaged(wrong.word.clone()));
    }
    let counted: Count = diesel::sql_query("SELECT count(*) AS count FROM envelopes")
        .get_result(&mut conn)
        .map_err(StoreError::from)?;
    let bytes = fs::metadata(copy).map_err(failed(copy))?.len();
    Ok(Copied { bytes, envelopes: super::from_sql(counted.count) })
}
