//! Completion in a shell. The script that `qchat completions` prints calls this program again, with the words of the
//! command line behind `--` and the shell's name in the environment; the answer is the words that may stand next.
//!
//! Options and commands come from clap's definitions. Rooms and users come from the profile, when an agent holds its
//! key: nobody is asked for a passphrase, nothing goes over the network, and whatever fails means that there is nothing
//! to offer. The shell's line is no place for complaints.

mod bash;
mod offers;
mod words;

use std::{
    ffi::OsString,
    io::{self, Write as _},
};

use clap::{Command, CommandFactory as _, FromArgMatches as _};
use clap_complete::env::{EnvCompleter, Fish, Zsh};

use self::{
    bash::Bash,
    offers::Offers,
    words::{Line, Unquoted},
};
use super::{
    args::{Cli, Global, Shell},
    failure::Outcome,
};
use crate::config::Settings;

/// Holds the shell's name when a script asks.
const VARIABLE: &str = "QCHAT_COMPLETE";
/// Which of the words is to be completed; zsh's and bash's scripts say.
const INDEX: &str = "_CLAP_COMPLETE_INDEX";

/// Prints the script for a shell.
pub(super) fn script(shell: Shell) -> Outcome {
    let mut script = vec![];
    of(shell).write_registration(VARIABLE, "qchat", "qchat", "qchat", &mut script)?;
    Ok(io::stdout().lock().write_all(&script)?)
}

/// Answers a script that asks; `false` when none does.
pub(super) fn answer(arguments: &[OsString]) -> bool {
    let Some(name) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) else { return false };
    let shells = [Shell::Bash, Shell::Zsh, Shell::Fish];
    let shell = shells.into_iter().map(of).find(|shell| name.to_str().is_some_and(|name| shell.is(name)));
    let words: Vec<_> = arguments.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    if let Some(shell) = shell
        && !words.is_empty()
    {
        let mut answer = vec![];
        let offers = Offers::new(settings(&words, index().unwrap_or(words.len() - 1)));
        let mut command = with_offers(Cli::command(), &offers);
        let done =
            shell.write_complete(&mut command, words, std::env::current_dir().ok().as_deref(), &mut answer);
        if done.is_ok() {
            // A shell that has gone wants no answer.
            let _ = io::stdout().lock().write_all(&answer);
        }
    }
    true
}

fn of(shell: Shell) -> Box<dyn EnvCompleter> {
    match shell {
        Shell::Bash => Box::new(Bash),
        Shell::Zsh => Box::new(Unquoted(Zsh)),
        Shell::Fish => Box::new(Unquoted(Fish)),
    }
}

/// Which of the words is to be completed, where the script says so.
fn index() -> Option<usize> {
    std::env::var(INDEX).ok()?.parse().ok()
}

/// The settings that an unfinished command line asks for.
fn settings(words: &[OsString], index: usize) -> Option<Settings> {
    let line = Line::read(words, index);
    let known = line.words.get(..line.index)?;
    let command = Cli::command().ignore_errors(true);
    let matches = command.try_get_matches_from(known).ok()?;
    Settings::resolve(&Global::from_arg_matches(&matches).ok()?).ok()
}

/// Says of each argument where its values come from: what the help calls it decides.
fn with_offers(command: Command, offers: &Offers) -> Command {
    let name = command.get_name().to_owned();
    command
        .mut_args(|arg| {
            let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
            match value.as_deref() {
                Some("ROOM" | "ROOM|LINK") => arg.add(offers.rooms(&name)),
                Some("USER") => arg.add(offers.users()),
                Some("PROFILE") => arg.add(offers.profiles()),
                _ => arg,
            }
        })
        .mut_subcommands(|command| with_offers(command, offers))
}
