//! A Redis of a test's own, which tests may stop, freeze and flush.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::eventually;

/// A running `redis-server`, killed when dropped.
pub(crate) struct Redis {
    directory: TempDir,
    port: u16,
    more: Vec<String>,
    child: Option<Child>,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With arguments of its own: `--tls-port`, say, which gets the port when it stands last.
    pub(crate) async fn start_with(more: &[String]) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut redis =
            Self { directory: tempfile::tempdir().unwrap(), port, more: more.to_vec(), child: None };
        redis.restart().await;
        redis
    }

    /// Starts it again at its address, after [`kill`](Self::kill).
    pub(crate) async fn restart(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--dir"]);
        command.arg(self.directory.path());
        if self.more.is_empty() {
            command.args(["--port", &port]);
        } else {
            command.args(&self.more).arg(&port);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        self.child = Some(child.expect("redis-server is installed: contrib/test.sh does that"));
        eventually("Redis listens", async || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok())
            .await;
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// It neither answers nor closes anything, as if the network were gone, until [`thaw`](Self::thaw).
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Runs a command.
    pub(crate) fn command(&self, words: &[&[u8]]) -> String {
        use std::io::{Read, Write};

        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend(format!("${}\r\n", word.len()).into_bytes());
            request.extend(*word);
            request.extend(b"\r\n");
        }
        request.extend(b"*1\r\n$4\r\nQUIT\r\n");
        stream.write_all(&request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().unwrap().id();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
