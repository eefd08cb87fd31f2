//! Asking the agent, and starting it.

use std::{
    io::ErrorKind,
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use qchat_proto::crypto::secret::Secret;

use super::{
    AgentError, Keeping,
    address::{LONGEST, address, check_peer},
    message::{self, Answer, Request},
};
use crate::local::LocalError;

/// The key that the agent holds for the profile in `dir`; `None` when there is no agent or its time is over. Blocks
/// for milliseconds, at most for some seconds.
///
/// # Errors
/// [`AgentError::Socket`], [`AgentError::Protocol`].
pub fn key(dir: &Path) -> Result<Option<Secret<32>>, AgentError> {
    let Some(mut stream) = ask(dir, Request::Key)? else { return Ok(None) };
    message::read_key(&mut stream).map(Some).map_err(|_| AgentError::Protocol)
}

/// How long the agent will keep the key; `None` when there is none.
///
/// # Errors
/// As [`key`].
pub fn remaining(dir: &Path) -> Result<Option<Duration>, AgentError> {
    let Some(mut stream) = ask(dir, Request::Remaining)? else { return Ok(None) };
    message::read_time(&mut stream).map(Some).map_err(|_| AgentError::Protocol)
}

/// Ends the agent; the key is wiped when this returns. `false` when there was none.
///
/// # Errors
/// As [`key`].
pub fn lock(dir: &Path) -> Result<bool, AgentError> {
    Ok(ask(dir, Request::Lock)?.is_some())
}

/// Starts an agent for the profile in `dir`, in place of a running one, and returns when it serves. `command` is this
/// program with the arguments that lead it to [`super::serve`] with the same directory; its standard streams are set
/// here.
///
/// # Errors
/// [`AgentError::Lifetime`], [`AgentError::Start`]; otherwise as [`key`].
pub fn start(
    mut command: Command,
    dir: &Path,
    key: &Secret<32>,
    Keeping { lifetime, idle }: Keeping,
) -> Result<(), AgentError> {
    let good = |time: &Duration| (Duration::from_secs(1)..=LONGEST).contains(time);
    if !good(&lifetime) || !idle.is_none_or(|idle| good(&idle)) {
        return Err(AgentError::Lifetime);
    }
    lock(dir)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).current_dir("/");
    let mut child = command.spawn().map_err(|_| AgentError::Start)?;
    let (Some(mut pipe), Some(mut answer)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(AgentError::Start);
    };
    let handed = message::write_time(lifetime, &mut pipe)
        .and_then(|()| message::write_time(idle.unwrap_or_default(), &mut pipe))
        .and_then(|()| message::write_key(key, &mut pipe));
    drop(pipe);
    let outcome = match handed.and_then(|()| Answer::read(&mut answer)) {
        Ok(Answer::Yes) => return Ok(()),
        Ok(Answer::Running) => AgentError::Running,
        Ok(Answer::No) | Err(_) => AgentError::Start,
    };
    // It ends by itself, or is none of ours; waiting leaves no zombie behind.
    let _ = child.kill();
    let _ = child.wait();
    Err(outcome)
}

/// Sends a request; the stream stands behind the `+`. `None` when nobody answers, or with a no.
fn ask(dir: &Path, request: Request) -> Result<Option<UnixStream>, AgentError> {
    let address = match address(dir) {
        Err(AgentError::Socket(LocalError::Io { source, .. })) if source.kind() == ErrorKind::NotFound => {
            return Ok(None);
        }
        address => address?,
    };
    let mut stream = match UnixStream::connect(address.socket()) {
        Ok(stream) => stream,
        // Never started; ended by a crash, its socket left behind.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(address.failed("connect to")(error).into()),
    };
    check_peer(&stream)?;
    match request.write(&mut stream).and_then(|()| Answer::read(&mut stream)) {
        Ok(Answer::Yes) => Ok(Some(stream)),
        Ok(Answer::No) => Ok(None),
        // It ended between our connecting and asking.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ) =>
        {
            Ok(None)
        }
        _ => Err(AgentError::Protocol),
    }
}
