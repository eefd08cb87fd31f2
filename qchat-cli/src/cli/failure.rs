//! A command that did not succeed: its exit code, its name in JSON, and the sentence that says what to do.

use std::io;

use crate::{config::SettingsError, engine::EngineError};

/// Why a command failed.
#[derive(Debug)]
pub(super) struct Failure {
    exit: u8,
    message: String,
    broken_pipe: bool,
}

/// What a command results in.
pub(super) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// The arguments or settings make no sense.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { exit: 2, message: message.into(), broken_pipe: false }
    }

    /// The passphrase is missing or wrong, or there is no profile.
    pub(super) fn locked(message: impl Into<String>) -> Self {
        Self { exit: 4, message: message.into(), broken_pipe: false }
    }

    /// There is no such thing.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self { exit: 5, message: message.into(), broken_pipe: false }
    }

    /// Not allowed.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self { exit: 6, message: message.into(), broken_pipe: false }
    }

    /// The way to somebody else, or no answer in time.
    pub(super) fn network(message: impl Into<String>) -> Self {
        Self { exit: 3, message: message.into(), broken_pipe: false }
    }

    /// Asked too often.
    pub(super) fn rate_limited(message: impl Into<String>) -> Self {
        Self { exit: 7, message: message.into(), broken_pipe: false }
    }

    /// Done in part.
    pub(super) fn partial(message: impl Into<String>) -> Self {
        Self { exit: 8, message: message.into(), broken_pipe: false }
    }

    /// As a command of another process has failed.
    pub(super) fn with_exit(exit: u8, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), broken_pipe: false }
    }

    /// Nobody expected this.
    pub(super) fn unexpected(message: impl Into<String>) -> Self {
        Self { exit: 1, message: message.into(), broken_pipe: false }
    }

    /// The process's exit code.
    pub(super) fn exit_code(&self) -> u8 {
        self.exit
    }

    /// Whether the reader of the output has gone: no failure, but the end.
    pub(super) fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }

    /// The sentence.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The name of the exit code.
    pub(super) fn code(&self) -> &'static str {
        match self.exit {
            2 => "usage",
            3 => "network",
            4 => "auth",
            5 => "not_found",
            6 => "refused",
            7 => "rate_limited",
            8 => "partial",
            _ => "unexpected",
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self { exit: error.exit_code(), message: error.to_string(), broken_pipe: false }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::usage(error.to_string())
    }
}

/// Failures of standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { exit: 1, message: format!("the output cannot be written: {error}"), broken_pipe }
    }
}
