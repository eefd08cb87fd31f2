//! Asking the agent, and starting it.

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use qchat_proto::crypto::secret::Secret;

use super::{
    AgentError,
    protocol::{self, Address, KEY, LOCK, REMAINING, YES, check_peer},
};

/// The key that the agent holds for the profile in `dir`; `None` when there is no agent or its time is over. Blocks
/// for milliseconds, at most for some seconds.
///
/// # Errors
/// [`AgentError::ForeignPeer`], [`AgentError::Protocol`]; otherwise what the system says.
pub fn key(dir: &Path) -> Result<Option<Secret<32>>, AgentError> {
    let Some(mut stream) = ask(dir, KEY)? else { return Ok(None) };
    Secret::fill_with(|key| stream.read_exact(key)).map(Some).map_err(|_| AgentError::Protocol)
}

/// How long the agent will keep the key; `None` when there is none.
///
/// # Errors
/// As [`key`].
pub fn remaining(dir: &Path) -> Result<Option<Duration>, AgentError> {
    let Some(mut stream) = ask(dir, REMAINING)? else { return Ok(None) };
    let mut seconds = [0; 8];
    stream.read_exact(&mut seconds).map_err(|_| AgentError::Protocol)?;
    Ok(Some(Duration::from_secs(u64::from_be_bytes(seconds))))
}

/// Ends the agent; the key is wiped when this returns. `false` when there was none.
///
/// # Errors
/// As [`key`].
pub fn lock(dir: &Path) -> Result<bool, AgentError> {
    Ok(ask(dir, LOCK)?.is_some())
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
    lifetime: Duration,
) -> Result<(), AgentError> {
    if lifetime < Duration::from_secs(1) || lifetime > protocol::LONGEST {
        return Err(AgentError::Lifetime);
    }
    lock(dir)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).current_dir("/");
    let failed = |_| AgentError::Start;
    let mut child = command.spawn().map_err(failed)?;
    let (Some(mut pipe), Some(mut answer)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(AgentError::Start);
    };
    let handed = pipe
        .write_all(&lifetime.as_secs().to_be_bytes())
        .and_then(|()| pipe.write_all(key.expose()))
        .map_err(failed);
    drop(pipe);
    let mut ready = [0];
    match handed.and_then(|()| answer.read_exact(&mut ready).map_err(failed)) {
        Ok(()) if ready[0] == YES => Ok(()),
        outcome => {
            // It ends by itself, or is none of ours; waiting leaves no zombie behind.
            let _ = child.kill();
            let _ = child.wait();
            outcome?;
            Err(if ready[0] == protocol::RUNNING { AgentError::Running } else { AgentError::Start })
        }
    }
}

/// Sends a request; the stream stands behind the `+`. `None` when nobody answers, or with a no.
fn ask(dir: &Path, request: u8) -> Result<Option<UnixStream>, AgentError> {
    let address = match Address::of(dir) {
        Err(AgentError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
        address => address?,
    };
    let mut stream = match UnixStream::connect(address.socket()) {
        Ok(stream) => stream,
        // Never started; ended by a crash, its socket left behind.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(address.failed("connect to")(error)),
    };
    check_peer(&stream)?;
    let mut answer = [0];
    let exchanged = stream.write_all(&[request]).and_then(|()| stream.read_exact(&mut answer));
    match (exchanged, answer[0]) {
        (Ok(()), YES) => Ok(Some(stream)),
        (Ok(()), protocol::NO) => Ok(None),
        // It ended between our connecting and asking.
        (Err(error), _)
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
