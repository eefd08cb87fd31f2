//! Where a passphrase comes from: a file, or a terminal that does not show it. Never the command line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Read},
    path::Path,
};

use qchat_proto::ids::UserName;
use zeroize::Zeroizing;

use super::failure::{Failure, Outcome};
use crate::config::Settings;

/// Longest line that is read as a passphrase, bytes.
const LONGEST: u64 = 4096;

/// Reads the passphrase of an existing profile.
pub(super) fn existing(settings: &Settings) -> Outcome<Zeroizing<String>> {
    match &settings.passphrase_file {
        Some(path) => from_file(path),
        None => ask(settings, &format!("Passphrase of the profile {:?}: ", settings.profile)),
    }
}

/// Reads the passphrase of an account that has a device elsewhere: it will be this machine's, too.
pub(super) fn account(settings: &Settings, name: &UserName) -> Outcome<Zeroizing<String>> {
    match &settings.passphrase_file {
        Some(path) => from_file(path),
        None => ask(settings, &format!("Passphrase of the account {name}: ")),
    }
}

/// Reads the passphrase for a new profile; typed ones are asked for twice.
pub(super) fn fresh(settings: &Settings) -> Outcome<Zeroizing<String>> {
    let passphrase = if let Some(path) = &settings.passphrase_file {
        from_file(path)?
    } else {
        let first = ask(settings, "A passphrase for the new profile: ")?;
        if !first.is_empty() && *first != *ask(settings, "The same once more: ")? {
            return Err(Failure::usage("the two passphrases differ; try again"));
        }
        first
    };
    if passphrase.is_empty() {
        return Err(Failure::usage("an empty passphrase protects nothing; choose several words"));
    }
    Ok(passphrase)
}

fn from_file(path: &Path) -> Outcome<Zeroizing<String>> {
    let failed = |error: io::Error| {
        Failure::locked(format!("the passphrase file {} cannot be read: {error}", path.display()))
    };
    let mut passphrase = Zeroizing::new(String::new());
    // Reserved at once: growing would leave copies behind.
    passphrase.reserve(usize::try_from(LONGEST).unwrap_or(0));
    let file = File::open(path).map_err(failed)?;
    BufReader::with_capacity(1, file.take(LONGEST)).read_line(&mut passphrase).map_err(failed)?;
    let length = passphrase.trim_end_matches(['\r', '\n']).len();
    passphrase.truncate(length);
    Ok(passphrase)
}

fn ask(settings: &Settings, prompt: &str) -> Outcome<Zeroizing<String>> {
    if settings.no_input || !io::stderr().is_terminal() {
        return Err(Failure::locked(
            "a passphrase is needed and nobody can be asked; use --passphrase-file F",
        ));
    }
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
        Failure::locked(format!("the passphrase cannot be read: {error}; use --passphrase-file F"))
    })
}
