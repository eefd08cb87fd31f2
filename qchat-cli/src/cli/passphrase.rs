//! Where a passphrase comes from: a file, a command, or a terminal that does not show it. Never the command line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Read},
    path::Path,
};

use qchat_proto::ids::UserName;
use zeroize::Zeroizing;

use super::{
    failure::{Failure, Outcome},
    output, passphrase_command,
};
use crate::{config::Settings, vault::strength};

/// What to say where nobody can be asked.
const INSTEAD: &str = "--passphrase-file F or --passphrase-command C";
/// Longest line that is read as a passphrase, bytes.
const LONGEST: u64 = 4096;

/// The passphrase that the settings lead to; `None` where somebody has to be asked.
pub(super) fn said(settings: &Settings) -> Option<Outcome<Zeroizing<String>>> {
    match (&settings.passphrase_command, &settings.passphrase_file) {
        (Some(command), _) => Some(passphrase_command::run(command, passphrase_command::PATIENCE)),
        (None, Some(path)) => Some(from_file(path)),
        (None, None) => None,
    }
}

/// Reads the passphrase of an existing profile.
pub(super) fn existing(settings: &Settings) -> Outcome<Zeroizing<String>> {
    let prompt = format!("Passphrase of the profile {:?}: ", settings.profile);
    said(settings).unwrap_or_else(|| ask(settings, &prompt, INSTEAD))
}

/// Reads the passphrase of an account that has a device elsewhere: it will be this machine's, too.
pub(super) fn account(settings: &Settings, name: &UserName) -> Outcome<Zeroizing<String>> {
    let prompt = format!("Passphrase of the account {name}: ");
    said(settings).unwrap_or_else(|| ask(settings, &prompt, INSTEAD))
}

/// Reads the passphrase for a new profile of this account.
pub(super) fn fresh(settings: &Settings, name: &str) -> Outcome<Zeroizing<String>> {
    said(settings).unwrap_or_else(|| ask_twice(settings, "A passphrase for the new profile: ", name, INSTEAD))
}

/// Reads the passphrase that takes the place of another.
pub(super) fn new(settings: &Settings, file: Option<&Path>, name: &str) -> Outcome<Zeroizing<String>> {
    match file {
        Some(path) => from_file(path),
        None => ask_twice(settings, "The new passphrase: ", name, "--new-passphrase-file F"),
    }
}

/// Asks for a passphrase twice, and says in between how strong it is. One that is too weak is not asked for again: the command
/// refuses it with its reason.
fn ask_twice(settings: &Settings, prompt: &str, name: &str, instead: &str) -> Outcome<Zeroizing<String>> {
    let first = ask(settings, prompt, instead)?;
    match strength::judge(&first, &[name, "qchat"]) {
        Ok(strength) => output::say(&strength.to_string()),
        Err(weak) => return Err(Failure::usage(weak.to_string())),
    }
    if *first != *ask(settings, "The same once more: ", instead)? {
        return Err(Failure::usage("the two passphrases differ; try again"));
    }
    Ok(first)
}

/// Reads the first line of a file.
pub(super) fn from_file(path: &Path) -> Outcome<Zeroizing<String>> {
    let failed = |error: io::Error| {
        Failure::locked(format!("the passphrase file {} cannot be read: {error}", path.display()))
    };
    File::open(path).and_then(first_line).map_err(failed)
}

/// Reads the first line, into no memory but its own.
pub(super) fn first_line(from: impl Read) -> io::Result<Zeroizing<String>> {
    let mut passphrase = Zeroizing::new(String::new());
    // Reserved at once: growing would leave copies behind.
    passphrase.reserve(usize::try_from(LONGEST).unwrap_or(0));
    BufReader::with_capacity(1, from.take(LONGEST)).read_line(&mut passphrase)?;
    let length = passphrase.trim_end_matches(['\r', '\n']).len();
    passphrase.truncate(length);
    Ok(passphrase)
}

fn ask(settings: &Settings, prompt: &str, instead: &str) -> Outcome<Zeroizing<String>> {
    if settings.no_input || !io::stderr().is_terminal() {
        return Err(Failure::locked(format!(
            "a passphrase is needed and nobody can be asked; use {instead}"
        )));
    }
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|error| Failure::locked(format!("the passphrase cannot be read: {error}; use {instead}")))
}
