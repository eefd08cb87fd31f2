//! What can go wrong with a profile's database.

use std::path::PathBuf;

use diesel::result::Error as DieselError;
use qchat_proto::crypto::entropy::EntropyError;

/// What to do about a damaged database.
const REMEDY: &str = "Nothing was changed. Put a backup of the profile's directory in its place and run `qchat profile \
    recover`: it keeps history and contacts. Without a backup, make this machine a new device with `qchat --profile NAME device \
    link`";

/// A profile cannot be opened, read or written. Never holds a key or a stored value.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no database in the profile's directory.
    #[error("there is no profile in {}; create one with `qchat register`", .0.display())]
    Missing(PathBuf),
    /// There is one already.
    #[error("there is a profile in {} already", .0.display())]
    Exists(PathBuf),
    /// The key does not open the database, or the file is damaged.
    #[error(
        "the database does not open with this key: it belongs to another vault, or its beginning is damaged. {REMEDY}"
    )]
    WrongKey,
    /// The file is torn, or a part of it is not what was written.
    #[error("the profile's database is damaged: {0}. {REMEDY}")]
    Damaged(&'static str),
    /// The SQLite library in this program does not encrypt.
    #[error("this program was built without SQLCipher; refusing to store anything unencrypted")]
    NotEncrypted,
    /// A newer version of the program wrote this profile.
    #[error("this profile was written by a newer version of qchat; upgrade qchat")]
    TooNew,
    /// Another process kept the database for 30 s.
    #[error("another process keeps the profile's database busy; try again")]
    Busy,
    /// Another process holds the profile's lock for longer than the caller would wait.
    #[error("another qchat process holds the profile's lock; try again")]
    Locked,
    /// The disk is full.
    #[error("the disk is full; free some space and try again")]
    DiskFull,
    /// A file or directory cannot be used.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A stored value is not what this program writes.
    #[error("the database holds a malformed {0}")]
    Corrupt(&'static str),
    /// A number from outside is larger than the database can hold (2^63).
    #[error("a number is out of range")]
    Range,
    /// The schema cannot be brought up to date.
    #[error("the database cannot be brought up to date: {0}")]
    Migration(String),
    /// A quantum job that another process has forgotten meanwhile.
    #[error("the job was forgotten meanwhile; `qchat quantum jobs` shows those that are left")]
    Forgotten,
    /// A defect: what was to read alone has written. Nothing of it is left.
    #[error("something was to be written where it is only read, and was not")]
    ReadOnly,
    /// What was written in the same transaction has broken it.
    #[error(
        "another write that was underway has failed, and this one with it; nothing of them was kept. Try again"
    )]
    Together,
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The transaction's thread ended early: the program is shutting down, or a defect.
    #[error("the transaction was abandoned")]
    Abandoned,
    /// Anything else that SQLite says.
    #[error("database: {0}")]
    Database(#[source] DieselError),
}

impl StoreError {
    /// What this is for others whose writes were to be made durable with it.
    pub(super) fn of_the_others(&self) -> Self {
        match self {
            Self::Busy => Self::Busy,
            Self::DiskFull => Self::DiskFull,
            Self::WrongKey => Self::WrongKey,
            Self::Damaged(what) => Self::Damaged(what),
            Self::Missing(path) => Self::Missing(path.clone()),
            _ => Self::Together,
        }
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        // Diesel gives the result code only as SQLite's text for it (sqlite3_errstr).
        match &error {
            DieselError::DatabaseError(_, detail) => match detail.message() {
                "database is locked" | "database table is locked" => Self::Busy,
                "file is not a database" => Self::WrongKey,
                "database or disk is full" => Self::DiskFull,
                "database disk image is malformed" => Self::Damaged("a page is not what was written"),
                "disk I/O error" => Self::Damaged("a page cannot be read, or the disk fails"),
                _ => Self::Database(error),
            },
            _ => Self::Database(error),
        }
    }
}
