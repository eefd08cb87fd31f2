//! Child processes that end with their owner, whose lines can be waited for, each wait with a deadline.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// How long any single step of a test may take on a slow, busy machine.
pub const DEADLINE: Duration = Duration::from_mins(2);

/// A running program.
pub struct Process {
    shown: String,
    child: Child,
    lines: Receiver<String>,
    stderr_ended: Receiver<()>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

/// What a program left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command, for messages.
    pub shown: String,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed, line by line.
    pub lines: Vec<String>,
    /// What it said besides.
    pub stderr: String,
}

impl Process {
    /// Starts a program with its output piped and nothing to read.
    pub fn start(command: &mut Command) -> Self {
        Self::start_with_input(command, b"")
    }

    /// Starts a program that finds `input` on its standard input.
    pub fn start_with_input(command: &mut Command, input: &[u8]) -> Self {
        command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
        let mut process = Self::spawn(command);
        if let Some(mut stdin) = process.child.stdin.take() {
            let input = input.to_vec();
            // A program that ends without reading is no failure of the test.
            thread::spawn(move || drop(std::io::Write::write_all(&mut stdin, &input)));
        }
        process
    }

    /// Starts a program that is told things as it goes on, by [`Process::tell`].
    pub fn start_to_be_told(command: &mut Command) -> Self {
        Self::spawn(command.stdin(Stdio::piped()))
    }

    /// Writes a line to its standard input. That it reads no more is no failure of the test.
    pub fn tell(&mut self, line: &str) {
        self.tell_bytes(format!("{line}\n").as_bytes());
    }

    /// Writes bytes, as they are.
    pub fn tell_bytes(&mut self, bytes: &[u8]) {
        if let Some(stdin) = &mut self.child.stdin {
            drop(std::io::Write::write_all(stdin, bytes));
        }
    }

    /// Ends its standard input and waits until it has ended.
    pub fn hang_up(mut self) -> Output {
        drop(self.child.stdin.take());
        self.finish()
    }

    fn spawn(command: &mut Command) -> Self {
        let shown = format!("{command:?}");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
        let (line_sender, lines) = channel();
        let (ended, stderr_ended) = channel();
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let stdout = child.stdout.take().expect("the output is piped");
        thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                if line_sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        let mut from = child.stderr.take().expect("the output is piped");
        let to = Arc::clone(&stderr);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(size @ 1..) = from.read(&mut chunk) {
                to.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..size]);
            }
            drop(ended);
        });
        Self { shown, child, lines, stderr_ended, stderr }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on standard error so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits for the next line that `wanted` turns into something, and drops those before it.
    pub fn wait_for<T>(&self, what: &str, mut wanted: impl FnMut(&str) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(found) = wanted(&line) {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {what} from {}\n{}", self.shown, self.stderr()),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{} ended without {what}\n{}", self.shown, self.stderr())
                }
            }
        }
    }

    /// Waits until it has said these words on standard error.
    pub fn wait_until_it_says(&self, words: &str) {
        let until = Instant::now() + DEADLINE;
        while !self.stderr().contains(words) {
            assert!(Instant::now() < until, "{} never says {words:?}\n{}", self.shown, self.stderr());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Asks it to end and waits until it has.
    pub fn terminate(self) -> Output {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot signal {}", self.shown);
        self.finish()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it has ended and gives what was not read yet.
    pub fn finish(mut self) -> Output {
        let until = Instant::now() + DEADLINE;
        let mut lines = Vec::new();
        let hangs = |what: &str| format!("{what} of {} is still open at the deadline", self.shown);
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("{}\n{}", hangs("stdout"), self.stderr()),
            }
        }
        if self.stderr_ended.recv_timeout(until.saturating_duration_since(Instant::now()))
            == Err(RecvTimeoutError::Timeout)
        {
            panic!("{}\n{}", hangs("stderr"), self.stderr());
        }
        let status: Option<ExitStatus> = self.child.wait().ok();
        Output {
            shown: self.shown.clone(),
            code: status.and_then(|status| status.code()),
            lines,
            stderr: self.stderr(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Output {
    /// The output when the exit code is the expected one.
    #[must_use]
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}\n{}", self.shown, self.lines.join("\n"), self.stderr);
        self
    }

    /// Each line as JSON.
    #[track_caller]
    pub fn json(&self) -> Vec<serde_json::Value> {
        self.lines
            .iter()
            .map(|line| {
                serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("not JSON ({error}): {line}\n{}", self.shown))
            })
            .collect()
    }
}
