//! The recovery words of a new account: shown once, or written once.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{
    failure::{Failure, Outcome},
    output,
};

/// Words on a line of the screen.
const IN_A_LINE: usize = 6;

/// Where the words will go.
pub(super) struct Destination(Option<Reserved>);

struct Reserved {
    path: PathBuf,
    file: File,
    written: bool,
}

impl Destination {
    /// Takes the place before there are words: a file that exists is never overwritten.
    pub(super) fn reserve(path: Option<&Path>) -> Outcome<Self> {
        let Some(path) = path else { return Ok(Self(None)) };
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
                Failure::refused(format!(
                    "the recovery words cannot be written to {}: {error}; name a new file",
                    path.display()
                ))
            })?;
        Ok(Self(Some(Reserved { path: path.to_owned(), file, written: false })))
    }

    /// Hands the words over. Where the file fails they are shown instead: the account exists already.
    pub(super) fn hand_over(mut self, words: &str) {
        if let Some(reserved) = &mut self.0 {
            let written = writeln!(reserved.file, "{words}").and_then(|()| reserved.file.sync_all());
            reserved.written = written.is_ok();
            match written {
                Ok(()) => {
                    output::say(&format!(
                        "The recovery words are in {}. Move them to where fire and thieves do not find them; they are \
                         the only way back into the account.",
                        reserved.path.display()
                    ));
                    return;
                }
                Err(error) => output::say(&format!("{}: {error}", reserved.path.display())),
            }
        }
        show(words);
    }
}

/// A file that never got its words is not left behind.
impl Drop for Destination {
    fn drop(&mut self) {
        if let Some(reserved) = self.0.as_ref().filter(|reserved| !reserved.written) {
            // It is empty; if it cannot be removed, nothing is lost.
            let _ = fs::remove_file(&reserved.path);
        }
    }
}

fn show(words: &str) {
    output::say(
        "\nThe recovery words of this account, shown this once. Write them down on paper, in this order:\n",
    );
    let words: Vec<_> = words.split_whitespace().collect();
    for line in words.chunks(IN_A_LINE) {
        output::say(&format!("    {}", line.join(" ")));
    }
    output::say("\nThey are the only way back into the account when this machine is lost.\n");
}
