//! A passphrase that a command prints: a password manager's, say. It is run without a shell; what it says on standard error goes
//! to the user, and nothing of what it prints into any message.

use std::{
    io::{self, IsTerminal as _, Read as _},
    process::{Child, ExitStatus, Stdio},
    sync::mpsc::{RecvTimeoutError, sync_channel},
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use super::{
    failure::{Failure, Outcome},
    passphrase,
};
use crate::child;

/// How long a command may take: its user may have to unlock something first.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);
/// How often it is looked whether a command that has closed its output has ended.
const TICK: Duration = Duration::from_millis(5);
/// Most that is read and thrown away after the first line, bytes.
const MORE: u64 = 1024 * 1024;

/// Runs the command, and reads the first line that it prints. Blocks the thread.
///
/// # Errors
/// Code 2 when its words cannot be told apart; code 4 when it cannot be started, fails, prints nothing or takes longer than
/// `patience`.
pub(super) fn run(command: &str, patience: Duration) -> Outcome<Zeroizing<String>> {
    let words = shell_words::split(command)
        .map_err(|error| Failure::usage(format!("the passphrase command cannot be read: {error}")))?;
    let Some((program, arguments)) = words.split_first() else {
        return Err(Failure::usage("the passphrase command is empty"));
    };
    // Its arguments may say what is secret.
    let failed = |why: String| Failure::locked(format!("the passphrase command {program:?} {why}"));
    let mut child = child::command(program)
        .args(arguments)
        // What is piped to this program is not the command's.
        .stdin(if io::stdin().is_terminal() { Stdio::inherit() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    let outcome = read(&mut child, patience);
    if !matches!(outcome, Ok(Some(_))) {
        let _ = child.kill();
        let _ = child.wait();
    }
    match outcome.map_err(|error| failed(format!("cannot be read: {error}")))? {
        None => Err(failed(format!("did not end within {} s", patience.as_secs()))),
        Some((_, status)) if !status.success() => {
            Err(failed(format!("failed ({status}); what it said stands above")))
        }
        Some((passphrase, _)) if passphrase.is_empty() => Err(failed("printed no passphrase".to_owned())),
        Some((passphrase, _)) => Ok(passphrase),
    }
}

/// The first line, and how it ended; `None` when the time was over first.
fn read(child: &mut Child, patience: Duration) -> io::Result<Option<(Zeroizing<String>, ExitStatus)>> {
    let until = Instant::now() + patience;
    let Some(mut output) = child.stdout.take() else { return Ok(None) };
    let (sender, line) = sync_channel(1);
    // Whoever still holds the other end when the time is over keeps this thread, and nothing else.
    std::thread::Builder::new().spawn(move || {
        let line = passphrase::first_line(&mut output);
        // Else a command that prints more would be ended by that.
        let _ = io::copy(&mut output.take(MORE), &mut io::sink());
        let _ = sender.send(line);
    })?;
    let line = match line.recv_timeout(patience) {
        Ok(line) => line?,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(None),
    };
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some((line, status)));
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        std::thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_passphrase_and_whatever_fails_says_so_without_it() {
        for (command, expected) in [
            ("printf 'horse staple\\nuser: alice\\n'", Ok("horse staple")),
            ("printf '%s' \"two  words\"", Ok("two  words")),
            ("printf 'a\\r\\nb'", Ok("a")),
            ("sh -c 'echo first; seq 100000'", Ok("first")),
            // No shell: nothing is expanded.
            ("echo $HOME", Ok("$HOME")),
            ("", Err((2, "is empty"))),
            ("echo 'unclosed", Err((2, "cannot be read"))),
            ("/nonexistent/manager show", Err((4, "cannot be started"))),
            ("sh -c 'echo secret-words; exit 3'", Err((4, "exit status: 3"))),
            ("true", Err((4, "printed no passphrase"))),
            ("printf '\\377'", Err((4, "cannot be read"))),
        ] {
            match (run(command, PATIENCE), expected) {
                (Ok(passphrase), Ok(expected)) => assert_eq!(*passphrase, expected, "{command}"),
                (Err(failure), Err((code, words))) => {
                    assert_eq!(failure.exit_code(), code, "{command}");
                    assert!(failure.message().contains(words), "{command}: {}", failure.message());
                    assert!(!failure.message().contains("secret-words"), "{command}");
                }
                (outcome, _) => panic!("{command}: {outcome:?}"),
            }
        }
        for command in ["sleep 600", "sh -c 'echo early; exec >&-; exec sleep 600'"] {
            let late = run(command, Duration::from_millis(50)).unwrap_err();
            assert!(late.exit_code() == 4 && late.message().contains("did not end"), "{}", late.message());
        }
    }
}
