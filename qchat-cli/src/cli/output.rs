//! Where a command's results go: data to standard output, words about it to standard error; or both to whoever has it run by
//! an engine in another process.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use qchat_proto::sanitize;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{failure::Failure, json};

/// How a command speaks.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) json: bool,
    pub(super) quiet: bool,
    /// Whoever hears it instead of the streams.
    kept: Option<Kept>,
}

/// What a command has printed, kept for its caller.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Arc<Mutex<Printed>>);

/// All that a command prints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Printed {
    /// Its results.
    pub(super) results: Vec<Item>,
    /// What it said to the person, line by line.
    pub(super) said: Vec<String>,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    /// For scripts.
    pub(super) object: Value,
    /// For people, fit for a terminal.
    pub(super) words: String,
}

impl Kept {
    /// Takes what was printed until now.
    pub(super) fn take(&self) -> Printed {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with(&self, change: impl FnOnce(&mut Printed)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Output {
    /// To the process's own streams.
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, kept: None }
    }

    /// To a caller.
    pub(super) fn kept(kept: Kept) -> Self {
        Self { json: true, quiet: false, kept: Some(kept) }
    }

    /// Prints a result: the object for scripts, the words for people.
    pub(super) fn result(&self, object: &impl Serialize, words: impl FnOnce() -> String) -> io::Result<()> {
        if let Some(kept) = &self.kept {
            let printed = Item { object: serde_json::to_value(object)?, words: words() };
            kept.with(|all| all.results.push(printed));
            return Ok(());
        }
        let mut out = io::stdout().lock();
        if self.json {
            json::write(&mut out, object)?;
        } else {
            writeln!(out, "{}", words())?;
        }
        out.flush()
    }

    /// Says something to the person in front of the terminal, unless it is to be quiet.
    pub(super) fn say(&self, words: &str) {
        if let Some(kept) = &self.kept {
            kept.with(|all| all.said.push(words.to_owned()));
        } else if !self.quiet {
            say(words);
        }
    }

    /// Says why a command failed.
    pub(super) fn failure(&self, failure: &Failure) {
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
