//! Where a command's results go: data to standard output, words about it to standard error.

use std::io::{self, Write};

use qchat_proto::sanitize;
use serde::Serialize;

use super::{failure::Failure, json};

/// How a command speaks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) json: bool,
    pub(super) quiet: bool,
}

impl Output {
    /// Prints a result: the object for scripts, the words for people.
    pub(super) fn result(self, object: &impl Serialize, words: impl FnOnce() -> String) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            json::write(&mut out, object)?;
        } else {
            writeln!(out, "{}", words())?;
        }
        out.flush()
    }

    /// Says something to the person in front of the terminal, unless it is to be quiet.
    pub(super) fn say(self, words: &str) {
        if !self.quiet {
            say(words);
        }
    }

    /// Says why a command failed.
    pub(super) fn failure(self, failure: &Failure) {
        if self.json {
            // Standard error may be gone; there is nobody left to tell then.
            let _ = json::write(&mut io::stderr().lock(), &ErrorObject::new(failure));
        } else {
            say(&format!("error: {}", failure.message()));
        }
    }
}

/// Says something on standard error; where that is closed, nobody hears it.
pub(super) fn say(words: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", sanitize::text(words));
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    v: u8,
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'static str,
    message: &'a str,
    exit: u8,
}

impl<'a> ErrorObject<'a> {
    fn new(failure: &'a Failure) -> Self {
        let error = ErrorBody { code: failure.code(), message: failure.message(), exit: failure.exit_code() };
        Self { v: 1, error }
    }
}
