//! The recovery words of an account: shown and asked for, or written to a file once; and checked later.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use qchat_proto::identity::RecoveryKey;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    Context,
    failure::{Failure, Outcome},
    open, output,
};
use crate::{config::Settings, engine, store::Profile};

/// What `--no-confirm` calls the file in the profile's directory.
const FILE: &str = "recovery-words";
/// Words on a line of the screen.
const IN_A_LINE: usize = 6;
/// How often two words are asked for before it is left for later.
const TRIES: usize = 3;
/// Longest file or line that is read as recovery words, bytes: 24 words of 8 letters fit many times.
const LONGEST: u64 = 4096;

/// What is known about the words.
#[derive(Serialize)]
struct RecoveryObject {
    v: u8,
    recovery: &'static str,
}

/// Where the words will go. A file that never got its words is not left behind.
pub(super) struct Destination {
    path: PathBuf,
    file: File,
    /// The directory that was made for it, which goes with it unless something else is in there by then.
    made: Option<PathBuf>,
    written: bool,
}

impl Destination {
    /// Takes the place before there are words: a file that exists is never overwritten.
    pub(super) fn reserve(path: &Path) -> Outcome<Self> {
        let failed = |error: io::Error| {
            Failure::refused(format!(
                "the recovery words cannot be written to {}: {error}; name a new file",
                path.display()
            ))
        };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, made: None, written: false })
    }

    /// The same in a profile's directory, which may not be there yet.
    pub(super) fn beside(directory: &Path) -> Outcome<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
            Failure::unexpected(format!("{} cannot be made: {error}", directory.display()))
        })?;
        let path = directory.join(FILE);
        if fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() == 0) {
            // Reserved by a registration that was killed before there were words.
            let _ = fs::remove_file(&path);
        }
        let mut reserved = Self::reserve(&path)?;
        reserved.made = Some(directory.to_owned());
        Ok(reserved)
    }

    fn write(&mut self, words: &str) -> io::Result<()> {
        writeln!(self.file, "{words}").and_then(|()| self.file.sync_all())?;
        // Its name, too, has to be on the disk before the profile forgets the words.
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        self.written = true;
        Ok(())
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if !self.written {
            // It is empty; if it cannot be removed, nothing is lost.
            let _ = fs::remove_file(&self.path);
            if let Some(made) = &self.made {
                // Not while a profile is in there.
                let _ = fs::remove_dir(made);
            }
        }
    }
}

/// That there is a person who can be asked for words.
pub(super) fn somebody_to_ask(settings: &Settings) -> Outcome {
    if settings.no_input || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::usage(
            "nobody can be asked whether the recovery words are on paper; --recovery-file F or --no-confirm writes them to \
             a file",
        ));
    }
    Ok(())
}

/// Hands the words of a new account over: to a file, or to a person, who is asked for two of them. Until one of these has
/// succeeded the profile keeps them.
pub(super) async fn hand_over(
    settings: &Settings,
    profile: &Profile,
    destination: Option<Destination>,
    words: &str,
) -> Outcome {
    let Some(mut destination) = destination else { return ask_for_two(profile, words).await };
    match destination.write(words) {
        Ok(()) => {
            engine::recovery::confirm(profile).await?;
            if !settings.quiet {
                output::say(&format!(
                    "The recovery words are in {}. Move them to where fire and thieves do not find them; they are the only \
                     way back into the account.",
                    destination.path.display()
                ));
            }
        }
        // The account exists already: that is no reason to fail.
        Err(error) => output::say(&format!(
            "{}: {error}. The profile keeps the recovery words: `qchat recovery confirm` shows them.",
            destination.path.display()
        )),
    }
    Ok(())
}

/// `recovery confirm`.
pub(super) async fn confirm(context: &Context) -> Outcome {
    let profile = open::profile(context).await?;
    if let Some(words) = engine::recovery::unconfirmed(&profile).await? {
        somebody_to_ask(&context.settings)?;
        ask_for_two(&profile, &words).await?;
    }
    if engine::recovery::unconfirmed(&profile).await?.is_some() {
        return Err(Failure::refused(
            "the recovery words are not confirmed; `qchat recovery confirm` asks again",
        ));
    }
    let object = RecoveryObject { v: 1, recovery: "confirmed" };
    Ok(context
        .output
        .result(&object, || "The recovery words are confirmed, and kept here no longer.".to_owned())?)
}

/// `recovery check`.
pub(super) async fn check(context: &Context, file: Option<&Path>) -> Outcome {
    let profile = open::profile(context).await?;
    let words = given(&context.settings, file)?;
    let key = RecoveryKey::from_words(&words)
        .map_err(|error| Failure::usage(format!("these are no recovery words: {error}")))?;
    if !engine::recovery::fits(&profile, &key).await? {
        return Err(Failure::refused(
            "these are recovery words, but of another account: look for those of this one",
        ));
    }
    let object = RecoveryObject { v: 1, recovery: "right" };
    Ok(context.output.result(&object, || "These are the recovery words of this account.".to_owned())?)
}

/// The words that a person types, or that stand in a file.
pub(super) fn given(settings: &Settings, file: Option<&Path>) -> Outcome<Zeroizing<String>> {
    let Some(path) = file else {
        somebody_to_ask(settings).map_err(|_| {
            Failure::locked("the recovery words are needed and nobody can be asked; use --recovery-file F")
        })?;
        return rpassword::prompt_password("The 24 recovery words (they are not shown): ")
            .map(Zeroizing::new)
            .map_err(|error| Failure::locked(format!("the recovery words cannot be read: {error}")));
    };
    // Reserved at once: growing would leave copies behind.
    let mut words = Zeroizing::new(String::with_capacity(usize::try_from(LONGEST).unwrap_or(0)));
    File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut words)).map_err(|error| {
        Failure::locked(format!("the recovery words in {} cannot be read: {error}", path.display()))
    })?;
    Ok(words)
}

/// Shows the words and asks for two of them, which forgets them here. Whoever cannot say them is told how to try again.
async fn ask_for_two(profile: &Profile, words: &str) -> Outcome {
    let list: Vec<&str> = words.split_whitespace().collect();
    for _ in 0..TRIES {
        show(&list);
        let mut right = true;
        for place in engine::recovery::two_of(list.len())? {
            let Some(answer) = typed(&format!("Word {}: ", place + 1))? else {
                later();
                return Ok(());
            };
            right &= list.get(place).is_some_and(|word| answer.trim().eq_ignore_ascii_case(word));
        }
        if right {
            engine::recovery::confirm(profile).await?;
            output::say("Right. The words are kept on this machine no longer.");
            return Ok(());
        }
        output::say("That is not what stands there.");
    }
    later();
    Ok(())
}

fn later() {
    output::say("The words are not confirmed. `qchat recovery confirm` shows them again, until they are.");
}

fn show(words: &[&str]) {
    output::say("\nThe recovery words of this account. Write them down on paper, in this order:\n");
    for (line, words) in words.chunks(IN_A_LINE).enumerate() {
        output::say(&format!("  {:>2}  {}", line * IN_A_LINE + 1, words.join(" ")));
    }
    output::say("\nThey are the only way back into the account when this machine is lost.\n");
}

/// A line of standard input, shown as it is typed; `None` at its end.
fn typed(prompt: &str) -> Outcome<Option<Zeroizing<String>>> {
    let mut out = io::stderr().lock();
    // Where standard error is closed, nobody answers either.
    let _ = write!(out, "{prompt}").and_then(|()| out.flush());
    let mut line = Zeroizing::new(String::with_capacity(256));
    let read = io::stdin()
        .lock()
        .take(LONGEST)
        .read_line(&mut line)
        .map_err(|error| Failure::locked(format!("the words cannot be read: {error}")))?;
    Ok((read > 0).then_some(line))
}
