//! How a command fails: what the user reads, and the exit code.

use std::process::ExitCode;

use crate::{
    config::ConfigError,
    server::StartError,
    service::{ServiceError, audit::verify::Broken, keys::KeyFileError, seed::SeedError},
    store::{StoreError, backup::BackupError},
    tls::{GenerateError, TlsError},
};

impl From<SeedError> for CommandError {
    fn from(error: SeedError) -> Self {
        match error {
            SeedError::Store(error) => Self::Store(error),
            error => Self::Seed(error),
        }
    }
}

impl From<BackupError> for CommandError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Store(error) => Self::Store(error),
            error => Self::Backup(error),
        }
    }
}

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The command line, environment or file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The daemon could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The database lacks migrations.
    #[error("the database lacks {} migration(s): run qchatd migrate", .0.len())]
    Pending(Vec<String>),
    /// Certificate and key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No certificate was made.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The database was not filled.
    #[error(transparent)]
    Seed(SeedError),
    /// No copy was made.
    #[error(transparent)]
    Backup(BackupError),
    /// The audit log is not what was written.
    #[error("{0}")]
    Audit(Broken),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl CommandError {
    /// The code, as the help documents it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let code = match self {
            Self::Tls(error) | Self::Start(StartError::Tls(error)) => match error {
                TlsError::Key(KeyFileError::Open(_)) => 6,
                _ => 2,
            },
            Self::Config(_)
            | Self::Generate(_)
            | Self::Start(StartError::Insecure(_) | StartError::Config(_))
            | Self::Seed(SeedError::Plan(_))
            | Self::Backup(BackupError::NotAFile(_)) => 2,
            Self::Store(error)
            | Self::Start(StartError::Store(error) | StartError::Service(ServiceError::Store(error)))
                if error.is_passing() =>
            {
                3
            }
            Self::Start(StartError::Listen(..) | StartError::Activation(_) | StartError::Blobs(_)) => 3,
            Self::Store(StoreError::NotDurable(_) | StoreError::Migration(_))
            | Self::Start(
                StartError::Store(StoreError::NotDurable(_) | StoreError::Migration(_))
                | StartError::Keys(KeyFileError::Open(_)),
            )
            | Self::Seed(SeedError::NotEmpty)
            | Self::Backup(BackupError::Exists(_))
            | Self::Audit(_)
            | Self::Pending(_) => 6,
            _ => 1,
        };
        ExitCode::from(code)
    }

    /// Tells the user, on standard error.
    #[expect(clippy::print_stderr, reason = "the last word of a command goes to its terminal")]
    pub(crate) fn print(&self) {
        eprintln!("qchatd: {self}");
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let text = cause.to_string();
            if !self.to_string().contains(&text) {
                eprintln!("  because: {text}");
            }
            source = cause.source();
        }
    }
}
