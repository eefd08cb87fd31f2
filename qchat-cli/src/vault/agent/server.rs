//! The agent's own process.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{ErrorKind, Write},
    os::{
        fd::AsFd,
        unix::{
            fs::{OpenOptionsExt, PermissionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
    time::{Duration, Instant},
};

use qchat_proto::crypto::secret::Secret;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    mm::{MlockAllFlags, mlockall},
    process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, setsid},
};

use super::{
    AgentError, Keeping,
    address::{LONGEST, address, check_peer},
    message::{self, Answer, Request},
};
use crate::{
    expiry::{Expiry, TICK},
    local::Address,
};

const LOCK_FILE: &str = "agent.lock";
/// How long a new agent waits for the lock.
const CLAIM: Duration = Duration::from_millis(500);

/// The hidden command `agent`: takes time and key from standard input, says on standard output that it serves, and
/// returns when the time is over or it was told to lock.
///
/// # Errors
/// [`AgentError::Running`] when this profile has an agent; otherwise what the system says.
pub fn serve(dir: &Path) -> Result<(), AgentError> {
    harden();
    // Not `Stdin`, whose buffer would keep a copy of the key.
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().map_err(|_| AgentError::Protocol)?;
    let mut stdin = File::from(stdin);
    let lifetime = message::read_time(&mut stdin).map_err(|_| AgentError::Protocol)?;
    let idle = message::read_time(&mut stdin).map_err(|_| AgentError::Protocol)?;
    let key = message::read_key(&mut stdin).map_err(|_| AgentError::Protocol)?;
    drop(stdin);
    let bound = Agent::bind(dir, key, Keeping { lifetime, idle: (!idle.is_zero()).then_some(idle) });
    let answer = match &bound {
        Ok(_) => Answer::Yes,
        Err(AgentError::Running) => Answer::Running,
        Err(_) => Answer::No,
    };
    let mut stdout = std::io::stdout().lock();
    answer.write(&mut stdout).and_then(|()| stdout.flush()).map_err(|_| AgentError::Start)?;
    drop(stdout);
    bound?.run()
}

/// Keeps what this process holds to itself, as far as the system lets an ordinary user do so: no core files, no
/// debugger of the same user, no swap. Leaves the terminal's session.
fn harden() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // Only what is in use, not the whole program. Fails under a small limit of locked memory; the key is still protected
    // by all else.
    let _ = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT);
    // Fails for a process group leader only, which a child of `start` is not.
    let _ = setsid();
}

/// Takes the agents' lock. Waits a little: a process that is being started somewhere holds copies of its parent's
/// files, locks included, until it is loaded.
fn claim(lock: &File) -> Result<(), AgentError> {
    let deadline = Instant::now() + CLAIM;
    while lock.try_lock().is_err() {
        if Instant::now() >= deadline {
            return Err(AgentError::Running);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A bound agent with a key.
pub struct Agent {
    key: Secret<32>,
    listener: UnixListener,
    address: Address,
    expiry: Expiry,
    /// How long it may go unused, and when that is over.
    idle: Option<(Duration, Expiry)>,
    /// Held for as long as this agent lives: who holds it may replace the socket.
    _lock: File,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("path", &self.address.path).finish_non_exhaustive()
    }
}

impl Agent {
    /// Binds the socket of the profile in `dir`.
    ///
    /// # Errors
    /// [`AgentError::Running`], [`AgentError::Lifetime`]; otherwise what the system says.
    pub fn bind(dir: &Path, key: Secret<32>, keeping: Keeping) -> Result<Self, AgentError> {
        let Keeping { lifetime, idle } = keeping;
        if [Some(lifetime), idle].into_iter().flatten().any(|time| time.is_zero() || time > LONGEST) {
            return Err(AgentError::Lifetime);
        }
        let expiry = Expiry::after(lifetime);
        let idle = idle.map(|idle| (idle, Expiry::after(idle)));
        let address = address(dir)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(dir.join(LOCK_FILE))
            .map_err(address.failed("lock"))?;
        claim(&lock)?;
        // Left behind by an agent that was killed: its lock is free.
        let _ = fs::remove_file(&address.path);
        let listener = UnixListener::bind(address.socket()).map_err(address.failed("bind"))?;
        fs::set_permissions(&address.path, Permissions::from_mode(0o600))
            .map_err(address.failed("protect"))?;
        listener.set_nonblocking(true).map_err(address.failed("bind"))?;
        Ok(Self { key, listener, address, expiry, idle, _lock: lock })
    }

    /// Serves the key until the time is over or a client locks. One request at a time: each is a few bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn run(mut self) -> Result<(), AgentError> {
        let mut locked_by = None;
        while locked_by.is_none() && !self.remaining().is_zero() {
            self.wait()?;
            // A client that went away again is no reason to stop.
            if let Ok((stream, _)) = self.listener.accept() {
                locked_by = self.answer(stream).unwrap_or(None);
            }
        }
        let _ = fs::remove_file(&self.address.path);
        drop(self);
        if let Some(mut client) = locked_by {
            let _ = Answer::Yes.write(&mut client);
        }
        Ok(())
    }

    /// How long the key is still kept if nobody asks for it.
    fn remaining(&self) -> Duration {
        let idle = self.idle.as_ref().map(|(_, expiry)| expiry.remaining());
        idle.map_or(Duration::MAX, |idle| idle).min(self.expiry.remaining())
    }

    /// Until a client comes or the clock is to be looked at.
    fn wait(&self) -> Result<(), AgentError> {
        let longest = self.remaining().min(TICK);
        let timeout = Timespec::try_from(longest).map_err(|_| AgentError::Lifetime)?;
        match poll(&mut [PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(self.address.failed("wait on")(error.into()).into()),
        }
    }

    /// Answers one request; gives the client back that asked to lock.
    fn answer(&mut self, mut stream: UnixStream) -> Result<Option<UnixStream>, AgentError> {
        let failed = |_| AgentError::Protocol;
        check_peer(&stream)?;
        stream.set_nonblocking(false).map_err(failed)?;
        let request = match Request::read(&mut stream) {
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                Answer::No.write(&mut stream).map_err(failed)?;
                return Ok(None);
            }
            request => request.map_err(failed)?,
        };
        let remaining = self.remaining();
        let answered = match request {
            Request::Lock => return Ok(Some(stream)),
            _ if remaining.is_zero() => Answer::No.write(&mut stream),
            Request::Key => {
                if let Some((idle, expiry)) = &mut self.idle {
                    *expiry = Expiry::after(*idle);
                }
                Answer::Yes.write(&mut stream).and_then(|()| message::write_key(&self.key, &mut stream))
            }
            Request::Remaining => {
                Answer::Yes.write(&mut stream).and_then(|()| message::write_time(remaining, &mut stream))
            }
        };
        answered.map_err(failed)?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        os::unix::{fs::FileTypeExt, net::UnixStream},
        path::PathBuf,
        thread::JoinHandle,
    };

    use super::{
        super::{key, lock, remaining, start},
        *,
    };

    fn only(lifetime: Duration) -> Keeping {
        Keeping { lifetime, idle: None }
    }

    fn running(dir: &Path, lifetime: Duration) -> JoinHandle<Result<(), AgentError>> {
        let agent = Agent::bind(dir, Secret::from_bytes([7; 32]), only(lifetime)).unwrap();
        std::thread::spawn(move || agent.run())
    }

    /// A short path, and one that does not fit into a socket address.
    fn dirs() -> (tempfile::TempDir, [PathBuf; 2]) {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("a-rather-long-name-".repeat(6));
        fs::create_dir(&long).unwrap();
        let short = dir.path().to_owned();
        (dir, [short, long])
    }

    #[test]
    fn the_agent_serves_the_key_to_its_user_until_it_is_locked() {
        let (_dir, dirs) = dirs();
        for dir in &dirs {
            assert!(key(dir).unwrap().is_none());
            assert!(!lock(dir).unwrap());
            let thread = running(dir, Duration::from_hours(1));
            let socket = fs::metadata(dir.join("agent.sock")).unwrap();
            assert!(socket.file_type().is_socket());
            assert_eq!(socket.permissions().mode() & 0o777, 0o600);
            for _ in 0..2 {
                assert!(key(dir).unwrap().unwrap().ct_eq(&Secret::from_bytes([7; 32])));
            }
            let left = remaining(dir).unwrap().unwrap();
            assert!(left <= Duration::from_hours(1) && left > Duration::from_mins(59), "{left:?}");
            let second = Agent::bind(dir, Secret::from_bytes([8; 32]), only(Duration::from_secs(9)));
            assert!(matches!(second, Err(AgentError::Running)));

            assert!(lock(dir).unwrap());
            thread.join().unwrap().unwrap();
            assert!(key(dir).unwrap().is_none() && remaining(dir).unwrap().is_none());
            assert!(!dir.join("agent.sock").exists());
        }
        assert!(key(&dirs[0].join("nowhere")).unwrap().is_none());
    }

    #[test]
    fn a_key_that_nobody_asks_for_is_forgotten_before_its_time_and_asking_puts_that_off() {
        let (_dir, [dir, _]) = dirs();
        let idle = |idle| Keeping { lifetime: Duration::from_hours(1), idle: Some(idle) };
        let bind = |keeping| Agent::bind(&dir, Secret::from_bytes([7; 32]), keeping);
        assert!(matches!(bind(idle(Duration::ZERO)), Err(AgentError::Lifetime)));
        bind(idle(Duration::from_millis(1))).unwrap().run().unwrap();
        assert!(!dir.join("agent.sock").exists());

        let mut agent = bind(idle(Duration::from_mins(10))).unwrap();
        let half = Duration::from_mins(5);
        // Half of it has gone by.
        agent.idle = Some((half * 2, Expiry::after(half)));
        let left = agent.remaining();
        assert!(left <= half, "{left:?}");
        let thread = std::thread::spawn(move || agent.run());
        assert!(remaining(&dir).unwrap().unwrap() <= half, "to look at it is not to use it");
        assert!(key(&dir).unwrap().is_some());
        assert!(remaining(&dir).unwrap().unwrap() > half);
        assert!(lock(&dir).unwrap());
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn the_agent_ends_when_its_time_is_over() {
        let (_dir, [dir, _]) = dirs();
        running(&dir, Duration::from_millis(1)).join().unwrap().unwrap();
        assert!(key(&dir).unwrap().is_none());
        for lifetime in [Duration::ZERO, LONGEST + Duration::from_secs(1)] {
            let refused = Agent::bind(&dir, Secret::from_bytes([7; 32]), only(lifetime));
            assert!(matches!(refused, Err(AgentError::Lifetime)));
        }
    }

    #[test]
    fn nonsense_and_silent_clients_do_not_stop_the_agent() {
        let (_dir, [dir, _]) = dirs();
        let thread = running(&dir, Duration::from_hours(1));
        let socket = dir.join("agent.sock");
        drop(UnixStream::connect(&socket).unwrap());
        let mut client = UnixStream::connect(&socket).unwrap();
        client.write_all(b"?").unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"-");
        assert!(key(&dir).unwrap().is_some());
        assert!(lock(&dir).unwrap());
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn an_agent_that_was_killed_leaves_nothing_in_the_way() {
        let (_dir, [dir, _]) = dirs();
        drop(Agent::bind(&dir, Secret::from_bytes([7; 32]), only(Duration::from_hours(1))).unwrap());
        assert!(dir.join("agent.sock").exists(), "as a crash leaves it");
        assert!(key(&dir).unwrap().is_none());
        let thread = running(&dir, Duration::from_hours(1));
        assert!(key(&dir).unwrap().is_some());
        lock(&dir).unwrap();
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn a_process_that_does_not_become_an_agent_is_an_error() {
        let (_dir, [dir, _]) = dirs();
        let secret = Secret::from_bytes([7; 32]);
        for program in ["false", "cat", "/nonexistent"] {
            let started =
                start(std::process::Command::new(program), &dir, &secret, only(Duration::from_mins(1)));
            assert!(started.is_err(), "{program}");
        }
    }
}
